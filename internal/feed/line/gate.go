package line

import (
	"context"
	"sync"
	"time"
)

// gate lets attempts to connect through: spaced as the venue wants them, and, after the first of each connection, at most so many
// in a window of time, whatever goes wrong.
type gate struct {
	every  time.Duration
	window time.Duration
	most   int

	mu    sync.Mutex
	next  time.Time
	again []time.Time // when attempts that were not the first may go, in order, the last of them
}

// wait returns when an attempt may go.
func (g *gate) wait(ctx context.Context, first bool) error {
	g.mu.Lock()
	at := time.Now()
	if g.next.After(at) {
		at = g.next
	}
	if !first {
		if n := len(g.again); n >= g.most {
			if open := g.again[n-g.most].Add(g.window); open.After(at) {
				at = open
			}
			g.again = append(g.again[:0], g.again[n-g.most+1:]...)
		}
		g.again = append(g.again, at)
	}
	g.next = at.Add(g.every)
	g.mu.Unlock()
	return pause(ctx, time.Until(at))
}
