package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"tapedeck/internal/market"
)

// withImported puts imported bars between the bars of trades, which are those of dst from index n on: where no trade was, the imported
// bar of the interval, or else one that is rolled up from the longest imported bars that divide it. A bar is of trades or of a file,
// never of both.
func (r *barReader) withImported(ctx context.Context, dst []market.Bar, n int) ([]market.Bar, error) {
	m := importedMerge{reader: r, first: math.MinInt64, end: math.MaxInt64}
	if err := m.open(ctx); err != nil || len(m.cursors) == 0 {
		return dst, err
	}
	traded := slices.Clone(dst[n:])
	dst = dst[:n]
	for i := 0; len(dst)-n < r.query.Limit; {
		span, ok, err := m.peek(ctx)
		if err != nil {
			return dst, err
		}
		switch {
		case !ok && i == len(traded):
			return dst, nil
		case !ok || i < len(traded) && r.before(traded[i].Start, span.from):
			dst = append(dst, traded[i])
			i++
		case i < len(traded) && traded[i].Start < span.to && span.from < traded[i].End:
			m.skip(span)
		default:
			b, made, err := m.take(ctx, span)
			if err != nil {
				return dst, err
			}
			if made {
				dst = append(dst, b)
			}
		}
	}
	return dst, nil
}

// before reports whether one start comes before another in the order of the query.
func (r *barReader) before(a, b market.Time) bool {
	if r.query.Descending {
		return a > b
	}
	return a < b
}

// importedMerge makes bars of the query's interval of imported ones, in the order of the query. It reads of each stored interval no
// more than it needs: what a longer one has told is left out of the shorter ones.
type importedMerge struct {
	reader     *barReader
	days       *market.Lookup
	cursors    []*importedCursor // the longest interval first
	first, end market.Time       // of the starts that count
}

// open finds the intervals that the query can be answered from.
func (m *importedMerge) open(ctx context.Context) error {
	r := m.reader
	for id := int64(0); ; {
		if err := r.tx.QueryRowContext(ctx, "SELECT coalesce(min(interval), 0) FROM imported_bar_rows WHERE symbol = ? AND interval > ?",
			r.id, id).Scan(&id); err != nil {
			return fmt.Errorf("read imported bars of %s: %w", r.query.Symbol, mark(err))
		}
		if id == 0 {
			break
		}
		if v, ok := importedInterval(id); ok && divides(v, r.query.Interval) {
			m.cursors = append(m.cursors, &importedCursor{interval: v, id: id, size: firstPage})
		}
	}
	if len(m.cursors) == 0 {
		return nil
	}
	slices.Reverse(m.cursors)
	m.days = r.roller.Calendar.Lookup()
	if r.query.From != 0 {
		from, to, err := r.roller.Bounds(r.query.From)
		if err != nil {
			return fmt.Errorf("bars from %s: %w: %w", r.query.From, err, ErrQuery)
		}
		if m.first = from; from < r.query.From {
			m.first = to
		}
	}
	if r.query.To != 0 {
		_, to, err := r.roller.Bounds(r.query.To - 1)
		if err != nil {
			return fmt.Errorf("bars to %s: %w: %w", r.query.To, err, ErrQuery)
		}
		m.end = to
	}
	for _, c := range m.cursors {
		c.first, c.end = m.first, m.end
	}
	return nil
}

// divides reports whether bars of one interval can make those of another, or are those.
func divides(part, whole market.Interval) bool {
	length, fixed := part.Fixed()
	switch whole.Unit {
	case market.UnitSecond, market.UnitMinute, market.UnitHour:
		all, _ := whole.Fixed()
		return fixed && all%length == 0
	case market.UnitDay:
		return part == whole || fixed && 24*market.Hour%length == 0
	case market.UnitWeek, market.UnitMonth:
		return part.Unit == whole.Unit && whole.N%part.N == 0 || part.Unit == market.UnitDay || fixed && 24*market.Hour%length == 0
	}
	return false
}

// importedCursor reads the imported bars of one interval, in the order of the query.
type importedCursor struct {
	interval   market.Interval
	id         int64
	first, end market.Time // of the starts that were not read yet
	page       []market.Bar
	at         int
	size       int  // of the next page
	last       bool // the page is the last
	taken      bool // something was, since the last skip
}

// head returns the next bar, or nil at the end.
func (c *importedCursor) head(ctx context.Context, r *barReader) (*market.Bar, error) {
	if c.at < len(c.page) {
		return &c.page[c.at], nil
	}
	if c.last || c.first >= c.end {
		return nil, nil
	}
	order := "start"
	if r.query.Descending {
		order = "start DESC"
	}
	rows, err := r.tx.QueryContext(ctx, "SELECT "+importedColumns+" FROM imported_bar_rows"+
		" WHERE symbol = ? AND interval = ? AND start >= ? AND start < ? ORDER BY "+order+" LIMIT ?",
		r.id, c.id, int64(c.first), int64(c.end), c.size)
	if err != nil {
		return nil, fmt.Errorf("read imported bars of %s: %w", r.query.Symbol, mark(err))
	}
	if err := c.fill(rows, r.query.Symbol); err != nil {
		return nil, fmt.Errorf("read imported bars of %s: %w", r.query.Symbol, mark(err))
	}
	c.last = len(c.page) < c.size
	c.size = min(2*c.size, lastPage)
	if len(c.page) == 0 {
		return nil, nil
	}
	if start := c.page[len(c.page)-1].Start; r.query.Descending {
		c.end = start
	} else {
		c.first = start + 1
	}
	return &c.page[0], nil
}

func (c *importedCursor) fill(rows *sql.Rows, symbol market.Symbol) error {
	defer rows.Close()
	c.page, c.at = c.page[:0], 0
	for rows.Next() {
		b := market.Bar{Symbol: symbol, Interval: c.interval}
		if _, _, err := scanImported(rows, &b); err != nil {
			return err
		}
		c.page = append(c.page, b)
	}
	return rows.Err()
}

// skip leaves out what lies within a span, which begins at or before the head, and is the next one of the query.
func (c *importedCursor) skip(s span, descending bool) {
	for c.at < len(c.page) && c.page[c.at].Start >= s.from && c.page[c.at].Start < s.to {
		c.at++
	}
	if c.at < len(c.page) {
		return
	}
	// The rest of the span need not be read.
	if descending {
		c.end = min(c.end, s.from)
	} else {
		c.first = max(c.first, s.to)
	}
	if !c.taken {
		c.size = firstPage // it is of use now and then
	}
	c.taken = false
}

// peek returns the span of the next bar, as the calendar has it; ok is false at the end.
func (m *importedMerge) peek(ctx context.Context) (next span, ok bool, err error) {
	for _, c := range m.cursors {
		b, err := c.head(ctx, m.reader)
		if err != nil {
			return span{}, false, err
		}
		if b == nil || ok && next.from <= b.Start && b.Start < next.to {
			continue
		}
		if ok && m.reader.before(next.from, b.Start) {
			continue
		}
		from, to, err := m.reader.roller.Bounds(b.Start)
		if err != nil {
			return span{}, false, fmt.Errorf("imported bars of %s: %w", m.reader.query.Symbol, err)
		}
		next, ok = span{from, to}, true
	}
	return next, ok, nil
}

func (m *importedMerge) skip(s span) {
	for _, c := range m.cursors {
		c.skip(s, m.reader.query.Descending)
	}
}

// take makes the bar of a span that peek returned; made is false when what lies in it cannot be part of one.
func (m *importedMerge) take(ctx context.Context, s span) (whole market.Bar, made bool, err error) {
	defer func() { m.skip(s) }()
	for _, c := range m.cursors {
		for {
			b, err := c.head(ctx, m.reader)
			if err != nil {
				return whole, false, err
			}
			if b == nil || b.Start < s.from || b.Start >= s.to {
				break
			}
			c.at++
			c.taken = true
			if !m.belongs(b, s) {
				continue
			}
			if whole, err = m.join(whole, b, s, made); err != nil {
				return whole, false, err
			}
			made = true
		}
		if made {
			return whole, true, nil
		}
	}
	return whole, false, nil
}

// belongs reports whether an imported bar is part of the one of a span: it lies within it, and where days are made of shorter bars, in a
// session that makes days, as trades must.
func (m *importedMerge) belongs(b *market.Bar, s span) bool {
	if b.Interval == m.reader.query.Interval {
		return true
	}
	if b.End > s.to {
		return false
	}
	_, parts := b.Interval.Fixed()
	if _, intraday := m.reader.query.Interval.Fixed(); !parts || intraday {
		return true
	}
	day := m.days.Day(b.Start)
	session, _ := day.SessionAt(b.Start)
	return m.days.Calendar().MakesDays(day.Date, session.Kind)
}

// join adds a bar to the one of a span. Bars come in the order of the query.
func (m *importedMerge) join(whole market.Bar, b *market.Bar, s span, begun bool) (market.Bar, error) {
	if !begun {
		whole = *b
		whole.Interval, whole.Start, whole.End = m.reader.query.Interval, s.from, s.to
		return whole, nil
	}
	if m.reader.query.Descending {
		whole.Open = b.Open
	} else {
		whole.Close = b.Close
	}
	if whole.High.Less(b.High) {
		whole.High = b.High
	}
	if b.Low.Less(whole.Low) {
		whole.Low = b.Low
	}
	volume, err := whole.Volume.Add(b.Volume)
	if err != nil {
		return whole, fmt.Errorf("volume of the imported %s bar of %s at %s: %w", whole.Interval, whole.Symbol, whole.Start, err)
	}
	whole.Volume = volume
	whole.Count += b.Count
	return whole, nil
}
