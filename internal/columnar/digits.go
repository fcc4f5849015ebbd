package columnar

import (
	"fmt"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// maxNumbers is how many exact numbers a row of any table has: open, high, low, close, volume and turnover.
const maxNumbers = 6

// Of a number, the column digits says one of three things, with commas between the numbers of a row:
//
//	2        it has two digits after the point; it is 187.40, and the decimal column knows the value
//	-        there is no number
//	=5e-30   it does not fit its column, which is null, and this is the number
//
// A negative number of digits is a positive exponent.
const (
	noNumber  = "-"
	wholeMark = "="
)

// exacts gathers what the column digits says of a row.
type exacts struct {
	n     int
	exps  [maxNumbers]int8
	parts [maxNumbers]string // instead of exps
	odd   bool               // some parts are said

	last    [maxNumbers]int8 // what was written last, when it was not odd
	written bool
}

func (x *exacts) begin() { x.n, x.odd = 0, false }

func (x *exacts) add(c *column, v number) {
	x.exps[x.n], x.parts[x.n] = int8(v.exp), ""
	if !c.number(v) {
		m := v
		m.exp = 0
		x.parts[x.n] = wholeMark + m.text() + "e" + strconv.Itoa(v.exp)
		x.odd = true
	}
	x.n++
}

func (x *exacts) none(c *column) {
	c.missing()
	x.parts[x.n] = noNumber
	x.n++
	x.odd = true
}

// end adds the row to the column digits.
func (x *exacts) end(c *column) {
	if x.written && !x.odd && x.last == x.exps && c.n > 0 {
		c.again()
		return
	}
	var buf [64]byte
	b := buf[:0]
	for i := range x.n {
		if i > 0 {
			b = append(b, ',')
		}
		if x.odd && x.parts[i] != "" {
			b = append(b, x.parts[i]...)
		} else {
			b = strconv.AppendInt(b, -int64(x.exps[i]), 10)
		}
	}
	c.text(string(b))
	x.last, x.written = x.exps, !x.odd
}

// A notation is what the column digits says of a row, read.
type notation struct {
	n      int
	digits [maxNumbers]int16
	none   [maxNumbers]bool
	whole  [maxNumbers]string // of numbers that are not in their columns, after the mark
}

func parseNotation(s string, n int) (*notation, error) {
	var x notation
	for part := range strings.SplitSeq(s, ",") {
		if x.n == n {
			return nil, fmt.Errorf("digits %.40q: more than %d numbers: %w", s, n, ErrCorrupt)
		}
		text, whole := strings.CutPrefix(part, wholeMark)
		switch {
		case whole:
			x.whole[x.n] = text
		case part == noNumber:
			x.none[x.n] = true
		default:
			d, err := strconv.ParseInt(part, 10, 16)
			if err != nil || d < 2*market.MinExp || d > -2*market.MinExp {
				return nil, fmt.Errorf("digits %.40q: %w", s, ErrCorrupt)
			}
			x.digits[x.n] = int16(d)
		}
		x.n++
	}
	if x.n != n {
		return nil, fmt.Errorf("digits %.40q: want %d numbers: %w", s, n, ErrCorrupt)
	}
	return &x, nil
}

// decimal is number i of the row, whose column says v, or null.
func (x *notation) decimal(i int, v integer, null bool, scale int) (market.Decimal, error) {
	if text := x.whole[i]; text != "" {
		m, e, ok := strings.Cut(text, "e")
		coef, err1 := strconv.ParseInt(m, 10, 64)
		exp, err2 := strconv.Atoi(e)
		if ok && err1 == nil && err2 == nil {
			if d, err := market.NewDecimal(coef, exp); err == nil {
				return d, nil
			}
		}
	} else if !null && !x.none[i] {
		if d, ok := v.decimal(scale, int(x.digits[i])); ok {
			return d, nil
		}
	}
	return market.Decimal{}, fmt.Errorf("a number that its digits do not fit: %w", ErrCorrupt)
}

// wide is decimal for a sum.
func (x *notation) wide(i int, v integer, null bool, scale int) (market.Wide, error) {
	if text := x.whole[i]; text != "" {
		if w, ok := parseWhole(text); ok {
			return w, nil
		}
	} else if !null && !x.none[i] {
		if w, ok := v.wide(scale, int(x.digits[i])); ok {
			return w, nil
		}
	}
	return market.Wide{}, fmt.Errorf("a sum that its digits do not fit: %w", ErrCorrupt)
}

// parseWhole reads a sum that was written whole.
func parseWhole(text string) (market.Wide, bool) {
	m, e, ok := strings.Cut(text, "e")
	exp, err := strconv.Atoi(e)
	if !ok || err != nil || exp < 2*market.MinExp || exp > 2*market.MaxExp || len(m) > precision+2 {
		return market.Wide{}, false
	}
	sign := ""
	if rest, negative := strings.CutPrefix(m, "-"); negative {
		sign, m = "-", rest
	}
	if exp < 0 {
		for len(m) <= -exp {
			m = "0" + m
		}
		m = m[:len(m)+exp] + "." + m[len(m)+exp:]
	} else {
		m += strings.Repeat("0", exp)
	}
	w, err := market.ParseWide(sign + m)
	return w, err == nil
}
