package natstape

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dirLock keeps other processes out of a folder. The operating system lets go of it when the process ends, however it ends.
type dirLock struct{ file *os.File }

func lockPath(dir string) string { return filepath.Join(dir, "LOCK") }

// lockDir takes the lock of a folder, or returns ErrLocked with the number of the process that has it, as far as known.
func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the tape's lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer func() { _ = f.Close() }()
		return nil, lockedBy(dir, f, err)
	}
	// The number is for people. On a full disk it can't be written, and the tape is to be opened all the same.
	if err := f.Truncate(0); err == nil {
		_ = writeAll(f, []byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &dirLock{f}, nil
}

// lockedBy words the error of a lock that couldn't be had.
func lockedBy(dir string, f *os.File, err error) error {
	if !errors.Is(err, errWouldBlock) {
		return fmt.Errorf("lock %s: %w", lockPath(dir), err)
	}
	buf := make([]byte, 20)
	n, _ := f.ReadAt(buf, 0)
	pid := strings.TrimSpace(string(buf[:n]))
	if _, err := strconv.Atoi(pid); err != nil {
		return fmt.Errorf("%s: %w by another process", dir, ErrLocked)
	}
	return fmt.Errorf("%s: %w by process %s", dir, ErrLocked, pid)
}

func (l *dirLock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("close the tape's lock: %w", err)
	}
	return nil
}

// writeAll writes b at an offset.
func writeAll(f *os.File, b []byte, off int64) error {
	_, err := f.WriteAt(b, off)
	return err
}
