package gateway

import (
	"context"
	"fmt"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// recentBars are the newest bars of a symbol that have a price, trades may still be coming into the first two. A bar that is not priced
// stands for none. They are as of what the hub has read: the newest trade that it knows is in them, and none after it.
type recentBars struct {
	minute, day, previous market.Bar

	// stale is the record since which only history knows the bars, because something happened that the hub cannot follow; 0 while it can.
	stale tape.Position
	// mixed is the latest time of trades that came as history, which the hub leaves out: of a day that begins before it, only history knows
	// the bars.
	mixed market.Time
}

// freshBars are what a record made of the newest bars of a symbol.
type freshBars struct {
	id          uint32
	minute, day market.Bar
}

// pastTime says that something of the past came for a symbol.
type pastTime struct {
	id uint32
	at market.Time
}

// amendedBar is a bar, not the newest, that a late trade changed, or (delta) just what is to be laid over it.
type amendedBar struct {
	symbol market.Symbol
	bar    market.Bar
	delta  bool
}

// recents keeps the newest bars of the symbols, by their numbers. The hub's lock guards bars; the rest belongs to the hub's goroutine.
type recents struct {
	bars []recentBars

	fresh   []freshBars
	amended []amendedBar
	past    []pastTime
	gaps    []int32  // entries of the record that are gaps
	seen    []uint32 // round in which a symbol was last noted, by number
	round   uint32
}

// of returns the bars of a symbol. It is called with the hub's lock held, to write.
func (r *recents) of(id uint32) *recentBars {
	if int(id) >= len(r.bars) {
		r.bars = append(r.bars, make([]recentBars, int(id)+1-len(r.bars)+64)...)
	}
	return &r.bars[id]
}

// amend takes in a change of a bar that need not be the newest: a late trade can also make a bar between others.
func (r *recents) amend(c *candle.Change) {
	if c.Revised || c.Delta || c.Closed && c.Bar.Priced {
		r.amended = append(r.amended, amendedBar{c.Bar.Symbol, c.Bar, c.Delta})
	}
}

// first reports whether a symbol is seen for the first time in a round.
func (r *recents) first(id uint32) bool {
	if int(id) >= len(r.seen) {
		r.seen = append(r.seen, make([]uint32, int(id)+1-len(r.seen)+64)...)
	}
	if r.seen[id] == r.round {
		return false
	}
	r.seen[id] = r.round
	return true
}

// gather collects what a record did to the newest bars, before the lock is taken.
func (r *recents) gather(b *block, m *barMaker, number func(market.Symbol) uint32) {
	r.fresh, r.past, r.gaps = r.fresh[:0], r.past[:0], r.gaps[:0]
	r.round++
	for i := range b.events {
		ev := &b.events[i]
		switch {
		case ev.channel == chGaps:
			r.gaps = append(r.gaps, ev.entry)
		case ev.channel == chTrades && r.first(ev.symbol):
			s := b.rec.Entries[ev.entry].Symbol
			f := freshBars{id: ev.symbol}
			f.minute, _ = m.machine.Latest(s, market.Min1())
			f.day, _ = m.machine.Latest(s, market.Day1())
			r.fresh = append(r.fresh, f)
		}
	}
	for i := range b.rec.Entries {
		e := &b.rec.Entries[i]
		if e.Symbol != "" && (e.Kind == market.KindBar || e.Kind == market.KindTrade && e.Flags&market.FlagHistory != 0) {
			id := number(e.Symbol)
			if n := len(r.past); n == 0 || r.past[n-1].id != id {
				r.past = append(r.past, pastTime{id: id})
			}
			if last := &r.past[len(r.past)-1]; e.Kind == market.KindTrade {
				last.at = max(last.at, e.Event+1)
			}
		}
	}
}

// settle brings the newest bars up to date with a record that was gathered. It is called with the hub's lock held.
func (r *recents) settle(b *block, names *directory) {
	for _, p := range r.past {
		known := r.of(p.id)
		known.stale = b.rec.Through
		known.mixed = max(known.mixed, p.at)
	}
	for i := range r.fresh {
		f := &r.fresh[i]
		r.of(f.id).renew(f, b.rec.Through)
	}
	for i := range r.amended {
		a := &r.amended[i]
		r.of(names.index[a.symbol]).amend(a, b.rec.Through)
	}
	r.amended = r.amended[:0]
	for _, i := range r.gaps {
		e := &b.rec.Entries[i]
		for id := 1; id < len(names.list); id++ {
			l := names.list[id]
			if e.Symbol == l.symbol || e.Symbol == "" && (b.rec.Feed == l.feed || b.rec.Feed == "") {
				r.of(uint32(id)).stale = b.rec.Through
			}
		}
	}
}

// skipped notes that records were not read.
func (r *recents) skipped(through tape.Position, symbols int) {
	for id := 1; id < symbols; id++ {
		r.of(uint32(id)).stale = through
	}
}

// renew takes in the newest bars that the hub's machine has.
func (k *recentBars) renew(f *freshBars, pos tape.Position) {
	if f.minute.Priced && f.minute.Start >= k.minute.Start {
		k.minute = f.minute
	}
	if f.day.Priced && f.day.Start >= k.day.Start {
		if f.day.Start > k.day.Start && k.day.Priced {
			k.previous = k.day
		}
		k.day = f.day
	}
	if k.mixed > k.day.Start {
		k.stale = pos // the day of the hub lacks some trades
	}
}

// amend changes the bar that was amended, if it is one of these.
func (k *recentBars) amend(a *amendedBar, pos tape.Position) {
	bars := []*market.Bar{&k.minute}
	if a.bar.Interval == market.Day1() {
		bars = []*market.Bar{&k.day, &k.previous}
	}
	for _, b := range bars {
		switch {
		case b.Priced && a.bar.Start > b.Start:
			// A bar that was not known to be, or had no price.
			k.stale = pos
			return
		case !b.Priced || a.bar.Start < b.Start:
			continue
		case !a.delta:
			// It is as of an entry of the record, and what is there may be as of a later one. Numbers tell: they are in the order of arrival.
			if k.mixed > a.bar.Start {
				k.stale = pos
			} else if a.bar.LastSeq >= b.LastSeq {
				*b = a.bar
			}
			return
		}
		whole, err := candle.Merge(*b, a.bar)
		if err != nil {
			k.stale = pos
			return
		}
		*b = whole
		return
	}
	if !bars[len(bars)-1].Priced {
		k.stale = pos
	}
}

// load takes in bars of history, the newest first.
func (k *recentBars) load(minutes, days []market.Bar) {
	k.minute, k.day, k.previous = market.Bar{}, market.Bar{}, market.Bar{}
	for i := range minutes {
		if minutes[i].Priced {
			k.minute = minutes[i]
			break
		}
	}
	for i := range days {
		switch {
		case !days[i].Priced:
		case !k.day.Priced:
			k.day = days[i]
		default:
			k.previous = days[i]
			return
		}
	}
}

// known is what is newest of a symbol: ticks and bars.
type known struct {
	listing
	recentBars
}

// parts are what an answer needs of what is newest of a symbol.
type parts uint8

const (
	partTrade  parts = 1 << 0
	partQuote  parts = 1 << 1
	partMinute parts = 1 << 2
	partDays   parts = 1 << 3 // the newest day and the one before
	partBars         = partMinute | partDays
)

// newestAt returns what is newest of symbols as of a moment, that of now when it is 0, and the position on the tape that it is as of: 0
// for a moment of the past.
func (g *Gateway) newestAt(ctx context.Context, at market.Time, list []named, want parts) ([]known, tape.Position, error) {
	ids := make([]uint32, len(list))
	for i := range list {
		ids[i] = list[i].id
	}
	out := make([]known, 0, len(list))
	if at == 0 {
		return g.knowns(ctx, ids, want, out)
	}
	for _, id := range ids {
		k, err := g.knownAt(ctx, at, id, want)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, k)
	}
	return out, 0, nil
}

// knowns returns what the hub knows of symbols, all as of one position on the tape, which it returns as well. What it cannot know it
// reads from history; then the position is the least of those that were read.
func (g *Gateway) knowns(ctx context.Context, ids []uint32, want parts, dst []known) ([]known, tape.Position, error) {
	h := g.hub
	h.mu.RLock()
	pos := h.next - 1
	for _, id := range ids {
		k := known{listing: *h.names.list[id]}
		k.state = h.names.state(&k.listing)
		if int(id) < len(h.recent.bars) {
			k.recentBars = h.recent.bars[id]
		}
		dst = append(dst, k)
	}
	h.mu.RUnlock()
	for i := range dst {
		if dst[i].stale == 0 || want&partBars == 0 {
			continue
		}
		at, err := g.reread(ctx, ids[i], &dst[i])
		if err != nil {
			return dst, 0, err
		}
		pos = min(pos, at)
	}
	return dst, pos, nil
}

// reread takes the newest bars of a symbol from history, for the hub too if history has what made the hub's stale.
func (g *Gateway) reread(ctx context.Context, id uint32, k *known) (tape.Position, error) {
	minutes, pos, err := g.opt.History.Bars(ctx, market.BarQuery{Symbol: k.symbol, Interval: market.Min1(), Limit: 1, Descending: true}, nil)
	if err != nil {
		return 0, fmt.Errorf("read the newest bars of %s: %w", k.symbol, err)
	}
	days, later, err := g.opt.History.Bars(ctx, market.BarQuery{Symbol: k.symbol, Interval: market.Day1(), Limit: 2, Descending: true}, nil)
	if err != nil {
		return 0, fmt.Errorf("read the newest bars of %s: %w", k.symbol, err)
	}
	pos = min(pos, later)
	k.load(minutes, days)
	h := g.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.recent.of(id); r.stale == k.stale && pos >= r.stale {
		r.load(minutes, days)
		r.stale = 0
	}
	return pos, nil
}
