package okx

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		options           Options
		trades, all, rest string
	}{
		{Options{}, "wss://ws.okx.com:8443/ws/v5/business", "wss://ws.okx.com:8443/ws/v5/public", "https://www.okx.com"},
		{Options{Aggregated: true}, "wss://ws.okx.com:8443/ws/v5/public", "wss://ws.okx.com:8443/ws/v5/public", "https://www.okx.com"},
		{Options{URL: "wss://wseea.okx.com:8443"}, "wss://wseea.okx.com:8443/ws/v5/business", "wss://wseea.okx.com:8443/ws/v5/public", "https://eea.okx.com"},
		{Options{URL: "ws://127.0.0.1:1/x/public", REST: "http://127.0.0.1:2/"}, "ws://127.0.0.1:1/x/business", "ws://127.0.0.1:1/x/public", "http://127.0.0.1:2"},
		{Options{URL: "ws://127.0.0.1:1"}, "ws://127.0.0.1:1/ws/v5/business", "ws://127.0.0.1:1/ws/v5/public", "http://127.0.0.1:1"},
	} {
		v, err := New(test.options)
		if err != nil {
			t.Fatal(err)
		}
		trades, _ := v.Endpoint(venue.Trades)
		all, _ := v.Endpoint(venue.Trades | venue.Quotes)
		if trades != test.trades || all != test.all || v.rest != test.rest {
			t.Errorf("%+v: got %s, %s, %s", test.options, trades, all, v.rest)
		}
	}
	for _, o := range []Options{{URL: "http://x"}, {URL: "::"}, {REST: "ws://x"}, {URL: "ws://x/y"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestNames(t *testing.T) {
	v, err := New(Options{Venue: "OKX-EU"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"btc-usdt": "BTC-USDT", "BTC/USDT": "BTC-USDT", "btc_usdt_swap": "BTC-USDT-SWAP", "BTC-USD-260327-40000-C": "BTC-USD-260327-40000-C",
	} {
		in, err := v.Name(name)
		if err != nil || in.Native != want || in.Symbol != market.Symbol("OKX-EU:"+want) {
			t.Errorf("%s: got %+v, %v", name, in, err)
		}
	}
	if _, err := v.Name("BTCUSDT"); !errors.Is(err, venue.ErrListing) {
		t.Errorf("got %v, want that only the listing tells", err)
	}
	for _, name := range []string{"", "BTC-", "BTC USDT", "BTC--USDT", `BTC"-USDT`, "ÄÖ-Ü", strings.Repeat("A-", 40) + "B"} {
		if _, err := v.Name(name); err == nil || errors.Is(err, venue.ErrListing) {
			t.Errorf("%q: got %v, want an error about the name", name, err)
		}
	}
}

// say gives a message to a session.
func say(t *testing.T, s venue.Session, out *venue.Output, msg string) {
	t.Helper()
	if err := s.Message([]byte(msg), received, out); err != nil {
		t.Fatalf("%s: %v", msg, err)
	}
}

func TestSubscriptions(t *testing.T) {
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var instruments []venue.Instrument
	for i := range 150 {
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
	if len(out.Send) != 2 || !strings.HasPrefix(string(out.Send[0]), `{"id":"1","op":"subscribe","args":[{"channel":"trades","instId":"C0-USDT"},`) {
		t.Fatalf("got %d messages: %.100s", len(out.Send), out.Send)
	}
	for _, msg := range out.Send {
		if len(msg) > 64<<10 {
			t.Errorf("a message of %d bytes", len(msg))
		}
	}
	out.Reset()
	say(t, s, &out, `{"id":"2","event":"subscribe","arg":{"channel":"trades","instId":"C149-USDT"},"connId":"a"}`)
	if len(out.Taken) != 0 {
		t.Errorf("got %v taken before its quotes were", out.Taken)
	}
	say(t, s, &out, `{"id":"2","event":"subscribe","arg":{"channel":"bbo-tbt","instId":"C149-USDT"},"connId":"a"}`)
	say(t, s, &out, `{"id":"2","event":"error","msg":"Wrong URL or channel:trades,instId:C148-USDT doesn't exist. Please use the correct URL.","code":"60018","connId":"a"}`)
	if diff := cmp.Diff([]market.Symbol{"OKX:C149-USDT"}, out.Taken); diff != "" {
		t.Errorf("taken (-want +got)\n%s", diff)
	}
	if len(out.Refused) != 1 || out.Refused[0].Symbol != "OKX:C148-USDT" || !strings.Contains(out.Refused[0].Reason, "doesn't exist") {
		t.Errorf("got refused %+v", out.Refused)
	}
	// What else the failed request was for is asked for anew: 48 of its 50.
	if len(out.Send) != 1 || strings.Count(string(out.Send[0]), `"bbo-tbt"`) != 48 || strings.Contains(string(out.Send[0]), "C149-") || strings.Contains(string(out.Send[0]), "C148-") {
		t.Errorf("got %s", out.Send)
	}
	say(t, s, &out, `{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a"}`)
	if !strings.Contains(out.Drain, "64008") {
		t.Errorf("got drain %q", out.Drain)
	}
	var retry *venue.RetryError
	if err := s.Message([]byte(`{"event":"error","msg":"Requests too frequent","code":"60014","connId":"a"}`), received, &out); !errors.As(err, &retry) {
		t.Errorf("got %v, want a pause", err)
	}
	if err := s.Message([]byte(`{"event":"error","msg":"Invalid request","code":"60012"}`), received, &out); err == nil || !strings.Contains(err.Error(), "60012") {
		t.Errorf("got %v, want the error", err)
	}
	out.Reset()
	if err := s.Unsubscribe(instruments[:1], &out); err != nil || string(out.Send[0]) !=
		`{"id":"4","op":"unsubscribe","args":[{"channel":"trades","instId":"C0-USDT"},{"channel":"bbo-tbt","instId":"C0-USDT"}]}` {
		t.Errorf("got %s, %v", out.Send, err)
	}
	say(t, s, &out, `{"arg":{"channel":"trades","instId":"C0-USDT"},"data":[]}`)
	if out.Unusable["unknown_symbol"] != 1 {
		t.Errorf("got %v", out.Unusable)
	}
}

func TestPings(t *testing.T) {
	s := carrying(t, venue.Trades, "BTC-USDT")
	var out venue.Output
	for second := range market.Time(10) {
		if err := s.Second(received+second*market.Second, &out); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.Send) != 3 || string(out.Send[0]) != "ping" {
		t.Errorf("got %s, want 3 pings in 10 s", out.Send)
	}
	out.Reset()
	say(t, s, &out, "pong")
	if len(out.Unusable) != 0 {
		t.Errorf("got %v", out.Unusable)
	}
}

func TestWhatCannotBeUsed(t *testing.T) {
	s := carrying(t, venue.Trades, "BTC-USDT")
	var out venue.Output
	say(t, s, &out, `{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"tradeId":"1","px":"NaN","sz":"1","side":"buy","ts":"1740394561685"},{"tradeId":"2","px":"1","sz":"0.-1","ts":"1"},{"tradeId":"x","px":"1","sz":"1"},{"tradeId":"3","px":"1","sz":"1","side":"sell","ts":"0"}]}`)
	say(t, s, &out, `{"arg":{"channel":"mark-price","instId":"BTC-USDT"},"data":[{"px":"1"}]}`)
	say(t, s, &out, `{"hello":1}`)
	say(t, s, &out, `{"data":[{"tradeId":"4","px":"1.50","sz":"1","side":"buy","ts":"1740394561685"}],"arg":{"instId":"BTC-USDT","channel":"trades-all"}}`)
	if diff := cmp.Diff(map[string]int{"bad_trade": 3, "unknown_type": 2}, out.Unusable); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(out.Entries) != 2 || out.Entries[0].ID != 3 || out.Entries[0].Flags != market.FlagNoEventTime || out.Entries[0].Event != received || out.Entries[1].Price.String() != "1.50" {
		t.Errorf("got %+v", out.Entries)
	}
	for _, msg := range []string{"", "pong!", `{"arg":{"channel":"trades-all","instId":"BTC-USDT"},"data":[{"tradeId":"9","px":"1","sz":"1","ts":"1"},{]}`, `{"arg":[]}`, "[]"} {
		before := len(out.Entries)
		if err := s.Message([]byte(msg), received, &out); err == nil || len(out.Entries) != before {
			t.Errorf("%s: got %v and %d entries, want an error and none", msg, err, len(out.Entries)-before)
		}
	}
}

// answer is a venue that has trades by number, and answers as OKX does.
func answer(t *testing.T, numbers []uint64, req *venue.Request) *venue.Reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, req.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	q := r.URL.Query()
	if r.URL.Path != "/api/v5/market/history-trades" || q.Get("type") != "1" || q.Get("instId") != "BTC-USDT" {
		t.Errorf("got request %s", req.URL)
	}
	var after uint64
	if s := q.Get("after"); s != "" {
		if _, err := fmt.Sscan(s, &after); err != nil {
			t.Fatal(err)
		}
	}
	var page []string
	for i := len(numbers) - 1; i >= 0 && len(page) < 100; i-- {
		if n := numbers[i]; after == 0 || n < after {
			page = append(page, fmt.Sprintf(`{"instId":"BTC-USDT","side":"sell","sz":"1","px":"2.50","tradeId":"%d","ts":"%d"}`, n, 1_700_000_000_000+n))
		}
	}
	return &venue.Reply{Status: 200, Body: []byte(`{"code":"0","msg":"","data":[` + strings.Join(page, ",") + `]}`)}
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
	var numbers []uint64
	for n := uint64(1000); n <= 1500; n++ {
		numbers = append(numbers, n)
	}
	at := func(id uint64) market.Entry {
		return market.Entry{Kind: market.KindTrade, ID: id, Event: market.Time(1_700_000_000_000+id) * venue.Milliseconds}
	}
	for name, test := range map[string]struct {
		after, before market.Entry
		pages         int
		lowest        uint64 // that comes
		complete      bool
	}{
		"between two":           {at(1100), at(1350), 3, 1050, true},
		"up to now":             {at(1390), market.Entry{}, 2, 1301, true},
		"no hole":               {at(1390), at(1391), 0, 0, false},
		"longer than it has":    {at(900), at(1050), 2, 1000, false},
		"only a time":           {market.Entry{Event: market.Time(1_700_000_001_450) * venue.Milliseconds}, at(1490), 1, 1390, true},
		"nothing known":         {market.Entry{}, market.Entry{}, 1, 1401, false},
		"only what comes after": {market.Entry{}, at(1200), 1, 1100, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := venue.Hole{Instrument: in, After: test.after, Before: test.before, Now: received}
			var entries []market.Entry
			complete, pages := false, 0
			for req := v.History().First(&h); req != nil; pages++ {
				if pages > 10 {
					t.Fatal("it does not end")
				}
				var err error
				entries, req, complete, err = v.History().Page(&h, req, answer(t, numbers, req), entries)
				if err != nil {
					t.Fatal(err)
				}
			}
			lowest := uint64(0)
			seen := make(map[uint64]bool)
			for _, e := range entries {
				if lowest == 0 || e.ID < lowest {
					lowest = e.ID
				}
				if seen[e.ID] || e.Flags&market.FlagBackfilled == 0 {
					t.Errorf("got %+v", e)
				}
				seen[e.ID] = true
			}
			if pages != test.pages || lowest != test.lowest || complete != test.complete {
				t.Errorf("got %d pages down to %d, complete %v; want %d, %d, %v", pages, lowest, complete, test.pages, test.lowest, test.complete)
			}
			for id := test.after.ID + 1; test.complete && test.before.ID != 0 && test.after.ID != 0 && id < test.before.ID; id++ {
				if !seen[id] {
					t.Errorf("trade %d is missing", id)
				}
			}
		})
	}
	aggregated, err := New(Options{Aggregated: true})
	if err != nil || aggregated.History() != nil || aggregated.Traits().Consecutive {
		t.Error("summed trades have a history")
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
		{429, "", true, "429"},
		{200, `{"code":"50011","msg":"Too Many Requests","data":[]}`, true, "50011"},
		{200, `{"code":"51001","msg":"Instrument ID doesn't exist","data":[]}`, false, "51001"},
		{200, `<html>`, false, "JSON"},
		{503, `<html>`, false, "503"},
		{200, `{"code":"0","data":{}}`, false, "JSON"},
		{200, `{"code":"0","data":[{"tradeId":}]}`, false, "JSON"},
	} {
		entries, next, complete, err := v.History().Page(&h, &venue.Request{}, &venue.Reply{Status: test.status, Body: []byte(test.body)}, nil)
		var retry *venue.RetryError
		if err == nil || errors.As(err, &retry) != test.later || !strings.Contains(err.Error(), test.want) || next != nil || complete || len(entries) != 0 {
			t.Errorf("%d %s: got %v, next %v", test.status, test.body, err, next)
		}
	}
}

func TestListing(t *testing.T) {
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for req := v.Listing().First([]string{"btc-usdt", "ETH/USDT", "BTC-USDT-SWAP", "BTC-USD-260327", "BTC-USD-260327-40000-C"}); req != nil; {
		asked = append(asked, strings.TrimPrefix(req.URL, "https://www.okx.com/api/v5/public/instruments?instType="))
		var err error
		if _, req, err = v.Listing().Page(req, &venue.Reply{Status: 200, Body: []byte(`{"code":"0","msg":"","data":[]}`)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"SPOT", "SWAP", "FUTURES", "OPTION&instFamily=BTC-USD"}, asked); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	list, _, err := v.Listing().Page(&venue.Request{}, &venue.Reply{Status: 200, Body: []byte(
		`{"code":"0","data":[{"instId":"A-B","tickSz":"0.10","lotSz":"","state":"suspend"},{"instId":"a b"},{"instId":7}]}`)}, nil)
	if err != nil || len(list) != 2 || !list[0].Resting || list[0].Tick.String() != "0.10" || !list[0].Lot.IsZero() || list[1].Native != "7" {
		t.Errorf("got %+v, %v", list, err)
	}
}

const tradeMessage = `{"arg":{"channel":"trades-all","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","tradeId":"2701364977","px":"64311.1","sz":"31.27","side":"buy","ts":"1781416584831","source":"0","seqId":323647402789}]}`

func TestTradesDoNotAllocate(t *testing.T) {
	s := carrying(t, venue.Trades, "BTC-USDT-SWAP")
	var out venue.Output
	msg := []byte(tradeMessage)
	if n := testing.AllocsPerRun(100, func() {
		out.Reset()
		if err := s.Message(msg, received, &out); err != nil || len(out.Entries) != 1 {
			t.Fatal(err, len(out.Entries))
		}
	}); n > 0 {
		t.Errorf("got %v allocations a trade, want 0", n)
	}
}

func BenchmarkTrades(b *testing.B) {
	s := carrying(b, venue.Trades, "BTC-USDT-SWAP")
	var out venue.Output
	msg := []byte(tradeMessage)
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		out.Reset()
		if err := s.Message(msg, received, &out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trades/s")
}

// FuzzMessage gives any bytes to a session: no panic, and nothing comes out that is no tick.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		tradeMessage, "pong", `{"event":"subscribe","id":"1","arg":{"channel":"trades-all","instId":"BTC-USDT-SWAP"}}`,
		`{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":[["8476.98","415","0","13"]],"bids":[],"ts":"1597026383085"}]}`,
		`{"id":"1","event":"error","msg":"channel:trades,instId:BTC-USDT-SWAP doesn't exist","code":"60018"}`, `{"event":"notice","code":"64008"}`,
		`{"data":[{"tradeId":"4","px":"1.50","sz":"1"}],"arg":{"instId":"BTC-USDT-SWAP","channel":"trades-all"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, kinds := range []venue.Kinds{venue.Trades, venue.Trades | venue.Quotes} {
			var out venue.Output
			s := carrying(t, kinds, "BTC-USDT-SWAP")
			_ = s.Message(msg, received, &out)
			_ = s.Message(msg, received, &out)
			for i := range out.Entries {
				e := &out.Entries[i]
				if !e.IsTick() || e.Symbol != "OKX:BTC-USDT-SWAP" || e.Event <= 0 || e.Price.Sign() < 0 || e.Size.Sign() < 0 || e.Kind == market.KindTrade && (e.Price.IsZero() || e.ID == 0) {
					t.Errorf("a tick that is none: %+v", e)
				}
			}
		}
	})
}

// FuzzPage gives any bytes as answers of the REST API.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"code":"0","msg":"","data":[{"instId":"BTC-USDT","side":"sell","sz":"1","px":"2.50","tradeId":"7","ts":"1747087163557"}]}`))
	f.Add([]byte(`{"code":"0","data":[{"instId":"A-B","tickSz":"0.10","lotSz":"1","state":"live"}]}`))
	v, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h := venue.Hole{Instrument: venue.Instrument{Native: "BTC-USDT", Symbol: "OKX:BTC-USDT"}, After: market.Entry{Kind: market.KindTrade, ID: 3, Event: 1}, Now: received}
		got := &venue.Reply{Status: 200, Body: body}
		entries, next, complete, err := v.History().Page(&h, &venue.Request{Cursor: uint64(9)}, got, nil)
		if err != nil && (len(entries) > 0 || next != nil) || complete && next != nil {
			t.Errorf("got %d entries, next %v, complete %v with %v", len(entries), next, complete, err)
		}
		_, _, _ = v.Listing().Page(&venue.Request{}, got, nil)
	})
}
