package binance

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const now = 1_795_000_000 * market.Second

func decimal(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sameDecimal compares digits, not numbers.
func sameDecimal() cmp.Option {
	return cmp.Comparer(func(a, b market.Decimal) bool { return a == b })
}

// open returns a session that carries BTCUSDT and ETHUSDT, and has said what it says first.
func open(t testing.TB, kinds venue.Kinds, aggregated bool) (*session, *venue.Output) {
	t.Helper()
	s := newSession(kinds, aggregated, []venue.Instrument{
		{Native: "BTCUSDT", Symbol: "BINANCE:BTC-USDT"}, {Native: "ETHUSDT", Symbol: "BINANCE:ETH-USDT"},
	})
	out := new(venue.Output)
	if err := s.Opened(out); err != nil {
		t.Fatal(err)
	}
	return s, out
}

func texts(list [][]byte) []string {
	var all []string
	for _, b := range list {
		all = append(all, string(b))
	}
	return all
}

// say gives messages to the session, and leaves its readings of the venue's clock out.
func say(t testing.TB, s *session, out *venue.Output, messages ...string) {
	t.Helper()
	for _, msg := range messages {
		if err := s.Message([]byte(msg), now, out); err != nil {
			t.Fatalf("%s: %v", msg, err)
		}
	}
	out.Entries = slices.DeleteFunc(out.Entries, func(e market.Entry) bool { return e.Kind == market.KindHeartbeat })
}

func TestReadsTheClockOnceASecond(t *testing.T) {
	s, out := open(t, venue.Trades, false)
	for i := range market.Time(10) {
		msg := fmt.Sprintf(`{"e":"trade","E":%d,"s":"BTCUSDT","t":%d,"p":"1","q":"1","T":1789295134000,"m":false}`, 1789295134226+i, 100+i)
		if err := s.Message([]byte(msg), now+i*market.Second/4, out); err != nil {
			t.Fatal(err)
		}
	}
	var got []market.Time
	for _, e := range out.Entries {
		if e.Kind == market.KindHeartbeat {
			got = append(got, e.Event)
		}
	}
	if diff := cmp.Diff([]market.Time{1789295134_226_000_000, 1789295134_230_000_000, 1789295134_234_000_000}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSubscribes(t *testing.T) {
	for name, c := range map[string]struct {
		kinds      venue.Kinds
		aggregated bool
		want       []string
	}{
		"trades and quotes": {venue.Trades | venue.Quotes, false, []string{
			`{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@bookTicker","ethusdt@trade","ethusdt@bookTicker"],"id":1}`,
			`{"method":"UNSUBSCRIBE","params":["ethusdt@trade","ethusdt@bookTicker"],"id":2}`,
		}},
		"quotes":            {venue.Quotes, false, []string{`{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","ethusdt@bookTicker"],"id":1}`, `{"method":"UNSUBSCRIBE","params":["ethusdt@bookTicker"],"id":2}`}},
		"aggregated trades": {venue.Trades, true, []string{`{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","ethusdt@aggTrade"],"id":1}`, `{"method":"UNSUBSCRIBE","params":["ethusdt@aggTrade"],"id":2}`}},
	} {
		s, out := open(t, c.kinds, c.aggregated)
		if err := s.Unsubscribe([]venue.Instrument{{Native: "ETHUSDT", Symbol: "BINANCE:ETH-USDT"}}, out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, texts(out.Send)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestLongListsAreSaidInParts keeps to 200 streams a message.
func TestLongListsAreSaidInParts(t *testing.T) {
	list := make([]venue.Instrument, symbolsPerLine)
	for i := range list {
		list[i] = venue.Instrument{Native: fmt.Sprintf("A%dUSDT", i), Symbol: market.Symbol(fmt.Sprintf("BINANCE:A%d-USDT", i))}
	}
	var out venue.Output
	s := newSession(venue.Trades|venue.Quotes, false, list)
	if err := s.Opened(&out); err != nil {
		t.Fatal(err)
	}
	streams := make(map[string]bool)
	for i, msg := range out.Send {
		var m struct {
			Params []string `json:"params"`
			ID     int      `json:"id"`
		}
		if err := json.Unmarshal(msg, &m); err != nil || len(m.Params) > 200 || m.ID != i+1 {
			t.Fatalf("%d streams, %v: %s", len(m.Params), err, msg)
		}
		for _, p := range m.Params {
			streams[p] = true
		}
	}
	if len(streams) != 2*len(list) || len(streams) > 1024 {
		t.Errorf("%d streams on a connection", len(streams))
	}
	for id := range out.Send {
		say(t, s, &out, fmt.Sprintf(`{"result":null,"id":%d}`, id+1))
	}
	if len(out.Taken) != len(list) {
		t.Errorf("%d of %d symbols are acknowledged", len(out.Taken), len(list))
	}
}

func TestAnswers(t *testing.T) {
	taken := []market.Symbol{"BINANCE:BTC-USDT", "BINANCE:ETH-USDT"}
	refused := func(reason string) []venue.Refusal {
		return []venue.Refusal{{Symbol: taken[0], Reason: reason}, {Symbol: taken[1], Reason: reason}}
	}
	for msg, c := range map[string]struct {
		taken   []market.Symbol
		refused []venue.Refusal
		unused  map[string]int
	}{
		`{"result":null,"id":1}`:                                                                          {taken: taken},
		`{"id":1,"result":null}`:                                                                          {taken: taken},
		`{"result":["btcusdt@trade"],"id":99}`:                                                            {},
		`{"code":2,"msg":"Invalid request: unknown variant","id":1}`:                                      {refused: refused("the venue answers: Invalid request: unknown variant")},
		`{"error":{"code":2,"msg":"Invalid request"},"id":1}`:                                             {refused: refused("the venue answers: Invalid request")},
		`{"error":"no","id":1}`:                                                                           {refused: refused("the venue answers: no")},
		`{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}`:                              {refused: refused("the venue answers: Invalid JSON: expected value at line 1 column 1")},
		`{"code":0,"msg":"Unknown property","id":5}`:                                                      {unused: map[string]int{"venue_error": 1}},
		`{"stream":"x","data":{"e":"kline","E":1672515782136,"s":"BNBBTC","k":{"t":1672515780000}}}`:      {unused: map[string]int{"unknown_type": 1}},
		`{"e":"blockTrade","E":1772506983582,"s":"BNBBTC","t":582,"p":"0.052","q":"5838","T":1772506983}`: {unused: map[string]int{"unknown_type": 1}},
		`{}`: {unused: map[string]int{"unknown_type": 1}},
	} {
		s, out := open(t, venue.Trades, false)
		say(t, s, out, msg)
		if diff := cmp.Diff(c.taken, out.Taken); diff != "" {
			t.Errorf("%s: taken (-want +got):\n%s", msg, diff)
		}
		if diff := cmp.Diff(c.refused, out.Refused); diff != "" {
			t.Errorf("%s: refused (-want +got):\n%s", msg, diff)
		}
		if diff := cmp.Diff(c.unused, out.Unusable); diff != "" {
			t.Errorf("%s: left out (-want +got):\n%s", msg, diff)
		}
	}
}

// TestAnUnclearErrorRefusesNobody: of several messages that are not answered yet, one without an id may be of any.
func TestAnUnclearErrorRefusesNobody(t *testing.T) {
	s, out := open(t, venue.Trades, false)
	if err := s.Subscribe([]venue.Instrument{{Native: "X", Symbol: "BINANCE:X-Y"}}, out); err != nil {
		t.Fatal(err)
	}
	say(t, s, out, `{"code":3,"msg":"Invalid JSON"}`)
	if len(out.Refused) != 0 || out.Unusable["venue_error"] != 1 {
		t.Errorf("got %+v", out)
	}
}

// TestKeysThatDifferByCaseOnly gives each of a pair another value, in either order.
func TestKeysThatDifferByCaseOnly(t *testing.T) {
	want := []market.Entry{{
		Kind: market.KindTrade, Symbol: "BINANCE:BTC-USDT", Side: market.SideBuy, ID: 388510, Price: decimal(t, "76745.19000000"),
		Size: decimal(t, "0.00065000"), Event: 1789295134_225_000_000, Received: now,
	}}
	for _, msg := range []string{
		`{"stream":"btcusdt@trade","data":{"e":"trade","E":1789295134226,"s":"BTCUSDT","t":388510,"p":"76745.19000000","q":"0.00065000","T":1789295134225,"m":false,"M":true}}`,
		`{"e":"trade","M":true,"m":false,"T":1789295134225,"q":"0.00065000","p":"76745.19000000","t":388510,"s":"BTCUSDT","E":1789295134226,"P":"1","Q":"2","S":"ETHUSDT","a":1,"b":2}`,
		`{"data":{"E":1789295134226000,"e":"trade","s":"BTCUSDT","t":388510,"p":"76745.19000000","q":"0.00065000","T":1789295134225000,"m":false},"stream":"btcusdt@trade"}`,
	} {
		s, out := open(t, venue.Trades|venue.Quotes, false)
		say(t, s, out, msg)
		if diff := cmp.Diff(want, out.Entries, sameDecimal()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", msg, diff)
		}
	}
}

func TestAggregatedTrades(t *testing.T) {
	const msg = `{"e":"aggTrade","E":1781416576889,"s":"BTCUSDT","a":3988316038,"p":"64348.95000000","q":"0.00009000","f":6407186253,"l":6407186255,"T":1781416576889,"m":true,"M":true}`
	s, out := open(t, venue.Trades, true)
	say(t, s, out, msg)
	want := []market.Entry{{
		Kind: market.KindTrade, Symbol: "BINANCE:BTC-USDT", Side: market.SideSell, ID: 3988316038, Price: decimal(t, "64348.95000000"),
		Size: decimal(t, "0.00009000"), Event: 1781416576_889_000_000, Received: now,
	}}
	if diff := cmp.Diff(want, out.Entries, sameDecimal()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A trade is on the tape once: single ones and aggregated ones do not mix.
	s, out = open(t, venue.Trades, false)
	say(t, s, out, msg)
	if len(out.Entries) != 0 || out.Unusable["unknown_type"] != 1 {
		t.Errorf("got %+v", out)
	}
}

func TestTradesThatCannotBeUsed(t *testing.T) {
	good := `{"e":"trade","s":"BTCUSDT","t":388510,"p":"76745.19","q":"0.5","T":1789295134225,"m":false}`
	for change, reason := range map[string]string{
		`"t":388510|"t":0`:             "bad_trade",
		`"t":388510|"t":-1`:            "bad_trade",
		`"t":388510|"t":1.5`:           "bad_trade",
		`"t":388510|"x":1`:             "bad_trade",
		`"p":"76745.19"|"p":"NaN"`:     "bad_trade",
		`"p":"76745.19"|"p":"0.00"`:    "bad_trade",
		`"p":"76745.19"|"p":"-1"`:      "bad_trade",
		`"p":"76745.19"|"p":{}`:        "bad_trade",
		`"q":"0.5"|"q":"0.-10000"`:     "bad_trade",
		`"q":"0.5"|"q":null`:           "bad_trade",
		`"s":"BTCUSDT"|"s":"btcusdt"`:  "unknown_symbol",
		`"s":"BTCUSDT"|"S":"BTCUSDT"`:  "unknown_symbol",
		`"e":"trade"|"e":"Trade"`:      "unknown_type",
		`"e":"trade"|"E":1789295134`:   "unknown_type",
		`"m":false|"M":false`:          "",
		`"T":1789295134225|"T":0`:      "",
		`"T":1789295134225|"T":12345`:  "",
		`"T":1789295134225|"T":"soon"`: "",
	} {
		from, to, _ := strings.Cut(change, "|")
		msg := strings.Replace(good, from, to, 1)
		s, out := open(t, venue.Trades|venue.Quotes, false)
		say(t, s, out, msg)
		if reason != "" {
			if len(out.Entries) != 0 || out.Unusable[reason] != 1 || len(out.Unusable) != 1 {
				t.Errorf("%s: got %+v, want %s", msg, out, reason)
			}
			continue
		}
		if len(out.Entries) != 1 || len(out.Unusable) != 0 {
			t.Errorf("%s: got %+v", msg, out)
			continue
		}
		e := out.Entries[0]
		if strings.Contains(to, "M") != (e.Side == market.SideNone) {
			t.Errorf("%s: side %v", msg, e.Side)
		}
		if strings.Contains(to, "T") && (e.Event != now || e.Flags != market.FlagNoEventTime) {
			t.Errorf("%s: of %v, flags %b", msg, e.Event, e.Flags)
		}
	}
}

// TestQuotes takes them in the order of their updates, at the time of their arrival.
func TestQuotes(t *testing.T) {
	s, out := open(t, venue.Quotes, false)
	quote := func(symbol string, update int, bid string) string {
		return fmt.Sprintf(`{"u":%d,"s":%q,"b":%q,"B":"8.74206000","a":"76745.19000000","A":"12.06313000"}`, update, symbol, bid)
	}
	say(t, s, out,
		quote("BTCUSDT", 10, "76745.18000000"), quote("BTCUSDT", 12, "2"), quote("BTCUSDT", 11, "3"), quote("BTCUSDT", 12, "4"), quote("ETHUSDT", 5, "5"),
		`{"stream":"btcusdt@bookTicker","data":`+quote("BTCUSDT", 13, "0.00000000")+`}`,
		quote("XRPUSDT", 1, "1"), quote("BTCUSDT", 14, "-1"), quote("BTCUSDT", 15, "x"),
		`{"u":16,"s":"BTCUSDT","b":"0.0","B":"0","a":"0","A":"0"}`)
	var got []string
	for _, e := range out.Entries {
		if e.Event != now || e.Received != now || e.Flags != market.FlagNoEventTime || e.Kind != market.KindQuote {
			t.Errorf("got %+v", e)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Symbol, e.Price, e.Size, e.Ask, e.AskSize))
	}
	want := []string{
		"BINANCE:BTC-USDT 76745.18000000 8.74206000 76745.19000000 12.06313000",
		"BINANCE:BTC-USDT 2 8.74206000 76745.19000000 12.06313000",
		"BINANCE:ETH-USDT 5 8.74206000 76745.19000000 12.06313000",
		"BINANCE:BTC-USDT 0.00000000 8.74206000 76745.19000000 12.06313000",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"old_quote": 2, "bad_quote": 3, "unknown_symbol": 1}, out.Unusable); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestAnnouncesItsEnd(t *testing.T) {
	for _, msg := range []string{
		`{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}`, `{"e":"serverShutdown","E":1770123456789}`,
	} {
		s, out := open(t, venue.Trades, false)
		say(t, s, out, msg)
		if out.Drain == "" {
			t.Errorf("%s: nothing follows", msg)
		}
	}
}

func TestNotJSON(t *testing.T) {
	for _, msg := range []string{``, `{`, `[]`, `{"e":"trade","s":"BTCUSDT"} x`, `{"e":"trade","t":01}`, `null`} {
		s, out := open(t, venue.Trades, false)
		if err := s.Message([]byte(msg), now, out); !errors.Is(err, venue.ErrJSON) || len(out.Entries) != 0 {
			t.Errorf("%s: %v", msg, err)
		}
	}
}

func TestNames(t *testing.T) {
	v, err := New(Options{Venue: "BUS"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]venue.Instrument{
		"BTC-USDT":  {Native: "BTCUSDT", Symbol: "BUS:BTC-USDT"},
		"btc/usdt":  {Native: "BTCUSDT", Symbol: "BUS:BTC-USDT"},
		"1inch_try": {Native: "1INCHTRY", Symbol: "BUS:1INCH-TRY"},
	} {
		got, err := v.Name(name)
		if diff := cmp.Diff(want, got, sameDecimal()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for name, listing := range map[string]bool{
		"BTCUSDT": true, "": false, "-": false, "BTC-": false, "BTC-USD-T": false, "BTC\"USDT": false, "币安-USDT": false,
		strings.Repeat("A", 60) + "-USD": false,
	} {
		if in, err := v.Name(name); err == nil || errors.Is(err, venue.ErrListing) != listing {
			t.Errorf("%q: %+v, %v", name, in, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for url, want := range map[string][2]string{
		"":                                    {"wss://data-stream.binance.vision/ws?timeUnit=MICROSECOND", "https://data-api.binance.vision"},
		"wss://stream.binance.com:9443":       {"wss://stream.binance.com:9443/ws?timeUnit=MICROSECOND", "https://api.binance.com"},
		"wss://stream.binance.us:9443":        {"wss://stream.binance.us:9443/ws", "https://api.binance.us"},
		"wss://stream.testnet.binance.vision": {"wss://stream.testnet.binance.vision/ws?timeUnit=MICROSECOND", "https://testnet.binance.vision"},
		"ws://127.0.0.1:9000/stream":          {"ws://127.0.0.1:9000/stream", "http://127.0.0.1:9000"},
		"wss://data-stream.binance.vision/ws?timeUnit=MILLISECOND": {"wss://data-stream.binance.vision/ws?timeUnit=MILLISECOND", "https://data-api.binance.vision"},
		"wss://notbinance.com/": {"wss://notbinance.com/ws", "https://notbinance.com"},
	} {
		v, err := New(Options{URL: url})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		address, header := v.Endpoint(venue.Trades)
		if got := [2]string{address, v.rest}; got != want || header != nil {
			t.Errorf("%s: got %v, want %v", url, got, want)
		}
	}
	for _, o := range []Options{{URL: "https://x"}, {URL: "x"}, {URL: "ws://"}, {URL: "ws://%"}, {REST: "ftp://x"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
