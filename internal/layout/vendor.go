package layout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// vendor is what is particular to the files of one source.
type vendor struct {
	name     string // for people
	venue    string // of symbols that name none, "" when the source is not a venue
	zone     *time.Location
	order    dateOrder
	labelEnd bool            // bars are labelled by their end
	scale    int             // prices are to be multiplied by 10^scale
	since    market.Time     // times count this unit from a midnight; 0: they don't
	midnight int64           // that midnight, as days since 1970
	interval market.Interval // of bars, where the source says it outside of its rows
	carry    bool            // a side of a quote that is empty is as it was
	actions  string          // rows with one of these actions are trades, others are left out; "" when there are none
	refused  error           // why files of this shape are none of ours
	symbol   string          // that the name of the file tells
	notes    []string
}

// recogniseVendor knows sources by the names of their columns. It changes what columns mean where a source is known to mean it so.
func (l *layout) recogniseVendor(rest [][]string) vendor {
	var names []string
	for _, n := range l.names {
		names = append(names, canonical(n))
	}
	has := func(all ...string) bool {
		for _, n := range all {
			if !slices.Contains(names, n) {
				return false
			}
		}
		return true
	}
	if !has("rtype", "publisherid") {
		l.cols[fAction] = -1
	}
	switch {
	case has("issnapshot", "side"):
		return vendor{refused: errBook}
	case has("rtype", "publisherid"):
		return l.databento(rest)
	case has("exchange", "symbol", "timestamp", "localtimestamp"):
		return vendor{name: "tardis.dev"}
	case has("trdmatchid", "tickdirection"):
		if i := l.cols[fTime]; len(rest) > 0 && i >= 0 && i < len(rest[0]) && !strings.Contains(rest[0][i], "D") {
			return vendor{name: "Bybit", venue: "BYBIT"}
		}
		return vendor{name: "BitMEX", venue: "BITMEX"}
	case has("createdtime", "tradeid"), has("instrumentname", "volccy"):
		return vendor{name: "OKX", venue: "OKX"}
	case has("makerorderid", "takerorderid", "side"):
		l.cols[fMakerSide], l.cols[fSide] = l.cols[fSide], -1
		return vendor{name: "Coinbase", venue: "COINBASE", notes: []string{"the side of a match is the maker's; it is turned round"}}
	case has("seq", "received", "symbol", "timestamp"), has("symbol", "timestamp", "vwap", "gappy"):
		return vendor{name: "Tapedeck"}
	case has("symbol", "timestamp", "tradecount", "vwap"), has("symbol", "timestamp", "conditions", "tape"):
		return vendor{name: "Alpaca"}
	case has("opentime", "closetime"):
		return vendor{name: "Binance klines", venue: "BINANCE"}
	case has("isbuyermaker", "quoteqty"), has("aggtradeid", "isbuyermaker"), has("transactiontime", "isbuyermarketmaker"):
		return vendor{name: "Binance trades", venue: "BINANCE"}
	case has("bestbidprice", "bestaskprice", "updateid"):
		return vendor{name: "Binance book ticker", venue: "BINANCE"}
	}
	return l.chartVendor(has)
}

// chartVendor is recogniseVendor for sources of bars.
func (l *layout) chartVendor(has func(...string) bool) vendor {
	unix := has("unix") || has("unixtimestamp")
	switch {
	case unix && has("date", "symbol"):
		return vendor{name: "CryptoDataDownload"}
	case has("closelast"):
		return vendor{name: "nasdaq.com", order: monthFirst}
	case has("price", "open", "high", "low", "vol", "changep"):
		return vendor{name: "investing.com", order: monthFirst}
	case has("exdividend", "splitratio"):
		return vendor{name: "Quandl WIKI", notes: []string{"the adjusted prices are left out"}}
	case has("adjclose", "date"):
		return vendor{name: "Yahoo Finance", notes: []string{"Adj Close is left out: prices are as they were traded"}}
	case has("ticker", "per", "openint"):
		return vendor{name: "Stooq"}
	case has("data", "otwarcie"):
		return vendor{name: "Stooq (stooq.pl)"}
	case has("tickvol"):
		return vendor{name: "MetaTrader"}
	case has("date", "time", "bid", "ask", "last", "flags"):
		return vendor{name: "MetaTrader ticks", carry: true, notes: []string{"a side that a row does not name is as it was"}}
	case has("timestamp", "adjustedclose", "splitcoefficient"):
		return vendor{name: "Alpha Vantage"}
	case slices.Equal(l.names[:min(len(l.names), 5)], []string{"time", "open", "high", "low", "close"}):
		return vendor{name: "TradingView"}
	case has("epoch") && (has("bid", "ask") || has("open", "close")):
		return vendor{name: "MarketStore"}
	case has("ofr", "bidsiz"):
		return vendor{name: "TAQ"}
	case has("bidpricebidsize"):
		return vendor{name: "Gemini"}
	}
	return vendor{}
}

// databento settles what its schemas leave to their options: prices are integers of 10^-9 unless pretty_px was asked for.
func (l *layout) databento(rest [][]string) vendor {
	v := vendor{name: "Databento"}
	whole := true
	for _, row := range rest {
		for _, f := range [...]field{fPrice, fBid, fAsk, fOpen, fClose} {
			if i := l.cols[f]; i >= 0 && i < len(row) && strings.Contains(row[i], ".") {
				whole = false
			}
		}
	}
	if whole {
		v.scale = -9
		v.notes = append(v.notes, "prices are whole numbers of 10^-9")
	}
	if l.has(fAction) && l.has(fPrice) {
		v.actions = "TF"
		v.notes = append(v.notes, "rows whose action is not T (trade) or F (fill) are left out; for quotes, map price to no column")
	}
	if l.cols[fSymbol] >= 0 && canonical(l.names[l.cols[fSymbol]]) == "instrumentid" {
		v.notes = append(v.notes, "symbols are Databento's numbers of instruments")
	}
	return v
}

// lobster is a message file of LOBSTER, which is known by its name: AAPL_2012-06-21_34200000_57600000_message_5.csv. Times are
// seconds after midnight in New York, prices are in 1/10000 dollars, types 4 and 5 are executions, and the side is that of the
// order that was in the book.
func (r *recogniser) lobster(row []string) *layout {
	parts := strings.Split(r.name, "_")
	if len(row) != 6 || len(parts) < 5 || !strings.HasPrefix(parts[4], "message") {
		return nil
	}
	d, rest, ok := (&clockwork{}).parseDate([]byte(parts[1]))
	zone, err := time.LoadLocation("America/New_York")
	if !ok || len(rest) > 0 || err != nil {
		return nil
	}
	l := nameless(len(row))
	l.vendor = vendor{
		name: "LOBSTER", venue: "NASDAQ", since: market.Second, midnight: d, zone: zone, scale: -4, actions: "45", symbol: parts[0],
		notes: []string{
			"times are seconds after midnight in New York, prices are in 1/10000 dollars",
			"only executions (types 4 and 5) are trades; other messages are left out",
		},
	}
	l.cols[fTime], l.cols[fAction], l.cols[fID], l.cols[fSize], l.cols[fPrice], l.cols[fMakerSide] = 0, 1, 2, 3, 4, 5
	l.cols[fID] = -1 // the number of an order, which may be executed in parts
	l.kind = market.KindTrade
	return l
}

// lean is a file of QuantConnect's Lean as it stands in its archives, known by its name: 20131007_spy_minute_trade.csv. Times
// are milliseconds after midnight in New York, prices of equities are in 1/10000 dollars.
func (r *recogniser) lean(row []string) *layout {
	base, _, _ := strings.Cut(r.name, ".")
	parts := strings.Split(strings.ToLower(base), "_")
	if len(parts) < 4 || len(parts[0]) != 8 || len(row) < 6 {
		return nil
	}
	d, rest, ok := compactDate([]byte(parts[0]))
	zone, err := time.LoadLocation("America/New_York")
	if !ok || len(rest) > 0 || err != nil {
		return nil
	}
	l := nameless(len(row))
	l.vendor = vendor{
		name: "Lean", since: market.Second / 1000, midnight: d, zone: zone, symbol: strings.ToUpper(parts[1]),
		notes: []string{"times are milliseconds after midnight in New York"},
	}
	switch what := parts[len(parts)-2] + " " + parts[len(parts)-1]; {
	case what == "minute trade" && len(row) == 6, what == "second trade" && len(row) == 6:
		l.cols[fTime], l.cols[fOpen], l.cols[fHigh], l.cols[fLow], l.cols[fPrice], l.cols[fSize] = 0, 1, 2, 3, 4, 5
		l.interval = market.Interval{N: 1, Unit: market.UnitMinute}
		if strings.HasPrefix(what, "second") {
			l.interval.Unit = market.UnitSecond
		}
	case what == "tick trade":
		l.cols[fTime], l.cols[fPrice], l.cols[fSize], l.cols[fExchange], l.cols[fConditions] = 0, 1, 2, 3, 4
	default:
		return nil
	}
	l.closes = r.closes
	if l.complete() != nil {
		return nil
	}
	if !strings.Contains(row[l.cols[fPrice]], ".") {
		l.scale = -4
		l.notes = append(l.notes, "prices are in 1/10000 dollars")
	}
	return l
}

// histZone is New York's winter time, which HistData keeps all year.
func histZone() *time.Location { return time.FixedZone("EST", -5*60*60) }

func nameless(n int) *layout {
	l := &layout{names: make([]string, n), cols: noColumns()}
	for i := range l.names {
		l.names[i] = fmt.Sprintf("column %d", i+1)
	}
	return l
}
