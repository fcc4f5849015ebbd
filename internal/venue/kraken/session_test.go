package kraken

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const now = 1_795_000_000 * market.Second

// open returns a session that carries BTC/USD and ETH/USD, and has said what it says first.
func open(t testing.TB, kinds venue.Kinds) (*session, *venue.Output) {
	t.Helper()
	s := newSession(kinds, []venue.Instrument{
		{Native: "BTC/USD", REST: "XBTUSD", Symbol: "KRAKEN:BTC-USD"}, {Native: "ETH/USD", REST: "ETHUSD", Symbol: "KRAKEN:ETH-USD"},
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

func say(t testing.TB, s *session, out *venue.Output, messages ...string) {
	t.Helper()
	for _, msg := range messages {
		if err := s.Message([]byte(msg), now, out); err != nil {
			t.Fatalf("%s: %v", msg, err)
		}
	}
}

func TestSubscribes(t *testing.T) {
	s, out := open(t, venue.Trades|venue.Quotes)
	if err := s.Unsubscribe([]venue.Instrument{{Native: "ETH/USD", Symbol: "KRAKEN:ETH-USD"}}, out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","ETH/USD"],"snapshot":true},"req_id":1}`,
		`{"method":"subscribe","params":{"channel":"ticker","event_trigger":"bbo","symbol":["BTC/USD","ETH/USD"],"snapshot":true},"req_id":2}`,
		`{"method":"unsubscribe","params":{"channel":"trade","symbol":["ETH/USD"]},"req_id":3}`,
		`{"method":"unsubscribe","params":{"channel":"ticker","event_trigger":"bbo","symbol":["ETH/USD"]},"req_id":4}`,
	}
	if diff := cmp.Diff(want, texts(out.Send)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLongListsAreSaidInParts(t *testing.T) {
	list := make([]venue.Instrument, 120)
	for i := range list {
		list[i] = venue.Instrument{Native: "A/USD", Symbol: "KRAKEN:A-USD"}
	}
	var out venue.Output
	if err := newSession(venue.Trades, list).Opened(&out); err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, msg := range out.Send {
		got = append(got, strings.Count(string(msg), "A/USD"))
	}
	if diff := cmp.Diff([]int{50, 50, 20}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachSymbolIsAcknowledged(t *testing.T) {
	s, out := open(t, venue.Trades|venue.Quotes)
	say(t, s, out,
		`{"method":"subscribe","result":{"channel":"trade","snapshot":true,"symbol":"BTC/USD"},"success":true,"time_in":"2026-09-10T17:44:43.105193Z","time_out":"2026-09-10T17:44:43.105248Z","req_id":1}`,
		`{"error":"Currency pair not supported ETH/USD","method":"subscribe","success":false,"symbol":"ETH/USD","time_in":"2026-09-10T17:44:44.609516Z","time_out":"2026-09-10T17:44:44.609555Z"}`)
	if len(out.Taken) != 0 {
		t.Errorf("taken before all of it is: %v", out.Taken)
	}
	say(t, s, out,
		`{"method":"subscribe","result":{"channel":"ticker","event_trigger":"bbo","snapshot":true,"symbol":"BTC/USD"},"success":true,"req_id":2}`,
		`{"error":"Currency pair not supported ETH/USD","method":"subscribe","success":false,"symbol":"ETH/USD","req_id":2}`)
	if diff := cmp.Diff([]market.Symbol{"KRAKEN:BTC-USD"}, out.Taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	want := []venue.Refusal{{Symbol: "KRAKEN:ETH-USD", Reason: "the venue answers: Currency pair not supported ETH/USD"}}
	if diff := cmp.Diff(want, out.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestTellsUsToBeSlower(t *testing.T) {
	s, out := open(t, venue.Trades)
	err := s.Message([]byte(`{"error":"Exceeded msg rate","method":"subscribe","success":false}`), now, out)
	var retry *venue.RetryError
	if !errors.As(err, &retry) || retry.After <= 0 {
		t.Errorf("got %v", err)
	}
}

// TestSeveralTradesInAMessage reads digits as they stand, zeros and exponents included.
func TestSeveralTradesInAMessage(t *testing.T) {
	s, out := open(t, venue.Trades)
	say(t, s, out, `{"channel":"trade","type":"update","data":[`+
		`{"symbol":"BTC/USD","side":"buy","price":85772.40,"qty":0.00043700,"ord_type":"limit","trade_id":110386729,"timestamp":"2026-10-06T18:14:44.947782Z"},`+
		`{"symbol":"ETH/USD","side":"sell","price":4.8E-7,"qty":1e3,"ord_type":"market","trade_id":7,"timestamp":"2026-10-06T18:14:45.000000Z"},`+
		`{"symbol":"ETH/USD","side":"?","price":1,"qty":2,"trade_id":8},`+
		`{"symbol":"ETH/USD","side":"buy","price":0,"qty":2,"trade_id":9},`+
		`{"symbol":"ETH/USD","side":"buy","price":1,"qty":2,"trade_id":-10},`+
		`{"symbol":"ETH/USD","side":"buy","price":"NaN","qty":2,"trade_id":11},`+
		`{"symbol":"SOL/USD","side":"buy","price":1,"qty":2,"trade_id":12}]}`)
	at := func(s string) market.Time {
		v, err := market.ParseTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	want := []market.Entry{
		{
			Kind: market.KindTrade, Symbol: "KRAKEN:BTC-USD", Side: market.SideBuy, Price: decimal(t, "85772.40"), Size: decimal(t, "0.00043700"),
			ID: 110386729, Event: at("2026-10-06T18:14:44.947782Z"), Received: now,
		},
		{
			Kind: market.KindTrade, Symbol: "KRAKEN:ETH-USD", Side: market.SideSell, Price: decimal(t, "0.00000048"), Size: decimal(t, "1000"),
			ID: 7, Event: at("2026-10-06T18:14:45Z"), Received: now,
		},
		{
			Kind: market.KindTrade, Symbol: "KRAKEN:ETH-USD", Price: decimal(t, "1"), Size: decimal(t, "2"), ID: 8, Event: now, Received: now,
			Flags: market.FlagNoEventTime,
		},
	}
	if diff := cmp.Diff(want, out.Entries, cmp.Comparer(func(a, b market.Decimal) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"bad_trade": 3, "unknown_symbol": 1}, out.Unusable); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestKeysInAnotherOrder(t *testing.T) {
	s, out := open(t, venue.Trades)
	say(t, s, out, `{"data":[{"symbol":"BTC/USD","side":"buy","price":1,"qty":2,"trade_id":3,"timestamp":"2026-10-06T18:14:45Z"}],"type":"update","channel":"trade"}`)
	if len(out.Entries) != 1 || out.Entries[0].ID != 3 {
		t.Errorf("got %+v", out.Entries)
	}
}

// TestSnapshot gives the trades before the subscription by their numbers, marked as of before.
func TestSnapshot(t *testing.T) {
	s, out := open(t, venue.Trades)
	say(t, s, out, `{"channel":"trade","type":"snapshot","data":[`+
		`{"symbol":"BTC/USD","side":"buy","price":2,"qty":1,"trade_id":12,"timestamp":"2026-10-06T18:14:45Z"},`+
		`{"symbol":"BTC/USD","side":"buy","price":1,"qty":1,"trade_id":11,"timestamp":"2026-10-06T18:14:44Z"}]}`)
	if len(out.Entries) != 2 || out.Entries[0].ID != 11 || out.Entries[1].ID != 12 ||
		out.Entries[0].Flags != market.FlagBackfilled || out.Entries[1].Flags != market.FlagBackfilled {
		t.Errorf("got %+v", out.Entries)
	}
}

func TestTicker(t *testing.T) {
	s, out := open(t, venue.Quotes)
	say(t, s, out,
		`{"channel":"ticker","type":"snapshot","data":[{"symbol":"BTC/USD","bid":105944.20,"bid_qty":2.5,"ask":105944.30,"ask_qty":3.20,"last":105899.40,"timestamp":"2022-12-25T09:30:59.123456Z"}]}`,
		`{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1,"bid_qty":2,"ask":3,"ask_qty":4}]}`,
		`{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":1,"bid_qty":2,"ask":0,"ask_qty":0,"timestamp":"2026-10-06T18:14:45Z"}]}`,
		`{"channel":"ticker","type":"update","data":[{"symbol":"ETH/USD","bid":0,"bid_qty":0,"ask":0,"ask_qty":0,"timestamp":"1970-01-01T00:00:00.000000Z"}]}`,
		`{"channel":"ticker","type":"update","data":[{"symbol":"ETH/USD","bid":-1,"bid_qty":0,"ask":0,"ask_qty":0,"timestamp":"2026-10-06T18:14:45Z"}]}`)
	var got []string
	for _, e := range out.Entries {
		got = append(got, strings.Join([]string{
			e.Kind.String(), string(e.Symbol), e.Price.String(), e.Size.String(), e.Ask.String(), e.AskSize.String(), e.Event.String(),
		}, " "))
	}
	want := []string{
		"quote KRAKEN:BTC-USD 105944.20 2.5 105944.30 3.20 2022-12-25T09:30:59.123456Z",
		"quote KRAKEN:BTC-USD 1 2 3 4 " + now.String(),
		"quote KRAKEN:BTC-USD 1 2 0 0 2026-10-06T18:14:45Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"never_traded": 1, "bad_quote": 1}, out.Unusable); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

// TestMaintenance tells when the whole venue halts and goes on, and reads its clock off a pong.
func TestMaintenance(t *testing.T) {
	s, out := open(t, venue.Trades)
	status := func(system string) string {
		return `{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"` + system + `","api_version":"v2","connection_id":16174536464690282295}]}`
	}
	say(t, s, out, status("online"), status("maintenance"), status("cancel_only"), status("online"), status("?"), `{"channel":"heartbeat"}`,
		`{"method":"pong","req_id":42,"time_in":"2023-09-25T09:05:00.123456Z","time_out":"2023-09-25T09:05:00.123500Z"}`)
	want := []market.Entry{
		{Kind: market.KindStatus, State: market.StateHalted, Event: now, Received: now, Text: "the venue is maintenance"},
		{Kind: market.KindStatus, State: market.StateLive, Event: now, Received: now, Text: "the venue is online"},
		{Kind: market.KindHeartbeat, Event: 1695632700_123_500_000, Received: now},
	}
	if diff := cmp.Diff(want, out.Entries, cmp.Comparer(func(a, b market.Decimal) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"unknown_status": 1}, out.Unusable); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestAsksForASignOfLife(t *testing.T) {
	s, out := open(t, venue.Trades)
	out.Reset()
	second := func(n market.Time) int {
		out.Reset()
		if err := s.Second(now+n*market.Second, out); err != nil {
			t.Fatal(err)
		}
		return len(out.Send)
	}
	for n := range market.Time(3) {
		if second(n) != 0 {
			t.Errorf("it asks after %d s", n)
		}
	}
	if second(3) != 1 || second(4) != 0 || second(5) != 0 || second(6) != 1 {
		t.Error("in silence it should ask every three seconds")
	}
	if got := string(out.Send[0]); got != `{"method":"ping","req_id":3}` {
		t.Errorf("it says %s", got)
	}
	for n := market.Time(7); n <= 36; n++ {
		if err := s.Message([]byte(`{"channel":"heartbeat"}`), now+n*market.Second, out); err != nil {
			t.Fatal(err)
		}
		if got, want := second(n), map[bool]int{true: 1}[n == 36]; got != want {
			t.Errorf("after %d s of talk it says %d", n, got)
		}
	}
}

// TestHalfAMessageIsNone leaves nothing of what breaks off.
func TestHalfAMessageIsNone(t *testing.T) {
	good := `{"symbol":"BTC/USD","side":"buy","price":1,"qty":2,"trade_id":3,"timestamp":"2026-10-06T18:14:45Z"}`
	for _, msg := range []string{
		``, `{`, `[]`, `{"channel":"trade","type":"update","data":[` + good, `{"channel":"trade","type":"update","data":[` + good + `,]}`,
		`{"channel":"trade","type":"update","data":[` + good + `]} {}`, `{"channel":"trade","type":"update","data":{}}`,
		`{"channel":"trade","type":"update","data":[` + good + `],"x":}`,
	} {
		s, out := open(t, venue.Trades)
		if err := s.Message([]byte(msg), now, out); err == nil || len(out.Entries) != 0 {
			t.Errorf("%s: %d entries, %v", msg, len(out.Entries), err)
		}
	}
}

func TestNames(t *testing.T) {
	v, err := New(Options{Venue: "K2"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]venue.Instrument{
		"BTC-USD":   {Native: "BTC/USD", REST: "XBTUSD", Symbol: "K2:BTC-USD"},
		"xbt/usd":   {Native: "BTC/USD", REST: "XBTUSD", Symbol: "K2:BTC-USD"},
		"XDG_EUR":   {Native: "DOGE/EUR", REST: "XDGEUR", Symbol: "K2:DOGE-EUR"},
		"ETH-BTC":   {Native: "ETH/BTC", REST: "ETHXBT", Symbol: "K2:ETH-BTC"},
		"AAPLx/USD": {Native: "AAPLx/USD", REST: "AAPLxUSD", Symbol: "K2:AAPLX-USD"},
	} {
		got, err := v.Name(name)
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b market.Decimal) bool { return a == b })); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for name, listing := range map[string]bool{
		"XBTUSD": true, "": false, "-": false, "BTC-": false, "BTC-USD-X": false, "BTC-\"": false, "B C/USD": false, "日-USD": false,
		strings.Repeat("A", 60) + "-USD": false,
	} {
		if in, err := v.Name(name); err == nil || errors.Is(err, venue.ErrListing) != listing {
			t.Errorf("%q: %+v, %v", name, in, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for url, want := range map[string][2]string{
		"":                              {"wss://ws.kraken.com/v2", "https://api.kraken.com"},
		"wss://beta-ws.kraken.com":      {"wss://beta-ws.kraken.com/v2", "https://api.kraken.com"},
		"ws://127.0.0.1:9000":           {"ws://127.0.0.1:9000/v2", "http://127.0.0.1:9000"},
		"wss://proxy.example/kraken?x=": {"wss://proxy.example/kraken?x=", "https://proxy.example"},
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
	if tr := (&Venue{}).Traits(); tr.Heartbeat > 6*time.Second || !tr.Consecutive || tr.Pace < 200*time.Millisecond {
		t.Errorf("%+v", tr)
	}
}
