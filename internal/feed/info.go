package feed

import (
	"context"
	"maps"
	"slices"
	"time"

	"tapedeck/internal/market"
)

// Info is what /v1/feeds says of a feed.
type Info struct {
	Name     string
	URL      string // secrets masked
	Label    string // "SIM" or "REPLAY" for what is not a live venue
	Venue    string // first part of its symbols
	State    market.State
	Since    market.Time   // the beginning of the state, 0 when it never had any
	Error    string        // why the feed is down or stale, or why the tape takes nothing; "" when all is well
	Rate     float64       // ticks a second, over the last rateWindow seconds
	Ticks    uint64        // since the start of the process
	LastTick market.Time   // arrival of the last tick, 0 when none came
	Symbols  int           // that sent ticks since the start of the process
	Latency  time.Duration // from the venue's time to the arrival, smoothed; 0 when event times are not of now
	Report   Report
}

// Info returns the feed's state now.
func (r *Runner) Info() Info {
	now := market.FromStd(time.Now())
	r.mu.Lock()
	info := Info{
		Name: r.url.Name, URL: r.url.String(), Label: r.traits.Label, Venue: r.url.Venue, State: r.state, Since: r.since, Error: r.reason,
		Rate: r.rate.perSecond(), Ticks: r.ticks, LastTick: r.lastTick, Symbols: len(r.symbols), Latency: time.Duration(r.latency),
	}
	if r.state == market.StateClosed {
		info.Error = ""
	}
	if r.held != "" {
		info.Error = r.held
	}
	symbols := slices.Collect(maps.Keys(r.symbols))
	r.mu.Unlock()
	info.Report = r.account.report(now)
	if info.Report.Symbols == nil { // the source does not say what it carries
		slices.Sort(symbols)
		info.Report.Symbols, info.Report.Carried = symbols, len(symbols)
	}
	info.Report.Symbols = info.Report.Symbols[:min(mostListed, len(info.Report.Symbols))]
	return info
}

// rateWindow is the number of seconds that a rate is the mean of.
const rateWindow = 5

// rate counts ticks in the last seconds.
type rate struct {
	counts [rateWindow]uint64
	at, n  int
}

func (r *rate) second(ticks uint64) {
	r.counts[r.at] = ticks
	r.at = (r.at + 1) % rateWindow
	r.n = min(r.n+1, rateWindow)
}

func (r *rate) perSecond() float64 {
	if r.n == 0 {
		return 0
	}
	var sum uint64
	for _, c := range r.counts {
		sum += c
	}
	return float64(sum) / float64(r.n)
}

// keepHouse does what is done once a second, until ctx is done.
func (r *Runner) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.second(market.FromStd(time.Now()))
		}
	}
}

// second measures the rate, declares what has fallen silent stale, and lets the tape know that time passed.
func (r *Runner) second(now market.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	came := r.ticks - r.beaten
	r.rate.second(came)
	r.beaten = r.ticks
	if r.session == nil || r.state != market.StateLive {
		return
	}
	if !r.traits.Pull {
		if r.rhythm.silent(now, feedSilence, feedMeans) {
			r.setState(market.StateStale, "nothing came for "+now.Sub(r.rhythm.last).Truncate(time.Second).String())
			return
		}
		r.findStale(now)
	}
	if came > 0 || r.queue.size > 0 {
		return
	}
	if clock := r.clock(now); clock >= r.lastClock+market.Second && r.lastClock != 0 {
		r.lastClock = clock
		r.enqueue(market.Entry{Kind: market.KindHeartbeat, Event: clock, Received: now})
	}
}

// findStale puts a status on the tape for each symbol that has fallen silent against its own habit. Heartbeats of the venue do
// not hide it: they say nothing of a symbol. It is called with mu held.
func (r *Runner) findStale(now market.Time) {
	for _, l := range r.symbols {
		if l.rhythm.stale || l.rhythm.n < enoughTicks || !l.rhythm.silent(now, symbolSilence, symbolMeans) {
			continue
		}
		l.rhythm.stale = true
		r.enqueueState(r.queue.room(1), l.symbol, market.StateStale, r.clock(now), now,
			"nothing came for "+now.Sub(l.rhythm.last).Truncate(time.Second).String())
		r.wake()
	}
}
