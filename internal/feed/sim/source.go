package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// source paces a world.
type source struct {
	world *world
	pace  pace
	batch []market.Entry
}

var (
	_ feed.Source  = (*source)(nil)
	_ feed.Clocked = (*source)(nil)
)

func newSource(c config, start feed.Start) *source {
	second := c.open
	if second < 0 {
		second = secondOfDay(time.Now())
	}
	return &source{world: newWorld(c, start, second), pace: newPace(c.rate, c.seed), batch: make([]market.Entry, 0, maxGroup)}
}

// Traits implements feed.Source. It resumes: while it did not run, nothing happened that could be missing.
func (s *source) Traits() feed.Traits {
	return feed.Traits{Label: Label, Pull: true, Resumes: true, Breaks: true}
}

// Clock implements feed.Clocked: simulated ticks carry the time at which they are made.
func (s *source) Clock(now market.Time) market.Time { return now }

// How ticks are grouped when they come faster than timers can tell apart.
const (
	maxGroup  = 1024                    // ticks in a push
	slice     = time.Millisecond        // between pushes, above fastRate
	fastRate  = 2000                    // ticks a second
	debtLimit = 1500 * time.Millisecond // what is missed by more, because the tape or the machine stood still, is not made up for
)

// Run implements feed.Source. The ticks of the opening come at once, all others at the configured rate.
func (s *source) Run(ctx context.Context, sink feed.Sink) error {
	begin := time.Now()
	for s.world.opening > 0 {
		s.batch = s.batch[:0]
		at := market.FromStd(begin)
		for s.world.opening > 0 && len(s.batch) < maxGroup {
			s.make(at, at)
		}
		if err := sink.Push(ctx, s.batch, nil); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := s.pace.next()
	for {
		now := time.Now()
		elapsed := now.Sub(begin)
		if behind := elapsed - due; behind > debtLimit {
			begin = begin.Add(behind)
			elapsed -= behind
		}
		s.batch = s.batch[:0]
		wall := market.FromStd(now)
		for due <= elapsed && len(s.batch) < maxGroup {
			s.make(wall.Add(due-elapsed), wall)
			due = s.pace.next()
		}
		if len(s.batch) > 0 {
			if err := sink.Push(ctx, s.batch, nil); err != nil {
				return err
			}
			if len(s.batch) == maxGroup {
				continue
			}
		}
		wait := due - elapsed
		if s.pace.rate > fastRate {
			wait = max(wait, slice)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// make adds the next tick to the batch.
func (s *source) make(event, received market.Time) {
	s.batch = s.batch[:len(s.batch)+1]
	e := &s.batch[len(s.batch)-1]
	s.world.next(e)
	e.Event, e.Received = event, received
}

// pace says when ticks are due. In each stretch of time of cluster/rate there are exactly cluster ticks, at random moments: from
// near by they come like those of a Poisson process, from afar at the exact rate. Fast ones are evenly spaced, which nobody
// can tell.
type pace struct {
	rate    float64
	rng     *rand.Rand
	n       uint64
	moments [cluster]float64 // of the stretch at hand, as parts of it
}

const cluster = 8

func newPace(rate float64, seed uint64) pace {
	return pace{rate: rate, rng: rand.New(rand.NewPCG(seed, 0x7061_6365))}
}

// next returns when the next tick is due, from the start.
func (p *pace) next() time.Duration {
	second := float64(time.Second)
	if p.rate > fastRate {
		p.n++
		return time.Duration(float64(p.n) * second / p.rate)
	}
	k := p.n % cluster
	if k == 0 {
		for i := range p.moments {
			p.moments[i] = p.rng.Float64()
		}
		slices.Sort(p.moments[:])
	}
	stretch := cluster * second / p.rate
	at := float64(p.n/cluster)*stretch + p.moments[k]*stretch
	p.n++
	return time.Duration(at)
}
