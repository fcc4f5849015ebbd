package natstape

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/tape/tapetest"
)

// The request by which ext4 and XFS stop at once, without writing anything more (EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN), as
// `xfs_io -x -c shutdown` makes it.
const (
	ioctlShutdown      = 0x8004587d
	shutdownNoLogFlush = 2
)

// cutPower makes a mounted file system stop: what was not synced is gone.
func cutPower(t *testing.T, mnt string) {
	t.Helper()
	f, err := os.Open(mnt)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ioctlShutdown, shutdownNoLogFlush); err != nil {
		t.Skipf("this kernel can't shut a file system down: %v", err)
	}
}

// TestPowerCut cuts the power of a process that appends, at random moments: all that it was told is durable must be there, once.
func TestPowerCut(t *testing.T) {
	open := func(t *testing.T, dir string) tapetest.Tape { return intruded{openTape(t, Options{Dir: dir})} }
	if tapetest.Child(t, open) {
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can mount a disk")
	}
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		if mkfs, err = exec.LookPath("/usr/sbin/mkfs.ext4"); err != nil {
			t.Skip("no mkfs.ext4 here")
		}
	}
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 1<<30); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), mkfs, "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	var all []tapetest.Acked
	for round := range rounds {
		ok := t.Run(fmt.Sprint("cut ", round), func(t *testing.T) {
			mnt := mount(t, "ext4", "loop", image)
			cmd, acks := tapetest.StartChild(t, filepath.Join(mnt, "tape"))
			for n := rnd.IntN(300); n > 0; n-- {
				a, ok := <-acks
				if !ok {
					t.Fatalf("round %d: the child ended by itself", round)
				}
				all = append(all, a)
			}
			// Whatever was acknowledged up to here must survive. What is acknowledged from here on doesn't count: a sync that is
			// under way while ext4 is shut down may return without an error though its data are lost (2 of 60 times for a
			// plain loop of write and fsync), and nobody receives anything from a machine without power.
			cutPower(t, mnt)
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			for range acks {
			}
		})
		ok = ok && t.Run(fmt.Sprint("look ", round), func(t *testing.T) {
			mnt := mount(t, "ext4", "loop", image)
			l := open(t, filepath.Join(mnt, "tape"))
			defer func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}()
			tapetest.Survived(t, l, all)
		})
		if !ok {
			return
		}
	}
	t.Logf("%d acknowledged appends in %d power cuts", len(all), rounds)
}
