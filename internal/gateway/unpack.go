package gateway

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// opaque stands for a value of a client that no request has a use for: bytes, or an extension other than a time. It may be in a
// member that is ignored, and is of the wrong type anywhere else.
type opaque struct{}

// errShort is a MessagePack value that ends too early.
var errShort = errors.New("not MessagePack: it ends too early")

// unpackValue reads one MessagePack value and nothing behind it, into the shapes that decodeJSON has: nil, bool, string, json.Number,
// []any and map[string]any, besides opaque. A timestamp becomes its text in RFC 3339. The limits are those of JSON: so deep, no member
// twice, names and texts in UTF-8. What a header claims is not believed: a list of 2^32 values costs what is really there.
func unpackValue(data []byte) (any, error) {
	u := &unpacker{data: data}
	v, err := u.value(0)
	if err != nil {
		return nil, err
	}
	if u.at < len(data) {
		return nil, fmt.Errorf("something follows the message at byte %d", u.at)
	}
	return v, nil
}

// unpacker is a place in a message.
type unpacker struct {
	data []byte
	at   int
}

// take returns the next n bytes.
func (u *unpacker) take(n uint64) ([]byte, error) {
	if n > uint64(len(u.data)-u.at) {
		return nil, errShort
	}
	b := u.data[u.at : u.at+int(n)]
	u.at += int(n)
	return b, nil
}

// number reads an unsigned integer of 1, 2, 4 or 8 bytes.
func (u *unpacker) number(width uint64) (uint64, error) {
	b, err := u.take(width)
	if err != nil {
		return 0, err
	}
	switch width {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), nil
	}
	return binary.BigEndian.Uint64(b), nil
}

func (u *unpacker) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	from := u.at
	b, err := u.take(1)
	if err != nil {
		return nil, err
	}
	c := b[0]
	switch {
	case c <= 0x7f || c >= 0xe0:
		return json.Number(strconv.Itoa(int(int8(c)))), nil
	case c <= 0x8f:
		return u.members(uint64(c&0xf), depth)
	case c <= 0x9f:
		return u.list(uint64(c&0xf), depth)
	case c <= 0xbf:
		return u.text(uint64(c & 0x1f))
	case c == 0xc0:
		return nil, nil
	case c == 0xc2 || c == 0xc3:
		return c == 0xc3, nil
	case c == 0xca || c == 0xcb:
		return u.float(c, from)
	case c >= 0xcc && c <= 0xcf:
		n, err := u.number(1 << (c - 0xcc))
		return json.Number(strconv.FormatUint(n, 10)), err
	case c >= 0xd0 && c <= 0xd3:
		return u.signed(1 << (c - 0xd0))
	case c >= 0xd4 && c <= 0xd8:
		return u.extension(1<<(c-0xd4), from)
	}
	return u.sized(c, from, depth)
}

// sized reads a value whose header is followed by its size.
func (u *unpacker) sized(c byte, from, depth int) (any, error) {
	width := uint64(0)
	switch c {
	case 0xc4, 0xc7, 0xd9:
		width = 1
	case 0xc5, 0xc8, 0xda, 0xdc, 0xde:
		width = 2
	case 0xc6, 0xc9, 0xdb, 0xdd, 0xdf:
		width = 4
	default:
		return nil, fmt.Errorf("not MessagePack at byte %d", from)
	}
	n, err := u.number(width)
	if err != nil {
		return nil, err
	}
	switch c {
	case 0xc4, 0xc5, 0xc6:
		_, err := u.take(n)
		return opaque{}, err
	case 0xc7, 0xc8, 0xc9:
		return u.extension(n, from)
	case 0xd9, 0xda, 0xdb:
		return u.text(n)
	case 0xdc, 0xdd:
		return u.list(n, depth)
	}
	return u.members(n, depth)
}

func (u *unpacker) signed(width uint64) (any, error) {
	n, err := u.number(width)
	unused := 64 - 8*width // its sign is that of its own highest bit
	return json.Number(strconv.FormatInt(int64(n<<unused)>>unused, 10)), err
}

func (u *unpacker) float(c byte, from int) (any, error) {
	width, bits := uint64(8), 64
	if c == 0xca {
		width, bits = 4, 32
	}
	n, err := u.number(width)
	if err != nil {
		return nil, err
	}
	f := math.Float64frombits(n)
	if bits == 32 {
		f = float64(math.Float32frombits(uint32(n)))
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the float at byte %d is not a number", from)
	}
	return json.Number(strconv.FormatFloat(f, 'f', -1, bits)), nil
}

func (u *unpacker) text(n uint64) (string, error) {
	from := u.at
	b, err := u.take(n)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("the text at byte %d is not UTF-8", from)
	}
	return string(b), nil
}

func (u *unpacker) list(n uint64, depth int) (any, error) {
	list := []any{}
	for ; n > 0; n-- {
		v, err := u.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (u *unpacker) members(n uint64, depth int) (any, error) {
	o := make(map[string]any)
	for ; n > 0; n-- {
		from := u.at
		k, err := u.value(depth + 1)
		if err != nil {
			return nil, err
		}
		name, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("the name of a member at byte %d is not a text", from)
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%.40q occurs twice", name)
		}
		if o[name], err = u.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// extension reads an extension of n bytes. Type -1 is a time: 32 bits of seconds, or 30 bits of nanoseconds and 34 of seconds, or
// 32 bits of nanoseconds and 64 of seconds.
func (u *unpacker) extension(n uint64, from int) (any, error) {
	kind, err := u.number(1)
	if err != nil {
		return nil, err
	}
	b, err := u.take(n)
	if err != nil || int8(kind) != -1 {
		return opaque{}, err
	}
	var seconds, ns int64
	switch n {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(b))
	case 8:
		both := binary.BigEndian.Uint64(b)
		seconds, ns = int64(both&(1<<34-1)), int64(both>>34)
	case 12:
		seconds, ns = int64(binary.BigEndian.Uint64(b[4:])), int64(binary.BigEndian.Uint32(b))
	default:
		return nil, fmt.Errorf("the time at byte %d has %d bytes", from, n)
	}
	const years = 1 << 37 // seconds of four thousand years
	if ns >= int64(time.Second) || seconds < -years || seconds > years {
		return nil, fmt.Errorf("the time at byte %d is out of range", from)
	}
	return time.Unix(seconds, ns).UTC().Format(time.RFC3339Nano), nil
}
