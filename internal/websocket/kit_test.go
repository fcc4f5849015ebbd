package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"

	"github.com/google/go-cmp/cmp"
)

// bytewise compares payloads at once; a byte at a time takes seconds.
var bytewise = cmp.Comparer(bytes.Equal)

// frame is a frame as a client may send it, right or wrong.
type frame struct {
	first   byte   // FIN, RSV1 to 3 and opcode
	payload []byte // masked when key is not nil
	key     *[4]byte
	form    int     // bytes of the extended length: 0 for the shortest form, or 2 or 8
	claim   *uint64 // the length that is announced, when it is not the payload's
}

func (f frame) append(dst []byte) []byte {
	length := uint64(len(f.payload))
	if f.claim != nil {
		length = *f.claim
	}
	form := f.form
	if form == 0 && length > 125 {
		form = 2
		if length > 0xffff {
			form = 8
		}
	}
	second := byte(0)
	if f.key != nil {
		second = bitMasked
	}
	switch form {
	case 0:
		dst = append(dst, f.first, second|byte(length))
	case 2:
		dst = binary.BigEndian.AppendUint16(append(dst, f.first, second|126), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, f.first, second|127), length)
	}
	if f.key == nil {
		return append(dst, f.payload...)
	}
	dst = append(dst, f.key[:]...)
	for i, c := range f.payload {
		dst = append(dst, c^f.key[i%4])
	}
	return dst
}

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// client is a masked frame.
func client(first byte, payload string) []byte {
	return frame{first: first, payload: []byte(payload), key: &testKey}.append(nil)
}

// server is a frame without mask.
func server(first byte, payload string) []byte {
	return frame{first: first, payload: []byte(payload)}.append(nil)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// outcome is what a stream of bytes has come to.
type outcome struct {
	Messages []Message
	Err      *Error
	Idle     bool
}

// decode feeds the stream in pieces of the sizes that cut says.
func decode(d *Decoder, stream []byte, cut func() int) outcome {
	var o outcome
	for len(stream) > 0 {
		p := bytes.Clone(stream[:min(len(stream), max(1, cut()))])
		stream = stream[len(p):]
		for len(p) > 0 {
			n, m, err := d.Next(p)
			if err != nil {
				var fault *Error
				if !errors.As(err, &fault) {
					panic("not an *Error")
				}
				o.Err = fault
				return o
			}
			if m.Op != 0 {
				m.Payload = bytes.Clone(m.Payload)
				if m.Payload == nil {
					m.Payload = []byte{}
				}
				o.Messages = append(o.Messages, m)
				d.Release()
			} else if n < len(p) {
				panic("bytes were left though more are wanted")
			}
			p = p[n:]
		}
	}
	o.Idle = d.Idle()
	return o
}

// ways are the ways in which the same bytes may come.
func ways(seed uint64) map[string]func() int {
	rng := rand.New(rand.NewPCG(seed, 7))
	return map[string]func() int{
		"in one piece":  func() int { return 1 << 30 },
		"byte by byte":  func() int { return 1 },
		"split":         func() int { return 1 + rng.IntN(9) },
		"split rarely":  func() int { return 1 + rng.IntN(4000) },
		"split in five": func() int { return 5 },
	}
}
