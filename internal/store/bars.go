package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// barPage is how many stored bars are read at once.
const barPage = 1024

// Bars appends the bars that q asks for to dst, in its order, and returns the extended slice and the position of the tape up to
// which they are right: they hold exactly the trades up to there, and whoever adds those after it has what comes next. Any
// interval can be asked for; what is not kept is rolled up. A bar in which nothing set a price is left out. Where nothing traded, there
// may be a bar that a file brought (Imported), or one that was rolled up from such.
func (s *Store) Bars(ctx context.Context, q market.BarQuery, dst []market.Bar) ([]market.Bar, tape.Position, error) {
	if q.Limit < 1 {
		return dst, 0, fmt.Errorf("limit %d: %w", q.Limit, ErrQuery)
	}
	if q.Interval.N < 1 || q.Interval.Unit < market.UnitSecond || q.Interval.Unit > market.UnitMonth {
		return dst, 0, fmt.Errorf("interval %s: %w", q.Interval, ErrQuery)
	}
	dst, position, err := s.bars(ctx, &q, dst)
	return dst, position, s.notice(err)
}

// bars answers a query that makes sense, in one transaction.
func (s *Store) bars(ctx context.Context, q *market.BarQuery, dst []market.Bar) ([]market.Bar, tape.Position, error) {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return dst, 0, fmt.Errorf("read bars of %s: %w", q.Symbol, mark(err))
	}
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return dst, 0, fmt.Errorf("read bars of %s: %w", q.Symbol, mark(err))
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	place, err := readPlace(ctx, tx)
	if err != nil {
		return dst, 0, err
	}
	r := barReader{query: q, conn: conn, tx: tx, page: s.page}
	if err := r.find(ctx, s); err != nil {
		return dst, 0, err
	}
	if r.id == 0 {
		return dst, place.position, nil
	}
	n := len(dst)
	if dst, err = r.read(ctx, dst); err == nil {
		dst, err = r.withImported(ctx, dst, n)
	}
	return dst, place.position, err
}

// barReader answers one query inside a transaction.
type barReader struct {
	query  *market.BarQuery
	conn   *sql.Conn
	tx     *sql.Tx         // on conn
	id     int64           // of the symbol
	base   market.Interval // that is read
	roller candle.Roller
	rolled []market.Bar
	page   int
}

// find looks the symbol up, and the clock of its feed.
func (r *barReader) find(ctx context.Context, s *Store) error {
	var clock sql.NullInt64
	err := r.tx.QueryRowContext(ctx, "SELECT s.id, f.clock FROM symbols s LEFT JOIN feeds f ON f.feed = s.feed WHERE s.symbol = ?",
		string(r.query.Symbol)).Scan(&r.id, &clock)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read symbols: %w", mark(err))
	}
	r.base = baseOf(s.candles.Intervals, r.query.Interval)
	r.roller = candle.Roller{
		Interval: r.query.Interval, Calendar: s.candles.Calendars.For(r.query.Symbol.Venue()), AsOf: market.Time(clock.Int64),
	}
	return nil
}

// kept reports whether the interval is one that needs no rolling.
func (r *barReader) kept() bool { return r.base == r.query.Interval }

// span returns between which starts the stored bars are that are needed: first ≤ start < end.
func (r *barReader) span() (first, end int64, err error) {
	first, end = math.MinInt64, math.MaxInt64
	if r.query.From != 0 {
		first = int64(r.query.From)
	}
	if r.query.To != 0 {
		end = int64(r.query.To)
	}
	if r.kept() {
		return first, end, nil
	}
	// A bar that begins before From is not asked for, and one that begins before To is needed whole.
	if r.query.From != 0 {
		from, to, err := r.roller.Bounds(r.query.From)
		if err != nil {
			return 0, 0, fmt.Errorf("bars from %s: %w: %w", r.query.From, err, ErrQuery)
		}
		if from < r.query.From {
			first = int64(to)
		}
	}
	if r.query.To != 0 {
		_, to, err := r.roller.Bounds(r.query.To - 1)
		if err != nil {
			return 0, 0, fmt.Errorf("bars to %s: %w: %w", r.query.To, err, ErrQuery)
		}
		end = int64(to)
	}
	return first, end, nil
}

// read reads stored bars page by page until there are enough.
func (r *barReader) read(ctx context.Context, dst []market.Bar) ([]market.Bar, error) {
	first, end, err := r.span()
	if err != nil {
		return dst, err
	}
	size := r.page
	if r.kept() {
		size = min(size, r.query.Limit)
	}
	stored := newBarStream(r, first, end, size)
	var page []market.Bar // what could not be used yet, and then a page
	for wanted := len(dst) + r.query.Limit; ; {
		left := len(page)
		if page, err = stored.next(ctx, page, size); err != nil {
			return dst, fmt.Errorf("read bars of %s: %w", r.query.Symbol, mark(err))
		}
		last := len(page)-left < size
		if dst, page, err = r.take(dst, page, wanted, last); err != nil || last || len(dst) == wanted {
			return dst, err
		}
	}
}

// take appends the bars that a page makes, up to wanted in all, and returns what of the page belongs to a bar that may go on
// in the next one. The page is in the order of the query.
func (r *barReader) take(dst, page []market.Bar, wanted int, last bool) (bars, rest []market.Bar, err error) {
	whole := page
	if !r.kept() {
		if whole, rest, err = r.roll(page, last); err != nil {
			return dst, nil, err
		}
	}
	for i := range whole {
		if len(dst) == wanted {
			break
		}
		if whole[i].Priced || r.query.Unpriced {
			dst = append(dst, whole[i])
		}
	}
	return dst, rest, nil
}

// roll returns the bars of the query's interval that are whole, in its order, and the stored bars of the one that may not be.
func (r *barReader) roll(page []market.Bar, last bool) (whole, rest []market.Bar, err error) {
	if r.query.Descending {
		slices.Reverse(page)
	}
	if r.rolled, err = r.roller.Roll(r.rolled[:0], page); err != nil {
		return nil, nil, fmt.Errorf("bars of %s: %w", r.query.Symbol, err)
	}
	whole = r.rolled
	n := len(whole)
	if r.query.Descending {
		slices.Reverse(whole)
		if !last && n > 0 {
			cut := whole[n-1]
			whole = whole[:n-1]
			i := slices.IndexFunc(page, func(b market.Bar) bool { return b.Start >= cut.End })
			if i < 0 {
				i = len(page)
			}
			rest = slices.Clone(page[:i])
			slices.Reverse(rest)
		}
		return whole, rest, nil
	}
	if !last && n > 0 {
		cut := whole[n-1]
		whole = whole[:n-1]
		i := slices.IndexFunc(page, func(b market.Bar) bool { return b.Start >= cut.Start })
		rest = slices.Clone(page[i:])
	}
	return whole, rest, nil
}

// DayStats is what a watch list shows of a symbol beside its last price.
type DayStats struct {
	Symbol        market.Symbol
	Day           market.Bar // newest daily bar; Priced is false when there is none
	PreviousClose market.Decimal
	HasPrevious   bool // there is a daily bar before it
}

// DayStats returns the newest day of a symbol and the close of the trading day before it, and the position of the tape up to
// which they are right.
func (s *Store) DayStats(ctx context.Context, symbol market.Symbol) (DayStats, tape.Position, error) {
	bars, position, err := s.Bars(ctx, market.BarQuery{Symbol: symbol, Interval: market.Day1(), Limit: 2, Descending: true}, nil)
	stats := DayStats{Symbol: symbol}
	if len(bars) > 0 {
		stats.Day = bars[0]
	}
	if len(bars) > 1 {
		stats.PreviousClose, stats.HasPrevious = bars[1].Close, true
	}
	return stats, position, err
}
