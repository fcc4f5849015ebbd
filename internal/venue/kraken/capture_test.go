package kraken

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// samples returns the lines of a recorded file, or skips the test where the recordings are not.
func samples(t *testing.T, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "samples", name))
	if os.IsNotExist(err) {
		t.Skip("the recorded messages are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	scan := bufio.NewScanner(bytes.NewReader(b))
	scan.Buffer(nil, 1<<24)
	for scan.Scan() {
		if len(scan.Bytes()) > 0 {
			lines = append(lines, bytes.Clone(scan.Bytes()))
		}
	}
	return lines
}

// tick is a trade or a quote in the words of the recording.
type tick struct {
	Symbol, ID, Price, Size, Ask, AskSize, Side, Time string
}

// decode reads JSON with encoding/json, numbers as the text they are.
func decode(t *testing.T, b []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%.200s: %v", b, err)
	}
}

// readAlone reads a recording of version 2 with encoding/json.
func readAlone(t *testing.T, lines [][]byte) (ticks []tick, natives []string) {
	t.Helper()
	for _, line := range lines {
		var m struct {
			Channel string           `json:"channel"`
			Data    []map[string]any `json:"data"`
		}
		decode(t, line, &m)
		for _, item := range m.Data {
			text := func(key string) string {
				switch v := item[key].(type) {
				case string:
					return v
				case json.Number:
					return v.String()
				}
				return ""
			}
			if s := text("symbol"); s != "" && !slices.Contains(natives, s) {
				natives = append(natives, s)
			}
			at := text("timestamp")
			if strings.HasPrefix(at, "1970") {
				continue
			}
			switch m.Channel {
			case "trade":
				ticks = append(ticks, tick{text("symbol"), text("trade_id"), text("price"), text("qty"), "", "", text("side"), at})
			case "ticker":
				ticks = append(ticks, tick{text("symbol"), "", text("bid"), text("bid_qty"), text("ask"), text("ask_qty"), "", at})
			}
		}
	}
	return ticks, natives
}

func instruments(t *testing.T, natives []string) []venue.Instrument {
	t.Helper()
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var list []venue.Instrument
	for _, native := range natives {
		in, err := v.Name(native)
		if err != nil || in.Native != native {
			t.Fatalf("%s is %+v, %v", native, in, err)
		}
		list = append(list, in)
	}
	return list
}

// words says an entry in the words of the recording.
func words(e *market.Entry, native, layout string) tick {
	x := tick{Symbol: native, Price: e.Price.String(), Size: e.Size.String(), Time: e.Event.Std().Format(layout)}
	if e.Kind == market.KindQuote {
		x.Ask, x.AskSize = e.Ask.String(), e.AskSize.String()
		return x
	}
	x.ID = strconv.FormatUint(e.ID, 10)
	x.Side = map[market.Side]string{market.SideBuy: "buy", market.SideSell: "sell"}[e.Side]
	return x
}

func TestCaptures(t *testing.T) {
	type want struct{ trades, quotes int }
	for name, c := range map[string]struct {
		want      want
		ignored   map[string]int
		firstLast [2]string
	}{
		"kraken-v2-DERIVED-from-rest-trades": {want: want{1000, 0}, firstLast: [2]string{"10218208", "10219207"}},
		"kraken-v2-live2023-2026":            {want: want{4, 0}, ignored: map[string]int{"unknown_type": 3, "venue_error": 1}, firstLast: [2]string{"4665846", "110386730"}},
		"kraken-v2-fixtures-nautilus":        {want: want{2, 1}, ignored: map[string]int{"unknown_type": 3}, firstLast: [2]string{"", "10218209"}},
		"kraken-v2-fixtures-tardis":          {want: want{2, 1}, ignored: map[string]int{"unknown_type": 2, "never_traded": 1}, firstLast: [2]string{"122", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			lines := samples(t, name+".jsonl")
			truth, natives := readAlone(t, lines)
			list := instruments(t, natives)
			native := make(map[market.Symbol]string)
			for _, in := range list {
				native[in.Symbol] = in.Native
			}
			session := newSession(venue.Trades|venue.Quotes, list)
			var out venue.Output
			if err := session.Opened(&out); err != nil {
				t.Fatal(err)
			}
			const received = 1_800_000_000 * market.Second
			for _, line := range lines {
				if err := session.Message(line, received, &out); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
			var got []tick
			var n want
			for _, e := range out.Entries {
				if e.Kind == market.KindHeartbeat {
					continue
				}
				if e.Received != received || e.Flags&market.FlagNoEventTime != 0 {
					t.Errorf("%+v", e)
				}
				got = append(got, words(&e, native[e.Symbol], "2006-01-02T15:04:05.000000Z"))
				if e.Kind == market.KindTrade {
					n.trades++
				} else {
					n.quotes++
				}
			}
			if diff := cmp.Diff(truth, got); diff != "" {
				t.Errorf("the recording (-) and what the session read (+):\n%s", diff)
			}
			if n != c.want {
				t.Errorf("got %+v, want %+v", n, c.want)
			}
			if first, last := got[0].ID, got[len(got)-1].ID; c.firstLast != [2]string{first, last} {
				t.Errorf("from %s to %s, want %v", first, last, c.firstLast)
			}
			if diff := cmp.Diff(c.ignored, out.Unusable); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRecordedTradesOfREST reads the recorded page, and finds in it what the file derived from it has.
func TestRecordedTradesOfREST(t *testing.T) {
	body := samples(t, "kraken-rest-trades.jsonl")[0]
	var record struct {
		Result map[string]json.RawMessage `json:"result"`
	}
	decode(t, body, &record)
	var rows [][]any
	for key, raw := range record.Result {
		if key != "last" {
			decode(t, raw, &rows)
		}
	}
	var truth []tick
	for _, r := range rows {
		texts := make([]string, len(r))
		for i, cell := range r {
			switch v := cell.(type) {
			case string:
				texts[i] = v
			case json.Number:
				texts[i] = v.String()
			}
		}
		whole, fraction, _ := strings.Cut(texts[2], ".")
		ns, err := strconv.ParseInt(whole+(fraction + "000000000")[:9], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		side := map[string]string{"b": "buy", "s": "sell"}[texts[3]]
		truth = append(truth, tick{"BTC/USDT", texts[6], texts[0], texts[1], "", "", side, time.Unix(0, ns).UTC().Format(time.RFC3339Nano)})
	}
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &venue.Hole{
		Instrument: venue.Instrument{Native: "BTC/USDT", REST: "XBTUSDT", Symbol: "KRAKEN:BTC-USDT"}, Now: 1_800_000_000 * market.Second,
		After: market.Entry{Kind: market.KindTrade, ID: 10218207, Event: 1_762_795_000 * market.Second},
	}
	hs := v.History()
	asked := hs.First(h)
	if want := "https://api.kraken.com/0/public/Trades?count=1000&pair=XBTUSDT&since=1762794999999999999"; asked.URL != want {
		t.Errorf("asked %s, want %s", asked.URL, want)
	}
	entries, next, complete, err := hs.Page(h, asked, &venue.Reply{Status: 200, Body: body}, nil)
	if err != nil || complete || next == nil || next.URL != "https://api.kraken.com/0/public/Trades?count=1000&pair=XBTUSDT&since=1762820035982277753" {
		t.Fatalf("complete %v, next %+v, %v", complete, next, err)
	}
	var got []tick
	for _, e := range entries {
		got = append(got, words(&e, "BTC/USDT", time.RFC3339Nano))
	}
	if diff := cmp.Diff(truth, got); diff != "" {
		t.Errorf("the recording (-) and what was read (+):\n%s", diff)
	}
	if len(got) != 1000 || got[0].ID != "10218208" || got[999].ID != "10219207" {
		t.Errorf("%d trades", len(got))
	}

	h.Before = market.Entry{Kind: market.KindTrade, ID: 10219208}
	if _, next, complete, err := hs.Page(h, asked, &venue.Reply{Status: 200, Body: body}, nil); err != nil || !complete || next != nil {
		t.Errorf("the hole is covered: complete %v, next %+v, %v", complete, next, err)
	}
}

// TestRecordedListing reads the recorded pairs.
func TestRecordedListing(t *testing.T) {
	lines := samples(t, "kraken-rest-assetpairs-ticker.jsonl")
	v, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := v.Listing()
	first := l.First([]string{"BTC-USDT"})
	list, second, err := l.Page(first, &venue.Reply{Status: 200, Body: lines[0]}, nil)
	if err != nil || second == nil {
		t.Fatal(second, err)
	}
	list, end, err := l.Page(second, &venue.Reply{Status: 200, Body: lines[2]}, list)
	if err != nil || end != nil {
		t.Fatal(end, err)
	}
	want := []venue.Instrument{
		{Native: "BTC/USDT", REST: "XBTUSDT", Symbol: "KRAKEN:BTC-USDT", Tick: decimal(t, "0.1"), Lot: decimal(t, "0.00000001")},
		{Native: "AAPLx/USD", REST: "AAPLxUSD", Symbol: "KRAKEN:AAPLX-USD", Tick: decimal(t, "0.01"), Lot: decimal(t, "0.00000001")},
	}
	if diff := cmp.Diff(want, list, cmp.Comparer(func(a, b market.Decimal) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func decimal(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
