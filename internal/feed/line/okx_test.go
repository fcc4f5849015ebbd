package line

import (
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/okx"
	"tapedeck/internal/venue/venuetest"
)

// wsPings lets the answers to WebSocket pings count as life, where a venue's own pings are seconds apart.
func wsPings(t *venue.Traits) { t.Ping = 50 * time.Millisecond }

func okxLab() lab {
	return lab{
		profile: venuetest.OKX(),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			v, err := okx.New(okx.Options{URL: stream, REST: rest})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"BTC-USDT", "eth/usdt"},
		symbols: map[string]market.Symbol{"BTC-USDT": "OKX:BTC-USDT", "ETH-USDT": "OKX:ETH-USDT"},
		traits:  wsPings,
	}
}

func TestOKXLosesNothing(t *testing.T) { chaos(t, okxLab()) }
