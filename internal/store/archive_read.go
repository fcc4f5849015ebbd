package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"tapedeck/internal/columnar"
	"tapedeck/internal/market"
)

// coldCursor reads the archived ticks of one symbol in their order. A file is not opened before the cursor comes to where it begins.
type coldCursor struct {
	store  *Store
	symbol market.Symbol
	id     int64
	query  market.TickQuery // without After
	behind *tickKey         // the cursor begins behind this tick; nil: anywhere
	chunk  int              // rows that are read at once, after which files are closed; 0: files stay open

	days   daySpan // that were not listed yet
	files  []archivedFile
	open   []*coldScan
	listed bool // no more days
}

// coldScan is a place in a file of the archive.
type coldScan struct {
	archivedFile
	file *coldFile
	scan *columnar.TickScan
	row  *market.Row // the next one
	key  tickKey     // of row

	buffer []market.Row // rows that were read ahead
	at     int
	done   bool // nothing is behind the buffer
}

// newColdCursor returns a cursor over the days of span.
func newColdCursor(s *Store, q *market.TickQuery, symbol market.Symbol, id int64, span daySpan, behind *tickKey, chunk int) *coldCursor {
	c := &coldCursor{store: s, symbol: symbol, id: id, query: *q, behind: behind, chunk: chunk, days: span}
	c.query.After, c.query.Symbol, c.query.Limit = nil, symbol, math.MaxInt
	if behind != nil {
		// Ticks with the time of that tick are looked at and left out.
		if q.Descending {
			if end := behind.event + 1; behind.event < math.MaxInt64 && end != 0 && (q.To == 0 || market.Time(end) < q.To) {
				c.query.To = market.Time(end)
			}
		} else if q.From == 0 || market.Time(behind.event) > q.From {
			c.query.From = market.Time(behind.event)
		}
	}
	if c.query.From != 0 {
		c.days.first = max(c.days.first, dayOf(int64(c.query.From)))
	}
	if c.query.To != 0 {
		c.days.last = min(c.days.last, dayOf(int64(c.query.To)))
	}
	return c
}

// before reports whether a tick comes before everything that the cursor may still bring, so that it need not be asked.
func (c *coldCursor) before(k tickKey) bool {
	if len(c.open) > 0 || len(c.files) > 0 {
		return false
	}
	if c.query.Descending {
		return dayOf(k.event) > c.days.last
	}
	return dayOf(k.event) < c.days.first
}

// peek returns the next row, nil at the end. It is valid until the call of next behind it.
func (c *coldCursor) peek(ctx context.Context) (*market.Row, tickKey, error) {
	for {
		s := c.top()
		if len(c.files) > 0 && (s == nil || !c.comesFirst(s.key, c.edge(&c.files[len(c.files)-1]))) {
			last := len(c.files) - 1
			a := c.files[last]
			c.files = c.files[:last]
			if err := c.enter(ctx, &a); err != nil {
				return nil, tickKey{}, err
			}
			continue
		}
		if s != nil {
			return s.row, s.key, nil
		}
		if c.listed || c.days.first > c.days.last {
			return nil, tickKey{}, nil
		}
		if err := c.list(ctx); err != nil {
			return nil, tickKey{}, err
		}
	}
}

// next goes on behind the row that peek returned.
func (c *coldCursor) next(ctx context.Context) error {
	return c.advance(ctx, c.top())
}

// top returns the scan whose row comes first, nil when none is open. There is one most of the time, and two or three on a day that
// late ticks came for.
func (c *coldCursor) top() (best *coldScan) {
	for _, s := range c.open {
		if best == nil || c.comesFirst(s.key, best.key) {
			best = s
		}
	}
	return best
}

// comesFirst reports whether k comes before l in the order of the query.
func (c *coldCursor) comesFirst(k, l tickKey) bool {
	return (k.compare(l) < 0) != c.query.Descending && k != l
}

// edge is where a file begins in the order of the query.
func (c *coldCursor) edge(a *archivedFile) tickKey {
	if c.query.Descending {
		return a.last
	}
	return a.first
}

// list reads the next page of the list of files.
func (c *coldCursor) list(ctx context.Context) error {
	files, more, err := filesOf(ctx, c.store.readers, c.query.Kind, c.id, c.days.first, c.days.last, c.query.Descending)
	if err != nil {
		return err
	}
	if !more || len(files) == 0 {
		c.listed = true
	} else if end := files[len(files)-1].day; c.query.Descending {
		c.days.last = end - 1
	} else {
		c.days.first = end + 1
	}
	for i := range files {
		if a := &files[i]; c.touches(a) {
			c.files = append(c.files, *a)
		}
	}
	slices.SortFunc(c.files, func(a, b archivedFile) int { // the first one last
		d := c.edge(&b).compare(c.edge(&a))
		if c.query.Descending {
			return -d
		}
		return d
	})
	return nil
}

// touches reports whether some of a file may be part of the answer.
func (c *coldCursor) touches(a *archivedFile) bool {
	if c.query.From != 0 && a.last.event < int64(c.query.From) || c.query.To != 0 && a.first.event >= int64(c.query.To) {
		return false
	}
	if c.behind == nil {
		return true
	}
	far := a.last
	if c.query.Descending {
		far = a.first
	}
	return c.comesFirst(*c.behind, far)
}

// enter opens a file at its first row that is part of the answer.
func (c *coldCursor) enter(ctx context.Context, a *archivedFile) error {
	s := &coldScan{archivedFile: *a}
	c.open = append(c.open, s)
	return c.advance(ctx, s)
}

// advance goes on to the next row of a file, and leaves the file at its end.
func (c *coldCursor) advance(ctx context.Context, s *coldScan) error {
	err := c.step(ctx, s)
	if err == nil && s.row != nil {
		return nil
	}
	c.leave(s)
	c.open = slices.DeleteFunc(c.open, func(t *coldScan) bool { return t == s })
	if err == nil {
		return nil
	}
	gone, other := c.store.isGone(ctx, &s.archivedFile, err)
	if gone || other != nil {
		return other
	}
	if !errors.Is(err, ErrArchive) && ctx.Err() == nil {
		err = &fileError{&s.archivedFile, err}
	}
	return err
}

// leave gives the file of a scan back.
func (c *coldCursor) leave(s *coldScan) {
	if s.file != nil {
		c.store.cold.release(s.file)
		s.file, s.scan = nil, nil
	}
}

// step sets the next row of a scan, nil at the end.
func (c *coldCursor) step(ctx context.Context, s *coldScan) error {
	before, began := s.key, s.row != nil
	for {
		row, err := c.read(ctx, s)
		if err != nil || row == nil {
			s.row = nil
			return err
		}
		k := tickKey{int64(row.Event), int64(row.Seq)}
		if began && !c.comesFirst(before, k) || k.compare(s.first) < 0 || k.compare(s.last) > 0 {
			return fmt.Errorf("%s %d is not where it should be", s.kind, row.Seq)
		}
		before, began = k, true
		if c.behind == nil || c.comesFirst(*c.behind, k) {
			s.row, s.key = row, k
			return nil
		}
	}
}

// read returns the next row of a file: from the file itself, or from what was read ahead.
func (c *coldCursor) read(ctx context.Context, s *coldScan) (*market.Row, error) {
	if c.chunk == 0 {
		if s.scan == nil {
			if err := c.begin(ctx, s); err != nil {
				return nil, err
			}
		}
		return s.following()
	}
	if s.at == len(s.buffer) {
		if s.done {
			return nil, nil
		}
		if err := c.readAhead(ctx, s); err != nil || len(s.buffer) == 0 {
			return nil, err
		}
	}
	s.at++
	return &s.buffer[s.at-1], nil
}

// readAhead fills the buffer of a scan and gives its file back: a cursor that stands beside hundreds of others holds rows, and no
// columns.
func (c *coldCursor) readAhead(ctx context.Context, s *coldScan) error {
	resume := c.behind
	if n := len(s.buffer); n > 0 {
		resume = &tickKey{int64(s.buffer[n-1].Event), int64(s.buffer[n-1].Seq)}
	}
	s.buffer, s.at = s.buffer[:0], 0
	sub := newColdCursor(c.store, &c.query, c.symbol, c.id, c.days, resume, 0)
	defer c.leave(s)
	if err := sub.begin(ctx, s); err != nil {
		return err
	}
	for len(s.buffer) < c.chunk {
		row, err := s.following()
		if err != nil {
			return err
		}
		if row == nil {
			s.done = true
			return nil
		}
		if resume == nil || c.comesFirst(*resume, tickKey{int64(row.Event), int64(row.Seq)}) {
			s.buffer = append(s.buffer, *row)
		}
	}
	return nil
}

// begin opens the file of a scan.
func (c *coldCursor) begin(ctx context.Context, s *coldScan) (err error) {
	if s.file, err = c.store.cold.open(ctx, &s.archivedFile); err != nil {
		return err
	}
	s.scan = s.file.ticks.Scan(c.query)
	return nil
}

// following returns the next row of the file, nil at its end.
func (s *coldScan) following() (*market.Row, error) {
	row, err := s.scan.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return row, err
}

// close gives all files back.
func (c *coldCursor) close() {
	for _, s := range c.open {
		c.leave(s)
	}
	c.open, c.files, c.listed = nil, nil, true
}
