package layout

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tapedeck/internal/market"
)

// What can be wrong with a row.
const (
	badTime     = "is not a time"
	badZeroTime = "is the first moment of 1970, which stands for a time that is not known"
	badSkipped  = "is a time that clocks of the zone skipped when they were put forward"
	badOrder    = "can be read in two ways; say dates=mdy or dates=dmy"
	badNumber   = "is not a decimal number"
	badComma    = "can be read in two ways: its comma may divide thousands or decimals"
	badRange    = "is a number of more digits than can be kept exactly"
	badPrice    = "is not a price: what has a size has a price other than zero"
	badSize     = "is not a size: it must not be negative"
	badSymbol   = "is not a symbol"
	badSide     = "is not a side: want buy or sell"
	badMaker    = "is not true or false"
	badText     = "is not text of printable characters"
	badLong     = "is longer than 1024 bytes"
	fewFields   = "is missing: the row has too few columns"
	manyFields  = "is followed by more: the row has too many columns"
	badZero     = "is zero: a bar has prices"
	badHigh     = "is not the highest price of the bar"
	badLow      = "is not the lowest price of the bar"
	badLength   = "is not the length of a bar"
)

// decoder turns rows into entries.
type decoder struct {
	layout   *layout
	opt      *Options
	clock    clockwork
	numbers  numeral
	venue    string
	symbol   market.Symbol          // of rows that name none
	series   []market.Symbol        // of wide tables, as layout.series
	only     map[market.Symbol]bool // symbols that are wanted; nil is all
	named    map[string]bool        // names that are wanted, at any venue
	labelEnd bool
	interval market.Interval // of bars, unless each row says its own

	symbols  map[string]market.Symbol // as the file writes them
	lastName string
	lastSym  market.Symbol
	unwanted []market.Symbol   // symbols of the file that are not wanted, a few
	texts    map[string]string // exchanges and conditions, which repeat
	lastText string
	days     map[string]*market.Lookup // by venue
	before   market.Entry              // of a layout that carries quotes on
}

// get returns a column of the row without the spaces around it; ok is false when the row does not have it.
func get(row [][]byte, i int) (value []byte, ok bool) {
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
func optional(row [][]byte, i int) []byte {
	v, _ := get(row, i)
	if isNothing(v) {
		return nil
	}
	return v
}

// isNothing knows the words for nothing.
func isNothing(v []byte) bool {
	if len(v) > 4 || len(v) > 0 && v[0] >= '0' && v[0] <= '9' {
		return false
	}
	var low [4]byte
	for i, c := range v {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	switch string(low[:len(v)]) {
	case "", "null", "none", "nan", "na", "n/a", "nil", "-", "--":
		return true
	}
	return false
}

// bad says what is wrong with a column.
func (d *decoder) bad(row [][]byte, i int, problem string) *Reject {
	r := &Reject{Column: d.layout.names[i], Problem: problem}
	if i < len(row) {
		r.Value = string(row[i][:min(len(row[i]), 60)])
	} else {
		r.Problem = fewFields
	}
	r.Reason = fmt.Sprintf("column %s: %q %s", r.Column, r.Value, r.Problem)
	return r
}

// row appends the entries of a row. It appends nothing without a problem for a row that is not wanted.
func (d *decoder) row(dst []market.Entry, row [][]byte) ([]market.Entry, *Reject) {
	if n := len(d.layout.names); len(row) > n && len(bytes.TrimSpace(bytes.Join(row[n:], nil))) > 0 {
		// A separator within a number, most likely: what stands in the columns then isn't what their names say.
		rest := bytes.Join(row[n-1:], []byte(","))
		return dst, &Reject{
			Column: d.layout.names[n-1], Problem: manyFields, Value: string(rest[:min(len(rest), 60)]),
			Reason: fmt.Sprintf("column %s: %.60q %s", d.layout.names[n-1], rest, manyFields),
		}
	}
	cols := &d.layout.cols
	if d.layout.actions != "" {
		if v, _ := get(row, cols[fAction]); len(v) == 1 && strings.IndexByte(d.layout.actions, v[0]) < 0 {
			return dst, nil
		}
	}
	if d.layout.series != nil {
		return d.wide(dst, row)
	}
	symbol, problem := d.symbolOf(row)
	if problem != nil {
		return dst, problem
	}
	if d.only != nil && !d.only[symbol] {
		return dst, nil
	}
	t, how, problem := d.moment(row, cols)
	if problem != nil {
		return dst, problem
	}
	dst = append(dst, market.Entry{})
	e := &dst[len(dst)-1]
	e.Symbol = symbol
	if problem = d.fill(row, cols, t, how, e); problem != nil {
		return dst[:len(dst)-1], problem
	}
	return dst, nil
}

// wide appends an entry for each instrument of a wide table that has something on the row.
func (d *decoder) wide(dst []market.Entry, row [][]byte) ([]market.Entry, *Reject) {
	t, how, first := d.moment(row, &d.layout.cols)
	if first != nil {
		return dst, first
	}
	for i := range d.layout.series {
		cols := &d.layout.series[i].cols
		if d.only != nil && !d.only[d.series[i]] || len(optional(row, cols[fPrice])) == 0 {
			continue
		}
		e := market.Entry{Symbol: d.series[i]}
		if problem := d.fill(row, cols, t, how, &e); problem == nil {
			dst = append(dst, e)
		} else if first == nil {
			first = problem
		}
	}
	return dst, first
}

// symbolOf returns the symbol of a row.
func (d *decoder) symbolOf(row [][]byte) (market.Symbol, *Reject) {
	i := d.layout.cols[fSymbol]
	if i < 0 {
		return d.symbol, nil
	}
	v, _ := get(row, i)
	if string(v) == d.lastName && d.lastSym != "" {
		return d.lastSym, nil
	}
	s, known := d.symbols[string(v)]
	if !known {
		if s, known = d.newSymbol(v); !known {
			return "", d.bad(row, i, badSymbol)
		}
	}
	d.lastName, d.lastSym = string(v), s
	return s, nil
}

// maxSymbols is how many spellings of symbols are remembered.
const maxSymbols = 100_000

func (d *decoder) newSymbol(v []byte) (market.Symbol, bool) {
	name := string(bytes.Trim(v, "'"))
	venue := d.venue
	if before, after, ok := strings.Cut(name, ":"); ok && !d.opt.OneVenue && !strings.ContainsAny(before, "/") {
		venue, name = before, after
	}
	s, err := market.NewSymbol(venue, name)
	if err != nil {
		return "", false
	}
	d.want(s)
	if len(d.symbols) < maxSymbols {
		d.symbols[string(v)] = s
	}
	return s, true
}

// want settles whether a symbol that was not seen before is wanted.
func (d *decoder) want(s market.Symbol) {
	switch {
	case d.only == nil || d.only[s]:
	case d.named[s.Name()] && len(d.only) < maxSymbols:
		d.only[s] = true
	case len(d.unwanted) < 10 && !slices.Contains(d.unwanted, s):
		d.unwanted = append(d.unwanted, s)
	}
}

// moment returns the time of a row.
func (d *decoder) moment(row [][]byte, cols *columns) (t market.Time, how reading, problem *Reject) {
	i := cols[fTime]
	v, ok := get(row, i)
	if !ok {
		return 0, noTime, d.bad(row, i, badTime)
	}
	switch {
	case d.layout.since != 0:
		t, how = d.clock.afterMidnight(v, d.layout.midnight, d.layout.since)
	case cols[fClock] >= 0:
		clock, _ := get(row, cols[fClock])
		if t, how = d.clock.parseSplit(v, clock); how == noTime {
			i = cols[fClock]
		}
	default:
		t, how = d.clock.parse(v)
		if spare := cols[fSpare]; spare >= 0 && spare < len(row) && bytes.IndexByte(v, '+') > 0 && isRounded(v) {
			v, _ = get(row, spare)
			i = spare
			t, how = d.clock.parse(v)
		}
	}
	switch {
	case how == skipped:
		return 0, how, d.bad(row, i, badSkipped)
	case how == noTime && bytes.Count(v, []byte("/")) == 2:
		if _, _, ok := (&clockwork{order: monthFirst}).parseDate(v); ok && d.clock.order == orderUnknown {
			return 0, how, d.bad(row, i, badOrder)
		}
		return 0, how, d.bad(row, i, badTime)
	case how == noTime:
		return 0, how, d.bad(row, i, badTime)
	case t == 0:
		return 0, noTime, d.bad(row, i, badZeroTime)
	}
	d.clock.last = t
	if d.opt.Now != 0 && t > d.opt.Now+latestAfter {
		d.clock.doubts.future++
		d.clock.doubts.ahead = max(d.clock.doubts.ahead, t)
	}
	return t, how, nil
}

// fill sets everything of an entry but its symbol.
func (d *decoder) fill(row [][]byte, cols *columns, t market.Time, how reading, e *market.Entry) *Reject {
	e.Event = t
	var problem *Reject
	switch e.Kind = d.layout.kind; e.Kind {
	case market.KindBar:
		return d.bar(row, cols, how, e)
	case market.KindQuote:
		problem = d.quote(row, cols, e)
	default:
		problem = d.trade(row, cols, e)
	}
	if problem != nil {
		return problem
	}
	for _, part := range [...]struct {
		f    field
		into *string
	}{{fExchange, &e.Exchange}, {fAskFrom, &e.AskFrom}} {
		if i := cols[part.f]; i >= 0 {
			if *part.into, problem = d.text(row, i); problem != nil {
				return problem
			}
		}
	}
	if i := cols[fConditions]; i >= 0 {
		if e.Conditions, problem = d.conditions(row, i); problem != nil {
			return problem
		}
	}
	if v := optional(row, cols[fTape]); len(v) == 1 && v[0] >= 'A' && v[0] <= 'Z' {
		e.Tape = v[0]
	}
	if e.AskFrom == e.Exchange {
		e.AskFrom = ""
	}
	return nil
}

// number reads a number of a column.
func (d *decoder) number(row [][]byte, i int, scaled bool) (market.Decimal, *Reject) {
	v, _ := get(row, i)
	n, problem := d.numbers.parse(v, scaled)
	if problem != "" {
		return n, d.bad(row, i, problem)
	}
	return n, nil
}

// price reads a number in the unit of the layout.
func (d *decoder) price(row [][]byte, i int) (market.Decimal, *Reject) {
	n, problem := d.number(row, i, false)
	if problem != nil || d.layout.scale == 0 {
		return n, problem
	}
	scaled, err := market.NewDecimal(n.Coef(), n.Exp()+d.layout.scale)
	if err != nil {
		return n, d.bad(row, i, badRange)
	}
	return scaled, nil
}

func (d *decoder) trade(row [][]byte, cols *columns, e *market.Entry) (problem *Reject) {
	if e.Price, problem = d.price(row, cols[fPrice]); problem != nil {
		return problem
	}
	// Below zero is a price (oil of May 2020) or a value (a thermometer). Zero is a value too, but where trades have sizes it
	// stands for a price that is not known.
	if e.Price.IsZero() && cols[fSize] >= 0 {
		return d.bad(row, cols[fPrice], badPrice)
	}
	if v := optional(row, cols[fSize]); len(v) > 0 {
		if e.Size, problem = d.number(row, cols[fSize], true); problem != nil {
			return problem
		}
		if e.Size.Sign() < 0 {
			return d.bad(row, cols[fSize], badSize)
		}
	} else if cols[fSize] >= 0 {
		d.clock.doubts.unsized++
	}
	if problem = d.id(row, cols, e); problem != nil {
		return problem
	}
	if v := optional(row, cols[fSide]); len(v) > 0 {
		ok := false
		if e.Side, ok = parseSide(v); !ok {
			return d.bad(row, cols[fSide], badSide)
		}
	} else if v = optional(row, cols[fMaker]); len(v) > 0 {
		switch string(v) {
		case "true", "True", "TRUE", "1", "t":
			e.Side = market.SideSell
		case "false", "False", "FALSE", "0", "f":
			e.Side = market.SideBuy
		default:
			return d.bad(row, cols[fMaker], badMaker)
		}
	} else if v = optional(row, cols[fMakerSide]); len(v) > 0 {
		maker, ok := parseSide(v)
		if !ok {
			return d.bad(row, cols[fMakerSide], badSide)
		}
		switch maker {
		case market.SideBuy:
			e.Side = market.SideSell
		case market.SideSell:
			e.Side = market.SideBuy
		case market.SideNone:
		}
	}
	return nil
}

// id sets what the venue calls a trade: a number, or a name.
func (d *decoder) id(row [][]byte, cols *columns, e *market.Entry) (problem *Reject) {
	if v := optional(row, cols[fID]); len(v) > 0 {
		if n, ok := parseID(v); ok {
			e.ID = n
		} else if e.Ref, problem = d.text(row, cols[fID]); problem != nil {
			return problem
		}
	}
	if cols[fRef] >= 0 {
		if ref, problem := d.text(row, cols[fRef]); problem != nil || ref != "" {
			e.Ref = ref
			return problem
		}
	}
	return nil
}

// quote sets bid and ask. A side that the row has nothing of stays zero, as venues write it.
func (d *decoder) quote(row [][]byte, cols *columns, e *market.Entry) *Reject {
	if cols[fBidBoth] >= 0 {
		for _, side := range [...]struct {
			f           field
			price, size *market.Decimal
		}{{fBidBoth, &e.Price, &e.Size}, {fAskBoth, &e.Ask, &e.AskSize}} {
			if !splitBoth(optional(row, cols[side.f]), side.price, side.size) {
				return d.bad(row, cols[side.f], badNumber)
			}
		}
		return nil
	}
	if d.layout.carry {
		e.Price, e.Ask = d.before.Price, d.before.Ask
	}
	for _, part := range [...]struct {
		f     field
		price bool
		into  *market.Decimal
	}{{fBid, true, &e.Price}, {fBidSize, false, &e.Size}, {fAsk, true, &e.Ask}, {fAskSize, false, &e.AskSize}} {
		i := cols[part.f]
		if len(optional(row, i)) == 0 {
			continue
		}
		var n market.Decimal
		var problem *Reject
		if part.price {
			n, problem = d.price(row, i)
		} else {
			n, problem = d.number(row, i, true)
		}
		if problem != nil {
			return problem
		}
		if n.Sign() < 0 {
			return d.bad(row, i, badSize)
		}
		*part.into = n
	}
	if e.Price.IsZero() && e.Ask.IsZero() {
		return d.bad(row, cols[fBid], badPrice)
	}
	if d.layout.carry {
		d.before.Price, d.before.Ask = e.Price, e.Ask
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

// parseSide knows the spellings of sides: of Databento, ask means that the seller was the taker.
func parseSide(v []byte) (market.Side, bool) {
	switch string(v) {
	case "buy", "Buy", "BUY", "b", "B", "bid", "Bid", "BID", "buyer", "1", "long":
		return market.SideBuy, true
	case "sell", "Sell", "SELL", "s", "S", "ask", "Ask", "ASK", "A", "a", "seller", "-1", "2", "short":
		return market.SideSell, true
	case "N", "n", "U", "u", "unknown", "none", "ANY", "0":
		return market.SideNone, true
	}
	return 0, false
}

// maxText is how long a text of a tick may be.
const maxText = 1024

// text returns a column of few values, such as exchanges, each of them once.
func (d *decoder) text(row [][]byte, i int) (string, *Reject) {
	v := optional(row, i)
	if len(v) == 0 {
		return "", nil
	}
	if string(v) == d.lastText {
		return d.lastText, nil
	}
	if n := len(v); n >= 2 && v[0] == '\'' && v[n-1] == '\'' {
		v = v[1 : n-1]
	}
	return d.intern(row, i, v)
}

func (d *decoder) intern(row [][]byte, i int, v []byte) (string, *Reject) {
	s, ok := d.texts[string(v)]
	if !ok {
		if len(v) > maxText {
			return "", d.bad(row, i, badLong)
		}
		if !utf8.Valid(v) || bytes.IndexFunc(v, isControl) >= 0 {
			return "", d.bad(row, i, badText)
		}
		s = string(v)
		if len(d.texts) < 4096 {
			d.texts[s] = s
		}
	}
	d.lastText = s
	return s, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// conditions returns the codes of a trade joined by commas, whether the file has them like that or as a list: ['@', 'I'].
func (d *decoder) conditions(row [][]byte, i int) (string, *Reject) {
	v := optional(row, i)
	if n := len(v); n >= 2 && v[0] == '[' && v[n-1] == ']' {
		var list [][]byte
		for code := range bytes.FieldsFuncSeq(v[1:n-1], func(r rune) bool { return r == ',' }) {
			if code = bytes.Trim(bytes.TrimSpace(code), `'"`); len(code) > 0 {
				list = append(list, code)
			}
		}
		return d.intern(row, i, bytes.Join(list, []byte(",")))
	}
	return d.text(row, i)
}
