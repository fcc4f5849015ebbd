package gateway

import (
	"context"
	"errors"
	"sort"
	"time"

	"tapedeck/internal/market"
)

// reached is how far a session came with what is due.
type reached uint8

const (
	moreDue reached = iota // more is due than goes into a frame, or than is looked at at once
	allDue                 // what is not told is not due yet
	atEnd                  // nothing is left: what comes next has not happened
	midStep                // the ticks that the client steps by were told
)

// mostScanned bounds the entries that are looked at for one message, so that sessions that play have their turns.
const mostScanned = 1 << 16

// fillPlay appends to the parcel what the clock of the play has come to, and how the clock stands. Without the tape it returns errBehind
// when it would have to wait for the tape or for history.
func (s *session) fillPlay(ctx context.Context, p *parcel, sc *scratch, tape bool) error {
	pl := s.play
	if pl.isStill() {
		s.lag(false)
		s.tickClock(p, sc, time.Now())
		pl.wake = pl.tellAt
		return nil
	}
	if s.isUnmoored() {
		if !tape {
			return errBehind
		}
		if err := s.moor(ctx); err != nil {
			return err
		}
	}
	now := time.Now()
	limit := pl.limit(now)
	stepping := pl.steps > 0
	latest := s.manner.latest && !stepping && !pl.closing
	how := allDue
	if latest && now.Before(s.due) {
		if pl.pace != flatOut {
			pl.shown = max(pl.shown, limit)
		}
		s.tickClock(p, sc, now)
		pl.wake = earlier(s.due, pl.tellAt)
		return nil
	}
	if pl.next == 0 || pl.next <= limit {
		var err error
		how, err = s.advance(ctx, p, sc, tape, limit, latest)
		switch {
		case err != nil && s.isUnmoored():
			how = moreDue // it was trimmed while it was read
		case err != nil:
			return err
		}
	}
	if latest && p.messages > 0 {
		s.paced(now)
	}
	s.settle(p, sc, how, now, stepping)
	return nil
}

// isUnmoored reports whether a play that has not come to the tape yet would find its place there trimmed.
func (s *session) isUnmoored() bool {
	return s.play.isPast() && s.g.opt.Tape.Bounds().First > s.main.at.pos
}

// moor finds the place on the tape anew for a play that has not come to it yet, when the tape no longer has it: what was trimmed meanwhile comes
// out of history like what was before.
func (s *session) moor(ctx context.Context) error {
	pl := s.play
	found := play{from: pl.told}
	at, err := s.g.findPlay(ctx, s.g.opt.Tape.Bounds(), &found)
	if err != nil {
		return err
	}
	s.main = stretch{at: at}
	pl.oldest, pl.trimmed, pl.bars, pl.next = found.oldest, found.trimmed, nil, 0
	pl.rows.opened = false
	return nil
}

// settle draws the conclusions of how far a session came: where its clock is, and when there is more to do.
func (s *session) settle(p *parcel, sc *scratch, how reached, now time.Time, stepping bool) {
	pl := s.play
	if pl.closing {
		pl.last = min(pl.last, pl.to)
	}
	pl.told = max(pl.told, pl.last)
	clock := pl.clock(now)
	switch {
	case pl.closing:
		if clock = pl.to; how == moreDue {
			pl.wake = now
			return
		}
	case how == moreDue:
		pl.shown, pl.wake = max(pl.shown, pl.told), now
		pl.keepUp(now, clock)
		s.tickClock(p, sc, now)
		return
	case how == midStep:
	case stepping, pl.pace == flatOut:
		clock = pl.told
		if pl.to != 0 && (how == allDue || how == atEnd && pl.to <= market.FromStd(now)) {
			clock = pl.to
		}
	}
	present := market.FromStd(now)
	switch {
	case !pl.closing && how == atEnd && pl.running && (pl.pace == flatOut || clock >= present) && (pl.to == 0 || pl.to > present):
		s.join()
		if s.manner.dialect == native {
			s.appendClock(p, sc, appendLiveClock(nil, now))
		}
		return
	case pl.to != 0 && clock >= pl.to && how != midStep:
		if !pl.closing {
			pl.endAt = s.main.at
			if pl.rows != nil {
				pl.endKey = pl.rows.key
			}
			if pl.closing = !s.subs.sets[chBars].empty(); pl.closing {
				pl.running, pl.steps, pl.wake, pl.next = false, 0, now, 0
				return
			}
		}
		pl.told, pl.running, pl.closing, pl.ended, pl.steps = pl.to, false, false, true, 0
		pl.base, pl.shown, pl.last = pl.to, pl.to, pl.to
		pl.tellAt = now
	case stepping && (how == midStep || how == atEnd):
		pl.steps, pl.base, pl.shown = 0, max(pl.base, pl.told), max(pl.shown, pl.told)
		pl.tellAt = now
	case !stepping:
		pl.told = max(pl.told, clock)
		pl.shown = max(pl.shown, pl.told)
	}
	s.tickClock(p, sc, now)
	s.wakeAt(now)
}

// wakeAt sets when there is something to do again.
func (s *session) wakeAt(now time.Time) {
	pl := s.play
	pl.wake = earlier(now.Add(clockEvery), pl.tellAt)
	if pl.pace != flatOut {
		if pl.known != endOfTime {
			next := pl.until(pl.known)
			if s.manner.latest && next.Before(s.due) {
				next = s.due
			}
			pl.wake = earlier(pl.wake, next)
		}
		if pl.to != 0 {
			pl.wake = earlier(pl.wake, pl.until(pl.to))
		}
	}
	if soon := now.Add(shortestWait); pl.wake.Before(soon) {
		pl.wake = soon
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// mostLag is how far what is told may be behind the clock, by the time of the wall, before the clock waits for it.
const mostLag = time.Second

// keepUp lets the clock wait for a client, or a disk, that is not as fast as it: the past does not pile up.
func (p *play) keepUp(now time.Time, clock market.Time) {
	if !p.running || p.pace == flatOut {
		return
	}
	lag := market.Time(float64(mostLag) * float64(p.pace))
	if clock-p.told > lag {
		p.base, p.since = p.told+lag, now
	}
}

// tickClock appends the message of the clock when it is due.
func (s *session) tickClock(p *parcel, sc *scratch, now time.Time) {
	pl := s.play
	if now.Before(pl.tellAt) {
		return
	}
	pl.tellAt = now.Add(clockEvery)
	if s.manner.dialect == native {
		s.appendClock(p, sc, pl.appendClock(nil))
	}
}

// appendClock appends a message about the clock, given as JSON.
func (s *session) appendClock(p *parcel, sc *scratch, text []byte) {
	s.part(p, sc)
	if s.manner.format == asPacked {
		p.buf = packAnswer(p.buf, text)
	} else {
		p.buf = append(append(p.buf, text...), ',')
	}
	p.messages++
}

// advance appends what is due up to a moment, out of both sources, and moves the session on.
func (s *session) advance(ctx context.Context, p *parcel, sc *scratch, tape bool, limit market.Time, latest bool) (reached, error) {
	s.refresh(&s.main)
	a := advance{s: s, p: p, sc: sc, tape: tape, limit: limit}
	if latest {
		a.round = &sc.round
	}
	from, before, keyBefore := s.main.at, s.play.last, rowKey{}
	if s.play.rows != nil {
		keyBefore = s.play.rows.key
	}
	how, err := a.run(ctx)
	if pl := s.play; pl.bars != nil {
		pl.bars.forget()
	} else {
		s.main.forget()
	}
	clear(sc.blocks)
	if latest {
		// The cursors of the messages before the last one must not be behind what has not been written.
		to, last, key := s.main.at, s.play.last, rowKey{}
		s.main.at, s.play.last = from, before
		if s.play.rows != nil {
			key, s.play.rows.key = s.play.rows.key, keyBefore
		}
		a.round.flush(s, p, sc)
		s.main.at, s.play.last = to, last
		if s.play.rows != nil {
			s.play.rows.key = key
		}
	}
	if err != nil && a.scanned > 0 && errors.Is(err, errBehind) {
		return moreDue, nil
	}
	return how, err
}

// advance is one look at what is due to a session that plays.
type advance struct {
	s       *session
	p       *parcel
	sc      *scratch
	tape    bool // who asks may wait for the tape and for history
	limit   market.Time
	round   *round   // of mode latest; nil in mode every
	blocks  []*block // of the tape, the next first
	scanned int      // entries
}

func (a *advance) run(ctx context.Context) (reached, error) {
	s, pl := a.s, a.s.play
	pl.next = 0
	stepping := pl.steps > 0
	for {
		if stepping && pl.steps == 0 {
			return midStep, nil
		}
		if a.scanned >= mostScanned || a.round == nil && a.p.size() >= s.g.opt.Limits.Frame {
			return moreDue, nil
		}
		tapeDue, err := a.tapeDue(ctx)
		if err != nil {
			return moreDue, err
		}
		rowDue, err := a.rowDue(ctx, min(a.limit, tapeDue))
		if err != nil {
			return moreDue, err
		}
		if next := min(rowDue, tapeDue); next > a.limit || next == endOfTime {
			pl.known = next
			if tapeDue != endOfTime {
				pl.next = next // else records may come that are due before
			}
			if next == endOfTime {
				return atEnd, nil
			}
			return allDue, nil
		}
		switch {
		case rowDue <= tapeDue:
			a.tellRows(min(a.limit, tapeDue))
		default:
			a.tellTape(min(a.limit, rowDue-1))
		}
	}
}

// tapeDue returns when the next entry of the tape is due, endOfTime when there is none.
func (a *advance) tapeDue(ctx context.Context) (market.Time, error) {
	st := &a.s.main
	for {
		if len(a.blocks) == 0 {
			var err error
			if a.blocks, err = a.s.playAhead(ctx, a.sc, a.tape); err != nil || len(a.blocks) == 0 {
				return endOfTime, err
			}
		}
		b := a.blocks[0]
		i := st.indexIn(b)
		if i < int32(len(b.rec.Entries)) {
			return max(a.s.play.last, b.rec.Entries[i].Received), nil
		}
		a.leave(b)
	}
}

// indexIn returns the entry of a block that a stretch is at.
func (st *stretch) indexIn(b *block) int32 {
	if st.at.pos == b.rec.Position {
		return st.at.index
	}
	return 0
}

// leave moves on behind a block.
func (a *advance) leave(b *block) {
	st := &a.s.main
	st.at = place{pos: b.rec.Through + 1}
	a.blocks = a.blocks[1:]
	if len(st.held) > 0 {
		st.held[0] = nil
		st.held = st.held[1:]
	}
}

// tellTape tells what the next block of the tape has up to a moment.
func (a *advance) tellTape(limit market.Time) {
	b, st, pl := a.blocks[0], &a.s.main, a.s.play
	entries := b.rec.Entries
	from := st.indexIn(b)
	to := int32(len(entries))
	if b.latest > limit {
		for to = from; to < int32(len(entries)) && entries[to].Received <= limit; to++ {
		}
	}
	alone := len(st.held) > 0 && b.wanted.Load() < 2
	at := a.tell(b, from, to, alone, pl.isLeftOut)
	for i := from; i < at; i++ {
		pl.last = max(pl.last, entries[i].Received)
	}
	if at == int32(len(entries)) {
		a.leave(b)
	} else {
		st.at = place{b.rec.Position, at}
	}
}

// closesAfter is how far the clock of a feed passes the end of a bar before it is told.
const closesAfter = market.Second

// isLeftOut reports whether an event of the tape was told already, out of history: the times of what a file brings are not those of its
// receipt.
func (p *play) isLeftOut(e *market.Entry, ev *event) bool {
	switch {
	case p.from >= p.oldest:
		return false
	case ev.bar != nil:
		return ev.bar.End > p.from && ev.bar.End+closesAfter < p.oldest
	case ev.channel == chGaps:
		return e.Event >= p.from && e.Until <= p.oldest
	}
	return e.IsTick() && e.Flags&market.FlagImported != 0 && e.Event >= p.from && e.Event < p.oldest
}

// isBeyond reports whether an event that was due behind the end of the play is not told. The bars are that the end closes: live they were told
// a moment after it.
func (p *play) isBeyond(ev *event) bool {
	return p.closing && (ev.channel != chBars || ev.bar == nil || ev.bar.End > p.to)
}

// tell tells the events of the entries of a block from one up to another that the client wants, unless they are left out. It returns
// the entry that it came to: it stops when the frame is full, or when the client stepped by so many ticks.
func (a *advance) tell(b *block, from, to int32, alone bool, leftOut func(*market.Entry, *event) bool) int32 {
	s, pl := a.s, a.s.play
	a.scanned += int(to - from)
	run := run{s: s, p: a.p, b: b, from: -1, alone: alone || s.manner.dialect == prices}
	stepping, last := pl.steps > 0, int32(-1)
	i := sort.Search(len(b.events), func(i int) bool { return b.events[i].entry >= from })
	for ; i < len(b.events) && b.events[i].entry < to; i++ {
		ev := &b.events[i]
		if ev.entry != last && (a.round == nil && run.size(i) >= s.g.opt.Limits.Frame || stepping && pl.steps == 0) {
			run.end(i)
			return ev.entry
		}
		last = ev.entry
		e := &b.rec.Entries[ev.entry]
		wanted := s.subs.wants(s.manner.dialect, b.rec.Feed, ev) && !leftOut(e, ev) && !pl.isBeyond(ev)
		switch {
		case wanted && a.round != nil:
			a.round.add(b, i)
		case wanted:
			run.add(i)
		default:
			run.end(i)
		}
		if wanted && stepping && ev.channel <= chQuotes {
			pl.steps--
		}
	}
	run.end(i)
	if stepping && pl.steps == 0 && last >= 0 {
		return last + 1
	}
	return to
}

// round is what a round of mode latest tells: the newest trade and quote of each symbol, and everything that is not a tick.
type round struct {
	list []dueEvent
	at   map[uint64]int // of a symbol and channel, where in list
}

// add takes in an event; a tick takes the place of the one before.
func (r *round) add(b *block, i int) {
	ev := &b.events[i]
	if ev.channel <= chQuotes {
		if r.at == nil {
			r.at = make(map[uint64]int)
		}
		key := uint64(ev.symbol)<<8 | uint64(ev.channel)
		if at, ok := r.at[key]; ok {
			r.list[at] = dueEvent{}
		}
		r.at[key] = len(r.list)
	}
	r.list = append(r.list, dueEvent{b, i})
}

// flush appends the round to the parcel.
func (r *round) flush(s *session, p *parcel, sc *scratch) {
	for _, due := range r.list {
		if due.b != nil {
			s.part(p, sc)
			s.append(p, due.b, due.i, s.manner.dialect == prices)
		}
	}
	clear(r.list)
	clear(r.at)
	r.list = r.list[:0]
}
