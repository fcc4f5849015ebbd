package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

// TestRecentBarsAreThoseOfHistory puts random ticks on the tape, late ones of all kinds among them, and looks after each record whether
// what the hub knows is what history would say.
func TestRecentBarsAreThoseOfHistory(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 9))
		m := newMemTape()
		seqs := map[market.Symbol]uint64{}
		now := past0
		put := func() {
			var entries []market.Entry
			for range 1 + r.IntN(3) {
				s := market.Symbol(fmt.Sprintf("SIM:S%d", r.IntN(3)))
				seqs[s]++
				when := now
				switch r.IntN(10) {
				case 0:
					when -= market.Time(r.IntN(300)) * market.Second
				case 1:
					when -= market.Time(r.IntN(72)) * market.Hour
				}
				e := trade(s, seqs[s], 10000+r.Int64N(500), when)
				if r.IntN(25) == 0 {
					e.Flags = market.FlagImported | market.FlagHistory
				}
				entries = append(entries, e)
			}
			if r.IntN(30) == 0 {
				entries = append(entries, market.Gap{From: now - 40*market.Second, To: now, Reason: "test"}.Entry())
			}
			m.Put("sim", entries...)
			now += market.Time(r.IntN(100)) * market.Second
			if r.IntN(20) == 0 {
				now += market.Time(r.IntN(30)) * market.Hour
			}
		}
		for range 30 {
			put()
		}
		b := serve(t, m, nil)
		for range 120 {
			put()
			b.waitFor()
			for id := uint32(1); int64(id) < b.g.hub.grown.Load(); id++ {
				got, pos, err := b.g.knowns(t.Context(), []uint32{id}, partBars, nil)
				if err != nil || pos != m.Bounds().Last {
					t.Fatalf("position %d of %d, %v", pos, m.Bounds().Last, err)
				}
				var want recentBars
				minutes, _, _ := b.history.Bars(t.Context(), market.BarQuery{Symbol: got[0].symbol, Interval: market.Min1(), Limit: 9, Descending: true}, nil)
				days, _, _ := b.history.Bars(t.Context(), market.BarQuery{Symbol: got[0].symbol, Interval: market.Day1(), Limit: 9, Descending: true}, nil)
				want.load(minutes, days)
				for i, pair := range [][2]*market.Bar{{&want.minute, &got[0].minute}, {&want.day, &got[0].day}, {&want.previous, &got[0].previous}} {
					if diff := gocmp.Diff(barText(pair[0]), barText(pair[1])); diff != "" {
						t.Fatalf("seed %d, %s, bar %d: %s", seed, got[0].symbol, i, diff)
					}
				}
			}
		}
		b.stop()
	}
}

// past0 is a moment that is past wherever the tests run.
const past0 market.Time = 1_700_000_000 * market.Second

// barText is a bar as answers show it.
func barText(b *market.Bar) string {
	if !b.Priced {
		return ""
	}
	return string(appendBar(nil, b))
}

// BenchmarkLatestAll asks for what is newest of 500 symbols.
func BenchmarkLatestAll(b *testing.B) {
	const symbols = 500
	m := newMemTape()
	var list []string
	for i := range symbols {
		s := market.Symbol(fmt.Sprintf("SIM:S%d", i))
		list = append(list, string(s))
		for n := range uint64(4) {
			when := past0 + market.Time(n)*20*market.Hour
			m.Put("sim", trade(s, n+1, 18742+int64(i), when), quote(s, n+1, when))
		}
	}
	s := serve(b, m, func(o *Options) { o.Limits.Symbols = symbols })
	for _, path := range []string{"trades/latest", "quotes/latest", "bars/latest", "snapshots"} {
		b.Run(strings.ReplaceAll(path, "/", "-"), func(b *testing.B) {
			handler := s.g.Handler()
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/v2/stocks/"+path+"?symbols="+strings.Join(list, ","), nil)
			for b.Loop() {
				w := httptest.NewRecorder()
				if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
