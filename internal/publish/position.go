package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tapedeck/internal/tape"
)

// standing is how far a target has come. It is kept in a file for each target, which people may read.
type standing struct {
	Epoch    string        `json:"epoch"`    // of the tape
	Position tape.Position `json:"position"` // the next record
	Entry    int           `json:"entry"`    // entries of that record that were sent
}

// load reads the file of a target; ok is false when there is none.
func load(path string) (s standing, ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("read how far a target has come: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Position == 0 || s.Entry < 0 {
		return s, false, fmt.Errorf("%s does not say how far a target has come; remove it to begin at the end of the tape", path)
	}
	return s, true, nil
}

// save writes the file of a target so that it is either the old or the new one, whatever happens.
func save(path string, s standing) (err error) {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep how far a target has come: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("keep how far a target has come: %w", err)
	}
	return nil
}

// syncFolder makes a rename last. Not every system can.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = f.Sync() // Windows knows no such thing; a position that is lost costs repeats only
	return f.Close()
}
