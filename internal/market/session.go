package market

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// SessionKind tells what a session of a trading day is.
type SessionKind uint8

// The kinds of sessions.
const (
	SessionPre       SessionKind = 1 // before the regular session
	SessionRegular   SessionKind = 2
	SessionPost      SessionKind = 3 // after the regular session
	SessionOvernight SessionKind = 4 // from the evening before
)

// String names the kind as the data files do.
func (k SessionKind) String() string {
	switch k {
	case SessionPre:
		return "pre"
	case SessionRegular:
		return "regular"
	case SessionPost:
		return "post"
	case SessionOvernight:
		return "overnight"
	}
	return "closed"
}

func parseSessionKind(s string) (SessionKind, error) {
	for k := SessionPre; k <= SessionOvernight; k++ {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("session %.40q is none of pre, regular, post, overnight", s)
}

// Session is a span of a trading day in which a venue trades: [Open, Close).
type Session struct {
	Kind        SessionKind
	Open, Close Time
}

// clock is a time on the wall as minutes from the midnight that begins a date; below 0 it is on the evening before.
type clock int16

const fullDay clock = 24 * 60

// parseClock reads HH:MM, 00:00 to 24:00.
func parseClock(s string) (clock, error) {
	if len(s) == 5 && s[2] == ':' && digits(s[:2]) && digits(s[3:]) {
		h, m := clock(s[0]-'0')*10+clock(s[1]-'0'), clock(s[3]-'0')*10+clock(s[4]-'0')
		if at := h*60 + m; m < 60 && at <= fullDay {
			return at, nil
		}
	}
	return 0, fmt.Errorf("%.40q is not a time of day, such as 09:30", s)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// sessionTable holds the sessions of a week, in force from a date on until the next table begins.
type sessionTable struct {
	from  Date
	day   clock // when a trading day begins, 0 or on the evening before
	daily uint8 // bit set of the kinds of sessions that make daily bars
	rules []sessionRule
}

// sessionRule is one session on some days of the week.
type sessionRule struct {
	kind       SessionKind
	days       uint8 // bit set of time.Weekday, of the date that the session belongs to
	start, end clock
	cut        bool // closes earlier than usual
}

// minDate is before all that Time can express, and far enough from the end of Date for arithmetic.
const minDate Date = -1 << 30

// on returns the rules for a day of the week in order of time, ended by one without a kind. An early close ends the regular
// session; what follows the regular session then follows the early close, as long as usual.
func (t *sessionTable) on(day time.Weekday, early clock) [maxSessions + 1]sessionRule {
	var out [maxSessions + 1]sessionRule
	var regular clock // usual close
	for _, r := range t.rules {
		if r.kind == SessionRegular && r.days&(1<<day) != 0 {
			regular = max(regular, r.end)
		}
	}
	if early >= regular {
		early = 0
	}
	n := 0
	for _, r := range t.rules {
		if r.days&(1<<day) == 0 {
			continue
		}
		switch {
		case early == 0:
		case r.kind == SessionRegular:
			r.cut = r.end > early
			r.end = min(r.end, early)
		case r.start >= regular:
			r.start, r.end = r.start+early-regular, r.end+early-regular
		}
		if r.start < r.end && n < maxSessions {
			out[n] = r
			n++
		}
	}
	return out
}

// check orders the rules and reports what cannot be.
func (t *sessionTable) check() error {
	if len(t.rules) == 0 {
		return errors.New("a table needs at least one session")
	}
	slices.SortStableFunc(t.rules, func(a, b sessionRule) int { return cmp.Compare(a.start, b.start) })
	for day := time.Sunday; day <= time.Saturday; day++ {
		end, n := t.day, 0
		for _, r := range t.rules {
			if r.days&(1<<day) == 0 {
				continue
			}
			if r.start < end {
				if n == 0 {
					return fmt.Errorf("the %s session starts before the day does: say when, as in: day prev 20:00", r.kind)
				}
				return fmt.Errorf("the %s session on %s overlaps the one before it", r.kind, day)
			}
			if r.end > fullDay+t.day {
				return fmt.Errorf("the %s session ends after the day does", r.kind)
			}
			end = r.end
			n++
		}
		if n > maxSessions {
			return fmt.Errorf("more than %d sessions on %s", maxSessions, day)
		}
	}
	return nil
}
