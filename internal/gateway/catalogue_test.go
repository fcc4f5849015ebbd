package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// fixedCatalogue is what venues list in a test.
type fixedCatalogue []Instrument

func (c fixedCatalogue) Each(yield func(*Instrument) bool) {
	for i := range c {
		if !yield(&c[i]) {
			return
		}
	}
}

func (c fixedCatalogue) Find(s market.Symbol) (Instrument, bool) {
	for _, in := range c {
		if in.Symbol == s {
			return in, true
		}
	}
	return Instrument{}, false
}

func listedMarket(t *testing.T) *bench {
	t.Helper()
	return serve(t, filled(), func(o *Options) {
		o.Catalogue = fixedCatalogue{
			{Symbol: "COINBASE:BTC-USD", Feed: "coinbase", Tick: dec("0.00001"), Lot: dec("0.00000001")},
			{Symbol: "COINBASE:ETH-USD", Feed: "coinbase", Tick: dec("0.0100"), Lot: dec("0.001")},
			{Symbol: "COINBASE:WBTC-USD", Feed: "coinbase", Resting: true},
			{Symbol: "CME:ESZ6", Feed: "cme", Tick: dec("0.25")},
		}
	})
}

// A search finds what venues list as well, marked, behind what ticks came of.
func TestSymbolSearch(t *testing.T) {
	b := listedMarket(t)
	type row struct {
		Symbol, Feed, State string
		Carried             bool
		Decimals            int
		Tick, Lot           *json.Number
		Resting             bool
	}
	for query, want := range map[string][]string{
		"?query=btc":               {"COINBASE:BTC-USD coinbase unknown true 4 0.00001 0.00000001 false", "COINBASE:WBTC-USD coinbase unknown false 0 null null true"},
		"?query=eth/usd":           {"COINBASE:ETH-USD coinbase unknown false 2 0.0100 0.001 false"},
		"?query=btc&limit=1":       {"COINBASE:BTC-USD coinbase unknown true 4 0.00001 0.00000001 false"},
		"?query=nothing":           nil,
		"?query=eth&at=2024-01-02": nil, // what venues list is of now
	} {
		code, _, body := b.get("/v1/symbols" + query)
		var got struct{ Symbols []row }
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
			t.Fatalf("%s: %d %s: %v", query, code, body, err)
		}
		var lines []string
		for _, r := range got.Symbols {
			number := func(n *json.Number) string {
				if n == nil {
					return "null"
				}
				return n.String()
			}
			lines = append(lines, fmt.Sprint(r.Symbol, " ", r.Feed, " ", r.State, " ", r.Carried, " ", r.Decimals, " ", number(r.Tick), " ", number(r.Lot), " ", r.Resting))
		}
		if strings.Join(lines, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", query, strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	}
	// Without a search there is what ticks came of only.
	if _, _, body := b.get("/v1/symbols"); strings.Contains(body, "ETH-USD") || !strings.Contains(body, `"tick":0.00001`) {
		t.Errorf("got %s", body)
	}
	for _, query := range []string{"?limit=3", "?query=x&limit=0", "?query=x&limit=1001", "?query=" + strings.Repeat("X", 200)} {
		if code, _, body := b.get("/v1/symbols" + query); code != 400 {
			t.Errorf("%s: got %d %s", query, code, body)
		}
	}
}

// The charting library finds what is listed, and gets the step of its price.
func TestUDFOfListed(t *testing.T) {
	b := listedMarket(t)
	if _, _, body := b.get("/udf/search?query=eth"); !strings.Contains(body, `"ticker":"COINBASE:ETH-USD","type":"crypto"`) || !strings.Contains(body, "ETH-USD (listed, not carried)") {
		t.Errorf("got %s", body)
	}
	for symbol, want := range map[string]string{
		"COINBASE:ETH-USD": `"minmov":1,"minmove2":0,"fractional":false,"pricescale":100,"volume_precision":3`,
		"cme:esz6":         `"minmov":25,"minmove2":0,"fractional":false,"pricescale":100,"volume_precision":0`,
		"COINBASE:BTC-USD": `"minmov":1,"minmove2":0,"fractional":false,"pricescale":100000,"volume_precision":8`,
	} {
		if _, _, body := b.get("/udf/symbols?symbol=" + symbol); !strings.Contains(body, want) {
			t.Errorf("%s: got %s", symbol, body)
		}
	}
	if _, _, body := b.get("/udf/history?symbol=CME:ESZ6&resolution=1&from=0&to=2000000000"); !strings.Contains(body, `"s":"no_data"`) {
		t.Errorf("got %s", body)
	}
	if _, _, body := b.get("/udf/symbols?symbol=CME:NQZ6"); !strings.Contains(body, unknownSymbol) {
		t.Errorf("got %s", body)
	}
}

// However much is listed, a search keeps the best only.
func TestSearchIsBounded(t *testing.T) {
	var c fixedCatalogue
	for i := range 20_000 {
		c = append(c, Instrument{Symbol: market.Symbol(fmt.Sprintf("X:N%05d", 19_999-i))})
	}
	b := serve(t, newMemTape(), func(o *Options) { o.Catalogue = c })
	found := b.g.search("N", 3, func(market.Symbol) bool { return true })
	if len(found) != 3 || found[0].symbol != "X:N00000" || found[2].symbol != "X:N00002" {
		t.Errorf("got %v", found)
	}
}

func BenchmarkSearch(b *testing.B) {
	var c fixedCatalogue
	for i := range 10_000 {
		c = append(c, Instrument{Symbol: market.Symbol(fmt.Sprintf("BINANCE:C%d-USDT", i))})
	}
	g := serve(b, newMemTape(), func(o *Options) { o.Catalogue = c }).g
	for b.Loop() {
		g.search("USDT", 50, func(market.Symbol) bool { return true })
	}
}
