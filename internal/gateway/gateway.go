package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/tape"
)

// Gateway serves clients. Its Handler answers from New on; streams and readiness begin with Run.
type Gateway struct {
	opt     Options
	hub     *hub
	metrics *metrics
	guard   *guard
	page    *page
	days    dayCache

	queries  slots     // requests that read history
	catchUps slots     // sessions that read the tape
	buffers  sync.Pool // of *[]byte, for frames and answers
	silence  func(net.Conn) (time.Duration, bool)

	running atomic.Bool
	started chan struct{} // closed when the hub knows what history knows
	closing chan struct{} // closed when sessions must say goodbye

	mu       sync.Mutex
	sessions map[*session]context.CancelFunc
	perHost  map[string]int
	total    int
	shut     bool
	wg       sync.WaitGroup
}

// New makes a gateway of its parts. It does nothing until Run.
func New(o Options) (*Gateway, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	g := &Gateway{
		opt:      o,
		hub:      newHub(&o),
		queries:  make(slots, o.Limits.Queries),
		catchUps: make(slots, o.Limits.CatchUps),
		started:  make(chan struct{}),
		closing:  make(chan struct{}),
		silence:  peerSilence,
		sessions: make(map[*session]context.CancelFunc),
		perHost:  make(map[string]int),
	}
	var err error
	if g.guard, err = newGuard(&o); err != nil {
		return nil, err
	}
	if g.page, err = newPage(o.UI); err != nil {
		return nil, fmt.Errorf("the page: %w", err)
	}
	if g.metrics, err = newMetrics(&o, g.hub); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return g, nil
}

// Run reads the tape for the clients until ctx is done, then lets every session write what is left to write and closes it with
// 1001 and its cursor. It returns when all are gone, or were cut off after the drain time. It returns nil when ctx is done and
// otherwise why it stopped. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return errors.New("the gateway is running already")
	}
	defer g.drain()
	from, err := g.warm(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	close(g.started)
	g.opt.Logger.Info("the gateway serves", "position", uint64(from), "symbols", g.hub.grown.Load()-1)
	return g.hub.run(ctx)
}

// warm takes in what history knows, and returns the position from which the hub goes on.
func (g *Gateway) warm(ctx context.Context) (tape.Position, error) {
	epoch, applied := g.opt.History.Applied()
	listings, err := g.opt.History.Listings(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the symbols: %w", err)
	}
	b := g.opt.Tape.Bounds()
	from := min(max(applied+1, b.First), b.Last+1)
	if applied != 0 && epoch != b.Epoch {
		from = b.Last + 1 // the position is of another tape
	}
	bars, err := g.newBars(ctx, listings)
	if err != nil {
		return 0, err
	}
	g.hub.start(listings, bars, from)
	return from, nil
}

// drain ends all sessions.
func (g *Gateway) drain() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	close(g.closing)
	late := time.AfterFunc(g.opt.Drain, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, cancel := range g.sessions {
			cancel()
		}
	})
	defer late.Stop()
	g.wg.Wait()
}

// Started returns a channel that is closed once streams and history are served.
func (g *Gateway) Started() <-chan struct{} { return g.started }

func (g *Gateway) isClosing() bool {
	select {
	case <-g.closing:
		return true
	default:
		return false
	}
}

func (g *Gateway) isStarted() bool {
	select {
	case <-g.started:
		return true
	default:
		return false
	}
}

// admission is what a client is refused with; nil when it may come in.
type admission struct {
	status int
	detail string
}

// enter takes in a session of a client at an address. Exactly one call of exit follows when it returns nil.
func (g *Gateway) enter(address string, loopback bool) *admission {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.opt.Limits
	switch {
	case g.shut:
		return &admission{http.StatusServiceUnavailable, "the server is shutting down"}
	case g.total >= l.Connections:
		return &admission{http.StatusServiceUnavailable, fmt.Sprintf("all %d connections are taken", l.Connections)}
	case !loopback && g.perHost[address] >= l.PerAddress:
		return &admission{http.StatusTooManyRequests, fmt.Sprintf("at most %d connections from one address", l.PerAddress)}
	}
	g.total++
	g.perHost[address]++
	g.wg.Add(1)
	return nil
}

func (g *Gateway) exit(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.perHost[address]--; g.perHost[address] == 0 {
		delete(g.perHost, address)
	}
	g.wg.Done()
}

// slots bound how many do something at once.
type slots chan struct{}

// acquire waits for a slot.
func (s slots) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) release() { <-s }
