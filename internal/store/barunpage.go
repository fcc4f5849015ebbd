package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"tapedeck/internal/market"
)

// pageReader takes a page apart. Each of its methods returns 0 once something was wrong.
type pageReader struct {
	data []byte
	bad  string // what was wrong first
}

func (r *pageReader) fail(what string) {
	if r.bad == "" {
		r.bad, r.data = what, nil
	}
}

func (r *pageReader) byte() byte {
	if len(r.data) == 0 {
		r.fail("it ends too soon")
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *pageReader) uvarint() uint64 {
	if len(r.data) > 0 && r.data[0] < 0x80 { // nearly always
		n := uint64(r.data[0])
		r.data = r.data[1:]
		return n
	}
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.fail("a number is cut off")
		return 0
	}
	r.data = r.data[size:]
	return n
}

func (r *pageReader) varint() int64 { return zag(r.uvarint()) }

func (r *pageReader) decimal(coef int64, exp int8) market.Decimal {
	d, err := market.NewDecimal(coef, int(exp))
	if err != nil {
		r.fail(err.Error())
	}
	return d
}

// sum reads what appendSum wrote; d is the same where it is a Decimal.
func (r *pageReader) sum(exp int8, odd bool) (w market.Wide, d market.Decimal) {
	var n uint64
	if odd {
		if n = r.uvarint(); n == 0 {
			exp = int8(r.byte())
		}
	}
	if n == 0 {
		d = r.decimal(r.varint(), exp)
		return market.WideOf(d), d
	}
	if n > uint64(len(r.data)) {
		r.fail("a sum is cut off")
		return w, d
	}
	w, err := market.ParseWide(string(r.data[:n]))
	if err != nil {
		r.fail(err.Error())
		return w, d
	}
	r.data = r.data[n:]
	d, _ = w.Decimal()
	return w, d
}

// takePage appends the bars of a page of a symbol whose first begins at start. It reads whatever the bytes are, and says ErrCorrupt of those that
// appendPage does not write.
func takePage(dst []market.Bar, symbol market.Symbol, start market.Time, data []byte) ([]market.Bar, error) {
	r := pageReader{data: data}
	if v := r.byte(); v != pageVersion {
		return dst, fmt.Errorf("page of bars of version %d: %w", v, ErrCorrupt)
	}
	h := pageHead{price: int8(r.byte()), volume: int8(r.byte()), turnover: int8(r.byte()), unit: r.byte(), units: 1}
	count := r.uvarint()
	if h.unit > 9 || count == 0 || count > pageLimit || start%pagedLength != 0 {
		return dst, fmt.Errorf("page of %d bars at %d: %w", count, int64(start), ErrCorrupt)
	}
	for range h.unit {
		h.units *= 10
	}
	n := len(dst)
	before := &market.Bar{}
	for i := range count {
		if i > 0 {
			gap := r.uvarint()
			next := start + market.Time((gap+1)*uint64(pagedLength))
			if gap >= math.MaxUint64/uint64(pagedLength) || next <= start {
				r.fail("its bars are not in order")
			}
			start = next
		}
		if start > math.MaxInt64-pagedLength {
			r.fail("a bar is beyond all time")
		}
		if r.bad != "" {
			break
		}
		dst = append(dst, market.Bar{
			Symbol: symbol, Interval: market.Sec1(), Start: start, End: start + pagedLength, Final: true, Priced: true,
		})
		b := &dst[len(dst)-1]
		r.bar(&h, before, b)
		before = b
	}
	if r.bad == "" && len(r.data) > 0 {
		r.fail("there is more in it than bars")
	}
	if r.bad != "" {
		return dst[:n], fmt.Errorf("page of bars at %s: %s: %w", start, r.bad, ErrCorrupt)
	}
	return dst, nil
}

// bar reads one bar, but for its place.
func (r *pageReader) bar(h *pageHead, before, b *market.Bar) {
	flags := r.byte()
	exps := [4]int8{h.price, h.price, h.price, h.price}
	if flags&barExps != 0 {
		for i := range exps {
			exps[i] = int8(r.byte())
		}
	}
	open := before.Close.Coef() + r.varint()
	end, high, low := open, open, open
	if flags&(barSingle|barFlat) == 0 {
		end = open + r.varint()
		high = max(open, end) + r.varint()
		low = min(open, end) - r.varint()
	}
	b.Open, b.High, b.Low, b.Close = r.decimal(open, exps[0]), r.decimal(high, exps[1]), r.decimal(low, exps[2]), r.decimal(end, exps[3])
	var volume market.Decimal
	b.Volume, volume = r.sum(h.volume, flags&barOddVolume != 0)
	b.OpenAt = b.Start + market.Time(r.varint())*h.units
	b.FirstSeq = before.LastSeq + 1 + uint64(r.varint())
	if flags&barSingle != 0 {
		if flags&barUnpriced != 0 {
			r.fail("a trade that sets no price makes no bar by itself")
		}
		b.LastSeq, b.OpenSeq, b.CloseSeq, b.CloseAt, b.Count = b.FirstSeq, b.FirstSeq, b.FirstSeq, b.OpenAt, 1
		var err error
		if b.Turnover, err = market.Product(b.Open, volume); err != nil {
			r.fail(err.Error())
		}
	} else {
		b.LastSeq = b.FirstSeq + uint64(r.varint())
		b.Count = b.LastSeq - b.FirstSeq + 1 + uint64(r.varint())
		b.OpenSeq = b.FirstSeq + uint64(r.varint())
		b.CloseSeq = b.LastSeq + uint64(r.varint())
		b.CloseAt = b.OpenAt + market.Time(r.varint())*h.units
		b.Turnover, _ = r.sum(h.turnover, flags&barOddTurnover != 0)
	}
	if flags&barRevised != 0 {
		rev := r.uvarint()
		if rev > math.MaxUint32 {
			r.fail("a bar has too many revisions")
		}
		b.Rev = uint32(rev)
	}
	b.Priced, b.Gappy = flags&barUnpriced == 0, flags&barGappy != 0
}
