package columnar

import (
	"encoding/binary"
	"fmt"
)

// The decoders of this file take bytes that anyone may have written. Each is told how many values there must be, and makes room for no
// more than those; fewer or more are ErrCorrupt.

// decodeDeltas reads DELTA_BINARY_PACKED (https://parquet.apache.org/docs/file-format/data-pages/encodings/): blocks of
// differences, each a smallest difference and, for each of its miniblocks, what is above it in so many bits.
func decodeDeltas(dst []int64, src []byte, n int) ([]int64, error) {
	r := byteReader{b: src}
	block, minis, total := r.uvarint(), r.uvarint(), r.uvarint()
	value := r.varint()
	if r.bad || total != uint64(n) || block == 0 || block > 1<<16 || minis == 0 || minis > block || block%minis != 0 || block/minis%8 != 0 {
		return nil, fmt.Errorf("the head of a page of differences: %w", ErrCorrupt)
	}
	if n == 0 {
		return dst, nil
	}
	per := int(block / minis)
	dst = append(dst, value)
	for left := n - 1; left > 0; {
		least := r.varint()
		widths := r.take(int(minis))
		if r.bad {
			return nil, fmt.Errorf("a block of differences: %w", ErrCorrupt)
		}
		for _, width := range widths {
			if left == 0 {
				break
			}
			packed := r.take(per / 8 * int(width))
			if width > 64 || r.bad {
				return nil, fmt.Errorf("a block of differences: %w", ErrCorrupt)
			}
			count := min(per, left)
			left -= count
			for i := range count {
				value += least + int64(unpack(packed, i, uint(width)))
				dst = append(dst, value)
			}
		}
	}
	return dst, nil
}

// unpack returns number i of numbers of so many bits, the lowest first.
func unpack(b []byte, i int, width uint) uint64 {
	if width == 0 {
		return 0
	}
	bit := uint(i) * width
	at, shift := int(bit/8), bit%8
	if at+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[at:]) >> shift
		if shift+width > 64 {
			v |= uint64(b[at+8]) << (64 - shift) // there is one: the number ends in it
		}
		if width == 64 {
			return v
		}
		return v & (1<<width - 1)
	}
	var v uint64
	for k, c := range b[at:] {
		v |= uint64(c) << (8 * k)
	}
	return v >> shift & (1<<width - 1)
}

// decodeRuns reads the hybrid of runs and packed groups that levels and places in dictionaries are written in.
func decodeRuns(dst []int32, src []byte, width uint, n int) ([]int32, error) {
	if width > 31 {
		return nil, fmt.Errorf("places of %d bits: %w", width, ErrCorrupt)
	}
	r := byteReader{b: src}
	for left := n; left > 0; {
		head := r.uvarint()
		if r.bad || head>>1 == 0 {
			return nil, fmt.Errorf("a run of places: %w", ErrCorrupt)
		}
		if head&1 == 0 {
			word := r.take(int(width+7) / 8)
			if r.bad || head>>1 > uint64(left) {
				return nil, fmt.Errorf("a run of places: %w", ErrCorrupt)
			}
			var v int32
			for k, c := range word {
				v |= int32(c) << (8 * k)
			}
			for range head >> 1 {
				dst = append(dst, v)
			}
			left -= int(head >> 1)
			continue
		}
		if head>>1 > uint64(left+7)/8 {
			return nil, fmt.Errorf("a group of places: %w", ErrCorrupt)
		}
		packed := r.take(int(head>>1) * int(width))
		if r.bad {
			return nil, fmt.Errorf("a group of places: %w", ErrCorrupt)
		}
		count := min(int(head>>1)*8, left)
		for i := range count {
			dst = append(dst, int32(unpack(packed, i, width)))
		}
		left -= count
	}
	return dst, nil
}

// decodePlaces reads a page of places in a dictionary of so many words.
func decodePlaces(dst []int32, src []byte, words, n int) ([]int32, error) {
	if n == 0 {
		return dst, nil
	}
	if len(src) == 0 {
		return nil, fmt.Errorf("a page of places without a width: %w", ErrCorrupt)
	}
	dst, err := decodeRuns(dst, src[1:], uint(src[0]), n)
	if err != nil {
		return nil, err
	}
	for _, p := range dst {
		if p < 0 || int(p) >= words {
			return nil, fmt.Errorf("place %d in a dictionary of %d: %w", p, words, ErrCorrupt)
		}
	}
	return dst, nil
}

// decodeTexts reads PLAIN texts. They share one piece of memory.
func decodeTexts(dst []string, src []byte, n int) ([]string, error) {
	if n > len(src)/4 {
		return nil, fmt.Errorf("%d texts in %d bytes: %w", n, len(src), ErrCorrupt)
	}
	all, at := string(src), 0
	for range n {
		if len(all)-at < 4 {
			return nil, fmt.Errorf("a page of texts is cut off: %w", ErrCorrupt)
		}
		size := binary.LittleEndian.Uint32(src[at:])
		at += 4
		if uint64(size) > uint64(len(all)-at) {
			return nil, fmt.Errorf("a text of %d bytes: %w", size, ErrCorrupt)
		}
		dst = append(dst, all[at:at+int(size)])
		at += int(size)
	}
	return dst, nil
}

// decodePlain reads PLAIN numbers of a column, the upper halves of decimals into high.
func decodePlain(ints, high []int64, src []byte, f *field, n int) (i, h []int64, err error) {
	size := 8
	switch {
	case f.form == formDecimal:
		size = 16
	case f.form == formSmall:
		size = 4
	}
	if n > len(src)/size {
		return nil, nil, fmt.Errorf("%d numbers in %d bytes: %w", n, len(src), ErrCorrupt)
	}
	for k := range n {
		b := src[k*size:]
		switch size {
		case 4:
			ints = append(ints, int64(binary.LittleEndian.Uint32(b)))
		case 8:
			ints = append(ints, int64(binary.LittleEndian.Uint64(b)))
		default:
			high = append(high, int64(binary.BigEndian.Uint64(b)))
			ints = append(ints, int64(binary.BigEndian.Uint64(b[8:])))
		}
	}
	return ints, high, nil
}

// decodeBools reads PLAIN booleans, a bit each.
func decodeBools(dst []int64, src []byte, n int) ([]int64, error) {
	if n > 8*len(src) {
		return nil, fmt.Errorf("%d bits in %d bytes: %w", n, len(src), ErrCorrupt)
	}
	for i := range n {
		dst = append(dst, int64(src[i/8]>>(i%8)&1))
	}
	return dst, nil
}

// byteReader reads numbers and pieces, and remembers that one was missing.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *byteReader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *byteReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
