package bybit

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const received = market.Time(1_790_000_000_000_000_000)

// samples returns the lines of recorded messages, or skips the test where they are not.
func samples(t testing.TB, name string) [][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "..", "shared", "samples", name))
	if err != nil {
		t.Skipf("the recorded messages are not here: %v", err)
	}
	defer func() { _ = f.Close() }()
	var lines [][]byte
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		lines = append(lines, []byte(scan.Text()))
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// tick is what a test compares: texts as the venue sent them.
type tick struct {
	Symbol, ID, Price, Size, Side, Ask, AskSize string
	MS                                          int64
}

// independently reads trades with encoding/json.
func independently(t *testing.T, lines [][]byte) (trades []tick, natives []string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, line := range lines {
		var m struct {
			Topic string
			Data  json.RawMessage
		}
		if json.Unmarshal(line, &m) != nil {
			t.Fatalf("%s", line)
		}
		native := m.Topic[strings.LastIndexByte(m.Topic, '.')+1:]
		if native != "" && !seen[native] {
			seen[native] = true
			natives = append(natives, native)
		}
		if !strings.HasPrefix(m.Topic, "publicTrade.") {
			continue
		}
		var rows []map[string]any
		if err := json.Unmarshal(m.Data, &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			get := func(name string) string { s, _ := row[name].(string); return s }
			ms, _ := row["T"].(float64)
			trades = append(trades, tick{"BYBIT:" + native, get("i"), get("p"), get("v"), get("S"), "", "", int64(ms)})
		}
	}
	return trades, natives
}

// ticks turns entries into what is compared.
func ticks(entries []market.Entry) (trades, quotes []tick) {
	for i := range entries {
		e := &entries[i]
		k := tick{Symbol: string(e.Symbol), Price: e.Price.String(), Size: e.Size.String(), MS: int64(e.Event / venue.Milliseconds)}
		if e.Kind == market.KindQuote {
			k.Ask, k.AskSize = e.Ask.String(), e.AskSize.String()
			quotes = append(quotes, k)
			continue
		}
		k.ID, k.Side = e.Ref, []string{"", "Buy", "Sell"}[e.Side]
		if e.ID != 0 {
			k.ID = strconv.FormatUint(e.ID, 10)
		}
		trades = append(trades, k)
	}
	return trades, quotes
}

// carrying returns a session of a category that carries instruments by their own names, which are their symbols here too.
func carrying(t testing.TB, tickers bool, natives ...string) venue.Session {
	t.Helper()
	v, err := New(Options{Category: "linear", Tickers: tickers})
	if err != nil {
		t.Fatal(err)
	}
	var instruments []venue.Instrument
	for _, native := range natives {
		instruments = append(instruments, venue.Instrument{Native: native, Symbol: market.Symbol("BYBIT:" + native)})
	}
	s := v.Session(venue.Trades|venue.Quotes, instruments)
	if err := s.Opened(&venue.Output{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRecordedMessages reads every recorded stream and compares with an independent reading. Quotes are few, and written out:
// each is what is left when the changes before it were made.
func TestRecordedMessages(t *testing.T) {
	for name, want := range map[string]struct {
		trades  int
		tickers bool
		quotes  []string
	}{
		"bybit-v5-fixtures-tardis.jsonl": {trades: 4, quotes: []string{
			"BTCUSDT 28552.00 x 0.047 / 28552.10 x 25.433 at 1680673820717", "BTCUSDT 28552.00 x 0.012 / 28552.10 x 25.433 at 1680673821137",
			"BTCUSD 28560.00 x 340549 / 28560.50 x 70817 at 1680673822577", "BTCUSDU23 29025.00 x 3100 / 29027.00 x 3095 at 1680673822099",
			"BTCUSDT 28550.70 x 2.049 / 28550.80 x 15.328 at 1680673821770",
		}},
		"bybit-v5-fixtures-nautilus.jsonl": {quotes: []string{
			"BTCUSDT 27450.00 x 0.500 / 27451.00 x 0.750 at 1709891679000", "BTCUSDT 27450.00 x 0.400 / 0 x 0 at 1709891679500",
			"BTCUSDT 17215.50 x 84.489 / 17216.00 x 83.020 at 1673272861686",
		}},
		"bybit-v5-tickers-gct.jsonl": {tickers: true, quotes: []string{
			"BTCUSDT 61873.90 x 3.783 / 61874.00 x 16.278 at 1715748762463", "BTCUSDT 61873.90 x 3.543 / 61874.00 x 16.278 at 1715748763063",
			"BTCPERP 61909.20 x 0.035 / 61909.60 x 0.082 at 1715756612118", "BTCPERP 61909.50 x 0.035 / 61909.60 x 0.082 at 171575661221",
			"BTCUSD 61891.50 x 12667 / 61892.00 x 60953 at 1715757637952", "BTCUSD 61891.50 x 27634 / 61892.00 x 60953 at 1715757638152",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			lines := samples(t, name)
			wantTrades, natives := independently(t, lines)
			if len(wantTrades) != want.trades {
				t.Fatalf("the independent reading has %d trades, want %d", len(wantTrades), want.trades)
			}
			s := carrying(t, want.tickers, natives...)
			var out venue.Output
			for i, line := range lines {
				if strings.Contains(string(line), `"op":"subscribe"`) {
					continue // an answer to somebody else's request
				}
				if err := s.Message(line, received, &out); err != nil {
					t.Fatalf("message %d: %v", i+1, err)
				}
			}
			gotTrades, gotQuotes := ticks(out.Entries)
			if diff := cmp.Diff(wantTrades, gotTrades); diff != "" {
				t.Errorf("trades (-want +got)\n%s", diff)
			}
			var quotes []string
			for _, q := range gotQuotes {
				quotes = append(quotes, strings.TrimPrefix(q.Symbol, "BYBIT:")+" "+q.Price+" x "+q.Size+" / "+q.Ask+" x "+q.AskSize+" at "+strconv.FormatInt(q.MS, 10))
			}
			if diff := cmp.Diff(want.quotes, quotes); diff != "" {
				t.Errorf("quotes (-want +got)\n%s", diff)
			}
			for reason, n := range out.Unusable {
				if reason != "unknown_type" && reason != "delta_without_snapshot" && reason != "old_quote" && reason != "bad_quote" {
					t.Errorf("%d messages unused: %s", n, reason)
				}
			}
		})
	}
}

// TestRecordedREST reads the recorded answers of the REST API.
func TestRecordedREST(t *testing.T) {
	lines := samples(t, "bybit-v5-rest-fixtures-nautilus.jsonl")
	v, err := New(Options{Category: "linear"})
	if err != nil {
		t.Fatal(err)
	}
	in, err := v.Name("BTC-USDT")
	if err != nil {
		t.Fatal(err)
	}
	h := venue.Hole{Instrument: in, Now: received}
	entries, next, complete, err := v.History().Page(&h, v.History().First(&h), &venue.Reply{Status: 200, Body: lines[0]}, nil)
	if err != nil || next != nil || complete {
		t.Fatalf("got next %v, complete %v, %v", next, complete, err)
	}
	got, _ := ticks(entries)
	want := []tick{{Symbol: "BYBIT:BTC-USDT", ID: "a905d5c3-1ed0-4f37-83e4-9c73a2fe2f01", Price: "27450.50", Size: "0.005", Side: "Buy", MS: 1709891679000}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trades (-want +got)\n%s", diff)
	}
	spot, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, next, err := spot.Listing().Page(spot.Listing().First(nil), &venue.Reply{Status: 200, Body: lines[2]}, nil)
	if err != nil || next != nil || len(list) != 2 || list[0].Symbol != "BYBIT:BTC-USDT" || list[0].Native != "BTCUSDT" || list[0].Tick.String() != "0.1" || list[0].Lot.String() != "0.0001" {
		t.Errorf("spot: got %+v, next %v, %v", list, next, err)
	}
	list, _, err = v.Listing().Page(v.Listing().First(nil), &venue.Reply{Status: 200, Body: lines[3]}, nil)
	if err != nil || len(list) < 2 || list[1].Symbol != "BYBIT:ETH-USDT" || list[0].Tick.String() != "0.5" || list[0].Lot.String() != "0.001" || list[0].Resting {
		t.Errorf("linear: got %+v, %v", list, err)
	}
}
