package venuetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coder/websocket"
)

// MassiveOptions say how an emulated Massive treats its clients.
type MassiveOptions struct {
	Key  string // who may come in; everybody when empty
	Busy int    // so many connections hear max_connections
	Page int    // trades on a page of REST; 100 when 0
}

// Massive speaks as Massive's stream of stocks does: every message is a list, whatever is asked for is acknowledged, unknown tickers
// too, and a wrong key ends the connection. REST pages forwards with the address of the next page.
func Massive(o MassiveOptions) *Profile {
	if o.Page == 0 {
		o.Page = 100
	}
	busy := make(chan struct{}, o.Busy)
	for range o.Busy {
		busy <- struct{}{}
	}
	return &Profile{
		Name: "massive",
		Opened: func(c *Conn) {
			c.State = new(bool)
			select {
			case <-busy:
				c.massiveStatus("max_connections", "Maximum number of connections exceeded.")
				c.Close(websocket.StatusPolicyViolation, "")
			default:
				c.massiveStatus("connected", "Connected Successfully")
			}
		},
		Message: func(c *Conn, msg []byte) { massiveMessage(c, o.Key, msg) },
		Trade:   func(_ *Conn, t *Trade) []byte { return massiveTrade(t, t.Price) },
		Broken:  func(t *Trade) []byte { return massiveTrade(t, `"NaN"`) },
		Quote: func(_ *Conn, q *Quote) []byte {
			return fmt.Appendf(nil, `[{"ev":"Q","sym":%q,"bx":4,"bp":%s,"bs":%s,"ax":7,"ap":%s,"as":%s,"c":0,"i":[604],"t":%d,"q":%d,"z":3}]`,
				q.Symbol, q.Bid, q.BidSize, q.Ask, q.AskSize, q.Time.UnixMilli(), q.ID)
		},
		Unknown: func(ballast int) []byte {
			return []byte(`[{"ev":"NEVER_HEARD_OF","sym":"AAPL","x":"` + strings.Repeat("x", ballast) + `"}]`)
		},
		REST: func(s *Server, w http.ResponseWriter, r *http.Request) { massiveREST(s, o, w, r) },
	}
}

func (c *Conn) massiveStatus(status, message string) {
	c.Send(fmt.Appendf(nil, `[{"ev":"status","status":%q,"message":%q}]`, status, message))
}

// massiveTrade is of a fraction of a share, as the whole number says nothing.
func massiveTrade(t *Trade, price string) []byte {
	return fmt.Appendf(nil, `[{"ev":"T","sym":%q,"x":4,"i":"%d","z":3,"p":%s,"s":0,"ds":%q,"c":[0,37],"t":%d,"q":%d,"trfi":201}]`,
		t.Symbol, t.ID, price, t.Size, t.Time.UnixMilli(), t.ID*7)
}

func massiveMessage(c *Conn, key string, msg []byte) {
	var m struct{ Action, Params string }
	authenticated, _ := c.State.(*bool)
	if json.Unmarshal(msg, &m) != nil || authenticated == nil {
		c.massiveStatus("error", "not JSON")
		return
	}
	switch {
	case m.Action == "auth" && (key == "" || m.Params == key):
		*authenticated = true
		c.massiveStatus("auth_success", "authenticated")
	case m.Action == "auth":
		c.massiveStatus("auth_failed", "authentication failed")
		c.Close(websocket.StatusPolicyViolation, "")
	case !*authenticated:
		c.massiveStatus("auth_timeout", "No authentication request received.")
		c.Close(websocket.StatusPolicyViolation, "")
	default:
		for topic := range strings.SplitSeq(m.Params, ",") {
			_, symbol, _ := strings.Cut(topic, ".")
			if m.Action == "subscribe" {
				c.Subscribe(symbol)
				c.massiveStatus("success", "subscribed to: "+topic)
			} else {
				c.Unsubscribe(symbol)
				c.massiveStatus("success", "unsubscribed to: "+topic)
			}
		}
	}
}

func massiveREST(s *Server, o MassiveOptions, w http.ResponseWriter, r *http.Request) {
	ticker, ok := strings.CutPrefix(r.URL.Path, "/v3/trades/")
	q := r.URL.Query()
	switch {
	case !ok:
		http.Error(w, `{"status":"NOT_FOUND"}`, http.StatusNotFound)
		return
	case o.Key != "" && r.Header.Get("Authorization") != "Bearer "+o.Key:
		http.Error(w, `{"status":"ERROR","error":"Unknown API Key"}`, http.StatusUnauthorized)
		return
	}
	from, _ := strconv.ParseInt(q.Get("timestamp.gte"), 10, 64)
	to, _ := strconv.ParseInt(q.Get("timestamp.lte"), 10, 64)
	after := uint64(0)
	if cursor, err := url.ParseQuery(q.Get("cursor")); err == nil && len(cursor) > 0 {
		from, _ = strconv.ParseInt(cursor.Get("from"), 10, 64)
		to, _ = strconv.ParseInt(cursor.Get("to"), 10, 64)
		after, _ = strconv.ParseUint(cursor.Get("after"), 10, 64)
	}
	answer := map[string]any{"status": "OK", "request_id": "a47d1beb8c11b6ae897ab76cdbbf35a3"}
	rows := []json.RawMessage{}
	for _, t := range s.Range(ticker, after+1, 0) {
		if t.Time.UnixNano() < from || t.Time.UnixNano() > to {
			continue
		}
		if len(rows) == o.Page {
			cursor := fmt.Sprintf("from=%d&to=%d&after=%d", from, to, after)
			answer["next_url"] = "https://api.massive.com" + r.URL.Path + "?cursor=" + url.QueryEscape(cursor)
			break
		}
		after = t.ID
		rows = append(rows, fmt.Appendf(nil, `{"conditions":[0,37],"exchange":4,"trf_id":201,"id":"%d","participant_timestamp":%d,"price":%s,`+
			`"sequence_number":%d,"sip_timestamp":%d,"size":0,"decimal_size":%q,"tape":3}`,
			t.ID, t.Time.UnixNano()-1000, t.Price, t.ID*7, t.Time.UnixNano(), t.Size))
	}
	answer["results"] = rows
	_ = json.NewEncoder(w).Encode(answer)
}
