package market

// Row is a tick with its number on the tape: unique, and rising in the order of arrival over all symbols.
type Row struct {
	N uint64
	Entry
}

// TickQuery asks for the trades or the quotes of a symbol in the order of (Event, Seq).
type TickQuery struct {
	Kind       Kind   // KindTrade or KindQuote
	Symbol     Symbol // "" asks for all symbols, in the order of (Event, N)
	From, To   Time   // From ≤ Event < To; 0 leaves an end open
	After      *TickKey
	Limit      int // rows at most; must be positive
	Descending bool
}

// TickKey is the place of a tick in the order of one symbol. A query with After goes on behind it, in its direction.
type TickKey struct {
	Event Time
	Seq   uint64
}

// BarQuery asks for the bars of a symbol by their start. Bars that trades are still coming into are part of the answer.
type BarQuery struct {
	Symbol     Symbol
	Interval   Interval
	From, To   Time // From ≤ Start < To; 0 leaves an end open
	Limit      int  // bars at most; must be positive
	Descending bool
	Unpriced   bool // bars that have only a volume yet are asked for as well
}

// Listing is what history knows of a symbol.
type Listing struct {
	Symbol    Symbol
	Feed      string // feed that it last came from
	TradeSeq  uint64 // number of its last trade, 0 when it has none
	QuoteSeq  uint64 // number of its last quote
	LastTrade Entry  // Kind is 0 when there is none
	LastQuote Entry
}
