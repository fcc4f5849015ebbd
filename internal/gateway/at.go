package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// AtHeader names the response header that tells the moment that an answer is as of, when the request named one.
const AtHeader = "Tapedeck-At"

// atParam is the parameter that asks for an answer as of a moment.
const atParam = "at"

// LateHistory is history that knows which trades came late. Of one that does not, any trade may have.
type LateHistory interface {
	// Late appends the spans of event times in which trades of a symbol may lie that happened more than a minute before a moment and
	// were received after it, and returns the extended slice.
	Late(ctx context.Context, symbol market.Symbol, at market.Time, dst []market.Span) ([]market.Span, error)
}

const (
	// lateAfter is how long before a moment a trade must have happened to have been received by then, if it is in no late span.
	lateAfter = market.Minute

	// earlyBefore is how far the time of a tick may be ahead of its receipt. One beyond that has a wrong clock: it is in no bar, and no
	// view of the past has it.
	earlyBefore = 10 * market.Second
)

// moment reads the parameter at: the moment that an answer is as of; 0 is now.
func (p params) moment() (market.Time, error) {
	text, ok := p[atParam]
	if !ok {
		return 0, nil
	}
	at, _, err := instant(atParam, text)
	switch {
	case err != nil:
		return 0, err
	case at > market.FromStd(time.Now()):
		return 0, bad(atParam, text, "it must not be in the future")
	case at < -earliestAt:
		return 0, bad(atParam, text, "no history is that old")
	case at == 0:
		return 1, nil
	}
	return at, nil
}

// earliestAt bounds how long before 1970 a moment may be, so that no arithmetic on it can overflow.
const earliestAt market.Time = 9_000_000_000_000_000_000

// since returns history as of a moment, that of now when it is 0.
func (g *Gateway) historyAt(at market.Time) History {
	if at == 0 {
		return g.opt.History
	}
	return &asOf{History: g.opt.History, g: g, at: at}
}

// setAt tells in the answer what moment it is as of.
func setAt(w http.ResponseWriter, at market.Time) {
	if at != 0 {
		w.Header().Set(AtHeader, at.String())
	}
}

// asOf is history as it was at a moment: what had been received by then, and of what files brought, what had happened by then. It
// belongs to one request.
type asOf struct {
	History

	g  *Gateway
	at market.Time

	late map[market.Symbol][]market.Span
}

// has reports whether a tick is part of what was known at the moment.
func (a *asOf) has(e *market.Entry) bool {
	if e.Flags&(market.FlagImported|market.FlagHistory) != 0 {
		return e.Event <= a.at
	}
	return e.Received <= a.at && e.Event <= a.at+earlyBefore
}

// errLimit ends a query that has as many rows as were asked for.
var errLimit = errors.New("limit reached")

// Ticks is that of History, without what was not known at the moment.
func (a *asOf) Ticks(ctx context.Context, q market.TickQuery, yield func(*market.Row) error) error {
	if end := a.at + earlyBefore + 1; q.To == 0 || q.To > end {
		q.To = end
	}
	left := q.Limit
	q.Limit = math.MaxInt
	err := a.History.Ticks(ctx, q, func(row *market.Row) error {
		if !a.has(&row.Entry) {
			return nil
		}
		if err := yield(row); err != nil {
			return err
		}
		if left--; left == 0 {
			return errLimit
		}
		return nil
	})
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// Bars is that of History, with the bars as they were at the moment. Most are as they are now. Those that trades may have come into since
// are made again: those that were forming, and those that late trades changed.
func (a *asOf) Bars(ctx context.Context, q market.BarQuery, dst []market.Bar) ([]market.Bar, tape.Position, error) {
	if end := a.at + earlyBefore + 1; q.To == 0 || q.To > end {
		q.To = end
	}
	late, err := a.lateSpans(ctx, q.Symbol)
	if err != nil {
		return dst, 0, err
	}
	asOf := tape.Position(math.MaxUint64)
	for wanted := len(dst) + q.Limit; len(dst) < wanted; {
		page := q
		page.Limit = wanted - len(dst)
		bars, pos, err := a.History.Bars(ctx, page, nil)
		if err != nil {
			return dst, 0, err
		}
		asOf = min(asOf, pos)
		more := len(bars) == page.Limit
		if more {
			goOn(&q, bars[len(bars)-1].Start)
		}
		if bars, err = a.correct(ctx, &q, late, bars); err != nil {
			return dst, 0, err
		}
		dst = append(dst, bars...)
		if !more || q.From != 0 && q.To != 0 && q.From >= q.To {
			break
		}
	}
	return dst, asOf, nil
}

// lateSpans returns where trades of a symbol may be that were not known yet although they had happened, in order of time. Its last span
// is that of the last minute.
func (a *asOf) lateSpans(ctx context.Context, s market.Symbol) ([]market.Span, error) {
	if spans, ok := a.late[s]; ok {
		return spans, nil
	}
	spans := []market.Span{{From: a.at - lateAfter, To: math.MaxInt64}}
	if h, ok := a.g.opt.History.(LateHistory); !ok {
		spans[0].From = math.MinInt64
	} else {
		var err error
		if spans, err = h.Late(ctx, s, a.at, spans); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(spans, func(x, y market.Span) int {
		if x.From < y.From {
			return -1
		}
		return 1
	})
	joined := spans[:1]
	for _, v := range spans[1:] {
		if last := &joined[len(joined)-1]; v.From <= last.To {
			last.To = max(last.To, v.To)
			continue
		}
		joined = append(joined, v)
	}
	if a.late == nil {
		a.late = make(map[market.Symbol][]market.Span)
	}
	a.late[s] = joined
	return joined, nil
}

// doubtful reports whether a bar may have been another one at the moment.
func (a *asOf) doubtful(late []market.Span, b *market.Bar) bool {
	if b.Imported {
		return b.End > a.at
	}
	i, _ := slices.BinarySearchFunc(late, b.Start, func(v market.Span, t market.Time) int {
		if v.To <= t {
			return -1
		}
		return 1
	})
	return i < len(late) && late[i].From < b.End
}

// correct makes those of the bars again that may have been others at the moment, and leaves out those that were not yet. The bars are
// in the order of the query.
func (a *asOf) correct(ctx context.Context, q *market.BarQuery, late []market.Span, bars []market.Bar) ([]market.Bar, error) {
	out := bars[:0:0]
	for i := 0; i < len(bars); {
		if !a.doubtful(late, &bars[i]) {
			out = append(out, bars[i])
			i++
			continue
		}
		// A run of doubtful bars is read at once.
		end := i + 1
		for end < len(bars) && a.doubtful(late, &bars[end]) {
			end++
		}
		first, last := &bars[i], &bars[end-1]
		if q.Descending {
			first, last = last, first
		}
		made, err := a.make(ctx, q.Symbol, q.Interval, market.Span{From: first.Start, To: last.End})
		if err != nil {
			return nil, err
		}
		if !q.Unpriced {
			made = slices.DeleteFunc(made, func(b market.Bar) bool { return !b.Priced })
		}
		if err := a.mark(ctx, q.Symbol, bars[i:end], made); err != nil {
			return nil, err
		}
		if q.Descending {
			slices.Reverse(made)
		}
		out = append(out, made...)
		i = end
	}
	return out, nil
}

// mark says of bars that were made which of them had a gap within them at the moment, and which had closed. Of those bars that have no
// gap now none is marked.
func (a *asOf) mark(ctx context.Context, s market.Symbol, stored, made []market.Bar) error {
	gappy := slices.ContainsFunc(stored, func(b market.Bar) bool { return b.Gappy })
	for i := range made {
		made[i].Gappy, made[i].Rev = false, 0
		made[i].Final = made[i].End+market.Second <= a.at
	}
	h, ok := a.g.opt.History.(GapHistory)
	if !ok || !gappy || len(made) == 0 {
		return nil
	}
	return h.EachGap(ctx, s, made[0].Start, made[len(made)-1].End, func(g market.Gap) error {
		if g.Flags&market.FlagFilled != 0 || g.To > a.at {
			return nil // a gap is noted when it ends
		}
		for i := range made {
			b := &made[i]
			if g.From < b.End && max(g.To, g.From+1) > b.Start && slices.ContainsFunc(stored, func(c market.Bar) bool { return c.Start == b.Start && c.Gappy }) {
				b.Gappy = true
			}
		}
		return nil
	})
}

// make returns the bars of a span as they were at the moment, by rising start: the shorter ones from trades, the others from bars of a
// minute or a day.
func (a *asOf) make(ctx context.Context, s market.Symbol, v market.Interval, span market.Span) ([]market.Bar, error) {
	const direct = 5 * market.Minute // beyond it, reading bars pays
	length, fixed := v.Fixed()
	switch {
	case fixed && length <= direct:
		return a.fromTrades(ctx, s, v, span)
	case v == market.Day1():
		return a.makeDays(ctx, s, span)
	}
	base := market.Min1()
	if !fixed {
		base = market.Day1()
	}
	return a.roll(ctx, s, base, v, span)
}

// roll rolls the bars of a shorter interval up.
func (a *asOf) roll(ctx context.Context, s market.Symbol, base, v market.Interval, span market.Span) ([]market.Bar, error) {
	bars, err := a.all(ctx, s, base, span)
	if err != nil {
		return nil, err
	}
	return candle.Roller{Interval: v, Calendar: a.g.opt.Calendars.For(s.Venue()), AsOf: a.at}.Roll(nil, bars)
}

// all returns all bars that start in a span.
func (a *asOf) all(ctx context.Context, s market.Symbol, v market.Interval, span market.Span) ([]market.Bar, error) {
	if span.From >= span.To {
		return nil, nil
	}
	bars, _, err := a.Bars(ctx, market.BarQuery{Symbol: s, Interval: v, From: span.From, To: span.To, Limit: math.MaxInt32, Unpriced: true}, nil)
	return bars, err
}

// fromTrades makes bars of trades.
func (a *asOf) fromTrades(ctx context.Context, s market.Symbol, v market.Interval, span market.Span) ([]market.Bar, error) {
	m, err := candle.New(candle.Options{Intervals: []market.Interval{v}, Calendars: a.g.opt.Calendars, Rules: a.g.opt.Rules})
	if err != nil {
		return nil, err
	}
	var (
		bars    []market.Bar
		changes []candle.Change
		pushed  int
		places  = make(map[market.Time]int)
	)
	drain := func() {
		changes = m.Drain(changes[:0])
		for i := range changes {
			b := &changes[i].Bar
			at, ok := places[b.Start]
			if !ok {
				at = len(bars)
				places[b.Start] = at
				bars = append(bars, market.Bar{})
			}
			bars[at] = *b
		}
	}
	feed := m.Feed("")
	q := market.TickQuery{Kind: market.KindTrade, Symbol: s, From: span.From, To: span.To, Limit: math.MaxInt}
	err = a.Ticks(ctx, q, func(row *market.Row) error {
		_ = feed.Push(&row.Entry) // what cannot be in a bar is in none of the recorder's either
		if pushed++; pushed%drainAfter == 0 {
			drain()
		}
		return nil
	})
	drain()
	return bars, err
}

// drainAfter is how many trades are pushed before the bars are taken out: few enough that no bar has been forgotten.
const drainAfter = 1024

// makeDays makes daily bars. Where the rules of the venue let them be the sum of their minutes, only the prints of the closing auctions are
// looked for among the trades.
func (a *asOf) makeDays(ctx context.Context, s market.Symbol, span market.Span) ([]market.Bar, error) {
	cal := a.g.opt.Calendars.For(s.Venue())
	rules, err := a.g.rules(s.Venue())
	if err != nil {
		return nil, err
	}
	regular, extended := rules.Agree()
	lookup := cal.Lookup()
	var days []market.Bar
	for at := span.From; at < span.To; {
		day := *lookup.Day(at)
		at = day.End
		var parts []market.Bar
		whole := false
		for _, session := range day.Sessions() {
			if !cal.MakesDays(day.Date, session.Kind) {
				continue
			}
			agree := extended
			if session.Kind == market.SessionRegular {
				agree = regular
			}
			if whole = !agree || session.Open%market.Minute != 0 || session.Close%market.Minute != 0; whole {
				break
			}
			if parts, err = a.session(ctx, s, session, parts); err != nil {
				return nil, err
			}
		}
		rest := market.Span{From: day.Start, To: day.End}
		if whole {
			parts = nil
		} else {
			rest.From = auctions(cal, &day)
		}
		if rest.From < min(rest.To, a.at+earlyBefore+1) {
			made, err := a.fromTrades(ctx, s, market.Day1(), rest)
			if err != nil {
				return nil, err
			}
			parts = append(parts, made...)
		}
		var sum market.Bar
		for _, part := range parts {
			if sum, err = candle.Merge(sum, part); err != nil {
				return nil, err
			}
		}
		if len(parts) > 0 {
			sum.Start, sum.End = day.Start, day.End
			days = append(days, sum)
		}
	}
	return days, nil
}

// auctions returns from when on, after the sessions that make a day, the print of a closing auction makes it too: the end of the day when
// it has none.
func auctions(cal *market.Calendar, day *market.Day) market.Time {
	regular, ok := day.Regular()
	if !ok {
		return day.End
	}
	from := regular.Close
	for _, s := range day.Sessions() {
		if cal.MakesDays(day.Date, s.Kind) {
			from = max(from, s.Close)
		}
	}
	return from
}

// session appends the parts of the daily bar that the bars of a session make: of minutes up to the first whole hour and from the last one
// on, and of the hours between.
func (a *asOf) session(ctx context.Context, s market.Symbol, session market.Session, parts []market.Bar) ([]market.Bar, error) {
	end := min(session.Close, (a.at + earlyBefore + market.Minute).Floor(market.Minute))
	first := -(-session.Open).Floor(market.Hour)
	last := end.Floor(market.Hour)
	if first >= last {
		first, last = end, end
	}
	for _, part := range [...]struct {
		base market.Interval
		span market.Span
	}{
		{market.Min1(), market.Span{From: session.Open, To: first}},
		{market.Hour1(), market.Span{From: first, To: last}},
		{market.Min1(), market.Span{From: last, To: end}},
	} {
		made, err := a.roll(ctx, s, part.base, market.Day1(), part.span)
		if err != nil {
			return nil, err
		}
		parts = append(parts, made...)
	}
	return parts, nil
}

// rules returns the rule set of a venue's trades.
func (g *Gateway) rules(venue string) (*market.Rules, error) {
	if g.opt.Rules != nil {
		if r := g.opt.Rules(venue); r != nil {
			return r, nil
		}
	}
	return market.RuleSet(market.RulesFor(venue))
}
