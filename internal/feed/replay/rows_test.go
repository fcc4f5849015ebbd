package replay

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/market"
)

func TestParseTime(t *testing.T) {
	york, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip("no table of time zones")
	}
	for in, want := range map[string]string{
		"1700000000":                     "2023-11-14T22:13:20Z",
		"1700000000.000000001":           "2023-11-14T22:13:20.000000001Z",
		"1700000000.0000000019":          "2023-11-14T22:13:20.000000001Z",
		"1603522800.0":                   "2020-10-24T07:00:00Z",
		"-86400":                         "1969-12-31T00:00:00Z",
		"1041379200000":                  "2003-01-01T00:00:00Z",
		"20240531":                       "2024-05-31T04:00:00Z",
		"20110301090100":                 "2011-03-01T14:01:00Z",
		"20110301 090100":                "2011-03-01T14:01:00Z",
		"20161230 21:37:57 140000":       "2016-12-31T02:37:57.14Z",
		"2024-05-31":                     "2024-05-31T04:00:00Z",
		"2024/5/1 9:30":                  "2024-05-01T13:30:00Z",
		"2024.05.31 09:30:00":            "2024-05-31T13:30:00Z",
		"2024-05-31T09:30:00.123456789Z": "2024-05-31T09:30:00.123456789Z",
		"2024-05-31t09:30:00z":           "2024-05-31T09:30:00Z",
		"2024-05-31 09:30:00 UTC":        "2024-05-31T09:30:00Z",
		"2024-05-31T09:30:00+05:30":      "2024-05-31T04:00:00Z",
		"2024-05-31T09:30:00-0400":       "2024-05-31T13:30:00Z",
		"2024-05-31T09:30:00+02":         "2024-05-31T07:30:00Z",
		"2018-12-05D00:00:25.948313000":  "2018-12-05T05:00:25.948313Z",
		"2024-01-31 09:30:00,5":          "2024-01-31T14:30:00.5Z",
		"2016-12-31T23:59:60Z":           "2016-12-31T23:59:59Z",
		"Jan 1 2000":                     "2000-01-01T05:00:00Z",
		"January 1, 2000":                "2000-01-01T05:00:00Z",
		"31-Dec-10":                      "2010-12-31T05:00:00Z",
		"1-jan-1999 10:00":               "1999-01-01T15:00:00Z",
		"2024-02-29":                     "2024-02-29T05:00:00Z",
		"1850-01-01":                     "1850-01-01T04:56:02Z",
		// None of these is a time.
		"": "", "x": "", "2024": "1970-01-01T00:33:44Z", "2024-13-01": "", "2024-02-30": "", "2023-02-29": "", "03/04/2024": "",
		"2024-05-31T25:00:00Z": "", "2024-05-31T09:60:00Z": "", "2024-05-31T09:30:00Q": "", "2024-05-31T": "", "2024-05-31T09": "",
		"1e9": "", "99999999999999999999": "", "12345678901234567890": "", "NaN": "", "1700000000.x": "", "0x10": "", "2020-10-24 07-AM": "",
		"9999-01-01": "", "0001-01-01T00:00:00Z": "", "11:34": "", "Foo 1 2000": "", "Jan": "", "Jan 2000": "", "1-1-1": "", "10000000000": "",
		"9000000000": "2255-03-14T16:00:00Z", "9000000001": "", "28000000000000": "", "9000000000000.5": "2255-03-14T16:00:00.0005Z",
		"9223372036854775807": "", "-9000000001": "", "-1000000000": "1938-04-24T22:13:20Z",
	} {
		got, ok := clockwork{zone: york}.parse([]byte(in))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: got %v %v, want %s", in, got, ok, want)
		}
	}
	for order, want := range map[dateOrder]string{monthFirst: "2024-03-04T00:00:00Z", dayFirst: "2024-04-03T00:00:00Z"} {
		if got, ok := (clockwork{order: order}).parse([]byte("03/04/2024")); !ok || got.String() != want {
			t.Errorf("order %v: got %v, want %s", order, got, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{
		"1700000000.5", "2024-05-31T09:30:00.123Z", "Jan 1 2000", "31-Dec-10", "20161230 21:37:57 140000", "2024/5/1 9:30", "03/04/2024", "-1",
		"2024-05-31 09:30:00 +02:00", "20110301090100",
	} {
		f.Add(s)
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		zone = time.UTC
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, order := range []dateOrder{orderUnknown, monthFirst, dayFirst} {
			got, ok := clockwork{zone: zone, order: order}.parse([]byte(s))
			if std, err := time.Parse(time.RFC3339Nano, s); err == nil && std.Year() >= minYear && std.Year() <= maxYear {
				if !ok || got != market.FromStd(std) {
					if std.Second() == 0 || ok {
						t.Errorf("%q: got %v %v, package time has %v", s, got, ok, std)
					}
				}
			}
			if ok && (got.Std().Year() < minYear-1 || got.Std().Year() > maxYear+2) {
				t.Errorf("%q: got %v", s, got)
			}
		}
	})
}

// FuzzFile plays any bytes as a file: no panic, no hang, no tick that makes no sense, and each line is accounted for.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		"timestamp,price\n2024-05-31T09:30:00Z,187.40\n", "1315922016,5.8,1.0\n", "ts_ns,symbol,bid,bid_size,ask,ask_size\n1,E,1,1,2,2\n",
		"time,price\nx,1\n", "\xef\xbb\xbfa;b\n1;2\n", "\x1f\x8b\x08\x00", "date,time,price\n2022.02.20,6:24:34,1\n", "a\n\n\"b", "PK\x03\x04",
		"time,price,side,id\n1700000000,1,buy,\"7\"\n1700000000,1e-4,sell,x\n",
	} {
		f.Add([]byte(s), "")
	}
	f.Add([]byte("a,b,c\n1,2,3\n"), "time=a,price=2,size=")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in []byte, mapping string) {
		path := filepath.Join(dir, fmt.Sprintf("%d.csv", os.Getpid()))
		if err := os.WriteFile(path, in, 0o600); err != nil {
			t.Fatal(err)
		}
		u, err := feed.NewRegistry(Adapter()).Parse("replay://" + path + "?speed=max")
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(u)
		if err != nil {
			t.Fatal(err)
		}
		if mapping != "" {
			c.mapping = map[field]string{fTime: mapping, fPrice: "2"}
		}
		var sink feedtest.Sink
		if err := (&source{config: c}).Run(t.Context(), &sink); err != nil && !feed.IsPermanent(err) {
			t.Fatalf("got %v, which is not for good", err)
		}
		ticks := 0
		for _, e := range sink.Entries() {
			switch e.Kind {
			case market.KindTrade:
				ticks++
				if e.Price.Sign() <= 0 || e.Size.Sign() < 0 || e.Event == 0 || e.Symbol.Venue() != "REPLAY" {
					t.Fatalf("got %+v", e)
				}
			case market.KindQuote:
				ticks++
				if e.Price.Sign() < 0 || e.Ask.Sign() < 0 || e.Event == 0 {
					t.Fatalf("got %+v", e)
				}
			default:
			}
		}
		if bad := sink.Drops(reasonBadRow); ticks+bad > bytes.Count(in, []byte("\n"))+1 && !bytes.HasPrefix(in, []byte("\x1f\x8b")) {
			t.Fatalf("%d ticks and %d bad rows of %d lines", ticks, bad, bytes.Count(in, []byte("\n")))
		}
	})
}

func FuzzOffset(f *testing.F) {
	p := place{rows: 7, pass: 2, first: -5, last: 9, span: 15}
	f.Add(p.append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		p, ok := parsePlace(in)
		if !ok {
			return
		}
		again, ok := parsePlace(p.append(nil))
		if !ok || again != p {
			t.Errorf("%+v is read back as %+v", p, again)
		}
	})
}

// BenchmarkRows reads and decodes rows of the two usual shapes, without the tape.
func BenchmarkRows(b *testing.B) {
	for name, row := range map[string]string{
		"lean":    "%d,SPY,167.41,1400,P,20002000,0\n",
		"binance": "%d,1680652800000,1680652799999,BTCUSDT,3071245454,28165.47000000,0.00056000,true,MARKET\n",
	} {
		header := map[string]string{
			"lean":    "ts_ns,symbol,price,size,exchange,sale_condition,suspicious\n",
			"binance": "ts_ns,event_ts_ms,trade_ts_ms,symbol,trade_id,price,size,buyer_is_maker,order_type\n",
		}[name]
		b.Run(name, func(b *testing.B) {
			const n = 100_000
			var text strings.Builder
			text.WriteString(header)
			for i := range n {
				fmt.Fprintf(&text, row, 1_381_132_800_464_000_000+int64(i)*1_000_000)
			}
			path := filepath.Join(b.TempDir(), "rows.csv")
			if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			u, err := feed.NewRegistry(Adapter()).Parse("replay://" + path + "?speed=max")
			if err != nil {
				b.Fatal(err)
			}
			c, err := parse(u)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if err := (&source{config: c}).Run(b.Context(), discard{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// discard is a sink that keeps nothing.
type discard struct{}

func (discard) Push(context.Context, []market.Entry, []byte) error { return nil }
func (discard) Dropped(string, int)                                {}
