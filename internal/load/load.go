package load

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tapedeck/internal/websocket"
)

// Check says how closely numbers are looked at; the package comment has the difference.
type Check int

// The checks.
const (
	CheckAll Check = iota
	CheckSample
)

// sampleEvery is which part of the connections CheckSample looks at in full.
const sampleEvery = 16

// Phase is a moment of a run.
type Phase int

// The phases of a run, in their order.
const (
	PhaseConnected Phase = iota // all connections are open, and none has subscribed to anything
	PhaseBegin                  // what is measured begins
	PhaseEnd                    // and has ended; the connections are still open
)

// Options say what the crowd does.
type Options struct {
	URL     *url.URL // of the server, http or https; /v2/tape is added to its path
	Clients int      // from 1 up

	// Symbols returns whose trades a client subscribes to; nil when no client subscribes to anything.
	Symbols func(client int) []string

	MessagePack bool // instead of JSON
	Deflate     bool // offer permessage-deflate
	Check       Check
	Loops       int // goroutines that read; 1 when 0

	Warmup   time.Duration // from the last subscription to the beginning of what is measured
	Duration time.Duration // of what is measured

	// Phase, when there is one, is called at each phase, from the goroutine of Run, and the run goes on when it has returned. An
	// error ends the run.
	Phase func(context.Context, Phase) error
}

// Result is what a crowd has seen.
type Result struct {
	Elapsed time.Duration // from PhaseBegin to PhaseEnd

	// What arrived from PhaseBegin to PhaseEnd. Bytes are of frames as they came, compressed or not.
	Ticks, Bytes, Frames, Reads uint64

	// From the first tick of each connection to the last: numbers that never came, and numbers that came twice or went back.
	Losses, OrderErrors uint64

	Lost    uint64 // connections that ended before the run did
	LostWhy error  // of the first of them
	Behind  uint64 // at the end: ticks that the fastest connection had seen, and the slowest had not
	Checked int    // connections on which every tick was looked at

	// Latency is that of every tick that arrived on the Checked connections while it was measured, in µs.
	Latency *hdrhistogram.Histogram
}

// crowd is a run.
type crowd struct {
	opts      Options
	target    string // host:port
	tls       bool
	trust     *x509.CertPool // nil for what the system trusts
	inflaters websocket.Inflaters
	loops     []*loop

	recording atomic.Bool
	closing   atomic.Bool // the run is over: what is lost now is not counted
}

// loop is a goroutine, or on the slow path several, and the connections that it reads.
type loop struct {
	crowd *crowd
	tally *tally
	links []*link
	mu    sync.Mutex // guards tally and the links' state on the slow path
}

// link is a connection and how it is written to.
type link struct {
	conn
	socket socket
	early  []byte // came with the handshake's answer
	gone   bool
}

// socket is what a link writes to.
type socket interface {
	// write sends all of p, or nothing and an error. It does not wait for a peer that does not read.
	write(p []byte) error
	// shut ends the exchange of bytes.
	shut()
	close() error
}

// Run opens the connections, lets them count, and closes them. It returns an error when not all of them could be opened and subscribed, or
// ctx was done; connections that are lost later are in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	c, err := newCrowd(o)
	if err != nil {
		return Result{}, err
	}
	return c.do(ctx)
}

func (c *crowd) do(ctx context.Context) (Result, error) {
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return Result{}, err
	}
	end := c.start()
	result, err := c.run(ctx)
	c.closing.Store(true)
	if failed := errors.Join(end()...); err == nil {
		err = failed
	}
	if err != nil {
		return Result{}, err
	}
	c.sum(&result)
	return result, nil
}

func newCrowd(o Options) (*crowd, error) {
	switch {
	case o.URL == nil || o.URL.Host == "" || o.URL.Scheme != "http" && o.URL.Scheme != "https":
		return nil, fmt.Errorf("%v is not the URL of a server", o.URL)
	case o.Clients < 1:
		return nil, fmt.Errorf("%d clients: want at least 1", o.Clients)
	case o.Duration <= 0 || o.Warmup < 0:
		return nil, fmt.Errorf("measuring for %v after %v makes no sense", o.Duration, o.Warmup)
	}
	o.Loops = min(max(o.Loops, 1), o.Clients)
	c := &crowd{opts: o, target: o.URL.Host, tls: o.URL.Scheme == "https"}
	if o.URL.Port() == "" {
		c.target += map[bool]string{false: ":80", true: ":443"}[c.tls]
	}
	for range o.Loops {
		c.loops = append(c.loops, &loop{crowd: c, tally: newTally()})
	}
	return c, nil
}

// connecting is how many connections are being opened at a time. More do not make it faster, but overflow the server's backlog.
const connecting = 32

// connect opens all connections.
func (c *crowd) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	links := make([]*link, c.opts.Clients)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(connecting, c.opts.Clients) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(links) {
					return
				}
				l, err := c.dial(ctx, i)
				if err != nil {
					cancel(fmt.Errorf("connection %d of %d: %w", i+1, len(links), err))
					return
				}
				links[i] = l
			}
		})
	}
	wg.Wait()
	for i, l := range links {
		if l != nil {
			loop := c.loops[i%len(c.loops)]
			loop.links = append(loop.links, l)
		}
	}
	return context.Cause(ctx)
}

// full says whether every tick of a client is looked at. The sample is spread over all of them.
func (c *crowd) full(client int) bool {
	return c.opts.Check == CheckAll || client%sampleEvery == 0
}

// start sets the loops going. The function that it returns waits until they have ended.
func (c *crowd) start() (end func() []error) {
	errs := make([]error, len(c.loops))
	var wg sync.WaitGroup
	for i, l := range c.loops {
		wg.Go(func() { errs[i] = l.run() })
	}
	return func() []error {
		wg.Wait()
		return errs
	}
}

// run leads the crowd through the phases.
func (c *crowd) run(ctx context.Context) (Result, error) {
	if err := c.phase(ctx, PhaseConnected); err != nil {
		return Result{}, err
	}
	if c.opts.Symbols != nil {
		if err := c.subscribe(ctx); err != nil {
			return Result{}, err
		}
	}
	if err := c.wait(ctx, c.opts.Warmup); err != nil {
		return Result{}, err
	}
	if err := c.phase(ctx, PhaseBegin); err != nil {
		return Result{}, err
	}
	before, began := c.shown(), time.Now()
	c.recording.Store(true)
	err := c.wait(ctx, c.opts.Duration)
	c.recording.Store(false)
	r, elapsed := c.shown(), time.Since(began)
	r.Elapsed = elapsed
	r.Ticks -= before.Ticks
	r.Bytes -= before.Bytes
	r.Frames -= before.Frames
	r.Reads -= before.Reads
	if err != nil {
		return Result{}, err
	}
	return r, c.phase(ctx, PhaseEnd)
}

func (c *crowd) phase(ctx context.Context, p Phase) error {
	if c.opts.Phase == nil {
		return nil
	}
	return c.opts.Phase(ctx, p)
}

func (c *crowd) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// subscribe lets every client ask for its ticks, and waits until the server has confirmed all of them.
func (c *crowd) subscribe(ctx context.Context) error {
	var frame []byte
	for i := range c.opts.Clients {
		l := c.loops[i%len(c.loops)].links[i/len(c.loops)]
		request, err := json.Marshal(map[string]any{"action": "subscribe", "trades": c.opts.Symbols(i)})
		if err != nil {
			return err
		}
		frame = websocket.AppendMasked(frame[:0], websocket.OpText, [4]byte{}, request)
		if err := l.socket.write(frame); err != nil {
			return fmt.Errorf("subscribe on connection %d: %w", i+1, err)
		}
	}
	deadline := time.Now().Add(patience)
	for {
		var ready, lost uint64
		for _, l := range c.loops {
			ready += l.tally.shown.subscribed.Load()
			lost += l.tally.shown.early.Load()
		}
		switch {
		case lost > 0:
			return fmt.Errorf("%d of %d connections were lost before all had subscribed: %w", lost, c.opts.Clients, c.reason())
		case ready == uint64(c.opts.Clients):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d subscriptions were confirmed in %v", ready, c.opts.Clients, patience)
		}
		if err := c.wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// reason returns why the first connection was lost.
func (c *crowd) reason() error {
	for _, l := range c.loops {
		if err := l.tally.reason(); err != nil {
			return err
		}
	}
	return nil
}

// shown adds up what the loops show.
func (c *crowd) shown() (r Result) {
	for _, l := range c.loops {
		r.Ticks += l.tally.shown.ticks.Load()
		r.Bytes += l.tally.shown.bytes.Load()
		r.Frames += l.tally.shown.frames.Load()
		r.Reads += l.tally.shown.reads.Load()
	}
	return r
}

// sum adds up what is known when the loops have ended.
func (c *crowd) sum(r *Result) {
	r.Latency = newHistogram()
	for _, l := range c.loops {
		t := l.tally
		r.Losses += t.losses
		r.OrderErrors += t.disorder
		r.Lost += t.lost
		r.Latency.Merge(t.latency)
		for _, link := range l.links {
			if link.full {
				r.Checked++
			}
			if !link.gone {
				r.Behind = max(r.Behind, link.behind(t))
			}
		}
	}
	r.LostWhy = c.reason()
}

// close closes what is open.
func (c *crowd) close() {
	goodbye := websocket.AppendMaskedClose(nil, [4]byte{}, websocket.CodeNormal, "")
	for _, l := range c.loops {
		for _, link := range l.links {
			if !link.gone {
				// Nothing is lost when the server does not hear it.
				_ = link.socket.write(goodbye)
			}
			_ = link.socket.close()
		}
	}
}

// header is what the handshake asks for.
func (c *crowd) header() http.Header {
	h := http.Header{"User-Agent": {"tapedeck-bench (" + runtime.GOOS + ")"}}
	if c.opts.MessagePack {
		h.Set("Content-Type", "application/msgpack")
	}
	return h
}
