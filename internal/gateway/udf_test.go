package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

func TestUDFConfig(t *testing.T) {
	b := serveUDF(t, filled(), nil)
	var c struct {
		Search      bool                                 `json:"supports_search"`
		Group       bool                                 `json:"supports_group_request"`
		Marks       bool                                 `json:"supports_marks"`
		Timescale   bool                                 `json:"supports_timescale_marks"`
		Time        bool                                 `json:"supports_time"`
		Resolutions []string                             `json:"supported_resolutions"`
		Exchanges   []struct{ Value, Name, Desc string } `json:"exchanges"`
		Types       []struct{ Value, Name string }       `json:"symbols_types"`
	}
	b.udf("config", &c)
	if !c.Search || c.Group || !c.Marks || !c.Timescale || !c.Time {
		t.Errorf("got %+v", c)
	}
	for _, r := range c.Resolutions {
		if _, err := parseResolution(r); err != nil {
			t.Errorf("%s is offered: %v", r, err)
		}
	}
	var venues []string
	for _, e := range c.Exchanges {
		venues = append(venues, e.Value)
	}
	if want := []string{"", "ALPACA", "COINBASE", "SIM"}; !slices.Equal(venues, want) {
		t.Errorf("got the exchanges %q, want %q", venues, want)
	}
	if len(c.Types) == 0 || c.Types[0].Value != "" {
		t.Errorf("got the types %v", c.Types)
	}
}

func TestUDFTime(t *testing.T) {
	b := serveUDF(t, newMemTape(), nil)
	from := time.Now().Unix()
	code, _, body := b.get("/udf/time")
	got, err := strconv.ParseInt(body, 10, 64)
	if code != 200 || err != nil || got < from || got > time.Now().Unix() {
		t.Errorf("got %d %q", code, body)
	}
}

// symbolInfo is what the library reads of a symbol. A member that is missing or of another type is an error.
type symbolInfo struct {
	Name, Ticker, Description, Type, Session, Timezone, Exchange, Format string

	Listed     string   `json:"listed_exchange"`
	Minmov     int64    `json:"minmov"`
	Minmove2   *int64   `json:"minmove2"`
	Pricescale int64    `json:"pricescale"`
	Fractional *bool    `json:"fractional"`
	Precision  *int     `json:"volume_precision"`
	Intraday   bool     `json:"has_intraday"`
	Minutes    []string `json:"intraday_multipliers"`
	Seconds    bool     `json:"has_seconds"`
	SecondsOf  []string `json:"seconds_multipliers"`
	Daily      bool     `json:"has_daily"`
	Long       bool     `json:"has_weekly_and_monthly"`
	Ticks      bool     `json:"has_ticks"`
	Empty      bool     `json:"has_empty_bars"`
	Plots      string   `json:"visible_plots_set"`
	Offered    []string `json:"supported_resolutions"`
	Status     string   `json:"data_status"`
	Holidays   *string  `json:"session_holidays"`
	Correct    *string  `json:"corrections"`
	Subsession string   `json:"subsession_id"`
	Parts      []struct {
		ID, Description, Session string
		Correction               string `json:"session-correction"`
	} `json:"subsessions"`
	Currency string `json:"currency_code"`
}

func sessionForm() (usual, correction, holiday *regexp.Regexp) {
	window := `\d{4}(F\d+)?-\d{4}(F\d+)?`
	windows := window + `(,` + window + `)*`
	return regexp.MustCompile(`^(24x7|` + windows + `(:[1-7]+(\|` + windows + `:[1-7]+)*)?)$`),
		regexp.MustCompile(`^(` + windows + `:\d{8}(;` + windows + `:\d{8})*)?$`),
		regexp.MustCompile(`^(\d{8}(,\d{8})*)?$`)
}

// check says what is wrong with a symbol's description by itself: most faults of data feeds are there.
func (s *symbolInfo) check(t *testing.T) {
	t.Helper()
	if s.Name == "" || strings.Contains(s.Name, ":") || s.Ticker != s.Exchange+":"+s.Name || s.Listed != s.Exchange || s.Description == "" {
		t.Errorf("%s: got the names %q %q %q %q", s.Ticker, s.Name, s.Exchange, s.Listed, s.Description)
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "UTC" {
		t.Errorf("%s: got the zone %q", s.Ticker, s.Timezone)
	}
	digits := math.Log10(float64(s.Pricescale))
	if s.Minmov != 1 || s.Pricescale < 1 || digits != math.Trunc(digits) || s.Minmove2 == nil || s.Fractional == nil || s.Precision == nil {
		t.Errorf("%s: got the steps %d / %d", s.Ticker, s.Minmov, s.Pricescale)
	}
	usual, correction, holiday := sessionForm()
	if s.Holidays == nil || s.Correct == nil || !usual.MatchString(s.Session) || !correction.MatchString(*s.Correct) || !holiday.MatchString(*s.Holidays) {
		t.Errorf("%s: got the session %+v", s.Ticker, s)
	}
	own := len(s.Parts) == 0
	for _, p := range s.Parts {
		if !usual.MatchString(p.Session) || !correction.MatchString(p.Correction) || p.Description == "" {
			t.Errorf("%s: got the part %+v", s.Ticker, p)
		}
		own = own || p.ID == s.Subsession && p.Session == s.Session && p.Correction == *s.Correct
	}
	if !own {
		t.Errorf("%s: the session is none of its parts: %+v", s.Ticker, s.Parts)
	}
	if !s.Intraday || !s.Seconds || !s.Daily || !s.Long || s.Ticks || s.Empty || s.Plots != "ohlcv" || s.Format != "price" || s.Status != "streaming" {
		t.Errorf("%s: got %+v", s.Ticker, s)
	}
	for _, list := range [][]string{s.Minutes, s.SecondsOf} {
		for _, m := range list {
			if n, err := strconv.Atoi(m); err != nil || n < 1 {
				t.Errorf("%s: got the multiplier %q", s.Ticker, m)
			}
		}
	}
	// The client makes what it is not given of the largest multiplier that divides it.
	for _, r := range s.Offered {
		n, err := strconv.Atoi(r)
		if err == nil && !slices.ContainsFunc(s.Minutes, func(m string) bool { v, _ := strconv.Atoi(m); return n%v == 0 }) {
			t.Errorf("%s: %s cannot be made of %v", s.Ticker, r, s.Minutes)
		}
	}
}

func TestUDFSymbols(t *testing.T) {
	m := filled()
	tiny := trade("COINBASE:SHIB-USD", 1, 0, t0)
	tiny.Price, tiny.Size = dec("0.00001234"), dec("1000000")
	m.Put("coinbase", tiny)
	fine := trade("ALPACA:MSFT", 2, 0, t0+market.Minute)
	fine.Price = dec("400.0125") // a print between the cents, and then one that is whole again
	m.Put("alpaca", fine, trade("ALPACA:MSFT", 3, 40000, t0+2*market.Minute), quote("ALPACA:ONLYQUOTES", 1, t0))
	big := trade("SIM:BIG", 1, 0, t0)
	big.Price = dec("1e15")
	m.Put("sim", big)
	b := serveUDF(t, m, func(o *Options) {
		o.Feeds = func() []FeedInfo { return []FeedInfo{{Name: "sim", Label: "SIM"}, {Name: "alpaca"}} }
	})
	for asked, want := range map[string]symbolInfo{
		"SIM:AAPL":          {Ticker: "SIM:AAPL", Type: "stock", Pricescale: 100, Session: "24x7", Timezone: "Etc/UTC", Description: "AAPL (SIM)"},
		"aapl":              {Ticker: "SIM:AAPL", Type: "stock", Pricescale: 100, Session: "24x7", Timezone: "Etc/UTC", Description: "AAPL (SIM)"},
		"BTC%2FUSD":         {Ticker: "COINBASE:BTC-USD", Type: "crypto", Pricescale: 10000, Session: "24x7", Timezone: "Etc/UTC", Currency: "USD", Description: "BTC-USD"},
		"SHIB-USD":          {Ticker: "COINBASE:SHIB-USD", Type: "crypto", Pricescale: 100_000_000, Session: "24x7", Timezone: "Etc/UTC", Currency: "USD", Description: "SHIB-USD"},
		"BIG":               {Ticker: "SIM:BIG", Type: "stock", Pricescale: 1, Session: "24x7", Timezone: "Etc/UTC", Description: "BIG (SIM)"},
		"ALPACA:ONLYQUOTES": {Ticker: "ALPACA:ONLYQUOTES", Type: "stock", Pricescale: 100, Session: "0400-2000", Timezone: "America/New_York", Currency: "USD", Description: "ONLYQUOTES"},
		"ALPACA:MSFT":       {Ticker: "ALPACA:MSFT", Type: "stock", Pricescale: 10000, Session: "0400-2000", Timezone: "America/New_York", Currency: "USD", Description: "MSFT"},
	} {
		var s symbolInfo
		b.udf("symbols?symbol="+asked+"&currencyCode=&unitId=&later=1", &s)
		s.check(t)
		got := symbolInfo{
			Ticker: s.Ticker, Type: s.Type, Pricescale: s.Pricescale, Session: s.Session, Timezone: s.Timezone, Currency: s.Currency,
			Description: s.Description,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", asked, diff)
		}
	}
	if got := b.refused("symbols?symbol=NASDAQ:NOPE"); got != "unknown_symbol" {
		t.Errorf("got %q", got)
	}
	if _, _, body := b.get("/udf/symbols?symbol=AAPX"); body != `{"s":"error","errmsg":"unknown_symbol","near":["SIM:AAPL"]}`+"\n" {
		t.Errorf("got %s", body)
	}
	if got := b.refused("symbols?symbol=MSFT"); !strings.Contains(got, "ALPACA:MSFT, SIM:MSFT") {
		t.Errorf("got %q", got)
	}
}

func TestUDFSearch(t *testing.T) {
	b := serveUDF(t, filled(), nil)
	for query, want := range map[string][]string{
		"query=&type=&exchange=&limit=30": {"SIM:AAPL", "SIM:MSFT", "ALPACA:MSFT", "COINBASE:BTC-USD"},
		"query=&limit=1":                  {"SIM:AAPL"},
		"query=MSF":                       {"SIM:MSFT", "ALPACA:MSFT"},
		"query=msft&exchange=alpaca":      {"ALPACA:MSFT"},
		"query=SIM:M":                     {"SIM:MSFT"},
		"query=S":                         {"SIM:MSFT", "ALPACA:MSFT", "COINBASE:BTC-USD", "SIM:AAPL"}, // in the name first
		"query=BTCUSD":                    {"COINBASE:BTC-USD"},
		"query=BTC%2FU":                   {"COINBASE:BTC-USD"},
		"type=crypto":                     {"COINBASE:BTC-USD"},
		"query=%20aapl%20&type=stock":     {"SIM:AAPL"},
		"query=XYZ":                       {},
	} {
		var list []map[string]string
		b.udf("search?"+query, &list)
		got := []string{}
		for _, s := range list {
			got = append(got, s["ticker"])
			if keys := slices.Sorted(maps.Keys(s)); !slices.Equal(keys, []string{"description", "exchange", "full_name", "symbol", "ticker", "type"}) {
				t.Errorf("got the members %v", keys)
			}
			if s["full_name"] != s["exchange"]+":"+s["symbol"] {
				t.Errorf("got %v", s)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestUDFErrors(t *testing.T) {
	b := serveUDF(t, filled(), func(o *Options) { o.Limits.Symbols = 2 })
	const ask = "history?symbol=AAPL&"
	for path, want := range map[string]string{
		ask + "resolution=1&from=x&to=1":                  "whole seconds",
		ask + "resolution=1&from=1.5&to=3":                "whole seconds",
		ask + "resolution=1&from=2&to=1":                  "before from",
		ask + "resolution=1&from=1&to=2&countback=-1":     "number of bars",
		ask + "resolution=1&from=1&to=2&countback=many":   "number of bars",
		ask + "resolution=&from=1&to=2":                   "minutes",
		ask + "resolution=0&from=1&to=2":                  "minutes",
		ask + "resolution=90&from=1&to=2":                 "whole hours",
		ask + "resolution=1440&from=1&to=2":               "at most 23",
		ask + "resolution=60S&from=1&to=2":                "at most 59",
		ask + "resolution=2D&from=1&to=2":                 "at most 1",
		ask + "resolution=1T&from=1&to=2":                 "ticks",
		ask + "resolution=1m&from=1&to=2":                 "1M for a month",
		ask + "resolution=1h&from=1&to=2":                 "minutes",
		ask + "resolution=1DD&from=1&to=2":                "minutes",
		ask + "resolution=1&resolution=2&from=1&to=2":     "only once",
		ask + "resolution=1&from=1&to=2&unitId=kg":        "not converted",
		ask + "resolution=1&from=1&to=2&currencyCode=EUR": "not converted",
		ask + "%zz":                                       "well-formed",
		"history?resolution=1&from=1&to=2":                "must name a symbol",
		"history?symbol=NOPE:X&resolution=1&from=1&to=2":  "unknown_symbol",
		"history?symbol=MSFT&resolution=1&from=1&to=2":    "ALPACA:MSFT",
		"marks?symbol=NOPE:X&resolution=1&from=1&to=2":    "unknown_symbol",
		"timescale_marks?symbol=AAPL&resolution=X&from=1": "resolution",
		"symbols": "must name a symbol",
		"symbols?symbol=" + strings.Repeat("A", 200): "longer",
		"search?limit=0": "whole number",
		"search?query=" + strings.Repeat("A", 200): "longer",
		"quotes":                   "must name symbols",
		"quotes?symbols=A,B,C":     "at most 2",
		"symbol_info?group=NYSE":   "no such part",
		"":                         "no such part",
		"streaming?symbols=NOPE:X": "unknown_symbol",
		"streaming?quotes=maybe":   "true or false",
	} {
		if got := b.refused(path); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	b.history.mu.Lock()
	b.history.fail = fmt.Errorf("sector 7 is bad")
	b.history.mu.Unlock()
	if got := b.refused(ask + "resolution=1&from=1&to=2"); strings.Contains(got, "sector") {
		t.Errorf("the client is told %q", got)
	}
}

func TestUDFOrigins(t *testing.T) {
	b := serveUDF(t, filled(), func(o *Options) { o.Origins = []string{"https://charts.example.org"} })
	for _, path := range []string{"/udf/config", "/udf/time", "/udf/symbols?symbol=AAPL", "/udf/history?symbol=NOPE", "/udf/nothing"} {
		for origin, want := range map[string]string{
			"https://charts.example.org": "https://charts.example.org", "https://CHARTS.example.org": "https://CHARTS.example.org",
			"http://charts.example.org": "", "https://charts.example.org.evil.example": "", "null": "", "*": "", "": "",
		} {
			var headers []string
			if origin != "" {
				headers = []string{"Origin", origin}
			}
			code, h, _ := b.get(path, headers...)
			if got := h.Get("Access-Control-Allow-Origin"); code != 200 || got != want || !slices.Contains(h.Values("Vary"), "Origin") {
				t.Errorf("%s from %q: got %d, %q, Vary %q", path, origin, code, got, h.Values("Vary"))
			}
			if h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %q: cookies are allowed", path, origin)
			}
		}
	}
	for _, path := range []string{"/udf/history", "/udf/streaming"} {
		code, h, _ := b.do(http.MethodOptions, path, "Origin", "https://charts.example.org", "Access-Control-Request-Method", "GET")
		if code != 204 || h.Get("Access-Control-Allow-Origin") != "https://charts.example.org" || h.Get("Access-Control-Allow-Methods") != "GET, HEAD" {
			t.Errorf("%s: got %d %v", path, code, h)
		}
		code, h, _ = b.do(http.MethodOptions, path, "Origin", "https://evil.example", "Access-Control-Request-Method", "GET")
		if code != 204 || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: got %d %v", path, code, h)
		}
	}
	if code, _, _ := b.do(http.MethodPost, "/udf/config"); code != 405 {
		t.Errorf("POST: got %d", code)
	}
	if code, _, _ := b.get("/udf/streaming", "Origin", "https://evil.example"); code != 403 {
		t.Errorf("streaming: got %d", code)
	}
}

func TestUDFQuotes(t *testing.T) {
	m := newMemTape()
	m.Put("alpaca", trade("ALPACA:A", 1, 10000, at(t, "2026-11-19 10:00")), trade("ALPACA:A", 2, 10100, at(t, "2026-11-19 15:59")),
		trade("ALPACA:A", 3, 10300, at(t, "2026-11-20 09:30")), trade("ALPACA:A", 4, 10200, at(t, "2026-11-20 15:59")),
		trade("ALPACA:A", 5, 10250, at(t, "2026-11-20 18:00")), // after the close
		quote("ALPACA:B", 1, t0), trade("ALPACA:ONE", 1, 500, at(t, "2026-11-20 12:00")))
	b := serveUDF(t, m, nil)
	want := `{"s":"ok","d":[` +
		`{"s":"ok","n":"a","v":{"short_name":"A","exchange":"ALPACA","description":"A","original_name":"ALPACA:A","lp":102.50,` +
		`"open_price":103.00,"high_price":103.00,"low_price":102.00,"volume":200,"prev_close_price":101.00,"ch":1.50,"chp":1.49}},` +
		`{"s":"error","n":"NOPE","v":{}},` +
		`{"s":"ok","n":"ALPACA:B","v":{"short_name":"B","exchange":"ALPACA","description":"B","original_name":"ALPACA:B",` +
		`"ask":187.43,"bid":187.41,"spread":0.02}},` +
		`{"s":"ok","n":"ONE","v":{"short_name":"ONE","exchange":"ALPACA","description":"ONE","original_name":"ALPACA:ONE","lp":5.00,` +
		`"open_price":5.00,"high_price":5.00,"low_price":5.00,"volume":100}}]}` + "\n"
	if _, _, got := b.get("/udf/quotes?symbols=a,NOPE,ALPACA:B,ONE"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// On Monday before the open, Friday's close is the one to compare with.
	m.Put("alpaca", trade("ALPACA:A", 6, 10098, at(t, "2026-11-23 05:00")))
	b.waitFor()
	var a struct {
		D []struct{ V map[string]json.RawMessage }
	}
	b.udf("quotes?symbols=A", &a)
	v := a.D[0].V
	for name, want := range map[string]string{"prev_close_price": "102.00", "ch": "-1.02", "chp": "-1.00", "lp": "100.98", "open_price": ""} {
		if got := string(v[name]); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// FuzzUDF asks with any query: never a panic, always HTTP 200 and JSON.
func FuzzUDF(f *testing.F) {
	for _, s := range []string{
		"symbol=AAPL&resolution=1&from=1795444200&to=1795445000&countback=2", "symbol=SIM:AAPL&resolution=D&from=-99999999999999999999&to=99999999999999999999",
		"symbol=BTC/USD&resolution=12M&from=0&to=0", "symbols=AAPL,,MSFT,%00", "query=%ff&limit=9&type=stock&exchange=sim", "resolution=1W&symbol=AAPL&to=8050000000",
		"symbol=ALPACA:MSFT&resolution=1M&from=-8050000000&to=-8049999999", "%zz", "a=1&a=2", "symbol=AAPL&resolution=59S&countback=0",
	} {
		f.Add(s)
	}
	b := serveUDF(f, filled(), nil)
	routes := b.g.Handler()
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"config", "symbols", "search", "history", "quotes", "marks", "timescale_marks"} {
			checkUDF(t, routes, path, query)
		}
	})
}

// FuzzResolution holds what is read to being an interval that history takes and that its own form of TradingView names again.
func FuzzResolution(f *testing.F) {
	for _, s := range append(udfResolutions(), "D", "w", "1m", "S", "T", "0", "00005", "999999999999", "１") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseResolution(s)
		if err != nil {
			return
		}
		if again, err := market.ParseInterval(v.String()); err != nil || again != v {
			t.Fatalf("%q became %v, which is read as %v, %v", s, v, again, err)
		}
	})
}

// TestUDFDocument runs what docs/udf.md shows.
func TestUDFDocument(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "udf.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := filled()
	b := serveUDF(t, m, nil)
	commands := regexp.MustCompile(`(?m)^curl (-N )?'http://127\.0\.0\.1:8000/udf/([^']*)'$`).FindAllStringSubmatch(string(doc), -1)
	if len(commands) != 3 {
		t.Fatalf("got %d commands: this test has lost sight of them", len(commands))
	}
	for _, c := range commands {
		if c[1] != "" {
			l := b.lines(strings.TrimPrefix(c[2], "streaming?"))
			m.Put("sim", trade("SIM:AAPL", 26, 22813, t0))
			var got, shown map[string]any
			line := regexp.MustCompile(`(?m)^{"f":"t".*$`).FindString(string(doc))
			if json.Unmarshal([]byte(l.next()), &got) != nil || json.Unmarshal([]byte(line), &shown) != nil ||
				!maps.EqualFunc(got, shown, func(a, b any) bool { return fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b) }) {
				t.Errorf("got %v, shown is %v", got, shown)
			}
			continue
		}
		var got map[string]any
		if b.udf(c[2], &got); got["s"] == "error" {
			t.Errorf("%s: got %v", c[2], got)
		}
	}
	for _, f := range regexp.MustCompile(`\x60([a-z]+_[a-z_]+)\x60`).FindAllStringSubmatch(string(doc), -1) {
		var s, c map[string]json.RawMessage
		b.udf("symbols?symbol=ALPACA:MSFT", &s)
		b.udf("config", &c)
		if s[f[1]] == nil && c[f[1]] == nil && f[1] != "unknown_symbol" && f[1] != "public_url" {
			t.Errorf("the member %s is nowhere", f[1])
		}
	}
}
