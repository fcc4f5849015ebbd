package venuetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// OKX speaks version 5 of OKX's protocol: single trades on /business and all else on /public, an acknowledgement for each channel
// of each instrument, the text pong for the text ping, a notice before the end, and REST that pages backwards by number.
func OKX(symbols ...string) *Profile {
	if len(symbols) == 0 {
		symbols = []string{"BTC-USDT", "ETH-USDT"}
	}
	o := okx{symbols: symbols}
	return &Profile{
		Name:    "okx",
		Opened:  func(c *Conn) { c.State = make(okxConn) },
		Message: o.message,
		Trade: func(c *Conn, t *Trade) []byte {
			st, ok := c.State.(okxConn)
			for _, channel := range []string{"trades-all", "trades"} {
				if ok && st[channel+" "+t.Symbol] {
					return okxTrade(channel, t, t.Price)
				}
			}
			return nil
		},
		Broken: func(t *Trade) []byte { return okxTrade("trades-all", t, "NaN") },
		Quote: func(c *Conn, q *Quote) []byte {
			if st, ok := c.State.(okxConn); !ok || !st["bbo-tbt "+q.Symbol] {
				return nil
			}
			return fmt.Appendf(nil, `{"arg":{"channel":"bbo-tbt","instId":%q},"data":[{"asks":[[%q,%q,"0","1"]],"bids":[[%q,%q,"0","1"]],"ts":"%d","seqId":%d}]}`,
				q.Symbol, q.Ask, q.AskSize, q.Bid, q.BidSize, q.Time.UnixMilli(), 3*q.ID)
		},
		Notice: func(*Conn) []byte {
			return []byte(`{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}`)
		},
		Unknown: func(ballast int) []byte {
			return []byte(`{"arg":{"channel":"never-heard-of","instId":"BTC-USDT"},"data":[{"x":"` + strings.Repeat("x", ballast) + `"}]}`)
		},
		REST: o.rest,
	}
}

type okx struct{ symbols []string }

// okxConn has the subscriptions of a connection: "trades-all BTC-USDT".
type okxConn map[string]bool

func okxTrade(channel string, t *Trade, price string) []byte {
	return fmt.Appendf(nil, `{"arg":{"channel":%q,"instId":%q},"data":[%s]}`, channel, t.Symbol, okxRow(t, price))
}

func okxRow(t *Trade, price string) string {
	side := "sell"
	if t.Buy {
		side = "buy"
	}
	return fmt.Sprintf(`{"instId":%q,"tradeId":"%d","px":%q,"sz":%q,"side":%q,"ts":"%d","seqId":%d}`, t.Symbol, t.ID, price, t.Size, side, t.Time.UnixMilli(), 7*t.ID)
}

func (o *okx) message(c *Conn, msg []byte) {
	if string(msg) == "ping" {
		c.Send([]byte("pong"))
		return
	}
	var req struct {
		ID   string `json:"id"`
		Op   string `json:"op"`
		Args []struct {
			Channel string `json:"channel"`
			Symbol  string `json:"instId"`
		} `json:"args"`
	}
	st, ok := c.State.(okxConn)
	if json.Unmarshal(msg, &req) != nil || !ok || req.Op != "subscribe" && req.Op != "unsubscribe" {
		c.Send([]byte(`{"event":"error","code":"60012","msg":"Invalid request: {}","connId":"a4d3ae55"}`))
		return
	}
	channels := []string{"trades", "bbo-tbt", "tickers"}
	if strings.HasSuffix(c.Request.URL.Path, "/business") {
		channels = []string{"trades-all"}
	}
	for _, a := range req.Args {
		if !slices.Contains(channels, a.Channel) || !slices.Contains(o.symbols, a.Symbol) {
			c.Send(fmt.Appendf(nil, `{"id":%q,"event":"error","msg":"Wrong URL or channel:%s,instId:%s doesn't exist. Please use the correct URL, channel and parameters referring to API document.","code":"60018","connId":"a4d3ae55"}`,
				req.ID, a.Channel, a.Symbol))
			continue
		}
		st[a.Channel+" "+a.Symbol] = req.Op == "subscribe"
		if req.Op == "subscribe" {
			c.Subscribe(a.Symbol)
		}
		c.Send(fmt.Appendf(nil, `{"id":%q,"event":%q,"arg":{"channel":%q,"instId":%q},"connId":"a4d3ae55"}`, req.ID, req.Op, a.Channel, a.Symbol))
	}
}

// rest answers the list of instruments and the past trades, newest first.
func (o *okx) rest(s *Server, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var list []string
	switch r.URL.Path {
	case "/api/v5/public/instruments":
		for _, symbol := range o.symbols {
			kind := "SPOT"
			if strings.HasSuffix(symbol, "-SWAP") {
				kind = "SWAP"
			}
			if kind == q.Get("instType") {
				list = append(list, fmt.Sprintf(`{"instType":%q,"instId":%q,"tickSz":"0.01","lotSz":"0.00000001","state":"live"}`, kind, symbol))
			}
		}
	case "/api/v5/market/history-trades":
		symbol := q.Get("instId")
		if !slices.Contains(o.symbols, symbol) {
			_, _ = w.Write([]byte(`{"code":"51001","msg":"Instrument ID doesn't exist.","data":[]}`))
			return
		}
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit <= 0 || limit > 100 {
			limit = 100
		}
		after, _ := strconv.ParseUint(q.Get("after"), 10, 64)
		trades := s.Range(symbol, 0, after)
		for _, t := range slices.Backward(trades[max(0, len(trades)-limit):]) {
			list = append(list, okxRow(&t, t.Price))
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = fmt.Fprintf(w, `{"code":"0","msg":"","data":[%s]}`, strings.Join(list, ","))
}
