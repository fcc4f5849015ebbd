package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// play is the past as a session is told it: a clock, and two sources in step with it. The tape gives what it has, in its order, by the times
// of receipt: that is what was shown live. History gives the rest by the venues' times: what the tape no longer has, and what was history when
// it came. A play belongs to the goroutine of its session.
//
// The clock runs by the time of the wall and stands still when the session is paused. An entry of the tape is due when the clock has
// reached the times of receipt of all entries up to it, so that the order is that of the tape even where a clock stepped back.
type play struct {
	from, to market.Time // what is played: from ≤ time < to; to is 0 when the end is open
	oldest   market.Time // when the oldest entry of the tape was received: earlier ticks come from history
	trimmed  uint64      // entries before those that the tape has

	pace    pace
	running bool
	steps   int    // ticks that are still to be told while the clock stands
	closing bool   // the clock has come to the end of the span: the bars that it ends are told
	ended   bool   // they were told
	endAt   place  // on the tape, at the end
	endKey  rowKey // of history, at the end

	base  market.Time // the clock at the time since
	since time.Time
	told  market.Time // all that is due up to here was told
	shown market.Time // what the client last heard of the clock, or the session of its place
	last  market.Time // when what was told last was due

	known  market.Time // when the next that is known is due
	next   market.Time // the same, when nothing can come before; else 0
	wake   time.Time   // when there is something to do
	tellAt time.Time   // when the client is to hear of the clock
	rows   *rows       // of history; nil when nothing is to come from there
	bars   *playedBars // where the hub does not remember bars; nil when it does
}

// clockEvery is how often a client hears of the clock.
const clockEvery = 200 * time.Millisecond

// shortestWait is the shortest time between two looks at what is due.
const shortestWait = 2 * time.Millisecond

// endOfTime is later than everything.
const endOfTime = market.Time(math.MaxInt64)

// errNotPlaying is what an order for a play is answered with when there is none.
func errNotPlaying(action string) error {
	return &refusal{code: 400, msg: fmt.Sprintf(`not playing: %q needs a "play" before it`, action)}
}

// command carries out an order, and tells the client how the clock stands then.
func (s *session) command(ctx context.Context, action string, o *order) error {
	now := time.Now()
	p := s.play
	if p == nil && action == "speed" && s.opening != nil {
		s.opening.pace = o.pace
		return nil
	}
	if p == nil && action != "play" && action != "live" {
		return errNotPlaying(action)
	}
	switch action {
	case "play":
		if err := s.begin(ctx, o); err != nil {
			return err
		}
	case "live":
		if p != nil || s.opening != nil || s.behind {
			s.goLive()
		}
	case "seek":
		if err := s.seek(ctx, o); err != nil {
			return err
		}
	case "pause":
		p.hold(now)
		p.running = false
	case "resume":
		if p.ended {
			return &refusal{code: 400, msg: `the end was reached: "seek", "play" or "live"`}
		}
		if !p.running {
			p.steps = 0
			p.hold(now) // some of the steps may have been told
			p.start(now)
		}
	case "speed":
		p.hold(now)
		p.pace = o.pace
	case "step":
		if p.running {
			return &refusal{code: 400, msg: `"step" is for a play that is paused`}
		}
		if p.ended {
			return &refusal{code: 400, msg: `the end was reached: "seek", "play" or "live"`}
		}
		if s.subs.sets[chTrades].empty() && s.subs.sets[chQuotes].empty() {
			return &refusal{code: 400, msg: `"step" needs a subscription to trades or quotes`}
		}
		p.steps = min(p.steps+o.ticks, mostSteps)
		p.wake, p.next = now, 0
		return nil // the clock is told behind the ticks
	}
	s.sayClock(now)
	return nil
}

// begin plays from a moment on.
func (s *session) begin(ctx context.Context, o *order) error {
	if s.play == nil {
		if err := s.g.reserve(); err != nil {
			return err
		}
	}
	p, at, err := s.g.newPlay(ctx, o)
	if err != nil {
		if s.play == nil {
			s.g.plays.Add(-1)
		}
		return err
	}
	s.enter(p, at)
	p.start(time.Now())
	return nil
}

// reserve counts a play in, or refuses it when there are enough.
func (g *Gateway) reserve() error {
	if g.plays.Add(1) > int64(g.opt.Limits.Plays) {
		g.plays.Add(-1)
		return g.full()
	}
	return nil
}

// full says that there are enough plays.
func (g *Gateway) full() error {
	return &refusal{code: 503, msg: fmt.Sprintf("all %d plays are taken; come back later", g.opt.Limits.Plays)}
}

// drop ends a play, if there is one.
func (s *session) drop() {
	if s.play != nil {
		s.play = nil
		s.g.plays.Add(-1)
	}
}

// enter makes a play what the session is told.
func (s *session) enter(p *play, at place) {
	s.play, s.opening = p, nil
	s.unwish()
	s.main, s.detours, s.mutes = stretch{at: at}, nil, nil
	s.due = time.Time{}
}

// seek goes to another moment of the past, and goes on there as before.
func (s *session) seek(ctx context.Context, o *order) error {
	old := s.play
	next := order{from: o.from, pace: old.pace}
	if old.to > o.from.time {
		next.to = old.to
	}
	p, at, err := s.g.newPlay(ctx, &next)
	if err != nil {
		return err
	}
	s.enter(p, at)
	if old.running || old.closing || old.ended {
		p.start(time.Now())
	}
	return nil
}

// goLive leaves the past for what happens from now on.
func (s *session) goLive() {
	s.drop()
	s.opening = nil
	s.wishAgain()
	s.main, s.detours, s.mutes = stretch{}, nil, nil
	if !s.subs.empty() {
		s.main.at = place{pos: s.g.opt.Tape.Bounds().Last + 1}
	}
	s.lag(false)
}

// join goes on live behind what was told of the tape: the play has caught up with the present.
func (s *session) join() {
	s.drop()
	s.wishAgain()
	s.main.held = nil
	if s.subs.empty() {
		s.main = stretch{}
	}
	s.lag(false)
}

// departPlaying is depart for a session that plays: a symbol that is asked for comes from the clock's moment on. The clock of a play that
// the address asks for starts with the first subscription, because a program needs a moment to subscribe.
func (s *session) departPlaying(ctx context.Context, r *request) error {
	if r.from != nil {
		return errors.New(`"from" has no place in a subscription while the past is played: "seek" goes there`)
	}
	if s.play != nil {
		s.play.next, s.play.wake = 0, time.Time{}
		return nil
	}
	return s.begin(ctx, s.opening)
}

// newPlay finds where a play begins: the clock, and the place on the tape.
func (g *Gateway) newPlay(ctx context.Context, o *order) (*play, place, error) {
	p := &play{to: o.to, pace: o.pace}
	if p.pace == unsaid {
		p.pace = 1
	}
	b := g.opt.Tape.Bounds()
	var at place
	var err error
	switch {
	case o.from.trail != nil:
		at, err = g.resume(ctx, p, o.from)
	case o.from.cursor != nil:
		if at, err = g.placeFor(ctx, o.from); err != nil {
			return nil, at, err
		}
		p.from, err = g.timeOf(ctx, at)
		if p.to != 0 && p.from >= p.to {
			p.from = p.to - 1 // who comes back had everything: what is left is the end
		}
		p.oldest = p.from // all of it is on the tape
	default:
		p.from = o.from.time
		at, err = g.findPlay(ctx, b, p)
	}
	if err != nil {
		return nil, at, err
	}
	if p.to != 0 && p.to <= p.from {
		return nil, at, errors.New(`"to" must be later than "from"`)
	}
	if o.from.trail == nil {
		p.base, p.told, p.shown, p.last = p.from, p.from, p.from, p.from
	}
	if err := g.openRows(ctx, p); err != nil {
		return nil, at, err
	}
	if m := o.from.trail; m != nil && p.rows != nil {
		p.rows.key, p.rows.resumed = m.key, true
	}
	return p, at, nil
}

// mayPlay refuses at once what newPlay would refuse later.
func (g *Gateway) mayPlay(ctx context.Context, o *order) error {
	if g.plays.Load() >= int64(g.opt.Limits.Plays) {
		return g.full()
	}
	if o.from.cursor != nil {
		if o.from.trail != nil {
			_, err := g.resume(ctx, &play{to: o.to}, o.from)
			return err
		}
		_, err := g.placeFor(ctx, o.from)
		return err
	}
	return g.hasCome(ctx, g.opt.Tape.Bounds(), o.from.time)
}

// findPlay returns the place on the tape where a play that begins at a time has what is due then and later, and notes in the play what the
// tape has.
func (g *Gateway) findPlay(ctx context.Context, b tape.Bounds, p *play) (place, error) {
	if err := g.hasCome(ctx, b, p.from); err != nil {
		return place{}, err
	}
	if b.Last < b.First || b.Last == 0 {
		p.oldest, p.trimmed = market.FromStd(time.Now()), math.MaxUint64
		return place{pos: b.Last + 1}, nil
	}
	records, err := g.opt.Tape.Read(ctx, b.First, nil)
	if err != nil || len(records) == 0 {
		return place{}, fmt.Errorf("%w: read the tape at %d: %w", errInternal, b.First, err)
	}
	p.trimmed = records[0].Ordinal
	if p.oldest, err = g.oldestOf(ctx, records); err != nil {
		return place{}, err
	}
	if p.from < p.oldest {
		return place{pos: b.First}, nil
	}
	return g.placeOfTime(ctx, b, p.from)
}

// oldestOf returns when the first entry of some records, or of those behind them, was received; of a tape that does not say, now.
func (g *Gateway) oldestOf(ctx context.Context, records []*tape.Record) (market.Time, error) {
	for range 100 {
		if len(records) == 0 {
			break
		}
		for _, rec := range records {
			for i := range rec.Entries {
				if t := rec.Entries[i].Received; t != 0 {
					return t, nil
				}
			}
		}
		next := records[len(records)-1].Through + 1
		var err error
		if records, err = g.opt.Tape.Read(ctx, next, records[:0]); err != nil {
			return 0, fmt.Errorf("%w: read the tape at %d: %w", errInternal, next, err)
		}
	}
	return market.FromStd(time.Now()), nil
}

// timeOf returns when the first entry at a place or behind it was received; at the end of the tape, now.
func (g *Gateway) timeOf(ctx context.Context, at place) (market.Time, error) {
	if at.pos > g.opt.Tape.Bounds().Last {
		return market.FromStd(time.Now()), nil
	}
	records, err := g.opt.Tape.Read(ctx, at.pos, nil)
	if err != nil || len(records) == 0 {
		return 0, fmt.Errorf("%w: read the tape at %d: %w", errInternal, at.pos, err)
	}
	first := *records[0]
	first.Entries = first.Entries[min(int(at.index), len(first.Entries)):]
	records[0] = &first
	return g.oldestOf(ctx, records)
}

// start lets the clock run.
func (p *play) start(now time.Time) {
	p.running, p.since, p.wake, p.next = !p.ended, now, now, 0
	p.tellAt = now
}

// hold lets the clock go on from where the client has seen it.
func (p *play) hold(now time.Time) {
	p.shown = max(p.shown, p.told)
	p.base, p.since = p.shown, now
	p.wake, p.next = now, 0
}

// clock returns the time of the play; flat out it has none of its own, and everything is due.
func (p *play) clock(now time.Time) market.Time {
	if !p.running {
		return p.base
	}
	if p.pace == flatOut {
		return endOfTime
	}
	past := float64(now.Sub(p.since)) * float64(p.pace)
	if past >= float64(endOfTime-max(p.base, 0)) {
		return endOfTime
	}
	return p.base + market.Time(past)
}

// limit returns the last moment that is due.
func (p *play) limit(now time.Time) market.Time {
	if p.closing {
		return p.to + slack
	}
	limit := p.clock(now)
	if p.steps > 0 {
		limit = endOfTime
	}
	if p.to != 0 {
		limit = min(limit, p.to-1)
	}
	return limit
}

// until returns when the clock comes to a time.
func (p *play) until(t market.Time) time.Time {
	if p.pace == flatOut || t <= p.base {
		return p.since
	}
	wait := math.Ceil(float64(t-p.base) / float64(p.pace))
	if wait > float64(24*time.Hour) {
		wait = float64(24 * time.Hour) // it is looked at again before
	}
	return p.since.Add(time.Duration(wait))
}

// isStill reports whether nothing is due before the client asks for something. What the clock had passed when it was held is told: in mode
// latest that comes with the next round.
func (p *play) isStill() bool {
	return !p.running && !p.closing && p.steps == 0 && p.told >= p.base
}

// isPast reports whether the session is told the past, and not up to a place on the tape yet.
func (p *play) isPast() bool { return p != nil && p.from < p.oldest && p.told < p.oldest }

// appendClock writes the message that tells the clock.
func (p *play) appendClock(dst []byte) []byte {
	dst = appendTime(append(dst, `{"T":"clock","t":`...), p.shown)
	dst = p.pace.append(append(dst, `,"speed":`...))
	dst = append(dst, `,"live":false,"playing":`...)
	if p.running {
		dst = append(dst, "true"...)
	} else {
		dst = append(dst, "false"...)
	}
	if p.ended {
		dst = append(dst, `,"ended":true`...)
	}
	return append(dst, '}')
}

// appendLiveClock writes the message that says that the session is live.
func appendLiveClock(dst []byte, now time.Time) []byte {
	dst = appendTime(append(dst, `{"T":"clock","t":`...), market.FromStd(now))
	return append(dst, `,"speed":1,"live":true,"playing":true}`...)
}

// sayClock tells the client how the clock stands. The libraries of the other dialects do not know the message.
func (s *session) sayClock(now time.Time) {
	if s.manner.dialect != native {
		return
	}
	text := []byte{'['}
	if s.play == nil {
		text = appendLiveClock(text, now)
	} else {
		text = s.play.appendClock(text)
		s.play.tellAt = now.Add(clockEvery)
	}
	s.say(append(text, ']'))
}
