package venuetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kraken speaks version 2 of Kraken's protocol: a status first, one acknowledgement or refusal for each symbol, the last fifty
// trades on request, heartbeats while there is a subscription, prices as numbers, and REST that goes forward in time, has names of
// its own for pairs, and tells errors with status 200. Symbols are such as BTC/USD.
func Kraken(symbols ...string) *Profile {
	if len(symbols) == 0 {
		symbols = []string{"BTC/USD", "ETH/USD"}
	}
	k := kraken{symbols: symbols}
	return &Profile{
		Name: "kraken",
		Opened: func(c *Conn) {
			c.State = make(krakenConn)
			c.Send([]byte(`{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":16174536464690282295}]}`))
		},
		Message: k.message,
		Beat: func(c *Conn) {
			if len(c.Subscribed()) > 0 {
				c.Send([]byte(`{"channel":"heartbeat"}`))
			}
		},
		Trade: func(c *Conn, t *Trade) []byte {
			if st, ok := c.State.(krakenConn); !ok || !st["trade "+t.Symbol] {
				return nil
			}
			return krakenTrades("update", t.Price, *t)
		},
		Broken: func(t *Trade) []byte { return krakenTrades("update", `"NaN"`, *t) },
		Quote: func(c *Conn, q *Quote) []byte {
			if st, ok := c.State.(krakenConn); !ok || !st["ticker "+q.Symbol] {
				return nil
			}
			return fmt.Appendf(nil, `{"channel":"ticker","type":"update","data":[{"symbol":%q,"bid":%s,"bid_qty":%s,"ask":%s,"ask_qty":%s,"last":%s,"timestamp":%q}]}`,
				q.Symbol, q.Bid, q.BidSize, q.Ask, q.AskSize, q.Bid, krakenTime(q.Time))
		},
		REST: k.rest,
		Unknown: func(ballast int) []byte {
			return []byte(`{"channel":"never_heard_of","type":"update","data":["` + strings.Repeat("x", ballast) + `"]}`)
		},
	}
}

type kraken struct{ symbols []string }

// krakenConn has the subscriptions of a connection: "trade BTC/USD".
type krakenConn map[string]bool

func krakenTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// krakenTrades encodes trades in one message, all with the price if it is not "".
func krakenTrades(kind, price string, list ...Trade) []byte {
	b := []byte(`{"channel":"trade","type":"` + kind + `","data":[`)
	for i, t := range list {
		if i > 0 {
			b = append(b, ',')
		}
		p := t.Price
		if price != "" {
			p = price
		}
		b = fmt.Appendf(b, `{"symbol":%q,"side":%q,"price":%s,"qty":%s,"ord_type":"limit","trade_id":%d,"timestamp":%q}`,
			t.Symbol, krakenSide(&t), p, t.Size, t.ID, krakenTime(t.Time))
	}
	return append(b, `]}`...)
}

func krakenSide(t *Trade) string {
	if t.Buy {
		return "buy"
	}
	return "sell"
}

func (k *kraken) message(c *Conn, msg []byte) {
	var req struct {
		Method string `json:"method"`
		Params struct {
			Channel  string   `json:"channel"`
			Symbol   []string `json:"symbol"`
			Snapshot bool     `json:"snapshot"`
		} `json:"params"`
		ID uint64 `json:"req_id"`
	}
	st, ok := c.State.(krakenConn)
	if json.Unmarshal(msg, &req) != nil || !ok {
		c.Send([]byte(`{"error":"Malformed request","success":false}`))
		return
	}
	now := krakenTime(c.Server().Now())
	times := fmt.Sprintf(`"time_in":%q,"time_out":%q,"req_id":%d`, now, now, req.ID)
	if req.Method == "ping" {
		c.Send([]byte(`{"method":"pong",` + times + `}`))
		return
	}
	for _, symbol := range req.Params.Symbol {
		key := req.Params.Channel + " " + symbol
		switch {
		case !slices.Contains(k.symbols, symbol):
			c.Send(fmt.Appendf(nil, `{"error":"Currency pair not supported %s","method":%q,"success":false,"symbol":%q,%s}`, symbol, req.Method, symbol, times))
			continue
		case req.Method == "subscribe" && st[key]:
			c.Send(fmt.Appendf(nil, `{"error":"Already subscribed","method":"subscribe","success":false,"symbol":%q,%s}`, symbol, times))
			continue
		case req.Method == "subscribe":
			st[key] = true
			c.Subscribe(symbol)
		default:
			delete(st, key)
			if !st["trade "+symbol] && !st["ticker "+symbol] {
				c.Unsubscribe(symbol)
			}
		}
		c.Send(fmt.Appendf(nil, `{"method":%q,"result":{"channel":%q,"snapshot":%v,"symbol":%q},"success":true,%s}`,
			req.Method, req.Params.Channel, req.Params.Snapshot, symbol, times))
		if req.Method == "subscribe" && req.Params.Channel == "trade" && req.Params.Snapshot {
			list := c.Server().Trades(symbol)
			c.Send(krakenTrades("snapshot", "", list[max(0, len(list)-50):]...))
		}
	}
}

// krakenPair says a symbol as REST does: XBTUSD, and XXBTZUSD where it answers.
func krakenPair(symbol string) (pair, inner string) {
	base, quote, _ := strings.Cut(symbol, "/")
	old := func(s string) string { return strings.NewReplacer("BTC", "XBT", "DOGE", "XDG").Replace(s) }
	return old(base) + old(quote), "X" + old(base) + "Z" + old(quote)
}

func (k *kraken) rest(s *Server, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	i := slices.IndexFunc(k.symbols, func(symbol string) bool {
		pair, _ := krakenPair(symbol)
		return pair == q.Get("pair")
	})
	switch {
	case r.URL.Path == "/0/public/AssetPairs":
		list := make(map[string]any)
		for _, symbol := range k.symbols {
			pair, inner := krakenPair(symbol)
			base, quote, _ := strings.Cut(symbol, "/")
			name := strings.NewReplacer("BTC", "XBT", "DOGE", "XDG").Replace(base + "/" + quote)
			list[inner] = map[string]any{
				"altname": pair, "wsname": name, "pair_decimals": 2, "lot_decimals": 8, "tick_size": "0.01", "status": "online",
			}
		}
		if q.Get("aclass_base") == "tokenized_asset" {
			clear(list)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"error": []string{}, "result": list})
	case r.URL.Path == "/0/public/Trades" && i >= 0:
		krakenPage(s, k.symbols[i], w, r)
	case r.URL.Path == "/0/public/Trades":
		_, _ = w.Write([]byte(`{"error":["EQuery:Unknown asset pair"]}`))
	default:
		_, _ = w.Write([]byte(`{"error":["EGeneral:Unknown method"]}`))
	}
}

// krakenPage answers the trades after a moment in nanoseconds, a thousand at most, or the newest.
func krakenPage(s *Server, symbol string, w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil || limit <= 0 || limit > 1000 {
		limit = 1000
	}
	list := s.Trades(symbol)
	last := "0"
	if since, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64); err == nil {
		last = r.URL.Query().Get("since")
		i := slices.IndexFunc(list, func(t Trade) bool { return t.Time.UnixNano() > since })
		if i < 0 {
			i = len(list)
		}
		list = list[i:]
		list = list[:min(limit, len(list))]
	} else {
		list = list[max(0, len(list)-limit):]
	}
	rows := make([][]any, 0, len(list))
	for _, t := range list {
		seconds := json.Number(fmt.Sprintf("%d.%09d", t.Time.Unix(), t.Time.Nanosecond()))
		rows = append(rows, []any{t.Price, t.Size, seconds, krakenSide(&t)[:1], "l", "", t.ID})
		last = strconv.FormatInt(t.Time.UnixNano(), 10)
	}
	_, inner := krakenPair(symbol)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": []string{}, "result": map[string]any{inner: rows, "last": last}})
}
