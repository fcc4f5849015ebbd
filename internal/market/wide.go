package market

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// Wide is an exact sum of decimals with a coefficient of 127 bits and a sign: the volume of a day in the smallest unit of
// any coin, and Σ price × size. The zero value is 0.
type Wide struct {
	hi, lo   uint64 // magnitude
	exp      int8
	negative bool
}

// WideOf returns d as a Wide.
func WideOf(d Decimal) Wide {
	return Wide{lo: magnitude(d.coef), exp: d.exp, negative: d.coef < 0}
}

// Decimal returns w with the same digits as a Decimal, of which WideOf makes w again; ok is false when a Decimal cannot hold them.
func (w Wide) Decimal() (d Decimal, ok bool) {
	if w.hi != 0 || w.lo > math.MaxInt64 {
		return Decimal{}, false
	}
	coef := int64(w.lo)
	if w.negative {
		coef = -coef
	}
	d, err := NewDecimal(coef, int(w.exp))
	return d, err == nil
}

// Product returns a × b exactly. The exponents of prices and sizes that a venue sends add up to a legal one; ErrRange otherwise.
func Product(a, b Decimal) (Wide, error) {
	hi, lo := bits.Mul64(magnitude(a.coef), magnitude(b.coef))
	w := Wide{hi: hi, lo: lo, negative: (a.coef < 0) != (b.coef < 0)}
	exp := int(a.exp) + int(b.exp)
	if exp < 2*MinExp || exp > 2*MaxExp {
		return Wide{}, fmt.Errorf("%s × %s: %w", a, b, ErrRange)
	}
	w.exp = int8(exp)
	if hi == 0 && lo == 0 {
		w.negative = false
	}
	return w, nil
}

// Add returns w+v exactly, or ErrRange.
func (w Wide) Add(v Wide) (Wide, error) {
	if w.exp != v.exp {
		var err error
		if w, v, err = align(w, v); err != nil {
			return Wide{}, err
		}
	}
	if w.negative == v.negative {
		lo, carry := bits.Add64(w.lo, v.lo, 0)
		hi, over := bits.Add64(w.hi, v.hi, carry)
		if over != 0 || hi > math.MaxInt64 {
			return Wide{}, fmt.Errorf("%s + %s: %w", w, v, ErrRange)
		}
		return Wide{hi, lo, w.exp, w.negative}, nil
	}
	if w.hi < v.hi || w.hi == v.hi && w.lo < v.lo {
		w, v = v, w
	}
	lo, borrow := bits.Sub64(w.lo, v.lo, 0)
	hi, _ := bits.Sub64(w.hi, v.hi, borrow)
	return Wide{hi, lo, w.exp, w.negative && (hi|lo) != 0}, nil
}

// align gives both the finer exponent of the two; a zero takes the exponent of the other without any digits.
func align(w, v Wide) (Wide, Wide, error) {
	if w.exp < v.exp {
		v, w, err := align(v, w)
		return w, v, err
	}
	n := int(w.exp) - int(v.exp)
	if w.IsZero() {
		w.exp = v.exp
		return w, v, nil
	}
	hi, lo := w.hi, w.lo
	for ; n > 0; n-- {
		c, l := bits.Mul64(lo, 10)
		over, h := bits.Mul64(hi, 10)
		h, carry := bits.Add64(h, c, 0)
		if over != 0 || carry != 0 || h > math.MaxInt64 {
			return Wide{}, Wide{}, fmt.Errorf("%s and %s: %w", w, v, ErrRange)
		}
		hi, lo = h, l
	}
	w.hi, w.lo, w.exp = hi, lo, v.exp
	return w, v, nil
}

// IsZero reports whether w is 0.
func (w Wide) IsZero() bool { return w.hi == 0 && w.lo == 0 }

// Sign returns -1, 0 or 1.
func (w Wide) Sign() int {
	switch {
	case w.IsZero():
		return 0
	case w.negative:
		return -1
	}
	return 1
}

// Cmp compares the numbers.
func (w Wide) Cmp(v Wide) int {
	if s, t := w.Sign(), v.Sign(); s != t {
		if s < t {
			return -1
		}
		return 1
	}
	a, b := w.rat(), v.rat()
	return a.Cmp(b)
}

func (w Wide) big() *big.Int {
	n := new(big.Int).SetUint64(w.hi)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(w.lo))
	if w.negative {
		n.Neg(n)
	}
	return n
}

func (w Wide) rat() *big.Rat {
	r := new(big.Rat).SetInt(w.big())
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(w.exp, -w.exp))), nil)
	if w.exp < 0 {
		return r.Quo(r, new(big.Rat).SetInt(ten))
	}
	return r.Mul(r, new(big.Rat).SetInt(ten))
}

// Quo returns w/v rounded half to even at the given number of decimals, or at fewer when the coefficient of a Decimal
// cannot hold so many. It is not for the hot path. Dividing by zero is ErrRange.
func (w Wide) Quo(v Wide, decimals int) (Decimal, error) {
	if v.IsZero() {
		return Decimal{}, fmt.Errorf("%s / 0: %w", w, ErrRange)
	}
	q := new(big.Rat).Quo(w.rat(), v.rat())
	for d := min(decimals, -MinExp); d >= 0; d-- {
		num := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d)), nil)
		num.Mul(num, q.Num())
		n, rest := new(big.Int).QuoRem(num, q.Denom(), new(big.Int))
		rest.Abs(rest).Lsh(rest, 1)
		if c := rest.Cmp(q.Denom()); c > 0 || c == 0 && n.Bit(0) == 1 {
			n.Add(n, big.NewInt(int64(q.Sign())))
		}
		if n.IsInt64() && n.Int64() != math.MinInt64 {
			return NewDecimal(n.Int64(), -d)
		}
	}
	return Decimal{}, fmt.Errorf("%s / %s: %w", w, v, ErrRange)
}

// Append appends w in plain digits.
func (w Wide) Append(dst []byte) []byte {
	if w.negative {
		dst = append(dst, '-')
	}
	var buf [40]byte
	digits := buf[:]
	i := len(digits)
	hi, lo := w.hi, w.lo
	for hi != 0 {
		var rem uint64
		hi, rem = hi/10, hi%10
		lo, rem = bits.Div64(rem, lo, 10)
		i--
		digits[i] = byte('0' + rem)
	}
	for lo != 0 || i == len(digits) {
		i--
		digits[i] = byte('0' + lo%10)
		lo /= 10
	}
	return placePoint(dst, digits[i:], int(w.exp))
}

// String formats w as Append does.
func (w Wide) String() string { return string(w.Append(make([]byte, 0, 48))) }

// ParseWide reads what Append writes.
func ParseWide(s string) (Wide, error) {
	if d, err := parseDecimal(s); err == nil && !(d.coef == 0 && len(s) > 0 && s[0] == '-') {
		return WideOf(d), nil
	}
	exp, text := 0, make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] == '.' && exp == 0 {
			exp = i + 1 - len(s)
			continue
		}
		text = append(text, s[i])
	}
	n, ok := new(big.Int).SetString(string(text), 10)
	if !ok || len(s) > 90 {
		return Wide{}, fmt.Errorf("%.60q: %w", s, ErrSyntax)
	}
	if n.BitLen() > 127 || exp < 2*MinExp {
		return Wide{}, fmt.Errorf("%.60q: %w", s, ErrRange)
	}
	w := Wide{exp: int8(exp), negative: n.Sign() < 0}
	n.Abs(n)
	w.lo = new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	w.hi = new(big.Int).Rsh(n, 64).Uint64()
	return w, nil
}

// MarshalJSON writes w as a JSON number with all its digits.
func (w Wide) MarshalJSON() ([]byte, error) { return w.Append(nil), nil }

// Exp returns the exponent: -2 for 187.42.
func (w Wide) Exp() int { return int(w.exp) }
