package layout

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"tapedeck/internal/market"
)

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t testing.TB, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

func inZIP(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, text := range files {
		f, err := w.Create(fmt.Sprintf("folder/%d.csv", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func inUTF16(text string, order binary.AppendByteOrder) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// TestPacking reads the same table in all the ways that files are packed and encoded.
func TestPacking(t *testing.T) {
	const text = "time,price,size,exchange\n1700000000,1.50,2,Zürich\n1700000001,1.5,3,\n"
	want := []string{"IMPORT:X 2023-11-14T22:13:20Z 1.50×2 Zürich/", "IMPORT:X 2023-11-14T22:13:21Z 1.5×3"}
	for name, packed := range map[string]string{
		"plain": text, "CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "byte order mark": "\xef\xbb\xbf" + text, "gzip": zipped(t, text),
		"two gzip members": zipped(t, text[:30]) + zipped(t, text[30:]), "zstd": zstded(t, text), "ZIP": inZIP(t, text), "UTF-16, little end first": inUTF16(text, binary.LittleEndian),
		"UTF-16, big end first": inUTF16(text, binary.BigEndian), "UTF-16 in gzip": zipped(t, inUTF16(text, binary.LittleEndian)),
		"no last line end": strings.TrimSuffix(text, "\n"), "JSON": `{"time":1700000000,"price":1.50,"size":"2","exchange":"Z\u00fcrich"}` + "\n\n" + `{"price":1.5,"time":1700000001,"size":3,"exchange":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, got := readText(t, packed, Options{Name: "x"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefused checks that whatever is wrong with a file is said.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		opt  Options
		want string
	}{
		"empty":             {text: "", want: "empty"},
		"nothing in gzip":   {text: zipped(t, ""), want: "empty"},
		"blank lines":       {text: "\n\n\n", want: "no rows"},
		"zeros":             {text: "time,price\n\x00\x00", want: "not text"},
		"an unknown format": {text: "a", opt: Options{Format: "xml"}, want: "xml"},
		"no Parquet":        {text: "time,price\n1,1\n", opt: Options{Format: "parquet"}, want: "not Parquet"},
		"an order book":     {text: "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\nbinance,X,1,1,true,bid,1,1\n", want: "order book"},
		"no time":           {text: "price,size\n1,1\n", want: "no time"},
		"two times one day": {text: "time,open,high,low,close\n2024-01-02T09:30:00Z,1,1,1,1\n", want: "--interval"},
		"gzip cut off":      {text: zipped(t, strings.Repeat("time,price\n", 10))[:20], want: "cut off"},
		"zstd damaged":      {text: zstded(t, "time,price\n1,1\n")[:9] + "xxxxxxxxxxxxxxxxxxx", want: "zstd"},
		"xz":                {text: "\xfd7zXZ", want: "xz"},
		"Excel":             {text: "\xd0\xcf\x11\xe0\xa1\xb1", want: "Excel"},
		"a JSON array":      {text: `[{"time":1,"price":2}]`, want: "JSON array"},
		"JSON, pretty":      {text: "{\n \"time\": 1\n}\n", want: "several lines"},
		"JSON of nothing":   {text: "{\"a\":1,\"b\":2}\n", want: "no time"},
		"a ZIP from a pipe": {text: "PK\x03\x04xxxx", want: "ZIP"},
		"two files in ZIP":  {text: inZIP(t, "a", "b"), want: "several files"},
		"no file in ZIP":    {text: inZIP(t), want: "ZIP"},
		"ZIP cut off":       {text: inZIP(t, strings.Repeat("time,price\n", 99))[:60], want: "ZIP archive is damaged"},
		"wrong map":         {text: "a,b\n1,2\n", opt: Options{Map: map[string]string{"when": "a"}}, want: "when is not one of"},
		"wrong dates":       {text: "a,b\n1,2\n", opt: Options{Dates: "ymd"}, want: "ymd"},
		"wrong label":       {text: "a,b\n1,2\n", opt: Options{Label: "middle"}, want: "middle"},
		"wrong symbol":      {text: "time,price\n1700000000,2\n", opt: Options{Symbol: "../etc"}, want: ""},
		"long line":         {text: "time,price\n" + strings.Repeat("x", 3<<20), want: "line 2 is longer"},
		"too many members":  {text: "{" + strings.Repeat(`"`, 0) + members(1500) + "}\n", want: "members"},
	} {
		t.Run(name, func(t *testing.T) {
			src := io.Reader(strings.NewReader(c.text))
			if name == "a ZIP from a pipe" {
				src = struct{ io.Reader }{src}
			}
			r, err := Open(src, c.opt)
			for err == nil {
				_, err = r.Next(nil)
			}
			if c.want != "" && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %q", err, c.want)
			}
		})
	}
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"m%d":%d`, i, i)
	}
	return b.String()
}

// endless is a stream of one byte without an end.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// TestBombs checks that packed files that grow beyond the limits, and lines without an end, are refused.
func TestBombs(t *testing.T) {
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(z, "time,price\n"+strings.Repeat("1700000000,1\n", 6_000_000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		src    io.Reader
		limits Limits
		want   string
	}{
		"ratio":        {&bomb, Limits{Ratio: 20}, "more than 20 for each"},
		"size":         {strings.NewReader(zipped(t, "time,price\n"+strings.Repeat("1700000000,1\n", 100_000))), Limits{Inflated: 1 << 20}, "more than 1048576 bytes"},
		"endless line": {io.MultiReader(strings.NewReader("time,price\n1,1\n"), endless('x')), Limits{}, "line 3 is longer"},
		"endless JSON": {io.MultiReader(strings.NewReader(`{"time":1,"price":1}`+"\n{"), endless('{')), Limits{}, "line 2 is longer"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(c.src, Options{Limits: c.limits})
			var entries []market.Entry
			for err == nil {
				entries, err = r.Next(entries[:0])
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestRejects says for each kind of bad row what is wrong with it, where, and what stood there.
func TestRejects(t *testing.T) {
	for name, c := range map[string]struct{ header, row, want string }{
		"time":              {"time,price", "x,1", `line 2, column time: "x" is not a time`},
		"zero":              {"time,price", "1970-01-01,1", `line 2, column time: "1970-01-01" is the first moment of 1970, which stands for a time that is not known`},
		"far future":        {"time,price", "9999-12-31,1", `line 2, column time: "9999-12-31" is not a time`},
		"number":            {"time,price", "1700000000,1x", `line 2, column price: "1x" is not a decimal number`},
		"huge number":       {"time,price", "1700000000,1e999999", `line 2, column price: "1e999999" is a number of more digits than can be kept exactly`},
		"NaN":               {"time,price", "1700000000,NaN", `line 2, column price: "NaN" is not a decimal number`},
		"price of zero":     {"time,price,size", "1700000000,0,1", `line 2, column price: "0" is not a price: what has a size has a price other than zero`},
		"size below zero":   {"time,price,size", "1700000000,1,-1", `line 2, column size: "-1" is not a size: it must not be negative`},
		"symbol":            {"time,symbol,price", "1700000000,../../etc/passwd\x01,1", `line 2, column symbol: "../../etc/passwd\x01" is not a symbol`},
		"no symbol":         {"time,symbol,price", "1700000000,,1", `line 2, column symbol: "" is not a symbol`},
		"side":              {"time,price,side", "1700000000,1,up", `line 2, column side: "up" is not a side: want buy or sell`},
		"maker":             {"time,price,is_buyer_maker", "1700000000,1,7", `line 2, column is_buyer_maker: "7" is not true or false`},
		"few":               {"time,price", "1700000000", `line 2, column price: "" is missing: the row has too few columns`},
		"many":              {"time,price", "1700000000,1,234", `line 2, column price: "1,234" is followed by more: the row has too many columns`},
		"quotes":            {"time,price", `"1700000000,1`, `line 2: a quoted field is not closed on its line, or goes on after its closing quote`},
		"not UTF-8":         {"time,price,exchange", "1700000000,1,\xff", `line 2, column exchange: "\xff" is not text of printable characters`},
		"control character": {"time,price,conditions", "1700000000,1,a\x01b", `line 2, column conditions: "a\x01b" is not text of printable characters`},
		"dates two ways":    {"date,price", "03/04/2024,1", `line 2, column date: "03/04/2024" can be read in two ways; say dates=mdy or dates=dmy`},
		"comma two ways":    {"date;price", "2024-01-01;1,234", `line 2, column price: "1,234" can be read in two ways: its comma may divide thousands or decimals`},
		"high below open":   {"date,open,high,low,close", "2024-01-01,3,2,1,2", `line 2, column high: "2" is not the highest price of the bar`},
		"low above close":   {"date,open,high,low,close", "2024-01-01,3,4,2,1", `line 2, column low: "2" is not the lowest price of the bar`},
		"open of zero":      {"date,open,high,low,close", "2024-01-01,0,4,2,1", `line 2, column open: "0" is zero: a bar has prices`},
		"length":            {"date,interval,open,high,low,close", "2024-01-01,5y,1,1,1,1", `line 2, column interval: "5y" is not the length of a bar`},
		"count":             {"date,open,high,low,close,count", "2024-01-01,1,1,1,1,1.5", `line 2, column count: "1.5" is not a decimal number`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(strings.NewReader(c.header+"\n"+c.row+"\n"), Options{Name: "x"})
			if err != nil {
				t.Fatal(err)
			}
			entries, rejects := all(t, r)
			if len(entries) != 0 || len(rejects) != 1 || rejects[0].Error() != c.want || rejects[0].Text != c.row || rejects[0].Line != 2 {
				t.Errorf("got %d entries and %+v, want %s", len(entries), rejects, c.want)
			}
		})
	}
}

// TestClocksPutBack reads times of the wall around the nights when clocks change.
func TestClocksPutBack(t *testing.T) {
	york := zoneOf(t, "America/New_York")
	for name, c := range map[string]struct {
		rows string
		want []string
	}{
		"an hour twice": {
			"2024-11-03 00:59,1\n2024-11-03 01:30,2\n2024-11-03 01:59,3\n2024-11-03 01:00,4\n2024-11-03 01:30,5\n2024-11-03 02:00,6\n",
			[]string{"04:59:00Z 1", "05:30:00Z 2", "05:59:00Z 3", "06:00:00Z 4", "06:30:00Z 5", "07:00:00Z 6"},
		},
		"an hour twice, newest first": {
			"2024-11-03 02:00,1\n2024-11-03 01:30,2\n2024-11-03 01:00,3\n2024-11-03 01:30,4\n2024-11-03 00:59,5\n",
			[]string{"07:00:00Z 1", "06:30:00Z 2", "06:00:00Z 3", "05:30:00Z 4", "04:59:00Z 5"},
		},
		"an hour that is skipped": {
			"2024-03-10 01:59,1\n2024-03-10 02:30,2\n2024-03-10 03:00,3\n",
			[]string{"06:59:00Z 1", "07:00:00Z 3", `line 3, column time: "2024-03-10 02:30" is a time that clocks of the zone skipped when they were put forward`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := readText(t, "time,price\n"+c.rows, Options{Name: "x", Zone: york})
			for i := range got {
				got[i] = strings.TrimSuffix(got[i], "×0")
				if _, after, ok := strings.Cut(got[i], "T"); ok && strings.HasPrefix(got[i], "IMPORT:X") {
					_, after, _ = strings.Cut(after, "T")
					got[i] = after
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSkipGoesOn checks that a file that is read in two parts, at any row, gives what it gives in one: what a time means may depend on the
// rows before.
func TestSkipGoesOn(t *testing.T) {
	var text strings.Builder
	text.WriteString("time,price\n")
	for i := range 3000 {
		at := time.Date(2024, 11, 3, 4, 0, 0, 0, time.UTC).Add(time.Duration(i) * 5 * time.Second).In(zoneOf(t, "America/New_York"))
		fmt.Fprintf(&text, "%s,%d\n", at.Format("2006-01-02 15:04:05"), i+1)
		if i%100 == 7 {
			text.WriteString("bad,row\n")
		}
	}
	o := Options{Name: "x", Zone: zoneOf(t, "America/New_York")}
	_, want := readText(t, text.String(), o)
	for _, rows := range []uint64{0, 1, 999, 1000, 1001, 1700, 3030} {
		r, err := Open(strings.NewReader(text.String()), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Skip(rows); err != nil {
			t.Fatal(err)
		}
		skipped := len(r.Rejects())
		entries, rejects := all(t, r)
		if len(entries)+len(rejects)+int(rows) != len(want) || skipped+len(rejects) != 30 {
			t.Fatalf("after %d rows: got %d entries and %d rejects, want %d in all", rows, len(entries), len(rejects), len(want))
		}
		for i := range entries {
			if n := 3000 - len(entries) + i; told(&entries[i]) != want[n] {
				t.Fatalf("after %d rows: got %s, want %s", rows, told(&entries[i]), want[n])
			}
		}
	}
	r, err := Open(strings.NewReader("time,price\n1700000000,1\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Skip(2); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want io.EOF", err)
	}
}

// TestOnlySomeSymbols leaves rows of other symbols out, and says which there were.
func TestOnlySomeSymbols(t *testing.T) {
	const text = "time,symbol,price\n1700000000,A,1\n1700000001,SIM:B,2\n1700000002,C,3\n1700000003,B,4\n"
	for want, only := range map[string][]market.Symbol{
		"IMPORT:A": {"IMPORT:A"}, "SIM:B IMPORT:B": {"B"}, "SIM:B": {"SIM:B"}, "IMPORT:A SIM:B IMPORT:C IMPORT:B": nil, "": {"D"},
	} {
		r, err := Open(strings.NewReader(text), Options{Only: only})
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := all(t, r)
		var got []string
		for i := range entries {
			got = append(got, string(entries[i].Symbol))
		}
		if strings.Join(got, " ") != want || r.Row() != 4 {
			t.Errorf("%v: got %v, want %s", only, got, want)
		}
		if want == "" && len(r.Unwanted()) != 4 {
			t.Errorf("got %v", r.Unwanted())
		}
	}
}

// TestWide reads tables with a column for each instrument.
func TestWide(t *testing.T) {
	_, got := readText(t, "date,AAPL,brk b,T\n1990-01-02,0.26,,1.5\n1990-01-03,0.27,3,1.25\n", Options{Venue: "US"})
	want := []string{
		"US:AAPL 1990-01-02T00:00:00Z 0.26×0", "US:T 1990-01-02T00:00:00Z 1.5×0", "US:AAPL 1990-01-03T00:00:00Z 0.27×0", "US:BRK_B 1990-01-03T00:00:00Z 3×0",
		"US:T 1990-01-03T00:00:00Z 1.25×0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, got = readText(t, "date,AAPL,MSFT\n1990-01-02,0.26,2\n", Options{Only: []market.Symbol{"MSFT"}})
	if diff := cmp.Diff([]string{"IMPORT:MSFT 1990-01-02T00:00:00Z 2×0"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestIntervals tells how long bars are by how far apart they stand.
func TestIntervals(t *testing.T) {
	for want, times := range map[string]string{
		"1m":  "2024-01-02 09:31 2024-01-02 09:33 2024-01-02 09:36",
		"5m":  "2024-01-02 09:30 2024-01-02 09:35 2024-01-02 09:45 2024-01-03 09:30",
		"1h":  "2024-01-02 09:30 2024-01-02 10:30 2024-01-03 09:30",
		"4h":  "2024-01-02 00:00 2024-01-02 04:00 2024-01-02 12:00",
		"1s":  "2024-01-02 09:30:01 2024-01-02 09:30:02 2024-01-02 09:31:07",
		"1d":  "2024-01-02 00:00 2024-01-03 00:00 2024-01-06 00:00",
		"1w":  "2024-01-01 00:00 2024-01-08 00:00 2024-01-15 00:00",
		"1M":  "2024-01-01 00:00 2024-02-01 00:00 2024-03-01 00:00 2024-04-01 00:00",
		"3M":  "2024-01-01 00:00 2024-04-01 00:00 2024-07-01 00:00",
		"12M": "2022-01-01 00:00 2023-01-01 00:00 2024-01-01 00:00",
	} {
		words := strings.Fields(times)
		text := "time,open,high,low,close\n"
		for i := 0; i < len(words); i += 2 {
			text += words[i] + " " + words[i+1] + ",1,1,1,1\n"
		}
		r, err := Open(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Layout().Interval; got != want {
			t.Errorf("%s: got %s, want %s", times, got, want)
		}
	}
}

// TestBarsOfDays places the bars of days where the venue's calendar has the day, weeks on Monday and months on their first.
func TestBarsOfDays(t *testing.T) {
	for name, c := range map[string]struct {
		row  string
		opt  Options
		want string
	}{
		"a date":               {"2024-07-05", Options{Venue: "NASDAQ", Interval: market.Day1()}, "2024-07-05T04:00:00Z 2024-07-06T04:00:00Z"},
		"the open in UTC":      {"1720186200", Options{Venue: "NASDAQ", Interval: market.Day1()}, "2024-07-05T04:00:00Z 2024-07-06T04:00:00Z"},
		"midnight in UTC":      {"2024-07-05T00:00:00Z", Options{Venue: "NASDAQ", Interval: market.Day1()}, "2024-07-05T04:00:00Z 2024-07-06T04:00:00Z"},
		"midnight in its zone": {"2024-07-05 00:00:00", Options{Venue: "NASDAQ", Interval: market.Day1(), Zone: zoneOf(t, "Europe/Berlin")}, "2024-07-05T04:00:00Z 2024-07-06T04:00:00Z"},
		"midnight at its end":  {"2024-07-06T00:00:00Z", Options{Interval: market.Day1(), Label: "end"}, "2024-07-05T00:00:00Z 2024-07-06T00:00:00Z"},
		"a week":               {"2024-07-05", Options{Venue: "NASDAQ", Interval: market.Interval{N: 1, Unit: market.UnitWeek}}, "2024-07-01T04:00:00Z 2024-07-08T04:00:00Z"},
		"a quarter":            {"2024-09-05", Options{Interval: market.Interval{N: 3, Unit: market.UnitMonth}}, "2024-07-01T00:00:00Z 2024-10-01T00:00:00Z"},
		"minutes by their end": {"2024-09-05 09:31", Options{Interval: market.Min1(), Label: "end"}, "2024-09-05T09:30:00Z 2024-09-05T09:31:00Z"},
	} {
		r, err := Open(strings.NewReader("time,open,high,low,close\n"+c.row+",1,1,1,1\n"), c.opt)
		if err != nil {
			t.Fatal(name, err)
		}
		entries, _ := all(t, r)
		if got := entries[0].Event.String() + " " + entries[0].Until.String(); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		if _, err := entries[0].Bar(); err != nil {
			t.Error(err)
		}
	}
}

// TestNextFits checks that Next appends no more than fits, always whole rows.
func TestNextFits(t *testing.T) {
	var text strings.Builder
	text.WriteString("date,A,B,C\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "%s,1,2,3\n", time.Date(2000, 1, 1+i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	r, err := Open(strings.NewReader(text.String()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	entries, total := make([]market.Entry, 0, 8000), 0
	for err == nil {
		entries, err = r.Next(entries[:0])
		if total += len(entries); cap(entries) != 8000 || total != 3*int(r.Row()) {
			t.Fatalf("got %d entries after %d rows, and room for %d", total, r.Row(), cap(entries))
		}
	}
	if !errors.Is(err, io.EOF) || total != 15_000 {
		t.Errorf("got %d entries, %v", total, err)
	}
}

// TestNames makes symbols of the names of files.
func TestNames(t *testing.T) {
	for file, want := range map[string]string{
		"AAPL.csv": "AAPL", "BTCUSDT-trades-2024-01-01.zip": "BTCUSDT", "BTCUSDT-1m-2024-01.csv": "BTCUSDT", "XBTUSD_1440.csv": "XBTUSD", "BTC-USD.csv": "BTC-USD",
		"AAPL_2012-06-21_34200000_57600000_message_5.csv": "AAPL", "DAT_ASCII_EURUSD_M1_2012.csv": "EURUSD", "^spx_d.csv": "^SPX", "trades.csv": "TRADES",
		"/tmp/../x/y.csv.gz": "Y", "": "FILE", "....csv": "FILE", "Ünïcode.csv": "N_CODE",
	} {
		r, err := Open(strings.NewReader("time,price\n1700000000,1\n"), Options{Name: file})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Symbol(); string(got) != "IMPORT:"+want {
			t.Errorf("%q: got %s, want %s", file, got, want)
		}
	}
}
