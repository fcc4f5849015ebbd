package gateway

import (
	"cmp"
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// listing is what the hub knows of a symbol.
type listing struct {
	symbol   market.Symbol
	feed     string
	decimals int // most digits after the point that a price had

	trade, quote     market.Entry  // the newest; Kind is 0 when there is none
	tradeAt, quoteAt tape.Position // records that they came in
	state            market.State
	stateAt          tape.Position // record that said so; 0 when none did
}

// directory numbers the symbols from 1 and finds them by what users call them. It only grows. The hub's lock guards it.
type directory struct {
	index map[market.Symbol]uint32
	names map[string][]uint32 // by the part after the venue
	list  []*listing          // list[0] is nil
	feeds map[string]feedState
}

// feedState is what the tape last said of a whole feed.
type feedState struct {
	state market.State
	at    tape.Position
}

func newDirectory() directory {
	return directory{
		index: make(map[market.Symbol]uint32),
		names: make(map[string][]uint32),
		list:  []*listing{nil},
		feeds: make(map[string]feedState),
	}
}

// enter returns the number of a symbol, giving it one if need be.
func (d *directory) enter(s market.Symbol, feed string) uint32 {
	if id, ok := d.index[s]; ok {
		return id
	}
	id := uint32(len(d.list))
	d.list = append(d.list, &listing{symbol: s, feed: feed})
	d.index[s] = id
	d.names[s.Name()] = append(d.names[s.Name()], id)
	return id
}

// find returns the symbol that a user means by VENUE:NAME, NAME or BASE/QUOTE in any case: its number, or 0 and the
// candidates when there are several, or 0 and none when it is not known.
func (d *directory) find(text string) (id uint32, candidates []market.Symbol) {
	text = strings.ToUpper(text)
	for _, s := range []string{text, strings.Replace(text, "/", "-", 1)} {
		if strings.Contains(s, ":") {
			if id := d.index[market.Symbol(s)]; id != 0 {
				return id, nil
			}
			continue
		}
		switch ids := d.names[s]; len(ids) {
		case 0:
		case 1:
			return ids[0], nil
		default:
			for _, id := range ids {
				candidates = append(candidates, d.list[id].symbol)
			}
			slices.Sort(candidates)
			return 0, candidates
		}
	}
	return 0, nil
}

// near returns up to five symbols of a list that look like what a user wrote, the nearest first.
func near(list []*listing, text string) []market.Symbol {
	text = strings.ToUpper(text)
	_, bare, full := strings.Cut(text, ":")
	if !full {
		bare = text
	}
	if len(text) > market.MaxSymbol {
		return nil
	}
	type scored struct {
		symbol market.Symbol
		cost   int
	}
	var found []scored
	for _, l := range list {
		name := l.symbol.Name()
		cost := market.EditDistance(bare, name)
		switch {
		case name == bare:
			cost = 0
		case strings.HasPrefix(name, bare):
			cost = 1
		case cost > max(1, len(bare)/2):
			continue
		}
		found = append(found, scored{l.symbol, cost})
	}
	slices.SortFunc(found, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.symbol, b.symbol))
	})
	var symbols []market.Symbol
	for _, s := range found[:min(5, len(found))] {
		symbols = append(symbols, s.symbol)
	}
	return symbols
}

// note takes in a tick of the record at pos.
func (d *directory) note(id uint32, feed string, pos tape.Position, e *market.Entry) {
	l := d.list[id]
	l.feed = feed
	if e.Kind == market.KindTrade {
		l.trade, l.tradeAt = *e, pos
		l.decimals = max(l.decimals, -e.Price.Exp())
		return
	}
	l.quote, l.quoteAt = *e, pos
	l.decimals = max(l.decimals, -e.Price.Exp(), -e.Ask.Exp())
}

// notePast takes in the ticks of a record that were history when they reached the tape. Such a tick is the newest of its symbol only as long as no
// feed brought one, and no stream tells it: the places of the newest ticks stay.
func (d *directory) notePast(rec *tape.Record) {
	for i := range rec.Entries {
		e := &rec.Entries[i]
		id := d.index[e.Symbol]
		if id == 0 || e.Flags&market.FlagHistory == 0 || !e.IsTick() {
			continue
		}
		l := d.list[id]
		newest := &l.trade
		if e.Kind == market.KindQuote {
			newest = &l.quote
		}
		if newest.Kind != 0 && (newest.Flags&market.FlagHistory == 0 || e.Event < newest.Event || e.Event == newest.Event && e.Seq < newest.Seq) {
			continue
		}
		*newest = *e
		l.decimals = max(l.decimals, -e.Price.Exp(), -e.Ask.Exp())
	}
}

// noteState takes in a status of a symbol, or of a whole feed.
func (d *directory) noteState(id uint32, feed string, pos tape.Position, state market.State) {
	if id == 0 {
		d.feeds[feed] = feedState{state, pos}
		return
	}
	d.list[id].state, d.list[id].stateAt = state, pos
}

// state is the state of a symbol: what was said last, of it or of its feed.
func (d *directory) state(l *listing) market.State {
	if f := d.feeds[l.feed]; f.at > l.stateAt {
		return f.state
	}
	return l.state
}
