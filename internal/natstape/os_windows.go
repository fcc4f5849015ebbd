package natstape

import (
	"os"

	"golang.org/x/sys/windows"
)

// errWouldBlock is what tryLock wraps when another process holds the lock.
var errWouldBlock = windows.ERROR_LOCK_VIOLATION

// lockOffset is where the locked byte is: beyond the process number, which others may read.
const lockOffset = 1 << 30

// tryLock takes an exclusive lock on f without waiting.
func tryLock(f *os.File) error {
	at := windows.Overlapped{Offset: lockOffset}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
}

// freeSpace returns what this user may still write to the disk of dir, and the size of that disk, in bytes.
func freeSpace(dir string) (free, size uint64, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(path, &free, &size, nil)
	return free, size, err
}

// syncDir does nothing: NTFS logs names itself, and folders can't be synced.
func syncDir(string) error { return nil }
