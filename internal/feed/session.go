package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/market"
)

// session is the sink of one attempt.
type session struct {
	r     *Runner
	clock Clocked // nil when the source has no clock
}

var _ Sink = (*session)(nil)

// errOver is what a source gets that pushes after its Run has returned.
var errOver = errors.New("this attempt is over")

// earliest is before any time that a live venue can mean: 1980. Venues send zero times as year 1 or 1970.
const earliest = 315_532_800 * market.Second

// Dropped implements Sink.
func (s *session) Dropped(reason string, n int) { s.r.account.drop(reason, n) }

// Push implements Sink.
func (s *session) Push(ctx context.Context, entries []market.Entry, offset []byte) error {
	if len(entries) > MaxPush {
		return Permanent(fmt.Errorf("BUG: %d entries in one push, more than %d", len(entries), MaxPush))
	}
	r := s.r
	for {
		r.mu.Lock()
		if r.session != s {
			r.mu.Unlock()
			return errOver
		}
		limit := r.buffer
		if r.traits.Pull {
			limit = pullBuffer
		}
		if r.queue.size < limit {
			err := r.admit(entries, offset)
			r.mu.Unlock()
			return err
		}
		if !r.traits.Pull {
			r.overflow(entries)
			r.mu.Unlock()
			return nil
		}
		space := r.space
		r.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// admit puts what a source pushed into the queue. It is called with mu held.
func (r *Runner) admit(entries []market.Entry, offset []byte) error {
	now := market.FromStd(time.Now())
	if len(entries) == 1 && isFeedState(&entries[0]) {
		r.told(&entries[0], now)
		return nil
	}
	r.arrived(now)
	if r.state != market.StateLive && !(r.state == market.StateHalted && !hasTick(entries)) {
		switch {
		case r.traits.Past && len(entries) > 0:
			r.setStateAt(entries[0].Event, now, market.StateLive, "")
		case len(entries) > 0 || !r.traits.Past:
			r.setState(market.StateLive, "")
		}
	}
	if r.hole.open {
		for i := range entries {
			if e := &entries[i]; e.IsTick() {
				until := e.Event
				if r.timeless(e) {
					until = cmp.Or(e.Received, now)
				}
				r.fill(until)
				break
			}
		}
	}
	if len(entries) == 0 {
		r.queue.stand(nil, offset)
		return nil
	}
	c := r.queue.room(len(entries))
	before := len(c.entries)
	lastTick := -1
	for i := range entries {
		kept, err := r.admitOne(c, &entries[i], now)
		if err != nil {
			r.queue.cut(c, before) // All or nothing: half a push would come again.
			return err
		}
		if kept && entries[i].Flags&market.FlagBackfilled == 0 {
			lastTick = i
		}
	}
	if lastTick >= 0 && !r.traits.Past {
		e := &entries[lastTick]
		lag := now - e.Event
		if e.Received != 0 {
			lag = e.Received - e.Event
		}
		r.latency += (lag - r.latency) / 16
		r.account.arrived(now, time.Duration(lag))
	}
	r.queue.stand(c, offset)
	r.meters.pending.Set(float64(r.queue.size))
	r.wake()
	return nil
}

// isFeedState tells a status that is about the feed and not about a symbol.
func isFeedState(e *market.Entry) bool { return e.Kind == market.KindStatus && e.Symbol == "" }

func hasTick(entries []market.Entry) bool {
	for i := range entries {
		if entries[i].IsTick() {
			return true
		}
	}
	return false
}

// told takes the state of the feed from its source. It is called with mu held.
func (r *Runner) told(e *market.Entry, now market.Time) {
	event := e.Event
	if event == 0 {
		event = now
	}
	if e.State != market.StateLive {
		r.rhythm = rhythm{} // silence is not news now
	}
	r.setStateAt(event, now, e.State, e.Text)
}

// arrived notes that something came. It is called with mu held.
func (r *Runner) arrived(now market.Time) {
	r.rhythm.beat(now)
	r.meters.messages.Inc()
	r.meters.last.Set(float64(now) / float64(market.Second))
}

// admitOne puts one entry into the chunk, unless it is a repeat; kept tells whether it was a tick that was put there.
func (r *Runner) admitOne(c *chunk, e *market.Entry, now market.Time) (kept bool, err error) {
	switch e.Kind {
	case market.KindTrade, market.KindQuote:
	case market.KindGap:
		r.account.gap(e, now)
		r.put(c, e, nil)
		return false, nil
	case market.KindHeartbeat:
		r.lastClock = max(r.lastClock, e.Event)
		r.put(c, e, nil)
		return false, nil
	case market.KindStatus:
		if isFeedState(e) {
			r.told(e, now)
			return false, nil
		}
		r.put(c, e, nil)
		return false, nil
	default:
		r.account.drop(ReasonUnusable, 1)
		return false, nil
	}
	l := r.recent
	if l == nil || l.symbol != e.Symbol {
		if l, err = r.list(e.Symbol); err != nil {
			return false, err
		}
		r.recent = l
	}
	if e.Kind == market.KindTrade && !r.traits.Resumes {
		if key, ok := tradeKey(r.seed, e); ok {
			if l.dedupe.has(key) {
				r.account.repeated()
				return false, nil
			}
			l.dedupe.add(key)
		}
	}
	e = r.put(c, e, l.counter)
	e.Seq = 0
	if e.Received == 0 {
		e.Received = now
	}
	if r.timeless(e) {
		e.Event = e.Received
		e.Flags |= market.FlagNoEventTime
	}
	if !r.traits.Pull {
		if l.rhythm.stale {
			r.enqueueState(c, l.symbol, market.StateLive, e.Event, now, "")
		}
		l.rhythm.beat(now)
	}
	if e.Flags&market.FlagBackfilled != 0 {
		r.account.fetched(e.Symbol)
	}
	r.ticks++
	r.lastTick = now
	if r.traits.Past {
		r.lastEvent = e.Event
	} else {
		// A time in the far future is the venue's mistake: the feed's clock must not stand still until then.
		r.lastEvent = max(r.lastEvent, min(e.Event, e.Received+market.Minute))
	}
	r.lastClock = max(r.lastClock, r.lastEvent)
	return true, nil
}

// timeless tells a tick of which nobody knows when it happened: it happened when it arrived.
func (r *Runner) timeless(e *market.Entry) bool {
	return e.Event == 0 || !r.traits.Past && e.Event < earliest
}

// put copies an entry into a chunk and returns the copy. What is not of now says so.
func (r *Runner) put(c *chunk, e *market.Entry, n *counter) *market.Entry {
	r.queue.add(c, e, n)
	e = &c.entries[len(c.entries)-1]
	if r.traits.Past {
		e.Flags |= market.FlagImported
	}
	return e
}

// list returns what the runner knows of a symbol, claiming it for this feed at first.
func (r *Runner) list(s market.Symbol) (*listed, error) {
	if l := r.symbols[s]; l != nil {
		return l, nil
	}
	if s == "" {
		return nil, Permanent(errors.New("BUG: a tick without a symbol"))
	}
	n, err := r.lane.claim(s)
	if err != nil {
		return nil, err
	}
	l := &listed{symbol: s, counter: n}
	if e, ok := r.lane.Last(s, market.KindTrade); ok {
		// What a venue sends again first after a restart is its last trade.
		if key, ok := tradeKey(r.seed, &e); ok {
			l.dedupe.add(key)
		}
	}
	r.symbols[s] = l
	r.account.saw(len(r.symbols))
	return l, nil
}

// enqueueState puts a state of a symbol into a chunk.
func (r *Runner) enqueueState(c *chunk, s market.Symbol, state market.State, event, now market.Time, reason string) {
	r.put(c, &market.Entry{Kind: market.KindStatus, Symbol: s, State: state, Event: event, Received: now, Text: reason}, nil)
}

// overflow drops a push of a source that cannot wait: it is counted, and will be a gap, which what the source itself had to say of gaps
// is part of. It is called with mu held.
func (r *Runner) overflow(entries []market.Entry) {
	now := market.FromStd(time.Now())
	if len(entries) == 1 && isFeedState(&entries[0]) {
		r.told(&entries[0], now) // Few, and the state is to be true now of all times.
		return
	}
	r.arrived(now)
	n := 0
	for i := range entries {
		e := &entries[i]
		switch {
		case e.IsTick():
			n++
			event := e.Event
			if event < earliest && !r.traits.Past || event > now+market.Minute {
				event = now // as in admitOne
			}
			from := event
			if r.lastEvent != 0 {
				from = min(from, r.lastEvent)
			}
			r.lose(from, event, ReasonBufferFull)
		case e.Kind == market.KindGap && e.Flags&market.FlagFilled == 0:
			r.lose(e.Event, e.Until, ReasonBufferFull+": "+e.Text)
		}
	}
	r.account.drop(ReasonBufferFull, n)
}
