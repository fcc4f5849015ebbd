package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// listing returns what the hub knows of a symbol now.
func (h *hub) listing(id uint32) listing {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return *h.names.list[id]
}

// The results of a search in /v1/symbols.
const (
	symbolsFound     = 50 // when the client does not say
	symbolsFoundMost = 1000
)

// listSymbols serves GET /v1/symbols: every symbol that is known, or was at a moment; or what a search finds, those that a venue only
// lists included.
func (g *Gateway) listSymbols(w http.ResponseWriter, r *http.Request) error {
	p, err := parseParams(r, atParam, "query", "limit")
	if err != nil {
		return err
	}
	at, err := p.moment()
	if err != nil {
		return err
	}
	list, listed, err := g.symbolsWanted(p, at)
	if err != nil {
		return err
	}
	news, pos, err := g.newestAt(r.Context(), at, list, partTrade|partQuote|partBars)
	if err != nil {
		return err
	}
	if at != 0 {
		news = slices.DeleteFunc(news, func(k known) bool { return k.trade.Kind == 0 && k.quote.Kind == 0 && !k.day.Priced && !k.minute.Priced })
		if err := g.statesAt(r.Context(), at, news); err != nil {
			return err
		}
	}
	feeds := make(map[string]market.State)
	if g.opt.Feeds != nil && at == 0 {
		for _, f := range g.opt.Feeds() {
			feeds[f.Name] = stateOf(f.State)
		}
	}
	if setAt(w, at); at == 0 {
		w.Header().Set(CursorHeader, tape.Cursor{Epoch: g.opt.Tape.Bounds().Epoch, Position: pos, Index: tape.AllEntries}.String())
	}
	a := g.answer(w, "application/json")
	a.b = append(a.b, `{"symbols":[`...)
	for i := range news {
		k := &news[i]
		if i > 0 {
			a.b = append(a.b, ',')
		}
		if k.state == market.StateUnknown {
			k.state = feeds[k.feed] // nothing was said since the start
		}
		g.appendListing(a, k)
	}
	for i := range listed {
		if len(news)+i > 0 {
			a.b = append(a.b, ',')
		}
		g.appendInstrument(a, &listed[i].instrument)
	}
	a.b = append(a.b, ']', '}', '\n')
	return a.finish(nil)
}

// symbolsWanted returns the symbols that ticks came of and that are asked for, in the order of the answer, and those that are listed only.
// What venues list is of now: of the past there is none.
func (g *Gateway) symbolsWanted(p params, at market.Time) (list []named, listed []match, err error) {
	query, searched := p["query"]
	if !searched {
		if _, given := p["limit"]; given {
			return nil, nil, bad("limit", p["limit"], "it bounds a search: say query as well")
		}
		g.hub.mu.RLock()
		defer g.hub.mu.RUnlock()
		list = make([]named, 0, len(g.hub.names.list)-1)
		for id, l := range g.hub.names.list {
			if id != 0 {
				list = append(list, named{symbol: l.symbol, id: uint32(id)})
			}
		}
		slices.SortFunc(list, func(a, b named) int { return strings.Compare(string(a.symbol), string(b.symbol)) })
		return list, nil, nil
	}
	limit, err := p.count(symbolsFound, symbolsFoundMost)
	if err != nil {
		return nil, nil, err
	}
	query = strings.ToUpper(strings.TrimSpace(query))
	if len(query) > 2*market.MaxSymbol {
		return nil, nil, bad("query", query, "this is longer than a symbol can be")
	}
	for _, m := range g.search(query, limit, func(market.Symbol) bool { return true }) {
		switch {
		case m.id != 0:
			list = append(list, named{symbol: m.symbol, id: m.id})
		case at == 0:
			listed = append(listed, m)
		}
	}
	return list, listed, nil
}

// statesAt fills in the states that symbols had at a moment, as far as evidence tells: live, or down, or nothing.
func (g *Gateway) statesAt(ctx context.Context, at market.Time, news []known) error {
	h, ok := g.opt.History.(EvidenceHistory)
	if !ok {
		return nil
	}
	for i := range news {
		news[i].state = market.StateUnknown
		err := h.Evidence(ctx, news[i].symbol, at-market.QuietAfter, at+1, func(e market.Evidence) error {
			switch {
			case e.Origin != market.OriginConnected || e.Known > at:
			case e.To >= at-silence:
				news[i].state = market.StateLive
			case news[i].state == market.StateUnknown:
				news[i].state = market.StateDown
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the state of %s: %w", news[i].symbol, err)
		}
	}
	return nil
}

// stateOf is the state of symbols whose feed is in a state.
func stateOf(feed string) market.State {
	switch feed {
	case "live":
		return market.StateLive
	case "stale":
		return market.StateStale
	case "down", "connecting":
		return market.StateDown
	case "done", "closed":
		return market.StateClosed
	}
	return market.StateUnknown
}

// appendListing writes what is known of a symbol.
func (g *Gateway) appendListing(a *answer, l *known) {
	a.b = appendKnown(a.b, l, g.opt.Calendars.For(l.symbol.Venue()).Name())
	tick, lot := g.steps(l.symbol)
	a.b = appendStep(append(a.b, `,"carried":true,"tick":`...), tick)
	a.b = append(appendStep(append(a.b, `,"lot":`...), lot), '}')
}

// appendInstrument writes an instrument that no tick came of.
func (g *Gateway) appendInstrument(a *answer, in *Instrument) {
	k := known{listing: listing{symbol: in.Symbol, feed: in.Feed, decimals: digitsOf(in.Tick)}}
	a.b = appendKnown(a.b, &k, g.opt.Calendars.For(in.Symbol.Venue()).Name())
	a.b = appendStep(append(a.b, `,"carried":false,"tick":`...), in.Tick)
	a.b = appendStep(append(a.b, `,"lot":`...), in.Lot)
	a.b = append(strconv.AppendBool(append(a.b, `,"resting":`...), in.Resting), '}')
}

// appendStep writes a step, null when it is not known.
func appendStep(b []byte, step market.Decimal) []byte {
	if step.Sign() <= 0 {
		return append(b, "null"...)
	}
	return step.Append(b)
}

func appendKnown(b []byte, l *known, calendar string) []byte {
	b = appendString(append(b, `{"symbol":`...), string(l.symbol))
	b = appendString(append(b, `,"venue":`...), l.symbol.Venue())
	b = appendString(append(b, `,"name":`...), l.symbol.Name())
	b = appendString(append(b, `,"feed":`...), l.feed)
	b = appendString(append(b, `,"state":`...), l.state.String())
	b = appendString(append(b, `,"calendar":`...), calendar)
	decimals := l.decimals
	if l.day.Priced {
		decimals = max(decimals, -l.day.Open.Exp(), -l.day.High.Exp(), -l.day.Low.Exp())
	}
	b = strconv.AppendInt(append(b, `,"decimals":`...), int64(decimals), 10)
	b = append(b, `,"last":`...)
	if l.trade.Kind != 0 {
		b = l.trade.Price.Append(append(b, `{"p":`...))
		b = l.trade.Size.Append(append(b, `,"s":`...))
		b = append(appendTime(append(b, `,"t":`...), l.trade.Event), '}')
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"quote":`...)
	if l.quote.Kind != 0 {
		b = l.quote.Price.Append(append(b, `{"bp":`...))
		b = l.quote.Size.Append(append(b, `,"bs":`...))
		b = l.quote.Ask.Append(append(b, `,"ap":`...))
		b = l.quote.AskSize.Append(append(b, `,"as":`...))
		b = append(appendTime(append(b, `,"t":`...), l.quote.Event), '}')
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"day":`...)
	if l.day.Priced {
		b = appendBar(append(b, '{'), &l.day)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"prevClose":`...)
	if l.previous.Priced {
		b = l.previous.Close.Append(b)
	} else {
		b = append(b, "null"...)
	}
	return b
}
