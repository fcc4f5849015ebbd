package venuetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Bybit speaks version 5 of Bybit's protocol for one category, spot, linear or inverse: at most ten topics a request, all of which
// one bad topic fails, books that begin with a snapshot and go on with changes, and REST that has the last trades only. Of spot
// trades the names are numbers, elsewhere they are not. Symbols are such as BTCUSDT.
func Bybit(category string, symbols ...string) *Profile {
	if len(symbols) == 0 {
		symbols = []string{"BTCUSDT", "ETHUSDT"}
	}
	b := bybit{category: category, symbols: symbols}
	return &Profile{
		Name:    "bybit",
		Opened:  func(c *Conn) { c.State = make(bybitConn) },
		Message: b.message,
		Trade: func(c *Conn, t *Trade) []byte {
			if st, ok := c.State.(bybitConn); !ok || st["publicTrade."+t.Symbol] == 0 {
				return nil
			}
			return b.trade(t, t.Price)
		},
		Broken: func(t *Trade) []byte { return b.trade(t, "NaN") },
		Quote: func(c *Conn, q *Quote) []byte {
			st, ok := c.State.(bybitConn)
			topic := "orderbook.1." + q.Symbol
			if !ok || st[topic] == 0 {
				return nil
			}
			kind := "delta"
			if st[topic] == 1 {
				kind = "snapshot"
			}
			st[topic]++
			return fmt.Appendf(nil, `{"topic":%q,"ts":%d,"type":%q,"data":{"s":%q,"b":[[%q,%q]],"a":[[%q,%q]],"u":%d,"seq":%d},"cts":%d}`,
				topic, q.Time.UnixMilli()+1, kind, q.Symbol, q.Bid, q.BidSize, q.Ask, q.AskSize, q.ID, 9*q.ID, q.Time.UnixMilli())
		},
		Unknown: func(ballast int) []byte {
			return []byte(`{"topic":"neverHeardOf.BTCUSDT","type":"snapshot","data":["` + strings.Repeat("x", ballast) + `"]}`)
		},
		REST: b.rest,
	}
}

type bybit struct {
	category string
	symbols  []string
}

// bybitConn has the topics of a connection, each with one more than the messages that were sent of it.
type bybitConn map[string]int

// name is what a trade is called.
func (b *bybit) name(t *Trade) string {
	if b.category == "spot" {
		return strconv.FormatUint(t.ID, 10)
	}
	return fmt.Sprintf("35319862-77a2-5ebe-851b-%012d", t.ID)
}

func bybitSide(t *Trade) string {
	if t.Buy {
		return "Buy"
	}
	return "Sell"
}

func (b *bybit) trade(t *Trade, price string) []byte {
	return fmt.Appendf(nil, `{"topic":"publicTrade.%s","ts":%d,"type":"snapshot","data":[{"i":%q,"T":%d,"p":%q,"v":%q,"S":%q,"seq":%d,"s":%q,"BT":false,"RPI":false}]}`,
		t.Symbol, t.Time.UnixMilli()+1, b.name(t), t.Time.UnixMilli(), price, t.Size, bybitSide(t), 9*t.ID, t.Symbol)
}

func (b *bybit) message(c *Conn, msg []byte) {
	var req struct {
		ID   string   `json:"req_id"`
		Op   string   `json:"op"`
		Args []string `json:"args"`
	}
	st, ok := c.State.(bybitConn)
	if json.Unmarshal(msg, &req) != nil || !ok {
		c.Send([]byte(`{"success":false,"ret_msg":"Params Error","conn_id":"d967ikkn","req_id":"","op":""}`))
		return
	}
	refuse := func(why string) {
		c.Send(fmt.Appendf(nil, `{"success":false,"ret_msg":%q,"conn_id":"d967ikkn","op":%q}`, why, req.Op))
	}
	switch req.Op {
	case "ping":
		c.Send(fmt.Appendf(nil, `{"success":true,"ret_msg":"pong","conn_id":"d967ikkn","req_id":%q,"op":"ping"}`, req.ID))
		return
	case "subscribe", "unsubscribe":
	default:
		refuse("error:unknown op")
		return
	}
	if len(req.Args) > 10 {
		refuse("args size >10")
		return
	}
	for _, topic := range req.Args {
		symbol := topic[strings.LastIndexByte(topic, '.')+1:]
		switch {
		case topic != "publicTrade."+symbol && topic != "orderbook.1."+symbol:
			refuse("error:handler not found,topic:" + topic)
			return
		case !slices.Contains(b.symbols, symbol):
			refuse("Invalid symbol :[" + topic + "]")
			return
		case req.Op == "subscribe" && st[topic] != 0:
			refuse("error:already subscribed,topic:" + topic)
			return
		}
	}
	for _, topic := range req.Args {
		delete(st, topic)
		if req.Op == "subscribe" {
			st[topic] = 1
			c.Subscribe(topic[strings.LastIndexByte(topic, '.')+1:])
		}
	}
	c.Send(fmt.Appendf(nil, `{"success":true,"ret_msg":%q,"conn_id":"d967ikkn","req_id":%q,"op":%q}`, req.Op, req.ID, req.Op))
}

// rest answers the list of instruments and the last trades, newest first.
func (b *bybit) rest(s *Server, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var list []string
	symbol := q.Get("symbol")
	switch {
	case q.Get("category") != b.category:
		_, _ = w.Write([]byte(`{"retCode":10001,"retMsg":"params error: category","result":{},"time":1}`))
		return
	case r.URL.Path == "/v5/market/instruments-info":
		for _, symbol := range b.symbols {
			base, quote := symbol[:3], symbol[3:]
			list = append(list, fmt.Sprintf(`{"symbol":%q,"baseCoin":%q,"quoteCoin":%q,"status":"Trading","lotSizeFilter":{"basePrecision":"0.000001","qtyStep":"0.001"},"priceFilter":{"tickSize":"0.01"}}`,
				symbol, base, quote))
		}
	case r.URL.Path == "/v5/market/recent-trade" && slices.Contains(b.symbols, symbol):
		most := 1000
		if b.category == "spot" {
			most = 60
		}
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit <= 0 || limit > most {
			limit = most
		}
		trades := s.Trades(symbol)
		for _, t := range slices.Backward(trades[max(0, len(trades)-limit):]) {
			list = append(list, fmt.Sprintf(`{"execId":%q,"symbol":%q,"price":%q,"size":%q,"side":%q,"time":"%d","isBlockTrade":false,"isRPITrade":false}`,
				b.name(&t), symbol, t.Price, t.Size, bybitSide(&t), t.Time.UnixMilli()))
		}
	default:
		_, _ = w.Write([]byte(`{"retCode":10001,"retMsg":"Not supported symbols","result":{},"time":1}`))
		return
	}
	_, _ = fmt.Fprintf(w, `{"retCode":0,"retMsg":"OK","result":{"category":%q,"list":[%s],"nextPageCursor":""},"retExtInfo":{},"time":%d}`,
		b.category, strings.Join(list, ","), s.Now().UnixMilli())
}
