package alpaca

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"tapedeck/internal/market"
)

// errPacked is that of a message that is not MessagePack, or has no words in JSON.
var errPacked = errors.New("not the MessagePack that was expected")

// deepest is how deeply values may lie in each other. Two levels are in use.
const deepest = 16

// unpack appends a message in MessagePack (github.com/msgpack/msgpack, spec.md) to dst as JSON, so that both are read by the same
// code. A floating-point number gets the fewest digits that name it and no other, which are those that the venue had; a timestamp
// becomes text. What JSON has no word for (a number that is none, binary data) is refused or null.
func unpack(dst, msg []byte) ([]byte, error) {
	u := unpacker{out: dst, in: msg}
	if !u.value(0) || len(u.in) > 0 {
		return u.out, errPacked
	}
	return u.out, nil
}

type unpacker struct{ out, in []byte }

// take returns the next n bytes.
func (u *unpacker) take(n int) ([]byte, bool) {
	if n < 0 || len(u.in) < n {
		return nil, false
	}
	b := u.in[:n]
	u.in = u.in[n:]
	return b, true
}

// number reads n bytes as an unsigned number.
func (u *unpacker) number(n int) (uint64, bool) {
	b, ok := u.take(n)
	if !ok {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, true
}

// value reads one value.
func (u *unpacker) value(depth int) bool {
	b, ok := u.take(1)
	if !ok || depth > deepest {
		return false
	}
	switch c := b[0]; {
	case c < 0x80:
		u.out = strconv.AppendUint(u.out, uint64(c), 10)
		return true
	case c < 0x90:
		return u.members(uint64(c&0x0f), depth)
	case c < 0xa0:
		return u.elements(uint64(c&0x0f), depth)
	case c < 0xc0:
		return u.text(uint64(c & 0x1f))
	case c >= 0xe0:
		u.out = strconv.AppendInt(u.out, int64(int8(c)), 10)
		return true
	default:
		return u.long(c, depth)
	}
}

// long reads a value whose type has a byte of its own.
func (u *unpacker) long(c byte, depth int) bool {
	switch c {
	case 0xc0:
		u.out = append(u.out, "null"...)
		return true
	case 0xc2:
		u.out = append(u.out, "false"...)
		return true
	case 0xc3:
		u.out = append(u.out, "true"...)
		return true
	case 0xca:
		n, ok := u.number(4)
		return ok && u.float(float64(math.Float32frombits(uint32(n))), 32)
	case 0xcb:
		n, ok := u.number(8)
		return ok && u.float(math.Float64frombits(n), 64)
	case 0xcc, 0xcd, 0xce, 0xcf:
		n, ok := u.number(1 << (c - 0xcc))
		u.out = strconv.AppendUint(u.out, n, 10)
		return ok
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := 1 << (c - 0xd0)
		n, ok := u.number(size)
		shift := 64 - 8*size
		u.out = strconv.AppendInt(u.out, int64(n<<shift)>>shift, 10)
		return ok
	case 0xd6, 0xd7: // an extension of 4 or 8 bytes
		return u.extension(4 << (c - 0xd6))
	case 0xc7:
		n, ok := u.number(1)
		return ok && u.extension(int(n))
	}
	return u.counted(c, depth)
}

// counted reads a value that begins with its length.
func (u *unpacker) counted(c byte, depth int) bool {
	width := map[byte]int{0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4}[c]
	n, ok := u.number(width)
	if width == 0 || !ok {
		return false
	}
	switch c {
	case 0xd9, 0xda, 0xdb:
		return u.text(n)
	case 0xdc, 0xdd:
		return u.elements(n, depth)
	}
	return u.members(n, depth)
}

func (u *unpacker) elements(n uint64, depth int) bool {
	u.out = append(u.out, '[')
	for i := range n {
		if i > 0 {
			u.out = append(u.out, ',')
		}
		if !u.value(depth + 1) {
			return false
		}
	}
	u.out = append(u.out, ']')
	return true
}

func (u *unpacker) members(n uint64, depth int) bool {
	u.out = append(u.out, '{')
	for i := range n {
		if i > 0 {
			u.out = append(u.out, ',')
		}
		at := len(u.out)
		if !u.value(depth+1) || u.out[at] != '"' {
			return false
		}
		u.out = append(u.out, ':')
		if !u.value(depth + 1) {
			return false
		}
	}
	u.out = append(u.out, '}')
	return true
}

// text reads a string of n bytes. Control characters do not occur in what the venue sends, and are spaces.
func (u *unpacker) text(n uint64) bool {
	if n > uint64(len(u.in)) {
		return false
	}
	b, _ := u.take(int(n))
	u.out = append(u.out, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			u.out = append(u.out, '\\', c)
		case c < ' ':
			u.out = append(u.out, ' ')
		default:
			u.out = append(u.out, c)
		}
	}
	u.out = append(u.out, '"')
	return true
}

// float writes a number in plain digits, as JSON wants it.
func (u *unpacker) float(f float64, bits int) bool {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return false
	}
	u.out = strconv.AppendFloat(u.out, f, 'g', -1, bits)
	return true
}

// extension reads n bytes of an extension type, of which only the timestamp (-1) is known: 4 bytes are seconds, 8 are 30 bits of
// nanoseconds before 34 bits of seconds, 12 are nanoseconds and seconds.
func (u *unpacker) extension(n int) bool {
	kind, ok := u.take(1)
	if !ok {
		return false
	}
	b, ok := u.take(n)
	if !ok {
		return false
	}
	if kind[0] != 0xff {
		u.out = append(u.out, "null"...)
		return true
	}
	var sec, ns int64
	switch n {
	case 4:
		sec = int64(binary.BigEndian.Uint32(b))
	case 8:
		v := binary.BigEndian.Uint64(b)
		sec, ns = int64(v&(1<<34-1)), int64(v>>34)
	case 12:
		ns, sec = int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:]))
	default:
		return false
	}
	const most = int64(1<<63-1) / int64(market.Second) // seconds that a Time reaches
	if ns >= int64(market.Second) || sec < -most+1 || sec > most-1 {
		return false
	}
	u.out = append((market.Time(sec)*market.Second + market.Time(ns)).AppendRFC3339(append(u.out, '"')), '"')
	return true
}
