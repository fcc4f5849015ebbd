package replay

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"

	"tapedeck/internal/market"
)

// place is where a replay stands. It is what the feed's offset holds, so that a replay that was killed goes on with the next row.
//
//	version   1 byte, 1
//	identity  16 bytes: of the file, and of the parameters that say which rows it gives
//	done      1 byte, 1 when the file has been played to its end
//	rows      uvarint: rows of this pass that were played, bad ones included
//	pass      uvarint: passes completed before this one
//	first     varint: time of the first row of the file
//	last      varint: latest time of a row so far
//	span      varint: by how much each pass is later than the one before, 0 in the first
type place struct {
	identity [16]byte
	done     bool
	rows     uint64
	pass     uint64
	first    market.Time
	last     market.Time
	span     market.Time
}

const placeVersion = 1

// append appends the offset to dst.
func (p *place) append(dst []byte) []byte {
	dst = append(dst, placeVersion)
	dst = append(dst, p.identity[:]...)
	if p.done {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, p.rows)
	dst = binary.AppendUvarint(dst, p.pass)
	dst = binary.AppendVarint(dst, int64(p.first))
	dst = binary.AppendVarint(dst, int64(p.last))
	return binary.AppendVarint(dst, int64(p.span))
}

// parsePlace reads an offset; ok is false when it is not one of this version, which means from the beginning.
func parsePlace(b []byte) (p place, ok bool) {
	if len(b) < 18 || b[0] != placeVersion || b[17] > 1 {
		return place{}, false
	}
	p.identity = [16]byte(b[1:17])
	p.done = b[17] == 1
	b = b[18:]
	for _, into := range []*uint64{&p.rows, &p.pass} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return place{}, false
		}
		*into, b = v, b[n:]
	}
	for _, into := range []*market.Time{&p.first, &p.last, &p.span} {
		v, n := binary.Varint(b)
		if n <= 0 {
			return place{}, false
		}
		*into, b = market.Time(v), b[n:]
	}
	return p, len(b) == 0
}

// identityChunk is how much of each end of a file its identity is taken from.
const identityChunk = 64 << 10

// identify returns what tells a file from another, and from itself after a change: its size and its two ends, together with the
// parameters that say which rows it gives. Its name and times do not count: a copy is the same file.
func identify(f *os.File, size int64, params string) (id [16]byte, err error) {
	h := sha256.New()
	var head [8]byte
	binary.LittleEndian.PutUint64(head[:], uint64(size))
	_, _ = h.Write(head[:]) // A hash never fails.
	_, _ = io.WriteString(h, params+"\x00")
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, min(size, identityChunk))); err != nil {
		return id, err
	}
	if size > identityChunk {
		if _, err := io.Copy(h, io.NewSectionReader(f, max(size-identityChunk, identityChunk), identityChunk)); err != nil {
			return id, err
		}
	}
	copy(id[:], h.Sum(nil))
	return id, nil
}
