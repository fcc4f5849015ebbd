// Package thrift looks at metadata in Thrift's compact protocol before a library decodes it: that all lengths in it are true, so that
// nothing is allocated because a file says so.
//
// The protocol is that of https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
package thrift

import "encoding/binary"

// maxDepth is how deep structs and lists may lie in each other. Those of Parquet need 8.
const maxDepth = 16

// Length returns how many bytes the struct takes that b begins with. It is not ok when a length in it is beyond the end of b, when its lists have
// more than so many items together (a list says its length before its items, and who decodes it makes room for all of them), when
// it is nested too deeply, or when there is a map in it, which no metadata of Parquet has. Nothing is allocated.
func Length(b []byte, items int) (n int, ok bool) {
	w := walker{b: b, items: items}
	w.structure(0)
	return len(b) - len(w.b), !w.bad
}

// walker reads through a value without keeping any of it. Once it is bad it stays so.
type walker struct {
	b     []byte
	items int // that lists may still have
	bad   bool
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
		head := w.head()
		if w.bad || head == 0 {
			return
		}
		if head>>4 == 0 {
			w.number() // of the field
		}
		w.value(head&15, depth, false)
	}
}

// value reads a value of a type. Booleans are in the type of a field, and bytes in a list.
func (w *walker) value(kind byte, depth int, listed bool) {
	switch kind {
	case compactTrue, compactFalse:
		if listed {
			w.skip(1)
		}
	case compactByte:
		w.skip(1)
	case compactI16, compactI32, compactI64:
		w.number()
	case compactDouble:
		w.skip(8)
	case compactBinary:
		w.skip(w.number())
	case compactList, compactSet:
		w.list(depth + 1)
	case compactStruct:
		w.structure(depth + 1)
	default:
		w.bad = true
	}
}

func (w *walker) list(depth int) {
	head := w.head()
	if w.bad || depth > maxDepth {
		w.bad = true
		return
	}
	size := uint64(head >> 4)
	if size == 15 {
		size = w.number()
	}
	if w.bad || size > uint64(len(w.b)) || size > uint64(w.items) {
		w.bad = true
		return
	}
	w.items -= int(size)
	for range size {
		if w.bad {
			return
		}
		w.value(head&15, depth, true)
	}
}

// head reads the byte that a field or a list begins with.
func (w *walker) head() byte {
	if len(w.b) == 0 {
		w.bad = true
		return 0
	}
	head := w.b[0]
	w.b = w.b[1:]
	return head
}

func (w *walker) number() uint64 {
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		w.bad = true
		return 0
	}
	w.b = w.b[n:]
	return v
}

func (w *walker) skip(n uint64) {
	if n > uint64(len(w.b)) {
		w.bad = true
		return
	}
	w.b = w.b[n:]
}
