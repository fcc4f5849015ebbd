package venuetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Finnhub speaks as Finnhub's stream does: one symbol a message, no answer but to what is too much, trades without numbers, and a
// ping now and then. Beyond limit symbols it refuses; 0 is no limit. It has no REST side.
func Finnhub(limit int) *Profile {
	return &Profile{
		Name: "finnhub",
		Message: func(c *Conn, msg []byte) {
			var m struct{ Type, Symbol string }
			if json.Unmarshal(msg, &m) != nil {
				c.Send([]byte(`{"msg":"Invalid message","type":"error"}`))
				return
			}
			have := c.Subscribed()
			switch {
			case m.Type == "unsubscribe":
				c.Unsubscribe(m.Symbol)
			case m.Type != "subscribe" || slices.Contains(have, m.Symbol):
			case limit > 0 && len(have) >= limit:
				c.Send([]byte(`{"msg":"Subscribing to too many symbols","type":"error"}`))
			default:
				c.Subscribe(m.Symbol)
			}
		},
		Beat:   func(c *Conn) { c.Send([]byte(`{"type":"ping"}`)) },
		Trade:  func(_ *Conn, t *Trade) []byte { return finnhubTrade(t, t.Price) },
		Broken: func(t *Trade) []byte { return finnhubTrade(t, `"NaN"`) },
		Unknown: func(ballast int) []byte {
			return []byte(`{"type":"never_heard_of","x":"` + strings.Repeat("x", ballast) + `"}`)
		},
	}
}

func finnhubTrade(t *Trade, price string) []byte {
	return fmt.Appendf(nil, `{"data":[{"c":null,"p":%s,"s":%q,"t":%d,"v":%s}],"type":"trade"}`, price, t.Symbol, t.Time.UnixMilli(), t.Size)
}
