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
