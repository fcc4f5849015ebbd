package binance

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// listing asks /api/v3/exchangeInfo: first for the instruments that are wanted, and for all of them when one is unknown, which
// the venue answers by an error for all. The whole list has 10 MB and more.
type listing Venue

// The stages of a listing, each tried when the one before it was refused.
type stage int

const (
	byName stage = iota // the instruments that are wanted
	slim                // all of them, without what each may be traded by; not every host knows the parameter
	whole
)

// most is the number of instruments that are asked for by name; the address must not become too long.
const most = 100

// First implements venue.Listing.
func (l *listing) First(names []string) *venue.Request {
	if len(names) == 0 || len(names) > most {
		return l.ask(slim, "")
	}
	natives := make([]string, 0, len(names))
	for _, name := range names {
		if base, quote, ok := split(name); ok {
			name = base + quote
		}
		name = strings.ToUpper(name)
		if !isNative(name) {
			return l.ask(slim, "")
		}
		natives = append(natives, `"`+name+`"`)
	}
	return l.ask(byName, "["+strings.Join(natives, ",")+"]")
}

func (l *listing) ask(st stage, symbols string) *venue.Request {
	var query url.Values
	switch st {
	case byName:
		query = url.Values{"symbols": {symbols}}
	case slim:
		query = url.Values{"showPermissionSets": {"false"}}
	case whole:
	}
	return (*Venue)(l).get("/api/v3/exchangeInfo", query, st)
}

// Page implements venue.Listing.
func (l *listing) Page(asked *venue.Request, got *venue.Reply, dst []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	if st, ok := asked.Cursor.(stage); ok && got.Status == http.StatusBadRequest && st < whole {
		return dst, l.ask(st+1, ""), nil
	}
	if err := check(got); err != nil {
		return dst, nil, err
	}
	var s venue.Scanner
	s.Reset(got.Body)
	listed := false
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		if string(key) != "symbols" {
			s.Skip()
			continue
		}
		listed = true
		for s.Enter('['); s.More(); {
			if in, ok := l.instrument(&s); ok {
				dst = append(dst, in)
			}
		}
	}
	if err := s.End(); err != nil {
		return dst, nil, err
	}
	if !listed {
		return dst, nil, errors.Join(venue.ErrJSON, errors.New("the list of instruments has no symbols"))
	}
	return dst, nil, nil
}

// instrument reads one element; ok is false when it is not one that can be named.
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
		case "baseAsset":
			base = s.Value()
		case "quoteAsset":
			quote = s.Value()
		case "status":
			status = s.Value()
		case "filters":
			tick, lot = filters(s)
		default:
			s.Skip()
		}
	}
	if s.Err() != nil || !native.IsString() || !base.IsString() || !quote.IsString() || !isNative(native.Text()) {
		return venue.Instrument{}, false
	}
	in, err := (*Venue)(l).instrument(native.Text(), base.Text(), quote.Text())
	if err != nil {
		return venue.Instrument{}, false
	}
	in.Tick, in.Lot, in.Resting = tick, lot, !status.Is("TRADING")
	return in, true
}

// filters reads the steps of price and size:
//
//	[{"filterType":"PRICE_FILTER","minPrice":"0.00001000","maxPrice":"922327.00000000","tickSize":"0.00001000"},
//	 {"filterType":"LOT_SIZE","minQty":"0.00010000","maxQty":"100000.00000000","stepSize":"0.00010000"}, …]
func filters(s *venue.Scanner) (tick, lot market.Decimal) {
	for s.Enter('['); s.More(); {
		var kind, tickSize, stepSize venue.Value
		for s.Enter('{'); ; {
			key, ok := s.Key()
			if !ok {
				break
			}
			switch string(key) {
			case "filterType":
				kind = s.Value()
			case "tickSize":
				tickSize = s.Value()
			case "stepSize":
				stepSize = s.Value()
			default:
				s.Skip()
			}
		}
		switch {
		case kind.Is("PRICE_FILTER"):
			tick = step(tickSize)
		case kind.Is("LOT_SIZE"):
			lot = step(stepSize)
		}
	}
	return tick, lot
}

// step reads "0.00001000" as 0.00001; zero is no step.
func step(v venue.Value) market.Decimal {
	d, err := v.Decimal()
	if err != nil || d.Sign() <= 0 {
		return market.Decimal{}
	}
	for d.Coef()%10 == 0 && d.Exp() < 0 {
		if d, err = d.Rescale(d.Exp() + 1); err != nil {
			return market.Decimal{}
		}
	}
	return d
}
