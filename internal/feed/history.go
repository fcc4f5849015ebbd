package feed

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// HistoryLane opens the way onto the tape of a file, under a feed's name of its own. It shares symbols with whichever lane has
// claimed them, and claims none: while one of its batches is written, the lanes of the symbols in it wait, so that numbers have
// neither holes nor doubles. All ticks that go through it must have market.FlagHistory.
func (w *Writer) HistoryLane(ctx context.Context, feed string) (*Lane, error) {
	l, err := w.Lane(ctx, feed)
	if err != nil {
		return nil, err
	}
	l.history = true
	return l, nil
}

// appendHistory is append of a history lane. One at a time is on its way in all of the writer: what is common to two files,
// the disk, is what they wait for anyhow.
func (l *Lane) appendHistory(ctx context.Context, b *tape.Batch) error {
	l.w.guests.Lock()
	defer l.w.guests.Unlock()
	counters := make([]*counter, len(b.Entries))
	homes, err := l.visit(b.Entries, counters)
	if err != nil {
		return err
	}
	defer l.leave(counters, homes)
	l.w.locked(homes, func() { number(b.Entries, counters) })
	if _, err := l.w.tape.Append(ctx, b); err != nil {
		l.w.locked(homes, func() { unnumber(b.Entries, counters) })
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	l.stands = b.Offset
	return nil
}

// visit finds the counters of the ticks among the entries and takes the right to append from the lanes that write them, the
// homes, and from those that would claim them meanwhile.
func (l *Lane) visit(entries []market.Entry, counters []*counter) (homes []*Lane, err error) {
	w := l.w
	w.mu.Lock()
	var last *counter
	for i := range entries {
		e := &entries[i]
		if !e.IsTick() {
			continue
		}
		if e.Flags&market.FlagHistory == 0 {
			w.mu.Unlock()
			l.leave(counters, nil)
			return nil, fmt.Errorf("BUG: %s of %s is not of the past", e.Kind, e.Symbol)
		}
		if last == nil || last.symbol != e.Symbol {
			last = w.counter(e.Symbol)
			if !last.visited {
				last.visited = true // nobody claims it from now on
				if last.lane != nil && !slices.Contains(homes, last.lane) {
					homes = append(homes, last.lane)
				}
				if last.feed == "" {
					last.feed = l.feed
				}
			}
		}
		counters[i] = last
	}
	w.mu.Unlock()
	// A lane that closes meanwhile has nothing on its way, and none can take its place: so the homes are right when they are locked.
	slices.SortFunc(homes, func(a, b *Lane) int { return strings.Compare(a.feed, b.feed) })
	for _, home := range homes {
		home.appending.Lock()
	}
	return homes, nil
}

// leave gives back what visit took.
func (l *Lane) leave(counters []*counter, homes []*Lane) {
	for _, home := range homes {
		home.appending.Unlock()
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	for i, c := range counters {
		if c != nil && (i == 0 || counters[i-1] != c) {
			c.visited = false
		}
	}
	l.w.left.Broadcast()
}

// locked runs f while the numbers of the symbols of some lanes, and of no lane, are free to be changed.
func (w *Writer) locked(homes []*Lane, f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, home := range homes {
		home.mu.Lock()
		defer home.mu.Unlock()
	}
	f()
}
