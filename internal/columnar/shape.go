package columnar

import "tapedeck/internal/market"

// Shape is what a decimal column must hold. The zero value stands for what fits nearly everything: decimal(38,18).
type Shape struct {
	Known bool // false: decimal(38,18)
	Scale int  // digits after the point, 0 to 38
	Wide  bool // 38 digits in all, 16 bytes; otherwise 18, 8 bytes
}

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

func (s *Shape) note(market.Decimal) { s.Known = true }
