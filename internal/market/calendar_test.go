package market

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	for d := NewDate(1600, 1, 1); d < NewDate(2400, 1, 1); d += 13 {
		y, m, day := d.Civil()
		std := time.Date(y, m, day, 0, 0, 0, 0, time.UTC)
		if NewDate(y, m, day) != d || std.Weekday() != d.Weekday() {
			t.Fatalf("%d = %s %s, want %s", d, d, d.Weekday(), std.Weekday())
		}
		if got, err := ParseDate(d.String()); err != nil || got != d {
			t.Fatalf("ParseDate(%s) = %s, %v", d, got, err)
		}
		if w := d.Week(); w.Weekday() != time.Monday || w > d || d-w > 6 {
			t.Fatalf("%s.Week() = %s", d, w)
		}
	}
	if got := NewDate(2026, 11, 23).UTC().String(); got != "2026-11-23T00:00:00Z" {
		t.Errorf("UTC() = %s", got)
	}
	for _, bad := range []string{"", "2026-13-01", "2026-02-30", "23.11.2026", "2026-11-23T00:00:00Z"} {
		if d, err := ParseDate(bad); err == nil {
			t.Errorf("ParseDate(%q) = %s, want an error", bad, d)
		}
	}
}

func TestVenueCalendars(t *testing.T) {
	s := NewCalendars()
	for venue, want := range map[string]string{
		"NASDAQ": "us-equity", "nyse": "us-equity", "ALPACA": "us-equity", "IEX": "us-equity", "FINNHUB": "us-equity",
		"COINBASE": "24x7", "SIM": "24x7", "": "24x7", "MY-SENSORS": "24x7",
	} {
		if got := s.For(venue).Name(); got != want {
			t.Errorf("For(%q) = %s, want %s", venue, got, want)
		}
	}
	if _, err := s.Named("lse"); err == nil || !strings.Contains(err.Error(), "24x7, fx, us-equity") {
		t.Errorf("Named(lse) = %v, want an error that lists the names", err)
	}
	if last, ok := usCalendar(t).KnownUntil(); !ok || last.String() != "2028-12-31" {
		t.Errorf("KnownUntil() = %s, %v", last, ok)
	}
	if _, ok := s.For("COINBASE").KnownUntil(); ok {
		t.Error("24x7 has an end")
	}
}

func TestRoundTheClock(t *testing.T) {
	c := NewCalendars().For("COINBASE")
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		at := Time(r.Int64N(4e18))
		d := c.Day(at)
		if d.Start != at.Floor(24*Hour) || d.End != d.Start+24*Hour || d.Date.UTC() != d.Start {
			t.Fatalf("Day(%s) = %s [%s, %s)", at, d.Date, d.Start, d.End)
		}
		if !c.IsOpen(at) {
			t.Fatalf("closed at %s", at)
		}
	}
	at, err := ParseTime("2026-11-23T12:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	if next, ok := c.Next(at); !ok || next.Open.String() != "2026-11-24T00:00:00Z" {
		t.Errorf("Next = %s, %v", next.Open, ok)
	}
	if prev, ok := c.Prev(at); !ok || prev.Open.String() != "2026-11-22T00:00:00Z" {
		t.Errorf("Prev = %s, %v", prev.Open, ok)
	}
}

func TestForeignExchange(t *testing.T) {
	c, err := NewCalendars().Named("fx")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at, date string
		open     bool
	}{
		{"2026-11-22T21:59:59Z", "2026-11-22", false}, // Sunday before 17:00
		{"2026-11-22T22:00:00Z", "2026-11-23", true},
		{"2026-11-23T21:59:59Z", "2026-11-23", true},
		{"2026-11-23T22:00:00Z", "2026-11-24", true},
		{"2026-11-27T21:59:59Z", "2026-11-27", true},
		{"2026-11-27T22:00:00Z", "2026-11-28", false}, // Friday 17:00
		{"2026-07-10T21:00:00Z", "2026-07-11", false}, // the same in summer
		{"2026-07-12T21:00:00Z", "2026-07-13", true},
		{"2026-12-25T12:00:00Z", "2026-12-25", true},
	} {
		at, err := ParseTime(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if d := c.Day(at); d.Date.String() != tt.date || c.IsOpen(at) != tt.open {
			t.Errorf("%s: day %s open %v, want %s %v", tt.at, d.Date, c.IsOpen(at), tt.date, tt.open)
		}
	}
}

// TestEveryZoneEveryInstant checks that days divide time in zones that jump at midnight, skip a date or repeat an hour, and
// that nothing panics at the ends of time.
func TestEveryZoneEveryInstant(t *testing.T) {
	for _, zone := range []string{
		"America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo", "Asia/Tehran", "Australia/Lord_Howe", "Asia/Kathmandu", "Atlantic/Azores",
		"America/Havana", "Asia/Beirut", "Europe/Dublin", "Pacific/Kwajalein",
	} {
		set, err := NewCalendars().With("test", []byte("calendar x\nzone "+zone+`
			table
			session regular all 00:00-12:00
			session post all 12:00-24:00
			table from 1990-01-01
			day prev 17:00
			session overnight mon-fri 17:00-04:00
			session regular mon-fri 04:00-17:00
		`))
		if err != nil {
			t.Fatal(err)
		}
		c, err := set.Named("x")
		if err != nil {
			t.Fatal(err)
		}
		end := c.DayOf(NewDate(1960, 1, 1)).Start
		for date := NewDate(1960, 1, 1); date < NewDate(2040, 1, 1); date++ {
			d := c.DayOf(date)
			if d.Start != end || d.End < d.Start {
				t.Fatalf("%s: %s = [%s, %s), the day before ends at %s", zone, date, d.Start, d.End, end)
			}
			end = d.End
			if d.Start == d.End {
				continue // a date that the zone skips
			}
			for _, at := range []Time{d.Start, d.Start + (d.End-d.Start)/2, d.End - 1} {
				if got := c.Day(at); got.Date != date {
					t.Fatalf("%s: Day(%s) = %s, want %s", zone, at, got.Date, date)
				}
			}
			for _, s := range d.Sessions() {
				if s.Open < d.Start || s.Close > d.End {
					t.Fatalf("%s: %s: %s session leaves its day", zone, date, s.Kind)
				}
			}
		}
		for _, at := range []Time{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64} {
			if d := c.Day(at); d.Start > at || d.End <= at && at != math.MaxInt64 {
				t.Errorf("%s: Day(%d) = [%d, %d)", zone, at, d.Start, d.End)
			}
			c.Next(at)
			c.Prev(at)
		}
	}
}

func TestHolidaysOutsideAnyWindow(t *testing.T) {
	c := usCalendar(t)
	for _, year := range []int{-200_000, 1, 1500, 1678, 1850, 2262, 9999, 200_000} {
		for d := NewDate(year, 1, 1); d < NewDate(year, 12, 31); d++ {
			c.DayOf(d)
		}
	}
}

// TestOvernight turns the night session on from a date, and checks both sides of it.
func TestOvernight(t *testing.T) {
	set, err := NewCalendars().With("calendar.txt", []byte(`
		calendar us-equity
		table from 2026-12-07   # a Monday
		day prev 20:00
		daily regular
		session overnight mon-fri 20:00-04:00
		session pre mon-fri 04:00-09:30
		session regular mon-fri 09:30-16:00
		session post mon-fri 16:00-20:00
	`))
	if err != nil {
		t.Fatal(err)
	}
	c := set.For("NASDAQ")
	for _, tt := range []struct{ at, date, kind string }{
		{"2026-11-24T02:00:00Z", "2026-11-23", "closed"}, // before: 21:00 of the evening is the same day, and closed
		{"2026-12-05T02:00:00Z", "2026-12-04", "closed"}, // Friday evening
		{"2026-12-07T00:59:59Z", "2026-12-06", "closed"}, // Sunday 19:59
		{"2026-12-07T01:00:00Z", "2026-12-07", "overnight"},
		{"2026-12-07T09:00:00Z", "2026-12-07", "pre"},
		{"2026-12-08T00:59:59Z", "2026-12-07", "post"},
		{"2026-12-08T01:00:00Z", "2026-12-08", "overnight"},
		{"2026-12-12T01:00:00Z", "2026-12-12", "closed"}, // Friday evening belongs to Saturday
		{"2026-12-25T01:00:00Z", "2026-12-25", "closed"}, // no night session before a holiday
		{"2027-03-14T12:00:00Z", "2027-03-14", "closed"},
		{"2027-03-15T00:00:00Z", "2027-03-15", "overnight"}, // Sunday 20:00 in summer time
	} {
		at, err := ParseTime(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		d := c.Day(at)
		s, _ := c.SessionAt(at)
		if d.Date.String() != tt.date || s.Kind.String() != tt.kind {
			t.Errorf("%s: %s %s, want %s %s", tt.at, d.Date, s.Kind, tt.date, tt.kind)
		}
		if c.MakesDays(d.Date, s.Kind) != (s.Kind == SessionRegular) {
			t.Errorf("MakesDays(%s, %s) = %v", d.Date, s.Kind, c.MakesDays(d.Date, s.Kind))
		}
	}
	// The last day before the table is cut where the first one of it begins, and no day overlaps another.
	end := c.DayOf(NewDate(2026, 11, 1)).Start
	for date := NewDate(2026, 11, 1); date < NewDate(2028, 1, 1); date++ {
		d := c.DayOf(date)
		if d.Start != end {
			t.Fatalf("%s starts at %s, the day before ends at %s", date, d.Start, end)
		}
		end = d.End
		for _, s := range d.Sessions() {
			if s.Open < d.Start || s.Close > d.End {
				t.Fatalf("%s: %s session leaves its day", date, s.Kind)
			}
		}
	}
	if d := c.DayOf(NewDate(2026, 12, 6)); d.End.Sub(d.Start) != 20*time.Hour {
		t.Errorf("the day before the table has %s, want 20 h", d.End.Sub(d.Start))
	}
	// Early close: what follows moves, the night before does not.
	d := c.DayOf(NewDate(2026, 12, 24))
	if r, _ := d.Regular(); !d.Early || r.Close.String() != "2026-12-24T18:00:00Z" || d.Sessions()[0].Open.String() != "2026-12-24T01:00:00Z" {
		t.Errorf("2026-12-24 = %v", d)
	}
}

func TestOverrides(t *testing.T) {
	base := NewCalendars()
	set, err := base.With("calendar.txt", []byte(`
# What became known after this version.
calendar us-equity
known-until 2029-12-31
closed 2026-11-24 Day of mourning
early  2026-11-25 14:00 Storm
open   2026-11-26
calendar tokyo
venues TSE jpx
zone Asia/Tokyo
closed 2027-01-01
table
session regular mon-fri 09:00-11:30
session regular mon-fri 12:30-15:00
table from 2024-11-05
session regular mon-fri 09:00-11:30
session regular mon-fri 12:30-15:30
calendar us-equity
early 2026-11-30 11:00
`))
	if err != nil {
		t.Fatal(err)
	}
	c := set.For("NYSE")
	if d := c.DayOf(NewDate(2026, 11, 24)); d.Trading() || d.Note != "Day of mourning" || len(d.Sessions()) != 0 {
		t.Errorf("2026-11-24 = %v", d)
	}
	for date, want := range map[Date]string{
		NewDate(2026, 11, 25): "2026-11-25T19:00:00Z",
		NewDate(2026, 11, 26): "2026-11-26T21:00:00Z",
		NewDate(2026, 11, 30): "2026-11-30T16:00:00Z",
	} {
		d := c.DayOf(date)
		if r, ok := d.Regular(); !ok || r.Close.String() != want {
			t.Errorf("%s closes at %s, %v, want %s", date, r.Close, ok, want)
		}
	}
	if last, _ := c.KnownUntil(); last != NewDate(2029, 12, 31) {
		t.Errorf("KnownUntil() = %s", last)
	}
	// The set that it was laid over is as it was.
	if d := base.For("NYSE").DayOf(NewDate(2026, 11, 24)); !d.Trading() {
		t.Error("With changed its receiver")
	}
	if got := base.For("JPX").Name(); got != "24x7" {
		t.Errorf("With changed the venues of its receiver: JPX is %s", got)
	}
	jp := set.For("JPX")
	for _, tt := range []struct {
		at   string
		open bool
	}{
		{"2026-11-24T00:00:00Z", true},
		{"2026-11-24T02:30:00Z", false},
		{"2026-11-24T03:30:00Z", true},
		{"2026-11-24T06:29:59Z", true},
		{"2026-11-24T06:30:00Z", false},
		{"2024-11-01T06:15:00Z", false},
		{"2024-11-05T06:15:00Z", true},
		{"2027-01-01T01:00:00Z", false},
	} {
		at, err := ParseTime(tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if jp.IsOpen(at) != tt.open {
			t.Errorf("tokyo at %s: open %v, want %v", tt.at, jp.IsOpen(at), tt.open)
		}
	}
}

func TestOverridesRefused(t *testing.T) {
	for _, tt := range []struct{ data, want string }{
		{"closed 2026-01-01", "line 1: \"closed\" stands before the first calendar"},
		{"calendar", "line 1: want: calendar NAME"},
		{"calendar us-equity\nclosed 2026-02-30", "line 2: date \"2026-02-30\" is not a day"},
		{"calendar us-equity\n\n\nearly 2026-12-24", "line 4: want: early DATE HH:MM"},
		{"calendar us-equity\nearly 2026-12-24 25:00", "line 2: \"25:00\" is not a time of day"},
		{"calendar us-equity\nearly 2026-12-23 16:00", "line 2: calendar \"us-equity\": 2026-12-23 has no regular session"},
		{"calendar us-equity\nearly 2026-12-26 13:00", "line 2: calendar \"us-equity\": 2026-12-26 has no regular session"},
		{"calendar us-equity\nearly 2026-12-23 00:00", "line 2: a day cannot close at 00:00"},
		{"calendar us-equity\nshut 2026-12-24", "line 2: \"shut\" is not known here"},
		{"calendar us-equity\nzone Europe/Atlantis", "line 2: \"Europe/Atlantis\" is not a zone"},
		{"calendar us-equity\nzone Local", "line 2: \"Local\" is not a zone"},
		{"calendar us-equity\nholidays xmas", "line 2: holidays \"xmas\" are none of"},
		{"calendar us-equity\nsession pre mon-fri 04:00-09:30", "line 2: session stands outside a table"},
		{"calendar x\ntable from 2026-01-01", "line 2: the first table of a calendar has no date"},
		{"calendar x\nzone UTC", "calendar \"x\" has no table"},
		{"calendar x\ntable\nday prev 20:00", "line 2: calendar \"x\": a table needs at least one session"},
		{"calendar x\ntable\nsession pre mon-fri 04:00-10:00\nsession regular fri 09:30-16:00", "line 2: calendar \"x\": the regular session on Friday overlaps"},
		{"calendar x\ntable\nsession overnight mon-fri 20:00-04:00", "line 2: calendar \"x\": the overnight session starts before the day does"},
		{"calendar x\ntable\nday prev 20:00\nsession post mon-fri 16:00-21:00", "line 2: calendar \"x\": the post session ends after the day does"},
		{"calendar x\ntable\nsession regular mon-xxx 04:00-10:00", "line 3: \"mon-xxx\" are not days"},
		{"calendar x\ntable\nsession lunch mon 04:00-10:00", "line 3: session \"lunch\" is none of"},
		{"calendar x\ntable\nsession regular mon 04:00", "line 3: \"04:00\" is not a span"},
		{"calendar x\ntable\nsession regular mon 04:00-4:30", "line 3: \"4:30\" is not a time of day"},
		{"calendar x\ntable\nday 20:00", "line 3: want: day 00:00, or: day prev HH:MM"},
		{"calendar x\ntable\nday prev 00:00", "line 3: a day cannot begin a whole day early"},
		{"calendar x\ntable\ndaily", "line 3: want one kind of session or more after daily"},
		{"calendar x\ntable\nsession regular all 00:00-24:00\ntable from 2026-01-01\nsession regular all 00:00-24:00\ntable from 2025-01-01", "line 6: tables must follow each other"},
	} {
		set, err := NewCalendars().With("calendar.txt", []byte(tt.data))
		if err == nil || set != nil || !strings.HasPrefix(err.Error(), "calendar.txt: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("With(%q) = %v, want %q", tt.data, err, tt.want)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	l := usCalendar(t).Lookup()
	at, err := ParseTime("2026-11-23T15:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	if n := testing.AllocsPerRun(100, func() {
		at += Second
		if s, ok := l.SessionAt(at); ok && s.Kind == SessionRegular {
			open++
		}
	}); n != 0 {
		t.Errorf("SessionAt allocates %v times", n)
	}
	if open != 101 {
		t.Errorf("open %d times, want 101", open)
	}
	// Late ticks around midnight go back and forth between two days.
	l.Day(at)
	l.Day(at + 24*Hour)
	if n := testing.AllocsPerRun(100, func() {
		if l.Day(at).Date == l.Day(at+24*Hour).Date {
			t.Error("two days have one date")
		}
	}); n != 0 {
		t.Errorf("two days in turn allocate %v times", n)
	}
}

func FuzzCalendarData(f *testing.F) {
	f.Add([]byte(builtinCalendars), int64(0))
	f.Add([]byte("calendar x\nzone Asia/Tokyo\ntable\nday prev 17:00\nsession regular mon-fri 17:00-17:00\nclosed 2026-01-01 # x"), int64(1e18))
	f.Add([]byte("calendar us-equity\nearly 2026-12-23 13:00\ntable from 2026-12-07\nday prev 20:00\nsession overnight sun-thu 20:00-04:00"), int64(-1e18))
	f.Fuzz(func(t *testing.T, data []byte, at int64) {
		set, err := NewCalendars().With("fuzz", data)
		if err != nil {
			return
		}
		for _, c := range set.byName {
			d := c.Day(Time(at))
			if !d.Contains(Time(at)) && at != math.MaxInt64 {
				t.Fatalf("%s: Day(%d) = [%d, %d)", c.Name(), at, d.Start, d.End)
			}
			last := d.Start
			for _, s := range d.Sessions() {
				if s.Open < last || s.Close <= s.Open || s.Close > d.End {
					t.Fatalf("%s: %s: %s session [%s, %s)", c.Name(), d.Date, s.Kind, s.Open, s.Close)
				}
				last = s.Close
			}
		}
	})
}

func BenchmarkLookupSessionAt(b *testing.B) {
	l := usCalendar(b).Lookup()
	at := NewDate(2026, 11, 23).UTC() + 15*Hour
	for b.Loop() {
		at += Second / 1000
		l.SessionAt(at)
	}
}

func BenchmarkCalendarDay(b *testing.B) {
	c := usCalendar(b)
	at := NewDate(2026, 11, 23).UTC() + 15*Hour
	for b.Loop() {
		c.Day(at)
	}
}
