package columnar

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// realTrades reads files of real trades, as the feeds would have brought them: those with a time of receipt have it, the others are
// given one a little after the venue's time, to the nanosecond, which no encoding can shorten.
func realTrades(b testing.TB, pattern string) []market.Row {
	b.Helper()
	names, err := filepath.Glob(filepath.Join("../../../shared/data/trades", pattern))
	if err != nil || len(names) == 0 {
		b.Skip("the real trades are not beside the repository")
	}
	var rows []market.Row
	for _, name := range names {
		rows = append(rows, realFile(b, name, uint64(len(rows)))...)
	}
	return rows
}

func realFile(b testing.TB, name string, before uint64) []market.Row {
	b.Helper()
	file, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(plain)
	lines.Scan()
	at := make(map[string]int)
	for i, h := range strings.Split(lines.Text(), ",") {
		at[h] = i
	}
	r := rand.New(rand.NewPCG(3, 4))
	var rows []market.Row
	for lines.Scan() {
		cells := strings.Split(lines.Text(), ",")
		cell := func(name string) string {
			if i, ok := at[name]; ok {
				return cells[i]
			}
			return ""
		}
		number := func(name string) int64 {
			v, _ := strconv.ParseInt(cell(name), 10, 64)
			return v
		}
		row := market.Row{N: before + uint64(len(rows)) + 1}
		row.Kind, row.Symbol, row.Seq = market.KindTrade, market.Symbol("REAL:"+cell("symbol")), uint64(len(rows)+1)
		row.Event = market.Time(number("ts_ns"))
		if ms := number("event_ts_ms"); ms != 0 {
			row.Received, row.Event = row.Event, market.Time(ms)*1_000_000
		} else {
			row.Received = row.Event + market.Time(500_000+r.IntN(2_000_000))
		}
		row.Price, row.Size = decimal(b, cell("price")), decimal(b, cell("size"))
		row.ID, row.Exchange, row.Conditions = uint64(number("trade_id")), cell("exchange"), cell("sale_condition")
		switch cell("buyer_is_maker") {
		case "true":
			row.Side = market.SideSell
		case "false":
			row.Side = market.SideBuy
		}
		if row.Event < 0 || len(rows) > 0 && row.Event < rows[len(rows)-1].Event {
			row.Event = rows[len(rows)-1].Event
		}
		rows = append(rows, row)
	}
	return rows
}

// imported makes rows what they are after an import: their time of receipt is that of the intake, for some thousand at once.
func imported(rows []market.Row) []market.Row {
	rows = append([]market.Row(nil), rows...)
	for i := range rows {
		rows[i].Received = 1_790_000_000_000_000_000 + market.Time(i/4096)*20_123_456
		rows[i].Flags = market.FlagImported | market.FlagHistory
	}
	return rows
}

// BenchmarkArchive tells the bytes that a real trade takes, and how fast its file is written.
func BenchmarkArchive(b *testing.B) {
	for _, c := range []struct{ name, pattern string }{
		{"SPY", "lean_us-equity_SPY_2013-10-08*"},
		{"BAC", "lean_us-equity_BAC_2013-10-08*"},
		{"IBM", "lean_us-equity_IBM_2013-10-08*"},
		{"GC", "lean_comex*08*"},
		{"binance-BTC", "binance-usdm_BTCUSDT_2024-08-08*"},
	} {
		rows := realTrades(b, c.pattern)
		for _, way := range []struct {
			name string
			rows []market.Row
		}{{"live", rows}, {"imported", imported(rows)}} {
			b.Run(c.name+"/"+way.name, func(b *testing.B) {
				var size int
				for b.Loop() {
					size = len(write(b, market.KindTrade, way.rows, WriterOptions{}))
				}
				b.ReportMetric(float64(size)/float64(len(way.rows)), "bytes/trade")
				b.ReportMetric(float64(len(way.rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkRange reads 10,000 trades by time from a file of a day.
func BenchmarkRange(b *testing.B) {
	rows := realTrades(b, "lean_us-equity_SPY_2013-10-08*")
	file := write(b, market.KindTrade, rows, WriterOptions{})
	r := rand.New(rand.NewPCG(5, 6))
	for _, opened := range []bool{true, false} {
		name := "kept"
		if !opened {
			name = "opened"
		}
		b.Run(name, func(b *testing.B) {
			f := open(b, file)
			for b.Loop() {
				if !opened {
					f = open(b, file)
				}
				s := f.Scan(market.TickQuery{From: rows[r.IntN(len(rows)-10_000)].Event, Limit: 10_000, Descending: r.IntN(2) == 0})
				for {
					if _, err := s.Next(); err != nil {
						if !errors.Is(err, io.EOF) {
							b.Fatal(err)
						}
						break
					}
				}
			}
		})
	}
}

// BenchmarkScan reads a file from end to end.
func BenchmarkScan(b *testing.B) {
	rows := realTrades(b, "lean_us-equity_SPY_2013-10-08*")
	f := open(b, write(b, market.KindTrade, rows, WriterOptions{}))
	for b.Loop() {
		if n := len(read(b, f, market.TickQuery{})); n != len(rows) {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkWrite tells how fast exports are encoded.
func BenchmarkWrite(b *testing.B) {
	rows := realTrades(b, "lean_us-equity_SPY_2013-10-08*")
	for _, c := range []struct {
		name   string
		format Format
	}{{"parquet", Parquet}, {"arrow", Arrow}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var size int64
			for b.Loop() {
				var n counter
				w, err := NewTickWriter(&n, market.KindTrade, WriterOptions{Format: c.format})
				if err != nil {
					b.Fatal(err)
				}
				for i := range rows {
					if err := w.Write(&rows[i]); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
				size = int64(n)
			}
			b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(size)/float64(len(rows)), "bytes/row")
		})
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
