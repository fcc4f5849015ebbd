package columnar

import (
	"math"
	"math/bits"
	"strconv"

	"tapedeck/internal/market"
)

// An integer is a signed number of 128 bits in two's complement, as decimals are held by Parquet and Arrow.
type integer struct {
	hi int64
	lo uint64
}

// A number is a decimal taken apart: ± magnitude × 10^exp.
type number struct {
	hi, lo   uint64
	exp      int
	negative bool
}

// ten returns 10^n; n is 0 to 19.
func ten(n int) uint64 {
	powers := [...]uint64{
		1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
	}
	return powers[n]
}

func splitDecimal(d market.Decimal) number {
	c := d.Coef()
	if c < 0 {
		return number{lo: uint64(-c), exp: d.Exp(), negative: true}
	}
	return number{lo: uint64(c), exp: d.Exp()}
}

// splitWide reads the digits that w writes, which is the only way to them from outside of package market.
func splitWide(w *market.Wide) number {
	var buf [128]byte
	n := number{exp: w.Exp()}
	zeros := max(n.exp, 0) // written out, and not in the magnitude
	text := w.Append(buf[:0])
	for i, c := range text {
		switch {
		case c == '-':
			n.negative = true
		case c != '.' && i < len(text)-zeros:
			n.times(10)
			var carry uint64
			n.lo, carry = bits.Add64(n.lo, uint64(c-'0'), 0)
			n.hi += carry
		}
	}
	return n
}

// times multiplies the magnitude, and reports whether it still fits.
func (n *number) times(f uint64) bool {
	carry, lo := bits.Mul64(n.lo, f)
	over, hi := bits.Mul64(n.hi, f)
	hi, c := bits.Add64(hi, carry, 0)
	n.hi, n.lo = hi, lo
	return over == 0 && c == 0
}

// over divides the magnitude by f, and reports whether nothing was left.
func (n *number) over(f uint64) bool {
	hi, rem := bits.Div64(0, n.hi, f)
	lo, rem := bits.Div64(rem, n.lo, f)
	n.hi, n.lo = hi, lo
	return rem == 0
}

// shift multiplies the magnitude by 10^by, and reports whether that is exact and fits.
func (n *number) shift(by int) bool {
	if n.hi|n.lo == 0 {
		return true
	}
	for ; by > 0; by -= min(by, 19) {
		if by > 2*precision || !n.times(ten(min(by, 19))) {
			return false
		}
	}
	for ; by < 0; by -= max(by, -19) {
		if by < -2*precision || !n.over(ten(min(-by, 19))) {
			return false
		}
	}
	return true
}

// signed returns the magnitude with its sign.
func (n *number) signed() integer {
	if !n.negative {
		return integer{int64(n.hi), n.lo}
	}
	lo, borrow := bits.Sub64(0, n.lo, 0)
	hi, _ := bits.Sub64(0, n.hi, borrow)
	return integer{int64(hi), lo}
}

// split takes a number of a column with a scale apart.
func (v integer) split(scale int) number {
	n := number{hi: uint64(v.hi), lo: v.lo, exp: -scale, negative: v.hi < 0}
	if n.negative {
		var borrow uint64
		n.lo, borrow = bits.Sub64(0, n.lo, 0)
		n.hi, _ = bits.Sub64(0, n.hi, borrow)
	}
	return n
}

// less compares as numbers.
func (v integer) less(w integer) bool { return v.hi < w.hi || v.hi == w.hi && v.lo < w.lo }

// precision is how many digits a decimal column holds: as many as 16 bytes do.
const precision = 38

// fit returns n as an integer of a column with a scale, and whether it is one.
func (n number) fit(scale int) (integer, bool) {
	if !n.shift(scale + n.exp) {
		return integer{}, false
	}
	top := number{lo: 1e19}
	top.times(1e19) // 10^precision
	if n.hi > top.hi || n.hi == top.hi && n.lo >= top.lo {
		return integer{}, false
	}
	return n.signed(), true
}

// decimal is the number with so many digits after the point; ok is false when it is none.
func (v integer) decimal(scale, digits int) (market.Decimal, bool) {
	n := v.split(scale)
	if !n.shift(digits-scale) || n.hi != 0 || n.lo > math.MaxInt64 {
		return market.Decimal{}, false
	}
	c := int64(n.lo)
	if n.negative {
		c = -c
	}
	d, err := market.NewDecimal(c, -digits)
	return d, err == nil
}

// wide is decimal for sums. What had an exponent above 0 comes back with 0, the same number.
func (v integer) wide(scale, digits int) (market.Wide, bool) {
	digits = max(digits, 0)
	n := v.split(scale)
	if !n.shift(digits - scale) {
		return market.Wide{}, false
	}
	n.exp = -digits
	w, err := market.ParseWide(n.text())
	return w, err == nil
}

// text writes the number out; only that of a magnitude with a negative exponent, or none, is read by ParseWide.
func (n *number) text() string {
	var buf [64]byte
	i := len(buf)
	m := *n
	for m.hi|m.lo != 0 || i == len(buf) {
		low := m
		m.over(10)
		back := m
		back.times(10)
		i--
		buf[i] = byte('0' + low.lo - back.lo)
	}
	text := string(buf[i:])
	switch {
	case n.exp < 0:
		for len(text) <= -n.exp {
			text = "0" + text
		}
		text = text[:len(text)+n.exp] + "." + text[len(text)+n.exp:]
	case n.exp > 0 && n.hi|n.lo != 0:
		text += "e" + strconv.Itoa(n.exp)
	}
	if n.negative {
		text = "-" + text
	}
	return text
}
