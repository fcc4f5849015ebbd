package replay

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tapedeck/internal/feed"
	"tapedeck/internal/layout"
)

// openFile opens a file and identifies it.
func openFile(c *config) (*os.File, [16]byte, error) {
	var id [16]byte
	f, err := os.Open(c.path)
	if err != nil {
		return nil, id, feed.Permanent(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a folder or a device, not a file", c.path)
	}
	if err == nil {
		if id, err = identify(f, info.Size(), c.choice); err != nil {
			err = fmt.Errorf("read %s: %w", c.path, err)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, id, feed.Permanent(err)
	}
	return f, id, nil
}

// openRows recognises an open file, from its beginning. All errors are permanent.
func openRows(f *os.File, c *config) (*layout.Reader, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, feed.Permanent(fmt.Errorf("%s: %w", c.path, err))
	}
	o := c.layout
	o.Name = filepath.Base(c.path)
	rows, err := layout.Open(f, o)
	if err != nil {
		return nil, feed.Permanent(fmt.Errorf("%s: %w", c.path, err))
	}
	return rows, nil
}
