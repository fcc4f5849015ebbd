package websocket

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

const (
	bitFin      = 0x80 // of the first byte: the last frame of its message
	bitDeflated = 0x40 // of the first byte: RSV1, the message is compressed (RFC 7692, 6)
	bitsUnknown = 0x30 // of the first byte: RSV2 and RSV3, which nobody has agreed on
	bitMasked   = 0x80 // of the second byte

	maxControl = 125 // bytes that a control frame carries
	maxReason  = maxControl - 2
)

// MaxHeader is the longest header of a frame that a server sends.
const MaxHeader = 10

// PutHeader writes the header of a server's frame (final, not masked) of size bytes so that it ends at room[end], and returns where
// it begins. MaxHeader bytes in front of end are enough.
func PutHeader(room []byte, end int, op Opcode, deflated bool, size int) (begin int) {
	begin = end - headerSize(size)
	putHeader(room[begin:end], op, deflated, size)
	return begin
}

// headerSize is how long the header of a frame of size bytes is, without a mask.
func headerSize(size int) int {
	switch {
	case size <= 125:
		return 2
	case size <= 0xffff:
		return 4
	default:
		return 10
	}
}

// putHeader fills h, of headerSize bytes.
func putHeader(h []byte, op Opcode, deflated bool, size int) {
	h[0] = bitFin | byte(op)
	if deflated {
		h[0] |= bitDeflated
	}
	switch len(h) {
	case 2:
		h[1] = byte(size)
	case 4:
		h[1] = 126
		binary.BigEndian.PutUint16(h[2:], uint16(size))
	default:
		h[1] = 127
		binary.BigEndian.PutUint64(h[2:], uint64(size))
	}
}

// AppendFrame appends a server's frame: final, not masked, not compressed. A control frame carries at most 125 bytes.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	var room [MaxHeader]byte
	begin := PutHeader(room[:], MaxHeader, op, false, len(payload))
	return append(append(dst, room[begin:]...), payload...)
}

// AppendMasked appends a client's frame: final, masked with key, not compressed. A control frame carries at most 125 bytes.
// The key must be unpredictable where a proxy could mistake what is sent for HTTP (RFC 6455, 10.3).
func AppendMasked(dst []byte, op Opcode, key [4]byte, payload []byte) []byte {
	var room [MaxHeader]byte
	begin := PutHeader(room[:], MaxHeader, op, false, len(payload))
	room[begin+1] |= bitMasked
	dst = append(append(dst, room[begin:]...), key[:]...)
	at := len(dst)
	dst = append(dst, payload...)
	mask(dst[at:], key)
	return dst
}

// AppendClose appends a server's close frame. The reason is cut to the 123 bytes that fit, between characters. A code that may not be
// sent, as CodeNoStatus, makes a frame without code and reason.
func AppendClose(dst []byte, code Code, reason string) []byte {
	var room [maxControl]byte
	return AppendFrame(dst, OpClose, appendReason(room[:0], code, reason))
}

// AppendMaskedClose appends a client's close frame, like AppendClose.
func AppendMaskedClose(dst []byte, key [4]byte, code Code, reason string) []byte {
	var room [maxControl]byte
	return AppendMasked(dst, OpClose, key, appendReason(room[:0], code, reason))
}

func appendReason(dst []byte, code Code, reason string) []byte {
	if !code.sendable() {
		return dst
	}
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}
