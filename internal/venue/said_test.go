package venue_test

import (
	"strings"
	"testing"

	"tapedeck/internal/venue"
)

func TestClip(t *testing.T) {
	for said, want := range map[string]string{
		"":                                "",
		"symbol not found":                "symbol not found",
		"bad \xff byte":                   "bad ? byte",
		strings.Repeat("x", 200):          strings.Repeat("x", 200),
		strings.Repeat("x", 201):          strings.Repeat("x", 200) + "…",
		strings.Repeat("x", 199) + "éé":   strings.Repeat("x", 199) + "…",
		"\xff" + strings.Repeat("x", 250): strings.Repeat("x", 199) + "…",
	} {
		if got := venue.Clip(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}
