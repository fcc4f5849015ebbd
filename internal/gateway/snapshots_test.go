package gateway

import (
	"errors"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// TestSnapshots looks at the answers as they are on the wire.
func TestSnapshots(t *testing.T) {
	m := filled()
	m.Put("sim", quote("SIM:QUOTED", 1, t0))
	b := serve(t, m, nil)
	m.Put("sim", market.Status{Symbol: "SIM:TOLD", State: market.StateHalted, Event: t0}.Entry())
	b.until(func() bool { id, _, _ := b.g.hub.find("SIM:TOLD"); return id != 0 })
	const (
		aapl = `"latestTrade":{"i":25,"p":187.24,"s":100,"t":"2026-11-23T14:42:00Z","c":[],"tks":"B","seq":25,"r":"2026-11-23T14:42:00.001Z"},` +
			`"latestQuote":{"bp":187.41,"bs":3,"ap":187.43,"as":2,"t":"2026-11-23T14:42:00.000000001Z","c":[],"seq":25,"r":"2026-11-23T14:42:00.001000001Z"},` +
			`"minuteBar":{"o":187.24,"h":187.24,"l":187.24,"c":187.24,"v":100,"t":"2026-11-23T14:42:00Z","n":1,"vw":187.24},` +
			`"dailyBar":{"o":187.00,"h":187.24,"l":187.00,"c":187.24,"v":2500,"t":"2026-11-23T00:00:00Z","n":25,"vw":187.12}}`
		btc = `"latestTrade":{"i":99,"p":28165.4700,"s":0.00000100,"t":"2026-11-23T14:30:00Z","x":"C","c":["@","I"],"z":"C","tks":"S","seq":1,"r":"2026-11-23T14:30:00.001Z"},` +
			`"minuteBar":{"o":28165.4700,"h":28165.4700,"l":28165.4700,"c":28165.4700,"v":0.00000100,"t":"2026-11-23T14:30:00Z","n":1,"vw":28165.47},` +
			`"dailyBar":{"o":28165.4700,"h":28165.4700,"l":28165.4700,"c":28165.4700,"v":0.00000100,"t":"2026-11-23T00:00:00Z","n":1,"vw":28165.47}}`
		quoted = `"latestQuote":{"bp":187.41,"bs":3,"ap":187.43,"as":2,"t":"2026-11-23T14:30:00Z","c":[],"seq":1,"r":"2026-11-23T14:30:00.001Z"}}`
		bar    = `{"o":187.24,"h":187.24,"l":187.24,"c":187.24,"v":100,"t":"2026-11-23T14:42:00Z","n":1,"vw":187.24}`
	)
	for path, want := range map[string]string{
		"/v2/stocks/SIM:AAPL/snapshot":                        `{"symbol":"SIM:AAPL",` + aapl,
		"/v2/stocks/BTC%2FUSD/snapshot?feed=sip&currency=USD": `{"symbol":"BTC/USD",` + btc,
		"/v2/stocks/TOLD/snapshot":                            `{"symbol":"TOLD"}`,
		"/v2/stocks/snapshots?symbols=aapl,TOLD,QUOTED":       `{"aapl":{` + aapl + `,"TOLD":{},"QUOTED":{` + quoted + `}`,
		"/v1beta3/crypto/us/snapshots?symbols=BTC/USD":        `{"snapshots":{"BTC/USD":{` + btc + `}}`,
		"/v2/stocks/AAPL/bars/latest":                         `{"symbol":"AAPL","bar":` + bar + `}`,
		"/v2/stocks/QUOTED/bars/latest?feed=iex":              `{"symbol":"QUOTED","bar":null}`,
		"/v2/stocks/bars/latest?symbols=QUOTED,SIM:AAPL,TOLD": `{"bars":{"SIM:AAPL":` + bar + `}}`,
		"/v1beta3/crypto/us/latest/bars?symbols=QUOTED":       `{"bars":{}}`,
		"/v1beta3/crypto/us/latest/quotes?symbols=BTC/USD":    `{"quotes":{}}`,
	} {
		code, h, body := b.get(path)
		if code != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: got %d %s\nwant %s", path, code, body, want)
		}
		if got := h.Get(AdjustmentHeader); (got == "raw") != (strings.Contains(path, "bars") || strings.Contains(path, "snapshot")) {
			t.Errorf("%s: adjustment %q", path, got)
		}
		if got, err := tape.ParseCursor(h.Get(CursorHeader)); (err == nil) != strings.Contains(path, "bars") || err == nil && got.Position > 34 {
			t.Errorf("%s: cursor %+v, %v", path, got, err)
		}
	}
	b.history.mu.Lock()
	b.history.fail = errors.New("secret/path.db: disk I/O error")
	b.history.mu.Unlock()
	for _, path := range []string{
		// What is newest now is known without history, what was newest at a moment is not.
		"/v2/stocks/AAPL/snapshot?at=2024-01-02", "/v2/stocks/snapshots?symbols=AAPL&at=2024-01-02", "/v1beta3/crypto/us/snapshots?symbols=BTC/USD&at=2024-01-02",
		"/v2/stocks/AAPL/bars/latest?at=2024-01-02", "/v2/stocks/bars/latest?symbols=AAPL&at=2024-01-02", "/v2/stocks/trades?symbols=AAPL&format=csv",
		"/v2/stocks/AAPL/bars?timeframe=1Min&format=csv",
	} {
		code, h, body := b.get(path)
		if code != 500 || strings.Contains(body, "secret") || h.Get("Content-Type") != "application/problem+json" || h.Get("Content-Disposition") != "" {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
}

// TestRefusedReads are questions that are refused, beside those of TestBadRequests.
func TestRefusedReads(t *testing.T) {
	b := serve(t, filled(), nil)
	for path, want := range map[string]string{
		"/v2/stocks/snapshots":                                         "400 must name symbols",
		"/v2/stocks/snapshots?symbols=NOPE":                            "404 no such symbol",
		"/v2/stocks/snapshots?symbols=MSFT":                            "400 ALPACA:MSFT",
		"/v2/stocks/APL/snapshot":                                      "404 SIM:AAPL",
		"/v2/stocks/AAPL/snapshot?limit=1":                             "400 not known here",
		"/v2/stocks/bars/latest?symbols=AAPL,":                         "404 no such symbol",
		"/v2/stocks/AAPL/bars?timeframe=1Min&adjustment=":              "400 raw, split",
		"/v2/stocks/AAPL/bars?timeframe=1Min&adjustment=all,":          "400 raw, split",
		"/v2/stocks/AAPL/bars?timeframe=5Min&start=2261-01-01":         "400 from the year 1685",
		"/v2/stocks/AAPL/bars?timeframe=1Week&end=1680-01-01":          "400 from the year 1685",
		"/v2/stocks/AAPL/bars?timeframe=2Day":                          "400 at most 1",
		"/v2/stocks/AAPL/bars?timeframe=24Hour":                        "400 at most 23",
		"/v2/stocks/AAPL/trades?format=xml":                            "400 json, csv",
		"/v2/stocks/AAPL/trades?format=csv&format=csv":                 "400 only once",
		"/v2/stocks/AAPL/trades?format=csv&page_token=AAAA":            "400 not known here",
		"/v2/stocks/AAPL/trades?format=csv&limit=0":                    "400 whole number",
		"/v2/stocks/AAPL/trades?format=csv&limit=99999999999999999999": "400 whole number",
		"/v2/stocks/AAPL/bars?format=csv":                              "400 timeframe",
		"/v2/stocks/NOPE/bars?format=csv&timeframe=1Min":               "404 no such symbol",
		"/v1beta3/crypto/us/latest/bars?symbols=BTC/USD&format=csv":    "400 not known here",
		"/v1beta3/crypto/us/latest/orderbooks?symbols=BTC/USD":         "404 nothing at this address",
	} {
		status, text, _ := strings.Cut(want, " ")
		_, h, body := b.get(path)
		if !strings.Contains(body, `"status":`+status) || !strings.Contains(body, text) || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %s, want %s", path, body, want)
		}
		if h.Get("Content-Disposition") != "" || h.Get(AdjustmentHeader) != "" {
			t.Errorf("%s: headers of an answer that it is not: %v", path, h)
		}
	}
}
