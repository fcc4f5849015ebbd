package gateway

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// pick appends what is newest of a symbol to an answer, as an object; it appends nothing when there is none. It returns the position
// on the tape that it read history as of, the last there can be when it did not.
type pick func(ctx context.Context, a *answer, n named) (tape.Position, error)

// unread is the position of what was not read from history.
const unread = tape.Position(math.MaxUint64)

// latest serves /v2/stocks/{symbol}/trades/latest and its like: {"symbol":"AAPL","trade":{…}} for one symbol,
// {"trades":{"AAPL":{…}}} for several, where those that have none are left out.
func (g *Gateway) latest(what string, of pick) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, list, single, err := g.asked(r, "feed", "currency")
		if err != nil {
			return err
		}
		epoch := g.opt.Tape.Bounds().Epoch
		a := g.answer(w, "application/json")
		var asOf tape.Position
		if single {
			a.b = appendString(append(a.b, `{"symbol":`...), list[0].text)
			a.b = append(append(append(a.b, `,"`...), strings.TrimSuffix(what, "s")...), `":`...)
			before := len(a.b)
			if asOf, err = of(r.Context(), a, list[0]); err != nil {
				return a.finish(err)
			}
			if len(a.b) == before {
				a.b = append(a.b, "null"...)
			}
		} else {
			a.b = append(append(append(a.b, `{"`...), what...), `":`...)
			if asOf, err = a.object(r.Context(), list, of); err != nil {
				return a.finish(err)
			}
		}
		a.b = append(a.b, '}', '\n')
		if asOf != unread {
			w.Header().Set(CursorHeader, tape.Cursor{Epoch: epoch, Position: asOf, Index: tape.AllEntries}.String())
		}
		if what == "bars" {
			w.Header().Set(AdjustmentHeader, "raw")
		}
		return a.finish(nil)
	}
}

// object appends an object with what is newest of each symbol, under the name that the request has for it. Symbols that have none
// are left out. The position is the least of those that history was read as of.
func (a *answer) object(ctx context.Context, list []named, of pick) (tape.Position, error) {
	asOf := unread
	a.b = append(a.b, '{')
	keys := 0
	for _, n := range list {
		before := len(a.b)
		if keys > 0 {
			a.b = append(a.b, ',')
		}
		a.b = append(appendString(a.b, n.text), ':')
		head := len(a.b)
		pos, err := of(ctx, a, n)
		if err != nil {
			return 0, err
		}
		asOf = min(asOf, pos)
		if len(a.b) == head {
			a.b = a.b[:before]
		} else {
			keys++
		}
	}
	a.b = append(a.b, '}')
	return asOf, nil
}

// newestTick is the newest trade or quote that the hub knows.
func (g *Gateway) newestTick(kind market.Kind) pick {
	return func(_ context.Context, a *answer, n named) (tape.Position, error) {
		l := g.hub.listing(n.id)
		switch {
		case kind == market.KindTrade && l.trade.Kind != 0:
			a.b = appendTrade(append(a.b, '{'), &l.trade)
		case kind == market.KindQuote && l.quote.Kind != 0:
			a.b = appendQuote(append(a.b, '{'), &l.quote)
		}
		return unread, nil
	}
}

// newestBar is the newest bar of a minute, which trades may still be coming into.
func (g *Gateway) newestBar(ctx context.Context, a *answer, n named) (tape.Position, error) {
	bars, pos, err := g.newestBars(ctx, n.symbol, market.Min1(), 1)
	if err == nil && len(bars) > 0 {
		a.b = appendBar(append(a.b, '{'), &bars[0])
	}
	return pos, err
}

// newestBars reads the newest bars of a symbol, newest first.
func (g *Gateway) newestBars(ctx context.Context, s market.Symbol, v market.Interval, limit int) ([]market.Bar, tape.Position, error) {
	bars, pos, err := g.opt.History.Bars(ctx, market.BarQuery{Symbol: s, Interval: v, Limit: limit, Descending: true}, nil)
	return slices.DeleteFunc(bars, func(b market.Bar) bool { return !b.Priced }), pos, err
}

// snapshots serves /v2/stocks/snapshots?symbols=A,B as {"A":{…},"B":{…}}, /v2/stocks/{symbol}/snapshot as {"symbol":"A",…}, and with
// a name for the whole, as for crypto, {"snapshots":{"A":{…}}}.
func (g *Gateway) snapshots(name string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, list, single, err := g.asked(r, "feed", "currency")
		if err != nil {
			return err
		}
		a := g.answer(w, "application/json")
		switch {
		case single:
			a.b = appendString(append(a.b, `{"symbol":`...), list[0].text)
			err = g.appendParts(r.Context(), a, list[0], true)
		case name != "":
			a.b = append(append(append(a.b, `{"`...), name...), `":`...)
			_, err = a.object(r.Context(), list, g.snapshot)
			a.b = append(a.b, '}')
		default:
			_, err = a.object(r.Context(), list, g.snapshot)
		}
		a.b = append(a.b, '\n')
		w.Header().Set(AdjustmentHeader, "raw")
		return a.finish(err)
	}
}

// snapshot is what is newest of a symbol in all respects. There is no cursor to go on from: its trade and quote may be a little newer
// than its bars, which are as of what is in history.
func (g *Gateway) snapshot(ctx context.Context, a *answer, n named) (tape.Position, error) {
	a.b = append(a.b, '{')
	return unread, g.appendParts(ctx, a, n, false)
}

// appendParts appends the members of a snapshot, those that there are, and closes the object. A comma precedes the first of them
// when there are others before it.
func (g *Gateway) appendParts(ctx context.Context, a *answer, n named, comma bool) error {
	part := func(name string) {
		if comma {
			a.b = append(a.b, ',')
		}
		comma = true
		a.b = append(append(append(a.b, '"'), name...), `":{`...)
	}
	l := g.hub.listing(n.id)
	if l.trade.Kind != 0 {
		part("latestTrade")
		a.b = appendTrade(a.b, &l.trade)
	}
	if l.quote.Kind != 0 {
		part("latestQuote")
		a.b = appendQuote(a.b, &l.quote)
	}
	minutes, _, err := g.newestBars(ctx, n.symbol, market.Min1(), 1)
	if err != nil {
		return err
	}
	days, _, err := g.newestBars(ctx, n.symbol, market.Day1(), 2)
	if err != nil {
		return err
	}
	if len(minutes) > 0 {
		part("minuteBar")
		a.b = appendBar(a.b, &minutes[0])
	}
	for i, name := range []string{"dailyBar", "prevDailyBar"} {
		if i < len(days) {
			part(name)
			a.b = appendBar(a.b, &days[i])
		}
	}
	a.b = append(a.b, '}')
	return nil
}
