package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

func TestEachGap(t *testing.T) {
	src := newMemTape()
	s := mustOpen(t, options(t))
	src.Put("sim", trade("SIM:A", 1, start, "1", "1"))
	first := market.Gap{Symbol: "SIM:A", From: start, To: start + market.Minute, Reason: "lost"}
	second := market.Gap{From: start + market.Minute, To: start + 2*market.Minute, Reason: "of the feed"}
	src.Put("sim", first.Entry(), second.Entry(), market.Gap{Symbol: "SIM:B", From: start, To: start + 1}.Entry())
	record(t, s, src)
	var got []market.Gap
	if err := s.EachGap(t.Context(), "SIM:A", start, start+market.Hour, func(g market.Gap) error {
		got = append(got, g)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]market.Gap{first, second}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	enough := errors.New("enough")
	if err := s.EachGap(t.Context(), "SIM:A", 0, 0, func(market.Gap) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v, want what yield returned", err)
	}
}
