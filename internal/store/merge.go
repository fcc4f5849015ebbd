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
	open   []*tickCursor
	page   int
}

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
	c := m.open[0]
	r, err := c.next(ctx)
	if err != nil {
		return nil, err
	}
	return r, m.settle(ctx)
}

// settle puts the cursor on top, which has moved on, into its place.
func (m *merge) settle(ctx context.Context) error {
	t, err := m.open[0].peek(ctx)
	switch {
	case err != nil:
		return err
	case t == nil:
		heap.Pop(m)
	default:
		heap.Fix(m, 0)
	}
	return nil
}

// advance opens the symbols whose ticks may come next.
func (m *merge) advance(ctx context.Context) error {
	for len(m.closed) > 0 {
		x := m.closed[len(m.closed)-1]
		if len(m.open) > 0 {
			top := m.open[0].page[m.open[0].at].event
			if m.query.Descending && x.last < top || !m.query.Descending && x.first > top {
				return nil
			}
		}
		m.closed = m.closed[:len(m.closed)-1]
		c := newTickCursor(m.store, m.query, x.symbol, x.id, m.page)
		c.max = max(m.page, min(lastPage, mergeRows/(len(m.open)+len(m.closed)+1)))
		if err := m.begin(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// begin puts a cursor into the heap, behind the tick that the query goes on from.
func (m *merge) begin(ctx context.Context, c *tickCursor) error {
	after := m.query.After
	if after != nil {
		// Ticks with the same time are told apart by their N, which is not in the order of the file.
		if m.query.Descending {
			c.begin(int64(after.Event), math.MaxInt64)
		} else {
			c.begin(int64(after.Event), math.MinInt64)
		}
	}
	for {
		t, err := c.peek(ctx)
		if err != nil || t == nil {
			return err
		}
		if after == nil || t.event != int64(after.Event) || m.query.Descending == (t.n < int64(after.Seq)) && t.n != int64(after.Seq) {
			heap.Push(m, c)
			return nil
		}
		c.at++
	}
}

// Len, Less, Swap, Push and Pop make a heap of the cursors. Each has a tick waiting.
func (m *merge) Len() int { return len(m.open) }

// Less reports whether the tick of i comes first.
func (m *merge) Less(i, j int) bool {
	a, b := &m.open[i].page[m.open[i].at], &m.open[j].page[m.open[j].at]
	if a.event != b.event {
		return (a.event < b.event) != m.query.Descending
	}
	return (a.n < b.n) != m.query.Descending
}

// Swap swaps two cursors.
func (m *merge) Swap(i, j int) { m.open[i], m.open[j] = m.open[j], m.open[i] }

// Push adds a cursor.
func (m *merge) Push(x any) {
	if c, ok := x.(*tickCursor); ok {
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
