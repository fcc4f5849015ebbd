package columnar

import (
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// maxItems is how many items all lists of one piece of metadata may have together: a footer of 5,000 row groups has as many. A list
// says its length before its items, and who decodes it makes room for all of them.
const maxItems = 1 << 19

// maxDepth is how deep structs may lie in each other. Those of Parquet need 8.
const maxDepth = 16

// unmarshal decodes thrift's compact protocol after it has looked that all lengths in it are true. It returns how many bytes the value took. What
// the decoder panics of all the same is the file's fault too.
func unmarshal(b []byte, v any) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, fmt.Errorf("metadata: %w: %v", ErrCorrupt, r)
		}
	}()
	w := walker{byteReader: byteReader{b: b}}
	w.structure(0)
	if w.bad {
		return 0, fmt.Errorf("metadata: %w", ErrCorrupt)
	}
	n = len(b) - len(w.b)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[:n], v); err != nil {
		return 0, fmt.Errorf("metadata: %w: %w", ErrCorrupt, err)
	}
	return n, nil
}

// walker reads through a value of the compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) without keeping any of it.
type walker struct {
	byteReader
	items int
}

// The types of the compact protocol.
const (
	compactTrue   = 1
	compactFalse  = 2
	compactByte   = 3
	compactI16    = 4
	compactI32    = 5
	compactI64    = 6
	compactDouble = 7
	compactBinary = 8
	compactList   = 9
	compactSet    = 10
	compactStruct = 12
)

func (w *walker) structure(depth int) {
	if depth > maxDepth {
		w.bad = true
	}
	for !w.bad {
		head := w.take(1)
		if w.bad || head[0] == 0 {
			return
		}
		if head[0]>>4 == 0 {
			w.varint() // the field's number
		}
		w.value(head[0]&15, depth, false)
	}
}

// value reads a value of a type. Booleans are in the type of a field, and bytes in a list.
func (w *walker) value(kind byte, depth int, listed bool) {
	switch kind {
	case compactTrue, compactFalse:
		if listed {
			w.take(1)
		}
	case compactByte:
		w.take(1)
	case compactI16, compactI32, compactI64:
		w.uvarint()
	case compactDouble:
		w.take(8)
	case compactBinary:
		w.skip(w.uvarint())
	case compactList, compactSet:
		w.list(depth + 1)
	case compactStruct:
		w.structure(depth + 1)
	default: // maps too, which no metadata of Parquet has
		w.bad = true
	}
}

func (w *walker) list(depth int) {
	head := w.take(1)
	if w.bad || depth > maxDepth {
		w.bad = true
		return
	}
	size := uint64(head[0] >> 4)
	if size == 15 {
		size = w.uvarint()
	}
	if size > uint64(len(w.b)) || w.items+int(size) > maxItems {
		w.bad = true
		return
	}
	w.items += int(size)
	for range size {
		if w.bad {
			return
		}
		w.value(head[0]&15, depth, true)
	}
}

func (w *walker) skip(n uint64) {
	if n > uint64(len(w.b)) {
		w.bad = true
		return
	}
	w.take(int(n))
}
