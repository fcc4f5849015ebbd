package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// loggedBars bounds the bars that are remembered for sessions that read the tape: a few hundred bytes each.
const loggedBars = 1 << 18

// At the start the bars of what was on the tape already are made again, for as many records and entries at the end of it.
const (
	rebuiltRecords = 100_000
	rebuiltEntries = 1_000_000
)

// barMaker makes the bars of the streams, and remembers which record caused which, so that every session sees the same bars at
// the same places, behind the ring too, and after a restart. A session that goes on from a place before the log gets the ticks of that
// time but not its bars: those are in history.
type barMaker struct {
	machine *candle.Machine
	changes []candle.Change

	// Bars of history may be as of a later record than the one the hub goes on from; a trade up to that record is in them.
	loaded map[market.Symbol]tape.Position
	until  tape.Position // the last of loaded

	newest map[market.Symbol]recentBars // of history at the start
	recent *recents                     // the hub's

	// Guarded by the hub's lock.
	log   []recordBars  // by position
	size  int           // events in the log
	since tape.Position // from here on the log has all bars
}

// recordBars are the bars that one record caused.
type recordBars struct {
	pos    tape.Position
	events []event
}

// lateFor is how late a trade may be, by the clock of its feed, so that its bar is told again. The bars of so many minutes are kept for each
// symbol, of those that closed since the start; the bars of history are mended however late a trade is.
const lateFor = 15 * time.Minute

// newMachine returns a machine for the bars of the streams.
func (g *Gateway) newMachine() (*candle.Machine, error) {
	m, err := candle.New(candle.Options{
		Intervals: []market.Interval{market.Min1(), market.Day1()}, Window: lateFor, Calendars: g.opt.Calendars, Rules: g.opt.Rules,
	})
	if err != nil {
		return nil, fmt.Errorf("make bars: %w", err)
	}
	return m, nil
}

// newBars returns a maker that knows the bars that were forming.
func (g *Gateway) newBars(ctx context.Context, listings []market.Listing) (*barMaker, error) {
	m, err := g.newMachine()
	if err != nil {
		return nil, err
	}
	bm := &barMaker{machine: m, loaded: make(map[market.Symbol]tape.Position), newest: make(map[market.Symbol]recentBars), recent: &g.hub.recent}
	clocks := make(map[string]market.Time)
	var bars []market.Bar
	for i := range listings {
		l := &listings[i]
		clocks[l.Feed] = max(clocks[l.Feed], l.LastTrade.Event, l.LastQuote.Event)
		if l.LastTrade.Kind == 0 {
			bm.newest[l.Symbol] = recentBars{stale: 1} // it may have bars of a file
			continue
		}
		at := tape.Position(math.MaxUint64)
		bars = bars[:0]
		for _, v := range [...]market.Interval{market.Min1(), market.Day1()} {
			// More than the newest, because a bar closes a little after the next has begun.
			var pos tape.Position
			bars, pos, err = g.opt.History.Bars(ctx, market.BarQuery{Symbol: l.Symbol, Interval: v, Limit: 3, Descending: true}, bars)
			if err != nil {
				return nil, fmt.Errorf("read the bars of %s: %w", l.Symbol, err)
			}
			at = min(at, pos)
		}
		bm.loaded[l.Symbol] = at
		bm.until = max(bm.until, at)
		days := slices.IndexFunc(bars, func(b market.Bar) bool { return b.Interval == market.Day1() })
		if days < 0 {
			days = len(bars)
		}
		var newest recentBars
		newest.load(bars[:days], bars[days:])
		bm.newest[l.Symbol] = newest
		for _, b := range bars {
			if b.Imported {
				continue // it has no trades that others could be added to
			}
			if err := m.Feed(l.Feed).Load(b); err != nil {
				g.opt.Logger.Warn("a bar of history was left out", "symbol", string(l.Symbol), "error", err)
			}
		}
	}
	for feed, clock := range clocks {
		if clock != 0 {
			m.Feed(feed).Advance(clock)
		}
	}
	bm.changes = m.Drain(bm.changes[:0])
	return bm, nil
}

// push takes in entry i of a record and appends the bars that it caused.
func (m *barMaker) push(events []event, rec *tape.Record, i int, h *hub) []event {
	e := &rec.Entries[i]
	feed := m.machine.Feed(rec.Feed)
	if rec.Position <= m.until && rec.Position <= m.loaded[e.Symbol] && e.Kind == market.KindTrade {
		feed.Advance(e.Event)
	} else if feed.Push(e) != nil {
		return events // the recorder sees the same and reports it
	}
	m.changes = m.machine.Drain(m.changes[:0])
	// Bars that close at once do so in an order that depends on when they began. Who plays the past need not have seen that.
	slices.SortStableFunc(m.changes, func(a, b candle.Change) int {
		return cmp.Or(strings.Compare(string(a.Bar.Symbol), string(b.Bar.Symbol)), cmp.Compare(a.Bar.Start, b.Bar.Start))
	})
	for j := range m.changes {
		c := &m.changes[j]
		if m.recent != nil {
			m.recent.amend(c)
		}
		if c.Bar.Interval != market.Min1() || !c.Bar.Priced || c.Delta || !c.Closed && !c.Revised {
			continue
		}
		ev := event{entry: int32(i), symbol: h.enter(c.Bar.Symbol, rec.Feed), channel: chUpdatedBars}
		if c.Closed {
			ev.channel = chBars
		}
		bar := c.Bar
		ev.bar = &bar
		events = append(events, ev)
		if day, ok := m.machine.Latest(bar.Symbol, market.Day1()); ok && c.Closed && day.Priced {
			events = append(events, event{entry: int32(i), symbol: ev.symbol, channel: chDailyBars, bar: &day})
		}
	}
	return events
}

// remember keeps the bars of a block for sessions that will read its record from the tape.
func (m *barMaker) remember(b *block) {
	var bars []event
	for i := range b.events {
		if b.events[i].bar != nil {
			bars = append(bars, b.events[i])
		}
	}
	if len(bars) == 0 {
		return
	}
	m.log = append(m.log, recordBars{b.rec.Position, bars})
	m.size += len(bars)
	m.trim()
}

// trim forgets the oldest bars when there are too many.
func (m *barMaker) trim() {
	drop := 0
	for m.size > loggedBars && drop < len(m.log)-1 {
		m.size -= len(m.log[drop].events)
		drop++
	}
	if drop > 0 {
		m.since = max(m.since, m.log[drop].pos)
	}
	clear(m.log[:drop])
	m.log = m.log[drop:]
}

// recall puts the bars that a record caused where they belong among its events.
func (m *barMaker) recall(b *block) {
	i := sort.Search(len(m.log), func(i int) bool { return m.log[i].pos >= b.rec.Position })
	if i == len(m.log) || m.log[i].pos != b.rec.Position {
		return
	}
	b.events = append(b.events, m.log[i].events...)
	// Stable: the bars stay behind the entry that caused them.
	slices.SortStableFunc(b.events, func(x, y event) int { return int(x.entry) - int(y.entry) })
}

// rebuild makes the bars again that the records before a position caused, as far back as is remembered. Sessions that read there wait for
// it (see hub.read).
func (g *Gateway) rebuild(ctx context.Context, before tape.Position) {
	defer close(g.hub.rebuilt)
	log, size, whole, err := g.barsBefore(ctx, before)
	if err != nil {
		if ctx.Err() == nil {
			g.opt.Logger.Warn("the bars of earlier records can't be made again: who goes on from there gets none", "error", err)
		}
		return
	}
	h := g.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if whole && h.bars.since == before {
		h.bars.since = 1
	}
	h.bars.log = append(log, h.bars.log...)
	h.bars.size += size
	h.bars.trim()
}

// barsBefore reads the tape up to a position, and returns the bars that its records caused and their number, and whether it read the tape
// from its very beginning. Bars that had begun before what is read are left out: some of their trades are missing.
func (g *Gateway) barsBefore(ctx context.Context, before tape.Position) (log []recordBars, size int, whole bool, err error) {
	pos, err := g.rebuildFrom(ctx, before)
	if err != nil {
		return nil, 0, false, err
	}
	m, err := g.newMachine()
	if err != nil {
		return nil, 0, false, err
	}
	bm := &barMaker{machine: m}
	whole = pos <= 1
	begin := make(map[string]market.Time) // the first time of each feed
	var records []*tape.Record
	for pos < before {
		if records, err = g.opt.Tape.Read(ctx, pos, records[:0]); err != nil {
			return nil, 0, false, fmt.Errorf("read the tape at %d: %w", pos, err)
		}
		if len(records) == 0 {
			return log, size, whole, nil
		}
		for _, rec := range records {
			pos = rec.Through + 1
			if rec.Position >= before {
				break
			}
			var events []event
			for i := range rec.Entries {
				e := &rec.Entries[i]
				if e.Flags&market.FlagHistory != 0 {
					continue
				}
				if e.IsTick() && begin[rec.Feed] == 0 {
					begin[rec.Feed] = e.Event
				}
				events = bm.push(events, rec, i, g.hub)
			}
			events = slices.DeleteFunc(events, func(ev event) bool { return !whole && ev.bar.Start <= begin[rec.Feed] })
			if len(events) > 0 {
				log = append(log, recordBars{rec.Position, events})
				size += len(events)
			}
		}
	}
	return log, size, whole, nil
}

// rebuildFrom returns the position from which bars are made again.
func (g *Gateway) rebuildFrom(ctx context.Context, before tape.Position) (tape.Position, error) {
	first := g.opt.Tape.Bounds().First
	low := first
	if before > low+rebuiltRecords {
		low = before - rebuiltRecords
	}
	if low >= before {
		return before, nil
	}
	last, err := g.ordinal(ctx, before-1)
	if err != nil {
		return 0, err
	}
	// The first record that is not too many entries back.
	for high := before - 1; low < high; {
		middle := low + (high-low)/2
		n, err := g.ordinal(ctx, middle)
		if err != nil {
			return 0, err
		}
		if n+rebuiltEntries < last {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// ordinal returns how many entries were on the tape before a record.
func (g *Gateway) ordinal(ctx context.Context, pos tape.Position) (uint64, error) {
	records, err := g.opt.Tape.Read(ctx, pos, nil)
	if err != nil || len(records) == 0 {
		return 0, fmt.Errorf("read the tape at %d: %w", pos, err)
	}
	return records[0].Ordinal, nil
}
