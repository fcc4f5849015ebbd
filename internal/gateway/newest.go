package gateway

import (
	"math"
	"slices"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// newest finds the newest trade and quote of each symbol among many. Its slices are by number of the symbol and hold the round in
// which one was last seen, so that nothing is cleared between rounds.
type newest struct {
	round  uint32
	seen   [2][]uint32 // of chTrades, of chQuotes
	blocks []*block
	due    []dueEvent
}

type dueEvent struct {
	b *block
	i int
}

// first reports whether this is the first time in the round that an event of a symbol and channel is seen.
func (n *newest) first(c channel, id uint32) bool {
	for int(id) >= len(n.seen[c]) {
		n.seen[c] = append(n.seen[c], make([]uint32, 64+len(n.seen[c]))...)
	}
	if n.seen[c][id] == n.round {
		return false
	}
	n.seen[c][id] = n.round
	return true
}

// fillNewest makes a round of mode latest: of all that came since the last round the newest trade and quote of each symbol,
// and everything that is not a tick, in the order of the tape.
func (s *session) fillNewest(p *parcel, sc *scratch) {
	st := s.current()
	n := &sc.newest
	n.blocks = n.blocks[:0]
	st.held = nil // the round ends behind it
	at := st.at.pos
	for {
		before := len(n.blocks)
		blocks, ok := s.g.hub.from(at, n.blocks, 256)
		if !ok {
			clear(n.blocks)
			s.fillKnown(st, p, sc)
			return
		}
		if n.blocks = blocks; len(blocks) == before {
			break
		}
		at = blocks[len(blocks)-1].rec.Through + 1
		if st.until.pos != 0 && at >= st.until.pos {
			break
		}
	}
	if len(n.blocks) == 0 {
		return
	}
	s.refresh(st)
	n.round++
	n.due = n.due[:0]
	for _, b := range slices.Backward(n.blocks) {
		for i := len(b.events) - 1; i >= 0; i-- {
			ev := &b.events[i]
			at := place{b.rec.Position, ev.entry}
			if at.before(st.at) {
				break
			}
			if st.until.pos != 0 && !at.before(st.until) {
				continue // main tells it
			}
			if s.wants(st, b, ev) && (ev.channel > chQuotes || n.first(ev.channel, ev.symbol)) {
				n.due = append(n.due, dueEvent{b, i})
			}
		}
	}
	for _, due := range slices.Backward(n.due) {
		s.part(p, sc)
		s.append(p, due.b, due.i, true)
	}
	clear(n.due)
	clear(n.blocks)
	// Only now: the cursors of the messages before the last one must not be behind what has not been written.
	st.at = st.end(place{pos: at})
	s.ended(st)
}

// end returns a place, or that where the stretch ends when it is earlier.
func (st *stretch) end(at place) place {
	if st.until.pos != 0 && st.until.before(at) {
		return st.until
	}
	return at
}

// part begins another message when the one that is being built is long enough.
func (s *session) part(p *parcel, sc *scratch) {
	if p.size() >= s.g.opt.Limits.Frame {
		s.seal(p, sc)
		p.next()
	}
}

// fillKnown is for who is behind the ring in mode latest: it takes what the hub knows to be newest of each symbol that changed,
// and goes on at the present.
func (s *session) fillKnown(st *stretch, p *parcel, sc *scratch) {
	s.refresh(st)
	since := st.at.pos
	next, _ := s.g.hub.position()
	var ticks []knownTick
	for id := uint32(1); ; {
		ticks, id = s.g.hub.changed(id, since, ticks[:0])
		for i := range ticks {
			k := &ticks[i]
			// Which entry of its record it is nobody knows any more. Better that it comes again than not at all.
			ev := event{symbol: k.id, channel: chTrades, entry: math.MaxInt32}
			if k.Kind == market.KindQuote {
				ev.channel = chQuotes
			}
			if k.at >= next || st.until.pos != 0 && !(place{pos: k.at}).before(st.until) {
				continue // the next round, or main, tells what is newest then
			}
			if !s.wants(st, &block{rec: &tape.Record{Position: k.at, Batch: tape.Batch{Feed: k.feed}}}, &ev) {
				continue
			}
			s.part(p, sc)
			before := len(p.buf)
			if p.buf = appendMessage(p.buf, s.manner.dialect, s.manner.format, k.feed, &k.Entry, &ev); len(p.buf) > before {
				p.count(&ev)
			}
		}
		if id == 0 {
			break
		}
	}
	st.at = st.end(place{pos: max(next, st.at.pos)})
	s.ended(st)
}

// ended drops a detour that has come to its end.
func (s *session) ended(st *stretch) {
	if st.until.pos != 0 && !st.at.before(st.until) {
		s.detours[0] = nil
		s.detours = s.detours[1:]
	}
}

// knownTick is the newest trade or quote of a symbol.
type knownTick struct {
	id   uint32
	at   tape.Position
	feed string
	market.Entry
}

// changed appends the newest ticks of the symbols from number id on that came in records at or after since, and returns the number
// to go on with, or 0 at the end. It looks at a few hundred symbols at a time, so that the hub does not wait long.
func (h *hub) changed(id uint32, since tape.Position, dst []knownTick) ([]knownTick, uint32) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	end := min(int(id)+256, len(h.names.list))
	for ; int(id) < end; id++ {
		l := h.names.list[id]
		if l.trade.Kind != 0 && l.tradeAt >= since {
			dst = append(dst, knownTick{id, l.tradeAt, l.feed, l.trade})
		}
		if l.quote.Kind != 0 && l.quoteAt >= since {
			dst = append(dst, knownTick{id, l.quoteAt, l.feed, l.quote})
		}
	}
	if int(id) == len(h.names.list) {
		return dst, 0
	}
	return dst, id
}
