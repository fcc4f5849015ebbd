package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tapedeck/internal/broker"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Options are what a publisher is made of.
type Options struct {
	Target  Target
	Tape    tape.Source
	Dir     string // where the positions of targets are kept; it is made when it is not there
	Log     *slog.Logger
	Metrics *Metrics

	// Random returns a number in [0, n) for the pauses between attempts; nil takes the process's own.
	Random func(n int64) int64
}

// Publisher sends what is on the tape to one target.
type Publisher struct {
	target   Target
	settings settings
	sink     sink
	tape     tape.Source
	file     string
	log      *slog.Logger
	metrics  *Metrics
	random   func(n int64) int64

	// Of the goroutine of Run.
	at       standing // what the broker has taken
	saved    standing
	savedAt  time.Time
	reader   *tape.Reader
	current  *tape.Record // that is being sent, from at.Entry on; nil: the next one
	messages []message
	room     []byte // of the messages' values
	failures int    // since something was sent

	mu     sync.Mutex
	reason string    // why nothing is sent, "" when all is well
	whole  time.Time // when all that was on the tape had been sent, as far as is known
	next   tape.Position
	live   bool
}

// How much goes to a broker at once.
const (
	mostMessages = 1000
	mostBytes    = 1 << 20
)

// saveEvery is the time between two writings of the position: what was sent in between is sent again after a crash.
const saveEvery = time.Second

// Pauses between attempts, as those of feeds.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	sendTime     = 15 * time.Second // for the broker to take what was sent at once
)

// New returns a publisher that goes on where the target was, or begins at what is the end of the tape now.
func New(o Options) (*Publisher, error) {
	s, err := parse(&o.Target)
	if err != nil {
		return nil, err
	}
	to, err := sinkOf(&o.Target, false)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of targets' positions: %w", err)
	}
	p := &Publisher{
		target: o.Target, settings: s, sink: to, tape: o.Tape, file: filepath.Join(o.Dir, o.Target.Name+".json"),
		log: o.Log.With("target", o.Target.Name), metrics: o.Metrics, random: o.Random,
	}
	if p.random == nil {
		p.random = rand.Int64N
	}
	found := false
	if p.at, found, err = load(p.file); err != nil {
		return nil, err
	}
	bounds := o.Tape.Bounds()
	epoch := bounds.Epoch.String()
	end := standing{Epoch: epoch, Position: bounds.Last + 1}
	switch {
	case !found && s.earliest:
		p.at = standing{Epoch: epoch, Position: max(bounds.First, 1)}
	case !found:
		p.at = end
	case p.at.Epoch != epoch:
		p.log.Warn("the tape is not the one that was published from; going on at its end", "position", bounds.Last)
		p.at = end
	case p.at.Position > end.Position:
		p.at = end
	}
	p.next, p.whole = p.at.Position, time.Now()
	return p, save(p.file, p.at)
}

// Info is how a target is.
type Info struct {
	Name   string
	URL    string // secrets masked
	Live   bool
	Error  string // why nothing is sent, "" when all is well
	Behind uint64 // records of the tape that it has not read
}

// Info returns how the target is now.
func (p *Publisher) Info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.tape.Bounds().Last
	return Info{Name: p.target.Name, URL: p.target.Shown, Live: p.live, Error: p.reason, Behind: uint64(last+1) - uint64(min(p.next, last+1))}
}

// Run sends until ctx is done, or the tape is closed; it returns nil then. A broker that fails is tried again and again.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.keep(ctx, true)
	for {
		err := p.attempt(ctx)
		if ctx.Err() != nil || errors.Is(err, tape.ErrClosed) {
			return nil
		}
		p.fail(ctx, p.sink.hide(err))
		bound := longestPause
		if p.failures < 7 { // 0.5 s << 6 is beyond 30 s
			bound = firstPause << (p.failures - 1)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(p.random(int64(bound) + 1))):
		}
	}
}

func (p *Publisher) fail(ctx context.Context, err error) {
	p.failures++
	p.metrics.failed.WithLabelValues(p.target.Name).Inc()
	p.metrics.up.WithLabelValues(p.target.Name).Set(0)
	if p.Info().Behind == 0 {
		p.complete()
	}
	p.mu.Lock()
	told := p.reason == err.Error()
	p.reason, p.live = err.Error(), false
	p.mu.Unlock()
	if !told {
		p.log.WarnContext(ctx, "nothing can be published", "error", err)
	}
}

func (p *Publisher) well(ctx context.Context) {
	p.failures = 0
	p.metrics.up.WithLabelValues(p.target.Name).Set(1)
	p.mu.Lock()
	again := !p.live
	p.reason, p.live = "", true
	p.mu.Unlock()
	if again {
		p.log.InfoContext(ctx, "publishing", "url", p.target.Shown, "position", uint64(p.at.Position))
	}
}

// attempt connects and sends until something fails.
func (p *Publisher) attempt(ctx context.Context) error {
	l, err := p.sink.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	p.well(ctx)
	p.reader, p.current = tape.NewReader(p.tape, p.at.Position), nil
	for {
		after, err := p.gather(ctx)
		if err != nil {
			return err
		}
		if len(p.messages) > 0 {
			sending, cancel := context.WithTimeout(ctx, sendTime)
			err := l.send(sending, p.messages)
			cancel()
			if err != nil {
				return err
			}
			p.metrics.messages.WithLabelValues(p.target.Name).Add(float64(len(p.messages)))
			p.well(ctx)
		}
		p.at = after
		p.keep(ctx, false)
		p.mu.Lock()
		p.next = p.at.Position
		p.mu.Unlock()
		if p.current != nil || p.at.Position <= p.tape.Bounds().Last {
			continue
		}
		if err := p.wait(ctx, l); err != nil {
			return err
		}
	}
}

// wait waits until the tape has more, and asks the broker now and then whether it is there.
func (p *Publisher) wait(ctx context.Context, l line) error {
	defer p.complete()
	for {
		waiting, cancel := context.WithTimeout(ctx, broker.Look)
		err := p.tape.Wait(waiting, p.at.Position-1)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		p.keep(ctx, false)
		asking, cancel := context.WithTimeout(ctx, broker.Patience)
		err = l.well(asking)
		cancel()
		if err != nil {
			return err
		}
	}
}

// complete notes that all that was on the tape until now has been sent.
func (p *Publisher) complete() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = time.Now()
}

// gather makes messages of what the tape has next, as many as go at once, and returns the place behind them.
func (p *Publisher) gather(ctx context.Context) (standing, error) {
	p.messages, p.room = p.messages[:0], p.room[:0]
	at := p.at
	for {
		if p.current == nil {
			rec, err := p.reader.TryNext(ctx)
			if trimmed := new(tape.TrimmedError); errors.As(err, &trimmed) {
				p.metrics.skipped.WithLabelValues(p.target.Name).Add(float64(trimmed.First - at.Position))
				p.log.WarnContext(ctx, "the tape was trimmed before its end was published", "from", uint64(at.Position), "to", uint64(trimmed.First))
				at.Position, at.Entry = trimmed.First, 0
				p.reader = tape.NewReader(p.tape, at.Position)
				continue
			}
			if err != nil {
				return at, fmt.Errorf("read the tape: %w", err)
			}
			if rec == nil {
				return at, nil
			}
			p.current = rec
		}
		for at.Entry < len(p.current.Entries) {
			if len(p.messages) == mostMessages || len(p.room) >= mostBytes {
				return at, nil
			}
			p.add(p.current, at.Entry)
			at.Entry++
		}
		at.Position, at.Entry = p.current.Through+1, 0
		p.current = nil
		if len(p.messages) == mostMessages {
			return at, nil
		}
	}
}

// add makes a message of an entry that is due to the target.
func (p *Publisher) add(rec *tape.Record, i int) {
	e := &rec.Entries[i]
	if !e.IsTick() || e.Kind == market.KindQuote && !p.settings.quotes || e.Flags&market.FlagHistory != 0 || !p.settings.wants(e.Symbol) {
		return
	}
	from := len(p.room)
	p.room = p.settings.encode(p.room, e)
	id := make([]byte, 0, 64)
	id = append(append(id, p.at.Epoch[:min(8, len(p.at.Epoch))]...), '-')
	id = append(strconv.AppendUint(id, uint64(rec.Position), 10), '-')
	id = strconv.AppendInt(id, int64(i), 10)
	// The room may move while it grows: what was written before stays good where it was.
	p.messages = append(p.messages, message{symbol: e.Symbol, id: string(id), value: p.room[from:len(p.room):len(p.room)]})
}

// keep writes the position down when it is time to, or now.
func (p *Publisher) keep(ctx context.Context, now bool) {
	if p.at == p.saved || !now && time.Since(p.savedAt) < saveEvery {
		return
	}
	p.savedAt = time.Now()
	if err := save(p.file, p.at); err != nil {
		p.log.WarnContext(ctx, "after a crash more is published again", "error", err)
		return
	}
	p.saved = p.at
}

// Measure brings the gauges up to date.
func (p *Publisher) Measure() {
	behind := p.Info().Behind
	lag := 0.0
	if behind > 0 {
		p.mu.Lock()
		lag = max(time.Since(p.whole).Seconds(), 0)
		p.mu.Unlock()
	}
	p.metrics.lag.WithLabelValues(p.target.Name).Set(lag)
	p.metrics.behind.WithLabelValues(p.target.Name).Set(float64(behind))
}
