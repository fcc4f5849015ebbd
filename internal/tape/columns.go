package tape

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of the message tapedeck.tape.v1.Batch; docs/formats.md has the schema. Numbers are never used again.
const (
	fieldVersion  = 1
	fieldFeed     = 2
	fieldOffset   = 3
	fieldOrdinal  = 4
	fieldCount    = 5
	fieldSymbols  = 6
	fieldStrings  = 7
	fieldTimeUnit = 8
	fieldLagUnit  = 9
	fieldCRC      = 15

	fieldColumns = 16 // the first column; the order of the columns below
)

// The columns of a batch. A column that is all zeros is left out, and one whose values are all alike is written as one
// value, so that what a venue does not send costs nothing.
const (
	colKind = iota
	colSymbol
	colSeq
	colEvent
	colLag
	colPrice
	colPriceExp
	colSize
	colSizeExp
	colAsk
	colAskExp
	colAskSize
	colAskSizeExp
	colID
	colSide
	colFlags
	colState
	colTape
	colUntil
	colRef
	colExchange
	colAskFrom
	colConditions
	colText
	columns
)

// column collects the values of one column of a batch while it is encoded.
type column struct {
	values []uint64
	any    uint64 // bits that occur in any value
	mixed  bool   // the values are not all alike
}

func (c *column) reset() {
	c.values = c.values[:0]
	c.any, c.mixed = 0, false
}

func (c *column) push(v uint64) {
	if len(c.values) > 0 && v != c.values[0] {
		c.mixed = true
	}
	c.any |= v
	c.values = append(c.values, v)
}

// append writes the column as a packed repeated field.
func (c *column) append(dst []byte, field protowire.Number) []byte {
	if c.any == 0 {
		return dst
	}
	values := c.values
	if !c.mixed {
		values = values[:1]
	}
	size := 0
	for _, v := range values {
		size += protowire.SizeVarint(v)
	}
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	for _, v := range values {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

// values reads the values of one column while a batch is decoded.
type values struct {
	rest  []byte
	fixed uint64
	list  bool
}

// newValues prepares the column of a batch of count entries.
func newValues(packed []byte, count int) (values, error) {
	if len(packed) == 0 {
		return values{}, nil
	}
	v, n := binary.Uvarint(packed)
	if n <= 0 {
		return values{}, fmt.Errorf("column begins with a broken number: %w", ErrCorrupt)
	}
	if n == len(packed) {
		return values{fixed: v}, nil
	}
	if len(packed) < count {
		return values{}, fmt.Errorf("column of %d bytes for %d entries: %w", len(packed), count, ErrCorrupt)
	}
	return values{rest: packed, list: true}, nil
}

// next returns the next value. A column that runs short yields zeros and is found out by done.
func (c *values) next() uint64 {
	if !c.list {
		return c.fixed
	}
	if len(c.rest) > 0 && c.rest[0] < 0x80 {
		v := uint64(c.rest[0])
		c.rest = c.rest[1:]
		return v
	}
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.rest = nil
		c.fixed = 1 // remembered: the column was short
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// done reports whether the column had exactly as many values as were taken.
func (c *values) done() bool { return !c.list || len(c.rest) == 0 && c.fixed == 0 }
