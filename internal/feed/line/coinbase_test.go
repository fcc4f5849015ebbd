package line

import (
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/coinbase"
	"tapedeck/internal/venue/venuetest"
)

func coinbaseLab() lab {
	return lab{
		profile: venuetest.Coinbase(),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			v, err := coinbase.New(coinbase.Options{URL: stream, REST: rest})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"BTC-USD", "eth/usd"},
		symbols: map[string]market.Symbol{"BTC-USD": "COINBASE:BTC-USD", "ETH-USD": "COINBASE:ETH-USD"},
	}
}

func TestCoinbaseLosesNothing(t *testing.T) { chaos(t, coinbaseLab()) }
