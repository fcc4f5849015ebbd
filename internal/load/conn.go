package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"tapedeck/internal/websocket"
)

// errMalformed is a stream that cannot be counted.
var errMalformed = errors.New("malformed stream")

// Frames (RFC 6455, section 5.2).
const (
	finBit       = 0x80
	reservedBits = 0x70
	opBits       = 0x0f
	maskBit      = 0x80
	lengthBits   = 0x7f
	maxHeader    = 10      // of a frame without a mask
	maxObject    = 1 << 20 // bytes of an object that is kept until its end comes
)

// conn is what a connection remembers between reads. It belongs to the goroutine of its tally.
type conn struct {
	remaining uint64           // bytes of the frame that have not come yet
	opcode    websocket.Opcode // of the frame
	inside    bool             // in a frame
	fin       bool             // of the frame
	open      bool             // in a message of several frames
	full      bool             // look at every tick
	ready     bool             // the server has confirmed the subscription
	headLen   uint8
	head      [maxHeader]byte // a header of which the end has not come
	small     []byte          // payload of a control frame of which the end has not come
	carry     []byte          // an object of which the end has not come

	only int      // the series that the numbers are of, as long as it is one; -1 when there was none yet
	last uint64   // its last number
	more []uint64 // the last number of every series, once there are several

	decode *messages // takes the bytes instead, where messages must be put together first

	answer []byte // what has to be sent: a pong
}

func newConn(full bool) conn { return conn{full: full, only: -1} }

// feed takes in what was read, wherever it begins and ends.
func (c *conn) feed(p []byte, t *tally) error {
	if c.decode != nil {
		return c.decode.feed(c, p, t)
	}
	for len(p) > 0 {
		if !c.inside {
			n, err := c.header(p)
			if err != nil {
				return err
			}
			p = p[n:]
			if !c.inside {
				continue
			}
			t.frames++
		}
		part := p
		if uint64(len(part)) > c.remaining {
			part = part[:c.remaining]
		}
		p = p[len(part):]
		c.remaining -= uint64(len(part))
		c.inside = c.remaining > 0
		if err := c.payload(part, t); err != nil {
			return err
		}
	}
	return nil
}

// header reads the header of a frame, or as much of it as there is, and returns how many bytes it took.
func (c *conn) header(p []byte) (n int, err error) {
	h := p
	if c.headLen > 0 { // Most headers lie in one piece.
		n = copy(c.head[c.headLen:], p)
		h = c.head[:int(c.headLen)+n]
	}
	size := 2
	if len(h) >= 2 {
		switch h[1] & lengthBits {
		case 126:
			size = 4
		case 127:
			size = maxHeader
		}
	}
	if len(h) < size {
		n = len(p)
		copy(c.head[c.headLen:], p)
		c.headLen += uint8(n)
		return n, nil
	}
	n = size - int(c.headLen)
	c.headLen = 0
	switch size {
	case 2:
		c.remaining = uint64(h[1] & lengthBits)
	case 4:
		c.remaining = uint64(binary.BigEndian.Uint16(h[2:]))
	default:
		c.remaining = binary.BigEndian.Uint64(h[2:])
	}
	c.inside = true
	return n, c.begin(h[0], h[1])
}

// begin checks the first two bytes of a frame.
func (c *conn) begin(first, second byte) error {
	c.opcode, c.fin = websocket.Opcode(first&opBits), first&finBit != 0
	switch {
	case first&reservedBits != 0:
		return fmt.Errorf("%w: reserved bits in a frame that begins with %#02x", errMalformed, first)
	case second&maskBit != 0:
		return fmt.Errorf("%w: the server masks its frames", errMalformed)
	case c.remaining > 1<<62:
		return fmt.Errorf("%w: a frame of %d bytes", errMalformed, c.remaining)
	case c.opcode >= websocket.OpClose:
		if !c.fin || c.remaining > 125 {
			return fmt.Errorf("%w: control frame of %d bytes, final %t", errMalformed, c.remaining, c.fin)
		}
		return nil
	case c.opcode != websocket.OpText && c.opcode != websocket.OpContinuation:
		return fmt.Errorf("%w: a frame with opcode %d in a stream of text", errMalformed, c.opcode)
	case (c.opcode == websocket.OpContinuation) != c.open:
		return fmt.Errorf("%w: opcode %d in or after the wrong frame", errMalformed, c.opcode)
	}
	c.open = !c.fin
	return nil
}

// payload takes in a part of a frame's payload. When it is the last one, inside is false.
func (c *conn) payload(part []byte, t *tally) error {
	if c.opcode >= websocket.OpClose {
		c.small = append(c.small, part...)
		if c.inside {
			return nil
		}
		err := c.control(c.opcode, c.small)
		c.small = c.small[:0]
		return err
	}
	if err := c.text(part, t); err != nil {
		return err
	}
	if !c.inside && c.fin && len(c.carry) > 0 {
		return fmt.Errorf("%w: a message ends with %.80q", errMalformed, c.carry)
	}
	return nil
}

// control answers a control frame.
func (c *conn) control(op websocket.Opcode, payload []byte) error {
	switch op {
	case websocket.OpPing:
		c.answer = websocket.AppendMasked(c.answer, websocket.OpPong, [4]byte{}, payload)
	case websocket.OpClose:
		if len(payload) < 2 {
			return errors.New("the server closed the connection, without a code")
		}
		return fmt.Errorf("the server closed the connection with %d %q", binary.BigEndian.Uint16(payload), payload[2:])
	default: // a pong, which nobody has asked for
	}
	return nil
}

// text takes in a part of a stream of JSON objects, which may begin and end anywhere.
func (c *conn) text(p []byte, t *tally) error {
	if len(c.carry) > 0 {
		i := bytes.IndexByte(p, '}') + 1
		if i == 0 {
			return c.keep(p)
		}
		if err := c.keep(p[:i]); err != nil {
			return err
		}
		err := c.object(c.carry, t)
		c.carry = c.carry[:0]
		if err != nil {
			return err
		}
		p = p[i:]
	}
	if !c.full {
		p = p[c.run(p, t):]
	}
	for {
		p = trim(p)
		i := bytes.IndexByte(p, '}') + 1
		if i == 0 {
			return c.keep(p)
		}
		if err := c.object(p[:i], t); err != nil {
			return err
		}
		p = p[i:]
	}
}

// keep remembers the beginning of an object until the rest of it comes.
func (c *conn) keep(p []byte) error {
	if len(c.carry)+len(p) > maxObject {
		return fmt.Errorf("%w: an object of more than %d bytes", errMalformed, maxObject)
	}
	c.carry = append(c.carry, p...)
	return nil
}

// trim cuts off what stands between objects.
func trim(p []byte) []byte {
	for len(p) > 0 && (p[0] == ',' || p[0] == '[' || p[0] == ']') {
		p = p[1:]
	}
	return p
}

// object takes in one message of the stream.
func (c *conn) object(o []byte, t *tally) error {
	k, ok := t.readTick(o)
	if !ok {
		return c.message(o, t)
	}
	stamp, _ := t.stamps.read(k.stamp)
	c.tick(k.series, k.seq, stamp, t)
	return nil
}

// tick counts a tick and holds its number against the last one of its series.
func (c *conn) tick(series int, seq uint64, stamp int64, t *tally) {
	t.ticks++
	if c.full {
		t.arrived(stamp)
	}
	last := c.place(series)
	switch {
	case *last == 0, seq == *last+1:
	case seq <= *last:
		t.disorder++
		return
	default:
		t.losses += seq - *last - 1
	}
	*last = seq
	t.newest[series] = max(t.newest[series], seq)
}

// place returns where the last number of a series is kept.
func (c *conn) place(series int) *uint64 {
	if c.more == nil {
		if c.only == series {
			return &c.last
		}
		if c.only < 0 {
			c.only = series
			return &c.last
		}
		c.more = make([]uint64, max(c.only, series)+1)
		c.more[c.only] = c.last
	}
	for len(c.more) <= series {
		c.more = append(c.more, 0)
	}
	return &c.more[series]
}

// run counts the ticks of p at once if they are what must come next: all of one series, beginning with the number after the last.
// It returns how many bytes that were; 0 when each object must be looked at.
func (c *conn) run(p []byte, t *tally) int {
	head := bytes.IndexByte(p, '}') + 1
	end := bytes.LastIndexByte(p, '}') + 1
	if head == end || c.more != nil {
		return 0
	}
	first, ok := t.readTick(trim(p[:head]))
	if !ok || first.series != c.only || first.seq != c.last+1 {
		return 0
	}
	last, ok := t.readTick(p[bytes.LastIndexByte(p[:end], '{'):end])
	n := uint64(bytes.Count(p[:end], []byte{'}'}))
	if !ok || last.series != c.only || last.seq-c.last != n {
		return 0
	}
	c.last = last.seq
	t.ticks += n
	t.newest[c.only] = max(t.newest[c.only], c.last)
	return end
}

// subscribe notes that the server has confirmed the subscription.
func (c *conn) subscribe(t *tally) {
	if !c.ready {
		c.ready = true
		t.subscribed++
	}
}

// behind returns how many ticks others have seen of what this connection has not.
func (c *conn) behind(t *tally) (n uint64) {
	if c.more == nil {
		if c.only < 0 {
			return 0
		}
		return t.newest[c.only] - c.last
	}
	for series, last := range c.more {
		if last > 0 {
			n += t.newest[series] - last
		}
	}
	return n
}
