package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

func TestParseResolution(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1Min", "5": "5Min", "59": "59Min", "60": "1Hour", "240": "4Hour", "1380": "23Hour", "1S": "1Sec", "s": "1Sec", "30s": "30Sec",
		"D": "1Day", "1D": "1Day", "1d": "1Day", "W": "1Week", "1w": "1Week", "M": "1Month", "1M": "1Month", "3M": "3Month", "12M": "12Month",
	} {
		if v, err := parseResolution(text); err != nil || v.String() != want {
			t.Errorf("%s: got %s, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "+5", "1.5", "61", "1440", "60S", "2D", "2W", "13M", "1m", "m", "1T", "1H", "DD", "1 ", "99999999999"} {
		v, err := parseResolution(text)
		if _, ok := errors.AsType[*problem](err); !ok {
			t.Errorf("%q: got %s, %v", text, v, err)
		}
	}
}

// frames are the resolutions that are compared, and Alpaca's names of them.
func frames() map[string]string {
	return map[string]string{
		"30S": "30Sec", "1": "1Min", "15": "15Min", "60": "1Hour", "240": "4Hour", "1D": "1Day", "1W": "1Week", "1M": "1Month", "3M": "3Month", "12M": "12Month",
	}
}

// TestUDFScrollsBack pages as the charting library does: by countback, each page ending where the last began, until there is no more.
// What it puts together must be what /v2/stocks/bars says, without a hole and without a double.
func TestUDFScrollsBack(t *testing.T) {
	b := serveUDF(t, yearOfTrades(t), nil)
	for _, symbol := range []string{"ALPACA:AAPL", "FX:EUR-USD", "COINBASE:BTC-USD"} {
		for resolution, frame := range frames() {
			want := b.alpacaBars(symbol, frame)
			size := max(1, len(want)/7)
			var got []udfBar
			to := utc(t, "2027-06-01")
			for range 20 {
				page, a := b.bars(symbol, resolution, to-1, to, size) // from is outranked
				if page == nil {
					if a.NextTime != nil {
						t.Errorf("%s %s: goes on at %d behind the first bar", symbol, resolution, *a.NextTime)
					}
					break
				}
				got = append(page, got...)
				to = page[0].Time
			}
			compareBars(t, symbol+" "+resolution, got, want)
		}
	}
}

// TestUDFJumpsGaps pages by from and to, as clients do that know no countback: where nothing is, nextTime says where to look.
func TestUDFJumpsGaps(t *testing.T) {
	b := serveUDF(t, yearOfTrades(t), nil)
	for _, symbol := range []string{"ALPACA:AAPL", "FX:EUR-USD", "COINBASE:BTC-USD"} {
		for resolution, frame := range frames() {
			length := int64(3 * 86_400)
			if strings.Contains("1W 1M 3M 12M", resolution) {
				length = 70 * 86_400
			}
			want := b.alpacaBars(symbol, frame)
			for i := range want {
				want[i].Time = 0 // that of days is compared by countback
			}
			var got []udfBar
			to := utc(t, "2027-06-01")
			for {
				page, a := b.bars(symbol, resolution, to-length, to, 0)
				got = append(page, got...)
				if page != nil {
					to = page[0].Time
					continue
				}
				if a.NextTime == nil {
					break
				}
				if *a.NextTime >= to-length {
					t.Fatalf("%s %s: from %d goes on at %d", symbol, resolution, to-length, *a.NextTime)
				}
				to = *a.NextTime + 1
			}
			for i := range got {
				got[i].Time = 0
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s: %s", symbol, resolution, diff)
			}
		}
	}
}

func compareBars(t *testing.T, name string, got, want []udfBar) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	if len(want) == 0 {
		t.Fatalf("%s: nothing to compare with", name)
	}
	for i := range got {
		if i > 0 && got[i].Time <= got[i-1].Time {
			t.Fatalf("%s: %d follows %d", name, got[i].Time, got[i-1].Time)
		}
	}
	if resolution := name[len(name)-1]; resolution >= '0' && resolution <= '9' || resolution == 'S' {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		return
	}
	for i := range want {
		want[i].Time = 0
	}
	for i := range got {
		if got[i].Time%86_400 != 0 {
			t.Errorf("%s: a bar is at %d, which is not midnight UTC", name, got[i].Time)
		}
		got[i].Time = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// TestUDFTradingDays holds days, weeks and months to the dates that an exchange would give them.
func TestUDFTradingDays(t *testing.T) {
	b := serveUDF(t, yearOfTrades(t), nil)
	days := []string{
		"2025-12-31", "2026-01-02", "2026-01-05", "2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10", "2026-09-04", "2026-09-08",
		"2026-09-09", "2026-10-30", "2026-11-02", "2026-11-03",
	}
	for symbol, test := range map[string]map[string][]string{
		"ALPACA:AAPL": {
			"1D": append(slices.Clone(days), "2026-11-25", "2026-11-27"),
			// The week of 2026-09-07 begins on Tuesday, after Labor Day.
			"1W":  {"2025-12-29", "2026-01-05", "2026-03-02", "2026-03-09", "2026-08-31", "2026-09-08", "2026-10-26", "2026-11-02", "2026-11-23"},
			"1M":  {"2025-12-01", "2026-01-02", "2026-03-02", "2026-09-01", "2026-10-01", "2026-11-02"},
			"12M": {"2025-01-02", "2026-01-02"},
		},
		"COINBASE:BTC-USD": {
			"1D": days,
			"1W": {"2025-12-29", "2026-01-05", "2026-03-02", "2026-03-09", "2026-08-31", "2026-09-07", "2026-10-26", "2026-11-02"},
			"1M": {"2025-12-01", "2026-01-01", "2026-03-01", "2026-09-01", "2026-10-01", "2026-11-01"},
		},
		"FX:EUR-USD": {
			// What trades from 17:00 on is of the next day.
			"1D": {
				"2025-12-31", "2026-01-01", "2026-01-02", "2026-01-05", "2026-01-06", "2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10",
				"2026-03-11", "2026-09-04", "2026-09-08", "2026-09-09", "2026-09-10", "2026-10-30", "2026-11-02", "2026-11-03", "2026-11-04",
			},
		},
	} {
		for resolution, want := range test {
			list, _ := b.bars(symbol, resolution, 0, utc(t, "2027-06-01"), 0)
			var got []string
			for _, bar := range list {
				got = append(got, time.Unix(bar.Time, 0).UTC().Format(time.DateOnly))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s: %s", symbol, resolution, diff)
			}
			// Each by itself: to is exclusive, from is not.
			for i, date := range want {
				one, _ := b.bars(symbol, resolution, utc(t, date), utc(t, date)+1, 0)
				last, _ := b.bars(symbol, resolution, 0, utc(t, date), 1)
				if i == len(want)-1 && len(one) == 2 {
					one = one[1:] // the one that is forming comes with the one before it
				}
				if len(one) != 1 || one[0] != list[i] {
					t.Errorf("%s %s %s: got %v", symbol, resolution, date, one)
				}
				if i == 0 && last != nil || i > 0 && (len(last) != 1 || last[0] != list[i-1]) {
					t.Errorf("%s %s %s: got %v before", symbol, resolution, date, last)
				}
			}
		}
	}
}

// TestUDFCloses holds the daily bar of a stock to its regular session, on days when clocks change and on a half-day.
func TestUDFCloses(t *testing.T) {
	m := newMemTape()
	var entries []market.Entry
	var want []udfBar
	for i, day := range []string{"2026-03-06 16:00", "2026-03-09 16:00", "2026-10-30 16:00", "2026-11-02 16:00", "2026-11-27 13:00"} {
		last := at(t, day)
		open := at(t, day[:10]+" 09:30")
		n := uint64(i * 4)
		cents := int64(10_000 + 100*i)
		entries = append(entries, trade("ALPACA:A", n+1, 1, open-1), trade("ALPACA:A", n+2, cents, open),
			trade("ALPACA:A", n+3, cents+50, last-1), trade("ALPACA:A", n+4, 1, last+1))
		want = append(want, udfBar{
			utc(t, day[:10]), fmt.Sprintf("%d.00", 100+i), fmt.Sprintf("%d.50", 100+i), fmt.Sprintf("%d.00", 100+i), fmt.Sprintf("%d.50", 100+i), "200",
		})
	}
	m.Put("alpaca", entries...)
	b := serveUDF(t, m, nil)
	got, _ := b.bars("ALPACA:A", "1D", 0, utc(t, "2027-01-01"), 0)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUDFHistoryEnds(t *testing.T) {
	m := newMemTape()
	start := t0.Floor(market.Minute)
	second := int64(start / market.Second)
	var entries []market.Entry
	for i := range 10 {
		entries = append(entries, trade("SIM:A", uint64(i+1), int64(100+i), start+market.Time(i)*market.Minute))
	}
	entries = append(entries, trade("SIM:A", 11, 200, start+100*market.Minute))
	m.Put("sim", entries...)
	b := serveUDF(t, m, func(o *Options) { o.Limits.Page = 5 })
	minute := func(i int64) int64 { return second + i*60 }
	for _, test := range []struct {
		name      string
		from, to  int64
		countback int
		want      []int64 // minutes
		next      int64   // minute; below 0 for none
	}{
		{"to is exclusive", minute(2), minute(4), 0, []int64{2, 3}, -1},
		{"an open minute", minute(2) + 1, minute(3) + 1, 0, []int64{3}, -1},
		{"nothing between", minute(20), minute(50), 0, nil, 9},
		{"nothing before", minute(-50), minute(0), 0, nil, -1},
		{"an empty span", minute(4), minute(4), 0, nil, 3},
		{"countback outranks from", minute(49), minute(50), 3, []int64{7, 8, 9}, -1},
		{"countback outranks a from behind to", minute(60), minute(50), 1, []int64{9}, -1},
		{"countback with fewer bars", minute(0), minute(2), 5, []int64{0, 1}, -1},
		{"countback behind all", minute(-10), minute(0), 5, nil, -1},
		{"a limit keeps the newest", minute(0), minute(10), 0, []int64{5, 6, 7, 8, 9}, -1},
		{"countback beyond the limit", minute(0), minute(10), 900, []int64{5, 6, 7, 8, 9}, -1},
		{"polling", minute(90), minute(110), 2, []int64{9, 100}, -1},
		{"polling without countback", minute(90), minute(110), 0, []int64{9, 100}, -1},
		{"a bar that is over stands alone", minute(9), minute(50), 0, []int64{9}, -1},
		{"before 1970", -100, minute(1), 0, []int64{0}, -1},
		{"from 1970", 0, minute(1), 0, []int64{0}, -1},
		{"to 1970", -100, 0, 0, nil, -1},
	} {
		bars, a := b.bars("A", "1", test.from, test.to, test.countback)
		var got []int64
		for _, bar := range bars {
			got = append(got, (bar.Time-second)/60)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
		switch {
		case test.next < 0 && a.NextTime != nil:
			t.Errorf("%s: goes on at %d", test.name, *a.NextTime)
		case test.next >= 0 && (a.NextTime == nil || *a.NextTime != minute(test.next)):
			t.Errorf("%s: got %v, want %d", test.name, a.NextTime, minute(test.next))
		}
	}
	// What TradingView's client leaves out, or sends as nothing.
	for _, query := range []string{
		"symbol=SIM:A&resolution=1&to=" + fmt.Sprint(minute(3)) + "&countback=2",
		"symbol=SIM:A&resolution=1&from=" + fmt.Sprint(minute(1)) + "&to=" + fmt.Sprint(minute(3)) + "&countback=0&currencyCode=&unitId=",
	} {
		var a udfAnswer
		b.udf("history?"+query, &a)
		if !slices.Equal(a.T, []int64{minute(1), minute(2)}) {
			t.Errorf("%s: got %+v", query, a)
		}
	}
}

// TestUDFHours reads the hours of calendars on a certain day.
func TestUDFHours(t *testing.T) {
	set, err := market.NewCalendars().With("test", []byte(`
calendar lunch
zone Asia/Tokyo
table
session regular mon-fri 09:00-11:30
session regular mon-fri 12:30-15:30
closed 2026-05-04 Greenery Day
early 2026-05-07 15:00 Short

calendar globex
zone America/Chicago
table
day prev 17:00
session regular mon-fri 17:00-16:00
early 2026-05-25 12:00 Memorial Day
closed 2026-04-03 Good Friday
open 2026-04-03

calendar bazaar
zone Asia/Kolkata
table
session regular mon-thu 09:15-15:30
session regular sat 10:00-12:00
`))
	if err != nil {
		t.Fatal(err)
	}
	type summary struct {
		Zone, Session, Corrections, Holidays, Subsession string
		Parts                                            []string
		Multiplier                                       string
	}
	now := market.NewDate(2026, time.April, 15)
	for name, want := range map[string]summary{
		"24x7": {"Etc/UTC", "24x7", "", "", "regular", nil, "1 2 3 5 10 15 30 60 120 180 240 360 720"},
		"fx":   {"America/New_York", "1700-1700", "", "", "regular", nil, "1 2 3 5 10 15 30 60"},
		"us-equity": {
			"America/New_York", "0400-2000", "0400-1700:20261127;0400-1700:20261224", "20260403,20260525,20260619,20260703,20260907,20261126,20261225",
			"extended",
			[]string{
				"regular 0930-1600 0930-1300:20261127;0930-1300:20261224", "extended 0400-2000 0400-1700:20261127;0400-1700:20261224",
				"premarket 0400-0930 ", "postmarket 1600-2000 1300-1700:20261127;1300-1700:20261224",
			},
			"1 2 3 5 10 15 30 60",
		},
		"lunch":  {"Asia/Tokyo", "0900-1130,1230-1530", "0900-1130,1230-1500:20260507", "20260504", "regular", nil, "1 2 3 5 10 15 30"},
		"globex": {"America/Chicago", "1700-1600", "1700F1-1200:20260525", "", "regular", nil, "1 2 3 5 10 15 30 60"},
		"bazaar": {"Asia/Kolkata", "0915-1530:2345|1000-1200:7", "", "", "regular", nil, "1 3 5 15"},
	} {
		cal, err := set.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		h := makeHours(cal, now, market.NewDate(2026, time.April, 1), market.NewDate(2026, time.December, 31))
		got := summary{
			h.zone, h.main.usual, strings.Join(h.main.corrections, ";"), strings.Join(h.holidays, ","), h.main.id, nil, strings.Join(h.multiplier, " "),
		}
		for _, p := range h.parts {
			got.Parts = append(got.Parts, p.id+" "+p.usual+" "+strings.Join(p.corrections, ";"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		usual, correction, holiday := sessionForm()
		if !usual.MatchString(got.Session) || !correction.MatchString(got.Corrections) || !holiday.MatchString(got.Holidays) {
			t.Errorf("%s: the form of %+v", name, got)
		}
	}
}
