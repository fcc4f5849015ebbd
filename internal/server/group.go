package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// group is a set of goroutines that end together.
type group struct {
	ctx    context.Context //nolint:containedctx // the context of the group's goroutines, which live as long as the group
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (g *group) start(ctx context.Context) { g.ctx, g.cancel = context.WithCancel(ctx) }

// run runs f until the group ends. If f ends before that with an error, failed gets it.
func (g *group) run(name string, failed context.CancelCauseFunc, f func(context.Context) error) {
	g.wg.Go(func() {
		err := f(g.ctx)
		if failed != nil && g.ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			failed(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// end asks the goroutines to end and waits until they have.
func (g *group) end() {
	g.cancel()
	g.wg.Wait()
}
