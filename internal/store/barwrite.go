package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
)

// writeBars takes the steps of the batch. It returns gaps for bars that could not hold their late trades.
func (w *writer) writeBars(ctx context.Context, b *batch, n *rowCounts) (late []gap, err error) {
	for i := range b.bars {
		step := &b.bars[i]
		whole := step.changes
		if hasDelta(whole) {
			if whole, late, err = w.merge(ctx, b, whole, late); err != nil {
				return nil, err
			}
		}
		if whole, err = w.pager.take(ctx, b, whole); err != nil {
			return nil, err
		}
		for final, bulk := range map[bool]*bulk{false: w.openBars, true: w.finalBars} {
			if err := w.run(ctx, bulk, &n.bars, func() error { return w.fillBars(ctx, b, bulk, final, whole) }); err != nil {
				return nil, err
			}
		}
		if step.gap != nil {
			if err := w.run(ctx, w.gaps, &n.gaps, func() error { return w.fillGaps(ctx, []gap{*step.gap}) }); err != nil {
				return nil, err
			}
			if err := w.markBars(ctx, b, step.gap); err != nil {
				return nil, fmt.Errorf("mark bars within a gap: %w", err)
			}
		}
	}
	return late, w.pager.flush(ctx)
}

func hasDelta(changes []candle.Change) bool {
	for i := range changes {
		if changes[i].Delta {
			return true
		}
	}
	return false
}

// merge lays deltas over what is stored.
func (w *writer) merge(ctx context.Context, b *batch, changes []candle.Change, late []gap) ([]candle.Change, []gap, error) {
	out := make([]candle.Change, 0, len(changes))
	deltas := make([]candle.Change, 0, len(changes))
	for i := range changes {
		if changes[i].Delta {
			deltas = append(deltas, changes[i])
		} else {
			out = append(out, changes[i])
		}
	}
	// In the order of the file, so that one look tells where the next stored bar is: a file of the past makes thousands of deltas
	// where nothing is stored.
	slices.SortStableFunc(deltas, func(x, y candle.Change) int {
		return cmp.Or(cmp.Compare(b.id(x.Bar.Symbol), b.id(y.Bar.Symbol)),
			cmp.Compare(intervalID(x.Bar.Interval), intervalID(y.Bar.Interval)), cmp.Compare(x.Bar.Start, y.Bar.Start))
	})
	var next nextBar
	for _, c := range deltas {
		id := b.id(c.Bar.Symbol)
		stored, paged, err := w.pager.find(ctx, id, &c.Bar)
		if err == nil && !paged {
			stored, err = next.at(ctx, w.next, id, &c.Bar)
		}
		if err != nil {
			return nil, nil, err
		}
		whole, err := candle.Merge(stored, c.Bar)
		if err != nil {
			late = append(late, gap{
				Gap: market.Gap{
					Symbol: c.Bar.Symbol, From: c.Bar.OpenAt, To: c.Bar.CloseAt,
					Reason: fmt.Sprintf("late trades are not in the bar: %v", err),
				},
				cause: causeStore, symbol: id, lost: c.Bar.Count, position: b.place.position, through: b.place.position,
			})
			continue
		}
		c.Bar = whole
		out = append(out, c)
	}
	return out, late, nil
}

// nextQuery is what nextBar asks.
const nextQuery = "SELECT " + barRead + " FROM bar_rows b WHERE symbol = ? AND interval = ? AND start >= ? ORDER BY start LIMIT 1"

// nextBar finds stored bars in the order of the file. It knows of one that there is none before it.
type nextBar struct {
	id, interval int64
	from         market.Time // nothing is stored from here on, and before the start of bar
	bar          market.Bar
	none         bool // there is no bar from here on
}

// at returns the stored bar of the symbol, interval and start of another, or the zero Bar.
func (n *nextBar) at(ctx context.Context, q *sql.Stmt, id int64, of *market.Bar) (market.Bar, error) {
	interval := intervalID(of.Interval)
	if n.id != id || n.interval != interval || of.Start < n.from || !n.none && of.Start > n.bar.Start {
		*n = nextBar{id: id, interval: interval, from: of.Start, bar: market.Bar{Symbol: of.Symbol, Interval: of.Interval}}
		_, err := scanBar(q.QueryRowContext(ctx, id, interval, int64(of.Start)), &n.bar)
		if errors.Is(err, sql.ErrNoRows) {
			n.none = true
		} else if err != nil {
			n.id = 0
			return market.Bar{}, err
		}
	}
	if n.none || n.bar.Start != of.Start {
		return market.Bar{}, nil
	}
	return n.bar, nil
}

// fillBars fills a bulk with the bars that are final, or with those that are not.
func (w *writer) fillBars(ctx context.Context, b *batch, to *bulk, final bool, changes []candle.Change) error {
	for i := range changes {
		bar := &changes[i].Bar
		if bar.Final != final {
			continue
		}
		row, err := to.row(ctx)
		if err != nil {
			return err
		}
		barValues(row, b.id(bar.Symbol), bar)
	}
	return nil
}

// barSpan returns how long a stored bar can be at most.
func barSpan(interval int64) market.Time {
	if interval == everyDay {
		return 4 * 24 * market.Hour
	}
	return market.Time(interval) * market.Second
}

// span is the half-open span of a gap as candle has it.
func (g *gap) span() (from, to market.Time) {
	from = g.From
	if from == 0 {
		from = g.To
	}
	from = min(from, math.MaxInt64-1)
	return from, max(g.To, from+1)
}

// within is the part of a statement that finds the final bars within a gap.
const within = ` WHERE symbol IN (SELECT id FROM symbols WHERE ?1 = id OR ?1 = 0 AND (feed = ?2 OR ?2 = ''))` +
	` AND interval = ?3 AND start > ?4 AND start < ?5 AND "end" > ?6 AND final = 1`

func (g *gap) within(interval int64) []any {
	from, to := g.span()
	span := barSpan(interval)
	first := int64(math.MinInt64)
	if from >= math.MinInt64+span {
		first = int64(from - span)
	}
	return []any{g.symbol, g.feed, interval, first, int64(to), int64(from)}
}

// markBars marks the final bars within a gap, which is a revision of them, or takes the mark away when the gap was filled. Bars
// that candles still hold are written after this, as candles see them, and come out the same.
func (w *writer) markBars(ctx context.Context, b *batch, g *gap) error {
	if err := w.markPages(ctx, b, g); err != nil {
		return err
	}
	for _, v := range w.kept {
		interval := intervalID(v)
		if g.Flags&market.FlagFilled != 0 {
			if err := w.unmarkBars(ctx, g, interval); err != nil {
				return err
			}
			continue
		}
		if _, err := w.conn.ExecContext(ctx, "UPDATE bar_rows SET gappy = 1, rev = rev + 1"+within+" AND gappy = 0",
			g.within(interval)...); err != nil {
			return err
		}
	}
	return nil
}

// markPages does so with the bars in pages.
func (w *writer) markPages(ctx context.Context, b *batch, g *gap) error {
	filled := g.Flags&market.FlagFilled != 0
	from, to := g.span()
	var of []*symbolState
	for _, st := range b.symbols {
		if g.symbol == st.id || g.symbol == 0 && (g.feed == "" || g.feed == st.listing.Feed) {
			of = append(of, st)
		}
	}
	slices.SortFunc(of, func(x, y *symbolState) int { return cmp.Compare(x.id, y.id) })
	for _, st := range of {
		if err := w.pager.within(ctx, st.id, st.symbol, from, to, func(bar *market.Bar) (bool, error) {
			if bar.Gappy != filled {
				return false, nil
			}
			if filled {
				if open, err := w.gapOpen(ctx, g.feed, st.id, bar.Start, bar.End); err != nil || open {
					return false, err
				}
			}
			bar.Gappy = !filled
			bar.Rev++
			return true, nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// unmarkBars takes the mark from bars within a gap that was filled, unless another gap lies within them.
func (w *writer) unmarkBars(ctx context.Context, g *gap, interval int64) error {
	type key struct{ symbol, start, end int64 }
	var marked []key
	rows, err := w.conn.QueryContext(ctx, `SELECT symbol, start, "end" FROM bar_rows`+within+" AND gappy = 1", g.within(interval)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k key
		if err := rows.Scan(&k.symbol, &k.start, &k.end); err != nil {
			return err
		}
		marked = append(marked, k)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, k := range marked {
		open, err := w.gapOpen(ctx, g.feed, k.symbol, market.Time(k.start), market.Time(k.end))
		if err != nil {
			return err
		}
		if open {
			continue
		}
		if _, err := w.conn.ExecContext(ctx, "UPDATE bar_rows SET gappy = 0, rev = rev + 1 WHERE symbol = ? AND interval = ? AND start = ?",
			k.symbol, interval, k.start); err != nil {
			return err
		}
	}
	return nil
}

// gapOpen reports whether a gap that was not filled lies within a span.
func (w *writer) gapOpen(ctx context.Context, feed string, symbol int64, start, end market.Time) (bool, error) {
	rows, err := w.conn.QueryContext(ctx, "SELECT coalesce(symbol, 0), since, until, flags FROM gap_rows"+
		" WHERE cause IN ('feed', 'tape') AND (symbol = ? OR symbol IS NULL AND feed IN (?, '')) ORDER BY id", symbol, feed)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var ofSymbol, ofFeed spans
	for rows.Next() {
		var g gap
		if err := rows.Scan(&g.symbol, &g.From, &g.To, &g.Flags); err != nil {
			return false, err
		}
		from, to := g.span()
		if from, to = max(from, start), min(to, end); from >= to {
			continue
		}
		s := &ofFeed
		if g.symbol != 0 {
			s = &ofSymbol
		}
		if g.Flags&market.FlagFilled != 0 {
			*s = s.without(from, to)
		} else {
			*s = append(*s, span{from, to})
		}
	}
	return len(ofSymbol)+len(ofFeed) > 0, rows.Err()
}

// span is a half-open span of time.
type span struct{ from, to market.Time }

type spans []span

// without returns the spans less what lies between two moments.
func (s spans) without(from, to market.Time) spans {
	var out spans
	for _, g := range s {
		if g.from < min(g.to, from) {
			out = append(out, span{g.from, min(g.to, from)})
		}
		if g.to > max(g.from, to) {
			out = append(out, span{max(g.from, to), g.to})
		}
	}
	return out
}
