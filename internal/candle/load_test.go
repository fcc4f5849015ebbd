package candle

import (
	"testing"

	"tapedeck/internal/market"
)

func TestLoadRefused(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("sim")
	push(t, f, trade(t, "SIM:A", 1, "15:00:30", "1", "1", ""))
	b, _ := m.Latest("SIM:A", market.Min1())
	if err := f.Load(b); err == nil {
		t.Error("a bar that is in memory is loaded again")
	}
	b.Interval = market.Interval{N: 5, Unit: market.UnitMinute}
	if err := f.Load(b); err == nil {
		t.Error("an interval that is not kept is loaded")
	}
	if err := f.Load(market.Bar{Interval: market.Min1()}); err == nil {
		t.Error("the zero bar is loaded")
	}
}

// TestLoadWithoutClock gives back bars but not the clock: what is final says how far the clock was at least.
func TestLoadWithoutClock(t *testing.T) {
	o := Options{Intervals: []market.Interval{market.Min1()}}
	before := machine(t, o)
	push(t, before.Feed("sim"), trade(t, "SIM:A", 1, "15:00:30", "1", "1", ""),
		market.Entry{Kind: market.KindHeartbeat, Event: at(t, "2026-11-23T15:01:01Z")})
	stored := before.Drain(nil)
	m := machine(t, o)
	f := m.Feed("sim")
	if err := f.Load(stored[0].Bar); err != nil {
		t.Fatal(err)
	}
	push(t, f, trade(t, "SIM:A", 2, "15:00:40", "1", "1", ""))
	if got := m.Drain(nil); len(got) != 1 || !got[0].Delta || got[0].Bar.Count != 1 {
		t.Errorf("a late trade for a stored bar makes %v, want a delta", lines(got, market.Min1()))
	}
}

// TestLoadedGapStays fills a gap that does not account for all that is missing in a loaded bar.
func TestLoadedGapStays(t *testing.T) {
	o := Options{Intervals: []market.Interval{market.Hour1()}}
	before := machine(t, o)
	push(t, before.Feed("sim"), trade(t, "SIM:A", 1, "15:00:30", "1", "1", ""))
	b := before.Drain(nil)[0].Bar
	b.Gappy = true
	m := machine(t, o)
	f := m.Feed("sim")
	if err := f.Load(b); err != nil {
		t.Fatal(err)
	}
	gap := market.Entry{Kind: market.KindGap, Symbol: "SIM:A", Event: at(t, "2026-11-23T15:10:00Z"), Until: at(t, "2026-11-23T15:11:00Z")}
	push(t, f, gap)
	gap.Flags = market.FlagFilled
	push(t, f, gap)
	if got, ok := m.Latest("SIM:A", market.Hour1()); !ok || !got.Gappy {
		t.Errorf("the gap from before is forgotten: %s", line(got))
	}
}
