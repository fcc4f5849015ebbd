// Package bybit speaks the protocol of Bybit, version 5: streams of single trades and of the best bid and offer of the spot
// market, of linear and of inverse contracts; the lists of instruments; the last trades, as far as the venue gives them.
package bybit

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Options configure a Venue.
type Options struct {
	Venue    string // first part of the symbols; "" is BYBIT
	URL      string // WebSocket address; "" is Bybit's own. One without a path gets that of the category
	REST     string // address of the REST API; "" is the one that belongs to URL
	Category string // spot, linear or inverse; "" is spot

	// Tickers takes quotes from the tickers, at most ten a second, instead of from the book. Spot has no quotes there.
	Tickers bool
}

// Venue is Bybit's protocol.
type Venue struct {
	name     string
	stream   string
	rest     string
	category string
	tickers  bool
}

var _ venue.Venue = (*Venue)(nil)

const defaultStream = "wss://stream.bybit.com"

// Categories returns the markets that a feed can be of.
func Categories() []string { return []string{"spot", "linear", "inverse"} }

// New returns the protocol for the options.
func New(o Options) (*Venue, error) {
	v := &Venue{name: o.Venue, rest: strings.TrimRight(o.REST, "/"), category: strings.ToLower(o.Category), tickers: o.Tickers}
	if v.name == "" {
		v.name = "BYBIT"
	}
	if v.category == "" {
		v.category = "spot"
	}
	if !slices.Contains(Categories(), v.category) {
		return nil, fmt.Errorf("category=%.40s: want %s", o.Category, strings.Join(Categories(), ", "))
	}
	if v.tickers && v.category == "spot" {
		return nil, errors.New("quotes=tickers: the tickers of the spot market have no bid and ask")
	}
	if o.URL == "" {
		o.URL = defaultStream
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, errors.New("url= is not the address of a WebSocket, such as wss://stream-testnet.bybit.com")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v5/public/" + v.category
	}
	v.stream = u.String()
	if v.rest == "" {
		v.rest = restOf(u)
	}
	if r, err := url.Parse(v.rest); err != nil || r.Host == "" || r.Scheme != "http" && r.Scheme != "https" {
		return nil, errors.New("rest= is not an address, such as https://api-testnet.bybit.com")
	}
	return v, nil
}

// restOf returns the REST address that belongs to a stream's: stream.bybit.com and api.bybit.com, also in other countries.
func restOf(u *url.URL) string {
	host := u.Hostname()
	if rest, ok := strings.CutPrefix(host, "stream"); ok && strings.Contains(rest, ".bybit") {
		return "https://api" + rest
	}
	return "http" + strings.TrimPrefix(u.Scheme, "ws") + "://" + u.Host
}

// Limits of the venue: 500 connections in 5 minutes, 10 topics in a request, 21,000 characters of topics on a connection, 600
// REST requests in 5 s.
const (
	symbolsPerLine   = 200
	topicsPerMessage = 10
	pingEvery        = 4 * market.Second
)

// Traits implements venue.Venue.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name:      "bybit",
		Heartbeat: 5 * time.Second, // the answers to our pings
		Pace:      50 * time.Millisecond,
		Symbols:   symbolsPerLine,
		Dial:      time.Second,
		Ack:       10 * time.Second,
		REST:      100 * time.Millisecond,
	}
}

// Endpoint implements venue.Venue. Both kinds come over the same address.
func (v *Venue) Endpoint(venue.Kinds) (address string, header http.Header) { return v.stream, nil }

// Name implements venue.Venue. "BTC-USDT" is the pair, or its perpetual contract; "BTC-PERP" the one in USDC, and what has a date
// is Bybit's own name, as in "BTC-26DEC25". Where BTCUSDT is to be split only the listing tells.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	native := strings.ToUpper(strings.NewReplacer("/", "-", "_", "-").Replace(name))
	base, quote, split := strings.Cut(native, "-")
	switch {
	case !isNative(native):
		return venue.Instrument{}, fmt.Errorf("%.40q is no instrument, as BTC-USDT is", name)
	case !split:
		return venue.Instrument{}, fmt.Errorf("%.40q: %w; write base and quote apart, as in BTC-USDT", name, venue.ErrListing)
	case strings.Contains(quote, "-") || v.category != "spot" && quote[0] >= '0' && quote[0] <= '9':
		return v.instrument(native, "", "")
	}
	return v.instrument(base+quote, base, quote)
}

// instrument names an instrument: by base and quote where its own name is made of them, with what is behind the base for a
// contract of another name, and as Bybit does otherwise.
func (v *Venue) instrument(native, base, quote string) (venue.Instrument, error) {
	name := native
	if rest, ok := strings.CutPrefix(native, base); ok && base != "" && (rest == quote || rest == "PERP") {
		name = base + "-" + rest
	}
	s, err := market.NewSymbol(v.name, name)
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
	return newSession(kinds, v.tickers, instruments)
}

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return (*listing)(v) }

// History implements venue.Venue.
func (v *Venue) History() venue.History { return (*history)(v) }
