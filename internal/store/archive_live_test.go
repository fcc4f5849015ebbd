package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/market"
)

// The recorder, the archiver and queries go on at the same time, and everyone gets what there is.
func TestArchivingWhileRecordingAndReading(t *testing.T) {
	src := days(6, 20*time.Minute, "SIM:A", "SIM:B")
	s := mustOpen(t, options(t))
	record(t, s, src)
	before := len(onTape(src, market.KindTrade, "SIM:A"))
	fresh := newTraffic(8, "live", "LIVE:X", "LIVE:Y")
	fresh.at = market.FromStd(newest(src)())
	fresh.fill(src, 120)
	a, err := NewArchiver(s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src), rows: 25, chunk: 8})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Errorf("archiver: %v", err)
		}
	})
	for i := range 2 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 5))
			for ctx.Err() == nil {
				q := market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A", Limit: 1 << 30, Descending: r.IntN(2) == 0}
				n := 0
				if err := s.Ticks(ctx, q, func(*market.Row) error { n++; return nil }); err != nil && ctx.Err() == nil {
					t.Errorf("query: %v", err)
				} else if err == nil && n != before {
					t.Errorf("%d trades, want %d", n, before)
				}
			}
		})
	}
	record(t, s, src)
	for s.cold.sums().files < 2*2*4*3 && ctx.Err() == nil && !t.Failed() {
		if _, err := s.Listings(ctx); err != nil || a.Health() != nil {
			t.Error(err, a.Health())
		}
		if err := rest(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	wg.Wait()
	askAll(t, rand.New(rand.NewPCG(1, 2)), s, src, []market.Symbol{"SIM:A", "LIVE:X"}, 5)
}

// Ticks that are late for an archived day come out in their place at once, and go into a second file of the day later.
func TestLateTicksGetAFileOfTheirOwn(t *testing.T) {
	src := days(6, time.Hour, "SIM:A")
	o := options(t)
	s := mustOpen(t, o)
	record(t, s, src)
	now := newest(src)()
	a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: func() time.Time { return now }})
	look(t, a)
	files := s.cold.sums().files
	late := trade("SIM:A", 1000, start.Floor(testDay)+90*market.Minute, "1", "1")
	late.Received = market.FromStd(now)
	late.Seq = uint64(len(onTape(src, market.KindTrade, "SIM:A")) + 1)
	src.Put("sim", late, trade("SIM:A", late.Seq+1, market.FromStd(now), "1", "1"))
	record(t, s, src)
	look(t, a)
	if n := s.cold.sums().files; n != files {
		t.Errorf("%d files right after one late tick, want %d as before", n, files)
	}
	askAll(t, rand.New(rand.NewPCG(1, 2)), s, src, []market.Symbol{"SIM:A"}, 10)
	now = now.Add(25 * time.Hour)
	a.clock = stepDetector{wall: a.o.Now}
	look(t, a)
	if n := s.cold.sums().files; n != files+1 {
		t.Errorf("%d files a day later, want %d", n, files+1)
	}
	if n := count(t, s, fmt.Sprintf("SELECT count(*) FROM trade_rows WHERE event <= %d", late.Event)); n != 0 {
		t.Errorf("%d trades of that day in the tables", n)
	}
	askAll(t, rand.New(rand.NewPCG(1, 2)), s, src, []market.Symbol{"SIM:A"}, 10)
	if r, err := verifyArchived(t, s, o); err != nil || len(r.Problems) > 0 {
		t.Errorf("verify: %q, %v", r.Problems, err)
	}
}

// A place that fails keeps nothing back: the tables have the ticks until it works again.
func TestArchiveThatFails(t *testing.T) {
	src := days(4, time.Hour, "SIM:A")
	o := options(t)
	s := mustOpen(t, o)
	record(t, s, src)
	blocked := DefaultArchive(o.Path)
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src)})
	err := a.look(t.Context())
	a.settled(t.Context(), err)
	if err == nil || a.Health() == nil || !strings.Contains(err.Error(), "archive") {
		t.Errorf("got %v, health %v", err, a.Health())
	}
	askAll(t, rand.New(rand.NewPCG(1, 2)), s, src, []market.Symbol{"SIM:A"}, 5)
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	look(t, a)
	if n := s.cold.sums().files; n != 4 {
		t.Errorf("%d files, want those of two days", n)
	}
	if n := count(t, s, "SELECT count(*) FROM archived WHERE state <> 3"); n != 0 {
		t.Errorf("%d files are half done", n)
	}
}

// FuzzArchivedFile changes a file of the archive anywhere: a query answers as before, or says which file is bad.
func FuzzArchivedFile(f *testing.F) {
	src := newMemTape()
	g := newTraffic(5, "a", "A:1")
	g.fill(src, 40)
	g.at += 9 * testDay
	g.fill(src, 1)
	o := options(f)
	s := mustOpen(f, o)
	record(f, s, src)
	look(f, newTestArchiver(f, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src)}))
	path := userReads(f, o.Path, "SELECT file FROM archived WHERE kind = 1 ORDER BY rows DESC LIMIT 1")[0]
	path = filepath.Join(DefaultArchive(o.Path), filepath.FromSlash(path))
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	all := onTape(src, market.KindTrade, "A:1")
	for i := range 20 {
		f.Add(uint32(i*len(whole)/20), []byte{0xff, 0x00, 0x7f}, false)
	}
	f.Add(uint32(len(whole)-4), []byte("PARE"), true)
	f.Add(uint32(len(whole)-8), []byte{0xff, 0xff, 0xff, 0x7f}, false)
	f.Fuzz(func(t *testing.T, at uint32, with []byte, cut bool) {
		b := slices.Clone(whole)
		at %= uint32(len(b))
		copy(b[at:], with)
		if cut {
			b = b[:at]
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s.cold.close()
		for _, q := range []market.TickQuery{
			{Kind: market.KindTrade, Symbol: "A:1", Limit: 1 << 30},
			{Kind: market.KindTrade, Limit: 100, Descending: true, To: all[len(all)/2].Event},
		} {
			var got []market.Row
			err := s.Ticks(t.Context(), q, func(r *market.Row) error {
				got = append(got, *r)
				return nil
			})
			switch {
			case errors.Is(err, ErrArchive) && !errors.Is(err, fs.ErrNotExist) && strings.Contains(err.Error(), ".parquet"):
			case err != nil:
				t.Fatalf("got %v, want one that names the file", err)
			case !slices.Equal(got, expected(all, &q)):
				t.Fatal("a changed file gave other ticks and no error")
			}
		}
	})
}
