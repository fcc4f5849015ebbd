package candle

import (
	"fmt"

	"tapedeck/internal/market"
)

// fill is a trade as bars see it.
type fill struct {
	at       market.Time
	seq      uint64
	price    market.Decimal
	size     market.Wide
	turnover market.Wide
}

// addTo adds the trade to the volume and turnover of a bar, or after an error to neither. The numbers are passed one by one:
// copies of the structs made this four times slower.
func (t *fill) addTo(b *market.Bar) error {
	volume, err := b.Volume.Add(t.size)
	if err != nil {
		return barError(b, "volume", err)
	}
	turnover, err := b.Turnover.Add(t.turnover)
	if err != nil {
		return barError(b, "turnover", err)
	}
	b.Volume, b.Turnover = volume, turnover
	return nil
}

// takeFrom undoes addTo for a trade of a size. The numbers are as they were; they may have kept more zeros after the point.
func (t *fill) takeFrom(b *market.Bar, size market.Decimal) {
	turnover, err := market.Product(t.price, size.Neg())
	back := fill{size: market.WideOf(size.Neg()), turnover: turnover}
	if err == nil {
		err = back.addTo(b)
	}
	if err != nil {
		panic("BUG: " + err.Error()) // what was added can be taken away again
	}
}

func barError(b *market.Bar, what string, err error) error {
	return fmt.Errorf("%s of the %s bar of %s at %s: %w", what, b.Interval, b.Symbol, b.Start, err)
}

// apply puts the trade into a bar, but for volume and turnover.
//
// A bar whose prices come only from trades that are "last only if first" has CloseSeq 0: its close stands for its open, until a
// trade comes that sets the close, however early.
func (t *fill) apply(b *market.Bar, e market.Effect) {
	if b.FirstSeq == 0 || t.seq < b.FirstSeq {
		b.FirstSeq = t.seq
	}
	b.LastSeq = max(b.LastSeq, t.seq)
	if e.Has(market.EffectVolume) {
		b.Count++
	}
	if !e.Has(market.EffectHighLow) {
		return
	}
	if !b.Priced {
		b.Priced = true
		b.High, b.Low = t.price, t.price
		b.Open, b.OpenAt, b.OpenSeq = t.price, t.at, t.seq
		b.Close, b.CloseAt, b.CloseSeq = t.price, 0, 0
	} else {
		b.High, b.Low = higher(b.High, t.price), lower(b.Low, t.price)
		if before(t.at, t.seq, b.OpenAt, b.OpenSeq) {
			b.Open, b.OpenAt, b.OpenSeq = t.price, t.at, t.seq
			if b.CloseSeq == 0 {
				b.Close = t.price
			}
		}
	}
	if e.Has(market.EffectLast) && (b.CloseSeq == 0 || before(b.CloseAt, b.CloseSeq, t.at, t.seq)) {
		b.Close, b.CloseAt, b.CloseSeq = t.price, t.at, t.seq
	}
}

// before orders trades by event time, then by number.
func before(at market.Time, seq uint64, at2 market.Time, seq2 uint64) bool {
	return at < at2 || at == at2 && seq < seq2
}

// higher returns the larger number, of equal ones the one with more digits, so that the order of trades does not show.
func higher(a, b market.Decimal) market.Decimal {
	if a.Less(b) || a.Exp() > b.Exp() && !b.Less(a) {
		return b
	}
	return a
}

// lower returns the smaller number, of equal ones the one with more digits.
func lower(a, b market.Decimal) market.Decimal {
	if b.Less(a) || a.Exp() > b.Exp() && !a.Less(b) {
		return b
	}
	return a
}

// Merge lays a delta over the stored bar of the same symbol, interval and start. Where no bar is stored, the zero Bar stands for
// it. The result does not depend on how late trades were divided into deltas.
func Merge(stored, delta market.Bar) (market.Bar, error) {
	if stored == (market.Bar{}) {
		if delta.Rev > 0 {
			delta.Rev-- // its first trade made the bar, and the others changed it
		}
		return delta, nil
	}
	if stored.Symbol != delta.Symbol || stored.Interval != delta.Interval || stored.Start != delta.Start {
		return market.Bar{}, fmt.Errorf("merge the %s bar of %s at %s into the %s bar of %s at %s: %w",
			delta.Interval, delta.Symbol, delta.Start, stored.Interval, stored.Symbol, stored.Start, ErrInvalid)
	}
	return combine(stored, delta)
}

// combine returns the bar of the trades of both.
func combine(a, b market.Bar) (market.Bar, error) {
	sum := fill{size: b.Volume, turnover: b.Turnover}
	if err := sum.addTo(&a); err != nil {
		return market.Bar{}, err
	}
	a.Count += b.Count
	if a.FirstSeq == 0 || b.FirstSeq != 0 && b.FirstSeq < a.FirstSeq {
		a.FirstSeq = b.FirstSeq
	}
	a.LastSeq = max(a.LastSeq, b.LastSeq)
	a.Rev += b.Rev
	a.Final = a.Final || b.Final
	a.Gappy = a.Gappy || b.Gappy
	switch {
	case !b.Priced:
		return a, nil
	case !a.Priced:
		a.Priced = true
		a.Open, a.OpenAt, a.OpenSeq = b.Open, b.OpenAt, b.OpenSeq
		a.Close, a.CloseAt, a.CloseSeq = b.Close, b.CloseAt, b.CloseSeq
		a.High, a.Low = b.High, b.Low
		return a, nil
	}
	a.High, a.Low = higher(a.High, b.High), lower(a.Low, b.Low)
	if before(b.OpenAt, b.OpenSeq, a.OpenAt, a.OpenSeq) {
		a.Open, a.OpenAt, a.OpenSeq = b.Open, b.OpenAt, b.OpenSeq
	}
	if b.CloseSeq != 0 && (a.CloseSeq == 0 || before(a.CloseAt, a.CloseSeq, b.CloseAt, b.CloseSeq)) {
		a.Close, a.CloseAt, a.CloseSeq = b.Close, b.CloseAt, b.CloseSeq
	}
	if a.CloseSeq == 0 {
		a.Close = a.Open
	}
	return a, nil
}
