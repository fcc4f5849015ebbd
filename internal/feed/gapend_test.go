package feed_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// TestGapEndsWhenATickWithoutATimeArrives restarts a source that tells no times: what may be missing is all that is between the
// arrivals of two ticks.
func TestGapEndsWhenATickWithoutATimeArrives(t *testing.T) {
	for name, event := range map[string]market.Time{"no time": 0, "a time of 1970": market.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tp := &tapetest.Memory{}
				for price := range int64(2) {
					e := tick(market.KindTrade, "F:A", event, 100+price)
					e.Received = 0
					g := newRig(t, tp, &feedtest.Source{Steps: []feedtest.Step{feedtest.Send(e), feedtest.Forever()}})
					time.Sleep(time.Second / 2)
					if err := g.end(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				}
				trades, gaps := tp.Entries(market.KindTrade), tp.Entries(market.KindGap)
				if len(trades) != 2 || len(gaps) != 1 {
					t.Fatalf("got %d trades and %d gaps, want 2 and 1", len(trades), len(gaps))
				}
				if gaps[0].Event != trades[0].Event || gaps[0].Until != trades[1].Event {
					t.Errorf("got a gap from %v to %v, want one from %v to %v", gaps[0].Event, gaps[0].Until, trades[0].Event, trades[1].Event)
				}
			})
		})
	}
}
