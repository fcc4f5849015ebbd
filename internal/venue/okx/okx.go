// Package okx speaks the protocol of OKX, version 5: streams of every single trade, or of trades that are summed up by order and
// price, and of the best bid and offer; the lists of instruments; past trades by their numbers.
package okx

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
	Venue string // first part of the symbols; "" is OKX
	URL   string // WebSocket address; "" is OKX's own. One without a path gets that of the channels
	REST  string // address of the REST API; "" is the one that belongs to URL

	// Aggregated asks for what one order took at one price as one trade. Such trades are numbered with holes and can't be told
	// from their parts afterwards, so that nothing that was missed is fetched.
	Aggregated bool
}

// Venue is OKX's protocol.
type Venue struct {
	name       string
	stream     *url.URL // without the last part of its path
	rest       string
	aggregated bool
}

var _ venue.Venue = (*Venue)(nil)

const (
	defaultStream = "wss://ws.okx.com:8443"
	usualPath     = "/ws/v5"
	publicPath    = "/public"   // behind it: summed trades, quotes
	businessPath  = "/business" // every single trade
)

// New returns the protocol for the options.
func New(o Options) (*Venue, error) {
	v := &Venue{name: o.Venue, rest: strings.TrimRight(o.REST, "/"), aggregated: o.Aggregated}
	if v.name == "" {
		v.name = "OKX"
	}
	if o.URL == "" {
		o.URL = defaultStream
	}
	var err error
	if v.stream, err = url.Parse(o.URL); err != nil || v.stream.Host == "" || v.stream.Scheme != "ws" && v.stream.Scheme != "wss" {
		return nil, errors.New("url= is not the address of a WebSocket, such as wss://wseea.okx.com:8443")
	}
	path := strings.TrimSuffix(v.stream.Path, "/")
	bare := strings.TrimSuffix(strings.TrimSuffix(path, publicPath), businessPath)
	switch {
	case path == "":
		bare = usualPath
	case path == bare:
		return nil, errors.New("url= has a path that ends neither in /public nor in /business; it may be left out")
	}
	v.stream.Path = bare
	if v.rest == "" {
		v.rest = restOf(v.stream)
	}
	if r, err := url.Parse(v.rest); err != nil || r.Host == "" || r.Scheme != "http" && r.Scheme != "https" {
		return nil, errors.New("rest= is not an address, such as https://eea.okx.com")
	}
	return v, nil
}

// restOf returns the REST address that belongs to a stream's: ws.okx.com and www.okx.com, wseea.okx.com and eea.okx.com.
func restOf(u *url.URL) string {
	host := u.Hostname()
	if region, ok := strings.CutPrefix(host, "ws"); ok && strings.HasSuffix(host, ".okx.com") {
		if strings.HasPrefix(region, ".") {
			region = "www" + region
		}
		return "https://" + region
	}
	return "http" + strings.TrimPrefix(u.Scheme, "ws") + "://" + u.Host
}

// Limits of the venue: 3 attempts to connect a second, 480 requests an hour on a connection, 64 KiB a request, 20 requests of
// history in 2 s.
const (
	symbolsPerLine    = 200
	symbolsPerMessage = 100
	pingEvery         = 4 * market.Second // it hangs up after 30 s of silence
)

// Traits implements venue.Venue.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name:        "okx",
		Heartbeat:   5 * time.Second, // the answers to our pings
		Pace:        250 * time.Millisecond,
		Symbols:     symbolsPerLine,
		Dial:        time.Second,
		Ack:         10 * time.Second,
		REST:        125 * time.Millisecond,
		Consecutive: !v.aggregated,
		Reorder:     250 * time.Millisecond,
	}
}

// single reports whether a line of the kinds carries every single trade. Quotes are to be had where only sums are.
func (v *Venue) single(kinds venue.Kinds) bool { return kinds == venue.Trades && !v.aggregated }

// Endpoint implements venue.Venue.
func (v *Venue) Endpoint(kinds venue.Kinds) (address string, header http.Header) {
	u := *v.stream
	if v.single(kinds) {
		u.Path += businessPath
	} else {
		u.Path += publicPath
	}
	return u.String(), nil
}

// Name implements venue.Venue. "BTC-USDT", "BTC-USDT-SWAP" and "BTC-USD-260327" are OKX's own names; where BTCUSDT is to be split
// only the listing tells.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	native := strings.ToUpper(strings.NewReplacer("/", "-", "_", "-").Replace(name))
	if !strings.Contains(native, "-") && isNative(native) {
		return venue.Instrument{}, fmt.Errorf("%.40q: %w; write base and quote apart, as in BTC-USDT", name, venue.ErrListing)
	}
	if !isNative(native) {
		return venue.Instrument{}, fmt.Errorf("%.40q is no instrument, as BTC-USDT and BTC-USDT-SWAP are", name)
	}
	return v.instrument(native)
}

// instrument names an instrument as OKX does.
func (v *Venue) instrument(native string) (venue.Instrument, error) {
	s, err := market.NewSymbol(v.name, native)
	if err != nil {
		return venue.Instrument{}, err
	}
	return venue.Instrument{Native: native, Symbol: s}, nil
}

// isNative reports whether s may stand as a name of the venue's: upper-case letters and digits, parts between dashes.
func isNative(s string) bool {
	for part := range strings.SplitSeq(s, "-") {
		if part == "" {
			return false
		}
		for i := range len(part) {
			if c := part[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return len(s) <= market.MaxSymbol
}

// Session implements venue.Venue.
func (v *Venue) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	return newSession(v.single(kinds), kinds, instruments)
}

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return (*listing)(v) }

// History implements venue.Venue: nil for summed trades.
func (v *Venue) History() venue.History {
	if v.aggregated {
		return nil
	}
	return (*history)(v)
}
