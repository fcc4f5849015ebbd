package candle

import (
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

func calendar(t testing.TB, name string) *market.Calendar {
	t.Helper()
	c, err := market.NewCalendars().Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func interval1(t testing.TB, s string) market.Interval {
	t.Helper()
	v, err := market.ParseInterval(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRollBounds(t *testing.T) {
	for _, tt := range []struct {
		interval, calendar string
		align              Align
		at, start, end     string
	}{
		{"5Min", "24x7", AlignUTC, "2026-11-23T15:03:59Z", "2026-11-23T15:00:00Z", "2026-11-23T15:05:00Z"},
		{"2Hour", "24x7", AlignUTC, "2026-11-23T15:00:00Z", "2026-11-23T14:00:00Z", "2026-11-23T16:00:00Z"},
		{"1Hour", "us-equity", AlignUTC, "2026-11-23T14:30:00Z", "2026-11-23T14:00:00Z", "2026-11-23T15:00:00Z"},
		{"1Hour", "us-equity", AlignSession, "2026-11-23T14:30:00Z", "2026-11-23T14:30:00Z", "2026-11-23T15:30:00Z"},
		{"1Hour", "us-equity", AlignSession, "2026-11-23T20:59:00Z", "2026-11-23T20:30:00Z", "2026-11-23T21:00:00Z"}, // the last half hour
		{"1Hour", "us-equity", AlignSession, "2026-11-23T14:29:00Z", "2026-11-23T14:00:00Z", "2026-11-23T14:30:00Z"}, // before the open
		{"1Hour", "us-equity", AlignSession, "2026-11-27T18:30:00Z", "2026-11-27T18:00:00Z", "2026-11-27T19:00:00Z"}, // a half-day's afternoon
		{"1Hour", "us-equity", AlignSession, "2026-11-24T03:30:00Z", "2026-11-24T03:00:00Z", "2026-11-24T04:00:00Z"}, // closed
		{"1Day", "us-equity", AlignUTC, "2026-11-23T15:00:00Z", "2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z"},
		{"1Day", "us-equity", AlignUTC, "2026-11-01T15:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"}, // 25 hours
		{"1Week", "us-equity", AlignUTC, "2026-11-04T15:00:00Z", "2026-11-02T05:00:00Z", "2026-11-09T05:00:00Z"},
		{"1Week", "us-equity", AlignUTC, "2026-11-01T15:00:00Z", "2026-10-26T04:00:00Z", "2026-11-02T05:00:00Z"}, // Sunday ends the week
		{"1Week", "24x7", AlignUTC, "1969-12-31T15:00:00Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"},
		{"1Month", "us-equity", AlignUTC, "2026-03-31T23:00:00Z", "2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z"},
		{"3Month", "24x7", AlignUTC, "2026-11-23T15:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"12Month", "24x7", AlignUTC, "2024-02-29T15:00:00Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		{"1Day", "fx", AlignUTC, "2026-11-22T22:30:00Z", "2026-11-22T22:00:00Z", "2026-11-23T22:00:00Z"},
		{"1Week", "fx", AlignUTC, "2026-11-22T22:30:00Z", "2026-11-22T22:00:00Z", "2026-11-29T22:00:00Z"},
	} {
		r := Roller{Interval: interval1(t, tt.interval), Calendar: calendar(t, tt.calendar), Align: tt.align}
		start, end, err := r.Bounds(at(t, tt.at))
		if err != nil || start.String() != tt.start || end.String() != tt.end {
			t.Errorf("%s of %s at %s = [%s, %s) %v, want [%s, %s)", tt.interval, tt.calendar, tt.at, start, end, err, tt.start, tt.end)
		}
	}
}

// TestRolledBarsEqualBarsOfTicks makes bars of several intervals of the same trades, directly and rolled up.
func TestRolledBarsEqualBarsOfTicks(t *testing.T) {
	direct := []market.Interval{
		market.Sec1(), market.Min1(), market.Hour1(), market.Day1(),
		interval1(t, "5Sec"), interval1(t, "5Min"), interval1(t, "4Hour"), interval1(t, "10Min"),
	}
	r := rand.New(rand.NewPCG(3, 3))
	entries := randomEntries(t, r, 3000)
	m := machine(t, Options{Intervals: direct, Window: 1000 * 3600 * 1e9})
	f := m.Feed("all")
	push(t, f, entries...)
	clock, _ := f.Clock()
	store := shelf{}
	store.put(t, m.Drain(nil))
	for _, symbol := range []market.Symbol{"COINBASE:BTC-USD", "NYSE:IBM", "ALPACA:AAPL"} {
		for _, v := range direct[4:] {
			src := sorted(store, symbol, Base(v, AlignUTC))
			got, err := Roller{Interval: v, AsOf: clock - m.grace}.Roll(nil, src)
			if err != nil {
				t.Fatal(err)
			}
			want := sorted(store, symbol, v)
			for i := range want {
				want[i].Rev = 0
			}
			for i := range got {
				got[i].Rev = 0
			}
			if d := diff(want, got); d != "" {
				t.Errorf("%s %s (-direct +rolled):\n%s", symbol, v, d)
			}
		}
	}
}

func sorted(s shelf, symbol market.Symbol, v market.Interval) []market.Bar {
	var out []market.Bar
	for k, b := range s {
		if k.symbol == symbol && k.interval == v {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b market.Bar) int { return int(min(max(a.Start-b.Start, -1), 1)) })
	return out
}

func TestRollWeeksAndMonths(t *testing.T) {
	cal := calendar(t, "us-equity")
	var src []market.Bar
	for d := market.NewDate(2026, 10, 1); d < market.NewDate(2026, 12, 1); d++ {
		day := cal.DayOf(d)
		if !day.Trading() {
			continue
		}
		seq := uint64(len(src) + 1)
		price, err := market.NewDecimal(int64(10_000+len(src)), -2)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := day.Regular()
		src = append(src, market.Bar{
			Symbol: "NYSE:IBM", Interval: market.Day1(), Start: day.Start, End: day.End, Open: price, High: price, Low: price, Close: price,
			Volume: market.WideOf(price), Turnover: market.WideOf(price), Count: 1, OpenAt: r.Open, CloseAt: r.Open, OpenSeq: seq, CloseSeq: seq,
			FirstSeq: seq, LastSeq: seq, Final: d < market.NewDate(2026, 11, 30), Priced: true, Rev: uint32(seq % 2), Gappy: d == market.NewDate(2026, 11, 5),
		})
	}
	for interval, want := range map[string][]string{
		"1Month": {
			"NYSE:IBM 1Month 2026-10-01T04:00:00Z o100.00 h100.21 l100.00 c100.21 v2202.31 n22 vw1 rev11 final=true gappy=false priced=true",
			"NYSE:IBM 1Month 2026-11-01T04:00:00Z o100.22 h100.41 l100.22 c100.41 v2006.30 n20 vw1 rev10 final=false gappy=true priced=true",
		},
		"1Week": {
			"NYSE:IBM 1Week 2026-09-28T04:00:00Z o100.00 h100.01 l100.00 c100.01 v200.01 n2 vw1 rev1 final=true gappy=false priced=true",
		},
	} {
		r := Roller{Interval: interval1(t, interval), Calendar: cal, AsOf: at(t, "2026-12-01T04:59:59Z")}
		bars, err := r.Roll(nil, src)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range bars[:len(want)] {
			got = append(got, line(b))
		}
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", interval, d)
		}
	}
}

func TestRollRefused(t *testing.T) {
	m := machine(t, Options{Intervals: []market.Interval{market.Min1(), market.Hour1()}})
	push(t, m.Feed("x"), trade(t, "NYSE:IBM", 1, "14:40:00", "1", "1", ""), trade(t, "NYSE:IBM", 2, "14:41:00", "1", "1", ""))
	var minutes, hours []market.Bar
	for _, c := range m.Drain(nil) {
		if c.Bar.Interval == market.Hour1() {
			hours = append(hours, c.Bar)
		} else {
			minutes = append(minutes, c.Bar)
		}
	}
	other := minutes[1]
	other.Symbol = "NYSE:GE"
	us := calendar(t, "us-equity")
	for name, tt := range map[string]struct {
		r   Roller
		src []market.Bar
	}{
		"backwards":          {Roller{Interval: interval1(t, "5Min")}, []market.Bar{minutes[1], minutes[0]}},
		"twice the same":     {Roller{Interval: interval1(t, "5Min")}, []market.Bar{minutes[0], minutes[0]}},
		"two symbols":        {Roller{Interval: interval1(t, "5Min")}, []market.Bar{minutes[0], other}},
		"two intervals":      {Roller{Interval: interval1(t, "5Min")}, []market.Bar{minutes[0], hours[0]}},
		"no calendar":        {Roller{Interval: interval1(t, "1Day")}, minutes},
		"an hour over 14:30": {Roller{Interval: market.Hour1(), Align: AlignSession, Calendar: us}, hours},
		"longer to shorter":  {Roller{Interval: interval1(t, "5Min")}, hours},
		"no interval":        {Roller{Calendar: us}, minutes},
		"no unit":            {Roller{Interval: market.Interval{N: 1}, Calendar: us}, minutes},
		"two days":           {Roller{Interval: market.Interval{N: 2, Unit: market.UnitDay}, Calendar: us}, minutes},
	} {
		dst := []market.Bar{{Symbol: "KEEP"}}
		got, err := tt.r.Roll(dst, tt.src)
		if err == nil || len(got) != 1 {
			t.Errorf("%s: %d bars, %v, want an error and dst as it was", name, len(got)-1, err)
		}
	}
}
