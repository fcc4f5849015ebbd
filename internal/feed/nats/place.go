package nats

import (
	"encoding/binary"
	"errors"

	"tapedeck/internal/market"
)

// place is how far a stream was read. It is what the feed's offset holds.
//
//	version  1 byte, 1
//	stream   uvarint length, and the name
//	created  varint: when the stream was made, which tells it from one that is made anew
//	last     varint: latest time of a tick so far
//	next     uvarint: number of the message that is next
//	skip     uvarint: ticks of that message which are on the tape already
type place struct {
	stream  string
	created market.Time
	last    market.Time
	next    uint64 // 0: not begun
	skip    uint64
}

const (
	placeVersion = 1
	longestName  = 255 // of a stream
)

var errPlace = errors.New("it is no place in a stream of NATS")

// append appends the offset to dst.
func (p *place) append(dst []byte) []byte {
	dst = append(dst, placeVersion)
	dst = binary.AppendUvarint(dst, uint64(len(p.stream)))
	dst = append(dst, p.stream...)
	dst = binary.AppendVarint(dst, int64(p.created))
	dst = binary.AppendVarint(dst, int64(p.last))
	dst = binary.AppendUvarint(dst, p.next)
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
	if n <= 0 || length > longestName || uint64(len(b)-1-n) < length {
		return place{}, errPlace
	}
	b = b[1+n:]
	p.stream = string(b[:length])
	b = b[length:]
	for _, into := range []*market.Time{&p.created, &p.last} {
		v, n := binary.Varint(b)
		if n <= 0 {
			return place{}, errPlace
		}
		*into, b = market.Time(v), b[n:]
	}
	for _, into := range []*uint64{&p.next, &p.skip} {
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
