package broker

import (
	"bytes"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Reasons under which messages, and items of them, that can't be used are counted.
const (
	ReasonUnreadable = "unreadable" // neither JSON, nor a number, nor columns that make a tick
	ReasonNoValue    = "no_value"   // neither a price nor both sides of a quote
	ReasonBadValue   = "bad_value"  // a price, a size, a bid or an ask that is no exact decimal
	ReasonBadTime    = "bad_time"   // a time that can't be read
	ReasonSymbol     = "bad_symbol" // no symbol, or none that can be
	ReasonOther      = "other_symbol"
	ReasonTooMany    = "too_many_symbols"
	ReasonKind       = "other_kind" // a message of a stream that is no trade and no quote
)

// Bounds of what a message can make us keep.
const (
	maxSymbols = 10_000 // of one feed
	maxRef     = 128    // bytes of a trade's name
)

// shapes reads messages whose shape nobody described: the JSON objects that most programs send, the tutorial's and our own among
// them; lines of columns; and bare numbers.
type shapes struct {
	venue   string
	only    map[string]bool // names of the symbols that are taken; empty takes all
	columns []string        // of a line; empty finds them by their content
	levels  Levels
	symbols map[string]market.Symbol // by the name as it was sent
	scan    venue.Scanner
}

// field is a part of a tick.
type field uint8

const (
	fieldNone field = iota
	fieldSymbol
	fieldTime
	fieldPrice
	fieldSize
	fieldSide
	fieldID
	fieldBid
	fieldBidSize
	fieldAsk
	fieldAskSize
	fieldExchange
	fieldKind
	fields
)

// fieldOf returns what a name means, and how good a name it is: of two that mean the same the one with the lower rank counts.
func fieldOf(name []byte) (f field, rank uint8) {
	switch string(name) { // does not allocate
	case "symbol":
		return fieldSymbol, 1
	case "S", "sym", "ticker", "instrument", "product_id", "pair":
		return fieldSymbol, 2
	case "timestamp":
		return fieldTime, 1
	case "time", "ts":
		return fieldTime, 2
	case "t", "event_time", "datetime":
		return fieldTime, 3
	case "price":
		return fieldPrice, 1
	case "px", "p":
		return fieldPrice, 2
	case "last":
		return fieldPrice, 3
	case "value":
		return fieldPrice, 4
	case "size", "qty", "quantity":
		return fieldSize, 1
	case "s", "amount":
		return fieldSize, 2
	case "side", "tks", "taker_side":
		return fieldSide, 1
	case "trade_id", "tradeId":
		return fieldID, 1
	case "id", "i":
		return fieldID, 2
	case "bid", "bp", "bid_price":
		return fieldBid, 1
	case "bid_size", "bs":
		return fieldBidSize, 1
	case "ask", "ap", "ask_price":
		return fieldAsk, 1
	case "ask_size", "as":
		return fieldAskSize, 1
	case "exchange", "x":
		return fieldExchange, 1
	case "T":
		return fieldKind, 1
	}
	return fieldNone, 0
}

// columnNames are what columns= may name.
func columnNames() map[string]field {
	return map[string]field{
		"symbol": fieldSymbol, "time": fieldTime, "price": fieldPrice, "size": fieldSize, "side": fieldSide, "id": fieldID, "bid": fieldBid,
		"bid_size": fieldBidSize, "ask": fieldAsk, "ask_size": fieldAskSize, "exchange": fieldExchange, "_": fieldNone,
	}
}

// item holds the parts of a tick as they were sent.
type item struct {
	values [fields]venue.Value
	ranks  [fields]uint8
}

func (it *item) set(f field, rank uint8, v venue.Value) {
	if f != fieldNone && !v.Null() && (it.ranks[f] == 0 || rank < it.ranks[f]) {
		it.values[f], it.ranks[f] = v, rank
	}
}

func (sh *shapes) read(m *Message, out *venue.Output) {
	text := bytes.TrimSpace(m.Value)
	if len(text) == 0 {
		out.Unused(ReasonUnreadable)
		return
	}
	if text[0] != '{' && text[0] != '[' {
		for line := range bytes.Lines(text) {
			sh.line(bytes.TrimSpace(line), m, out)
		}
		return
	}
	if sh.json(text, m, out) {
		return
	}
	if bytes.IndexByte(text, '\n') < 0 {
		out.Unused(ReasonUnreadable)
		return
	}
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !sh.json(line, m, out) {
			out.Unused(ReasonUnreadable)
		}
	}
}

// json reads an object or an array of objects. What is not JSON to its end is not taken at all.
func (sh *shapes) json(text []byte, m *Message, out *venue.Output) bool {
	sh.scan.Reset(text)
	whole := sh.scan // looked at once before anything is taken
	whole.Skip()
	if whole.End() != nil {
		return false
	}
	switch sh.scan.Next() {
	case '{':
		sh.object(m, out)
	case '[':
		for sh.scan.Enter('['); sh.scan.More(); {
			if sh.scan.Next() != '{' {
				sh.scan.Skip()
				out.Unused(ReasonUnreadable)
				continue
			}
			sh.object(m, out)
		}
	default:
		return false
	}
	return true
}

func (sh *shapes) object(m *Message, out *venue.Output) {
	var it item
	for sh.scan.Enter('{'); ; {
		key, ok := sh.scan.Key()
		if !ok {
			break
		}
		f, rank := fieldOf(key)
		it.set(f, rank, sh.scan.Value())
	}
	switch kind := it.values[fieldKind]; {
	case !kind.IsString():
	case kind.Is("t"), kind.Is("q"), kind.Is("trade"), kind.Is("quote"):
	default:
		out.Unused(ReasonKind)
		return
	}
	sh.tick(&it, m, out)
}

// tick makes a trade or a quote of an item.
func (sh *shapes) tick(it *item, m *Message, out *venue.Output) {
	e := market.Entry{Received: m.Received, Event: m.Time}
	if v := it.values[fieldTime]; !v.Null() {
		var ok bool
		if e.Event, ok = timeOf(v); !ok {
			out.Unused(ReasonBadTime)
			return
		}
	}
	var err error
	number := func(f field) (d market.Decimal) {
		if v := it.values[f]; !v.Null() && err == nil {
			d, err = v.Decimal()
		}
		return d
	}
	switch {
	case !it.values[fieldPrice].Null():
		e.Kind, e.Price, e.Size = market.KindTrade, number(fieldPrice), number(fieldSize)
		e.Side = sideOf(it.values[fieldSide])
		if v := it.values[fieldID]; !v.Null() && len(v) <= maxRef {
			var ok bool
			if e.ID, ok = v.Uint(); !ok {
				e.Ref = strings.ToValidUTF8(v.Text(), "")
			}
		}
	case !it.values[fieldBid].Null() && !it.values[fieldAsk].Null():
		e.Kind = market.KindQuote
		e.Price, e.Size = number(fieldBid), number(fieldBidSize)
		e.Ask, e.AskSize = number(fieldAsk), number(fieldAskSize)
	default:
		out.Unused(ReasonNoValue)
		return
	}
	if err != nil || e.Size.Sign() < 0 || e.AskSize.Sign() < 0 {
		out.Unused(ReasonBadValue)
		return
	}
	if v := it.values[fieldExchange]; v.IsString() && len(v) <= 16 {
		e.Exchange = strings.ToValidUTF8(v.Text(), "")
	}
	var reason string
	if e.Symbol, reason = sh.symbol(it.values[fieldSymbol], m); reason != "" {
		out.Unused(reason)
		return
	}
	out.Entries = append(out.Entries, e)
}

// symbol returns the symbol that an item names, else that which the message's topic or key does.
func (sh *shapes) symbol(v venue.Value, m *Message) (s market.Symbol, reason string) {
	if b := v.Bytes(); len(b) > 0 {
		if s, ok := sh.symbols[string(b)]; ok {
			return s, ""
		}
		return sh.named(string(b))
	}
	name := sh.levels.Name(m)
	if s, ok := sh.symbols[name]; ok {
		return s, ""
	}
	return sh.named(name)
}

func (sh *shapes) named(name string) (s market.Symbol, reason string) {
	s, err := SymbolOf(sh.venue, name)
	if err != nil {
		return "", ReasonSymbol
	}
	if len(sh.only) > 0 && !sh.only[s.Name()] {
		return "", ReasonOther
	}
	if len(sh.symbols) >= maxSymbols {
		return "", ReasonTooMany
	}
	sh.symbols[name] = s
	return s, ""
}

func sideOf(v venue.Value) market.Side {
	switch strings.ToLower(string(v.Bytes())) {
	case "buy", "b":
		return market.SideBuy
	case "sell", "s":
		return market.SideSell
	}
	return market.SideNone
}

// timeOf reads a time: a number, or a text that holds one, of seconds, milliseconds, microseconds or nanoseconds since 1970, told
// apart by its size; or a date and a time of day, in UTC when it does not say otherwise, as Python's isoformat writes it.
func timeOf(v venue.Value) (market.Time, bool) {
	text := string(v.Bytes())
	if d, err := market.ParseDecimal(text); err == nil {
		return epoch(d)
	}
	if len(text) > 40 {
		return 0, false
	}
	if len(text) > 10 && text[10] == ' ' {
		text = text[:10] + "T" + text[11:]
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1678 && t.Year() <= 2261 {
			at := market.FromStd(t)
			return at, at != 0
		}
	}
	return 0, false
}

// epoch reads a count since 1970 exactly; what is finer than a nanosecond is cut off.
func epoch(d market.Decimal) (market.Time, bool) {
	coef, exp := d.Coef(), d.Exp()
	if coef <= 0 {
		return 0, false
	}
	unit := 0
	for _, u := range [...]struct{ limit, exp int }{{11, 9}, {14, 6}, {17, 3}} { // below 10^11 are seconds, and so on
		limit, err := market.NewDecimal(1, u.limit)
		if err == nil && d.Less(limit) {
			unit = u.exp
			break
		}
	}
	for exp += unit; exp < 0; exp++ {
		coef /= 10
	}
	for ; exp > 0; exp-- {
		if coef > (1<<63-1)/10 {
			return 0, false
		}
		coef *= 10
	}
	return market.Time(coef), coef != 0
}
