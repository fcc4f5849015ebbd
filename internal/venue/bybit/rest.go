package bybit

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// banned is how long the venue answers nothing to those who asked too often.
const banned = 10 * time.Minute

// result is an answer of the REST API:
//
//	{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[…],"nextPageCursor":""},"time":1700000000000}
type result struct {
	list []byte
	next string
}

// read reads an answer; what is no good one is an error.
func read(got *venue.Reply) (r result, err error) {
	switch got.Status {
	case http.StatusTooManyRequests:
		return r, &venue.RetryError{Err: fmt.Errorf("status %d", got.Status), After: venue.RetryAfter(got.Header, 5*time.Second)}
	case http.StatusForbidden:
		return r, &venue.RetryError{Err: fmt.Errorf("status %d: access too frequent, or not from this country", got.Status), After: venue.RetryAfter(got.Header, banned)}
	}
	var s venue.Scanner
	var code, text venue.Value
	s.Reset(got.Body)
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "retCode":
			code = s.Value()
		case "retMsg":
			text = s.Value()
		case "result":
			if s.Next() == '{' {
				r.read(&s)
			} else {
				s.Skip()
			}
		default:
			s.Skip()
		}
	}
	err = s.End()
	n, ok := code.Uint()
	switch {
	case err != nil && got.Status != http.StatusOK:
		return r, fmt.Errorf("status %d", got.Status)
	case err != nil:
		return r, err
	case ok && n == 10006:
		return r, &venue.RetryError{Err: fmt.Errorf("code 10006: %s", venue.Clip(text.Text())), After: 5 * time.Second}
	case !ok || n != 0 || got.Status != http.StatusOK:
		return r, fmt.Errorf("status %d, code %s: %s", got.Status, venue.Clip(code.Text()), venue.Clip(text.Text()))
	case r.list == nil:
		return r, venue.Missing("list", nil)
	}
	return r, nil
}

func (r *result) read(s *venue.Scanner) {
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return
		}
		switch v := s.Value(); string(key) {
		case "list":
			r.list = v
		case "nextPageCursor":
			r.next = v.Text()
		}
	}
}

// listing asks /v5/market/instruments-info for all instruments of the category, a thousand a page.
type listing Venue

// First implements venue.Listing.
func (l *listing) First([]string) *venue.Request { return l.ask("") }

func (l *listing) ask(cursor string) *venue.Request {
	query := url.Values{"category": {l.category}}
	if l.category != "spot" { // which has no pages
		query.Set("limit", "1000")
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return &venue.Request{URL: l.rest + "/v5/market/instruments-info?" + query.Encode(), Cursor: cursor}
}

// Page implements venue.Listing.
func (l *listing) Page(asked *venue.Request, got *venue.Reply, dst []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	r, err := read(got)
	if err != nil {
		return dst, nil, err
	}
	begin := len(dst)
	var s venue.Scanner
	s.Reset(r.list)
	for s.Enter('['); s.More(); {
		if in, ok := l.instrument(&s); ok {
			dst = append(dst, in)
		}
	}
	if err := s.End(); err != nil {
		return dst[:begin], nil, err
	}
	if last, _ := asked.Cursor.(string); r.next == "" || r.next == last {
		return dst, nil, nil
	}
	return dst, l.ask(r.next), nil
}

// instrument reads one element; ok is false when it is not one that can be named:
//
//	{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading","lotSizeFilter":{"basePrecision":"0.000001",…},"priceFilter":{"tickSize":"0.1"}}
func (l *listing) instrument(s *venue.Scanner) (in venue.Instrument, ok bool) {
	var native, base, quote, status venue.Value
	var tick, lot market.Decimal
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "symbol":
			native = s.Value()
		case "baseCoin":
			base = s.Value()
		case "quoteCoin":
			quote = s.Value()
		case "status":
			status = s.Value()
		case "priceFilter":
			tick = step(s, "tickSize")
		case "lotSizeFilter":
			if l.category == "spot" {
				lot = step(s, "basePrecision")
			} else {
				lot = step(s, "qtyStep")
			}
		default:
			s.Skip()
		}
	}
	if s.Err() != nil || !isNative(native.Text()) {
		return venue.Instrument{}, false
	}
	in, err := (*Venue)(l).instrument(native.Text(), base.Text(), quote.Text())
	if err != nil {
		return venue.Instrument{}, false
	}
	in.Tick, in.Lot, in.Resting = tick, lot, !status.Is("Trading")
	return in, true
}

// step reads a step out of a filter; zero is none.
func step(s *venue.Scanner, name string) (d market.Decimal) {
	if s.Next() != '{' {
		s.Skip()
		return d
	}
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return d
		}
		if v := s.Value(); string(key) == name {
			if n, err := v.Decimal(); err == nil && n.Sign() > 0 {
				d = n
			}
		}
	}
}

// history asks /v5/market/recent-trade, which gives the last trades and no others: 60 of the spot market, 1,000 of contracts.
// What is longer ago can't be had.
type history Venue

// First implements venue.History.
func (hs *history) First(h *venue.Hole) *venue.Request {
	limit := 1000
	if hs.category == "spot" {
		limit = 60
	}
	query := url.Values{"category": {hs.category}, "symbol": {h.Instrument.Native}, "limit": {strconv.Itoa(limit)}}
	return &venue.Request{URL: hs.rest + "/v5/market/recent-trade?" + query.Encode()}
}

// Page implements venue.History. The hole is covered when the trade before it is among the answer, or an earlier one.
func (hs *history) Page(h *venue.Hole, _ *venue.Request, got *venue.Reply, dst []market.Entry) (entries []market.Entry, next *venue.Request, complete bool, err error) {
	r, err := read(got)
	if err != nil {
		return dst, nil, false, err
	}
	begin := len(dst)
	var s venue.Scanner
	s.Reset(r.list)
	for s.Enter('['); s.More(); {
		var t trade
		t.read(&s)
		e := market.Entry{Kind: market.KindTrade, Symbol: h.Instrument.Symbol, Received: h.Now, Flags: market.FlagBackfilled}
		if s.Err() == nil && t.fill(&e) {
			dst = append(dst, e)
		}
	}
	if err := s.End(); err != nil {
		return dst[:begin], nil, false, err
	}
	for i := range dst[begin:] {
		complete = complete || covers(&h.After, &dst[begin+i])
	}
	return dst, nil, complete, nil
}

// covers reports whether a trade is the last one before a hole, or came before that one.
func covers(after, e *market.Entry) bool {
	switch {
	case after.Event == 0:
		return false
	case e.Event < after.Event:
		return true
	case after.ID != 0 && e.ID != 0:
		return e.ID <= after.ID
	}
	return after.Ref != "" && e.Ref == after.Ref
}
