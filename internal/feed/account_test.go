package feed

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func testAccount(t *testing.T) *Account {
	t.Helper()
	m, err := (*Metrics)(nil).of("x")
	if err != nil {
		t.Fatal(err)
	}
	return newAccount(m)
}

// A gap is told with what became of it: the ticks that were fetched for its symbol before it.
func TestAccountOfGaps(t *testing.T) {
	a := testAccount(t)
	for range 3 {
		a.fetched("X:A")
	}
	a.fetched("X:B")
	a.gap(&market.Entry{Symbol: "X:A", Event: 10, Until: 20, Text: "numbers 4 to 6 did not come", Flags: market.FlagFilled}, 30)
	a.gap(&market.Entry{Symbol: "X:A", Event: 40, Until: 50, Text: "no history"}, 60)
	a.gap(&market.Entry{Event: 70, Until: 80, Text: "disconnected"}, 90)
	r := a.report(100)
	want := []GapNote{
		{From: 70, To: 80, Reason: "disconnected", Ticks: 1, Noted: 90},
		{Symbol: "X:A", From: 40, To: 50, Reason: "no history", Noted: 60},
		{Symbol: "X:A", From: 10, To: 20, Reason: "numbers 4 to 6 did not come", Filled: true, Ticks: 3, Noted: 30},
	}
	if diff := cmp.Diff(want, r.Gaps); diff != "" || r.Filled != 1 || r.Unfilled != 2 || r.Backfilled != 4 {
		t.Errorf("got %+v\n%s", r, diff)
	}
}

// What an account remembers is bounded; what it counts is not.
func TestAccountIsBounded(t *testing.T) {
	a := testAccount(t)
	for i := range 1000 {
		a.gap(&market.Entry{Event: market.Time(i)}, 0)
		a.Refused(market.Symbol(fmt.Sprint("X:", i)), "unknown")
		a.drop(fmt.Sprint("reason_", i), 1)
		a.Clock(market.Time(i), 0)
	}
	a.Refused("X:999", "not for this plan")
	r := a.report(0)
	if len(r.Gaps) != mostGaps || r.Unfilled != 1000 || r.Gaps[0].From != 999 || len(r.Refused) != mostRefused || r.Refusals != 1000 ||
		r.Refused[mostRefused-1] != (Refusal{"X:999", "not for this plan"}) || len(r.Dropped) != mostReasons+1 || r.Dropped["other"] != 1000-mostReasons {
		t.Errorf("got %+v", r)
	}
}

// The reading of a clock that was the shortest on its way counts, and old readings are forgotten.
func TestAccountOfClocks(t *testing.T) {
	a := testAccount(t)
	if r := a.report(0); r.ClockKnown || r.Connections != 0 || r.Symbols != nil {
		t.Errorf("got %+v of a feed that said nothing", r)
	}
	second := market.Time(time.Second)
	a.Clock(10*second, 10*second)
	for i := range market.Time(clockSamples) {
		a.Clock(i*second, i*second+2*second+i%3*second)
	}
	a.Lines(2)
	a.Carries([]market.Symbol{"X:B", "X:A"})
	a.Reconnected()
	r := a.report(0)
	if !r.ClockKnown || r.Clock != -2*time.Second || r.Connections != 2 || r.Reconnects != 1 || r.Carried != 2 || r.Symbols[0] != "X:A" {
		t.Errorf("got %+v", r)
	}
	a.runs(true) // it says more than that
	if r := a.report(0); r.Connections != 2 {
		t.Errorf("got %d connections, want the 2 that the source counts", r.Connections)
	}
	a.runs(false)
	if r := a.report(0); r.Connections != 0 {
		t.Errorf("got %d connections of a source that does not run", r.Connections)
	}
	a.Carries(nil)
	a.Lines(0)
	if r := a.report(0); r.Connections != 0 || r.Symbols == nil || r.Carried != 0 {
		t.Errorf("got %+v of a feed that carries nothing", r)
	}
}

func TestAccountOfDelays(t *testing.T) {
	a := testAccount(t)
	now := market.FromStd(time.Unix(1_700_000_000, 0))
	ms := market.Time(time.Millisecond)
	tick := func(received market.Time) market.Entry {
		return market.Entry{Kind: market.KindTrade, Received: received}
	}
	a.durable(now, []market.Entry{tick(now - ms), tick(now - ms), {Kind: market.KindStatus, Received: now}, tick(now - 9*ms), {Kind: market.KindTrade}})
	a.arrived(now, -time.Second) // a venue whose clock is ahead
	r := a.report(now)
	if r.Taped.N != 3 || r.Taped.P50 < time.Millisecond || r.Taped.P50 > 2*time.Millisecond || r.Taped.P99 < 9*time.Millisecond || r.Received.N != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestInstruments(t *testing.T) {
	a := testAccount(t)
	list := []venue.Instrument{{Symbol: "X:B", Native: "b"}, {Symbol: "X:A"}, {Symbol: "X:B", Native: "second"}}
	r := &Runner{account: a}
	if r.Instruments() != nil {
		t.Error("there are instruments before the venue listed any")
	}
	a.Lists(list)
	list[0].Native = "changed"
	got := r.Instruments()
	if len(got) != 2 || got[0].Symbol != "X:A" {
		t.Errorf("got %+v", got)
	}
	if b, ok := FindInstrument(got, "X:B"); !ok || b.Native != "b" {
		t.Errorf("got %+v, %v", b, ok)
	}
	if _, ok := FindInstrument(got, "X:C"); ok {
		t.Error("found what is not listed")
	}
	a.Lists(make([]venue.Instrument, mostInstruments+1))
	if got := r.Instruments(); len(got) != 1 {
		t.Errorf("got %d", len(got))
	}
}

// A source that says nothing of connections has one while it runs.
func TestAccountOfASilentSource(t *testing.T) {
	a := testAccount(t)
	for _, running := range []bool{true, false, true} {
		a.runs(running)
		if r := a.report(0); (r.Connections == 1) != running {
			t.Errorf("got %d connections while it runs: %v", r.Connections, running)
		}
	}
}

func TestNoAccount(*testing.T) {
	var a *Account
	a.Lines(1)
	a.Reconnected()
	a.Carries(nil)
	a.Clock(1, 2)
	a.Refused("X:A", "unknown")
	a.Lists(nil)
}
