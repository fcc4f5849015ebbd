package feed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func tick(kind market.Kind, symbol market.Symbol, event market.Time, price int64) market.Entry {
	d, err := market.NewDecimal(price, -2)
	if err != nil {
		panic(err)
	}
	return market.Entry{Kind: kind, Symbol: symbol, Event: event, Received: event, Price: d, Size: d}
}

func newWriter(t testing.TB, tp *tapetest.Memory, listings []market.Listing, from tape.Position) *feed.Writer {
	t.Helper()
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp, Listings: listings, From: from})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newLane(t testing.TB, w *feed.Writer, name string) *feed.Lane {
	t.Helper()
	l, err := w.Lane(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// checkNumbers reports numbers that are not 1, 2, 3 … for each symbol and kind.
func checkNumbers(t testing.TB, entries []market.Entry) {
	t.Helper()
	type key struct {
		market.Symbol
		market.Kind
	}
	last := make(map[key]uint64)
	for i := range entries {
		e := &entries[i]
		if !e.IsTick() {
			continue
		}
		k := key{e.Symbol, e.Kind}
		if last[k]++; e.Seq != last[k] {
			t.Fatalf("entry %d, %s of %s: got number %d, want %d", i, e.Kind, e.Symbol, e.Seq, last[k])
		}
	}
}

// store is what the recorder would have kept after the first n records.
func store(tp *tapetest.Memory, n int) []market.Listing {
	index := make(map[market.Symbol]*market.Listing)
	for _, rec := range tp.Records()[:n] {
		for _, e := range rec.Entries {
			if !e.IsTick() {
				continue
			}
			l := index[e.Symbol]
			if l == nil {
				l = &market.Listing{Symbol: e.Symbol}
				index[e.Symbol] = l
			}
			l.Feed = rec.Feed
			if e.Kind == market.KindTrade {
				l.TradeSeq, l.LastTrade = e.Seq, e
			} else {
				l.QuoteSeq, l.LastQuote = e.Seq, e
			}
		}
	}
	var list []market.Listing
	for _, l := range index {
		list = append(list, *l)
	}
	return list
}

func randomBatch(rng *rand.Rand, venue string) []market.Entry {
	batch := make([]market.Entry, 1+rng.IntN(20))
	for i := range batch {
		kind := market.KindTrade
		switch rng.IntN(10) {
		case 0, 1, 2, 3, 4:
			kind = market.KindQuote
		case 5:
			batch[i] = market.Heartbeat{Event: market.Time(i + 1)}.Entry()
			continue
		}
		batch[i] = tick(kind, market.Symbol(fmt.Sprintf("%s:S%d", venue, rng.IntN(5))), market.Time(1+rng.IntN(1e6)), 1+rng.Int64N(1e6))
	}
	return batch
}

// TestWriterAfterAnyCrash stops two feeds at random moments, with the store any distance behind the tape, and starts again.
func TestWriterAfterAnyCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	tp := &tapetest.Memory{}
	for round := range 60 {
		n := len(tp.Records())
		stored := 0
		if n > 0 {
			stored = rng.IntN(n + 1)
		}
		w := newWriter(t, tp, store(tp, stored), tape.Position(stored+1))
		for _, name := range []string{"a", "b"} {
			lane := newLane(t, w, name)
			want := ""
			for _, rec := range tp.Records() {
				if rec.Feed == name {
					want = string(rec.Offset)
				}
			}
			if got := string(lane.Offset()); got != want {
				t.Fatalf("round %d: feed %s goes on from %q, want %q", round, name, got, want)
			}
			for i := range rng.IntN(30) {
				offset := fmt.Appendf(nil, "%s/%d/%d", name, round, i)
				failed := rng.IntN(4) == 0
				if failed {
					tp.OnAppend(func(*tape.Record) error { return tape.ErrUnavailable })
				}
				err := lane.Append(t.Context(), randomBatch(rng, name), offset)
				tp.OnAppend(nil)
				if failed != (err != nil) {
					t.Fatalf("append: %v", err)
				}
			}
		}
	}
	checkNumbers(t, tp.Entries())
	if tp.Len() < 10_000 {
		t.Errorf("only %d entries", tp.Len())
	}
}

func TestWriterGoesOnBehindDamage(t *testing.T) {
	tp := &tapetest.Memory{}
	lane := newLane(t, newWriter(t, tp, nil, 0), "f")
	add := func(l *feed.Lane, symbols ...market.Symbol) {
		t.Helper()
		var batch []market.Entry
		for i, s := range symbols {
			batch = append(batch, tick(market.KindTrade, s, market.Time(i+1), 100))
		}
		if err := l.Append(t.Context(), batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	add(lane, "F:A", "F:A", "F:B", "F:C")     // A 1-2, B 1, C 1
	add(lane, "F:A", "F:B", "F:NEW", "F:NEW") // A 3, B 2, NEW 1-2
	add(lane, "F:A")                          // A 4
	lost := tp.Damage(2, 2)

	w := newWriter(t, tp, store(tp, 1), 2)
	lane = newLane(t, w, "f")
	add(lane, "F:A", "F:B", "F:C", "F:NEW")
	records := tp.Records()
	got := records[len(records)-1].Entries
	for i, want := range []uint64{
		5,            // the tick behind the damage tells the number
		1 + lost + 1, // B had 2 once: no number that was shown may come again
		1 + lost + 1,
		lost + 1, // seen in the damaged part only
	} {
		if got[i].Seq != want {
			t.Errorf("%s: got number %d, want %d", got[i].Symbol, got[i].Seq, want)
		}
	}
}

func TestWriterRefusesTwoFeedsOfOneSymbol(t *testing.T) {
	w := newWriter(t, &tapetest.Memory{}, nil, 0)
	a, b := newLane(t, w, "a"), newLane(t, w, "b")
	batch := func() []market.Entry { return []market.Entry{tick(market.KindTrade, "X:A", 1, 1)} }
	if err := a.Append(t.Context(), batch(), nil); err != nil {
		t.Fatal(err)
	}
	err := b.Append(t.Context(), batch(), nil)
	if !errors.Is(err, feed.ErrSymbolTaken) || !feed.IsPermanent(err) {
		t.Fatalf("got %v, want ErrSymbolTaken", err)
	}
	if _, err := w.Lane(t.Context(), "a"); err == nil {
		t.Error("a second lane of a feed was opened")
	}
	a.Close()
	if err := b.Append(t.Context(), batch(), nil); err != nil {
		t.Fatalf("after the first feed ended: %v", err)
	}
	if e, ok := b.Last("X:A", market.KindTrade); !ok || e.Seq != 2 {
		t.Errorf("got last trade %v %v, want number 2", e.Seq, ok)
	}
}

func TestWriterKnowsWhatWasLostBefore(t *testing.T) {
	tp := &tapetest.Memory{}
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{
		Tape: tp, Lost: 40, Listings: []market.Listing{{Symbol: "F:OLD", TradeSeq: 47, QuoteSeq: 41}},
	})
	if err != nil {
		t.Fatal(err)
	}
	batch := []market.Entry{
		tick(market.KindTrade, "F:OLD", 1, 1), tick(market.KindQuote, "F:OLD", 1, 1), tick(market.KindTrade, "F:NEW", 1, 1),
	}
	if err := newLane(t, w, "f").Append(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{48, 42, 41} {
		if got := tp.Entries()[i].Seq; got != want {
			t.Errorf("tick %d: got number %d, want %d", i, got, want)
		}
	}
}

func TestLaneOpenedAgainGoesOn(t *testing.T) {
	w := newWriter(t, &tapetest.Memory{}, nil, 0)
	lane := newLane(t, w, "f")
	if err := lane.Append(t.Context(), []market.Entry{tick(market.KindTrade, "F:A", 1, 1)}, []byte("7")); err != nil {
		t.Fatal(err)
	}
	lane.Close()
	if got := newLane(t, w, "f").Offset(); string(got) != "7" {
		t.Errorf("got offset %q, want 7", got)
	}
}

func TestWriterFindsOffsetsFarBack(t *testing.T) {
	tp := &tapetest.Memory{}
	w := newWriter(t, tp, nil, 0)
	rare, busy := newLane(t, w, "rare"), newLane(t, w, "busy")
	if err := rare.Append(t.Context(), []market.Entry{tick(market.KindTrade, "R:A", 1, 1)}, []byte("here")); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := busy.Append(t.Context(), []market.Entry{tick(market.KindTrade, "B:A", 1, 1)}, fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	n := len(tp.Records())
	w = newWriter(t, tp, store(tp, n), tape.Position(n+1))
	for name, want := range map[string]string{"rare": "here", "busy": "999", "never": ""} {
		if got := newLane(t, w, name).Offset(); string(got) != want {
			t.Errorf("%s: got offset %q, want %q", name, got, want)
		}
	}
}

func TestWriterRefusesStoreAheadOfTape(t *testing.T) {
	if _, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: &tapetest.Memory{}, From: 5}); err == nil {
		t.Error("a store that has read more than there is was accepted")
	}
}

func BenchmarkLaneAppend(b *testing.B) {
	w := newWriter(b, &tapetest.Memory{}, nil, 0)
	lane := newLane(b, w, "f")
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 4096
	batch := make([]market.Entry, n)
	for i := range batch {
		batch[i] = tick(market.KindTrade, market.Symbol(fmt.Sprintf("F:S%d", rng.IntN(50))), 1, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := lane.Append(context.Background(), batch, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/tick")
}
