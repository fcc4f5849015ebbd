package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func asClose(err error, end *websocket.CloseError) bool { return errors.As(err, end) }

// filled is a tape with trades and quotes of three symbols, two of which share a name.
func filled() *tapetest.Memory {
	m := newMemTape()
	for i := range 25 {
		when := t0 + market.Time(i)*30*market.Second
		m.Put("sim", trade("SIM:AAPL", uint64(i+1), 18700+int64(i), when), quote("SIM:AAPL", uint64(i+1), when+1))
	}
	m.Put("alpaca", trade("ALPACA:MSFT", 1, 40000, t0))
	m.Put("sim", trade("SIM:MSFT", 1, 40001, t0+1))
	e := trade("COINBASE:BTC-USD", 1, 0, t0)
	e.Price, e.Size, e.ID, e.Side, e.Exchange, e.Conditions, e.Tape = dec("28165.4700"), dec("0.00000100"), 99, market.SideSell, "C", "@,I", 'C'
	m.Put("coinbase", e)
	return m
}

func TestHealth(t *testing.T) {
	broken := errors.New("the disk is full")
	var parts []Part
	b := serve(t, filled(), func(o *Options) { o.Health = func() []Part { return parts } })
	for _, path := range []string{"/health", "/livez"} {
		if code, h, body := b.get(path); code != 200 || body != `{"status":"ok"}` || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
	b.until(func() bool { _, ready := b.g.hub.position(); return ready })
	parts = []Part{{Name: "tape"}, {Name: "store", Note: "1 record behind"}}
	want := `{"status":"ready","version":"test","parts":{"gateway":{"ready":true},"tape":{"ready":true},"store":{"ready":true,"note":"1 record behind"}}}`
	if code, _, body := b.get("/readyz"); code != 200 || body != want {
		t.Errorf("got %d %s", code, body)
	}
	parts = []Part{{Name: "tape", Err: broken}}
	want = `{"status":"not ready","version":"test","parts":{"gateway":{"ready":true},"tape":{"ready":false,"reason":"the disk is full"}}}`
	if code, _, body := b.get("/readyz"); code != 503 || body != want {
		t.Errorf("got %d %s", code, body)
	}
}

func TestHistory(t *testing.T) {
	b := serve(t, filled(), nil)
	for path, want := range map[string]string{
		"/history?limit=2&symbol=AAPL": `[{"id":49,"timestamp":"2026-11-23T14:42:00Z","symbol":"SIM:AAPL","price":187.24},` +
			`{"id":47,"timestamp":"2026-11-23T14:41:30Z","symbol":"SIM:AAPL","price":187.23}]`,
		"/history?symbol=btc/usd":                                                       `[{"id":53,"timestamp":"2026-11-23T14:30:00Z","symbol":"COINBASE:BTC-USD","price":28165.4700}]`,
		"/history?symbol=AAPL&from=2026-11-23T14:30:00Z&to=1795444230":                  `[{"id":1,"timestamp":"2026-11-23T14:30:00Z","symbol":"SIM:AAPL","price":187.00}]`,
		"/history?symbol=AAPL&from=1795444200000&to=1795444230000000":                   `[{"id":1,"timestamp":"2026-11-23T14:30:00Z","symbol":"SIM:AAPL","price":187.00}]`,
		"/history?symbol=AAPL&from=2026-11-24":                                          `[]`,
		"/history?symbol=AAPL&to=2026-11-23":                                            `[]`,
		"/history?limit=1":                                                              `[{"id":49,"timestamp":"2026-11-23T14:42:00Z","symbol":"SIM:AAPL","price":187.24}]`,
		"/history?symbol=SIM%3AMSFT&format=csv":                                         "id,timestamp,symbol,price\n52,2026-11-23T14:30:00.000000001Z,SIM:MSFT,400.01",
		"/history?symbol=AAPL&from=2026-11-23T15:30:00%2B01:00&to=2026-11-23T14:30:01Z": `[{"id":1,"timestamp":"2026-11-23T14:30:00Z","symbol":"SIM:AAPL","price":187.00}]`,
		"/history?symbol=AAPL&from=2026-11-23T15:30:00+01:00&to=2026-11-23T14:30:01Z":   `[{"id":1,"timestamp":"2026-11-23T14:30:00Z","symbol":"SIM:AAPL","price":187.00}]`,
	} {
		if code, _, body := b.get(path); code != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: got %d %s\nwant %s", path, code, body, want)
		}
	}
	_, h, _ := b.get("/history?format=csv&symbol=BTC/USD")
	if got := h.Get("Content-Disposition"); got != `attachment; filename="COINBASE_BTC-USD.csv"` {
		t.Errorf("got %s", got)
	}
}

func TestCells(t *testing.T) {
	for in, want := range map[string]string{
		"SIM:AAPL": "SIM:AAPL", "=1+1": "'=1+1", "-5.50": "-5.50", "-A:B": "'-A:B", "+A": "'+A", "@A": "'@A", "＝A": "'＝A", `a"b`: `"a""b"`,
		"=1,2": `"'=1,2"`, "": "", "\tx": "'\tx",
	} {
		if got := string(appendCell(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTrades(t *testing.T) {
	b := serve(t, filled(), nil)
	for path, want := range map[string]string{
		"/v2/stocks/COINBASE:BTC-USD/trades?start=2026-11-23": `{"trades":[{"i":99,"p":28165.4700,"s":0.00000100,"t":"2026-11-23T14:30:00Z","x":"C","c":["@","I"],"z":"C","tks":"S","seq":1,` +
			`"r":"2026-11-23T14:30:00.001Z"}],"symbol":"COINBASE:BTC-USD","next_page_token":null}`,
		"/v2/stocks/trades?symbols=BTC%2FUSD,SIM%3AMSFT&start=2026-11-23&end=2026-11-23": `{"trades":{"BTC/USD":[{"i":99,"p":28165.4700,"s":0.00000100,"t":"2026-11-23T14:30:00Z","x":"C","c":["@","I"],` +
			`"z":"C","tks":"S","seq":1,"r":"2026-11-23T14:30:00.001Z"}],"SIM:MSFT":[{"i":1,"p":400.01,"s":100,"t":"2026-11-23T14:30:00.000000001Z","c":[],"tks":"B","seq":1,` +
			`"r":"2026-11-23T14:30:00.001000001Z"}]},"next_page_token":null}`,
		"/v2/stocks/BTC%2FUSD/quotes":       `{"quotes":[],"symbol":"BTC/USD","next_page_token":null}`,
		"/v2/stocks/quotes?symbols=BTC/USD": `{"quotes":{},"next_page_token":null}`,
		"/v2/stocks/AAPL/trades/latest":     `{"symbol":"AAPL","trade":{"i":25,"p":187.24,"s":100,"t":"2026-11-23T14:42:00Z","c":[],"tks":"B","seq":25,"r":"2026-11-23T14:42:00.001Z"}}`,
		"/v2/stocks/quotes/latest?symbols=aapl,BTC/USD": `{"quotes":{"aapl":{"bp":187.41,"bs":3,"ap":187.43,"as":2,"t":"2026-11-23T14:42:00.000000001Z","c":[],"seq":25,` +
			`"r":"2026-11-23T14:42:00.001000001Z"}}}`,
		"/v2/stocks/BTC%2FUSD/quotes/latest": `{"symbol":"BTC/USD","quote":null}`,
		// The end is part of the answer, and of a date the whole day.
		"/v2/stocks/AAPL/trades?start=2026-11-23T14:30:30Z&end=2026-11-23T14:30:30Z": `{"trades":[{"i":2,"p":187.01,"s":100,"t":"2026-11-23T14:30:30Z","c":[],"tks":"B","seq":2,` +
			`"r":"2026-11-23T14:30:30.001Z"}],"symbol":"AAPL","next_page_token":null}`,
	} {
		if code, _, body := b.get(path); code != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: got %d %s\nwant %s", path, code, body, want)
		}
	}
}

// pages follows the tokens from page to page and returns all rows by symbol.
func pages(t *testing.T, b *bench, path, what string) map[string][]map[string]any {
	t.Helper()
	all := make(map[string][]map[string]any)
	for token, n := "", 0; ; n++ {
		url := path
		if token != "" {
			url += "&page_token=" + token
		}
		code, _, body := b.get(url)
		var page map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &page); err != nil || code != 200 {
			t.Fatalf("%s: %d %s: %v", url, code, body, err)
		}
		rows := map[string][]map[string]any{}
		if page["symbol"] != nil {
			var list []map[string]any
			if err := json.Unmarshal(page[what], &list); err != nil {
				t.Fatal(err)
			}
			rows["one"] = list
		} else if err := json.Unmarshal(page[what], &rows); err != nil {
			t.Fatal(err)
		}
		for s, list := range rows {
			all[s] = append(all[s], list...)
		}
		if string(page["next_page_token"]) == "null" {
			return all
		}
		if err := json.Unmarshal(page["next_page_token"], &token); err != nil || n > 100 {
			t.Fatalf("%s: page %d: %v", url, n, err)
		}
	}
}

func TestPaging(t *testing.T) {
	b := serve(t, filled(), nil)
	for _, sort := range []string{"asc", "desc"} {
		for _, limit := range []int{1, 2, 7, 25, 26, 27, 28, 1000} {
			got := pages(t, b, fmt.Sprintf("/v2/stocks/trades?symbols=AAPL,SIM:MSFT,BTC/USD&sort=%s&limit=%d", sort, limit), "trades")
			if len(got["AAPL"]) != 25 || len(got["SIM:MSFT"]) != 1 || len(got["BTC/USD"]) != 1 {
				t.Fatalf("sort %s, limit %d: got %d, %d, %d rows", sort, limit, len(got["AAPL"]), len(got["SIM:MSFT"]), len(got["BTC/USD"]))
			}
			for i, row := range got["AAPL"] {
				if want := float64(i + 1); sort == "asc" && row["seq"] != want || sort == "desc" && row["seq"] != 26-want {
					t.Fatalf("sort %s, limit %d: row %d is trade %v", sort, limit, i, row["seq"])
				}
			}
			bars := pages(t, b, fmt.Sprintf("/v2/stocks/AAPL/bars?timeframe=1Min&sort=%s&limit=%d", sort, limit), "bars")["one"]
			if len(bars) != 13 {
				t.Fatalf("sort %s, limit %d: got %d bars", sort, limit, len(bars))
			}
			for i := 1; i < len(bars); i++ {
				a, z := fmt.Sprint(bars[i-1]["t"]), fmt.Sprint(bars[i]["t"])
				if a < z != (sort == "asc") {
					t.Fatalf("sort %s: bar %s comes before %s", sort, a, z)
				}
			}
		}
	}
}

func TestBarsAnswer(t *testing.T) {
	m := filled()
	b := serve(t, m, nil)
	code, h, body := b.get("/v2/stocks/AAPL/bars?timeframe=1Min&limit=1&start=1970-01-01T00:00:00Z")
	if want := `{"bars":[{"o":187.00,"h":187.01,"l":187.00,"c":187.01,"v":200,"t":"2026-11-23T14:30:00Z","n":2,"vw":187.005}],"symbol":"AAPL","next_page_token":"`; code != 200 || !strings.HasPrefix(body, want) {
		t.Errorf("got %d %s", code, body)
	}
	c, err := tape.ParseCursor(h.Get(CursorHeader))
	if err != nil || c != (tape.Cursor{Epoch: m.Epoch, Position: 28, Index: tape.AllEntries}) {
		t.Errorf("got cursor %+v, %v", c, err)
	}
}

func TestSymbols(t *testing.T) {
	m := filled()
	m.Put("sim", market.Status{State: market.StateLive, Event: t0}.Entry())
	m.Put("sim", market.Status{Symbol: "SIM:MSFT", State: market.StateStale, Event: t0}.Entry())
	b := serve(t, m, func(o *Options) { o.Feeds = func() []FeedInfo { return []FeedInfo{{Name: "alpaca", State: "done"}} } })
	m.Put("coinbase", market.Status{State: market.StateDown, Event: t0}.Entry(), market.Status{Symbol: "SIM:AAPL", State: market.StateHalted}.Entry())
	b.hears(32)
	code, h, body := b.get("/v1/symbols")
	var got struct {
		Symbols []struct {
			Symbol, Venue, Name, Feed, State, Calendar string
			Decimals                                   int
			Last, Quote, Day                           map[string]any
			PrevClose                                  *float64
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || h.Get(CursorHeader) == "" {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	var lines []string
	for _, s := range got.Symbols {
		lines = append(lines, fmt.Sprint(s.Symbol, " ", s.Venue, " ", s.Name, " ", s.Feed, " ", s.State, " ", s.Calendar, " ", s.Decimals, " ", s.Last["p"], " ", s.Quote["bp"], " ", s.Day["n"]))
	}
	want := `ALPACA:MSFT ALPACA MSFT alpaca closed us-equity 2 400 <nil> 1
COINBASE:BTC-USD COINBASE BTC-USD coinbase down 24x7 4 28165.47 <nil> 1
SIM:AAPL SIM AAPL sim halted 24x7 2 187.24 187.41 25
SIM:MSFT SIM MSFT sim unknown 24x7 2 400.01 <nil> 1`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPage(t *testing.T) {
	script := strings.Repeat("console.log(1);", 200)
	b := serve(t, newMemTape(), func(o *Options) {
		o.UI = fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}, "assets/app-abc123.js": {Data: []byte(script)}}
	})
	code, h, body := b.get("/")
	if code != 200 || body != "<!doctype html>" || h.Get("Cache-Control") != "no-cache" || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("got %d %s %v", code, body, h)
	}
	if code, _, _ := b.get("/", "If-None-Match", h.Get("Etag")); code != 304 {
		t.Errorf("got %d, want 304", code)
	}
	code, h, body = b.get("/assets/app-abc123.js", "Accept-Encoding", "br, gzip;q=0.5")
	if code != 200 || h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("Content-Encoding") != "gzip" || len(body) >= len(script) {
		t.Errorf("got %d %v", code, h)
	}
	if _, h, body = b.get("/assets/app-abc123.js"); h.Get("Content-Encoding") != "" || body != script {
		t.Errorf("got %v", h)
	}
	if code, _, body := b.get("/nothing"); code != 404 || !strings.Contains(body, `"value":"/nothing"`) {
		t.Errorf("got %d %s", code, body)
	}
	for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy"} {
		if h.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	m := filled()
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","trades":["*"]}`)
	m.Put("sim", trade("SIM:AAPL", 26, 1, t0))
	c.frame()
	b.get("/history")
	var body string
	for !strings.Contains(body, `tapedeck_gateway_ticks_total 1`) { // counted when it was written, which the client may see first
		_, _, body = b.get("/metrics")
	}
	for _, want := range []string{
		`tapedeck_gateway_sessions{stream="/v2/tape"} 1`, `tapedeck_gateway_request_seconds_count{route="/history",status="200"} 1`,
		`tapedeck_gateway_ring_entries`, `tapedeck_gateway_catching_up 0`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestBadRequests(t *testing.T) {
	b := serve(t, filled(), nil)
	long := strings.Repeat("x", 9000)
	for _, test := range []struct {
		method, path string
		headers      []string
		status       int
		contains     string
	}{
		{path: "/history?limit=0", status: 400, contains: `"parameter":"limit","value":"0"`},
		{path: "/history?limit=100001", status: 400, contains: "from 1 to 100000"},
		{path: "/history?limit=ten", status: 400, contains: `"value":"ten"`},
		{path: "/history?limit=1e9", status: 400, contains: "limit"},
		{path: "/history?limit=", status: 400, contains: "limit"},
		{path: "/history?limit=99999999999999999999", status: 400, contains: "limit"},
		{path: "/history?limit=1&limit=2", status: 400, contains: "only once"},
		{path: "/history?form=1", status: 400, contains: "known are limit, symbol, from, to, format"},
		{path: "/history?symbol=NOPE", status: 404, contains: "no such symbol"},
		{path: "/history?symbol=APL", status: 404, contains: `"near":["SIM:AAPL"]`},
		{path: "/history?symbol=MSFT", status: 400, contains: `"candidates":["ALPACA:MSFT","SIM:MSFT"]`},
		{path: "/history?symbol=%3Cscript%3E", status: 404, contains: `\u003cscript\u003e`},
		{path: "/history?symbol=%00%ff", status: 404, contains: `\u0000\ufffd`},
		{path: "/history?symbol=", status: 404, contains: "symbol"},
		{path: "/history?from=yesterday", status: 400, contains: `"parameter":"from","value":"yesterday"`},
		{path: "/history?from=2026-02-30", status: 400, contains: "from"},
		{path: "/history?from=2026-11-23T25:00:00Z", status: 400, contains: "from"},
		{path: "/history?from=0001-01-01T00:00:00Z", status: 400, contains: "from"},
		{path: "/history?from=9999-12-31", status: 400, contains: "from"},
		{path: "/history?from=-1", status: 400, contains: "from"},
		{path: "/history?from=2026-11-24&to=2026-11-23", status: 400, contains: "must not be before from"},
		{path: "/history?format=xml", status: 400, contains: "json, csv"},
		{path: "/history?%zz", status: 400, contains: "well-formed"},
		{path: "/history?a;b", status: 400, contains: "well-formed"},
		{path: "/v2/stocks/NOPE/trades", status: 404, contains: "no such symbol"},
		{path: "/v2/stocks/MSFT/trades", status: 400, contains: "candidates"},
		{path: "/v2/stocks/trades", status: 400, contains: `"parameter":"symbols"`},
		{path: "/v2/stocks/trades?symbols=", status: 400, contains: "symbols"},
		{path: "/v2/stocks/trades?symbols=AAPL,,", status: 404, contains: "symbols"},
		{path: "/v2/stocks/trades?symbols=AAPL,NOPE", status: 404, contains: `"value":"NOPE"`},
		{path: "/v2/stocks/trades?symbols=" + strings.Repeat("A,", 300), status: 400, contains: "at most 256"},
		{path: "/v2/stocks/AAPL/trades?symbols=AAPL", status: 400, contains: "symbols"},
		{path: "/v2/stocks/AAPL/trades?limit=10001", status: 400, contains: "10000"},
		{path: "/v2/stocks/AAPL/trades?sort=up", status: 400, contains: "asc, desc"},
		{path: "/v2/stocks/AAPL/trades?page_token=abc", status: 400, contains: "page_token"},
		{path: "/v2/stocks/AAPL/trades?page_token=" + pageToken{symbol: "SIM:AAPL"}.String(), status: 400, contains: "another question"},
		{path: "/v2/stocks/AAPL/trades?start=now", status: 400, contains: "start"},
		{path: "/v2/stocks/AAPL/trades?start=2026-01-02&end=2026-01-01T00:00:00Z", status: 400, contains: "must not be before start"},
		{path: "/v2/stocks/AAPL/bars", status: 400, contains: "timeframe"},
		{path: "/v2/stocks/AAPL/bars?timeframe=61Min", status: 400, contains: "at most 59"},
		{path: "/v2/stocks/AAPL/bars?timeframe=-1Min", status: 400, contains: "timeframe"},
		{path: "/v2/stocks/AAPL/bars?timeframe=1Fortnight", status: 400, contains: "timeframe"},
		{path: "/v2/stocks/AAPL/bars?timeframe=1Min&adjustment=split,up", status: 400, contains: "adjustment"},
		{path: "/v2/stocks/AAPL/other", status: 404, contains: "path"},
		{path: "/v1/symbols?x=1", status: 400, contains: "known are at"},
		{path: "/nothing", status: 404, contains: "path"},
		{path: "/history/", status: 404, contains: "path"},
		{path: "//history", status: 404, contains: "path"},
		{path: "/v2/stocks//trades", status: 404, contains: "path"},
		{path: "/assets/../history", status: 404, contains: "path"},
		{path: "/assets/%2e%2e/history", status: 404, contains: "path"},
		{method: "POST", path: "/history", status: 405, contains: "POST"},
		{method: "DELETE", path: "/v2/stocks/AAPL/trades", status: 405},
		{method: "POST", path: "/v2/tape", status: 405},
		{method: "POST", path: "/health", headers: []string{"Origin", "http://evil.example"}, status: 403, contains: "Origin"},
		{method: "POST", path: "/health", headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403},
		{path: "/v2/tape", status: 426, contains: "WebSocket"},
		{path: "/ws/prices", status: 426},
		{path: "/health", headers: []string{"Host", "evil.example"}, status: 421, contains: "evil.example"},
		{path: "/health", headers: []string{"Host", "localhost.evil.example:8000"}, status: 421},
		{path: "/health?" + long, status: 414, contains: "longer"},
		{path: "/health", headers: []string{"X-Long", strings.Repeat("y", 17000)}, status: 431, contains: "larger"},
	} {
		method := test.method
		if method == "" {
			method = http.MethodGet
		}
		code, h, body := b.do(method, test.path, test.headers...)
		name := method + " " + cut(test.path)
		if code != test.status || !strings.Contains(body, test.contains) {
			t.Errorf("%s: got %d %s\nwant %d with %s", name, code, body, test.status, test.contains)
		}
		if got := h.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: got %s", name, got)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: %s is not JSON", name, body)
		}
		if code == 405 && h.Get("Allow") == "" {
			t.Errorf("%s: no Allow", name)
		}
	}
}

func TestBodyTooLarge(t *testing.T) {
	b := serve(t, newMemTape(), nil)
	conn := b.connect()
	if _, err := io.WriteString(conn, "GET /history HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2097152\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", response.StatusCode)
	}
}

// TestHistoryFails lets the store fail: the client learns that it did and not how, and the next request is served.
func TestHistoryFails(t *testing.T) {
	b := serve(t, filled(), nil)
	b.history.mu.Lock()
	b.history.fail = errors.New("secret/path.db: disk I/O error")
	b.history.mu.Unlock()
	for _, path := range []string{"/history", "/v2/stocks/AAPL/trades", "/v2/stocks/AAPL/bars?timeframe=1Min", "/v1/symbols?at=2024-01-02", "/history?format=csv"} {
		code, h, body := b.get(path)
		if code != 500 || strings.Contains(body, "secret") || h.Get("Content-Type") != "application/problem+json" || h.Get("Content-Disposition") != "" {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
	b.history.mu.Lock()
	b.history.fail = nil
	b.history.mu.Unlock()
	if code, _, _ := b.get("/history"); code != 200 {
		t.Errorf("got %d", code)
	}
}

func TestNewRefuses(t *testing.T) {
	m, h := newMemTape(), newMemHistory()
	for name, o := range map[string]Options{
		"no tape":    {History: h},
		"public URL": {Tape: m, History: h, PublicURL: "ticks.example.org"},
		"origin":     {Tape: m, History: h, Origins: []string{"https://a.example/path"}},
		"limit":      {Tape: m, History: h, Limits: Limits{Rows: -1}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// checkAnswer asks the handler itself: the query is whatever a fuzzer finds, which a client would not send.
func checkAnswer(t *testing.T, h http.Handler, path, query string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := &http.Request{Method: http.MethodGet, Host: "localhost", URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, Body: http.NoBody, RemoteAddr: "127.0.0.1:1"}
	h.ServeHTTP(w, r.WithContext(t.Context()))
	kind := w.Header().Get("Content-Type")
	switch w.Code {
	case 200:
		if kind == "application/json" && !json.Valid(w.Body.Bytes()) || kind != "application/json" && !strings.HasPrefix(kind, "text/csv") {
			t.Fatalf("%s?%s: %s %s", path, query, kind, w.Body)
		}
	case 400, 404, 414:
		if kind != "application/problem+json" || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s?%s: %s %s", path, query, kind, w.Body)
		}
	default:
		t.Fatalf("%s?%s: %d %s", path, query, w.Code, w.Body)
	}
}

// TestBodyThatDoesNotCome announces a body and keeps it back. The answer comes nevertheless, and the connection ends.
func TestBodyThatDoesNotCome(t *testing.T) {
	b := serve(t, filled(), nil)
	var wg sync.WaitGroup
	for _, head := range []string{
		"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
		"GET /v2/tape HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		conn := b.connect()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
				t.Errorf("got %q, %v", answer, err)
			}
		})
	}
	wg.Wait()
}
