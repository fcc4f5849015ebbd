package layout

import (
	"fmt"
	"strings"

	"tapedeck/internal/market"
)

// bare reads the first row of a table without a header. What can't be anything else is understood without a mapping.
func (r *recogniser) bare(rows [][]string) (*layout, error) {
	row := rows[0]
	l := nameless(len(row))
	l.closes = r.closes
	if len(r.mapping) > 0 {
		if err := l.apply(r.mapping); err != nil {
			return nil, err
		}
		return l, l.complete()
	}
	if l := r.lobster(row); l != nil {
		return l, nil
	}
	if l := r.lean(row); l != nil {
		return l, nil
	}
	if len(row) == 1 {
		return nil, errPreamble
	}
	f, v := r.forms(rows[:min(len(rows), 50)])
	if v.refused != nil {
		return nil, v.refused
	}
	if f == nil {
		return nil, fmt.Errorf("%w: the file has no header and %d columns, the first row is %.200q; say which is which by their number, such as map=time=1,price=2,size=3",
			ErrLayout, len(row), strings.Join(row, ","))
	}
	l.vendor = v
	for i, f := range f {
		if f < fields {
			l.cols[f] = i
		}
	}
	return l, l.complete()
}

// none stands for a column that means nothing to us.
const none = fields

// forms knows the rows of sources that write no header: what each column means, and whose they are.
func (r *recogniser) forms(rows [][]string) ([]field, vendor) {
	row := rows[0]
	for _, f := range [...]struct {
		pattern string
		fields  []field
		vendor  vendor
	}{
		{"nnnnebb", []field{fID, fPrice, fSize, none, fTime, fMaker}, vendor{name: "Binance trades", venue: "BINANCE"}},
		{"nnnneb", []field{fID, fPrice, fSize, none, fTime, fMaker}, vendor{name: "Binance futures trades", venue: "BINANCE"}},
		{"nnnnnebb", []field{fID, fPrice, fSize, none, none, fTime, fMaker}, vendor{name: "Binance aggTrades", venue: "BINANCE"}},
		{"nnnnneb", []field{fID, fPrice, fSize, none, none, fTime, fMaker}, vendor{name: "Binance futures aggTrades", venue: "BINANCE"}},
		{"ennnnnennnnn", []field{fTime, fOpen, fHigh, fLow, fPrice, fSize, none, none, fCount}, vendor{name: "Binance klines", venue: "BINANCE"}},
		{"en", []field{fTime, fPrice}, vendor{name: "time, price"}},
		{"tn", []field{fTime, fPrice}, vendor{name: "time, price"}},
		{"enn", []field{fTime, fPrice, fSize}, vendor{name: "time, price, size (bitcoincharts, Kraken)"}},
		{"ennx", []field{fTime, fPrice, fSize}, vendor{name: "time, price, size"}},
		{"nnexxx", []field{fPrice, fSize, fTime, fSide}, vendor{name: "Kraken trades", venue: "KRAKEN"}},
		{"nnexxxn", []field{fPrice, fSize, fTime, fSide, none, none, fID}, vendor{name: "Kraken trades", venue: "KRAKEN"}},
	} {
		if r.fits(row, f.pattern) {
			return f.fields, f.vendor
		}
	}
	switch {
	case r.fits(row, "tnn"), r.fits(row, "tnnn"):
		return r.pairs(rows)
	case r.fits(row, "ennnnnnn"):
		if f, _ := r.candles(rows, 1); f != nil {
			return []field{fTime, fOpen, fHigh, fLow, fPrice, none, fSize, fCount}, vendor{name: "Kraken OHLC", venue: "KRAKEN"}
		}
	case r.fits(row, "ennnnnn"):
		if f, _ := r.candles(rows, 1); f != nil {
			return []field{fTime, fOpen, fHigh, fLow, fPrice, fSize, fCount}, vendor{name: "Kraken OHLCVT", venue: "KRAKEN"}
		}
	case r.fits(row, "dcnnnnn"), r.fits(row, "dcnnnn"):
		if f, _ := r.candles(rows, 2); f != nil {
			return []field{fTime, fClock, fOpen, fHigh, fLow, fPrice, fSize}[:len(row)], vendor{name: "MetaTrader"}
		}
	case r.fits(row, "ennnnn"), r.fits(row, "tnnnnn"), r.fits(row, "ennnn"), r.fits(row, "tnnnn"):
		return r.candles(rows, 1)
	}
	return nil, vendor{}
}

// pairs tells two numbers after a time in words: bid and ask when they are near each other, else price and size.
func (r *recogniser) pairs(rows [][]string) ([]field, vendor) {
	switch {
	case !near(rows, 1, 2) && len(rows[0]) == 3:
		return []field{fTime, fPrice, fSize}, vendor{name: "time, price, size"}
	case !near(rows, 1, 2):
		return nil, vendor{}
	case r.histData():
		return []field{fTime, fBid, fAsk}, vendor{name: "HistData ticks", zone: histZone(), notes: []string{"times are Eastern standard time all year (UTC-5)"}}
	}
	return []field{fTime, fBid, fAsk}, vendor{name: "time, bid, ask"}
}

const ninja = "NinjaTrader"

// candles tells the order of the four prices after the time by which of them is the highest and which the lowest.
func (r *recogniser) candles(rows [][]string, first int) ([]field, vendor) {
	ohlc, lhoc := 0, 0 // rows that can't be
	for _, row := range rows {
		if len(row) < first+4 {
			continue
		}
		var p [4]market.Decimal
		for i := range p {
			d, problem := numeral{}.parse([]byte(strings.TrimSpace(row[first+i])), false)
			if problem != "" {
				ohlc++
				lhoc++
				break
			}
			p[i] = d
		}
		if !highest(p[1], p) || !lowest(p[2], p) {
			ohlc++
		}
		if !highest(p[1], p) || !lowest(p[0], p) {
			lhoc++
		}
	}
	few := len(rows) / 10
	switch {
	case ohlc <= few && len(rows[0][0]) == 15 && rows[0][0][8] == ' ':
		v := vendor{name: ninja, labelEnd: true, notes: []string{"bars are labelled by their end; --label start says otherwise"}}
		if r.histData() {
			v = vendor{name: "HistData minutes", zone: histZone(), notes: []string{"times are Eastern standard time all year (UTC-5)"}}
		}
		return []field{fTime, fOpen, fHigh, fLow, fPrice, fSize}[:min(6, len(rows[0]))], v
	case ohlc <= few:
		return []field{fTime, fOpen, fHigh, fLow, fPrice, fSize}[:min(6, len(rows[0]))], vendor{name: "time, open, high, low, close, volume"}
	case lhoc <= few:
		return []field{fTime, fLow, fHigh, fOpen, fPrice, fSize}[:min(6, len(rows[0]))], vendor{name: "Coinbase candles", venue: "COINBASE"}
	}
	return nil, vendor{}
}

func highest(d market.Decimal, of [4]market.Decimal) bool {
	for _, p := range of {
		if d.Less(p) {
			return false
		}
	}
	return true
}

func lowest(d market.Decimal, of [4]market.Decimal) bool {
	for _, p := range of {
		if p.Less(d) {
			return false
		}
	}
	return true
}

// histData reports whether the file has a name as HistData gives them: DAT_ASCII_EURUSD_M1_201202.csv.
func (r *recogniser) histData() bool {
	return strings.HasPrefix(strings.ToUpper(r.name), "DAT_ASCII_")
}

// near reports whether two columns hold prices of the same thing: within a twentieth of each other in all rows.
func near(rows [][]string, a, b int) bool {
	for _, row := range rows {
		if len(row) <= b {
			continue
		}
		x, problem := numeral{}.parse([]byte(strings.TrimSpace(row[a])), false)
		y, other := numeral{}.parse([]byte(strings.TrimSpace(row[b])), false)
		if problem != "" || other != "" {
			continue
		}
		// |x - y| ≤ (x + y) / 40, in whole numbers.
		sum, err := x.Add(y)
		diff, errDiff := x.Sub(y)
		if err != nil || errDiff != nil || x.Sign() <= 0 || y.Sign() <= 0 {
			return false
		}
		if diff.Sign() < 0 {
			diff = diff.Neg()
		}
		forty, errForty := market.NewDecimal(40, 0)
		left, errLeft := market.Product(diff, forty)
		if errForty != nil || errLeft != nil || left.Cmp(market.WideOf(sum)) > 0 {
			return false
		}
	}
	return true
}

// fits reports whether each cell may be what the pattern says: b a boolean, c a time of day, d a date, e a plausible number of units since
// 1970, n a number, t a time in words, x anything.
func (r *recogniser) fits(row []string, pattern string) bool {
	if len(row) != len(pattern) {
		return false
	}
	for i, cell := range row {
		cell = strings.TrimSpace(cell)
		ok := true
		switch pattern[i] {
		case 'b':
			ok = strings.EqualFold(cell, "true") || strings.EqualFold(cell, "false")
		case 'c':
			ok = isClock(cell)
		case 'd':
			ok = r.isDate(cell)
		case 'e':
			ok = plausibleEpoch(cell)
		case 'n':
			ok = isNumber(cell)
		case 't':
			_, epoch := parseEpoch([]byte(cell))
			ok = !epoch && r.isTime(cell)
		}
		if !ok {
			return false
		}
	}
	return true
}

func isClock(s string) bool {
	_, rest, ok := parseTimeOfDay([]byte(strings.TrimSpace(s)))
	return ok && len(rest) == 0
}

// plausibleEpoch tells numbers that are times of 1990 to 2100 from those that are prices, sizes or numbers of trades. Some ids look
// like times too.
func plausibleEpoch(s string) bool {
	t, ok := parseEpoch([]byte(s))
	if !ok {
		t, ok = parseRounded([]byte(s))
	}
	whole, _, _ := strings.Cut(s, ".")
	return ok && len(whole) >= 9 && t > 631_152_000*market.Second && t < 4_102_444_800*market.Second
}
