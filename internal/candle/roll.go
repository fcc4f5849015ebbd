package candle

import (
	"fmt"
	"time"

	"tapedeck/internal/market"
)

// Align says where intraday bars begin that are rolled up.
type Align uint8

const (
	// AlignUTC counts from 1970-01-01T00:00Z: hours begin on the hour.
	AlignUTC Align = 0
	// AlignSession counts from the open of each session: hours of US equities begin at 09:30, 10:30, …, and the last one ends
	// with the session.
	AlignSession Align = 1
)

// Roller builds the bars of an interval from those of a shorter one. They come from the same trades by the same rules, so that
// nothing is averaged: the VWAP of a rolled bar is that of its trades.
type Roller struct {
	Interval market.Interval
	Calendar *market.Calendar // of the symbol; needed for days, weeks, months and AlignSession
	Align    Align            // for intervals shorter than a day

	// AsOf is the time that the bars are seen from, usually the clock of the feed. A bar that ends after it is not final, unless
	// src has a final bar up to its end.
	AsOf market.Time
}

// Base returns the interval, of those that are kept as ticks arrive, that an interval is rolled up from.
func Base(v market.Interval, align Align) market.Interval {
	switch v.Unit {
	case market.UnitSecond:
		return market.Sec1()
	case market.UnitMinute:
		return market.Min1()
	case market.UnitHour:
		if align == AlignSession {
			return market.Min1()
		}
		return market.Hour1()
	case market.UnitDay, market.UnitWeek, market.UnitMonth:
	}
	return market.Day1()
}

// Roll appends the bars that src makes to dst and returns the extended slice. Src are bars of one symbol and interval by rising
// start; each must lie within one bar of the result. To be whole, a result needs all of its bars in src: Bounds tells their span.
func (r Roller) Roll(dst, src []market.Bar) ([]market.Bar, error) {
	var days *market.Lookup
	if r.Calendar != nil {
		days = r.Calendar.Lookup()
	}
	first := len(dst)
	final := false // all bars of the one being rolled are
	for i := range src {
		b := &src[i]
		if i > 0 && (b.Symbol != src[0].Symbol || b.Interval != src[0].Interval || b.Start < src[i-1].End) {
			return dst[:first], fmt.Errorf("roll up to %s: %s bar of %s at %s after %s bar of %s at %s: %w", r.Interval,
				b.Interval, b.Symbol, b.Start, src[i-1].Interval, src[i-1].Symbol, src[i-1].Start, ErrInvalid)
		}
		if n := len(dst); n > first && b.Start < dst[n-1].End {
			if b.End > dst[n-1].End {
				return dst[:first], r.cut(b)
			}
			whole, err := combine(dst[n-1], *b)
			if err != nil {
				return dst[:first], err
			}
			final = final && b.Final
			whole.Final = final && r.over(b, whole.End)
			dst[n-1] = whole
			continue
		}
		start, end, err := r.bounds(days, b.Start)
		if err != nil {
			return dst[:first], err
		}
		if b.Start < start || b.End > end {
			return dst[:first], r.cut(b)
		}
		whole := *b
		whole.Interval, whole.Start, whole.End = r.Interval, start, end
		final = b.Final
		whole.Final = final && r.over(b, end)
		dst = append(dst, whole)
	}
	return dst, nil
}

// over reports whether nothing can follow b in the bar that ends at a time.
func (r Roller) over(b *market.Bar, end market.Time) bool { return b.End == end || end <= r.AsOf }

func (r Roller) cut(b *market.Bar) error {
	return fmt.Errorf("roll up to %s: %s bar at %s would have to be cut: %w", r.Interval, b.Interval, b.Start, ErrInvalid)
}

// Bounds returns the span of the bar of the roller's interval that holds a time.
func (r Roller) Bounds(at market.Time) (start, end market.Time, err error) {
	var days *market.Lookup
	if r.Calendar != nil {
		days = r.Calendar.Lookup()
	}
	return r.bounds(days, at)
}

func (r Roller) bounds(days *market.Lookup, at market.Time) (start, end market.Time, err error) {
	if at < minTime || at > maxTime || r.Interval.N < 1 {
		return 0, 0, fmt.Errorf("roll up to %s at %d: %w", r.Interval, at, ErrInvalid)
	}
	length, fixed := r.Interval.Fixed()
	if fixed && r.Align == AlignUTC {
		start = at.Floor(length)
		return start, start + length, nil
	}
	if days == nil {
		return 0, 0, fmt.Errorf("roll up to %s without a calendar: %w", r.Interval, ErrInvalid)
	}
	day := days.Day(at)
	if fixed {
		start, end = sessionBounds(day, at, length)
		return start, end, nil
	}
	from, to := day.Date, day.Date+1
	n := r.Interval.N
	switch r.Interval.Unit {
	case market.UnitWeek:
		weeks := market.Date(7 * n)
		const monday market.Date = 4 // 1970-01-05
		from = day.Date.Week()
		if rest := (from - monday) % weeks; rest < 0 {
			from -= rest + weeks
		} else {
			from -= rest
		}
		to = from + weeks
	case market.UnitMonth:
		y, m, _ := day.Date.Civil()
		months := y*12 + int(m) - 1
		months -= (months%n + n) % n
		from, to = monthStart(months), monthStart(months+n)
	default:
		if r.Interval != market.Day1() {
			return 0, 0, fmt.Errorf("roll up to %s: %w", r.Interval, ErrInvalid)
		}
	}
	a, b := r.Calendar.DayOf(from), r.Calendar.DayOf(to)
	return a.Start, b.Start, nil
}

// monthStart returns the first day of a month that is counted from January of the year 0.
func monthStart(months int) market.Date {
	return market.NewDate(months/12, time.Month(months%12+1), 1) // years of market.Time are positive
}

// sessionBounds cuts each session into bars from its open on, and the time between sessions from the close before it on.
func sessionBounds(day *market.Day, at, length market.Time) (start, end market.Time) {
	from, to := day.Start, day.End
	for _, s := range day.Sessions() {
		if at < s.Open {
			to = s.Open
			break
		}
		if at < s.Close {
			from, to = s.Open, s.Close
			break
		}
		from = s.Close
	}
	start = from + (at-from)/length*length
	return start, min(start+length, to)
}
