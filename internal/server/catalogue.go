package server

import (
	"tapedeck/internal/feed"
	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// catalogue is what the venues of the feeds list.
type catalogue []*feed.Runner

// Each implements gateway.Catalogue.
func (c catalogue) Each(yield func(*gateway.Instrument) bool) {
	for _, r := range c {
		name := r.Name()
		list := r.Instruments()
		for i := range list {
			in := instrument(name, &list[i])
			if !yield(&in) {
				return
			}
		}
	}
}

// Find implements gateway.Catalogue.
func (c catalogue) Find(s market.Symbol) (gateway.Instrument, bool) {
	for _, r := range c {
		if in, ok := feed.FindInstrument(r.Instruments(), s); ok {
			return instrument(r.Name(), &in), true
		}
	}
	return gateway.Instrument{}, false
}

func instrument(feed string, in *venue.Instrument) gateway.Instrument {
	return gateway.Instrument{Symbol: in.Symbol, Feed: feed, Tick: in.Tick, Lot: in.Lot, Resting: in.Resting}
}
