package alpaca

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const key, secret = "PKTESTKEY", "s3cr3t-of-the-key"

func open(t testing.TB, change func(*Options)) *Venue {
	t.Helper()
	o := Options{Key: key, Secret: secret}
	if change != nil {
		change(&o)
	}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func named(t testing.TB, v *Venue, names ...string) []venue.Instrument {
	t.Helper()
	var list []venue.Instrument
	for _, name := range names {
		i, err := v.Name(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, i)
	}
	return list
}

// start returns a session that has logged in and asked for the symbols.
func start(t testing.TB, v *Venue, names ...string) (*session, *venue.Output) {
	t.Helper()
	s, ok := v.Session(venue.Trades|venue.Quotes, named(t, v, names...)).(*session)
	if !ok {
		t.Fatal("another session")
	}
	out := &venue.Output{}
	tell(t, s, out, `[{"T":"success","msg":"connected"}]`, `[{"T":"success","msg":"authenticated"}]`)
	return s, out
}

const now = market.Time(1_795_000_000_000_000_000)

func tell(t testing.TB, s venue.Session, out *venue.Output, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := s.Message([]byte(m), now, out); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
	}
}

func texts(list [][]byte) []string {
	var out []string
	for _, b := range list {
		out = append(out, string(b))
	}
	return out
}

func dec(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func instant(t testing.TB, s string) market.Time {
	t.Helper()
	v, err := market.ParseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sample reads a file of recorded messages, one a line.
func sample(t testing.TB, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "samples", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("recorded messages are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(b), []byte("\n"))
}

// read reads JSON in the way of the standard library, with the digits of numbers as they stand.
func read[T any](t testing.TB, text []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// text returns a value that must be a string.
func text(t testing.TB, v any) string {
	t.Helper()
	s, ok := v.(string)
	if !ok {
		t.Fatalf("%v is no string", v)
	}
	return s
}

func field[T any](o map[string]any, name string) T {
	v, _ := o[name].(T)
	return v
}

// tradeOf is what a trade of the venue must be on the tape, read another way.
func tradeOf(t testing.TB, symbol market.Symbol, received market.Time, o map[string]any) market.Entry {
	t.Helper()
	var codes []string
	for _, c := range field[[]any](o, "c") {
		codes = append(codes, text(t, c))
	}
	id, err := field[json.Number](o, "i").Int64()
	if err != nil {
		t.Fatal(err)
	}
	e := market.Entry{
		Kind: market.KindTrade, Symbol: symbol, Received: received, Event: instant(t, field[string](o, "t")), ID: uint64(id),
		Price: dec(t, field[json.Number](o, "p").String()), Size: dec(t, field[json.Number](o, "s").String()),
		Exchange: field[string](o, "x"), Conditions: strings.Join(codes, ","),
		Side: map[string]market.Side{"B": market.SideBuy, "S": market.SideSell}[field[string](o, "tks")],
	}
	if z := field[string](o, "z"); z != "" {
		e.Tape = z[0]
	}
	return e
}

func quoteOf(t testing.TB, symbol market.Symbol, o map[string]any) market.Entry {
	t.Helper()
	number := func(name string) market.Decimal { return dec(t, field[json.Number](o, name).String()) }
	e := market.Entry{
		Kind: market.KindQuote, Symbol: symbol, Received: now, Event: instant(t, field[string](o, "t")),
		Price: number("bp"), Size: number("bs"), Ask: number("ap"), AskSize: number("as"), Exchange: field[string](o, "bx"),
		Tape: field[string](o, "z")[0], Conditions: text(t, field[[]any](o, "c")[0]),
	}
	if ax := field[string](o, "ax"); ax != e.Exchange {
		e.AskFrom = ax
	}
	return e
}

// exactly compares digits as well: 1.0 is not 1.00.
func exactly() cmp.Option { return cmp.Comparer(func(a, b market.Decimal) bool { return a == b }) }

func TestRecordedStream(t *testing.T) {
	s, out := start(t, open(t, nil), "AAPL", "AMD", "EEM", "GOOGL", "IONM", "INAQU")
	s.carried["FAKEPACA"] = &carried{symbol: "ALPACA:FAKEPACA"}
	tell(t, s, out, `[{"T":"subscription","trades":["AAPL","AMD","EEM","GOOGL","IONM","INAQU"]}]`)
	out.Reset()
	var want []market.Entry
	trades := 0
	for _, line := range sample(t, "alpaca-live.jsonl") {
		items := read[[]map[string]any](t, line)
		if items[0]["T"] == "error" {
			continue
		}
		tell(t, s, out, string(line))
		for _, o := range items {
			symbol := market.Symbol("ALPACA:" + field[string](o, "S"))
			switch o["T"] {
			case "t":
				trades++
				want = append(want, tradeOf(t, symbol, now, o))
			case "q":
				want = append(want, quoteOf(t, symbol, o))
			case "c":
				at := instant(t, "2023-04-06T14:25:06.542305024Z")
				want = append(want, market.Entry{
					Kind: market.KindGap, Symbol: symbol, Event: at, Until: at, Received: now,
					Text: "the venue corrected trade 52983525033527 of M: 440000 at 39.1582 is 440000 at 39.1809 as trade 52983525034326",
				})
			case "x":
				at := instant(t, "2023-04-06T13:15:42.83540958Z")
				want = append(want, market.Entry{
					Kind: market.KindGap, Symbol: symbol, Event: at, Until: at, Received: now, Text: "the venue cancelled trade 465 of D: 300 at 105.31",
				})
			case "s":
				want = append(want, market.Entry{
					Kind: market.KindStatus, State: market.StateHalted, Symbol: symbol, Event: instant(t, "2021-02-22T19:15:00Z"), Received: now,
					Text: "Trading Halt: Trading Halted; For information requested by NASDAQ (T12)",
				})
			}
		}
	}
	if trades != 4 || len(want) != 9 {
		t.Fatalf("the file has %d trades and %d entries, want 4 and 9", trades, len(want))
	}
	if diff := cmp.Diff(want, out.Entries, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{"not_asked_for": 3, "trade_cancelled": 1, "trade_corrected": 1}, out.Unusable); diff != "" {
		t.Errorf("unusable, -want +got: %s", diff)
	}
}

func TestRecordedPacked(t *testing.T) {
	b, err := hex.DecodeString(string(sample(t, "alpaca-msgpack-DERIVED.hex")[0]))
	if err != nil {
		t.Fatal(err)
	}
	s, out := start(t, open(t, func(o *Options) { o.Feed = "test" }), "FAKEPACA")
	tell(t, s, out, string(b))
	want := []market.Entry{{
		Kind: market.KindTrade, Symbol: "ALPACA:FAKEPACA", ID: 1, Exchange: "N", Price: dec(t, "134.56"), Size: dec(t, "3"), Conditions: " ", Tape: 'A',
		Event: instant(t, "2026-09-15T11:01:53.291535755Z"), Received: now,
	}}
	if diff := cmp.Diff(want, out.Entries, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
}

func TestRecordedHistory(t *testing.T) {
	pages := 0
	for _, line := range sample(t, "alpaca-rest-fixtures.jsonl") {
		body := read[map[string]any](t, line)
		lists, ok := body["trades"].(map[string]any)
		if !ok {
			continue
		}
		for name, rows := range lists {
			list, ok := rows.([]any)
			if !ok {
				continue // the newest trade of each symbol, not a page
			}
			pages++
			v := open(t, func(o *Options) {
				if strings.Contains(name, "/") {
					o.Feed = "crypto"
				}
			})
			hole := &venue.Hole{Instrument: named(t, v, name)[0], After: market.Entry{Kind: market.KindTrade, Event: 1}, Now: now}
			h := v.History()
			asked := h.First(hole)
			got, next, complete, err := h.Page(hole, asked, &venue.Reply{Status: 200, Body: line}, nil)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			var want []market.Entry
			for _, row := range list {
				o, _ := row.(map[string]any)
				if u := o["u"]; u != "canceled" && u != "incorrect" {
					want = append(want, tradeOf(t, hole.Instrument.Symbol, 0, o))
				}
			}
			if diff := cmp.Diff(want, got, exactly()); diff != "" {
				t.Errorf("%s: -want +got: %s", name, diff)
			}
			token, _ := body["next_page_token"].(string)
			if complete != (token == "") || (next == nil) != (token == "") {
				t.Errorf("%s: complete is %v and next is %v, with the token %q", name, complete, next, token)
			}
			if next != nil && !strings.Contains(next.URL, "page_token=") {
				t.Errorf("%s: the next page is %s", name, next.URL)
			}
		}
	}
	if pages < 8 {
		t.Errorf("%d pages of trades in the file, want at least 8", pages)
	}
}

func TestLogin(t *testing.T) {
	v := open(t, nil)
	s := v.Session(venue.Trades, named(t, v, "AAPL", "BRK.B"))
	out := &venue.Output{}
	if err := s.Opened(out); err != nil || len(out.Send) != 0 {
		t.Fatalf("Opened sends %q, %v; the venue speaks first", out.Send, err)
	}
	tell(t, s, out, `[{"T":"success","msg":"connected"}]`, `[{"T":"success","msg":"authenticated"}]`)
	want := []string{
		`{"action":"auth","key":"PKTESTKEY","secret":"s3cr3t-of-the-key"}`,
		`{"action":"subscribe","trades":["AAPL","BRK.B"],"statuses":["AAPL","BRK.B"]}`,
	}
	if diff := cmp.Diff(want, texts(out.Send)); diff != "" || !out.Ready {
		t.Errorf("ready %v; -want +got: %s", out.Ready, diff)
	}
	tell(t, s, out, `[{"T":"subscription","trades":["AAPL","BRK.B"],"quotes":[],"bars":[]}]`)
	if diff := cmp.Diff([]market.Symbol{"ALPACA:AAPL", "ALPACA:BRK.B"}, out.Taken); diff != "" || len(out.Refused) != 0 {
		t.Errorf("refused %v; taken -want +got: %s", out.Refused, diff)
	}
	out.Reset()
	if err := s.Unsubscribe(named(t, v, "AAPL"), out); err != nil {
		t.Fatal(err)
	}
	tell(t, s, out, `[{"T":"t","S":"AAPL","i":1,"x":"V","p":1,"s":1,"t":"2026-11-23T14:30:00Z"}]`)
	if diff := cmp.Diff([]string{`{"action":"unsubscribe","trades":["AAPL"],"statuses":["AAPL"]}`}, texts(out.Send)); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	if len(out.Entries) != 0 || out.Unusable["not_asked_for"] != 1 {
		t.Errorf("got %v and %v of a symbol that was let go", out.Entries, out.Unusable)
	}
}

// TestLoginByHeader has the key in the handshake, in MessagePack.
func TestLoginByHeader(t *testing.T) {
	v := open(t, func(o *Options) { o.Header, o.Packed, o.Feed, o.URL = true, true, "crypto", "ws://127.0.0.1:1" })
	url, header := v.Endpoint(venue.Trades)
	if url != "ws://127.0.0.1:1/v1beta3/crypto/us" || header.Get("APCA-API-KEY-ID") != key || header.Get("APCA-API-SECRET-KEY") != secret ||
		header.Get("Content-Type") != "application/msgpack" {
		t.Errorf("the endpoint is %s %v", url, header)
	}
	s := v.Session(venue.Trades|venue.Quotes, named(t, v, "btc/usd", "ETH-USD"))
	out := &venue.Output{}
	tell(t, s, out, "\x91\x82\xa1T\xa7success\xa3msg\xa9connected", "\x91\x82\xa1T\xa7success\xa3msg\xadauthenticated")
	if len(out.Send) != 1 || out.Send[0][0] < 0x80 {
		t.Fatalf("sent %q", out.Send)
	}
	got, err := unpack(nil, out.Send[0])
	want := `{"action":"subscribe","trades":["BTC/USD","ETH/USD"],"quotes":["BTC/USD","ETH/USD"]}`
	if err != nil || string(got) != want {
		t.Errorf("sent %s, %v; want %s", got, err, want)
	}
	tell(t, s, out, `[{"T":"t","S":"BTC/USD","i":7,"p":61837.6300,"s":0.00000100,"tks":"S","t":"2026-11-23T14:30:00.5Z"}]`)
	entry := []market.Entry{{
		Kind: market.KindTrade, Symbol: "ALPACA:BTC-USD", ID: 7, Price: dec(t, "61837.6300"), Size: dec(t, "0.00000100"), Side: market.SideSell,
		Event: instant(t, "2026-11-23T14:30:00.5Z"), Received: now,
	}}
	if diff := cmp.Diff(entry, out.Entries, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
}

func TestErrors(t *testing.T) {
	for code, want := range map[string]string{
		"401": "again", "402": "refused", "403": "", "404": "again", "406": "retry", "407": "again", "408": "refused", "409": "refused",
		"411": "refused", "500": "again", "599": "again",
	} {
		s, out := start(t, open(t, nil), "AAPL")
		err := s.Message([]byte(`[{"T":"error","code":`+code+`,"msg":"no `+key+` for `+secret+`"}]`), now, out)
		var retry *venue.RetryError
		got := ""
		switch {
		case errors.Is(err, venue.ErrRefused):
			got = "refused"
		case errors.As(err, &retry):
			got = "retry"
			if retry.After < 10*time.Second || retry.After > 30*time.Second {
				t.Errorf("code %s: after %s, want 10 to 30 s", code, retry.After)
			}
		case err != nil:
			got = "again"
		}
		if got != want {
			t.Errorf("code %s: got %q (%v), want %q", code, got, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), secret)) {
			t.Errorf("code %s: %v tells the key", code, err)
		}
	}
}

// TestSymbolLimit has a venue that takes three symbols, and refuses messages with more as a whole.
func TestSymbolLimit(t *testing.T) {
	s, out := start(t, open(t, nil), "A", "B", "C", "D", "E", "F")
	taken := []string{}
	sent := out.Send[1:]
	for len(sent) > 0 {
		ask := read[map[string]any](t, sent[0])
		sent = sent[1:]
		out.Reset()
		names := field[[]any](ask, "trades")
		if len(taken)+len(names) > 3 {
			tell(t, s, out, `[{"T":"error","code":405,"msg":"symbol limit exceeded"}]`)
		} else {
			for _, n := range names {
				taken = append(taken, text(t, n))
			}
			list, err := json.Marshal(taken)
			if err != nil {
				t.Fatal(err)
			}
			tell(t, s, out, `[{"T":"subscription","trades":`+string(list)+`}]`)
		}
		for _, b := range out.Send {
			sent = append(sent, slices.Clone(b))
		}
		for _, r := range out.Refused {
			if !strings.Contains(r.Reason, "symbol limit exceeded") {
				t.Errorf("refused %s: %s", r.Symbol, r.Reason)
			}
		}
	}
	if diff := cmp.Diff([]string{"A", "B", "C"}, taken); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	if len(s.carried) != 3 || len(s.asked) != 0 {
		t.Errorf("%d symbols are carried, %d messages unanswered, want 3 and 0", len(s.carried), len(s.asked))
	}
}

func TestUnusable(t *testing.T) {
	const good = `{"T":"t","S":"AAPL","i":1,"x":"V","p":1.5,"s":1,"t":"2026-11-23T14:30:00Z"}`
	for message, want := range map[string]struct {
		entries int
		reason  string
		lost    bool
	}{
		`[` + good + `,{"T":"t","S":"AAPL","p":"NaN","s":1}]`:                          {1, "bad_trade", true},
		`[` + good + `,{"T":"t","S":"AAPL","p":-1,"s":1}]`:                             {1, "bad_trade", true},
		`[` + good + `,{"T":"t","S":"AAPL","p":1}]`:                                    {1, "bad_trade", true},
		`[` + good + `,{"T":"t","S":"AAPL","p":1,"s":1,"i":-4}]`:                       {1, "bad_trade", true},
		`[` + good + `,{"T":"q","S":"AAPL","bp":1,"bs":1,"ap":2}]`:                     {1, "bad_quote", false},
		`[` + good + `,{"T":"q","S":"ELSE","bp":1,"bs":1,"ap":2}]`:                     {1, "not_asked_for", false},
		`[` + good + `,{"T":"weather","S":"AAPL"}]`:                                    {1, "unknown_type", false},
		`[` + good + `,{"T":"s","S":"AAPL","sc":"5","t":"2026-11-23T14:30:00Z"}]`:      {1, "status_without_effect", false},
		`[` + good + `,{"T":"t","S":"AAPL","p":1.5,"s":1,"i":2,"t":"0001-01-01T00:00:`: {0, "malformed", true},
		`[` + good + `,{"T":"t","S":"AAPL","p":NaN,"s":1}]`:                            {0, "malformed", true},
		`{"T":"t"}`:                            {0, "malformed", true},
		"\x91\x82\xa1T\xa1t\xa1S":              {0, "malformed", true},
		"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00": {0, "malformed", true},
		`[` + good + `,{"T":"t","S":"AAPL","p":1.5,"s":1,"i":2,"t":"0001-01-01T00:00:00Z"}]`: {2, "", false},
	} {
		s, out := start(t, open(t, nil), "AAPL")
		out.Reset()
		err := s.Message([]byte(message), now, out)
		if (want.reason == "malformed") != (err != nil) {
			t.Errorf("%q: %v", message, err)
		}
		if err != nil {
			want.reason, want.lost = "", false // the connection ends, and all is looked at again
		}
		if len(out.Entries) != want.entries || (out.Lost != "") != want.lost || want.reason != "" && out.Unusable[want.reason] != 1 {
			t.Errorf("%q: %d entries, lost %q, unusable %v; want %+v", message, len(out.Entries), out.Lost, out.Unusable, want)
		}
		for _, e := range out.Entries {
			if e.Event != now && e.Flags != 0 || e.Event == now && e.Flags != market.FlagNoEventTime {
				t.Errorf("%q: event %s with flags %b", message, e.Event, e.Flags)
			}
		}
	}
}

func TestHalt(t *testing.T) {
	s, out := start(t, open(t, nil), "AAPL")
	tell(t, s, out,
		`[{"T":"s","S":"AAPL","sc":"P","sm":"Volatility Trading Pause","rc":"LUDP","t":"2026-11-23T14:30:00Z","z":"C"}]`,
		`[{"T":"s","S":"AAPL","sc":"Q","sm":"Quotation Resumption","t":"2026-11-23T14:34:00Z","z":"C"}]`,
		`[{"T":"s","S":"AAPL","sc":"T","sm":"Trading Resumption","t":"2026-11-23T14:35:00Z","z":"C"}]`)
	want := []market.Entry{
		market.Status{Symbol: "ALPACA:AAPL", State: market.StateHalted, Event: instant(t, "2026-11-23T14:30:00Z"), Reason: "Volatility Trading Pause (LUDP)"}.Entry(),
		market.Status{Symbol: "ALPACA:AAPL", State: market.StateLive, Event: instant(t, "2026-11-23T14:35:00Z")}.Entry(),
	}
	for i := range want {
		want[i].Received = now
	}
	if diff := cmp.Diff(want, out.Entries, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ feed, name, native, symbol string }{
		{"iex", "aapl", "AAPL", "ALPACA:AAPL"},
		{"sip", "BRK.B", "BRK.B", "ALPACA:BRK.B"},
		{"crypto", "btc-usd", "BTC/USD", "ALPACA:BTC-USD"},
		{"crypto", "BTC/USD", "BTC/USD", "ALPACA:BTC-USD"},
		{"test", "FAKEPACA", "FAKEPACA", "ALPACA:FAKEPACA"},
		{"iex", "BRK-B", "", ""},
		{"iex", "BTC/USD", "", ""},
		{"iex", "*", "", ""},
		{"iex", "", "", ""},
		{"crypto", "BTCUSD", "", ""},
		{"crypto", "BTC/USD/X", "", ""},
		{"test", "AAPL", "", ""},
	} {
		i, err := open(t, func(o *Options) { o.Feed = c.feed }).Name(c.name)
		if c.symbol == "" {
			if err == nil {
				t.Errorf("%s on %s is %+v, want an error", c.name, c.feed, i)
			}
			continue
		}
		if err != nil || i.Native != c.native || string(i.Symbol) != c.symbol {
			t.Errorf("%s on %s is %+v, %v; want %s, %s", c.name, c.feed, i, err, c.native, c.symbol)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"APCA_API_KEY_ID": {Key: "k"},
		"feed=":           {Key: "k", Secret: "s", Feed: "nyse"},
		"url=":            {Key: "k", Secret: "s", URL: "http://x"},
		"rest=":           {Key: "k", Secret: "s", REST: "ws://x"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q in it", o, err, want)
		}
	}
	v := open(t, nil)
	if url, _ := v.Endpoint(venue.Trades); url != "wss://stream.data.alpaca.markets/v2/iex" || v.rest != "https://data.alpaca.markets" {
		t.Errorf("the addresses are %s and %s", url, v.rest)
	}
	if open(t, func(o *Options) { o.Feed = "test" }).History() != nil {
		t.Error("the test stream has a history")
	}
}

func TestHistoryRequests(t *testing.T) {
	v := open(t, func(o *Options) { o.Feed, o.URL = "sip", "ws://127.0.0.1:9/v2/sip" })
	hole := &venue.Hole{
		Instrument: named(t, v, "BRK.B")[0], Now: now, After: market.Entry{Kind: market.KindTrade, Event: instant(t, "2026-11-17T14:30:00.000000001Z")},
	}
	h := v.History()
	r := h.First(hole)
	want := "http://127.0.0.1:9/v2/stocks/trades?end=" + strings.ReplaceAll(now.String(), ":", "%3A") +
		"&feed=sip&limit=10000&sort=asc&start=2026-11-17T14%3A30%3A00.000000001Z&symbols=BRK.B"
	if r.URL != want || r.Header.Get("APCA-API-KEY-ID") != key || strings.Contains(r.URL, key) {
		t.Errorf("asks %s, want %s", r.URL, want)
	}
	if h.First(&venue.Hole{Instrument: hole.Instrument, Now: now}) != nil {
		t.Error("asks for all there ever was")
	}
	page := func(status int, header, body string) error {
		t.Helper()
		reply := &venue.Reply{Status: status, Header: map[string][]string{"X-Ratelimit-Reset": {header}}, Body: []byte(body)}
		got, next, complete, err := h.Page(hole, r, reply, []market.Entry{{ID: 5}})
		if err != nil && (len(got) != 1 || next != nil || complete) {
			t.Errorf("%d %s: %d entries, next %v, complete %v besides %v", status, body, len(got), next, complete, err)
		}
		return err
	}
	var retry *venue.RetryError
	if err := page(429, "1795000007", "slow down"); !errors.As(err, &retry) || retry.After != 7*time.Second {
		t.Errorf("got %v, want to come back after 7 s", err)
	}
	if err := page(403, "", `{"message":"no `+secret+`"}`); !errors.Is(err, venue.ErrRefused) || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v, want that the venue refuses, without the key", err)
	}
	for _, body := range []string{
		"", "[]", `{"trades":{"BRK.B":[{"t":"2026-11-23T14:30:00Z","p":1}]}}`, `{"trades":{"BRK.B":[{"t":"?","p":1,"s":1}]}}`,
		`{"trades":{"BRK.B":[{"t":"2026-11-23T14:30:00Z","p":1,"s":1}]}`,
	} {
		if err := page(200, "", body); err == nil {
			t.Errorf("%q passes for a page", body)
		}
	}
	if err := page(500, "", ""); err == nil {
		t.Error("500 passes for a page")
	}
	// A token that leads to itself would be followed for ever.
	r.Cursor = "abc"
	if err := page(200, "", `{"trades":{},"next_page_token":"abc"}`); err == nil {
		t.Error("a page that is its own next one passes")
	}
}
