package mapping

import (
	"strings"
	"time"
	"unsafe"

	"github.com/tidwall/gjson"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// A Reader reads the messages of one source. It belongs to one goroutine.
type Reader struct {
	m        *Mapping
	name     []byte      // of a symbol, being made
	received market.Time // the message that is read

	// Name is the source's name of the symbol where the mapping says none, Event the time where it maps none; 0: that of the
	// arrival. They may be changed between two messages.
	Name  string
	Event market.Time

	// Newest is the newest item that was read: its id and its time as they were sent. Of those of one time, and where nothing has
	// a time, it is the one with the greatest number, and where they have none the last.
	Newest struct {
		ID, Time string
		At       market.Time
	}

	// Track makes the reader keep Newest.
	Track bool
}

// Reader returns a new reader.
func (m *Mapping) Reader() *Reader { return &Reader{m: m} }

// Read appends the ticks of a message to out, in the order of the message. It keeps nothing of msg.
func (r *Reader) Read(msg []byte, received market.Time, out *venue.Output) {
	// gjson reads strings. Nothing of what it returns is kept without a copy.
	message := unsafe.String(unsafe.SliceData(msg), len(msg))
	if !shallow(message) || !gjson.Valid(message) {
		out.Unused(ReasonNotJSON)
		return
	}
	r.read(message, received, out)
}

// read is Read of what is known to be JSON.
func (r *Reader) read(message string, received market.Time, out *venue.Output) {
	r.received = received
	for i := range r.m.rules {
		rule := &r.m.rules[i]
		if rule.filter != nil && !rule.filter.holds(message, message) {
			continue
		}
		if !rule.items.set() {
			r.items(rule, gjson.Parse(message), message, received, out)
			continue
		}
		found := rule.items.get(message, message)
		if !found.Exists() {
			out.Unused(ReasonNoItems)
			continue
		}
		r.items(rule, found, message, received, out)
	}
}

// items reads an array of items, an object of them by their keys, or one item.
func (r *Reader) items(rule *rule, found gjson.Result, message string, received market.Time, out *venue.Output) {
	switch {
	case rule.keyed && found.IsObject():
		found.ForEach(func(key, item gjson.Result) bool {
			r.item(rule, key.Str, message, item.Raw, received, out)
			return true
		})
	case rule.keyed:
		out.Unused(ReasonNoItems)
	case found.IsArray():
		found.ForEach(func(_, item gjson.Result) bool {
			r.item(rule, "", message, item.Raw, received, out)
			return true
		})
	default:
		r.item(rule, "", message, found.Raw, received, out)
	}
}

// item reads one item.
func (r *Reader) item(rule *rule, key, message, item string, received market.Time, out *venue.Output) {
	if rule.where != nil && !rule.where.holds(message, item) {
		return
	}
	e := market.Entry{Received: received}
	reason := ""
	if e.Symbol, reason = r.symbol(rule, key, message, item); reason != "" {
		out.Unused(reason)
		return
	}
	sent := "" // the time
	if rule.time.set() {
		var ok bool
		sent = text(rule.time.get(message, item))
		if e.Event, ok = rule.clock.read(sent); !ok {
			out.Unused(ReasonBadTime)
			return
		}
	} else if e.Event = r.Event; e.Event == 0 {
		e.Event, e.Flags = received, market.FlagNoEventTime
	}
	trade, quote := e, e
	isTrade, reason := r.trade(rule, &trade, message, item)
	if reason != "" {
		out.Unused(reason)
		return
	}
	isQuote, reason := r.quote(rule, &quote, message, item)
	if reason != "" {
		out.Unused(reason)
		return
	}
	if isQuote {
		out.Entries = append(out.Entries, quote)
	}
	if isTrade {
		out.Entries = append(out.Entries, trade)
	}
	switch {
	case !isTrade && !isQuote:
		out.Unused(ReasonNoValue)
	case r.Track:
		r.track(rule, e.Event, sent, message, item)
	}
}

// track makes an item the newest if it is. One of the far future is a mistake, and not waited for.
func (r *Reader) track(rule *rule, at market.Time, sent, message, item string) {
	n := &r.Newest
	if at < n.At && rule.time.set() || at.Sub(r.received) > 24*time.Hour {
		return
	}
	id := ""
	if rule.id.set() {
		id = text(rule.id.get(message, item))
		if len(id) > maxID {
			return
		}
	}
	if at == n.At || !rule.time.set() {
		was, ok := number(n.ID)
		if is, also := number(id); ok && also && is < was {
			return
		}
	}
	n.At, n.Time, n.ID = at, strings.Clone(sent), strings.Clone(id)
}

// symbol finds the symbol of an item.
func (r *Reader) symbol(rule *rule, key, message, item string) (market.Symbol, string) {
	switch {
	case rule.keyed:
		return r.m.names.symbol(key)
	case rule.symbol.set():
		v := rule.symbol.get(message, item)
		name := text(v)
		if name == "" || v.IsObject() || v.IsArray() {
			return "", ReasonSymbol
		}
		return r.m.names.symbol(name)
	case !rule.as.set() && r.Name == "":
		return "", ReasonSymbol
	case !rule.as.set():
		return r.m.names.symbol(r.Name)
	}
	if name, ok := rule.as.constant(); ok {
		return r.m.names.symbol(name)
	}
	var ok bool
	if r.name, ok = rule.as.append(r.name[:0], message, item); !ok || len(r.name) == 0 {
		return "", ReasonSymbol
	}
	return r.m.names.symbol(unsafe.String(unsafe.SliceData(r.name), len(r.name)))
}

// trade reads an item as a trade; ok is false when it has no price.
func (r *Reader) trade(rule *rule, e *market.Entry, message, item string) (ok bool, reason string) {
	if !rule.price.set() {
		return false, ""
	}
	var there bool
	if e.Price, there, ok = r.number(rule.price, message, item, rule.scale); !ok {
		return false, ReasonBadValue
	}
	if !there {
		return false, ""
	}
	e.Kind = market.KindTrade
	if e.Size, ok = r.size(rule, rule.size, message, item); !ok {
		return false, ReasonBadSize
	}
	if rule.side.set() {
		e.Side = rule.sideOf(text(rule.side.get(message, item)))
	}
	if rule.id.set() {
		id := rule.id.get(message, item)
		name := text(id)
		if len(name) > maxID || id.Type == gjson.JSON {
			return false, ReasonBadID
		}
		if e.ID, ok = number(name); !ok {
			e.Ref = strings.Clone(name)
		}
	}
	return true, ""
}

// quote reads an item as a quote; ok is false when it has neither a bid nor an ask. Where one side is missing the quote has a
// zero there.
func (r *Reader) quote(rule *rule, e *market.Entry, message, item string) (ok bool, reason string) {
	if !rule.bid.set() {
		return false, ""
	}
	var bid, ask bool
	if e.Price, bid, ok = r.number(rule.bid, message, item, rule.scale); !ok {
		return false, ReasonBadValue
	}
	if e.Ask, ask, ok = r.number(rule.ask, message, item, rule.scale); !ok {
		return false, ReasonBadValue
	}
	if !bid && !ask {
		return false, ""
	}
	e.Kind = market.KindQuote
	if e.Size, ok = r.size(rule, rule.bidSize, message, item); !ok {
		return false, ReasonBadSize
	}
	if e.AskSize, ok = r.size(rule, rule.askSize, message, item); !ok {
		return false, ReasonBadSize
	}
	return true, ""
}

// size reads a size, 0 where there is none.
func (r *Reader) size(rule *rule, p path, message, item string) (d market.Decimal, ok bool) {
	if !p.set() {
		return d, true
	}
	d, _, ok = r.number(p, message, item, rule.sizeScale)
	return d, ok && d.Sign() >= 0
}

// number reads an exact decimal and moves its point. What is not there is 0, and there is false; ok is false for what is no
// number. True and false are 1 and 0: a switch is a sensor as well.
func (r *Reader) number(p path, message, item string, scale int) (d market.Decimal, there, ok bool) {
	found := p.get(message, item)
	var err error
	switch found.Type {
	case gjson.Number:
		d, err = market.ParseDecimal(found.Raw)
	case gjson.String:
		d, err = market.ParseDecimal(found.Str)
	case gjson.True:
		d, err = market.NewDecimal(1, 0)
	case gjson.False:
	case gjson.Null:
		return d, false, true
	default:
		return d, false, false
	}
	if err == nil && scale != 0 {
		d, err = market.NewDecimal(d.Coef(), d.Exp()+scale)
	}
	return d, true, err == nil
}

// sideOf returns the taker's side.
func (u *rule) sideOf(s string) market.Side {
	side, ok := u.sides[s]
	if !ok {
		return market.SideNone
	}
	if u.maker && side != market.SideNone {
		return market.SideBuy + market.SideSell - side
	}
	return side
}

// number reads an id that is a whole number of at most 64 bits, written as such. Zero is none.
func number(s string) (n uint64, ok bool) {
	if s == "" || s[0] == '0' {
		return 0, s == ""
	}
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' || n > (1<<64-1-9)/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
