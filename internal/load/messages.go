package load

import (
	"encoding/binary"
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"tapedeck/internal/websocket"
)

// maxMessage is the most that a message of a server may have, in bytes; more is not a stream of ticks.
const maxMessage = 64 << 20

// messages puts messages together before they are counted: compressed ones, and MessagePack, which does not show where an object ends.
type messages struct {
	decoder websocket.Decoder
}

func newMessages(deflate bool, inflaters *websocket.Inflaters) *messages {
	m := new(messages)
	m.decoder.Init(websocket.DecoderOptions{Limit: maxMessage, Client: true, Deflate: deflate, Inflaters: inflaters})
	return m
}

func (m *messages) feed(c *conn, p []byte, t *tally) error {
	for {
		n, message, err := m.decoder.Next(p)
		if err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		p = p[n:]
		switch message.Op {
		case 0:
			m.decoder.Release()
			return nil
		case websocket.OpText:
			t.frames++
			if err = c.text(message.Payload, t); err == nil && len(c.carry) > 0 {
				err = fmt.Errorf("%w: a message ends with %.80q", errMalformed, c.carry)
			}
		case websocket.OpBinary:
			t.frames++
			err = c.packed(message.Payload, t)
		case websocket.OpClose:
			err = fmt.Errorf("the server closed the connection with %d %q", message.Code, message.Payload)
		default:
			err = c.control(message.Op, message.Payload)
		}
		if err != nil {
			return err
		}
	}
}

// packed takes in a message of MessagePack: an array of maps, as the JSON one is of objects.
func (c *conn) packed(p []byte, t *tally) error {
	n, p, err := msgp.ReadArrayHeaderBytes(p)
	if err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	for range n {
		if p, err = c.packedObject(p, t); err != nil {
			return err
		}
	}
	if len(p) > 0 {
		return fmt.Errorf("%w: %d bytes behind the array of a message", errMalformed, len(p))
	}
	return nil
}

// packedObject takes in one map and returns what is behind it.
func (c *conn) packedObject(p []byte, t *tally) ([]byte, error) {
	var (
		kind, symbol, text []byte
		seq                uint64
		stamp              int64
	)
	whole := p
	fields, p, err := msgp.ReadMapHeaderBytes(p)
	for ; err == nil && fields > 0; fields-- {
		var key []byte
		if key, p, err = msgp.ReadStringZC(p); err != nil {
			break
		}
		switch string(key) {
		case "T":
			kind, p, err = msgp.ReadStringZC(p)
		case "S":
			symbol, p, err = msgp.ReadStringZC(p)
		case "seq":
			seq, p, err = msgp.ReadUint64Bytes(p)
		case "r":
			stamp, p, err = t.packedTime(p)
		case "msg":
			text, p, err = msgp.ReadStringZC(p)
		default:
			p, err = msgp.Skip(p)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w in %.80q", errMalformed, err, whole)
	}
	series := 0
	switch string(kind) {
	case "subscription":
		c.subscribe(t)
		return p, nil
	case "error":
		return nil, fmt.Errorf("the server says %.200s", text)
	case "t":
	case "q":
		series = 1
	default:
		return p, nil
	}
	if len(symbol) == 0 || seq == 0 {
		return nil, fmt.Errorf("%w: a tick without symbol or number: %.80q", errMalformed, whole)
	}
	c.tick(series+2*t.symbolIndex(symbol), seq, stamp, t)
	return p, nil
}

// packedTime reads a time: MessagePack's own (extension -1), a text as in JSON, or nil.
func (t *tally) packedTime(p []byte) (ns int64, rest []byte, err error) {
	const second = 1_000_000_000
	switch {
	case len(p) >= 6 && p[0] == 0xd6 && p[1] == 0xff:
		return int64(binary.BigEndian.Uint32(p[2:])) * second, p[6:], nil
	case len(p) >= 10 && p[0] == 0xd7 && p[1] == 0xff:
		v := binary.BigEndian.Uint64(p[2:])
		return int64(v&(1<<34-1))*second + int64(v>>34), p[10:], nil
	case len(p) >= 15 && p[0] == 0xc7 && p[1] == 12 && p[2] == 0xff:
		return int64(binary.BigEndian.Uint64(p[7:]))*second + int64(binary.BigEndian.Uint32(p[3:])), p[15:], nil
	case len(p) > 0 && msgp.NextType(p) == msgp.StrType:
		text, rest, err := msgp.ReadStringZC(p)
		ns, _ = t.stamps.read(text)
		return ns, rest, err
	}
	rest, err = msgp.Skip(p)
	return 0, rest, err
}
