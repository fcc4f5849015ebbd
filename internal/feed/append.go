package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// How an append is tried again while the tape is full or not available.
const (
	firstHold   = 20 * time.Millisecond
	longestHold = time.Second
)

// appendAll puts the queue on the tape, chunk by chunk: what arrived while the last chunk was written is the next, so that a
// lone tick goes at once and a flood goes in large groups, without a timer. It returns nil when the queue is sealed and
// empty, and the reason when the tape refuses for good or ctx is done before.
func (r *Runner) appendAll(ctx context.Context) error {
	var before []byte
	r.mu.Lock()
	before = r.queue.offset
	r.mu.Unlock()
	for {
		r.mu.Lock()
		c := r.queue.take()
		sealed := r.sealed
		r.mu.Unlock()
		if c == nil {
			if sealed {
				return nil
			}
			select {
			case <-r.fresh:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := r.appendChunk(ctx, c, before); err != nil {
			r.abandon(ctx, c, err)
			return err
		}
		before = c.offset
		r.mu.Lock()
		r.queue.gone(c)
		r.meters.pending.Set(float64(r.queue.size))
		close(r.space)
		r.space = make(chan struct{})
		r.mu.Unlock()
	}
}

// appendChunk puts a chunk on the tape, waiting while the tape is full or not available. The offset before the chunk is what a
// part of it carries that has none of its own.
func (r *Runner) appendChunk(ctx context.Context, c *chunk, before []byte) error {
	hold := firstHold
	for {
		err := r.lane.append(ctx, &tape.Batch{Feed: r.url.Name, Offset: c.offset, Entries: c.entries}, c.counters)
		switch {
		case err == nil:
			r.release(ctx)
			r.count(c)
			return nil
		case errors.Is(err, tape.ErrTooLarge) && len(c.entries) > 1:
			first, second := c.halve(before)
			if err := r.appendChunk(ctx, first, before); err != nil {
				return err
			}
			return r.appendChunk(ctx, second, first.offset)
		case !errors.Is(err, tape.ErrFull) && !errors.Is(err, tape.ErrUnavailable):
			return fmt.Errorf("append to the tape: %w", err)
		}
		r.hold(ctx, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("append to the tape: %w", err)
		case <-time.After(hold):
		}
		hold = min(2*hold, longestHold)
	}
}

// hold notes, once, that the tape takes nothing.
func (r *Runner) hold(ctx context.Context, err error) {
	r.mu.Lock()
	first := r.held == ""
	r.held = err.Error()
	r.mu.Unlock()
	if first {
		r.log.WarnContext(ctx, "tape does not take ticks; holding them", "error", err)
	}
}

// release notes that the tape takes ticks again.
func (r *Runner) release(ctx context.Context) {
	r.mu.Lock()
	held := r.held != ""
	r.held = ""
	r.mu.Unlock()
	if held {
		r.log.InfoContext(ctx, "tape takes ticks again")
	}
}

// count adds a chunk that is on the tape to the measurements.
func (r *Runner) count(c *chunk) {
	var trades, quotes int
	for i := range c.entries {
		switch c.entries[i].Kind {
		case market.KindTrade:
			trades++
		case market.KindQuote:
			quotes++
		default:
		}
	}
	r.account.durable(market.FromStd(time.Now()), c.entries)
	r.meters.trades.Add(float64(trades))
	r.meters.quotes.Add(float64(quotes))
}

// abandon counts what could not be put on the tape any more: the chunk at hand and the queue.
func (r *Runner) abandon(ctx context.Context, c *chunk, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for ; c != nil; c = r.queue.take() {
		for _, counter := range c.counters {
			if counter != nil {
				n++
			}
		}
	}
	r.queue = queue{offset: r.queue.offset}
	if r.traits.Resumes {
		r.log.WarnContext(ctx, "ticks could not be put on the tape; they come again at the next start", "ticks", n, "error", err)
		return
	}
	r.account.drop(ReasonTapeLost, n)
	r.log.ErrorContext(ctx, "ticks could not be put on the tape", "ticks", n, "error", err)
}
