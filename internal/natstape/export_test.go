package natstape

import (
	"encoding/binary"
	"hash/crc32"
)

// sealSlot gives a slot of the mark the checksum that it should have.
func sealSlot(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli()))
	return b
}
