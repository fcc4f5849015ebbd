package replay

import (
	"bytes"
	"time"

	"tapedeck/internal/market"
)

// dateOrder says what 03/04/2024 means.
type dateOrder int

const (
	orderUnknown dateOrder = iota
	monthFirst
	dayFirst
)

// clockwork reads times as files spell them:
//
//   - seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size (up to 10^11, 10^14, 10^17), with
//     or without a fraction: digits beyond the nanosecond are cut off;
//   - a date (2024-05-31, 2024/05/31, 2024.05.31, 20240531, May 31 2024, 31-May-2024, and 05/31/2024 when the order is known)
//     with or without a time of day (09:30, 9:30:00.123456789, 093000) after a T, a D or a space, and with or without a zone
//     (Z, UTC, +02:00, -0500). A time without a zone is one in zone.
type clockwork struct {
	zone  *time.Location
	order dateOrder
}

// The bounds of what is believed: Decimal years beyond would not fit market.Time anyway.
const (
	minYear = 1700
	maxYear = 2260
)

// parse reads a time; ok is false when it is none.
func (c clockwork) parse(s []byte) (t market.Time, ok bool) {
	if t, ok = parseEpoch(s); ok {
		return t, true
	}
	day, rest, ok := c.parseDate(s)
	if !ok {
		return 0, false
	}
	if len(rest) == 0 {
		return c.at(day, 0), true
	}
	if rest[0] == 'T' || rest[0] == 't' || rest[0] == ' ' || rest[0] == 'D' {
		rest = rest[1:]
	}
	return c.parseClock(day, rest)
}

// parseSplit reads a time whose date and time of day stand in two columns.
func (c clockwork) parseSplit(date, clock []byte) (t market.Time, ok bool) {
	day, rest, ok := c.parseDate(date)
	if !ok || len(rest) > 0 {
		return 0, false
	}
	return c.parseClock(day, clock)
}

// parseClock reads a time of day and a zone, and places it on a day.
func (c clockwork) parseClock(day int64, s []byte) (market.Time, bool) {
	ns, rest, ok := parseTimeOfDay(s)
	if !ok {
		return 0, false
	}
	if len(rest) == 0 {
		return c.at(day, ns), true
	}
	offset, ok := parseZone(rest)
	if !ok {
		return 0, false
	}
	return market.Time(day)*24*market.Hour + ns - offset, true
}

// at places a time of day of the reader's own zone.
func (c clockwork) at(day int64, ns market.Time) market.Time {
	t := market.Time(day)*24*market.Hour + ns
	if c.zone == nil || c.zone == time.UTC {
		return t
	}
	u := t.Std()
	return market.FromStd(time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), c.zone))
}

// parseEpoch reads a number of units since 1970. Eight digits that are a date are none.
func parseEpoch(s []byte) (market.Time, bool) {
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	var whole int64
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		if whole > (1<<63-1)/10-1 {
			return 0, false
		}
		whole = whole*10 + int64(s[i]-'0')
	}
	if i == 0 {
		return 0, false
	}
	if (i == 8 || i == 14) && !negative && i == len(s) {
		if _, _, ok := compactDate(s); ok {
			return 0, false
		}
	}
	unit := market.Time(1)
	switch {
	case whole < 1e11:
		unit = market.Second
	case whole < 1e14:
		unit = market.Second / 1e3
	case whole < 1e17:
		unit = market.Second / 1e6
	}
	if whole > 9_000_000_000_000_000_000/int64(unit) { // In 2255; soon after, Time ends.
		return 0, false
	}
	t := market.Time(whole) * unit
	if i < len(s) {
		if s[i] != '.' {
			return 0, false
		}
		for i++; i < len(s); i++ {
			if s[i] < '0' || s[i] > '9' {
				return 0, false
			}
			unit /= 10
			t += market.Time(s[i]-'0') * unit
		}
	}
	if negative {
		t = -t
	}
	return t, true
}

// parseDate reads a date and returns it in days since 1970.
func (c clockwork) parseDate(s []byte) (day int64, rest []byte, ok bool) {
	if day, rest, ok = compactDate(s); ok {
		return day, rest, true
	}
	first, rest, n := number(s, 4)
	if n == 0 {
		return namedMonthFirst(s)
	}
	if len(rest) == 0 {
		return 0, nil, false
	}
	sep := rest[0]
	if sep != '-' && sep != '/' && sep != '.' && sep != ' ' {
		return 0, nil, false
	}
	rest = rest[1:]
	if n <= 2 {
		if month, after, ok := monthName(rest); ok {
			return namedMonthSecond(first, month, after)
		}
	}
	second, rest, m := number(rest, 2)
	if m == 0 || len(rest) == 0 || rest[0] != sep {
		return 0, nil, false
	}
	third, rest, k := number(rest[1:], 4)
	switch {
	case n == 4 && k >= 1 && k <= 2:
		return civilDay(first, second, third, rest)
	case n > 2 || k != 4 || sep == ' ':
	case c.order == monthFirst:
		return civilDay(third, first, second, rest)
	case c.order == dayFirst:
		return civilDay(third, second, first, rest)
	}
	return 0, nil, false
}

// compactDate reads 20240531, and of 20240531093000 the date.
func compactDate(s []byte) (day int64, rest []byte, ok bool) {
	if len(s) < 8 {
		return 0, nil, false
	}
	v, after, n := number(s[:8], 8)
	if n != 8 || len(after) > 0 {
		return 0, nil, false
	}
	rest = s[8:]
	if len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
		if _, tail, n := number(rest, 6); n != 6 || len(tail) > 0 {
			return 0, nil, false // A longer number is one, not a date.
		}
	}
	if v < 1900_01_01 || v > 2199_12_31 {
		return 0, nil, false
	}
	return civilDay(v/10000, v/100%100, v%100, rest)
}

// namedMonthFirst reads "Jan 1 2000" and "January 1, 2000".
func namedMonthFirst(s []byte) (day int64, rest []byte, ok bool) {
	month, rest, ok := monthName(s)
	if !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != '-' {
		return 0, nil, false
	}
	d, rest, n := number(rest[1:], 2)
	if n == 0 {
		return 0, nil, false
	}
	if len(rest) > 0 && rest[0] == ',' {
		rest = rest[1:]
	}
	if len(rest) == 0 || rest[0] != ' ' && rest[0] != '-' {
		return 0, nil, false
	}
	y, rest, n := number(rest[1:], 4)
	if n != 4 {
		return 0, nil, false
	}
	return civilDay(y, month, d, rest)
}

// namedMonthSecond reads what follows "31-Dec": a year of four digits, or of two, which mean 1970 to 2069.
func namedMonthSecond(d, month int64, s []byte) (day int64, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != ' ' && s[0] != '-' {
		return 0, nil, false
	}
	y, rest, n := number(s[1:], 4)
	switch {
	case n == 2 && y < 70:
		y += 2000
	case n == 2:
		y += 1900
	case n != 4:
		return 0, nil, false
	}
	return civilDay(y, month, d, rest)
}

// monthName reads an English month, in full or its first three letters.
func monthName(s []byte) (month int64, rest []byte, ok bool) {
	n := 0
	for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	if n < 3 {
		return 0, nil, false
	}
	word := s[:n]
	for m := time.January; m <= time.December; m++ {
		if name := m.String(); bytes.EqualFold(word, []byte(name)) || bytes.EqualFold(word, []byte(name[:3])) {
			return int64(m), s[n:], true
		}
	}
	return 0, nil, false
}

// number reads at most limit digits.
func number(s []byte, limit int) (v int64, rest []byte, digits int) {
	for digits < len(s) && digits < limit && s[digits] >= '0' && s[digits] <= '9' {
		v = v*10 + int64(s[digits]-'0')
		digits++
	}
	return v, s[digits:], digits
}

// civilDay returns the days since 1970 of a date that exists (H. Hinnant, "chrono-compatible low-level date algorithms").
func civilDay(y, m, d int64, rest []byte) (int64, []byte, bool) {
	if y < minYear || y > maxYear || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return 0, nil, false
	}
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146_097 + doe - 719_468, rest, true
}

func daysIn(y, m int64) int64 {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// parseTimeOfDay reads 9:30, 09:30:00, 09:30:00.123456789 (or with a comma or a space before the fraction) and 093000.
func parseTimeOfDay(s []byte) (ns market.Time, rest []byte, ok bool) {
	h, rest, n := number(s, 2)
	if n == 0 {
		return 0, nil, false
	}
	var m, sec int64
	if len(rest) > 0 && rest[0] == ':' {
		if m, rest, n = number(rest[1:], 2); n != 2 {
			return 0, nil, false
		}
		if len(rest) > 0 && rest[0] == ':' {
			if sec, rest, n = number(rest[1:], 2); n != 2 {
				return 0, nil, false
			}
		}
	} else {
		if m, rest, n = number(rest, 2); n != 2 {
			return 0, nil, false
		}
		if sec, rest, n = number(rest, 2); n != 2 {
			return 0, nil, false
		}
	}
	if h > 23 || m > 59 || sec > 60 {
		return 0, nil, false
	}
	sec = min(sec, 59) // A leap second; its fraction is that of the second before.
	ns = market.Time(h)*market.Hour + market.Time(m)*market.Minute + market.Time(sec)*market.Second
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',' || rest[0] == ' ') && rest[1] >= '0' && rest[1] <= '9' {
		unit := market.Second
		for rest = rest[1:]; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
			unit /= 10
			ns += market.Time(rest[0]-'0') * unit
		}
	}
	return ns, rest, true
}

// parseZone reads Z, UTC, GMT, +02:00, -0500 or +02, with or without a space before.
func parseZone(s []byte) (market.Time, bool) {
	if s[0] == ' ' {
		s = s[1:]
	}
	switch string(s) {
	case "Z", "z", "UTC", "GMT":
		return 0, true
	}
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	h, rest, n := number(s[1:], 2)
	if n != 2 {
		return 0, false
	}
	var m int64
	if len(rest) > 0 {
		if rest[0] == ':' {
			rest = rest[1:]
		}
		if m, rest, n = number(rest, 2); n != 2 || len(rest) > 0 {
			return 0, false
		}
	}
	if h > 15 || m > 59 {
		return 0, false
	}
	offset := market.Time(h)*market.Hour + market.Time(m)*market.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}
