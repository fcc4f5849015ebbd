package columnar

import (
	"strings"
	"unicode/utf8"
)

// A form is what the values of a column are.
type form uint8

const (
	formTime    form = 1 // nanoseconds since 1970, UTC
	formCount   form = 2 // an unsigned number of 64 bits
	formSmall   form = 3 // an unsigned number of 8 bits
	formText    form = 4
	formDecimal form = 5
	formBool    form = 6
)

// A field describes a column.
type field struct {
	name     string
	form     form
	scale    int // of a decimal
	nullable bool
	rising   bool // mostly each value a little above the one before
}

// A column holds the values of the rows of a group.
type column struct {
	field
	n       int  // rows
	settled bool // some rows were written: the scale stays

	ints []int64 // of numbers and times; the lower half of decimals
	high []int64 // the upper half of decimals
	null []bool  // nil as long as there is none

	// Texts are kept once each; rows have their places.
	words  []string
	places []int32
	known  map[string]int32
	bytes  int // of words
}

// reset forgets the rows. What words a group has, the next mostly has too, but nobody knows how many: they are forgotten as well.
func (c *column) reset() {
	c.n, c.bytes, c.settled = 0, 0, true
	c.ints, c.high, c.places = c.ints[:0], c.high[:0], c.places[:0]
	c.null = nil
	clear(c.words)
	c.words = c.words[:0]
	clear(c.known)
}

func (c *column) int(v int64) {
	c.n++
	c.ints = append(c.ints, v)
	if c.null != nil {
		c.null = append(c.null, false)
	}
}

func (c *column) flag(v bool) {
	if v {
		c.int(1)
	} else {
		c.int(0)
	}
}

// missing adds a null.
func (c *column) missing() {
	if c.null == nil {
		c.null = make([]bool, c.n, max(64, 2*c.n))
	}
	c.n++
	c.null = append(c.null, true)
	c.ints = append(c.ints, 0)
	if c.form == formDecimal {
		c.high = append(c.high, 0)
	}
}

// number adds v, or a null when it does not fit, and reports which.
func (c *column) number(v number) bool {
	i, ok := v.fit(c.scale)
	if !ok && c.refine(-v.exp) {
		i, ok = v.fit(c.scale)
	}
	if !ok {
		c.missing()
		return false
	}
	c.int(int64(i.lo))
	c.high = append(c.high, i.hi)
	return true
}

// refine gives the column a larger scale, if nothing was written yet and what it holds still fits.
func (c *column) refine(scale int) bool {
	if c.settled || scale <= c.scale || scale > finestScale {
		return false
	}
	ints, high := make([]int64, c.n, cap(c.ints)), make([]int64, c.n, cap(c.ints))
	for i := range c.n {
		v, ok := c.at(i).split(c.scale).fit(scale)
		if !ok {
			return false
		}
		ints[i], high[i] = int64(v.lo), v.hi
	}
	c.ints, c.high, c.scale = ints, high, scale
	return true
}

// text adds s. Parquet and Arrow want UTF-8; what is not becomes U+FFFD.
func (c *column) text(s string) {
	c.n++
	if last := len(c.places) - 1; last >= 0 && c.words[c.places[last]] == s {
		c.places = append(c.places, c.places[last])
		return
	}
	place, ok := c.known[s]
	if !ok {
		if c.known == nil {
			c.known = make(map[string]int32)
		}
		place = int32(len(c.words))
		c.known[s] = place
		if !utf8.ValidString(s) {
			s = strings.ToValidUTF8(s, "\uFFFD")
		}
		c.words = append(c.words, s)
		c.bytes += len(s)
	}
	c.places = append(c.places, place)
}

// again adds the text of the row before once more.
func (c *column) again() {
	c.n++
	c.places = append(c.places, c.places[len(c.places)-1])
}

func (c *column) isNull(i int) bool { return c.null != nil && c.null[i] }

// at returns the number of row i.
func (c *column) at(i int) integer {
	if c.form == formDecimal {
		return integer{c.high[i], uint64(c.ints[i])}
	}
	return integer{c.ints[i] >> 63, uint64(c.ints[i])}
}
