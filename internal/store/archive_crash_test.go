package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

const childKeep = "TAPEDECK_TEST_ARCHIVE_KEEP"

// steps is a Place that tells before and after everything that changes it.
type steps struct{ archive.Place }

func step() { fmt.Println("step") }

func (p steps) Keep(ctx context.Context, f *os.File, name string) error {
	step()
	defer step()
	return p.Place.Keep(ctx, f, name)
}

func (p steps) Remove(ctx context.Context, name string) error {
	step()
	defer step()
	return p.Place.Remove(ctx, name)
}

// killTape is some days with ticks that are late, even after their day was archived.
func killTape() *tapetest.Memory {
	src := newMemTape()
	g := newTraffic(77, "a", "A:1", "SIM:BTC/USD")
	for range 60 {
		g.at += market.Time(3 * time.Hour)
		g.fill(src, 1)
	}
	return src
}

// killOptions archive in small pieces, so that there are many moments to be killed at.
func killOptions(src *tapetest.Memory, keep time.Duration) ArchiverOptions {
	return ArchiverOptions{Hot: 24 * time.Hour, Keep: keep, Now: newest(src), rows: 40, chunk: 9}
}

// TestArchiveKillChild is not a test of its own: TestArchiveKill runs it as another process.
func TestArchiveKillChild(t *testing.T) {
	path, keep := os.Getenv(childPath), os.Getenv(childKeep)
	if path == "" || keep == "" {
		t.Skip("runs as a child of TestArchiveKill")
	}
	age, err := time.ParseDuration(keep)
	if err != nil {
		t.Fatal(err)
	}
	place, err := archive.Open(DefaultArchive(path), "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Path: path, Archive: steps{place}})
	if err != nil {
		t.Fatal(err)
	}
	a := newTestArchiver(t, s, killOptions(killTape(), age))
	a.onStep = step
	look(t, a)
}

// A process that is killed while it archives or removes loses nothing, leaves nothing twice, and the next one cleans up.
func TestArchiveKill(t *testing.T) {
	src := killTape()
	for _, keep := range []time.Duration{0, 5 * 24 * time.Hour} {
		o := options(t)
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		record(t, s, src)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(5, uint64(keep)))
		for kills := 0; killArchiver(t, o.Path, keep, 20+rnd.IntN(250)); kills++ {
			checkArchive(t, o, src, keep == 0)
			if kills > 200 {
				t.Fatal("it does not come to an end")
			}
		}
		checkArchive(t, o, src, keep == 0)
		checkClean(t, o, src, keep)
	}
}

// killArchiver runs an archiver in a process of its own and kills it after so many steps. It reports whether there was more to do.
func killArchiver(t *testing.T, path string, keep time.Duration, count int) bool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestArchiveKillChild$")
	cmd.Env = append(os.Environ(), childPath+"="+path, childKeep+"="+keep.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for lines := bufio.NewScanner(out); seen < count && lines.Scan(); {
		switch line := lines.Text(); line {
		case "step":
			seen++
		case "PASS":
		default:
			t.Errorf("child: %s", line)
		}
	}
	_ = cmd.Process.Kill() // it may have ended
	return cmd.Wait() != nil
}

// checkArchive holds the store to the tape; whole says that nothing may have been removed.
func checkArchive(t *testing.T, o Options, src *tapetest.Memory, whole bool) {
	t.Helper()
	r, err := Verify(t.Context(), o.Path, nil)
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("verify: %q, %v", r.Problems, err)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, symbol := range []market.Symbol{"A:1", "SIM:BTC/USD", ""} {
		want := onTape(src, market.KindTrade, symbol)
		got := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: symbol})
		if !whole {
			// What is left of the days that are removed is one of late ticks, or a file that is to go yet.
			at := len(want) - len(slices.DeleteFunc(slices.Clone(want), func(r market.Row) bool { return r.Event < newestDay(src)-5*testDay }))
			kept := want[at:]
			got, want = got[max(0, len(got)-len(kept)):], kept
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %d trades, want %d", symbol, len(got), len(want))
		}
	}
}

// newestDay is the begin of the day of the newest tick.
func newestDay(src *tapetest.Memory) market.Time {
	return market.FromStd(newest(src)()).Floor(testDay)
}

// checkClean finishes the work and looks for what should not be there.
func checkClean(t *testing.T, o Options, src *tapetest.Memory, keep time.Duration) {
	t.Helper()
	s := mustOpen(t, o)
	look(t, newTestArchiver(t, s, killOptions(src, keep)))
	if n := count(t, s, "SELECT count(*) FROM archived WHERE state <> 3"); n != 0 {
		t.Errorf("%d files are half done", n)
	}
	listed := userReads(t, o.Path, "SELECT file FROM archived ORDER BY file")
	var there []string
	root := DefaultArchive(o.Path)
	if err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			there = append(there, filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Errorf("files %q, listed are %q", there, listed)
	}
	if len(listed) < 5 {
		t.Errorf("only %q in the archive", listed)
	}
}
