package line

import (
	"slices"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/bybit"
	"tapedeck/internal/venue/venuetest"
)

func bybitLab(category string) lab {
	return lab{
		profile: venuetest.Bybit(category),
		venue: func(t *testing.T, stream, rest string) venue.Venue {
			v, err := bybit.New(bybit.Options{URL: stream, REST: rest, Category: category})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		names:   []string{"BTC-USDT", "ETHUSDT"},
		symbols: map[string]market.Symbol{"BTCUSDT": "BYBIT:BTC-USDT", "ETHUSDT": "BYBIT:ETH-USDT"},
		traits:  wsPings,
		lossy:   true, // what is longer ago than the venue's last trades
		faults:  unnumbered(),
	}
}

// unnumbered are the faults that can be noticed where the numbers of trades have holes anyway: not that one is left out, or comes
// so late that it is lost with its connection, or is from before all that was seen.
func unnumbered() []venuetest.Fault {
	return slices.DeleteFunc(venuetest.Faults(), func(f venuetest.Fault) bool {
		return f == venuetest.Drop || f == venuetest.Reorder || f == venuetest.Stale
	})
}

func TestBybitLosesNothingUnsaid(t *testing.T)       { chaos(t, bybitLab("spot")) }
func TestBybitLinearLosesNothingUnsaid(t *testing.T) { chaos(t, bybitLab("linear")) }
