package tape_test

import (
	"context"
	"errors"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// pages is a source that hands out its records a few at a time.
type pages struct {
	records []*tape.Record
	page    int
	closed  bool
}

func (p *pages) Bounds() tape.Bounds {
	if len(p.records) == 0 {
		return tape.Bounds{First: 1}
	}
	return tape.Bounds{First: 1, Last: p.records[len(p.records)-1].Through}
}

func (p *pages) Wait(ctx context.Context, after tape.Position) error {
	if p.Bounds().Last > after {
		return nil
	}
	if p.closed {
		return tape.ErrClosed
	}
	<-ctx.Done()
	return ctx.Err()
}

func (p *pages) Read(_ context.Context, from tape.Position, dst []*tape.Record) ([]*tape.Record, error) {
	for _, r := range p.records {
		if r.Through >= from && len(dst) < p.page {
			dst = append(dst, r)
		}
	}
	return dst, nil
}

func TestReaderReadsEachRecordOnce(t *testing.T) {
	src := &pages{page: 2, closed: true}
	for i, through := range []tape.Position{1, 2, 7, 8, 9} {
		first := tape.Position(1)
		if i > 0 {
			first = src.records[i-1].Through + 1
		}
		src.records = append(src.records, &tape.Record{Position: first, Through: through, Batch: tape.Batch{Entries: make([]market.Entry, 1)}})
	}
	for _, try := range []bool{false, true} {
		r := tape.NewReader(src, 1)
		for _, want := range src.records {
			next := r.Next
			if try {
				next = r.TryNext
			}
			got, err := next(t.Context())
			if err != nil || got != want || r.Position() != want.Through+1 {
				t.Fatalf("got %v, %v and position %d, want %v", got, err, r.Position(), want)
			}
		}
		if rec, err := r.TryNext(t.Context()); rec != nil || err != nil {
			t.Errorf("at the end: got %v, %v, want nothing", rec, err)
		}
		if rec, err := r.Next(t.Context()); rec != nil || !errors.Is(err, tape.ErrClosed) {
			t.Errorf("at the end: got %v, %v, want ErrClosed", rec, err)
		}
	}
}

func TestReaderStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if rec, err := tape.NewReader(&pages{}, 1).Next(ctx); rec != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want context.Canceled", rec, err)
	}
}
