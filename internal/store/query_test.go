package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// onTape returns the rows of a kind that are on a tape, by (event, seq), or of all symbols by (event, n).
func onTape(src *tapetest.Memory, kind market.Kind, symbol market.Symbol) []market.Row {
	var out []market.Row
	for _, rec := range src.Records() {
		for i, e := range rec.Entries {
			if e.Kind == kind && (symbol == "" || e.Symbol == symbol) {
				out = append(out, market.Row{N: rec.Ordinal + uint64(i) + 1, Entry: e})
			}
		}
	}
	slices.SortFunc(out, func(a, b market.Row) int {
		if symbol == "" {
			return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.N, b.N))
		}
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Seq, b.Seq))
	})
	return out
}

// expected answers a query from all rows.
func expected(all []market.Row, q *market.TickQuery) []market.Row {
	if q.Descending {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	var out []market.Row
	for _, r := range all {
		if q.From != 0 && r.Event < q.From || q.To != 0 && r.Event >= q.To || len(out) == q.Limit {
			continue
		}
		if q.After != nil {
			number := r.Seq
			if q.Symbol == "" {
				number = r.N
			}
			c := cmp.Or(cmp.Compare(r.Event, q.After.Event), cmp.Compare(number, q.After.Seq))
			if c == 0 || (c < 0) != q.Descending {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func TestTicksAgainstASort(t *testing.T) {
	src := newMemTape()
	names := []market.Symbol{"A:1", "A:2", "A:3", "A:4", "A:5", "A:6", "A:7"}
	g := newTraffic(21, "a", names...)
	g.fill(src, 60)
	// Some symbols trade at other times only, and many ticks share a time.
	for i := range 30 {
		g.symbols = names[i%7:]
		g.at = (g.at + market.Minute).Floor(market.Minute)
		var same []market.Entry
		for _, e := range g.batch() {
			if e.IsTick() {
				e.Event = g.at.Floor(market.Minute)
			}
			same = append(same, e)
		}
		src.Put("a", same...)
	}
	s := mustOpen(t, options(t))
	record(t, s, src)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 120 {
		q := market.TickQuery{
			Kind: market.KindTrade + market.Kind(rnd.IntN(2)), Descending: rnd.IntN(2) == 0,
			Limit: 1 + rnd.IntN(300)*rnd.IntN(10),
		}
		if rnd.IntN(2) == 0 {
			q.Symbol = names[rnd.IntN(len(names))]
		}
		all := onTape(src, q.Kind, q.Symbol)
		any := func() *market.Row { return &all[rnd.IntN(len(all))] }
		if rnd.IntN(2) == 0 {
			q.From = any().Event
		}
		if rnd.IntN(2) == 0 {
			q.To = any().Event + market.Time(rnd.IntN(2))
		}
		if rnd.IntN(2) == 0 {
			r := any()
			q.After = &market.TickKey{Event: r.Event, Seq: r.Seq}
			if q.Symbol == "" {
				q.After.Seq = r.N
			}
		}
		want := expected(all, &q)
		got := ticks(t, s, q)
		if !slices.Equal(want, got) {
			t.Fatalf("%+v after %+v: %d rows, want %d (-want +got):\n%.3000s", q, q.After, len(got), len(want),
				gocmp.Diff(want, got, exact))
		}
	}
}

func TestTicksStopWhenToldTo(t *testing.T) {
	src := busyTape(22, 10)
	s := mustOpen(t, options(t))
	record(t, s, src)
	stop := errors.New("enough")
	for _, symbol := range []market.Symbol{"", "COINBASE:BTC-USD"} {
		n := 0
		err := s.Ticks(t.Context(), market.TickQuery{Kind: market.KindTrade, Symbol: symbol, Limit: 100}, func(*market.Row) error {
			n++
			return stop
		})
		if !errors.Is(err, stop) || n != 1 {
			t.Errorf("%q: %v after %d rows", symbol, err, n)
		}
	}
}

func TestQueriesThatMakeNoSense(t *testing.T) {
	s := mustOpen(t, options(t))
	yield := func(*market.Row) error { return nil }
	for _, q := range []market.TickQuery{
		{Kind: market.KindGap, Limit: 1},
		{Kind: market.KindTrade},
		{Kind: market.KindTrade, Limit: -1},
		{Kind: market.KindTrade, Limit: 1, After: &market.TickKey{Seq: math.MaxUint64}},
	} {
		if err := s.Ticks(t.Context(), q, yield); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for _, q := range []market.BarQuery{
		{Symbol: "A:B", Interval: market.Min1()}, {Symbol: "A:B", Limit: 1}, {Symbol: "A:B", Interval: market.Interval{N: 1, Unit: 9}, Limit: 1},
	} {
		if _, _, err := s.Bars(t.Context(), q, nil); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for _, after := range []*market.TickKey{nil, {Event: math.MinInt64}, {Event: math.MaxInt64, Seq: math.MaxInt64}} {
		for _, symbol := range []market.Symbol{"", "NOT:THERE"} {
			q := market.TickQuery{Kind: market.KindQuote, Symbol: symbol, From: math.MinInt64, To: math.MinInt64, After: after, Limit: 1}
			if rows := ticks(t, s, q); len(rows) != 0 {
				t.Errorf("%+v found %v", q, rows)
			}
		}
	}
}

func TestBarsInParts(t *testing.T) {
	src := busyTape(23, 60)
	s := mustOpen(t, options(t))
	record(t, s, src)
	for _, symbol := range []market.Symbol{"COINBASE:BTC-USD", "ALPACA:AAPL"} {
		for _, text := range []string{"1s", "5s", "1m", "3m", "30m", "1h", "4h", "1d", "1w", "1Month"} {
			v, err := market.ParseInterval(text)
			if err != nil {
				t.Fatal(err)
			}
			t.Run(fmt.Sprint(symbol, v), func(t *testing.T) { barsInParts(t, s, symbol, v) })
		}
	}
}

// barsInParts holds parts of the bars, in both directions, to all of them.
func barsInParts(t *testing.T, s *Store, symbol market.Symbol, v market.Interval) {
	ask := func(q market.BarQuery) []market.Bar {
		t.Helper()
		q.Symbol, q.Interval = symbol, v
		bars, _, err := s.Bars(t.Context(), q, nil)
		if err != nil {
			t.Fatal(err)
		}
		return bars
	}
	s.page = barPage
	all := ask(market.BarQuery{Limit: 1 << 20})
	if len(all) == 0 {
		t.Fatal("no bars")
	}
	for i := range all {
		if !all[i].Priced || i > 0 && all[i].Start < all[i-1].End || all[i].Interval != v {
			t.Fatalf("bar %d of %d: %+v", i, len(all), all[i])
		}
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	for range 12 {
		s.page = 1 + rnd.IntN(50)
		q := market.BarQuery{Limit: 1 + rnd.IntN(1+2*len(all)), Descending: rnd.IntN(2) == 0}
		if rnd.IntN(2) == 0 {
			q.From = all[rnd.IntN(len(all))].Start + market.Time(rnd.IntN(3)-1)
		}
		if rnd.IntN(2) == 0 {
			q.To = all[rnd.IntN(len(all))].Start + market.Time(rnd.IntN(3)-1)
		}
		var want []market.Bar
		for _, b := range all {
			if (q.From == 0 || b.Start >= q.From) && (q.To == 0 || b.Start < q.To) {
				want = append(want, b)
			}
		}
		if q.Descending {
			slices.Reverse(want)
		}
		want = want[:min(len(want), q.Limit)]
		if diff := gocmp.Diff(want, ask(q), exact, exactWide); diff != "" {
			t.Fatalf("%+v (-want +got):\n%.2000s", q, diff)
		}
	}
}

func TestDayStats(t *testing.T) {
	src := newMemTape()
	src.Put("sim", trade("SIM:A", 1, start-24*market.Hour, "10", "1"), trade("SIM:A", 2, start-24*market.Hour+1, "11", "1"))
	s := mustOpen(t, options(t))
	record(t, s, src)
	if got, _, err := s.DayStats(t.Context(), "SIM:A"); err != nil || got.HasPrevious || got.Day.Close != dec("11") {
		t.Errorf("first day: %+v, %v", got, err)
	}
	src.Put("sim", trade("SIM:A", 3, start, "12.5", "3"))
	record(t, s, src)
	got, position, err := s.DayStats(t.Context(), "SIM:A")
	if err != nil || position != 2 {
		t.Fatal(position, err)
	}
	if !got.HasPrevious || got.PreviousClose != dec("11") || got.Day.Open != dec("12.5") || got.Day.Volume.String() != "3" {
		t.Errorf("second day: %+v", got)
	}
	if got, _, err := s.DayStats(t.Context(), "SIM:NONE"); err != nil || got.Day.Priced {
		t.Errorf("no such symbol: %+v, %v", got, err)
	}
}

// While the recorder writes, what readers see is the tape up to the position they are told, no more and no less.
func TestReadersBesideTheRecorder(t *testing.T) {
	src := newMemTape()
	const symbol = "SIM:A"
	counts := []uint64{0} // trades of the symbol up to each position
	var total uint64
	for range 150 {
		var entries []market.Entry
		for range 1 + total%7 {
			total++
			entries = append(entries, trade(symbol, total, start+market.Time(total)*10_000_000, "5", "1"))
		}
		src.Put("sim", entries...)
		counts = append(counts, total)
	}
	s := mustOpen(t, options(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := NewRecorder(s, src)
	r.ticks = 10
	last := src.Bounds().Last
	r.onCommit = func(p tape.Position) {
		if p == last {
			cancel()
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	readers := make(chan error, 3)
	for _, v := range []market.Interval{market.Sec1(), market.Day1(), {N: 2, Unit: market.UnitSecond}} {
		go func() {
			readers <- func() error {
				for p := tape.Position(0); p < last; {
					bars, at, err := s.Bars(context.WithoutCancel(ctx), market.BarQuery{Symbol: symbol, Interval: v, Limit: 1 << 20}, nil)
					if err != nil {
						return err
					}
					var n uint64
					for i := range bars {
						n += bars[i].Count
					}
					if at < p || n != counts[at] {
						return fmt.Errorf("%s bars: %d trades as of position %d, want %d (position %d before)", v, n, at, counts[at], p)
					}
					p = at
				}
				return nil
			}()
		}()
	}
	for range cap(readers) {
		if err := <-readers; err != nil {
			t.Error(err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func benchStore(b *testing.B) *Store {
	src := newMemTape()
	benchTape(src, 200_000, 100)
	s := mustOpen(b, options(b))
	record(b, s, src)
	b.ReportAllocs()
	b.ResetTimer()
	return s
}

func BenchmarkLatestTrades(b *testing.B) {
	s := benchStore(b)
	for _, symbol := range []market.Symbol{"SIM:S1", ""} {
		b.Run("symbol="+string(symbol), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				q := market.TickQuery{Kind: market.KindTrade, Symbol: symbol, Limit: 100, Descending: true}
				if err := s.Ticks(b.Context(), q, func(*market.Row) error { n++; return nil }); err != nil || n != 100 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkExport(b *testing.B) {
	s := benchStore(b)
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		q := market.TickQuery{Kind: market.KindTrade, Limit: math.MaxInt}
		if err := s.Ticks(b.Context(), q, func(*market.Row) error { rows++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "ticks/s")
}

func BenchmarkBars(b *testing.B) {
	src := newMemTape()
	const n = 40_000
	at := start
	for i := 0; i < n; i += 100 {
		entries := make([]market.Entry, 100)
		for j := range entries {
			at += market.Second
			entries[j] = trade("SIM:A", uint64(i+j+1), at, "187.42", "100")
		}
		src.Put("sim", entries...)
	}
	s := mustOpen(b, options(b))
	record(b, s, src)
	for _, text := range []string{"1s", "1m", "5m", "1h"} {
		v, err := market.ParseInterval(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			var bars []market.Bar
			for b.Loop() {
				var err error
				bars, _, err = s.Bars(b.Context(), market.BarQuery{Symbol: "SIM:A", Interval: v, Limit: 500, Descending: true}, bars[:0])
				if err != nil || len(bars) == 0 {
					b.Fatal(len(bars), err)
				}
			}
			b.ReportMetric(float64(len(bars)), "bars")
		})
	}
}
