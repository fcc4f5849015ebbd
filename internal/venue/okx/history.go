package okx

import (
	"net/url"
	"strconv"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// history asks /api/v5/market/history-trades for single trades by number, a hundred a page from the newest to the oldest. It
// reaches back three months.
type history Venue

const page = 100

// First implements venue.History.
func (hs *history) First(h *venue.Hole) *venue.Request {
	if h.Before.Kind == market.KindTrade && h.Before.ID != 0 {
		if h.After.ID+1 >= h.Before.ID {
			return nil
		}
		return hs.ask(h, h.Before.ID)
	}
	return hs.ask(h, 0)
}

// ask returns the request of the trades before a number; 0 asks for the newest.
func (hs *history) ask(h *venue.Hole, before uint64) *venue.Request {
	// type=1 pages by number; after= is what OKX calls "older than".
	query := url.Values{"instId": {h.Instrument.Native}, "type": {"1"}, "limit": {strconv.Itoa(page)}}
	if before != 0 {
		query.Set("after", strconv.FormatUint(before, 10))
	}
	return (*Venue)(hs).get("/api/v5/market/history-trades", query, before)
}

// Page implements venue.History.
func (hs *history) Page(h *venue.Hole, asked *venue.Request, got *venue.Reply, dst []market.Entry) (entries []market.Entry, next *venue.Request, complete bool, err error) {
	begin := len(dst)
	found := 0
	err = rows(got, func(s *venue.Scanner) {
		var r trade
		r.read(s)
		found++
		e := market.Entry{Kind: market.KindTrade, Symbol: h.Instrument.Symbol, Received: h.Now, Flags: market.FlagBackfilled}
		if s.Err() == nil && r.fill(&e) {
			dst = append(dst, e)
		}
	})
	if err != nil {
		return dst[:begin], nil, false, err
	}
	before, _ := asked.Cursor.(uint64)
	oldest := before
	reached := false
	for i := range dst[begin:] {
		e := &dst[begin+i]
		if oldest == 0 || e.ID < oldest {
			oldest = e.ID
		}
		reached = reached || h.After.ID == 0 && h.After.Event != 0 && e.Event < h.After.Event
	}
	switch {
	case h.After.ID != 0 && oldest != 0 && oldest <= h.After.ID+1 || reached:
		return dst, nil, true, nil
	case h.After.ID == 0 && h.After.Event == 0: // From where on is not known: what is near.
		return dst, nil, false, nil
	case found == 0 || oldest == before: // The venue has no more, or goes round in circles.
		return dst, nil, false, nil
	}
	return dst, hs.ask(h, oldest), false, nil
}
