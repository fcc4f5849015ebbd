package store

import (
	"encoding/binary"

	"tapedeck/internal/market"
)

// A page is a run of closed bars of a symbol in one row of bar_pages. A bar of a second in which there was one trade takes some 12 bytes in it, and
// 110 as a row of its own; and a chart reads 64 of them as fast as three rows.
const (
	pageVersion = 1

	// pageBars and pageBytes are how many bars a new page has, or less where they are large: four pages fit into one of SQLite's.
	pageBars  = 64
	pageBytes = 960

	// maxPageBars and maxPageBytes are what a page may grow to by late trades before it is divided.
	maxPageBars  = 96
	maxPageBytes = 1300

	// pageLimit is the most that is read.
	pageLimit = 4096
)

// paged is the one interval whose bars are moved to pages, and pagedLength how long they are.
const (
	pagedID     = 1
	pagedLength = market.Second
)

// What a bar of a page has in its first byte.
const (
	barSingle   = 1 << iota // of one trade, which all of it follows from
	barFlat                 // of one price
	barUnpriced             // nothing set a price
	barGappy
	barRevised     // its revisions follow
	barExps        // the exponents of its prices follow
	barOddVolume   // its volume is not a number with the exponent of the page
	barOddTurnover // its turnover is not
)

// pageable reports whether a bar can be in a page once it is final. It depends on nothing that changes.
func pageable(b *market.Bar) bool {
	return b.Interval == market.Sec1() && b.Start%pagedLength == 0 && b.End == b.Start+pagedLength && !b.Imported
}

// pageHead is what the bars of a page have in common.
type pageHead struct {
	price, volume, turnover int8 // exponents
	unit                    uint8
	units                   market.Time // 10^unit
}

// pageHeadOf finds it. The exponents are those of the first bar, and times are counted in the coarsest unit that holds all.
func pageHeadOf(bars []market.Bar) pageHead {
	h := pageHead{unit: 9, units: 1e9}
	h.price = int8(bars[0].Open.Exp())
	h.volume, h.turnover = int8(bars[0].Volume.Exp()), int8(bars[0].Turnover.Exp())
	for i := range bars {
		b := &bars[i]
		for h.unit > 0 && ((b.OpenAt-b.Start)%h.units != 0 || (b.CloseAt-b.OpenAt)%h.units != 0) {
			h.unit--
			h.units /= 10
		}
	}
	return h
}

// zig maps small numbers of either sign to small ones.
func zig(n int64) uint64 { return uint64(n<<1) ^ uint64(n>>63) }

func zag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// appendPage appends the form that bars have in the column data: pageable ones, final, by rising start.
//
// The form: the version; the exponents of the prices, volumes and turnovers; the power of ten ns that times are counted in; the number of bars; and
// then each bar as differences to the one before it, in varints.
func appendPage(dst []byte, bars []market.Bar) []byte {
	h := pageHeadOf(bars)
	dst = append(dst, pageVersion, byte(h.price), byte(h.volume), byte(h.turnover), h.unit)
	dst = binary.AppendUvarint(dst, uint64(len(bars)))
	var before market.Bar
	for i := range bars {
		dst = appendPaged(dst, &h, &before, &bars[i], i == 0)
		before = bars[i]
	}
	return dst
}

// appendPaged appends one bar.
func appendPaged(dst []byte, h *pageHead, before, b *market.Bar, first bool) []byte {
	if !first {
		dst = binary.AppendUvarint(dst, uint64(b.Start-before.Start)/uint64(pagedLength)-1)
	}
	flags, volume, turnover := pagedFlags(h, b)
	dst = append(dst, flags)
	if flags&barExps != 0 {
		dst = append(dst, byte(b.Open.Exp()), byte(b.High.Exp()), byte(b.Low.Exp()), byte(b.Close.Exp()))
	}
	put := func(n int64) { dst = binary.AppendUvarint(dst, zig(n)) }
	open, end := b.Open.Coef(), b.Close.Coef()
	put(open - before.Close.Coef())
	if flags&(barSingle|barFlat) == 0 {
		put(end - open)
		put(b.High.Coef() - max(open, end))
		put(min(open, end) - b.Low.Coef())
	}
	dst = appendSum(dst, &b.Volume, volume, flags&barOddVolume != 0)
	put(int64((b.OpenAt - b.Start) / h.units))
	put(int64(b.FirstSeq - before.LastSeq - 1))
	if flags&barSingle == 0 {
		put(int64(b.LastSeq - b.FirstSeq))
		put(int64(b.Count - (b.LastSeq - b.FirstSeq) - 1))
		put(int64(b.OpenSeq - b.FirstSeq))
		put(int64(b.CloseSeq - b.LastSeq))
		put(int64((b.CloseAt - b.OpenAt) / h.units))
		dst = appendSum(dst, &b.Turnover, turnover, flags&barOddTurnover != 0)
	}
	if flags&barRevised != 0 {
		dst = binary.AppendUvarint(dst, uint64(b.Rev))
	}
	return dst
}

// pagedFlags returns the first byte of a bar, and its sums as far as they are written as numbers.
func pagedFlags(h *pageHead, b *market.Bar) (flags byte, volume, turnover market.Decimal) {
	var whole, also bool
	volume, whole = b.Volume.Decimal()
	turnover, also = b.Turnover.Decimal()
	if !whole || b.Volume.Exp() != int(h.volume) {
		flags |= barOddVolume
	}
	if !also || b.Turnover.Exp() != int(h.turnover) {
		flags |= barOddTurnover
	}
	if exp := int(h.price); b.Open.Exp() != exp || b.High.Exp() != exp || b.Low.Exp() != exp || b.Close.Exp() != exp {
		flags |= barExps
	}
	if !b.Priced {
		flags |= barUnpriced
	}
	if b.Gappy {
		flags |= barGappy
	}
	if b.Rev != 0 {
		flags |= barRevised
	}
	if b.High == b.Open && b.Low == b.Open && b.Close == b.Open {
		flags |= barFlat
		product, err := market.Product(b.Open, volume)
		if whole && err == nil && product == b.Turnover && b.Priced && b.Count == 1 && b.CloseAt == b.OpenAt && b.OpenSeq == b.FirstSeq &&
			b.CloseSeq == b.FirstSeq && b.LastSeq == b.FirstSeq {
			flags = flags&^(barFlat|barOddTurnover) | barSingle
		}
	}
	return flags, volume, turnover
}

// appendSum appends a volume or a turnover: its coefficient; or, of an odd one, 0, its exponent and its coefficient, or the length of its text and that,
// where d cannot hold it.
func appendSum(dst []byte, w *market.Wide, d market.Decimal, odd bool) []byte {
	if !odd {
		return binary.AppendUvarint(dst, zig(d.Coef()))
	}
	if market.WideOf(d) == *w {
		return binary.AppendUvarint(append(dst, 0, byte(d.Exp())), zig(d.Coef()))
	}
	s := w.String()
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
