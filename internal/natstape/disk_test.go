package natstape

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// ticker is a ticker whose time passes when the test says so.
type ticker struct{ c chan time.Time }

func newTicker() *ticker { return &ticker{make(chan time.Time)} }

func (k *ticker) ticker(time.Duration) (<-chan time.Time, func()) { return k.c, func() {} }

// tick lets the writer look around twice: when it takes the second one it has finished with the first.
func (k *ticker) tick() {
	k.c <- time.Time{}
	k.c <- time.Time{}
}

// TestRefusesWhenFull has a disk that fills up and gets free again: appends are refused before it is full, readers go on.
func TestRefusesWhenFull(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	clock := newTicker()
	l := openTape(t, Options{
		Dir: t.TempDir(), MinFree: 100 << 20, Ticker: clock.ticker,
		FreeSpace: func(string) (uint64, uint64, error) { return free.Load(), 10 << 30, nil },
	})
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	appendOne := func(seq uint64) error {
		_, err := l.Append(t.Context(), tapetest.Batch("a", seq, 1))
		return err
	}
	if err := appendOne(1); err != nil {
		t.Fatal(err)
	}
	if err := l.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
	free.Store(99 << 20)
	if err := appendOne(2); !errors.Is(err, tape.ErrFull) {
		t.Errorf("Append on a full disk: %v", err)
	}
	if err := l.Health(); !errors.Is(err, tape.ErrFull) {
		t.Errorf("Health on a full disk: %v", err)
	}
	if recs := tapetest.ReadAll(t, l, 1); len(recs) != 1 {
		t.Errorf("%d records are read on a full disk, want 1", len(recs))
	}
	free.Store(101 << 20)
	clock.tick()
	if err := l.Health(); !errors.Is(err, tape.ErrFull) {
		t.Errorf("Health when there is hardly room again: %v", err)
	}
	free.Store(200 << 20)
	clock.tick()
	if err := l.Health(); err != nil {
		t.Errorf("Health when there is room again: %v", err)
	}
	if err := appendOne(2); err != nil {
		t.Errorf("Append when there is room again: %v", err)
	}
	if s := l.Stats(); s.Last != 2 || s.FreeBytes != 200<<20 {
		t.Errorf("Stats: %+v", s)
	}
}

func TestDefaultMinFree(t *testing.T) {
	for _, test := range []struct{ size, want uint64 }{
		{1 << 30, 128 << 20}, // a small disk keeps an eighth
		{8 << 30, 512 << 20},
		{40 << 30, 2 << 30}, // 5 %
		{4 << 40, 8 << 30},  // a large one no more than it needs
	} {
		if got := defaultMinFree(test.size); got != test.want {
			t.Errorf("defaultMinFree(%d) = %d, want %d", test.size, got, test.want)
		}
	}
}

// TestDiskFull fills a real disk up to the last byte, so that JetStream breaks, and frees it again.
func TestDiskFull(t *testing.T) {
	mnt := mount(t, "tmpfs", "size=48m")
	dir := filepath.Join(mnt, "tape")
	ballast := filepath.Join(mnt, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	clock := newTicker()
	l := openTape(t, Options{Dir: dir, MinFree: 1, Ticker: clock.ticker, RingBytes: 1 << 20})
	r := &recorded{dir: dir, epoch: l.Bounds().Epoch}
	var refused error
	for i := 0; refused == nil; i++ {
		b := tapetest.Batch(fmt.Sprint("feed", i%3), uint64(1+i), 1)
		b.Offset = make([]byte, 200<<10)
		_, err := l.Append(t.Context(), b)
		if err == nil {
			r.batches = append(r.batches, b)
		}
		refused = err
		if i > 1000 {
			t.Fatal("the disk doesn't fill up")
		}
	}
	if !errors.Is(refused, tape.ErrFull) && !errors.Is(refused, tape.ErrUnavailable) {
		t.Errorf("Append on a full disk: %v", refused)
	}
	t.Logf("after %d records: %v", len(r.batches), refused)
	if err := l.Health(); err == nil {
		t.Error("Health on a full disk: nil")
	}
	if b := l.Bounds(); b.Last != tape.Position(len(r.batches)) {
		t.Errorf("the tape ends at %d, %d were acknowledged", b.Last, len(r.batches))
	}
	newest, err := l.Read(t.Context(), tape.Position(len(r.batches)), nil)
	if err != nil || len(newest) != 1 {
		t.Errorf("Read of the newest record on a full disk: %d records, %v", len(newest), err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	clock.tick()
	if err := l.Health(); err != nil {
		t.Fatalf("Health when there is room again: %v", err)
	}
	r.compare(t, l, nil)
	more := tapetest.Batch("feed0", 100_000, 5)
	if _, err := l.Append(t.Context(), more); err != nil {
		t.Fatalf("Append when there is room again: %v", err)
	}
	r.batches = append(r.batches, more)
	r.compare(t, l, nil)
	if b := l.Bounds(); b.Epoch != r.epoch {
		t.Errorf("epoch %v, was %v", b.Epoch, r.epoch)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r.verify(t, nil)
}

// TestServerFails has a server that says it can't write, as after a failed sync: what it had begun is taken back, the append is
// refused, and the server restarted.
func TestServerFails(t *testing.T) {
	for _, when := range []string{"idle", "writing"} {
		t.Run(when, func(t *testing.T) {
			clock := newTicker()
			l := openTape(t, Options{Dir: t.TempDir(), Ticker: clock.ticker})
			r := &recorded{dir: l.opts.Dir, epoch: l.Bounds().Epoch}
			add := func() error {
				b := tapetest.Batch("a", uint64(1+len(r.batches)), 1)
				_, err := l.Append(t.Context(), b)
				if err == nil {
					r.batches = append(r.batches, b)
				}
				return err
			}
			for range 10 {
				if err := add(); err != nil {
					t.Fatal(err)
				}
			}
			s := l.session.Load()
			if when == "writing" {
				// A message that the writer doesn't know of stands for one whose answer was lost.
				if err := (intruded{l}).Intrude(t.Context(), tapetest.Batch("b", 1, 1)); err != nil {
					t.Fatal(err)
				}
			}
			s.fail()
			clock.tick()
			if l.session.Load() == s {
				t.Fatal("the server was not restarted")
			}
			if err := add(); err != nil {
				t.Fatalf("Append after the restart: %v", err)
			}
			r.compare(t, l, nil)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r.verify(t, nil)
		})
	}
}

// TestNoServer has a server that went away without a word, before appends of feeds that the writer knows and doesn't know.
func TestNoServer(t *testing.T) {
	for _, feed := range []string{"a", "b"} {
		t.Run(feed, func(t *testing.T) {
			l := openTape(t, Options{Dir: t.TempDir(), AckTimeout: time.Second})
			defer func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}()
			if _, err := l.Append(t.Context(), tapetest.Batch("a", 1, 1)); err != nil {
				t.Fatal(err)
			}
			l.session.Load().server.Shutdown()
			_, err := l.Append(t.Context(), tapetest.Batch(feed, 2, 1))
			if !errors.Is(err, tape.ErrUnavailable) {
				t.Errorf("Append without a server: %v", err)
			}
			if _, err = l.Append(t.Context(), tapetest.Batch(feed, 2, 1)); err != nil {
				t.Fatalf("Append after the restart: %v", err)
			}
			if recs := tapetest.ReadAll(t, l, 1); len(recs) != 2 || recs[1].Entries[0].Seq != 2 {
				t.Errorf("%d records, want 2", len(recs))
			}
		})
	}
}

// TestStreamGone loses the description of the stream while it is open; the restarted server doesn't know the stream.
func TestStreamGone(t *testing.T) {
	r := record(t, 20, 0, false)
	clock := newTicker()
	l := openTape(t, Options{Dir: r.dir, Ticker: clock.ticker})
	if err := os.Remove(filepath.Join(streamDir(r.dir), "meta.inf")); err != nil {
		t.Fatal(err)
	}
	l.session.Load().fail()
	clock.tick()
	if err := l.Health(); err != nil {
		t.Fatalf("Health: %v", err)
	}
	r.compare(t, l, nil)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r.check(t, Options{}, nil, false)
}
