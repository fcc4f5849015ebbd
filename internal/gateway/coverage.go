package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tapedeck/internal/market"
)

// EvidenceHistory is history that knows what is known of which time, and by what.
type EvidenceHistory interface {
	// Evidence calls yield with what is known of a symbol between two times, in no order and with overlaps, until yield returns an error,
	// which is then returned.
	Evidence(ctx context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Evidence) error) error
}

// silence is how long after the last sign of life of a feed it is still taken for connected.
const silence = 10 * market.Second

// cover is what we know of a second of a symbol.
type cover uint8

// What we may know of a second.
const (
	coverBlind      cover = iota // nothing: not connected, a gap, or before the symbol was first seen
	coverLive                    // connected, and trades came
	coverQuiet                   // connected, and nothing traded for longer than market.QuietAfter
	coverBackfilled              // fetched after the fact
	coverImported                // from a file
	coverClosed                  // the venue was closed, by the calendar
	covers                       // how many there are
)

// String names what we know as the API does.
func (c cover) String() string {
	switch c {
	case coverLive:
		return "live"
	case coverQuiet:
		return "quiet"
	case coverBackfilled:
		return "backfilled"
	case coverImported:
		return "imported"
	case coverClosed:
		return "closed"
	case coverBlind, covers:
	}
	return "blind"
}

// covered is a span of whole seconds of which the same is known.
type covered struct {
	market.Span
	cover
}

// fact is something that is true of a moment.
type fact uint8

// The facts.
const (
	factConnected fact = iota
	factLive
	factBackfilled
	factImported
	factGap
	factFilled // a gap that was filled
	factOpen
	facts
)

// edge is where a fact begins (by 1) or ends (by -1).
type edge struct {
	at   market.Time
	fact fact
	by   int
}

// The most that an answer is computed of, and holds.
const (
	coverageEdges = 1 << 20
	coverageSpans = 10_000
)

// coverage returns what is known of a symbol as of a moment (0 is now) for each second of a span, whose ends are whole seconds: spans in order
// of time, without holes and overlaps, no two neighbours alike.
func (g *Gateway) coverage(ctx context.Context, s market.Symbol, at market.Time, span market.Span) ([]covered, error) {
	// What is beside the span tells whether its first and last seconds are quiet.
	wide := market.Span{From: span.From - 2*market.QuietAfter, To: span.To + 2*market.QuietAfter}
	c := coverer{span: wide}
	if h, ok := g.opt.History.(EvidenceHistory); ok {
		err := h.Evidence(ctx, s, wide.From, wide.To, func(e market.Evidence) error {
			// Of what a file brought that is known which had happened by then, as everywhere.
			if at != 0 && (e.From > at || e.Known > at && e.Origin != market.OriginImported) {
				return nil
			}
			if at != 0 && e.Origin != market.OriginBackfilled {
				e.To = min(e.To, at)
			}
			return c.evidence(&e)
		})
		if err != nil {
			return nil, fmt.Errorf("read the coverage of %s: %w", s, err)
		}
	}
	if h, ok := g.opt.History.(GapHistory); ok {
		err := h.EachGap(ctx, s, wide.From, wide.To, func(gap market.Gap) error {
			switch {
			case gap.To == 0 || at != 0 && gap.From > at:
				return nil
			case gap.Flags&market.FlagFilled == 0:
				return c.add(factGap, market.Span{From: gap.From, To: max(gap.To, gap.From+1)})
			case at == 0: // when it was filled is not known
				return c.add(factFilled, market.Span{From: gap.From, To: gap.To})
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the gaps of %s: %w", s, err)
		}
	}
	cal := g.opt.Calendars.For(s.Venue())
	for t := wide.From; t < wide.To; {
		day := cal.Day(t)
		for _, session := range day.Sessions() {
			if err := c.add(factOpen, market.Span{From: session.Open, To: session.Close}); err != nil {
				return nil, err
			}
		}
		t = day.End
	}
	spans := c.sweep()
	for len(spans) > 0 && spans[0].To <= span.From {
		spans = spans[1:]
	}
	for len(spans) > 0 && spans[len(spans)-1].From >= span.To {
		spans = spans[:len(spans)-1]
	}
	if len(spans) > 0 {
		spans[0].From = span.From
		spans[len(spans)-1].To = span.To
	}
	return spans, nil
}

// coverer finds out what is known of each second of a span.
type coverer struct {
	span  market.Span
	edges []edge
	live  []market.Span
}

// evidence takes in evidence. Runs of trades are joined where they are near each other.
func (c *coverer) evidence(e *market.Evidence) error {
	span := market.Span{From: e.From, To: e.To}
	switch e.Origin {
	case market.OriginConnected:
		return c.add(factConnected, span)
	case market.OriginLive:
		c.live = append(c.live, span)
		if len(c.live) > coverageEdges {
			return tooMuchCoverage()
		}
	case market.OriginBackfilled:
		return c.add(factBackfilled, span)
	case market.OriginImported:
		return c.add(factImported, span)
	}
	return nil
}

func tooMuchCoverage() error {
	return bad("from", "", "there is too much to tell of this span: ask for a shorter one")
}

// add notes that a fact is true of the seconds that a span touches.
func (c *coverer) add(f fact, v market.Span) error {
	from := max(v.From, c.span.From-1).Floor(market.Second)
	to := (min(v.To, c.span.To+market.Second) + market.Second - 1).Floor(market.Second)
	from, to = max(from, c.span.From), min(to, c.span.To)
	if from >= to {
		return nil
	}
	if len(c.edges) > coverageEdges && f != factLive {
		return tooMuchCoverage()
	}
	c.edges = append(c.edges, edge{from, f, 1}, edge{to, f, -1})
	return nil
}

// joinLive adds what is known of trades that came live.
func (c *coverer) joinLive() {
	slices.SortFunc(c.live, func(a, b market.Span) int { return cmp.Compare(a.From, b.From) })
	runs := c.live[:0]
	for _, v := range c.live {
		if n := len(runs); n > 0 && v.From <= runs[n-1].To+market.QuietAfter {
			runs[n-1].To = max(runs[n-1].To, v.To)
			continue
		}
		runs = append(runs, v)
	}
	c.live = runs
	for _, run := range runs {
		_ = c.add(factLive, run) // there are fewer than are allowed
	}
}

// sweep returns the spans.
func (c *coverer) sweep() []covered {
	c.joinLive()
	slices.SortFunc(c.edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	var (
		holds [facts]int
		spans []covered
		at    = c.span.From
	)
	tell := func(to market.Time) {
		if to == at {
			return
		}
		state := judge(&holds)
		if n := len(spans); n > 0 && spans[n-1].cover == state {
			spans[n-1].To = to
		} else {
			spans = append(spans, covered{market.Span{From: at, To: to}, state})
		}
		at = to
	}
	for _, e := range c.edges {
		tell(e.at)
		holds[e.fact] += e.by
	}
	tell(c.span.To)
	return c.calm(spans)
}

// judge says what is known where some facts are true.
func judge(t *[facts]int) cover {
	whole := t[factGap] <= t[factFilled]
	switch {
	case t[factLive] > 0 && whole:
		return coverLive
	case t[factBackfilled] > 0 && whole: // what was fetched of a gap that stays open is not all of it
		return coverBackfilled
	case t[factImported] > 0:
		return coverImported
	case t[factGap] > 0 && t[factFilled] > 0:
		return coverBackfilled
	case t[factOpen] == 0:
		return coverClosed
	case t[factGap] > 0:
		return coverBlind
	case t[factConnected] > 0:
		return coverQuiet
	}
	return coverBlind
}

// calm makes what was quiet for a short time beside trades live: nobody would say that the market was quiet there.
func (c *coverer) calm(spans []covered) []covered {
	near := func(at market.Time) bool {
		i, found := slices.BinarySearchFunc(c.live, at, func(v market.Span, t market.Time) int { return cmp.Compare(v.From, t) })
		return found || i > 0 && c.live[i-1].To >= at
	}
	out := spans[:0]
	for _, v := range spans {
		if v.cover == coverQuiet && v.To-v.From <= market.QuietAfter && (near(v.From) || near(v.To)) {
			v.cover = coverLive
		}
		if n := len(out); n > 0 && out[n-1].cover == v.cover {
			out[n-1].To = v.To
			continue
		}
		out = append(out, v)
	}
	return out
}

// coverageOf returns what is known of the time of some bars, which are in order of time or the other way round, as far as it is past.
func (g *Gateway) coverageOf(ctx context.Context, s market.Symbol, at market.Time, bars []market.Bar) ([]covered, error) {
	if len(bars) == 0 {
		return nil, nil
	}
	now := at
	if now == 0 {
		now = market.FromStd(time.Now())
	}
	first, last := &bars[0], &bars[len(bars)-1]
	if first.Start > last.Start {
		first, last = last, first
	}
	span := market.Span{From: first.Start.Floor(market.Second), To: (min(last.End, now) + market.Second - 1).Floor(market.Second)}
	if span.From >= span.To {
		return nil, nil
	}
	return g.coverage(ctx, s, at, span)
}

// coverageRange is how long a span may be that coverage is told of.
const coverageRange = 11 * 366 * 24 * market.Hour

// askedSpan reads the ends of a span in whole seconds: usual of it when it has no start, now (or the moment that is asked for) when it has no
// end. What is later than that is cut off.
func (p params) askedSpan(at, usual market.Time) (market.Span, error) {
	from, to, err := p.span("from", "to", false)
	if err != nil {
		return market.Span{}, err
	}
	now := at
	if now == 0 {
		now = market.FromStd(time.Now())
	}
	now = (now + market.Second - 1).Floor(market.Second)
	v := market.Span{From: from.Floor(market.Second), To: now}
	if p["to"] != "" {
		v.To = min(now, (min(to, now) + market.Second - 1).Floor(market.Second))
	}
	if p["from"] == "" {
		v.From = v.To - usual
	}
	switch {
	case v.From < -earliestAt:
		return v, bad("from", p["from"], "no history is that old")
	case v.From >= v.To:
		return v, bad("from", p["from"], "it must be before to, and before now")
	case v.To-v.From > coverageRange:
		return v, bad("from", p["from"], "at most eleven years at once")
	}
	return v, nil
}

// tellCoverage serves GET /v1/coverage.
func (g *Gateway) tellCoverage(w http.ResponseWriter, r *http.Request) error {
	p, err := parseParams(r, "symbol", "from", "to", "limit", atParam)
	if err != nil {
		return err
	}
	n, err := g.symbol("symbol", p["symbol"])
	if err != nil {
		return err
	}
	at, err := p.moment()
	if err != nil {
		return err
	}
	limit, err := p.count(coverageSpans, coverageSpans)
	if err != nil {
		return err
	}
	span, err := p.askedSpan(at, 24*market.Hour)
	if err != nil {
		return err
	}
	spans, err := g.coverage(r.Context(), n.symbol, at, span)
	if err != nil {
		return err
	}
	var next market.Time
	if len(spans) > limit {
		next = spans[limit].From
		spans = spans[:limit]
	}
	setAt(w, at)
	a := g.answer(w, "application/json")
	a.b = appendString(append(a.b, `{"symbol":`...), string(n.symbol))
	a.b = appendTime(append(a.b, `,"from":`...), span.From)
	a.b = appendTime(append(a.b, `,"to":`...), span.To)
	a.b = appendCoverage(append(a.b, `,"seconds":`...), spans, market.Span{From: math.MinInt64, To: math.MaxInt64})
	a.b = appendSpans(append(a.b, `,"spans":`...), spans)
	if next != 0 {
		a.b = appendTime(append(a.b, `,"next":`...), next)
	}
	a.b = append(a.b, '}', '\n')
	return a.finish(nil)
}

// appendSpans appends spans as a list.
func appendSpans(b []byte, spans []covered) []byte {
	b = append(b, '[')
	for i := range spans {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTime(append(b, `{"from":`...), spans[i].From)
		b = appendTime(append(b, `,"to":`...), spans[i].To)
		b = append(appendString(append(b, `,"state":`...), spans[i].String()), '}')
	}
	return append(b, ']')
}

// appendCoverage appends how many seconds of a span are in which state, as an object of those that occur.
func appendCoverage(b []byte, spans []covered, of market.Span) []byte {
	var sums [covers]int64
	first, _ := slices.BinarySearchFunc(spans, of.From, func(v covered, t market.Time) int { return cmp.Compare(v.To, t+1) })
	for _, v := range spans[first:] {
		if v.From >= of.To {
			break
		}
		sums[v.cover] += int64((min(v.To, of.To) - max(v.From, of.From)) / market.Second)
	}
	b = append(b, '{')
	comma := false
	for _, c := range [...]cover{coverLive, coverBackfilled, coverImported, coverQuiet, coverClosed, coverBlind} {
		if sums[c] == 0 {
			continue
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(appendString(b, c.String()), ':')
		b = strconv.AppendInt(b, sums[c], 10)
	}
	return append(b, '}')
}
