package line

import (
	"testing"
	"time"

	"tapedeck/internal/market"
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

func TestBinanceAggregatedLosesNothing(t *testing.T) {
	l := binanceLab(true)
	l.faults = []venuetest.Fault{venuetest.Cut, venuetest.Drop, venuetest.LimitREST, venuetest.Shutdown, venuetest.Mute}
	chaos(t, l)
}
