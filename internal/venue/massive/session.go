package massive

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// How long the place of our own old connection may be taken after it broke.
const placeTaken = 10 * time.Second

// mostNames is how many symbols one message to the venue names.
const mostNames = 200

// session is the protocol on one connection.
type session struct {
	v       *Venue
	kinds   venue.Kinds
	ready   bool
	first   []venue.Instrument // to be asked for once the venue knows who we are
	carried map[string]*carried

	exchanges map[exchange]string
	words     venue.Words
	codes     codes
}

// carried is a symbol that the connection is to carry.
type carried struct {
	symbol market.Symbol
	taken  bool
}

// Session implements venue.Venue.
func (v *Venue) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	return &session{
		v: v, kinds: kinds, first: slices.Clone(instruments), carried: make(map[string]*carried, len(instruments)),
		exchanges: make(map[exchange]string),
	}
}

// Opened implements venue.Session. The venue speaks first.
func (s *session) Opened(*venue.Output) error { return nil }

// Second implements venue.Session.
func (s *session) Second(market.Time, *venue.Output) error { return nil }

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	if !s.ready {
		s.first = append(s.first, instruments...)
		return nil
	}
	names := make([]string, 0, len(instruments))
	for _, i := range instruments {
		if s.carried[i.Native] == nil {
			s.carried[i.Native] = &carried{symbol: i.Symbol}
			names = append(names, i.Native)
		}
	}
	s.ask("subscribe", names, out)
	return nil
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	if !s.ready {
		s.first = slices.DeleteFunc(s.first, func(i venue.Instrument) bool {
			return slices.ContainsFunc(instruments, func(j venue.Instrument) bool { return i.Native == j.Native })
		})
		return nil
	}
	names := make([]string, 0, len(instruments))
	for _, i := range instruments {
		if s.carried[i.Native] != nil {
			delete(s.carried, i.Native)
			names = append(names, i.Native)
		}
	}
	s.ask("unsubscribe", names, out)
	return nil
}

func (s *session) ask(action string, names []string, out *venue.Output) {
	topics := s.v.topics(s.kinds)
	for part := range slices.Chunk(names, mostNames) {
		var params []string
		for _, name := range part {
			for _, topic := range topics {
				params = append(params, topic+"."+name)
			}
		}
		out.Send = append(out.Send, message(action, strings.Join(params, ",")))
	}
}

// topics returns what the kinds are called in the stream. Forex has quotes only.
func (v *Venue) topics(kinds venue.Kinds) []string {
	trades, quotes := "T", "Q"
	switch v.o.Feed {
	case "forex":
		return []string{"C"}
	case "crypto":
		trades, quotes = "XT", "XQ"
	}
	var topics []string
	if kinds&venue.Trades != 0 {
		topics = append(topics, trades)
	}
	if kinds&venue.Quotes != 0 {
		topics = append(topics, quotes)
	}
	return topics
}

func message(action, params string) []byte {
	text, err := json.Marshal(params)
	if err != nil {
		panic("BUG: a text that is not JSON: " + err.Error())
	}
	return append(append([]byte(`{"action":"`+action+`","params":`), text...), '}')
}

// Message implements venue.Session. Each message is a list.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	before := len(out.Entries)
	var scan venue.Scanner
	scan.Reset(msg)
	var it item
	for scan.Enter('['); scan.More(); {
		it.read(&scan)
		if scan.Err() != nil {
			break
		}
		if err := s.item(&it, received, out); err != nil {
			return err
		}
	}
	if err := scan.End(); err != nil {
		out.Entries = out.Entries[:before]
		return fmt.Errorf("read a message: %w", err)
	}
	return nil
}

// item takes in one element of a message. Bars, indices, imbalances, books and the bands of LULD are not asked for.
func (s *session) item(it *item, received market.Time, out *venue.Output) error {
	switch string(it.event.Bytes()) {
	case "T":
		s.trade(it, it.symbol, received, out)
	case "XT":
		s.trade(it, it.pair, received, out)
	case "Q":
		s.quote(it, it.symbol, received, out)
	case "XQ":
		s.quote(it, it.pair, received, out)
	case "C":
		it.pair, it.bid, it.ask, it.bidFrom = it.price, it.b, it.a, it.exchange
		s.quote(it, it.pair, received, out)
	case "status":
		return s.status(it, out)
	case "A", "AM", "XA", "XAS", "CA", "CAS", "LULD", "NOI", "FMV", "LV", "V", "XL2":
		out.Unused("not_asked_for")
	default:
		out.Unused("unknown_type")
	}
	return nil
}

func (s *session) status(it *item, out *venue.Output) error {
	said := fmt.Errorf("the venue says %.40q: %.200q", it.status.Bytes(), venue.Mask(it.message.Text(), s.v.o.Key))
	switch string(it.status.Bytes()) {
	case "connected":
		out.Send = append(out.Send, message("auth", s.v.o.Key))
	case "auth_success":
		if s.ready {
			return nil
		}
		s.ready, out.Ready = true, true
		first := s.first
		s.first = nil
		return s.Subscribe(first, out)
	case "auth_failed", "not_authorized":
		return fmt.Errorf("%w: %w", venue.ErrRefused, said)
	case "max_connections":
		return &venue.RetryError{
			Err: fmt.Errorf("%w another program, or our own connection of a moment ago, has this key's only place", said), After: placeTaken,
		}
	case "auth_timeout", "force_disconnect":
		return said
	case "success":
		s.acknowledged(it, out)
	case "error":
		if text := strings.ToLower(it.message.Text()); strings.Contains(text, "authorized") || strings.Contains(text, "access") {
			return fmt.Errorf("%w: %w", venue.ErrRefused, errors.Join(said, errors.New("the plan of this key does not cover it")))
		}
		return said
	default:
		out.Unused("unknown_status")
	}
	return nil
}

// acknowledged reads "subscribed to: T.AAPL". The venue says it of symbols that it does not know as well.
func (s *session) acknowledged(it *item, out *venue.Output) {
	list, ok := strings.CutPrefix(it.message.Text(), "subscribed to: ")
	if !ok {
		return // no longer subscribed
	}
	for topic := range strings.SplitSeq(list, ",") {
		_, name, _ := strings.Cut(topic, ".")
		if c := s.carried[name]; c != nil && !c.taken {
			c.taken = true
			out.Taken = append(out.Taken, c.symbol)
		}
	}
}
