package store

import (
	"testing"

	"tapedeck/internal/market"
)

// TestHoldsHistory takes in live ticks, those of a replayed file, and at last an import: only that is history.
func TestHoldsHistory(t *testing.T) {
	src := newMemTape()
	s := mustOpen(t, options(t))
	for i, flags := range []market.Flags{0, market.FlagImported, market.FlagImported | market.FlagHistory} {
		e := trade("SIM:A", uint64(i+1), start+market.Time(i), "1", "1")
		e.Flags = flags
		src.Put("sim", e)
		record(t, s, src)
		got, err := s.HoldsHistory(t.Context())
		if want := flags&market.FlagHistory != 0; err != nil || got != want {
			t.Errorf("flags %b: got %v and %v, want %v", flags, got, err, want)
		}
	}
}
