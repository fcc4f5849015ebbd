package store

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

// A gap that is known of late marks bars that were closed long ago, each time as a revision, and what fills it takes the mark away
// where no other gap is.
func TestGapsMarkStoredBars(t *testing.T) {
	src := newMemTape()
	s := mustOpen(t, options(t))
	for i := range market.Time(5) {
		src.Put("sim", trade("SIM:A", uint64(i+1), start+i*market.Minute, "1", "1"))
	}
	src.Put("other", trade("OTHER:B", 1, start+market.Minute, "1", "1"),
		market.Heartbeat{Event: start + 10*market.Minute, Received: start + 10*market.Minute}.Entry())
	src.Put("sim", market.Heartbeat{Event: start + 10*market.Minute, Received: start + 10*market.Minute}.Entry())
	at := func(minutes, seconds market.Time) market.Time {
		return start + minutes*market.Minute + seconds*market.Second
	}
	for _, step := range []struct {
		say  string
		gap  market.Gap
		want string // minute bars of SIM:A: marked or not, and revisions
		also string // that of OTHER:B
	}{
		{"nothing", market.Gap{}, "-0 -0 -0 -0 -0", "-0"},
		{"of the symbol", market.Gap{Symbol: "SIM:A", From: at(1, 30), To: at(3, 0)}, "-0 +1 +1 -0 -0", "-0"},
		{"of the feed", market.Gap{From: at(2, 10), To: at(3, 10)}, "-0 +1 +1 +1 -0", "-0"},
		{"filled in part", market.Gap{Symbol: "SIM:A", From: at(1, 0), To: at(1, 45), Flags: market.FlagFilled}, "-0 +1 +1 +1 -0", "-0"},
		{"filled", market.Gap{Symbol: "SIM:A", From: at(1, 30), To: at(3, 0), Flags: market.FlagFilled}, "-0 -2 +1 +1 -0", "-0"},
		{"filled of the feed", market.Gap{From: at(2, 0), To: at(4, 0), Flags: market.FlagFilled}, "-0 -2 -2 -2 -0", "-0"},
	} {
		if step.gap != (market.Gap{}) {
			src.Put("sim", step.gap.Entry())
		}
		record(t, s, src)
		for symbol, want := range map[market.Symbol]string{"SIM:A": step.want, "OTHER:B": step.also} {
			bars, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: symbol, Interval: market.Min1(), Limit: 9}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for i, b := range bars {
				if i > 0 {
					got += " "
				}
				if got += "-"; b.Gappy {
					got = got[:len(got)-1] + "+"
				}
				got += fmt.Sprint(b.Rev)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("a gap %s: bars of %s (-want +got):\n%s", step.say, symbol, diff)
			}
		}
	}
	gaps, err := s.Gaps(t.Context(), "SIM:A", at(3, 5), at(3, 6))
	if err != nil || len(gaps) != 2 || gaps[0].Symbol != "" || gaps[0].Feed != "sim" {
		t.Errorf("gaps %+v, %v: want the two of the feed", gaps, err)
	}
}
