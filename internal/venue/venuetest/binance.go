package venuetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Binance speaks as Binance's spot market does: streams are subscribed to by message or in the address, names that it does not
// know are taken in silence, more than five messages a second end the connection, quotes have no time, and REST pages forward by
// trade number. Pairs are such as BTC-USDT; a symbol is then BTCUSDT. An aggregated trade is made of one trade.
func Binance(pairs ...string) *Profile {
	if len(pairs) == 0 {
		pairs = []string{"BTC-USDT", "ETH-USDT"}
	}
	b := binance{pairs: make(map[string]string, len(pairs))}
	for _, pair := range pairs {
		symbol := strings.ReplaceAll(pair, "-", "")
		b.symbols = append(b.symbols, symbol)
		b.pairs[symbol] = pair
	}
	return &Profile{
		Name:    "binance",
		Opened:  b.opened,
		Message: b.message,
		Trade:   func(c *Conn, t *Trade) []byte { return b.trade(c, t, t.Price) },
		Broken:  func(t *Trade) []byte { return binanceTrade(t, "NaN", t.Time, false) },
		Quote:   b.quote,
		REST:    b.rest,
		Unknown: func(ballast int) []byte {
			return []byte(`{"e":"neverHeardOf","E":1,"s":"BTCUSDT","x":"` + strings.Repeat("x", ballast) + `"}`)
		},
		Notice: func(c *Conn) []byte {
			return fmt.Appendf(nil, `{"e":"serverShutdown","E":%d}`, c.Server().Now().UnixMilli())
		},
	}
}

type binance struct {
	symbols []string
	pairs   map[string]string // by symbol
}

// binanceConn is what a connection has.
type binanceConn struct {
	streams  map[string]bool // "btcusdt@trade"
	combined bool            // payloads are wrapped
	said     []time.Time     // when the last messages came
}

// opened takes the streams in the address: /ws/btcusdt@trade, /stream?streams=btcusdt@trade/ethusdt@trade.
func (b *binance) opened(c *Conn) {
	st := &binanceConn{streams: make(map[string]bool)}
	c.State = st
	path := strings.Trim(c.Request.URL.Path, "/")
	if path == "stream" {
		st.combined = true
		b.change(c, st, strings.Split(c.Request.URL.Query().Get("streams"), "/"), true)
		return
	}
	if stream, ok := strings.CutPrefix(path, "ws/"); ok {
		b.change(c, st, []string{stream}, true)
	}
}

// change begins or ends streams.
func (b *binance) change(c *Conn, st *binanceConn, streams []string, begin bool) {
	for _, stream := range streams {
		if begin {
			st.streams[stream] = true
		} else {
			delete(st.streams, stream)
		}
	}
	for _, symbol := range b.symbols {
		name := strings.ToLower(symbol)
		if st.streams[name+"@trade"] || st.streams[name+"@aggTrade"] || st.streams[name+"@bookTicker"] {
			c.Subscribe(symbol)
		} else {
			c.Unsubscribe(symbol)
		}
	}
}

func (b *binance) message(c *Conn, msg []byte) {
	st, ok := c.State.(*binanceConn)
	if !ok {
		return
	}
	now := time.Now()
	st.said = append(st.said, now)
	if len(st.said) > 5 {
		st.said = st.said[1:]
		if now.Sub(st.said[0]) < 800*time.Millisecond { // Five messages came in less; the network may push them together a little.
			c.Close(websocket.StatusPolicyViolation, "Too many requests")
			return
		}
	}
	var req struct {
		Method string
		Params []string
		ID     json.RawMessage
	}
	if err := json.Unmarshal(msg, &req); err != nil {
		c.Send([]byte(`{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}`))
		return
	}
	switch {
	case req.Method == "LIST_SUBSCRIPTIONS":
		list, err := json.Marshal(slices.Sorted(func(yield func(string) bool) {
			for stream := range st.streams {
				if !yield(stream) {
					return
				}
			}
		}))
		if err == nil {
			c.Send(fmt.Appendf(nil, `{"result":%s,"id":%s}`, list, req.ID))
		}
	case req.Method != "SUBSCRIBE" && req.Method != "UNSUBSCRIBE" || len(req.Params) == 0 || len(req.Params) > 200:
		c.Send(fmt.Appendf(nil, `{"code":2,"msg":"Invalid request: method %q with %d streams","id":%s}`, req.Method, len(req.Params), req.ID))
	default:
		b.change(c, st, req.Params, req.Method == "SUBSCRIBE")
		c.Send(fmt.Appendf(nil, `{"result":null,"id":%s}`, req.ID))
	}
}

// wrap puts a payload into a combined stream's frame, if the connection has one.
func (st *binanceConn) wrap(stream string, payload []byte) []byte {
	if st.combined {
		return fmt.Appendf(nil, `{"stream":%q,"data":%s}`, stream, payload)
	}
	return payload
}

func (b *binance) trade(c *Conn, t *Trade, price string) []byte {
	st, ok := c.State.(*binanceConn)
	if !ok {
		return nil
	}
	for _, kind := range [...]string{"trade", "aggTrade"} {
		if stream := strings.ToLower(t.Symbol) + "@" + kind; st.streams[stream] {
			return st.wrap(stream, binanceTrade(t, price, c.Server().Now(), kind == "aggTrade"))
		}
	}
	return nil
}

func binanceTrade(t *Trade, price string, sent time.Time, aggregated bool) []byte {
	kind, number := "trade", fmt.Sprintf(`"t":%d`, t.ID)
	if aggregated {
		kind, number = "aggTrade", fmt.Sprintf(`"a":%d,"f":%d,"l":%d`, t.ID, t.ID, t.ID)
	}
	return fmt.Appendf(nil, `{"e":%q,"E":%d,"s":%q,%s,"p":%q,"q":%q,"T":%d,"m":%v,"M":true}`,
		kind, sent.UnixMilli(), t.Symbol, number, price, t.Size, t.Time.UnixMilli(), !t.Buy)
}

func (b *binance) quote(c *Conn, q *Quote) []byte {
	st, ok := c.State.(*binanceConn)
	stream := strings.ToLower(q.Symbol) + "@bookTicker"
	if !ok || !st.streams[stream] {
		return nil
	}
	return st.wrap(stream, fmt.Appendf(nil, `{"u":%d,"s":%q,"b":%q,"B":%q,"a":%q,"A":%q}`, q.ID, q.Symbol, q.Bid, q.BidSize, q.Ask, q.AskSize))
}

func (b *binance) rest(s *Server, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	w.Header().Set("X-Mbx-Used-Weight-1m", "25")
	name, ok := strings.CutPrefix(r.URL.Path, "/api/v3/")
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case name == "exchangeInfo":
		b.list(w, q)
	case !slices.Contains(b.symbols, q.Get("symbol")):
		binanceError(w, -1121, "Invalid symbol.")
	case name == "historicalTrades", name == "trades", name == "aggTrades":
		binanceTrades(s, w, name, q)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func binanceError(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `{"code":%d,"msg":%q}`, code, text)
}

// list answers exchangeInfo, for all symbols or for some, of which none may be unknown.
func (b *binance) list(w http.ResponseWriter, q url.Values) {
	symbols := b.symbols
	if q.Has("symbols") {
		symbols = nil
		if json.Unmarshal([]byte(q.Get("symbols")), &symbols) != nil {
			binanceError(w, -1100, "Illegal characters found in parameter 'symbols'.")
			return
		}
	}
	list := []map[string]any{}
	for _, symbol := range symbols {
		pair, ok := b.pairs[symbol]
		if !ok {
			binanceError(w, -1121, "Invalid symbol.")
			return
		}
		base, quote, _ := strings.Cut(pair, "-")
		list = append(list, map[string]any{
			"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": []map[string]any{
				{"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}, {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
			},
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"timezone": "UTC", "serverTime": time.Now().UnixMilli(), "symbols": list})
}

// binanceTrades answers a page of trades: from a number on, from a time on (aggregated ones), or the newest.
func binanceTrades(s *Server, w http.ResponseWriter, name string, q url.Values) {
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit <= 0 {
		limit = 500
	}
	limit = min(limit, 1000)
	from, err := strconv.ParseUint(q.Get("fromId"), 10, 64)
	since, err2 := strconv.ParseInt(q.Get("startTime"), 10, 64)
	list := s.Range(q.Get("symbol"), from, 0)
	switch {
	case err == nil && name != "trades":
		list = list[:min(limit, len(list))]
	case err2 == nil && name == "aggTrades":
		i := slices.IndexFunc(list, func(t Trade) bool { return t.Time.UnixMilli() >= since })
		if i < 0 {
			i = len(list)
		}
		list = list[i:min(i+limit, len(list))]
	default:
		list = list[max(0, len(list)-limit):]
	}
	rows := make([]map[string]any, 0, len(list))
	for _, t := range list {
		if name == "aggTrades" {
			rows = append(rows, map[string]any{
				"a": t.ID, "p": t.Price, "q": t.Size, "f": t.ID, "l": t.ID, "T": t.Time.UnixMilli(), "m": !t.Buy, "M": true,
			})
			continue
		}
		rows = append(rows, map[string]any{
			"id": t.ID, "price": t.Price, "qty": t.Size, "quoteQty": "1", "time": t.Time.UnixMilli(), "isBuyerMaker": !t.Buy, "isBestMatch": true,
		})
	}
	_ = json.NewEncoder(w).Encode(rows)
}
