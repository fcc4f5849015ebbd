package candle

import (
	"fmt"
	"slices"
	"testing"

	"tapedeck/internal/market"
)

// TestAdopt has a file open bars that a live feed goes on with, while some that are over wait to be drained, and one that is ahead of it.
func TestAdopt(t *testing.T) {
	m, err := New(Options{Intervals: []market.Interval{market.Min1()}})
	if err != nil {
		t.Fatal(err)
	}
	push := func(feed string, seq uint64, at market.Time, flags market.Flags) {
		t.Helper()
		e := market.Trade{Symbol: "SIM:A", Seq: seq, Event: at, Received: at, Price: dec(t, "1"), Size: dec(t, "1"), Flags: flags}.Entry()
		if err := m.Feed(feed).Push(&e); err != nil {
			t.Fatal(err)
		}
	}
	const past = market.FlagImported | market.FlagHistory
	const start, later = 1000 * market.Hour, 1002 * market.Hour
	push("file", 1, start, past)
	push("file", 2, start+10*market.Minute, past)
	push("file", 3, start+20*market.Minute, past)
	push("live", 4, start+10*market.Minute+market.Second, 0)
	m.Drain(nil)
	if n := len(m.Feed("live").queue); n != 0 {
		t.Errorf("%d deadlines of bars that are gone", n)
	}
	push("live", 4, start+20*market.Minute+market.Second, 0)
	push("file", 5, start+20*market.Minute+2*market.Second, past)
	push("file", 6, start+21*market.Minute, past)
	m.Drain(nil)
	m.Feed("live").Advance(later)
	var closed []string
	for _, c := range m.Drain(nil) {
		if c.Closed {
			closed = append(closed, fmt.Sprintf("%d %d", (c.Bar.Start-start)/market.Minute, c.Bar.Count))
		}
	}
	if want := []string{"20 3"}; !slices.Equal(closed, want) {
		t.Errorf("the live feed closed %q, want %q", closed, want)
	}
	m.Feed("file").Advance(later)
	m.Drain(nil)
	if n := len(m.Feed("live").queue) + len(m.Feed("file").queue); n != 0 || len(m.symbols["SIM:A"].series[0].bars) != 0 {
		t.Errorf("%d deadlines and %d bars are left", n, len(m.symbols["SIM:A"].series[0].bars))
	}
}
