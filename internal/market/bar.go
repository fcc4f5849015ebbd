package market

// Bar is the open, high, low, close and volume of the trades of a symbol in [Start, End). It is labelled by its start. There
// is no bar where nothing traded.
//
// Open and close are those of the earliest and latest trade by (event time, seq), whatever order they arrived in, so that a
// late tick amends a bar to what it would have been. Which trades count for price and for volume is up to a rule set over
// their conditions; a bar whose trades count for volume only has no price yet (Priced is false) and is not shown.
type Bar struct {
	Symbol   Symbol
	Interval Interval
	Start    Time
	End      Time // exclusive; of a trading day, its end by the calendar

	Open, High, Low, Close Decimal

	Volume   Wide   // Σ size, in the venue's units
	Turnover Wide   // Σ price × size of the trades that count for volume
	Count    uint64 // trades

	// The trades that the open and the close come from, so that a late one can be placed.
	OpenAt, CloseAt   Time
	OpenSeq, CloseSeq uint64

	FirstSeq, LastSeq uint64 // smallest and largest number of its trades

	Rev    uint32 // 0 for the bar as it first closed; +1 for each change after that
	Final  bool   // the clock of the feed has passed its end
	Gappy  bool   // a gap of its symbol or feed lies within it: it may be incomplete
	Priced bool

	// Imported says that the bar came from a file as a bar, or was rolled up from such: its trades are not known, so that there
	// is no turnover, and its volume and count are 0 where the file tells none.
	Imported bool
}

// VWAP returns Turnover / Volume rounded half to even at six decimals, or at two more than the close has if that is more.
// A bar without volume, and one that was imported, has the close as its VWAP.
func (b *Bar) VWAP() Decimal {
	if b.Volume.IsZero() || b.Imported {
		return b.Close
	}
	v, err := b.Turnover.Quo(b.Volume, max(6, 2-b.Close.Exp()))
	if err != nil {
		return b.Close // unreachable: a mean of prices is within the range of prices
	}
	return v.trim()
}

// trim drops zeros after the point.
func (d Decimal) trim() Decimal {
	for d.exp < 0 && d.coef%10 == 0 {
		d.coef /= 10
		d.exp++
	}
	return d
}
