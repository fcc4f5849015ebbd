package finnhub

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// session is the protocol on one connection.
type session struct {
	token   string
	first   []venue.Instrument
	carried map[string]*carried
	order   []string // of what was asked for, oldest first, without what was refused
	codes   map[string]string
}

// carried is a symbol that was asked for.
type carried struct {
	symbol  market.Symbol
	refused bool // as far as we can tell
}

// Session implements venue.Venue.
func (v *Venue) Session(_ venue.Kinds, instruments []venue.Instrument) venue.Session {
	return &session{
		token: v.o.Token, first: slices.Clone(instruments), carried: make(map[string]*carried, len(instruments)), codes: make(map[string]string),
	}
}

// Opened implements venue.Session.
func (s *session) Opened(out *venue.Output) error {
	out.Ready = true
	first := s.first
	s.first = nil
	return s.Subscribe(first, out)
}

// Second implements venue.Session.
func (s *session) Second(market.Time, *venue.Output) error { return nil }

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, i := range instruments {
		if c := s.carried[i.Native]; c != nil && !c.refused {
			continue
		}
		s.carried[i.Native] = &carried{symbol: i.Symbol}
		s.order = append(s.order, i.Native)
		out.Send = append(out.Send, action("subscribe", i.Native))
	}
	return nil
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, i := range instruments {
		if s.carried[i.Native] == nil {
			continue
		}
		delete(s.carried, i.Native)
		s.order = slices.DeleteFunc(s.order, func(name string) bool { return name == i.Native })
		out.Send = append(out.Send, action("unsubscribe", i.Native))
	}
	return nil
}

func action(action, name string) []byte {
	text, err := json.Marshal(name)
	if err != nil {
		panic("BUG: a text that is not JSON: " + err.Error())
	}
	return append(append([]byte(`{"type":"`+action+`","symbol":`), text...), '}')
}

// Message implements venue.Session. Trades are read as they come, and forgotten when the message turns out to be another.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	var (
		scan       venue.Scanner
		kind, said venue.Value
	)
	before := len(out.Entries)
	scan.Reset(msg)
	scan.Enter('{')
	for {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch {
		case string(key) == "type":
			kind = scan.Value()
		case string(key) == "msg":
			said = scan.Value()
		case string(key) == "data" && scan.Next() == '[':
			s.trades(&scan, received, out)
		default:
			scan.Skip()
		}
	}
	if err := scan.End(); err != nil {
		out.Entries = out.Entries[:before]
		return fmt.Errorf("read a message: %w", err)
	}
	if kind.Is("trade") {
		return nil
	}
	out.Entries = out.Entries[:before]
	switch {
	case kind.Is("ping"):
	case kind.Is("error"):
		return s.failed(said, out)
	default:
		out.Unused("unknown_type")
	}
	return nil
}

// trades reads the list of trades that comes next.
func (s *session) trades(scan *venue.Scanner, received market.Time, out *venue.Output) {
	for scan.Enter('['); scan.More(); {
		var symbol, price, size, when, conditions venue.Value
		scan.Enter('{')
		for {
			key, ok := scan.Key()
			if !ok {
				break
			}
			v := scan.Value()
			switch string(key) {
			case "s":
				symbol = v
			case "p":
				price = v
			case "v":
				size = v
			case "t":
				when = v
			case "c":
				conditions = v
			}
		}
		if scan.Err() != nil {
			return
		}
		c := s.carried[string(symbol.Bytes())]
		if c == nil {
			out.Unused("not_asked_for")
			continue
		}
		s.trade(market.Entry{Kind: market.KindTrade, Symbol: c.symbol, Received: received}, price, size, when, conditions, out)
	}
}

// trade appends a trade. A size of nothing marks a price that nobody traded at, of a currency or an index.
func (s *session) trade(e market.Entry, price, size, when, conditions venue.Value, out *venue.Output) {
	var err, errSize error
	e.Price, err = price.Decimal()
	e.Size, errSize = size.Decimal()
	if err != nil || errSize != nil || e.Price.Sign() <= 0 || e.Size.Sign() < 0 {
		out.Unused("bad_trade")
		out.Lost = "a trade could not be read"
		return
	}
	if e.Size.IsZero() {
		out.Unused("indicative_price")
		return
	}
	e.Conditions = s.conditions(conditions)
	t, ok := when.Unix(venue.Milliseconds)
	if !ok || t == 0 {
		t = e.Received
		e.Flags |= market.FlagNoEventTime
	}
	e.Event = t
	out.Entries = append(out.Entries, e)
}

// mostCodes is the number of lists of condition codes that are kept.
const mostCodes = 4096

// conditions returns a list such as ["1","12"] as "1,12". It allocates only the first time.
func (s *session) conditions(list venue.Value) string {
	if list.Null() {
		return ""
	}
	if text, ok := s.codes[string(list)]; ok {
		return text
	}
	var scan venue.Scanner
	scan.Reset(list)
	var parts []string
	for scan.Enter('['); scan.More(); {
		parts = append(parts, scan.Value().Text())
	}
	text := strings.Join(parts, ",")
	if len(s.codes) < mostCodes {
		s.codes[string(list)] = text
	}
	return text
}

// failed reads an error of the venue, which does not say what it answers. Symbols are refused one by one, those that were asked for
// last: the venue takes what comes until its limit is reached. Should one come all the same, it is taken.
func (s *session) failed(said venue.Value, out *venue.Output) error {
	text := venue.Mask(said.Text(), s.token)
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "api key") || strings.Contains(lower, "token"):
		return fmt.Errorf("%w: the venue says %.100q", venue.ErrRefused, text)
	case strings.Contains(lower, "too many symbols"):
		if n := len(s.order); n > 0 {
			c := s.carried[s.order[n-1]]
			s.order = s.order[:n-1]
			c.refused = true
			out.Refused = append(out.Refused, venue.Refusal{Symbol: c.symbol, Reason: text})
		}
	default:
		out.Unused("venue_error")
	}
	return nil
}
