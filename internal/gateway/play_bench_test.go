package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/market"
)

// BenchmarkPlay plays 200,000 trades of the past flat out, to so many clients at once, each of which began at a moment of its own. One operation is one
// trade to one client.
func BenchmarkPlay(b *testing.B) {
	for _, clients := range []int{1, 20} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) { benchPlay(b, clients, false) })
	}
	b.Run("bars", func(b *testing.B) { benchPlay(b, 1, true) })
}

// none is history without imports.
type none struct{ *memHistory }

func (*none) HoldsHistory(context.Context) (bool, error) { return false, nil }

func benchPlay(b *testing.B, clients int, bars bool) {
	const all, size = 200_000, 100
	m := newMemTape()
	m.Chunk = 100
	from := market.FromStd(time.Now()) - market.Time(all)*10_000_000
	for i := 0; i < all; i += size {
		entries := make([]market.Entry, size)
		for j := range entries {
			entries[j] = tick("SIM:A", uint64(i+j+1), from+market.Time(i+j)*10_000_000)
		}
		m.Put("sim", entries...)
	}
	h := &none{newMemHistory()}
	s := serve(b, m, func(o *Options) { o.History = h; o.Ring = 1000 })
	subscribe := `{"action":"subscribe","trades":["*"]}`
	if bars {
		subscribe = everything
	}
	var list []*client
	for range clients {
		list = append(list, s.join(subscribe))
	}
	b.ResetTimer()
	for left := b.N; left > 0; left -= clients * all {
		var wg sync.WaitGroup
		n := min(all, (left+clients-1)/clients)
		for i, c := range list {
			start := min(market.Time(i)*100, all/10)
			to := from + min(start+market.Time(n), all)*10_000_000
			c.send(fmt.Sprintf(`{"action":"play","from":%q,"to":%q,"speed":"max"}`, from+start*10_000_000, to))
			wg.Go(func() {
				for !strings.Contains(c.read(), `"ended":true`) {
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ticks/s")
}
