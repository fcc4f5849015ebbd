package line

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/mapping"
	"tapedeck/internal/venue/venuetest"
)

// params are the parameters of a feed's URL.
type params map[string]string

func (p params) Get(name string) string { return p[name] }
func (p params) Has(name string) bool   { _, ok := p[name]; return ok }
func (p params) Errorf(name, problem string) error {
	return errors.New(name + "=" + p[name] + ": " + problem)
}

// jsonProfile is a private source: it is asked for topics, says so, and sends raw numbers of hundredths in lists.
func jsonProfile() *venuetest.Profile {
	item := func(t *venuetest.Trade, price string) []byte {
		return fmt.Appendf(nil, `{"type":"data","items":[{"topic":%q,"n":%d,"value":%q,"amount":%s,"taker":%v,"at":%d}]}`,
			t.Symbol, t.ID, price, t.Size, t.Buy, t.Time.UnixMilli())
	}
	return &venuetest.Profile{
		Name: "json",
		Message: func(c *venuetest.Conn, msg []byte) {
			var ask struct{ Topics []string }
			if json.Unmarshal(msg, &ask) != nil {
				return
			}
			c.Subscribe(ask.Topics...)
			c.Send([]byte(`{"type":"welcome"}`))
		},
		Trade:   func(_ *venuetest.Conn, t *venuetest.Trade) []byte { return item(t, t.Price) },
		Broken:  func(t *venuetest.Trade) []byte { return item(t, "NaN") },
		Unknown: func(ballast int) []byte { return []byte(`{"type":"x","y":"` + strings.Repeat("x", ballast) + `"}`) },
	}
}

func jsonLab(names string) lab {
	return lab{
		profile: jsonProfile(),
		venue: func(t *testing.T, stream, _ string) venue.Venue {
			p := params{
				"subscribe": `{"topics":["a/b","c/d"]}`, "ack": "type=welcome", "filter": "type=data", "items": "items", "symbol": "topic", "id": "n",
				"value": "value", "size": "amount", "side": "taker", "sides": "true:buy,false:sell", "time": "at", "unit": "ms",
			}
			if names != "" {
				p["symbols"], p["subscribe"] = names, `{"topics":{symbols}}`
			}
			m, err := mapping.Parse(mapping.Place{Scheme: "ws+json", Target: strings.TrimPrefix(stream, "ws://") + "/live", Venue: "LAB"}, p)
			if err != nil {
				t.Fatal(err)
			}
			return m.Venue()
		},
		symbols: map[string]market.Symbol{"a/b": "LAB:A-B", "c/d": "LAB:C-D"},
		lossy:   true,
		// What can't be read is counted, and no gap: a sensor without a value for once is no hole. A symbol that is silent on a
		// connection that is well can't be asked about.
		faults: slices.DeleteFunc(unnumbered(), func(f venuetest.Fault) bool {
			return f == venuetest.NotANumber || f == venuetest.Garbage || f == venuetest.Mute
		}),
	}
}

func TestJSONSourceLosesNothingUnsaid(t *testing.T) {
	l := jsonLab("a/b,c/d")
	l.names = []string{"a/b", "c/d"}
	chaos(t, l)
}

// TestJSONSourceOfWhateverComes has no list of symbols at all.
func TestJSONSourceOfWhateverComes(t *testing.T) {
	t.Parallel()
	b := start(t, jsonLab(""))
	b.flowing()
	b.caughtUp()
	b.check()
	for range 3 { // What no connection was asked for has holes like anything else.
		b.server.RefuseDials(1, http.StatusServiceUnavailable, 0)
		b.server.Inject(venuetest.GoingAway, nil)
		b.until("nobody listens", func() bool { return len(b.server.Conns()) == 0 })
		b.server.Trade("a/b")
		b.server.Trade("c/d")
		b.flowing()
	}
	b.check()
}
