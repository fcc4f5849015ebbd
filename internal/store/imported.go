package store

import (
	"context"
	"errors"
	"fmt"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// importedTables are the bars that files brought, new in format 1.1. Their intervals are those that the files have: the column
// interval is in seconds by importedID, and imported_intervals has the names of those that occur.
const importedTables = `
CREATE TABLE imported_intervals (
  seconds  INTEGER PRIMARY KEY,
  interval TEXT NOT NULL UNIQUE
);

CREATE TABLE imported_bar_rows (
  symbol     INTEGER NOT NULL,
  interval   INTEGER NOT NULL,
  start      INTEGER NOT NULL,
  "end"      INTEGER NOT NULL,
  open       INTEGER NOT NULL,
  high       INTEGER NOT NULL,
  low        INTEGER NOT NULL,
  close      INTEGER NOT NULL,
  open_exp   INTEGER NOT NULL,
  high_exp   INTEGER NOT NULL,
  low_exp    INTEGER NOT NULL,
  close_exp  INTEGER NOT NULL,
  volume     TEXT,
  count      INTEGER NOT NULL,
  PRIMARY KEY (symbol, interval, start)
) WITHOUT ROWID;
`

// importedView is the readable view of them.
func importedView() []string {
	return []string{
		"DROP VIEW IF EXISTS imported_bars",
		`CREATE VIEW imported_bars AS SELECT
  s.symbol AS symbol,
  i.interval AS interval,
  ` + timeText("b.start") + ` AS time,
  b.start AS time_ns,
  b."end" AS end_ns,
  ` + decimalText("b.open", "b.open_exp") + ` AS open,
  ` + decimalText("b.high", "b.high_exp") + ` AS high,
  ` + decimalText("b.low", "b.low_exp") + ` AS low,
  ` + decimalText("b.close", "b.close_exp") + ` AS close,
  b.volume AS volume,
  b.count AS trades
FROM imported_bar_rows b JOIN symbols s ON s.id = b.symbol JOIN imported_intervals i ON i.seconds = b.interval`,
	}
}

const (
	importedColumns = `symbol, interval, start, "end", open, high, low, close, open_exp, high_exp, low_exp, close_exp, volume, count`
	importedCount   = 14
	importedUpdate  = `ON CONFLICT (symbol, interval, start) DO UPDATE SET "end" = excluded."end", open = excluded.open,` +
		` high = excluded.high, low = excluded.low, close = excluded.close, open_exp = excluded.open_exp,` +
		` high_exp = excluded.high_exp, low_exp = excluded.low_exp, close_exp = excluded.close_exp,` +
		` volume = excluded.volume, count = excluded.count`
)

// A month has no length; these are the nominal ones of a week and a month (a twelfth of the mean Gregorian year) that stand for
// them in the column interval. No other interval has as many seconds.
const (
	everyWeek  = 7 * everyDay
	everyMonth = 2_629_746
)

// importedID returns what the column interval has for an interval.
func importedID(v market.Interval) int64 {
	n := int64(v.N)
	switch v.Unit {
	case market.UnitSecond:
		return n
	case market.UnitMinute:
		return n * 60
	case market.UnitHour:
		return n * 3600
	case market.UnitDay:
		return n * everyDay
	case market.UnitWeek:
		return n * everyWeek
	case market.UnitMonth:
		return n * everyMonth
	}
	return 0
}

// importedInterval is the opposite of importedID. Sixty minutes and an hour are the same interval.
func importedInterval(id int64) (market.Interval, bool) {
	for _, u := range [...]struct {
		seconds int64
		unit    market.Unit
	}{
		{everyMonth, market.UnitMonth},
		{everyWeek, market.UnitWeek},
		{everyDay, market.UnitDay},
		{3600, market.UnitHour},
		{60, market.UnitMinute},
		{1, market.UnitSecond},
	} {
		if id > 0 && id%u.seconds == 0 {
			return market.Interval{N: int(id / u.seconds), Unit: u.unit}, true
		}
	}
	return market.Interval{}, false
}

// importedBar is a row of imported_bar_rows.
type importedBar struct {
	symbol int64
	bar    market.Bar
	volume any // text, or nil where the file tells none
}

// bar takes in an entry of KindBar.
func (f *fold) bar(ctx context.Context, rec *tape.Record, n uint64, e *market.Entry) error {
	reason := ""
	b, err := e.Bar()
	switch {
	case err != nil:
		reason = err.Error()
	default:
		reason = storable(n, e)
	}
	if reason != "" {
		f.refuse(rec, n, e, reason)
		return nil
	}
	st := f.symbol(e.Symbol)
	if st.listing.Feed == "" {
		st.listing.Feed = rec.Feed
	}
	f.touch(st)
	row := importedBar{symbol: st.id, bar: b}
	if e.Text != "" {
		row.volume = b.Volume.String()
	}
	f.batch.imported = append(f.batch.imported, row)
	f.batch.ticks++
	return f.ledger.bar(ctx, e)
}

// fillImported writes the imported bars of a batch; of the same bar the last one that came is kept.
func (w *writer) fillImported(ctx context.Context, b *batch) error {
	for i := range b.imported {
		r := &b.imported[i]
		v, err := w.imported.row(ctx)
		if err != nil {
			return err
		}
		for j, x := range [...]int64{
			r.symbol, importedID(r.bar.Interval), int64(r.bar.Start), int64(r.bar.End),
			r.bar.Open.Coef(), r.bar.High.Coef(), r.bar.Low.Coef(), r.bar.Close.Coef(),
			int64(r.bar.Open.Exp()), int64(r.bar.High.Exp()), int64(r.bar.Low.Exp()), int64(r.bar.Close.Exp()),
		} {
			v[j].Value = x
		}
		v[12].Value, v[13].Value = r.volume, int64(r.bar.Count)
	}
	return nil
}

// nameIntervals sees to it that the intervals of the imported bars of a batch have names.
func (w *writer) nameIntervals(ctx context.Context, b *batch) error {
	var last int64
	for i := range b.imported {
		id := importedID(b.imported[i].bar.Interval)
		if id == last {
			continue
		}
		last = id
		v, ok := importedInterval(id)
		if !ok {
			return fmt.Errorf("BUG: interval of %d seconds", id)
		}
		if _, err := w.conn.ExecContext(ctx, "INSERT OR IGNORE INTO imported_intervals VALUES (?, ?)", id, v.Short()); err != nil {
			return err
		}
	}
	return nil
}

// scanImported reads a row of importedColumns into b, but for its symbol and interval, which it returns the ids of.
func scanImported(row scanner, b *market.Bar) (symbol, interval int64, err error) {
	var (
		coefs  [4]int64
		exps   [4]int
		volume *string
	)
	if err := row.Scan(&symbol, &interval, &b.Start, &b.End, &coefs[0], &coefs[1], &coefs[2], &coefs[3],
		&exps[0], &exps[1], &exps[2], &exps[3], &volume, &b.Count); err != nil {
		return 0, 0, err
	}
	for i, d := range [...]*market.Decimal{&b.Open, &b.High, &b.Low, &b.Close} {
		if *d, err = market.NewDecimal(coefs[i], exps[i]); err != nil {
			return 0, 0, fmt.Errorf("price of an imported bar: %w", errors.Join(err, ErrCorrupt))
		}
	}
	if volume != nil {
		if b.Volume, err = market.ParseWide(*volume); err != nil {
			return 0, 0, fmt.Errorf("volume of an imported bar: %w", errors.Join(err, ErrCorrupt))
		}
	}
	b.Final, b.Priced, b.Imported = true, true, true
	return symbol, interval, nil
}

// imported counts the imported bars, and looks for those whose symbol or interval is not there.
func (r *Report) imported(ctx context.Context, db querier) error {
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM imported_bar_rows").Scan(&r.Imported); err != nil {
		return err
	}
	for column, of := range map[string]string{"symbol": "SELECT id FROM symbols", "interval": "SELECT seconds FROM imported_intervals"} {
		var n int64
		if err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM imported_bar_rows WHERE %s NOT IN (%s)", column, of)).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			r.problem("%d imported bars have a %s that is not there", n, column)
		}
	}
	return nil
}
