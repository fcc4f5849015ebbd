package layout

import (
	"bytes"
	"fmt"
	"strings"

	"tapedeck/internal/market"
)

// doubts count the rows that were read, although what they say may mean something else, or is not the whole.
type doubts struct {
	leaps   uint64    // of seconds that most clocks do not have
	units   [4]uint64 // of times that are numbers: seconds, milliseconds, microseconds and nanoseconds since 1970
	early   uint64    // of times that are numbers and come out before 1990
	earlyAs string    // the first of them
	future  uint64    // of times that have not come
	ahead   market.Time
	unsized uint64 // of trades whose size is empty
}

const (
	// Before it few had numbers for times: it is rather a number of something else, such as rows, or of another unit.
	earliestNumber market.Time = 631_152_000 * market.Second // 1990
	// latestAfter is how far the clock of a venue and its zone may be ahead of ours.
	latestAfter = 2 * day
)

// number counts a time that is a number.
func (n *doubts) number(s []byte, t market.Time) {
	digits := bytes.IndexByte(s, '.')
	if digits < 0 {
		digits = len(s)
	}
	switch {
	case digits <= 11:
		n.units[0]++
	case digits <= 14:
		n.units[1]++
	case digits <= 17:
		n.units[2]++
	default:
		n.units[3]++
	}
	if t < earliestNumber && t != 0 {
		if n.early++; n.early == 1 {
			n.earlyAs = string(s[:min(len(s), 30)])
		}
	}
}

// isLeap reports whether a time of day has a 61st second.
func isLeap(s []byte) bool {
	if _, rest, ok := bytes.Cut(s, []byte{':'}); ok {
		return len(rest) >= 5 && rest[2] == ':' && rest[3] == '6' && rest[4] == '0'
	}
	return len(s) >= 6 && s[4] == '6' && s[5] == '0'
}

// Doubts says of the rows that were read so far how many are to be taken with a grain of salt, and why: they were taken, and may mean something
// else. There are none of most files.
func (r *Reader) Doubts() []string {
	var list []string
	say := func(n uint64, one, many string, args ...any) {
		switch n {
		case 0:
		case 1:
			list = append(list, "1 row "+fmt.Sprintf(one, args...))
		default:
			list = append(list, fmt.Sprintf("%d rows ", n)+fmt.Sprintf(many, args...))
		}
	}
	n := &r.dec.clock.doubts
	say(n.leaps, "has a leap second, and is in the second before", "have a leap second, and are in the second before")
	say(r.dec.clock.repeated, "is in an hour that clocks showed twice: the order of the rows told which", "are in an hour that clocks showed twice: the order of the rows told which")
	say(n.early, "has a time that comes out before 1990, %s: is it a number of seconds since 1970?", "have times that come out before 1990, the first is %s: are they numbers of seconds since 1970?", n.earlyAs)
	say(n.future, "is in the future, at %s", "are in the future, the last at %s", n.ahead)
	units := 0
	for _, of := range n.units {
		if of > 0 {
			units++
		}
	}
	if units > 1 {
		var parts []string
		for i, name := range [...]string{"seconds", "milliseconds", "microseconds", "nanoseconds"} {
			if n.units[i] > 0 {
				parts = append(parts, fmt.Sprintf("%d of %s", n.units[i], name))
			}
		}
		list = append(list, "times are numbers of several units: "+strings.Join(parts, ", "))
	}
	say(n.unsized, "has no size, and is in no volume", "have no size, and are in no volume")
	return list
}

// nearest returns the column whose name is most like a word, "" when none is.
func nearest(word string, columns []string) string {
	best, least := "", max(2, len(word)/2+1)
	for _, c := range columns {
		if d := market.EditDistance(canonical(word), canonical(c)); d < least && d < max(len(canonical(word)), len(canonical(c))) {
			best, least = c, d
		}
	}
	return best
}
