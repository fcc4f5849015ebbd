package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/websocket"
)

// refusal is an error message of the stream.
type refusal struct {
	code       int
	msg        string
	reason     string // of a 416: epoch, trimmed or future
	oldest     market.Time
	candidates []market.Symbol
}

func (r *refusal) Error() string { return r.msg }

func (r *refusal) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `[{"T":"error","code":`...), int64(r.code), 10)
	dst = appendString(append(dst, `,"msg":`...), r.msg)
	if r.reason != "" {
		dst = appendString(append(dst, `,"reason":`...), r.reason)
	}
	if r.oldest != 0 {
		dst = appendTime(append(dst, `,"oldest":`...), r.oldest)
	}
	for i, c := range r.candidates {
		if i == 0 {
			dst = append(dst, `,"candidates":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, string(c))
		if i == len(r.candidates)-1 {
			dst = append(dst, ']')
		}
	}
	return append(dst, `}]`...)
}

// greet is what a client hears first.
func (s *session) greet() {
	if s.manner.dialect == prices {
		return
	}
	s.say([]byte(`[{"T":"success","msg":"connected"}]`))
	if s.keyed {
		s.authenticate()
	}
}

// obey does what a client's message asks for. What is wrong with it is answered, and changes nothing.
func (s *session) obey(ctx context.Context, q inquiry) {
	err := q.err
	if r := q.request; err == nil {
		switch r.action {
		case "auth":
			s.authenticate()
			return
		case "subscribe":
			err = s.subscribe(ctx, r)
		case "unsubscribe":
			err = s.unsubscribe(r)
		default:
			if isOrder(r.action) {
				if err = s.command(ctx, r.action, &r.order); err == nil {
					return
				}
				break
			}
			err = fmt.Errorf("action %.40q is not known", r.action)
		}
	}
	if err == nil {
		s.tell()
		return
	}
	if ctx.Err() != nil {
		return
	}
	r := s.g.refuse(err)
	if s.manner.dialect != prices {
		s.say(r.append(nil))
		return
	}
	// It asked by its address, and knows no messages but prices.
	code := websocket.CodeInternal
	if r.code == 416 {
		code = codeTrimmed
	}
	s.leave(&leave{code, r.msg, "refused"})
}

// refuse turns an error into what the client is told.
func (g *Gateway) refuse(err error) *refusal {
	var said *refusal
	var ambiguous *ambiguousError
	switch {
	case errors.As(err, &said):
		return said
	case errors.As(err, &ambiguous):
		return &refusal{code: 400, msg: ambiguous.Error(), candidates: ambiguous.candidates}
	case errors.Is(err, context.Canceled):
		return &refusal{code: 503, msg: "the server is shutting down"}
	case errors.Is(err, errInternal):
		g.opt.Logger.Error("a request of a client failed", "error", err)
		return &refusal{code: 500, msg: "internal error"}
	}
	return &refusal{code: 400, msg: "invalid syntax: " + err.Error()}
}

// authenticate always succeeds: there are no keys yet.
func (s *session) authenticate() {
	if s.authed {
		s.say((&refusal{code: 403, msg: "already authenticated"}).append(nil))
		return
	}
	s.authed = true
	s.say([]byte(`[{"T":"success","msg":"authenticated"}]`))
}

// tell tells the client its whole set, and which of its symbols nobody has seen yet.
func (s *session) tell() {
	s.say(s.subs.echo(nil, s.manner.dialect))
	unknown := make(map[string]bool)
	text := []byte{'['}
	for i := range s.subs.sets {
		for name, id := range s.subs.sets[i].names {
			if id == 0 && !unknown[name] {
				unknown[name] = true
				text = appendString(append(text, `{"T":"status","S":`...), name)
				text = append(text, `,"state":"unknown"},`...)
			}
		}
	}
	if len(unknown) == 0 || s.manner.dialect != native {
		return
	}
	text[len(text)-1] = ']'
	s.say(text)
}

// subscribe adds to the set.
func (s *session) subscribe(ctx context.Context, r *request) error {
	s.subs.refresh(s.g.hub)
	next := s.subs.clone()
	for i, list := range r.lists {
		for _, text := range list {
			if text == "*" {
				next.sets[i].all = true
				continue
			}
			w, err := s.lookUp(text)
			if err != nil {
				return err
			}
			next.sets[i].add(w.name, w.id)
		}
	}
	if limit := s.g.opt.Limits.Symbols; next.symbols() > limit {
		msg := "symbol limit exceeded" // the SDK for Go compares it to the letter
		if s.manner.dialect == native {
			msg += fmt.Sprintf(": at most %d on a connection", limit)
		}
		return &refusal{code: 405, msg: msg}
	}
	if l := &s.g.opt.Limits; r.every != 0 && (r.every < l.ShortestEvery || r.every > l.LongestEvery) {
		return fmt.Errorf(`"every" is %s: it must be between %s and %s`, r.every, l.ShortestEvery, l.LongestEvery)
	}
	next.known = -1
	undo, err := s.wish(next)
	if err != nil {
		return err
	}
	if err := s.depart(ctx, r, next); err != nil {
		undo()
		return err
	}
	s.subs = *next
	if r.cursor != nil {
		s.manner.cursors = *r.cursor
	}
	switch r.mode {
	case "latest":
		s.manner.latest = true
		s.every = 50 * time.Millisecond
	case "every":
		s.manner.latest = false
	}
	if r.every != 0 {
		s.every = r.every
	}
	return nil
}

// mostDepartures is how many places a client may go on from before it has come to where they meet. Each costs the session two copies
// of what it wants.
const mostDepartures = 32

// depart decides where the stream goes on from with the next set.
func (s *session) depart(ctx context.Context, r *request, next *subscriptions) error {
	if s.play != nil || s.opening != nil && !next.empty() {
		return s.departPlaying(ctx, r)
	}
	var from place
	if r.from != nil {
		var err error
		if from, err = s.g.placeFor(ctx, r.from); err != nil {
			return err
		}
	}
	switch {
	case s.subs.empty() && r.from == nil:
		s.main = stretch{at: place{pos: s.g.opt.Tape.Bounds().Last + 1}}
		s.detours, s.mutes = nil, nil
	case s.subs.empty():
		s.main = stretch{at: from}
		s.detours, s.mutes = nil, nil
	case r.from != nil && len(s.detours)+len(s.mutes) >= mostDepartures:
		return errors.New(`too many messages with "from" before what they ask for has come`)
	case r.from != nil && from.before(s.main.at):
		s.detours = append(s.detours, &stretch{at: from, until: s.main.at, only: next.clone(), less: s.subs.clone()})
	case r.from != nil:
		s.mutes = append(s.mutes, mute{until: from, only: next.clone(), less: s.subs.clone()})
	}
	return nil
}

// unsubscribe takes from the set.
func (s *session) unsubscribe(r *request) error {
	s.subs.refresh(s.g.hub)
	var gone [listed]set
	for i, list := range r.lists {
		for _, text := range list {
			if text == "*" {
				gone[i].all = true
				continue
			}
			w, err := s.lookUp(text)
			if err != nil {
				return err
			}
			gone[i].add(w.name, w.id)
		}
	}
	s.subs.without(&gone)
	s.unwish()
	// What is asked for again later must not come out of what was still to be caught up on.
	for _, d := range s.detours {
		d.only.without(&gone)
	}
	for _, m := range s.mutes {
		m.only.without(&gone)
	}
	if s.subs.empty() && s.play == nil {
		s.main, s.detours, s.mutes = stretch{}, nil, nil // the next subscription begins anew
		s.lag(false)
	}
	return nil
}

// placeFor returns the place that a client wants to go on from, or why it cannot.
func (g *Gateway) placeFor(ctx context.Context, d *departure) (place, error) {
	b := g.opt.Tape.Bounds()
	if d.cursor == nil {
		return g.placeAt(ctx, b, d.time)
	}
	if d.trail != nil && d.trail.told < d.trail.oldest {
		return place{}, errors.New("the cursor is of what was played out of history: only a play goes on from it")
	}
	c := *d.cursor
	switch {
	case c.Epoch != b.Epoch:
		return place{}, &refusal{code: 416, reason: "epoch", msg: "the cursor is of another tape: load history and start anew"}
	case c.Position > b.Last:
		return place{}, &refusal{code: 416, reason: "future", msg: "the cursor is beyond the end of the tape"}
	}
	p := placeOf(c)
	if p.pos < b.First {
		return place{}, g.tooOld(ctx, b.First)
	}
	return p, nil
}

// tooOld says that what a client asks for is no longer on the tape, which begins at first.
func (g *Gateway) tooOld(ctx context.Context, first tape.Position) *refusal {
	r := &refusal{code: 416, reason: "trimmed", msg: "what is asked for is no longer on the tape"}
	if t, err := g.receivedAt(ctx, first); err == nil && t != 0 {
		r.oldest = t
		r.msg += ", which begins at " + t.String()
	}
	return r
}

// placeAt returns the place before the first entry that was received at or after t.
func (g *Gateway) placeAt(ctx context.Context, b tape.Bounds, t market.Time) (place, error) {
	if b.Last < b.First || b.Last == 0 {
		return place{pos: b.Last + 1}, nil
	}
	oldest, err := g.receivedAt(ctx, b.First)
	if err != nil {
		return place{}, err
	}
	if err := g.hasCome(ctx, b, t); err != nil {
		return place{}, err
	}
	if b.First > 1 && t < oldest {
		return place{}, g.tooOld(ctx, b.First)
	}
	return g.placeOfTime(ctx, b, t)
}

// hasCome refuses a time that has not come yet. A client's clock may be a little ahead of ours, and so may the tape be.
func (g *Gateway) hasCome(ctx context.Context, b tape.Bounds, t market.Time) error {
	if t <= market.FromStd(time.Now())+market.Minute {
		return nil
	}
	if b.Last >= b.First && b.Last > 0 {
		if newest, err := g.receivedAt(ctx, b.Last); err != nil || t <= newest {
			return err
		}
	}
	return &refusal{code: 416, reason: "future", msg: "that time has not come yet"}
}

// placeOfTime finds the place before the first entry that was received at or after t, on a tape that is not empty.
func (g *Gateway) placeOfTime(ctx context.Context, b tape.Bounds, t market.Time) (place, error) {
	// The clock may have stepped back; then this is one of the places where the time was passed.
	low, high := b.First, b.Last+1
	for low < high {
		middle := low + (high-low)/2
		got, err := g.receivedAt(ctx, middle)
		if err != nil {
			return place{}, err
		}
		if got < t {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return g.within(ctx, low, t)
}

// within returns the place in the record at pos before its first entry that was received at or after t.
func (g *Gateway) within(ctx context.Context, pos tape.Position, t market.Time) (place, error) {
	if pos > g.opt.Tape.Bounds().Last {
		return place{pos: pos}, nil
	}
	records, err := g.opt.Tape.Read(ctx, pos, nil)
	if err != nil || len(records) == 0 {
		return place{}, fmt.Errorf("%w: read the tape at %d: %w", errInternal, pos, err)
	}
	for i := range records[0].Entries {
		if records[0].Entries[i].Received >= t {
			return place{pos: records[0].Position, index: int32(i)}, nil
		}
	}
	return place{pos: pos}, nil
}

// receivedAt returns when the last entry of the record at pos was received; of a record that does not say, of the next that does.
func (g *Gateway) receivedAt(ctx context.Context, pos tape.Position) (market.Time, error) {
	for range 100 {
		records, err := g.opt.Tape.Read(ctx, pos, nil)
		if err != nil {
			return 0, fmt.Errorf("%w: read the tape at %d: %w", errInternal, pos, err)
		}
		for _, rec := range records {
			var t market.Time
			for i := range rec.Entries {
				t = max(t, rec.Entries[i].Received)
			}
			if t != 0 {
				return t, nil
			}
			pos = rec.Through + 1
		}
		if len(records) == 0 {
			break
		}
	}
	return 0, nil
}
