package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// id is that of an entry of a stream: a time in milliseconds, and a number within it. Zero is before the first.
type id struct{ ms, n uint64 }

// latest stands for the end of a stream.
func latest() id { return id{1<<64 - 1, 1<<64 - 1} }

// parseID reads an id as Redis writes it.
func parseID(s string) (id, error) {
	ms, n, ok := strings.Cut(s, "-")
	a, err := strconv.ParseUint(ms, 10, 64)
	b, err2 := strconv.ParseUint(n, 10, 64)
	if !ok || err != nil || err2 != nil {
		return id{}, fmt.Errorf("%.60q is no id of a stream's entry", s)
	}
	return id{a, b}, nil
}

func (i id) String() string { return strconv.FormatUint(i.ms, 10) + "-" + strconv.FormatUint(i.n, 10) }

func (i id) less(j id) bool { return i.ms < j.ms || i.ms == j.ms && i.n < j.n }

// before returns the last id before i.
func (i id) before() id {
	switch {
	case i.n > 0:
		return id{i.ms, i.n - 1}
	case i.ms > 0:
		return id{i.ms - 1, 1<<64 - 1}
	}
	return id{}
}

// time returns when the entry was added, by the clock of Redis; 0 when the id was chosen in some other way.
func (i id) time() market.Time {
	const least, most = 315_532_800_000, 1<<63/1_000_000 - 1 // from 1980 on
	if i.ms < least || i.ms > most {
		return 0
	}
	return market.Time(i.ms) * 1_000_000
}

// place is how far a stream was read. It is what the feed's offset holds.
//
//	version  1 byte, 1
//	stream   uvarint length, and the key
//	last     varint: latest time of a tick so far
//	ms, n    uvarints: id of the last entry that was read
//	counted  1 byte, 1 when count is known
//	count    uvarint: entries that were added to the stream up to that one, since it was made
//	skip     uvarint: ticks of the next entry which are on the tape already
type place struct {
	stream  string
	last    market.Time
	after   id
	counted bool
	count   uint64
	skip    uint64
	begun   bool // not in the offset: there is one
}

const (
	placeVersion = 1
	longestKey   = 4096
)

var errPlace = errors.New("it is no place in a stream of Redis")

// append appends the offset to dst.
func (p *place) append(dst []byte) []byte {
	dst = append(dst, placeVersion)
	dst = binary.AppendUvarint(dst, uint64(len(p.stream)))
	dst = append(dst, p.stream...)
	dst = binary.AppendVarint(dst, int64(p.last))
	dst = binary.AppendUvarint(dst, p.after.ms)
	dst = binary.AppendUvarint(dst, p.after.n)
	counted := byte(0)
	if p.counted {
		counted = 1
	}
	dst = append(dst, counted)
	dst = binary.AppendUvarint(dst, p.count)
	return binary.AppendUvarint(dst, p.skip)
}

// parsePlace reads an offset. None is the place of a feed that never ran.
func parsePlace(b []byte) (p place, err error) {
	if len(b) == 0 {
		return place{}, nil
	}
	if b[0] != placeVersion {
		return place{}, errPlace
	}
	length, n := binary.Uvarint(b[1:])
	if n <= 0 || length > longestKey || uint64(len(b)-1-n) < length {
		return place{}, errPlace
	}
	b = b[1+n:]
	p.begun = true
	p.stream = string(b[:length])
	b = b[length:]
	last, n := binary.Varint(b)
	if n <= 0 {
		return place{}, errPlace
	}
	p.last, b = market.Time(last), b[n:]
	for i, into := range []*uint64{&p.after.ms, &p.after.n, &p.count, &p.skip} {
		if i == 2 {
			if len(b) == 0 || b[0] > 1 {
				return place{}, errPlace
			}
			p.counted, b = b[0] == 1, b[1:]
		}
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return place{}, errPlace
		}
		*into, b = v, b[n:]
	}
	if len(b) != 0 {
		return place{}, errPlace
	}
	return p, nil
}
