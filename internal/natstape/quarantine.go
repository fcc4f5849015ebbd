package natstape

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"tapedeck/internal/tape"
)

func quarantineDir(dir string) string { return filepath.Join(dir, "quarantine") }

// newQuarantine makes a new folder for copies of damaged files.
func (l *Log) newQuarantine() (string, error) {
	base := filepath.Join(quarantineDir(l.opts.Dir), time.Now().UTC().Format("20060102T150405Z"))
	for i := 0; ; i++ {
		path := base
		if i > 0 {
			path += "-" + strconv.Itoa(i)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		if err := os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
}

// quarantineStream copies the whole stream to quarantine. Blocks that are full are linked, as nothing writes to them any more;
// the last one and the small files are copied. A failure is logged: it must not keep the tape from being mended.
func (l *Log) quarantineStream() {
	to, err := l.newQuarantine()
	if err == nil {
		err = copyTree(streamDir(l.opts.Dir), to)
	}
	if err != nil {
		l.log.Error("damaged tape not copied to quarantine", "error", err)
		return
	}
	l.log.Warn("damaged tape copied to quarantine", "folder", to)
}

// quarantineBlocks copies the damaged ones of the blocks that hold positions from to through. When none is damaged, then what
// is missing was found and copied before, or there is nothing left of it.
func (l *Log) quarantineBlocks(from, through tape.Position) {
	blocks, err := blocksOf(l.opts.Dir, from, through)
	var damaged []blockFile
	for _, b := range blocks {
		s, scanErr := b.scan(0)
		if scanErr != nil || s.bad > 0 {
			damaged = append(damaged, b)
		}
	}
	if err == nil && len(damaged) > 0 {
		err = l.quarantineFiles(damaged)
	}
	if err != nil {
		l.log.Error("damaged blocks not copied to quarantine", "error", err)
	}
}

func (l *Log) quarantineFiles(blocks []blockFile) error {
	to, err := l.newQuarantine()
	if err != nil {
		return err
	}
	for _, b := range blocks {
		if err := copyFile(b.path, filepath.Join(to, filepath.Base(b.path))); err != nil {
			return err
		}
	}
	l.log.Warn("damaged blocks copied to quarantine", "folder", to, "blocks", len(blocks))
	return nil
}

// maxQuarantined bounds how many blocks one finding copies.
const maxQuarantined = 4

// blocksOf returns the blocks whose positions meet a range, by their first records.
func blocksOf(dir string, from, through tape.Position) ([]blockFile, error) {
	blocks, err := listBlocks(blockDir(dir))
	if err != nil {
		return nil, err
	}
	var found []blockFile
	for i, b := range blocks {
		first, err := b.firstSequence()
		if err != nil {
			return nil, err
		}
		if first > uint64(through) {
			break
		}
		if i+1 < len(blocks) {
			if next, err := blocks[i+1].firstSequence(); err == nil && next != 0 && next <= uint64(from) {
				continue
			}
		}
		if found = append(found, b); len(found) == maxQuarantined {
			break
		}
	}
	return found, nil
}

// firstSequence reads the sequence of the first record of a block; 0 for an empty one.
func (b *blockFile) firstSequence() (uint64, error) {
	f, err := os.Open(b.path)
	if err != nil {
		return 0, fmt.Errorf("open a block: %w", err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, blockHeader)
	if _, err := io.ReadFull(f, head); err != nil {
		return 0, nil //nolint:nilerr // an empty or torn block has no first record
	}
	return sequenceOf(head), nil
}

// copyTree copies a folder; see quarantineStream.
func copyTree(from, to string) error {
	blocks, err := listBlocks(filepath.Join(from, "msgs"))
	if err != nil {
		return err
	}
	still := map[string]bool{} // blocks that nothing writes to
	for _, b := range blocks[:max(0, len(blocks)-1)] {
		still[b.path] = true
	}
	return filepath.WalkDir(from, func(path string, de fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing there to copy, or gone while we look
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case de.IsDir():
			return os.MkdirAll(dst, 0o700)
		case still[path] && os.Link(path, dst) == nil:
			return nil
		}
		return copyFile(path, dst)
	})
}

// copyFile copies a file and syncs the copy.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
