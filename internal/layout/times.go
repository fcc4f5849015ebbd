package layout

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

// reading says what became of a text that should be a time.
type reading uint8

const (
	noTime    reading = iota
	exactTime         // says its zone, or is a number since 1970
	localTime         // of the file's zone
	localDate         // a date without a time of day: its midnight in the file's zone
	skipped           // a time that clocks of the zone never showed
)

// ok reports whether there is a time.
func (r reading) ok() bool { return r == exactTime || r == localTime || r == localDate }

// clockwork reads times as files spell them:
//
//   - seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size (up to 10^11, 10^14, 10^17), with
//     or without a fraction: digits beyond the nanosecond are cut off; with or without an exponent (1.6E+12), exactly;
//   - a date (2024-05-31, 2024/05/31, 2024.05.31, 20240531, May 31 2024, 31-May-2024, and 05/31/2024 when the order is known)
//     with or without a time of day (09:30, 9:30:00.123456789, 093000, 09:30 PM, 07-AM) after a T, a D or a space, and with or
//     without a zone (Z, UTC, +02:00, -0500). A time without a zone is one in zone.
//
// When clocks are turned back an hour is shown twice. Which of the two is meant is told by the order of the rows; see settle.
type clockwork struct {
	zone  *time.Location
	order dateOrder

	falling  bool        // the rows of the file go back in time
	last     market.Time // of the row before
	repeated uint64      // times that clocks showed twice
	doubts   doubts

	// Between lo and hi, times of the wall in nanoseconds, the zone is offset from UTC.
	lo, hi, offset market.Time
}

// The bounds of what is believed: Decimal years beyond would not fit market.Time anyway.
const (
	minYear = 1700
	maxYear = 2260
)

// day is that of a clock that knows no summer.
const day = 24 * market.Hour

// parse reads a time.
func (c *clockwork) parse(s []byte) (t market.Time, how reading) {
	if t, ok := parseEpoch(s); ok {
		c.doubts.number(s, t)
		return t, exactTime
	}
	date, rest, ok := c.parseDate(s)
	if !ok {
		if t, ok = parseRounded(s); ok {
			return t, exactTime
		}
		return 0, noTime
	}
	if len(rest) == 0 {
		return c.midnight(date), localDate
	}
	if rest[0] == 'T' || rest[0] == 't' || rest[0] == ' ' || rest[0] == 'D' {
		rest = rest[1:]
	}
	return c.parseClock(date, rest)
}

// parseSplit reads a time whose date and time of day stand in two columns. Without a time of day it is a date.
func (c *clockwork) parseSplit(date, clock []byte) (t market.Time, how reading) {
	d, rest, ok := c.parseDate(date)
	if !ok || len(rest) > 0 {
		return 0, noTime
	}
	if len(clock) == 0 {
		return c.midnight(d), localDate
	}
	return c.parseClock(d, clock)
}

// parseClock reads a time of day and a zone, and places it on a date.
func (c *clockwork) parseClock(date int64, s []byte) (market.Time, reading) {
	ns, rest, ok := parseTimeOfDay(s)
	if !ok {
		return 0, noTime
	}
	if ns/market.Second%60 == 59 && isLeap(s) {
		c.doubts.leaps++
	}
	wall := market.Time(date)*day + ns
	if len(rest) == 0 {
		return c.place(wall)
	}
	offset, ok := parseZone(rest)
	if !ok {
		return 0, noTime
	}
	return wall - offset, exactTime
}

// midnight returns when a date begins in the file's zone, which may be later than 00:00 where clocks are put forward then.
func (c *clockwork) midnight(date int64) market.Time {
	for wall := market.Time(date) * day; ; wall += market.Minute {
		if t, how := c.place(wall); how.ok() {
			return t
		}
	}
}

// place returns the moment at which clocks of the zone show a time of the wall.
func (c *clockwork) place(wall market.Time) (market.Time, reading) {
	if c.zone == nil || c.zone == time.UTC {
		return wall, localTime
	}
	if wall >= c.lo && wall < c.hi {
		return wall - c.offset, localTime
	}
	return c.settle(wall)
}

// settle is place near a change of the clocks. Of a time that is shown twice the first is taken, unless the rows have passed it:
// where they rise, the first that is not before the row before.
func (c *clockwork) settle(wall market.Time) (market.Time, reading) {
	var found [3]market.Time
	n := 0
	at := wall.Std().In(c.zone) // within a day of the moment that is looked for
	from, to := at.ZoneBounds()
	if _, offset := at.Zone(); true {
		c.offset = market.Time(offset) * market.Second
	}
	c.lo, c.hi = -1<<63, 1<<63-1
	offsets := [3]market.Time{c.offset, c.offset, c.offset}
	if !from.IsZero() {
		c.lo = market.FromStd(from) + c.offset + day
		_, before := from.Add(-1).Zone()
		offsets[0] = market.Time(before) * market.Second
	}
	if !to.IsZero() {
		c.hi = market.FromStd(to) + c.offset - day
		_, after := to.Zone()
		offsets[2] = market.Time(after) * market.Second
	}
	for _, offset := range offsets {
		t := wall - offset
		if _, shown := t.Std().In(c.zone).Zone(); market.Time(shown)*market.Second == offset && (n == 0 || found[n-1] != t) {
			found[n] = t
			n++
		}
	}
	switch {
	case n == 0:
		return 0, skipped
	case n == 1:
		return found[0], localTime
	}
	c.repeated++
	first, second := min(found[0], found[1]), max(found[0], found[1])
	if c.falling && c.last >= second || !c.falling && c.last > first && c.last < second+market.Hour {
		return second, localTime
	}
	return first, localTime
}

// parseRounded reads the number of units since 1970 that a spreadsheet left of one: 1.6E+12.
func parseRounded(s []byte) (market.Time, bool) {
	if !bytes.ContainsAny(s, "eE") {
		return 0, false
	}
	d, err := market.ParseDecimal(s)
	if err != nil {
		return 0, false
	}
	return parseEpoch(d.Append(make([]byte, 0, 24)))
}

// isRounded reports whether a text is a number with an exponent: digits of a time may be missing.
func isRounded(s []byte) bool {
	_, ok := parseRounded(s)
	return ok
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
func (c *clockwork) parseDate(s []byte) (day int64, rest []byte, ok bool) {
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
	if k == 2 && n <= 2 {
		third = century(third)
	}
	switch {
	case n == 4 && k >= 1 && k <= 2:
		return civilDay(first, second, third, rest)
	case n > 2 || k != 4 && k != 2 || sep == ' ':
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
	case n == 2:
		y = century(y)
	case n != 4:
		return 0, nil, false
	}
	return civilDay(y, month, d, rest)
}

// century completes a year of two digits, 1970 to 2069.
func century(y int64) int64 {
	if y < 70 {
		return 2000 + y
	}
	return 1900 + y
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

// parseTimeOfDay reads 9:30, 09:30:00, 09:30:00.123456789 (or with a comma or a space before the fraction), 093000, 093000123,
// and each of them, or the hour alone, with AM or PM.
func parseTimeOfDay(s []byte) (ns market.Time, rest []byte, ok bool) {
	h, rest, n := number(s, 2)
	if n == 0 {
		return 0, nil, false
	}
	var m, sec, milli int64
	switch noon, after, named := parseNoon(rest); {
	case named:
		return twelve(h, noon, 0, after)
	case len(rest) > 0 && rest[0] == ':':
		if m, rest, n = number(rest[1:], 2); n != 2 {
			return 0, nil, false
		}
		if len(rest) > 0 && rest[0] == ':' {
			if sec, rest, n = number(rest[1:], 2); n != 2 {
				return 0, nil, false
			}
		}
	default:
		if m, rest, n = number(rest, 2); n != 2 {
			return 0, nil, false
		}
		if sec, rest, n = number(rest, 2); n == 1 {
			return 0, nil, false
		}
		if milli, rest, n = number(rest, 3); n != 0 && n != 3 {
			return 0, nil, false
		}
	}
	if h > 23 || m > 59 || sec > 60 {
		return 0, nil, false
	}
	sec = min(sec, 59) // A leap second; its fraction is that of the second before.
	ns = market.Time(m)*market.Minute + market.Time(sec)*market.Second + market.Time(milli)*(market.Second/1000)
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',' || rest[0] == ' ') && rest[1] >= '0' && rest[1] <= '9' {
		unit := market.Second
		for rest = rest[1:]; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
			unit /= 10
			ns += market.Time(rest[0]-'0') * unit
		}
	}
	if noon, after, named := parseNoon(rest); named {
		return twelve(h, noon, ns, after)
	}
	return market.Time(h)*market.Hour + ns, rest, true
}

// parseNoon reads AM or PM, after a space or a dash or nothing.
func parseNoon(s []byte) (noon bool, rest []byte, ok bool) {
	if len(s) > 0 && (s[0] == ' ' || s[0] == '-') {
		s = s[1:]
	}
	if len(s) < 2 || s[1]|0x20 != 'm' || s[0]|0x20 != 'a' && s[0]|0x20 != 'p' {
		return false, nil, false
	}
	return s[0]|0x20 == 'p', s[2:], true
}

// twelve places an hour of 1 to 12 before or after noon.
func twelve(h int64, noon bool, ns market.Time, rest []byte) (market.Time, []byte, bool) {
	if h < 1 || h > 12 {
		return 0, nil, false
	}
	h %= 12
	if noon {
		h += 12
	}
	return market.Time(h)*market.Hour + ns, rest, true
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
