package websocket

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// tail ends what is to be inflated: the four bytes that the sender has taken off (RFC 7692, 7.2.2), and an empty block that is the
// last, so that the end is told from a cut.
const tail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// maxFinals bounds how often a message may begin anew behind a block that calls itself the last (RFC 7692, 7.2.3.4), which few
// senders do at all. Beginning anew takes microseconds for two bytes of message.
const maxFinals = 64

// maxScratch is how long a copy of a message stays with its inflater.
const maxScratch = 128 << 10

// Inflaters lends what inflating needs to the decoders that share it, for the time of a message: the state of an inflater is about
// 40 KiB, and a connection spends its life without. The zero value is ready; for use by several goroutines at once.
type Inflaters struct{ pool sync.Pool }

type inflater struct {
	src bytes.Reader
	r   io.ReadCloser
	in  []byte // the message and its tail
}

// inflate appends what payload inflates to, at most limit bytes, to dst, which is empty and does not share memory with payload unless
// it begins where payload does.
func (s *Inflaters) inflate(dst, payload []byte, limit int) ([]byte, *Error) {
	if len(payload) == 0 {
		// RFC 7692 writes an empty message as one byte of zero, but some write it as no byte at all.
		return dst, nil
	}
	z := s.get()
	defer s.put(z)
	z.in = append(append(z.in[:0], payload...), tail...)
	z.src.Reset(z.in)
	if err := z.reset(nil); err != nil {
		return nil, corrupt()
	}
	for range maxFinals {
		var fault *Error
		if dst, fault = z.drain(dst, len(payload), limit); fault != nil {
			return nil, fault
		}
		// All is read, or all but the tail: a last block without the byte that should follow it.
		if rest := z.src.Len(); rest == 0 || rest == len(tail) {
			return dst, nil
		}
		if err := z.reset(dst); err != nil {
			return nil, corrupt()
		}
	}
	return nil, corrupt()
}

// drain appends to dst until a block that is the last. Room doubles as it is filled, so that what a message takes depends on what is
// in it and not on what could be.
func (z *inflater) drain(dst []byte, size, limit int) ([]byte, *Error) {
	for {
		if len(dst) == cap(dst) {
			// One byte more than may be, to see it.
			room := make([]byte, len(dst), min(max(2*cap(dst), 4*size, 256), limit+1))
			copy(room, dst)
			dst = room
		}
		n, err := z.r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return nil, &Error{Code: CodeTooBig, Reason: "message is too big when inflated"}
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return nil, corrupt()
		}
	}
}

func corrupt() *Error { return &Error{Code: CodeInvalid, Reason: "compressed message is damaged"} }

func (z *inflater) reset(window []byte) error {
	if z.r == nil {
		z.r = flate.NewReaderDict(&z.src, window)
		return nil
	}
	r, ok := z.r.(flate.Resetter)
	if !ok {
		panic("BUG: the inflater cannot be used again")
	}
	return r.Reset(&z.src, window)
}

func (s *Inflaters) get() *inflater {
	if s != nil {
		if z, ok := s.pool.Get().(*inflater); ok {
			return z
		}
	}
	return new(inflater)
}

func (s *Inflaters) put(z *inflater) {
	if s == nil {
		return
	}
	z.src.Reset(nil)
	if cap(z.in) > maxScratch {
		z.in = nil
	}
	s.pool.Put(z)
}
