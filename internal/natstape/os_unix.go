//go:build unix

package natstape

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errWouldBlock is what tryLock wraps when another process holds the lock.
var errWouldBlock = unix.EWOULDBLOCK

// tryLock takes an exclusive lock on f without waiting. It belongs to the open file: a second open file of the same
// process is kept out as well.
func tryLock(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// freeSpace returns what an unprivileged process may still write to the disk of dir, and the size of that disk, in bytes.
func freeSpace(dir string) (free, size uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := uint64(st.Bsize)
	return uint64(st.Bavail) * block, uint64(st.Blocks) * block, nil //nolint:unconvert // the types differ from system to system
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
