package alpaca

import (
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// item is one element of a message, or of a page of history: all fields of all types, as they stand in the text. Some names mean
// different things in different types.
type item struct {
	kind, symbol, id, exchange, price, size, conditions, tape, time, side, update venue.Value

	bid, bidSize, bidFrom, ask, askSize, askFrom venue.Value // of quotes

	msg, code, trades, quotes venue.Value // of answers

	statusCode, statusText, reasonCode, reasonText venue.Value // of statuses

	wasID, wasPrice, wasSize, isID, isPrice, isSize, action venue.Value // of corrections and cancels
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
		case 'T':
			return &it.kind
		case 'S':
			return &it.symbol
		case 'i':
			return &it.id
		case 'x':
			return &it.exchange
		case 'p':
			return &it.price
		case 's':
			return &it.size
		case 'c':
			return &it.conditions
		case 'z':
			return &it.tape
		case 't':
			return &it.time
		case 'u':
			return &it.update
		case 'a':
			return &it.action
		}
		return nil
	}
	switch string(key) {
	case "tks":
		return &it.side
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
	}
	return it.rare(key)
}

// rare is field for what seldom comes.
func (it *item) rare(key []byte) *venue.Value {
	switch string(key) {
	case "msg":
		return &it.msg
	case "code":
		return &it.code
	case "trades":
		return &it.trades
	case "quotes":
		return &it.quotes
	case "sc":
		return &it.statusCode
	case "sm":
		return &it.statusText
	case "rc":
		return &it.reasonCode
	case "rm":
		return &it.reasonText
	case "oi":
		return &it.wasID
	case "op":
		return &it.wasPrice
	case "os":
		return &it.wasSize
	case "ci":
		return &it.isID
	case "cp":
		return &it.isPrice
	case "cs":
		return &it.isSize
	}
	return nil
}

// trade appends a trade. What is no whole trade is lost, and looked for again.
func (s *session) trade(it *item, received market.Time, out *venue.Output) {
	c := s.carried[string(it.symbol.Bytes())]
	if c == nil {
		out.Unused("not_asked_for")
		return
	}
	e := market.Entry{Kind: market.KindTrade, Symbol: c.symbol, Received: received}
	if !it.trade(&e, &s.words, &s.codes) {
		out.Unused("bad_trade")
		out.Lost = "a trade could not be read"
		return
	}
	out.Entries = append(out.Entries, e)
}

// trade fills an entry, or reports that it is none.
func (it *item) trade(e *market.Entry, words *venue.Words, codes *codes) bool {
	var err error
	if e.Price, err = it.price.Decimal(); err != nil || e.Price.Sign() <= 0 {
		return false
	}
	if e.Size, err = it.size.Decimal(); err != nil || e.Size.Sign() < 0 {
		return false
	}
	var ok bool
	if e.ID, ok = it.id.Uint(); !ok && !it.id.Null() {
		return false
	}
	switch {
	case it.side.Is("B"):
		e.Side = market.SideBuy
	case it.side.Is("S"):
		e.Side = market.SideSell
	}
	e.Exchange = words.Of(it.exchange.Bytes())
	e.Conditions = codes.of(it.conditions)
	e.Tape = letter(it.tape)
	it.setTime(e)
	return true
}

// quote appends a quote. A side that nobody offers has the price 0.
func (s *session) quote(it *item, received market.Time, out *venue.Output) {
	c := s.carried[string(it.symbol.Bytes())]
	if c == nil {
		out.Unused("not_asked_for")
		return
	}
	e := market.Entry{Kind: market.KindQuote, Symbol: c.symbol, Received: received}
	fields := [...]struct {
		from venue.Value
		to   *market.Decimal
	}{{it.bid, &e.Price}, {it.bidSize, &e.Size}, {it.ask, &e.Ask}, {it.askSize, &e.AskSize}}
	for _, f := range fields {
		var err error
		if *f.to, err = f.from.Decimal(); err != nil || f.to.Sign() < 0 {
			out.Unused("bad_quote")
			return
		}
	}
	e.Exchange = s.words.Of(it.bidFrom.Bytes())
	if from := s.words.Of(it.askFrom.Bytes()); from != e.Exchange {
		e.AskFrom = from
	}
	e.Conditions = s.codes.of(it.conditions)
	e.Tape = letter(it.tape)
	it.setTime(&e)
	out.Entries = append(out.Entries, e)
}

// setTime sets when it happened, which is when it came if the venue does not say.
func (it *item) setTime(e *market.Entry) {
	t, ok := it.time.Time()
	if !ok || t == 0 {
		t = e.Received
		e.Flags |= market.FlagNoEventTime
	}
	e.Event = t
}

// letter returns the one letter of a text, 0 when it is not one.
func letter(v venue.Value) byte {
	if b := v.Bytes(); len(b) == 1 {
		return b[0]
	}
	return 0
}

// status appends that a symbol was halted, or trades again. The codes are those of the CTA and UTP plans; the many others say why
// quotes look as they do, and are counted.
func (s *session) status(it *item, received market.Time, out *venue.Output) {
	c := s.carried[string(it.symbol.Bytes())]
	if c == nil {
		out.Unused("not_asked_for")
		return
	}
	e := market.Entry{Kind: market.KindStatus, Symbol: c.symbol, Received: received}
	switch string(it.statusCode.Bytes()) {
	case "2", "H", "P": // trading halt, volatility trading pause
		e.State = market.StateHalted
		e.Text = it.reason()
	case "3", "T": // trading resumption
		e.State = market.StateLive
	default:
		out.Unused("status_without_effect")
		return
	}
	it.setTime(&e)
	out.Entries = append(out.Entries, e)
}

// reason says why a symbol was halted, in the venue's words.
func (it *item) reason() string {
	text := it.statusText.Text()
	if why := it.reasonText.Text(); why != "" {
		text += ": " + why
	}
	if code := it.reasonCode.Text(); code != "" {
		text += " (" + code + ")"
	}
	return text
}

// changed notes that the venue cancelled or corrected a trade that it had told. The trade stays as it was told, since no kind of
// entry takes it back: a gap of no length says what the venue changed, at the moment that it gives.
func (s *session) changed(it *item, received market.Time, out *venue.Output) {
	c := s.carried[string(it.symbol.Bytes())]
	if c == nil {
		out.Unused("not_asked_for")
		return
	}
	e := market.Entry{Kind: market.KindGap, Symbol: c.symbol, Received: received}
	it.setTime(&e)
	e.Flags = 0
	e.Until = e.Event
	var b strings.Builder
	write := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
	}
	exchange := it.exchange.Text()
	if it.kind.Is("x") {
		out.Unused("trade_cancelled")
		write("the venue cancelled trade ", it.id.Text(), " of ", exchange, ": ", it.size.Text(), " at ", it.price.Text())
	} else {
		out.Unused("trade_corrected")
		write("the venue corrected trade ", it.wasID.Text(), " of ", exchange, ": ", it.wasSize.Text(), " at ", it.wasPrice.Text(),
			" is ", it.isSize.Text(), " at ", it.isPrice.Text(), " as trade ", it.isID.Text())
	}
	e.Text = b.String()
	out.Entries = append(out.Entries, e)
}

// codes keeps lists of condition codes in both forms, so that each is one string.
type codes struct{ joined map[string]string }

// mostCodes is the number of lists that are kept: there are a few hundred.
const mostCodes = 4096

// of returns a list such as ["@","F"] as "@,F". It allocates only the first time.
func (c *codes) of(list venue.Value) string {
	if list.Null() {
		return ""
	}
	if s, ok := c.joined[string(list)]; ok {
		return s
	}
	s := join(list)
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
