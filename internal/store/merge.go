package store

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"

	"tapedeck/internal/market"
)

// allTicks merges the ticks of all symbols. A symbol is not looked at before the merge comes to where its ticks begin, so that
// the newest hundred of ten thousand symbols cost reading some hundred of them.
func (s *Store) allTicks(ctx context.Context, q *market.TickQuery, yield func(*market.Row) error) error {
	m, err := newMerge(ctx, s, q)
	if err != nil {
		return err
	}
	defer m.close()
	for range q.Limit {
		r, err := m.next(ctx)
		if err != nil || r == nil {
			return err
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// mergeRows bounds how many rows a merge holds in memory: the pages of its cursors are so much smaller the more there are.
const mergeRows = 1 << 16

// merge is a heap of cursors, the one whose tick comes first on top, and the symbols that were not looked at yet.
type merge struct {
	store  *Store
	query  *market.TickQuery
	closed []extent // symbols without a cursor yet, the next one last
	open   []*mergeCursor
	page   int
	chunk  int
}

// mergeCursor is a cursor with the tick that waits in it.
type mergeCursor struct {
	*seriesCursor
	head head
}

// mergeColdRows bounds the rows of the archive alike. There are more of them, for each time that a cursor reads on it decodes whole pages.
const mergeColdRows = 1 << 18

// manySeries is how many symbols a merge may have that keep their files of the archive open.
const manySeries = 32

// extent is between which times the ticks of a symbol are.
type extent struct {
	id          int64
	symbol      market.Symbol
	first, last int64
}

func newMerge(ctx context.Context, s *Store, q *market.TickQuery) (*merge, error) {
	m := &merge{store: s, query: q}
	column := "trade"
	if q.Kind == market.KindQuote {
		column = "quote"
	}
	rows, err := s.readers.QueryContext(ctx, fmt.Sprintf(
		"SELECT id, symbol, %[1]s_first, %[1]s_last FROM symbols WHERE %[1]ss > 0 AND %[1]s_first <= ? AND %[1]s_last >= ?", column),
		orEnd(q.To, math.MaxInt64), orEnd(q.From, math.MinInt64)) // the cursors leave out what is at q.To
	if err != nil {
		return nil, fmt.Errorf("read symbols: %w", mark(err))
	}
	defer rows.Close()
	for rows.Next() {
		var x extent
		if err := rows.Scan(&x.id, &x.symbol, &x.first, &x.last); err != nil {
			return nil, fmt.Errorf("read symbols: %w", mark(err))
		}
		if after := q.After; after != nil {
			if !q.Descending && x.last < int64(after.Event) || q.Descending && x.first > int64(after.Event) {
				continue
			}
		}
		m.closed = append(m.closed, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read symbols: %w", mark(err))
	}
	slices.SortFunc(m.closed, func(a, b extent) int {
		if q.Descending {
			return cmp.Compare(a.last, b.last)
		}
		return cmp.Compare(b.first, a.first)
	})
	// Of many symbols each gives few of the rows that are asked for.
	share := min(q.Limit, mergeRows) / (len(m.closed) + 1)
	m.page = min(firstPage, max(4, 2*share))
	if n := len(m.closed); n > manySeries {
		m.chunk = max(64, mergeColdRows/n)
	}
	return m, nil
}

func orEnd(t market.Time, end int64) int64 {
	if t == 0 {
		return end
	}
	return int64(t)
}

// next returns the next row, nil at the end.
func (m *merge) next(ctx context.Context) (*market.Row, error) {
	if err := m.advance(ctx); err != nil {
		return nil, err
	}
	if len(m.open) == 0 {
		return nil, nil
	}
	r, err := m.open[0].next(ctx)
	if err != nil {
		return nil, err
	}
	return r, m.settle(ctx)
}

// settle puts the cursor on top, which has moved on, into its place.
func (m *merge) settle(ctx context.Context) error {
	c := m.open[0]
	h, ok, err := c.peek(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		c.close()
		heap.Pop(m)
	default:
		c.head = h
		heap.Fix(m, 0)
	}
	return nil
}

// close gives back what the cursors hold.
func (m *merge) close() {
	for _, c := range m.open {
		c.close()
	}
}

// advance opens the symbols whose ticks may come next.
func (m *merge) advance(ctx context.Context) error {
	for len(m.closed) > 0 {
		x := m.closed[len(m.closed)-1]
		if len(m.open) > 0 {
			top := m.open[0].head.event
			if m.query.Descending && x.last < top || !m.query.Descending && x.first > top {
				return nil
			}
		}
		m.closed = m.closed[:len(m.closed)-1]
		if err := m.begin(ctx, &x); err != nil {
			return err
		}
	}
	return nil
}

// begin puts the cursor of a symbol into the heap, behind the tick that the query goes on from.
func (m *merge) begin(ctx context.Context, x *extent) error {
	var behind *tickKey
	after := m.query.After
	if after != nil {
		// Ticks with the same time are told apart by their N, which is not in the order of the file.
		behind = &tickKey{int64(after.Event), math.MinInt64}
		if m.query.Descending {
			behind.seq = math.MaxInt64
		}
	}
	c := &mergeCursor{seriesCursor: newSeriesCursor(m.store, m.query, x.symbol, x.id, m.page, m.chunk, behind)}
	c.hot.max = max(m.page, min(lastPage, mergeRows/(len(m.open)+len(m.closed)+1)))
	for {
		h, ok, err := c.peek(ctx)
		if err != nil || !ok {
			c.close()
			return err
		}
		if after == nil || h.event != int64(after.Event) || m.query.Descending == (h.n < int64(after.Seq)) && h.n != int64(after.Seq) {
			c.head = h
			heap.Push(m, c)
			return nil
		}
		if err := c.pass(ctx, &h); err != nil {
			c.close()
			return err
		}
	}
}

// Len, Less, Swap, Push and Pop make a heap of the cursors. Each has a tick waiting.
func (m *merge) Len() int { return len(m.open) }

// Less reports whether the tick of i comes first.
func (m *merge) Less(i, j int) bool {
	a, b := &m.open[i].head, &m.open[j].head
	if a.event != b.event {
		return (a.event < b.event) != m.query.Descending
	}
	return (a.n < b.n) != m.query.Descending
}

// Swap swaps two cursors.
func (m *merge) Swap(i, j int) { m.open[i], m.open[j] = m.open[j], m.open[i] }

// Push adds a cursor.
func (m *merge) Push(x any) {
	if c, ok := x.(*mergeCursor); ok {
		m.open = append(m.open, c)
	}
}

// Pop removes the last cursor.
func (m *merge) Pop() any {
	last := len(m.open) - 1
	c := m.open[last]
	m.open[last] = nil
	m.open = m.open[:last]
	return c
}
