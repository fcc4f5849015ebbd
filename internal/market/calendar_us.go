package market

import "time"

// builtinCalendars are the calendars that are always there, in the form that Calendars.With reads.
//
// The sessions of US equities are those of today; extended hours began in the 1990s, and before 1985-09-30 the regular session
// began at 10:00. The closures are those that no rule of usHolidays foretells.
const builtinCalendars = `
calendar 24x7
table
session regular all 00:00-24:00

calendar fx
zone America/New_York
table
day prev 17:00
session regular mon-fri 17:00-17:00

calendar us-equity
venues NASDAQ NYSE ARCA NYSEARCA AMEX NYSEAMERICAN BATS BZX CBOE IEX MEMX OTC US
venues ALPACA FINNHUB MASSIVE POLYGON TIINGO YAHOO
zone America/New_York
holidays us-equity
known-until 2028-12-31
table
session pre mon-fri 04:00-09:30
session regular mon-fri 09:30-16:00
session post mon-fri 16:00-20:00
closed 1972-12-28 Funeral of Harry S. Truman
closed 1973-01-25 Funeral of Lyndon B. Johnson
closed 1977-07-14 Blackout of New York City
closed 1985-09-27 Hurricane Gloria
closed 1994-04-27 Funeral of Richard Nixon
closed 2001-09-11 Attacks of September 11
closed 2001-09-12 Attacks of September 11
closed 2001-09-13 Attacks of September 11
closed 2001-09-14 Attacks of September 11
closed 2004-06-11 Funeral of Ronald Reagan
closed 2007-01-02 Funeral of Gerald Ford
closed 2012-10-29 Hurricane Sandy
closed 2012-10-30 Hurricane Sandy
closed 2018-12-05 Funeral of George H. W. Bush
closed 2025-01-09 Funeral of Jimmy Carter
early 1997-12-26 13:00 Day after Christmas
early 1999-12-31 13:00 New Year's Eve
early 2003-12-26 13:00 Day after Christmas
`

// shift says where a holiday goes that falls on a weekend.
type shift uint8

const (
	sundayOnly shift = iota // Sunday to Monday; not kept when on a Saturday
	nearest                 // Saturday to Friday, Sunday to Monday
)

// usHoliday is a rule for one holiday of NYSE and Nasdaq. A rule with a weekday is the nth of that weekday in the month, the
// last for nth -1; one with a day is that date, moved off the weekend.
type usHoliday struct {
	name    string
	from    int // first year
	until   int // last year, 0 for none
	month   time.Month
	day     int
	nth     int
	weekday time.Weekday
	shift   shift
}

// usHolidays are the full closures by rule, right from 1971 on (NYSE Rule 7.2 and its forerunners). Good Friday and election
// days are in usException.
func usHolidays() [12]usHoliday {
	return [...]usHoliday{
		{name: "New Year's Day", month: time.January, day: 1, shift: sundayOnly},
		{name: "Martin Luther King Jr. Day", from: 1998, month: time.January, nth: 3, weekday: time.Monday},
		{name: "Washington's Birthday", from: 1971, month: time.February, nth: 3, weekday: time.Monday},
		{name: "Washington's Birthday", until: 1970, month: time.February, day: 22, shift: nearest},
		{name: "Memorial Day", from: 1971, month: time.May, nth: -1, weekday: time.Monday},
		{name: "Memorial Day", until: 1970, month: time.May, day: 30, shift: nearest},
		{name: "Juneteenth", from: 2022, month: time.June, day: 19, shift: nearest},
		{name: "Independence Day", month: time.July, day: 4, shift: nearest},
		{name: "Labor Day", month: time.September, nth: 1, weekday: time.Monday},
		{name: "Thanksgiving Day", month: time.November, nth: 4, weekday: time.Thursday},
		{name: "Christmas Day", month: time.December, day: 25, shift: nearest},
		// Elections of a president, until 1980: the Tuesday after the first Monday of November.
		{name: "Election Day", from: 1972, until: 1980, month: time.November, nth: 0, weekday: time.Tuesday},
	}
}

// in returns the date of the holiday in a year, if it is kept then.
func (h *usHoliday) in(year int) (Date, bool) {
	if year < h.from || h.until != 0 && year > h.until {
		return 0, false
	}
	switch {
	case h.day != 0:
		return h.shift.apply(NewDate(year, h.month, h.day))
	case h.nth < 0:
		last := NewDate(year, h.month+1, 1) - 1
		return last - Date((last.Weekday()-h.weekday+7)%7), true
	case h.nth == 0:
		return nthWeekday(year, h.month, time.Monday, 1) + 1, year%4 == 0
	}
	return nthWeekday(year, h.month, h.weekday, h.nth), true
}

func nthWeekday(year int, month time.Month, weekday time.Weekday, nth int) Date {
	first := NewDate(year, month, 1)
	return first + Date((weekday-first.Weekday()+7)%7) + Date(7*(nth-1))
}

func (s shift) apply(d Date) (Date, bool) {
	switch d.Weekday() {
	case time.Saturday:
		return d - 1, s == nearest
	case time.Sunday:
		return d + 1, true
	case time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday:
	}
	return d, true
}

// easter returns Easter Sunday of the Gregorian calendar (the algorithm known as Meeus/Jones/Butcher).
func easter(year int) Date {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return NewDate(year, time.Month(n/31), n%31+1)
}

// usException returns what the rules of NYSE and Nasdaq say of a date.
func usException(d Date) exception {
	day := d.Weekday()
	if day == time.Saturday || day == time.Sunday {
		return exception{}
	}
	year, month, _ := d.Civil()
	for _, h := range usHolidays() {
		if h.month != month {
			continue
		}
		if on, kept := h.in(year); kept && on == d {
			return exception{closed: true, note: h.name}
		}
	}
	if (month == time.March || month == time.April) && easter(year)-2 == d {
		return exception{closed: true, note: "Good Friday"}
	}
	return usEarly(d)
}

// onePM is when the regular session of a half-day closes.
const onePM clock = 13 * 60

// usEarly knows the half-days, which have had their present form since 1993.
func usEarly(d Date) exception {
	year, month, day := d.Civil()
	if year < 1993 {
		return exception{}
	}
	weekday := d.Weekday()
	switch {
	case month == time.November && d == nthWeekday(year, time.November, time.Thursday, 4)+1:
		return exception{early: onePM, note: "Day after Thanksgiving"}
	case month == time.December && day == 24 && weekday != time.Friday:
		return exception{early: onePM, note: "Christmas Eve"}
	case month == time.July && year >= 1995:
		// Until 2012 a Thursday's Independence Day shortened the Friday after it, not the Wednesday before.
		afterwards := weekday == time.Friday && day == 5 && year <= 2012
		before := day == 3 && weekday != time.Friday && (weekday != time.Wednesday || year >= 2013)
		if afterwards || before {
			return exception{early: onePM, note: "Independence Day"}
		}
	}
	return exception{}
}
