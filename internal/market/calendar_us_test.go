package market

import (
	"bufio"
	"compress/gzip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func usCalendar(t testing.TB) *Calendar {
	t.Helper()
	c, err := NewCalendars().Named("us-equity")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// weekdaysOff lists the weekdays of a year that are closed, and those that close early, as MM-DD.
func weekdaysOff(c *Calendar, year int) (closed, early []string) {
	for d := NewDate(year, 1, 1); d < NewDate(year+1, 1, 1); d++ {
		day := c.DayOf(d)
		if w := d.Weekday(); w == time.Saturday || w == time.Sunday {
			if len(day.Sessions()) != 0 {
				closed = append(closed, d.String()+" trades")
			}
			continue
		}
		switch {
		case !day.Trading():
			closed = append(closed, d.String()[5:])
		case day.Early:
			early = append(early, d.String()[5:])
		}
	}
	return closed, early
}

func TestUSHolidays(t *testing.T) {
	c := usCalendar(t)
	for _, tt := range []struct {
		year          int
		closed, early string
	}{
		{2025, "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25", "07-03 11-28 12-24"},
		{2026, "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25", "11-27 12-24"},
		{2027, "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24", "11-26"},
		{2028, "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25", "07-03 11-24"},
		// Years with something unusual.
		{2001, "01-01 01-15 02-19 04-13 05-28 07-04 09-03 09-11 09-12 09-13 09-14 11-22 12-25", "07-03 11-23 12-24"},
		{2002, "01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25", "07-05 11-29 12-24"},
		{2012, "01-02 01-16 02-20 04-06 05-28 07-04 09-03 10-29 10-30 11-22 12-25", "07-03 11-23 12-24"},
		{2013, "01-01 01-21 02-18 03-29 05-27 07-04 09-02 11-28 12-25", "07-03 11-29 12-24"},
		{2021, "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24", "11-26"},
		{2022, "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26", "11-25"},
		{2023, "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25", "07-03 11-24"},
	} {
		closed, early := weekdaysOff(c, tt.year)
		if diff := cmp.Diff(tt.closed, strings.Join(closed, " ")); diff != "" {
			t.Errorf("%d: closed (-want +got):\n%s", tt.year, diff)
		}
		if diff := cmp.Diff(tt.early, strings.Join(early, " ")); diff != "" {
			t.Errorf("%d: early (-want +got):\n%s", tt.year, diff)
		}
	}
}

// TestUSHolidaysAgainstHistory holds the rules against the days on which an index really has a close.
func TestUSHolidaysAgainstHistory(t *testing.T) {
	f, err := os.Open("../../../shared/data/bars/sp500-index_daily_1980-2023_stooq-pl.csv.gz")
	if err != nil {
		t.Skipf("no index history beside this checkout: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	traded := map[Date]bool{}
	var first, last Date
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		cell, _, _ := strings.Cut(lines.Text(), ",")
		d, err := ParseDate(cell)
		if err != nil {
			continue // the heading
		}
		traded[d] = true
		if first == 0 {
			first = d
		}
		last = d
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(traded) < 10_000 {
		t.Fatalf("%d days in the file", len(traded))
	}
	c := usCalendar(t)
	for d := first; d <= last; d++ {
		if day := c.DayOf(d); day.Trading() != traded[d] {
			t.Errorf("%s (%s): trading %v (%q), the index has a close: %v", d, d.Weekday(), day.Trading(), day.Note, traded[d])
		}
	}
}

func TestEaster(t *testing.T) {
	for year, want := range map[int]string{
		1818: "1818-03-22", 1943: "1943-04-25", 2000: "2000-04-23", 2008: "2008-03-23", 2024: "2024-03-31", 2025: "2025-04-20",
		2026: "2026-04-05", 2027: "2027-03-28", 2028: "2028-04-16", 2038: "2038-04-25", 2285: "2285-03-22",
	} {
		if got := easter(year).String(); got != want {
			t.Errorf("easter(%d) = %s, want %s", year, got, want)
		}
	}
}

func TestUSDay(t *testing.T) {
	c := usCalendar(t)
	type session struct{ Kind, Open, Close string }
	for _, tt := range []struct {
		date, start, end string
		early            bool
		note             string
		sessions         []session
	}{
		{"2026-11-23", "2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z", false, "", []session{
			{"pre", "2026-11-23T09:00:00Z", "2026-11-23T14:30:00Z"},
			{"regular", "2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"},
			{"post", "2026-11-23T21:00:00Z", "2026-11-24T01:00:00Z"},
		}},
		{"2026-07-06", "2026-07-06T04:00:00Z", "2026-07-07T04:00:00Z", false, "", []session{
			{"pre", "2026-07-06T08:00:00Z", "2026-07-06T13:30:00Z"},
			{"regular", "2026-07-06T13:30:00Z", "2026-07-06T20:00:00Z"},
			{"post", "2026-07-06T20:00:00Z", "2026-07-07T00:00:00Z"},
		}},
		{"2026-11-27", "2026-11-27T05:00:00Z", "2026-11-28T05:00:00Z", true, "Day after Thanksgiving", []session{
			{"pre", "2026-11-27T09:00:00Z", "2026-11-27T14:30:00Z"},
			{"regular", "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"},
			{"post", "2026-11-27T18:00:00Z", "2026-11-27T22:00:00Z"},
		}},
		{"2026-11-26", "2026-11-26T05:00:00Z", "2026-11-27T05:00:00Z", false, "Thanksgiving Day", nil},
		{"2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", false, "", nil}, // 23 hours
		{"2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", false, "", nil}, // 25 hours
	} {
		date, err := ParseDate(tt.date)
		if err != nil {
			t.Fatal(err)
		}
		d := c.DayOf(date)
		if d.Start.String() != tt.start || d.End.String() != tt.end || d.Early != tt.early || d.Note != tt.note {
			t.Errorf("%s = [%s, %s) early %v %q, want [%s, %s) %v %q", tt.date, d.Start, d.End, d.Early, d.Note, tt.start, tt.end, tt.early, tt.note)
		}
		var got []session
		for _, s := range d.Sessions() {
			got = append(got, session{s.Kind.String(), s.Open.String(), s.Close.String()})
		}
		if diff := cmp.Diff(tt.sessions, got); diff != "" {
			t.Errorf("%s: sessions (-want +got):\n%s", tt.date, diff)
		}
	}
}

// TestUSSessionEdges asks at the first and the last nanosecond of each session, half-days included.
func TestUSSessionEdges(t *testing.T) {
	c := usCalendar(t)
	for _, tt := range []struct{ at, want string }{
		{"2026-11-23T08:59:59.999999999Z", "closed"},
		{"2026-11-23T09:00:00Z", "pre"},
		{"2026-11-23T14:29:59.999999999Z", "pre"},
		{"2026-11-23T14:30:00Z", "regular"},
		{"2026-11-23T20:59:59.999999999Z", "regular"},
		{"2026-11-23T21:00:00Z", "post"},
		{"2026-11-24T00:59:59.999999999Z", "post"},
		{"2026-11-24T01:00:00Z", "closed"},
		{"2026-12-24T17:59:59.999999999Z", "regular"},
		{"2026-12-24T18:00:00Z", "post"},
		{"2026-12-24T22:00:00Z", "closed"},
		{"2026-12-25T15:00:00Z", "closed"},
		{"2026-11-22T15:00:00Z", "closed"},
	} {
		at, err := ParseTime(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		s, ok := c.SessionAt(at)
		if got := s.Kind.String(); got != tt.want || ok != (tt.want != "closed") {
			t.Errorf("SessionAt(%s) = %s %v, want %s", tt.at, got, ok, tt.want)
		}
		if c.IsOpen(at) != (tt.want == "regular") {
			t.Errorf("IsOpen(%s) = %v", tt.at, c.IsOpen(at))
		}
	}
}

func TestUSNextPrev(t *testing.T) {
	c := usCalendar(t)
	for _, tt := range []struct{ at, prev, next string }{
		{"2026-11-25T21:00:00Z", "2026-11-25T14:30:00Z", "2026-11-27T14:30:00Z"}, // the eve of Thanksgiving, at the bell
		{"2026-11-25T20:59:59Z", "2026-11-24T14:30:00Z", "2026-11-27T14:30:00Z"}, // within the session
		{"2026-11-27T14:30:00Z", "2026-11-25T14:30:00Z", "2026-11-30T14:30:00Z"}, // at the open
		{"2026-11-28T12:00:00Z", "2026-11-27T14:30:00Z", "2026-11-30T14:30:00Z"}, // Saturday
		{"2001-09-12T12:00:00Z", "2001-09-10T13:30:00Z", "2001-09-17T13:30:00Z"}, // the longest closure
		{"2026-03-07T12:00:00Z", "2026-03-06T14:30:00Z", "2026-03-09T13:30:00Z"}, // clocks change
		{"2026-11-01T12:00:00Z", "2026-10-30T13:30:00Z", "2026-11-02T14:30:00Z"}, // and back
	} {
		at, err := ParseTime(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		prev, okPrev := c.Prev(at)
		next, okNext := c.Next(at)
		if !okPrev || !okNext || prev.Open.String() != tt.prev || next.Open.String() != tt.next {
			t.Errorf("at %s: prev %s next %s, want %s and %s", tt.at, prev.Open, next.Open, tt.prev, tt.next)
		}
	}
}

// TestUSProperties walks every day of 36 years, daylight saving included.
func TestUSProperties(t *testing.T) {
	c := usCalendar(t)
	lookup := c.Lookup()
	var short, long, full, half int
	end := c.DayOf(NewDate(2000, 1, 1)).Start
	for date := NewDate(2000, 1, 1); date < NewDate(2036, 1, 1); date++ {
		d := c.DayOf(date)
		if d.Start != end {
			t.Fatalf("%s starts at %s, the day before ends at %s", date, d.Start, end)
		}
		end = d.End
		switch hours := d.End.Sub(d.Start).Hours(); hours {
		case 24:
		case 23:
			short++
		case 25:
			long++
		default:
			t.Fatalf("%s has %v hours", date, hours)
		}
		last := d.Start
		for _, s := range d.Sessions() {
			if s.Open < last || s.Close <= s.Open || s.Close > d.End {
				t.Fatalf("%s: %s session [%s, %s) overlaps or leaves its day", date, s.Kind, s.Open, s.Close)
			}
			last = s.Close
		}
		if r, ok := d.Regular(); ok {
			switch hours := r.Close.Sub(r.Open); {
			case hours == 6*time.Hour+30*time.Minute && !d.Early:
				full++
			case hours == 3*time.Hour+30*time.Minute && d.Early:
				half++
			default:
				t.Fatalf("%s: the regular session has %s, early %v", date, hours, d.Early)
			}
			if at := r.Open.Std().In(c.Location()); at.Hour() != 9 || at.Minute() != 30 {
				t.Fatalf("%s: the regular session opens at %s", date, at)
			}
		}
		for _, at := range []Time{d.Start, d.Start + Hour, d.Start + 12*Hour, d.End - Hour, d.End - 1} {
			if got := c.Day(at); got.Date != date {
				t.Fatalf("Day(%s) = %s, want %s", at, got.Date, date)
			}
			if got := lookup.Day(at); *got != d {
				t.Fatalf("Lookup.Day(%s) = %v, want %v", at, *got, d)
			}
		}
	}
	if short != 36 || long != 36 {
		t.Errorf("%d short and %d long days, want 36 of each", short, long)
	}
	if full < 35*240 || half < 36*2-20 {
		t.Errorf("%d full and %d half trading days", full, half)
	}
}
