package store

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sqlite3 "modernc.org/sqlite/lib"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// waiting runs a recorder that is to have trouble, and returns its end. The trouble is called at each attempt with how many there
// were before.
func waiting(t *testing.T, s *Store, src *tapetest.Memory, trouble func(r *Recorder, attempt int, err error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := NewRecorder(s, src)
	r.ticks, r.delay, r.maxDelay = 20, time.Microsecond, time.Microsecond
	attempt := 0
	r.onRetry = func(err error) {
		trouble(r, attempt, err)
		attempt++
	}
	last := src.Bounds().Last
	r.onCommit = func(p tape.Position) {
		if err := s.Health(); err != nil {
			t.Errorf("after a commit the health is %v", err)
		}
		if p >= last {
			cancel()
		}
	}
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if attempt == 0 {
		t.Error("there was no trouble")
	}
}

func TestLockedByAnother(t *testing.T) {
	src := busyTape(11, 20)
	want := allOf(t, src)
	o := options(t)
	o.Busy = time.Millisecond
	s := mustOpen(t, o)
	other, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	do := func(statement string) {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	do("BEGIN IMMEDIATE")
	waiting(t, s, src, func(_ *Recorder, attempt int, err error) {
		if code(err) != sqlite3.SQLITE_BUSY {
			t.Errorf("got %v, want a lock", err)
		}
		if h := s.Health(); h == nil || !strings.Contains(h.Error(), "locked") {
			t.Errorf("health is %v, want the lock", h)
		}
		if s.Lag() != uint64(src.Bounds().Last) {
			t.Errorf("lag %d, want %d", s.Lag(), src.Bounds().Last)
		}
		if attempt == 5 {
			do("COMMIT")
		}
	})
	same(t, want, dump(t, o.Path))
}

func TestFullDisk(t *testing.T) {
	src := busyTape(12, 50)
	want := allOf(t, src)
	o := options(t)
	s := mustOpen(t, o)
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	var reached tape.Position
	waiting(t, s, src, func(r *Recorder, attempt int, err error) {
		if code(err) != sqlite3.SQLITE_FULL {
			t.Errorf("got %v, want a full disk", err)
		}
		if h := s.Health(); h == nil || !strings.Contains(h.Error(), "full") {
			t.Errorf("health is %v, want the full disk", h)
		}
		_, p := s.Applied()
		if attempt > 0 && p != reached {
			t.Errorf("position %d, then %d", reached, p)
		}
		reached = p
		if attempt == 5 {
			if _, err := r.writer.conn.ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
				t.Error(err)
			}
		}
	})
	if reached == 0 {
		t.Error("the disk was full from the start")
	}
	same(t, want, dump(t, o.Path))
}

func TestTapeAway(t *testing.T) {
	src := busyTape(13, 90)
	want := allOf(t, src)
	o := options(t)
	s := mustOpen(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reads := 0
	src.OnRead(func() error {
		if reads++; reads%2 == 1 {
			return tape.ErrUnavailable
		}
		return nil
	})
	r := NewRecorder(s, src)
	r.delay, r.maxDelay = time.Microsecond, time.Microsecond
	waits, last := 0, src.Bounds().Last
	r.onRetry = func(error) { waits++ }
	r.onCommit = func(p tape.Position) {
		if p == last {
			cancel()
		}
	}
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if waits < 2 {
		t.Errorf("waited %d times", waits)
	}
	same(t, want, dump(t, o.Path))
}

func TestRunEnds(t *testing.T) {
	s := mustOpen(t, options(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewRecorder(s, newMemTape()).Run(ctx); err != nil {
		t.Errorf("cancelled: %v", err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("cancelled: health %v", err)
	}
	src := newMemTape()
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if err := NewRecorder(s, src).Run(t.Context()); err == nil || !strings.Contains(err.Error(), tape.ErrClosed.Error()) {
		t.Errorf("the tape closed: %v", err)
	}
}

// Ticks that come while the recorder waits are recorded at once, each with the one before.
func TestFollowsTheEndOfTheTape(t *testing.T) {
	src := newMemTape()
	s := mustOpen(t, options(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := NewRecorder(s, src)
	committed := make(chan tape.Position)
	r.onCommit = func(p tape.Position) { committed <- p }
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for i := range uint64(20) {
		src.Put("sim", trade("SIM:A", i+1, start, "1", "1"))
		if p := <-committed; uint64(p) != i+1 {
			t.Fatalf("committed %d, want %d", p, i+1)
		}
		if l, ok := s.Latest("SIM:A"); !ok || l.LastTrade.Seq != i+1 {
			t.Fatalf("the latest trade is %d, want %d", l.LastTrade.Seq, i+1)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEntriesThatCannotBeStored(t *testing.T) {
	src := newMemTape()
	far := trade("SIM:A", 2, -9_000_000_000_000_000_000, "1", "1")
	far.Received = 9_000_000_000_000_000_000
	huge := trade("SIM:A", 4, start, "9223372036854775807", "9223372036854775807")
	early := trade("SIM:A", 7, start+3600*market.Second, "1", "1")
	early.Received = start
	src.Put("sim",
		trade("SIM:A", 1, start, "1", "1"), far, trade("SIM:A", 1, start, "2", "2"), trade("SIM:A", 3, start, "1", "1"),
		huge, trade("", 1, start, "1", "1"))
	src.Put("sim", trade("SIM:A", 1, start, "1", "1"), trade("SIM:A", 5, start, "9223372036854775807", "9223372036854775807"),
		trade("SIM:A", 6, start, "9223372036854775807", "9223372036854775807"), early)
	var log bytes.Buffer
	o := options(t)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)
	src.Put("sim", trade("SIM:A", 3, start, "9", "9"), trade("SIM:A", 8, start, "1", "1"))
	record(t, s, src)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"store|SIM:A|1|trade 2 cannot be stored: its times are too far apart",
		"store|SIM:A|2|trade 1 cannot be stored: its number was used before",
		"store||1|trade 1 cannot be stored: it has no symbol",
		"store|SIM:A|0|trade 6 is in no bar: outside the range of exact decimals",
		"store|SIM:A|1|trade 3 cannot be stored: its number was used before",
	}, userReads(t, o.Path, "SELECT g.cause, s.symbol, g.lost, g.reason FROM gap_rows g LEFT JOIN symbols s ON s.id = g.symbol ORDER BY g.id")); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	for _, want := range []string{"position=1 n=2 kind=trade symbol=SIM:A seq=2", "position=2 n=9", "a trade is in no bar", "n=10"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, &log)
		}
	}
	if diff := cmp.Diff([]string{"1", "3", "4", "5", "6", "7", "8"}, userReads(t, o.Path, "SELECT seq FROM trades ORDER BY n")); diff != "" {
		t.Errorf("trades (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"5"}, userReads(t, o.Path, "SELECT trades FROM bars WHERE interval = '1s'")); diff != "" {
		t.Errorf("trades in bars (-want +got):\n%s", diff)
	}
	if r, err := Verify(t.Context(), o.Path, nil); err != nil || len(r.Problems) > 0 {
		t.Errorf("verify: %v, %v", r.Problems, err)
	}
}
