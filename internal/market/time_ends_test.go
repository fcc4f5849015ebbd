package market

import (
	"math"
	"testing"
	"time"
)

// TestTimeEnds writes the first and last moments that there are as the standard library does.
func TestTimeEnds(t *testing.T) {
	for _, at := range []Time{math.MinInt64, math.MinInt64 + 1, math.MinInt64 + 12*Hour, -24 * Hour, -24*Hour - 1, -1, 1, math.MaxInt64 - 1, math.MaxInt64} {
		if got, want := at.String(), at.Std().Format(time.RFC3339Nano); got != want {
			t.Errorf("%d: got %s, want %s", int64(at), got, want)
		}
	}
}
