package alert

import (
	"slices"

	"tapedeck/internal/market"
)

// symbol is what the rules of one symbol look at.
type symbol struct {
	name  market.Symbol
	clock market.Time // the latest time of a tick
	feed  string      // that brought it first

	last   point   // the newest trade: of the latest time, and of those the one that came last
	price  float64 // of it
	seq    uint64  // of it
	traded bool
	bid    market.Decimal
	ask    market.Decimal
	quoted bool
	gap    bool // ticks may be missing before the one at hand

	calendar *market.Calendar // of its venue; nil when none is known
	day      market.Day       // the trading day of last
	days     bool             // day is known
	open     market.Decimal   // the first price of its regular session, when opened
	opened   bool
	settle   market.Decimal // the newest price of it
	close    market.Decimal // the last price of the regular session before, when closed
	closed   bool

	windows  []*window  // of all rules together, each length once
	averages []*average // the same
	watches  []*watch   // the rules that watch it, in the order of their ids
}

// trade takes in a trade. It is the last one unless a later one came before it.
func (s *symbol) trade(e *market.Entry) {
	p := point{e.Event, e.Price, e.Size}
	s.clock = max(s.clock, e.Event)
	if !s.traded || e.Event >= s.last.event {
		if s.calendar != nil {
			s.turn(e)
		}
		s.last, s.price, s.seq, s.traded = p, e.Price.Float64(), e.Seq, true
	}
	for _, w := range s.windows {
		w.add(p, s.clock)
	}
	for _, a := range s.averages {
		a.add(p)
	}
}

// turn keeps the trading days: the open of a day is its first trade in the regular session, its close the last one there.
func (s *symbol) turn(e *market.Entry) {
	if !s.days || !s.day.Contains(e.Event) {
		if s.opened {
			s.close, s.closed = s.settle, true
		}
		s.day, s.days, s.opened = s.calendar.Day(e.Event), true, false
	}
	if session, ok := s.day.SessionAt(e.Event); !ok || session.Kind != market.SessionRegular {
		return
	}
	if !s.opened {
		s.open, s.opened = e.Price, true
	}
	s.settle = e.Price
}

// quote takes in a quote. Time passes with it.
func (s *symbol) quote(e *market.Entry) {
	s.bid, s.ask, s.quoted = e.Price, e.Ask, true
	if e.Event > s.clock {
		s.clock = e.Event
		for _, w := range s.windows {
			w.expire(s.clock - w.length)
		}
	}
}

// window returns the window of a length, beginning one that is not there.
func (s *symbol) window(length market.Time) *window {
	if i := slices.IndexFunc(s.windows, func(w *window) bool { return w.length == length }); i >= 0 {
		return s.windows[i]
	}
	w := newWindow(length)
	if s.traded {
		w.add(s.last, s.clock)
	}
	s.windows = append(s.windows, w)
	return w
}

// average returns a function of bars, beginning one that is not there.
func (s *symbol) average(key averageKey) *average {
	if i := slices.IndexFunc(s.averages, func(a *average) bool { return a.key == key }); i >= 0 {
		return s.averages[i]
	}
	a := newAverage(key)
	if s.traded {
		a.add(s.last)
	}
	s.averages = append(s.averages, a)
	return a
}

// view is a symbol as one program sees it.
type view struct {
	symbol   *symbol
	now      market.Time // the clock of the feed
	memory   []float64
	windows  []*window
	averages []*average
}

// windowKey names a function of a window.
type windowKey struct {
	length market.Time
	of     use
}

// look makes a view of a symbol for a program.
func (s *symbol) look(p *Program) view {
	v := view{symbol: s, memory: make([]float64, p.memory)}
	for i := range v.memory {
		v.memory[i] = unknown()
	}
	for _, key := range p.windows {
		w := s.window(key.length)
		w.enable(key.of)
		v.windows = append(v.windows, w)
	}
	for _, key := range p.averages {
		v.averages = append(v.averages, s.average(key))
	}
	return v
}
