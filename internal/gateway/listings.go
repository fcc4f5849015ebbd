package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// listing returns what the hub knows of a symbol now.
func (h *hub) listing(id uint32) listing {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return *h.names.list[id]
}

// symbols serves GET /v1/symbols.
func (g *Gateway) listSymbols(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	g.hub.mu.RLock()
	list := make([]listing, 0, len(g.hub.names.list)-1)
	for _, l := range g.hub.names.list[1:] {
		copied := *l
		copied.state = g.hub.names.state(l)
		list = append(list, copied)
	}
	pos := g.hub.next - 1
	g.hub.mu.RUnlock()
	slices.SortFunc(list, func(a, b listing) int { return strings.Compare(string(a.symbol), string(b.symbol)) })

	feeds := make(map[string]market.State)
	if g.opt.Feeds != nil {
		for _, f := range g.opt.Feeds() {
			feeds[f.Name] = stateOf(f.State)
		}
	}
	w.Header().Set(CursorHeader, tape.Cursor{Epoch: g.opt.Tape.Bounds().Epoch, Position: pos, Index: tape.AllEntries}.String())
	a := g.answer(w, "application/json")
	a.b = append(a.b, `{"symbols":[`...)
	for i := range list {
		l := &list[i]
		if i > 0 {
			a.b = append(a.b, ',')
		}
		if l.state == market.StateUnknown {
			l.state = feeds[l.feed] // nothing was said since the start
		}
		day, err := g.days.of(r.Context(), g.opt.History, l.symbol)
		if err != nil {
			return a.finish(err)
		}
		a.b = appendListing(a.b, l, &day, g.opt.Calendars.For(l.symbol.Venue()).Name())
	}
	a.b = append(a.b, ']', '}', '\n')
	return a.finish(nil)
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

func appendListing(b []byte, l *listing, d *day, calendar string) []byte {
	b = appendString(append(b, `{"symbol":`...), string(l.symbol))
	b = appendString(append(b, `,"venue":`...), l.symbol.Venue())
	b = appendString(append(b, `,"name":`...), l.symbol.Name())
	b = appendString(append(b, `,"feed":`...), l.feed)
	b = appendString(append(b, `,"state":`...), l.state.String())
	b = appendString(append(b, `,"calendar":`...), calendar)
	decimals := l.decimals
	if d.has {
		decimals = max(decimals, -d.bar.Open.Exp(), -d.bar.High.Exp(), -d.bar.Low.Exp())
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
	if d.has {
		b = appendBar(append(b, '{'), &d.bar)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"prevClose":`...)
	if d.hasPrev {
		b = d.prev.Append(b)
	} else {
		b = append(b, "null"...)
	}
	return append(b, '}')
}

// day is a symbol's newest daily bar and the close of the one before.
type day struct {
	bar     market.Bar
	prev    market.Decimal
	has     bool
	hasPrev bool
	read    time.Time
}

// dayCache keeps the days for a second, so that a page that is loaded by many does not ask history for each symbol each time.
type dayCache struct {
	mu   sync.Mutex
	days map[market.Symbol]day
}

func (c *dayCache) of(ctx context.Context, h History, s market.Symbol) (day, error) {
	c.mu.Lock()
	d, ok := c.days[s]
	c.mu.Unlock()
	if ok && time.Since(d.read) < time.Second {
		return d, nil
	}
	bars, _, err := h.Bars(ctx, market.BarQuery{Symbol: s, Interval: market.Day1(), Limit: 2, Descending: true}, nil)
	if err != nil {
		return day{}, err
	}
	d = day{read: time.Now()}
	for i := range bars {
		switch {
		case !bars[i].Priced:
		case !d.has:
			d.bar, d.has = bars[i], true
		default:
			d.prev, d.hasPrev = bars[i].Close, true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.days == nil {
		c.days = make(map[market.Symbol]day)
	}
	c.days[s] = d
	return d, nil
}

// listFeeds serves GET /v1/feeds.
func (g *Gateway) listFeeds(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	var feeds []FeedInfo
	if g.opt.Feeds != nil {
		feeds = g.opt.Feeds()
	}
	a := g.answer(w, "application/json")
	a.b = append(a.b, `{"feeds":[`...)
	for i := range feeds {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		a.b = appendFeed(a.b, &feeds[i])
	}
	a.b = append(a.b, ']', '}', '\n')
	return a.finish(nil)
}

func appendFeed(b []byte, f *FeedInfo) []byte {
	b = appendString(append(b, `{"name":`...), f.Name)
	b = appendString(append(b, `,"url":`...), f.URL)
	b = appendString(append(b, `,"state":`...), f.State)
	b = appendString(append(b, `,"error":`...), f.Error)
	b = strconv.AppendFloat(append(b, `,"rate":`...), f.Rate, 'f', -1, 64)
	b = appendTime(append(b, `,"lastTick":`...), f.LastTick)
	b = append(b, `,"latency":`...)
	if f.Latency >= 0 {
		b = strconv.AppendFloat(b, f.Latency.Seconds(), 'f', -1, 64)
	} else {
		b = append(b, "null"...)
	}
	b = strconv.AppendInt(append(b, `,"symbols":`...), int64(f.Symbols), 10)
	b = appendString(append(b, `,"label":`...), f.Label)
	return append(b, '}')
}
