package market_test

import (
	"strings"
	"testing"

	"tapedeck/internal/market"
)

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"", "abc", 3},
		{"rate", "rate", 0},
		{"rte", "rate", 1},
		{"raet", "rate", 1},
		{"symbls", "symbols", 1},
		{"AAPL", "MSFT", 4},
		{"ca", "abc", 3},
		{strings.Repeat("x", 65), "x", 64},
	} {
		if got := market.EditDistance(c.a, c.b); got != c.want {
			t.Errorf("EditDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := market.EditDistance(c.b, c.a); got != c.want {
			t.Errorf("EditDistance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
