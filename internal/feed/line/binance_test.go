package line

import (
	"math/rand/v2"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/binance"
	"tapedeck/internal/venue/venuetest"
)

func binanceLab(aggregated bool) lab {
	return lab{
		profile: venuetest.Binance(),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			v, err := binance.New(binance.Options{URL: stream, REST: rest, Aggregated: aggregated})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"BTCUSDT", "eth/usdt"},
		symbols: map[string]market.Symbol{"BTCUSDT": "BINANCE:BTC-USDT", "ETHUSDT": "BINANCE:ETH-USDT"},
		// The emulated venue ends a connection that says more than five things a second, as the real one does.
		traits: func(t *venue.Traits) { t.Pace = 170 * time.Millisecond },
	}
}

func TestBinanceLosesNothing(t *testing.T) { chaos(t, binanceLab(false)) }

// TestBinanceAggregatedTrades fills a hole of aggregated trades with aggregated trades.
func TestBinanceAggregatedTrades(t *testing.T) {
	t.Parallel()
	b := start(t, binanceLab(true))
	b.flowing()
	for _, fault := range []venuetest.Fault{venuetest.Drop, venuetest.Cut, venuetest.LimitREST, venuetest.Drop} {
		b.server.Inject(fault, rand.New(rand.NewPCG(1, 2)))
		for range 20 {
			b.server.Trade("BTCUSDT")
		}
		b.flowing()
		b.caughtUp()
	}
	if err := b.end(); err != nil {
		t.Errorf("the feed ended with %v", err)
	}
	b.check()
}

// TestBinanceChangesConnectionsWithoutAHole goes through several ends of a connection that are known before, by age and by
// announcement, while the venue trades on: no gap, not even one that was filled, and nothing twice.
func TestBinanceChangesConnectionsWithoutAHole(t *testing.T) {
	t.Parallel()
	l := binanceLab(false)
	l.traits = func(tr *venue.Traits) {
		tr.Pace = 170 * time.Millisecond
		tr.Lifetime = 2 * time.Second
		tr.Heartbeat = 10 * time.Second // no line is dead here, however busy the machine
		tr.Reorder = 5 * time.Second    // Both connections bring the same trades; on a busy machine one is late.
	}
	l.waits = func(w *timings) { w.settle, w.stall, w.ready = 500*time.Millisecond, time.Minute, 10*time.Second }
	s := venuetest.Start(t, l.profile, venuetest.Options{Grace: 10 * time.Second})
	b := run(t, l, s, &tapetest.Memory{})
	b.flowing()
	for range 2 {
		before := len(s.Connects())
		b.until("another connection has taken over", func() bool {
			s.Trade("BTCUSDT")
			return len(s.Connects()) > before && len(s.Conns()) == 1
		})
	}
	before := len(s.Connects())
	s.Inject(venuetest.Shutdown, nil)
	b.until("the announced end was heeded", func() bool {
		s.Trade("BTCUSDT")
		return len(s.Connects()) > before && len(s.Conns()) == 1
	})
	b.flowing()
	b.caughtUp()
	if err := b.end(); err != nil {
		t.Errorf("the feed ended with %v", err)
	}
	b.check()
	if len(b.gaps) > 0 {
		t.Errorf("there are gaps: %s", describe(b.gaps))
	}
}
