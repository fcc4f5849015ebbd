package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"tapedeck/internal/tape"
)

// errInternal is wrapped by errors that are neither the client's nor the tape's to mend.
var errInternal = errors.New("internal error")

// stretch is a part of the tape that a session reads: from a place on, and for detours up to another.
type stretch struct {
	at    place
	until place          // where main goes on; zero when there is no end
	only  *subscriptions // what a detour is for; nil for all that the session wants
	less  *subscriptions // what main has told already
	held  []*block       // read ahead from the tape; at is in the first
}

// mute keeps the ticks of symbols from a client that has them: it asked for the symbols from a place that lies ahead of where the
// session is.
type mute struct {
	until place
	only  *subscriptions
	less  *subscriptions
}

// heldEntries bounds what a session keeps of what it read ahead while it waits for its client.
const heldEntries = 4096

// current returns the stretch that comes next.
func (s *session) current() *stretch {
	if len(s.detours) > 0 {
		return s.detours[0]
	}
	return &s.main
}

// wants reports whether an event of a block is due to the client in a stretch.
func (s *session) wants(st *stretch, b *block, ev *event) bool {
	feed := b.rec.Feed
	if !s.subs.wants(s.d, feed, ev) || st.only != nil && (!st.only.wants(s.d, feed, ev) || st.less.wants(s.d, feed, ev)) {
		return false
	}
	for i := range s.mutes {
		m := &s.mutes[i]
		if (place{b.rec.Position, ev.entry}).before(m.until) && m.only.wants(s.d, feed, ev) && !m.less.wants(s.d, feed, ev) {
			return false
		}
	}
	return true
}

// refresh looks up again what was not known when it was asked for.
func (s *session) refresh(st *stretch) {
	s.subs.refresh(s.g.hub)
	if st.only != nil {
		st.only.refresh(s.g.hub)
		st.less.refresh(s.g.hub)
	}
	s.mutes = slices.DeleteFunc(s.mutes, func(m mute) bool { return !s.main.at.before(m.until) })
	for _, m := range s.mutes {
		m.only.refresh(s.g.hub)
		m.less.refresh(s.g.hub)
	}
}

// fill appends to the frame what is due, up to its size. It reports whether more may be due.
func (s *session) fill(ctx context.Context) (more bool, err error) {
	st := s.current()
	blocks, err := s.ahead(ctx, st)
	if err != nil || len(blocks) == 0 {
		return false, err
	}
	s.refresh(st)
	for _, b := range blocks {
		whole := s.copy(st, b)
		if whole && len(st.held) > 0 {
			st.held[0] = nil
			st.held = st.held[1:]
		}
		if !whole {
			break
		}
	}
	s.ended(st)
	s.forget(st)
	return true, nil
}

// ahead returns blocks from the place of a stretch on: those of the ring when it reaches back so far, else what the tape
// gives at once. None are returned when the place has not come yet.
func (s *session) ahead(ctx context.Context, st *stretch) ([]*block, error) {
	if len(st.held) > 0 {
		return st.held, nil
	}
	blocks, ok := s.g.hub.from(st.at.pos, s.blocks[:0], 64)
	s.blocks = blocks
	if ok {
		s.lag(false)
		return blocks, nil
	}
	s.lag(true)
	if err := s.g.catchUps.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.g.catchUps.release()
	blocks, err := s.g.hub.read(ctx, st.at.pos)
	var trimmed *tape.TrimmedError
	if err != nil && !errors.As(err, &trimmed) && !errors.Is(err, tape.ErrUnavailable) && !errors.Is(err, tape.ErrClosed) && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %w", errInternal, err)
	}
	st.held = blocks
	return blocks, err
}

// forget lets go of blocks, so that a session that waits for its client holds little.
func (s *session) forget(st *stretch) {
	clear(s.blocks)
	s.blocks = s.blocks[:0]
	n := 0
	for i, b := range st.held {
		if n += len(b.rec.Entries); n > heldEntries {
			clear(st.held[i:])
			st.held = st.held[:i]
			return
		}
	}
}

// copy appends the events of a block that are due, and moves the stretch on. It reports whether it came to the end of the block:
// it stops between two entries when the frame is full, and at the end of a detour.
func (s *session) copy(st *stretch, b *block) (whole bool) {
	i := 0
	if st.at.pos == b.rec.Position && st.at.index > 0 {
		i = sort.Search(len(b.events), func(i int) bool { return b.events[i].entry >= st.at.index })
	}
	end := len(b.events)
	if st.until.pos != 0 {
		if b.rec.Through >= st.until.pos {
			end = i
			if b.rec.Position == st.until.pos {
				end = sort.Search(len(b.events), func(i int) bool { return b.events[i].entry >= st.until.index })
			}
		}
	}
	run := run{s: s, st: st, b: b, from: -1}
	for last := int32(-1); i < end; i++ {
		ev := &b.events[i]
		if ev.entry != last && run.size(i) >= s.g.opt.Limits.Frame {
			run.end(i)
			st.at = place{b.rec.Position, ev.entry}
			return false
		}
		last = ev.entry
		if s.wants(st, b, ev) {
			run.add(i)
		} else {
			run.end(i)
		}
	}
	run.end(end)
	if end < len(b.events) || st.until.pos != 0 && b.rec.Through >= st.until.pos {
		st.at = st.until
		return false
	}
	st.at = place{pos: b.rec.Through + 1}
	return true
}

// run is events in a row that are due. In a block of the ring, which is encoded for all sessions at once, they are one copy.
type run struct {
	s    *session
	st   *stretch
	b    *block
	from int // first event of the run; -1 when there is none
}

// size is what the frame has come to before event i.
func (r *run) size(i int) int {
	n := len(r.s.frame)
	if r.from >= 0 {
		text := r.b.in(r.s.d)
		n += int(text.at[i] - text.at[r.from])
	}
	return n
}

// add takes in event i.
func (r *run) add(i int) {
	if r.s.d == prices || len(r.st.held) > 0 {
		r.s.append(r.st, r.b, i)
		return
	}
	if c := r.b.events[i].channel; c == chTrades || c == chQuotes {
		r.s.ticks++
	}
	if r.from < 0 {
		r.from = i
	}
}

// end copies the run, which ends before event i.
func (r *run) end(i int) {
	if r.from < 0 {
		return
	}
	text := r.b.in(r.s.d)
	if data := text.data[text.at[r.from]:text.at[i]]; len(data) > 0 {
		if r.s.isClear() {
			r.s.frame = append(r.s.frame, '[')
		}
		r.s.frame = append(r.s.frame, data...)
	}
	r.from = -1
}

// append appends event i of a block to the frame. Blocks of the ring are encoded for all sessions at once.
func (s *session) append(st *stretch, b *block, i int) {
	empty := s.isClear()
	if empty && s.d != prices {
		s.frame = append(s.frame, '[')
	}
	before := len(s.frame)
	switch {
	case s.d == prices:
		// A message each, without the comma.
		text := b.in(s.d)
		s.frame = appendFrame(s.frame, frameText, text.data[text.at[i]:text.at[i+1]-1])
	case len(st.held) > 0:
		s.frame = b.append(s.frame, s.d, i)
	default:
		text := b.in(s.d)
		s.frame = append(s.frame, text.data[text.at[i]:text.at[i+1]]...)
	}
	if len(s.frame) == before { // the dialect has no message for it
		if empty {
			s.frame = s.frame[:headroom]
		}
		return
	}
	if c := b.events[i].channel; c == chTrades || c == chQuotes {
		s.ticks++
	}
}
