package line

import (
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/kraken"
	"tapedeck/internal/venue/venuetest"
)

func krakenLab() lab {
	return lab{
		profile: venuetest.Kraken(),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			v, err := kraken.New(kraken.Options{URL: stream, REST: rest})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"XBTUSD", "eth-usd"},
		symbols: map[string]market.Symbol{"BTC/USD": "KRAKEN:BTC-USD", "ETH/USD": "KRAKEN:ETH-USD"},
	}
}

func TestKrakenLosesNothing(t *testing.T) { chaos(t, krakenLab()) }
