package venue

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// ErrRefused is wrapped by errors that another attempt would meet again: a wrong key, a plan that does not cover the feed.
var ErrRefused = errors.New("refused by the venue")

// ErrListing is wrapped by errors of Venue.Name about a name that only the venue's listing can tell: BTCUSDT may be of two
// pairs. Without the listing another spelling is needed, with the base and the quote apart.
var ErrListing = errors.New("only the venue's list of instruments tells what this name means")

// RetryError is an answer that says when to come back: a rate limit, a place that is taken.
type RetryError struct {
	Err   error
	After time.Duration
}

func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }

// RetryAfter returns what the header Retry-After asks for (RFC 9110, section 10.2.3): seconds, or a moment, which is taken by
// the clock of the answer's own Date. It returns otherwise when the header says nothing of the kind, and a day at most.
func RetryAfter(h http.Header, otherwise time.Duration) time.Duration {
	const longest = 24 * time.Hour
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, longest)
	}
	until, err := http.ParseTime(v)
	if err != nil {
		return otherwise
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil || until.Before(now) {
		return otherwise
	}
	return min(until.Sub(now), longest)
}
