package alpaca

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// mostRows is how many trades a page has at most.
const mostRows = "10000"

// history asks for past trades.
type history struct{ v *Venue }

// First implements venue.History. Both ends are part of what is asked for: several trades may have the time of the last one.
func (h history) First(hole *venue.Hole) *venue.Request {
	if hole.After.Event == 0 {
		return nil
	}
	return h.request(hole, "")
}

func (h history) request(hole *venue.Hole, token string) *venue.Request {
	until := hole.Before.Event
	if until == 0 {
		until = hole.Now
	}
	q := url.Values{
		"symbols": {hole.Instrument.Native}, "start": {hole.After.Event.String()}, "end": {max(until, hole.After.Event).String()},
		"limit": {mostRows}, "sort": {"asc"},
	}
	path := "/v1beta3/crypto/us/trades"
	if h.v.o.Feed != "crypto" {
		path = "/v2/stocks/trades"
		q.Set("feed", h.v.o.Feed)
	}
	if token != "" {
		q.Set("page_token", token)
	}
	header := make(http.Header)
	h.v.sign(header)
	return &venue.Request{URL: h.v.rest + path + "?" + q.Encode(), Header: header, Cursor: token}
}

// Page implements venue.History. Trades that the venue has cancelled or replaced since are left out: history is told as it is known now.
func (h history) Page(hole *venue.Hole, asked *venue.Request, got *venue.Reply, dst []market.Entry) (
	entries []market.Entry, next *venue.Request, complete bool, err error,
) {
	if err := h.refused(got, hole.Now); err != nil {
		return dst, nil, false, err
	}
	var (
		scan  venue.Scanner
		words venue.Words
		codes codes
		token string
	)
	before := len(dst)
	scan.Reset(got.Body)
	scan.Enter('{')
	for err == nil {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch {
		case string(key) == "next_page_token":
			token = scan.Value().Text()
		case string(key) == "trades" && scan.Next() == '{':
			dst, err = rows(&scan, hole, dst, &words, &codes)
		default:
			scan.Skip()
		}
	}
	if err == nil {
		err = scan.End()
	}
	if err == nil && token != "" && token == asked.Cursor {
		err = fmt.Errorf("%w: the next page is the same one", venue.ErrJSON)
	}
	if err != nil {
		return dst[:before], nil, false, fmt.Errorf("read a page of trades: %w", err)
	}
	if token != "" {
		return dst, h.request(hole, token), false, nil
	}
	return dst, nil, true, nil
}

// rows reads the trades of each symbol in the object that comes next, and keeps those of the hole's.
func rows(scan *venue.Scanner, hole *venue.Hole, dst []market.Entry, words *venue.Words, codes *codes) ([]market.Entry, error) {
	var it item
	scan.Enter('{')
	for {
		name, ok := scan.Key()
		if !ok {
			return dst, nil
		}
		if string(name) != hole.Instrument.Native || scan.Next() != '[' {
			scan.Skip()
			continue
		}
		for scan.Enter('['); scan.More(); {
			it.read(scan)
			if scan.Err() != nil || it.update.Is("canceled") || it.update.Is("incorrect") {
				continue
			}
			e := market.Entry{Kind: market.KindTrade, Symbol: hole.Instrument.Symbol}
			if !it.trade(&e, words, codes) || e.Event == 0 {
				return dst, fmt.Errorf("%w: a row is no trade", venue.ErrJSON)
			}
			dst = append(dst, e)
		}
	}
}

// refused returns what an answer that has no page means.
func (h history) refused(got *venue.Reply, now market.Time) error {
	err := fmt.Errorf("the venue answers %d: %.200q", got.Status, h.v.mask(string(got.Body[:min(len(got.Body), 400)])))
	switch got.Status {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests:
		after := 10 * time.Second
		if reset, ok := venue.Value(got.Header.Get("X-RateLimit-Reset")).Unix(market.Second); ok {
			after = min(max(reset.Sub(now), time.Second), time.Minute)
		}
		return &venue.RetryError{Err: err, After: after}
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", venue.ErrRefused, err)
	}
	return err
}
