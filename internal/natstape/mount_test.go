package natstape

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// mount mounts a file system for the test, which is skipped where that can't be done. More arguments go in front.
func mount(t *testing.T, fsType, options string, device ...string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("only root on Linux can mount a disk")
	}
	source := fsType
	if len(device) > 0 {
		source = device[0]
	}
	mnt := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "mount", "-t", fsType, "-o", options, source, mnt).CombinedOutput()
	if err != nil {
		t.Skipf("mount doesn't work here: %v: %s", err, out)
	}
	t.Cleanup(func() { unmount(t, mnt) })
	return mnt
}

// unmount unmounts a file system.
func unmount(t *testing.T, mnt string) {
	t.Helper()
	if out, err := exec.Command("umount", mnt).CombinedOutput(); err != nil { //nolint:noctx // it must happen when the test is over, too
		t.Errorf("umount: %v: %s", err, out)
	}
}
