package line

import (
	"strings"
	"testing"

	"tapedeck/internal/venue"
	"tapedeck/internal/venue/alpaca"
	"tapedeck/internal/venue/massive"
	"tapedeck/internal/venue/venuetest"
)

// TestVendorsRefuseAKey has a key that the vendor does not know: the feed rests, and nothing tells the key.
func TestVendorsRefuseAKey(t *testing.T) {
	for name, l := range map[string]lab{
		"alpaca":        alpacaLab(venuetest.AlpacaOptions{}, func(o *alpaca.Options) { o.Secret = "another-secret" }),
		"alpaca header": alpacaLab(venuetest.AlpacaOptions{}, func(o *alpaca.Options) { o.Secret, o.Header = "another-secret", true }),
		"massive":       stranger(massiveLab(venuetest.MassiveOptions{})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, l)
			var err error
			b.until("the feed rests", func() bool {
				select {
				case err = <-b.ended:
					b.ended <- err
					return true
				default:
					return false
				}
			})
			if err == nil || !strings.Contains(err.Error(), venue.ErrRefused.Error()) {
				t.Errorf("the feed ended with %v", err)
			}
			if said := b.log.tail(1 << 20); strings.Contains(said, vendorKey) || strings.Contains(said, "another-secret") {
				t.Errorf("the log tells the key:\n%s", said)
			}
		})
	}
}

// stranger has a key of its own.
func stranger(l lab) lab {
	l.venue = func(t *testing.T, stream, rest string) venue.Venue {
		v, err := massive.New(massive.Options{URL: stream, REST: rest, Key: "another-secret"})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return l
}
