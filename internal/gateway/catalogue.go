package gateway

import (
	"cmp"
	"slices"
	"strings"

	"tapedeck/internal/market"
)

// Instrument is what a venue lists, whether any tick of it ever came or not.
type Instrument struct {
	Symbol  market.Symbol
	Feed    string         // that would bring it
	Tick    market.Decimal // smallest step of its price; zero when that is not known
	Lot     market.Decimal // smallest step of its size; zero when that is not known
	Resting bool           // not traded now
}

// Catalogue is what the venues of the feeds list. Its methods may be called at once, and do not wait.
type Catalogue interface {
	// Each calls yield for every instrument until that returns false. The instrument is valid during the call only.
	Each(yield func(*Instrument) bool)

	// Find returns the instrument of a symbol.
	Find(s market.Symbol) (Instrument, bool)
}

// noCatalogue is where no venue tells what it lists.
type noCatalogue struct{}

func (noCatalogue) Each(func(*Instrument) bool) {}

func (noCatalogue) Find(market.Symbol) (Instrument, bool) { return Instrument{}, false }

// match is a symbol that a search finds: one that ticks came of, which has a number, or one that a venue lists only.
type match struct {
	id         uint32 // 0: it is listed only
	rank       int
	symbol     market.Symbol
	instrument Instrument // of one that is listed only
}

// searchRoom is how many of the best matches are kept at least while the rest is looked through.
const searchRoom = 1024

// search returns up to limit symbols that a query finds and that suit, the best first: those that ticks came of, then those that a venue
// only lists.
func (g *Gateway) search(query string, limit int, suits func(market.Symbol) bool) []match {
	// The list only grows, and the symbol of a listing does not change.
	g.hub.mu.RLock()
	list := g.hub.names.list
	g.hub.mu.RUnlock()
	var found []match
	for id, l := range list {
		if id == 0 || !suits(l.symbol) {
			continue
		}
		if rank := rankOf(l.symbol, query); rank >= 0 {
			found = append(found, match{id: uint32(id), rank: rank, symbol: l.symbol})
		}
	}
	sortMatches(found)
	if len(found) >= limit {
		return found[:limit]
	}
	return append(found, g.searchListed(query, limit-len(found), suits)...)
}

// searchListed is search among what venues list and no tick came of.
func (g *Gateway) searchListed(query string, limit int, suits func(market.Symbol) bool) []match {
	var found []match
	g.opt.Catalogue.Each(func(in *Instrument) bool {
		if rank := rankOf(in.Symbol, query); rank >= 0 && suits(in.Symbol) && !g.hub.has(in.Symbol) {
			found = append(found, match{rank: rank, symbol: in.Symbol, instrument: *in})
			if len(found) >= 2*max(limit, searchRoom) {
				sortMatches(found)
				found = found[:max(limit, searchRoom)]
			}
		}
		return true
	})
	sortMatches(found)
	found = slices.CompactFunc(found, func(a, b match) bool { return a.symbol == b.symbol })
	return found[:min(limit, len(found))]
}

func sortMatches(list []match) {
	slices.SortFunc(list, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(len(a.symbol), len(b.symbol)), cmp.Compare(a.symbol, b.symbol))
	})
}

// has reports whether a tick of a symbol ever came.
func (h *hub) has(s market.Symbol) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.names.index[s] != 0
}

// listed returns the instrument that a user means by VENUE:NAME in any case, with a slash or a dash.
func (g *Gateway) listed(text string) (Instrument, bool) {
	if len(text) > 2*market.MaxSymbol {
		return Instrument{}, false
	}
	return g.opt.Catalogue.Find(market.Symbol(strings.Replace(strings.ToUpper(text), "/", "-", 1)))
}

// steps returns the smallest steps of a symbol's price and size, zero where they are not known.
func (g *Gateway) steps(s market.Symbol) (tick, lot market.Decimal) {
	in, _ := g.opt.Catalogue.Find(s)
	return in.Tick, in.Lot
}

// digitsOf is how many digits after the point a step needs, without zeros at its end; 0 when it is not known.
func digitsOf(step market.Decimal) int {
	for step.Exp() < 0 {
		shorter, err := step.Rescale(step.Exp() + 1)
		if err != nil {
			break
		}
		step = shorter
	}
	return max(0, -step.Exp())
}
