package tapetest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Memory is a tape in memory, for tests of what stands on a tape: it can be made to fail, be damaged, trimmed, and cut as by a
// crash. It does not find the last record of a feed by itself, so that those who must can be seen to do without. Its zero value
// is empty and ready. All methods may be called at once; the fields are set while none is.
type Memory struct {
	Epoch tape.Epoch
	Chunk int // most records that a Read returns; 0 means 100

	mu       sync.Mutex
	records  []*tape.Record
	trimmed  tape.Position // last position that was trimmed
	entries  uint64
	grown    chan struct{} // closed when a record is added, or the tape is closed; nil while nobody waits
	closed   bool
	onAppend func(*tape.Record) error
	onRead   func() error
}

var _ Tape = (*Memory)(nil)

// OnAppend makes Append show f each record before any reader sees it; nil ends that. On an error of f, nothing is on the tape
// and Append returns the error. f must not use the tape.
func (m *Memory) OnAppend(f func(*tape.Record) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onAppend = f
}

// OnRead makes Read ask f first, and return its error; nil ends that. f must not use the tape.
func (m *Memory) OnRead(f func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onRead = f
}

// Put appends entries of a feed without an offset. It panics when they are refused, so it is for a tape that is not made to fail.
func (m *Memory) Put(feed string, entries ...market.Entry) tape.Position {
	at, err := m.Append(context.Background(), &tape.Batch{Feed: feed, Entries: entries})
	if err != nil {
		panic(err)
	}
	return at
}

// Append implements tape.Appender.
func (m *Memory) Append(ctx context.Context, b *tape.Batch) (tape.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(b.Entries) > tape.MaxEntries {
		return 0, tape.ErrTooLarge
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, tape.ErrClosed
	}
	at := m.last() + 1
	rec := &tape.Record{Position: at, Through: at, Ordinal: m.entries, Batch: *b}
	if m.onAppend != nil {
		if err := m.onAppend(rec); err != nil {
			return 0, err
		}
	}
	m.records = append(m.records, rec)
	m.entries += uint64(len(b.Entries))
	m.wake()
	return at, nil
}

// Bounds implements tape.Source.
func (m *Memory) Bounds() tape.Bounds {
	m.mu.Lock()
	defer m.mu.Unlock()
	return tape.Bounds{Epoch: m.Epoch, First: m.trimmed + 1, Last: m.last()}
}

// Wait implements tape.Source.
func (m *Memory) Wait(ctx context.Context, after tape.Position) error {
	for {
		grown, err := m.growth(after)
		if grown == nil {
			return err
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// growth returns what to wait on, or nil when there is no reason to wait.
func (m *Memory) growth(after tape.Position) (<-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, tape.ErrClosed
	}
	if m.last() > after {
		return nil, nil
	}
	if m.grown == nil {
		m.grown = make(chan struct{})
	}
	return m.grown, nil
}

// Read implements tape.Source.
func (m *Memory) Read(_ context.Context, from tape.Position, dst []*tape.Record) ([]*tape.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return dst, tape.ErrClosed
	}
	if m.onRead != nil {
		if err := m.onRead(); err != nil {
			return dst, err
		}
	}
	if from <= m.trimmed {
		return dst, &tape.TrimmedError{Position: from, First: m.trimmed + 1}
	}
	i := m.index(from)
	return append(dst, m.records[i:min(i+cmp.Or(m.Chunk, 100), len(m.records))]...), nil
}

// Close ends the tape. What was appended can still be had by Records and Cut.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.wake()
	return nil
}

// Damage makes the records at some positions the one gap that a damaged stretch is read as, and returns the number of entries
// lost.
func (m *Memory) Damage(from, through tape.Position) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, end := m.index(from), m.index(through)+1
	gap := market.Entry{Kind: market.KindGap, Flags: market.FlagDamage, Text: "damaged"}
	for _, r := range m.records[i:end] {
		for _, e := range r.Entries {
			if gap.Seq == 0 {
				gap.Event = e.Event
			}
			gap.Until = e.Event
			gap.Seq++
		}
	}
	m.records = slices.Replace(m.records, i, end, &tape.Record{
		Position: from, Through: through, Ordinal: m.records[i].Ordinal, Batch: tape.Batch{Entries: []market.Entry{gap}},
	})
	return gap.Seq
}

// Trim makes the tape begin at a position. Records goes on to return what is before it.
func (m *Memory) Trim(first tape.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trimmed = first - 1
}

// Cut returns a copy of the tape, open, that ends after n records: what a crash at that moment leaves.
func (m *Memory) Cut(n int) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Memory{Epoch: m.Epoch, Chunk: m.Chunk, records: slices.Clone(m.records[:n]), trimmed: m.trimmed, entries: m.entries}
	if n < len(m.records) {
		c.entries = m.records[n].Ordinal
	}
	return c
}

// Records returns all records, of which some may have been trimmed since.
func (m *Memory) Records() []*tape.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}

// Entries returns the entries of the given kinds, or of all kinds, of all records in order.
func (m *Memory) Entries(kinds ...market.Kind) []market.Entry {
	var list []market.Entry
	for _, r := range m.Records() {
		for _, e := range r.Entries {
			if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
				list = append(list, e)
			}
		}
	}
	return list
}

// Len returns the number of entries that were appended.
func (m *Memory) Len() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries
}

// last returns the last position. m.mu is held.
func (m *Memory) last() tape.Position {
	if n := len(m.records); n > 0 {
		return max(m.records[n-1].Through, m.trimmed)
	}
	return m.trimmed
}

// index returns the index of the record that stands for a position. m.mu is held.
func (m *Memory) index(p tape.Position) int {
	i, _ := slices.BinarySearchFunc(m.records, p, func(r *tape.Record, p tape.Position) int { return cmp.Compare(r.Through, p) })
	return i
}

// wake wakes those who wait. m.mu is held.
func (m *Memory) wake() {
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
}
