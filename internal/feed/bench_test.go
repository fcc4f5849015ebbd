package feed_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// nowhere is a tape that keeps nothing but the count.
type nowhere struct{ records, entries int }

func (n *nowhere) Append(_ context.Context, b *tape.Batch) (tape.Position, error) {
	n.records++
	n.entries += len(b.Entries)
	return tape.Position(n.records), nil
}
func (n *nowhere) Bounds() tape.Bounds                       { return tape.Bounds{First: 1} }
func (n *nowhere) Wait(context.Context, tape.Position) error { return nil }
func (n *nowhere) Read(_ context.Context, _ tape.Position, dst []*tape.Record) ([]*tape.Record, error) {
	return dst, nil
}

// BenchmarkRunner takes ticks from a source to the tape: checked for repeats, numbered, in groups. The only memory it needs is that of
// the entries themselves, which the tape keeps.
func BenchmarkRunner(b *testing.B) {
	for _, ids := range []bool{false, true} {
		b.Run(fmt.Sprintf("ids=%v", ids), func(b *testing.B) {
			u, err := feed.ParseURL("bench://")
			if err != nil {
				b.Fatal(err)
			}
			tp := &nowhere{}
			w, err := feed.NewWriter(b.Context(), feed.WriterOptions{Tape: tp})
			if err != nil {
				b.Fatal(err)
			}
			batch := make([]market.Entry, 256)
			for i := range batch {
				batch[i] = tick(market.KindTrade, market.Symbol(fmt.Sprintf("B:S%d", i%40)), 1_700_000_000*market.Second, 100)
			}
			b.ReportAllocs()
			src := benchSource{func(ctx context.Context, sink feed.Sink) error {
				for n := uint64(0); b.Loop(); {
					if ids {
						for i := range batch {
							n++
							batch[i].ID = n
						}
					}
					if err := sink.Push(ctx, batch, nil); err != nil {
						return err
					}
				}
				return nil
			}}
			r, err := feed.NewRunner(feed.RunnerOptions{
				URL: u, Open: func(*feed.URL, feed.Start) (feed.Source, error) { return src, nil },
				Writer: w, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := r.Run(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(tp.entries)/b.Elapsed().Seconds(), "ticks/s")
		})
	}
}

type benchSource struct {
	run func(ctx context.Context, sink feed.Sink) error
}

func (benchSource) Traits() feed.Traits { return feed.Traits{Pull: true} }

func (s benchSource) Run(ctx context.Context, sink feed.Sink) error { return s.run(ctx, sink) }
