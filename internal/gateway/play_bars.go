package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// wantsBars reports whether any bars are subscribed to.
func (s *subscriptions) wantsBars() bool {
	return !s.sets[chBars].empty() || !s.sets[chUpdatedBars].empty() || !s.sets[chDailyBars].empty()
}

// bars returns the symbols whose bars are wanted.
func (s *subscriptions) bars() *set {
	bars := s.sets[chBars].clone()
	bars.merge(&s.sets[chUpdatedBars])
	bars.merge(&s.sets[chDailyBars])
	return &bars
}

// clone returns a copy that shares nothing.
func (s *set) clone() set {
	c := set{}
	c.merge(s)
	return c
}

// merge adds another set.
func (s *set) merge(o *set) {
	s.all = s.all || o.all
	for name, id := range o.names {
		s.add(name, id)
	}
}

// symbols returns the symbols that are known, in no order.
func (s *set) symbols() []market.Symbol {
	var list []market.Symbol
	for name, id := range s.names {
		if id != 0 {
			list = append(list, market.Symbol(name))
		}
	}
	return list
}

// isImported reports whether a symbol is known of files only, as the names of their feeds tell.
func (h *hub) isImported(id uint32) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return int(id) < len(h.names.list) && id != 0 && strings.HasPrefix(h.names.list[id].feed, "import-")
}

// take takes in an entry without telling what bars it causes.
func (m *barMaker) take(feed string, e *market.Entry) {
	_ = m.machine.Feed(feed).Push(e) // as in push
	m.changes = m.machine.Drain(m.changes[:0])
}

// playedBars make the bars of records whose bars the hub does not remember. They are what was told live: the machine has had the trades of
// the day that were on the tape by then, and of the last minutes everything.
type playedBars struct {
	maker   *barMaker
	filter  filter
	next    place          // what the machine has not had
	records []*tape.Record // read ahead; next is in the first
}

// warmFor is how much of the tape a machine is given before it makes the bars of a play, for the clocks of the feeds.
const warmFor = 2 * market.Minute

// openBars makes a machine for a place on the tape.
func (g *Gateway) openBars(ctx context.Context, subs *subscriptions, at place) (*playedBars, error) {
	m, err := g.newMachine()
	if err != nil {
		return nil, err
	}
	pb := &playedBars{maker: &barMaker{machine: m}, filter: subs.filter(), next: at}
	t, err := g.timeOf(ctx, at)
	if err != nil {
		return nil, err
	}
	b := g.opt.Tape.Bounds()
	if at.pos < b.First {
		return nil, fmt.Errorf("read the tape from %d: %w", at.pos, &tape.TrimmedError{Position: at.pos, First: b.First})
	}
	from, err := g.placeOfTime(ctx, b, t-warmFor)
	if err != nil {
		return nil, err
	}
	if at.before(from) {
		from = at
	}
	n, err := g.entriesBefore(ctx, from)
	if err != nil {
		return nil, err
	}
	feeds := g.hub.feedNames()
	isKnown := func(gap *market.Gap) bool { return gap.To <= t }
	if err := g.takeGaps(ctx, subs, t, isKnown, pb.maker, func(s market.Symbol) string { return feeds[s] }); err != nil {
		return nil, err
	}
	err = g.eachBefore(ctx, subs, t, func(row *market.Row) {
		if row.N <= n && row.Flags&market.FlagHistory == 0 {
			pb.maker.take(feeds[row.Symbol], &row.Entry)
		}
	})
	if err != nil {
		return nil, err
	}
	for pb.next = from; pb.next.before(at); {
		rec, err := pb.record(ctx, g.opt.Tape)
		if err != nil || rec == nil {
			return pb, err
		}
		end := int32(len(rec.Entries))
		if rec.Position == at.pos {
			end = min(end, at.index)
		}
		for i := pb.next.index; i < end; i++ {
			if e := &rec.Entries[i]; e.Flags&market.FlagHistory == 0 {
				pb.maker.take(rec.Feed, e)
			}
		}
		if rec.Position == at.pos {
			pb.next = at
			break
		}
		pb.leave(rec)
	}
	return pb, nil
}

// record returns the record that is next, nil at the end of the tape.
func (pb *playedBars) record(ctx context.Context, src tape.Source) (*tape.Record, error) {
	if len(pb.records) == 0 {
		var err error
		if pb.records, err = src.Read(ctx, pb.next.pos, nil); err != nil {
			return nil, fmt.Errorf("read the tape from %d: %w", pb.next.pos, err)
		}
		if len(pb.records) == 0 {
			return nil, nil
		}
	}
	return pb.records[0], nil
}

func (pb *playedBars) leave(rec *tape.Record) {
	pb.next = place{pos: rec.Through + 1}
	pb.records[0] = nil
	pb.records = pb.records[1:]
}

// block makes the block that is next, with its bars; nil at the end of what the hub has seen.
func (pb *playedBars) block(ctx context.Context, h *hub) (*block, error) {
	rec, err := pb.record(ctx, h.src)
	if err != nil || rec == nil {
		return nil, err
	}
	if next, _ := h.position(); rec.Through >= next {
		pb.records = nil
		return nil, nil
	}
	b := &block{rec: rec, events: make([]event, 0, len(rec.Entries))}
	from := int32(0)
	if pb.next.pos == rec.Position {
		from = pb.next.index
	}
	for i := range rec.Entries {
		e := &rec.Entries[i]
		b.latest = max(b.latest, e.Received)
		if int32(i) >= from && e.Flags&market.FlagHistory == 0 {
			b.events = h.event(b.events, rec, i, pb.maker)
		}
	}
	pb.leave(rec)
	return b, nil
}

// forget lets go of records, so that a session that waits holds little.
func (pb *playedBars) forget() {
	n := 0
	for i, rec := range pb.records {
		if n += len(rec.Entries); n > heldEntries {
			clear(pb.records[i:])
			pb.records = pb.records[:i]
			return
		}
	}
}

// playAhead returns blocks of the tape from the place of the session on. Where the hub does not remember the bars that were told, it makes
// them again.
func (s *session) playAhead(ctx context.Context, sc *scratch, tape bool) ([]*block, error) {
	pl, st := s.play, &s.main
	if len(st.held) > 0 && pl.bars != nil && pl.bars.filter == s.subs.filter() {
		if !tape {
			return nil, errBehind
		}
		return st.held, nil
	}
	if !s.subs.wantsBars() || st.at.pos >= s.g.hub.barsSince() {
		if pl.bars != nil {
			pl.bars, st.held = nil, nil
		}
		return s.ahead(ctx, st, sc, tape)
	}
	if !tape {
		return nil, errBehind
	}
	s.lag(true)
	if pl.bars == nil || pl.bars.filter != s.subs.filter() {
		var err error
		if st.held, pl.bars = nil, nil; st.at.pos > s.g.opt.Tape.Bounds().Last {
			return nil, nil
		}
		if pl.bars, err = s.g.openBars(ctx, &s.subs, st.at); err != nil {
			return nil, err
		}
	}
	b, err := pl.bars.block(ctx, s.g.hub)
	if err != nil || b == nil {
		return nil, err
	}
	st.held = []*block{b}
	return st.held, nil
}

// entriesBefore returns how many entries of the tape are before a place.
func (g *Gateway) entriesBefore(ctx context.Context, at place) (uint64, error) {
	n, err := g.ordinal(ctx, at.pos)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errInternal, err)
	}
	return n + uint64(at.index), nil
}

// eachBefore calls yield for the trades that may be in bars that were forming at a moment, or that might have changed then, of the symbols
// whose bars are wanted.
func (g *Gateway) eachBefore(ctx context.Context, subs *subscriptions, at market.Time, yield func(*market.Row)) error {
	bars, days := subs.bars(), !subs.sets[chDailyBars].empty()
	names := bars.symbols()
	if bars.all || len(names) > mostStreams {
		names = []market.Symbol{""}
	}
	for _, name := range names {
		from := g.formingSince(name, at, days)
		// Who receives a trade before its time has a clock that is behind.
		q := market.TickQuery{Kind: market.KindTrade, Symbol: name, From: max(from, 1), To: at + slack, Limit: maxRows}
		err := g.opt.History.Ticks(ctx, q, func(row *market.Row) error {
			yield(row)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: read history: %w", errInternal, err)
		}
	}
	return nil
}

// formingSince returns when the oldest bar began that may have changed at a moment: of a symbol, or of all with "". Only who wants the bars of
// days needs what came since the day began, which of a busy market takes seconds to read.
func (g *Gateway) formingSince(symbol market.Symbol, at market.Time, days bool) market.Time {
	from := at - market.Time(lateFor) - 2*market.Minute
	if !days {
		return from
	}
	for _, venue := range g.hub.venues(symbol) {
		from = min(from, g.opt.Calendars.For(venue).Lookup().Day(at).Start)
	}
	return from
}

// takeGaps gives a machine the gaps before a moment that were known then and lie in its bars.
func (g *Gateway) takeGaps(
	ctx context.Context, subs *subscriptions, at market.Time, isKnown func(*market.Gap) bool, m *barMaker, feed func(market.Symbol) string,
) error {
	h, ok := g.opt.History.(GapHistory)
	if !ok {
		return nil
	}
	bars, days := subs.bars(), !subs.sets[chDailyBars].empty()
	names := bars.symbols()
	if bars.all {
		names = g.hub.allSymbols()
	}
	for _, name := range names {
		err := h.EachGap(ctx, name, g.formingSince(name, at, days), at, func(gap market.Gap) error {
			if gap.To != 0 && isKnown(&gap) {
				gap.Symbol = name // or of its feed
				e := gap.Entry()
				m.take(feed(name), &e)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: read the gaps: %w", errInternal, err)
		}
	}
	return nil
}

// allSymbols returns every symbol.
func (h *hub) allSymbols() []market.Symbol {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]market.Symbol, 0, len(h.names.list))
	for _, l := range h.names.list[1:] {
		list = append(list, l.symbol)
	}
	return list
}

// maxRows is a limit that is none.
const maxRows = 1 << 40

// venues returns the venue of a symbol, or of all symbols with "".
func (h *hub) venues(symbol market.Symbol) []string {
	if symbol != "" {
		return []string{symbol.Venue()}
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	var list []string
	for _, l := range h.names.list[1:] {
		if v := l.symbol.Venue(); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// feedNames returns the feed of each symbol.
func (h *hub) feedNames() map[market.Symbol]string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	m := make(map[market.Symbol]string, len(h.names.list))
	for _, l := range h.names.list[1:] {
		m[l.symbol] = l.feed
	}
	return m
}

// barsSince returns the first position from which on the hub remembers the bars as they were told; 0 when it makes none.
func (h *hub) barsSince() tape.Position {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.bars == nil {
		return 0
	}
	return h.bars.since
}
