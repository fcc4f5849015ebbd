package market

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Calendars is a set of calendars by name, and the venues that follow them. It is immutable and may be shared.
type Calendars struct {
	byName  map[string]*Calendar
	byVenue map[string]string
}

// The calendars that are always there.
const (
	usEquity   = "us-equity"
	roundClock = "24x7"
)

// NewCalendars returns the built-in calendars: "us-equity" (NYSE and Nasdaq), "24x7" (UTC days) and "fx" (Sunday 17:00 to
// Friday 17:00 in New York).
func NewCalendars() *Calendars {
	s, err := (&Calendars{}).With("built-in calendars", []byte(builtinCalendars))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return s
}

// For returns the calendar of a venue: what the data says, us-equity for the exchanges and brokers of US stocks, and 24x7
// for every other. Case does not matter.
func (s *Calendars) For(venue string) *Calendar {
	if name, ok := s.byVenue[strings.ToUpper(venue)]; ok {
		return s.byName[name]
	}
	return s.byName[roundClock]
}

// Named returns the calendar of a name.
func (s *Calendars) Named(name string) (*Calendar, error) {
	if c, ok := s.byName[name]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("calendar %.40q is none of %s", name, strings.Join(slices.Sorted(maps.Keys(s.byName)), ", "))
}

// With returns the set with data laid over it; s itself stays as it is. Source names the data in errors, which name the line
// as well; data with an error is refused whole. A line is one of these, and a # begins a comment:
//
//	calendar us-equity              what follows amends this calendar, or makes a new one
//	venues NASDAQ NYSE              these venues follow it
//	zone America/New_York           IANA name; of a new calendar UTC unless said
//	holidays us-equity              rules of holidays: us-equity or none
//	known-until 2028-12-31          holidays are announced until this date
//	closed 2025-01-09 Mourning      no session on this date, and why
//	early 2026-12-24 13:00 Eve      the regular session closes early; what follows it moves with it
//	open 2026-07-03                 a usual day, whatever the rules of holidays say
//	table from 2026-12-07           a new table of sessions from a trading date on; without a date it replaces all others
//	day prev 20:00                  trading days of the table begin at 20:00 of the evening before, not at 00:00
//	daily regular                   kinds of sessions that make daily bars; of a new table regular unless said
//	session pre mon-fri 04:00-09:30 a session; one whose start is not before its end starts on the evening before
func (s *Calendars) With(source string, data []byte) (*Calendars, error) {
	p := calendarParser{byName: map[string]*Calendar{}, byVenue: maps.Clone(s.byVenue), tableLine: map[*Calendar][]int{}}
	if p.byVenue == nil {
		p.byVenue = map[string]string{}
	}
	maps.Copy(p.byName, s.byName)
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := p.line(n, words); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", source, n, err)
		}
	}
	if line, err := p.finish(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", source, line, err)
	}
	return &Calendars{p.byName, p.byVenue}, nil
}

// calendarParser lays data over a set of calendars. A calendar is copied before its first change.
type calendarParser struct {
	byName    map[string]*Calendar
	byVenue   map[string]string
	cal       *Calendar
	table     *sessionTable
	tableLine map[*Calendar][]int // of each calendar that is changed, the line of each of its tables; 0 for one it had before
	early     []earlyClose
}

// earlyClose is where a date was given an early close, to be held against the sessions at the end.
type earlyClose struct {
	cal  *Calendar
	date Date
	line int
}

// line takes in one line of words.
func (p *calendarParser) line(n int, words []string) error {
	directive, args := words[0], words[1:]
	if directive == "calendar" {
		return p.begin(args)
	}
	if p.cal == nil {
		return fmt.Errorf("%.40q stands before the first calendar", directive)
	}
	switch directive {
	case "venues":
		for _, v := range args {
			p.byVenue[strings.ToUpper(v)] = p.cal.name
		}
		return nil
	case "zone", "holidays", "known-until":
		return p.property(directive, args)
	case "closed", "early", "open":
		return p.exception(n, directive, args)
	case "table":
		return p.newTable(n, args)
	case "day", "daily", "session":
		if p.table == nil {
			return fmt.Errorf("%s stands outside a table", directive)
		}
		switch directive {
		case "day":
			return p.day(args)
		case "daily":
			return p.daily(args)
		}
		return p.session(args)
	}
	return fmt.Errorf("%.40q is not known here", directive)
}

// begin turns to a calendar.
func (p *calendarParser) begin(args []string) error {
	if len(args) != 1 {
		return errors.New("want: calendar NAME")
	}
	name := args[0]
	p.table = nil
	c := &Calendar{name: name, zone: time.UTC, holidays: "none", exceptions: map[Date]exception{}}
	if old, ok := p.byName[name]; ok {
		if _, ours := p.tableLine[old]; ours {
			p.cal = old
			return nil
		}
		*c = *old
		c.exceptions = maps.Clone(old.exceptions)
		c.tables = slices.Clone(old.tables)
	}
	p.byName[name] = c
	p.tableLine[c] = make([]int, len(c.tables))
	p.cal = c
	return nil
}

func (p *calendarParser) property(directive string, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one value after %s", directive)
	}
	switch v := args[0]; directive {
	case "zone":
		zone, err := time.LoadLocation(v)
		if err != nil || v == "Local" {
			return fmt.Errorf("%.40q is not a zone, such as America/New_York", v)
		}
		p.cal.zone = zone
	case "holidays":
		if v != usEquity && v != "none" {
			return fmt.Errorf("holidays %.40q are none of us-equity, none", v)
		}
		p.cal.holidays = v
	case "known-until":
		d, err := ParseDate(v)
		if err != nil {
			return err
		}
		p.cal.knownUntil = d
	}
	return nil
}

func (p *calendarParser) exception(n int, directive string, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("want a date after %s", directive)
	}
	d, err := ParseDate(args[0])
	if err != nil {
		return err
	}
	ex, note := exception{closed: directive == "closed"}, args[1:]
	if directive == "early" {
		if len(note) == 0 {
			return errors.New("want: early DATE HH:MM")
		}
		if ex.early, err = parseClock(note[0]); err != nil {
			return err
		}
		if ex.early == 0 {
			return errors.New("a day cannot close at 00:00")
		}
		note = note[1:]
		p.early = append(p.early, earlyClose{p.cal, d, n})
	}
	ex.note = strings.Join(note, " ")
	p.cal.exceptions[d] = ex
	return nil
}

func (p *calendarParser) newTable(n int, args []string) error {
	t := sessionTable{from: minDate, daily: 1 << SessionRegular}
	lines := p.tableLine[p.cal]
	switch {
	case len(args) == 0:
		p.cal.tables, lines = nil, nil
	case len(args) == 2 && args[0] == "from":
		d, err := ParseDate(args[1])
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			return errors.New("the first table of a calendar has no date")
		}
		t.from = d
		if last := p.cal.tables[len(lines)-1].from; d <= last {
			return fmt.Errorf("tables must follow each other: the one before is in force from %s", last)
		}
	default:
		return errors.New("want: table, or: table from DATE")
	}
	p.cal.tables = append(p.cal.tables, t)
	p.tableLine[p.cal] = append(lines, n)
	p.table = &p.cal.tables[len(p.cal.tables)-1]
	return nil
}

func (p *calendarParser) day(args []string) error {
	if len(args) == 1 && args[0] == "00:00" {
		p.table.day = 0
		return nil
	}
	if len(args) != 2 || args[0] != "prev" {
		return errors.New("want: day 00:00, or: day prev HH:MM")
	}
	at, err := parseClock(args[1])
	if err != nil {
		return err
	}
	if at == 0 {
		return errors.New("a day cannot begin a whole day early")
	}
	p.table.day = at - fullDay
	return nil
}

func (p *calendarParser) daily(args []string) error {
	if len(args) == 0 {
		return errors.New("want one kind of session or more after daily")
	}
	p.table.daily = 0
	for _, a := range args {
		k, err := parseSessionKind(a)
		if err != nil {
			return err
		}
		p.table.daily |= 1 << k
	}
	return nil
}

func (p *calendarParser) session(args []string) error {
	if len(args) != 3 {
		return errors.New("want: session KIND DAYS HH:MM-HH:MM")
	}
	kind, err := parseSessionKind(args[0])
	if err != nil {
		return err
	}
	days, err := parseDays(args[1])
	if err != nil {
		return err
	}
	from, to, ok := strings.Cut(args[2], "-")
	if !ok {
		return fmt.Errorf("%.40q is not a span, such as 09:30-16:00", args[2])
	}
	start, err := parseClock(from)
	if err != nil {
		return err
	}
	end, err := parseClock(to)
	if err != nil {
		return err
	}
	if start >= end {
		start -= fullDay
	}
	p.table.rules = append(p.table.rules, sessionRule{kind: kind, days: days, start: start, end: end})
	return nil
}

// parseDays reads "mon-fri", "mon,wed", "sun-thu", "all".
func parseDays(s string) (uint8, error) {
	if s == "all" {
		return 1<<7 - 1, nil
	}
	var set uint8
	for part := range strings.SplitSeq(s, ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		a, okA := parseDay(from)
		b, okB := parseDay(to)
		if !okA || !okB {
			return 0, fmt.Errorf("%.40q are not days, such as mon-fri or mon,wed", s)
		}
		for ; a != b; a = (a + 1) % 7 {
			set |= 1 << a
		}
		set |= 1 << b
	}
	return set, nil
}

func parseDay(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.ToLower(d.String()[:3]) == s {
			return d, true
		}
	}
	return 0, false
}

// finish checks what can only be checked at the end.
func (p *calendarParser) finish() (line int, err error) {
	for _, name := range slices.Sorted(maps.Keys(p.byName)) {
		c := p.byName[name]
		lines, changed := p.tableLine[c]
		if !changed {
			continue
		}
		if len(lines) == 0 {
			return 0, fmt.Errorf("calendar %.40q has no table of sessions", name)
		}
		for i, line := range lines {
			if line == 0 {
				continue // checked when it was read
			}
			if err := c.tables[i].check(); err != nil {
				return line, fmt.Errorf("calendar %.40q: %w", name, err)
			}
		}
	}
	for _, e := range p.early {
		if d := e.cal.DayOf(e.date); !d.Early && e.cal.exceptions[e.date].early != 0 {
			return e.line, fmt.Errorf("calendar %.40q: %s has no regular session that closes after this", e.cal.name, e.date)
		}
	}
	return 0, nil
}
