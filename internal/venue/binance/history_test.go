package binance

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func hole(t testing.TB, aggregated bool) (venue.History, *venue.Hole) {
	t.Helper()
	v, err := New(Options{URL: "ws://host:1", Aggregated: aggregated, Key: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return v.History(), &venue.Hole{
		Instrument: venue.Instrument{Native: "BTCUSDT", Symbol: "BINANCE:BTC-USDT"}, Now: now,
		After:  market.Entry{Kind: market.KindTrade, ID: 10, Event: now - market.Minute},
		Before: market.Entry{Kind: market.KindTrade, ID: 2000, Event: now},
	}
}

// rows writes a page with the trades from low to high.
func rows(low, high uint64) *venue.Reply {
	var b strings.Builder
	b.WriteByte('[')
	for id := low; id <= high; id++ {
		if id > low {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"price":"1.50","qty":"2.0","quoteQty":"3.0","time":%d,"isBuyerMaker":%v,"isBestMatch":true}`, id, 1794999990000+id, id%2 == 0)
	}
	b.WriteByte(']')
	return &venue.Reply{Status: http.StatusOK, Body: []byte(b.String())}
}

// address says a request without its host, in the order of the alphabet.
func address(t *testing.T, r *venue.Request) string {
	t.Helper()
	if r == nil {
		return "none"
	}
	u, err := url.Parse(r.URL)
	if err != nil || u.Host != "host:1" || r.Header.Get("X-MBX-APIKEY") != "secret" || strings.Contains(r.URL, "secret") {
		t.Fatalf("%+v, %v", r, err)
	}
	q, err := url.QueryUnescape(u.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/api/v3/") + "?" + q
}

func TestWalksByNumbers(t *testing.T) {
	hs, h := hole(t, false)
	asked := hs.First(h)
	if got, want := address(t, asked), "historicalTrades?fromId=11&limit=1000&symbol=BTCUSDT"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	list, next, complete, err := hs.Page(h, asked, rows(11, 1010), nil)
	if got, want := address(t, next), "historicalTrades?fromId=1011&limit=989&symbol=BTCUSDT"; got != want || complete || err != nil {
		t.Fatal(got, complete, err)
	}
	list, next, complete, err = hs.Page(h, next, rows(1011, 1999), list)
	if err != nil || !complete || next != nil || len(list) != 1989 {
		t.Fatal(len(list), next, complete, err)
	}
	want := market.Entry{
		Kind: market.KindTrade, Symbol: "BINANCE:BTC-USDT", ID: 16, Side: market.SideSell, Price: decimal(t, "1.50"), Size: decimal(t, "2.0"),
		Flags: market.FlagBackfilled, Event: 1794999990_016_000_000, Received: now,
	}
	if diff := cmp.Diff(want, list[5], sameDecimal()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBegins(t *testing.T) {
	for name, c := range map[string]struct {
		change            func(h *venue.Hole)
		single, aggregate string
	}{
		"after a trade": {
			func(h *venue.Hole) { h.Before = market.Entry{} },
			"historicalTrades?fromId=11&limit=1000&symbol=BTCUSDT", "aggTrades?fromId=11&limit=1000&symbol=BTCUSDT",
		},
		"a small hole":    {func(h *venue.Hole) { h.Before.ID = 13 }, "historicalTrades?fromId=11&limit=2&symbol=BTCUSDT", "aggTrades?fromId=11&limit=2&symbol=BTCUSDT"},
		"no hole":         {func(h *venue.Hole) { h.Before.ID = 11 }, "none", "none"},
		"before a trade":  {func(h *venue.Hole) { h.After = market.Entry{} }, "historicalTrades?fromId=1000&limit=1000&symbol=BTCUSDT", "aggTrades?fromId=1000&limit=1000&symbol=BTCUSDT"},
		"nothing is told": {func(h *venue.Hole) { h.After, h.Before = market.Entry{}, market.Entry{} }, "trades?limit=1000&symbol=BTCUSDT", "aggTrades?limit=1000&symbol=BTCUSDT"},
		"after a time": {
			func(h *venue.Hole) { h.After = market.Entry{Event: now - market.Hour} },
			"aggTrades?limit=1&startTime=1794996400000&symbol=BTCUSDT", "aggTrades?limit=1&startTime=1794996400000&symbol=BTCUSDT",
		},
	} {
		for aggregated, want := range map[bool]string{false: c.single, true: c.aggregate} {
			hs, h := hole(t, aggregated)
			c.change(h)
			if got := address(t, hs.First(h)); got != want {
				t.Errorf("%s: asked %s, want %s", name, got, want)
			}
		}
	}
}

// TestFromATimeToANumber goes by way of an aggregated trade, which says what single trades it is made of.
func TestFromATimeToANumber(t *testing.T) {
	const body = `[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27783,"T":1498793709153,"m":true,"M":true}]`
	for aggregated, want := range map[bool]string{
		false: "historicalTrades?fromId=27781&limit=1000&symbol=BTCUSDT", true: "aggTrades?fromId=26129&limit=1000&symbol=BTCUSDT",
	} {
		hs, h := hole(t, aggregated)
		h.After, h.Before = market.Entry{Event: now - market.Hour}, market.Entry{}
		list, next, complete, err := hs.Page(h, hs.First(h), &venue.Reply{Status: 200, Body: []byte(body)}, nil)
		if got := address(t, next); got != want || len(list) != 0 || complete || err != nil {
			t.Errorf("then asked %s; %d, %v, %v", got, len(list), complete, err)
		}
		if _, next, complete, err := hs.Page(h, hs.First(h), &venue.Reply{Status: 200, Body: []byte(`[]`)}, nil); next != nil || !complete || err != nil {
			t.Errorf("nothing was traded since: %v, %v, %v", next, complete, err)
		}
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(h *venue.Hole)
		reply    *venue.Reply
		complete bool
		more     bool
	}{
		"there is more":           {nil, rows(11, 1010), false, true},
		"its history is behind":   {nil, rows(11, 500), true, false},
		"up to now":               {func(h *venue.Hole) { h.Before = market.Entry{} }, rows(11, 500), true, false},
		"nothing since":           {func(h *venue.Hole) { h.Before = market.Entry{} }, rows(1, 0), true, false},
		"some are missing there":  {func(h *venue.Hole) { h.Before.ID = 101 }, rows(12, 100), true, false},
		"covered":                 {func(h *venue.Hole) { h.Before.ID = 101 }, rows(11, 100), true, false},
		"old ones":                {nil, rows(1, 10), true, false},
		"a full page of old ones": {func(h *venue.Hole) { h.After.ID, h.Before.ID = 5000, 9000 }, rows(1, 1000), false, false},
		"from when is not known":  {func(h *venue.Hole) { h.After = market.Entry{} }, rows(1000, 1999), false, false},
		"all there ever was":      {func(h *venue.Hole) { h.After, h.Before.ID = market.Entry{}, 900 }, rows(1, 899), true, false},
		"nothing at all is known": {func(h *venue.Hole) { h.After, h.Before = market.Entry{}, market.Entry{} }, rows(11, 1010), false, false},
		"one is not usable":       {func(h *venue.Hole) { h.Before.ID = 13 }, &venue.Reply{Status: 200, Body: []byte(`[{"id":11,"price":"NaN","qty":"1","time":1794999990000},{"id":12,"price":"1","qty":"1","time":1794999990000}]`)}, true, false},
	} {
		hs, h := hole(t, false)
		if c.change != nil {
			c.change(h)
		}
		_, next, complete, err := hs.Page(h, hs.First(h), c.reply, nil)
		if err != nil || complete != c.complete || (next != nil) != c.more {
			t.Errorf("%s: complete %v, next %v, %v", name, complete, next, err)
		}
	}
}

func TestErrorsOfREST(t *testing.T) {
	for name, c := range map[string]struct {
		reply   venue.Reply
		refused bool
		after   time.Duration
	}{
		"429":         {venue.Reply{Status: 429, Header: http.Header{"Retry-After": {"33"}}, Body: []byte(`{"code":-1003,"msg":"Too much request weight used."}`)}, false, 33 * time.Second},
		"banned":      {venue.Reply{Status: 418, Body: []byte(`{"code":-1003,"msg":"banned"}`)}, false, 2 * time.Minute},
		"firewall":    {venue.Reply{Status: 403, Body: []byte(`<html>`)}, false, 5 * time.Minute},
		"unknown":     {venue.Reply{Status: 400, Body: []byte(`{"code":-1121,"msg":"Invalid symbol."}`)}, true, 0},
		"no key":      {venue.Reply{Status: 401, Body: []byte(`{"code":-2014,"msg":"API-key format invalid."}`)}, true, 0},
		"not here":    {venue.Reply{Status: 451}, true, 0},
		"broken":      {venue.Reply{Status: 503, Body: []byte(`<html>`)}, false, 0},
		"no JSON":     {venue.Reply{Status: 200, Body: []byte(`<html>`)}, false, 0},
		"an object":   {venue.Reply{Status: 200, Body: []byte(`{"code":-1,"msg":"x"}`)}, false, 0},
		"ends early":  {venue.Reply{Status: 200, Body: rows(11, 20).Body[:300]}, false, 0},
		"no objects":  {venue.Reply{Status: 200, Body: []byte(`[1,2]`)}, false, 0},
		"not a thing": {venue.Reply{Status: 200}, false, 0},
	} {
		hs, h := hole(t, false)
		list, next, complete, err := hs.Page(h, hs.First(h), &c.reply, []market.Entry{{ID: 5}})
		after := time.Duration(0)
		if retry, ok := errors.AsType[*venue.RetryError](err); ok {
			after = retry.After
		}
		if err == nil || next != nil || complete || len(list) != 1 || errors.Is(err, venue.ErrRefused) != c.refused || after != c.after {
			t.Errorf("%s: %d entries, after %v, %v", name, len(list), after, err)
		}
	}
}

// TestRestsBeforeTheLimit goes slower when the minute's weight is nearly used.
func TestRestsBeforeTheLimit(t *testing.T) {
	for used, want := range map[string]bool{"": false, "x": false, "25": false, "4799": false, "4800": true, "5999": true} {
		hs, h := hole(t, false)
		reply := rows(11, 1010)
		reply.Header = http.Header{}
		reply.Header.Set("X-MBX-USED-WEIGHT-1M", used)
		if _, next, _, err := hs.Page(h, hs.First(h), reply, nil); err != nil || (next.Hold > 0) != want {
			t.Errorf("%q used: %v, %v", used, next, err)
		}
	}
}

const listed = `{"timezone":"UTC","symbols":[
	{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
		{"filterType":"PRICE_FILTER","minPrice":"0.01000000","maxPrice":"1000000.00000000","tickSize":"0.01000000"},
		{"filterType":"MARKET_LOT_SIZE","stepSize":"0.00000000"},
		{"filterType":"LOT_SIZE","stepSize":"0.00001000"}]},
	{"symbol":"SHIBTRY","status":"BREAK","baseAsset":"SHIB","quoteAsset":"TRY","filters":[{"filterType":"LOT_SIZE","stepSize":"100.00000000"}]},
	{"symbol":"币安人生USDT","status":"TRADING","baseAsset":"币安人生","quoteAsset":"USDT","filters":[]},
	{"status":"TRADING"}]}`

func TestLists(t *testing.T) {
	v, err := New(Options{URL: "ws://host:1", Key: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	l := v.Listing()
	first := l.First([]string{"btc-usdt", "SHIBTRY"})
	if got, want := address(t, first), `exchangeInfo?symbols=["BTCUSDT","SHIBTRY"]`; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	list, next, err := l.Page(first, &venue.Reply{Status: 200, Body: []byte(listed)}, nil)
	want := []venue.Instrument{
		{Native: "BTCUSDT", Symbol: "BINANCE:BTC-USDT", Tick: decimal(t, "0.01"), Lot: decimal(t, "0.00001")},
		{Native: "SHIBTRY", Symbol: "BINANCE:SHIB-TRY", Lot: decimal(t, "100"), Resting: true},
	}
	if diff := cmp.Diff(want, list, sameDecimal()); diff != "" || next != nil || err != nil {
		t.Errorf("%v, %v (-want +got):\n%s", next, err, diff)
	}

	// One unknown name is an error for all: then the whole list is asked for, and again without the parameter that not
	// every host knows.
	for _, want := range []string{"exchangeInfo?showPermissionSets=false", "exchangeInfo?"} {
		var got []venue.Instrument
		got, first, err = l.Page(first, &venue.Reply{Status: 400, Body: []byte(`{"code":-1121,"msg":"Invalid symbol."}`)}, list)
		if err != nil || len(got) != len(list) || address(t, first) != want {
			t.Fatalf("asked %+v, want %s; %v", first, want, err)
		}
	}
	if _, next, err := l.Page(first, &venue.Reply{Status: 400, Body: []byte(`{"code":-1121,"msg":"Invalid symbol."}`)}, nil); next != nil || !errors.Is(err, venue.ErrRefused) {
		t.Errorf("got %v, %v", next, err)
	}
	for _, names := range [][]string{nil, {"日本"}, make([]string, most+1)} {
		if got, want := address(t, l.First(names)), "exchangeInfo?showPermissionSets=false"; got != want {
			t.Errorf("%q: asked %s, want %s", names, got, want)
		}
	}
	for _, body := range []string{``, `{}`, `[]`, `{"symbols":{}}`, `{"symbols":[1]}`} {
		if _, _, err := l.Page(first, &venue.Reply{Status: 200, Body: []byte(body)}, nil); err == nil {
			t.Errorf("%s is taken for a list", body)
		}
	}
}
