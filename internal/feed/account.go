package feed

import (
	"maps"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/latency"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Bounds of what an Account remembers. What there is beyond them is counted and not told one by one.
const (
	mostGaps    = 20
	mostRefused = 100
	mostReasons = 64
	mostListed  = 1000 // symbols of a Report

	// clockSamples is how many readings of the venue's clock are looked at together.
	clockSamples = 16
)

// Account is what a feed has been through since the process started. The Runner keeps it; a source adds, through Start.Account, what only
// it can know. Its methods may be called at once, and on nil, which they do nothing for.
type Account struct {
	received, taped latency.Meter

	mu          sync.Mutex
	lined       bool // the source counts its connections
	connections int
	reconnects  uint64
	carried     []market.Symbol // nil: the symbols that sent ticks
	clock       []time.Duration // readings, the newest last
	filled      uint64
	unfilled    uint64
	backfilled  uint64
	pending     map[market.Symbol]int // ticks that were fetched, of each symbol, since its last gap
	duplicates  uint64
	dropped     map[string]uint64
	refused     []Refusal
	refusals    uint64
	gaps        []GapNote          // newest last
	instruments []venue.Instrument // that the venue lists, by symbol; replaced, never changed
	meters      *meters
}

// Refusal is a symbol that the venue will not serve.
type Refusal struct {
	Symbol market.Symbol
	Reason string
}

// GapNote is a gap that was put on the tape, and what became of it.
type GapNote struct {
	Symbol   market.Symbol // "": every symbol of the feed
	From, To market.Time
	Reason   string
	Filled   bool
	Ticks    int         // that were fetched for it
	Noted    market.Time // when it was put on the tape
}

// Report is what an Account says.
type Report struct {
	Symbols     []market.Symbol // that the feed carries, in order, the first thousand of them
	Carried     int             // how many it carries
	Connections int             // that are up
	Reconnects  uint64

	Clock      time.Duration // how far the venue's clock is ahead of ours, about
	ClockKnown bool

	Received, Taped latency.Summary // from the venue's time to the arrival, and from there to the tape, of the last minute

	Filled, Unfilled uint64 // gaps
	Backfilled       uint64 // ticks that were fetched for gaps
	Duplicates       uint64
	Dropped          map[string]uint64 // by reason
	Refused          []Refusal         // the newest hundred
	Refusals         uint64
	Gaps             []GapNote // the newest twenty, newest first
}

func newAccount(m *meters) *Account {
	return &Account{pending: make(map[market.Symbol]int), dropped: make(map[string]uint64), meters: m}
}

// Lines says how many connections are up.
func (a *Account) Lines(open int) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lined, a.connections = true, open
	a.meters.connections.Set(float64(open))
}

// runs says whether the source runs. One that says nothing of its connections has one while it does.
func (a *Account) runs(running bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lined && running {
		return
	}
	a.connections = 0
	if running {
		a.connections = 1
	}
	a.meters.connections.Set(float64(a.connections))
}

// Reconnected counts a connection that was made in place of one that ended.
func (a *Account) Reconnected() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reconnects++
	a.meters.reconnects.Inc()
}

// Carries says which symbols the venue sends, all of them.
func (a *Account) Carries(symbols []market.Symbol) {
	if a == nil {
		return
	}
	sorted := slices.Sorted(slices.Values(symbols))
	if sorted == nil {
		sorted = []market.Symbol{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.carried = sorted
	a.meters.symbols.Set(float64(len(sorted)))
}

// saw counts the symbols that sent ticks; those are what a feed carries that says nothing else.
func (a *Account) saw(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.carried == nil {
		a.meters.symbols.Set(float64(n))
	}
}

// Clock takes a reading of the venue's clock: a moment that it stamped when it sent something, and when that arrived. What it stamps on
// trades is no such moment.
func (a *Account) Clock(sent, received market.Time) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.clock) == clockSamples {
		a.clock = append(a.clock[:0], a.clock[1:]...)
	}
	a.clock = append(a.clock, sent.Sub(received))
	a.meters.clock(slices.Max(a.clock).Seconds())
}

// Refused notes a symbol that the venue will not serve. One that was refused before is noted once.
func (a *Account) Refused(symbol market.Symbol, reason string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.IndexFunc(a.refused, func(r Refusal) bool { return r.Symbol == symbol }); i >= 0 {
		a.refused[i].Reason = reason
		return
	}
	a.refusals++
	a.meters.refused.Set(float64(a.refusals))
	if len(a.refused) == mostRefused {
		a.refused = append(a.refused[:0], a.refused[1:]...)
	}
	a.refused = append(a.refused, Refusal{symbol, reason})
}

// gap notes a gap that goes onto the tape.
func (a *Account) gap(e *market.Entry, now market.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := GapNote{Symbol: e.Symbol, From: e.Event, To: e.Until, Reason: e.Text, Filled: e.Flags&market.FlagFilled != 0, Noted: now}
	if e.Symbol != "" {
		n.Ticks = a.pending[e.Symbol]
		delete(a.pending, e.Symbol)
	} else {
		for _, k := range a.pending {
			n.Ticks += k
		}
		clear(a.pending)
	}
	if n.Filled {
		a.filled++
		a.meters.filled.Inc()
	} else {
		a.unfilled++
		a.meters.unfilled.Inc()
	}
	if len(a.gaps) == mostGaps {
		a.gaps = append(a.gaps[:0], a.gaps[1:]...)
	}
	a.gaps = append(a.gaps, n)
}

// fetched counts a tick that the venue was asked for after the fact.
func (a *Account) fetched(s market.Symbol) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.backfilled++
	a.pending[s]++
	a.meters.backfilled.Inc()
}

// repeated counts a trade that came again.
func (a *Account) repeated() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.duplicates++
	a.meters.duplicates.Inc()
}

// drop counts what could not become ticks on the tape. Reasons beyond the bound are one.
func (a *Account) drop(reason string, n int) {
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.dropped[reason]; !known && len(a.dropped) >= mostReasons {
		reason = "other"
	}
	a.dropped[reason] += uint64(n)
	a.meters.dropped(reason).Add(float64(n))
}

// arrived measures the lag of a message's last tick: venue to arrival.
func (a *Account) arrived(now market.Time, lag time.Duration) {
	a.received.Observe(now.Std(), lag, 1)
	a.meters.lag.Observe(lag.Seconds())
}

// durable measures entries that are on the tape now: arrival to tape. The ticks of a message arrived together.
func (a *Account) durable(now market.Time, entries []market.Entry) {
	var counts latency.Counts
	for i := 0; i < len(entries); {
		j := i + 1
		for j < len(entries) && entries[j].Received == entries[i].Received {
			j++
		}
		if e := &entries[i]; e.IsTick() && e.Received != 0 {
			took := now.Sub(e.Received)
			counts.Observe(took, j-i)
			a.meters.append.Observe(took.Seconds())
		}
		i = j
	}
	if !counts.IsEmpty() {
		a.taped.Add(now.Std(), &counts)
	}
}

// report returns what there is to say as of now.
func (a *Account) report(now market.Time) Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := Report{
		Carried: len(a.carried), Symbols: a.carried, Connections: a.connections, Reconnects: a.reconnects,
		Received: a.received.Summary(now.Std()), Taped: a.taped.Summary(now.Std()),
		Filled: a.filled, Unfilled: a.unfilled, Backfilled: a.backfilled, Duplicates: a.duplicates, Dropped: maps.Clone(a.dropped),
		Refused: slices.Clone(a.refused), Refusals: a.refusals, Gaps: slices.Clone(a.gaps),
	}
	slices.Reverse(r.Gaps)
	if len(a.clock) > 0 {
		// What is the longest on its way makes the venue's clock look late: the best reading is the one that was the shortest.
		r.Clock, r.ClockKnown = slices.Max(a.clock), true
	}
	return r
}
