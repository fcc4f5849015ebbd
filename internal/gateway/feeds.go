package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"tapedeck/internal/latency"
	"tapedeck/internal/market"
)

// FeedInfo is what /v1/feeds tells of a feed.
type FeedInfo struct {
	Name     string
	URL      string        // without secrets
	State    string        // live, connecting, stale, down or done
	Since    market.Time   // the beginning of the state; 0 when that is not known
	Error    string        // why it is not live
	Rate     float64       // ticks a second
	LastTick market.Time   // 0 when there was none
	Latency  time.Duration // from the venue's time to receipt; below 0 when not known
	Symbols  int
	Label    string // how its symbols must be marked, such as SIM

	Venue       string          // first part of its symbols
	Carried     []market.Symbol // as many of them as are told
	Connections int             // that are up
	Reconnects  uint64

	ClockOffset time.Duration // how far the venue's clock is ahead of ours
	ClockKnown  bool

	Received latency.Summary // from the venue's time to receipt
	Taped    latency.Summary // from receipt to the tape

	Filled, Unfilled uint64 // gaps
	Backfilled       uint64 // ticks that were fetched for gaps
	Duplicates       uint64
	Dropped          map[string]uint64 // by reason
	Refused          []RefusedSymbol
	Gaps             []FeedGap // newest first
}

// RefusedSymbol is a symbol that the venue will not serve.
type RefusedSymbol struct {
	Symbol market.Symbol
	Reason string
}

// FeedGap is a gap of a feed, and what became of it.
type FeedGap struct {
	Symbol   market.Symbol // "": every symbol of the feed
	From, To market.Time
	Reason   string
	Filled   bool
	Ticks    int // that were fetched for it
	Noted    market.Time
}

// listFeeds serves GET /v1/feeds.
func (g *Gateway) listFeeds(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	var feeds []FeedInfo
	if g.opt.Feeds != nil {
		feeds = g.opt.Feeds()
	}
	now := time.Now()
	a := g.answer(w, "application/json")
	a.b = append(a.b, `{"feeds":[`...)
	for i := range feeds {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		a.b = appendFeed(a.b, &feeds[i], market.FromStd(now))
	}
	sent := g.metrics.sent.meter.Summary(now)
	a.b = appendDelays(append(a.b, `],"sent":`...), &sent)
	a.b = append(a.b, '}', '\n')
	return a.finish(nil)
}

func appendFeed(b []byte, f *FeedInfo, now market.Time) []byte {
	b = appendString(append(b, `{"name":`...), f.Name)
	b = appendString(append(b, `,"url":`...), f.URL)
	b = appendString(append(b, `,"state":`...), f.State)
	b = appendTime(append(b, `,"since":`...), f.Since)
	b = appendString(append(b, `,"error":`...), f.Error)
	b = appendRounded(append(b, `,"rate":`...), f.Rate)
	b = appendTime(append(b, `,"lastTick":`...), f.LastTick)
	b = append(b, `,"age":`...)
	if f.LastTick != 0 {
		b = appendSeconds(b, max(now.Sub(f.LastTick), 0))
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"latency":`...)
	if f.Latency >= 0 {
		b = appendSeconds(b, f.Latency)
	} else {
		b = append(b, "null"...)
	}
	b = strconv.AppendInt(append(b, `,"symbols":`...), int64(f.Symbols), 10)
	b = appendString(append(b, `,"label":`...), f.Label)
	b = appendString(append(b, `,"venue":`...), f.Venue)
	b = append(b, `,"carried":[`...)
	for i, s := range f.Carried {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, string(s))
	}
	b = strconv.AppendInt(append(b, `],"connections":`...), int64(f.Connections), 10)
	b = strconv.AppendUint(append(b, `,"reconnects":`...), f.Reconnects, 10)
	b = append(b, `,"clockOffset":`...)
	if f.ClockKnown {
		b = appendSeconds(b, f.ClockOffset)
	} else {
		b = append(b, "null"...)
	}
	b = appendDelays(append(b, `,"delays":{"received":`...), &f.Received)
	b = append(appendDelays(append(b, `,"taped":`...), &f.Taped), '}')
	return appendLosses(b, f)
}

// appendLosses writes what of a feed did not come, or came twice, and what became of it. It ends the feed.
func appendLosses(b []byte, f *FeedInfo) []byte {
	b = strconv.AppendUint(append(b, `,"gapsFilled":`...), f.Filled, 10)
	b = strconv.AppendUint(append(b, `,"gapsUnfilled":`...), f.Unfilled, 10)
	b = strconv.AppendUint(append(b, `,"backfilled":`...), f.Backfilled, 10)
	b = strconv.AppendUint(append(b, `,"duplicates":`...), f.Duplicates, 10)
	b = append(b, `,"dropped":{`...)
	for i, reason := range slices.Sorted(maps.Keys(f.Dropped)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(appendString(b, reason), ':'), f.Dropped[reason], 10)
	}
	b = append(b, `},"refused":[`...)
	for i, r := range f.Refused {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"symbol":`...), string(r.Symbol))
		b = append(appendString(append(b, `,"reason":`...), r.Reason), '}')
	}
	b = append(b, `],"gaps":[`...)
	for i := range f.Gaps {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFeedGap(b, &f.Gaps[i])
	}
	return append(b, ']', '}')
}

func appendFeedGap(b []byte, gap *FeedGap) []byte {
	symbol := string(gap.Symbol)
	if symbol == "" {
		symbol = "*" // as the stream says it
	}
	b = appendString(append(b, `{"symbol":`...), symbol)
	b = appendTime(append(b, `,"from":`...), gap.From)
	b = appendTime(append(b, `,"to":`...), gap.To)
	b = appendString(append(b, `,"reason":`...), gap.Reason)
	b = strconv.AppendBool(append(b, `,"filled":`...), gap.Filled)
	b = strconv.AppendInt(append(b, `,"ticks":`...), int64(gap.Ticks), 10)
	return append(appendTime(append(b, `,"noted":`...), gap.Noted), '}')
}

// appendDelays writes what was measured in the last minute; null when that was nothing.
func appendDelays(b []byte, s *latency.Summary) []byte {
	if s.N == 0 {
		return append(b, "null"...)
	}
	b = strconv.AppendUint(append(b, `{"count":`...), s.N, 10)
	b = appendSeconds(append(b, `,"p50":`...), s.P50)
	b = appendSeconds(append(b, `,"p99":`...), s.P99)
	b = append(b, `,"buckets":[`...)
	for i, k := range s.Buckets {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSeconds(append(b, `{"to":`...), k.To)
		b = append(strconv.AppendUint(append(b, `,"n":`...), k.N, 10), '}')
	}
	return append(b, ']', '}')
}

// appendSeconds writes a duration in seconds.
func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, d.Seconds(), 'f', -1, 64)
}

// appendRounded writes a number to two decimals.
func appendRounded(b []byte, f float64) []byte {
	return strconv.AppendFloat(b, float64(int64(f*100+0.5))/100, 'f', -1, 64)
}
