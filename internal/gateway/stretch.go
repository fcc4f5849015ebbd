package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"tapedeck/internal/tape"
	"tapedeck/internal/websocket"
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

// heldEntries bounds what each stretch of a session keeps of what it read ahead while it waits for its client: more than a frame,
// and about 240 KB.
const heldEntries = 1024

// current returns the stretch that comes next.
func (s *session) current() *stretch {
	if len(s.detours) > 0 {
		return s.detours[0]
	}
	return &s.main
}

// standing is how far a session has come, to see whether it has come further.
type standing struct {
	at      place
	detours int
}

func (s *session) standing() standing { return standing{s.current().at, len(s.detours)} }

// wants reports whether an event of a block is due to the client in a stretch.
func (s *session) wants(st *stretch, b *block, ev *event) bool {
	feed, d := b.rec.Feed, s.manner.dialect
	if !s.subs.wants(d, feed, ev) || st.only != nil && (!st.only.wants(d, feed, ev) || st.less.wants(d, feed, ev)) {
		return false
	}
	for i := range s.mutes {
		m := &s.mutes[i]
		if (place{b.rec.Position, ev.entry}).before(m.until) && m.only.wants(d, feed, ev) && !m.less.wants(d, feed, ev) {
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

// errBehind says that a session can go on from the tape only, which the one who asked does not want to wait for.
var errBehind = errors.New("behind what is in memory")

// fill appends to the parcel what is due, up to the size of a frame. Without the tape it returns errBehind when the ring does not
// reach back so far.
func (s *session) fill(ctx context.Context, p *parcel, sc *scratch, tape bool) error {
	st := s.current()
	blocks, err := s.ahead(ctx, st, sc, tape)
	if err != nil || len(blocks) == 0 {
		return err
	}
	s.refresh(st)
	for _, b := range blocks {
		whole := s.copy(st, b, p)
		if p.ticks > 0 && p.since.IsZero() {
			p.since = b.seen
		}
		if whole && len(st.held) > 0 {
			st.held[0] = nil
			st.held = st.held[1:]
		}
		if !whole {
			break
		}
	}
	s.ended(st)
	st.forget()
	clear(sc.blocks)
	return nil
}

// ahead returns blocks from the place of a stretch on: those of the ring when it reaches back so far, else what the tape
// gives at once. None are returned when the place has not come yet.
func (s *session) ahead(ctx context.Context, st *stretch, sc *scratch, tape bool) ([]*block, error) {
	if len(st.held) > 0 {
		if !tape {
			return nil, errBehind
		}
		return st.held, nil
	}
	blocks, ok := s.g.hub.from(st.at.pos, sc.blocks[:0], 64)
	sc.blocks = blocks
	if ok {
		s.lag(false)
		return blocks, nil
	}
	s.lag(true)
	if !tape {
		return nil, errBehind
	}
	return st.read(ctx, s.g.hub)
}

// read reads ahead from the tape.
func (st *stretch) read(ctx context.Context, h *hub) ([]*block, error) {
	blocks, err := h.read(ctx, st.at.pos)
	var trimmed *tape.TrimmedError
	if err != nil && !errors.As(err, &trimmed) && !errors.Is(err, tape.ErrUnavailable) && !errors.Is(err, tape.ErrClosed) && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: %w", errInternal, err)
	}
	st.held = blocks
	return blocks, err
}

// forget lets go of blocks, so that a session that waits for its client holds little.
func (st *stretch) forget() {
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
func (s *session) copy(st *stretch, b *block, p *parcel) (whole bool) {
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
	alone := len(st.held) > 0 && b.wanted.Load() < 2
	run := run{s: s, p: p, b: b, from: -1, alone: s.manner.dialect == prices || alone}
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
	s     *session
	p     *parcel
	b     *block
	from  int  // first event of the run; -1 when there is none
	alone bool // events are added one by one: nobody else wants the block, or each event is a frame
}

// size is what the message has come to before event i.
func (r *run) size(i int) int {
	n := r.p.size()
	if r.from >= 0 {
		text := r.b.in(r.s.manner.dialect, r.s.manner.format)
		n += int(text.at[i] - text.at[r.from])
	}
	return n
}

// add takes in event i.
func (r *run) add(i int) {
	if r.alone {
		r.s.append(r.p, r.b, i, r.s.manner.dialect == prices)
		return
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
	text := r.b.in(r.s.manner.dialect, r.s.manner.format)
	r.p.buf = append(r.p.buf, text.data[text.at[r.from]:text.at[i]]...)
	for j := r.from; j < i; j++ {
		if text.at[j+1] > text.at[j] {
			r.p.count(&r.b.events[j])
		}
	}
	r.from = -1
}

// count counts the message of an event.
func (p *parcel) count(ev *event) {
	p.messages++
	if ev.channel <= chQuotes {
		p.ticks++
	}
}

// append appends event i of a block to the parcel. A block of the ring is encoded for all sessions at once, the session's own only as
// far as it is sent.
func (s *session) append(p *parcel, b *block, i int, shared bool) {
	before := len(p.buf)
	m := s.manner
	switch {
	case m.dialect == prices:
		text := b.in(m.dialect, m.format)
		if data := text.data[text.at[i]:text.at[i+1]]; len(data) > 0 {
			// A message each, without the comma.
			p.buf = websocket.AppendFrame(p.buf, websocket.OpText, data[:len(data)-1])
		}
	case shared:
		text := b.in(m.dialect, m.format)
		p.buf = append(p.buf, text.data[text.at[i]:text.at[i+1]]...)
	default:
		p.buf = b.append(p.buf, m.dialect, m.format, i)
	}
	if len(p.buf) > before {
		p.count(&b.events[i])
	}
}
