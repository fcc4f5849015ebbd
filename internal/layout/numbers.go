package layout

import (
	"bytes"
	"errors"

	"tapedeck/internal/market"
)

// style says what a comma within a number means.
type style uint8

const (
	styleUnknown style = iota
	pointStyle         // 1,234.56
	commaStyle         // 1.234,56
)

// numeral reads numbers as files spell them. The usual ones cost nothing more than market.ParseDecimal; of others it takes away what
// is not of the number: signs of currencies, separators of thousands, a decimal comma.
type numeral struct{ style style }

// parse reads a number. A problem is one of the constants of Reject; scaled says that K, M and B may follow, as in volumes.
func (n numeral) parse(v []byte, scaled bool) (market.Decimal, string) {
	if n.style == commaStyle && bytes.IndexByte(v, '.') >= 0 {
		return n.spelled(v, scaled)
	}
	d, err := market.ParseDecimal(v)
	if err == nil {
		return d, ""
	}
	if errors.Is(err, market.ErrRange) {
		return market.Decimal{}, badRange
	}
	return n.spelled(v, scaled)
}

// spelled is parse for numbers that are not plain.
func (n numeral) spelled(v []byte, scaled bool) (market.Decimal, string) {
	var buf [64]byte
	out := buf[:0]
	if len(v) > 40 {
		return market.Decimal{}, badNumber
	}
	if len(v) > 0 && (v[0] == '-' || v[0] == '+') {
		out = append(out, v[0])
		v = v[1:]
	}
	for _, sign := range []string{"$", "€", "£", "¥"} {
		v = bytes.TrimPrefix(v, []byte(sign))
	}
	v = bytes.TrimSpace(v)
	shift := 0
	if len(v) > 1 && scaled {
		switch v[len(v)-1] {
		case 'K', 'k':
			shift = 3
		case 'M', 'm':
			shift = 6
		case 'B', 'b':
			shift = 9
		}
		if shift > 0 {
			v = v[:len(v)-1]
		}
	}
	out, problem := n.digits(out, v, scaled)
	if problem != "" {
		return market.Decimal{}, problem
	}
	if shift > 0 {
		out = append(out, 'e', byte('0'+shift))
	}
	d, err := market.ParseDecimal(out)
	switch {
	case errors.Is(err, market.ErrRange):
		return d, badRange
	case err != nil:
		return d, badNumber
	}
	return d, ""
}

// digits appends the digits of v with a point, if any.
func (n numeral) digits(dst, v []byte, whole bool) ([]byte, string) {
	style := n.style
	if style == styleUnknown {
		if style = evidence(v); style == styleUnknown && bytes.IndexByte(v, ',') >= 0 {
			if !whole && bytes.Count(v, []byte(",")) == 1 {
				return nil, badComma
			}
			style = pointStyle
		}
	}
	thousands, point := byte(','), byte('.')
	if style == commaStyle {
		thousands, point = '.', ','
	}
	integer, fraction, pointed := bytes.Cut(v, []byte{point})
	groups := 0
	for first := true; ; first = false {
		i := bytes.IndexAny(integer, string(thousands)+"' ")
		group := integer
		if i >= 0 {
			group = integer[:i]
			groups++
		}
		if !first && len(group) != 3 || groups > 0 && (len(group) == 0 || len(group) > 3) || !isDigits(group) {
			return nil, badNumber
		}
		dst = append(dst, group...)
		if i < 0 {
			break
		}
		integer = integer[i+1:]
	}
	if pointed {
		if !isDigits(fraction) {
			return nil, badNumber
		}
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, ""
}

func isDigits(v []byte) bool {
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// evidence tells what the commas and points of a number must mean: 1,234.56 and 0.5 leave no doubt, and neither do 1.234,56 and
// 0,5; but 1,234 may be either.
func evidence(v []byte) style {
	v = bytes.TrimLeft(v, "+-$ ")
	comma, point := bytes.LastIndexByte(v, ','), bytes.LastIndexByte(v, '.')
	switch {
	case comma >= 0 && point >= 0 && comma < point:
		return pointStyle
	case comma >= 0 && point >= 0:
		return commaStyle
	case bytes.Count(v, []byte(",")) > 1:
		return pointStyle
	case bytes.Count(v, []byte(".")) > 1:
		return commaStyle
	}
	at, is := point, pointStyle
	if comma >= 0 {
		at, is = comma, commaStyle
	}
	if at < 0 || !isDigits(v[:at]) || !isDigits(v[at+1:]) {
		return styleUnknown
	}
	if len(v)-at-1 != 3 || at > 3 || at == 0 || at == 1 && v[0] == '0' {
		return is
	}
	return styleUnknown // 1,234 or 1.234
}
