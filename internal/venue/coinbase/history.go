package coinbase

import (
	"fmt"
	"net/url"
	"strconv"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// history pages backwards: the venue knows "older than number N" only, and no way to begin at a time.
type history struct{ v *Venue }

const pageSize = 1000

// First implements venue.History.
func (h history) First(hole *venue.Hole) *venue.Request { return h.page(hole, hole.Before.ID) }

// page asks for the trades before a number; 0 asks for the newest.
func (h history) page(hole *venue.Hole, before uint64) *venue.Request {
	u := h.v.rest + "/products/" + url.PathEscape(hole.Instrument.Native) + "/trades?limit=" + strconv.Itoa(pageSize)
	if before != 0 {
		u += "&after=" + strconv.FormatUint(before, 10)
	}
	return &venue.Request{URL: u}
}

// Page implements venue.History.
func (h history) Page(hole *venue.Hole, _ *venue.Request, got *venue.Reply, dst []market.Entry) ([]market.Entry, *venue.Request, bool, error) {
	if err := check(got); err != nil {
		return dst, nil, false, err
	}
	var in venue.Scanner
	in.Reset(got.Body)
	oldest, rows := uint64(0), 0
	for in.Enter('['); in.More(); {
		var m message
		for in.Enter('{'); ; {
			key, ok := in.Key()
			if !ok {
				break
			}
			if to := m.field(key); to != nil {
				*to = in.Value()
			} else {
				in.Skip()
			}
		}
		if in.Err() != nil {
			break
		}
		rows++
		e := market.Entry{Kind: market.KindTrade, Symbol: hole.Instrument.Symbol, Flags: market.FlagBackfilled, Received: hole.Now}
		if !fillTrade(&e, &m) {
			return dst, nil, false, fmt.Errorf("trade %s of %s cannot be used", m.id, hole.Instrument.Native)
		}
		if oldest == 0 || e.ID < oldest {
			oldest = e.ID
		}
		dst = append(dst, e)
	}
	if err := in.End(); err != nil {
		return dst, nil, false, err
	}
	switch {
	case rows == 0 || oldest <= hole.After.ID+1 || oldest == 1:
		return dst, nil, true, nil
	case hole.After.ID == 0: // Without a number to go back to, one page is what there is to say.
		return dst, nil, false, nil
	}
	return dst, h.page(hole, oldest), false, nil
}
