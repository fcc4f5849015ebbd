package sim_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/sim"
	"tapedeck/internal/market"
)

func open(t testing.TB, url string, start feed.Start) feed.Source {
	t.Helper()
	reg := feed.NewRegistry(sim.Adapter())
	u, err := reg.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	start.Log = slog.New(slog.DiscardHandler)
	src, err := reg.Open(u, start)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

var errEnough = errors.New("enough")

// run plays a market for a while, or until it has made n entries, within a synctest bubble.
func run(t testing.TB, url string, start feed.Start, d time.Duration, n int) []market.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	sink := feedtest.Sink{Stop: func(entries int) error {
		if n > 0 && entries >= n {
			return errEnough
		}
		return nil
	}}
	if err := open(t, url, start).Run(ctx, &sink); !errors.Is(err, errEnough) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return sink.Entries()
}

// timeless is what must not depend on when and how fast a market runs.
func timeless(entries []market.Entry) []market.Entry {
	list := slices.Clone(entries)
	for i := range list {
		list[i].Event, list[i].Received = 0, 0
	}
	return list
}

func TestSameSeedSameMarket(t *testing.T) {
	const url = "sim://?symbols=AAPL,BTC-USD,FOO&rate=50/s&seed=9"
	play := func(url string, wait time.Duration) (entries []market.Entry) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(wait)
			entries = timeless(run(t, url, feed.Start{}, time.Hour, 2000))[:2000]
		})
		return entries
	}
	first := play(url, 0)
	equal := cmp.Comparer(func(a, b market.Decimal) bool { return a == b })
	if diff := cmp.Diff(first, play(url, 7*time.Hour+13*time.Second), equal); diff != "" {
		t.Errorf("at another time of day: %s", diff)
	}
	if cmp.Equal(first, play(strings.Replace(url, "seed=9", "seed=10", 1), 0), equal) {
		t.Error("another seed gave the same market")
	}
}

func TestFirstTicksComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []string{"2", "0.1/s", "6/m", "1000/s"} {
			begin := market.FromStd(time.Now())
			type key struct {
				market.Symbol
				market.Kind
			}
			seen := make(map[key]bool)
			for _, e := range run(t, "sim://?rate="+rate, feed.Start{}, time.Second, 0) {
				if e.Event-begin >= market.Second {
					t.Fatalf("a tick of %v after %v", e.Event, begin)
				}
				seen[key{e.Symbol, e.Kind}] = true
			}
			if len(seen) != 2*9 {
				t.Errorf("rate %s: %d of 18 first ticks came in the first second", rate, len(seen))
			}
		}
	})
}

func TestRateIsExactOnAverage(t *testing.T) {
	for rate, per := range map[string]float64{
		"0.1/s": 0.1, "2": 2, "30/m": 0.5, "40/s": 40, "1999/s": 1999, "20000/s": 20_000, "100000": 100_000, "1000000/s": 1_000_000,
	} {
		t.Run(strings.ReplaceAll(rate, "/", " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const opening = 4
				d := max(time.Second/8, time.Duration(200/per*float64(time.Second)))
				begin := market.FromStd(time.Now())
				// Half a millisecond more: the ticks of a millisecond come together, and those of the last must not race with the end.
				entries := run(t, "sim://?symbols=AAPL,BTC-USD&rate="+rate, feed.Start{}, d+time.Second/2000, 0)[opening:]
				want := per * d.Seconds()
				if got := float64(len(entries)); math.Abs(got-want) > 8+want/500 {
					t.Errorf("got %v ticks in %v, want %v", got, d, want)
				}
				last := begin
				for _, e := range entries {
					if e.Event < last || e.Received < e.Event || e.Received-e.Event > 2*market.Second/1000 {
						t.Fatalf("event %v after %v, received %v", e.Event, last, e.Received)
					}
					last = e.Event
				}
			})
		})
	}
}

// TestTicksMakeSense checks what any market holds to: bid below ask, trades at the quote or within, whole increments.
func TestTicksMakeSense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		url := "sim://?symbols=AAPL,SPY,TSLA,BRK.A,FORD,ZZZ,BTC-USD,ETH-USD,DOGE-USD,SHIB-USD,EUR-USD,NEW-USD&rate=2100/s"
		quotes := make(map[market.Symbol]market.Entry)
		counts := make(map[market.Kind]int)
		atBid, atAsk, inside := 0, 0, 0
		for _, e := range run(t, url, feed.Start{}, time.Minute, 0) {
			counts[e.Kind]++
			if e.Kind == market.KindQuote {
				if !e.Price.Less(e.Ask) || e.Price.Sign() <= 0 || e.Size.Sign() <= 0 || e.AskSize.Sign() <= 0 || e.Price.Exp() != e.Ask.Exp() {
					t.Fatalf("quote %s %s×%s %s×%s", e.Symbol, e.Price, e.Size, e.Ask, e.AskSize)
				}
				quotes[e.Symbol] = e
				continue
			}
			q, ok := quotes[e.Symbol]
			if !ok || e.Price.Less(q.Price) || q.Ask.Less(e.Price) || e.Size.Sign() <= 0 || e.Price.Exp() != q.Price.Exp() {
				t.Fatalf("trade of %s at %s × %s with quote %s %s", e.Symbol, e.Price, e.Size, q.Price, q.Ask)
			}
			switch {
			case e.Price == q.Ask:
				atAsk++
			case e.Price == q.Price:
				atBid++
			default:
				inside++
			}
			if e.Price == q.Ask && e.Side != market.SideBuy && q.Ask.Coef()-q.Price.Coef() == 1 {
				t.Fatalf("a trade at the ask by %v", e.Side)
			}
			if name := e.Symbol.Name(); !strings.Contains(name, "-") && (e.Size.Exp() != 0 || e.Price.Exp() != -2) {
				t.Fatalf("%s trades %s at %s: want whole shares and cents", name, e.Size, e.Price)
			}
		}
		if ratio := float64(counts[market.KindQuote]) / float64(counts[market.KindTrade]); ratio < 1.4 || ratio > 1.6 {
			t.Errorf("%v quotes a trade, want about 1.5", ratio)
		}
		if atBid == 0 || atAsk == 0 || inside == 0 || inside > atBid {
			t.Errorf("%d trades at the bid, %d at the ask, %d inside", atBid, atAsk, inside)
		}
	})
}

func TestQuotesCanBeLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entries := run(t, "sim://?symbols=AAPL&rate=100&quotes=false", feed.Start{}, 10*time.Second, 0)
		for _, e := range entries {
			if e.Kind != market.KindTrade {
				t.Fatalf("got a %s", e.Kind)
			}
		}
		if len(entries) < 990 {
			t.Errorf("got %d trades", len(entries))
		}
	})
}

// TestGoesOnFromTheTape starts again where the tape ends: prices don't jump, ids go on, the market doesn't repeat itself.
func TestGoesOnFromTheTape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "sim://?symbols=AAPL,BTC-USD&rate=100"
		first := run(t, url, feed.Start{}, time.Minute, 0)
		last := make(map[market.Symbol]market.Entry)
		for i, e := range first {
			if e.Kind == market.KindTrade {
				e.Seq = uint64(i)
				last[e.Symbol] = e
			}
		}
		start := feed.Start{Last: func(s market.Symbol, kind market.Kind) (market.Entry, bool) {
			e, ok := last[s]
			return e, ok && kind == market.KindTrade
		}}
		second := run(t, url, start, time.Minute, 0)
		seen := make(map[market.Symbol]bool)
		for _, e := range second {
			if e.Kind != market.KindTrade || seen[e.Symbol] {
				continue
			}
			seen[e.Symbol] = true
			before := last[e.Symbol]
			if move := math.Abs(e.Price.Float64()/before.Price.Float64() - 1); move > .0005 {
				t.Errorf("%s goes from %s to %s", e.Symbol, before.Price, e.Price)
			}
			if e.ID != before.ID+1 {
				t.Errorf("%s: id %d after %d", e.Symbol, e.ID, before.ID)
			}
		}
		same := 0
		for i := range min(len(first), len(second)) {
			if first[i].Kind == second[i].Kind && first[i].Size == second[i].Size {
				same++
			}
		}
		if same > len(first)/2 {
			t.Errorf("%d of %d ticks are those of the first run", same, len(first))
		}
	})
}

// TestShapeOfTheDay checks that the open is busier than noon, and noon busier than the night, and that none is still.
func TestShapeOfTheDay(t *testing.T) {
	activity := func(open string) (volume, volatility float64) {
		synctest.Test(t, func(t *testing.T) {
			var last float64
			for _, e := range run(t, "sim://?symbols=SPY&rate=100&open="+open, feed.Start{}, 5*time.Minute, 0) {
				if e.Kind != market.KindTrade {
					continue
				}
				volume += e.Size.Float64()
				if p := e.Price.Float64(); last != 0 {
					volatility += math.Pow(math.Log(p/last), 2)
				}
				last = e.Price.Float64()
			}
		})
		return volume, volatility
	}
	openVolume, openMoves := activity("09:30")
	noonVolume, noonMoves := activity("12:30")
	nightVolume, nightMoves := activity("02:00")
	if openVolume < 1.3*noonVolume || noonVolume < 1.1*nightVolume || nightVolume <= 0 {
		t.Errorf("volume at the open %v, at noon %v, at night %v", openVolume, noonVolume, nightVolume)
	}
	if openMoves < 1.2*noonMoves || noonMoves < 1.02*nightMoves || nightMoves <= 0 {
		t.Errorf("movement at the open %v, at noon %v, at night %v", openMoves, noonMoves, nightMoves)
	}
}

// TestSymbolsMoveTogether checks correlations of minute returns.
func TestSymbolsMoveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returns := make(map[string][]float64)
		price, minute := map[string]float64{}, market.FromStd(time.Now())
		before := map[string]float64{}
		for _, e := range run(t, "sim://?symbols=SPY,AAPL,MSFT,BTC-USD,ETH-USD&rate=10", feed.Start{}, 4*time.Hour, 0) {
			for e.Event >= minute+market.Minute {
				for s, p := range price {
					if before[s] != 0 {
						returns[s] = append(returns[s], math.Log(p/before[s]))
					}
					before[s] = p
				}
				minute += market.Minute
			}
			if e.Kind == market.KindTrade {
				price[e.Symbol.Name()] = e.Price.Float64()
			}
		}
		for _, c := range []struct {
			a, b      string
			low, high float64
		}{{"AAPL", "MSFT", .4, .9}, {"SPY", "AAPL", .45, .9}, {"BTC-USD", "ETH-USD", .35, .95}, {"MSFT", "BTC-USD", -.05, .4}} {
			if got := correlation(returns[c.a], returns[c.b]); got < c.low || got > c.high {
				t.Errorf("correlation of %s and %s is %.2f, want %.2f to %.2f", c.a, c.b, got, c.low, c.high)
			}
		}
	})
}

func correlation(a, b []float64) float64 {
	n := float64(min(len(a), len(b)))
	var sa, sb, saa, sbb, sab float64
	for i := range int(n) {
		sa, sb, saa, sbb, sab = sa+a[i], sb+b[i], saa+a[i]*a[i], sbb+b[i]*b[i], sab+a[i]*b[i]
	}
	return (n*sab - sa*sb) / math.Sqrt((n*saa-sa*sa)*(n*sbb-sb*sb))
}

func TestBadParameters(t *testing.T) {
	reg := feed.NewRegistry(sim.Adapter())
	for url, want := range map[string]string{
		"sim://?rate=0":                             "rate=0",
		"sim://?rate=0.05":                          "0.1/s to 1000000/s",
		"sim://?rate=2000000/s":                     "1000000",
		"sim://?rate=fast":                          "rate=fast",
		"sim://?rate=NaN":                           "rate=NaN",
		"sim://?rate=2/week":                        "30/m",
		"sim://?rate=":                              "rate",
		"sim://?seed=-1":                            "seed=-1",
		"sim://?quotes=maybe":                       "quotes=maybe",
		"sim://?symbols=":                           "symbols",
		"sim://?symbols=AAPL,aapl":                  "named twice",
		"sim://?symbols=A%20B":                      "A B",
		"sim://?open=25:00":                         "open=25:00",
		"sim://AAPL?symbols=MSFT":                   "question mark",
		"sim://?symbols=" + strings.Repeat("X", 70): "64",
		"sim://?speed=3":                            "unknown parameter speed",
	} {
		if _, err := reg.Parse(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something about %s", url, err, want)
		}
	}
}

func FuzzRate(f *testing.F) {
	for _, s := range []string{"2", "2/s", "30/m", "1e6/s", "-1", "0x10", "1_000", "/s", "inf", "9e999"} {
		f.Add(s)
	}
	reg := feed.NewRegistry(sim.Adapter())
	f.Fuzz(func(t *testing.T, rate string) {
		u, err := reg.Parse("sim://?rate=" + rate)
		if err != nil {
			return
		}
		if _, err := reg.Open(u, feed.Start{}); err != nil {
			t.Errorf("%s was accepted, but not opened: %v", rate, err)
		}
	})
}
