package candle

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

func dec(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func at(t testing.TB, s string) market.Time {
	t.Helper()
	v, err := market.ParseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// trade makes an entry of a time of 2026-11-23 (a Monday), and of a price, a size and conditions.
func trade(t testing.TB, symbol market.Symbol, seq uint64, clock, price, size, conditions string) market.Entry {
	t.Helper()
	e := at(t, "2026-11-23T"+clock+"Z")
	return market.Entry{
		Kind: market.KindTrade, Symbol: symbol, Seq: seq, Event: e, Received: e, Price: dec(t, price), Size: dec(t, size),
		Conditions: conditions,
	}
}

func machine(t testing.TB, o Options) *Machine {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func push(t testing.TB, f *Feed, entries ...market.Entry) {
	t.Helper()
	for i := range entries {
		if err := f.Push(&entries[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// key names a bar.
type key struct {
	symbol   market.Symbol
	interval market.Interval
	start    market.Time
}

// shelf is a store of bars, as the recorder keeps it.
type shelf map[key]market.Bar

func (s shelf) put(t testing.TB, changes []Change) {
	t.Helper()
	for _, c := range changes {
		k := key{c.Bar.Symbol, c.Bar.Interval, c.Bar.Start}
		if c.Delta {
			b, err := Merge(s[k], c.Bar)
			if err != nil {
				t.Fatal(err)
			}
			s[k] = b
			continue
		}
		s[k] = c.Bar
	}
}

// diff compares bars, with all that is unexported in their numbers.
func diff(want, got any) string {
	return gocmp.Diff(want, got, gocmp.Comparer(func(a, b market.Wide) bool { return a == b }),
		gocmp.Comparer(func(a, b market.Decimal) bool { return a == b }))
}

// line formats a bar for comparison by eye.
func line(b market.Bar) string {
	return fmt.Sprintf("%s %s %s o%s h%s l%s c%s v%s n%d vw%s rev%d final=%v gappy=%v priced=%v",
		b.Symbol, b.Interval, b.Start, b.Open, b.High, b.Low, b.Close, b.Volume, b.Count, b.VWAP(), b.Rev, b.Final, b.Gappy, b.Priced)
}

func lines(changes []Change, v market.Interval) []string {
	var out []string
	for _, c := range changes {
		if c.Bar.Interval != v {
			continue
		}
		s := line(c.Bar)
		if c.Closed {
			s += " closed"
		}
		if c.Revised {
			s += " revised"
		}
		if c.Delta {
			s += " delta"
		}
		out = append(out, s)
	}
	return out
}

func TestBarsOfAMinute(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("sim")
	push(t, f,
		trade(t, "SIM:AAPL", 1, "15:00:00", "187.40", "100", ""),
		trade(t, "SIM:AAPL", 2, "15:00:20.5", "187.50", "50", ""),
		trade(t, "SIM:AAPL", 3, "15:00:59.999999999", "187.30", "25", ""),
		trade(t, "SIM:AAPL", 4, "15:01:00", "187.45", "10", ""),
	)
	if d := gocmp.Diff([]string{
		"SIM:AAPL 1Min 2026-11-23T15:00:00Z o187.40 h187.50 l187.30 c187.30 v175 n3 vw187.414286 rev0 final=false gappy=false priced=true",
		"SIM:AAPL 1Min 2026-11-23T15:01:00Z o187.45 h187.45 l187.45 c187.45 v10 n1 vw187.45 rev0 final=false gappy=false priced=true",
	}, lines(m.Drain(nil), market.Min1())); d != "" {
		t.Errorf("before the grace is over (-want +got):\n%s", d)
	}
	// A quote moves the clock over the grace.
	push(t, f, market.Entry{Kind: market.KindQuote, Symbol: "SIM:AAPL", Seq: 1, Event: at(t, "2026-11-23T15:01:01Z")})
	if d := gocmp.Diff([]string{
		"SIM:AAPL 1Min 2026-11-23T15:00:00Z o187.40 h187.50 l187.30 c187.30 v175 n3 vw187.414286 rev0 final=true gappy=false priced=true closed",
	}, lines(m.Drain(nil), market.Min1())); d != "" {
		t.Errorf("when it closes (-want +got):\n%s", d)
	}
	// A late trade revises it, another one in the next batch once more.
	push(t, f, trade(t, "SIM:AAPL", 5, "15:00:59.9999999999", "187.10", "5", ""))
	if d := gocmp.Diff([]string{
		"SIM:AAPL 1Min 2026-11-23T15:00:00Z o187.40 h187.50 l187.10 c187.10 v180 n4 vw187.405556 rev1 final=true gappy=false priced=true revised",
	}, lines(m.Drain(nil), market.Min1())); d != "" {
		t.Errorf("when it is revised (-want +got):\n%s", d)
	}
	push(t, f, trade(t, "SIM:AAPL", 6, "15:00:30", "187.60", "5", ""))
	if d := gocmp.Diff([]string{
		"SIM:AAPL 1Min 2026-11-23T15:00:00Z o187.40 h187.60 l187.10 c187.10 v185 n5 vw187.410811 rev2 final=true gappy=false priced=true revised",
	}, lines(m.Drain(nil), market.Min1())); d != "" {
		t.Errorf("when it is revised again (-want +got):\n%s", d)
	}
	if got := m.Drain(nil); len(got) != 0 {
		t.Errorf("nothing changed, got %v", got)
	}
	b, ok := m.Latest("SIM:AAPL", market.Min1())
	if !ok || b.Start != at(t, "2026-11-23T15:01:00Z") {
		t.Errorf("Latest = %s, %v", line(b), ok)
	}
}

func TestQuietMarketClosesByHeartbeat(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("sim")
	push(t, f, trade(t, "SIM:AAPL", 1, "15:00:30", "187.40", "100", ""))
	m.Drain(nil)
	// Another feed's clock is not ours.
	push(t, m.Feed("other"), market.Entry{Kind: market.KindHeartbeat, Event: at(t, "2026-11-23T16:00:00Z")})
	if got := lines(m.Drain(nil), market.Min1()); len(got) != 0 {
		t.Errorf("another feed closed the bar: %v", got)
	}
	push(t, f, market.Entry{Kind: market.KindHeartbeat, Event: at(t, "2026-11-23T15:01:00.999999999Z")})
	if got := lines(m.Drain(nil), market.Min1()); len(got) != 0 {
		t.Errorf("closed within the grace: %v", got)
	}
	push(t, f, market.Entry{Kind: market.KindHeartbeat, Event: at(t, "2026-11-23T15:01:01Z")})
	if got := lines(m.Drain(nil), market.Min1()); len(got) != 1 {
		t.Errorf("not closed by the heartbeat: %v", got)
	}
	// Hours of silence make no bars.
	push(t, f, market.Entry{Kind: market.KindHeartbeat, Event: at(t, "2026-11-23T19:00:00Z")})
	if got := m.Drain(nil); len(got) != 1 || got[0].Bar.Interval != market.Hour1() || !got[0].Closed {
		t.Errorf("after hours of silence got %v, want the hour to close and nothing else", got)
	}
}

func TestLateTradeForABarThatIsGone(t *testing.T) {
	m := machine(t, Options{Intervals: []market.Interval{market.Min1()}})
	f := m.Feed("sim")
	store := shelf{}
	push(t, f,
		trade(t, "SIM:AAPL", 1, "15:00:30", "187.40", "100", ""),
		trade(t, "SIM:AAPL", 2, "15:10:00", "187.50", "100", ""),
	)
	store.put(t, m.Drain(nil))
	push(t, f,
		trade(t, "SIM:AAPL", 3, "15:00:10", "187.00", "1", ""),
		trade(t, "SIM:AAPL", 4, "15:00:50", "187.10", "1", ""),
		trade(t, "SIM:AAPL", 5, "15:05:00", "186.00", "1", ""), // a bar that never was
	)
	changes := m.Drain(nil)
	if d := gocmp.Diff([]string{
		"SIM:AAPL 1Min 2026-11-23T15:00:00Z o187.00 h187.10 l187.00 c187.10 v2 n2 vw187.05 rev2 final=true gappy=false priced=true revised delta",
		"SIM:AAPL 1Min 2026-11-23T15:05:00Z o186.00 h186.00 l186.00 c186.00 v1 n1 vw186 rev0 final=true gappy=false priced=true closed",
	}, lines(changes, market.Min1())); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	store.put(t, changes)
	got := line(store[key{"SIM:AAPL", market.Min1(), at(t, "2026-11-23T15:00:00Z")}])
	want := "SIM:AAPL 1Min 2026-11-23T15:00:00Z o187.00 h187.40 l187.00 c187.10 v102 n3 vw187.393137 rev2 final=true gappy=false priced=true"
	if got != want {
		t.Errorf("merged:\n got %s\nwant %s", got, want)
	}
	if len(store) != 3 {
		t.Errorf("%d bars, want 3", len(store))
	}
}

func TestMergeRefused(t *testing.T) {
	m := machine(t, Options{Intervals: []market.Interval{market.Min1()}})
	push(t, m.Feed("sim"), trade(t, "SIM:AAPL", 1, "15:00:30", "187.40", "100", ""), trade(t, "SIM:AAPL", 2, "15:01:30", "187.40", "100", ""))
	c := m.Drain(nil)
	if b, err := Merge(c[0].Bar, c[1].Bar); err == nil {
		t.Errorf("bars of two minutes merged to %s", line(b))
	}
}

func TestDailyBarsOfStocks(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("nyse")
	push(t, f,
		trade(t, "NYSE:IBM", 1, "12:00:00", "99", "10", "@,T"),           // 07:00 in New York
		trade(t, "NYSE:IBM", 2, "14:29:59.999999999", "98", "10", "@"),   // a nanosecond before the bell
		trade(t, "NYSE:IBM", 3, "14:30:00", "100", "10", "O"),            // the opening print
		trade(t, "NYSE:IBM", 4, "15:00:00", "101", "10", "@,I"),          // an odd lot
		trade(t, "NYSE:IBM", 5, "16:00:00", "100.50", "10", "@"),         //
		trade(t, "NYSE:IBM", 6, "20:59:59.999999999", "100.25", "1", ""), // the last nanosecond
		trade(t, "NYSE:IBM", 7, "21:00:00", "120", "10", "@,T"),          // after the bell
		trade(t, "NYSE:IBM", 8, "21:00:05", "100.75", "500", "6"),        // the closing auction, after the bell
		trade(t, "NYSE:IBM", 9, "21:10:00", "100.75", "500", "M"),        // a notice
	)
	changes := m.Drain(nil)
	if d := gocmp.Diff([]string{
		"NYSE:IBM 1Day 2026-11-23T05:00:00Z o100 h100.75 l100 c100.75 v531 n5 vw100.734934 rev0 final=false gappy=false priced=true",
	}, lines(changes, market.Day1())); d != "" {
		t.Errorf("days (-want +got):\n%s", d)
	}
	if d := gocmp.Diff([]string{
		"NYSE:IBM 1Hour 2026-11-23T12:00:00Z o99 h99 l99 c99 v10 n1 vw99 rev0 final=true gappy=false priced=true closed",
		"NYSE:IBM 1Hour 2026-11-23T14:00:00Z o98 h100 l98 c100 v20 n2 vw99 rev0 final=true gappy=false priced=true closed",
		"NYSE:IBM 1Hour 2026-11-23T15:00:00Z o0 h0 l0 c0 v10 n1 vw101 rev0 final=true gappy=false priced=false closed",
		"NYSE:IBM 1Hour 2026-11-23T16:00:00Z o100.50 h100.50 l100.50 c100.50 v10 n1 vw100.5 rev0 final=true gappy=false priced=true closed",
		"NYSE:IBM 1Hour 2026-11-23T20:00:00Z o100.25 h100.25 l100.25 c100.25 v1 n1 vw100.25 rev0 final=true gappy=false priced=true closed",
		"NYSE:IBM 1Hour 2026-11-23T21:00:00Z o120 h120 l100.75 c100.75 v510 n2 vw101.127451 rev0 final=false gappy=false priced=true",
	}, lines(changes, market.Hour1())); d != "" {
		t.Errorf("hours (-want +got):\n%s", d)
	}
	// The day closes at midnight in New York, and is 25 hours long where clocks go back.
	push(t, f, market.Entry{Kind: market.KindHeartbeat, Event: at(t, "2026-11-24T05:00:01Z")})
	if got := lines(m.Drain(nil), market.Day1()); len(got) != 1 {
		t.Errorf("the day did not close: %v", got)
	}
}

func TestDayOf25Hours(t *testing.T) {
	set, err := market.NewCalendars().With("test", []byte("calendar x\nvenues X\nzone America/New_York\ntable\nsession regular all 00:00-24:00\n"))
	if err != nil {
		t.Fatal(err)
	}
	m := machine(t, Options{Intervals: []market.Interval{market.Day1()}, Calendars: set})
	f := m.Feed("x")
	for i, clock := range []string{"2026-11-01T04:00:00Z", "2026-11-02T04:59:59.9Z", "2026-11-02T05:00:00Z"} {
		push(t, f, market.Entry{Kind: market.KindTrade, Symbol: "X:Y", Seq: uint64(i + 1), Event: at(t, clock), Price: dec(t, "1"), Size: dec(t, "1")})
	}
	changes := m.Drain(nil)
	if len(changes) != 2 || changes[0].Bar.Count != 2 || changes[0].Bar.End-changes[0].Bar.Start != 25*market.Hour {
		t.Errorf("got %v", lines(changes, market.Day1()))
	}
}

func TestLastOnlyIfFirst(t *testing.T) {
	sip, err := market.RuleSet("sip")
	if err != nil {
		t.Fatal(err)
	}
	trades := []market.Entry{
		trade(t, "X:IBM", 1, "15:00:01", "100", "1", "Z"),
		trade(t, "X:IBM", 2, "15:00:02", "102", "1", "4"),
		trade(t, "X:IBM", 3, "15:00:03", "101", "1", "@"),
		trade(t, "X:IBM", 4, "15:00:04", "99", "1", "P"),
	}
	for _, tt := range []struct {
		order []int
		want  string
	}{
		{[]int{0}, "o100 h100 l100 c100"},
		{[]int{0, 1}, "o100 h102 l100 c100"},
		{[]int{1, 0}, "o100 h102 l100 c100"},
		{[]int{0, 1, 2}, "o100 h102 l100 c101"},
		{[]int{0, 1, 2, 3}, "o100 h102 l99 c101"},
		{[]int{3, 2, 1, 0}, "o100 h102 l99 c101"},
		{[]int{3, 2}, "o101 h101 l99 c101"},
		{[]int{3, 1}, "o102 h102 l99 c102"},
	} {
		m := machine(t, Options{Intervals: []market.Interval{market.Min1()}, Rules: func(string) *market.Rules { return sip }})
		for _, i := range tt.order {
			push(t, m.Feed("x"), trades[i])
		}
		b := m.Drain(nil)[0].Bar
		if got := fmt.Sprintf("o%s h%s l%s c%s", b.Open, b.High, b.Low, b.Close); got != tt.want {
			t.Errorf("order %v: got %s, want %s", tt.order, got, tt.want)
		}
	}
}

func TestGaps(t *testing.T) {
	m := machine(t, Options{Intervals: []market.Interval{market.Min1(), market.Hour1()}})
	f := m.Feed("sim")
	gap := func(symbol market.Symbol, from, to string, flags market.Flags) market.Entry {
		return market.Entry{
			Kind: market.KindGap, Symbol: symbol, Event: at(t, "2026-11-23T"+from+"Z"), Until: at(t, "2026-11-23T"+to+"Z"), Flags: flags,
		}
	}
	gappy := func(changes []Change) (out []string) {
		for _, c := range changes {
			out = append(out, fmt.Sprintf("%s %s %s %v rev%d", c.Bar.Symbol, c.Bar.Interval, c.Bar.Start.String()[11:16], c.Bar.Gappy, c.Bar.Rev))
		}
		return out
	}
	push(t, f, trade(t, "SIM:A", 1, "15:00:30", "1", "1", ""), trade(t, "SIM:B", 1, "15:00:30", "1", "1", ""))
	m.Drain(nil)
	push(t, f, gap("SIM:A", "15:00:40", "15:01:10", 0))
	if d := gocmp.Diff([]string{"SIM:A 1Min 15:00 true rev0", "SIM:A 1Hour 15:00 true rev0"}, gappy(m.Drain(nil))); d != "" {
		t.Errorf("the bars of one symbol (-want +got):\n%s", d)
	}
	// A bar that begins after the gap was noted, but overlaps it; one that touches its end does not.
	push(t, f, trade(t, "SIM:A", 2, "15:01:30", "1", "1", ""), trade(t, "SIM:A", 3, "15:02:00", "1", "1", ""))
	if d := gocmp.Diff([]string{"SIM:A 1Min 15:01 true rev0", "SIM:A 1Hour 15:00 true rev0", "SIM:A 1Min 15:02 false rev0", "SIM:A 1Min 15:00 true rev0", "SIM:B 1Min 15:00 false rev0"},
		gappy(m.Drain(nil)), gocmp.Transformer("sort", func(s []string) []string { return slices.Sorted(slices.Values(s)) })); d != "" {
		t.Errorf("later bars (-want +got):\n%s", d)
	}
	// A gap of the whole feed, and one of them filled.
	push(t, f, gap("", "15:02:10", "15:02:20", 0))
	if got := gappy(m.Drain(nil)); !slices.Equal(got, []string{"SIM:A 1Min 15:02 true rev0", "SIM:B 1Hour 15:00 true rev0"}) {
		t.Errorf("a gap of the feed: %v", got)
	}
	push(t, f, gap("SIM:A", "15:00:40", "15:01:10", market.FlagFilled))
	if got := gappy(m.Drain(nil)); !slices.Equal(got, []string{"SIM:A 1Min 15:01 false rev0"}) {
		t.Errorf("a filled gap: %v, want the minute whole, and the hour still gappy for the other gap", got)
	}
}

func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var s spans
	var naive [200]bool
	for range 5000 {
		from := market.Time(r.IntN(190))
		to := from + 1 + market.Time(r.IntN(9))
		fill := r.IntN(2) == 0
		if fill {
			s = s.subtract(from, to)
		} else {
			s = s.add(from, to)
		}
		for i := from; i < to; i++ {
			naive[i] = !fill
		}
		a := market.Time(r.IntN(190))
		b := a + 1 + market.Time(r.IntN(9))
		if got, want := s.overlap(a, b), slices.Contains(naive[a:b], true); got != want {
			t.Fatalf("overlap(%d, %d) = %v, want %v: %v", a, b, got, want, s)
		}
	}
	// The bound errs on the side of a gap.
	s = nil
	for i := range market.Time(1000) {
		s = s.add(10*i, 10*i+1)
		if len(s) > maxSpans || !s.overlap(0, 1) || !s.overlap(10*i, 10*i+1) {
			t.Fatalf("after %d gaps: %v", i, s)
		}
	}
}

func TestTradesRefused(t *testing.T) {
	good := trade(t, "SIM:A", 1, "15:00:30", "1.5", "1", "")
	m := machine(t, Options{})
	f := m.Feed("sim")
	push(t, f, good)
	want := m.Drain(nil)
	for name, spoil := range map[string]func(e *market.Entry){
		"no time":           func(e *market.Entry) { e.Event, e.Received = 0, 0 },
		"no number":         func(e *market.Entry) { e.Seq = 0 },
		"size below zero":   func(e *market.Entry) { e.Size = e.Size.Neg() },
		"the year 2290":     func(e *market.Entry) { e.Event, e.Received = 1<<63-1, 0 },
		"tomorrow":          func(e *market.Entry) { e.Event += 24 * market.Hour },
		"turnover too fine": func(e *market.Entry) { e.Price, e.Size = dec(t, "1e-40"), dec(t, "1e-40") },
		"volume too large":  func(e *market.Entry) { e.Price, e.Size = dec(t, "1e-18"), dec(t, "9e38") },
	} {
		e := good
		e.Seq++
		spoil(&e)
		err := f.Push(&e)
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
		if got := m.Drain(nil); len(got) != 0 {
			t.Errorf("%s (%v) changed %v", name, err, lines(got, market.Sec1()))
		}
	}
	if clock, ok := f.Clock(); !ok || clock != good.Event {
		t.Errorf("the clock is %s", clock)
	}
	for i, v := range m.intervals {
		if b, ok := m.Latest("SIM:A", v.Interval); !ok || diff(want[i].Bar, b) != "" {
			t.Errorf("%s changed: %s", v, diff(want[i].Bar, b))
		}
	}
}

// TestOverflowNamesTheBar fills a bar until its volume does not fit any more.
func TestOverflowNamesTheBar(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("sim")
	e := trade(t, "SIM:A", 0, "15:00:30", "9e18", "9e18", "")
	for i := range 1000 {
		e.Seq = uint64(i + 1)
		before, _ := m.Latest("SIM:A", market.Day1())
		err := f.Push(&e)
		if err == nil {
			continue
		}
		if !errors.Is(err, market.ErrRange) {
			t.Errorf("error %q is not ErrRange", err)
		}
		for _, want := range []string{"turnover", "1Sec", "SIM:A", "2026-11-23T15:00:30Z"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		}
		if after, _ := m.Latest("SIM:A", market.Day1()); diff(before, after) != "" {
			t.Errorf("an error changed the day:\n%s", diff(before, after))
		}
		return
	}
	t.Error("no overflow")
}

func TestOptionsRefused(t *testing.T) {
	for _, v := range [][]market.Interval{
		{{N: 1, Unit: market.UnitWeek}},
		{{N: 0, Unit: market.UnitMinute}},
		{{N: 2, Unit: market.UnitDay}},
		{market.Min1(), market.Min1()},
		make([]market.Interval, maxIntervals+1),
	} {
		if _, err := New(Options{Intervals: v}); err == nil {
			t.Errorf("intervals %v are accepted", v)
		}
	}
}

// TestMemoryIsBounded lets time pass and checks that bars leave, with heartbeats only as well.
func TestMemoryIsBounded(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("sim")
	e := trade(t, "SIM:A", 0, "15:00:00", "1", "1", "")
	var changes []Change
	for i := range 100_000 {
		e.Seq++
		e.Event += market.Second / 2
		e.Received = e.Event
		push(t, f, e)
		if i%100 == 0 {
			changes = m.Drain(changes[:0])
		}
		// 31 s of seconds and what has not been drained, two minutes, two hours, two days.
		if n := len(f.queue); n > 31+52+8 {
			t.Fatalf("%d bars in memory after %d trades", n, i)
		}
	}
	push(t, f, market.Entry{Kind: market.KindHeartbeat, Event: e.Event + 48*market.Hour})
	m.Drain(changes[:0])
	if n := len(f.queue) + len(m.deltas) + len(m.dirty); n != 0 {
		t.Errorf("%d bars in memory after two days of silence", n)
	}
	for i, s := range m.symbols["SIM:A"].series {
		if len(s.bars) != 0 {
			t.Errorf("%d bars of %s in memory", len(s.bars), m.intervals[i])
		}
	}
}

// naive makes the bars of trades in the plainest way: sort, then go through them.
func naive(t testing.TB, entries []market.Entry, m *Machine) shelf {
	t.Helper()
	type print struct {
		market.Entry
		effect market.Effect
	}
	groups := map[key][]print{}
	spans := map[key][2]market.Time{}
	revs := map[key]uint32{}
	clock := minTime
	for i := range entries {
		e := entries[i]
		if e.Kind == market.KindTrade {
			v := m.venue(e.Symbol.Venue())
			cal := v.days.Calendar()
			effects := v.rules.Effects(e.Conditions)
			s, _ := cal.SessionAt(e.Event)
			day := cal.Day(e.Event)
			for _, iv := range m.intervals {
				effect := effects.Extended
				start, end := e.Event.Floor(max(iv.length, 1)), e.Event.Floor(max(iv.length, 1))+iv.length
				switch {
				case iv.length == 0:
					start, end = day.Start, day.End
					effect = effects.Day
					regular, ok := day.Regular()
					if s.Kind != market.SessionRegular && !(effects.Closing && ok && e.Event >= regular.Close) {
						effect = 0
					}
				case s.Kind == market.SessionRegular:
					effect = effects.Intraday
				}
				if effect == 0 {
					continue
				}
				k := key{e.Symbol, iv.Interval, start}
				if clock-m.grace >= end && len(groups[k]) > 0 {
					revs[k]++
				}
				groups[k] = append(groups[k], print{e, effect})
				spans[k] = [2]market.Time{start, end}
			}
		}
		clock = max(clock, e.Event)
	}
	out := shelf{}
	for k, prints := range groups {
		slices.SortFunc(prints, func(a, b print) int { return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Seq, b.Seq)) })
		b := market.Bar{Symbol: k.symbol, Interval: k.interval, Start: k.start, End: spans[k][1], Rev: revs[k], Final: clock-m.grace >= spans[k][1]}
		first := true
		for _, p := range prints {
			b.FirstSeq = min(cmp.Or(b.FirstSeq, p.Seq), p.Seq)
			b.LastSeq = max(b.LastSeq, p.Seq)
			if p.effect.Has(market.EffectVolume) {
				pv, err := market.Product(p.Price, p.Size)
				if err != nil {
					t.Fatal(err)
				}
				size := market.WideOf(p.Size)
				if b.Count > 0 {
					if size, err = b.Volume.Add(size); err != nil {
						t.Fatal(err)
					}
					if pv, err = b.Turnover.Add(pv); err != nil {
						t.Fatal(err)
					}
				}
				b.Volume, b.Turnover = size, pv
				b.Count++
			}
			if !p.effect.Has(market.EffectHighLow) {
				continue
			}
			if first {
				b.Priced = true
				b.Open, b.OpenAt, b.OpenSeq = p.Price, p.Event, p.Seq
				b.High, b.Low, b.Close = p.Price, p.Price, p.Price
			}
			if c := p.Price.Cmp(b.High); c > 0 || c == 0 && p.Price.Exp() < b.High.Exp() {
				b.High = p.Price
			}
			if c := p.Price.Cmp(b.Low); c < 0 || c == 0 && p.Price.Exp() < b.Low.Exp() {
				b.Low = p.Price
			}
			if p.effect.Has(market.EffectLast) {
				b.Close, b.CloseAt, b.CloseSeq = p.Price, p.Event, p.Seq
			}
			first = false
		}
		out[k] = b
	}
	return out
}

// market of random trades: late, equal and out of order, of three symbols with different calendars and rules.
func randomEntries(t testing.TB, r *rand.Rand, n int) []market.Entry {
	t.Helper()
	symbols := []market.Symbol{"COINBASE:BTC-USD", "NYSE:IBM", "ALPACA:AAPL"}
	conditions := []string{"", "", "@", "@,F", "@,I", "@,T", "Z", "4", "P,I", "6", "Q", "9", "U"}
	seq := map[market.Symbol]uint64{}
	clock := at(t, "2026-11-20T08:00:00Z") // a Friday, to cross a weekend
	entries := make([]market.Entry, 0, n)
	for range n {
		switch r.IntN(40) {
		case 0:
			clock += market.Time(r.Int64N(int64(6 * market.Hour)))
		case 1, 2, 3:
			clock += market.Time(r.Int64N(int64(market.Minute)))
		default:
			clock += market.Time(r.Int64N(int64(market.Second)))
		}
		e := market.Entry{Kind: market.KindTrade, Symbol: symbols[r.IntN(3)], Event: clock, Received: clock + market.Time(r.Int64N(1e8))}
		switch r.IntN(20) {
		case 0:
			e.Event -= market.Time(r.Int64N(int64(market.Second)))
		case 1:
			e.Event -= market.Time(r.Int64N(int64(2 * market.Minute)))
		case 2:
			e.Event -= market.Time(r.Int64N(int64(30 * market.Hour)))
		case 3:
			e.Event = e.Event.Floor(market.Minute)
		case 4:
			if len(entries) > 0 {
				e.Event = entries[len(entries)-1].Event
			}
		case 5:
			e.Kind = market.KindQuote
		case 6:
			e.Kind, e.Symbol = market.KindHeartbeat, ""
		}
		if e.Kind == market.KindTrade {
			seq[e.Symbol]++
			e.Seq = seq[e.Symbol]
			e.Conditions = conditions[r.IntN(len(conditions))]
			e.Price = dec(t, []string{"100", "100.0", "100.00", "99.5", "101.25", "-1", "0", "99.999999"}[r.IntN(8)])
			e.Size = dec(t, []string{"0", "1", "0.00000001", "250", "3.5"}[r.IntN(5)])
		}
		entries = append(entries, e)
	}
	return entries
}

func TestAgainstNaive(t *testing.T) {
	o := Options{Calendars: market.NewCalendars()}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		entries := randomEntries(t, r, 2000)
		m := machine(t, o)
		want := naive(t, entries, m)
		store := shelf{}
		f := m.Feed("all")
		clock := minTime
		for i := range entries {
			push(t, f, entries[i])
			clock = max(clock, entries[i].Event)
			if r.IntN(50) == 0 {
				store.put(t, m.Drain(nil))
			}
			if r.IntN(400) == 0 { // a restart
				store.put(t, m.Drain(nil))
				m = restart(t, o, store, clock)
				f = m.Feed("all")
			}
		}
		store.put(t, m.Drain(nil))
		if d := diff(want, store); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
		for _, b := range store {
			checkShape(t, b)
		}
	}
}

// restart makes a machine that goes on where the one before stopped.
func restart(t testing.TB, o Options, store shelf, clock market.Time) *Machine {
	t.Helper()
	m := machine(t, o)
	f := m.Feed("all")
	newest := map[key]market.Bar{}
	for k, b := range store {
		k.start = 0
		if b.Start >= newest[k].Start {
			newest[k] = b
		}
	}
	for _, b := range newest {
		if err := f.Load(b); err != nil {
			t.Fatal(err)
		}
	}
	for k, b := range store {
		k.start = 0
		if !b.Final && newest[k].Start != b.Start {
			if err := f.Load(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.Advance(clock)
	return m
}

func checkShape(t testing.TB, b market.Bar) {
	t.Helper()
	if !b.Priced {
		return
	}
	if b.Open.Less(b.Low) || b.Close.Less(b.Low) || b.High.Less(b.Open) || b.High.Less(b.Close) {
		t.Errorf("open or close outside low to high: %s", line(b))
	}
	if b.OpenAt < b.Start || b.OpenAt >= b.End || b.CloseSeq != 0 && (b.CloseAt < b.Start || b.CloseAt >= b.End) {
		t.Errorf("a trade from outside: %s", line(b))
	}
}

// TestOverflowOfOneBarChangesNone overflows the day by seconds that have room.
func TestOverflowOfOneBarChangesNone(t *testing.T) {
	m := machine(t, Options{})
	f := m.Feed("sim")
	e := trade(t, "SIM:A", 0, "15:00:30", "9e18", "9e18", "")
	for i := range 1000 {
		e.Seq = uint64(i + 1)
		e.Event += market.Second / 2 // two trades in each second
		e.Received = e.Event
		was := map[market.Interval]market.Bar{}
		for _, v := range m.intervals {
			was[v.Interval], _ = m.Latest("SIM:A", v.Interval)
		}
		m.Drain(nil)
		err := f.Push(&e)
		if err == nil {
			continue
		}
		if !errors.Is(err, market.ErrRange) || strings.Contains(err.Error(), "1Sec") {
			t.Errorf("got %v, want an overflow of a longer bar", err)
		}
		if i%2 == 1 {
			t.Fatal("the test wants a second that has a trade already")
		}
		for v, want := range was {
			if got, _ := m.Latest("SIM:A", v); diff(want, got) != "" {
				t.Errorf("%s changed:\n%s", v, diff(want, got))
			}
		}
		if got := m.Drain(nil); len(got) != 0 {
			t.Errorf("changes: %v", got)
		}
		return
	}
	t.Error("no overflow")
}
