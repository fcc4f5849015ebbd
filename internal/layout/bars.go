package layout

import (
	"bytes"
	"strconv"
	"time"

	"tapedeck/internal/market"
)

// bar sets a bar of a row. Its volume keeps its digits; a volume of no value is one that is not known.
func (d *decoder) bar(row [][]byte, cols *columns, how reading, e *market.Entry) (problem *Reject) {
	prices := [...]struct {
		f    field
		into *market.Decimal
	}{{fOpen, &e.Price}, {fHigh, &e.Size}, {fLow, &e.Ask}, {fClose, &e.AskSize}}
	for _, p := range prices {
		if *p.into, problem = d.price(row, cols[p.f]); problem != nil {
			return problem
		}
		if p.into.IsZero() {
			return d.bad(row, cols[p.f], badZero)
		}
	}
	for _, p := range prices {
		if e.Size.Less(*p.into) {
			return d.bad(row, cols[fHigh], badHigh)
		}
		if p.into.Less(e.Ask) {
			return d.bad(row, cols[fLow], badLow)
		}
	}
	if e.Text, problem = d.volume(row, cols[fSize]); problem != nil {
		return problem
	}
	if v := optional(row, cols[fCount]); len(v) > 0 {
		n, bad := d.numbers.parse(v, false)
		n, err := n.Rescale(0)
		if bad != "" || err != nil || n.Sign() < 0 {
			return d.bad(row, cols[fCount], badNumber)
		}
		e.ID = uint64(n.Coef())
	}
	interval := d.interval
	if i := cols[fInterval]; i >= 0 {
		v, _ := get(row, i)
		ok := false
		if interval, ok = parseLength(v); !ok {
			return d.bad(row, i, badLength)
		}
	}
	e.Ref = interval.Short()
	if !d.span(interval, how, e) {
		return d.bad(row, cols[fTime], badTime)
	}
	return nil
}

// volume returns the volume of a bar in plain digits.
func (d *decoder) volume(row [][]byte, i int) (string, *Reject) {
	v := optional(row, i)
	if len(v) == 0 {
		return "", nil
	}
	n, problem := d.numbers.parse(v, true)
	switch {
	case problem == badRange: // More digits than a price may have.
		wide, err := market.ParseWide(string(v))
		if err != nil || wide.Sign() < 0 {
			return "", d.bad(row, i, badRange)
		}
		return wide.String(), nil
	case problem != "":
		return "", d.bad(row, i, problem)
	case n.Sign() < 0:
		return "", d.bad(row, i, badSize)
	}
	return n.String(), nil
}

// parseLength reads the length of a bar as columns have it: 1m, 5Min, 1Day; D, W, M of Stooq, and its minutes; 32 to 35 of Databento.
func parseLength(v []byte) (market.Interval, bool) {
	switch string(v) {
	case "D", "d":
		return market.Day1(), true
	case "W", "w":
		return market.Interval{N: 1, Unit: market.UnitWeek}, true
	case "M":
		return market.Interval{N: 1, Unit: market.UnitMonth}, true
	case "32":
		return market.Sec1(), true
	case "33":
		return market.Min1(), true
	case "34":
		return market.Hour1(), true
	case "35":
		return market.Day1(), true
	}
	n, err := strconv.Atoi(string(v))
	switch {
	case err != nil:
		interval, err := market.ParseInterval(string(v))
		return interval, err == nil
	case n >= 1 && n < 60:
		return market.Interval{N: n, Unit: market.UnitMinute}, true
	case n%60 == 0 && n < 24*60 && n > 0:
		return market.Interval{N: n / 60, Unit: market.UnitHour}, true
	case n == 24*60:
		return market.Day1(), true
	}
	return market.Interval{}, false
}

// span sets the start and the end of a bar. Of seconds, minutes and hours they are where the file has them. A day is one of the
// calendar of the symbol's venue, so that the bar of a file and that of the same day's trades begin alike.
func (d *decoder) span(interval market.Interval, how reading, e *market.Entry) bool {
	if length, fixed := interval.Fixed(); fixed {
		if d.labelEnd {
			e.Event -= length
		}
		e.Until = e.Event + length
		return e.Until > e.Event && e.Event != 0
	}
	days := d.calendar(e.Symbol)
	var date market.Date
	switch local, at := d.isDay(e.Event, how), e.Event; {
	case local && d.labelEnd && how != localDate:
		date = d.civil(at, how) - 1
	case local:
		date = d.civil(at, how)
	case d.labelEnd:
		date = days.Day(at - 1).Date
	default:
		date = days.Day(at).Date
	}
	from, to := date, date+1
	switch interval.Unit {
	case market.UnitWeek:
		from = date.Week()
		to = from + 7
	case market.UnitMonth:
		y, m, _ := date.Civil()
		months := y*12 + int(m) - 1
		months -= months % interval.N
		from, to = monthStart(months), monthStart(months+interval.N)
	default:
	}
	a, b := days.Calendar().DayOf(from), days.Calendar().DayOf(to)
	e.Event, e.Until = a.Start, b.Start
	return e.Until > e.Event && e.Event != 0
}

// monthStart returns the first day of a month that is counted from January of the year 0.
func monthStart(months int) market.Date {
	return market.NewDate(months/12, time.Month(months%12+1), 1) // years of market.Time are positive
}

// isDay reports whether a time stands for a date: it has no time of day, or midnight.
func (d *decoder) isDay(t market.Time, how reading) bool {
	if how == localDate {
		return true
	}
	if t%day == 0 {
		return true
	}
	h, m, s := t.Std().In(d.clock.zone).Clock()
	return how == localTime && h == 0 && m == 0 && s == 0
}

// civil returns the date that a time stands for: of one that says its zone in UTC, of others in the file's.
func (d *decoder) civil(t market.Time, how reading) market.Date {
	at := t.Std()
	if how != exactTime && d.clock.zone != nil {
		at = at.In(d.clock.zone)
	}
	return market.NewDate(at.Date())
}

// calendar returns the days of a symbol's venue.
func (d *decoder) calendar(s market.Symbol) *market.Lookup {
	venue := s.Venue()
	l, ok := d.days[venue]
	if !ok {
		l = d.opt.Calendars.For(venue).Lookup()
		if len(d.days) < maxSymbols {
			d.days[venue] = l
		}
	}
	return l
}

// afterMidnight reads a count of units since a midnight of the zone, with or without a fraction.
func (c *clockwork) afterMidnight(v []byte, date int64, unit market.Time) (market.Time, reading) {
	whole, fraction, _ := bytes.Cut(v, []byte("."))
	n, rest, digits := number(whole, 12)
	if digits == 0 || len(rest) > 0 || !isDigits(fraction) || market.Time(n) > 2*day/unit {
		return 0, noTime
	}
	ns := market.Time(n) * unit
	for _, c := range fraction {
		unit /= 10
		ns += market.Time(c-'0') * unit
	}
	return c.place(market.Time(date)*day + ns)
}
