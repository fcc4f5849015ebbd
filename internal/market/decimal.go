package market

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// Decimal is an exact decimal number, coefficient × 10^exponent, with the digits that the venue sent: "28165.4700" keeps
// its zeros. The zero value is 0. Values are comparable with ==, which tells 1.0 from 1.00; Cmp compares the numbers.
// No method allocates except those that return a string or an error.
type Decimal struct {
	coef int64
	exp  int8
}

// The exponents that a Decimal may have. They bound the length of its text.
const (
	MinExp = -40
	MaxExp = 40
)

// What a text or a result cannot be.
var (
	ErrSyntax = errors.New("not a decimal number")
	ErrRange  = errors.New("outside the range of exact decimals")
)

// NewDecimal returns coef × 10^exp; the exponent must be within MinExp and MaxExp.
func NewDecimal(coef int64, exp int) (Decimal, error) {
	if exp < MinExp || exp > MaxExp || coef == math.MinInt64 {
		return Decimal{}, fmt.Errorf("%de%d: %w", coef, exp, ErrRange)
	}
	return Decimal{coef, int8(exp)}, nil
}

// ParseDecimal reads an optional sign, digits with at most one point, and an optional exponent ("-12.50", ".5",
// "7.7696E-4"). Nothing else is a number here: no spaces, no separators, no NaN, no infinity. The digits are kept as sent;
// zeros at the end are dropped only when the 64-bit coefficient cannot hold them. What is too large or too fine is ErrRange.
func ParseDecimal[T string | []byte](s T) (Decimal, error) {
	d, err := parseDecimal(s)
	if err != nil {
		return Decimal{}, fmt.Errorf("%.60q: %w", string(s), err)
	}
	return d, nil
}

func parseDecimal[T string | []byte](s T) (Decimal, error) {
	i, negative := 0, false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		i = 1
	}
	var (
		coef   uint64
		zeros  int // zeros seen at the end that are not in coef yet
		exp    int
		digits bool
		point  bool
	)
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits = true
		if point {
			exp--
		}
		if c == '0' && (coef > math.MaxInt64/10 || zeros > 0) {
			zeros++
			continue
		}
		for ; zeros > 0; zeros-- {
			if coef > math.MaxInt64/10 {
				return Decimal{}, ErrRange
			}
			coef *= 10
		}
		if coef > (math.MaxInt64-uint64(c-'0'))/10 {
			return Decimal{}, ErrRange
		}
		coef = coef*10 + uint64(c-'0')
	}
	if !digits {
		return Decimal{}, ErrSyntax
	}
	exp += zeros
	if i < len(s) {
		e, ok := parseExponent(s[i:])
		if !ok {
			return Decimal{}, ErrSyntax
		}
		exp += e
	}
	return fit(coef, exp, negative)
}

// parseExponent reads "e-12". A number of more than four digits is clamped: it is out of range anyway.
func parseExponent[T string | []byte](s T) (exp int, ok bool) {
	if len(s) < 2 || (s[0] != 'e' && s[0] != 'E') {
		return 0, false
	}
	i, negative := 1, false
	if s[1] == '-' || s[1] == '+' {
		negative = s[1] == '-'
		i = 2
	}
	if i == len(s) {
		return 0, false
	}
	for ; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if exp < 10_000 {
			exp = exp*10 + int(s[i]-'0')
		}
	}
	if negative {
		exp = -exp
	}
	return exp, true
}

// fit brings the exponent of a parsed number into range without changing its value, and spells whole numbers out
// (1e3 is 1000) as long as the coefficient can hold them.
func fit(coef uint64, exp int, negative bool) (Decimal, error) {
	if coef == 0 {
		return Decimal{0, int8(min(max(exp, MinExp), 0))}, nil
	}
	for exp > 0 && coef <= math.MaxInt64/10 {
		coef *= 10
		exp--
	}
	for exp < MinExp && coef%10 == 0 {
		coef /= 10
		exp++
	}
	if exp < MinExp || exp > MaxExp {
		return Decimal{}, ErrRange
	}
	c := int64(coef)
	if negative {
		c = -c
	}
	return Decimal{c, int8(exp)}, nil
}

// Coef returns the coefficient.
func (d Decimal) Coef() int64 { return d.coef }

// Exp returns the exponent: -2 for 187.42.
func (d Decimal) Exp() int { return int(d.exp) }

// Sign returns -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.coef < 0:
		return -1
	case d.coef > 0:
		return 1
	}
	return 0
}

// IsZero reports whether d is 0, in whatever digits.
func (d Decimal) IsZero() bool { return d.coef == 0 }

// Cmp compares the numbers: -1 when d < e, 0 when they are equal (1.0 and 1.00 are), 1 when d > e.
func (d Decimal) Cmp(e Decimal) int {
	if d.exp == e.exp {
		return cmp.Compare(d.coef, e.coef)
	}
	sign := d.Sign()
	if sign != e.Sign() || sign == 0 {
		return cmp.Compare(sign, e.Sign())
	}
	if d.exp < e.exp {
		return -e.Cmp(d)
	}
	// d has the larger exponent: scale its magnitude up and compare in 128 bits.
	hi, lo, ok := scaleUp(magnitude(d.coef), int(d.exp)-int(e.exp))
	if !ok || hi > 0 {
		return sign
	}
	return sign * cmp.Compare(lo, magnitude(e.coef))
}

// Less reports whether d < e.
func (d Decimal) Less(e Decimal) bool {
	if d.exp == e.exp {
		return d.coef < e.coef
	}
	return d.Cmp(e) < 0
}

// Neg returns -d.
func (d Decimal) Neg() Decimal { return Decimal{-d.coef, d.exp} }

// Add returns d+e exactly, with the finer exponent of the two, or ErrRange.
func (d Decimal) Add(e Decimal) (Decimal, error) {
	if d.exp != e.exp {
		var err error
		if d.exp > e.exp {
			d, err = d.Rescale(int(e.exp))
		} else {
			e, err = e.Rescale(int(d.exp))
		}
		if err != nil {
			return Decimal{}, err
		}
	}
	sum := d.coef + e.coef
	if (d.coef > 0) == (e.coef > 0) && d.coef != 0 && (sum > 0) != (d.coef > 0) || sum == math.MinInt64 {
		return Decimal{}, fmt.Errorf("%s + %s: %w", d, e, ErrRange)
	}
	return Decimal{sum, d.exp}, nil
}

// Sub returns d-e exactly, with the finer exponent of the two, or ErrRange.
func (d Decimal) Sub(e Decimal) (Decimal, error) { return d.Add(e.Neg()) }

// Rescale returns the same number with another exponent, or ErrRange when digits would be lost or do not fit.
func (d Decimal) Rescale(exp int) (Decimal, error) {
	if exp < MinExp || exp > MaxExp {
		return Decimal{}, fmt.Errorf("%s with exponent %d: %w", d, exp, ErrRange)
	}
	c := d.coef
	for e := int(d.exp); e > exp && c != 0; e-- {
		if c > math.MaxInt64/10 || c < -math.MaxInt64/10 {
			return Decimal{}, fmt.Errorf("%s with exponent %d: %w", d, exp, ErrRange)
		}
		c *= 10
	}
	for e := int(d.exp); e < exp && c != 0; e++ {
		if c%10 != 0 {
			return Decimal{}, fmt.Errorf("%s with exponent %d: %w", d, exp, ErrRange)
		}
		c /= 10
	}
	return Decimal{c, int8(exp)}, nil
}

// Append appends the number in plain digits ("0.00077696"), as JSON has it.
func (d Decimal) Append(dst []byte) []byte {
	if d.exp == 0 {
		return strconv.AppendInt(dst, d.coef, 10)
	}
	if d.coef < 0 {
		dst = append(dst, '-')
	}
	var buf [20]byte
	return placePoint(dst, strconv.AppendUint(buf[:0], magnitude(d.coef), 10), int(d.exp))
}

// placePoint appends digits × 10^exp in plain digits.
func placePoint(dst, digits []byte, exp int) []byte {
	if exp >= 0 {
		dst = append(dst, digits...)
		if len(digits) == 1 && digits[0] == '0' {
			return dst
		}
		for ; exp > 0; exp-- {
			dst = append(dst, '0')
		}
		return dst
	}
	whole := len(digits) + exp
	if whole <= 0 {
		dst = append(dst, '0', '.')
		for ; whole < 0; whole++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:whole]...)
	dst = append(dst, '.')
	return append(dst, digits[whole:]...)
}

// String formats d as Append does.
func (d Decimal) String() string { return string(d.Append(make([]byte, 0, 24))) }

// Float64 returns the nearest float, of two that are as near the one with an even last bit. It is for metrics, analytics and
// encodings that have no decimals (MessagePack), never for a price that is reckoned with, stored or shown.
func (d Decimal) Float64() float64 {
	// A coefficient below 2^53 and a power of ten up to 10^22 are floats exactly, so that the one operation on them is rounded
	// once, and rightly (W. D. Clinger, "How to read floating point numbers accurately", 1990).
	if d.coef > -1<<53 && d.coef < 1<<53 && d.exp >= -22 && d.exp <= 22 {
		tens := [...]float64{
			1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
		}
		if d.exp < 0 {
			return float64(d.coef) / tens[-d.exp]
		}
		return float64(d.coef) * tens[d.exp]
	}
	var buf [64]byte // an exponent, because 40 zeros do not make the text of a float clearer
	text := append(strconv.AppendInt(buf[:0], d.coef, 10), 'e')
	f, err := strconv.ParseFloat(string(strconv.AppendInt(text, int64(d.exp), 10)), 64)
	if err != nil {
		return math.NaN() // unreachable: the text of a Decimal is always a float
	}
	return f
}

// MarshalJSON writes d as a JSON number with its own digits.
func (d Decimal) MarshalJSON() ([]byte, error) { return d.Append(nil), nil }

// UnmarshalJSON reads a JSON number, or a string that holds one.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		b = b[1 : len(b)-1]
	}
	v, err := ParseDecimal(b)
	if err != nil {
		return err
	}
	*d = v
	return nil
}

func magnitude(c int64) uint64 {
	if c < 0 {
		return uint64(-c)
	}
	return uint64(c)
}

// scaleUp returns m × 10^n in 128 bits; ok is false when it does not fit.
func scaleUp(m uint64, n int) (hi, lo uint64, ok bool) {
	lo = m
	for ; n > 0; n-- {
		var carry, over uint64
		carry, lo = bits.Mul64(lo, 10)
		over, hi = bits.Mul64(hi, 10)
		if hi, carry = bits.Add64(hi, carry, 0); over != 0 || carry != 0 {
			return 0, 0, false
		}
	}
	return hi, lo, true
}
