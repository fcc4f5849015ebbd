package market

import (
	"fmt"
	"time"
	_ "time/tzdata" // zones must be right on machines that have no zone database
)

// Date is a day of the civil calendar (proleptic Gregorian) as days since 1970-01-01.
type Date int32

// NewDate returns the date of a year, month and day. Days beyond the month's end run over into the next month.
func NewDate(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86_400)
}

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("date %.40q is not a day, such as 2026-11-23", s)
	}
	return NewDate(t.Year(), t.Month(), t.Day()), nil
}

// Civil returns the year, month and day.
func (d Date) Civil() (year int, month time.Month, day int) {
	y, m, day := civil(int64(d))
	return y, time.Month(m), day
}

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday {
	w := (int64(d) + 4) % 7 // 1970-01-01 was a Thursday
	if w < 0 {
		w += 7
	}
	return time.Weekday(w)
}

// UTC returns 00:00 UTC of the date, the label that charts want for a daily bar, within the range of Time.
func (d Date) UTC() Time { return FromStd(time.Unix(int64(d)*86_400, 0)) }

// Week returns the Monday of the date's week.
func (d Date) Week() Date { return d - Date((d.Weekday()+6)%7) }

// String formats the date as YYYY-MM-DD.
func (d Date) String() string {
	y, m, day := d.Civil()
	return fmt.Sprintf("%04d-%02d-%02d", y, m, day)
}

// Calendar knows the trading days and sessions of a venue. It is immutable and may be shared. It answers for any instant; the
// holidays beyond KnownUntil are what the rules of today say.
//
// Trading days divide all of time: every instant belongs to exactly one of them, and weekends and holidays are days without
// a session. A day usually runs from midnight to midnight of its zone, and is 23 or 25 hours long when clocks change; where a
// session starts on the evening before, the day starts with it.
type Calendar struct {
	name       string
	zone       *time.Location
	holidays   string // which rules of holidays: "us-equity" or "none"
	knownUntil Date   // 0: for ever
	tables     []sessionTable
	exceptions map[Date]exception
}

// exception is a date that the data names. It outranks the rules.
type exception struct {
	closed bool
	early  clock // close of the regular session where it is not the usual one, else 0
	note   string
}

// Name returns the name of the calendar, such as "us-equity".
func (c *Calendar) Name() string { return c.name }

// Zone returns the IANA name of the zone in which the calendar's days are counted.
func (c *Calendar) Zone() string { return c.zone.String() }

// Location returns the zone in which the calendar's days are counted.
func (c *Calendar) Location() *time.Location { return c.zone }

// KnownUntil returns the last date whose holidays have been announced. ok is false for a calendar that has none.
func (c *Calendar) KnownUntil() (last Date, ok bool) { return c.knownUntil, c.knownUntil != 0 }

// maxSessions bounds the sessions of one day, so that a Day needs no allocation.
const maxSessions = 6

// Day is a trading day: the half-open span [Start, End) and the sessions within it.
type Day struct {
	Date       Date
	Start, End Time
	Early      bool   // the regular session closes before its usual time
	Note       string // why the day is closed or short, where that is known

	n        int
	sessions [maxSessions]Session
}

// Contains reports whether t is within the day.
func (d *Day) Contains(t Time) bool { return t >= d.Start && t < d.End }

// Sessions returns the sessions in order of time. The slice must not be changed.
func (d *Day) Sessions() []Session { return d.sessions[:d.n] }

// Trading reports whether the day has a regular session.
func (d *Day) Trading() bool {
	_, ok := d.Regular()
	return ok
}

// Regular returns the regular session; of a day with a pause, the span from the first open to the last close.
func (d *Day) Regular() (Session, bool) {
	var r Session
	for _, s := range d.Sessions() {
		if s.Kind != SessionRegular {
			continue
		}
		if r.Kind == 0 {
			r = s
		}
		r.Close = s.Close
	}
	return r, r.Kind != 0
}

// SessionAt returns the session that t is in; ok is false when the venue is closed then.
func (d *Day) SessionAt(t Time) (s Session, ok bool) {
	for i := range d.n {
		if s := &d.sessions[i]; t >= s.Open && t < s.Close {
			return *s, true
		}
	}
	return Session{}, false
}

// Day returns the trading day that t belongs to. A reader of many ticks asks a Lookup instead.
func (c *Calendar) Day(t Time) Day {
	local := t.Std().In(c.zone)
	d := c.DayOf(NewDate(local.Date()))
	// The local date may be off by one: a day may start on the evening before, and a zone may skip a date.
	for range 3 {
		switch {
		case t < d.Start:
			d = c.DayOf(d.Date - 1)
		case t >= d.End && d.End != maxTime:
			d = c.DayOf(d.Date + 1)
		default:
			return d
		}
	}
	return d
}

// maxTime is the end of the range of Time, to which days beyond it are clamped.
const maxTime Time = 1<<63 - 1

// DayOf returns the trading day with a given date.
func (c *Calendar) DayOf(date Date) Day {
	table := c.table(date)
	d := Day{Date: date, Start: c.wall(date, table.day), End: c.wall(date+1, c.table(date+1).day)}
	ex := c.exception(date)
	d.Note = ex.note
	if ex.closed {
		return d
	}
	for _, r := range table.on(date.Weekday(), ex.early) {
		if r.kind == 0 {
			break
		}
		s := Session{r.kind, max(c.wall(date, r.start), d.Start), min(c.wall(date, r.end), d.End)}
		if s.Open < s.Close {
			d.sessions[d.n] = s
			d.n++
			d.Early = d.Early || r.cut
		}
	}
	return d
}

// exception returns what is unusual on a date: the data first, then the rules of holidays.
func (c *Calendar) exception(date Date) exception {
	if ex, ok := c.exceptions[date]; ok {
		return ex
	}
	if c.holidays == usEquity {
		return usException(date)
	}
	return exception{}
}

// table returns the sessions in force on a date.
func (c *Calendar) table(date Date) *sessionTable {
	i := len(c.tables) - 1
	for i > 0 && c.tables[i].from > date {
		i--
	}
	return &c.tables[i]
}

// wall returns the first instant at which clocks of the zone show a time of a date or later. So it rises with its arguments:
// a time that a spring night skips is the moment of the jump, and one that an autumn night repeats is its first occurrence.
func (c *Calendar) wall(date Date, at clock) Time {
	y, m, d := date.Civil()
	t := time.Date(y, m, d, 0, int(at), 0, 0, c.zone)
	_, offset := t.Zone()
	want := int64(date)*86_400 + int64(at)*60 // seconds on the wall, as if it were UTC
	from, to := t.ZoneBounds()
	switch shown := t.Unix() + int64(offset); {
	case shown > want:
		return FromStd(from)
	case shown < want:
		return FromStd(to)
	}
	if !from.IsZero() {
		_, before := from.Add(-1).Zone()
		if first := time.Unix(want-int64(before), 0); first.Before(from) {
			return FromStd(first)
		}
	}
	return FromStd(t)
}

// SessionAt returns the session that t is in; ok is false when the venue is closed then.
func (c *Calendar) SessionAt(t Time) (s Session, ok bool) {
	d := c.Day(t)
	return d.SessionAt(t)
}

// IsOpen reports whether t is in a regular session.
func (c *Calendar) IsOpen(t Time) bool {
	s, ok := c.SessionAt(t)
	return ok && s.Kind == SessionRegular
}

// searchDays is how far Next and Prev look. No market has been closed for longer.
const searchDays = 400

// Next returns the first regular session that opens after t; ok is false when there is none within a year.
func (c *Calendar) Next(t Time) (s Session, ok bool) {
	d := c.Day(t)
	for range searchDays {
		for _, s := range d.Sessions() {
			if s.Kind == SessionRegular && s.Open > t {
				return s, true
			}
		}
		d = c.DayOf(d.Date + 1)
	}
	return Session{}, false
}

// Prev returns the last regular session that has closed by t; ok is false when there is none within a year.
func (c *Calendar) Prev(t Time) (s Session, ok bool) {
	d := c.Day(t)
	for range searchDays {
		for i := d.n - 1; i >= 0; i-- {
			if s := d.sessions[i]; s.Kind == SessionRegular && s.Close <= t {
				return s, true
			}
		}
		d = c.DayOf(d.Date - 1)
	}
	return Session{}, false
}

// MakesDays reports whether trades in sessions of a kind make the daily bar of a date: of stocks, those of the regular session
// only, unless the data says otherwise. Kind 0 is time outside all sessions.
func (c *Calendar) MakesDays(date Date, kind SessionKind) bool {
	return kind != 0 && c.table(date).daily&(1<<kind) != 0
}

// Lookup returns a reader of the calendar that remembers the days it was asked for last.
func (c *Calendar) Lookup() *Lookup { return &Lookup{cal: c} }

// Lookup answers for a stream of ticks: while the day does not change, at the cost of two comparisons. It belongs to one
// goroutine.
type Lookup struct {
	cal  *Calendar
	last int
	days [2]Day // two, for late ticks around the start of a day
}

// Calendar returns the calendar that is looked up.
func (l *Lookup) Calendar() *Calendar { return l.cal }

// Day returns the trading day that t belongs to. It is valid until the next call.
func (l *Lookup) Day(t Time) *Day {
	d := &l.days[l.last]
	if d.Contains(t) {
		return d
	}
	l.last ^= 1
	if d = &l.days[l.last]; !d.Contains(t) {
		*d = l.cal.Day(t)
	}
	return d
}

// SessionAt returns the session that t is in; ok is false when the venue is closed then.
func (l *Lookup) SessionAt(t Time) (s Session, ok bool) { return l.Day(t).SessionAt(t) }
