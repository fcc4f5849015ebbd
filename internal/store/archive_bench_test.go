package store

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// realTrades reads trades of a file of the shared data as a feed would have brought them, with the time of arrival that is in it.
func realTrades(b *testing.B, name string) []market.Entry {
	b.Helper()
	f, err := os.Open(filepath.Join("../../../shared/data/trades", name))
	if errors.Is(err, os.ErrNotExist) {
		b.Skip("the shared data are not there")
	}
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	r := csv.NewReader(z)
	head, err := r.Read()
	if err != nil {
		b.Fatal(err)
	}
	column := func(name string) int { return slices.Index(head, name) }
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	var out []market.Entry
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			b.Fatal(err)
		}
		side := market.SideBuy
		if row[column("buyer_is_maker")] == "true" {
			side = market.SideSell
		}
		out = append(out, market.Trade{
			Symbol: "BINANCE:BTCUSDT", Seq: uint64(len(out) + 1), Event: market.Time(number(row[column("trade_ts_ms")])) * 1_000_000,
			Received: market.Time(number(row[column("ts_ns")])), Price: dec(row[column("price")]), Size: dec(row[column("size")]), Side: side,
			ID: number(row[column("trade_id")]),
		}.Entry())
	}
}

// BenchmarkArchive tells what a real trade takes in the tables and in the archive, and how fast it is moved.
func BenchmarkArchive(b *testing.B) {
	trades := realTrades(b, "binance-usdm_BTCUSDT_2024-08-08_trades.csv.gz")
	var took time.Duration
	moved := int64(0)
	for b.Loop() {
		b.StopTimer()
		s := mustOpen(b, options(b))
		src := newMemTape()
		for batch := range slices.Chunk(trades, 500) {
			src.Put("binance", batch...)
		}
		src.Put("binance", trade("BINANCE:BTCUSDT", uint64(len(trades)+1), trades[len(trades)-1].Event+10*testDay, "1", "1"))
		record(b, s, src)
		a := newTestArchiver(b, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src)})
		b.StartTimer()
		began := time.Now()
		look(b, a)
		took += time.Since(began)
		sums := s.cold.sums()
		moved += sums.rows
		b.ReportMetric(float64(sums.bytes)/float64(sums.rows), "bytes/trade")
	}
	b.ReportMetric(float64(moved)/took.Seconds(), "rows/s")
}

// BenchmarkRangeOfTicks reads 10,000 trades from a random moment on, from the tables and from the archive.
func BenchmarkRangeOfTicks(b *testing.B) {
	const perDay, symbols = 100_000, 4
	src := &tapetest.Memory{Epoch: newMemTape().Epoch}
	names := []market.Symbol{"SIM:A", "SIM:B", "SIM:C", "SIM:D"}
	r := rand.New(rand.NewPCG(1, 2))
	price, step := int64(18_742), testDay/perDay
	for i := range int64(2 * perDay) {
		batch := make([]market.Entry, 0, symbols)
		for j, name := range names {
			price += r.Int64N(5) - 2
			p, _ := market.NewDecimal(price, -2)
			size, _ := market.NewDecimal(1+r.Int64N(300), 0)
			at := start.Floor(testDay) + market.Time(i)*step + market.Time(r.Int64N(int64(step)/10)) + market.Time(j)
			batch = append(batch, market.Trade{Symbol: name, Seq: uint64(i + 1), Event: at, Received: at + market.Time(r.Int64N(1_000_000)), Price: p, Size: size}.Entry())
		}
		src.Put("sim", batch...)
	}
	src.Put("sim", trade("SIM:A", 2*perDay+1, start+10*testDay, "1", "1"))
	s := mustOpen(b, options(b))
	record(b, s, src)
	for _, way := range []string{"hot", "archived"} {
		if way == "archived" {
			look(b, newTestArchiver(b, s, ArchiverOptions{Hot: 24 * time.Hour, Now: newest(src)}))
		}
		for _, symbol := range []market.Symbol{"SIM:A", ""} {
			b.Run(way+"/"+string(symbol), func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					began := time.Now()
					n := 0
					from := start.Floor(testDay) + market.Time(r.Int64N(int64(testDay)))
					if err := s.Ticks(b.Context(), market.TickQuery{Kind: market.KindTrade, Symbol: symbol, From: from, Limit: 10_000}, func(*market.Row) error {
						n++
						return nil
					}); err != nil || n != 10_000 {
						b.Fatal(n, err)
					}
					took = append(took, time.Since(began))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			})
		}
	}
}
