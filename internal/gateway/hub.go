package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// hub reads the tape once for everybody: it keeps the recent records as blocks, and what is newest of each symbol.
type hub struct {
	src   tape.Source
	log   *slog.Logger
	limit int // entries in the ring
	past  past
	seen  time.Time // when the records at hand were there to be read; belongs to run

	mu     sync.RWMutex // guards what follows
	names  directory
	blocks []*block // the ring, oldest first
	first  int      // index of the oldest; those before it are nil
	size   int      // entries in the ring
	next   tape.Position
	ready  bool      // what was on the tape at the start was read
	bars   *barMaker // nil before start; its machine belongs to run
	recent recents   // the newest bars of each symbol

	end     atomic.Uint64 // next; read without the lock
	rebuilt chan struct{} // closed when the bars of the records before settled were made again; nil without them
	settled tape.Position // set before rebuilt is

	grown atomic.Int64                  // symbols in the directory; read without the lock
	woken atomic.Pointer[chan struct{}] // closed and replaced when records came
}

func newHub(o *Options) *hub {
	h := &hub{src: o.Tape, log: o.Logger, limit: o.Ring, past: past{limit: max(o.Ring, 8*heldEntries)}, names: newDirectory()}
	c := make(chan struct{})
	h.woken.Store(&c)
	return h
}

// news returns a channel that is closed when the next record comes. Who waits asks for it before it looks at the ring.
func (h *hub) news() <-chan struct{} { return *h.woken.Load() }

// start takes in what history knows, and the position from which run reads.
func (h *hub) start(listings []market.Listing, bars *barMaker, from tape.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bars = bars; bars != nil {
		bars.since = from
	}
	for i := range listings {
		l := &listings[i]
		id := h.names.enter(l.Symbol, l.Feed)
		if l.LastTrade.Kind != 0 {
			h.names.note(id, l.Feed, from-1, &l.LastTrade)
		}
		if l.LastQuote.Kind != 0 {
			h.names.note(id, l.Feed, from-1, &l.LastQuote)
		}
		if bars != nil {
			*h.recent.of(id) = bars.newest[l.Symbol]
		}
	}
	h.next = from
	h.end.Store(uint64(from))
	h.grown.Store(int64(len(h.names.list)))
}

// run reads the tape until ctx is done or the tape is closed.
func (h *hub) run(ctx context.Context) error {
	target := h.src.Bounds().Last
	var records []*tape.Record
	failing := false
	for {
		h.mu.Lock()
		next, was := h.next, h.ready
		h.ready = was || next > target
		now := h.ready
		h.mu.Unlock()
		if now && !was {
			h.tell() // the records were told of before it was known that they are all
		}
		err := h.src.Wait(ctx, next-1)
		if err == nil {
			records, err = h.src.Read(ctx, next, records[:0])
		}
		var trimmed *tape.TrimmedError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &trimmed):
			h.log.Warn("records were trimmed before the gateway read them", "from", next, "first", trimmed.First)
			h.skipTo(trimmed.First)
			h.tell()
		case errors.Is(err, tape.ErrClosed):
			return fmt.Errorf("read the tape: %w", err)
		case err != nil:
			if !failing {
				h.log.Warn("the tape cannot be read for now", "error", err)
			}
			failing = true
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
		default:
			if failing {
				h.log.Info("the tape can be read again")
			}
			failing = false
			h.seen = time.Now()
			for _, rec := range records {
				h.publish(rec)
			}
			clear(records)
			h.tell()
		}
	}
}

// tell wakes those who wait for news.
func (h *hub) tell() {
	fresh := make(chan struct{})
	close(*h.woken.Swap(&fresh))
}

// pause waits; it returns false when ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// skipTo empties the ring and goes on from a later record.
func (h *hub) skipTo(pos tape.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blocks, h.first, h.size = nil, 0, 0
	h.next = max(h.next, pos)
	h.recent.skipped(pos, len(h.names.list))
	h.end.Store(uint64(h.next))
}

// publish puts a record into the ring. The lock is held only for what the sessions see.
func (h *hub) publish(rec *tape.Record) {
	b := h.block(rec, h.bars)
	b.seen = h.seen
	if h.bars != nil {
		h.recent.gather(b, h.bars, func(s market.Symbol) uint32 { return h.enter(s, rec.Feed) })
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range b.events {
		ev := &b.events[i]
		e := &rec.Entries[ev.entry]
		switch ev.channel {
		case chTrades, chQuotes:
			h.names.note(ev.symbol, rec.Feed, rec.Through, e)
		case chStatuses:
			h.names.noteState(ev.symbol, rec.Feed, rec.Through, e.State)
		case chBars, chUpdatedBars, chDailyBars, chAlerts, chGaps, channels:
		}
	}
	if b.past {
		h.names.notePast(rec)
	}
	if h.bars != nil {
		h.bars.remember(b)
		h.recent.settle(b, &h.names)
	}
	h.blocks = append(h.blocks, b)
	h.size += len(rec.Entries)
	h.next = rec.Through + 1
	h.end.Store(uint64(h.next))
	for h.size > h.limit && h.first < len(h.blocks)-1 {
		h.size -= len(h.blocks[h.first].rec.Entries)
		h.blocks[h.first] = nil
		h.first++
	}
	if h.first > 1024 && h.first > len(h.blocks)/2 {
		n := copy(h.blocks, h.blocks[h.first:])
		clear(h.blocks[n:])
		h.blocks, h.first = h.blocks[:n], 0
	}
}

// enter returns the number of a symbol, giving it one if need be.
func (h *hub) enter(s market.Symbol, feed string) uint32 {
	h.mu.RLock()
	id := h.names.index[s]
	h.mu.RUnlock()
	if id != 0 {
		return id
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	id = h.names.enter(s, feed)
	h.grown.Store(int64(len(h.names.list)))
	return id
}

// block makes the block of a record, with the bars that it causes when there is a maker of bars. What was history when it reached the
// tape is none of the events: nobody saw it live.
func (h *hub) block(rec *tape.Record, bars *barMaker) *block {
	b := &block{rec: rec, events: make([]event, 0, len(rec.Entries))}
	for i := range rec.Entries {
		e := &rec.Entries[i]
		b.latest = max(b.latest, e.Received)
		if e.Flags&market.FlagHistory != 0 {
			b.past = true
			if e.Symbol != "" {
				h.enter(e.Symbol, rec.Feed)
			}
			continue
		}
		b.events = h.event(b.events, rec, i, bars)
	}
	return b
}

// event appends the events of entry i of a record: itself, and the bars that it causes when there is a maker of bars.
func (h *hub) event(events []event, rec *tape.Record, i int, bars *barMaker) []event {
	e := &rec.Entries[i]
	ev := event{entry: int32(i)}
	if e.Symbol != "" {
		ev.symbol = h.enter(e.Symbol, rec.Feed)
	}
	switch e.Kind {
	case market.KindTrade:
		ev.channel = chTrades
	case market.KindQuote:
		ev.channel = chQuotes
	case market.KindGap:
		ev.channel = chGaps
	case market.KindStatus:
		ev.channel = chStatuses
	case market.KindAlarm:
		ev.channel = chAlerts
	case market.KindHeartbeat:
		ev.channel = channels
	default:
		ev.channel = channels // of a later version: not for us to tell
	}
	if ev.channel != channels {
		events = append(events, ev)
	}
	if bars != nil {
		events = bars.push(events, rec, i, h)
	}
	return events
}

// from appends up to n blocks to dst, beginning with the one that pos is in. ok is false when that one is no longer in the ring;
// no blocks are returned when it has not come yet.
func (h *hub) from(pos tape.Position, dst []*block, n int) (blocks []*block, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if pos >= h.next {
		return dst, true
	}
	ring := h.blocks[h.first:]
	if len(ring) == 0 || pos < ring[0].rec.Position {
		return dst, false
	}
	i := sort.Search(len(ring), func(i int) bool { return ring[i].rec.Through >= pos })
	return append(dst, ring[i:min(i+n, len(ring))]...), true
}

// read returns blocks of the tape from pos on, for who is behind the ring. None are returned that the hub has not seen yet.
func (h *hub) read(ctx context.Context, pos tape.Position) ([]*block, error) {
	if pos < h.settled {
		select {
		case <-h.rebuilt:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if blocks := h.past.from(pos, heldEntries); len(blocks) > 0 {
		return blocks, nil
	}
	records, err := h.src.Read(ctx, pos, nil)
	if err != nil {
		return nil, fmt.Errorf("read the tape from %d: %w", pos, err)
	}
	blocks := make([]*block, 0, len(records))
	for n, i := 0, 0; i < len(records) && n <= h.past.limit/4; i++ {
		b := h.private(records[i])
		if b == nil {
			break
		}
		blocks = append(blocks, b)
		n += len(records[i].Entries)
	}
	h.past.add(blocks)
	return blocks, nil
}

// private makes a block that is not put into the ring; nil when the hub has not seen the record yet.
func (h *hub) private(rec *tape.Record) *block {
	if next, _ := h.position(); rec.Through >= next {
		return nil
	}
	b := h.block(rec, nil)
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.bars != nil {
		h.bars.recall(b)
	}
	return b
}

// position returns the first position that the hub has not read, and whether it has read what was there at the start.
func (h *hub) position() (next tape.Position, ready bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.next, h.ready
}

// find is directory.find for other goroutines.
func (h *hub) find(text string) (id uint32, symbol market.Symbol, candidates []market.Symbol) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	id, candidates = h.names.find(text)
	if id != 0 {
		symbol = h.names.list[id].symbol
	}
	return id, symbol, candidates
}

// near returns symbols that look like what a user wrote. The lock is not held while it compares: the list only grows, and the
// symbol of a listing does not change.
func (h *hub) near(text string) []market.Symbol {
	h.mu.RLock()
	list := h.names.list[1:]
	h.mu.RUnlock()
	return near(list, text)
}
