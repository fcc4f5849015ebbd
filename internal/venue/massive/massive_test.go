package massive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const (
	key = "key-of-the-test"
	now = market.Time(1_795_000_000_000_000_000)
)

func open(t testing.TB, feed string) *Venue {
	t.Helper()
	v, err := New(Options{Key: key, Feed: feed})
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

func tell(t testing.TB, s venue.Session, out *venue.Output, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := s.Message([]byte(m), now, out); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
	}
}

// start returns a session that has logged in and asked for the symbols.
func start(t testing.TB, v *Venue, names ...string) (venue.Session, *venue.Output) {
	t.Helper()
	s := v.Session(venue.Trades|venue.Quotes, named(t, v, names...))
	out := &venue.Output{}
	tell(t, s, out, `[{"ev":"status","status":"connected","message":"Connected Successfully"}]`, `[{"ev":"status","status":"auth_success","message":"authenticated"}]`)
	if !out.Ready {
		t.Fatal("not ready")
	}
	return s, out
}

func dec(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func exactly() cmp.Option { return cmp.Comparer(func(a, b market.Decimal) bool { return a == b }) }

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

// numberOf returns the digits of a member as they stand in the text.
func numberOf(o map[string]json.RawMessage, name string) string {
	return strings.Trim(string(o[name]), `"`)
}

// TestRecordedStream compares what becomes of the vendor's examples with what the standard library reads in them.
func TestRecordedStream(t *testing.T) {
	seen := 0
	for _, line := range sample(t, "massive-polygon-spec-examples.jsonl") {
		var items []map[string]json.RawMessage
		if err := json.Unmarshal(line, &items); err != nil || len(items) != 1 {
			t.Fatalf("%s: %v", line, err)
		}
		o := items[0]
		event := numberOf(o, "ev")
		feed, name := "stocks", numberOf(o, "sym")
		if strings.HasPrefix(name, "O:") {
			feed = "options"
		}
		switch event {
		case "XT", "XQ":
			feed, name = "crypto", numberOf(o, "pair")
		case "C":
			feed, name = "forex", numberOf(o, "p")
		case "T", "Q":
		default:
			name = "AAPL"
			feed = "stocks"
		}
		v := open(t, feed)
		s, out := start(t, v, name)
		tell(t, s, out, string(line))
		want := market.Entry{Symbol: named(t, v, name)[0].Symbol, Received: now}
		if ms, err := json.Number(numberOf(o, "t")).Int64(); err == nil {
			want.Event = market.Time(ms * 1e6)
		}
		switch event {
		case "T", "XT":
			want.Kind, want.Price, want.Size = market.KindTrade, dec(t, numberOf(o, "p")), dec(t, numberOf(o, "s"))
			want.Exchange = numberOf(o, "x")
			want.Conditions = strings.Trim(numberOf(o, "c"), "[]")
			id := numberOf(o, "i")
			if id == "" {
				id = numberOf(o, "q")
			}
			n, err := json.Number(id).Int64()
			if err != nil {
				t.Fatal(err)
			}
			want.ID = uint64(n)
			if event == "XT" {
				want.Side = market.SideBuy // its condition is 2
			}
		case "Q", "XQ":
			want.Kind, want.Price, want.Size = market.KindQuote, dec(t, numberOf(o, "bp")), dec(t, numberOf(o, "bs"))
			want.Ask, want.AskSize = dec(t, numberOf(o, "ap")), dec(t, numberOf(o, "as"))
			want.Exchange, want.Conditions = numberOf(o, "bx"), numberOf(o, "c")
			if event == "XQ" {
				want.Exchange = numberOf(o, "x")
			} else if ask := numberOf(o, "ax"); ask != want.Exchange {
				want.AskFrom = ask
			}
		case "C":
			want.Kind, want.Price, want.Ask, want.Exchange = market.KindQuote, dec(t, numberOf(o, "b")), dec(t, numberOf(o, "a")), numberOf(o, "x")
		default:
			if len(out.Entries) != 0 || out.Unusable["not_asked_for"] != 1 {
				t.Errorf("%s became %v, with %v", line, out.Entries, out.Unusable)
			}
			continue
		}
		if numberOf(o, "z") == "3" {
			want.Tape = 'C'
		}
		seen++
		if diff := cmp.Diff([]market.Entry{want}, out.Entries, exactly()); diff != "" {
			t.Errorf("%s: -want +got: %s", line, diff)
		}
	}
	if seen != 7 {
		t.Errorf("%d ticks in the file, want 7", seen)
	}
}

func TestRecordedControl(t *testing.T) {
	v := open(t, "stocks")
	s := v.Session(venue.Trades, named(t, v, "AAPL"))
	out := &venue.Output{}
	var errs []error
	for _, line := range sample(t, "massive-polygon-control.jsonl") {
		errs = append(errs, s.Message(line, now, out))
	}
	sent := []string{`{"action":"auth","params":"key-of-the-test"}`, `{"action":"subscribe","params":"T.AAPL"}`}
	var got []string
	for _, b := range out.Send {
		got = append(got, string(b))
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("sent -want +got: %s", diff)
	}
	if diff := cmp.Diff([]market.Symbol{"MASSIVE:AAPL"}, out.Taken); diff != "" {
		t.Errorf("taken -want +got: %s", diff)
	}
	var retry *venue.RetryError
	if len(errs) != 6 || errs[0] != nil || errs[1] != nil || errs[2] != nil || !errors.Is(errs[3], venue.ErrRefused) || errs[4] == nil ||
		errors.Is(errs[4], venue.ErrRefused) || !errors.As(errs[5], &retry) || retry.After != placeTaken {
		t.Errorf("got %v", errs)
	}
}

func TestTrades(t *testing.T) {
	s, out := start(t, open(t, ""), "AAPL")
	out.Reset()
	tell(t, s, out, `[{"ev":"T","sym":"AAPL","x":4,"i":"0052","z":1,"p":114.10,"s":0,"ds":"0.2500","c":[37],"t":1536036818784,"q":3681328,"trfi":201,"trft":1536036818780},`+
		`{"ev":"T","sym":"AAPL","x":11,"i":"52","z":9,"p":114.1,"s":3,"q":1},{"ev":"T","sym":"AAPL","x":11,"i":"52","p":0,"s":3,"t":1},{"ev":"T","sym":"MSFT","p":1,"s":3,"t":1}]`)
	want := []market.Entry{
		{
			Kind: market.KindTrade, Symbol: "MASSIVE:AAPL", Ref: "0052", Exchange: "4/201", Conditions: "37", Tape: 'A', Price: dec(t, "114.10"), Size: dec(t, "0.2500"),
			Event: 1536036818784 * 1e6, Received: now,
		},
		{
			Kind: market.KindTrade, Symbol: "MASSIVE:AAPL", ID: 52, Exchange: "11", Price: dec(t, "114.1"), Size: dec(t, "3"), Event: now, Received: now,
			Flags: market.FlagNoEventTime,
		},
	}
	if diff := cmp.Diff(want, out.Entries, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	if out.Unusable["bad_trade"] != 1 || out.Lost == "" || out.Unusable["not_asked_for"] != 1 {
		t.Errorf("unusable %v, lost %q", out.Unusable, out.Lost)
	}
	for _, message := range []string{``, `{}`, `[{"ev":"T"`, `[1]`} {
		if err := s.Message([]byte(message), now, out); err == nil {
			t.Errorf("%q passes", message)
		}
	}
	for status, refused := range map[string]bool{"auth_failed": true, "not_authorized": true, "error": true, "force_disconnect": false} {
		err := s.Message([]byte(`[{"ev":"status","status":"`+status+`","message":"not authorized: `+key+`"}]`), now, out)
		if err == nil || errors.Is(err, venue.ErrRefused) != refused || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func TestSubscribe(t *testing.T) {
	v := open(t, "crypto")
	s, out := start(t, v, "BTC-USD")
	if err := s.Subscribe(named(t, v, "ETH/USD", "BTC-USD"), out); err != nil {
		t.Fatal(err)
	}
	if err := s.Unsubscribe(named(t, v, "X:BTC-USD"), out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range out.Send[1:] {
		got = append(got, string(b))
	}
	want := []string{
		`{"action":"subscribe","params":"XT.BTC-USD,XQ.BTC-USD"}`, `{"action":"subscribe","params":"XT.ETH-USD,XQ.ETH-USD"}`,
		`{"action":"unsubscribe","params":"XT.BTC-USD,XQ.BTC-USD"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ feed, name, native, rest, symbol string }{
		{"stocks", "brk.b", "BRK.B", "", "MASSIVE:BRK.B"},
		{"options", "O:SPY251219C00650000", "O:SPY251219C00650000", "", "MASSIVE:O:SPY251219C00650000"},
		{"crypto", "BTC/USD", "BTC-USD", "X:BTC-USD", "MASSIVE:BTC-USD"},
		{"crypto", "X:BTC-USD", "BTC-USD", "X:BTC-USD", "MASSIVE:BTC-USD"},
		{"forex", "EUR-USD", "EUR/USD", "C:EUR-USD", "MASSIVE:EUR-USD"},
		{"stocks", "O:SPY251219C00650000", "", "", ""},
		{"stocks", "", "", "", ""},
		{"options", "SPY", "", "", ""},
		{"crypto", "BTCUSD", "", "", ""},
	} {
		i, err := open(t, c.feed).Name(c.name)
		if c.symbol == "" {
			if err == nil {
				t.Errorf("%s of %s is %+v", c.name, c.feed, i)
			}
			continue
		}
		if err != nil || i.Native != c.native || i.REST != c.rest || string(i.Symbol) != c.symbol {
			t.Errorf("%s of %s is %+v, %v; want %+v", c.name, c.feed, i, err, c)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"MASSIVE_API_KEY": {},
		"feed=":           {Key: key, Feed: "bonds"},
		"url=":            {Key: key, URL: "http://x"},
		"rest=":           {Key: key, REST: "x"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), key) {
			t.Errorf("%+v: got %v, want %q in it", o, err, want)
		}
	}
	v, err := New(Options{Key: key, Delayed: true, Feed: "crypto"})
	if err != nil {
		t.Fatal(err)
	}
	if url, header := v.Endpoint(venue.Trades); url != "wss://delayed.massive.com/crypto" || len(header) != 0 {
		t.Errorf("the endpoint is %s %v", url, header)
	}
}

func TestHistory(t *testing.T) {
	v := open(t, "stocks")
	h := v.History()
	hole := &venue.Hole{Instrument: named(t, v, "AAPL")[0], Now: now}
	hole.After.Event = 1517562000015 * 1e6
	hole.Before.Event = 1517562000018 * 1e6
	r := h.First(hole)
	want := "https://api.massive.com/v3/trades/AAPL?limit=50000&order=asc&sort=timestamp&timestamp.gte=1517562000015000000&timestamp.lte=1517562000018999999"
	if r.URL != want || r.Header.Get("Authorization") != "Bearer "+key {
		t.Fatalf("asks %s %v, want %s", r.URL, r.Header, want)
	}
	const row = `{"conditions":[12,41],"exchange":11,"id":"1","participant_timestamp":1517562000015577000,"price":171.550,"sequence_number":1063,` +
		`"sip_timestamp":1517562000016036600,"size":100,"tape":3}`
	got, next, complete, err := h.Page(hole, r, &venue.Reply{Status: 200, Body: []byte(`{"next_url":"https://evil.example/v3/trades/AAPL?cursor=YWN0&apiKey=x",` +
		`"request_id":"a47","results":[` + row + `],"status":"OK"}`)}, nil)
	if err != nil || complete || next == nil || next.URL != "https://api.massive.com/v3/trades/AAPL?cursor=YWN0" {
		t.Fatalf("next is %+v, complete %v, %v", next, complete, err)
	}
	entry := []market.Entry{{
		Kind: market.KindTrade, Symbol: "MASSIVE:AAPL", ID: 1, Exchange: "11", Conditions: "12,41", Tape: 'C', Price: dec(t, "171.550"), Size: dec(t, "100"),
		Event: 1517562000016036600,
	}}
	if diff := cmp.Diff(entry, got, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	got, next, complete, err = h.Page(hole, next, &venue.Reply{Status: 200, Body: []byte(`{"results":[],"status":"OK"}`)}, got)
	if err != nil || !complete || next != nil || len(got) != 1 {
		t.Errorf("the last page: %d entries, next %v, complete %v, %v", len(got), next, complete, err)
	}
	for _, body := range []string{
		``, `[]`, `{"results":[{"price":1}]}`, `{"results":[` + row + `]`, `{"next_url":"https://api.massive.com/v2/other"}`, `{"next_url":"` + r.URL + `"}`,
	} {
		if got, next, complete, err := h.Page(hole, r, &venue.Reply{Status: 200, Body: []byte(body)}, nil); err == nil || len(got) > 0 || next != nil || complete {
			t.Errorf("%q passes for a page", body)
		}
	}
	var retry *venue.RetryError
	if _, _, _, err := h.Page(hole, r, &venue.Reply{Status: 429}, nil); !errors.As(err, &retry) || retry.After != 15*time.Second {
		t.Errorf("429: %v", err)
	}
	if _, _, _, err := h.Page(hole, r, &venue.Reply{Status: 401, Body: []byte("Unknown API Key " + key)}, nil); !errors.Is(err, venue.ErrRefused) ||
		strings.Contains(err.Error(), key) {
		t.Errorf("401: %v", err)
	}
	if h.First(&venue.Hole{Instrument: hole.Instrument, Now: now}) != nil || open(t, "forex").History() != nil {
		t.Error("there is history where there is none")
	}
}

// frame is a message of n trades.
func frame(n int) []byte {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"ev":"T","sym":"MSFT","x":4,"i":"%d","z":3,"p":114.1%d,"s":100,"c":[0,12],"t":1536036818784,"q":3681328}`, 12345+i, i%10))
	}
	return []byte("[" + strings.Join(list, ",") + "]")
}

func TestAllocations(t *testing.T) {
	s, out := start(t, open(t, ""), "MSFT")
	message := frame(100)
	n := testing.AllocsPerRun(100, func() {
		out.Reset()
		if err := s.Message(message, now, out); err != nil || len(out.Entries) != 100 {
			t.Fatalf("%d entries, %v", len(out.Entries), err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations in a message of 100 trades, want none", n)
	}
}

// BenchmarkDecode counts trades.
func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, out := start(b, open(b, ""), "MSFT")
			message := frame(n)
			trades := 0
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				if err := s.Message(message, now, out); err != nil {
					b.Fatal(err)
				}
				trades += len(out.Entries)
			}
			b.ReportMetric(float64(trades)/b.Elapsed().Seconds(), "trades/s")
		})
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		string(frame(2)), `[{"ev":"status","status":"auth_success"}]`, `[{"ev":"status","status":"success","message":"subscribed to: T.MSFT"}]`,
		`[{"ev":"Q","sym":"MSFT","bx":4,"bp":114.125,"bs":100,"ax":7,"ap":114.128,"as":160,"c":0,"i":[604],"t":1536036818784,"z":3}]`,
		`[{"ev":"C","p":"USD/CNH","x":"44","a":6.83366,"b":6.83363,"t":1536036818784}]`, `[{"ev":"XT","pair":"MSFT","p":1,"t":1,"s":1,"c":[2],"i":1}]`,
	} {
		f.Add([]byte(seed))
	}
	v := open(f, "")
	f.Fuzz(func(t *testing.T, message []byte) {
		s, out := start(t, v, "MSFT")
		if err := s.Message(message, now, out); err != nil {
			return
		}
		for i := range out.Entries {
			if e := &out.Entries[i]; e.Price.Sign() < 0 || e.Size.Sign() < 0 || e.Event == 0 || e.Symbol != "MASSIVE:MSFT" || e.Received != now {
				t.Errorf("%q became %+v", message, e)
			}
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"next_url":"https://api.massive.com/v3/trades/AAPL?cursor=YWN0","results":[{"conditions":[12,41],"exchange":11,"id":"1","price":171.55,` +
		`"sequence_number":1063,"sip_timestamp":1517562000016036600,"size":100,"tape":3,"trf_id":201}],"status":"OK"}`))
	f.Add([]byte(`{"status":"ERROR","error":"Unknown API Key"}`))
	v := open(f, "")
	hole := &venue.Hole{Instrument: named(f, v, "AAPL")[0], Now: now}
	hole.After.Event = 1
	f.Fuzz(func(t *testing.T, body []byte) {
		h := v.History()
		got, next, complete, err := h.Page(hole, h.First(hole), &venue.Reply{Status: 200, Body: body}, nil)
		if err != nil && (len(got) > 0 || next != nil || complete) || err == nil && (next == nil) != complete {
			t.Errorf("%q: %d entries, next %v, complete %v, %v", body, len(got), next, complete, err)
		}
		if next != nil && !strings.HasPrefix(next.URL, "https://api.massive.com/v3/trades/") {
			t.Errorf("%q leads the key to %s", body, next.URL)
		}
		for i := range got {
			if e := &got[i]; e.Symbol != "MASSIVE:AAPL" || e.Event == 0 || e.Price.Sign() <= 0 {
				t.Errorf("%q became %+v", body, e)
			}
		}
	})
}
