package feed

import "tapedeck/internal/market"

// Bounds of what counts as silence. A whole feed is watched closely: most venues send heartbeats, so it is regular. A symbol trades
// when somebody wants to.
const (
	feedSilence   = 10 * market.Second // twice the interval at which venues send heartbeats
	feedMeans     = 4
	symbolSilence = 30 * market.Second
	symbolMeans   = 20
	enoughTicks   = 8 // before a rhythm is known
)

// rhythm learns how often something comes, to tell silence from quiet: a symbol that trades once an hour is not stale after
// a minute. All times are those of arrival.
type rhythm struct {
	last    market.Time
	n       int
	mean    market.Time // of the intervals, with weight 1/16 for the newest
	longest market.Time // interval, forgotten slowly
	stale   bool
}

// beat notes an arrival.
func (r *rhythm) beat(now market.Time) {
	if r.n > 0 {
		d := max(now-r.last, 0)
		if r.n == 1 {
			r.mean = d
		} else {
			r.mean += (d - r.mean) / 16
		}
		r.longest = max(d, r.longest-r.longest/64)
	}
	r.n++
	r.last = now
	r.stale = false
}

// silent reports whether nothing has come for longer than expected: so many mean intervals, three times the longest one, or the
// floor, whichever is most.
func (r *rhythm) silent(now, floor, means market.Time) bool {
	if r.n < enoughTicks {
		return r.n > 0 && now-r.last > 10*floor
	}
	return now-r.last > max(floor, means*r.mean, 3*r.longest)
}
