package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"tapedeck/internal/market"
)

// writer writes transactions over the one connection that may write. It belongs to the recorder.
type writer struct {
	conn  *sql.Conn
	kept  []market.Interval // of bars
	next  *sql.Stmt         // nextQuery
	pager pager

	trades, quotes, forms, symbols, feeds, openBars, finalBars, imported, gaps, place, epochs, coverage, late *bulk
}

// newWriter takes the connection of the store and prepares its statements.
func newWriter(ctx context.Context, s *Store) (*writer, error) {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, kept: s.candles.Intervals, pager: pager{conn: conn}}
	err = conn.Raw(func(c any) error {
		prepare, ok := c.(driver.ConnPrepareContext)
		if !ok {
			return errors.New("driver without contexts")
		}
		for _, b := range []struct {
			to         **bulk
			head, tail string
			columns    int
		}{
			{&w.trades, "INSERT INTO trade_rows", "", 9},
			{&w.quotes, "INSERT INTO quote_rows", "", 10},
			{&w.forms, "INSERT INTO forms", "", 11},
			{&w.symbols, "REPLACE INTO symbols (" + symbolColumns + ")", "", 15},
			{&w.feeds, "REPLACE INTO feeds (feed, clock)", "", 2},
			{&w.openBars, "INSERT INTO bar_rows (" + barColumns + ")", barUpdate, barColumnCount},
			{&w.finalBars, "INSERT INTO bar_rows (" + barColumns + ")", barClose, barColumnCount},
			{&w.imported, "INSERT INTO imported_bar_rows (" + importedColumns + ")", importedUpdate, importedCount},
			{&w.gaps, "INSERT INTO gap_rows (" + gapColumns + ")", "", 10},
			{&w.place, "REPLACE INTO tape (one, epoch, position, entries, lost, high_water)", "", 6},
			{&w.epochs, "REPLACE INTO epochs (since, epoch)", "", 2},
			{&w.coverage, coverageHead, coverageTail, 6},
			{&w.late, lateHead, lateTail, 5},
		} {
			var err error
			if *b.to, err = newBulk(ctx, prepare, b.head, b.columns, b.tail); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		w.next, err = conn.PrepareContext(ctx, nextQuery)
	}
	if err == nil {
		err = w.pager.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *writer) all() []*bulk {
	return []*bulk{w.trades, w.quotes, w.forms, w.symbols, w.feeds, w.openBars, w.finalBars, w.imported, w.gaps, w.place, w.epochs, w.coverage, w.late}
}

// Close gives the connection back.
func (w *writer) Close() error {
	var errs []error
	if w.next != nil {
		errs = append(errs, w.next.Close())
	}
	errs = append(errs, w.pager.Close())
	errs = append(errs, w.conn.Raw(func(any) error {
		for _, b := range w.all() {
			if b != nil {
				errs = append(errs, b.Close())
			}
		}
		return nil
	}))
	return errors.Join(append(errs, w.conn.Close())...)
}

// write commits the batch in one transaction. ctx bounds the wait for the lock only; what has begun is brought to an end.
// On error nothing is in the file, and the same batch may be written again.
func (w *writer) write(ctx context.Context, b *batch) (n rowCounts, err error) {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return n, fmt.Errorf("begin: %w", err)
	}
	// Not ctx: an interrupted statement would undo the transaction, and it takes well under a second.
	ctx = context.WithoutCancel(ctx)
	w.pager.begin()
	if err = w.rows(ctx, b, &n); err == nil {
		if _, err = w.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return n, nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	for _, b := range w.all() {
		b.reset()
	}
	w.pager.reset()
	// SQLite may have rolled back by itself, and then this fails; either way the transaction is gone.
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	return rowCounts{}, err
}

// rowCounts says how many rows were written, by table.
type rowCounts struct{ trades, quotes, bars, gaps int }

func (w *writer) rows(ctx context.Context, b *batch, n *rowCounts) error {
	for _, step := range []struct {
		name string
		fill func(context.Context, *batch) error
		bulk *bulk
		rows *int
	}{
		{"forms", w.fillForms, w.forms, nil},
		{"trades", w.fillTrades, w.trades, &n.trades},
		{"quotes", w.fillQuotes, w.quotes, &n.quotes},
		{"symbols", w.fillSymbols, w.symbols, nil},
		{"feeds", w.fillFeeds, w.feeds, nil},
	} {
		if err := w.run(ctx, step.bulk, step.rows, func() error { return step.fill(ctx, b) }); err != nil {
			return fmt.Errorf("write %s: %w", step.name, err)
		}
	}
	if err := w.writeCoverage(ctx, b); err != nil {
		return err
	}
	if err := w.nameIntervals(ctx, b); err != nil {
		return fmt.Errorf("write intervals: %w", err)
	}
	late, err := w.writeBars(ctx, b, n)
	if err != nil {
		return fmt.Errorf("write bars: %w", err)
	}
	for _, step := range []struct {
		name string
		fill func(context.Context, *batch) error
		bulk *bulk
		rows *int
	}{
		{"gaps", func(ctx context.Context, b *batch) error { return w.fillGaps(ctx, append(late, b.gaps...)) }, w.gaps, &n.gaps},
		{"imported bars", w.fillImported, w.imported, &n.bars},
		{"epochs", w.fillEpochs, w.epochs, nil},
		{"position", w.fillPlace, w.place, nil},
	} {
		if err := w.run(ctx, step.bulk, step.rows, func() error { return step.fill(ctx, b) }); err != nil {
			return fmt.Errorf("write %s: %w", step.name, err)
		}
	}
	return nil
}

// run fills a bulk and flushes it, holding on to the connection of the driver meanwhile. It adds the rows to count.
func (w *writer) run(ctx context.Context, b *bulk, count *int, fill func() error) error {
	return w.conn.Raw(func(any) error {
		if err := fill(); err != nil {
			return err
		}
		rows, err := b.flush(ctx)
		if count != nil {
			*count += rows
		}
		return err
	})
}

func (w *writer) fillTrades(ctx context.Context, b *batch) error {
	for _, st := range b.touched {
		for i := range st.trades.rows {
			v, err := w.trades.row(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", st.symbol, err)
			}
			t := &st.trades.rows[i]
			v[0].Value, v[1].Value, v[2].Value, v[3].Value, v[4].Value = st.id, t.event, t.seq, t.n, t.delay
			v[5].Value, v[6].Value, v[7].Value, v[8].Value = t.price, t.size, t.id, t.form
		}
	}
	return nil
}

func (w *writer) fillQuotes(ctx context.Context, b *batch) error {
	for _, st := range b.touched {
		for i := range st.quotes.rows {
			v, err := w.quotes.row(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", st.symbol, err)
			}
			t := &st.quotes.rows[i]
			v[0].Value, v[1].Value, v[2].Value, v[3].Value, v[4].Value = st.id, t.event, t.seq, t.n, t.delay
			v[5].Value, v[6].Value, v[7].Value, v[8].Value, v[9].Value = t.price, t.size, t.ask, t.askSize, t.form
		}
	}
	return nil
}

// fill sets the next row of a bulk to values that are what a driver takes.
func (b *bulk) fill(ctx context.Context, values ...any) error {
	row, err := b.row(ctx)
	if err != nil {
		return err
	}
	for i, v := range values {
		row[i].Value = v
	}
	return nil
}

func (w *writer) fillForms(ctx context.Context, b *batch) error {
	for _, f := range b.forms {
		if err := w.forms.fill(ctx, append([]any{f.id}, f.form.values()...)...); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) fillSymbols(ctx context.Context, b *batch) error {
	for _, st := range b.touched {
		if err := w.symbols.fill(ctx, st.values(nil)...); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) fillFeeds(ctx context.Context, b *batch) error {
	for name, feed := range b.feeds {
		var at any
		if clock, ok := feed.Clock(); ok {
			at = int64(clock)
		}
		if err := w.feeds.fill(ctx, name, at); err != nil {
			return err
		}
	}
	return nil
}

const gapColumns = "cause, symbol, feed, since, until, reason, flags, lost, position, through"

func (w *writer) fillGaps(ctx context.Context, gaps []gap) error {
	for i := range gaps {
		g := &gaps[i]
		var symbol any
		if g.symbol != 0 {
			symbol = g.symbol
		}
		if err := w.gaps.fill(ctx, g.cause, symbol, g.feed, int64(g.From), int64(g.To), g.Reason, int64(g.Flags), int64(g.lost),
			int64(g.position), int64(g.through)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) fillEpochs(ctx context.Context, b *batch) error {
	if !b.newEpoch {
		return nil
	}
	return w.epochs.fill(ctx, int64(b.since), b.place.epoch.String())
}

func (w *writer) fillPlace(ctx context.Context, b *batch) error {
	p := &b.place
	return w.place.fill(ctx, int64(1), p.epoch.String(), int64(p.position), int64(p.entries), int64(p.lost), int64(p.highWater))
}

// has reports whether a tick with this key is in the file already.
func (w *writer) has(ctx context.Context, kind market.Kind, symbol int64, t *tick) (bool, error) {
	var n int
	err := w.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+tickTable(kind)+" WHERE symbol = ? AND event = ? AND seq = ?",
		symbol, t.event, t.seq).Scan(&n)
	return n > 0, err
}
