package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/archive"
	"tapedeck/internal/archive/archivetest"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

const testDay = market.Time(dayLength)

// newTestArchiver returns an archiver that the test drives itself.
func newTestArchiver(t testing.TB, s *Store, o ArchiverOptions) *Archiver {
	t.Helper()
	a, err := NewArchiver(s, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.db.Close() })
	return a
}

// clockAt returns a clock that stands still.
func clockAt(now market.Time) func() time.Time { return func() time.Time { return now.Std() } }

// look makes the archiver do what is due.
func look(t testing.TB, a *Archiver) {
	t.Helper()
	if err := a.look(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// randomQuery makes a query whose ends, and whose place to go on from, are mostly at ticks.
func randomQuery(r *rand.Rand, all []market.Row, kind market.Kind, symbol market.Symbol) market.TickQuery {
	q := market.TickQuery{Kind: kind, Symbol: symbol, Limit: 1 + r.IntN(300), Descending: r.IntN(2) == 0}
	if len(all) == 0 {
		return q
	}
	some := func() market.Row { return all[r.IntN(len(all))] }
	if r.IntN(2) == 0 {
		q.From = some().Event - market.Time(r.IntN(3)) + 1
	}
	if r.IntN(2) == 0 {
		q.To = some().Event - market.Time(r.IntN(3)) + 1
	}
	if r.IntN(3) == 0 {
		k := some()
		q.After = &market.TickKey{Event: k.Event, Seq: k.Seq}
		if symbol == "" {
			q.After.Seq = k.N
		}
	}
	if r.IntN(4) == 0 {
		q.Limit = 1 << 30
	}
	return q
}

// askAll asks random queries and compares the answers with what the tape has.
func askAll(t *testing.T, r *rand.Rand, s *Store, src *tapetest.Memory, symbols []market.Symbol, n int) {
	t.Helper()
	for _, kind := range []market.Kind{market.KindTrade, market.KindQuote} {
		for _, symbol := range append([]market.Symbol{""}, symbols...) {
			all := onTape(src, kind, symbol)
			for range n {
				q := randomQuery(r, all, kind, symbol)
				got := ticks(t, s, q)
				if want := expected(all, &q); !slices.Equal(got, want) {
					t.Fatalf("%+v after %v (-want +got):\n%.3000s", q, q.After, cmp.Diff(want, got, exact))
				}
			}
		}
	}
}

// Whatever is archived when, and however late ticks come, queries answer as if nothing had been.
func TestArchiveIsNotNoticed(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 99))
			src := newMemTape()
			names := []market.Symbol{"A:1", "A:2", "A:3", "SIM:BTC/USD"}
			if seed%3 == 2 {
				for i := range manySeries + 5 { // so many that files are not kept open
					names = append(names, market.Symbol(fmt.Sprintf("B:%d", i)))
				}
			}
			g := newTraffic(seed, "a", names...)
			o := options(t)
			s := mustOpen(t, o)
			for range 8 - len(names)/8 {
				for range 8 {
					g.at += market.Time(r.Int64N(int64(8 * time.Hour)))
					g.fill(src, 1)
				}
				record(t, s, src)
				if r.IntN(4) > 0 {
					a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: clockAt(g.at + 5*market.Second), rows: 5 + r.IntN(200), chunk: 3 + r.IntN(40)})
					look(t, a)
				}
				askAll(t, r, s, src, names[:4], 4)
			}
			if n := s.cold.sums(); n.files < 10 || n.rows < 100 {
				t.Errorf("only %+v in the archive", n)
			}
			if r, err := verifyArchived(t, s, o); err != nil || len(r.Problems) > 0 || r.Archived.Ticks == 0 {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}

// days is a tape of n days from start on, one trade and one quote of each symbol every so often.
func days(n int, every time.Duration, symbols ...market.Symbol) *tapetest.Memory {
	src := newMemTape()
	seq := uint64(0)
	for at := start.Floor(testDay); at < start.Floor(testDay)+market.Time(n)*testDay; at += market.Time(every) {
		seq++
		var batch []market.Entry
		for _, s := range symbols {
			batch = append(batch, trade(s, seq, at, "187.42", "100"), quote(s, seq, at, "187.41", "187.43"))
		}
		src.Put("sim", batch...)
	}
	return src
}

// newest is the clock of the newest tick.
func newest(src *tapetest.Memory) func() time.Time {
	rows := onTape(src, market.KindTrade, "")
	return clockAt(rows[len(rows)-1].Received)
}

// count asks the tables alone.
func count(t testing.TB, s *Store, query string) (n int64) {
	t.Helper()
	if err := s.readers.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestArchiveLayout(t *testing.T) {
	src := days(4, time.Hour, "SIM:AAPL", "KRAKEN:BTC/USD")
	o := options(t)
	s := mustOpen(t, o)
	record(t, s, src)
	look(t, newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src)}))
	root := DefaultArchive(o.Path)
	var got []string
	if err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, filepath.Dir(path))
			got = append(got, filepath.ToSlash(rel))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, kind := range []string{"quotes", "trades"} {
		for _, symbol := range []string{"KRAKEN%3ABTC%2FUSD", "SIM%3AAAPL"} {
			for _, day := range []string{"2026-11-23", "2026-11-24"} {
				want = append(want, kind+"/symbol="+symbol+"/date="+day)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if n := count(t, s, "SELECT count(*) FROM trade_rows"); n != 2*2*24 {
		t.Errorf("%d trades in the tables, want two days of two symbols", n)
	}
	if got := userReads(t, o.Path, "SELECT kind, symbol, date, rows, first FROM archive ORDER BY file LIMIT 1"); got[0] !=
		"quotes|KRAKEN:BTC/USD|2026-11-23|24|2026-11-23T00:00:00.000000000Z" {
		t.Errorf("the view archive says %s", got)
	}
}

// The newest tick of a symbol stays where the next start finds it.
func TestNewestTickStaysInTheTables(t *testing.T) {
	src := days(2, time.Hour, "SIM:OLD")
	src.Put("sim", trade("SIM:NEW", 1, start+30*testDay, "1", "1"))
	o := options(t)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)
	want, _ := s.Listings(t.Context())
	a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: clockAt(start + 31*testDay)})
	look(t, a)
	look(t, a)
	if n := count(t, s, "SELECT count(*) FROM trade_rows"); n != 2 {
		t.Errorf("%d trades in the tables, want the newest of each symbol", n)
	}
	_ = a.db.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	got, _ := s.Listings(t.Context())
	if diff := cmp.Diff(want, got, exact); diff != "" {
		t.Errorf("listings after a restart (-want +got):\n%s", diff)
	}
}

// A day that is being read while it is archived is read whole, and once.
func TestReadWhileArchiving(t *testing.T) {
	for _, descending := range []bool{false, true} {
		src := days(5, 2*time.Minute, "SIM:A")
		s := mustOpen(t, options(t))
		record(t, s, src)
		a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src), rows: 500, chunk: 100})
		for _, symbol := range []market.Symbol{"SIM:A", ""} {
			q := market.TickQuery{Kind: market.KindTrade, Symbol: symbol, Limit: 1 << 30, Descending: descending}
			all := onTape(src, market.KindTrade, symbol)
			var got []market.Row
			if err := s.Ticks(t.Context(), q, func(r *market.Row) error {
				if got = append(got, *r); len(got) == 10 || len(got) == len(all)-1000 {
					look(t, a)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if want := expected(all, &q); !slices.Equal(got, want) {
				t.Fatalf("descending %v, symbol %q: %d rows, want %d", descending, symbol, len(got), len(want))
			}
		}
	}
}

func TestDamagedFileIsNamed(t *testing.T) {
	src := days(4, time.Hour, "SIM:A")
	for name, harm := range map[string]func(path string) error{
		"missing": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, 100) },
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"noise": func(path string) error {
			b, err := os.ReadFile(path)
			for i := range b {
				b[i] ^= 0x5a
			}
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		},
		"another": func(path string) error {
			other := strings.Replace(path, "date=2026-11-23", "date=2026-11-24", 1)
			names, err := filepath.Glob(filepath.Join(filepath.Dir(other), "*"))
			if err != nil {
				return err
			}
			b, err := os.ReadFile(names[0])
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			s := mustOpen(t, o)
			record(t, s, src)
			look(t, newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src)}))
			names, err := filepath.Glob(filepath.Join(DefaultArchive(o.Path), "trades", "*", "date=2026-11-23", "*"))
			if err != nil || len(names) != 1 {
				t.Fatal(names, err)
			}
			s.cold.close() // what is open would be read on
			if err := harm(names[0]); err != nil {
				t.Fatal(err)
			}
			none := func(*market.Row) error { return nil }
			q := market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A", Limit: 1000}
			err = s.Ticks(t.Context(), q, none)
			if !errors.Is(err, ErrArchive) || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "date=2026-11-23") {
				t.Errorf("got %v, want one that names the day", err)
			}
			var placed interface{ Place() string }
			if !errors.As(err, &placed) || !strings.Contains(placed.Place(), "date=2026-11-23") || strings.Contains(placed.Place(), o.Path) {
				t.Errorf("got %v, want one that tells clients the file, and not where it lies", err)
			}
			q.From = start.Floor(testDay) + testDay
			if err := s.Ticks(t.Context(), q, none); err != nil {
				t.Errorf("the days behind: %v", err)
			}
			if err := s.Health(); err != nil {
				t.Errorf("health: %v", err)
			}
			r, err := verifyArchived(t, s, o)
			if err != nil || len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "date=2026-11-23") {
				t.Errorf("verify: %q, %v", r.Problems, err)
			}
		})
	}
}

// verifyArchived verifies a copy of the store as it is now.
func verifyArchived(t *testing.T, s *Store, o Options) (Report, error) {
	t.Helper()
	copied := filepath.Join(filepath.Dir(o.Path), "copy.db")
	_ = os.Remove(copied)
	if _, err := s.writer.ExecContext(t.Context(), "VACUUM INTO ?", copied); err != nil {
		t.Fatal(err)
	}
	return Verify(t.Context(), copied, nil)
}

func TestRetention(t *testing.T) {
	src := days(10, time.Hour, "SIM:A", "SIM:B")
	for name, test := range map[string]struct {
		o    ArchiverOptions
		want int // days of ticks
	}{
		"by age":          {ArchiverOptions{Keep: 4 * 24 * time.Hour}, 5},
		"for ever":        {ArchiverOptions{}, 10},
		"by bytes":        {ArchiverOptions{KeepBytes: 1}, 2},
		"no less by size": {ArchiverOptions{KeepBytes: 1 << 40}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			s := mustOpen(t, o)
			record(t, s, src)
			test.o.Hot, test.o.Now = 24*time.Hour, newest(src)
			a := newTestArchiver(t, s, test.o)
			look(t, a)
			look(t, a)
			got := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"})
			all := onTape(src, market.KindTrade, "SIM:A")
			if want := all[len(all)-24*test.want:]; !slices.Equal(got, want) {
				t.Errorf("%d trades, want the last %d", len(got), len(want))
			}
			if r, err := verifyArchived(t, s, o); err != nil || len(r.Problems) > 0 {
				t.Errorf("verify: %q, %v", r.Problems, err)
			}
			names, _ := filepath.Glob(filepath.Join(DefaultArchive(o.Path), "*", "*", "*", "*"))
			if want := 2 * 2 * (test.want - 2); len(names) != want {
				t.Errorf("%d files, want %d", len(names), want)
			}
		})
	}
}

func TestRetentionNeedsSense(t *testing.T) {
	s := mustOpen(t, options(t))
	if _, err := NewArchiver(s, ArchiverOptions{Hot: 48 * time.Hour, Keep: 24 * time.Hour}); err == nil {
		t.Error("days may be removed before they are archived")
	}
}

// A clock that is wrong removes nothing: neither at once, nor when ticks come that were received by it.
func TestWrongClockRemovesNothing(t *testing.T) {
	src := days(10, time.Hour, "SIM:A")
	s := mustOpen(t, options(t))
	record(t, s, src)
	clock := newest(src)
	a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Keep: 8 * 24 * time.Hour, Now: func() time.Time { return clock() }})
	look(t, a)
	want := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"})
	right := clock()
	clock = func() time.Time { return right.AddDate(1, 0, 0) }
	look(t, a)
	fresh := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Keep: 8 * 24 * time.Hour, Now: clock}) // after a restart
	look(t, fresh)
	late := trade("SIM:A", 241, market.FromStd(right), "1", "1") // the venue's clock is right
	late.Received = market.FromStd(clock())
	src.Put("sim", late)
	record(t, s, src)
	look(t, fresh)
	got := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"})
	if len(got) != len(want)+1 {
		t.Errorf("%d trades, want %d", len(got), len(want)+1)
	}
}

// A file that is imported while the clock is wrong has nothing but that clock to say when it came.
func TestImportByAWrongClockRemovesNothing(t *testing.T) {
	src := days(10, time.Hour, "SIM:A")
	s := mustOpen(t, options(t))
	record(t, s, src)
	wrong := market.FromStd(newest(src)().AddDate(1, 0, 0))
	file := history(trade("SIM:B", 1, start-50*24*market.Hour, "1", "1"))
	file.Received = wrong
	src.Put("import-1", file)
	record(t, s, src)
	want := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"})
	a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Keep: 20 * 24 * time.Hour, Now: wrong.Std})
	look(t, a)
	if got := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"}); len(got) != len(want) {
		t.Errorf("%d trades are left of %d", len(got), len(want))
	}
}

// After a step of the clock the archive holds still for an hour, and then goes on.
func TestHoldsStillAfterAStep(t *testing.T) {
	src := days(10, time.Hour, "SIM:A")
	s := mustOpen(t, options(t))
	record(t, s, src)
	by := time.Duration(0)
	base := newest(src)()
	a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Now: func() time.Time { return base.Add(by) }})
	a.clock.now()
	by = 5 * time.Minute
	look(t, a)
	if n := s.cold.sums().files; n != 0 {
		t.Errorf("%d files were made right after the clock was set", n)
	}
	a.clock.until = time.Now()
	look(t, a)
	if n := s.cold.sums().files; n == 0 {
		t.Error("nothing is archived any more")
	}
}

// The archive may be a bucket: one in memory, or the one that TAPEDECK_TEST_S3 names.
func TestArchiveInABucket(t *testing.T) {
	s3 := archivetest.New(t)
	wheres := []string{s3.URL}
	if where := os.Getenv("TAPEDECK_TEST_S3"); where != "" {
		wheres = append(wheres, where)
	}
	src := days(5, 10*time.Minute, "SIM:A", "KRAKEN:BTC/USD")
	for _, where := range wheres {
		place, err := archive.Open(where, filepath.Join(t.TempDir(), "scratch"))
		if err != nil {
			t.Fatal(err)
		}
		o := options(t)
		o.Archive = place
		s := mustOpen(t, o)
		record(t, s, src)
		a := newTestArchiver(t, s, ArchiverOptions{Hot: 24 * time.Hour, Keep: 2 * 24 * time.Hour, Now: newest(src)})
		if where == s3.URL {
			s3.Spoil = func(b []byte) []byte { b[len(b)/2] ^= 1; return b } // what comes back is not what was sent
			if err := a.look(t.Context()); err == nil {
				t.Error("a spoiled file was taken")
			}
			askAll(t, rand.New(rand.NewPCG(1, 1)), s, src, []market.Symbol{"SIM:A"}, 3)
			s3.Spoil = nil
		}
		look(t, a)
		got := ticks(t, s, market.TickQuery{Kind: market.KindQuote, Symbol: "KRAKEN:BTC/USD"})
		all := onTape(src, market.KindQuote, "KRAKEN:BTC/USD")
		if want := all[2*24*6:]; !slices.Equal(got, want) {
			t.Errorf("%d quotes, want %d", len(got), len(want))
		}
		if r, err := Verify(t.Context(), o.Path, place); err != nil || len(r.Problems) > 0 || r.Archived.Files != 4 {
			t.Errorf("verify: %+v, %v", r, err)
		}
	}
	if names := s3.Names(); len(names) != 4 {
		t.Errorf("in the bucket are %q", names)
	}
}
