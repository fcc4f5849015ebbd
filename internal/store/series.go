package store

import (
	"context"

	"tapedeck/internal/market"
)

// seriesCursor reads the ticks of one symbol in order, from the tables and from the archive as if they were one.
//
// The archiver lists a file before it deletes the ticks that are in it. So a page of the tables is complete, together with
// the files that were listed when it was read: when the list has changed since the cursor looked at it, it looks again and reads the page
// once more. A tick that is in both is told by its key.
type seriesCursor struct {
	store  *Store
	query  *market.TickQuery
	symbol market.Symbol
	id     int64
	hot    *tickCursor
	cold   *coldCursor // nil when no day of the query is archived
	seen   uint64      // version of the list
	behind *tickKey    // the last tick that was given out, or that the query goes on behind
	chunk  int         // of the cold cursor
	row    market.Row
}

// head is the next tick of a cursor. Its row is made when it is asked for.
type head struct {
	tickKey
	n    int64
	cold *market.Row // nil: from the tables
	both bool        // it is in the tables and in the archive
}

// newSeriesCursor returns a cursor behind a tick, nil for the begin. Pages have size rows at first; chunk is that of newColdCursor.
func newSeriesCursor(s *Store, q *market.TickQuery, symbol market.Symbol, id int64, size, chunk int, behind *tickKey) *seriesCursor {
	c := &seriesCursor{store: s, query: q, symbol: symbol, id: id, behind: behind, chunk: chunk}
	c.hot = newTickCursor(s, q, symbol, id, size)
	if behind != nil {
		c.hot.goOn(behind.event, behind.seq)
	}
	c.look()
	return c
}

// look takes the list of the archive as it is now.
func (c *seriesCursor) look() {
	c.close()
	span, version, ok := c.store.cold.span(seriesKey{c.id, c.query.Kind})
	c.seen = version
	if !ok {
		return
	}
	cold := newColdCursor(c.store, c.query, c.symbol, c.id, span, c.behind, c.chunk)
	if cold.days.first <= cold.days.last {
		c.cold = cold
	}
}

// close gives back what the cursor holds.
func (c *seriesCursor) close() {
	if c.cold != nil {
		c.cold.close()
		c.cold = nil
	}
}

// peek returns the next tick; ok is false at the end.
func (c *seriesCursor) peek(ctx context.Context) (h head, ok bool, err error) {
	t, err := c.hot.peek(ctx)
	for err == nil && c.hot.fresh {
		c.hot.fresh = false
		if c.store.cold.current() == c.seen {
			break
		}
		c.look()
		c.hot.again(c.behind)
		t, err = c.hot.peek(ctx)
	}
	if err != nil {
		return head{}, false, err
	}
	if t != nil {
		h = head{tickKey: tickKey{t.event, t.seq}, n: t.n}
	}
	if c.cold == nil || t != nil && c.cold.before(h.tickKey) {
		return h, t != nil, nil
	}
	row, key, err := c.cold.peek(ctx)
	if err != nil || row == nil {
		return h, t != nil && err == nil, err
	}
	switch {
	case t == nil || c.cold.comesFirst(key, h.tickKey):
		return head{tickKey: key, n: int64(row.N), cold: row}, true, nil
	case key == h.tickKey:
		h.both = true
	}
	return h, true, nil
}

// next returns the next row, nil at the end. It is valid until the call after it.
func (c *seriesCursor) next(ctx context.Context) (*market.Row, error) {
	h, ok, err := c.peek(ctx)
	if err != nil || !ok {
		return nil, err
	}
	if h.cold != nil {
		c.row = *h.cold
	} else if err := c.hot.read(ctx, &c.row); err != nil {
		return nil, err
	}
	return &c.row, c.pass(ctx, &h)
}

// pass goes on behind the tick that peek returned.
func (c *seriesCursor) pass(ctx context.Context, h *head) error {
	if h.cold == nil {
		c.hot.at++
	}
	k := h.tickKey
	c.behind = &k
	if h.cold != nil || h.both {
		return c.cold.next(ctx)
	}
	return nil
}
