package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"tapedeck/internal/market"
)

// series is what is known of the trades, or of the quotes, of a symbol.
type series struct {
	count       int64       // rows
	first, last market.Time // smallest and largest event time; of no rows, 0
	newest      int64       // seq of the one that latest and listings show
	newestTime  market.Time // its event time
	past        bool        // it is of the past, for there is none that came live
	highest     int64       // largest seq that there may be

	// Of the transaction that is being put together:
	rows   []tick
	sorted bool          // rows are in the order of their key
	entry  *market.Entry // the newest, nil when there was none
}

// add takes in a tick of an entry.
func (r *series) add(e *market.Entry, t tick, p *rowPool) {
	if len(r.rows) == 0 {
		r.rows, r.sorted = p.get(), true
	} else if r.sorted && t.compare(&r.rows[len(r.rows)-1]) <= 0 {
		r.sorted = false
	}
	r.rows = append(r.rows, t)
	if r.count == 0 || e.Event < r.first {
		r.first = e.Event
	}
	if r.count == 0 || e.Event > r.last {
		r.last = e.Event
	}
	if r.isNewer(e, t.seq) {
		r.newest, r.newestTime, r.entry, r.past = t.seq, e.Event, e, e.Flags&market.FlagHistory != 0
	}
	r.highest = max(r.highest, t.seq)
	r.count++
}

// isNewer reports whether a tick is to be shown as the newest from now on. Of ticks that came live that is the last one; those of
// the past count only while there are no others, and of them the one with the latest time does.
func (r *series) isNewer(e *market.Entry, seq int64) bool {
	past := e.Flags&market.FlagHistory != 0
	switch {
	case r.count == 0:
		return true
	case past != r.past:
		return r.past
	case past:
		return e.Event > r.newestTime || e.Event == r.newestTime && seq > r.newest
	}
	return seq >= r.newest
}

// goOn takes over what the file knows: the newest tick, and the largest number.
func (r *series) goOn(newest *market.Entry, seq uint64) {
	r.past = newest.Flags&market.FlagHistory != 0
	r.highest = int64(min(seq, math.MaxInt64))
}

// holds reports whether a tick with this key waits to be written.
func (r *series) holds(t *tick) bool {
	return slices.ContainsFunc(r.rows, func(u tick) bool { return u.compare(t) == 0 })
}

// rowPool keeps the memory of rows between transactions, for whichever symbols are busy in the next one.
type rowPool struct {
	free [][]tick
	rows int // that free has room for
}

// maxFreeRows bounds what a pool keeps: some 8 MB, enough for a transaction of maxTicks.
const maxFreeRows = 1 << 16

func (p *rowPool) get() []tick {
	last := len(p.free) - 1
	if last < 0 {
		return nil
	}
	rows := p.free[last]
	p.free = p.free[:last]
	p.rows -= cap(rows)
	return rows
}

func (p *rowPool) put(rows []tick) {
	if c := cap(rows); c > 0 && p.rows+c <= maxFreeRows {
		clear(rows) // the ids of trades
		p.free = append(p.free, rows[:0])
		p.rows += c
	}
}

func (r *series) reset(p *rowPool) {
	p.put(r.rows)
	r.rows, r.entry = nil, nil
}

// symbolState is what the recorder knows of a symbol: its row of the table symbols.
type symbolState struct {
	id      int64
	symbol  market.Symbol
	listing market.Listing
	trades  series
	quotes  series
	touched bool // changed in the transaction that is being put together

	coverage symbolCoverage // the ledger's
}

func (st *symbolState) series(kind market.Kind) *series {
	if kind == market.KindTrade {
		return &st.trades
	}
	return &st.quotes
}

// add takes in a tick.
func (st *symbolState) add(e *market.Entry, t tick, p *rowPool) {
	st.series(e.Kind).add(e, t, p)
	if e.Kind == market.KindTrade {
		st.listing.TradeSeq = max(st.listing.TradeSeq, e.Seq)
	} else {
		st.listing.QuoteSeq = max(st.listing.QuoteSeq, e.Seq)
	}
}

// settle is called once the transaction is committed.
func (st *symbolState) settle(p *rowPool) {
	if e := st.trades.entry; e != nil {
		st.listing.LastTrade = *e
	}
	if e := st.quotes.entry; e != nil {
		st.listing.LastQuote = *e
	}
	st.trades.reset(p)
	st.quotes.reset(p)
	st.touched = false
}

const symbolColumns = "id, symbol, feed," +
	" trades, trade_seq, trade_first, trade_last, newest_trade, newest_trade_time," +
	" quotes, quote_seq, quote_first, quote_last, newest_quote, newest_quote_time"

// values returns the row of the symbol.
func (st *symbolState) values(dst []any) []any {
	dst = append(dst, st.id, string(st.symbol), st.listing.Feed)
	dst = st.trades.values(dst, st.listing.TradeSeq)
	return st.quotes.values(dst, st.listing.QuoteSeq)
}

func (r *series) values(dst []any, seq uint64) []any {
	if r.count == 0 {
		return append(dst, int64(0), int64(seq), nil, nil, nil, nil)
	}
	return append(dst, r.count, int64(seq), int64(r.first), int64(r.last), r.newest, int64(r.newestTime))
}

// readSymbols reads the table symbols.
func readSymbols(ctx context.Context, q querier) ([]*symbolState, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+symbolColumns+" FROM symbols ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read symbols: %w", mark(err))
	}
	defer rows.Close()
	var out []*symbolState
	for rows.Next() {
		st := &symbolState{}
		var t, u [4]sql.NullInt64
		l := &st.listing
		if err := rows.Scan(&st.id, &st.symbol, &l.Feed,
			&st.trades.count, &l.TradeSeq, &t[0], &t[1], &t[2], &t[3],
			&st.quotes.count, &l.QuoteSeq, &u[0], &u[1], &u[2], &u[3]); err != nil {
			return nil, fmt.Errorf("read symbols: %w", mark(err))
		}
		l.Symbol = st.symbol
		st.trades.set(t)
		st.quotes.set(u)
		out = append(out, st)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read symbols: %w", mark(err))
	}
	return out, nil
}

func (r *series) set(v [4]sql.NullInt64) {
	r.first, r.last = market.Time(v[0].Int64), market.Time(v[1].Int64)
	r.newest, r.newestTime = v[2].Int64, market.Time(v[3].Int64)
}

// readNewest fills in the last trade and the last quote of each symbol.
func readNewest(ctx context.Context, s *Store, q querier, list []*symbolState) error {
	byID := make(map[int64]*symbolState, len(list))
	for _, st := range list {
		byID[st.id] = st
	}
	for _, kind := range [...]market.Kind{market.KindTrade, market.KindQuote} {
		found, err := readNewestOf(ctx, q, kind)
		if err != nil {
			return fmt.Errorf("read the newest %ss: %w", kind, mark(err))
		}
		for i := range found {
			st := byID[found[i].symbol]
			f, err := s.forms.get(ctx, q, found[i].form)
			if err != nil {
				return err
			}
			var r market.Row
			if err := found[i].row(&r, kind, st.symbol, f); err != nil {
				return fmt.Errorf("newest %s of %s: %w: %w", kind, st.symbol, err, ErrCorrupt)
			}
			if kind == market.KindTrade {
				st.listing.LastTrade = r.Entry
			} else {
				st.listing.LastQuote = r.Entry
			}
		}
	}
	return nil
}

// symbolTick is a tick with the id of its symbol.
type symbolTick struct {
	symbol int64
	tick
}

func readNewestOf(ctx context.Context, q querier, kind market.Kind) ([]symbolTick, error) {
	name := kind.String()
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s, s.id FROM symbols s CROSS JOIN %s r"+
		" WHERE r.symbol = s.id AND r.event = s.newest_%s_time AND r.seq = s.newest_%s", prefixed("r.", tickColumns(kind)),
		tickTable(kind), name, name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []symbolTick
	var t symbolTick
	for to := append(t.targets(kind), &t.symbol); rows.Next(); {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// prefixed puts a prefix before each of the columns.
func prefixed(prefix, columns string) string {
	return prefix + strings.ReplaceAll(columns, ", ", ", "+prefix)
}
