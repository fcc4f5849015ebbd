package venuetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Coinbase speaks as Coinbase Exchange does: one request lists channels and products, the answer is all that is subscribed to,
// each product has a heartbeat with the number of its last trade, and REST pages backwards by trade number.
func Coinbase(products ...string) *Profile {
	if len(products) == 0 {
		products = []string{"BTC-USD", "ETH-USD"}
	}
	p := &Profile{Name: "coinbase"}
	p.Message = func(c *Conn, msg []byte) { coinbaseMessage(c, products, msg) }
	p.Beat = func(c *Conn) {
		for _, symbol := range c.Subscribed() {
			c.Send(fmt.Appendf(nil, `{"type":"heartbeat","last_trade_id":%d,"product_id":%q,"sequence":%d,"time":%q}`,
				c.Server().Last(symbol).ID, symbol, 1, c.Server().Now().UTC().Format(time.RFC3339Nano)))
		}
	}
	p.Trade = func(_ *Conn, t *Trade) []byte { return coinbaseMatch("match", t, t.Price) }
	p.Broken = func(t *Trade) []byte { return coinbaseMatch("match", t, "NaN") }
	p.Quote = func(_ *Conn, q *Quote) []byte {
		return fmt.Appendf(nil, `{"type":"ticker","sequence":%d,"product_id":%q,"price":%q,"best_bid":%q,"best_bid_size":%q,"best_ask":%q,"best_ask_size":%q,`+
			`"side":"buy","time":%q,"trade_id":7,"last_size":"1"}`, q.ID, q.Symbol, q.Bid, q.Bid, q.BidSize, q.Ask, q.AskSize, q.Time.Format(time.RFC3339Nano))
	}
	p.Unknown = func(ballast int) []byte {
		return []byte(`{"type":"never_heard_of","product_id":"BTC-USD","changes":["` + strings.Repeat("x", ballast) + `"]}`)
	}
	p.REST = func(s *Server, w http.ResponseWriter, r *http.Request) { coinbaseREST(s, products, w, r) }
	return p
}

func coinbaseMatch(kind string, t *Trade, price string) []byte {
	return fmt.Appendf(nil, `{"type":%q,"trade_id":%d,"maker_order_id":"m","taker_order_id":"t","side":%q,"size":%q,"price":%q,"product_id":%q,"sequence":%d,"time":%q}`,
		kind, t.ID, coinbaseSide(t), t.Size, price, t.Symbol, 10*t.ID, t.Time.Format(time.RFC3339Nano))
}

// coinbaseSide is the maker's side.
func coinbaseSide(t *Trade) string {
	if t.Buy {
		return "sell"
	}
	return "buy"
}

// coinbaseMessage answers a subscribe or unsubscribe request. Channels are names, or objects with products of their own.
func coinbaseMessage(c *Conn, products []string, msg []byte) {
	var req struct {
		Type     string            `json:"type"`
		Products []string          `json:"product_ids"`
		Channels []json.RawMessage `json:"channels"`
	}
	if err := json.Unmarshal(msg, &req); err != nil {
		c.Send([]byte(`{"type":"error","message":"Malformed JSON"}`))
		return
	}
	channels, _ := c.State.(map[string][]string)
	if channels == nil {
		channels = make(map[string][]string)
		c.State = channels
	}
	for _, raw := range req.Channels {
		var ch struct {
			Name     string   `json:"name"`
			Products []string `json:"product_ids"`
		}
		if json.Unmarshal(raw, &ch.Name) != nil {
			_ = json.Unmarshal(raw, &ch)
		}
		if len(ch.Products) == 0 {
			ch.Products = req.Products
		}
		for _, product := range ch.Products {
			if !slices.Contains(products, product) {
				c.Send(fmt.Appendf(nil, `{"type":"error","message":"Failed to subscribe","reason":"%s is not a valid product"}`, product))
				return
			}
			have := slices.Index(channels[ch.Name], product)
			switch {
			case req.Type == "subscribe" && have < 0:
				channels[ch.Name] = append(channels[ch.Name], product)
				coinbaseJoin(c, ch.Name, product)
			case req.Type == "unsubscribe" && have >= 0:
				channels[ch.Name] = slices.Delete(channels[ch.Name], have, have+1)
				if ch.Name == "matches" {
					c.Unsubscribe(product)
				}
			}
		}
	}
	type channel struct {
		Name     string   `json:"name"`
		Products []string `json:"product_ids"`
	}
	answer := struct {
		Type     string    `json:"type"`
		Channels []channel `json:"channels"`
	}{Type: "subscriptions", Channels: []channel{}}
	for _, name := range []string{"heartbeat", "matches", "ticker"} {
		if len(channels[name]) > 0 {
			answer.Channels = append(answer.Channels, channel{name, channels[name]})
		}
	}
	if b, err := json.Marshal(answer); err == nil {
		c.Send(b)
	}
	if len(channels) == 0 {
		c.Close(websocket.StatusNormalClosure, "nothing subscribed")
	}
}

// coinbaseJoin begins with the last trade there was.
func coinbaseJoin(c *Conn, channel, product string) {
	if channel != "matches" {
		return
	}
	c.Subscribe(product)
	if t := c.Server().Last(product); t.ID != 0 {
		c.Send(coinbaseMatch("last_match", &t, t.Price))
	}
}

// coinbaseREST answers /products and /products/X/trades, newest first, with cursors in headers.
func coinbaseREST(s *Server, products []string, w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) == 1 && parts[0] == "products":
		var list []map[string]any
		for _, p := range products {
			base, quote, _ := strings.Cut(p, "-")
			list = append(list, map[string]any{
				"id": p, "base_currency": base, "quote_currency": quote, "quote_increment": "0.01", "base_increment": "0.00000001", "status": "online",
				"trading_disabled": false,
			})
		}
		_ = json.NewEncoder(w).Encode(list)
	case len(parts) == 3 && parts[0] == "products" && parts[2] == "trades" && slices.Contains(products, parts[1]):
		coinbaseTrades(s, parts[1], w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"message":"NotFound"}`))
	}
}

func coinbaseTrades(s *Server, product string, w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit <= 0 || limit > 1000 {
		limit = 1000
	}
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	list := s.Range(product, 0, after)
	list = list[max(0, len(list)-limit):]
	rows := make([]map[string]any, 0, len(list))
	for _, t := range slices.Backward(list) {
		rows = append(rows, map[string]any{
			"trade_id": t.ID, "side": coinbaseSide(&t), "size": t.Size, "price": t.Price, "time": t.Time.Format(time.RFC3339Nano),
		})
	}
	if len(list) > 0 {
		w.Header().Set("Cb-Before", strconv.FormatUint(list[len(list)-1].ID, 10))
		w.Header().Set("Cb-After", strconv.FormatUint(list[0].ID, 10))
	}
	_ = json.NewEncoder(w).Encode(rows)
}
