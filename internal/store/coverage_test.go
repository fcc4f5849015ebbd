package store

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// evidence returns what the store knows of a symbol: the spans of each origin joined, as texts.
func evidence(t *testing.T, s *Store, symbol market.Symbol) []string {
	t.Helper()
	return joinEvidence(evidenceOf(t, s, symbol))
}

func evidenceOf(t *testing.T, s *Store, symbol market.Symbol) []market.Evidence {
	t.Helper()
	var list []market.Evidence
	err := s.Evidence(t.Context(), symbol, 0, start+1000*market.Hour, func(e market.Evidence) error {
		list = append(list, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// joinEvidence joins spans of an origin that are near each other, and writes them in seconds since start.
func joinEvidence(list []market.Evidence) []string {
	slices.SortFunc(list, func(a, b market.Evidence) int {
		return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.From, b.From))
	})
	var joined []market.Evidence
	for _, e := range list {
		if n := len(joined); n > 0 && joined[n-1].Origin == e.Origin && e.From <= joined[n-1].To+bridge(e.Origin) {
			joined[n-1].To = max(joined[n-1].To, e.To)
			continue
		}
		joined = append(joined, e)
	}
	var out []string
	for _, e := range joined {
		out = append(out, fmt.Sprintf("%d %d-%d", e.Origin, (e.From-start).Floor(market.Second)/market.Second, (e.To-start+market.Second-1).Floor(market.Second)/market.Second))
	}
	return out
}

// bridge is how far apart evidence of an origin may be and still be of one span.
func bridge(o market.Origin) market.Time {
	if o == market.OriginConnected {
		return lostAfter
	}
	return market.QuietAfter
}

func heartbeat(at market.Time) market.Entry {
	return market.Heartbeat{Event: at, Received: at}.Entry()
}

// At second n of a script.
func at(n int) market.Time { return start + market.Time(n)*market.Second }

// flagged is a trade with flags, received at a second.
func flagged(symbol market.Symbol, seq uint64, event, received int, flags market.Flags) market.Entry {
	e := trade(symbol, seq, at(event), "1.5", "2")
	e.Received, e.Flags = at(received), flags
	return e
}

func TestLedgerFollowsAFeed(t *testing.T) {
	const s, other = "SIM:A", "SIM:B"
	src := newMemTape()
	for i := range 20 { // connected, and A unknown until second 12
		src.Put("sim", heartbeat(at(i)))
	}
	src.Put("sim", flagged(s, 1, 12, 12, 0), flagged(s, 2, 50, 50, 0))
	for i := 50; i < 60; i++ {
		src.Put("sim", heartbeat(at(i)))
	}
	src.Put("sim", market.Entry{Kind: market.KindStatus, State: market.StateDown, Event: at(60), Received: at(60)})
	// It comes back, and fetches what it missed.
	src.Put("sim", market.Entry{Kind: market.KindStatus, State: market.StateLive, Event: at(300), Received: at(300)})
	src.Put("sim", flagged(s, 3, 100, 301, market.FlagBackfilled), flagged(s, 4, 130, 301, market.FlagBackfilled))
	src.Put("sim", flagged(s, 5, 302, 302, 0), flagged(s, 6, 200, 303, 0))
	// A file, newest first, and one that is played now.
	src.Put("file", flagged(s, 7, -5000, 310, market.FlagImported|market.FlagHistory), flagged(s, 8, -5010, 310, market.FlagImported|market.FlagHistory))
	bar := market.Bar{
		Symbol: s, Interval: market.Day1(), Start: at(-200_000), End: at(-200_000) + 24*market.Hour,
		Open: dec("1"), High: dec("2"), Low: dec("1"), Close: dec("2"), Priced: true, Imported: true,
	}
	src.Put("file", bar.Entry())
	src.Put("replay", flagged(other, 1, -9000, 311, market.FlagImported))
	st := mustOpen(t, options(t))
	record(t, st, src)
	want := []string{
		"1 12-20", "1 50-60", "1 300-304", // from the first tick of the symbol on; alive at 12 and 50 means nothing of the time between
		"2 12-51", "2 200-201", "2 302-303",
		"3 100-131",
		"4 -200000--113600", "4 -5010--4999",
	}
	if diff := gocmp.Diff(want, evidence(t, st, s)); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff([]string{"4 -9000--8999"}, evidence(t, st, other)); diff != "" {
		t.Errorf("a file that is played connects nothing: %s", diff)
	}
	for _, c := range []struct {
		at   int
		want []market.Span
	}{
		{300, []market.Span{{From: at(100), To: at(200) + 1}}}, // those that were received at 301 and 303 are in one span
		{303, nil},
		{90, nil}, // they had not happened
	} {
		got, err := st.Late(t.Context(), s, at(c.at), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(c.want, got); diff != "" {
			t.Errorf("late at %d: %s", c.at, diff)
		}
	}
}

// scriptedTape is a random tape of a feed that goes down and comes back, with late and backfilled trades and files.
func scriptedTape(seed uint64) *tapetest.Memory {
	r := rand.New(rand.NewPCG(seed, 5))
	src := newMemTape()
	var seqs [3]uint64
	now := 0
	for range 150 {
		var entries []market.Entry
		for range 1 + r.IntN(4) {
			i := r.IntN(3)
			seqs[i]++
			symbol := market.Symbol(fmt.Sprintf("SIM:S%d", i))
			switch r.IntN(12) {
			case 0:
				entries = append(entries, flagged(symbol, seqs[i], now-r.IntN(5000), now, market.FlagBackfilled))
			case 1:
				entries = append(entries, flagged(symbol, seqs[i], now-r.IntN(9000), now, market.FlagImported|market.FlagHistory))
			case 2:
				entries = append(entries, flagged(symbol, seqs[i], now-r.IntN(300), now, 0))
			default:
				entries = append(entries, flagged(symbol, seqs[i], now, now, 0))
			}
		}
		src.Put("sim", entries...)
		if r.IntN(20) == 0 {
			now += 60 + r.IntN(600)
		}
		now += r.IntN(30)
	}
	return src
}

// However often the recorder restarts, the ledger says the same, and that is what the trades themselves say.
func TestLedgerAgainstAModel(t *testing.T) {
	for seed := range uint64(4) {
		src := scriptedTape(seed)
		one := mustOpen(t, options(t))
		record(t, one, src)
		o := options(t)
		r := rand.New(rand.NewPCG(seed, 6))
		for p := uint64(0); p < uint64(src.Bounds().Last); p += 1 + r.Uint64N(40) {
			s := mustOpenOnce(t, o)
			if err := recordTo(s, src, min(src.Bounds().Last, src.Bounds().First+tape.Position(p))); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		two := mustOpen(t, o)
		record(t, two, src)
		old := migrated(t, src)
		for i := range 3 {
			symbol := market.Symbol(fmt.Sprintf("SIM:S%d", i))
			want := modelOf(src, symbol)
			for name, s := range map[string]*Store{"at once": one, "with restarts": two, "migrated": old} {
				got := trades(evidenceOf(t, s, symbol))
				if diff := gocmp.Diff(want, joinEvidence(got)); diff != "" {
					t.Fatalf("seed %d, %s, %s: %s", seed, name, symbol, diff)
				}
			}
			checkLate(t, src, symbol, one, two, old)
		}
	}
}

// trades leaves out what feeds say.
func trades(list []market.Evidence) []market.Evidence {
	return slices.DeleteFunc(list, func(e market.Evidence) bool { return e.Origin == market.OriginConnected })
}

// modelOf is what the ledger must say of the trades of a symbol.
func modelOf(src *tapetest.Memory, symbol market.Symbol) []string {
	seconds := map[market.Origin][]market.Time{}
	eachTrade(src, symbol, func(e *market.Entry) {
		origin := market.OriginLive
		if e.Flags&market.FlagImported != 0 {
			origin = market.OriginImported
		} else if e.Flags&market.FlagBackfilled != 0 {
			origin = market.OriginBackfilled
		}
		seconds[origin] = append(seconds[origin], e.Event.Floor(market.Second))
	})
	var list []market.Evidence
	for origin, of := range seconds {
		slices.Sort(of)
		for i, s := range of {
			from := s
			if i > 0 && s-of[i-1]-market.Second <= market.QuietAfter {
				from = of[i-1]
			}
			list = append(list, market.Evidence{Origin: origin, From: from, To: s + market.Second})
		}
	}
	return joinEvidence(list)
}

func eachTrade(src *tapetest.Memory, symbol market.Symbol, do func(e *market.Entry)) {
	for _, rec := range src.Records() {
		for i := range rec.Entries {
			if e := &rec.Entries[i]; e.Kind == market.KindTrade && e.Symbol == symbol {
				do(e)
			}
		}
	}
}

// checkLate looks whether every trade that came late for some moment is in a late span of that moment.
func checkLate(t *testing.T, src *tapetest.Memory, symbol market.Symbol, stores ...*Store) {
	t.Helper()
	for _, s := range stores {
		for n := 0; n < 5000; n += 97 {
			spans, err := s.Late(t.Context(), symbol, at(n), nil)
			if err != nil {
				t.Fatal(err)
			}
			eachTrade(src, symbol, func(e *market.Entry) {
				if e.Flags&market.FlagImported != 0 || e.Event > at(n)-lateAfter || e.Received <= at(n) {
					return
				}
				if !slices.ContainsFunc(spans, func(v market.Span) bool { return e.Event >= v.From && e.Event < v.To }) {
					t.Fatalf("trade %d of %s at %s, received at %s, is not late at %s: %v", e.Seq, symbol, e.Event, e.Received, at(n), spans)
				}
			})
		}
	}
}

// migrated records a tape, takes from the file what format 1.1 added, and opens it again.
func migrated(t *testing.T, src *tapetest.Memory) *Store {
	t.Helper()
	o := options(t)
	s := mustOpenOnce(t, o)
	record(t, s, src)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	old := []string{"meta", "tape", "epochs", "feeds", "symbols", "forms", "trade_rows", "quote_rows", "intervals", "bar_rows", "gap_rows"}
	for _, name := range userReads(t, o.Path, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		if !slices.Contains(old, name) {
			edit(t, o.Path, "DROP TABLE "+name)
		}
	}
	edit(t, o.Path, "PRAGMA user_version = 1000")
	return mustOpen(t, o)
}

func mustOpenOnce(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
