package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/replay"
	"tapedeck/internal/layout/layouttest"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// write makes a file and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// play plays a file as fast as possible.
func play(t testing.TB, path, params string) (*feedtest.Sink, error) {
	t.Helper()
	var sink feedtest.Sink
	err := open(t, "replay://"+path+"?speed=max"+params, feed.Start{}).Run(t.Context(), &sink)
	return &sink, err
}

// line writes an entry as "SYMBOL time price×size".
func line(e market.Entry) string {
	switch e.Kind {
	case market.KindTrade:
		s := fmt.Sprintf("%s %s %s×%s", e.Symbol, e.Event, e.Price, e.Size)
		if e.Side != market.SideNone {
			s += " " + []string{"", "buy", "sell"}[e.Side]
		}
		if e.ID != 0 {
			s += fmt.Sprintf(" #%d", e.ID)
		}
		if e.Ref != "" {
			s += " #" + e.Ref
		}
		if e.Exchange != "" || e.Conditions != "" {
			s += " " + e.Exchange + "/" + e.Conditions
		}
		return s
	case market.KindQuote:
		return fmt.Sprintf("%s %s %s×%s %s×%s", e.Symbol, e.Event, e.Price, e.Size, e.Ask, e.AskSize)
	case market.KindGap:
		return fmt.Sprintf("gap %s %s %s: %s", e.Symbol, e.Event, e.Until, e.Text)
	default:
		return e.Kind.String()
	}
}

func lines(entries []market.Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, line(e))
	}
	return list
}

func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		file, params string
		want         []string
	}{
		"the tutorial's": {
			file: "timestamp,price\n2024-05-31T09:30:00Z,187.40\n2024-05-31T09:30:01Z,187.42\n",
			want: []string{"REPLAY:FILE 2024-05-31T09:30:00Z 187.40×0", "REPLAY:FILE 2024-05-31T09:30:01Z 187.42×0"},
		},
		"values that are no prices": {
			file: "time,value\n1700000000,-5.50\n1700000001,0\n",
			want: []string{"REPLAY:FILE 2023-11-14T22:13:20Z -5.50×0", "REPLAY:FILE 2023-11-14T22:13:21Z 0×0"},
		},
		"a price below zero": {
			file: "time,price,size\n1587412800,-37.63,2\n",
			want: []string{"REPLAY:FILE 2020-04-20T20:00:00Z -37.63×2"},
		},
		"no header": {
			file: "1315922016,5.8000,1.0\r\n1315922024,5.83,3\r\n",
			want: []string{"REPLAY:FILE 2011-09-13T13:53:36Z 5.8000×1.0", "REPLAY:FILE 2011-09-13T13:53:44Z 5.83×3"},
		},
		"no header, two columns": {
			file: "2024-05-31 09:30,1\n", want: []string{"REPLAY:FILE 2024-05-31T09:30:00Z 1×0"},
		},
		"no header, Binance": {
			file: "3735683259,61837.63,0.02,1236.7526,1723161255342,True,True\n",
			want: []string{"REPLAY:FILE 2024-08-08T23:54:15.342Z 61837.63×0.02 sell #3735683259"},
		},
		"no header, map by number": {
			file: "x,1.5,1700000000,7\n", params: "&map=time=3,price=2,size=4,symbol=1",
			want: []string{"REPLAY:X 2023-11-14T22:13:20Z 1.5×7"},
		},
		"quoted, with a mark of byte order, scientific": {
			file: "\xef\xbb\xbf\"symbol\",\"side\",\"price\",\"amount\",\"timestamp\"\n\"BTC-USD\",\"sell\",25741.02,7.7696E-4,\"2023-09-05T16:00:01.281719Z\"\n",
			want: []string{"REPLAY:BTC-USD 2023-09-05T16:00:01.281719Z 25741.02×0.00077696 sell"},
		},
		"semicolons, zone": {
			file: "time;price;qty\n2021-07-01 09:30:00.5;10,5;1\n2021-01-01 09:30:00;10.5;1\n", params: "&tz=America/New_York",
			want: []string{
				"gap REPLAY:FILE 2021-01-01T14:30:00Z 2021-01-01T14:30:00Z: row left out: line 2, column price: \"10,5\" is not a decimal number",
				"REPLAY:FILE 2021-01-01T14:30:00Z 10.5×1",
			},
		},
		"tabs": {
			file: "Time\tLast\tVolume\n2021-07-01T09:30:00-04:00\t10.5\t1\n", want: []string{"REPLAY:FILE 2021-07-01T13:30:00Z 10.5×1"},
		},
		"epochs of all units": {
			file: "time,price\n1700000000,1\n1700000000.123456789,1\n1700000000123,1\n1700000000123.5,1\n1700000000123456,1\n1700000000123456789,1\n",
			want: []string{
				"REPLAY:FILE 2023-11-14T22:13:20Z 1×0", "REPLAY:FILE 2023-11-14T22:13:20.123456789Z 1×0",
				"REPLAY:FILE 2023-11-14T22:13:20.123Z 1×0", "REPLAY:FILE 2023-11-14T22:13:20.1235Z 1×0",
				"REPLAY:FILE 2023-11-14T22:13:20.123456Z 1×0", "REPLAY:FILE 2023-11-14T22:13:20.123456789Z 1×0",
			},
		},
		"trade id, side, exchange, conditions": {
			file: "ts_event,ts_recv,symbol,price,size,side,trade_id,exchange,conditions\n" +
				"2024-01-02T03:04:05.000000006Z,2025-01-01T00:00:00Z,AAPL,1.0,2,Buy,77,Q,\"@,F\"\n" +
				"2024-01-02T03:04:05.000000006Z,2025-01-01T00:00:00Z,AAPL,1.0,2,S,0a1b,N,\n",
			want: []string{
				"REPLAY:AAPL 2024-01-02T03:04:05.000000006Z 1.0×2 buy #77 Q/@,F", "REPLAY:AAPL 2024-01-02T03:04:05.000000006Z 1.0×2 sell #0a1b N/",
			},
		},
		"buyer is maker": {
			file: "time,price,size,buyer_is_maker\n1700000000,1,1,true\n1700000000,1,1,false\n",
			want: []string{"REPLAY:FILE 2023-11-14T22:13:20Z 1×1 sell", "REPLAY:FILE 2023-11-14T22:13:20Z 1×1 buy"},
		},
		"one of two symbols, venue": {
			file: "time,symbol,price\n1700000000,A,1\n1700000000,b,2\n1700000000,A,3\n", params: "&symbol=B&venue=XNYS",
			want: []string{"XNYS:B 2023-11-14T22:13:20Z 2×0"},
		},
		"named symbol": {
			file: "time,price\n1700000000,1\n", params: "&symbol=spy", want: []string{"REPLAY:SPY 2023-11-14T22:13:20Z 1×0"},
		},
		"quotes": {
			file: "ts_ns,symbol,bid,bid_size,ask,ask_size\n1700000000000000000,EURUSD,1.1,10,1.2,20\n",
			want: []string{"REPLAY:EURUSD 2023-11-14T22:13:20Z 1.1×10 1.2×20"},
		},
		"quotes, joined": {
			file: "time_seconds,bid_price_bid_size,ask_price_ask_size\n1625097600,2271.58_1.6477,2279.63_28.479526\n",
			want: []string{"REPLAY:FILE 2021-07-01T00:00:00Z 2271.58×1.6477 2279.63×28.479526"},
		},
		"date and time apart": {
			file: "symbol,date,time,price\nA,2022.02.20,6:24:34.5,1\n", want: []string{"REPLAY:A 2022-02-20T06:24:34.5Z 1×0"},
		},
		"bars give their close": {
			file: "Date,Open,High,Low,Close,Adj Close,Volume\n2017-10-10,1,4,1,3,2.5,100\n", want: []string{"REPLAY:FILE 2017-10-10T00:00:00Z 3×100"},
		},
		"preamble": {
			file: "https://example.com\nUnix,Date,Symbol,Close,Volume BTC\n1774828800000,2026-03-30,BTCUSDT,66797.37,1\n",
			want: []string{"REPLAY:BTCUSDT 2026-03-30T00:00:00Z 66797.37×1"},
		},
		"two columns of any name": {
			file: "AAPL_x,AAPL_y\n2014-01-02,77.44539475\n", want: []string{"REPLAY:FILE 2014-01-02T00:00:00Z 77.44539475×0"},
		},
		"month names": {
			file: "date,price\nJan 1 2000,1394.46\n31-Dec-10,2\nMarch 5, 2001,3\n", params: "",
			want: []string{"REPLAY:FILE 2000-01-01T00:00:00Z 1394.46×0", "REPLAY:FILE 2010-12-31T00:00:00Z 2×0"},
		},
		"day before month": {
			file: "date,price\n03/04/2024,1\n", params: "&dates=dmy", want: []string{"REPLAY:FILE 2024-04-03T00:00:00Z 1×0"},
		},
		"before 1970": {
			file: "date,price\n1950-01-03,16.66\n", want: []string{"REPLAY:FILE 1950-01-03T00:00:00Z 16.66×0"},
		},
		"order of the file": {
			file: "time,price\n1700000005,1\n1700000000,2\n1700000005,3\n",
			want: []string{"REPLAY:FILE 2023-11-14T22:13:25Z 1×0", "REPLAY:FILE 2023-11-14T22:13:20Z 2×0", "REPLAY:FILE 2023-11-14T22:13:25Z 3×0"},
		},
		"bad rows": {
			file: "time,price,size\n1700000000,1,1\nx,1,1\n1700000001,,1\n1700000002,NaN,1\n1700000003,0,1\n1700000004,1,-1\n1700000005\n\"1700000005,1,1\n0,1,1\n1700000009,2,null\n",
			want: []string{
				"REPLAY:FILE 2023-11-14T22:13:20Z 1×1",
				"gap REPLAY:FILE 2023-11-14T22:13:20Z 2023-11-14T22:13:29Z: 8 rows left out, the first: line 3, column time: \"x\" is not a time",
				"REPLAY:FILE 2023-11-14T22:13:29Z 2×0",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, packed := range []bool{false, true} {
				content := c.file
				if packed {
					content = pack(t, content)
				}
				sink, err := play(t, write(t, "file.csv", content), c.params)
				if err != nil {
					t.Fatal(err)
				}
				got := lines(sink.Entries())
				if name == "month names" && len(got) > 2 {
					got = got[:2] // The comma of the last row divides it: a gap.
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("packed %v: %s", packed, diff)
				}
			}
		})
	}
}

func pack(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFilesThatAreRefused checks that whatever is wrong with a file is said, for good.
func TestFilesThatAreRefused(t *testing.T) {
	whole := pack(t, "time,price\n"+strings.Repeat("1700000000,1\n", 5000)+fmt.Sprint(rand.Uint64()))
	damaged := []byte(whole)
	damaged[len(damaged)-5] ^= 1
	for name, c := range map[string]struct {
		content, params string
		want            []string
	}{
		"empty":                {"", "", []string{"is empty"}},
		"blank lines":          {"\n\n\n", "", []string{"no rows"}},
		"header only":          {"time,price\n", "", []string{"no rows"}},
		"no such columns":      {"where,what,who\n2024-01-01,1,x\n", "", []string{"no time", "no price", "where, what, who", "map=time="}},
		"Finnish":              {"Päivä,Avaus,Päätös\n1980-11-03,1,2\n", "", []string{"Päivä, Avaus, Päätös", "map="}},
		"no header, nine":      {"1381017600,122.0,122.0,122.0,122.0,0.1,1,1,1\n", "", []string{"no header", "9 columns", "map=time=1"}},
		"first row broken":     {"x,1,1\n1315922016,5.8,1.0\n", "", []string{"no header", "x,1,1"}},
		"map of nothing":       {"time,price\n1,1\n", "&map=price=cost", []string{"map=price=cost", "time, price"}},
		"prose":                {"Dear Sir,\nplease find the prices.\n", "", []string{"columns not recognised"}},
		"one column":           {"hello\nworld\n", "", []string{"one column"}},
		"all rows bad":         {"time,price\nx,1\ny,2\n", "", []string{"no row can be used", "line 2", `"x" is not a time`}},
		"no price":             {"time,price,size\n1700000000,0.00,7\n", "", []string{"line 2", "column price", "not a price"}},
		"too many digits":      {"time,price\n1700000000,9223372036854775808\n", "", []string{"line 2", "more digits"}},
		"comma in a number":    {"time,price,size\n1700000000,1,234.50,7\n", "", []string{"no row can be used", "line 2", "too many columns"}},
		"ambiguous dates":      {"date,price\n03/04/2024,1\n", "", []string{"line 2", "dates=mdy"}},
		"other symbols":        {"time,symbol,price\n1700000000,A,1\n1700000000,B,1\n", "&symbol=C", []string{"no row is of the symbol", "A, B"}},
		"zeros":                {"time,price\n\x00\x00\x00\x00", "", []string{"not text"}},
		"ZIP":                  {"PK\x03\x04rest", "", []string{"ZIP"}},
		"Parquet":              {"PAR1rest", "", []string{"Parquet"}},
		"zstd":                 {"\x28\xb5\x2f\xfdrest", "", []string{"zstd"}},
		"UTF-16":               {"\xff\xfet\x00i\x00", "", []string{"UTF-16"}},
		"gzip cut off":         {whole[:len(whole)-20], "", []string{"cut off"}},
		"gzip cut off at once": {whole[:12], "", []string{"cut off"}},
		"gzip damaged":         {string(damaged), "", []string{"damaged"}},
		"gzip of nothing":      {pack(t, ""), "", []string{"is empty"}},
		"not gzip after all":   {"\x1f\x8bnonsense that is no gzip", "", []string{"gzip"}},
		"long line":            {"time,price\n1700000000,1\n" + strings.Repeat("x", 10<<20) + "\n", "", []string{"longer than", "line 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := play(t, write(t, "file.csv", c.content), c.params)
			if !feed.IsPermanent(err) {
				t.Fatalf("got %v, want a permanent error", err)
			}
			for _, want := range append(c.want, "file.csv") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none.csv"), "a folder": t.TempDir()} {
		if _, err := play(t, path, ""); !feed.IsPermanent(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRowsBeforeTheCutArePlayed(t *testing.T) {
	var b strings.Builder
	b.WriteString("time,price\n")
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		fmt.Fprintf(&b, "%d,%d\n", 1_700_000_000+i, 1+rng.IntN(1e6))
	}
	whole := pack(t, b.String())
	sink, err := play(t, write(t, "file.csv.gz", whole[:len(whole)/2]), "")
	if !feed.IsPermanent(err) || !strings.Contains(err.Error(), "cut off") {
		t.Fatalf("got %v", err)
	}
	if n := len(sink.Entries(market.KindTrade)); n < 5000 || n > 15_000 {
		t.Errorf("got %d trades of the first half", n)
	}
}

func TestBadParameters(t *testing.T) {
	reg := feed.NewRegistry(replay.Adapter())
	for url, want := range map[string]string{
		"replay://":                       "names no file",
		"replay:///x?speed=0":             "speed=0",
		"replay:///x?speed=-1":            "speed=-1",
		"replay:///x?speed=fast":          "speed=fast",
		"replay:///x?speed=":              "speed=",
		"replay:///x?delay=5":             "delay=5",
		"replay:///x?delay=-5ms":          "delay=-5ms",
		"replay:///x?jitter=2":            "jitter=2",
		"replay:///x?jitter=NaN":          "jitter=NaN",
		"replay:///x?loop=perhaps":        "loop=perhaps",
		"replay:///x?shift=then":          "shift=then",
		"replay:///x?tz=Mars":             "tz=Mars",
		"replay:///x?dates=ymd":           "dates=ymd",
		"replay:///x?map=":                "map=",
		"replay:///x?map=time":            "meaning=column",
		"replay:///x?map=when=ts":         "when is not one of time",
		"replay:///x?map=price=a,price=b": "twice",
		"replay:///x?symbol=A%20B":        "A B",
		"replay:///x?symbols=A":           "did you mean symbol?",
	} {
		if _, err := reg.Parse(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something about %s", url, err, want)
		}
	}
}

// recorded is a file of five rows: at 0, 1, 1, 11 and 12 s.
const recorded = "time,price\n1700000000,1\n1700000001,2\n1700000001,3\n1700000011,4\n1700000012,5\n"

// arrivals plays a file with the given parameters and returns when each row came, within a bubble.
func arrivals(t *testing.T, params string, rows int) (at []time.Duration, entries []market.Entry) {
	t.Helper()
	path := write(t, "file.csv", recorded)
	synctest.Test(t, func(t *testing.T) {
		begin := market.FromStd(time.Now())
		sink := &feedtest.Sink{Stop: func(n int) error {
			if n >= rows {
				return errEnough
			}
			return nil
		}}
		if err := open(t, "replay://"+path+"?"+params, feed.Start{}).Run(t.Context(), sink); err != nil && !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		entries = sink.Entries()
		for i := range entries {
			at = append(at, entries[i].Received.Sub(begin))
			entries[i].Event -= begin
		}
	})
	return at, entries
}

var errEnough = errors.New("enough")

func TestPace(t *testing.T) {
	second := time.Second
	for params, want := range map[string][]time.Duration{
		"":                      {0, second, second, 11 * second, 12 * second},
		"speed=10":              {0, second / 10, second / 10, 11 * second / 10, 12 * second / 10},
		"speed=0.5":             {0, 2 * second, 2 * second, 22 * second, 24 * second},
		"speed=max":             {0, 0, 0, 0, 0},
		"delay=50ms":            {0, second / 20, 2 * second / 20, 3 * second / 20, 4 * second / 20},
		"delay=50ms&speed=10":   {0, second / 20, 2 * second / 20, 3 * second / 20, 4 * second / 20},
		"loop=true&speed=1":     {0, second, second, 11 * second, 12 * second, 15 * second, 16 * second, 16 * second},
		"loop=true&delay=100ms": {0, second / 10, 2 * second / 10, 3 * second / 10, 4 * second / 10, 5 * second / 10},
	} {
		got, _ := arrivals(t, params, len(want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", params, diff)
		}
	}
}

func TestJitterVariesAndRepeats(t *testing.T) {
	once, _ := arrivals(t, "jitter=0.5", 5)
	again, _ := arrivals(t, "jitter=0.5", 5)
	other, _ := arrivals(t, "jitter=0.5&seed=2", 5)
	if !cmp.Equal(once, again) {
		t.Error("the same seed gave other times")
	}
	if cmp.Equal(once, other) {
		t.Error("another seed gave the same times")
	}
	if d := once[3] - once[2]; d < 5*time.Second || d > 15*time.Second || d == 10*time.Second {
		t.Errorf("10 s with a jitter of a half took %v", d)
	}
}

func TestLaterPassesGoOnInTime(t *testing.T) {
	_, entries := arrivals(t, "loop=true&speed=max", 15)
	for i := 1; i < len(entries); i++ {
		if entries[i].Event < entries[i-1].Event {
			t.Fatalf("entry %d goes back in time", i)
		}
	}
	// 12 s long, and 3 s from one row to the next as a rule.
	for i := 5; i < 15; i++ {
		if d := entries[i].Event - entries[i-5].Event; d != 15*market.Second {
			t.Fatalf("entry %d is %v after that of the pass before, want 15 s", i, time.Duration(d))
		}
	}
}

func TestPassesEndBeforeTimeDoes(t *testing.T) {
	path := write(t, "file.csv", "date,price\n1950-01-03,1\n2020-01-03,2\n")
	var sink feedtest.Sink
	err := open(t, "replay://"+path+"?speed=max&loop=true", feed.Start{}).Run(t.Context(), &sink)
	if !feed.IsPermanent(err) || !strings.Contains(err.Error(), "2262") {
		t.Errorf("got %v", err)
	}
	for _, e := range sink.Entries() {
		if y := e.Event.Std().Year(); y < 1950 || y > 2262 {
			t.Errorf("got a trade of %v", e.Event)
		}
	}
}

func TestShiftToNow(t *testing.T) {
	at, entries := arrivals(t, "shift=now&speed=1&loop=true", 10)
	for i, e := range entries {
		if time.Duration(e.Event) != at[i] {
			t.Errorf("row %d of %v came at %v", i, time.Duration(e.Event), at[i])
		}
	}
}

func TestClockBetweenRows(t *testing.T) {
	path := write(t, "file.csv", recorded)
	synctest.Test(t, func(t *testing.T) {
		src := open(t, "replay://"+path+"?speed=2", feed.Start{})
		var sink feedtest.Sink
		done := make(chan error)
		go func() { done <- src.Run(t.Context(), &sink) }()
		clocked, ok := src.(feed.Clocked)
		if !ok {
			t.Fatal("a replay has a clock")
		}
		for _, c := range []struct {
			at   time.Duration // real
			want time.Duration // of the recording
		}{{250 * time.Millisecond, 500 * time.Millisecond}, {3 * time.Second, 6 * time.Second}, {5400 * time.Millisecond, 10800 * time.Millisecond}} {
			time.Sleep(c.at - time.Since(begin(t)))
			synctest.Wait()
			if got := clocked.Clock(market.FromStd(time.Now())).Sub(1700000000 * market.Second); got != c.want {
				t.Errorf("after %v the clock shows %v, want %v", c.at, got, c.want)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestHeartbeatsInRecordedTime runs a feed over a quiet stretch: the tape learns that time passed, in the time of the recording.
func TestHeartbeatsInRecordedTime(t *testing.T) {
	path := write(t, "file.csv", recorded)
	synctest.Test(t, func(t *testing.T) {
		tp := &tapetest.Memory{}
		reg := feed.NewRegistry(replay.Adapter())
		u, err := reg.Parse("replay://" + path + "?speed=2")
		if err != nil {
			t.Fatal(err)
		}
		w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp})
		if err != nil {
			t.Fatal(err)
		}
		r, err := feed.NewRunner(feed.RunnerOptions{URL: u, Open: reg.Open, Writer: w, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range tp.Entries() {
			if e.Flags&market.FlagImported == 0 {
				t.Errorf("a %s is not marked as one whose time need not be of now", e.Kind)
			}
			got = append(got, fmt.Sprintf("%s %s %v", e.Kind, e.State, e.Event.Sub(1700000000*market.Second)))
		}
		want := []string{
			"status live 0s", "trade unknown 0s", "trade unknown 1s", "trade unknown 1s",
			"heartbeat unknown 4s", "heartbeat unknown 6s", "heartbeat unknown 8s", "heartbeat unknown 10s",
			"trade unknown 11s", "trade unknown 12s", "status closed 12s",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if info := r.Info(); info.Label != "REPLAY" || info.State != market.StateClosed || info.Latency != 0 {
			t.Errorf("got %+v", info)
		}
	})
}

// begin is when a bubble begins: midnight of 2000-01-01.
func begin(*testing.T) time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// TestEachRowOnceWhateverHappens kills a replay at random moments: after each, the tape has lost nothing that was on it, and the
// replay goes on with the next row. Files with bad rows, rows of other symbols and passes are alike.
func TestEachRowOnceWhateverHappens(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	b.WriteString("ts_ns,symbol,price,size\n")
	const rows = 7000
	for i := range rows {
		switch {
		case i%1000 == 13:
			b.WriteString("oops,A,1,1\n")
		case i%100 == 57:
			fmt.Fprintf(&b, "%d,OTHER,1,1\n", 1_700_000_000_000_000_000+i)
		default:
			fmt.Fprintf(&b, "%d,%c,%d,%d\n", 1_700_000_000_000_000_000+i, 'A'+i%3, 1+i, i)
		}
	}
	path := write(t, "file.csv.gz", pack(t, b.String()))
	for _, params := range []string{"", "&loop=true"} {
		straight, err := play(t, path, "&symbol=A,B,C")
		if err != nil {
			t.Fatal(err)
		}
		want := straight.Entries(market.KindTrade)
		tp := &tapetest.Memory{}
		for round := range 40 {
			left := rng.IntN(8)
			if round == 39 && params == "" {
				left = math.MaxInt // to the end: how many records that takes depends on how busy the machine is
			}
			tp = crash(t, tp, "replay://"+path+"?speed=max&symbol=A,B,C"+params, left)
			if round == 39 {
				break
			}
			if n := len(tp.Records()); n > 0 {
				tp = tp.Cut(n - rng.IntN(min(n, 4)))
			}
		}
		got := tp.Entries(market.KindTrade)
		if params == "" && len(got) != len(want) {
			t.Fatalf("got %d rows, want %d", len(got), len(want))
		}
		numbers := make(map[market.Symbol]uint64)
		for i, e := range got {
			w := want[i%len(want)]
			if e.Symbol != w.Symbol || e.Price != w.Price || e.Size != w.Size {
				t.Fatalf("%s: row %d is %s, want %s", params, i, line(e), line(w))
			}
			if numbers[e.Symbol]++; e.Seq != numbers[e.Symbol] {
				t.Fatalf("row %d has number %d, want %d", i, e.Seq, numbers[e.Symbol])
			}
			if i > 0 && e.Event <= got[i-1].Event {
				t.Fatalf("row %d goes back in time", i)
			}
		}
	}
}

// crash runs a feed on a tape until so many records have been added, or it has come to its end.
func crash(t *testing.T, tp *tapetest.Memory, url string, left int) *tapetest.Memory {
	t.Helper()
	reg := feed.NewRegistry(replay.Adapter())
	u, err := reg.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	killed := errors.New("killed")
	tp.OnAppend(func(*tape.Record) error {
		if left--; left < 0 {
			cancel()
			return killed
		}
		return nil
	})
	r, err := feed.NewRunner(feed.RunnerOptions{URL: u, Open: reg.Open, Writer: w, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(ctx); err != nil && !errors.Is(err, killed) {
		t.Fatal(err)
	}
	tp.OnAppend(nil)
	return tp
}

func TestFinishedStaysFinishedUntilTheFileChanges(t *testing.T) {
	path := write(t, "file.csv", recorded)
	run := func(offset []byte, params string) (int, []byte) {
		t.Helper()
		var sink feedtest.Sink
		if err := open(t, "replay://"+path+"?speed=max"+params, feed.Start{Offset: offset}).Run(t.Context(), &sink); err != nil {
			t.Fatal(err)
		}
		return len(sink.Entries()), sink.Offset()
	}
	n, offset := run(nil, "")
	if n != 5 {
		t.Fatalf("got %d rows", n)
	}
	if n, _ := run(offset, ""); n != 0 {
		t.Errorf("a finished file was played again: %d rows", n)
	}
	if n, _ := run(offset, "&symbol=X"); n != 5 {
		t.Errorf("with another symbol got %d rows", n)
	}
	if n, _ := run(offset, "&shift=now"); n != 5 {
		t.Errorf("with shift=now got %d rows", n)
	}
	if n, _ := run([]byte("rubbish"), ""); n != 5 {
		t.Errorf("with an offset of another kind got %d rows", n)
	}
	if err := os.WriteFile(path, []byte(recorded+"1700000013,6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, _ := run(offset, ""); n != 6 {
		t.Errorf("after a change got %d rows, want all 6", n)
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("my files", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("my files/a b.csv", []byte(recorded), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"replay://my%20files/a%20b.csv?speed=max", "replay://my files/a b.csv?speed=max"} {
		var sink feedtest.Sink
		if err := open(t, url, feed.Start{}).Run(t.Context(), &sink); err != nil {
			t.Fatal(err)
		}
		if got := sink.Entries()[0].Symbol; got != "REPLAY:A_B" {
			t.Errorf("got symbol %s", got)
		}
	}
}

// TestNastyFiles plays files that real programs wrote: each is understood, and no row is lost without being counted.
func TestNastyFiles(t *testing.T) {
	understood := map[string]string{ // a part of the first tick
		"binance-trades_btcusdt_no-header.csv":                "2020-11-16T04:10:46Z 15993.5×0.026472",
		"binance-ws-capture_trxusd-perp_injected-errors.csv":  "REPLAY:TRXUSD_PERP 2025-03-04T00:00:04.986Z 0.23097×32.0 sell #39605682",
		"binance-ws-capture_trxusdt_spot_injected-errors.csv": "2025-03-04T00:00:01.271497Z 0.2312×2619.4 sell #348656870",
		"bitcoincharts_bitstamp_no-header.csv":                "2011-09-13T13:53:36Z 5.800000000000×1.000000000000",
		"bitmex-dump_trades_kdb-timestamps.csv":               "REPLAY:ADAZ18 2018-12-05T00:00:25.948313Z 0.00000954×166774 sell #498350a3-8c03-affd-cf87-e6d8a90b70e5",
		"bom_intraday_minute.csv":                             "2020-12-15T09:30:00Z 367.46×407870",
		"cryptodatadownload_btcusdt_d_2026.csv":               "REPLAY:BTCUSDT 2026-03-30T00:00:00Z 66797.37×18353.38975",
		"absurdly-large-values.csv":                           "2017-08-16T00:00:00Z 42903702221740.8×7961320441231.66",
		"bad-values.csv":                                      "2017-01-03T00:00:00Z 212.8×96708880",
		"investing-com_sp500_2025.csv":                        "2025-05-02T00:00:00Z 5686.67×0",
		"kraken-ohlcvt_xbtusd_1440_no-header.csv":             "2013-10-06T00:00:00Z 122.0×0.1",
		"marketstore_ticks_us-after-space.csv":                "2016-12-30T21:37:57.14Z 1.05185×0 1.05197×0",
		"ninjatrader_spy_minute.csv":                          "2011-03-01T09:01:00Z 133.98×3778",
		"stooq-pl_spx.csv":                                    "1980-11-03T00:00:00Z 129.04×19900000",
		"cryptodatadownload_coinbase_btcusd_1h_ampm.csv":      "REPLAY:BTCUSD 2020-10-24T07:00:00Z 12953.2×0",
		"google-finance_orcl_2010.csv":                        "2010-12-31T00:00:00Z 31.30×11716389",
		"alphavantage-like_spy_1min_desc.csv":                 "2019-02-15T16:00:00Z 277.39×2689895",
		"marketstore_not-sorted.csv":                          "2018-11-21T01:23:44.999999Z 112.80×0 112.8×0",
		"marketstore_ticks_duplicates-1970.csv":               "1970-01-02T21:37:57.14Z 1.05185×0 1.05197×0",
		"metatrader-like_eurusd_15m.csv":                      "2022-10-10T00:00:00Z 0.97357×0",
		"plotly_aapl_two-columns.csv":                         "2014-01-02T00:00:00Z 77.44539475×0",
		"quandl-wiki_aapl_2011.csv":                           "2011-12-30T00:00:00Z 405.0×6416500.0",
		"taq-like_quotes_no-leading-zero.csv":                 "REPLAY:A 2022-02-20T06:24:34Z 1×1 0×0",
		"tradingview_btcusdt_1d.csv":                          "2017-08-17T00:00:00Z 4285.08×795.150377",
		"yahoo-2017plus_btc-usd.csv":                          "2017-10-10T00:00:00Z 4781.990234×1597139968",
		"yahoo-classic_spy_2011.csv":                          "2011-12-30T00:00:00Z 125.50×95599000",
		"plotly_tesla_quoted-first-row-intraday.csv":          "2018-10-15T00:00:00Z 259.5900×6189026.0000",
	}
	for _, path := range layouttest.Files(t, "nasty/*") {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			sink, err := play(t, abs, "")
			if err != nil {
				t.Fatal(err)
			}
			var first string
			for _, e := range sink.Entries(market.KindTrade, market.KindQuote) {
				first = line(e)
				break
			}
			if want, ok := understood[name]; !ok || !strings.Contains(first, want) {
				t.Errorf("got first tick %q, want %q", first, want)
			}
			for _, e := range sink.Entries(market.KindGap) {
				t.Log(e.Text)
			}
		})
	}
}
