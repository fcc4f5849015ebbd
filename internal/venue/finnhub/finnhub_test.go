package finnhub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const (
	token = "token-of-the-test"
	now   = market.Time(1_795_000_000_000_000_000)
)

func open(t testing.TB) *Venue {
	t.Helper()
	v, err := New(Options{Token: token})
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

func start(t testing.TB, v *Venue, names ...string) (venue.Session, *venue.Output) {
	t.Helper()
	s := v.Session(venue.Trades, named(t, v, names...))
	out := &venue.Output{}
	if err := s.Opened(out); err != nil || !out.Ready {
		t.Fatalf("Opened: ready %v, %v", out.Ready, err)
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

// TestRecorded compares what becomes of the recorded messages with what the standard library reads in them.
func TestRecorded(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "samples", "finnhub-live.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("recorded messages are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, out := start(t, open(t), "BINANCE:BTCUSDT")
	var want []market.Entry
	for line := range bytes.SplitSeq(bytes.TrimSpace(b), []byte("\n")) {
		if err := s.Message(line, now, out); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var m struct {
			Type string
			Data []struct {
				P, V json.Number
				S    string
				T    int64
			}
		}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Data {
			want = append(want, market.Entry{
				Kind: market.KindTrade, Symbol: market.Symbol("FINNHUB:" + d.S), Event: market.Time(d.T * 1e6), Received: now,
				Price: dec(t, d.P.String()), Size: dec(t, d.V.String()),
			})
		}
	}
	if len(want) != 13 {
		t.Fatalf("the file has %d trades, want 13", len(want))
	}
	if diff := cmp.Diff(want, out.Entries, exactly()); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	if diff := cmp.Diff([]venue.Refusal{{Symbol: "FINNHUB:BINANCE:BTCUSDT", Reason: "Subscribing to too many symbols"}}, out.Refused); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
}

func TestSubscribe(t *testing.T) {
	v := open(t)
	s, out := start(t, v, "aapl", "OANDA:EUR_USD")
	if err := s.Unsubscribe(named(t, v, "AAPL", "MSFT"), out); err != nil {
		t.Fatal(err)
	}
	want := []string{`{"type":"subscribe","symbol":"AAPL"}`, `{"type":"subscribe","symbol":"OANDA:EUR_USD"}`, `{"type":"unsubscribe","symbol":"AAPL"}`}
	var got []string
	for _, b := range out.Send {
		got = append(got, string(b))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got: %s", diff)
	}
	if url, _ := v.Endpoint(venue.Trades); url != "wss://ws.finnhub.io?token="+token {
		t.Errorf("the endpoint is %s", url)
	}
	if v.History() != nil || v.Listing().First(nil) != nil || !v.Traits().NoNumbers {
		t.Error("the venue promises what it does not have")
	}
}

func TestMessages(t *testing.T) {
	for message, want := range map[string]struct {
		entries int
		reason  string
		lost    bool
	}{
		// What repeats is no repetition.
		`{"data":[{"p":1.10,"s":"AAPL","t":1,"v":2},{"p":1.10,"s":"AAPL","t":1,"v":2}],"type":"trade"}`: {2, "", false},
		`{"type":"trade","data":[{"p":1.10,"s":"AAPL","t":1,"v":2,"c":["1","12"]}]}`:                    {1, "", false},
		`{"data":[{"p":1.10,"s":"AAPL","t":1,"v":0}],"type":"trade"}`:                                   {0, "indicative_price", false},
		`{"data":[{"p":1.10,"s":"MSFT","t":1,"v":1}],"type":"trade"}`:                                   {0, "not_asked_for", false},
		`{"data":[{"p":"NaN","s":"AAPL","t":1,"v":1},{"p":1,"s":"AAPL","t":1,"v":1}],"type":"trade"}`:   {1, "bad_trade", true},
		`{"data":[{"p":1,"s":"AAPL","t":1,"v":-1}],"type":"trade"}`:                                     {0, "bad_trade", true},
		`{"data":[{"p":1,"s":"AAPL","t":1,"v":1}],"type":"news"}`:                                       {0, "unknown_type", false},
		`{"type":"ping"}`: {0, "", false},
		`{"type":"error","msg":"You don't have access to this resource."}`: {0, "venue_error", false},
	} {
		s, out := start(t, open(t), "AAPL")
		if err := s.Message([]byte(message), now, out); err != nil {
			t.Errorf("%s: %v", message, err)
		}
		if len(out.Entries) != want.entries || (out.Lost != "") != want.lost || want.reason != "" && out.Unusable[want.reason] != 1 {
			t.Errorf("%s: %d entries, lost %q, unusable %v; want %+v", message, len(out.Entries), out.Lost, out.Unusable, want)
		}
	}
	s, out := start(t, open(t), "AAPL")
	for _, message := range []string{``, `[]`, `{"data":[{"p":1,"s":"AAPL","t":1,"v":1}`, `{"data":[{"p":1,"s":"AAPL","t":1,"v":1},7],"type":"trade"}`} {
		if err := s.Message([]byte(message), now, out); err == nil || len(out.Entries) > 0 {
			t.Errorf("%q: %v, %d entries", message, err, len(out.Entries))
		}
	}
	err := s.Message([]byte(`{"type":"error","msg":"Invalid API key `+token+`"}`), now, out)
	if !errors.Is(err, venue.ErrRefused) || strings.Contains(err.Error(), token) {
		t.Errorf("got %v, want that the venue refuses, without the key", err)
	}
}

// TestTooMany has a venue that takes two symbols. What it refuses is what was asked for last.
func TestTooMany(t *testing.T) {
	s, out := start(t, open(t), "A", "B", "C", "D")
	for range 2 {
		if err := s.Message([]byte(`{"msg":"Subscribing to too many symbols","type":"error"}`), now, out); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.Refused) != 2 || out.Refused[0].Symbol != "FINNHUB:D" || out.Refused[1].Symbol != "FINNHUB:C" {
		t.Errorf("refused %v, want D and C", out.Refused)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"aapl":            {"AAPL", "FINNHUB:AAPL"},
		"BINANCE:BTCUSDT": {"BINANCE:BTCUSDT", "FINNHUB:BINANCE:BTCUSDT"},
		"OANDA:EUR_USD":   {"OANDA:EUR_USD", "FINNHUB:OANDA:EUR_USD"},
		"IC MARKETS:1":    {"IC MARKETS:1", "FINNHUB:IC$20MARKETS:1"},
		"IC$20MARKETS:1":  {"IC MARKETS:1", "FINNHUB:IC$20MARKETS:1"},
		"A$24B":           {"A$B", "FINNHUB:A$24B"},
	} {
		i, err := open(t).Name(name)
		if err != nil || i.Native != want[0] || string(i.Symbol) != want[1] {
			t.Errorf("%s is %+v, %v; want %v", name, i, err, want)
		}
		again, err := open(t).Name(i.Symbol.Name())
		if err != nil || again != i {
			t.Errorf("%s is %+v, %v the other way; want %+v", i.Symbol, again, err, i)
		}
	}
	for _, name := range []string{"", "A$", "A$2", "A$GG", strings.Repeat("A", 80)} {
		if i, err := open(t).Name(name); err == nil {
			t.Errorf("%q is %+v", name, i)
		}
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "FINNHUB_API_KEY") {
		t.Errorf("got %v without a key", err)
	}
	if _, err := New(Options{Token: token, URL: "http://x"}); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("got %v of a bad address", err)
	}
}

// frame is a message of n trades.
func frame(n int) []byte {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"c":null,"p":66972.%02d,"s":"BINANCE:BTCUSDT","t":17215558862%02d,"v":0.0155%d}`, i%100, i%100, i%10))
	}
	return []byte(`{"data":[` + strings.Join(list, ",") + `],"type":"trade"}`)
}

func TestAllocations(t *testing.T) {
	s, out := start(t, open(t), "BINANCE:BTCUSDT")
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
			s, out := start(b, open(b), "BINANCE:BTCUSDT")
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
	f.Add(frame(2))
	f.Add([]byte(`{"type":"error","msg":"Subscribing to too many symbols"}`))
	f.Add([]byte(`{"type":"trade","data":[{"c":["1"],"p":1,"s":"BINANCE:BTCUSDT","t":"x","v":1}]}`))
	v := open(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		s, out := start(t, v, "BINANCE:BTCUSDT")
		if err := s.Message(message, now, out); err != nil && len(out.Entries) > 0 {
			t.Errorf("%q: %d entries besides %v", message, len(out.Entries), err)
		}
		for i := range out.Entries {
			if e := &out.Entries[i]; e.Price.Sign() <= 0 || e.Size.Sign() <= 0 || e.Event == 0 || e.Symbol != "FINNHUB:BINANCE:BTCUSDT" {
				t.Errorf("%q became %+v", message, e)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("IC MARKETS:1")
	f.Add("A$41")
	v := open(f)
	f.Fuzz(func(t *testing.T, name string) {
		i, err := v.Name(name)
		if err != nil {
			return
		}
		if again, err := v.Name(i.Symbol.Name()); err != nil || again.Symbol != i.Symbol || again.Native != i.Native {
			t.Errorf("%q is %+v, and %+v, %v the other way", name, i, again, err)
		}
	})
}
