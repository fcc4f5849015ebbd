package layout

import (
	"fmt"
	"strings"
)

// field is what a column can mean.
type field int

const (
	fTime       field = iota // the moment, or its date
	fClock                   // time of day, when it stands in a column of its own
	fSpare                   // the moment again, for rows whose time a spreadsheet has rounded
	fPrice                   // of a trade; of a bar, its close where no column is called so
	fSize                    // of a trade; of a bar, its volume
	fSymbol                  //
	fSide                    // the taker's: buy or sell
	fMaker                   // true when the buyer was the maker: the taker sold
	fMakerSide               // the maker's: buy or sell
	fID                      // the venue's number or name of the trade
	fRef                     // the venue's name of the trade, beside a number
	fExchange                // of a trade, or of the bid
	fConditions              //
	fTape                    // A, B or C
	fBid                     //
	fBidSize                 //
	fAsk                     //
	fAskSize                 //
	fAskFrom                 // exchange of the ask
	fBidBoth                 // price and size of the bid in one column, joined by "_"
	fAskBoth                 //
	fOpen                    // of a bar
	fHigh                    //
	fLow                     //
	fClose                   //
	fCount                   // of the trades of a bar
	fInterval                // of a bar, such as 1m, or its minutes
	fAction                  // what a row is, where only some are ticks
	fields                   // number of them
)

// fieldNames are the names that a mapping uses, and that a description shows.
func fieldNames() [fields]string {
	return [fields]string{
		"time", "clock", "spare_time", "price", "size", "symbol", "side", "buyer_is_maker", "maker_side", "id", "ref", "exchange",
		"conditions", "tape", "bid", "bid_size", "ask", "ask_size", "ask_exchange", "bid_and_size", "ask_and_size",
		"open", "high", "low", "close", "count", "interval", "action",
	}
}

// Meaning returns the name of what a column can mean, as Options.Map has it, or an error that lists them.
func Meaning(name string) (string, error) {
	names := fieldNames()
	want := canonical(name)
	if want == "volume" {
		want = "size"
	}
	for _, known := range names {
		if canonical(known) == want && want != "" {
			return known, nil
		}
	}
	return "", fmt.Errorf("%s is not one of %s", name, strings.Join(names[:], ", "))
}

// canonical drops from a name what spellings differ in: case, spaces and punctuation. What follows a slash in another script is a
// translation.
func canonical(name string) string {
	if before, after, ok := strings.Cut(name, "/"); ok && before != "" && !isASCII(after) {
		name = before
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r == '%':
			return 'p'
		}
		return -1
	}, name)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// meaning knows the names that vendors give to columns. Where two columns have the same meaning that of the lower rank counts:
// ts_ns before all other times, the moment of the trade before that of its message, and that before the arrival.
func meaning(name string) (field, int) {
	switch name {
	case "tsns", "tsevent", "timestampns", "timens", "eventns":
		return fTime, 0
	case "transactiontime", "tradetsms", "tradetime", "transacttime", "transacttsms", "tradetimestamp", "exectime", "participanttimestamp":
		return fTime, 1
	case "timestamp", "time", "datetime", "when", "ts", "timeseconds", "timesec", "timems", "timestampms", "unix", "unixtimestamp", "unixtime",
		"epoch", "epochms", "gmttime", "timestamputc", "timeutc", "opentime", "siptimestamp", "createdtime", "createtime", "starttime",
		"barstart", "indexlevel0", "begin", "openat", "startat", "datetimeutc", "utctime", "estime":
		return fTime, 2
	case "eventtime", "eventtsms", "date", "day", "localtime", "tradedate", "data", "datum", "fecha", "month":
		return fTime, 3
	case "timestampofreceive", "received", "receivetime", "localtimestamp", "tsrecv", "recvtime":
		return fTime, 4
	case "price", "px", "tradeprice":
		return fPrice, 0
	case "last", "lastprice", "value", "rate", "kurs":
		return fPrice, 1
	case "size", "qty", "quantity", "tradesize", "lastsize", "baseqty", "sz":
		return fSize, 0
	case "amount", "volume", "vol", "shares", "wolumen", "volumen":
		return fSize, 1
	case "tickvol", "tickvolume":
		return fSize, 3
	case "symbol", "sym", "ticker", "productid", "pair", "product", "instrumentname", "instid":
		return fSymbol, 0
	case "instrument", "instrumentid", "market":
		return fSymbol, 1
	case "side", "tks", "takerside", "aggressor", "aggressorside", "direction":
		return fSide, 0
	case "makerside":
		return fMakerSide, 0
	case "buyerismaker", "isbuyermaker", "isbuyermarketmaker":
		return fMaker, 0
	case "tradeid", "trdmatchid", "tid", "aggtradeid":
		return fID, 0
	case "id":
		return fID, 1
	case "ref", "tradename":
		return fRef, 0
	}
	if f, rank := meaningOfQuote(name); f < fields {
		return f, rank
	}
	return meaningOfBar(name)
}

func meaningOfQuote(name string) (field, int) {
	switch name {
	case "bidexchange", "bidex":
		return fExchange, 0
	case "exchange", "ex", "venue", "participant":
		return fExchange, 1
	case "salecondition", "saleconditions", "conditions", "condition", "tradecondition", "tradeconditions", "cond", "quotecondition":
		return fConditions, 0
	case "tape":
		return fTape, 0
	case "bid", "bidprice", "bidpx", "bestbid", "bestbidprice", "bidpx00":
		return fBid, 0
	case "bidsize", "bidsiz", "bidqty", "bidsz", "bestbidsize", "bestbidquantity", "bestbidqty", "bidamount", "bidvolume", "bidsz00":
		return fBidSize, 0
	case "ask", "askprice", "askpx", "bestask", "bestaskprice", "ofr", "offer", "ofrprice", "offerprice", "askpx00":
		return fAsk, 0
	case "asksize", "asksiz", "askqty", "asksz", "bestasksize", "bestaskquantity", "bestaskqty", "askamount", "askvolume", "ofrsiz",
		"ofrsize", "offersize", "asksz00":
		return fAskSize, 0
	case "askexchange", "askex":
		return fAskFrom, 0
	case "bidpricebidsize":
		return fBidBoth, 0
	case "askpriceasksize":
		return fAskBoth, 0
	}
	return fields, 0
}

func meaningOfBar(name string) (field, int) {
	switch name {
	case "open", "openprice", "otwarcie", "first":
		return fOpen, 0
	case "high", "highprice", "najwyzszy", "max":
		return fHigh, 0
	case "low", "lowprice", "najnizszy", "min":
		return fLow, 0
	case "close", "closeprice", "closelast", "zamkniecie":
		return fClose, 0
	case "tradecount", "count", "trades", "numberoftrades", "numtrades", "tradescount", "transactions":
		return fCount, 0
	case "interval", "timeframe", "per", "period", "resolution", "rtype":
		return fInterval, 0
	case "action":
		return fAction, 0
	}
	if strings.HasPrefix(name, "volume") && len(name) <= len("volume")+6 && name != "volumema" {
		return fSize, 5 // of CryptoDataDownload: "Volume BTC", and then "Volume USD"
	}
	return fields, 0
}

// letters settles the names of one letter by the company they keep: c is a close beside o, h and l, and the conditions of a trade
// otherwise; S beside s is the symbol, as T beside t is the type (Alpaca), but for Binance s is the symbol and T the moment.
func (l *layout) letters(sample []string) {
	at := make(map[string]int)
	for i, name := range l.names {
		if len(name) <= 2 {
			if _, twice := at[name]; !twice {
				at[name] = i
			}
		}
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := at[n]; !ok {
				return false
			}
		}
		return true
	}
	number := func(name string) bool {
		i, ok := at[name]
		return ok && i < len(sample) && sample[i] != "" && (sample[i][0] >= '0' && sample[i][0] <= '9' || sample[i][0] == '.')
	}
	set := func(f field, names ...string) {
		for _, n := range names {
			if i, ok := at[n]; ok && !l.has(f) {
				l.cols[f] = i
				return
			}
		}
	}
	binance := has("s") && !number("s") && !has("S")
	switch {
	case has("o", "h", "l", "c"):
		set(fTime, "t")
		set(fOpen, "o")
		set(fHigh, "h")
		set(fLow, "l")
		set(fClose, "c")
		set(fSize, "v")
		set(fCount, "n")
	case has("p", "q"):
		set(fTime, "T", "E")
		set(fPrice, "p")
		set(fSize, "q")
		set(fMaker, "m")
		set(fID, "a", "t")
	case binance && has("b", "B", "a", "A"):
		set(fTime, "T", "E")
		set(fBid, "b")
		set(fBidSize, "B")
		set(fAsk, "a")
		set(fAskSize, "A")
	case has("t") && (has("p") || has("bp", "ap")):
		set(fTime, "t")
		set(fPrice, "p")
		set(fSize, "s")
		set(fExchange, "x", "bx")
		set(fConditions, "c")
		set(fID, "i")
		set(fTape, "z")
		set(fBid, "bp")
		set(fBidSize, "bs")
		set(fAsk, "ap")
		set(fAskSize, "as")
		set(fAskFrom, "ax")
	default:
		set(fTime, "t")
		set(fPrice, "p")
		set(fClose, "c")
		set(fSize, "q", "v")
		if number("s") {
			set(fSize, "s")
		}
	}
	set(fSymbol, "S")
	if binance {
		set(fSymbol, "s")
	}
}
