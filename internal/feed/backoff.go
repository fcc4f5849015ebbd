package feed

import "time"

// How a source that failed is tried again: after a random time between nothing and a bound that doubles from firstPause to
// longestPause ("full jitter", so that many clients of a venue that comes back do not come at once). The bound begins anew
// only after the source has streamed for healthyAfter: a venue that accepts and then kicks must not be hammered.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	healthyAfter = time.Minute
)

// backoff computes pauses. Random returns a number in [0, n).
type backoff struct {
	random func(n int64) int64
	failed int
}

// healthy begins anew.
func (b *backoff) healthy() { b.failed = 0 }

// pause returns the time to wait before the next attempt, at least what the venue asked for.
func (b *backoff) pause(atLeast time.Duration) time.Duration {
	bound := longestPause
	if b.failed < 6 { // 0.5 s << 6 is beyond 30 s.
		bound = firstPause << b.failed
	}
	b.failed++
	return max(time.Duration(b.random(int64(bound)+1)), atLeast)
}

// Backoff computes the pauses of a source that connects again by itself, in the way of the runner. One goroutine uses it.
type Backoff struct{ b backoff }

// NewBackoff returns a Backoff. Random returns a number in [0, n).
func NewBackoff(random func(n int64) int64) *Backoff { return &Backoff{backoff{random: random}} }

// Healthy begins anew: the connection has been up for HealthyAfter.
func (b *Backoff) Healthy() { b.b.healthy() }

// Pause returns the time to wait before the next attempt, at least what the venue asked for.
func (b *Backoff) Pause(atLeast time.Duration) time.Duration { return b.b.pause(atLeast) }

// HealthyAfter is how long a connection streams before it counts as one that works.
const HealthyAfter = healthyAfter
