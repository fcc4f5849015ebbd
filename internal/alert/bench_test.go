package alert_test

import (
	"fmt"
	"testing"

	"tapedeck/internal/alert"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// BenchmarkBook pushes ticks of 500 symbols through rules: so many that watch one symbol each, or so many that watch all of them.
func BenchmarkBook(b *testing.B) {
	for _, rules := range []struct {
		name string
		n    int
		all  bool
	}{{"none", 0, false}, {"1 of all", 1, true}, {"1000 of one each", 1000, false}, {"100 of all", 100, true}, {"1000 of all", 1000, true}} {
		b.Run(rules.name, func(b *testing.B) {
			symbols := make([]market.Symbol, 500)
			for i := range symbols {
				symbols[i] = market.Symbol(fmt.Sprintf("SIM:S%03d", i))
			}
			var list []alert.Rule
			for i := range rules.n {
				r := alert.Rule{Symbols: []string{"*"}, When: fmt.Sprintf(`abs(change("10s")) >= %d or price > high("1m") + %d`, 2+i, i)}
				if !rules.all {
					r.Symbols = []string{string(symbols[i%len(symbols)])}
				}
				list = append(list, r)
			}
			f := newFloor(b, list...)
			rec := &tape.Record{Batch: tape.Batch{Feed: "sim", Entries: make([]market.Entry, 100)}}
			at, n := t0, 0
			b.ReportAllocs()
			for b.Loop() {
				for i := range rec.Entries {
					at += 10_000
					n++
					p, _ := market.NewDecimal(int64(10_000+n%7), -2)
					rec.Entries[i] = market.Entry{
						Kind: market.KindTrade, Symbol: symbols[n%len(symbols)], Seq: uint64(n), Event: at, Received: at, Price: p, Size: p,
					}
				}
				f.book.Push(rec)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "ticks/s")
			b.ReportMetric(float64(len(f.book.State()))/float64(len(symbols)), "state-B/symbol")
		})
	}
}
