package venue

import (
	"errors"
	"time"
)

// ErrRefused is wrapped by errors that another attempt would meet again: a wrong key, a plan that does not cover the feed.
var ErrRefused = errors.New("refused by the venue")

// RetryError is an answer that says when to come back: a rate limit, a place that is taken.
type RetryError struct {
	Err   error
	After time.Duration
}

func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }
