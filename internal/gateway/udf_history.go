package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
)

// udfBars is the most that one answer of /udf/history holds, a megabyte or two while it is made. Of more, the newest are sent.
const udfBars = 5000

// udfResolutions are what the chart offers. What it asks for may be any other that parseResolution takes.
func udfResolutions() []string {
	return []string{
		"1S", "5S", "10S", "15S", "30S", "1", "2", "3", "5", "10", "15", "30", "60", "120", "180", "240", "360", "720",
		"1D", "1W", "1M", "3M", "6M", "12M",
	}
}

// parseResolution reads TradingView's name of an interval: minutes are a bare number ("5"; hours are minutes as well, "240"), the
// others end with a letter ("15S", "1D" or "D", "1W", "3M"). The case of the letter does not matter, except that "5m" is refused:
// elsewhere it means minutes, and here it would mean months.
func parseResolution(s string) (market.Interval, error) {
	refuse := func(why string) (market.Interval, error) { return market.Interval{}, bad("resolution", s, why) }
	digits := strings.TrimRight(s, "SsTtDdWwMm")
	letter := s[len(digits):]
	n := 1
	if digits != "" || letter == "" {
		v, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || v == 0 {
			return refuse("it must be minutes such as 5 or 240, or a number and a letter such as 1S, 1D, 1W or 1M")
		}
		n = int(v)
	}
	v := market.Interval{N: n, Unit: market.UnitMinute}
	limit := 59
	switch letter {
	case "":
		if n > 59 {
			if n%60 != 0 {
				return refuse("more than 59 minutes must be whole hours, such as 60 or 240")
			}
			v, limit = market.Interval{N: n / 60, Unit: market.UnitHour}, 23
		}
	case "S", "s":
		v.Unit = market.UnitSecond
	case "D", "d":
		v.Unit, limit = market.UnitDay, 1
	case "W", "w":
		v.Unit, limit = market.UnitWeek, 1
	case "M":
		v.Unit, limit = market.UnitMonth, 12
	case "m":
		return refuse("this could be minutes or months: write 1 for a minute and 1M for a month")
	case "T", "t":
		return refuse("bars of a number of ticks are not served")
	default:
		return refuse("it must be minutes such as 5 or 240, or a number and a letter such as 1S, 1D, 1W or 1M")
	}
	if v.N > limit {
		return refuse("at most " + strconv.Itoa(limit) + " of this unit")
	}
	return v, nil
}

// barClock tells where the chart puts the bars of an interval: those shorter than a day at their start, the others at midnight UTC of
// their trading day, which for weeks and months is the first one that they have. The start of a trading day would be another date
// for who trades from the evening before, and the chart would take it for that.
type barClock struct {
	interval market.Interval
	cal      *market.Calendar
	lookup   *market.Lookup
}

func (u *udf) clock(s market.Symbol, v market.Interval) *barClock {
	cal := u.g.opt.Calendars.For(s.Venue())
	return &barClock{interval: v, cal: cal, lookup: cal.Lookup()}
}

// label returns the time of a bar on the chart, in seconds.
func (c *barClock) label(b *market.Bar) int64 {
	if _, fixed := c.interval.Fixed(); fixed {
		return int64(b.Start.Floor(market.Second) / market.Second)
	}
	return int64(c.date(b.Start, b.End)) * 86_400
}

// date returns the first date with a regular session of those that a bar covers, or else its first date.
func (c *barClock) date(start, end market.Time) market.Date {
	first := c.lookup.Day(start).Date
	if c.interval.Unit == market.UnitDay {
		return first
	}
	for d := first; ; d++ {
		day := c.cal.DayOf(d)
		if day.Start >= end {
			return first
		}
		if day.Trading() {
			return d
		}
	}
}

// edge returns the start of the first bar whose label is at or after a time of the chart. It is never 0, which would leave an end of
// a query open.
func (c *barClock) edge(seconds int64) (market.Time, error) {
	at := market.Time(seconds) * market.Second
	if _, fixed := c.interval.Fixed(); !fixed {
		date := market.Date(-floorDiv(-seconds, 86_400))
		day := c.cal.DayOf(date)
		start, end, err := candle.Roller{Interval: c.interval, Calendar: c.cal}.Bounds(day.Start)
		if err != nil {
			return 0, bad("from", strconv.FormatInt(seconds, 10), "no history is that old, or that new")
		}
		if at = start; c.date(start, end) < date {
			at = end
		}
	}
	if at == 0 {
		return -1, nil // no bar starts a nanosecond before 1970
	}
	return at, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// barSpan is what a chart asks for: the bars with from ≤ label < to; 0 leaves an end open.
type barSpan struct {
	symbol   market.Symbol
	clock    *barClock
	from, to market.Time // starts of bars
	at       market.Time // moment that the answer is as of; 0 is now
	history  History     // as of it
}

// span reads the parameters that the history and the marks share. The end of the one is not part of the span, that of the others is.
func (u *udf) span(p params, inclusive bool) (barSpan, error) {
	n, err := u.named(p)
	if err != nil {
		return barSpan{}, err
	}
	v, err := parseResolution(p["resolution"])
	if err != nil {
		return barSpan{}, err
	}
	s := barSpan{symbol: n.symbol, clock: u.clock(n.symbol, v)}
	if s.at, err = p.moment(); err != nil {
		return s, err
	}
	s.history = u.g.historyAt(s.at)
	from, hasFrom, err := p.seconds("from")
	if err != nil {
		return s, err
	}
	to, hasTo, err := p.seconds("to")
	if err != nil {
		return s, err
	}
	if hasFrom && hasTo && from > to && p["countback"] == "" {
		return s, bad("to", p["to"], "it must not be before from")
	}
	if hasFrom {
		if s.from, err = s.clock.edge(from); err != nil {
			return s, err
		}
	}
	if hasTo {
		if inclusive {
			to++
		}
		if s.to, err = s.clock.edge(to); err != nil {
			return s, err
		}
	}
	return s, nil
}

// bars returns the newest limit bars of a span, the oldest first.
func (u *udf) bars(ctx context.Context, s *barSpan, limit int) ([]market.Bar, error) {
	if s.from != 0 && s.to != 0 && s.from >= s.to {
		return nil, nil
	}
	bars, _, err := s.history.Bars(ctx, market.BarQuery{
		Symbol: s.symbol, Interval: s.clock.interval, From: s.from, To: s.to, Limit: limit, Descending: true,
	}, nil)
	if err != nil {
		return nil, err
	}
	bars = slices.DeleteFunc(bars, func(b market.Bar) bool { return !b.Priced })
	slices.Reverse(bars)
	return bars, nil
}

// history serves /udf/history. With countback it sends that many bars before to, however old they are; else those from from on. An
// answer is never empty: it says no_data then, and where the next older bar is.
func (u *udf) history(w http.ResponseWriter, r *http.Request) error {
	p, err := udfParams(r)
	if err != nil {
		return err
	}
	limit := min(udfBars, u.g.opt.Limits.Page)
	text := p["countback"]
	back, err := strconv.ParseUint(text, 10, 31)
	switch {
	case text == "":
	case err != nil:
		return bad("countback", text, "it must be a number of bars")
	case back == 0:
		delete(p, "countback") // as good as none
	default:
		limit = min(limit, int(back))
	}
	s, err := u.span(p, false)
	if err != nil {
		return err
	}
	if back > 0 {
		s.from = 0
	}
	bars, err := u.bars(r.Context(), &s, limit)
	if err != nil {
		return err
	}
	older := s
	older.from, older.to = 0, s.from
	setAt(w, s.at)
	switch {
	case len(bars) == 0 && s.from != 0:
		last, err := u.bars(r.Context(), &older, 1)
		if err != nil {
			return err
		}
		return u.noData(w, s.clock, last)
	case len(bars) == 0:
		return u.noData(w, s.clock, nil)
	case len(bars) == 1 && back == 0 && s.from != 0 && !bars[0].Final:
		// A client that polls fails on a new bar that comes without the one before it.
		older.to = bars[0].Start
		last, err := u.bars(r.Context(), &older, 1)
		if err != nil {
			return err
		}
		bars = append(last, bars...)
	}
	return u.writeBars(w, s.clock, bars)
}

// noData says that there are no bars, and the label of the next older one if there is one. Its name in the protocol is misleading.
func (u *udf) noData(w http.ResponseWriter, c *barClock, older []market.Bar) error {
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, `{"s":"no_data"`...)
	if len(older) > 0 {
		a.b = strconv.AppendInt(append(a.b, `,"nextTime":`...), c.label(&older[0]), 10)
	}
	a.b = append(a.b, '}', '\n')
	return a.finish(nil)
}

// writeBars writes bars as columns.
func (u *udf) writeBars(w http.ResponseWriter, c *barClock, bars []market.Bar) error {
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, `{"s":"ok"`...)
	for _, column := range []struct {
		name  string
		value func([]byte, *market.Bar) []byte
	}{
		{"t", func(b []byte, bar *market.Bar) []byte { return strconv.AppendInt(b, c.label(bar), 10) }},
		{"o", func(b []byte, bar *market.Bar) []byte { return bar.Open.Append(b) }},
		{"h", func(b []byte, bar *market.Bar) []byte { return bar.High.Append(b) }},
		{"l", func(b []byte, bar *market.Bar) []byte { return bar.Low.Append(b) }},
		{"c", func(b []byte, bar *market.Bar) []byte { return bar.Close.Append(b) }},
		{"v", func(b []byte, bar *market.Bar) []byte { return bar.Volume.Append(b) }},
	} {
		a.b = append(append(append(a.b, `,"`...), column.name...), `":[`...)
		for i := range bars {
			if i > 0 {
				a.b = append(a.b, ',')
			}
			a.b = column.value(a.b, &bars[i])
		}
		a.b = append(a.b, ']')
	}
	a.b = append(a.b, '}', '\n')
	return a.finish(nil)
}
