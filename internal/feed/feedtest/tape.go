// Package feedtest is what feeds are tested with: a tape in memory that can be made to fail, a source that follows a script, and
// a sink that keeps what is pushed.
package feedtest

import (
	"context"
	"slices"
	"sync"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Tape is a tape in memory. Its zero value is empty and ready. All methods may be called at once.
type Tape struct {
	mu      sync.Mutex
	records []*tape.Record
	grown   chan struct{} // closed when a record is added
	fail    func(b *tape.Batch) error
	entries uint64
}

var (
	_ tape.Appender = (*Tape)(nil)
	_ tape.Source   = (*Tape)(nil)
)

// Fail makes Append ask f first; nil ends that. An error means that nothing is on the tape.
func (t *Tape) Fail(f func(b *tape.Batch) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = f
}

// Append implements tape.Appender.
func (t *Tape) Append(ctx context.Context, b *tape.Batch) (tape.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		if err := t.fail(b); err != nil {
			return 0, err
		}
	}
	at := tape.Position(len(t.records) + 1)
	t.records = append(t.records, &tape.Record{Position: at, Through: at, Ordinal: t.entries, Batch: *b})
	t.entries += uint64(len(b.Entries))
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
	return at, nil
}

// Damage replaces the record at a position by the gap that damage is read as, and returns the number of entries lost.
func (t *Tape) Damage(at tape.Position) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.records[at-1]
	lost := uint64(len(old.Entries))
	gap := market.Gap{Reason: "damaged", Flags: market.FlagDamage}.Entry()
	gap.Seq = lost
	t.records[at-1] = &tape.Record{
		Position: at, Through: at, Ordinal: old.Ordinal, Batch: tape.Batch{Entries: []market.Entry{gap}},
	}
	return lost
}

// Cut returns a copy of the tape that ends after n records: what a crash at that moment leaves.
func (t *Tape) Cut(n int) *Tape {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &Tape{records: slices.Clone(t.records[:n])}
	for _, r := range c.records {
		c.entries += uint64(len(r.Entries))
	}
	return c
}

// Bounds implements tape.Source.
func (t *Tape) Bounds() tape.Bounds {
	t.mu.Lock()
	defer t.mu.Unlock()
	return tape.Bounds{First: 1, Last: tape.Position(len(t.records))}
}

// Wait implements tape.Source.
func (t *Tape) Wait(ctx context.Context, after tape.Position) error {
	for {
		t.mu.Lock()
		if tape.Position(len(t.records)) > after {
			t.mu.Unlock()
			return nil
		}
		if t.grown == nil {
			t.grown = make(chan struct{})
		}
		grown := t.grown
		t.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Read implements tape.Source.
func (t *Tape) Read(_ context.Context, from tape.Position, dst []*tape.Record) ([]*tape.Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from < 1 {
		return dst, &tape.TrimmedError{Position: from, First: 1}
	}
	if int(from) > len(t.records) {
		return dst, nil
	}
	return append(dst, t.records[from-1:min(int(from)+63, len(t.records))]...), nil
}

// Records returns all records.
func (t *Tape) Records() []*tape.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.records)
}

// Entries returns all entries of the given kinds, or of all kinds, in order.
func (t *Tape) Entries(kinds ...market.Kind) []market.Entry {
	var list []market.Entry
	for _, r := range t.Records() {
		for _, e := range r.Entries {
			if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
				list = append(list, e)
			}
		}
	}
	return list
}

// Len returns the number of entries.
func (t *Tape) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.entries)
}
