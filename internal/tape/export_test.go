package tape

import (
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
)

// Seal appends the checksum that makes body a record.
func Seal(body []byte) []byte {
	sum := crc32.Checksum(body, castagnoli())
	return protowire.AppendFixed32(protowire.AppendTag(body, fieldCRC, protowire.Fixed32Type), sum)
}
