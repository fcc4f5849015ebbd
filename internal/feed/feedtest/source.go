// Package feedtest is what feeds are tested with: a source that follows a script, and a sink that keeps what is pushed.
package feedtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// Source follows a script: its steps one after the other, then nil.
type Source struct {
	Is    feed.Traits
	Steps []Step
}

// Step is one thing that a Source does. An error ends the script.
type Step func(ctx context.Context, sink feed.Sink) error

var _ feed.Source = (*Source)(nil)

// Traits implements feed.Source.
func (s *Source) Traits() feed.Traits { return s.Is }

// Run implements feed.Source.
func (s *Source) Run(ctx context.Context, sink feed.Sink) error {
	for _, step := range s.Steps {
		if err := step(ctx, sink); err != nil {
			return err
		}
	}
	return nil
}

// Send pushes entries.
func Send(entries ...market.Entry) Step {
	return func(ctx context.Context, sink feed.Sink) error { return sink.Push(ctx, entries, nil) }
}

// SendAt pushes entries with an offset.
func SendAt(offset string, entries ...market.Entry) Step {
	return func(ctx context.Context, sink feed.Sink) error { return sink.Push(ctx, entries, []byte(offset)) }
}

// Alive says that the source is alive, n times with a pause before each.
func Alive(n int, pause time.Duration) Step {
	return func(ctx context.Context, sink feed.Sink) error {
		for range n {
			if err := Silence(pause)(ctx, sink); err != nil {
				return err
			}
			if err := sink.Push(ctx, nil, nil); err != nil {
				return err
			}
		}
		return nil
	}
}

// Silence does nothing for a while.
func Silence(d time.Duration) Step {
	return func(ctx context.Context, _ feed.Sink) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Fail ends the attempt with an error.
func Fail(err error) Step {
	return func(context.Context, feed.Sink) error { return err }
}

// Panic is a mistake in an adapter.
func Panic(v any) Step {
	return func(context.Context, feed.Sink) error { panic(v) }
}

// Forever does nothing until it is told to stop.
func Forever() Step {
	return func(ctx context.Context, _ feed.Sink) error {
		<-ctx.Done()
		return ctx.Err()
	}
}

// Opener returns an Open for a runner that gives out the sources one after the other, the last one again and again, and keeps
// what each was started with.
type Opener struct {
	Sources []feed.Source

	mu     sync.Mutex
	starts []feed.Start
}

// Open is for feed.RunnerOptions.
func (o *Opener) Open(_ *feed.URL, start feed.Start) (feed.Source, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.starts = append(o.starts, start)
	return o.Sources[min(len(o.starts), len(o.Sources))-1], nil
}

// Starts returns what the sources were started with so far.
func (o *Opener) Starts() []feed.Start {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.starts)
}

// Sink keeps what is pushed, as a runner's sink would. Its zero value is ready.
type Sink struct {
	mu      sync.Mutex
	entries []market.Entry
	offset  []byte
	dropped map[string]int
	pushes  int

	// Stop, when set, is asked after each push with the number of entries so far; its error ends the source.
	Stop func(entries int) error
}

var _ feed.Sink = (*Sink)(nil)

// Push implements feed.Sink.
func (s *Sink) Push(_ context.Context, entries []market.Entry, offset []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes++
	s.entries = append(s.entries, entries...)
	if offset != nil {
		s.offset = slices.Clone(offset)
	}
	if s.Stop != nil {
		return s.Stop(len(s.entries))
	}
	return nil
}

// Dropped implements feed.Sink.
func (s *Sink) Dropped(reason string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped == nil {
		s.dropped = make(map[string]int)
	}
	s.dropped[reason] += n
}

// Entries returns the entries of the given kinds, or of all kinds.
func (s *Sink) Entries(kinds ...market.Kind) []market.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []market.Entry
	for _, e := range s.entries {
		if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
			list = append(list, e)
		}
	}
	return list
}

// Offset returns the offset of the last push that had one.
func (s *Sink) Offset() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

// Drops returns how much was dropped under a reason.
func (s *Sink) Drops(reason string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped[reason]
}
