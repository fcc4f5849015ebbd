package server

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// TestTwoImportsOfAFile has two programs import the same file, which they cut in different places.
func TestTwoImportsOfAFile(t *testing.T) {
	n, url := run(t, func(c *Config) { c.Feeds = nil; c.Roles = []string{RoleRecord, RoleGateway} })
	entries := rows(300, spy, market.Hour)
	var both [2]Intake
	for i := range both {
		in, err := OpenIntake(t.Context(), IntakeOptions{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = in
		if _, _, err := in.Begin(t.Context(), IntakeFile{ID: idOf("same"), Name: "same", Rows: 300}); err != nil {
			t.Fatal(err)
		}
	}
	a, b := both[0], both[1]
	for _, put := range []struct {
		in       Intake
		from, to int
		want     error
	}{
		{a, 0, 100, nil},
		{a, 100, 200, nil},
		{b, 0, 100, nil}, // it is there already
		{b, 100, 300, ErrIntakeConflict},
		{b, 100, 150, nil},
		{b, 150, 200, nil},
		{b, 200, 250, nil},
		{a, 200, 300, ErrIntakeConflict},
		{b, 250, 300, nil},
	} {
		err := put.in.Put(t.Context(), entries[put.from:put.to], uint64(put.to), put.to == 300)
		if !errors.Is(err, put.want) {
			t.Errorf("rows %d to %d: %v, want %v", put.from, put.to, err, put.want)
		}
	}
	for _, in := range both {
		if err := in.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got, want := stored(t, n, spy, nil), totalsOf(entries); got != want {
		t.Errorf("history has %+v, the file has %+v", got, want)
	}
}

// TestAFileThatIsLetGoMeanwhile has a file be let go while somebody waits for it: nobody may be left with a lane that nobody else finds.
func TestAFileThatIsLetGoMeanwhile(t *testing.T) {
	tp := new(tapetest.Memory)
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp})
	if err != nil {
		t.Fatal(err)
	}
	m := newImporter(w, tp, func() uint64 { return 0 })
	defer m.close()
	for i := range 200 {
		f, err := m.locked(t.Context(), idOf("x"))
		if err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := m.Stand(t.Context(), idOf("x")); err != nil {
				t.Error(err)
			}
		})
		runtime.Gosched()
		for j := range maxImportFiles {
			if j == maxImportFiles-1 {
				f.mu.Unlock()
			}
			if _, err := m.Stand(t.Context(), idOf(fmt.Sprint(i, j))); err != nil {
				t.Fatal(err)
			}
		}
		waiting.Wait()
		if _, err := m.Stand(t.Context(), idOf("x")); err != nil {
			t.Fatalf("turn %d: %v", i, err)
		}
	}
}

// sharedLog is a log that is read while it is written.
type sharedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends to the log.
func (l *sharedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// TestWaitingForHistoryIsNotLogged has a program ask again and again whether history has its file, which is no news to anyone.
func TestWaitingForHistoryIsNotLogged(t *testing.T) {
	log := new(sharedLog)
	_, url := runLogged(t, slog.New(slog.NewTextHandler(log, nil)), func(c *Config) { c.Feeds = nil; c.Roles = []string{RoleRecord, RoleGateway} })
	in, err := openOnline(url, "", discard(nil))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := feedIn(t.Context(), in, "file", rows(10, spy, market.Hour), 10, 1); err != nil || !done {
		t.Fatal(done, err)
	}
	for range 5 {
		if err := in.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if n := strings.Count(log.text.String(), "a file is imported"); n != 1 {
		t.Errorf("it was logged %d times that a file is imported, want once", n)
	}
}
