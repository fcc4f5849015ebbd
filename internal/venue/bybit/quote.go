package bybit

import (
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// book reads the best bid and offer: a snapshot is whole, a delta has the levels that changed, with a size of 0 for one that is
// gone. After three seconds without a change the last is sent again under its number.
//
//	{"topic":"orderbook.1.BTCUSDT","ts":1789299668914,"type":"snapshot","data":{"s":"BTCUSDT","b":[["77140.5","0.208813"]],"a":[["77140.6","0.324006"]],"u":1980707,"seq":2189232186},"cts":1789299665782}
func (s *session) book(f *frame, scan *venue.Scanner, received market.Time, out *venue.Output) {
	st := s.stream(f, bookTopic)
	if st == nil {
		out.Unused("unknown_symbol")
		scan.Skip()
		return
	}
	whole := !f.kind.Is("delta")
	if !whole && !st.known {
		out.Unused("delta_without_snapshot")
		scan.Skip()
		return
	}
	var update uint64
	e := st.quote
	if whole {
		e = market.Entry{}
	}
	good := true
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "b":
			good = levels(scan, &e.Price, &e.Size) && good
		case "a":
			good = levels(scan, &e.Ask, &e.AskSize) && good
		case "u":
			update, _ = scan.Value().Uint()
		default:
			scan.Skip()
		}
	}
	if scan.Err() != nil {
		return
	}
	// Numbers rise; 1 is that of the first snapshot after the venue began anew.
	if st.known && update <= st.update && update != 1 && update != 0 {
		out.Unused("old_quote")
		return
	}
	at := f.matched
	if at == nil {
		at = f.sent
	}
	if st.push(&e, good, at, received, out) {
		st.update = update
	}
}

// levels applies levels to one side, best first where there are several.
func levels(s *venue.Scanner, price, size *market.Decimal) bool {
	good, set := true, false
	for s.Enter('['); s.More(); {
		var p, q market.Decimal
		n := 0
		for s.Enter('['); s.More(); n++ {
			v := s.Value()
			switch n {
			case 0:
				good = decimal(v, &p) && good
			case 1:
				good = decimal(v, &q) && good
			}
		}
		switch {
		case n < 2:
			good = false
		case q.IsZero() && p.Cmp(*price) == 0 && !set:
			*price, *size = market.Decimal{}, market.Decimal{}
		case !q.IsZero() && !set:
			*price, *size, set = p, q, true
		}
	}
	return good
}

// ticker reads the bid and ask of a ticker: a snapshot is whole, a delta has what changed.
//
//	{"topic":"tickers.BTCUSD","type":"delta","data":{"symbol":"BTCUSD","bid1Price":"61891.50","bid1Size":"27634"},"cs":42159594251,"ts":1715757638152}
func (s *session) ticker(f *frame, scan *venue.Scanner, received market.Time, out *venue.Output) {
	st := s.stream(f, tickerTopic)
	if st == nil {
		out.Unused("unknown_symbol")
		scan.Skip()
		return
	}
	whole := !f.kind.Is("delta")
	if !whole && !st.known {
		out.Unused("delta_without_snapshot")
		scan.Skip()
		return
	}
	e := st.quote
	if whole {
		e = market.Entry{}
	}
	good := true
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		v := scan.Value()
		switch string(key) {
		case "bid1Price":
			good = decimal(v, &e.Price) && good
		case "bid1Size":
			good = decimal(v, &e.Size) && good
		case "ask1Price":
			good = decimal(v, &e.Ask) && good
		case "ask1Size":
			good = decimal(v, &e.AskSize) && good
		}
	}
	if scan.Err() != nil {
		return
	}
	if l := &st.quote; st.known && l.Price == e.Price && l.Size == e.Size && l.Ask == e.Ask && l.AskSize == e.AskSize {
		out.Unused("old_quote") // something else of the ticker changed
		return
	}
	st.push(&e, good, f.sent, received, out)
}

// push appends a quote that is one. After one that is not, changes have nothing to be added to.
func (st *stream) push(e *market.Entry, good bool, at venue.Value, received market.Time, out *venue.Output) bool {
	if !good || e.Price.IsZero() && e.Ask.IsZero() {
		st.known = false
		out.Unused("bad_quote")
		return false
	}
	*e = market.Entry{
		Kind: market.KindQuote, Symbol: st.symbol, Received: received, Price: e.Price, Size: e.Size, Ask: e.Ask, AskSize: e.AskSize,
	}
	stamp(e, at)
	st.quote, st.known = *e, true
	out.Entries = append(out.Entries, *e)
	return true
}

// decimal reads a number that is not negative. Nothing is an empty text.
func decimal(v venue.Value, d *market.Decimal) bool {
	if v.Is("") {
		*d = market.Decimal{}
		return true
	}
	var err error
	*d, err = v.Decimal()
	return err == nil && d.Sign() >= 0
}
