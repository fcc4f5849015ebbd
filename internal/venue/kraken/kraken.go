// Package kraken speaks version 2 of Kraken's WebSocket protocol, and so much of its REST API as lists instruments and gives past
// trades. Kraken has two sets of names: version 2 writes BTC/USD and DOGE/USD, REST and version 1 write XBTUSD and XDGUSD.
package kraken

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Options configure a Venue.
type Options struct {
	Venue string // first part of the symbols; "" is KRAKEN
	URL   string // WebSocket address; "" is Kraken's own. One without a path gets /v2
	REST  string // address of the REST API; "" is the one that belongs to URL
}

// Venue is Kraken's protocol.
type Venue struct {
	name   string
	stream string
	rest   string
}

var _ venue.Venue = (*Venue)(nil)

// New returns the protocol for the options.
func New(o Options) (*Venue, error) {
	v := &Venue{name: o.Venue, rest: strings.TrimRight(o.REST, "/")}
	if v.name == "" {
		v.name = "KRAKEN"
	}
	if o.URL == "" {
		o.URL = "wss://ws.kraken.com/v2"
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, errors.New("url= is not the address of a WebSocket, such as wss://ws.kraken.com/v2")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v2"
	}
	v.stream = u.String()
	if host := u.Hostname(); v.rest == "" {
		v.rest = "http" + strings.TrimPrefix(u.Scheme, "ws") + "://" + u.Host
		if host == "kraken.com" || strings.HasSuffix(host, ".kraken.com") {
			v.rest = "https://api.kraken.com"
		}
	}
	if r, err := url.Parse(v.rest); err != nil || r.Host == "" || r.Scheme != "http" && r.Scheme != "https" {
		return nil, errors.New("rest= is not an address, such as https://api.kraken.com")
	}
	return v, nil
}

// symbolsPerMessage keeps a subscription below what the venue calls a burst.
const symbolsPerMessage = 50

// Traits implements venue.Venue. About 150 attempts to connect in 10 minutes are let through, and about one REST request a
// second.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name: "kraken",
		// The venue's heartbeats come each second. Where they end, Second asks for a sign of life, which comes from behind
		// the content network's edge, as a WebSocket's pong may not.
		Heartbeat:   5 * time.Second,
		Pace:        250 * time.Millisecond,
		Dial:        4 * time.Second,
		Ack:         10 * time.Second,
		REST:        1200 * time.Millisecond,
		Consecutive: true,
		Reorder:     250 * time.Millisecond,
	}
}

// Endpoint implements venue.Venue. Both kinds come over the same address.
func (v *Venue) Endpoint(venue.Kinds) (address string, header http.Header) { return v.stream, nil }

// Session implements venue.Venue.
func (v *Venue) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	return newSession(kinds, instruments)
}

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return (*listing)(v) }

// History implements venue.Venue.
func (v *Venue) History() venue.History { return (*history)(v) }

// Name implements venue.Venue. BTC-USD, BTC/USD and XBT/USD are the same pair; where XBTUSD is to be split only the listing tells.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	i := strings.IndexAny(name, "-/_")
	if i < 0 {
		if isAsset(name) {
			return venue.Instrument{}, fmt.Errorf("%.40q: %w; write base and quote apart, as in BTC-USD", name, venue.ErrListing)
		}
		return venue.Instrument{}, fmt.Errorf("%.40q is no pair, as BTC-USD is", name)
	}
	base, quote := asset(name[:i]), asset(name[i+1:])
	if !isAsset(base) || !isAsset(quote) {
		return venue.Instrument{}, fmt.Errorf("%.40q is no pair, as BTC-USD is", name)
	}
	return v.instrument(base, quote, old(base)+old(quote))
}

// instrument names a pair of assets, which are in the words of version 2.
func (v *Venue) instrument(base, quote, rest string) (venue.Instrument, error) {
	s, err := market.NewSymbol(v.name, base+"-"+quote)
	if err != nil {
		return venue.Instrument{}, err
	}
	return venue.Instrument{Native: base + "/" + quote, REST: rest, Symbol: s}, nil
}

// asset returns an asset in the words of version 2: BTC for XBT, DOGE for XDG, all in upper case. Only tokenised stocks have a
// small letter, the x at the end of AAPLx, which is kept where it is written so.
func asset(s string) string {
	upper := strings.ToUpper(s)
	switch upper {
	case "XBT":
		return "BTC"
	case "XDG":
		return "DOGE"
	}
	if n := len(s) - 1; n > 0 && s[n] == 'x' && s[:n] == upper[:n] {
		return s
	}
	return upper
}

// old returns an asset in the words of REST.
func old(asset string) string {
	switch asset {
	case "BTC":
		return "XBT"
	case "DOGE":
		return "XDG"
	}
	return asset
}

// isAsset reports whether s may be the name of an asset or a pair without a separator: letters, digits and points (ETH2.S).
func isAsset(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= market.MaxSymbol
}

// tokenised reports whether a native name is that of a tokenised asset, for which REST wants another word.
func tokenised(native string) bool {
	base, _, _ := strings.Cut(native, "/")
	return strings.HasSuffix(base, "x")
}

// get returns a request of the public REST API.
func (v *Venue) get(method string, query url.Values, cursor any) *venue.Request {
	address := v.rest + "/0/public/" + method
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return &venue.Request{URL: address, Cursor: cursor}
}

// answer looks at an answer of the REST API, whose errors come with status 200:
//
//	{"error":["EGeneral:Too many requests"]}
//	{"error":[],"result":{…}}
//
// It calls result when the result is the scanner's next value; result reads it.
func answer(got *venue.Reply, result func(s *venue.Scanner)) error {
	if got.Status != http.StatusOK {
		return status(got)
	}
	var (
		s        venue.Scanner
		problem  string
		answered bool
	)
	s.Reset(got.Body)
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "error":
			for s.Enter('['); s.More(); {
				if v := s.Value(); problem == "" {
					problem = venue.Clip(v.Text())
				}
			}
		case "result":
			if s.Next() != '{' { // An error may come with a result of null.
				s.Skip()
				continue
			}
			answered = true
			result(&s)
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return err
	}
	switch {
	case problem != "":
		return refusal(problem)
	case !answered:
		return fmt.Errorf("%w: neither an error nor a result", venue.ErrJSON)
	}
	return nil
}

// status returns the error that a status of HTTP is.
func status(got *venue.Reply) error {
	err := fmt.Errorf("status %d", got.Status)
	switch got.Status {
	case http.StatusTooManyRequests:
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, 10*time.Second)}
	case http.StatusServiceUnavailable:
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, 5*time.Second)}
	case http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%w: not served to this place: %w", venue.ErrRefused, err)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", venue.ErrRefused, err)
	}
	return err
}

// refusal returns the error that a text such as "EQuery:Unknown asset pair" is.
func refusal(text string) error {
	err := fmt.Errorf("the venue answers %q", text)
	switch {
	case strings.Contains(text, "Too many requests"), strings.Contains(text, "Rate limit"), strings.Contains(text, "Throttled"):
		return &venue.RetryError{Err: err, After: 10 * time.Second}
	case strings.HasPrefix(text, "EService:"):
		return &venue.RetryError{Err: err, After: 5 * time.Second}
	case strings.HasPrefix(text, "EQuery:"), strings.HasPrefix(text, "EGeneral:Invalid arguments"), strings.HasPrefix(text, "EGeneral:Permission"):
		return fmt.Errorf("%w: %w", venue.ErrRefused, err)
	}
	return err
}

// earliest is before any time that the venue can mean, which was founded in 2011. A symbol that was never traded has a ticker of
// 1970.
const earliest = 1_262_304_000 * market.Second // 2010
