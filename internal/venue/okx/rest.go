package okx

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

func (v *Venue) get(path string, query url.Values, cursor any) *venue.Request {
	return &venue.Request{URL: v.rest + path + "?" + query.Encode(), Cursor: cursor}
}

// rows calls row with each element of the data of an answer. What is no good answer is an error:
//
//	{"code":"0","msg":"","data":[…]}
//	{"code":"51001","msg":"Instrument ID does not exist","data":[]}
func rows(got *venue.Reply, row func(s *venue.Scanner)) error {
	if got.Status == http.StatusTooManyRequests {
		return &venue.RetryError{Err: fmt.Errorf("status %d", got.Status), After: venue.RetryAfter(got.Header, 2*time.Second)}
	}
	var s venue.Scanner
	var code, text, data venue.Value
	s.Reset(got.Body)
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		switch v := s.Value(); string(key) {
		case "code":
			code = v
		case "msg":
			text = v
		case "data":
			data = v
		}
	}
	err := s.End()
	switch {
	case err != nil && got.Status != http.StatusOK:
		return fmt.Errorf("status %d", got.Status)
	case err != nil:
		return err
	case code.Is("50011") || code.Is("50061"):
		return &venue.RetryError{Err: fmt.Errorf("code %s: %s", code.Bytes(), venue.Clip(text.Text())), After: 2 * time.Second}
	case !code.Is("0") || got.Status != http.StatusOK:
		return fmt.Errorf("status %d, code %s: %s", got.Status, code.Bytes(), venue.Clip(text.Text()))
	}
	s.Reset(data)
	for s.Enter('['); s.More(); {
		row(&s)
	}
	return s.End()
}

// listing asks for the kinds of instruments that the names are of, one request a kind.
type listing Venue

// First implements venue.Listing. Options are listed by their underlying only, so that they are asked for when one is named.
func (l *listing) First(names []string) *venue.Request {
	var kinds []string
	add := func(kind string) {
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	for _, name := range names {
		add(kindOf(strings.ToUpper(strings.NewReplacer("/", "-", "_", "-").Replace(name))))
	}
	if len(kinds) == 0 {
		kinds = []string{"SPOT", "SWAP", "FUTURES"}
	}
	return l.ask(kinds)
}

// kindOf returns the kind of an instrument, as a query of it, by the shape of its name: BTC-USDT, BTC-USDT-SWAP, BTC-USD-260327,
// BTC-USD-260327-40000-C.
func kindOf(native string) string {
	parts := strings.Split(native, "-")
	switch {
	case len(parts) == 5:
		return "OPTION&instFamily=" + url.QueryEscape(parts[0]+"-"+parts[1])
	case len(parts) == 3 && parts[2] == "SWAP":
		return "SWAP"
	case len(parts) == 3:
		return "FUTURES"
	}
	return "SPOT"
}

// ask returns the request of the first kind; those that follow are its cursor.
func (l *listing) ask(kinds []string) *venue.Request {
	if len(kinds) == 0 {
		return nil
	}
	return &venue.Request{URL: l.rest + "/api/v5/public/instruments?instType=" + kinds[0], Cursor: kinds[1:]}
}

// Page implements venue.Listing.
func (l *listing) Page(asked *venue.Request, got *venue.Reply, dst []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	begin := len(dst)
	err := rows(got, func(s *venue.Scanner) {
		var native, tick, lot, state venue.Value
		for s.Enter('{'); ; {
			key, ok := s.Key()
			if !ok {
				break
			}
			switch v := s.Value(); string(key) {
			case "instId":
				native = v
			case "tickSz":
				tick = v
			case "lotSz":
				lot = v
			case "state":
				state = v
			}
		}
		if s.Err() != nil || !isNative(native.Text()) {
			return
		}
		if in, err := (*Venue)(l).instrument(native.Text()); err == nil {
			in.Tick, in.Lot, in.Resting = step(tick), step(lot), !state.Is("live")
			dst = append(dst, in)
		}
	})
	if err != nil {
		return dst[:begin], nil, err
	}
	rest, _ := asked.Cursor.([]string)
	return dst, l.ask(rest), nil
}

// step reads a step of prices or sizes; zero is none.
func step(v venue.Value) market.Decimal {
	d, err := v.Decimal()
	if err != nil || d.Sign() <= 0 {
		return market.Decimal{}
	}
	return d
}
