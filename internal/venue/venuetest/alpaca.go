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

// AlpacaOptions say how an emulated Alpaca treats its clients.
type AlpacaOptions struct {
	Key, Secret string // who may come in; everybody when empty
	Busy        int    // so many logins are answered with 406, connection limit exceeded
	Limit       int    // symbols on a connection; any number when 0
	Page        int    // trades on a page of REST; 100 when 0
}

// alpaca is what an emulated Alpaca remembers.
type alpaca struct {
	o AlpacaOptions
}

// alpacaClient is what it remembers of a connection.
type alpacaClient struct {
	authenticated bool
	busy          bool
	trades        []string
	quotes        []string
}

// Alpaca speaks as Alpaca's market data stream does: every message is a list, one login, one list of subscriptions, errors with
// codes. Some trades come in one message with bars and quotes. REST pages forwards by time with tokens.
func Alpaca(o AlpacaOptions) *Profile {
	if o.Page == 0 {
		o.Page = 100
	}
	a := &alpaca{o}
	busy := make(chan struct{}, o.Busy)
	for range o.Busy {
		busy <- struct{}{}
	}
	return &Profile{
		Name: "alpaca",
		Opened: func(c *Conn) {
			state := &alpacaClient{}
			select {
			case <-busy:
				state.busy = true
			default:
			}
			c.State = state
			c.Send([]byte(`[{"T":"success","msg":"connected"}]`))
			if h := c.Request.Header; h.Get("APCA-API-KEY-ID") != "" {
				a.login(c, state, h.Get("APCA-API-KEY-ID"), h.Get("APCA-API-SECRET-KEY"))
			}
		},
		Message: a.message,
		Trade:   func(_ *Conn, t *Trade) []byte { return alpacaTrade(t, t.Price) },
		Broken:  func(t *Trade) []byte { return alpacaTrade(t, `"NaN"`) },
		Quote: func(_ *Conn, q *Quote) []byte {
			return fmt.Appendf(nil, `[{"T":"q","S":%q,"bx":"K","bp":%s,"bs":%s,"ax":"Q","ap":%s,"as":%s,"c":["R"],"z":"C","t":%q}]`,
				q.Symbol, q.Bid, q.BidSize, q.Ask, q.AskSize, q.Time.Format(time.RFC3339Nano))
		},
		Unknown: func(ballast int) []byte {
			return []byte(`[{"T":"never_heard_of","S":"AAPL","x":"` + strings.Repeat("x", ballast) + `"}]`)
		},
		REST: a.rest,
	}
}

// alpacaTrade is a message with a trade; with some numbers it is one of several elements.
func alpacaTrade(t *Trade, price string) []byte {
	side := "S"
	if t.Buy {
		side = "B"
	}
	b := []byte{'['}
	if t.ID%5 == 0 {
		b = fmt.Appendf(b, `{"T":"b","S":%q,"o":1,"h":1,"l":1,"c":1,"v":1,"t":%q},`, t.Symbol, t.Time.Truncate(time.Minute).Format(time.RFC3339))
	}
	b = fmt.Appendf(b, `{"T":"t","S":%q,"i":%d,"x":"V","p":%s,"s":%s,"c":["@","I"],"z":"C","tks":%q,"t":%q}`,
		t.Symbol, t.ID, price, t.Size, side, t.Time.Format(time.RFC3339Nano))
	return append(b, ']')
}

// AlpacaCancel is a message that takes a trade back.
func AlpacaCancel(t *Trade) []byte {
	return fmt.Appendf(nil, `[{"T":"x","S":%q,"i":%d,"x":"V","p":%s,"s":%s,"a":"C","z":"C","t":%q}]`,
		t.Symbol, t.ID, t.Price, t.Size, t.Time.Format(time.RFC3339Nano))
}

func (c *Conn) alpacaError(code int, msg string) {
	c.Send(fmt.Appendf(nil, `[{"T":"error","code":%d,"msg":%q}]`, code, msg))
}

func (a *alpaca) login(c *Conn, state *alpacaClient, key, secret string) {
	switch {
	case state.busy:
		c.alpacaError(406, "connection limit exceeded")
		c.Close(websocket.StatusNormalClosure, "")
	case a.o.Key != "" && (key != a.o.Key || secret != a.o.Secret):
		c.alpacaError(402, "auth failed")
		c.Close(websocket.StatusNormalClosure, "")
	case state.authenticated:
		c.alpacaError(403, "already authenticated")
	default:
		state.authenticated = true
		c.Send([]byte(`[{"T":"success","msg":"authenticated"}]`))
	}
}

func (a *alpaca) message(c *Conn, msg []byte) {
	var m struct {
		Action         string
		Key, Secret    string
		Trades, Quotes []string
	}
	state, _ := c.State.(*alpacaClient)
	if json.Unmarshal(msg, &m) != nil {
		c.alpacaError(400, "invalid syntax")
		return
	}
	switch {
	case m.Action == "auth":
		a.login(c, state, m.Key, m.Secret)
		return
	case !state.authenticated:
		c.alpacaError(401, "not authenticated")
		return
	case m.Action == "subscribe":
		trades, quotes := union(state.trades, m.Trades), union(state.quotes, m.Quotes)
		if a.o.Limit > 0 && len(union(trades, quotes)) > a.o.Limit {
			c.alpacaError(405, "symbol limit exceeded")
			return
		}
		state.trades, state.quotes = trades, quotes
		c.Subscribe(m.Trades...)
		c.Subscribe(m.Quotes...)
	case m.Action == "unsubscribe":
		state.trades, state.quotes = without(state.trades, m.Trades), without(state.quotes, m.Quotes)
		c.Unsubscribe(m.Trades...)
	default:
		c.alpacaError(400, "invalid syntax")
		return
	}
	answer, err := json.Marshal([]map[string]any{{"T": "subscription", "trades": state.trades, "quotes": state.quotes, "bars": []string{}}})
	if err == nil {
		c.Send(answer)
	}
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// rest answers the paths of past trades, of stocks and of crypto.
func (a *alpaca) rest(s *Server, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	h := r.Header
	switch {
	case r.URL.Path != "/v2/stocks/trades" && r.URL.Path != "/v1beta3/crypto/us/trades":
		http.Error(w, `{"message":"endpoint not found."}`, http.StatusNotFound)
		return
	case a.o.Key != "" && (h.Get("APCA-API-KEY-ID") != a.o.Key || h.Get("APCA-API-SECRET-KEY") != a.o.Secret):
		http.Error(w, `{"message":"forbidden."}`, http.StatusForbidden)
		return
	}
	start, err := time.Parse(time.RFC3339Nano, q.Get("start"))
	end, errEnd := time.Parse(time.RFC3339Nano, q.Get("end"))
	if err != nil || errEnd != nil {
		http.Error(w, `{"message":"invalid start or end"}`, http.StatusBadRequest)
		return
	}
	after, _ := strconv.ParseUint(q.Get("page_token"), 10, 64)
	symbol := q.Get("symbols")
	rows := []json.RawMessage{}
	var token any
	for _, t := range s.Range(symbol, after+1, 0) {
		if t.Time.Before(start) || t.Time.After(end) {
			continue
		}
		if len(rows) == a.o.Page {
			token = strconv.FormatUint(after, 10)
			break
		}
		after = t.ID
		side := map[bool]string{true: "B", false: "S"}[t.Buy]
		rows = append(rows, fmt.Appendf(nil, `{"t":%q,"x":"V","p":%s,"s":%s,"c":["@","I"],"i":%d,"z":"C","tks":%q}`,
			t.Time.Format(time.RFC3339Nano), t.Price, t.Size, t.ID, side))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"trades": map[string]any{symbol: rows}, "next_page_token": token})
}
