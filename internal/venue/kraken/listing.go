package kraken

import (
	"net/url"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// listing asks /0/public/AssetPairs, once for currencies and once for tokenised assets, which are not among them.
type listing Venue

// First implements venue.Listing. There is always the whole list: one unknown name among others makes the venue refuse all.
func (l *listing) First([]string) *venue.Request { return (*Venue)(l).get("AssetPairs", nil, false) }

// Page implements venue.Listing.
func (l *listing) Page(asked *venue.Request, got *venue.Reply, dst []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	begin := len(dst)
	err := answer(got, func(s *venue.Scanner) {
		for s.Enter('{'); ; {
			if _, ok := s.Key(); !ok {
				return
			}
			if in, ok := l.instrument(s); ok {
				dst = append(dst, in)
			}
		}
	})
	second, _ := asked.Cursor.(bool)
	switch {
	case second && err != nil: // A venue without tokenised assets is one all the same.
		return dst[:begin], nil, nil
	case err != nil:
		return dst[:begin], nil, err
	case second:
		return dst, nil, nil
	}
	return dst, (*Venue)(l).get("AssetPairs", url.Values{"aclass_base": {"tokenized_asset"}}, true), nil
}

// instrument reads one pair; ok is false when it is not one that can be named. The stream names it as wsname does, but for the
// words of old:
//
//	{"altname":"XBTUSDT","wsname":"XBT/USDT",…,"lot_decimals":8,…,"tick_size":"0.1","status":"online",…}
func (l *listing) instrument(s *venue.Scanner) (in venue.Instrument, ok bool) {
	var rest, name, decimals, tick, status venue.Value
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		switch v := s.Value(); string(key) {
		case "altname":
			rest = v
		case "wsname":
			name = v
		case "lot_decimals":
			decimals = v
		case "tick_size":
			tick = v
		case "status":
			status = v
		}
	}
	if s.Err() != nil {
		return venue.Instrument{}, false
	}
	base, quote, ok := strings.Cut(name.Text(), "/")
	base, quote = asset(base), asset(quote)
	if !ok || !isAsset(base) || !isAsset(quote) || !isAsset(rest.Text()) {
		return venue.Instrument{}, false
	}
	in, err := (*Venue)(l).instrument(base, quote, rest.Text())
	if err != nil {
		return venue.Instrument{}, false
	}
	if d, err := tick.Decimal(); err == nil && d.Sign() > 0 {
		in.Tick = d
	}
	if n, ok := decimals.Uint(); ok && n <= -market.MinExp {
		if d, err := market.NewDecimal(1, -int(n)); err == nil {
			in.Lot = d
		}
	}
	in.Resting = !trades(status)
	return in, true
}

// trades reports whether a pair in that status trades: it does not in cancel_only, post_only, work_in_progress, delisted.
func trades(status venue.Value) bool {
	switch string(status.Bytes()) {
	case "online", "limit_only", "reduce_only":
		return true
	}
	return false
}
