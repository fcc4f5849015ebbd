package replay

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/market"
)

// FuzzFile plays any bytes as a file: no panic, no hang, and no tick that makes no sense.
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
			c.layout.Map = map[string]string{"time": mapping, "price": "2"}
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
		if bad := sink.Drops(reasonBadRow); ticks+bad > len(in)+1 && !bytes.HasPrefix(in, []byte("\x1f\x8b")) {
			t.Fatalf("%d ticks and %d bad rows of %d bytes", ticks, bad, len(in))
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
