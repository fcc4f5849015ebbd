package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/tape"
	"tapedeck/internal/websocket"
)

// Gateway serves clients. Its Handler answers from New on; streams and readiness begin with Run.
type Gateway struct {
	opt     Options
	hub     *hub
	metrics *metrics
	guard   *guard
	page    *page

	queries   slots // requests that read history
	catchUps  slots // soloists that read the tape
	playUps   slots // those of them that play
	plays     atomic.Int64
	buffers   sync.Pool // of *[]byte, for answers
	scratches sync.Pool // of *scratch, for soloists
	inflaters websocket.Inflaters
	shards    []*shard
	readers   *readers
	shared    atomic.Uint64 // connections that were given to shards
	silence   func(fd int) (time.Duration, bool)

	running atomic.Bool
	started chan struct{}   // closed when the hub knows what history knows
	closing chan struct{}   // closed when sessions must say goodbye
	cut     context.Context //nolint:containedctx // ends when sessions are cut; they outlive the requests that open them
	cutAll  context.CancelFunc

	mu           sync.Mutex
	perHost      map[string]int
	perPrincipal map[string]int
	total        int
	shut         bool
	wg           sync.WaitGroup // of sessions
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
		playUps:  make(slots, max(1, o.Limits.CatchUps/2)),
		started:  make(chan struct{}),
		closing:  make(chan struct{}),
		silence:  peerSilence,
		readers:  newReaders(),

		perHost:      make(map[string]int),
		perPrincipal: make(map[string]int),
	}
	g.cut, g.cutAll = context.WithCancel(context.Background())
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
	end, err := g.drive()
	if err != nil {
		return err
	}
	defer end()
	from, err := g.warm(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	g.hub.rebuilt, g.hub.settled = make(chan struct{}), from
	var rebuilding sync.WaitGroup
	rebuilding.Go(func() { g.rebuild(ctx, from) })
	defer rebuilding.Wait()
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

// drive starts what drives the sessions. The function that it returns ends all sessions and waits for them.
func (g *Gateway) drive() (end func(), err error) {
	for range g.opt.shards() {
		sh, err := newShard(g)
		if err != nil {
			return nil, err
		}
		if sh != nil {
			g.shards = append(g.shards, sh)
		}
	}
	var shards, readers sync.WaitGroup
	reading, stopReading := context.WithCancel(context.Background())
	readers.Go(func() { g.readers.run(reading, g.opt.Limits.CatchUps) })
	driving, stopDriving := context.WithCancel(context.Background())
	for _, sh := range g.shards {
		shards.Go(func() { sh.run(driving) })
	}
	return func() {
		g.drain()
		stopReading()
		readers.Wait()
		stopDriving()
		shards.Wait()
		g.wg.Wait()
	}, nil
}

// drain lets all sessions say goodbye, and returns when they have or when it takes too long. Those that are left are cut.
func (g *Gateway) drain() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	close(g.closing)
	late, cancel := context.WithTimeout(context.Background(), g.opt.Drain)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		g.wg.Wait()
	}()
	select {
	case <-gone:
	case <-late.Done():
	}
	g.cutAll()
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

// guest is a client as far as it is counted.
type guest struct {
	address   string
	loopback  bool
	principal string // who it says it is; empty when it does not say
}

// enter takes in a session. Exactly one call of exit follows when it returns nil.
func (g *Gateway) enter(who guest) *admission {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.opt.Limits
	switch {
	case g.shut:
		return &admission{http.StatusServiceUnavailable, "the server is shutting down"}
	case g.total >= l.Connections:
		return &admission{http.StatusServiceUnavailable, fmt.Sprintf("all %d connections are taken", l.Connections)}
	case !who.loopback && g.perHost[who.address] >= l.PerAddress:
		return &admission{http.StatusTooManyRequests, fmt.Sprintf("at most %d connections from one address", l.PerAddress)}
	case !who.loopback && who.principal != "" && g.perPrincipal[who.principal] >= l.PerPrincipal:
		return &admission{http.StatusTooManyRequests, fmt.Sprintf("at most %d connections with one key", l.PerPrincipal)}
	}
	g.total++
	g.perHost[who.address]++
	if who.principal != "" {
		g.perPrincipal[who.principal]++
	}
	g.wg.Add(1)
	return nil
}

func (g *Gateway) exit(who guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.perHost[who.address]--; g.perHost[who.address] == 0 {
		delete(g.perHost, who.address)
	}
	if who.principal != "" {
		if g.perPrincipal[who.principal]--; g.perPrincipal[who.principal] == 0 {
			delete(g.perPrincipal, who.principal)
		}
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
