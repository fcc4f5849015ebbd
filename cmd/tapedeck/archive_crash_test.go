package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// archiveKilled imports days of 2013 and ends servers that archive them at random moments. In the end every trade is there once.
func archiveKilled(t *testing.T, data string, lives int, end func(*process)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) //nolint:gosec // moments need not be secret
	const symbols, rows = 6, 20_000
	want := make(map[string]string)
	for i := range symbols {
		symbol, file := fmt.Sprintf("FILE:S%d", i), filepath.Join(t.TempDir(), "trades.csv")
		want[symbol] = rowsFile(t, file, rows+i)
		if !importKilled(t, time.Minute, file, "--symbol", symbol, "--data", data) {
			t.Fatal("the import was killed")
		}
	}
	args := []string{"--data", data, "--feed", "sim://?symbols=AAPL&rate=100/s&seed=7", "--log-level", "warn", "--hot", "1d"}
	for range lives {
		p := startServer(t, args...)
		timer := time.NewTimer(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
		select {
		case <-timer.C:
		case <-p.ended:
			t.Fatalf("the server ended: %v", p.err)
		}
		end(p)
	}
	p := startServer(t, args...)
	p.ready(t)
	done := regexp.MustCompile(`(?m)^tapedeck_archive_last_success_timestamp_seconds [1-9]`)
	p.until(t, "/metrics", func(status int, body []byte) bool { return status == http.StatusOK && done.Match(body) })
	p.stop(t)
	for symbol, rows := range want {
		if got := imported(t, data, symbol); got != rows {
			t.Errorf("%s: history has %s, the file %s", symbol, got, rows)
		}
	}
	out, err := exec.CommandContext(t.Context(), program(t), "verify", "--data", data).CombinedOutput()
	if err != nil || !regexp.MustCompile(fmt.Sprintf(`archive +\d+ files with %d of those ticks`, symbols*(rows-1)+symbols*(symbols-1)/2)).Match(out) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	left, err := filepath.Glob(filepath.Join(data, "archive", ".temporary", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func TestKillWhileArchiving(t *testing.T) {
	lives := 12
	if testing.Short() {
		lives = 3
	}
	archiveKilled(t, filepath.Join(t.TempDir(), "data"), lives, func(p *process) { p.kill(t) })
}

// TestPowerCutWhileArchiving cuts the file system off under the server: a name without its content, and a file without its name, are gone.
func TestPowerCutWhileArchiving(t *testing.T) {
	d := newDisk(t, 3<<30, "xfs_io")
	lives := 6
	if testing.Short() {
		lives = 2
	}
	archiveKilled(t, filepath.Join(d.mnt, "data"), lives, func(p *process) {
		d.run(t, "xfs_io", "-x", "-c", "shutdown", d.mnt)
		p.kill(t)
		d.run(t, "umount", d.mnt)
		d.run(t, "mount", "-o", "loop", d.image, d.mnt)
	})
}
