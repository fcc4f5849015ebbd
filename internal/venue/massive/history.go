package massive

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// history asks for past trades.
type history struct{ v *Venue }

// First implements venue.History. The times of the stream are whole milliseconds, those of history are not: what is asked for begins
// with the millisecond of the last trade and ends with that of the next.
func (h history) First(hole *venue.Hole) *venue.Request {
	if hole.After.Event == 0 {
		return nil
	}
	until := hole.Before.Event
	if until == 0 {
		until = hole.Now
	}
	from := hole.After.Event.Floor(venue.Milliseconds)
	until = max(until, from).Floor(venue.Milliseconds) + venue.Milliseconds - 1
	ticker := hole.Instrument.REST
	if ticker == "" {
		ticker = hole.Instrument.Native
	}
	q := url.Values{
		"timestamp.gte": {strconv.FormatInt(int64(from), 10)}, "timestamp.lte": {strconv.FormatInt(int64(until), 10)},
		"order": {"asc"}, "sort": {"timestamp"}, "limit": {"50000"},
	}
	return &venue.Request{URL: h.v.rest + "/v3/trades/" + url.PathEscape(ticker) + "?" + q.Encode(), Header: h.v.header()}
}

// Page implements venue.History.
func (h history) Page(hole *venue.Hole, asked *venue.Request, got *venue.Reply, dst []market.Entry) (
	entries []market.Entry, next *venue.Request, complete bool, err error,
) {
	if err := h.refused(got); err != nil {
		return dst, nil, false, err
	}
	var (
		scan venue.Scanner
		more string
		s    = session{v: h.v, exchanges: make(map[exchange]string)}
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
		case string(key) == "next_url":
			more = scan.Value().Text()
		case string(key) == "results" && scan.Next() == '[':
			dst, err = s.rows(&scan, hole, dst)
		default:
			scan.Skip()
		}
	}
	if err == nil {
		err = scan.End()
	}
	if err == nil && more != "" {
		next, err = h.follow(more, asked)
	}
	if err != nil {
		return dst[:before], nil, false, fmt.Errorf("read a page of trades: %w", err)
	}
	return dst, next, next == nil, nil
}

// follow makes a request of the address of the next page. Only its path and query are taken: whoever else it may name gets no key.
func (h history) follow(address string, asked *venue.Request) (*venue.Request, error) {
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(u.Path, "/v3/trades/") {
		return nil, fmt.Errorf("%w: next_url leads elsewhere", venue.ErrJSON)
	}
	q := u.Query()
	q.Del("apiKey")
	next := h.v.rest + u.EscapedPath() + "?" + q.Encode()
	if next == asked.URL {
		return nil, fmt.Errorf("%w: the next page is the same one", venue.ErrJSON)
	}
	return &venue.Request{URL: next, Header: h.v.header()}, nil
}

// rows reads the list of trades that comes next.
func (s *session) rows(scan *venue.Scanner, hole *venue.Hole, dst []market.Entry) ([]market.Entry, error) {
	for scan.Enter('['); scan.More(); {
		var (
			it   item
			when venue.Value
		)
		scan.Enter('{')
		for {
			key, ok := scan.Key()
			if !ok {
				break
			}
			v := scan.Value()
			switch string(key) {
			case "price":
				it.price = v
			case "size":
				it.size = v
			case "decimal_size":
				it.exactSize = v
			case "exchange":
				it.exchange = v
			case "trf_id":
				it.facility = v
			case "id":
				it.id = v
			case "sequence_number":
				it.number = v
			case "conditions":
				it.conditions = v
			case "tape":
				it.tape = v
			case "sip_timestamp":
				when = v
			case "participant_timestamp":
				if when.Null() {
					when = v // crypto has no other
				}
			}
		}
		e := market.Entry{Kind: market.KindTrade, Symbol: hole.Instrument.Symbol}
		if scan.Err() != nil {
			break
		}
		if setTime(&e, when, venue.Nanoseconds); e.Event == 0 || !it.trade(&e, s.v.o.Feed == "crypto") {
			return dst, fmt.Errorf("%w: a row is no trade", venue.ErrJSON)
		}
		e.Exchange = s.exchange(it.exchange, it.facility)
		e.Conditions = s.codes.of(it.conditions)
		dst = append(dst, e)
	}
	return dst, nil
}

// refused returns what an answer that has no page means.
func (h history) refused(got *venue.Reply) error {
	err := fmt.Errorf("the venue answers %d: %.200q", got.Status, venue.Mask(string(got.Body[:min(len(got.Body), 400)]), h.v.o.Key))
	switch got.Status {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests:
		after := 15 * time.Second // plans that count requests count them by the minute
		if n, ok := venue.Value(got.Header.Get("Retry-After")).Uint(); ok && n > 0 && n <= 60 {
			after = time.Duration(n) * time.Second
		}
		return &venue.RetryError{Err: err, After: after}
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", venue.ErrRefused, err)
	}
	return err
}
