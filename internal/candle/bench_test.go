package candle

import (
	"fmt"
	"testing"

	"tapedeck/internal/market"
)

// batches makes n trades of some symbols of a venue, step apart.
func batches(t testing.TB, venue string, symbols, n int, step market.Time, conditions string) []market.Entry {
	t.Helper()
	clock := at(t, "2026-11-23T15:00:00Z")
	entries := make([]market.Entry, n)
	for i := range entries {
		clock += step
		price, err := market.NewDecimal(18742+int64(i*7919%97), -2)
		if err != nil {
			t.Fatal(err)
		}
		size, err := market.NewDecimal(int64(1+i%100), 0)
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = market.Entry{
			Kind: market.KindTrade, Symbol: market.Symbol(fmt.Sprintf("%s:S%d", venue, i%symbols)), Seq: uint64(i/symbols + 1), Event: clock,
			Received: clock, Price: price, Size: size, Conditions: conditions,
		}
	}
	return entries
}

// TestSteadyStateDoesNotAllocate runs through many closes of seconds and minutes, and late trades.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("x")
	entries := batches(t, "ALPACA", 10, 1000, 50_000_000, "@,F")
	span := market.Time(1000) * 50_000_000
	changes := make([]Change, 0, 4096)
	run := func() {
		for i := range entries {
			entries[i].Event += span
			entries[i].Received += span
			entries[i].Seq += 100
			if i%17 == 0 {
				late := entries[i]
				late.Event -= market.Minute
				late.Seq += 100
				if err := f.Push(&late); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Push(&entries[i]); err != nil {
				t.Fatal(err)
			}
		}
		changes = m.Drain(changes[:0])
	}
	for range 20 {
		run()
	}
	if n := testing.AllocsPerRun(50, run); n != 0 {
		t.Errorf("1,000 trades allocate %v times", n)
	}
}

func BenchmarkPush(b *testing.B) {
	for _, bb := range []struct {
		name, venue, conditions string
		symbols                 int
		step                    market.Time
	}{
		{"crypto/1symbol", "COINBASE", "", 1, 20_000},
		{"crypto/10symbols", "COINBASE", "", 10, 2000},
		{"crypto/1000symbols", "COINBASE", "", 1000, 2000},
		{"stocks/10symbols", "ALPACA", "@,F", 10, 2000},
		{"sparse/every-trade-a-second", "COINBASE", "", 10, 100 * 1_000_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m := machine(b, Options{})
			f := m.Feed("x")
			const n = 10_000
			entries := batches(b, bb.venue, bb.symbols, n, bb.step, bb.conditions)
			var changes []Change
			i := 0
			for b.Loop() {
				e := &entries[i]
				if err := f.Push(e); err != nil {
					b.Fatal(err)
				}
				e.Event += n * bb.step
				e.Received = e.Event
				e.Seq += n
				if i++; i == n {
					i = 0
					changes = m.Drain(changes[:0])
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trades/s")
		})
	}
}

func BenchmarkRoll(b *testing.B) {
	m := machine(b, Options{Intervals: []market.Interval{market.Min1()}})
	f := m.Feed("x")
	entries := batches(b, "COINBASE", 1, 10_000, market.Minute, "")
	for i := range entries {
		if err := f.Push(&entries[i]); err != nil {
			b.Fatal(err)
		}
	}
	var src []market.Bar
	for _, c := range m.Drain(nil) {
		src = append(src, c.Bar)
	}
	r := Roller{Interval: market.Interval{N: 5, Unit: market.UnitMinute}}
	var dst []market.Bar
	for b.Loop() {
		var err error
		if dst, err = r.Roll(dst[:0], src); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(src))/b.Elapsed().Seconds(), "bars/s")
}
