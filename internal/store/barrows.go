package store

import (
	"context"
	"database/sql/driver"
	"fmt"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
)

// everyDay is what the column interval has for a trading day, whatever its length; of other intervals it has the length in seconds.
const everyDay = 86400

// intervalID returns what the column interval has for a kept interval.
func intervalID(v market.Interval) int64 {
	if length, fixed := v.Fixed(); fixed {
		return int64(length / market.Second)
	}
	return everyDay
}

// readKept reads which intervals a file keeps as ticks arrive, shortest first.
func readKept(ctx context.Context, q querier) ([]market.Interval, error) {
	rows, err := q.QueryContext(ctx, "SELECT interval FROM intervals ORDER BY seconds")
	if err != nil {
		return nil, fmt.Errorf("read intervals: %w", mark(err))
	}
	defer rows.Close()
	var list []market.Interval
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read intervals: %w", mark(err))
		}
		v, err := market.ParseInterval(name)
		if err != nil {
			return nil, fmt.Errorf("table intervals: %w: %w", err, ErrCorrupt)
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read intervals: %w", mark(err))
	}
	return list, nil
}

// baseOf returns the interval, of those that are kept, that an interval is rolled up from: the longest that divides it.
func baseOf(kept []market.Interval, v market.Interval) market.Interval {
	base := candle.Base(v, candle.AlignUTC)
	length, fixed := v.Fixed()
	if !fixed {
		return base
	}
	for _, k := range kept {
		if l, fixed := k.Fixed(); fixed && length%l == 0 {
			base = k
		}
	}
	return base
}

const (
	barColumns = `symbol, interval, start, "end", open, high, low, close, open_exp, high_exp, low_exp, close_exp,` +
		` volume, turnover, count, open_at, open_seq, close_at, close_seq, first_seq, last_seq, rev, final, gappy, priced`
	barColumnCount = 25

	// barRead are the same of bar_rows b in fewer columns, for each costs as much to read as the row does to find: the exponents, which are within
	// a byte each, are one, and so are the flags.
	barRead = `b.symbol, b.interval, b.start, b."end", b.open, b.high, b.low, b.close,` +
		` (b.open_exp + 128) | ((b.high_exp + 128) << 8) | ((b.low_exp + 128) << 16) | ((b.close_exp + 128) << 24),` +
		` b.volume, b.turnover, b.count, b.open_at, b.open_seq, b.close_at, b.close_seq, b.first_seq, b.last_seq, b.rev,` +
		` b.final | (b.gappy << 1) | (b.priced << 2)`
	barReadCount = 20
	barVolume    = 9 // the columns that are not integers
	barTurnover  = 10

	// barUpdate leaves the column final out: setting it makes SQLite mend the index of open bars each time.
	barUpdate = `ON CONFLICT (symbol, interval, start) DO UPDATE SET open = excluded.open, high = excluded.high,` +
		` low = excluded.low, close = excluded.close, open_exp = excluded.open_exp, high_exp = excluded.high_exp,` +
		` low_exp = excluded.low_exp, close_exp = excluded.close_exp, volume = excluded.volume, turnover = excluded.turnover,` +
		` count = excluded.count, open_at = excluded.open_at, open_seq = excluded.open_seq, close_at = excluded.close_at,` +
		` close_seq = excluded.close_seq, first_seq = excluded.first_seq, last_seq = excluded.last_seq, rev = excluded.rev,` +
		` gappy = excluded.gappy, priced = excluded.priced`
	barClose = barUpdate + `, final = excluded.final`
)

// intervalOf is the interval of what intervalID returns.
func intervalOf(id int64) market.Interval {
	switch {
	case id == everyDay:
		return market.Day1()
	case id%3600 == 0:
		return market.Interval{N: int(id / 3600), Unit: market.UnitHour}
	case id%60 == 0:
		return market.Interval{N: int(id / 60), Unit: market.UnitMinute}
	}
	return market.Interval{N: int(id), Unit: market.UnitSecond}
}

// barValues sets the values of the row of a bar.
func barValues(v []driver.NamedValue, symbol int64, b *market.Bar) {
	for i, x := range [...]int64{
		symbol, intervalID(b.Interval), int64(b.Start), int64(b.End),
		b.Open.Coef(), b.High.Coef(), b.Low.Coef(), b.Close.Coef(),
		int64(b.Open.Exp()), int64(b.High.Exp()), int64(b.Low.Exp()), int64(b.Close.Exp()),
	} {
		v[i].Value = x
	}
	v[12].Value, v[13].Value = b.Volume.String(), b.Turnover.String()
	for i, x := range [...]int64{
		int64(b.Count), int64(b.OpenAt), int64(b.OpenSeq), int64(b.CloseAt), int64(b.CloseSeq),
		int64(b.FirstSeq), int64(b.LastSeq), int64(b.Rev), truth(b.Final), truth(b.Gappy), truth(b.Priced),
	} {
		v[14+i].Value = x
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// scanBar reads a row of barRead into b, but for its symbol, whose id it returns, and its interval, which only a bar that has
// none yet is given.
func scanBar(row scanner, b *market.Bar) (symbol int64, err error) {
	var (
		values [barReadCount]driver.Value
		to     [barReadCount]any
	)
	for i := range to {
		to[i] = &values[i]
	}
	if err := row.Scan(to[:]...); err != nil {
		return 0, err
	}
	if symbol, err = integer(values[0]); err != nil {
		return 0, err
	}
	return symbol, takeBar(values[:], b)
}

// takeBar takes a row of barRead into b, but for its symbol, and its interval where it has one.
func takeBar(row []driver.Value, b *market.Bar) (err error) {
	var n [barReadCount]int64
	for i := range n {
		if i == barVolume || i == barTurnover {
			continue
		}
		if n[i], err = integer(row[i]); err != nil {
			return fmt.Errorf("column %d of a bar: %w", i+1, err)
		}
	}
	if b.Interval == (market.Interval{}) {
		b.Interval = intervalOf(n[1])
	}
	b.Start, b.End = market.Time(n[2]), market.Time(n[3])
	for i, d := range [...]*market.Decimal{&b.Open, &b.High, &b.Low, &b.Close} {
		if *d, err = market.NewDecimal(n[4+i], int(n[8]>>(8*i)&0xff)-128); err != nil {
			return fmt.Errorf("price of a bar: %w: %w", err, ErrCorrupt)
		}
	}
	if b.Volume, err = wide(row[barVolume]); err != nil {
		return fmt.Errorf("volume of a bar: %w: %w", err, ErrCorrupt)
	}
	if b.Turnover, err = wide(row[barTurnover]); err != nil {
		return fmt.Errorf("turnover of a bar: %w: %w", err, ErrCorrupt)
	}
	b.Count = uint64(n[11])
	b.OpenAt, b.OpenSeq, b.CloseAt, b.CloseSeq = market.Time(n[12]), uint64(n[13]), market.Time(n[14]), uint64(n[15])
	b.FirstSeq, b.LastSeq, b.Rev = uint64(n[16]), uint64(n[17]), uint32(n[18])
	b.Final, b.Gappy, b.Priced = n[19]&1 != 0, n[19]&2 != 0, n[19]&4 != 0
	return nil
}

// integer reads a value of a column of integers.
func integer(v driver.Value) (int64, error) {
	n, ok := v.(int64)
	if !ok {
		return 0, fmt.Errorf("%T where an integer belongs: %w", v, ErrCorrupt)
	}
	return n, nil
}

// wide reads a value of a column of wide decimals.
func wide(v driver.Value) (market.Wide, error) {
	s, ok := v.(string)
	if !ok {
		return market.Wide{}, fmt.Errorf("%T where a text belongs", v)
	}
	return market.ParseWide(s)
}
