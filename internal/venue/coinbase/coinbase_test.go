package coinbase

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func newVenue(t testing.TB, o Options) *Venue {
	t.Helper()
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// begun returns a session that carries products, and what it sent.
func begun(t testing.TB, products ...string) (venue.Session, *venue.Output) {
	t.Helper()
	v := newVenue(t, Options{})
	var list []venue.Instrument
	for _, p := range products {
		in, err := v.Name(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, in)
	}
	s := v.Session(venue.Trades|venue.Quotes, list)
	out := &venue.Output{}
	if err := s.Opened(out); err != nil {
		t.Fatal(err)
	}
	return s, out
}

// captured reads a file of recorded messages from beside the repository.
func captured(t *testing.T, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../../shared/samples", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recorded messages are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	in := bufio.NewScanner(bytes.NewReader(b))
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		lines = append(lines, slices.Clone(in.Bytes()))
	}
	return lines
}

// told is a tick as an independent reading of a message finds it.
type told struct {
	Kind, Product, A, B, C, D, Side, Time string
	ID                                    uint64
}

// independent reads trades and quotes with encoding/json into maps.
func independent(t *testing.T, lines [][]byte) (list []told) {
	t.Helper()
	opposite := map[string]string{"buy": "sell", "sell": "buy"}
	for _, line := range lines {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		text := func(key string) string { s, _ := m[key].(string); return s }
		switch m["type"] {
		case "match", "last_match":
			number, _ := m["trade_id"].(json.Number)
			id, err := strconv.ParseUint(number.String(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, told{Kind: "trade", Product: text("product_id"), A: text("price"), B: text("size"), Side: opposite[text("side")], Time: text("time"), ID: id})
		case "ticker":
			list = append(list, told{
				Kind: "quote", Product: text("product_id"), A: text("best_bid"), B: text("best_bid_size"), C: text("best_ask"), D: text("best_ask_size"), Time: text("time"),
			})
		}
	}
	return list
}

func products(list []told) []string {
	var names []string
	for _, x := range list {
		if !slices.Contains(names, x.Product) {
			names = append(names, x.Product)
		}
	}
	return names
}

// as writes an entry in the words of the independent reading, with digits of its own where it has some.
func as(e *market.Entry, like told) told {
	got := told{Kind: e.Kind.String(), Product: e.Symbol.Name(), A: e.Price.String(), ID: e.ID}
	if at, err := market.ParseTime(like.Time); err == nil && at == e.Event {
		got.Time = like.Time
	} else if e.Flags&market.FlagNoEventTime == 0 {
		got.Time = e.Event.String()
	}
	if e.Kind == market.KindTrade {
		got.B = e.Size.String()
		got.Side = map[market.Side]string{market.SideBuy: "buy", market.SideSell: "sell"}[e.Side]
		return got
	}
	got.C = e.Ask.String()
	if like.B != "" {
		got.B, got.D = e.Size.String(), e.AskSize.String()
	}
	return got
}

func TestCapturesReadAsTheyAre(t *testing.T) {
	for name, want := range map[string]int{"coinbase-exchange-20210417-full.jsonl": 97 + 10 + 107, "coinbase-exchange-fixtures-tardis.jsonl": 0} {
		lines := captured(t, name)
		truth := independent(t, lines)
		if want != 0 && len(truth) != want {
			t.Fatalf("%s: the independent reading finds %d ticks, want %d", name, len(truth), want)
		}
		s, _ := begun(t, products(truth)...)
		var got []told
		var entries []market.Entry
		for _, line := range lines {
			var out venue.Output
			if err := s.Message(line, 1_800_000_000*market.Second, &out); err != nil {
				t.Fatalf("%s: %.200s: %v", name, line, err)
			}
			entries = append(entries, out.Entries...)
		}
		for i := range entries {
			like := told{}
			if i < len(truth) {
				like = truth[i]
			}
			got = append(got, as(&entries[i], like))
		}
		if diff := cmp.Diff(truth, got); diff != "" {
			t.Errorf("%s (-independent +got):\n%s", name, diff)
		}
	}
}

func TestTakerSide(t *testing.T) {
	s, _ := begun(t, "BTC-USD")
	var out venue.Output
	msg := `{"type":"match","trade_id":5,"side":"sell","size":"0.00000001","price":"80691.53","product_id":"BTC-USD","sequence":1,"time":"2026-08-25T03:35:57.198335Z"}`
	if err := s.Message([]byte(msg), 1, &out); err != nil {
		t.Fatal(err)
	}
	want := market.Entry{
		Kind: market.KindTrade, Symbol: "COINBASE:BTC-USD", ID: 5, Side: market.SideBuy, Price: decimal(t, "80691.53"), Size: decimal(t, "0.00000001"),
		Event: 1787628957198335000, Received: 1,
	}
	if len(out.Entries) != 1 || out.Entries[0] != want {
		t.Errorf("got %+v, want %+v", out.Entries, want)
	}
}

func decimal(t *testing.T, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatCannotBeUsedIsCounted(t *testing.T) {
	for msg, want := range map[string]string{
		`{"type":"match","trade_id":5,"side":"sell","size":"0.-10000","price":"1","product_id":"BTC-USD","time":"2026-08-25T03:35:57Z"}`: "bad_trade",
		`{"type":"match","trade_id":5,"side":"sell","size":"1","price":"NaN","product_id":"BTC-USD"}`:                                    "bad_trade",
		`{"type":"match","trade_id":0,"side":"sell","size":"1","price":"1","product_id":"BTC-USD"}`:                                      "bad_trade",
		`{"type":"match","trade_id":5,"side":"sell","size":"1","price":"1","product_id":"FOO-USD"}`:                                      "not_subscribed",
		`{"type":"ticker","product_id":"BTC-USD","best_bid":"","best_ask":"1"}`:                                                          "bad_quote",
		`{"type":"heartbeat","product_id":"BTC-USD"}`:                                                                                    "bad_heartbeat",
		`{"type":"something_new"}`: "unknown_type",
		`{"type":7}`:               "unknown_type",
		`{}`:                       "unknown_type",
	} {
		s, _ := begun(t, "BTC-USD")
		var out venue.Output
		if err := s.Message([]byte(msg), 1, &out); err != nil || len(out.Entries) != 0 || out.Unusable[want] != 1 {
			t.Errorf("%s: got %v, %v, error %v; want it counted as %s", msg, out.Entries, out.Unusable, err, want)
		}
	}
	s, _ := begun(t, "BTC-USD")
	for _, msg := range []string{``, `[]`, `{"type":"match"`, `{"type":"match"}x`, `{"type":"error","message":"You are being throttled"}`} {
		if err := s.Message([]byte(msg), 1, &venue.Output{}); err == nil {
			t.Errorf("%s: no error", msg)
		}
	}
}

func TestMissingAndZeroTimes(t *testing.T) {
	for _, at := range []string{``, `,"time":"0001-01-01T00:00:00.000000Z"`, `,"time":"1970-01-01T00:00:00Z"`, `,"time":null`, `,"time":"x"`} {
		s, _ := begun(t, "BTC-USD")
		var out venue.Output
		msg := `{"type":"match","trade_id":5,"side":"buy","size":"1","price":"1","product_id":"BTC-USD"` + at + `}`
		if err := s.Message([]byte(msg), 77, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Entries) != 1 || out.Entries[0].Event != 77 || out.Entries[0].Flags&market.FlagNoEventTime == 0 {
			t.Errorf("%s: got %+v", msg, out.Entries)
		}
	}
}

func TestSubscriptionsAreCheckedByProduct(t *testing.T) {
	s, out := begun(t, "BTC-USD", "NO-USD", "ETH-USD")
	if want := `{"type":"subscribe","product_ids":["BTC-USD","NO-USD","ETH-USD"],"channels":["matches","ticker","heartbeat"]}`; string(out.Send[0]) != want {
		t.Errorf("got %s, want %s", out.Send[0], want)
	}
	out.Reset()
	if err := s.Message([]byte(`{"type":"error","message":"Failed to subscribe","reason":"NO-USD is not a valid product"}`), 1, out); err != nil {
		t.Fatal(err)
	}
	if len(out.Refused) != 1 || out.Refused[0].Symbol != "COINBASE:NO-USD" {
		t.Errorf("refused: got %v", out.Refused)
	}
	if len(out.Send) != 1 || strings.Contains(string(out.Send[0]), "NO-USD") || !strings.Contains(string(out.Send[0]), "ETH-USD") {
		t.Errorf("the others were not asked for again: %s", out.Send)
	}
	out.Reset()
	if err := s.Message([]byte(`{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD","ETH-USD"]},{"name":"ticker","product_ids":["BTC-USD"],"account_ids":null},`+
		`{"name":"heartbeat","product_ids":["ETH-USD","BTC-USD"]},{"name":"level2_50","product_ids":["X-Y"]}]}`), 1, out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]market.Symbol{"COINBASE:BTC-USD"}, out.Taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestListingAndNames(t *testing.T) {
	v := newVenue(t, Options{Venue: "CB", URL: "ws://127.0.0.1:1"})
	req := v.Listing().First([]string{"BTC-USD"})
	if req.URL != "http://127.0.0.1:1/products" {
		t.Errorf("got %s", req.URL)
	}
	body := `[{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.00000001","status":"online","trading_disabled":false},
		{"id":"OLD-USD","quote_increment":"0.1","base_increment":"1","status":"delisted","trading_disabled":true}]`
	got, next, err := v.Listing().Page(req, &venue.Reply{Status: http.StatusOK, Body: []byte(body)}, nil)
	if err != nil || next != nil || len(got) != 2 || got[0].Symbol != "CB:BTC-USD" || got[0].Tick.String() != "0.01" || got[0].Resting || !got[1].Resting {
		t.Errorf("got %+v, %v, %v", got, next, err)
	}
	if _, err := v.Name("BTCUSD"); err == nil {
		t.Error("a name without a dash was taken")
	}
	if in, err := v.Name("btc/usd"); err != nil || in.Native != "BTC-USD" {
		t.Errorf("got %+v, %v", in, err)
	}
}

func TestHistoryWalksBack(t *testing.T) {
	v := newVenue(t, Options{REST: "https://rest.test/"})
	in, err := v.Name("BTC-USD")
	if err != nil {
		t.Fatal(err)
	}
	hole := &venue.Hole{Instrument: in, After: market.Entry{Kind: market.KindTrade, ID: 10}, Before: market.Entry{Kind: market.KindTrade, ID: 15}, Now: 99}
	req := v.History().First(hole)
	if want := "https://rest.test/products/BTC-USD/trades?limit=1000&after=15"; req.URL != want {
		t.Errorf("got %s, want %s", req.URL, want)
	}
	page := func(ids ...int) *venue.Reply {
		var rows []string
		for _, id := range ids {
			rows = append(rows, `{"trade_id":`+strconv.Itoa(id)+`,"side":"buy","size":"1.50","price":"2.0","time":"2026-08-25T03:35:57Z"}`)
		}
		return &venue.Reply{Status: http.StatusOK, Body: []byte("[" + strings.Join(rows, ",") + "]")}
	}
	list, next, complete, err := v.History().Page(hole, req, page(14, 13), nil)
	if err != nil || next == nil || !strings.HasSuffix(next.URL, "after=13") || complete {
		t.Fatalf("got %v, %v, %v", next, complete, err)
	}
	list, next, complete, err = v.History().Page(hole, next, page(12, 11, 10), list)
	if err != nil || next != nil || !complete || len(list) != 5 {
		t.Fatalf("got %d trades, %v, %v, %v", len(list), next, complete, err)
	}
	if e := list[0]; e.Side != market.SideSell || e.Flags&market.FlagBackfilled == 0 || e.Size.String() != "1.50" || e.Received != 99 {
		t.Errorf("got %+v", e)
	}
	var retry *venue.RetryError
	if _, _, _, err := v.History().Page(hole, req, &venue.Reply{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: []byte(`{"message":"slow down"}`)}, nil); !errors.As(err, &retry) || retry.After.Seconds() != 7 {
		t.Errorf("429: got %v", err)
	}
	if _, _, _, err := v.History().Page(hole, req, &venue.Reply{Status: 200, Body: []byte(`<html>`)}, nil); err == nil {
		t.Error("a page of HTML was taken")
	}
}

const match = `{"type":"match","trade_id":1081862675,"maker_order_id":"f07e510f-4edf-469d-b844-4f670f1e93f1","taker_order_id":"e6f50944-3e2a-439e-ae49-308300ba8296","side":"sell",` +
	`"size":"0.00000001","price":"80691.53","product_id":"BTC-USD","sequence":134905860111,"time":"2026-08-25T03:35:57.198335Z"}`

func TestDecodingDoesNotAllocate(t *testing.T) {
	s, out := begun(t, "BTC-USD")
	msg := []byte(match)
	if got := testing.AllocsPerRun(100, func() {
		out.Reset()
		if err := s.Message(msg, 1, out); err != nil || len(out.Entries) != 1 {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("got %v allocations a trade, want 0", got)
	}
}

func BenchmarkDecode(b *testing.B) {
	s, out := begun(b, "BTC-USD")
	msg := []byte(match)
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		out.Reset()
		if err := s.Message(msg, 1, out); err != nil || len(out.Entries) != 1 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trades/s")
}

// FuzzMessage looks for messages that bring what no market sends.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(match))
	f.Add([]byte(`{"type":"ticker","product_id":"BTC-USD","best_bid":"1","best_bid_size":"2","best_ask":"3","best_ask_size":"4","time":"2022-10-19T23:28:22.061769Z"}`))
	f.Add([]byte(`{"type":"heartbeat","last_trade_id":1092969669,"product_id":"BTC-USD","sequence":1,"time":"2026-09-15T11:01:54.000000Z"}`))
	f.Add([]byte(`{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}`))
	f.Add([]byte(`{"type":"error","message":"Failed to subscribe","reason":"BTC-USD is not a valid product"}`))
	f.Add([]byte(`{"type":"l2update","product_id":"BTC-USD","time":"0001-01-01T00:00:00.000000Z"}`))
	f.Fuzz(func(t *testing.T, msg []byte) {
		s, _ := begun(t, "BTC-USD")
		var out venue.Output
		err := s.Message(msg, 1_787_628_957*market.Second, &out)
		for _, e := range out.Entries {
			if e.Kind == market.KindHeartbeat {
				continue
			}
			if e.Symbol != "COINBASE:BTC-USD" || e.Event < 1_325_376_000*market.Second || e.Kind == market.KindTrade && (e.ID == 0 || e.Price.Sign() <= 0 || e.Size.Sign() < 0) {
				t.Fatalf("%s: got %+v", msg, e)
			}
		}
		if err == nil && !json.Valid(msg) {
			t.Fatalf("%q was taken", msg)
		}
		v := newVenue(t, Options{})
		in, _ := v.Name("BTC-USD")
		hole := &venue.Hole{Instrument: in, After: market.Entry{ID: 1}}
		_, _, _, _ = v.History().Page(hole, nil, &venue.Reply{Status: 200, Body: msg}, nil)
		_, _, _ = v.Listing().Page(nil, &venue.Reply{Status: 200, Body: msg}, nil)
	})
}
