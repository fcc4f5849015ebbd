package alpaca

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// How long the place of our own old connection may be taken after it broke, in Alpaca's experience 10 to 30 seconds.
const placeTaken = 12 * time.Second

// mostNames is how many symbols one message to the venue names.
const mostNames = 400

// session is the protocol on one connection.
type session struct {
	v       *Venue
	kinds   venue.Kinds
	ready   bool
	first   []venue.Instrument // to be asked for once the venue knows who we are
	carried map[string]*carried
	asked   []inquiry // messages that the venue has not answered, in order

	words  venue.Words
	codes  codes
	packed []byte // a message in MessagePack, as JSON
}

// carried is a symbol that the connection is to carry.
type carried struct {
	symbol market.Symbol
	taken  bool
}

// inquiry is a message about symbols that waits for its answer.
type inquiry struct {
	names []string // asked for; nil when they were given up
}

// Session implements venue.Venue.
func (v *Venue) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	return &session{v: v, kinds: kinds, first: slices.Clone(instruments), carried: make(map[string]*carried, len(instruments))}
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
	for part := range slices.Chunk(names, mostNames) {
		s.ask(part, out)
	}
	return nil
}

// ask asks for symbols that are carried already.
func (s *session) ask(names []string, out *venue.Output) {
	s.asked = append(s.asked, inquiry{names: names})
	out.Send = append(out.Send, s.v.action("subscribe", s.kinds, names))
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
	for part := range slices.Chunk(names, mostNames) {
		s.asked = append(s.asked, inquiry{})
		out.Send = append(out.Send, s.v.action("unsubscribe", s.kinds, part))
	}
	return nil
}

// Message implements venue.Session. Each message is a list; what is not one was garbled on the way.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	if len(msg) > 0 && msg[0] >= 0x80 {
		var err error
		if s.packed, err = unpack(s.packed[:0], msg); err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		msg = s.packed
	}
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

// item takes in one element of a message.
func (s *session) item(it *item, received market.Time, out *venue.Output) error {
	switch string(it.kind.Bytes()) {
	case "t":
		s.trade(it, received, out)
	case "q":
		s.quote(it, received, out)
	case "s":
		s.status(it, received, out)
	case "x", "c":
		s.changed(it, received, out)
	case "b", "u", "d", "l", "i", "o", "n":
		out.Unused("not_asked_for")
	case "success":
		return s.success(it, out)
	case "subscription":
		s.subscription(it, out)
	case "error":
		return s.failed(it, out)
	default:
		out.Unused("unknown_type")
	}
	return nil
}

func (s *session) success(it *item, out *venue.Output) error {
	switch {
	case it.msg.Is("connected") && !s.v.o.Header:
		out.Send = append(out.Send, s.v.auth())
	case it.msg.Is("authenticated") && !s.ready:
		s.ready, out.Ready = true, true
		first := s.first
		s.first = nil
		return s.Subscribe(first, out)
	}
	return nil
}

// subscription reads the list of all that the venue sends now, which answers the oldest inquiry.
func (s *session) subscription(it *item, out *venue.Output) {
	list := it.trades
	if s.kinds&venue.Trades == 0 {
		list = it.quotes
	}
	var scan venue.Scanner
	scan.Reset(list)
	for scan.Enter('['); scan.More(); {
		if c := s.carried[string(scan.Value().Bytes())]; c != nil && !c.taken {
			c.taken = true
			out.Taken = append(out.Taken, c.symbol)
		}
	}
	for _, name := range s.answered() {
		if c := s.carried[name]; c != nil && !c.taken {
			s.refuse(name, "it is not in the venue's list of subscriptions", out)
		}
	}
}

// answered forgets the oldest inquiry and returns what it asked for.
func (s *session) answered() []string {
	if len(s.asked) == 0 {
		return nil
	}
	names := s.asked[0].names
	if s.asked = s.asked[1:]; len(s.asked) == 0 {
		s.asked = nil
	}
	return names
}

func (s *session) refuse(name, reason string, out *venue.Output) {
	out.Refused = append(out.Refused, venue.Refusal{Symbol: s.carried[name].symbol, Reason: reason})
	delete(s.carried, name)
}

// failed reads an error of the venue: https://docs.alpaca.markets/docs/streaming-market-data#errors.
func (s *session) failed(it *item, out *venue.Output) error {
	code, _ := it.code.Uint()
	said := fmt.Errorf("the venue says %d %.100s", code, s.v.mask(it.msg.Text()))
	switch code {
	case 402, 408, 409, 411: // auth failed, v2 not enabled, insufficient subscription, insufficient scope
		return fmt.Errorf("%w: %w", venue.ErrRefused, said)
	case 406: // connection limit exceeded
		return &venue.RetryError{
			Err: fmt.Errorf("%w: another program, or our own connection of a moment ago, has this account's only place", said), After: placeTaken,
		}
	case 403: // already authenticated: by the header of the handshake
		return nil
	case 400, 405, 410: // invalid syntax, symbol limit exceeded, invalid subscribe action for this feed
		if len(s.asked) == 0 {
			return said
		}
		s.shed(s.answered(), said.Error(), out)
		return nil
	case 404: // auth timeout
		return said
	case 407: // slow client
		return errors.Join(said, errors.New("the venue closes it because it was not read fast enough"))
	}
	return said
}

// shed asks again for the halves of what the venue refused as a whole, and gives a symbol up that it refuses alone.
func (s *session) shed(names []string, reason string, out *venue.Output) {
	names = slices.DeleteFunc(names, func(name string) bool { return s.carried[name] == nil })
	switch len(names) {
	case 0:
	case 1:
		s.refuse(names[0], reason, out)
	default:
		half := len(names) / 2
		s.ask(names[:half:half], out)
		s.ask(names[half:], out)
	}
}
