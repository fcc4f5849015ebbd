package store

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func newMemTape() *tapetest.Memory { return &tapetest.Memory{Epoch: tape.Epoch{1, 2, 3}} }

// options of a store in a new folder.
func options(t testing.TB) Options {
	t.Helper()
	return Options{Path: filepath.Join(t.TempDir(), "store", "history.db"), Busy: time.Second}
}

// mustOpen opens a store that the test closes when it ends, if nobody did.
func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// record runs a recorder until the store has all that is on the tape.
func record(t testing.TB, s *Store, src *tapetest.Memory) {
	t.Helper()
	if err := recordTo(s, src, src.Bounds().Last); err != nil {
		t.Fatal(err)
	}
}

func recordTo(s *Store, src tape.Source, position tape.Position) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := NewRecorder(s, src)
	r.onCommit = func(p tape.Position) {
		if p >= position {
			cancel()
		}
	}
	if _, p := s.Applied(); p >= position {
		return nil
	}
	return r.Run(ctx)
}

var start = market.FromStd(time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC))

func dec(s string) market.Decimal {
	d, err := market.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

func trade(symbol market.Symbol, seq uint64, at market.Time, price, size string) market.Entry {
	return market.Trade{
		Symbol: symbol, Seq: seq, Event: at, Received: at + 3_000_000, Price: dec(price), Size: dec(size), Side: market.SideBuy,
	}.Entry()
}

func quote(symbol market.Symbol, seq uint64, at market.Time, bid, ask string) market.Entry {
	return market.Quote{
		Symbol: symbol, Seq: seq, Event: at, Received: at + 3_000_000, Bid: dec(bid), BidSize: dec("1"), Ask: dec(ask), AskSize: dec("20"),
	}.Entry()
}

// traffic makes random entries: trades and quotes of some symbols that mostly move on and now and then come late, even very
// late, with heartbeats and gaps.
type traffic struct {
	rand    *rand.Rand
	feed    string
	symbols []market.Symbol
	seq     map[market.Symbol]*[2]uint64
	at      market.Time
	price   int64
}

func newTraffic(seed uint64, feed string, symbols ...market.Symbol) *traffic {
	g := &traffic{
		rand: rand.New(rand.NewPCG(seed, 7)), feed: feed, symbols: symbols, seq: map[market.Symbol]*[2]uint64{}, at: start, price: 18_742,
	}
	for _, s := range symbols {
		g.seq[s] = &[2]uint64{}
	}
	return g
}

func (g *traffic) batch() []market.Entry {
	out := make([]market.Entry, 1+g.rand.IntN(40))
	for i := range out {
		g.at += market.Time(g.rand.Int64N(int64(400 * time.Millisecond)))
		if g.rand.IntN(400) == 0 {
			g.at += market.Time(g.rand.Int64N(int64(40 * time.Minute)))
		}
		at := g.at
		switch g.rand.IntN(20) {
		case 0:
			at -= market.Time(g.rand.Int64N(int64(5 * time.Second)))
		case 1:
			at -= market.Time(g.rand.Int64N(int64(3 * time.Minute)))
		case 2:
			at -= market.Time(g.rand.Int64N(int64(30 * time.Hour)))
		}
		s := g.symbols[g.rand.IntN(len(g.symbols))]
		seq := g.seq[s]
		g.price += g.rand.Int64N(21) - 10
		price, _ := market.NewDecimal(g.price, -2-g.rand.IntN(2))
		size, _ := market.NewDecimal(1+g.rand.Int64N(300), -g.rand.IntN(3))
		switch k := g.rand.IntN(100); {
		case k < 60:
			seq[0]++
			e := market.Trade{
				Symbol: s, Seq: seq[0], Event: at, Received: g.at + 2_000_000, Price: price, Size: size, Side: market.Side(g.rand.IntN(3)),
				ID: g.rand.Uint64N(3) * seq[0], Exchange: "V",
			}
			if g.rand.IntN(5) == 0 {
				e.Conditions = []string{"I", "Z", "T", "4,I"}[g.rand.IntN(4)]
			}
			out[i] = e.Entry()
		case k < 94:
			seq[1]++
			out[i] = market.Quote{
				Symbol: s, Seq: seq[1], Event: at, Received: g.at + 1_000_000, Bid: price, BidSize: size, Ask: price, AskSize: size,
			}.Entry()
		case k < 97:
			out[i] = market.Heartbeat{Event: g.at, Received: g.at}.Entry()
		case k < 98:
			gap := market.Gap{From: at - 40*market.Second, To: at, Reason: "line was down"}
			if g.rand.IntN(2) == 0 {
				gap.Symbol = s
			}
			if g.rand.IntN(4) == 0 {
				gap.Flags = market.FlagFilled
			}
			out[i] = gap.Entry()
		default:
			out[i] = market.Status{Symbol: s, State: market.StateLive, Event: g.at}.Entry()
		}
	}
	return out
}

// fill appends so many random batches.
func (g *traffic) fill(m *tapetest.Memory, batches int) {
	for range batches {
		m.Put(g.feed, g.batch()...)
	}
}
