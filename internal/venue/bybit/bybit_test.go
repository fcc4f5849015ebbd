package bybit

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		options      Options
		stream, rest string
	}{
		{Options{}, "wss://stream.bybit.com/v5/public/spot", "https://api.bybit.com"},
		{Options{Category: "Linear"}, "wss://stream.bybit.com/v5/public/linear", "https://api.bybit.com"},
		{Options{URL: "wss://stream-testnet.bybit.com", Category: "inverse"}, "wss://stream-testnet.bybit.com/v5/public/inverse", "https://api-testnet.bybit.com"},
		{Options{URL: "wss://stream.bybit.kz"}, "wss://stream.bybit.kz/v5/public/spot", "https://api.bybit.kz"},
		{Options{URL: "ws://127.0.0.1:1/x", REST: "http://127.0.0.1:2/"}, "ws://127.0.0.1:1/x", "http://127.0.0.1:2"},
		{Options{URL: "ws://127.0.0.1:1"}, "ws://127.0.0.1:1/v5/public/spot", "http://127.0.0.1:1"},
	} {
		v, err := New(test.options)
		if err != nil {
			t.Fatal(err)
		}
		if stream, _ := v.Endpoint(venue.Trades); stream != test.stream || v.rest != test.rest {
			t.Errorf("%+v: got %s, %s", test.options, stream, v.rest)
		}
	}
	for _, o := range []Options{{URL: "http://x"}, {URL: "::"}, {REST: "ws://x"}, {Category: "option"}, {Tickers: true}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct{ category, name, native, symbol string }{
		{"spot", "btc/usdt", "BTCUSDT", "BYBIT:BTC-USDT"},
		{"spot", "BTC-3L", "BTC3L", "BYBIT:BTC-3L"},
		{"linear", "BTC-USDT", "BTCUSDT", "BYBIT:BTC-USDT"},
		{"linear", "btc-perp", "BTCPERP", "BYBIT:BTC-PERP"},
		{"linear", "BTC-26DEC25", "BTC-26DEC25", "BYBIT:BTC-26DEC25"},
		{"inverse", "BTC-USD", "BTCUSD", "BYBIT:BTC-USD"},
	} {
		v, err := New(Options{Category: test.category})
		if err != nil {
			t.Fatal(err)
		}
		in, err := v.Name(test.name)
		if err != nil || in.Native != test.native || string(in.Symbol) != test.symbol {
			t.Errorf("%s: got %+v, %v", test.name, in, err)
		}
		if _, err := v.Name("BTCUSDT"); !errors.Is(err, venue.ErrListing) {
			t.Errorf("got %v, want that only the listing tells", err)
		}
		for _, name := range []string{"", "-", "BTC-", "B TC-USDT", `B"-C`, strings.Repeat("A", 70) + "-B"} {
			if _, err := v.Name(name); err == nil || errors.Is(err, venue.ErrListing) {
				t.Errorf("%q: got %v, want an error about the name", name, err)
			}
		}
	}
	linear, err := New(Options{Category: "linear"})
	if err != nil {
		t.Fatal(err)
	}
	list, next, err := linear.Listing().Page(linear.Listing().First(nil), &venue.Reply{Status: 200, Body: []byte(`{"retCode":0,"result":{"list":[
		{"symbol":"BTCPERP","baseCoin":"BTC","quoteCoin":"USDC","status":"Trading"},{"symbol":"BTC-26DEC25","baseCoin":"BTC","quoteCoin":"USDC","status":"PreLaunch"},
		{"symbol":"1000PEPEUSDT","baseCoin":"1000PEPE","quoteCoin":"USDT","status":"Trading"},{"symbol":"a b"},{}],"nextPageCursor":"x%26y"}}`)}, nil)
	if err != nil || next == nil || !strings.Contains(next.URL, "cursor=x%2526y") {
		t.Fatalf("got next %+v, %v", next, err)
	}
	var got []string
	for _, in := range list {
		got = append(got, fmt.Sprint(in.Native, " ", in.Symbol, " ", in.Resting))
		if named, err := linear.Name(in.Symbol.Name()); err != nil || named.Native != in.Native {
			t.Errorf("%s is %s by its name, %v", in.Native, named.Native, err)
		}
	}
	if diff := cmp.Diff([]string{"BTCPERP BYBIT:BTC-PERP false", "BTC-26DEC25 BYBIT:BTC-26DEC25 true", "1000PEPEUSDT BYBIT:1000PEPE-USDT false"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, again, err := linear.Listing().Page(next, &venue.Reply{Status: 200, Body: []byte(`{"retCode":0,"result":{"list":[],"nextPageCursor":"x%26y"}}`)}, nil); again != nil || err != nil {
		t.Errorf("a cursor that does not move: got next %v, %v", again, err)
	}
}

// say gives messages to a session.
func say(t *testing.T, s venue.Session, out *venue.Output, messages ...string) {
	t.Helper()
	for _, msg := range messages {
		if err := s.Message([]byte(msg), received, out); err != nil {
			t.Fatalf("%s: %v", msg, err)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var instruments []venue.Instrument
	for i := range 12 {
		in, err := v.Name(fmt.Sprintf("C%d-USDT", i))
		if err != nil {
			t.Fatal(err)
		}
		instruments = append(instruments, in)
	}
	s := v.Session(venue.Trades|venue.Quotes, instruments)
	var out venue.Output
	if err := s.Opened(&out); err != nil {
		t.Fatal(err)
	}
	if len(out.Send) != 3 || string(out.Send[2]) != `{"req_id":"3","op":"subscribe","args":["publicTrade.C10USDT","orderbook.1.C10USDT","publicTrade.C11USDT","orderbook.1.C11USDT"]}` {
		t.Fatalf("got %s", out.Send)
	}
	out.Reset()
	say(t, s, &out,
		`{"success":true,"ret_msg":"subscribe","conn_id":"a","req_id":"3","op":"subscribe"}`,
		// Without an id: the words name one of the second request's, and not C1USDT. The other four are asked for again.
		`{"success":false,"ret_msg":"Invalid symbol :[publicTrade.C7USDT]","conn_id":"a","op":"subscribe"}`,
		// It names none: each is asked for alone.
		`{"success":false,"ret_msg":"error:handler not found","conn_id":"a","req_id":"1","op":"subscribe"}`,
	)
	if diff := cmp.Diff([]market.Symbol{"BYBIT:C10-USDT", "BYBIT:C11-USDT"}, out.Taken); diff != "" {
		t.Errorf("taken (-want +got)\n%s", diff)
	}
	if len(out.Refused) != 1 || out.Refused[0].Symbol != "BYBIT:C7-USDT" {
		t.Errorf("got refused %+v", out.Refused)
	}
	var sent []string
	for _, msg := range out.Send {
		sent = append(sent, string(msg))
	}
	if len(sent) != 6 || strings.Count(sent[0], "publicTrade") != 4 || strings.Contains(sent[0], "C7USDT") || strings.Count(sent[5], "publicTrade.C4USDT") != 1 {
		t.Errorf("got %s", sent)
	}
	out.Reset()
	say(t, s, &out,
		`{"success":false,"ret_msg":"error:already subscribed,topic:publicTrade.C6USDT","conn_id":"a","req_id":"4","op":"subscribe"}`,
		`{"success":false,"ret_msg":"Invalid symbol","conn_id":"a","req_id":"5","op":"subscribe"}`,
		`{"success":false,"ret_msg":"error:already subscribed,topic:publicTrade.C1USDT","conn_id":"a","req_id":"6","op":"subscribe"}`,
		`{"success":true,"ret_msg":"pong","conn_id":"a","req_id":"ping","op":"ping"}`,
	)
	if len(out.Refused) != 1 || out.Refused[0].Symbol != "BYBIT:C0-USDT" || len(out.Send) != 4 {
		t.Errorf("got refused %+v and %d messages", out.Refused, len(out.Send))
	}
	if diff := cmp.Diff([]market.Symbol{"BYBIT:C1-USDT"}, out.Taken); diff != "" {
		t.Errorf("taken (-want +got)\n%s", diff)
	}
	out.Reset()
	if err := s.Unsubscribe(instruments[10:11], &out); err != nil || !strings.Contains(string(out.Send[0]), `"op":"unsubscribe","args":["publicTrade.C10USDT","orderbook.1.C10USDT"]`) {
		t.Errorf("got %s, %v", out.Send, err)
	}
	say(t, s, &out, `{"topic":"publicTrade.C10USDT","type":"snapshot","data":[{}]}`, `{"success":false,"ret_msg":"x","req_id":"99","op":"subscribe"}`)
	if diff := cmp.Diff(map[string]int{"unknown_symbol": 1, "venue_error": 1}, out.Unusable); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for second := range market.Time(10) {
		if err := s.Second(received+second*market.Second, &out); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.Send) != 4 || string(out.Send[3]) != `{"req_id":"ping","op":"ping"}` {
		t.Errorf("got %s, want 3 pings in 10 s", out.Send)
	}
}

func TestBooks(t *testing.T) {
	s := carrying(t, false, "X")
	var out venue.Output
	book := func(kind, bids, asks string, u int) string {
		return fmt.Sprintf(`{"topic":"orderbook.1.X","ts":1789299668914,"type":%q,"data":{"s":"X","b":[%s],"a":[%s],"u":%d,"seq":1},"cts":1789299665782}`, kind, bids, asks, u)
	}
	say(t, s, &out,
		book("delta", `["1","2"]`, ``, 4), // nothing to add it to
		book("snapshot", `["27994.60","1"]`, `["27994.80","2"]`, 5),
		book("snapshot", `["27994.60","1"]`, `["27994.80","2"]`, 5), // again after 3 s
		book("delta", `["27994.60","0"],["27991.70","0.777"]`, `["27994.40","0.058"],["27994.80","0"]`, 6),
		book("delta", `["27991.7","0"]`, ``, 7),
		book("delta", `["x","1"]`, ``, 8),
		book("delta", `["1","1"]`, ``, 9), // after what could not be read
		book("snapshot", `["3","1"]`, `["4","-1"]`, 10),
		book("snapshot", `["3","1"]`, `["4","1"]`, 1), // the venue began anew
		book("snapshot", ``, ``, 2),
	)
	_, quotes := ticks(out.Entries)
	var got []string
	for _, q := range quotes {
		got = append(got, q.Price+" x "+q.Size+" / "+q.Ask+" x "+q.AskSize)
	}
	want := []string{"27994.60 x 1 / 27994.80 x 2", "27991.70 x 0.777 / 27994.40 x 0.058", "0 x 0 / 27994.40 x 0.058", "3 x 1 / 4 x 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"delta_without_snapshot": 2, "old_quote": 1, "bad_quote": 3}, out.Unusable); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := out.Entries[0].Event; got != 1789299665782*venue.Milliseconds {
		t.Errorf("got %s, want the engine's time", got)
	}
}

func TestWhatCannotBeUsed(t *testing.T) {
	s := carrying(t, false, "X")
	var out venue.Output
	say(t, s, &out,
		`{"topic":"publicTrade.X","type":"snapshot","data":[{"i":"1","T":1789299670888,"p":"NaN","v":"1","S":"Buy"},{"i":"","T":1,"p":"1","v":"1"},{"i":"0a","T":0,"p":"1","v":"1.50","S":"Sell","BT":true,"RPI":true}]}`,
		`{"topic":"kline.1.X","data":[]}`, `{"topic":"publicTrade.X","data":{}}`, `{}`,
		`{"data":[{"i":"7","T":1789299670888,"p":"1","v":"1","RPI":true}],"topic":"publicTrade.X"}`,
	)
	if diff := cmp.Diff(map[string]int{"bad_trade": 2, "unknown_type": 3}, out.Unusable); diff != "" || out.Lost == "" {
		t.Errorf("lost %q (-want +got)\n%s", out.Lost, diff)
	}
	if len(out.Entries) != 2 || out.Entries[0].Ref != "0a" || out.Entries[0].Conditions != "BT,RPI" || out.Entries[0].Flags != market.FlagNoEventTime || out.Entries[1].ID != 7 || out.Entries[1].Conditions != "RPI" {
		t.Errorf("got %+v", out.Entries)
	}
	for _, msg := range []string{"", "pong", "[]", `{"topic":"publicTrade.X","data":[{"i":"7","T":1789299670888,"p":"1","v":"1"},]}`, `{"topic":"orderbook.1.X","type":"snapshot","data":{"b":[1]}}`, `{"topic":"tickers.X","type":"snapshot","data":{"bid1Price":}}`} {
		before := len(out.Entries)
		if err := s.Message([]byte(msg), received, &out); err == nil || len(out.Entries) != before {
			t.Errorf("%s: got %v and %d entries, want an error and none", msg, err, len(out.Entries)-before)
		}
	}
}

func TestHoles(t *testing.T) {
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := v.Name("BTC-USDT")
	if err != nil {
		t.Fatal(err)
	}
	at := func(id uint64, ref string, ms market.Time) market.Entry {
		return market.Entry{Kind: market.KindTrade, ID: id, Ref: ref, Event: ms * venue.Milliseconds}
	}
	row := func(name string, ms int) string {
		return fmt.Sprintf(`{"execId":%q,"symbol":"BTCUSDT","price":"2.50","size":"1","side":"Sell","time":"%d","isBlockTrade":false}`, name, ms)
	}
	numbered := row("120", 1005) + "," + row("117", 1005) + "," + row("110", 1000)
	named := row("c-c", 1005) + "," + row("b-b", 1005) + "," + row("a-a", 1005)
	for name, test := range map[string]struct {
		after    market.Entry
		rows     string
		complete bool
	}{
		"the last one is there":   {at(110, "", 1000), numbered, true},
		"one before it":           {at(115, "", 1005), numbered, true},
		"by time":                 {at(130, "", 1004), numbered, true},
		"too short":               {at(105, "", 999), numbered, false},
		"same time, lower number": {at(105, "", 1000), numbered, false},
		"by name":                 {at(0, "b-b", 1005), named, true},
		"name not there":          {at(0, "z-z", 1005), named, false},
		"nothing known":           {market.Entry{}, numbered, false},
		"nothing there":           {at(1, "", 1), "", false},
	} {
		h := venue.Hole{Instrument: in, After: test.after, Now: received}
		req := v.History().First(&h)
		if req == nil || req.URL != "https://api.bybit.com/v5/market/recent-trade?category=spot&limit=60&symbol=BTCUSDT" {
			t.Fatalf("got request %+v", req)
		}
		body := `{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[` + test.rows + `]},"time":1}`
		entries, next, complete, err := v.History().Page(&h, req, &venue.Reply{Status: 200, Body: []byte(body)}, nil)
		if err != nil || next != nil || complete != test.complete || test.rows != "" && len(entries) != 3 {
			t.Errorf("%s: got %d entries, next %v, complete %v, %v", name, len(entries), next, complete, err)
		}
		for _, e := range entries {
			if e.Flags != market.FlagBackfilled || e.Symbol != "BYBIT:BTC-USDT" {
				t.Errorf("%s: got %+v", name, e)
			}
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := venue.Hole{}
	for _, test := range []struct {
		status int
		body   string
		later  bool
		want   string
	}{
		{403, "access too frequent", true, "403"},
		{429, "", true, "429"},
		{200, `{"retCode":10006,"retMsg":"Too many visits!","result":{}}`, true, "10006"},
		{200, `{"retCode":10001,"retMsg":"params error: symbol invalid","result":{},"time":1}`, false, "10001"},
		{200, `{"retCode":0,"result":{}}`, false, "list"},
		{200, `{"result":{"list":[]}}`, false, "code"},
		{200, `{"retCode":0,"result":{"list":{}}}`, false, "JSON"},
		{200, `<html>`, false, "JSON"},
		{503, `<html>`, false, "503"},
	} {
		entries, next, complete, err := v.History().Page(&h, &venue.Request{}, &venue.Reply{Status: test.status, Body: []byte(test.body)}, nil)
		var retry *venue.RetryError
		if err == nil || errors.As(err, &retry) != test.later || !strings.Contains(err.Error(), test.want) || next != nil || complete || len(entries) != 0 {
			t.Errorf("%d %s: got %v, next %v", test.status, test.body, err, next)
		}
	}
}

const (
	spotMessage   = `{"topic":"publicTrade.BTCUSDT","ts":1789299670925,"type":"snapshot","data":[{"i":"2100000000188691533","T":1789299670888,"p":"77140.5","v":"0.000078","S":"Sell","seq":2189232212,"s":"BTCUSDT","BT":false,"RPI":false}]}`
	linearMessage = `{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1781415763023,"data":[{"T":1781415763021,"s":"BTCUSDT","S":"Sell","v":"0.001","p":"64345.20","L":"MinusTick","i":"35319862-77a2-5ebe-851b-3836573c4fe9","BT":false,"RPI":false,"seq":598180439295}]}`
)

// TestTradesDoNotAllocate: but for the name of a contract's trade, which the tape keeps.
func TestTradesDoNotAllocate(t *testing.T) {
	s := carrying(t, false, "BTCUSDT")
	var out venue.Output
	for msg, want := range map[string]float64{spotMessage: 0, linearMessage: 1} {
		if n := testing.AllocsPerRun(100, func() {
			out.Reset()
			if err := s.Message([]byte(msg), received, &out); err != nil || len(out.Entries) != 1 {
				t.Fatal(err, len(out.Entries))
			}
		}); n > want+1 { // the conversion of the message is one
			t.Errorf("got %v allocations a trade, want %v", n-1, want)
		}
	}
}

func BenchmarkTrades(b *testing.B) {
	for name, msg := range map[string]string{"spot": spotMessage, "linear": linearMessage} {
		b.Run(name, func(b *testing.B) {
			s := carrying(b, false, "BTCUSDT")
			var out venue.Output
			msg := []byte(msg)
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				out.Reset()
				if err := s.Message(msg, received, &out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trades/s")
		})
	}
}

// FuzzMessage gives any bytes to a session: no panic, and nothing comes out that is no tick.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		spotMessage, linearMessage, `{"success":true,"ret_msg":"","req_id":"1","op":"subscribe"}`, `{"success":false,"ret_msg":"Invalid symbol :[orderbook.1.BTCUSDT]","op":"subscribe"}`,
		`{"topic":"orderbook.1.BTCUSDT","type":"snapshot","data":{"b":[["1","2"]],"a":[["3","4"]],"u":5}}`,
		`{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"bid1Price":"1","bid1Size":"","ask1Price":"2","ask1Size":"3"},"ts":1}`,
	} {
		f.Add([]byte(seed), []byte(strings.Replace(seed, "snapshot", "delta", 1)))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := carrying(t, true, "BTCUSDT")
		var out venue.Output
		_ = s.Message(first, received, &out)
		_ = s.Message(second, received, &out)
		for i := range out.Entries {
			e := &out.Entries[i]
			if !e.IsTick() || e.Symbol != "BYBIT:BTCUSDT" || e.Event <= 0 || e.Price.Sign() < 0 || e.Size.Sign() < 0 || e.Kind == market.KindTrade && (e.Price.IsZero() || e.ID == 0 && e.Ref == "") {
				t.Errorf("a tick that is none: %+v", e)
			}
		}
	})
}

// FuzzPage gives any bytes as answers of the REST API.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"retCode":0,"result":{"list":[{"execId":"7","price":"2.50","size":"1","side":"Sell","time":"1005"}]}}`))
	f.Add([]byte(`{"retCode":0,"result":{"list":[{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","priceFilter":{"tickSize":"0.1"},"lotSizeFilter":{"qtyStep":"1"}}],"nextPageCursor":"x"}}`))
	v, err := New(Options{Category: "linear"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h := venue.Hole{Instrument: venue.Instrument{Native: "BTCUSDT", Symbol: "BYBIT:BTC-USDT"}, After: market.Entry{Kind: market.KindTrade, Ref: "a", Event: 1}, Now: received}
		got := &venue.Reply{Status: 200, Body: body}
		entries, next, complete, err := v.History().Page(&h, &venue.Request{}, got, nil)
		if err != nil && (len(entries) > 0 || complete) || next != nil {
			t.Errorf("got %d entries, next %v, complete %v with %v", len(entries), next, complete, err)
		}
		_, _, _ = v.Listing().Page(&venue.Request{}, got, nil)
	})
}
