package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"

	"tapedeck/internal/market"
)

// A query reads pages of rows, each in a moment's transaction, and hands rows out between them: a reader that takes its time
// holds no lock and keeps no old pages alive. Pages grow, so that the last trade costs little and an export goes fast.
const (
	firstPage = 64
	lastPage  = 2048
)

// ErrQuery is wrapped by errors of queries that cannot be answered as they are.
var ErrQuery = errors.New("not a query that can be answered")

// Ticks calls yield with the trades or the quotes that q asks for, in its order, until there are no more, or q.Limit, or yield
// returns an error, which is then returned. The row is valid until yield returns. Memory does not grow with the
// answer. Ticks that are recorded meanwhile are part of the answer when they are in its way.
//
// An error that wraps ErrArchive says that a file of the archive which is in the way is missing or damaged.
//
// Of all symbols (q.Symbol is "") the order is that of (Event, N), and q.After holds an N in its Seq.
func (s *Store) Ticks(ctx context.Context, q market.TickQuery, yield func(*market.Row) error) error {
	if q.Kind != market.KindTrade && q.Kind != market.KindQuote {
		return fmt.Errorf("ticks of kind %d: %w", q.Kind, ErrQuery)
	}
	if q.Limit < 1 {
		return fmt.Errorf("limit %d: %w", q.Limit, ErrQuery)
	}
	if q.After != nil && q.After.Seq > math.MaxInt64 {
		return fmt.Errorf("after number %d: %w", q.After.Seq, ErrQuery)
	}
	if q.Symbol == "" {
		return s.notice(s.allTicks(ctx, &q, yield))
	}
	return s.notice(s.ticksOf(ctx, &q, yield))
}

// ticksOf answers a query of one symbol.
func (s *Store) ticksOf(ctx context.Context, q *market.TickQuery, yield func(*market.Row) error) error {
	id, err := s.symbolID(ctx, q.Symbol)
	if err != nil || id == 0 {
		return err
	}
	var behind *tickKey
	if q.After != nil {
		behind = &tickKey{int64(q.After.Event), int64(q.After.Seq)}
	}
	c := newSeriesCursor(s, q, q.Symbol, id, min(firstPage, q.Limit), 0, behind)
	defer c.close()
	for range q.Limit {
		r, err := c.next(ctx)
		if err != nil || r == nil {
			return err
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// symbolID returns the id of a symbol, 0 when history knows nothing of it.
func (s *Store) symbolID(ctx context.Context, symbol market.Symbol) (id int64, err error) {
	err = s.readers.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM symbols WHERE symbol = ?", string(symbol)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("read symbols: %w", mark(err))
	}
	return id, nil
}

// tickCursor reads the ticks of one symbol that are in the tables, in order and page by page.
type tickCursor struct {
	store  *Store
	kind   market.Kind
	symbol market.Symbol
	query  string
	args   []int64 // symbol, from event, from seq, to event, limit
	desc   bool
	page   []tick
	size   int // of the next page
	max    int
	at     int
	end    bool // the page is the last
	fresh  bool // the page was read by the call of peek before
}

func newTickCursor(s *Store, q *market.TickQuery, symbol market.Symbol, id int64, size int) *tickCursor {
	c := &tickCursor{store: s, kind: q.Kind, symbol: symbol, desc: q.Descending, size: size, max: lastPage}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if q.From != 0 {
		from = int64(q.From)
	}
	if q.To != 0 {
		to = int64(q.To)
	}
	c.query = "SELECT " + tickColumns(q.Kind) + " FROM " + tickTable(q.Kind) + " WHERE symbol = ?"
	if c.desc {
		c.query += " AND (event, seq) < (?, ?) AND event >= ? ORDER BY event DESC, seq DESC LIMIT ?"
		// Before (to, minimum) is before to.
		c.args = []int64{id, to, math.MinInt64, from, 0}
		if q.To == 0 {
			c.args[2] = math.MaxInt64
		}
		return c
	}
	if q.To != 0 {
		to = int64(max(q.To, math.MinInt64+1)) - 1
	}
	c.query += " AND (event, seq) >= (?, ?) AND event <= ? ORDER BY event, seq LIMIT ?"
	c.args = []int64{id, from, math.MinInt64, to, 0}
	return c
}

// goOn makes the cursor go on behind a tick, unless it begins behind it anyway.
func (c *tickCursor) goOn(event, seq int64) {
	// Behind (event, seq) is at (event, seq+1) or later.
	switch {
	case c.desc:
	case seq < math.MaxInt64:
		seq++
	case event < math.MaxInt64:
		event, seq = event+1, math.MinInt64
	}
	c.begin(event, seq)
}

// begin makes the cursor begin at (event, seq), or before it when the order is descending, unless it begins later anyway.
func (c *tickCursor) begin(event, seq int64) {
	k, from := tick{event: event, seq: seq}, tick{event: c.args[1], seq: c.args[2]}
	if d := k.compare(&from); c.desc && d < 0 || !c.desc && d > 0 {
		c.args[1], c.args[2] = event, seq
	}
}

// again makes the cursor read its page once more, behind the given tick; nil: from its begin.
func (c *tickCursor) again(behind *tickKey) {
	c.page, c.at, c.end = c.page[:0], 0, false
	if behind != nil {
		c.goOn(behind.event, behind.seq)
	}
}

// read fills r with the tick that peek returned.
func (c *tickCursor) read(ctx context.Context, r *market.Row) error {
	t := &c.page[c.at]
	f, err := c.store.forms.get(ctx, c.store.readers, t.form)
	if err != nil {
		return err
	}
	if err := t.row(r, c.kind, c.symbol, f); err != nil {
		return fmt.Errorf("%s %d of %s: %w: %w", c.kind, t.seq, c.symbol, err, ErrCorrupt)
	}
	return nil
}

// peek returns the next tick, nil at the end. Who has done with it adds one to at.
func (c *tickCursor) peek(ctx context.Context) (*tick, error) {
	if c.at == len(c.page) {
		if c.end {
			return nil, nil
		}
		if err := c.fill(ctx); err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", tickTable(c.kind), c.symbol, mark(err))
		}
		if len(c.page) == 0 {
			return nil, nil
		}
	}
	return &c.page[c.at], nil
}

func (c *tickCursor) fill(ctx context.Context) error {
	if n := len(c.page); n > 0 {
		c.goOn(c.page[n-1].event, c.page[n-1].seq)
	}
	c.page, c.at = c.page[:0], 0
	c.args[len(c.args)-1] = int64(c.size)
	conn, err := c.store.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	c.page = slices.Grow(c.page, c.size)
	if err := direct(ctx, conn, c.query, c.args, func(row []driver.Value) error {
		c.page = append(c.page, tick{})
		return c.page[len(c.page)-1].take(c.kind, row)
	}); err != nil {
		return err
	}
	c.end, c.fresh = len(c.page) < c.size, true
	c.size = min(2*c.size, c.max)
	return nil
}
