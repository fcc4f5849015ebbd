package coinbase

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// perRequest is how many products one request names, so that one wrong name takes few others with it: the venue refuses requests
// as a whole.
const perRequest = 50

// Session implements venue.Venue.
func (v *Venue) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	s := &session{first: instruments, symbols: make(map[string]market.Symbol), listed: make(map[string]bool)}
	if kinds&venue.Trades != 0 {
		s.channels = append(s.channels, "matches")
	}
	if kinds&venue.Quotes != 0 {
		s.channels = append(s.channels, "ticker")
	}
	s.channels = append(s.channels, "heartbeat")
	return s
}

// session is the protocol on one connection.
type session struct {
	channels []string
	first    []venue.Instrument
	symbols  map[string]market.Symbol // by product
	listed   map[string]bool          // products of the last list of subscriptions
	in       venue.Scanner
}

// Opened implements venue.Session. The venue closes a connection that has not subscribed within five seconds.
func (s *session) Opened(out *venue.Output) error { return s.Subscribe(s.first, out) }

// Second implements venue.Session.
func (s *session) Second(market.Time, *venue.Output) error { return nil }

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, i := range instruments {
		s.symbols[i.Native] = i.Symbol
	}
	return s.request("subscribe", instruments, out)
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, i := range instruments {
		delete(s.symbols, i.Native)
		delete(s.listed, i.Native)
	}
	return s.request("unsubscribe", instruments, out)
}

func (s *session) request(what string, instruments []venue.Instrument, out *venue.Output) error {
	for len(instruments) > 0 {
		n := min(len(instruments), perRequest)
		products := make([]string, n)
		for i := range products {
			products[i] = instruments[i].Native
		}
		instruments = instruments[n:]
		msg, err := json.Marshal(struct {
			Type     string   `json:"type"`
			Products []string `json:"product_ids"`
			Channels []string `json:"channels"`
		}{what, products, s.channels})
		if err != nil {
			return err
		}
		out.Send = append(out.Send, msg)
	}
	return nil
}

// message holds the fields that any message may have.
type message struct {
	kind, product, side, time  venue.Value
	price, size, id, last      venue.Value
	bid, bidSize, ask, askSize venue.Value
	said, reason, channels     venue.Value
}

// read reads the fields of a message.
func (m *message) read(in *venue.Scanner) error {
	*m = message{}
	for in.Enter('{'); ; {
		key, ok := in.Key()
		if !ok {
			return in.End()
		}
		to := m.field(key)
		if to == nil {
			in.Skip()
			continue
		}
		*to = in.Value()
	}
}

func (m *message) field(key []byte) *venue.Value {
	switch string(key) {
	case "type":
		return &m.kind
	case "product_id":
		return &m.product
	case "side":
		return &m.side
	case "time":
		return &m.time
	case "price":
		return &m.price
	case "size":
		return &m.size
	case "trade_id":
		return &m.id
	case "last_trade_id":
		return &m.last
	case "best_bid":
		return &m.bid
	case "best_bid_size":
		return &m.bidSize
	case "best_ask":
		return &m.ask
	case "best_ask_size":
		return &m.askSize
	case "message":
		return &m.said
	case "reason":
		return &m.reason
	case "channels":
		return &m.channels
	}
	return nil
}

// Message implements venue.Session.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	var m message
	s.in.Reset(msg)
	if err := m.read(&s.in); err != nil {
		return err
	}
	switch string(m.kind.Bytes()) {
	case "match":
		s.trade(&m, 0, received, out)
	case "last_match":
		s.trade(&m, market.FlagBackfilled, received, out) // it was there before we were
	case "ticker":
		s.quote(&m, received, out)
	case "heartbeat":
		s.heartbeat(&m, received, out)
	case "subscriptions":
		return s.subscriptions(m.channels, out)
	case "error":
		return s.failed(&m, out)
	default:
		out.Unused("unknown_type")
	}
	return nil
}

func (s *session) trade(m *message, flags market.Flags, received market.Time, out *venue.Output) {
	symbol, ok := s.symbols[string(m.product.Bytes())]
	if !ok {
		out.Unused("not_subscribed")
		return
	}
	e := market.Entry{Kind: market.KindTrade, Symbol: symbol, Flags: flags, Received: received}
	if !fillTrade(&e, m) {
		out.Unused("bad_trade")
		return
	}
	out.Entries = append(out.Entries, e)
}

// fillTrade reads a trade of the stream or of the history. The side is the maker's, in both.
func fillTrade(e *market.Entry, m *message) bool {
	var err1, err2 error
	e.Price, err1 = m.price.Decimal()
	e.Size, err2 = m.size.Decimal()
	id, ok := m.id.Uint()
	if err1 != nil || err2 != nil || !ok || id == 0 || e.Price.Sign() <= 0 || e.Size.Sign() < 0 {
		return false
	}
	e.ID = id
	switch {
	case m.side.Is("sell"):
		e.Side = market.SideBuy
	case m.side.Is("buy"):
		e.Side = market.SideSell
	}
	setTime(e, m.time)
	return true
}

// setTime takes the venue's time, or that of the arrival when it is missing or from before there was a venue.
func setTime(e *market.Entry, v venue.Value) {
	const founded = 1_325_376_000 * market.Second // 2012
	if t, ok := v.Time(); ok && t >= founded {
		e.Event = t
		return
	}
	e.Event = e.Received
	e.Flags |= market.FlagNoEventTime
}

func (s *session) quote(m *message, received market.Time, out *venue.Output) {
	symbol, ok := s.symbols[string(m.product.Bytes())]
	if !ok {
		out.Unused("not_subscribed")
		return
	}
	e := market.Entry{Kind: market.KindQuote, Symbol: symbol, Received: received}
	var err1, err2, err3, err4 error
	e.Price, err1 = m.bid.Decimal()
	e.Ask, err2 = m.ask.Decimal()
	if m.bidSize != nil { // older recordings have no sizes
		e.Size, err3 = m.bidSize.Decimal()
	}
	if m.askSize != nil {
		e.AskSize, err4 = m.askSize.Decimal()
	}
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || e.Price.Sign() < 0 || e.Ask.Sign() < 0 || e.Size.Sign() < 0 || e.AskSize.Sign() < 0 {
		out.Unused("bad_quote")
		return
	}
	setTime(&e, m.time)
	out.Entries = append(out.Entries, e)
}

func (s *session) heartbeat(m *message, received market.Time, out *venue.Output) {
	symbol, ok := s.symbols[string(m.product.Bytes())]
	id, known := m.last.Uint()
	if !ok || !known {
		out.Unused("bad_heartbeat")
		return
	}
	out.Marks = append(out.Marks, venue.Mark{Symbol: symbol, ID: id})
	if t, ok := m.time.Time(); ok && t > 0 {
		out.Entries = append(out.Entries, market.Entry{Kind: market.KindHeartbeat, Event: t, Received: received})
	}
}

// subscriptions reads the list of all that the connection is subscribed to. A product is taken when every channel has it.
func (s *session) subscriptions(channels venue.Value, out *venue.Output) error {
	in := venue.Scanner{}
	in.Reset(channels)
	times := make(map[string]int)
	for in.Enter('['); in.More(); {
		var name, products venue.Value
		for in.Enter('{'); ; {
			key, ok := in.Key()
			if !ok {
				break
			}
			switch string(key) {
			case "name":
				name = in.Value()
			case "product_ids":
				products = in.Value()
			default:
				in.Skip()
			}
		}
		if !s.asked(name) || products.Null() {
			continue
		}
		list := venue.Scanner{}
		list.Reset(products)
		for list.Enter('['); list.More(); {
			times[string(list.Value().Bytes())]++
		}
		if err := list.End(); err != nil {
			return err
		}
	}
	for product, n := range times {
		if symbol, ok := s.symbols[product]; ok && n == len(s.channels) && !s.listed[product] {
			s.listed[product] = true
			out.Taken = append(out.Taken, symbol)
		}
	}
	return in.End()
}

func (s *session) asked(name venue.Value) bool { return slices.ContainsFunc(s.channels, name.Is) }

// failed reads an error. One that names a product is about that product; the others of its request were refused with it, and are
// asked for again. All others end the connection.
func (s *session) failed(m *message, out *venue.Output) error {
	said := strings.TrimSpace(m.said.Text() + " " + m.reason.Text())
	product := s.named(said)
	symbol, ok := s.symbols[product]
	if !ok {
		return fmt.Errorf("the venue says: %.200s", said)
	}
	out.Refused = append(out.Refused, venue.Refusal{Symbol: symbol, Reason: said})
	delete(s.symbols, product)
	var again []venue.Instrument
	for native, symbol := range s.symbols {
		if !s.listed[native] {
			again = append(again, venue.Instrument{Native: native, Symbol: symbol})
		}
	}
	return s.request("subscribe", again, out)
}

// named returns the product that a text is about, "" when it names none of ours.
func (s *session) named(said string) string {
	for word := range strings.FieldsSeq(said) {
		word = strings.Trim(word, `.,:;"'`)
		if _, ok := s.symbols[word]; ok {
			return word
		}
	}
	return ""
}
