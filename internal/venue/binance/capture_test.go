package binance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
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
	Symbol, ID, Price, Size, Ask, AskSize, Side, Millis string
}

// readAlone reads a recording with encoding/json into maps, whose keys are told apart by case.
func readAlone(t *testing.T, lines [][]byte, aggregated bool) (ticks []tick, natives []string) {
	t.Helper()
	names := make(map[string]bool)
	for _, line := range lines {
		decode := func(b []byte) map[string]any {
			var m map[string]any
			d := json.NewDecoder(bytes.NewReader(b))
			d.UseNumber()
			if err := d.Decode(&m); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			return m
		}
		m := decode(line)
		if data, ok := m["data"].(map[string]any); ok {
			m = data
		}
		text := func(key string) string {
			switch v := m[key].(type) {
			case string:
				return v
			case json.Number:
				return v.String()
			}
			return ""
		}
		kind, _ := m["e"].(string)
		trade := map[bool]string{true: "aggTrade", false: "trade"}[aggregated]
		number := map[bool]string{true: "a", false: "t"}[aggregated]
		switch {
		case kind == trade:
			side := map[any]string{true: "sell", false: "buy"}[m["m"]]
			ticks = append(ticks, tick{text("s"), text(number), text("p"), text("q"), "", "", side, text("T")})
		case kind == "bookTicker" || kind == "" && m["B"] != nil:
			ticks = append(ticks, tick{text("s"), "", text("b"), text("B"), text("a"), text("A"), "", text("T")})
		}
		if s := text("s"); s != "" {
			names[s] = true
		}
	}
	return ticks, slices.Sorted(maps.Keys(names))
}

// readByAdapter reads a recording with a session.
func readByAdapter(t *testing.T, lines [][]byte, natives []string, aggregated bool) (ticks []tick, out venue.Output) {
	t.Helper()
	v, err := New(Options{Aggregated: aggregated})
	if err != nil {
		t.Fatal(err)
	}
	var instruments []venue.Instrument
	for _, native := range natives {
		s, err := market.NewSymbol("BINANCE", native)
		if err != nil {
			t.Fatal(err)
		}
		instruments = append(instruments, venue.Instrument{Native: native, Symbol: s})
	}
	session := v.Session(venue.Trades|venue.Quotes, instruments)
	if err := session.Opened(&out); err != nil {
		t.Fatal(err)
	}
	const received = market.Time(1_800_000_000) * market.Second
	for _, line := range lines {
		begin := len(out.Entries)
		if err := session.Message(line, received, &out); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, e := range out.Entries[begin:] {
			if e.Kind == market.KindHeartbeat {
				continue
			}
			x := tick{Symbol: e.Symbol.Name(), Price: e.Price.String(), Size: e.Size.String()}
			if e.Kind == market.KindTrade {
				x.ID = strconv.FormatUint(e.ID, 10)
				x.Side = map[market.Side]string{market.SideBuy: "buy", market.SideSell: "sell"}[e.Side]
			} else {
				x.Ask, x.AskSize = e.Ask.String(), e.AskSize.String()
			}
			switch {
			case e.Flags&market.FlagNoEventTime == 0:
				x.Millis = strconv.FormatInt(int64(e.Event/venue.Milliseconds), 10)
			case e.Event != received:
				t.Fatalf("%s: without a time of its own it is of %v", line, e.Event)
			}
			if e.Received != received {
				t.Fatalf("%s: received %v", line, e.Received)
			}
			ticks = append(ticks, x)
		}
	}
	return ticks, out
}

func TestCaptures(t *testing.T) {
	type want struct{ trades, quotes int }
	for name, c := range map[string]struct {
		aggregated bool
		want       want
		before2010 bool // its times are invented
	}{
		"binance-spot-20210417":            {true, want{24, 570}, false},
		"binance-spot-20210814":            {true, want{28, 412}, false},
		"binanceus-spot-20210417":          {true, want{18, 458}, false},
		"binanceus-spot-20210814":          {true, want{3, 241}, false},
		"binance-usdm-futures-20210722":    {true, want{91, 613}, false},
		"binance-spot-live2026":            {false, want{1, 1}, false},
		"binance-spot-fixtures-tardis":     {false, want{2, 1}, false},
		"binance-spot-wshandledata-gct":    {false, want{1, 0}, true},
		"binance-usdm-fixtures-tardis":     {false, want{3, 1}, false},
		"binance-usdm-fixtures-nautilus":   {false, want{1, 1}, true},
		"binance-usdm-fixtures-nautilus/a": {true, want{1, 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			lines := samples(t, strings.TrimSuffix(name, "/a")+".jsonl")
			truth, natives := readAlone(t, lines, c.aggregated)
			got, out := readByAdapter(t, lines, natives, c.aggregated)
			if c.before2010 {
				for i := range truth {
					if len(truth[i].Millis) < 13 {
						truth[i].Millis = ""
					}
				}
			}
			if diff := cmp.Diff(truth, got); diff != "" {
				t.Errorf("the recording (-) and what the session read (+):\n%s", diff)
			}
			var n want
			for _, x := range got {
				if x.ID != "" {
					n.trades++
				} else {
					n.quotes++
				}
			}
			if n != c.want {
				t.Errorf("got %+v, want %+v", n, c.want)
			}
			for reason := range out.Unusable {
				if reason != "unknown_type" {
					t.Errorf("%d could not be used: %s", out.Unusable[reason], reason)
				}
			}
		})
	}
}

// TestCapturedTradesFollowEachOther holds the claim that the numbers of trades have no holes, by which lost ones are found.
func TestCapturedTradesFollowEachOther(t *testing.T) {
	for _, name := range []string{"binance-spot-20210417", "binance-spot-20210814", "binance-usdm-futures-20210722"} {
		ticks, _ := readAlone(t, samples(t, name+".jsonl"), true)
		last := make(map[string]uint64)
		for _, x := range ticks {
			if x.ID == "" {
				continue
			}
			id, err := strconv.ParseUint(x.ID, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if l := last[x.Symbol]; l != 0 && id != l+1 {
				t.Errorf("%s: %s: %d follows %d", name, x.Symbol, id, l)
			}
			last[x.Symbol] = id
		}
	}
}

// TestRecordedPages reads every recorded page of trades as the history does.
func TestRecordedPages(t *testing.T) {
	pages, trades := 0, 0
	for _, line := range samples(t, "binance-rest-recorded-gct.jsonl") {
		var record struct {
			Request  string          `json:"request"`
			Response json.RawMessage `json:"response"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(record.Request, "rades?") || strings.Contains(record.Request, "fapi") {
			continue
		}
		var rows []map[string]any
		d := json.NewDecoder(bytes.NewReader(record.Response))
		d.UseNumber()
		if err := d.Decode(&rows); err != nil {
			t.Fatal(err)
		}
		var truth []tick
		for _, r := range rows {
			text := func(long, short string) string {
				for _, key := range []string{long, short} {
					switch v := r[key].(type) {
					case string:
						return v
					case json.Number:
						return v.String()
					}
				}
				return ""
			}
			maker := r["m"] == true || r["isBuyerMaker"] == true
			truth = append(truth, tick{
				"X-Y", text("id", "a"), text("price", "p"), text("qty", "q"), "", "", map[bool]string{true: "sell", false: "buy"}[maker],
				text("time", "T"),
			})
		}
		h := &venue.Hole{Instrument: venue.Instrument{Native: "XY", Symbol: "BINANCE:X-Y"}, Now: 1_800_000_000 * market.Second}
		entries, n, err := readRows(h, record.Response, nil)
		if err != nil || n != len(rows) {
			t.Fatalf("%s: %d rows, want %d; %v", record.Request, n, len(rows), err)
		}
		var got []tick
		for _, e := range entries {
			got = append(got, tick{
				e.Symbol.Name(), strconv.FormatUint(e.ID, 10), e.Price.String(), e.Size.String(), "", "",
				map[market.Side]string{market.SideBuy: "buy", market.SideSell: "sell"}[e.Side],
				strconv.FormatInt(int64(e.Event/venue.Milliseconds), 10),
			})
		}
		if diff := cmp.Diff(truth, got); diff != "" {
			t.Errorf("%s: the recording (-) and what was read (+):\n%s", record.Request, diff)
		}
		pages++
		trades += len(got)
	}
	if pages != 23 || trades < 2000 {
		t.Errorf("%d pages with %d trades", pages, trades)
	}
}

// TestRecordedListing reads the recorded list of instruments.
func TestRecordedListing(t *testing.T) {
	for _, line := range samples(t, "binance-rest-recorded-gct.jsonl") {
		var record struct {
			Request  string `json:"request"`
			Response struct {
				Symbols []struct {
					Symbol, Status, BaseAsset, QuoteAsset string
					Filters                               []struct{ FilterType, TickSize, StepSize string }
				} `json:"symbols"`
			} `json:"response"`
		}
		if !bytes.Contains(line, []byte("exchangeInfo")) {
			continue
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(line, []byte(`"response":`))
		v, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := v.Listing()
		got, next, err := l.Page(l.First(nil), &venue.Reply{Status: 200, Body: bytes.TrimSuffix(bytes.TrimSpace(body), []byte("}"))}, nil)
		if err != nil || next != nil {
			t.Fatalf("%v, %v", next, err)
		}
		type instrument struct{ native, symbol, tick, lot string }
		var a, b []instrument
		trim := func(s string) string {
			if strings.Contains(s, ".") {
				s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
			}
			return s
		}
		for _, r := range record.Response.Symbols {
			x := instrument{native: r.Symbol, symbol: "BINANCE:" + r.BaseAsset + "-" + r.QuoteAsset}
			for _, f := range r.Filters {
				switch f.FilterType {
				case "PRICE_FILTER":
					x.tick = trim(f.TickSize)
				case "LOT_SIZE":
					x.lot = trim(f.StepSize)
				}
			}
			a = append(a, x)
		}
		resting := 0
		for _, in := range got {
			b = append(b, instrument{in.Native, string(in.Symbol), in.Tick.String(), in.Lot.String()})
			if in.Resting {
				resting++
			}
		}
		if diff := cmp.Diff(a, b, cmp.AllowUnexported(instrument{})); diff != "" {
			t.Errorf("the recording (-) and what was read (+):\n%s", diff)
		}
		t.Logf("%d instruments, %d at rest", len(got), resting)
		return
	}
	t.Error("there is no list among the recordings")
}
