package layout

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// BenchmarkRead reads rows of the usual shapes into entries.
func BenchmarkRead(b *testing.B) {
	const rows = 200_000
	for _, c := range []struct{ name, header, row string }{
		{"trades", "ts_ns,symbol,price,size,exchange,sale_condition,suspicious\n", "%d,SPY,167.41,1400,P,20002000,0\n"},
		{"binance", "ts_ns,event_ts_ms,trade_ts_ms,symbol,trade_id,price,size,buyer_is_maker,order_type\n", "%d,1680652800000,1680652799999,BTCUSDT,3071245454,28165.47000000,0.00056000,true,MARKET\n"},
		{"quotes", "ts_ns,symbol,bid,bid_size,ask,ask_size\n", "%d,SPY,167.41,1400,167.42,300\n"},
		{"bars", "ts_ns,symbol,open,high,low,close,volume\n", "%d,SPY,167.41,167.45,167.30,167.42,5300\n"},
		{"json", "", `{"S":"SPY","t":%d,"p":167.41,"s":1400,"x":"P","c":["@","I"]}` + "\n"},
	} {
		var text strings.Builder
		text.WriteString(c.header)
		for i := range rows {
			fmt.Fprintf(&text, c.row, 1_381_132_800_000_000_000+int64(i)*1_000_000_000)
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			entries := make([]market.Entry, 0, 16_384)
			for b.Loop() {
				r, err := Open(strings.NewReader(text.String()), Options{})
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					entries, err = r.Next(entries[:0])
				}
				if !errors.Is(err, io.EOF) || r.Row() != rows {
					b.Fatal(err, r.Row())
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
