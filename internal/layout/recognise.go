package layout

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// columns says where each meaning stands: the index of the column, -1 when there is none.
type columns [fields]int

func noColumns() columns {
	var c columns
	for f := range c {
		c[f] = -1
	}
	return c
}

// layout says what the columns of a file mean.
type layout struct {
	vendor
	cols   columns
	names  []string // of the columns as the file has them; "column 2" without a header
	header bool
	skip   int // rows with content before the first tick: the header and what precedes it
	passed int // of those, rows before the header
	kind   market.Kind
	closes bool // bars are given as trades of their close

	// series are the instruments of a table that has a column, or several, for each of them; nil for all others. Cols has what
	// they share.
	series []series
}

// series is one instrument of a wide table.
type series struct {
	name string
	cols columns
}

// has reports whether the file has a column for f.
func (l *layout) has(f field) bool { return l.cols[f] >= 0 }

// probeLines is how many lines at the top of a file are looked at to find the header.
const probeLines = 8

// ErrLayout is wrapped when the columns of a file are not understood.
var ErrLayout = errors.New("columns not recognised")

// errPreamble is what is wrong with a line that is no table at all.
var errPreamble = fmt.Errorf("%w: the first line has one column only", ErrLayout)

// errBook is what is wrong with a file of the changes of an order book: its rows look like trades.
var errBook = fmt.Errorf("%w: these are changes of an order book, not trades or quotes", ErrLayout)

// recogniser finds out what columns mean.
type recogniser struct {
	mapping map[field]string
	closes  bool
	name    string // of the file
}

// recognise finds the header among the first rows of a file, or does without, and says what the columns mean. What precedes
// the header, such as the address of a vendor, is passed over.
func (r *recogniser) recognise(rows [][]string) (*layout, error) {
	if l := r.stacked(rows); l != nil {
		return l, nil
	}
	var first error
	for i, row := range rows[:min(len(rows), probeLines)] {
		l, err := r.headed(row, rows[i+1:])
		if l == nil && err == nil {
			if i > 0 && len(row) == len(rows[i-1]) {
				break // The row before was one of the table as well, and could not be read.
			}
			l, err = r.bare(rows[i:])
		}
		if l != nil && err == nil {
			l.skip += i
			l.passed = i
			return l, nil
		}
		if first == nil || len(row) > 1 && errors.Is(first, errPreamble) {
			first = err
		}
	}
	if first == nil {
		return nil, errors.New("the file has no rows")
	}
	return nil, first
}

// isTime reports whether a cell is a time, in whatever order of day and month.
func (r *recogniser) isTime(s string) bool {
	v := bytes.TrimSpace([]byte(s))
	for _, order := range [...]dateOrder{dayFirst, monthFirst} {
		c := clockwork{order: order}
		if _, how := c.parse(v); how.ok() {
			return true
		}
	}
	return false
}

func isNumber(s string) bool {
	_, problem := numeral{}.parse(bytes.TrimSpace([]byte(s)), true)
	return problem == "" || problem == badComma || problem == badRange
}

// headed reads a row as the names of the columns. It returns nothing when the row is not one: some of it is a number or a time.
func (r *recogniser) headed(row []string, rest [][]string) (*layout, error) {
	for _, name := range row {
		name = strings.TrimSpace(name)
		if _, err := market.ParseDecimal(name); err == nil || r.isTime(name) {
			return nil, nil
		}
	}
	l := &layout{names: make([]string, len(row)), cols: noColumns(), skip: 1, header: true, closes: r.closes}
	var rank [fields]int
	for i, name := range row {
		l.names[i] = strings.TrimSpace(name)
		f, n := meaning(canonical(name))
		if f == fields {
			continue
		}
		if l.has(f) && n >= rank[f] {
			if f == fTime && !l.has(fSpare) {
				l.cols[fSpare] = i
			}
			continue
		}
		if f == fTime && l.has(f) {
			l.cols[fSpare] = l.cols[f]
		}
		l.cols[f], rank[f] = i, n
	}
	var sample []string
	if len(rest) > 0 {
		sample = rest[0]
	}
	l.letters(sample)
	r.useSample(l, sample)
	l.vendor = l.recogniseVendor(rest)
	if l.refused != nil && len(r.mapping) == 0 {
		return nil, l.refused
	}
	if err := l.apply(r.mapping); err != nil {
		return nil, err
	}
	if l.has(fPrice) && (l.has(fBid) && l.has(fAsk)) && l.empty(rest, fPrice) {
		l.cols[fPrice] = -1 // The last trade of a market that has none.
	}
	r.guessTwo(l, sample)
	err := l.complete()
	if err != nil && errors.Is(err, errNoPrice) && r.wide(l, rest) {
		return l, nil
	}
	return l, err
}

// empty reports whether a column has nothing in all rows.
func (l *layout) empty(rows [][]string, f field) bool {
	for _, row := range rows {
		if i := l.cols[f]; i < len(row) && strings.TrimSpace(row[i]) != "" {
			return false
		}
	}
	return len(rows) > 0
}

// useSample settles with the first row what names leave open: whether "id" is a ticker, and whether "date" and "time" are the
// two halves of one moment.
func (r *recogniser) useSample(l *layout, sample []string) {
	at := func(i int) string {
		if i < 0 || i >= len(sample) {
			return ""
		}
		return strings.TrimSpace(sample[i])
	}
	if id := l.cols[fID]; id >= 0 && !l.has(fSymbol) && canonical(l.names[id]) == "id" {
		if v := at(id); len(v) > 0 && len(v) <= 12 && (v[0] < '0' || v[0] > '9') {
			l.cols[fSymbol], l.cols[fID] = id, -1
		}
	}
	date, clock := -1, -1
	for i, name := range l.names {
		switch canonical(name) {
		case "date", "day", "tradedate":
			date = i
		case "time", "timeofday":
			clock = i
		}
	}
	if date < 0 || clock < 0 || !r.isDate(at(date)) {
		return
	}
	if ns, rest, ok := parseTimeOfDay([]byte(at(clock))); ok && len(rest) == 0 && ns >= 0 {
		l.cols[fTime], l.cols[fClock], l.cols[fSpare] = date, clock, -1
	}
}

// isDate reports whether a cell is a date without a time of day.
func (r *recogniser) isDate(s string) bool {
	for _, order := range [...]dateOrder{dayFirst, monthFirst} {
		c := clockwork{order: order}
		if _, how := c.parse([]byte(s)); how == localDate {
			return true
		}
	}
	return false
}

// apply lets a mapping have its way. A column is named, or counted from 1 when no name is that number.
func (l *layout) apply(mapping map[field]string) error {
	names := fieldNames()
	for f := range fields {
		name, ok := mapping[f]
		if !ok {
			continue
		}
		l.cols[f] = -1
		if f == fTime {
			l.cols[fClock], l.cols[fSpare] = -1, -1
		}
		if name == "" {
			continue
		}
		for i, column := range l.names {
			if l.cols[f] < 0 && (strings.EqualFold(column, name) || canonical(name) != "" && canonical(column) == canonical(name)) {
				l.cols[f] = i
			}
		}
		if n, err := strconv.Atoi(name); err == nil && l.cols[f] < 0 && n >= 1 && n <= len(l.names) {
			l.cols[f] = n - 1
		}
		if l.cols[f] < 0 {
			hint := ""
			if c := nearest(name, l.names); c != "" {
				hint = fmt.Sprintf("; did you mean %s=%s?", names[f], c)
			}
			return fmt.Errorf("%w: map=%s=%s: there is no such column%s The file has %s", ErrLayout, names[f], name, cmp.Or(hint, "."), l.list())
		}
	}
	return nil
}

// guessTwo takes two columns with names that say nothing for time and price, when the first row agrees.
func (r *recogniser) guessTwo(l *layout, sample []string) {
	if len(l.names) != 2 || len(sample) != 2 || l.has(fTime) && (l.has(fPrice) || l.has(fClose)) || l.has(fBid) || l.has(fAsk) {
		return
	}
	for f := range fields {
		if l.has(f) && f != fTime {
			return // One of them has a meaning of its own.
		}
	}
	if _, epoch := parseEpoch([]byte(strings.TrimSpace(sample[0]))); r.isTime(sample[0]) && (!epoch || plausibleEpoch(strings.TrimSpace(sample[0]))) && isNumber(sample[1]) {
		l.cols[fTime], l.cols[fPrice] = 0, 1
	}
}

// errNoPrice is wrapped when a table has times, and nothing that is known to be a price.
var errNoPrice = fmt.Errorf("%w: no price", ErrLayout)

// complete reports what is missing, and settles whether the rows are trades, quotes or bars.
func (l *layout) complete() error {
	if l.has(fClose) && (!l.has(fPrice) || l.has(fOpen)) {
		l.cols[fPrice] = l.cols[fClose]
	}
	switch {
	case l.has(fOpen) && l.has(fHigh) && l.has(fLow) && l.has(fPrice) && !l.closes:
		l.kind = market.KindBar
		l.cols[fClose] = l.cols[fPrice]
	case l.has(fPrice):
		l.kind = market.KindTrade
	case l.has(fBid) && l.has(fAsk) || l.has(fBidBoth) && l.has(fAskBoth):
		l.kind = market.KindQuote
	}
	var missing []string
	if !l.has(fTime) {
		missing = append(missing, "time")
	}
	if l.kind == 0 {
		missing = append(missing, "price (or bid and ask)")
	}
	if len(missing) == 0 {
		return nil
	}
	if len(l.names) == 1 {
		return errPreamble
	}
	err := ErrLayout
	if l.has(fTime) {
		err = errNoPrice
	}
	return &missingError{err, fmt.Sprintf("%s: found no %s among %s; say which they are, such as map=time=%s,price=%s",
		ErrLayout, strings.Join(missing, " and no "), l.list(), l.names[0], l.names[1])}
}

// missingError says which columns are missing.
type missingError struct {
	err  error
	text string
}

func (e *missingError) Error() string { return e.text }
func (e *missingError) Unwrap() error { return e.err }

// listed is how many columns a message names.
const listed = 40

func (l *layout) list() string {
	if len(l.names) <= listed {
		return strings.Join(l.names, ", ")
	}
	return strings.Join(l.names[:listed], ", ") + fmt.Sprintf(" and %d more", len(l.names)-listed)
}

// maxSeries is how many instruments a wide table may have.
const maxSeries = 2000

// wide reads a table that has a time and then a column of prices for each instrument, under its name.
func (r *recogniser) wide(l *layout, rest [][]string) bool {
	if len(rest) == 0 || len(l.names) < 3 || len(l.names) > maxSeries || len(r.mapping) > 0 && r.mapping[fPrice] != "" {
		return false
	}
	for i, name := range l.names {
		if i == l.cols[fTime] || i == l.cols[fSpare] {
			continue
		}
		if f, _ := meaning(canonical(name)); f < fields {
			return false // Part of a table of another kind.
		}
		for _, row := range rest {
			if i >= len(row) || isNothing([]byte(strings.TrimSpace(row[i]))) {
				continue
			}
			if !isNumber(row[i]) {
				return false
			}
		}
		symbol := symbolOf(name)
		if symbol == "" {
			return false
		}
		cols := noColumns()
		cols[fTime], cols[fPrice] = l.cols[fTime], i
		l.series = append(l.series, series{symbol, cols})
	}
	l.kind = market.KindTrade
	time := l.cols[fTime]
	l.cols = noColumns()
	l.cols[fTime] = time
	l.name = "table with a column for each instrument"
	return true
}

// symbolOf makes a name of an instrument of the name of a column or a file.
func symbolOf(s string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.=^$", r) {
			return r
		}
		return '_'
	}, strings.TrimSpace(s)), "_.")
}

// stacked reads the header of yfinance and pandas-datareader, which has a row of names, one of tickers and often one with the name of the
// time only, in either order of the first two. It returns nil for any other.
func (r *recogniser) stacked(rows [][]string) *layout {
	if len(rows) < 3 || len(rows[0]) < 2 || len(rows[0]) != len(rows[1]) {
		return nil
	}
	what, who := rows[0], rows[1]
	switch canonical(who[0]) {
	case "ticker", "tickers", "symbols", "symbol", "":
	case "price", "attributes":
		what, who = who, what
	default:
		return nil
	}
	l := &layout{names: make([]string, len(what)), cols: noColumns(), skip: 2, header: true, closes: r.closes}
	l.names[0] = "Date"
	at := make(map[string]int)
	for i := 1; i < len(what); i++ {
		name := canonical(what[i])
		f, _ := meaning(name)
		if name != "adjclose" && f != fOpen && f != fHigh && f != fLow && f != fClose && f != fSize || who[i] == "" {
			return nil
		}
		n, ok := at[who[i]]
		if !ok {
			if n = len(l.series); n == maxSeries {
				return nil
			}
			at[who[i]] = n
			cols := noColumns()
			cols[fTime] = 0
			l.series = append(l.series, series{symbolOf(who[i]), cols})
		}
		l.names[i] = what[i] + " " + who[i]
		if name != "adjclose" {
			l.series[n].cols[f] = i
		}
	}
	if !r.isTime(rows[2][0]) {
		l.skip = 3
	}
	for i := range l.series {
		one := layout{names: l.names, cols: l.series[i].cols, closes: r.closes}
		if one.complete() != nil || i > 0 && one.kind != l.kind {
			return nil
		}
		l.series[i].cols, l.kind = one.cols, one.kind
	}
	l.cols[fTime] = 0
	l.name = "yfinance"
	return l
}
