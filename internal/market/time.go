package market

import (
	"fmt"
	"math"
	"time"
)

// Time is an instant as nanoseconds since 1970-01-01T00:00:00Z. Zero means "not known"; it never stands for 1970.
// It reaches from 1677-09-21 to 2262-04-11.
type Time int64

// Nanoseconds in the units that intervals are made of.
const (
	Second Time = 1_000_000_000
	Minute Time = 60 * Second
	Hour   Time = 60 * Minute
)

// FromStd converts t. An instant outside the range of Time is clamped to its ends.
func FromStd(t time.Time) Time {
	switch sec := t.Unix(); {
	case sec >= math.MaxInt64/int64(Second):
		return math.MaxInt64
	case sec <= math.MinInt64/int64(Second):
		return math.MinInt64
	}
	return Time(t.UnixNano())
}

// Std converts t to a time.Time in UTC.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)).UTC() }

// Add returns t+d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Floor rounds t down to a multiple of unit since 1970-01-01, before 1970 too. The unit must be positive.
func (t Time) Floor(unit Time) Time {
	r := t % unit
	if r < 0 {
		r += unit
	}
	return t - r
}

// String formats t as AppendRFC3339 does.
func (t Time) String() string { return string(t.AppendRFC3339(make([]byte, 0, 30))) }

// AppendRFC3339 appends t in RFC 3339, UTC, with as many of the nine fractional digits as it needs
// ("2026-11-23T14:30:00.25Z"), the form of time.RFC3339Nano.
func (t Time) AppendRFC3339(dst []byte) []byte {
	day, rest := int64(t/(24*Hour)), t%(24*Hour)
	if rest < 0 { // not by Floor, which the first hours that there are have no room for
		day, rest = day-1, rest+24*Hour
	}
	y, m, d := civil(day)
	if y < 0 || y > 9999 {
		return t.Std().AppendFormat(dst, time.RFC3339Nano)
	}
	sec := int(rest / Second)
	dst = append(dst,
		byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10), 'T',
		byte('0'+sec/36000), byte('0'+sec/3600%10), ':',
		byte('0'+sec/600%6), byte('0'+sec/60%10), ':',
		byte('0'+sec/10%6), byte('0'+sec%10))
	if ns := int(rest % Second); ns != 0 {
		dst = append(dst, '.')
		for div := 100_000_000; ns != 0; div /= 10 {
			dst = append(dst, byte('0'+ns/div))
			ns %= div
		}
	}
	return append(dst, 'Z')
}

// civil converts days since 1970-01-01 to a date of the proleptic Gregorian calendar
// (H. Hinnant, "chrono-compatible low-level date algorithms").
func civil(days int64) (year, month, day int) {
	days += 719_468 // from 0000-03-01
	era := days / 146_097
	if days < 0 {
		era = (days - 146_096) / 146_097
	}
	doe := days - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp + 3)
	if month > 12 {
		month -= 12
	}
	year = int(yoe + era*400)
	if month <= 2 {
		year++
	}
	return year, month, day
}

// ParseTime reads an RFC 3339 time with any offset and up to nine fractional digits.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("time %q is not RFC 3339, such as 2026-11-23T14:30:00Z", s)
	}
	if y := t.Year(); y < 1678 || y > 2261 {
		return 0, fmt.Errorf("time %q is outside the years 1678 to 2261", s)
	}
	return FromStd(t), nil
}

// MarshalJSON writes t as an RFC 3339 string, and an unknown time as null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return append(t.AppendRFC3339([]byte{'"'}), '"'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = 0
		return nil
	}
	if len(b) < 2 || b[0] != '"' || b[len(b)-1] != '"' {
		return fmt.Errorf("time %.40q is not a string", b)
	}
	v, err := ParseTime(string(b[1 : len(b)-1]))
	if err != nil {
		return err
	}
	*t = v
	return nil
}
