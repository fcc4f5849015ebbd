package market

import (
	"fmt"
	"strconv"
	"strings"
)

// Unit is what an interval counts.
type Unit uint8

// The units. Seconds, minutes and hours are of fixed length and aligned to UTC; days, weeks and months follow a calendar.
const (
	UnitSecond Unit = 1
	UnitMinute Unit = 2
	UnitHour   Unit = 3
	UnitDay    Unit = 4
	UnitWeek   Unit = 5
	UnitMonth  Unit = 6
)

// Interval is the length of a bar: so many units.
type Interval struct {
	N    int
	Unit Unit
}

// Sec1 is one second.
func Sec1() Interval { return Interval{1, UnitSecond} }

// Min1 is one minute.
func Min1() Interval { return Interval{1, UnitMinute} }

// Hour1 is one hour.
func Hour1() Interval { return Interval{1, UnitHour} }

// Day1 is one trading day.
func Day1() Interval { return Interval{1, UnitDay} }

// ParseInterval reads the forms of Alpaca ("1Sec", "15Min", "1Hour", "1Day", "1Week", "3Month", and their "T", "H", "D", "W",
// "M") and the short ones of charts ("1s", "5m", "4h", "1d", "1w"). A lower-case m is a minute, an upper-case M a month.
func ParseInterval(s string) (Interval, error) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n := 1
	if i > 0 {
		v, err := strconv.Atoi(s[:i])
		if err != nil || v < 1 {
			return Interval{}, fmt.Errorf("interval %q: the number must be 1 or more", s)
		}
		n = v
	}
	unit, limit := unitOf(s[i:])
	if unit == 0 {
		return Interval{}, fmt.Errorf("interval %q: want a number and a unit, such as 1Sec, 5Min, 1Hour, 1Day, 1Week or 1Month", s)
	}
	if n > limit {
		return Interval{}, fmt.Errorf("interval %q: at most %d of this unit", s, limit)
	}
	return Interval{n, unit}, nil
}

// unitOf knows the names of the units and the limits that Alpaca sets for them (seconds are ours).
func unitOf(s string) (unit Unit, limit int) {
	switch s {
	case "m":
		return UnitMinute, 59
	case "M":
		return UnitMonth, 12
	}
	switch strings.ToLower(s) {
	case "s", "sec", "second", "seconds":
		return UnitSecond, 59
	case "t", "min", "minute", "minutes":
		return UnitMinute, 59
	case "h", "hour", "hours":
		return UnitHour, 23
	case "d", "day", "days":
		return UnitDay, 1
	case "w", "week", "weeks":
		return UnitWeek, 1
	case "mo", "month", "months":
		return UnitMonth, 12
	}
	return 0, 0
}

// String formats the interval as Alpaca does: "5Min".
func (v Interval) String() string {
	name := "?"
	switch v.Unit {
	case UnitSecond:
		name = "Sec"
	case UnitMinute:
		name = "Min"
	case UnitHour:
		name = "Hour"
	case UnitDay:
		name = "Day"
	case UnitWeek:
		name = "Week"
	case UnitMonth:
		name = "Month"
	}
	return strconv.Itoa(v.N) + name
}

// Fixed returns the length of the interval; ok is false for days, weeks and months, whose length a calendar knows.
func (v Interval) Fixed() (length Time, ok bool) {
	switch v.Unit {
	case UnitSecond:
		return Time(v.N) * Second, true
	case UnitMinute:
		return Time(v.N) * Minute, true
	case UnitHour:
		return Time(v.N) * Hour, true
	case UnitDay, UnitWeek, UnitMonth:
	}
	return 0, false
}
