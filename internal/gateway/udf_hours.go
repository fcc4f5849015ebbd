package gateway

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// hours are when a calendar trades, as TradingView writes it. The session of a symbol is all of its sessions together, because its
// bars hold the trades of all of them; its parts are told as subsessions.
type hours struct {
	zone       string
	main       udfSession
	parts      []udfSession // none when there is the regular session only
	holidays   []string     // YYYYMMDD
	multiplier []string     // minutes of the bars that begin where the sessions' own would
}

// udfSession is a session in the form "0930-1600:23456", and the days that differ from it in the form "0930-1300:20261127".
type udfSession struct {
	id, description string
	kinds           []market.SessionKind
	week            [7]string // from Sunday on; "" when closed
	usual           string
	corrections     []string
}

// hoursKey is what hours were made for. They are made again each day, because what lies ahead moves.
type hoursKey struct {
	calendar    string
	first, last market.Date
}

const (
	hoursBack  = 20 * 366 // days that hours reach back, at most
	hoursAhead = 366      // and ahead
	hoursKept  = 256      // hours in memory
)

// hoursOf returns the hours of a calendar for a symbol whose bars begin at a time.
func (u *udf) hoursOf(cal *market.Calendar, first market.Time) *hours {
	now := today(cal)
	k := hoursKey{cal.Name(), now, now + hoursAhead}
	if first != 0 {
		// Whole years, so that symbols share what is made.
		y, _, _ := cal.Day(first).Date.Civil()
		k.first = min(max(market.NewDate(y, time.January, 1), now-hoursBack), now)
	}
	if known, ok := cal.KnownUntil(); ok {
		k.last = min(k.last, max(known, now))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.hours[k]
	if h == nil {
		h = makeHours(cal, now, k.first, k.last)
		if len(u.hours) >= hoursKept {
			clear(u.hours)
		}
		u.hours[k] = h
	}
	return h
}

func makeHours(cal *market.Calendar, now, first, last market.Date) *hours {
	h := &hours{zone: cal.Zone(), main: udfSession{
		id:    "extended",
		kinds: []market.SessionKind{market.SessionPre, market.SessionRegular, market.SessionPost, market.SessionOvernight},
	}}
	if h.zone == "UTC" {
		h.zone = "Etc/UTC"
	}
	parts := []udfSession{
		{id: "regular", description: "Regular hours", kinds: []market.SessionKind{market.SessionRegular}},
		{id: "extended", description: "Extended hours", kinds: h.main.kinds},
		{id: "premarket", description: "Before the regular hours", kinds: []market.SessionKind{market.SessionPre}},
		{id: "postmarket", description: "After the regular hours", kinds: []market.SessionKind{market.SessionPost}},
	}
	h.holidays = fill(cal, now, first, last, &h.main, &parts[0], &parts[1], &parts[2], &parts[3])
	for _, s := range parts {
		if s.usual != "" && (s.id == "regular" || s.id == "extended" || s.usual != h.main.usual) {
			h.parts = append(h.parts, s)
		}
	}
	if len(h.parts) > 0 && h.parts[0].usual == h.main.usual {
		h.parts, h.main.id = nil, "regular"
	}
	h.multiplier = multipliers(cal, now)
	return h
}

// fill finds out the usual week of sessions and the days that differ from it, and returns those on which the market is closed against
// the custom of the first of them.
func fill(cal *market.Calendar, now, first, last market.Date, sessions ...*udfSession) (holidays []string) {
	for _, s := range sessions {
		s.learn(cal, now)
	}
	if sessions[0].usual == "24x7" {
		return nil
	}
	for d := first; d <= last; d++ {
		day := cal.DayOf(d)
		for i, s := range sessions {
			text := s.on(cal, &day, false)
			switch {
			case text == s.week[d.Weekday()]:
			case text != "":
				s.corrections = append(s.corrections, s.on(cal, &day, true)+":"+compact(d))
			case i == 0:
				holidays = append(holidays, compact(d))
			}
		}
	}
	return holidays
}

// compact writes a date as YYYYMMDD.
func compact(d market.Date) string {
	y, m, day := d.Civil()
	return fmt.Sprintf("%04d%02d%02d", y, m, day)
}

// learn finds out the usual week: of each weekday the most frequent of some weeks, which no holiday is.
func (s *udfSession) learn(cal *market.Calendar, now market.Date) {
	for i := range market.Date(7) {
		seen := make(map[string]int)
		usual := &s.week[(now + i).Weekday()]
		for week := range market.Date(9) {
			day := cal.DayOf(now + i + 7*week)
			text := s.on(cal, &day, false)
			if seen[text]++; week == 0 || seen[text] > seen[*usual] {
				*usual = text
			}
		}
	}
	s.usual = weekly(s.week)
}

// on writes the windows of a date, those that touch joined: "0930-1600". One that begins on the evening before is told by its start
// being after its end; exact writes how many days earlier, as corrections do: "1700F1-1700".
func (s *udfSession) on(cal *market.Calendar, day *market.Day, exact bool) string {
	var windows []market.Session
	for _, w := range day.Sessions() {
		switch n := len(windows); {
		case !slices.Contains(s.kinds, w.Kind):
		case n > 0 && windows[n-1].Close == w.Open:
			windows[n-1].Close = w.Close
		default:
			windows = append(windows, w)
		}
	}
	var b strings.Builder
	for i, w := range windows {
		if i > 0 {
			b.WriteByte(',')
		}
		from, before := wallClock(cal, day.Date, w.Open)
		to, ended := wallClock(cal, day.Date, w.Close)
		b.WriteString(from)
		if before > 0 && (exact || ended > 0) {
			b.WriteString("F" + strconv.Itoa(before))
		}
		b.WriteString("-" + to)
		if ended > 0 {
			b.WriteString("F" + strconv.Itoa(ended))
		}
	}
	return b.String()
}

// wallClock writes the time of day of an instant, and returns how many days before a date that is.
func wallClock(cal *market.Calendar, d market.Date, t market.Time) (text string, before int) {
	local := t.Std().In(cal.Location())
	return local.Format("1504"), int(d - market.NewDate(local.Date()))
}

// weekly writes a week: "24x7", "0930-1600" for Monday to Friday, or "1700-1600:2345|1700-1500:6" with days from 1, Sunday, on.
func weekly(week [7]string) string {
	if !slices.ContainsFunc(week[:], func(s string) bool { return s != "0000-0000" }) {
		return "24x7"
	}
	var texts []string
	days := make(map[string]string)
	for i, text := range week {
		if text == "" {
			continue
		}
		if days[text] == "" {
			texts = append(texts, text)
		}
		days[text] += strconv.Itoa(i + 1)
	}
	if len(texts) == 1 && days[texts[0]] == "23456" {
		return texts[0]
	}
	for i, text := range texts {
		texts[i] = text + ":" + days[text]
	}
	return strings.Join(texts, "|")
}

// multipliers returns the minutes of the bars that we have where the chart wants them. It wants them counted from the open of each
// session, ours are counted from midnight UTC, and for some that is the same all year. It makes the others of those.
func multipliers(cal *market.Calendar, now market.Date) []string {
	list := []market.Time{1, 2, 3, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720}
	for d := now; d < now+366; d++ {
		day := cal.DayOf(d)
		var end market.Time
		for _, s := range day.Sessions() {
			if s.Open == end {
				end = s.Close
				continue
			}
			end = s.Close
			list = slices.DeleteFunc(list, func(m market.Time) bool { return s.Open%(m*market.Minute) != 0 })
		}
	}
	texts := make([]string, len(list))
	for i, m := range list {
		texts[i] = strconv.Itoa(int(m))
	}
	return texts
}

// append writes the members of a symbol that are about its hours.
func (h *hours) append(b []byte) []byte {
	b = appendString(append(b, `,"timezone":`...), h.zone)
	b = appendString(append(b, `,"session":`...), h.main.usual)
	b = appendString(append(b, `,"session_holidays":`...), strings.Join(h.holidays, ","))
	b = appendString(append(b, `,"corrections":`...), strings.Join(h.main.corrections, ";"))
	b = appendString(append(b, `,"subsession_id":`...), h.main.id)
	if len(h.parts) > 0 {
		b = append(b, `,"subsessions":`...)
		for i, s := range h.parts {
			if i == 0 {
				b = append(b, '[')
			} else {
				b = append(b, ',')
			}
			b = appendString(append(b, `{"id":`...), s.id)
			b = appendString(append(b, `,"description":`...), s.description)
			b = appendString(append(b, `,"session":`...), s.usual)
			if len(s.corrections) > 0 {
				b = appendString(append(b, `,"session-correction":`...), strings.Join(s.corrections, ";"))
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = append(b, `,"has_intraday":true,"intraday_multipliers":`...)
	return appendStrings(b, h.multiplier)
}
