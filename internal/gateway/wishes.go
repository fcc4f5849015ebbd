package gateway

import (
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/websocket"
)

// Wishes are what clients want of feeds that bring symbols on demand. Its methods may be called at once and do not block.
type Wishes interface {
	// Name returns the symbols that feeds on demand have under a name as users say it, with or without the venue.
	Name(text string) []market.Symbol

	// Want counts a client in for each of the symbols, or for none of them: an error says that there is no room for all. What no feed
	// brings on demand is ignored.
	Want(symbols []market.Symbol) error

	// Release takes back a Want, of the same symbols.
	Release(symbols []market.Symbol)
}

// codeTryLater closes a stream that there is no room for now (IANA's registry of WebSocket close codes).
const codeTryLater websocket.Code = 1013

// onDemand returns the one symbol that feeds on demand have under a name; "" when they have none or several. Of several, those are
// returned as well.
func (g *Gateway) onDemand(text string) (one market.Symbol, several []market.Symbol) {
	if g.opt.Wishes == nil || len(text) > 2*market.MaxSymbol {
		return "", nil
	}
	switch list := g.opt.Wishes.Name(text); len(list) {
	case 0:
		return "", nil
	case 1:
		return list[0], nil
	default:
		return "", list
	}
}

// atVendor is symbol for the paths that programs written for the vendor ask: a bare name is that of a feed on demand, if one has it,
// even where another feed has the name too. They mean the vendor's, and have no other word for it.
func (g *Gateway) atVendor(parameter, text string) (named, error) {
	if !strings.Contains(text, ":") {
		if one, _ := g.onDemand(text); one != "" {
			n, err := g.symbol(parameter, string(one))
			n.text = text
			return n, err
		}
	}
	return g.symbol(parameter, text)
}

// lookUp finds what a client named. What nobody has seen yet is looked for in the feeds on demand, and first of all there when a program
// written for the vendor names it.
func (s *session) lookUp(text string) (wanted, error) {
	found, err := s.g.hub.lookUp(text)
	if s.g.opt.Wishes == nil {
		return found, err
	}
	bare := !strings.Contains(text, ":")
	vendors := bare && (s.manner.dialect == stocks || s.manner.dialect == crypto)
	if !vendors && (err != nil || found.id != 0) {
		return found, err
	}
	one, several := s.g.onDemand(text)
	switch {
	case one != "":
		return s.g.hub.lookUp(string(one))
	case len(several) > 0 && found.id == 0 && err == nil:
		return wanted{}, &ambiguousError{strings.ToUpper(text), several}
	}
	return found, err
}

// wishable returns the symbols of a set that ticks are wanted of.
func (s *subscriptions) wishable() []market.Symbol {
	var list []market.Symbol
	for _, c := range []channel{chTrades, chQuotes, chBars, chUpdatedBars, chDailyBars} {
		for name := range s.sets[c].names {
			if strings.Contains(name, ":") {
				list = append(list, market.Symbol(name))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// wish makes known what the client is to be told of with the next set, all that it asked for before included; or it refuses the set,
// when that is more than a feed may carry. The function that it returns takes it back. The past needs no feed.
func (s *session) wish(next *subscriptions) (undo func(), err error) {
	if s.g.opt.Wishes == nil || s.play != nil || s.opening != nil {
		return func() {}, nil
	}
	fresh := slices.DeleteFunc(next.wishable(), func(symbol market.Symbol) bool {
		_, has := slices.BinarySearch(s.wished, symbol)
		return has
	})
	if len(fresh) == 0 {
		return func() {}, nil
	}
	if err := s.g.opt.Wishes.Want(fresh); err != nil {
		msg := "symbol limit exceeded" // the SDK for Go compares it to the letter
		if s.manner.dialect == native {
			msg = err.Error()
		}
		return nil, &refusal{code: 405, msg: msg}
	}
	before := s.wished
	s.wished = slices.Concat(before, fresh)
	slices.Sort(s.wished)
	return func() {
		s.g.opt.Wishes.Release(fresh)
		s.wished = before
	}, nil
}

// unwish lets go what is not wanted any more: all when the session plays the past, or has ended.
func (s *session) unwish() {
	if len(s.wished) == 0 {
		return
	}
	var keep []market.Symbol
	if s.play == nil && s.opening == nil {
		keep = s.subs.wishable()
	}
	var gone, left []market.Symbol
	for _, symbol := range s.wished {
		if _, has := slices.BinarySearch(keep, symbol); has {
			left = append(left, symbol)
		} else {
			gone = append(gone, symbol)
		}
	}
	s.g.opt.Wishes.Release(gone)
	s.wished = left
}

// wishAgain makes known what a session wants that comes back from the past. Should there be no room any more, its client is told, and
// hears only of what other clients want as well.
func (s *session) wishAgain() {
	_, err := s.wish(&s.subs)
	if err != nil && s.manner.dialect != prices {
		s.say(s.g.refuse(err).append(nil))
	}
}

// forget lets go all that the session wants.
func (s *session) forget() {
	if len(s.wished) > 0 {
		s.g.opt.Wishes.Release(s.wished)
		s.wished = nil
	}
}

// wishPrices makes known what /ws/prices is asked for. Its clients know no messages but prices: one for whom there is no room is sent
// away, to come again.
func (s *session) wishPrices() {
	if _, err := s.wish(&s.subs); err != nil {
		s.leave(&leave{codeTryLater, err.Error(), "refused"})
	}
}
