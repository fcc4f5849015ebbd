package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"tapedeck/internal/market"
)

// barStream reads the stored bars of a reader's base in the order of its query, from rows and from pages as if they were one.
type barStream struct {
	rows, pages barSource
	descending  bool
	size        int // of what is read at once
}

// barSource is what comes next of one of the two.
type barSource struct {
	bars []market.Bar // read and not given out from at on
	at   int
	end  bool // nothing is behind them
	fill func(ctx context.Context, s *barSource) error
}

// newBarStream returns a stream of the bars with first ≤ start < end, which reads so many at once.
func newBarStream(r *barReader, first, end int64, size int) *barStream {
	s := &barStream{descending: r.query.Descending, size: size}
	s.rows.fill = rowFiller(r, first, end, size)
	if s.pages.end = intervalID(r.base) != pagedID; !s.pages.end {
		s.pages.fill = pageFiller(r, first, end, size)
	}
	return s
}

// peek returns the next bar, nil at the end.
func (s *barSource) peek(ctx context.Context) (*market.Bar, error) {
	for s.at == len(s.bars) {
		if s.end {
			return nil, nil
		}
		s.bars, s.at = s.bars[:0], 0
		if err := s.fill(ctx, s); err != nil {
			return nil, err
		}
	}
	return &s.bars[s.at], nil
}

// next appends the next n bars, or as many as there are.
func (s *barStream) next(ctx context.Context, dst []market.Bar, n int) ([]market.Bar, error) {
	if s.pages.end && len(dst) == 0 && n == s.size && s.rows.at == len(s.rows.bars) && !s.rows.end {
		// Nothing to merge, so they need not be copied.
		s.rows.bars, s.rows.at = nil, 0
		err := s.rows.fill(ctx, &s.rows)
		dst, s.rows.bars = s.rows.bars, nil
		return dst, err
	}
	for wanted := len(dst) + n; len(dst) < wanted; {
		row, err := s.rows.peek(ctx)
		if err != nil {
			return dst, err
		}
		paged, err := s.pages.peek(ctx)
		if err != nil {
			return dst, err
		}
		from, other := &s.rows, paged
		switch {
		case row == nil && paged == nil:
			return dst, nil
		case row == nil || paged != nil && (paged.Start < row.Start) != s.descending:
			from, other = &s.pages, row
		}
		// All that comes before what the other has; the first does.
		run := from.bars[from.at:min(len(from.bars), from.at+wanted-len(dst))]
		if other != nil {
			if i := slices.IndexFunc(run[1:], func(b market.Bar) bool { return (b.Start > other.Start) != s.descending }); i >= 0 {
				run = run[:i+1]
			}
		}
		dst = append(dst, run...)
		from.at += len(run)
	}
	return dst, nil
}

// rowFiller reads from the rows.
func rowFiller(r *barReader, first, end int64, size int) func(context.Context, *barSource) error {
	query := "SELECT " + barRead + " FROM bar_rows b WHERE symbol = ? AND interval = ? AND start >= ? AND start < ? ORDER BY start LIMIT ?"
	if r.query.Descending {
		query = "SELECT " + barRead + " FROM bar_rows b WHERE symbol = ? AND interval = ? AND start >= ? AND start < ? ORDER BY start DESC LIMIT ?"
	}
	return func(ctx context.Context, s *barSource) error {
		err := direct(ctx, r.conn, query, []int64{r.id, intervalID(r.base), first, end, int64(size)}, func(row []driver.Value) error {
			s.bars = append(s.bars, market.Bar{Symbol: r.query.Symbol, Interval: r.base})
			return takeBar(row, &s.bars[len(s.bars)-1])
		})
		if s.end = len(s.bars) < size; err != nil || len(s.bars) == 0 {
			return err
		}
		if start := int64(s.bars[len(s.bars)-1].Start); r.query.Descending {
			end = start
		} else {
			first = start + 1
		}
		return nil
	}
}

// pageFiller reads from the pages.
func pageFiller(r *barReader, first, end int64, size int) func(context.Context, *barSource) error {
	// The page that first lies in begins before it.
	const at = "SELECT start, last, data FROM bar_pages WHERE symbol = ?1 AND interval = ?2 AND start >= coalesce((SELECT start FROM bar_pages" +
		" WHERE symbol = ?1 AND interval = ?2 AND start <= ?3 ORDER BY start DESC LIMIT 1), ?3) AND start < ?4 ORDER BY start "
	const behind = "SELECT start, last, data FROM bar_pages WHERE symbol = ?1 AND interval = ?2 AND start >= ?3 AND start < ?4 ORDER BY start LIMIT ?5"
	query := at + "LIMIT ?5"
	if r.query.Descending {
		query = at + "DESC LIMIT ?5"
	}
	from, to := first, end // where pages are still to be read
	most := int64(max(1, size/pageBars))
	return func(ctx context.Context, s *barSource) error {
		n := int64(0)
		err := direct(ctx, r.conn, query, []int64{r.id, pagedID, from, to, most}, func(row []driver.Value) error {
			n++
			start, err := integer(row[0])
			if err != nil {
				return err
			}
			last, err := integer(row[1])
			if err != nil {
				return err
			}
			data, ok := row[2].([]byte)
			if !ok {
				return fmt.Errorf("a page of bars of type %T: %w", row[2], ErrCorrupt)
			}
			if r.query.Descending {
				to = start
			} else {
				from = last + 1
			}
			have := len(s.bars)
			if s.bars, err = takePage(s.bars, r.query.Symbol, market.Time(start), data); err != nil {
				return err
			}
			kept := slices.DeleteFunc(s.bars[have:], func(b market.Bar) bool { return int64(b.Start) < first || int64(b.Start) >= end })
			if s.bars = s.bars[:have+len(kept)]; r.query.Descending {
				slices.Reverse(kept)
			}
			return nil
		})
		if s.end = n < most; !r.query.Descending {
			query = behind
		}
		return err
	}
}
