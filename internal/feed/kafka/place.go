package kafka

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"tapedeck/internal/market"
)

// place is how far a topic was read. It is what the feed's offset holds.
//
//	version     1 byte, 1
//	topic       uvarint length, and the name
//	id          16 bytes: of the topic, zero when the cluster gives none
//	last        varint: latest time of a tick so far
//	partitions  uvarint, and of each, in ascending order:
//	              number  uvarint
//	              next    uvarint: offset of the message that is next
//	              skip    uvarint: ticks of that message which are on the tape already
type place struct {
	topic      string
	id         [16]byte
	last       market.Time
	partitions map[int32]position
}

type position struct {
	next int64
	skip uint64
}

const placeVersion = 1

var errPlace = errors.New("it is no place in a Kafka topic")

// append appends the offset to dst.
func (p *place) append(dst []byte) []byte {
	dst = append(dst, placeVersion)
	dst = binary.AppendUvarint(dst, uint64(len(p.topic)))
	dst = append(dst, p.topic...)
	dst = append(dst, p.id[:]...)
	dst = binary.AppendVarint(dst, int64(p.last))
	dst = binary.AppendUvarint(dst, uint64(len(p.partitions)))
	for _, number := range slices.Sorted(maps.Keys(p.partitions)) {
		at := p.partitions[number]
		dst = binary.AppendUvarint(dst, uint64(number))
		dst = binary.AppendUvarint(dst, uint64(at.next))
		dst = binary.AppendUvarint(dst, at.skip)
	}
	return dst
}

// parsePlace reads an offset. None is the place of a feed that never ran.
func parsePlace(b []byte) (place, error) {
	if len(b) == 0 {
		return place{}, nil
	}
	if b[0] != placeVersion {
		return place{}, errPlace
	}
	b = b[1:]
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 1 << 63
		}
		b = b[n:]
		return v
	}
	var p place
	length := number()
	if length > 249 || uint64(len(b)) < length+16 {
		return place{}, errPlace
	}
	p.topic = string(b[:length])
	b = b[length:]
	p.id = [16]byte(b)
	b = b[16:]
	last, n := binary.Varint(b)
	if n <= 0 {
		return place{}, errPlace
	}
	p.last = market.Time(last)
	b = b[n:]
	count := number()
	if count > uint64(len(b))/3 {
		return place{}, errPlace
	}
	p.partitions = make(map[int32]position, count)
	before := int64(-1)
	for range count {
		id, next, skip := number(), number(), number()
		if id > 1<<31-1 || int64(id) <= before || next > 1<<63-1 || skip > 1<<31 {
			return place{}, errPlace
		}
		before = int64(id)
		p.partitions[int32(id)] = position{int64(next), skip}
	}
	if len(b) != 0 {
		return place{}, errPlace
	}
	return p, nil
}
