package line

import (
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/alpaca"
	"tapedeck/internal/venue/finnhub"
	"tapedeck/internal/venue/massive"
	"tapedeck/internal/venue/venuetest"
)

// vendorKey is what the emulated vendors want to hear.
const vendorKey = "PK-key-of-the-test"

func alpacaLab(o venuetest.AlpacaOptions, change func(*alpaca.Options)) lab {
	o.Key, o.Secret = vendorKey, vendorKey+"-secret"
	return lab{
		profile: venuetest.Alpaca(o),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			own := alpaca.Options{URL: stream, REST: rest, Key: vendorKey, Secret: vendorKey + "-secret"}
			if change != nil {
				change(&own)
			}
			v, err := alpaca.New(own)
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"AAPL", "BRK.B"},
		symbols: map[string]market.Symbol{"AAPL": "ALPACA:AAPL", "BRK.B": "ALPACA:BRK.B"},
		faults:  faultsBut(venuetest.Drop, venuetest.Reorder, venuetest.Stale),
	}
}

func massiveLab(o venuetest.MassiveOptions) lab {
	o.Key = vendorKey
	return lab{
		profile: venuetest.Massive(o),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			v, err := massive.New(massive.Options{URL: stream, REST: rest, Key: vendorKey})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"AAPL", "MSFT"},
		symbols: map[string]market.Symbol{"AAPL": "MASSIVE:AAPL", "MSFT": "MASSIVE:MSFT"},
		faults:  faultsBut(venuetest.Drop, venuetest.Reorder, venuetest.Stale),
	}
}

func finnhubLab(limit int) lab {
	return lab{
		profile: venuetest.Finnhub(limit),
		venue: func(t *testing.T, stream, _ string) venue.Venue {
			v, err := finnhub.New(finnhub.Options{URL: stream, Token: vendorKey})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"AAPL", "BINANCE:BTCUSDT"},
		symbols: map[string]market.Symbol{"AAPL": "FINNHUB:AAPL", "BINANCE:BTCUSDT": "FINNHUB:BINANCE:BTCUSDT"},
		lossy:   true,
		// Nothing tells a trade that comes twice from two, one that is missing from none, nor silence from a quiet market.
		faults: faultsBut(venuetest.Drop, venuetest.Reorder, venuetest.Stale, venuetest.Duplicate, venuetest.Silence, venuetest.Dumb, venuetest.Mute),
	}
}

// faultsBut returns all faults but some: a venue whose numbers have holes does not tell that a trade is missing.
func faultsBut(some ...venuetest.Fault) []venuetest.Fault {
	return slices.DeleteFunc(venuetest.Faults(), func(f venuetest.Fault) bool { return slices.Contains(some, f) })
}

func TestAlpacaLosesNothing(t *testing.T) {
	chaos(t, alpacaLab(venuetest.AlpacaOptions{Busy: 2, Page: 3}, nil))
}

func TestMassiveLosesNothing(t *testing.T) {
	chaos(t, massiveLab(venuetest.MassiveOptions{Busy: 2, Page: 3}))
}

func TestFinnhubNamesItsHoles(t *testing.T) { chaos(t, finnhubLab(0)) }

// TestSymbolsBeyondThePlan has vendors that take two symbols of three.
func TestSymbolsBeyondThePlan(t *testing.T) {
	for name, l := range map[string]lab{
		"alpaca": alpacaLab(venuetest.AlpacaOptions{Limit: 2}, nil), "finnhub": finnhubLab(2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l.names = append(slices.Clone(l.names), "MSFT")
			b := start(t, l)
			b.flowing()
			b.until("the third is refused", func() bool {
				return slices.ContainsFunc(b.states, func(e market.Entry) bool {
					return e.Symbol.Name() == "MSFT" && e.State == market.StateDown && strings.Contains(e.Text, "symbol")
				})
			})
			b.flowing()
			if got := len(b.server.Connects()); got != 1 {
				t.Errorf("%d connections, want 1", got)
			}
		})
	}
}

// TestAlpacaTakesATradeBack has the vendor cancel a trade: it stays, and a gap of no length says so.
func TestAlpacaTakesATradeBack(t *testing.T) {
	t.Parallel()
	l := alpacaLab(venuetest.AlpacaOptions{}, nil)
	s := venuetest.Start(t, l.profile, venuetest.Options{})
	b := run(t, l, s, &tapetest.Memory{})
	b.flowing()
	last := s.Last("AAPL")
	s.Conns()[0].Send(venuetest.AlpacaCancel(&last))
	b.until("the gap is there", func() bool {
		return slices.ContainsFunc(b.gaps, func(g market.Entry) bool {
			return g.Symbol == "ALPACA:AAPL" && g.Event == market.FromStd(last.Time) && g.Until == g.Event && strings.Contains(g.Text, "cancelled")
		})
	})
	b.flowing()
	if err := b.end(); err != nil {
		t.Errorf("the feed ended with %v", err)
	}
}
