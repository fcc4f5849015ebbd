package candle

import (
	"fmt"
	"math"

	"tapedeck/internal/market"
)

// Feed takes the entries of one feed, in the order of the tape. All feeds of a machine belong to the goroutine of the machine.
type Feed struct {
	m       *Machine
	clock   market.Time // latest event time; math.MinInt64 before the first
	queue   deadlines
	gaps    spans // of the whole feed
	symbols map[market.Symbol]*symbol
	order   []*symbol // in order of appearance
	last    *symbol
}

// Times beyond these are refused, so that no arithmetic on times can overflow.
const (
	minTime market.Time = -9_000_000_000_000_000_000
	maxTime market.Time = 9_000_000_000_000_000_000
)

// Clock returns the latest event time that the feed has shown; ok is false before the first.
func (f *Feed) Clock() (at market.Time, ok bool) { return f.clock, f.clock != math.MinInt64 }

// Push takes in an entry. Trades go into their bars; trades, quotes and heartbeats move the clock and close what is due; gaps
// mark the bars within them. After an error the entry is in no bar, the bars are as they were, and the machine can go on. The
// entry is not kept.
func (f *Feed) Push(e *market.Entry) error {
	at := e.Event
	if at == 0 {
		at = e.Received
	}
	switch e.Kind {
	case market.KindTrade:
		if err := f.trade(e, at); err != nil {
			return err
		}
	case market.KindQuote, market.KindHeartbeat:
		if at == 0 || f.tooFarAhead(e, at) {
			return nil
		}
	case market.KindGap:
		f.gap(e)
		return nil
	default: // statuses and alarms are no time and no trade
		return nil
	}
	f.Advance(at)
	return nil
}

// tooFarAhead tells whether a venue's clock is wrong about an entry. The times of a file have nothing to do with its arrival.
func (f *Feed) tooFarAhead(e *market.Entry, at market.Time) bool {
	return e.Flags&market.FlagImported == 0 && e.Received != 0 && at > e.Received && at-e.Received > f.m.ahead
}

// Advance moves the clock of the feed to a time and closes what is due. A clock does not go back.
func (f *Feed) Advance(to market.Time) {
	to = min(max(to, minTime), maxTime)
	f.clock = max(f.clock, to)
	for len(f.queue) > 0 && f.passed(f.queue[0].at) {
		n := f.queue.pop().n
		if !n.bar.Final {
			n.bar.Final, n.closed = true, true
			f.m.mark(n)
			f.queue.push(deadline{n.bar.End + f.m.window, n})
			continue
		}
		n.series.leave(n.bar.End)
		if n.dirty {
			n.leaving = true
			continue
		}
		n.series.remove(n)
		f.m.release(n)
	}
}

// passed reports whether the clock has passed a time by the grace.
func (f *Feed) passed(t market.Time) bool { return f.clock >= minTime && t <= f.clock-f.m.grace }

// symbol returns the symbol of an entry, and notes that it comes from this feed.
func (f *Feed) symbol(name market.Symbol) *symbol {
	if f.last != nil && f.last.name == name {
		return f.last
	}
	s, ok := f.symbols[name]
	if !ok {
		s = f.m.symbol(name)
		f.symbols[name] = s
		f.order = append(f.order, s)
	}
	f.last = s
	return s
}

// trade puts a trade into its bars: into all of them, or after an error into none.
func (f *Feed) trade(e *market.Entry, at market.Time) error {
	switch {
	case at == 0 || at < minTime || at > maxTime:
		return fmt.Errorf("%s trade %d: time %d: %w", e.Symbol, e.Seq, at, ErrInvalid)
	case e.Seq == 0 || e.Size.Sign() < 0:
		return fmt.Errorf("%s trade %d of size %s: %w", e.Symbol, e.Seq, e.Size, ErrInvalid)
	case f.tooFarAhead(e, at):
		return fmt.Errorf("%s trade %d at %s: received at %s: %w", e.Symbol, e.Seq, at, e.Received, ErrAhead)
	}
	turnover, err := market.Product(e.Price, e.Size)
	if err != nil {
		return fmt.Errorf("%s trade %d: %w", e.Symbol, e.Seq, err)
	}
	t := fill{at: at, seq: e.Seq, price: e.Price, turnover: turnover}
	t.size = market.WideOf(e.Size)
	sym := f.symbol(e.Symbol)
	if sym.guests && e.Flags&market.FlagHistory == 0 {
		f.adopt(sym, at)
	}
	day := sym.venue.days.Day(at)
	effects := f.effects(sym.venue, e.Conditions, day, at)

	// First the sums of bars that are there, which can fail; a new bar has room for any trade.
	var bars [maxIntervals]*node
	for i := range f.m.intervals {
		if effects[i] == 0 {
			continue
		}
		n := f.find(&sym.series[i], i, at, day)
		if n == nil || !effects[i].Has(market.EffectVolume) {
			bars[i] = n
			continue
		}
		if err := t.addTo(&n.bar); err != nil {
			for j := range i {
				if bars[j] != nil && effects[j].Has(market.EffectVolume) {
					t.takeFrom(&bars[j].bar, e.Size)
				}
			}
			return err
		}
		bars[i] = n
	}
	for i := range f.m.intervals {
		if effects[i] == 0 {
			continue
		}
		n := bars[i]
		if n == nil {
			n = f.open(sym, i, at, day, e.Flags&market.FlagHistory != 0)
			if effects[i].Has(market.EffectVolume) {
				n.bar.Volume, n.bar.Turnover = t.size, t.turnover
			}
		}
		t.apply(&n.bar, effects[i])
		f.m.touch(n)
	}
	return nil
}

// effects returns what a trade at a time of a day does to the bars of each interval.
func (f *Feed) effects(v *venue, conditions string, day *market.Day, at market.Time) (out [maxIntervals]market.Effect) {
	effects := v.rules.Effects(conditions)
	session, _ := day.SessionAt(at)
	kind := session.Kind
	intraday := effects.Intraday
	if kind != market.SessionRegular {
		intraday = effects.Extended
		if regular, ok := day.Regular(); ok && effects.Closing && at >= regular.Close {
			kind = market.SessionRegular
		}
	}
	for i := range f.m.intervals {
		switch {
		case f.m.intervals[i].length != 0:
			out[i] = intraday
		case v.days.Calendar().MakesDays(day.Date, kind):
			out[i] = effects.Day
		}
	}
	return out
}

// find returns the bar of an interval that holds a time: one in memory, a delta that was not drained yet, or nil.
func (f *Feed) find(s *series, i int, at market.Time, day *market.Day) *node {
	if n := s.find(at); n != nil {
		return n
	}
	start, _ := f.m.bounds(i, at, day)
	if start >= s.floor {
		return nil
	}
	return f.m.deltas[deltaKey{s, start}]
}

// bounds returns the span of the bar that holds a time.
func (m *Machine) bounds(i int, at market.Time, day *market.Day) (start, end market.Time) {
	if length := m.intervals[i].length; length != 0 {
		start = at.Floor(length)
		return start, start + length
	}
	return day.Start, day.End
}

// open begins the bar that holds a time, or a delta when that bar may be in the store: of those that start before the floor, all
// that are not closed yet are in memory. What a file brings has a clock of its own, which says nothing about when bars of that time
// were closed, so that before the floor it makes deltas only; and a file may have been ahead of a feed.
func (f *Feed) open(sym *symbol, i int, at market.Time, day *market.Day, past bool) *node {
	s := &sym.series[i]
	start, end := f.m.bounds(i, at, day)
	n := f.m.take()
	n.series = s
	n.bar.Symbol = sym.name
	n.bar.Interval = f.m.intervals[i].Interval
	n.bar.Start, n.bar.End = start, end
	n.bar.Gappy = f.gappy(sym, start, end)
	if start < s.floor && (past || f.passed(end) || start < s.gone) {
		n.delta, n.bar.Final = true, true
		f.m.deltas[deltaKey{s, start}] = n
		return n
	}
	s.insert(n)
	n.home = f
	sym.guests = sym.guests || past
	f.queue.push(deadline{end, n})
	return n
}

// adopt makes the clock of this feed close the bars that a file opened, up to the one that holds a time: a file that ends in the middle
// of them has a clock that goes no further.
func (f *Feed) adopt(sym *symbol, at market.Time) {
	sym.guests = false
	for i := range sym.series {
		for _, n := range sym.series[i].bars {
			switch {
			case n.home == f, n.leaving:
			case n.bar.Start > at:
				sym.guests = true // the file is ahead, and closes them itself unless it ends before
			default:
				n.home.queue.drop(n)
				d := deadline{n.bar.End, n}
				if n.bar.Final {
					d.at += f.m.window
				}
				n.home = f
				f.queue.push(d)
			}
		}
	}
}

func (f *Feed) gappy(sym *symbol, start, end market.Time) bool {
	return f.gaps.overlap(start, end) || sym.gaps.overlap(start, end)
}

// gap notes a gap, or with market.FlagFilled that one was filled, and marks the bars in memory. Bars that have left memory are
// for who stores them to mark.
func (f *Feed) gap(e *market.Entry) {
	from, to := e.Event, e.Until
	if from == 0 {
		from = to
	}
	from = min(max(from, minTime), maxTime)
	to = min(max(to, from+1), maxTime+1)
	affected, gaps := f.order, &f.gaps
	if e.Symbol != "" {
		sym := f.symbol(e.Symbol)
		affected, gaps = []*symbol{sym}, &sym.gaps
	}
	if e.Flags&market.FlagFilled != 0 {
		*gaps = gaps.subtract(from, to)
	} else {
		*gaps = gaps.add(from, to)
	}
	for _, sym := range affected {
		for i := range sym.series {
			for _, n := range sym.series[i].bars {
				if n.bar.Start >= to || n.bar.End <= from {
					continue
				}
				if gappy := n.gappy || f.gappy(sym, n.bar.Start, n.bar.End); gappy != n.bar.Gappy {
					n.bar.Gappy = gappy
					f.m.touch(n)
				}
			}
		}
	}
}

// Load gives a stored bar back to the machine before the first Push: the newest of each interval of each symbol, and every one
// that is not final. Without them late trades could begin bars that are stored already.
func (f *Feed) Load(b market.Bar) error {
	for i := range f.m.intervals {
		if f.m.intervals[i].Interval != b.Interval {
			continue
		}
		if b.Start >= b.End || b.Start < minTime || b.End > maxTime || b.Symbol == "" {
			return fmt.Errorf("load %s bar of %q at %s: %w", b.Interval, b.Symbol, b.Start, ErrInvalid)
		}
		sym := f.symbol(b.Symbol)
		s := &sym.series[i]
		if b.Final {
			s.leave(b.End)
			f.clock = max(f.clock, b.End+f.m.grace) // else it would not be final
			return nil
		}
		for _, n := range s.bars {
			if n.bar.Start < b.End && b.Start < n.bar.End {
				return fmt.Errorf("load %s bar of %s at %s: overlaps the one at %s: %w", b.Interval, b.Symbol, b.Start, n.bar.Start, ErrInvalid)
			}
		}
		n := f.m.take()
		n.bar, n.series, n.home, n.gappy = b, s, f, b.Gappy
		sym.guests = true
		s.insert(n)
		s.floor = max(s.floor, b.Start)
		f.queue.push(deadline{b.End, n})
		return nil
	}
	return fmt.Errorf("load %s bar of %s: interval is not kept: %w", b.Interval, b.Symbol, ErrInvalid)
}
