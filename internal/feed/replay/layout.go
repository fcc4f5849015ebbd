package replay

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// field is what a column can mean.
type field int

const (
	fTime       field = iota // the moment, or its date
	fClock                   // time of day, when it stands in a column of its own
	fPrice                   // of a trade
	fSize                    // of a trade
	fSymbol                  //
	fSide                    // the taker's: buy or sell
	fMaker                   // true when the buyer was the maker: the taker sold
	fID                      // the venue's number or name of the trade
	fExchange                //
	fConditions              //
	fBid                     //
	fBidSize                 //
	fAsk                     //
	fAskSize                 //
	fBidBoth                 // price and size of the bid in one column, joined by "_"
	fAskBoth                 //
	fields                   // number of them
)

// fieldNames are the names that map= uses.
func fieldNames() [fields]string {
	return [fields]string{
		"time", "clock", "price", "size", "symbol", "side", "buyer_is_maker", "id", "exchange", "conditions",
		"bid", "bid_size", "ask", "ask_size", "bid_and_size", "ask_and_size",
	}
}

// layout says what the columns of a file mean.
type layout struct {
	columns [fields]int // index of the column, -1 when there is none
	names   []string    // of the columns as the file has them; "column 2" without a header
	skip    int         // lines with content before the first row: the header and what precedes it
	passed  int         // of those, lines before the header
	quotes  bool        // rows are quotes, not trades
}

// has reports whether the file has a column for f.
func (l *layout) has(f field) bool { return l.columns[f] >= 0 }

// probeLines is how many lines at the top of a file are looked at to find the header.
const probeLines = 8

// errLayout is wrapped when the columns of a file are not understood.
var errLayout = errors.New("columns not recognised")

// recognise finds the header among the first lines of a file, or does without, and says what the columns mean. What precedes
// the header, such as the address of a vendor, is passed over.
func recognise(lines [][]string, mapping map[field]string, c clockwork) (*layout, error) {
	var first error
	for i, line := range lines {
		var sample []string
		if i+1 < len(lines) {
			sample = lines[i+1]
		}
		l, err := header(line, sample, mapping, c)
		if l == nil && err == nil {
			if i > 0 && len(line) == len(lines[i-1]) {
				break // The line before was a row as well, and could not be read.
			}
			l, err = bare(line, mapping, c)
		}
		if l != nil && err == nil {
			l.skip += i
			l.passed = i
			return l, nil
		}
		if first == nil || len(line) > 1 && errors.Is(first, errPreamble) {
			first = err
		}
	}
	if first == nil {
		return nil, errors.New("the file has no rows")
	}
	return nil, first
}

// errPreamble is what is wrong with a line that is no table at all.
var errPreamble = fmt.Errorf("%w: the first line has one column only", errLayout)

// header reads a line as the names of the columns. It returns nothing when the line is not one: some of it is a number or a time.
func header(line, sample []string, mapping map[field]string, c clockwork) (*layout, error) {
	for _, name := range line {
		name = strings.TrimSpace(name)
		if _, err := market.ParseDecimal(name); err == nil {
			return nil, nil
		}
		if _, ok := c.parse([]byte(name)); ok {
			return nil, nil
		}
	}
	l := &layout{names: make([]string, len(line)), skip: 1}
	for f := range l.columns {
		l.columns[f] = -1
	}
	var rank [fields]int
	for i, name := range line {
		l.names[i] = strings.TrimSpace(name)
		f, r := meaning(canonical(name))
		if f < fields && (!l.has(f) || r < rank[f]) {
			l.columns[f], rank[f] = i, r
		}
	}
	l.useSample(sample, c)
	if err := l.apply(mapping); err != nil {
		return nil, err
	}
	l.guessTwo(sample, c)
	return l, l.complete()
}

// canonical drops from a name what spellings differ in: case, spaces and punctuation.
func canonical(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

// meaning knows the names that vendors give to columns. Where two columns have the same meaning that of the lower rank counts:
// ts_ns before all other times, the moment of the trade before that of its message, and that before the arrival.
func meaning(name string) (field, int) {
	switch name {
	case "tsns", "tsevent", "timestampns", "timens", "eventns":
		return fTime, 0
	case "transactiontime", "tradetsms", "tradetime", "transacttime", "transacttsms", "tradetimestamp", "exectime", "participanttimestamp":
		return fTime, 1
	case "timestamp", "time", "datetime", "ts", "timeseconds", "timesec", "timems", "timestampms", "unix", "unixtimestamp", "unixtime",
		"epoch", "epochms", "gmttime", "timestamputc", "timeutc", "opentime", "siptimestamp", "t":
		return fTime, 2
	case "eventtime", "eventtsms", "date", "day", "localtime", "tradedate":
		return fTime, 3
	case "timestampofreceive", "received", "receivetime", "localtimestamp", "tsrecv", "recvtime":
		return fTime, 4
	case "price", "px", "tradeprice":
		return fPrice, 0
	case "last", "lastprice", "p", "value", "rate":
		return fPrice, 1
	case "close", "c", "closeprice":
		return fPrice, 2
	case "size", "qty", "quantity", "tradesize", "lastsize", "baseqty", "sz":
		return fSize, 0
	case "amount", "volume", "vol", "s", "q", "v", "shares":
		return fSize, 1
	case "symbol", "sym", "ticker", "instrument", "instrumentid", "productid", "pair", "product", "market":
		return fSymbol, 0
	case "side", "takerside", "aggressor", "aggressorside", "direction":
		return fSide, 0
	case "buyerismaker", "isbuyermaker", "isbuyermarketmaker", "m":
		return fMaker, 0
	case "tradeid", "trdmatchid", "tid", "aggtradeid":
		return fID, 0
	case "id", "i":
		return fID, 1
	}
	return meaningOfQuote(name)
}

func meaningOfQuote(name string) (field, int) {
	switch name {
	case "exchange", "ex", "x", "venue", "participant":
		return fExchange, 0
	case "salecondition", "saleconditions", "conditions", "condition", "tradecondition", "tradeconditions", "cond", "quotecondition":
		return fConditions, 0
	case "bid", "bidprice", "bidpx", "bestbid", "bp", "bestbidprice":
		return fBid, 0
	case "bidsize", "bidsiz", "bidqty", "bidsz", "bs", "bestbidsize", "bestbidquantity", "bidamount", "bidvolume":
		return fBidSize, 0
	case "ask", "askprice", "askpx", "bestask", "ap", "bestaskprice", "ofr", "offer", "ofrprice", "offerprice":
		return fAsk, 0
	case "asksize", "asksiz", "askqty", "asksz", "as", "bestasksize", "bestaskquantity", "askamount", "askvolume", "ofrsiz", "ofrsize", "offersize":
		return fAskSize, 0
	case "bidpricebidsize":
		return fBidBoth, 0
	case "askpriceasksize":
		return fAskBoth, 0
	}
	return fields, 0
}

// useSample settles with the first row what names leave open: whether "id" is a ticker, and whether "date" and "time" are the
// two halves of one moment.
func (l *layout) useSample(sample []string, c clockwork) {
	at := func(i int) []byte {
		if i < 0 || i >= len(sample) {
			return nil
		}
		return bytes.TrimSpace([]byte(sample[i]))
	}
	if id := l.columns[fID]; id >= 0 && !l.has(fSymbol) && canonical(l.names[id]) == "id" {
		if v := at(id); len(v) > 0 && len(v) <= 12 && (v[0] < '0' || v[0] > '9') {
			l.columns[fSymbol], l.columns[fID] = id, -1
		}
	}
	date, clock := -1, -1
	for i, name := range l.names {
		switch canonical(name) {
		case "date":
			date = i
		case "time":
			clock = i
		}
	}
	if date < 0 || clock < 0 {
		return
	}
	if _, ok := c.parse(at(clock)); ok {
		return
	}
	if _, ok := c.parseSplit(at(date), at(clock)); ok {
		l.columns[fTime], l.columns[fClock] = date, clock
	}
}

// apply lets map= have its way. A column is named, or counted from 1 when no name is that number.
func (l *layout) apply(mapping map[field]string) error {
	names := fieldNames()
	for f := range fields {
		name, ok := mapping[f]
		if !ok {
			continue
		}
		l.columns[f] = -1
		if name == "" {
			continue
		}
		for i, column := range l.names {
			if l.columns[f] < 0 && (strings.EqualFold(column, name) || canonical(name) != "" && canonical(column) == canonical(name)) {
				l.columns[f] = i
			}
		}
		if n, err := strconv.Atoi(name); err == nil && l.columns[f] < 0 && n >= 1 && n <= len(l.names) {
			l.columns[f] = n - 1
		}
		if l.columns[f] < 0 {
			return fmt.Errorf("%w: map=%s=%s: there is no such column; the file has %s", errLayout, names[f], name, l.list())
		}
	}
	return nil
}

// guessTwo takes two columns with names that say nothing for time and price, when the first row agrees.
func (l *layout) guessTwo(sample []string, c clockwork) {
	if len(l.names) != 2 || len(sample) != 2 || l.has(fTime) && l.has(fPrice) || l.has(fBid) || l.has(fAsk) {
		return
	}
	if _, ok := c.parse(bytes.TrimSpace([]byte(sample[0]))); !ok {
		return
	}
	if _, err := market.ParseDecimal(strings.TrimSpace(sample[1])); err == nil {
		l.columns[fTime], l.columns[fPrice] = 0, 1
	}
}

// complete reports what is missing, and settles whether the rows are trades or quotes.
func (l *layout) complete() error {
	trades := l.has(fPrice)
	l.quotes = !trades && (l.has(fBid) && l.has(fAsk) || l.has(fBidBoth) && l.has(fAskBoth))
	var missing []string
	if !l.has(fTime) {
		missing = append(missing, "time")
	}
	if !trades && !l.quotes {
		missing = append(missing, "price (or bid and ask)")
	}
	if len(missing) == 0 {
		return nil
	}
	if len(l.names) == 1 {
		return errPreamble
	}
	return fmt.Errorf("%w: found no %s among %s; say which they are, such as map=time=%s,price=%s",
		errLayout, strings.Join(missing, " and no "), l.list(), l.names[0], l.names[1])
}

func (l *layout) list() string { return strings.Join(l.names, ", ") }

// bare reads a line as the first row of a table without a header. Only what can't be anything else is understood without map=:
// two columns are time and price; three or four that begin with seconds since 1970 are time, price and size (bitcoincharts,
// Kraken); seven or eight that end in two booleans are a trades file of Binance.
func bare(line []string, mapping map[field]string, c clockwork) (*layout, error) {
	l := &layout{names: make([]string, len(line))}
	for f := range l.columns {
		l.columns[f] = -1
	}
	for i := range line {
		l.names[i] = "column " + strconv.Itoa(i+1)
	}
	number := func(i int) bool {
		_, err := market.ParseDecimal(strings.TrimSpace(line[i]))
		return err == nil
	}
	boolean := func(i int) bool { return strings.EqualFold(line[i], "true") || strings.EqualFold(line[i], "false") }
	_, epoch := parseEpoch([]byte(strings.TrimSpace(line[0])))
	_, moment := c.parse([]byte(strings.TrimSpace(line[0])))
	switch n := len(line); {
	case len(mapping) > 0:
		if err := l.apply(mapping); err != nil {
			return nil, err
		}
	case n == 2 && moment && number(1):
		l.columns[fTime], l.columns[fPrice] = 0, 1
	case (n == 3 || n == 4 && !number(3)) && epoch && number(1) && number(2):
		l.columns[fTime], l.columns[fPrice], l.columns[fSize] = 0, 1, 2
	case n == 7 && boolean(5) && boolean(6):
		l.columns[fID], l.columns[fPrice], l.columns[fSize], l.columns[fTime], l.columns[fMaker] = 0, 1, 2, 4, 5
	case n == 8 && boolean(6) && boolean(7):
		l.columns[fID], l.columns[fPrice], l.columns[fSize], l.columns[fTime], l.columns[fMaker] = 0, 1, 2, 5, 6
	case n == 1:
		return nil, errPreamble
	default:
		return nil, fmt.Errorf("%w: the file has no header and %d columns, the first row is %.200q; say which is which by their number, such as map=time=1,price=2,size=3",
			errLayout, n, strings.Join(line, ","))
	}
	return l, l.complete()
}
