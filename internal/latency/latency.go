// Package latency measures how long things take: a histogram of durations, since the start and over the last minute, whose
// quantiles tell what most wait for (p50) and what the unlucky ones do (p99).
package latency

import (
	"math/bits"
	"sync"
	"time"
)

// Durations fall into buckets whose bounds grow by a quarter of a power of two, from a microsecond to about two minutes: a quantile is
// off by a fifth at most. What is shorter, or below zero because two clocks disagree, is in the first; what is longer in the last.
const (
	parts   = 4
	octaves = 27
	buckets = 1 + octaves*parts
)

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	if d <= time.Microsecond {
		return 0
	}
	// Within [2^k, 2^(k+1)) the two bits below the leading one tell the quarter. The bound belongs to the bucket below it.
	ns := uint64(d-1) * 1024 / 1000 // so that powers of two of a microsecond are powers of two
	k := bits.Len64(ns) - 1
	i := 1 + (k-10)*parts + int(ns>>(k-2)&(parts-1))
	return min(max(i, 1), buckets-1)
}

// bound returns the longest duration of a bucket.
func bound(bucket int) time.Duration {
	if bucket == 0 {
		return time.Microsecond
	}
	k, part := (bucket-1)/parts, (bucket-1)%parts
	return time.Microsecond * time.Duration((parts+part+1)<<k) / parts
}

// Counts are durations by bucket. The zero value is empty. They belong to one goroutine.
type Counts struct {
	n   [buckets]uint64
	sum time.Duration
}

// Observe adds a duration n times.
func (c *Counts) Observe(d time.Duration, n int) {
	c.n[bucketOf(d)] += uint64(n)
	c.sum += max(d, 0) * time.Duration(n)
}

// IsEmpty reports whether nothing was observed.
func (c *Counts) IsEmpty() bool { return c.sum == 0 && c.total() == 0 }

func (c *Counts) add(o *Counts) {
	for i, n := range &o.n {
		c.n[i] += n
	}
	c.sum += o.sum
}

func (c *Counts) total() (n uint64) {
	for _, k := range &c.n {
		n += k
	}
	return n
}

// quantile returns the bound of the bucket that the q-th part of all durations reaches.
func (c *Counts) quantile(q float64, total uint64) time.Duration {
	need := uint64(q * float64(total))
	var seen uint64
	for i, n := range &c.n {
		if seen += n; seen > need {
			return bound(i)
		}
	}
	return 0
}

// The window that a summary is about: so many slots of a length.
const (
	slots = 6
	slot  = 10 * time.Second

	// Window is how far back a summary looks, at least by all but one slot.
	Window = slots * slot
)

// Meter counts durations since the start, and in the last minute. The zero value is empty; its methods may be called at once.
type Meter struct {
	mu   sync.Mutex
	all  Counts
	last [slots]Counts
	of   [slots]int64 // which slot of time each of them is about
}

// Observe adds a duration n times, as of now.
func (m *Meter) Observe(now time.Time, d time.Duration, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all.Observe(d, n)
	m.slot(now).Observe(d, n)
}

// Add adds what was counted elsewhere, and empties it.
func (m *Meter) Add(now time.Time, c *Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all.add(c)
	m.slot(now).add(c)
	*c = Counts{}
}

// slot returns the slot of a moment, emptied if it was of another. It is called with mu held.
func (m *Meter) slot(now time.Time) *Counts {
	number := now.UnixNano() / int64(slot)
	i := int(uint64(number) % slots)
	if m.of[i] != number {
		m.of[i], m.last[i] = number, Counts{}
	}
	return &m.last[i]
}

// Bucket is how many durations there were that are longer than the bound of the bucket before it, and not longer than its own.
type Bucket struct {
	To time.Duration
	N  uint64
}

// Summary is what a meter says of the last minute.
type Summary struct {
	N        uint64
	P50, P99 time.Duration // within a fifth; 0 when N is 0
	Buckets  []Bucket      // by powers of two, from the first that has any to the last
}

// Summary returns what was observed in the last minute.
func (m *Meter) Summary(now time.Time) Summary {
	number := now.UnixNano() / int64(slot)
	var c Counts
	m.mu.Lock()
	for i := range m.last {
		if age := number - m.of[i]; age >= 0 && age < slots {
			c.add(&m.last[i])
		}
	}
	m.mu.Unlock()
	n := c.total()
	if n == 0 {
		return Summary{}
	}
	return Summary{N: n, P50: c.quantile(0.5, n), P99: c.quantile(0.99, n), Buckets: c.octaves()}
}

// octaves returns the buckets joined by powers of two, without the empty ones at both ends.
func (c *Counts) octaves() []Bucket {
	all := make([]Bucket, 1+octaves)
	all[0] = Bucket{bound(0), c.n[0]}
	first, last := -1, 0
	for i := range all {
		if i > 0 {
			all[i].To = bound(i * parts)
			for _, n := range c.n[1+(i-1)*parts : 1+i*parts] {
				all[i].N += n
			}
		}
		if all[i].N > 0 {
			if last = i; first < 0 {
				first = i
			}
		}
	}
	return all[max(first, 0) : last+1]
}

// Total returns what was observed since the start: how many, their sum, and the running count up to each power of two.
func (m *Meter) Total() (n uint64, sum time.Duration, upTo []Bucket) {
	m.mu.Lock()
	c := m.all
	m.mu.Unlock()
	upTo = make([]Bucket, 1+octaves)
	for i := range upTo {
		for _, k := range c.n[max(0, 1+(i-1)*parts) : 1+i*parts] {
			n += k
		}
		upTo[i] = Bucket{bound(i * parts), n}
	}
	return n, c.sum, upTo
}
