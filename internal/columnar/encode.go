package columnar

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// encoded is the column of a row group, encoded and not yet compressed.
type encoded struct {
	encoding format.Encoding
	words    int    // entries of the dictionary
	dict     []byte // the dictionary; nil without
	pages    [][]byte
}

// A span is the rows of a page: from ≤ row < to.
type span struct{ from, to int }

// encode encodes the rows of each span, in the way that suits the column.
func (c *column) encode(spans []span) (*encoded, error) {
	switch c.form {
	case formText:
		if len(c.words) > 1 && 2*len(c.words) > c.n {
			return c.plainText(spans), nil // mostly a word of its own in each row: a dictionary would say all twice
		}
		return c.dictionary(spans, c.places, len(c.words), func(b []byte) []byte {
			for _, w := range c.words {
				b = append(binary.LittleEndian.AppendUint32(b, uint32(len(w))), w...)
			}
			return b
		})
	case formBool:
		return c.plainBools(spans), nil
	case formSmall:
		return c.numbers(spans, maxGroupRows)
	case formTime, formCount:
		if c.rising {
			return c.deltas(spans)
		}
		return c.numbers(spans, c.n/4)
	case formDecimal:
		return c.numbers(spans, c.n/4)
	}
	return nil, fmt.Errorf("BUG: a column of form %d", c.form)
}

// numbers encodes numbers by a dictionary where few are distinct, and otherwise by what suits the type.
func (c *column) numbers(spans []span, limit int) (*encoded, error) {
	places, distinct := c.distinct(limit)
	if distinct != nil {
		return c.dictionary(spans, places, len(distinct), func(b []byte) []byte {
			for _, v := range distinct {
				b = c.appendPlain(b, v)
			}
			return b
		})
	}
	if c.form == formDecimal || c.form == formSmall {
		return c.plain(spans), nil
	}
	return c.deltas(spans)
}

// distinct numbers the values in the order in which they come first; nil when there are more than limit.
func (c *column) distinct(limit int) ([]int32, []integer) {
	places := make([]int32, 0, c.n)
	var distinct []integer
	known := make(map[integer]int32)
	for i := range c.n {
		if c.isNull(i) {
			places = append(places, 0)
			continue
		}
		v := c.at(i)
		place, ok := known[v]
		if !ok {
			if len(distinct) >= limit {
				return nil, nil
			}
			place = int32(len(distinct))
			known[v] = place
			distinct = append(distinct, v)
		}
		places = append(places, place)
	}
	if distinct == nil {
		distinct = []integer{}
	}
	return places, distinct
}

func (c *column) dictionary(spans []span, places []int32, words int, fill func([]byte) []byte) (*encoded, error) {
	e := &encoded{encoding: format.RLEDictionary, words: words, dict: fill([]byte{}), pages: make([][]byte, 0, len(spans))}
	var enc rle.DictionaryEncoding
	var some []int32
	for _, s := range spans {
		rows := places[s.from:s.to]
		if c.null != nil {
			some = some[:0]
			for i, p := range rows {
				if !c.null[s.from+i] {
					some = append(some, p)
				}
			}
			rows = some
		}
		b, err := enc.EncodeInt32(nil, rows)
		if err != nil {
			return nil, err
		}
		e.pages = append(e.pages, b)
	}
	return e, nil
}

func (c *column) deltas(spans []span) (*encoded, error) {
	e := &encoded{encoding: format.DeltaBinaryPacked, pages: make([][]byte, 0, len(spans))}
	var enc delta.BinaryPackedEncoding
	var some []int64
	for _, s := range spans {
		rows := c.ints[s.from:s.to]
		if c.null != nil {
			some = some[:0]
			for i, v := range rows {
				if !c.null[s.from+i] {
					some = append(some, v)
				}
			}
			rows = some
		}
		b, err := enc.EncodeInt64(nil, rows)
		if err != nil {
			return nil, err
		}
		e.pages = append(e.pages, b)
	}
	return e, nil
}

func (c *column) plain(spans []span) *encoded {
	e := &encoded{encoding: format.Plain, pages: make([][]byte, 0, len(spans))}
	for _, s := range spans {
		b := make([]byte, 0, 16*(s.to-s.from))
		for i := s.from; i < s.to; i++ {
			if !c.isNull(i) {
				b = c.appendPlain(b, c.at(i))
			}
		}
		e.pages = append(e.pages, b)
	}
	return e
}

func (c *column) plainText(spans []span) *encoded {
	e := &encoded{encoding: format.Plain, pages: make([][]byte, 0, len(spans))}
	for _, s := range spans {
		var b []byte
		for _, place := range c.places[s.from:s.to] {
			w := c.words[place]
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(w))), w...)
		}
		e.pages = append(e.pages, b)
	}
	return e
}

func (c *column) plainBools(spans []span) *encoded {
	e := &encoded{encoding: format.Plain, pages: make([][]byte, 0, len(spans))}
	for _, s := range spans {
		b := make([]byte, (s.to-s.from+7)/8)
		for i, v := range c.ints[s.from:s.to] {
			b[i/8] |= byte(v) << (i % 8)
		}
		e.pages = append(e.pages, b)
	}
	return e
}

// appendPlain appends a number as Parquet's PLAIN has it; statistics have it so too.
func (c *column) appendPlain(b []byte, v integer) []byte {
	switch {
	case c.form == formDecimal:
		b = binary.BigEndian.AppendUint64(b, uint64(v.hi))
		return binary.BigEndian.AppendUint64(b, v.lo)
	case c.form == formSmall:
		return binary.LittleEndian.AppendUint32(b, uint32(v.lo))
	}
	return binary.LittleEndian.AppendUint64(b, v.lo)
}

// levels appends which rows of the span have a value, as a data page has it before the values.
func (c *column) levels(b []byte, s span) ([]byte, error) {
	if !c.nullable {
		return b, nil
	}
	has := make([]uint8, s.to-s.from)
	for i := range has {
		if !c.isNull(s.from + i) {
			has[i] = 1
		}
	}
	enc := rle.Encoding{BitWidth: 1}
	bits, err := enc.EncodeLevels(nil, has)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(bits))), bits...), nil
}

// bounds are the smallest and the largest value of some rows.
type bounds struct {
	min, max []byte
	nulls    int64
	any      bool
}

// longestBound is the length of a text that statistics still name. Without a limit the footer could be longer than the data.
const longestBound = 64

// bounds looks at the rows of a span. Texts have bounds for a whole group only.
func (c *column) bounds(s span) bounds {
	var b bounds
	if c.form == formText {
		if s.from != 0 || s.to != c.n {
			return b
		}
		low, high := c.words[0], c.words[0]
		for _, w := range c.words {
			low, high = min(low, w), max(high, w)
		}
		if len(low) <= longestBound && len(high) <= longestBound {
			b.min, b.max, b.any = []byte(low), []byte(high), true
		}
		return b
	}
	var low, high integer
	for i := s.from; i < s.to; i++ {
		if c.isNull(i) {
			b.nulls++
			continue
		}
		v := c.at(i)
		if c.form == formCount {
			v.hi = 0 // compared without a sign
		}
		if !b.any || v.less(low) {
			low = v
		}
		if !b.any || high.less(v) {
			high = v
		}
		b.any = true
	}
	if !b.any {
		return b
	}
	if c.form == formBool {
		b.min, b.max = []byte{byte(low.lo)}, []byte{byte(high.lo)}
		return b
	}
	b.min, b.max = c.appendPlain(nil, low), c.appendPlain(nil, high)
	return b
}
