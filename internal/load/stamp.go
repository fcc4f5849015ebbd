package load

import "time"

// wholeSeconds is how long the part of a time before its fraction is: 2026-11-23T15:46:44.
const wholeSeconds = 19

// longestStamp is how long a time is at most: 2026-11-23T15:46:44.123456789Z.
const longestStamp = 30

// stamps reads times as the server writes them, RFC 3339 in UTC. The ticks of a stream often have the time of the one before, and
// mostly its second, so that only the fraction has to be read.
type stamps struct {
	last [longestStamp]byte // the time that was read last
	size int
	ns   int64 // and what it is, in ns since 1970

	text [wholeSeconds]byte // its second
	unix int64              // in ns since 1970
}

// read returns the time in ns since 1970.
func (s *stamps) read(b []byte) (ns int64, ok bool) {
	if len(b) == s.size && string(b) == string(s.last[:s.size]) {
		return s.ns, s.size > 0
	}
	if ns, ok = s.parse(b); ok {
		s.ns, s.size = ns, copy(s.last[:], b)
	}
	return ns, ok
}

func (s *stamps) parse(b []byte) (ns int64, ok bool) {
	if len(b) <= wholeSeconds || b[len(b)-1] != 'Z' {
		return 0, false
	}
	if string(b[:wholeSeconds]) != string(s.text[:]) {
		t, err := time.Parse("2006-01-02T15:04:05", string(b[:wholeSeconds]))
		if err != nil {
			return 0, false
		}
		copy(s.text[:], b)
		s.unix = t.Unix() * int64(time.Second)
	}
	fraction := b[wholeSeconds : len(b)-1]
	if len(fraction) == 0 {
		return s.unix, true
	}
	if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 10 {
		return 0, false
	}
	n := int64(0)
	for _, d := range fraction[1:] {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	for range 10 - len(fraction) {
		n *= 10
	}
	return s.unix + n, true
}
