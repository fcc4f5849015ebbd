package massive

import (
	"strconv"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// item is one element of a message: all fields of all events, as they stand in the text. The same name means different things in
// different events.
type item struct {
	event, symbol, pair, price, size, exactSize, exchange, facility, id, number, conditions, tape, time venue.Value

	bid, bidSize, bidFrom, ask, askSize, askFrom, a, b venue.Value

	status, message venue.Value
}

// read takes in the object that comes next.
func (it *item) read(scan *venue.Scanner) {
	*it = item{}
	scan.Enter('{')
	for {
		key, ok := scan.Key()
		if !ok {
			return
		}
		v := scan.Value()
		if field := it.field(key); field != nil {
			*field = v
		}
	}
}

// field returns the place of a key, nil when it is of no interest.
func (it *item) field(key []byte) *venue.Value {
	if len(key) == 1 {
		switch key[0] {
		case 'p':
			return &it.price
		case 's':
			return &it.size
		case 'x':
			return &it.exchange
		case 'i':
			return &it.id
		case 'q':
			return &it.number
		case 'c':
			return &it.conditions
		case 'z':
			return &it.tape
		case 't':
			return &it.time
		case 'a':
			return &it.a
		case 'b':
			return &it.b
		}
		return nil
	}
	switch string(key) {
	case "ev":
		return &it.event
	case "sym":
		return &it.symbol
	case "pair":
		return &it.pair
	case "ds":
		return &it.exactSize
	case "trfi":
		return &it.facility
	case "bp":
		return &it.bid
	case "bs":
		return &it.bidSize
	case "bx":
		return &it.bidFrom
	case "ap":
		return &it.ask
	case "as":
		return &it.askSize
	case "ax":
		return &it.askFrom
	case "status":
		return &it.status
	case "message":
		return &it.message
	}
	return nil
}

// trade appends a trade. What is no whole trade is lost, and looked for again.
func (s *session) trade(it *item, name venue.Value, received market.Time, out *venue.Output) {
	c := s.carried[string(name.Bytes())]
	if c == nil {
		out.Unused("not_asked_for")
		return
	}
	e := market.Entry{Kind: market.KindTrade, Symbol: c.symbol, Received: received}
	if !it.trade(&e, s.v.o.Feed == "crypto") {
		out.Unused("bad_trade")
		out.Lost = "a trade could not be read"
		return
	}
	e.Exchange = s.exchange(it.exchange, it.facility)
	e.Conditions = s.codes.of(it.conditions)
	setTime(&e, it.time, venue.Milliseconds)
	out.Entries = append(out.Entries, e)
}

// trade fills an entry, but for its texts and its time, or reports that it is none.
func (it *item) trade(e *market.Entry, crypto bool) bool {
	var err error
	if e.Price, err = it.price.Decimal(); err != nil || e.Price.Sign() <= 0 {
		return false
	}
	// Of a fraction of a share, the whole number of shares is nothing.
	size := it.size
	if !it.exactSize.Null() {
		size = it.exactSize
	}
	if e.Size, err = size.Decimal(); err != nil || e.Size.Sign() < 0 {
		return false
	}
	name(e, it.id, it.number)
	if crypto {
		switch string(it.conditions) { // its only conditions
		case "[1]":
			e.Side = market.SideSell
		case "[2]":
			e.Side = market.SideBuy
		}
	}
	e.Tape = tape(it.tape)
	return true
}

// name sets what the venue calls a trade: a number as a rule, but as a text; the number of the message where it has none.
func name(e *market.Entry, id, number venue.Value) {
	if id.Null() {
		e.ID, _ = number.Uint()
		return
	}
	n, ok := id.Uint()
	text := id.Bytes()
	if ok && n > 0 && (len(text) == 1 || text[0] != '0') {
		e.ID = n
		return
	}
	e.Ref = string(text)
}

// quote appends a quote.
func (s *session) quote(it *item, name venue.Value, received market.Time, out *venue.Output) {
	c := s.carried[string(name.Bytes())]
	if c == nil {
		out.Unused("not_asked_for")
		return
	}
	e := market.Entry{Kind: market.KindQuote, Symbol: c.symbol, Received: received}
	fields := [...]struct {
		from venue.Value
		to   *market.Decimal
		size bool
	}{{it.bid, &e.Price, false}, {it.bidSize, &e.Size, true}, {it.ask, &e.Ask, false}, {it.askSize, &e.AskSize, true}}
	for _, f := range fields {
		if f.size && f.from.Null() {
			continue // forex has no sizes
		}
		var err error
		if *f.to, err = f.from.Decimal(); err != nil || f.to.Sign() < 0 {
			out.Unused("bad_quote")
			return
		}
	}
	from := it.bidFrom
	if from.Null() {
		from = it.exchange
	}
	e.Exchange = s.words.Of(from.Bytes())
	if ask := s.words.Of(it.askFrom.Bytes()); ask != e.Exchange {
		e.AskFrom = ask
	}
	e.Conditions = s.codes.of(it.conditions)
	e.Tape = tape(it.tape)
	setTime(&e, it.time, venue.Milliseconds)
	out.Entries = append(out.Entries, e)
}

// setTime sets when it happened, which is when it came if the venue does not say.
func setTime(e *market.Entry, v venue.Value, unit market.Time) {
	t, ok := v.Unix(unit)
	if !ok || t == 0 {
		t = e.Received
		e.Flags |= market.FlagNoEventTime
	}
	e.Event = t
}

// tape returns the letter of a consolidated tape that the venue numbers.
func tape(v venue.Value) byte {
	if n, ok := v.Uint(); ok && n >= 1 && n <= 3 {
		return 'A' + byte(n) - 1
	}
	return 0
}

// exchange is an exchange and the facility that reported its trades, 0 when there is none.
type exchange struct{ id, facility uint64 }

// mostExchanges is the number of exchanges whose names are kept.
const mostExchanges = 4096

// exchange names an exchange: "4", or "4/201" when a facility reported the trade. It allocates only the first time.
func (s *session) exchange(id, facility venue.Value) string {
	n, ok := id.Uint()
	if !ok {
		return s.words.Of(id.Bytes())
	}
	f, _ := facility.Uint()
	key := exchange{n, f}
	if text, ok := s.exchanges[key]; ok {
		return text
	}
	text := key.String()
	if len(s.exchanges) < mostExchanges {
		s.exchanges[key] = text
	}
	return text
}

// String names the exchange.
func (e exchange) String() string {
	text := strconv.FormatUint(e.id, 10)
	if e.facility != 0 {
		text += "/" + strconv.FormatUint(e.facility, 10)
	}
	return text
}

// codes keeps lists of condition codes in both forms, so that each is one string.
type codes struct{ joined map[string]string }

// mostCodes is the number of lists that are kept: there are a few hundred.
const mostCodes = 4096

// of returns a list such as [0,12] as "0,12", and a lone number as it is. It allocates only the first time.
func (c *codes) of(list venue.Value) string {
	if list.Null() {
		return ""
	}
	if s, ok := c.joined[string(list)]; ok {
		return s
	}
	s := list.Text()
	if list[0] == '[' {
		s = join(list)
	}
	if c.joined == nil {
		c.joined = make(map[string]string)
	}
	if len(c.joined) < mostCodes {
		c.joined[string(list)] = s
	}
	return s
}

func join(list venue.Value) string {
	var scan venue.Scanner
	scan.Reset(list)
	var parts []string
	for scan.Enter('['); scan.More(); {
		parts = append(parts, scan.Value().Text())
	}
	return strings.Join(parts, ",")
}
