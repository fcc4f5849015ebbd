package venue

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"tapedeck/internal/market"
)

// Value is one JSON value as it stands in the text it came from, nil when it was not there. It is only good as long as the
// text is. None of its methods allocates, but for those that return an error or an unescaped text.
type Value []byte

// Null reports whether the value is null, or was not there.
func (v Value) Null() bool { return len(v) == 0 || v[0] == 'n' }

// IsString reports whether the value is a string.
func (v Value) IsString() bool { return len(v) >= 2 && v[0] == '"' }

// Is reports whether the value is a string and equal to text.
func (v Value) Is(text string) bool { return v.IsString() && string(v.Bytes()) == text }

// True reports whether the value is true.
func (v Value) True() bool { return len(v) > 0 && v[0] == 't' }

// Bytes returns the text of a string, unescaped, and any other value as it stands: the digits of a number. It points into the
// value unless something had to be unescaped. Null is empty.
func (v Value) Bytes() []byte {
	if v.Null() {
		return nil
	}
	if !v.IsString() {
		return v
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return unescape(inner)
}

// Text returns Bytes as a string. It allocates.
func (v Value) Text() string { return string(v.Bytes()) }

// Decimal reads a number, or a string that holds one, digit by digit.
func (v Value) Decimal() (market.Decimal, error) {
	if v.IsString() {
		return market.ParseDecimal([]byte(v[1 : len(v)-1]))
	}
	return market.ParseDecimal([]byte(v))
}

// Uint reads a whole number, or a string that holds one.
func (v Value) Uint() (n uint64, ok bool) {
	b := []byte(v)
	if v.IsString() {
		b = v[1 : len(v)-1]
	}
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1)/10 || n*10 > 1<<64-1-d {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// The units in which venues count time.
const (
	Milliseconds = market.Time(1_000_000)
	Microseconds = market.Time(1_000)
	Nanoseconds  = market.Time(1)
)

// Unix reads a time as a whole number of units since 1970, or a string that holds one: Milliseconds, Microseconds, Nanoseconds or
// market.Second. A zero is no time.
func (v Value) Unix(unit market.Time) (t market.Time, ok bool) {
	n, ok := v.Uint()
	if !ok || n > uint64(1<<63-1)/uint64(unit) {
		return 0, false
	}
	return market.Time(n) * unit, true
}

// Time reads an RFC 3339 time with any offset; digits beyond nanoseconds are left out. A year that
// market.Time does not reach, as in the zero times of some venues, is no time: 0, and ok.
func (v Value) Time() (t market.Time, ok bool) {
	if !v.IsString() {
		return 0, false
	}
	return parseTime(v[1 : len(v)-1])
}

// parseTime reads "2026-08-25T03:35:57.096368Z".
func parseTime(b []byte) (market.Time, bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year, ok1 := pair(b[0:])
	year2, ok2 := pair(b[2:])
	year = year*100 + year2
	month, ok3 := pair(b[5:])
	day, ok4 := pair(b[8:])
	hour, ok5 := pair(b[11:])
	minute, ok6 := pair(b[14:])
	second, ok7 := pair(b[17:])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7) || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	fraction, rest, ok := parseFraction(b[19:])
	if !ok {
		return 0, false
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return 0, false
	}
	if year < 1678 || year > 2261 {
		return 0, true
	}
	seconds := int64(daysSince1970(year, month, day))*86400 + int64(hour*3600+minute*60+second-offset)
	return market.Time(seconds)*market.Second + fraction, true
}

// parseFraction reads the digits after a point, if there is one, as nanoseconds.
func parseFraction(b []byte) (ns market.Time, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' {
		return 0, b, true
	}
	unit := market.Second
	i := 1
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		unit /= 10 // beyond nanoseconds it is 0
		ns += market.Time(b[i]-'0') * unit
	}
	return ns, b[i:], i > 1
}

// parseOffset reads "Z" or "+01:00" as seconds.
func parseOffset(b []byte) (seconds int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	h, ok1 := pair(b[1:])
	m, ok2 := pair(b[4:])
	seconds = h*3600 + m*60
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, ok1 && ok2 && h <= 23 && m <= 59
}

// pair reads two digits.
func pair(b []byte) (n int, ok bool) {
	return int(b[0]-'0')*10 + int(b[1]-'0'), b[0]-'0' <= 9 && b[1]-'0' <= 9
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the proleptic Gregorian calendar from years that begin in March, so that leap days come last
// (H. Hinnant, "chrono-compatible low-level date algorithms"). The year must be positive.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era, inEra := year/400, year%400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return era*146_097 + inEra*365 + inEra/4 - inEra/100 + dayOfYear - 719_468
}

// unescape returns a copy of the inside of a string without its escapes, which the Scanner has checked. Half of a surrogate pair
// becomes U+FFFD.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 >= len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		switch b[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := unicodeAt(b, i)
			i += 4
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				if i+2 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
					pair = utf16.DecodeRune(r, unicodeAt(b, i+2))
				}
				if pair != utf8.RuneError {
					i += 6
				}
				r = pair
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, b[i])
		}
	}
	return out
}

// unicodeAt reads the four digits after the u at i, or returns U+FFFD when they are not there.
func unicodeAt(b []byte, i int) rune {
	if i+4 >= len(b) {
		return utf8.RuneError
	}
	var r rune
	for _, c := range b[i+1 : i+5] {
		r = r<<4 | hex(c)
	}
	return r
}

// Words keeps the texts that a venue sends again and again, such as condition codes, so that each is one string.
// Its zero value is ready. One goroutine uses it.
type Words struct{ m map[string]string }

// maxWords is the number of texts that are kept. Whoever sends more of them sends no codes.
const maxWords = 4096

// Of returns b as a string. It allocates only the first time.
func (w *Words) Of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := w.m[string(b)]; ok {
		return s
	}
	s := string(b)
	if w.m == nil {
		w.m = make(map[string]string)
	}
	if len(w.m) < maxWords {
		w.m[s] = s
	}
	return s
}

// Missing returns the error for a field that is not there or not usable.
func Missing(field string, v Value) error {
	if len(v) > 40 {
		v = v[:40]
	}
	return fmt.Errorf("%w: %s is %q", ErrJSON, field, []byte(v))
}
