package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"tapedeck/internal/tape"
)

// maxTicks is how many ticks one transaction takes when the recorder is behind. It takes some 150 ms to write them, and a crash
// costs reading them again. With 500 symbols, whose open bars are part of each transaction, 20,000 took a quarter longer a tick.
const maxTicks = 50_000

// maxRecords bounds a transaction of records without ticks.
const maxRecords = 20_000

// Recorder fills a store from a tape.
type Recorder struct {
	store   *Store
	source  tape.Source
	log     *slog.Logger
	running atomic.Bool
	writer  *writer // while Run runs

	ticks           int           // of a transaction
	delay, maxDelay time.Duration // between attempts

	// For tests; may be nil. They run in the goroutine of Run.
	onRetry  func(error)         // before each pause
	onCommit func(tape.Position) // after each transaction
}

// NewRecorder returns a recorder that fills the store from the tape once Run is called. A store has one recorder.
func NewRecorder(s *Store, source tape.Source) *Recorder {
	r := &Recorder{
		store: s, source: source, log: s.log, ticks: maxTicks, delay: 50 * time.Millisecond, maxDelay: 5 * time.Second,
	}
	s.metrics.follow(source)
	return r
}

// Run records the tape from where the store ends. When it is behind it takes many records at once, and when it is not it commits
// each as it comes. While the file is locked, its disk full or its disk slow, it keeps trying and Health says why: the tape
// keeps what was not recorded yet. It returns nil when ctx is done, and otherwise the reason it stopped: the tape was
// closed, it is not the tape that the store was filled from (*TapeError), or the file is damaged (ErrCorrupt).
func (r *Recorder) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return errors.New("the recorder runs already")
	}
	defer r.running.Store(false)
	r.store.health.stopped(nil)
	err := r.run(ctx)
	if ctx.Err() != nil {
		r.store.health.recording(nil)
		return nil
	}
	r.store.health.stopped(err)
	return r.store.notice(err)
}

func (r *Recorder) run(ctx context.Context) (err error) {
	if err := r.try(ctx, "open", func() (err error) {
		r.writer, err = newWriter(ctx, r.store)
		return err
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.writer.Close()) }()
	for {
		f := &fold{store: r.store, log: r.log, writer: r.writer}
		if err := r.try(ctx, "read", func() error { return f.load(ctx) }); err != nil {
			return err
		}
		err := r.follow(ctx, f)
		if !passing(err) {
			return mark(err)
		}
		// The file could not be read in the middle of a record: forget what is half done and take it from the file again.
		if err := r.pause(ctx, "read", err, 0); err != nil {
			return err
		}
	}
}

// follow records the tape until something is wrong; it never returns nil.
func (r *Recorder) follow(ctx context.Context, f *fold) error {
	reader := tape.NewReader(r.source, f.batch.place.position+1)
	for attempt := 0; ; {
		err := r.gather(ctx, f, reader)
		var trimmed *tape.TrimmedError
		switch {
		case err == nil:
			attempt = 0
		case errors.As(err, &trimmed):
			f.trimmed(trimmed.First)
			reader = tape.NewReader(r.source, trimmed.First)
		case errors.Is(err, tape.ErrUnavailable):
			// What was gathered before is written below.
			if err := r.pause(ctx, "tape", err, attempt); err != nil {
				return err
			}
			attempt++
		default:
			return err
		}
		if f.batch.empty() {
			continue
		}
		f.finish()
		if err := r.try(ctx, "write", func() error { return r.write(ctx, f) }); err != nil {
			return err
		}
		f.settle()
		if r.onCommit != nil {
			r.onCommit(f.batch.place.position)
		}
	}
}

// gather waits for a record and takes in as many as there are, up to the size of a transaction.
func (r *Recorder) gather(ctx context.Context, f *fold, reader *tape.Reader) error {
	if err := r.await(ctx, f); err != nil {
		return err
	}
	f.enter(r.source.Bounds())
	for f.batch.ticks < r.ticks && f.batch.records < maxRecords {
		rec, err := reader.TryNext(ctx)
		if err != nil || rec == nil {
			return err
		}
		if err := f.record(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// await blocks until the tape has more than was recorded. A tape that has less is another one.
func (r *Recorder) await(ctx context.Context, f *fold) error {
	for {
		b, recorded := r.source.Bounds(), f.batch.place.position
		switch {
		case b.Last > recorded:
			return nil
		case b.Last < recorded && b.Last > 0:
			return &TapeError{Recorded: uint64(recorded), Last: uint64(b.Last)}
		}
		if err := r.source.Wait(ctx, b.Last); err != nil {
			return err
		}
	}
}

func (r *Recorder) write(ctx context.Context, f *fold) error {
	start := time.Now()
	n, err := f.writer.write(ctx, &f.batch)
	if err != nil {
		return err
	}
	r.store.metrics.committed(time.Since(start), n)
	return nil
}

// try calls do until it succeeds, ctx is done, or the error is one that does not pass.
func (r *Recorder) try(ctx context.Context, what string, do func() error) error {
	for attempt := 0; ; attempt++ {
		err := do()
		if err == nil {
			r.store.health.recording(nil)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !passing(err) {
			return fmt.Errorf("record the tape: %w", mark(err))
		}
		if err := r.pause(ctx, what, err, attempt); err != nil {
			return err
		}
	}
}

// pause waits for a random part of an ever longer time, so that two who wait for each other's lock do not meet again.
func (r *Recorder) pause(ctx context.Context, what string, err error, attempt int) error {
	r.store.health.recording(err)
	r.store.metrics.retried(what)
	if attempt == 0 {
		r.log.Warn("recording waits", "act", what, "error", err)
	}
	if r.onRetry != nil {
		r.onRetry(err)
	}
	limit := min(r.maxDelay, r.delay<<min(attempt, 20))
	timer := time.NewTimer(rand.N(limit) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
