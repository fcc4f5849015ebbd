package kraken

import (
	"net/url"
	"strconv"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// history asks /0/public/Trades, which goes forward in time from a moment in nanoseconds, a thousand trades a page.
type history Venue

// page is the largest page.
const page = 1000

// place is where a walk through the past stands.
type place struct {
	since string // "" for the newest page
	open  bool   // from where on trades are missing is not known: there may be more before it
}

// First implements venue.History. What the venue gives is later than the moment that it is asked for. Its stream cuts times to
// microseconds, so that a nanosecond before the last trade leads to that trade and whatever else was of its moment.
func (hs *history) First(h *venue.Hole) *venue.Request {
	switch {
	case h.After.Event > 0:
		at := h.After.Event - 1
		if h.After.Flags&market.FlagNoEventTime != 0 { // It is the time of arrival.
			at -= market.Minute
		}
		return hs.ask(h, place{since: strconv.FormatInt(int64(at), 10)})
	case h.Before.Kind == market.KindTrade && h.Before.Event > 0: // From where on is not known: what is near.
		at := h.Before.Event.Add(-10 * time.Minute)
		return hs.ask(h, place{since: strconv.FormatInt(int64(at), 10), open: true})
	}
	return hs.ask(h, place{open: true})
}

func (hs *history) ask(h *venue.Hole, at place) *venue.Request {
	pair := h.Instrument.REST
	if pair == "" {
		pair = h.Instrument.Native
	}
	query := url.Values{"pair": {pair}, "count": {strconv.Itoa(page)}}
	if at.since != "" {
		query.Set("since", at.since)
	}
	if tokenised(h.Instrument.Native) {
		query.Set("asset_class", "tokenized_asset")
	}
	return (*Venue)(hs).get("Trades", query, at)
}

// Page implements venue.History. The result has two members: one called last, for the page that follows, and one called by a name
// that the venue has inside (XXBTZUSD for XBTUSD) with the rows. The walk ends where the venue has no more, although the hole may
// not: its history may come a little later than its stream.
func (hs *history) Page(h *venue.Hole, asked *venue.Request, got *venue.Reply, dst []market.Entry) (entries []market.Entry, next *venue.Request, complete bool, err error) {
	begin, rows := len(dst), 0
	var last string
	err = answer(got, func(s *venue.Scanner) {
		for s.Enter('{'); ; {
			key, ok := s.Key()
			if !ok {
				return
			}
			if string(key) == "last" {
				if n, ok := s.Value().Uint(); ok && n > 0 {
					last = strconv.FormatUint(n-1, 10) // The next page may begin with trades of the same moment.
				}
				continue
			}
			for s.Enter('['); s.More(); rows++ {
				if e, ok := readRow(s, h); ok {
					dst = append(dst, e)
				}
			}
		}
	})
	if err != nil {
		return dst[:begin], nil, false, err
	}
	at, _ := asked.Cursor.(place)
	covered := false
	for i := range dst[begin:] {
		covered = covered || h.Before.Kind == market.KindTrade && h.Before.ID != 0 && dst[begin+i].ID+1 >= h.Before.ID
	}
	switch {
	case at.since == "" || rows < page || covered:
		return dst, nil, !at.open, nil
	case last == "" || last == at.since: // It goes round in circles.
		return dst, nil, false, nil
	}
	at.since = last
	return dst, hs.ask(h, at), false, nil
}

// readRow reads a trade of the past: price, size, time, side, order type, miscellaneous, number. The time is a number of seconds
// whose digits are taken as they are: as a float it would lose some.
//
//	["105433.60000","0.00027625",1762795433.9717445,"b","l","",10218208]
func readRow(s *venue.Scanner, h *venue.Hole) (e market.Entry, ok bool) {
	var cells [7]venue.Value
	n := 0
	for s.Enter('['); s.More(); n++ {
		if v := s.Value(); n < len(cells) {
			cells[n] = v
		}
	}
	if s.Err() != nil {
		return market.Entry{}, false
	}
	price, err1 := cells[0].Decimal()
	size, err2 := cells[1].Decimal()
	id, ok := cells[6].Uint()
	if err1 != nil || err2 != nil || !ok || id == 0 || price.Sign() <= 0 || size.Sign() <= 0 {
		return market.Entry{}, false
	}
	e = market.Entry{
		Kind: market.KindTrade, Symbol: h.Instrument.Symbol, Received: h.Now, Flags: market.FlagBackfilled, Price: price, Size: size, ID: id,
	}
	switch string(cells[3].Bytes()) {
	case "b":
		e.Side = market.SideBuy
	case "s":
		e.Side = market.SideSell
	}
	stamp(&e, seconds(cells[2]))
	return e, true
}

// seconds reads 1762795433.9717445 as nanoseconds, and 0 when it is no time. Digits beyond the ninth are cut.
func seconds(v venue.Value) market.Time {
	d, err := v.Decimal()
	if err != nil || d.Sign() <= 0 {
		return 0
	}
	for d.Exp() < -9 {
		if d, err = market.NewDecimal(d.Coef()/10, d.Exp()+1); err != nil {
			return 0
		}
	}
	if d, err = d.Rescale(-9); err != nil {
		return 0
	}
	return market.Time(d.Coef())
}
