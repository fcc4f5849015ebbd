package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func ticks(t *testing.T, s *Store, q market.TickQuery) []market.Row {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1 << 30
	}
	var out []market.Row
	if err := s.Ticks(t.Context(), q, func(r *market.Row) error {
		out = append(out, *r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordAndRead(t *testing.T) {
	src := newMemTape()
	first := trade("SIM:AAPL", 1, start, "187.420", "100")
	first.ID, first.Ref, first.Exchange, first.Conditions, first.Tape = 7, "a b", "V", "@,I", 'C'
	late := trade("SIM:AAPL", 2, start-market.Second, "187.4", "0.50")
	q := quote("SIM:AAPL", 1, start+1, "187.41", "187.43")
	other := trade("SIM:MSFT", 1, start+2, "410", "7")
	src.Put("sim", first, late, q)
	src.Put("sim", other)
	s := mustOpen(t, options(t))
	record(t, s, src)

	if epoch, position := s.Applied(); epoch != src.Epoch || position != 2 {
		t.Errorf("applied %s %d, want %s 2", epoch, position, src.Epoch)
	}
	want := []market.Row{{N: 2, Entry: late}, {N: 1, Entry: first}}
	if diff := cmp.Diff(want, ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:AAPL"}), exact); diff != "" {
		t.Errorf("trades (-want +got):\n%s", diff)
	}
	want = []market.Row{{N: 3, Entry: q}}
	if diff := cmp.Diff(want, ticks(t, s, market.TickQuery{Kind: market.KindQuote, Symbol: "SIM:AAPL"}), exact); diff != "" {
		t.Errorf("quotes (-want +got):\n%s", diff)
	}
	want = []market.Row{{N: 4, Entry: other}, {N: 1, Entry: first}, {N: 2, Entry: late}}
	if diff := cmp.Diff(want, ticks(t, s, market.TickQuery{Kind: market.KindTrade, Descending: true}), exact); diff != "" {
		t.Errorf("all trades (-want +got):\n%s", diff)
	}
	listings, err := s.Listings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]market.Listing{
		{Symbol: "SIM:AAPL", Feed: "sim", TradeSeq: 2, QuoteSeq: 1, LastTrade: late, LastQuote: q},
		{Symbol: "SIM:MSFT", Feed: "sim", TradeSeq: 1, LastTrade: other},
	}, listings, exact); diff != "" {
		t.Errorf("listings (-want +got):\n%s", diff)
	}
	bars, position, err := s.Bars(t.Context(), market.BarQuery{Symbol: "SIM:AAPL", Interval: market.Min1(), Limit: 10}, nil)
	if err != nil || position != 2 {
		t.Fatalf("bars as of %d, %v", position, err)
	}
	var got []string
	for _, b := range bars {
		got = append(got, fmt.Sprint(b.Start, b.Open, b.High, b.Low, b.Close, b.Volume, b.Count))
	}
	if diff := cmp.Diff([]string{
		"2026-11-23T14:29:00Z 187.4 187.4 187.4 187.4 0.50 1",
		"2026-11-23T14:30:00Z 187.420 187.420 187.420 187.420 100 1",
	}, got); diff != "" {
		t.Errorf("bars (-want +got):\n%s", diff)
	}
}

// Ever new codes make the caches start again and again, and nothing else.
func TestManyForms(t *testing.T) {
	src := newMemTape()
	var seq uint64
	for i := range 60 {
		var entries []market.Entry
		for j := range 10 {
			seq++
			e := trade("SIM:A", seq, start+market.Time(seq), "1.5", "2")
			e.Conditions = fmt.Sprintf("%d", (i*j)%97)
			entries = append(entries, e)
		}
		src.Put("sim", entries...)
	}
	s := mustOpen(t, options(t))
	s.forms.limit = 7
	for p := tape.Position(2); p <= src.Bounds().Last; p += 2 {
		if err := recordTo(s, src, p); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(onTape(src, market.KindTrade, "SIM:A"), ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"}), exact); diff != "" {
		t.Errorf("trades (-want +got):\n%s", diff)
	}
	if n := len(s.forms.byID); n > 7 {
		t.Errorf("%d forms in memory, want 7 at most", n)
	}
}

// exact compares decimals with all their digits.
var exact = cmp.Comparer(func(a, b market.Decimal) bool { return a == b })

func BenchmarkRecord(b *testing.B) {
	for _, symbols := range []int{10, 500} {
		b.Run(fmt.Sprintf("symbols=%d", symbols), func(b *testing.B) { benchmarkRecord(b, symbols) })
	}
}

func benchmarkRecord(b *testing.B, symbols int) {
	src := newMemTape()
	benchTape(src, b.N, symbols)
	s := mustOpen(b, options(b))
	b.ReportAllocs()
	b.ResetTimer()
	record(b, s, src)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ticks/s")
	var pages, size float64
	for query, to := range map[string]*float64{"PRAGMA page_count": &pages, "PRAGMA page_size": &size} {
		if err := s.readers.QueryRowContext(context.Background(), query).Scan(to); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(pages*size/float64(b.N), "B/tick")
}

// BenchmarkCommit records trades one by one, as they come from a quiet market: each is a transaction, and durable.
func BenchmarkCommit(b *testing.B) {
	src := newMemTape()
	s := mustOpen(b, options(b))
	ctx, cancel := context.WithCancel(b.Context())
	r := NewRecorder(s, src)
	committed, ended := make(chan tape.Position), make(chan error, 1)
	r.onCommit = func(p tape.Position) { committed <- p }
	go func() { ended <- r.Run(ctx) }()
	var seq uint64
	for b.Loop() {
		seq++
		src.Put("sim", trade("SIM:A", seq, start+market.Time(seq)*market.Second, "187.42", "100"))
		<-committed
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// benchTape puts n ticks on a tape, four trades to a quote, at 100,000 a second of market time.
func benchTape(src *tapetest.Memory, n, symbols int) {
	names := make([]market.Symbol, symbols)
	for i := range names {
		names[i] = market.Symbol(fmt.Sprintf("SIM:S%d", i))
	}
	seq := make([][2]uint64, symbols)
	at := start
	for n > 0 {
		entries := make([]market.Entry, min(n, 500))
		for i := range entries {
			at += 10_000
			k := (i*7 + n) % symbols
			price, _ := market.NewDecimal(18_000+int64(i%211), -2)
			size, _ := market.NewDecimal(int64(1+i%300), 0)
			if i%5 == 4 {
				seq[k][1]++
				entries[i] = market.Quote{
					Symbol: names[k], Seq: seq[k][1], Event: at, Received: at + 700_000, Bid: price, BidSize: size, Ask: price, AskSize: size,
				}.Entry()
				continue
			}
			seq[k][0]++
			entries[i] = market.Trade{
				Symbol: names[k], Seq: seq[k][0], Event: at, Received: at + 700_000, Price: price, Size: size, Side: market.Side(1 + i%2),
			}.Entry()
		}
		src.Put("sim", entries...)
		n -= len(entries)
	}
}
