package gateway

import (
	"encoding/binary"
	"time"

	"tapedeck/internal/websocket"
)

// format is how messages are written down.
type format uint8

const (
	asText   format = iota // JSON
	asPacked               // MessagePack
	formats                // how many there are
)

// carrier is what messages travel in.
type carrier uint8

const (
	inFrames carrier = iota // of a WebSocket
	inEvents                // Server-Sent Events
)

// manner is how a client is spoken to. Clients of one manner that want the same from the same place get the same bytes.
type manner struct {
	dialect dialect
	format  format
	carrier carrier
	deflate bool // long messages are compressed
	cursors bool // messages with ticks end with a cursor
	latest  bool // of each symbol only the newest
}

// parcel is what a client, or many clients that stand at the same place, are to be sent at once: whole frames, or whole events of SSE.
// It is built by one session and does not change after that. Its counter belongs to the goroutine that writes it.
type parcel struct {
	buf      []byte
	from     int   // where what is to be sent begins
	begin    int   // where the message begins that is being built, headroom included
	messages int   // in the message that is being built
	ticks    int   // in all of it
	to       place // where a client stands that has been sent all of it
	refs     int   // how many hold it

	since time.Time // when the first of its ticks was there to be read from the tape; zero when that is not known
}

// headroom is what stands before the first entry of a message at most: the header of a frame, and that of a list in MessagePack.
const headroom = websocket.MaxHeader + 5

// eventHead begins an event of SSE and its list.
const eventHead = "data: ["

// reset makes the parcel empty.
func (p *parcel) reset() {
	p.buf, p.from, p.begin, p.messages, p.ticks = append(p.buf[:0], make([]byte, headroom)...), 0, 0, 0, 0
	p.since = time.Time{}
}

// bytes returns what is to be sent, after the last seal.
func (p *parcel) bytes() []byte { return p.buf[p.from:p.begin] }

// size is how long the message is that is being built.
func (p *parcel) size() int { return len(p.buf) - p.begin - headroom }

// compressFrom is the size from which on a message is compressed. Below it the header and the blocks of DEFLATE eat what is won.
const compressFrom = 512

// seal ends the message that is being built, if there is anything in it, with a cursor if one is given.
func (p *parcel) seal(m manner, cursor string, sc *scratch) {
	if p.messages > 0 {
		if cursor != "" && m.carrier == inFrames && m.dialect != prices {
			p.appendCursor(m.format, cursor)
		}
		switch {
		case m.dialect == prices: // whole frames already
			p.close(p.begin + headroom)
		case m.carrier == inEvents:
			p.sealEvent(cursor)
		case m.format == asPacked:
			at := p.begin + headroom - 5
			p.buf[at] = 0xdd // a list with a length of 32 bits
			binary.BigEndian.PutUint32(p.buf[at+1:], uint32(p.messages))
			p.sealFrame(m, websocket.OpBinary, at, sc)
		default:
			at := p.begin + headroom - 1
			p.buf[at] = '['
			p.buf[len(p.buf)-1] = ']'
			p.sealFrame(m, websocket.OpText, at, sc)
		}
	} else {
		p.buf = p.buf[:p.begin]
	}
	p.begin, p.messages = len(p.buf), 0
}

// next makes room for one more message.
func (p *parcel) next() { p.buf = append(p.buf, make([]byte, headroom)...) }

func (p *parcel) appendCursor(f format, cursor string) {
	if f == asPacked {
		p.buf = appendPackedCursor(p.buf, cursor)
	} else {
		p.buf = append(appendCursor(p.buf, cursor), ',')
	}
	p.messages++
}

// sealFrame puts the header of a frame before the payload that begins at an index.
func (p *parcel) sealFrame(m manner, op websocket.Opcode, at int, sc *scratch) {
	payload := p.buf[at:]
	deflated := false
	if m.deflate && len(payload) >= compressFrom {
		sc.deflated = sc.deflater().Append(sc.deflated[:0], payload)
		if deflated = len(sc.deflated) < len(payload); deflated {
			at = p.begin + headroom
			p.buf = append(p.buf[:at], sc.deflated...)
		}
	}
	p.close(websocket.PutHeader(p.buf, at, op, deflated, len(p.buf)-at))
}

func (p *parcel) sealEvent(cursor string) {
	at := p.begin + headroom - len(eventHead)
	copy(p.buf[at:], eventHead)
	p.buf[len(p.buf)-1] = ']'
	if cursor != "" {
		p.buf = append(append(p.buf, "\nid: "...), cursor...)
	}
	p.buf = append(p.buf, "\n\n"...)
	p.close(at)
}

// close moves the message, which begins at an index, to where it follows the one before it. The first may stay where it is.
func (p *parcel) close(from int) {
	if p.begin == 0 {
		p.from = from
		return
	}
	n := copy(p.buf[p.begin:], p.buf[from:])
	p.buf = p.buf[:p.begin+n]
}

// scratch is what building parcels needs besides the session. A goroutine that builds them keeps one for all its sessions.
type scratch struct {
	blocks   []*block
	newest   newest
	round    round
	z        *websocket.Deflater
	deflated []byte
}

func (sc *scratch) deflater() *websocket.Deflater {
	if sc.z == nil {
		sc.z = websocket.NewDeflater()
	}
	return sc.z
}
