package columnar

import "tapedeck/internal/market"

// Shape is what a decimal column must hold. The zero value stands for what fits nearly everything: decimal(38,18).
type Shape struct {
	Known bool // false: decimal(38,18)
	Scale int  // digits after the point, 0 to 38
	Wide  bool // 38 digits in all, 16 bytes; otherwise 18, 8 bytes

	whole int // digits before the point of the longest number noted
}

// The decimals that the formats have: digits in all of the two widths, and digits after the point where nobody said what comes.
const (
	narrowDigits = 18
	wideDigits   = 38
	freeScale    = 18
)

// Shapes are the shapes of the columns of a table: prices share one, sizes (and volumes) the other. A number that fits neither is null in its column, and
// whole in the column digits.
type Shapes struct{ Price, Size Shape }

// Note widens s so that the numbers of row fit. Noting all rows of a file before it is written gives it the tightest columns.
func (s *Shapes) Note(row *market.Row) {
	s.Price.note(row.Price)
	s.Size.note(row.Size)
	if row.Kind == market.KindQuote {
		s.Price.note(row.Ask)
		s.Size.note(row.AskSize)
	}
}

// NoteBar widens s so that the numbers of bar fit.
func (s *Shapes) NoteBar(bar *market.Bar) {
	if bar.Priced {
		for _, d := range [...]market.Decimal{bar.Open, bar.High, bar.Low, bar.Close} {
			s.Price.note(d)
		}
	}
	v := splitWide(&bar.Volume)
	s.Size.widen(v.digits(), v.exp)
}

// Join widens s to hold what o holds too, as when the files of several days are to have the same columns.
func (s *Shapes) Join(o Shapes) {
	for _, p := range [...]struct{ to, from *Shape }{{&s.Price, &o.Price}, {&s.Size, &o.Size}} {
		if p.from.Known {
			p.to.Known = true
			p.to.Scale = max(p.to.Scale, p.from.Scale)
			p.to.whole = max(p.to.whole, p.from.whole)
			p.to.Wide = p.to.Wide || p.from.Wide || p.to.Scale+p.to.whole > narrowDigits
		}
	}
}

func (s *Shape) note(d market.Decimal) {
	v := splitDecimal(d)
	s.widen(v.digits(), v.exp)
}

// widen makes room for a number of so many digits, times 10^exp. What no decimal column can hold is left to the column digits.
func (s *Shape) widen(digits, exp int) {
	s.Known = true
	if -exp <= s.Scale && digits+exp <= s.whole {
		return
	}
	scale, whole := max(s.Scale, -exp), max(s.whole, digits+exp)
	if scale+whole > wideDigits {
		return
	}
	s.Scale, s.whole = scale, whole
	s.Wide = s.Wide || scale+whole > narrowDigits
}

// settled is s, or what stands for it when nobody said anything.
func (s Shape) settled() Shape {
	if !s.Known {
		return Shape{Known: true, Scale: freeScale, Wide: true}
	}
	s.Scale = min(max(s.Scale, 0), s.precision())
	return s
}

func (s Shape) precision() int {
	if s.Wide {
		return wideDigits
	}
	return narrowDigits
}
