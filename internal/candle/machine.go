package candle

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"tapedeck/internal/market"
)

// Options are the choices of a Machine. The zero value is good.
type Options struct {
	// Intervals are the bars to make: seconds, minutes, hours and one day. None means 1s, 1m, 1h and 1d.
	Intervals []market.Interval

	// Grace is how far the clock must pass the end of a bar before it closes. 0 means a second, below 0 none.
	Grace time.Duration

	// Window is how long a closed bar is kept for late trades. 0 means 30 s, below 0 none.
	Window time.Duration

	// Ahead is how far the event time of an entry may be ahead of the moment it was received. 0 means 10 s. A trade beyond it is
	// refused: its clock is wrong, and would close every bar before its time.
	Ahead time.Duration

	// Calendars tell the trading days of a venue; nil means the built-in ones.
	Calendars *market.Calendars

	// Rules returns the rule set of a venue's trades. A nil function, or a nil result, means the one that suits the venue.
	Rules func(venue string) *market.Rules
}

// The defaults of Options.
const (
	defaultGrace  = time.Second
	defaultWindow = 30 * time.Second
	defaultAhead  = 10 * time.Second
)

// maxIntervals bounds the intervals of a Machine, so that a trade needs no allocation.
const maxIntervals = 8

// What a trade can be refused for. The errors of Push wrap these or market.ErrRange.
var (
	ErrAhead   = errors.New("event time is too far ahead of the time of arrival")
	ErrInvalid = errors.New("not a trade that can be in a bar")
)

// Machine makes bars of the ticks of any number of feeds. It belongs to one goroutine.
type Machine struct {
	intervals []interval
	grace     market.Time
	window    market.Time
	ahead     market.Time
	calendars *market.Calendars
	rules     func(venue string) *market.Rules

	feeds   map[string]*Feed
	symbols map[market.Symbol]*symbol
	venues  map[string]*venue
	dirty   []*node // changed since the last Drain, in the order of their first change
	deltas  map[deltaKey]*node
	free    []*node
}

// interval is one of the intervals that are made; length is 0 for a day.
type interval struct {
	market.Interval
	length market.Time
}

// venue holds what the symbols of a venue share.
type venue struct {
	days  *market.Lookup
	rules *market.Rules
}

// New returns a machine without bars.
func New(o Options) (*Machine, error) {
	m := &Machine{
		grace:     orDefault(o.Grace, defaultGrace),
		window:    orDefault(o.Window, defaultWindow),
		ahead:     orDefault(o.Ahead, defaultAhead),
		calendars: o.Calendars,
		rules:     o.Rules,
		feeds:     map[string]*Feed{},
		symbols:   map[market.Symbol]*symbol{},
		venues:    map[string]*venue{},
		deltas:    map[deltaKey]*node{},
	}
	if m.calendars == nil {
		m.calendars = market.NewCalendars()
	}
	kept := o.Intervals
	if len(kept) == 0 {
		kept = []market.Interval{market.Sec1(), market.Min1(), market.Hour1(), market.Day1()}
	}
	if len(kept) > maxIntervals {
		return nil, fmt.Errorf("%d intervals: at most %d", len(kept), maxIntervals)
	}
	for i, v := range kept {
		length, ok := v.Fixed()
		if v.N < 1 || !ok && v != market.Day1() || length > 24*market.Hour {
			return nil, fmt.Errorf("interval %s cannot be made of ticks; roll it up from a shorter one", v)
		}
		if slices.Contains(kept[:i], v) {
			return nil, fmt.Errorf("interval %s is given twice", v)
		}
		m.intervals = append(m.intervals, interval{v, length})
	}
	return m, nil
}

func orDefault(d, def time.Duration) market.Time {
	switch {
	case d == 0:
		return market.Time(def)
	case d < 0:
		return 0
	}
	return market.Time(min(d, 24*time.Hour))
}

// Feed returns the feed of a name, made on first use.
func (m *Machine) Feed(name string) *Feed {
	f, ok := m.feeds[name]
	if !ok {
		f = &Feed{m: m, clock: math.MinInt64, symbols: map[market.Symbol]*symbol{}}
		m.feeds[name] = f
	}
	return f
}

// Latest returns the newest bar of a symbol and interval that is in memory, closed or not.
func (m *Machine) Latest(s market.Symbol, v market.Interval) (market.Bar, bool) {
	sym, ok := m.symbols[s]
	if !ok {
		return market.Bar{}, false
	}
	for i := range m.intervals {
		if bars := sym.series[i].bars; m.intervals[i].Interval == v && len(bars) > 0 {
			return bars[len(bars)-1].bar, true
		}
	}
	return market.Bar{}, false
}

// Change is a bar that changed since the Drain before.
type Change struct {
	Bar     market.Bar
	Closed  bool // it became final
	Revised bool // it changed after it had become final
	Delta   bool // Bar is not the whole bar but the late trades; Merge lays them over the stored one
}

// Drain appends every bar that changed since the last Drain, once, in the order of their first change, and returns the extended
// slice. Bars without a price are among them, for their volume is not lost when a price comes late; they are not to be shown.
func (m *Machine) Drain(dst []Change) []Change {
	for _, n := range m.dirty {
		dst = append(dst, Change{Bar: n.bar, Closed: n.closed, Revised: n.revised, Delta: n.delta})
		n.dirty, n.closed, n.revised = false, false, false
		switch {
		case n.delta:
			m.release(n)
		case n.leaving:
			n.series.remove(n)
			m.release(n)
		}
	}
	clear(m.deltas)
	clear(m.dirty)
	m.dirty = m.dirty[:0]
	return dst
}

// Symbols and venues are made on first use.

func (m *Machine) symbol(name market.Symbol) *symbol {
	s, ok := m.symbols[name]
	if !ok {
		s = &symbol{name: name, venue: m.venue(name.Venue()), series: make([]series, len(m.intervals))}
		for i := range s.series {
			s.series[i].floor = math.MinInt64
		}
		m.symbols[name] = s
	}
	return s
}

func (m *Machine) venue(name string) *venue {
	v, ok := m.venues[name]
	if ok {
		return v
	}
	v = &venue{days: m.calendars.For(name).Lookup()}
	if m.rules != nil {
		v.rules = m.rules(name)
	}
	if v.rules == nil {
		rules, err := market.RuleSet(market.RulesFor(name))
		if err != nil {
			panic("BUG: " + err.Error())
		}
		v.rules = rules
	}
	m.venues[name] = v
	return v
}
