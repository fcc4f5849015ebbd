package binance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// session is the protocol on one connection. Nothing has to be said before the first subscription.
type session struct {
	kinds      venue.Kinds
	aggregated bool
	first      []venue.Instrument
	streams    map[string]*stream // by the native name in upper case, as payloads have it
	asked      map[uint64][]market.Symbol
	id         uint64      // of the last message sent
	clock      market.Time // when the venue's clock was read last
}

// stream is an instrument that the connection carries.
type stream struct {
	symbol market.Symbol
	update uint64 // u of the last quote: it rises
}

func newSession(kinds venue.Kinds, aggregated bool, instruments []venue.Instrument) *session {
	return &session{
		kinds: kinds, aggregated: aggregated, first: slices.Clone(instruments),
		streams: make(map[string]*stream, len(instruments)), asked: make(map[uint64][]market.Symbol),
	}
}

// Opened implements venue.Session.
func (s *session) Opened(out *venue.Output) error {
	return s.Subscribe(s.first, out)
}

// Second implements venue.Session. The WebSocket's own pings are enough.
func (s *session) Second(market.Time, *venue.Output) error { return nil }

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		s.streams[in.Native] = &stream{symbol: in.Symbol}
	}
	for part := range slices.Chunk(instruments, symbolsPerMessage) {
		s.say("SUBSCRIBE", part, out)
		symbols := make([]market.Symbol, len(part))
		for i, in := range part {
			symbols[i] = in.Symbol
		}
		s.asked[s.id] = symbols
	}
	return nil
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		delete(s.streams, in.Native)
	}
	for part := range slices.Chunk(instruments, symbolsPerMessage) {
		s.say("UNSUBSCRIBE", part, out)
	}
	return nil
}

// say appends {"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@bookTicker"],"id":1}. Names of streams are in lower case.
func (s *session) say(method string, instruments []venue.Instrument, out *venue.Output) {
	s.id++
	msg := append(make([]byte, 0, 64+48*len(instruments)), `{"method":"`+method+`","params":[`...)
	add := func(name, stream string) {
		if msg[len(msg)-1] != '[' {
			msg = append(msg, ',')
		}
		msg = append(msg, `"`+name+stream+`"`...)
	}
	for _, in := range instruments {
		name := strings.ToLower(in.Native)
		if s.kinds&venue.Trades != 0 {
			if s.aggregated {
				add(name, "@aggTrade")
			} else {
				add(name, "@trade")
			}
		}
		if s.kinds&venue.Quotes != 0 {
			add(name, "@bookTicker")
		}
	}
	msg = append(msg, `],"id":`...)
	msg = strconv.AppendUint(msg, s.id, 10)
	out.Send = append(out.Send, append(msg, '}'))
}

// frame is one message, with the fields that count. Its keys differ by case only, so that each of a pair has its place.
type frame struct {
	event, symbol        venue.Value // e, s
	number, aggregate    venue.Value // t, a (which is the ask's price in a quote)
	price, quantity      venue.Value // p, q
	maker, traded, sent  venue.Value // m, T, E
	update               venue.Value // u
	bid, bidSize, askQty venue.Value // b, B, A

	id, code, text, failure venue.Value // of answers
	result                  bool
}

// read reads an object into f: a payload, an answer, or the {"stream":…,"data":{…}} around a payload.
func (f *frame) read(s *venue.Scanner, outer bool) {
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return
		}
		if len(key) == 1 {
			f.letter(key[0], s)
			continue
		}
		switch string(key) {
		case "data":
			if outer && s.Next() == '{' {
				f.read(s, false)
				continue
			}
			s.Skip()
		case "id":
			f.id = s.Value()
		case "result":
			f.result = true
			s.Skip()
		case "code":
			f.code = s.Value()
		case "msg":
			f.text = s.Value()
		case "error":
			f.failure = s.Value()
		default:
			s.Skip()
		}
	}
}

// letter reads a member whose key is one letter.
func (f *frame) letter(key byte, s *venue.Scanner) {
	v := s.Value()
	switch key {
	case 'e':
		f.event = v
	case 's':
		f.symbol = v
	case 't':
		f.number = v
	case 'a':
		f.aggregate = v
	case 'p':
		f.price = v
	case 'q':
		f.quantity = v
	case 'm':
		f.maker = v
	case 'T':
		f.traded = v
	case 'E':
		f.sent = v
	case 'u':
		f.update = v
	case 'b':
		f.bid = v
	case 'B':
		f.bidSize = v
	case 'A':
		f.askQty = v
	}
}

// Message implements venue.Session.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	var (
		scan venue.Scanner
		f    frame
	)
	scan.Reset(msg)
	f.read(&scan, true)
	if err := scan.End(); err != nil {
		return err
	}
	switch event := f.event.Bytes(); {
	case string(event) == "trade" && !s.aggregated:
		s.trade(&f, f.number, received, out)
	case string(event) == "aggTrade" && s.aggregated:
		s.trade(&f, f.aggregate, received, out)
	case string(event) == "bookTicker", event == nil && f.update != nil && f.bidSize != nil:
		s.quote(&f, received, out)
	case string(event) == "serverShutdown":
		out.Drain = "serverShutdown"
	case event == nil && (f.id != nil || f.result || f.code != nil || f.failure != nil):
		s.answer(&f, out)
	default:
		out.Unused("unknown_type")
	}
	return nil
}

// trade reads a single trade, numbered by t, or an aggregated one, numbered by a. E is the venue's clock, which is read once a second:
//
//	{"e":"trade","E":1789295134226,"s":"BTCUSDT","t":388510,"p":"76745.19000000","q":"0.00065000","T":1789295134225,"m":false,"M":true}
//	{"e":"aggTrade","E":1781416576889,"s":"BTCUSDT","a":3988316038,"p":"64348.95000000","q":"0.00009000","f":…,"l":…,"T":1781416576889,"m":true,"M":true}
func (s *session) trade(f *frame, number venue.Value, received market.Time, out *venue.Output) {
	st := s.streams[string(f.symbol.Bytes())]
	if st == nil {
		out.Unused("unknown_symbol")
		return
	}
	e := market.Entry{Kind: market.KindTrade, Symbol: st.symbol, Received: received}
	if !fill(&e, number, f.price, f.quantity, f.maker, f.traded) {
		out.Unused("bad_trade")
		return
	}
	out.Entries = append(out.Entries, e)
	if received-s.clock >= market.Second {
		s.clock = received
		if t, ok := unix(f.sent); ok && t >= earliest {
			out.Entries = append(out.Entries, market.Entry{Kind: market.KindHeartbeat, Event: t, Received: received})
		}
	}
}

// fill sets what a trade is, and reports whether all of it could be read. When the buyer's order rested in the book the taker
// sold.
func fill(e *market.Entry, number, price, quantity, maker, traded venue.Value) bool {
	id, ok := number.Uint()
	p, err := price.Decimal()
	q, err2 := quantity.Decimal()
	if !ok || id == 0 || err != nil || err2 != nil || p.Sign() <= 0 || q.Sign() <= 0 {
		return false
	}
	e.ID, e.Price, e.Size = id, p, q
	switch string(maker) {
	case "true":
		e.Side = market.SideSell
	case "false":
		e.Side = market.SideBuy
	}
	stamp(e, traded)
	return true
}

// quote reads a best bid and offer. It has no time of its own (futures have one), and it counts only when its update is later
// than the last:
//
//	{"u":1801512,"s":"BTCUSDT","b":"76745.18000000","B":"8.74206000","a":"76745.19000000","A":"12.06313000"}
func (s *session) quote(f *frame, received market.Time, out *venue.Output) {
	st := s.streams[string(f.symbol.Bytes())]
	if st == nil {
		out.Unused("unknown_symbol")
		return
	}
	update, ok := f.update.Uint()
	bid, err1 := f.bid.Decimal()
	bidSize, err2 := f.bidSize.Decimal()
	ask, err3 := f.aggregate.Decimal()
	askSize, err4 := f.askQty.Decimal()
	if !ok || err1 != nil || err2 != nil || err3 != nil || err4 != nil || bid.Sign() < 0 || ask.Sign() < 0 || bidSize.Sign() < 0 ||
		askSize.Sign() < 0 || bid.IsZero() && ask.IsZero() {
		out.Unused("bad_quote")
		return
	}
	if update <= st.update {
		out.Unused("old_quote")
		return
	}
	st.update = update
	e := market.Entry{
		Kind: market.KindQuote, Symbol: st.symbol, Received: received, Price: bid, Size: bidSize, Ask: ask, AskSize: askSize,
	}
	stamp(&e, f.traded)
	out.Entries = append(out.Entries, e)
}

// answer reads what the venue says of a message of ours: {"result":null,"id":1}, or {"code":2,"msg":"…","id":1}, or the same
// inside of "error". What could not even be read is answered without an id. The venue takes names that it does not know, in
// silence: that a subscription was taken says no more than that its message was read.
func (s *session) answer(f *frame, out *venue.Output) {
	failed, text := f.code != nil, f.text
	if f.failure != nil && !f.failure.Null() {
		failed = true
		var (
			inner frame
			scan  venue.Scanner
		)
		scan.Reset(f.failure)
		if scan.Next() == '{' {
			inner.read(&scan, false)
			text = inner.text
		} else {
			text = f.failure
		}
	}
	id, ok := f.id.Uint()
	if !ok && failed && len(s.asked) == 1 {
		for id = range s.asked { // It can be no other.
			ok = true
		}
	}
	symbols := s.asked[id]
	delete(s.asked, id)
	switch {
	case !failed:
		out.Taken = append(out.Taken, symbols...)
	case !ok || symbols == nil:
		out.Unused("venue_error")
	default:
		reason := venue.Clip(fmt.Sprintf("the venue answers: %s", text.Bytes()))
		for _, symbol := range symbols {
			out.Refused = append(out.Refused, venue.Refusal{Symbol: symbol, Reason: reason})
		}
	}
}
