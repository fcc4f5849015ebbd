package line

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// group is a set of instruments that one connection carries, and the connection after that, and so on.
type group struct {
	s     *source
	kinds venue.Kinds

	mu          sync.Mutex
	instruments []venue.Instrument
	link        *link // the newest that is up; nil between two
}

// list returns what the group carries.
func (g *group) list() []venue.Instrument {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.instruments)
}

// has reports whether the group carries a symbol.
func (g *group) has(s market.Symbol) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.instruments, func(in venue.Instrument) bool { return in.Symbol == s })
}

// remove forgets an instrument.
func (g *group) remove(s market.Symbol) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.instruments = slices.DeleteFunc(g.instruments, func(in venue.Instrument) bool { return in.Symbol == s })
}

// set makes a connection the one that is changed, and returns how what it was made for differs from what is wanted by now.
func (g *group) set(l *link, asked []venue.Instrument) (add, remove []venue.Instrument) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.link = l
	return without(g.instruments, asked), without(asked, g.instruments)
}

// without returns those instruments of a list that are not in another.
func without(list, other []venue.Instrument) []venue.Instrument {
	var rest []venue.Instrument
	for _, in := range list {
		if !slices.ContainsFunc(other, func(o venue.Instrument) bool { return o.Symbol == in.Symbol }) {
			rest = append(rest, in)
		}
	}
	return rest
}

// change removes instruments, for a reason, and adds others, on the connection too if one is up. What it fails at ends the connection, and the next one
// carries the right ones.
func (g *group) change(ctx context.Context, add, remove []venue.Instrument, reason string) {
	g.mu.Lock()
	for _, in := range remove {
		g.instruments = slices.DeleteFunc(g.instruments, func(other venue.Instrument) bool { return other.Symbol == in.Symbol })
	}
	g.instruments = append(g.instruments, add...)
	l := g.link
	g.mu.Unlock()
	if l == nil {
		return
	}
	if err := l.change(ctx, add, remove, reason); err != nil {
		l.cancel(err)
	}
}

// run keeps a connection up until ctx is done. It returns only an error that another attempt would meet again.
func (g *group) run(ctx context.Context) error {
	backoff := feed.NewBackoff(g.s.random)
	var old *link // still up, to be replaced
	defer func() {
		if old != nil {
			old.let()
		}
	}()
	var failed error
	for dialled := false; ; {
		if len(g.list()) == 0 && !g.s.traits.Open {
			g.s.state(ctx, g, errIdle)
			if pause(ctx, g.s.t.settle) != nil {
				return nil
			}
			if g.s.start.Demand == nil {
				return nil // Everything was refused; the source knows.
			}
			continue
		}
		if failed != nil {
			if err := g.rest(ctx, backoff, failed, g.s.proven.Load()); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		again := dialled
		dialled = true
		l, err := g.connect(ctx, !again)
		if err != nil {
			failed = err
			if old == nil {
				g.s.state(ctx, g, err)
			} else if isDone(old) {
				g.s.count(-1)
				g.s.state(ctx, g, old.err)
				old = nil
			}
			continue
		}
		failed = nil
		if again {
			g.s.start.Account.Reconnected()
		}
		if old != nil {
			if !g.handOver(ctx, old, l) {
				failed = l.err // The old one is as good as before.
				g.set(nil, nil)
				g.s.count(-1)
				continue
			}
			old = nil
		}
		select {
		case <-l.done:
			failed = l.err
			g.set(nil, nil)
			g.s.count(-1)
			if ctx.Err() == nil {
				g.s.state(ctx, g, l.err)
			}
			if time.Since(l.opened) >= g.s.t.healthy {
				backoff.Healthy()
			}
		case <-l.drain:
			old = l
		}
	}
}

// errIdle is why a group has no connection that carries nothing.
var errIdle = errors.New("no symbol is asked for")

func isDone(l *link) bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// rest waits before the next attempt. It returns an error that ends the feed.
func (g *group) rest(ctx context.Context, backoff *feed.Backoff, failed error, taken bool) error {
	var after time.Duration
	if retry := new(venue.RetryError); errors.As(failed, &retry) {
		after = retry.After
	}
	if errors.Is(failed, venue.ErrRefused) {
		if !taken {
			return feed.Permanent(failed)
		}
		after = max(after, g.s.t.refused*g.s.t.scale) // It was taken before: a key may be renewed, a plan paid.
	}
	if ctx.Err() != nil {
		return nil // the feed was told to stop
	}
	wait := backoff.Pause(after) / g.s.t.scale
	g.s.log.WarnContext(ctx, "connection is down", "error", failed, "pause", wait, "symbols", len(g.list()))
	_ = pause(ctx, wait) // the caller looks at ctx
	return nil
}

// connect makes a connection and lets it run.
func (g *group) connect(ctx context.Context, first bool) (*link, error) {
	if err := g.s.gate.wait(ctx, first); err != nil {
		return nil, err
	}
	asked := g.list()
	l, err := g.s.dial(ctx, g.kinds, asked)
	if err != nil {
		return nil, err
	}
	add, remove := g.set(l, asked)
	g.s.count(1)
	g.s.links.Go(func() { l.run(ctx) })
	if len(add) > 0 || len(remove) > 0 {
		if err := l.change(ctx, add, remove, notWanted); err != nil {
			l.cancel(err)
		}
	}
	return l, nil
}

// handOver waits until a connection carries all that the one before it does, and ends that one. It reports false, and leaves the old one
// as it is, when the new one ended first.
func (g *group) handOver(ctx context.Context, old, l *link) bool {
	timer := time.NewTimer(g.s.t.ready)
	defer timer.Stop()
	select {
	case <-l.ready:
		// A little longer: what the old one still has on its way is not lost then. A pong comes behind it.
		_ = pause(ctx, g.s.t.settle/2)
		old.flush(ctx)
	case <-l.done:
		if !isDone(old) {
			return false
		}
	case <-old.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	old.let()
	g.s.count(-1)
	return true
}
