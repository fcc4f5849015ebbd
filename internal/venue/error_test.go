package venue_test

import (
	"net/http"
	"testing"
	"time"

	"tapedeck/internal/venue"
)

func TestRetryAfter(t *testing.T) {
	const otherwise = 7 * time.Second
	for name, c := range map[string]struct {
		after, date string
		want        time.Duration
	}{
		"nothing":             {want: otherwise},
		"seconds":             {after: "30", want: 30 * time.Second},
		"at once":             {after: "0", want: 0},
		"not a number":        {after: "soon", want: otherwise},
		"negative":            {after: "-5", want: otherwise},
		"a year":              {after: "31536000", want: 24 * time.Hour},
		"a moment":            {after: "Mon, 23 Nov 2026 10:01:30 GMT", date: "Mon, 23 Nov 2026 10:00:00 GMT", want: 90 * time.Second},
		"a moment, no date":   {after: "Mon, 23 Nov 2026 10:01:30 GMT", want: otherwise},
		"a moment that is by": {after: "Mon, 23 Nov 2026 09:00:00 GMT", date: "Mon, 23 Nov 2026 10:00:00 GMT", want: otherwise},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.after)
		h.Set("Date", c.date)
		if got := venue.RetryAfter(h, otherwise); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
