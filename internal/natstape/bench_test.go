package natstape

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func benchTape(b *testing.B) *Log {
	b.Helper()
	l := openTape(b, Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	return l
}

// BenchmarkAppendLone appends one tick at a time, each synced before the next.
func BenchmarkAppendLone(b *testing.B) {
	l := benchTape(b)
	var took []time.Duration
	seq := uint64(1)
	for b.Loop() {
		batch := tapetest.Batch("a", seq, 1)
		start := time.Now()
		if _, err := l.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
		seq++
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkAppendBulk appends batches of several sizes, from one feed or from several at once.
func BenchmarkAppendBulk(b *testing.B) {
	for _, feeds := range []int{1, 4, 32} {
		for _, size := range []int{256, 1024, 8192} {
			b.Run(fmt.Sprintf("feeds=%d/batch=%d", feeds, size), func(b *testing.B) {
				l := benchTape(b)
				batches := make([]*tape.Batch, feeds)
				for f := range batches {
					batches[f] = tapetest.Batch(fmt.Sprint("f", f), 1, size)
				}
				b.ResetTimer()
				var wg sync.WaitGroup
				for f := range feeds {
					wg.Go(func() {
						for i := f; i < b.N; i += feeds {
							if _, err := l.Append(b.Context(), batches[f]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "ticks/s")
				b.ReportMetric(float64(b.N)/testCounter(b, l.metrics.turns), "records/sync")
			})
		}
	}
}

// BenchmarkRead reads a tape from its beginning: from the stream, as a reader that is far behind, and from memory.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{1, 64, 1024} {
		for _, where := range []string{"stream", "ring"} {
			b.Run(fmt.Sprintf("%s/batch=%d", where, size), func(b *testing.B) {
				dir := b.TempDir()
				l := openTape(b, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler), RingBytes: 1 << 30})
				records := 200_000 / size
				if size == 1 {
					records = 20_000
				}
				var wg sync.WaitGroup
				for f := range 50 {
					wg.Go(func() {
						batch := tapetest.Batch(fmt.Sprint("f", f), 1, size)
						for i := f; i < records; i += 50 {
							if _, err := l.Append(b.Context(), batch); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				if where == "stream" {
					if err := l.Close(); err != nil {
						b.Fatal(err)
					}
					l = openTape(b, Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
				}
				b.ResetTimer()
				for range b.N {
					var recs []*tape.Record
					for pos := tape.Position(1); int(pos) <= records; {
						var err error
						if recs, err = l.Read(b.Context(), pos, recs[:0]); err != nil {
							b.Fatal(err)
						}
						pos = recs[len(recs)-1].Through + 1
					}
				}
				b.ReportMetric(float64(b.N*records*size)/b.Elapsed().Seconds(), "ticks/s")
				b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkShow is what an append costs while many wait for it.
func BenchmarkShow(b *testing.B) {
	for _, waiters := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprint("waiters=", waiters), func(b *testing.B) {
			l := benchTape(b)
			var wg sync.WaitGroup
			for range waiters {
				wg.Go(func() {
					for after := tape.Position(0); ; after = l.Bounds().Last {
						if l.Wait(b.Context(), after) != nil {
							return
						}
					}
				})
			}
			batch := tapetest.Batch("a", 1, 1)
			b.ResetTimer()
			for range b.N {
				if _, err := l.Append(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			wg.Wait()
		})
	}
}
