package sim

import (
	"strconv"
	"testing"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

func newTestWorld(tb testing.TB, symbols int) *world {
	tb.Helper()
	c := config{rate: 1000, seed: 1, quotes: true}
	names := defaultNames()
	for i := len(names); i < symbols; i++ {
		names = append(names, "S"+strconv.Itoa(i))
	}
	for _, name := range names[:symbols] {
		s, err := market.NewSymbol("SIM", name)
		if err != nil {
			tb.Fatal(err)
		}
		c.symbols = append(c.symbols, s)
	}
	return newWorld(c, feed.Start{}, defaultOpen)
}

func TestNextDoesNotAllocate(t *testing.T) {
	w := newTestWorld(t, 9)
	var e market.Entry
	if n := testing.AllocsPerRun(10_000, func() { w.next(&e) }); n != 0 {
		t.Errorf("%v allocations a tick", n)
	}
}

// TestLongRun lets prices wander for a month of a busy market: none runs away, and none gets stuck.
func TestLongRun(t *testing.T) {
	w := newTestWorld(t, 30)
	w.step, w.root = 9, 3 // A tick of the market's clock in nine seconds.
	var e market.Entry
	for range 300_000 {
		w.next(&e)
	}
	for _, in := range w.instruments {
		if in.mid < in.base/4 || in.mid > in.base*4 {
			t.Errorf("%s went from %v to %v", in.symbol, in.base, in.mid)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, n := range []int{9, 5000} {
		b.Run(strconv.Itoa(n)+"-symbols", func(b *testing.B) {
			w := newTestWorld(b, n)
			var e market.Entry
			b.ReportAllocs()
			for b.Loop() {
				w.next(&e)
			}
		})
	}
}
