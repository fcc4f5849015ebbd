package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

const coin market.Symbol = "BINANCE:BTCUSDT" // of a venue that never closes, where days are those of UTC

// bringer is a feed, live or a file, that brings trades of coin.
type bringer struct {
	feed string
	live bool
	at   []market.Time
}

// mixed puts a live feed and some files, in all orders that files have, onto a tape in random turns.
func mixed(rng *rand.Rand) []bringer {
	many := []bringer{{feed: "live", live: true}}
	at := start
	for range 600 {
		at += market.Time(rng.Int64N(int64(20 * market.Second)))
		many[0].at = append(many[0].at, at-market.Time(rng.Int64N(int64(2*market.Second))))
	}
	for f, span := range [][2]market.Time{
		{start - 400*24*market.Hour, start - 398*24*market.Hour},
		{start - 399*24*market.Hour, start - 397*24*market.Hour},
		{start - 6*market.Hour, start + market.Hour},
		{start - 20*market.Hour, start + 30*market.Minute},
	} {
		file := bringer{feed: fmt.Sprintf("%s%d", market.ImportFeed, f)}
		for range 500 {
			file.at = append(file.at, span[0]+market.Time(rng.Int64N(int64(span[1]-span[0]))))
		}
		switch slices.Sort(file.at); f {
		case 1:
			slices.Reverse(file.at)
		case 2:
			rng.Shuffle(len(file.at), func(i, j int) { file.at[i], file.at[j] = file.at[j], file.at[i] })
		}
		many = append(many, file)
	}
	return many
}

// wantBars makes bars of trades the plain way.
func wantBars(entries []market.Entry, v market.Interval) []string {
	length, fixed := v.Fixed()
	if !fixed {
		length = 24 * market.Hour
	}
	slices.SortFunc(entries, func(a, b market.Entry) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Seq, b.Seq))
	})
	var out []string
	for i := 0; i < len(entries); {
		first := entries[i]
		begin := first.Event.Floor(length)
		high, low, last, n := first.Price, first.Price, first.Price, 0
		var volume market.Wide
		for ; i < len(entries) && entries[i].Event < begin+length; i++ {
			e := entries[i]
			if high.Less(e.Price) {
				high = e.Price
			}
			if e.Price.Less(low) {
				low = e.Price
			}
			last, n = e.Price, n+1
			volume, _ = volume.Add(market.WideOf(e.Size))
		}
		out = append(out, fmt.Sprint(begin, first.Price, high, low, last, volume, n))
	}
	return out
}

func gotBars(t *testing.T, s *Store, v market.Interval) []string {
	t.Helper()
	bars, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: coin, Interval: v, Limit: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, b := range bars {
		out = append(out, fmt.Sprint(b.Start, b.Open, b.High, b.Low, b.Close, b.Volume, b.Count))
	}
	return out
}

// TestBarsHoldWhatFilesBring has bars hold exactly the trades that came live and by files, over one another and in any order,
// whenever the recorder was stopped and begun anew.
func TestBarsHoldWhatFilesBring(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			src, o := newMemTape(), options(t)
			many := mixed(rng)
			if seed%3 == 1 {
				many = many[1:] // files only
			}
			var all []market.Entry
			s := reopened(t, nil, o)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			seq := uint64(0)
			for len(many) > 0 {
				i := rng.IntN(len(many))
				f := &many[i]
				n := min(1+rng.IntN(60), len(f.at))
				batch := make([]market.Entry, n)
				for j := range batch {
					seq++
					e := trade(coin, seq, f.at[j], fmt.Sprintf("%d.%02d", 100+rng.IntN(50), rng.IntN(100)), fmt.Sprintf("0.%03d", 1+rng.IntN(999)))
					if !f.live {
						e.Flags, e.Received = market.FlagImported|market.FlagHistory, start
					}
					batch[j] = e
				}
				all = append(all, batch...)
				if f.at = f.at[n:]; len(f.at) == 0 {
					if !f.live {
						batch = append(batch, market.Entry{Kind: market.KindHeartbeat, Event: start, Received: start, Flags: market.FlagImported | market.FlagHistory})
					}
					many = slices.Delete(many, i, i+1)
				}
				src.Put(f.feed, batch...)
				if rng.IntN(8) == 0 {
					record(t, s, src)
				}
				if rng.IntN(30) == 0 {
					s = reopened(t, s, o)
				}
			}
			record(t, s, src)
			for _, v := range append(s.candles.Intervals, market.Interval{N: 30, Unit: market.UnitMinute}, market.Interval{N: 4, Unit: market.UnitHour}) {
				if diff := gocmp.Diff(wantBars(all, v), gotBars(t, s, v)); diff != "" {
					t.Fatalf("%s (-want +got):\n%.2000s", v, diff)
				}
			}
			if r, err := Verify(t.Context(), o.Path, nil); err != nil || len(r.Problems) > 0 {
				t.Errorf("verify: %q, %v", r.Problems, err)
			}
			later := start + 40*24*market.Hour
			src.Put("live", trade(coin, seq+1, later, "1", "1"), heartbeat(later+5*24*market.Hour))
			record(t, s, src)
			if n := openBars(t, s); n != 0 {
				t.Errorf("%d bars are open long after", n)
			}
		})
	}
}

// reopened closes a store, which may be nil, and opens it again.
func reopened(t *testing.T, s *Store, o Options) *Store {
	t.Helper()
	if s != nil {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func history(e market.Entry) market.Entry {
	e.Flags |= market.FlagImported | market.FlagHistory
	return e
}

// TestNewestIsLive holds what listings show of a symbol that files brought as well.
func TestNewestIsLive(t *testing.T) {
	a, b, c := trade(coin, 1, start-9, "1", "1"), trade(coin, 2, start-3, "2", "1"), trade(coin, 3, start-5, "3", "1")
	live, later := trade(coin, 4, start-100, "4", "1"), trade(coin, 5, start+100, "5", "1")
	for _, again := range []bool{false, true} {
		src, o := newMemTape(), options(t)
		s := reopened(t, nil, o)
		for _, step := range []struct {
			feed        string
			entry, want market.Entry
			from        string
		}{
			{"import-1", history(a), history(a), "import-1"},
			{"import-1", history(b), history(b), "import-1"},
			{"import-2", history(c), history(b), "import-2"},
			{"live", live, live, "live"},
			{"import-2", history(later), live, "live"},
		} {
			src.Put(step.feed, step.entry)
			record(t, s, src)
			if again {
				s = reopened(t, s, o)
			}
			l, ok := s.Latest(coin)
			if !ok || l.LastTrade != step.want || l.Feed != step.from || l.TradeSeq != step.entry.Seq {
				t.Errorf("again %v: after %d: last trade %d of feed %s, want %d of %s", again, step.entry.Seq, l.LastTrade.Seq, l.Feed, step.want.Seq, step.from)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
