package replay

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"tapedeck/internal/market"
)

// rowError says why a row can't be used.
type rowError struct {
	line    int
	column  string
	value   string
	problem string // a constant: rows are counted by it
}

func (e *rowError) Error() string {
	if e.column == "" {
		return fmt.Sprintf("line %d: %s", e.line, e.problem)
	}
	return fmt.Sprintf("line %d, column %s: %.60q %s", e.line, e.column, e.value, e.problem)
}

// What can be wrong with a row.
const (
	badTime    = "is not a time"
	badOrder   = "can be read in two ways; say dates=mdy or dates=dmy"
	badNumber  = "is not a decimal number"
	badRange   = "is a number of more digits than can be kept exactly"
	badPrice   = "is not a price: what has a size has a price other than zero"
	badSize    = "is not a size: it must not be negative"
	badSymbol  = "is not a symbol"
	badSide    = "is not a side: want buy or sell"
	badMaker   = "is not true or false"
	fewFields  = "is missing: the row has too few columns"
	manyFields = "is followed by more: the row has too many columns"
)

// decoder turns rows into ticks.
type decoder struct {
	layout *layout
	clock  clockwork
	venue  string
	symbol market.Symbol          // of all rows, when the file has no column for it
	only   map[market.Symbol]bool // symbols that are wanted; nil is all

	symbols  map[string]market.Symbol // as the file writes them
	seen     []market.Symbol          // symbols of the file that are not wanted, a few
	texts    map[string]string        // exchanges and conditions, which repeat
	lastText string
}

func newDecoder(l *layout, c *config) *decoder {
	return &decoder{
		layout: l, clock: c.clock, venue: c.venue, symbol: c.symbol, only: c.only,
		symbols: make(map[string]market.Symbol), texts: make(map[string]string),
	}
}

// get returns a column of the row without the spaces around it; ok is false when the row does not have it.
func (d *decoder) get(row [][]byte, f field) (value []byte, ok bool) {
	i := d.layout.columns[f]
	if i < 0 || i >= len(row) {
		return nil, false
	}
	v := row[i]
	if n := len(v); n > 0 && (v[0] <= ' ' || v[n-1] <= ' ') {
		v = bytes.TrimSpace(v)
	}
	return v, true
}

// optional is get for columns that may be empty, or hold one of the words for nothing.
func (d *decoder) optional(row [][]byte, f field) []byte {
	v, _ := d.get(row, f)
	if len(v) > 4 || len(v) == 0 || v[0] >= '0' && v[0] <= '9' {
		return v
	}
	var low [4]byte
	for i, c := range v {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	switch string(low[:len(v)]) {
	case "null", "none", "nan", "na", "n/a", "-":
		return nil
	}
	return v
}

func (d *decoder) bad(row [][]byte, f field, line int, problem string) *rowError {
	i := d.layout.columns[f]
	e := &rowError{line: line, column: d.layout.names[i], problem: problem}
	if i < len(row) {
		e.value = string(row[i])
	} else {
		e.problem = fewFields
	}
	return e
}

// decode sets everything of a tick but Received and Seq. It returns false without an error for a row of another symbol.
func (d *decoder) decode(row [][]byte, line int, e *market.Entry) (wanted bool, problem *rowError) {
	if n := len(d.layout.names); len(row) > n && len(bytes.TrimSpace(bytes.Join(row[n:], nil))) > 0 {
		// A separator within a number, most likely: what stands in the columns then isn't what their names say.
		return false, &rowError{line: line, column: d.layout.names[n-1], value: string(bytes.Join(row[n-1:], []byte(","))), problem: manyFields}
	}
	symbol := d.symbol
	if d.layout.has(fSymbol) {
		v, _ := d.get(row, fSymbol)
		s, known := d.symbols[string(v)]
		if !known {
			if s, known = d.newSymbol(v); !known {
				return false, d.bad(row, fSymbol, line, badSymbol)
			}
		}
		if d.only != nil && !d.only[s] {
			return false, nil
		}
		symbol = s
	}
	*e = market.Entry{Kind: market.KindTrade, Symbol: symbol}
	if problem = d.time(row, line, e); problem != nil {
		return false, problem
	}
	if d.layout.quotes {
		e.Kind = market.KindQuote
		problem = d.quote(row, line, e)
	} else {
		problem = d.trade(row, line, e)
	}
	if problem != nil {
		return false, problem
	}
	e.Exchange = d.intern(d.optional(row, fExchange))
	e.Conditions = d.intern(d.optional(row, fConditions))
	return true, nil
}

func (d *decoder) newSymbol(v []byte) (market.Symbol, bool) {
	s, err := market.NewSymbol(d.venue, string(v))
	if err != nil {
		return "", false
	}
	if d.only != nil && !d.only[s] && len(d.seen) < 10 {
		d.seen = append(d.seen, s)
	}
	if len(d.symbols) < 100_000 {
		d.symbols[string(v)] = s
	}
	return s, true
}

// time sets the time of the event.
func (d *decoder) time(row [][]byte, line int, e *market.Entry) *rowError {
	v, ok := d.get(row, fTime)
	if !ok {
		return d.bad(row, fTime, line, badTime)
	}
	if d.layout.has(fClock) {
		clock, _ := d.get(row, fClock)
		e.Event, ok = d.clock.parseSplit(v, clock)
		if !ok {
			return d.bad(row, fClock, line, badTime)
		}
	} else if e.Event, ok = d.clock.parse(v); !ok {
		if bytes.Count(v, []byte("/")) == 2 {
			return d.bad(row, fTime, line, badOrder)
		}
		return d.bad(row, fTime, line, badTime)
	}
	if e.Event == 0 {
		return d.bad(row, fTime, line, badTime) // Nothing was traded then: it stands for "unknown".
	}
	return nil
}

// numberProblem says what an error of market.ParseDecimal means.
func numberProblem(err error) string {
	if errors.Is(err, market.ErrRange) {
		return badRange
	}
	return badNumber
}

func (d *decoder) trade(row [][]byte, line int, e *market.Entry) *rowError {
	var err error
	v, _ := d.get(row, fPrice)
	if e.Price, err = market.ParseDecimal(v); err != nil {
		return d.bad(row, fPrice, line, numberProblem(err))
	}
	// Below zero is a price (oil of May 2020) or a value (a thermometer). Zero is a value too, but where trades have sizes it
	// stands for a price that is not known.
	if e.Price.IsZero() && d.layout.has(fSize) {
		return d.bad(row, fPrice, line, badPrice)
	}
	if v = d.optional(row, fSize); len(v) > 0 {
		if e.Size, err = market.ParseDecimal(v); err != nil {
			return d.bad(row, fSize, line, numberProblem(err))
		}
		if e.Size.Sign() < 0 {
			return d.bad(row, fSize, line, badSize)
		}
	}
	if v = d.optional(row, fID); len(v) > 0 {
		if n, ok := parseID(v); ok {
			e.ID = n
		} else {
			e.Ref = string(v)
		}
	}
	if v = d.optional(row, fSide); len(v) > 0 {
		ok := false
		if e.Side, ok = parseSide(v); !ok {
			return d.bad(row, fSide, line, badSide)
		}
	} else if v = d.optional(row, fMaker); len(v) > 0 {
		switch string(v) {
		case "true", "True", "TRUE", "1", "t":
			e.Side = market.SideSell
		case "false", "False", "FALSE", "0", "f":
			e.Side = market.SideBuy
		default:
			return d.bad(row, fMaker, line, badMaker)
		}
	}
	return nil
}

// quote sets bid and ask. A side that the row has nothing of stays zero, as venues write it.
func (d *decoder) quote(row [][]byte, line int, e *market.Entry) *rowError {
	if d.layout.has(fBidBoth) {
		if !splitBoth(d.optional(row, fBidBoth), &e.Price, &e.Size) {
			return d.bad(row, fBidBoth, line, badNumber)
		}
		if !splitBoth(d.optional(row, fAskBoth), &e.Ask, &e.AskSize) {
			return d.bad(row, fAskBoth, line, badNumber)
		}
		return nil
	}
	for _, part := range [...]struct {
		f    field
		into *market.Decimal
	}{{fBid, &e.Price}, {fBidSize, &e.Size}, {fAsk, &e.Ask}, {fAskSize, &e.AskSize}} {
		v := d.optional(row, part.f)
		if len(v) == 0 {
			continue
		}
		n, err := market.ParseDecimal(v)
		if err != nil {
			return d.bad(row, part.f, line, numberProblem(err))
		}
		if n.Sign() < 0 {
			return d.bad(row, part.f, line, badSize)
		}
		*part.into = n
	}
	if e.Price.IsZero() && e.Ask.IsZero() {
		return d.bad(row, fBid, line, badPrice)
	}
	return nil
}

// splitBoth reads "2271.58_1.6477".
func splitBoth(v []byte, price, size *market.Decimal) bool {
	p, s, ok := bytes.Cut(v, []byte("_"))
	if !ok {
		return len(v) == 0
	}
	var err, errSize error
	*price, err = market.ParseDecimal(p)
	*size, errSize = market.ParseDecimal(s)
	return err == nil && errSize == nil && price.Sign() >= 0 && size.Sign() >= 0
}

// parseID reads a number that is written as uint64 writes it.
func parseID(v []byte) (n uint64, ok bool) {
	if len(v) > 19 || v[0] == '0' {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

func parseSide(v []byte) (market.Side, bool) {
	switch string(v) {
	case "buy", "Buy", "BUY", "b", "B", "bid", "Bid", "BID":
		return market.SideBuy, true
	case "sell", "Sell", "SELL", "s", "S", "ask", "Ask", "ASK":
		return market.SideSell, true
	case "N", "n", "U", "unknown", "none":
		return market.SideNone, true
	}
	return 0, false
}

// intern returns the text of v, which is one of few: a file has a dozen exchanges.
func (d *decoder) intern(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	if string(v) == d.lastText {
		return d.lastText
	}
	s, ok := d.texts[string(v)]
	if !ok {
		s = strings.Clone(string(v))
		if len(d.texts) < 4096 {
			d.texts[s] = s
		}
	}
	d.lastText = s
	return s
}
