package feed

import (
	"cmp"
	"slices"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// mostInstruments is how many instruments are kept of what a venue lists: more than any market has, and some megabytes.
const mostInstruments = 50_000

// Lists says what the venue lists: all of it, whatever the feed carries. Of two with one symbol the first counts. The account keeps a copy.
func (a *Account) Lists(list []venue.Instrument) {
	if a == nil {
		return
	}
	sorted := slices.Clone(list[:min(len(list), mostInstruments)])
	slices.SortStableFunc(sorted, func(x, y venue.Instrument) int { return cmp.Compare(x.Symbol, y.Symbol) })
	sorted = slices.CompactFunc(sorted, func(x, y venue.Instrument) bool { return x.Symbol == y.Symbol })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instruments = slices.Clip(sorted)
}

// Name returns the name of the feed.
func (r *Runner) Name() string { return r.url.Name }

// Instruments returns what the venue lists, by symbol; nil while that is not known. It is not to be changed.
func (r *Runner) Instruments() []venue.Instrument {
	r.account.mu.Lock()
	defer r.account.mu.Unlock()
	return r.account.instruments
}

// FindInstrument returns the instrument of a symbol in a list by symbol.
func FindInstrument(list []venue.Instrument, s market.Symbol) (venue.Instrument, bool) {
	i, ok := slices.BinarySearchFunc(list, s, func(x venue.Instrument, s market.Symbol) int { return cmp.Compare(x.Symbol, s) })
	if !ok {
		return venue.Instrument{}, false
	}
	return list[i], true
}
