package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// DefaultLimit is the Limit of a [Decoder] that was given none.
const DefaultLimit = 64 << 10

// maxLimit bounds every Limit, so that twice and four times of it are an int with 32 bits too.
const maxLimit = 256 << 20

// maxMaskedHeader is the longest header of a frame: two bytes, eight of length, four of key.
const maxMaskedHeader = 14

// Decoder turns the bytes of one direction into messages. It is made to be a field of something larger, ten thousand times: it is
// small, and holds memory only while a message is in pieces. Init comes before the first Next. Not for use by several goroutines
// at once.
type Decoder struct {
	inflaters *Inflaters
	dead      *Error // what Next has returned, once it has
	buf       []byte // the message so far, as it came, or the inflated message that was returned last
	ctl       []byte // a control frame so far, when it came in pieces
	limit     int    // bytes of a message
	left      int    // bytes of the frame that are still to come
	checked   int    // bytes of buf that are whole characters

	head  [maxMaskedHeader]byte // a header so far, when it came in pieces
	heads uint8                 // bytes of head

	key     [4]byte // for the next byte of the frame
	op      Opcode  // of the frame
	message Opcode  // of the message that the frame belongs to, 0 between messages

	client    bool
	deflate   bool
	framed    bool // the header of a frame has been read, but not all of its payload
	final     bool // the frame is its message's last
	deflated  bool // the message is compressed
	delivered bool // buf was returned, and is the caller's until the next call
}

// DecoderOptions say what a [Decoder] accepts.
type DecoderOptions struct {
	Limit   int  // bytes of a message, inflated; 0 means DefaultLimit, and 256 MiB is the most
	Client  bool // we are the client: frames must not be masked; otherwise they must be
	Deflate bool // compressed messages are accepted, without context takeover
	// Inflaters lends what inflating needs, about 40 KiB while it lasts. Without, each compressed message makes its own.
	Inflaters *Inflaters
}

// Message is a whole message, or a control frame.
type Message struct {
	Op      Opcode // 0 when there is none
	Payload []byte // of OpClose the reason
	Code    Code   // of OpClose; CodeNoStatus when there was none
}

// NewDecoder returns a Decoder that is ready for Next.
func NewDecoder(o DecoderOptions) *Decoder {
	d := new(Decoder)
	d.Init(o)
	return d
}

// Init makes d ready for Next, and forgets what was read.
func (d *Decoder) Init(o DecoderOptions) {
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	*d = Decoder{limit: min(o.Limit, maxLimit), client: o.Client, deflate: o.Deflate, inflaters: o.Inflaters}
}

// Next takes bytes from p, and returns how many it took and the message that they completed; m.Op is 0 when all of p was taken and
// more is wanted. It is called again with what it left.
//
// Data messages come whole, inflated, with text checked to be UTF-8; control frames come between their fragments. The payload is
// valid until the next call, and may lie in p: p is unmasked in place. A message that is a single frame and whole in p costs no copy
// and no allocation, unless it is compressed.
//
// err is an [*Error]. After it the decoder is dead, and returns it again.
func (d *Decoder) Next(p []byte) (n int, m Message, err error) {
	n, m, fault := d.next(p)
	if fault != nil {
		d.dead, d.buf, d.ctl = fault, nil, nil
		return n, Message{}, fault
	}
	return n, m, nil
}

// Release gives back the memory of what Next has returned. A message that is half read stays.
func (d *Decoder) Release() {
	if !d.framed || !d.op.control() {
		d.ctl = nil
	}
	if d.delivered || d.message == 0 {
		d.buf, d.checked, d.delivered = nil, 0, false
	}
}

// Idle reports whether nothing is half read.
func (d *Decoder) Idle() bool { return d.heads == 0 && !d.framed && d.message == 0 }

func (d *Decoder) next(p []byte) (n int, m Message, fault *Error) {
	if d.dead != nil {
		return 0, m, d.dead
	}
	if d.delivered {
		d.buf, d.checked, d.delivered = d.buf[:0], 0, false
	}
	for {
		if !d.framed {
			if n == len(p) {
				return n, m, nil
			}
			took, fault := d.header(p[n:])
			n += took
			if fault != nil || !d.framed {
				return n, m, fault
			}
		}
		end := n + min(len(p)-n, d.left)
		chunk := p[n:end:end] // an append to a payload does not reach what follows it
		n = end
		d.left -= len(chunk)
		if !d.client {
			mask(chunk, d.key)
			d.key = turned(d.key, len(chunk))
		}
		if d.op.control() {
			m, fault = d.control(chunk)
		} else {
			m, fault = d.data(chunk)
		}
		if m.Op != 0 || fault != nil || d.left > 0 {
			return n, m, fault
		}
	}
}

// header takes a header from the front of p, or what there is of it; framed says that it was whole.
func (d *Decoder) header(p []byte) (n int, fault *Error) {
	if d.heads == 0 {
		n, fault = d.parse(p)
		if n == 0 && fault == nil {
			n = copy(d.head[:], p)
			d.heads = uint8(n)
		}
		return n, fault
	}
	for n < len(p) && !d.framed {
		d.head[d.heads] = p[n]
		d.heads++
		n++
		if _, fault = d.parse(d.head[:d.heads]); fault != nil {
			return n, fault
		}
	}
	if d.framed {
		d.heads = 0
	}
	return n, nil
}

// parse reads the header at the front of h and begins its frame. It returns how long the header is, or 0 when h ends within. What is
// wrong is said as soon as the bytes that show it are there, in an order that does not depend on how they come.
func (d *Decoder) parse(h []byte) (size int, fault *Error) {
	if len(h) < 2 {
		return 0, nil
	}
	op := Opcode(h[0] & 0x0f)
	if fault := d.acceptable(op, h[0], h[1]); fault != nil {
		return 0, fault
	}
	size = 2
	length := uint64(h[1] &^ bitMasked)
	switch {
	case length < 126:
	case length == 126:
		size = 4
		if len(h) < size {
			return 0, nil
		}
		length = uint64(binary.BigEndian.Uint16(h[2:]))
		if length < 126 {
			return 0, protocolError("length of a frame is not written in its shortest form")
		}
	default:
		size = 10
		if len(h) < size {
			return 0, nil
		}
		length = binary.BigEndian.Uint64(h[2:])
		if length >= 1<<63 {
			return 0, protocolError("length of a frame has its top bit set")
		}
		if length <= 0xffff {
			return 0, protocolError("length of a frame is not written in its shortest form")
		}
	}
	if !op.control() {
		deflated := d.deflated
		if op != OpContinuation {
			deflated = h[0]&bitDeflated != 0
		}
		// Before the length becomes an int, which may have 32 bits.
		if length > uint64(d.room(deflated)-len(d.buf)) {
			return 0, &Error{Code: CodeTooBig, Reason: "message is too big"}
		}
	}
	if !d.client {
		if len(h) < size+4 {
			return 0, nil
		}
		d.key = [4]byte(h[size:])
		size += 4
	}
	d.begin(op, h[0], int(length))
	return size, nil
}

// acceptable judges the first two bytes of a header.
func (d *Decoder) acceptable(op Opcode, first, second byte) *Error {
	switch {
	case first&bitsUnknown != 0:
		return protocolError("reserved bit is set")
	case first&bitDeflated != 0 && !d.deflate:
		return protocolError("compressed frame, but compression was not agreed on")
	}
	switch op {
	case OpText, OpBinary:
		if d.message != 0 {
			return protocolError("new message within a fragmented one")
		}
	case OpContinuation:
		if d.message == 0 {
			return protocolError("continuation of no message")
		}
		if first&bitDeflated != 0 {
			return protocolError("compression bit on a continuation")
		}
	case OpClose, OpPing, OpPong:
		if first&bitDeflated != 0 {
			return protocolError("compression bit on a control frame")
		}
		if first&bitFin == 0 {
			return protocolError("fragmented control frame")
		}
		if second&^bitMasked > maxControl {
			return protocolError("control frame is too long")
		}
	default:
		return protocolError("reserved opcode")
	}
	switch masked := second&bitMasked != 0; {
	case d.client && masked:
		return protocolError("masked frame from a server")
	case !d.client && !masked:
		return protocolError("frame from a client is not masked")
	}
	return nil
}

// begin starts a frame of size bytes.
func (d *Decoder) begin(op Opcode, first byte, size int) {
	d.op, d.left, d.framed, d.final = op, size, true, first&bitFin != 0
	switch op {
	case OpText, OpBinary:
		d.message, d.deflated = op, first&bitDeflated != 0
	case OpContinuation:
	default:
		d.ctl = d.ctl[:0]
	}
}

// room is how many bytes of a message are kept at most, as they come. Deflating what cannot be compressed makes it longer: by five
// bytes for each stored block, which the smallest settings of zlib begin every 128 bytes.
func (d *Decoder) room(deflated bool) int {
	if deflated {
		return d.limit + d.limit/16 + 64
	}
	return d.limit
}

// control takes a piece of a control frame.
func (d *Decoder) control(chunk []byte) (m Message, fault *Error) {
	if d.left > 0 || len(d.ctl) > 0 {
		if d.ctl == nil {
			d.ctl = make([]byte, 0, maxControl)
		}
		d.ctl = append(d.ctl, chunk...)
		chunk = d.ctl
	}
	if d.left > 0 {
		return m, nil
	}
	d.framed = false
	m = Message{Op: d.op, Payload: chunk}
	if d.op != OpClose {
		return m, nil
	}
	m.Code = CodeNoStatus
	switch len(chunk) {
	case 0:
		return m, nil
	case 1:
		return m, protocolError("close frame of one byte")
	}
	m.Code, m.Payload = Code(binary.BigEndian.Uint16(chunk)), chunk[2:]
	if !m.Code.sendable() {
		return m, protocolError("close code that may not be sent")
	}
	if !utf8.Valid(m.Payload) {
		return m, &Error{Code: CodeInvalid, Reason: "reason of a close frame is not UTF-8"}
	}
	return m, nil
}

// data takes a piece of a data frame.
func (d *Decoder) data(chunk []byte) (m Message, fault *Error) {
	whole := d.left == 0 && d.final
	if !whole || len(d.buf) > 0 {
		d.keep(chunk)
		chunk = d.buf
	}
	if d.left == 0 {
		d.framed = false
	}
	if d.message == OpText && !d.deflated {
		n, ok := checkText(chunk[d.checked:])
		d.checked += n
		if !ok || whole && d.checked < len(chunk) {
			return m, notText()
		}
	}
	if !whole {
		return m, nil
	}
	m = Message{Op: d.message, Payload: chunk}
	d.message, d.checked = 0, 0
	d.delivered = len(d.buf) > 0
	if !d.deflated {
		return m, nil
	}
	d.buf, fault = d.inflaters.inflate(d.buf[:0], chunk, d.limit)
	if fault != nil {
		return m, fault
	}
	d.delivered = true
	m.Payload = d.buf
	if m.Op == OpText && !utf8.Valid(m.Payload) {
		return m, notText()
	}
	return m, nil
}

func notText() *Error { return &Error{Code: CodeInvalid, Reason: "text is not UTF-8"} }

// keep appends a piece to buf. Room is made for what came and a little of what was announced: announcing costs nothing, sending does.
func (d *Decoder) keep(chunk []byte) {
	need := len(d.buf) + len(chunk)
	if need > cap(d.buf) {
		size := max(2*cap(d.buf), need+min(d.left, 1024))
		buf := make([]byte, len(d.buf), min(size, d.room(d.deflated)))
		copy(buf, d.buf)
		d.buf = buf
	}
	d.buf = append(d.buf, chunk...)
}
