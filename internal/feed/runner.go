package feed

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"tapedeck/internal/market"
)

// Bounds of the buffer between a source and the tape, in bytes of entries.
const (
	defaultBuffer = 64 << 20 // of a source that cannot wait
	pullBuffer    = 8 << 20  // of one that can: two records of MaxBatch, so that one fills while the other is written
)

// drainTime is what Run takes at most to put on the tape what had arrived when it was told to stop.
const drainTime = 5 * time.Second

// RunnerOptions configure a Runner.
type RunnerOptions struct {
	URL     *URL
	Open    func(u *URL, start Start) (Source, error) // Registry.Open
	Writer  *Writer
	Log     *slog.Logger
	Metrics *Metrics // nil: not measured
	Buffer  int      // bytes that a source that can't wait may be ahead of the tape; 0 is 64 MiB
	Wishes  *Wishes  // what clients want of feeds on demand; nil when nobody can

	// Random returns a number in [0, n) for the pauses between attempts; nil takes the process's own.
	Random func(n int64) int64
}

// Runner keeps one feed going.
type Runner struct {
	url     *URL
	open    func(u *URL, start Start) (Source, error)
	writer  *Writer
	demand  *Demand // nil when the feed brings nothing on demand
	log     *slog.Logger
	buffer  int
	backoff backoff
	seed    maphash.Seed

	mu      sync.Mutex
	lane    *Lane // nil before Run
	meters  *meters
	account *Account
	queue   queue
	fresh   chan struct{} // holds a token when the queue has something new
	space   chan struct{} // closed and made anew when the queue has shrunk
	sealed  bool          // no more comes; set when the appender should end once the queue is empty

	session *session // the source that runs now, nil between attempts
	opened  bool     // a source has been opened before
	traits  Traits
	state   market.State
	reason  string      // of the state
	since   market.Time // of the state
	held    string      // why the tape does not take anything now

	symbols   map[market.Symbol]*listed
	recent    *listed // the last one used, for runs of one symbol
	hole      hole
	lastEvent market.Time // latest event time of a tick, as far as the feed is concerned
	lastClock market.Time // latest of lastEvent and the heartbeats
	lastTick  market.Time // arrival of the last tick
	rhythm    rhythm      // of messages
	latency   market.Time // mean of (received − event)
	beaten    uint64      // ticks at the last look of the housekeeping
	ticks     uint64
	rate      rate
}

// listed is a symbol as its feed sees it.
type listed struct {
	symbol  market.Symbol
	counter *counter
	dedupe  dedupe
	rhythm  rhythm
}

// hole is a gap that will be put on the tape before the next tick, when its end is known.
type hole struct {
	open   bool
	from   market.Time
	to     market.Time // last event that was dropped; 0 when nothing came
	reason string
}

// NewRunner returns a runner that does nothing before Run.
func NewRunner(o RunnerOptions) (*Runner, error) {
	m, err := o.Metrics.of(o.URL.Name)
	if err != nil {
		return nil, err
	}
	r := &Runner{
		url: o.URL, open: o.Open, writer: o.Writer, demand: o.Wishes.Demand(o.URL.Name), log: o.Log.With("feed", o.URL.Name), buffer: o.Buffer, meters: m, account: newAccount(m),
		backoff: backoff{random: o.Random}, seed: maphash.MakeSeed(),
		fresh: make(chan struct{}, 1), space: make(chan struct{}), symbols: make(map[market.Symbol]*listed),
	}
	if r.buffer == 0 {
		r.buffer = defaultBuffer
	}
	if r.backoff.random == nil {
		r.backoff.random = rand.Int64N
	}
	return r, nil
}

// Run keeps the feed going until ctx is done, its source has nothing more, or it fails in a way that another attempt would not
// mend. What had arrived by then is put on the tape before Run returns, within five seconds. It returns nil in the first two
// cases; the state stays to be read from Info. A Runner runs once.
func (r *Runner) Run(ctx context.Context) error {
	lane, err := r.writer.Lane(ctx, r.url.Name)
	if err != nil {
		r.mu.Lock()
		r.state, r.reason = market.StateDown, err.Error()
		r.mu.Unlock()
		return err
	}
	defer lane.Close()
	r.mu.Lock()
	r.lane = lane
	r.queue.offset = lane.Offset()
	r.lastEvent = lane.lastEvent()
	r.lastClock = r.lastEvent
	r.mu.Unlock()

	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	appending, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.appendAll(appending); err != nil {
			stop(err)
		}
	})
	wg.Go(func() { r.keepHouse(running) })

	err = r.supervise(running)
	if cause := context.Cause(running); ctx.Err() == nil && cause != nil {
		err = cause // The tape refused for good.
	}
	r.end(ctx, err)
	stop(nil)
	drain := time.AfterFunc(drainTime, abandon)
	defer drain.Stop()
	wg.Wait()
	return err
}

// end sets the last state and lets the appender finish.
func (r *Runner) end(ctx context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.setState(market.StateDown, err.Error())
	case ctx.Err() != nil:
		r.setState(market.StateDown, "stopped")
	default:
		r.setState(market.StateClosed, "played to the end")
	}
	if r.hole.open && r.hole.to != 0 {
		r.fill(r.hole.to)
	}
	r.sealed = true
	r.wake()
}

// supervise opens and runs the source again and again. It returns nil when ctx is done or the source has nothing more.
func (r *Runner) supervise(ctx context.Context) error {
	for {
		began := market.FromStd(time.Now())
		err := r.attempt(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			r.log.InfoContext(ctx, "feed has come to its end")
			return nil
		case IsPermanent(err):
			r.log.ErrorContext(ctx, "feed rests: another attempt would fail alike", "error", err)
			return err
		}
		pause := r.failed(began, err)
		r.log.WarnContext(ctx, "feed is down", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		r.account.Reconnected()
	}
}

// failed notes that an attempt ended with an error and returns the pause before the next.
func (r *Runner) failed(began market.Time, err error) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == market.StateLive && r.rhythm.last-began >= market.Time(healthyAfter) {
		r.backoff.healthy()
	}
	if !r.traits.Resumes && !r.traits.Mends && r.lastEvent != 0 {
		r.lose(r.lastEvent, 0, "disconnected: "+err.Error())
	}
	r.setState(market.StateDown, err.Error())
	r.rhythm = rhythm{}
	var after time.Duration
	if retry := new(RetryError); errors.As(err, &retry) {
		after = retry.After
	}
	return r.backoff.pause(after)
}

// attempt opens the source and runs it. A panic in an adapter is an error like any other.
func (r *Runner) attempt(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.ErrorContext(ctx, "adapter panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
		r.mu.Lock()
		r.session = nil
		r.mu.Unlock()
		r.account.runs(false)
	}()
	r.mu.Lock()
	start := Start{Offset: r.queue.offset, Last: r.lane.Last, Account: r.account, Log: r.log, Demand: r.demand}
	r.mu.Unlock()
	src, err := r.open(r.url, start)
	if err != nil {
		return err
	}
	s := &session{r: r}
	s.clock, _ = src.(Clocked)
	r.mu.Lock()
	r.session = s
	r.traits = src.Traits()
	if !r.opened && !r.traits.Mends && (!r.traits.Resumes || r.traits.Breaks) && r.lastEvent != 0 {
		r.lose(r.lastEvent, 0, "not running")
	}
	r.opened = true
	r.mu.Unlock()
	r.account.runs(true)
	return src.Run(ctx, s)
}

// setState notes a change of the feed's state, as of now by its own clock. It is called with mu held.
func (r *Runner) setState(state market.State, reason string) {
	now := market.FromStd(time.Now())
	event := now
	if r.traits.Past {
		event = r.clock(now)
	}
	r.setStateAt(event, now, state, reason)
}

// setStateAt notes a change of the feed's state and puts it on the tape. It is called with mu held.
func (r *Runner) setStateAt(event, now market.Time, state market.State, reason string) {
	if len(reason) > maxReason {
		reason = reason[:maxReason] + "…"
	}
	if state == r.state && (state == market.StateLive || reason == r.reason) {
		return
	}
	if state != r.state {
		r.since = now
	}
	r.state, r.reason = state, reason
	up := 0.0
	if state == market.StateLive {
		up = 1
	}
	r.meters.up.Set(up)
	if event == 0 {
		event = now
	}
	r.enqueue(market.Entry{Kind: market.KindStatus, State: state, Event: event, Received: now, Text: reason})
}

// maxReason is the length of a reason that goes onto the tape, in bytes.
const maxReason = 300

// enqueue puts an entry of the runner's own into the queue. It is called with mu held.
func (r *Runner) enqueue(e market.Entry) {
	r.put(r.queue.room(1), &e, nil)
	r.wake()
}

// wake tells the appender that the queue has something new, or is sealed.
func (r *Runner) wake() {
	select {
	case r.fresh <- struct{}{}:
	default:
	}
}

// lose notes that ticks after an event may be missing. It is called with mu held.
func (r *Runner) lose(from, to market.Time, reason string) {
	if len(reason) > maxReason {
		reason = reason[:maxReason] + "…"
	}
	if !r.hole.open {
		r.hole = hole{open: true, from: from, reason: reason}
	}
	r.hole.from = min(r.hole.from, from) // What was fetched later is of before.
	r.hole.to = max(r.hole.to, to)
}

// fill puts the hole on the tape as a gap that ends at an event. It is called with mu held.
func (r *Runner) fill(until market.Time) {
	now := market.FromStd(time.Now())
	gap := market.Entry{Kind: market.KindGap, Event: r.hole.from, Until: max(until, r.hole.from, r.hole.to), Received: now, Text: r.hole.reason}
	r.enqueue(gap)
	r.account.gap(&gap, now)
	r.hole = hole{}
}

// clock returns the moment that the feed has reached in the time of its events, 0 when it can't be known. It is called with
// mu held.
func (r *Runner) clock(now market.Time) market.Time {
	if r.session != nil && r.session.clock != nil {
		return r.session.clock.Clock(now)
	}
	if r.lastEvent == 0 || r.lastTick == 0 || r.traits.Past {
		return r.lastEvent
	}
	return r.lastEvent + max(now-r.lastTick, 0)
}
