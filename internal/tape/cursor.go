package tape

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Cursor names a place on a tape to a client: so many entries of the record at Position, and all records before it, were
// delivered. It goes over the wire as an opaque string.
type Cursor struct {
	Epoch    Epoch
	Position Position // last record that was begun
	Index    uint32   // entries of that record that were delivered; AllEntries when it was delivered whole
}

// AllEntries is the Index of a cursor whose record was delivered whole.
const AllEntries = ^uint32(0)

const cursorVersion = 1

// String encodes the cursor: base64url of a version byte, the epoch, position and index as varints, and four bytes of CRC-32C,
// so that a mangled cursor is refused and not resumed from somewhere else.
func (c Cursor) String() string {
	b := make([]byte, 0, 48)
	b = append(b, cursorVersion)
	b = append(b, c.Epoch[:]...)
	b = binary.AppendUvarint(b, uint64(c.Position))
	b = binary.AppendUvarint(b, uint64(c.Index+1)) // AllEntries is 0
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads what String wrote; anything else is ErrCursor.
func ParseCursor(s string) (Cursor, error) {
	if len(s) > 80 {
		return Cursor{}, fmt.Errorf("%.20q…: %w", s, ErrCursor)
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) < 1+16+1+1+4 || b[0] != cursorVersion {
		return Cursor{}, fmt.Errorf("%q: %w", s, ErrCursor)
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	c := Cursor{Epoch: Epoch(body[1:17])}
	pos, n := binary.Uvarint(body[17:])
	if n <= 0 || crc32.Checksum(body, castagnoli()) != sum {
		return Cursor{}, fmt.Errorf("%q: %w", s, ErrCursor)
	}
	index, m := binary.Uvarint(body[17+n:])
	if m <= 0 || 17+n+m != len(body) || index > uint64(AllEntries) {
		return Cursor{}, fmt.Errorf("%q: %w", s, ErrCursor)
	}
	c.Position, c.Index = Position(pos), uint32(index)-1
	return c, nil
}

// castagnoli returns the table of CRC-32C; the standard library makes it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
