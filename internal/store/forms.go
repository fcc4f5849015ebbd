package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"sync"

	"tapedeck/internal/market"
)

// form is what the ticks of a symbol have in common most of the time: the number of digits, the side, flags, codes. A row
// of a tick holds one small number for all of it. A form is never changed or deleted.
type form struct {
	price, size, ask, askSize int8 // exponents
	side                      market.Side
	flags                     market.Flags
	tape                      byte
	exchange, askFrom         string
	conditions                string
}

func formOf(e *market.Entry) form {
	f := form{
		price: int8(e.Price.Exp()), size: int8(e.Size.Exp()), flags: e.Flags, tape: e.Tape,
		exchange: e.Exchange, conditions: e.Conditions,
	}
	if e.Kind == market.KindQuote {
		f.ask, f.askSize, f.askFrom = int8(e.Ask.Exp()), int8(e.AskSize.Exp()), e.AskFrom
	} else {
		f.side = e.Side
	}
	return f
}

// maxForms bounds the memory that forms take. A feed that sends ever new condition codes makes the caches start again, and
// costs a look-up a tick; it does not fill the memory.
const maxForms = 1 << 14

const formColumns = "price_exp, size_exp, ask_exp, ask_size_exp, side, flags, tape, exchange, ask_from, conditions"

func (f *form) values() []any {
	return []any{
		int64(f.price), int64(f.size), int64(f.ask), int64(f.askSize), int64(f.side), int64(f.flags), int64(f.tape),
		f.exchange, f.askFrom, f.conditions,
	}
}

// formCache finds forms by their number. It is shared by all readers.
type formCache struct {
	limit int // 0 is maxForms
	mu    sync.RWMutex
	byID  map[int64]*form
}

// querier is a connection, a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (c *formCache) get(ctx context.Context, q querier, id int64) (*form, error) {
	c.mu.RLock()
	f := c.byID[id]
	c.mu.RUnlock()
	if f != nil {
		return f, nil
	}
	f = &form{}
	row := q.QueryRowContext(ctx, "SELECT "+formColumns+" FROM forms WHERE id = ?", id)
	err := row.Scan(&f.price, &f.size, &f.ask, &f.askSize, &f.side, &f.flags, &f.tape, &f.exchange, &f.askFrom, &f.conditions)
	if err != nil {
		return nil, fmt.Errorf("form %d: %w", id, mark(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= cmp.Or(c.limit, maxForms) {
		c.byID = make(map[int64]*form)
	}
	c.byID[id] = f
	return f, nil
}

// formNumbers gives forms their numbers. It belongs to the recorder, which is the only one to add some.
type formNumbers struct {
	limit  int // 0 is maxForms
	byForm map[form]int64
	last   int64 // highest number given
	hit    form  // what was asked for last
	hitID  int64
}

// load finds the highest number that the file has.
func (n *formNumbers) load(ctx context.Context, q querier) error {
	*n = formNumbers{limit: n.limit, byForm: make(map[form]int64)}
	return q.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM forms").Scan(&n.last)
}

// of returns the number of f, and whether it is a new one that has to be written.
func (n *formNumbers) of(ctx context.Context, q querier, f *form) (id int64, fresh bool, err error) {
	if n.hitID != 0 && n.hit == *f {
		return n.hitID, false, nil
	}
	id, ok := n.byForm[*f]
	if !ok {
		if id, err = findForm(ctx, q, f); err != nil {
			return 0, false, err
		}
		if fresh = id == 0; fresh {
			n.last++
			id = n.last
		}
		n.byForm[*f] = id
	}
	n.hit, n.hitID = *f, id
	return id, fresh, nil
}

// findForm returns the number of a form in the file, 0 when it has none.
func findForm(ctx context.Context, q querier, f *form) (id int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM forms WHERE ("+formColumns+") = (?,?,?,?,?,?,?,?,?,?)",
		f.values()...).Scan(&id)
	return id, err
}

// trim starts the cache again when it is full. It must not be called while new forms have not been written.
func (n *formNumbers) trim() {
	if len(n.byForm) >= cmp.Or(n.limit, maxForms) {
		clear(n.byForm)
		n.hit, n.hitID = form{}, 0
	}
}
