// Package coinbase is the protocol of Coinbase Exchange's public market data: WebSocket channels matches, ticker and heartbeat, and
// the history of trades over REST (docs.cdp.coinbase.com/exchange). It needs no key. The trades of a product are numbered
// without a hole, and once a second the venue says how far it has come, so that a loss is seen even when nothing trades.
package coinbase

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Where the venue is.
const (
	defaultURL  = "wss://ws-feed.exchange.coinbase.com"
	defaultREST = "https://api.exchange.coinbase.com"
	sandboxURL  = "wss://ws-feed-public.sandbox.exchange.coinbase.com"
	sandboxREST = "https://api-public.sandbox.exchange.coinbase.com"
)

// Options say where the venue is and what its symbols are called.
type Options struct {
	Venue string // first part of the symbols; "" is COINBASE
	URL   string // of the stream: ws:// or wss://; "" is the public one
	REST  string // of the REST API: http:// or https://; "" belongs to URL: the same host unless it is one of the venue's own
}

// Venue is Coinbase Exchange.
type Venue struct{ name, url, rest string }

var _ venue.Venue = (*Venue)(nil)

// New returns the venue, or what is wrong with the options.
func New(o Options) (*Venue, error) {
	v := &Venue{name: o.Venue, url: o.URL, rest: strings.TrimSuffix(o.REST, "/")}
	if v.name == "" {
		v.name = "COINBASE"
	}
	if v.url == "" {
		v.url = defaultURL
	}
	u, err := url.Parse(v.url)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, fmt.Errorf("url=%s: want ws://… or wss://…", o.URL)
	}
	if v.rest == "" {
		switch v.url {
		case defaultURL:
			v.rest = defaultREST
		case sandboxURL:
			v.rest = sandboxREST
		default:
			v.rest = strings.Replace(u.Scheme, "ws", "http", 1) + "://" + u.Host
		}
	}
	if r, err := url.Parse(v.rest); err != nil || r.Host == "" || r.Scheme != "http" && r.Scheme != "https" {
		return nil, fmt.Errorf("rest=%s: want http://… or https://…", o.REST)
	}
	return v, nil
}

// Traits implements venue.Venue. Each product has a heartbeat a second. Eight connections a second and ten messages a second are
// allowed, and ten REST requests a second of one address, which other programs may share.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name: "coinbase", Heartbeat: 4 * time.Second, Ping: 20 * time.Second, Pace: 150 * time.Millisecond, Symbols: 200, Dial: 250 * time.Millisecond,
		Ack: 10 * time.Second, REST: 160 * time.Millisecond, Consecutive: true, Reorder: 250 * time.Millisecond,
	}
}

// Endpoint implements venue.Venue.
func (v *Venue) Endpoint(venue.Kinds) (string, http.Header) { return v.url, nil }

// Name implements venue.Venue: "BTC-USD", "btc/usd".
func (v *Venue) Name(name string) (venue.Instrument, error) {
	native := strings.ToUpper(strings.NewReplacer("/", "-", "_", "-").Replace(name))
	base, quote, ok := strings.Cut(native, "-")
	if !ok || base == "" || quote == "" {
		return venue.Instrument{}, fmt.Errorf("%q: want a product such as BTC-USD", name)
	}
	symbol, err := market.NewSymbol(v.name, native)
	if err != nil {
		return venue.Instrument{}, err
	}
	return venue.Instrument{Native: native, Symbol: symbol}, nil
}

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return listing{v} }

// History implements venue.Venue.
func (v *Venue) History() venue.History { return history{v} }

type listing struct{ v *Venue }

// First implements venue.Listing: one answer holds all products, some hundred.
func (l listing) First([]string) *venue.Request { return &venue.Request{URL: l.v.rest + "/products"} }

// Page implements venue.Listing.
func (l listing) Page(_ *venue.Request, got *venue.Reply, dst []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	if err := check(got); err != nil {
		return dst, nil, err
	}
	var products []struct {
		ID       string         `json:"id"`
		Tick     market.Decimal `json:"quote_increment"`
		Lot      market.Decimal `json:"base_increment"`
		Status   string         `json:"status"`
		Disabled bool           `json:"trading_disabled"`
	}
	if err := json.Unmarshal(got.Body, &products); err != nil {
		return dst, nil, fmt.Errorf("read the products: %w", err)
	}
	for _, p := range products {
		i, err := l.v.Name(p.ID)
		if err != nil {
			continue // Nothing that has a symbol.
		}
		i.Native, i.Tick, i.Lot, i.Resting = p.ID, p.Tick, p.Lot, p.Disabled || p.Status != "" && p.Status != "online"
		dst = append(dst, i)
	}
	return dst, nil, nil
}

// check returns what an answer says instead of what was asked for.
func check(got *venue.Reply) error {
	if got.Status == http.StatusOK {
		return nil
	}
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(got.Body, &said) // an error page of a proxy says nothing
	err := fmt.Errorf("HTTP %d %s", got.Status, said.Message)
	switch {
	case got.Status == http.StatusTooManyRequests:
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, time.Second)}
	case got.Status >= 500:
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, 2*time.Second)}
	}
	return err
}
