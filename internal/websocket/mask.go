package websocket

import "encoding/binary"

// mask XORs b with the key, in place (RFC 6455, 5.3): masking and unmasking are the same. Eight bytes at a time, and four
// times that a turn of the loop, which the processor does at the speed of memory.
func mask(b []byte, key [4]byte) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k |= k << 32
	for len(b) >= 32 {
		q := b[:32:32]
		binary.LittleEndian.PutUint64(q, binary.LittleEndian.Uint64(q)^k)
		binary.LittleEndian.PutUint64(q[8:], binary.LittleEndian.Uint64(q[8:])^k)
		binary.LittleEndian.PutUint64(q[16:], binary.LittleEndian.Uint64(q[16:])^k)
		binary.LittleEndian.PutUint64(q[24:], binary.LittleEndian.Uint64(q[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// turned is the key for what follows the first n bytes.
func turned(key [4]byte, n int) [4]byte {
	var t [4]byte
	for i := range t {
		t[i] = key[(i+n)&3]
	}
	return t
}
