package okx

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

// independently reads trades and quotes with encoding/json. Quotes that repeat the one before are left out.
func independently(t *testing.T, lines [][]byte) (trades, quotes []tick, natives []string) {
	t.Helper()
	last := make(map[string]tick)
	seen := make(map[string]bool)
	for _, line := range lines {
		var m struct {
			Arg struct{ Channel, InstID string }
		}
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		if id := m.Arg.InstID; id != "" && !seen[id] {
			seen[id] = true
			natives = append(natives, id)
		}
		var d struct{ Data []map[string]any }
		if json.Unmarshal(line, &d) != nil {
			continue
		}
		for _, row := range d.Data {
			get := func(name string) string { s, _ := row[name].(string); return s }
			ms, _ := strconv.ParseInt(get("ts"), 10, 64)
			k := tick{Symbol: "OKX:" + m.Arg.InstID, MS: ms}
			switch m.Arg.Channel {
			case "trades", "trades-all":
				k.ID, k.Price, k.Size, k.Side = get("tradeId"), get("px"), get("sz"), get("side")
				trades = append(trades, k)
				continue
			case "tickers":
				k.Price, k.Size, k.Ask, k.AskSize = get("bidPx"), get("bidSz"), get("askPx"), get("askSz")
			case "bbo-tbt":
				k.Price, k.Size = best(row["bids"])
				k.Ask, k.AskSize = best(row["asks"])
			default:
				continue
			}
			k.Price, k.Size, k.Ask, k.AskSize = or0(k.Price), or0(k.Size), or0(k.Ask), or0(k.AskSize)
			same := k
			same.MS = 0
			if k.Price == "0" && k.Ask == "0" || last[k.Symbol] == same {
				continue
			}
			last[k.Symbol] = same
			quotes = append(quotes, k)
		}
	}
	return trades, quotes, natives
}

func or0(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

func best(v any) (price, size string) {
	levels, _ := v.([]any)
	if len(levels) == 0 {
		return "", ""
	}
	level, _ := levels[0].([]any)
	price, _ = level[0].(string)
	size, _ = level[1].(string)
	return price, size
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
		k.ID, k.Side = strconv.FormatUint(e.ID, 10), []string{"", "buy", "sell"}[e.Side]
		trades = append(trades, k)
	}
	return trades, quotes
}

// carrying returns a session that carries instruments by their own names.
func carrying(t testing.TB, kinds venue.Kinds, natives ...string) venue.Session {
	t.Helper()
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var instruments []venue.Instrument
	for _, native := range natives {
		in, err := v.Name(native)
		if err != nil {
			t.Fatal(err)
		}
		instruments = append(instruments, in)
	}
	s := v.Session(kinds, instruments)
	if err := s.Opened(&venue.Output{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRecordedMessages reads every recorded stream and compares with an independent reading.
func TestRecordedMessages(t *testing.T) {
	for name, want := range map[string]struct{ trades, quotes int }{
		"okx-v5-20210722a.jsonl": {}, "okx-v5-20210722c.jsonl": {}, "okx-v5-20220227.jsonl": {}, "okx-v5-alltrades-gct.jsonl": {trades: 2},
		"okx-v5-fixtures-nautilus.jsonl": {trades: 1, quotes: 2}, "okx-v5-fixtures-tardis.jsonl": {trades: 3, quotes: 3},
	} {
		t.Run(name, func(t *testing.T) {
			lines := samples(t, name)
			wantTrades, wantQuotes, natives := independently(t, lines)
			if len(wantTrades) == 0 || want.trades > 0 && (len(wantTrades) != want.trades || len(wantQuotes) != want.quotes) {
				t.Fatalf("the independent reading has %d trades and %d quotes", len(wantTrades), len(wantQuotes))
			}
			s := carrying(t, venue.Trades|venue.Quotes, natives...)
			var out venue.Output
			for i, line := range lines {
				if err := s.Message(line, received, &out); err != nil {
					t.Fatalf("message %d: %v", i+1, err)
				}
			}
			gotTrades, gotQuotes := ticks(out.Entries)
			if diff := cmp.Diff(wantTrades, gotTrades); diff != "" {
				t.Errorf("trades (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(wantQuotes, gotQuotes); diff != "" {
				t.Errorf("quotes (-want +got)\n%s", diff)
			}
			t.Logf("%d trades, %d quotes, first %+v, last %+v", len(gotTrades), len(gotQuotes), gotTrades[0], gotTrades[len(gotTrades)-1])
			for reason, n := range out.Unusable {
				if reason != "unknown_type" && reason != "old_quote" && reason != "bad_quote" {
					t.Errorf("%d messages unused: %s", n, reason)
				}
			}
		})
	}
}

// TestRecordedREST reads the recorded answers of the REST API.
func TestRecordedREST(t *testing.T) {
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	lines := samples(t, "okx-v5-rest-fixtures-nautilus.jsonl")
	in, err := v.Name("BTC-USDT")
	if err != nil {
		t.Fatal(err)
	}
	h := venue.Hole{Instrument: in, Now: received}
	entries, _, _, err := v.History().Page(&h, &venue.Request{Cursor: uint64(0)}, &venue.Reply{Status: 200, Body: lines[0]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := ticks(entries)
	want := []tick{
		{Symbol: "OKX:BTC-USDT", ID: "734864333", Price: "102537.9", Size: "0.00013669", Side: "sell", MS: 1747087163557},
		{Symbol: "OKX:BTC-USDT", ID: "734864332", Price: "102537.9", Size: "0.0000125", Side: "buy", MS: 1747087161666},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trades (-want +got)\n%s", diff)
	}
	for _, line := range lines {
		if !strings.Contains(string(line), "tickSz") {
			continue
		}
		list, next, err := v.Listing().Page(&venue.Request{}, &venue.Reply{Status: 200, Body: line}, nil)
		if err != nil || next != nil || len(list) == 0 {
			t.Fatalf("got %d instruments, next %v, %v", len(list), next, err)
		}
		if got := list[0]; got.Native != "BTC-USD" || got.Symbol != "OKX:BTC-USD" || got.Tick.String() != "0.1" || got.Lot.String() != "0.00000001" || got.Resting {
			t.Errorf("got %+v", got)
		}
	}
}
