package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// barStep is what happens to the stored bars: first some are written, then a gap is noted and marks those that lie within it.
// A batch has one step, and two more for each gap in it, so that gaps and late trades take effect in the order of the tape.
type barStep struct {
	changes []candle.Change
	gap     *gap
}

// feed returns the candles of a feed.
func (f *fold) feed(name string) *candle.Feed {
	feed := f.feeds[name]
	if feed == nil {
		feed = f.machine.Feed(name)
		f.feeds[name] = feed
		for i := range f.damage {
			pushGap(feed, &f.damage[i])
		}
	}
	f.batch.feeds[name] = feed
	return feed
}

// push gives an entry to the candles. A trade that cannot be in a bar is in history all the same.
func (f *fold) push(rec *tape.Record, feed *candle.Feed, n uint64, e *market.Entry) {
	err := feed.Push(e)
	switch {
	case err == nil:
	case errors.Is(err, market.ErrRange):
		f.store.metrics.leftOut.WithLabelValues("overflow").Inc()
		f.note(rec, n, e, "is in no bar: "+market.ErrRange.Error())
	case errors.Is(err, candle.ErrAhead):
		f.leftOut(rec, n, e, "ahead", err)
	default:
		f.leftOut(rec, n, e, "invalid", err)
	}
}

// leftOut notes a trade that is in no bar. One line a batch and reason is enough.
func (f *fold) leftOut(rec *tape.Record, n uint64, e *market.Entry, reason string, err error) {
	f.store.metrics.leftOut.WithLabelValues(reason).Inc()
	key := refusal{what: reason}
	if _, ok := f.batch.refused[key]; ok {
		return
	}
	f.batch.refused[key] = -1
	f.log.Warn("a trade is in no bar", "position", uint64(rec.Position), "n", n, "symbol", string(e.Symbol), "seq", e.Seq,
		"error", err)
}

// drain takes the changed bars out of the candles.
func (f *fold) drain() {
	if changes := f.machine.Drain(nil); len(changes) > 0 {
		f.batch.bars = append(f.batch.bars, barStep{changes: changes})
	}
}

// markBars lets a gap mark the bars within it: those in memory through the candles, the others in the file.
func (f *fold) markBars(feed *candle.Feed, g gap, e *market.Entry) {
	f.drain()
	if g.everywhere() {
		f.damage = append(f.damage, *e)
		for _, feed := range f.feeds {
			pushGap(feed, e)
		}
	} else {
		pushGap(feed, e)
	}
	f.batch.bars = append(f.batch.bars, barStep{gap: &g})
	f.drain()
}

// everywhere reports whether the gap is one of the tape itself, and so of all feeds.
func (g *gap) everywhere() bool { return g.feed == "" && g.symbol == 0 }

// pushGap gives a gap to the candles, which take every gap.
func pushGap(feed *candle.Feed, e *market.Entry) {
	if err := feed.Push(e); err != nil {
		panic("BUG: a gap was refused: " + err.Error())
	}
}

// loadBars gives the candles what they need to go on as if there had been no restart: gaps, open bars, and clocks.
func (f *fold) loadBars(ctx context.Context) (err error) {
	if f.machine, err = candle.New(f.store.candles); err != nil {
		return fmt.Errorf("candles: %w", err)
	}
	f.feeds, f.damage = make(map[string]*candle.Feed), nil
	clocks, err := readClocks(ctx, f.writer.conn)
	if err != nil {
		return err
	}
	for name := range clocks {
		f.feed(name)
	}
	if err := f.loadOpen(ctx, clocks); err != nil {
		return err
	}
	if err := f.loadGaps(ctx); err != nil {
		return err
	}
	for name, clock := range clocks {
		if clock.Valid {
			f.feed(name).Advance(market.Time(clock.Int64))
		}
	}
	clear(f.batch.feeds)
	// What came out is in the file already, but that a bar is over which a file had open when the recorder was stopped, and the clock of
	// the symbol's feed was further.
	if over := slices.DeleteFunc(f.machine.Drain(nil), func(c candle.Change) bool { return !c.Closed }); len(over) > 0 {
		f.batch.bars = append(f.batch.bars, barStep{changes: over})
	}
	return nil
}

// loadOpen loads the bars that are not final, and the newest final one of each symbol and interval.
func (f *fold) loadOpen(ctx context.Context, clocks map[string]sql.NullInt64) error {
	bySymbol := make(map[int64]*symbolState, len(f.symbols))
	for _, st := range f.symbols {
		bySymbol[st.id] = st
	}
	for _, where := range []string{
		"bar_rows b WHERE final = 0 ORDER BY symbol, interval, start",
		"symbols s CROSS JOIN intervals i CROSS JOIN bar_rows b WHERE b.symbol = s.id AND b.interval = i.seconds AND final = 1" +
			" AND b.start = (SELECT start FROM bar_rows m WHERE m.symbol = s.id AND m.interval = i.seconds AND m.final = 1" +
			" ORDER BY start DESC LIMIT 1)",
	} {
		if err := f.loadSome(ctx, "SELECT "+barRead+" FROM "+where, bySymbol, clocks); err != nil {
			return fmt.Errorf("read open bars: %w", mark(err))
		}
	}
	return nil
}

func (f *fold) loadSome(ctx context.Context, query string, bySymbol map[int64]*symbolState, clocks map[string]sql.NullInt64) error {
	rows, err := f.writer.conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var b market.Bar
		id, err := scanBar(rows, &b)
		if err != nil {
			return err
		}
		st := bySymbol[id]
		if st == nil {
			return fmt.Errorf("bar of symbol %d, which is not there: %w", id, ErrCorrupt)
		}
		b.Symbol = st.symbol
		b.Gappy = b.Gappy && b.Final // loadGaps marks the others again, so that they know by which gap
		feed := st.listing.Feed
		if b.Final && int64(b.End) > clocks[feed].Int64 {
			feed = "" // a file was ahead of the feed, whose clock must not follow it
		}
		if err := f.feed(feed).Load(b); err != nil {
			return fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
	}
	return rows.Err()
}

// loadGaps tells the candles of all gaps of the tape, in its order.
func (f *fold) loadGaps(ctx context.Context) error {
	rows, err := f.writer.conn.QueryContext(ctx, "SELECT coalesce(s.symbol, ''), g.feed, g.since, g.until, g.flags"+
		" FROM gap_rows g LEFT JOIN symbols s ON s.id = g.symbol WHERE g.cause IN ('feed', 'tape') ORDER BY g.id")
	if err != nil {
		return fmt.Errorf("read gaps: %w", mark(err))
	}
	defer rows.Close()
	for rows.Next() {
		e := market.Entry{Kind: market.KindGap}
		var feed string
		if err := rows.Scan(&e.Symbol, &feed, &e.Event, &e.Until, &e.Flags); err != nil {
			return fmt.Errorf("read gaps: %w", mark(err))
		}
		if feed == "" && e.Symbol == "" {
			f.damage = append(f.damage, e)
			for _, feed := range f.feeds {
				pushGap(feed, &e)
			}
			continue
		}
		pushGap(f.feed(feed), &e)
	}
	return rows.Err()
}

func readClocks(ctx context.Context, q querier) (map[string]sql.NullInt64, error) {
	rows, err := q.QueryContext(ctx, "SELECT feed, clock FROM feeds")
	if err != nil {
		return nil, fmt.Errorf("read feeds: %w", mark(err))
	}
	defer rows.Close()
	clocks := make(map[string]sql.NullInt64)
	for rows.Next() {
		var (
			feed  string
			clock sql.NullInt64
		)
		if err := rows.Scan(&feed, &clock); err != nil {
			return nil, fmt.Errorf("read feeds: %w", mark(err))
		}
		clocks[feed] = clock
	}
	return clocks, rows.Err()
}
