// Package binance speaks the protocol of Binance's spot market, and that of binance.us, which is the same: streams of single
// trades or aggregated ones and of the best bid and offer, subscribed by message; the list of instruments; past trades by their
// numbers.
package binance

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Options configure a Venue.
type Options struct {
	Venue string // first part of the symbols; "" is BINANCE
	URL   string // WebSocket address; "" is Binance's own for market data. One without a path gets /ws
	REST  string // address of the REST API; "" is the one that belongs to URL
	Key   string // API key for past trades, which binance.us asks for; "" for none

	// Aggregated asks for aggregated trades: what one order took at one price is one trade. They are numbered apart from single
	// trades, so that a feed stays with what it began with.
	Aggregated bool
}

// Venue is Binance's protocol.
type Venue struct {
	name       string
	stream     string
	rest       string
	key        string
	aggregated bool
	weight     uint64 // of requests in a minute, after which there is a pause
}

var _ venue.Venue = (*Venue)(nil)

// The addresses that serve market data without an account.
const (
	defaultStream = "wss://data-stream.binance.vision/ws"
	defaultREST   = "https://data-api.binance.vision"
)

// New returns the protocol for the options.
func New(o Options) (*Venue, error) {
	v := &Venue{name: o.Venue, rest: strings.TrimRight(o.REST, "/"), key: o.Key, aggregated: o.Aggregated}
	if v.name == "" {
		v.name = "BINANCE"
	}
	if o.URL == "" {
		o.URL = defaultStream
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, errors.New("url= is not the address of a WebSocket, such as wss://stream.binance.us:9443")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/ws"
	}
	host := u.Hostname()
	if q := u.Query(); (of(host, "binance.com") || of(host, "binance.vision")) && !q.Has("timeUnit") {
		q.Set("timeUnit", "MICROSECOND")
		u.RawQuery = q.Encode()
	}
	v.stream = u.String()
	v.weight = 4800 // of 6,000
	if of(host, "binance.us") {
		v.weight = 960 // of 1,200
	}
	if v.rest == "" {
		v.rest = restOf(u)
	}
	if r, err := url.Parse(v.rest); err != nil || r.Host == "" || r.Scheme != "http" && r.Scheme != "https" {
		return nil, errors.New("rest= is not an address, such as https://api.binance.us")
	}
	return v, nil
}

// restOf returns the REST address that belongs to a stream's.
func restOf(u *url.URL) string {
	switch host := u.Hostname(); {
	case host == "stream.testnet.binance.vision":
		return "https://testnet.binance.vision"
	case of(host, "binance.vision"):
		return defaultREST
	case of(host, "binance.com"):
		return "https://api.binance.com"
	case of(host, "binance.us"):
		return "https://api.binance.us"
	}
	return "http" + strings.TrimPrefix(u.Scheme, "ws") + "://" + u.Host
}

func of(host, domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }

// Limits of the venue: 1,024 streams a connection, 5 messages a second (pongs included), 300 attempts to connect in 5 minutes,
// 6,000 units of REST weight a minute of which a page of trades takes 25.
const (
	symbolsPerLine    = 500 // with two streams each
	symbolsPerMessage = 100 // at most 200 streams
)

// Traits implements venue.Venue.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name:        "binance",
		Heartbeat:   5 * time.Second, // what our own pings bring: the venue's come every 20 s only
		Ping:        5 * time.Second,
		Pace:        250 * time.Millisecond,
		Symbols:     symbolsPerLine,
		Dial:        2 * time.Second,
		Lifetime:    24 * time.Hour,
		Ack:         10 * time.Second,
		REST:        500 * time.Millisecond,
		Consecutive: true,
		Reorder:     250 * time.Millisecond,
	}
}

// Endpoint implements venue.Venue. Both kinds come over the same address.
func (v *Venue) Endpoint(venue.Kinds) (address string, header http.Header) { return v.stream, nil }

// Name implements venue.Venue. "BTC-USDT" and "BTC/USDT" are clear; where BTCUSDT is to be split only the listing tells.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	base, quote, ok := split(name)
	if !ok {
		if native := strings.ToUpper(name); isNative(native) {
			return venue.Instrument{}, fmt.Errorf("%.40q: %w; write base and quote apart, as in BTC-USDT", name, venue.ErrListing)
		}
		return venue.Instrument{}, fmt.Errorf("%.40q is no pair, as BTC-USDT is", name)
	}
	return v.instrument(base+quote, base, quote)
}

// instrument names a pair. A pair whose assets no symbol can spell (Binance lists some in Chinese) is an error.
func (v *Venue) instrument(native, base, quote string) (venue.Instrument, error) {
	s, err := market.NewSymbol(v.name, base+"-"+quote)
	if err != nil {
		return venue.Instrument{}, err
	}
	return venue.Instrument{Native: native, Symbol: s}, nil
}

// split takes "btc-usdt" or "BTC/USDT" apart, in upper case.
func split(name string) (base, quote string, ok bool) {
	i := strings.IndexAny(name, "-/_")
	if i < 0 {
		return "", "", false
	}
	base, quote = strings.ToUpper(name[:i]), strings.ToUpper(name[i+1:])
	return base, quote, isNative(base) && isNative(quote)
}

// isNative reports whether s may stand in a name of the venue's: upper-case letters and digits.
func isNative(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= market.MaxSymbol
}

// Session implements venue.Venue.
func (v *Venue) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	return newSession(kinds, v.aggregated, instruments)
}

// Listing implements venue.Venue.
func (v *Venue) Listing() venue.Listing { return (*listing)(v) }

// History implements venue.Venue.
func (v *Venue) History() venue.History { return (*history)(v) }

// get returns a request of the REST API. Times are asked for in microseconds, which an API that does not know the header answers
// in milliseconds.
func (v *Venue) get(path string, query url.Values, cursor any) *venue.Request {
	h := http.Header{"X-Mbx-Time-Unit": {"MICROSECOND"}}
	if v.key != "" {
		h.Set("X-Mbx-Apikey", v.key)
	}
	address := v.rest + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return &venue.Request{URL: address, Header: h, Cursor: cursor}
}

// hold returns how long to wait before the next request: the venue says how much of the minute's weight is used, by all who share
// our address.
func (v *Venue) hold(got *venue.Reply) time.Duration {
	used, err := strconv.ParseUint(got.Header.Get("X-Mbx-Used-Weight-1m"), 10, 64)
	if err != nil || used < v.weight {
		return 0
	}
	return 15 * time.Second // The count begins anew at the full minute.
}

// check returns the error that an answer of the REST API is, nil when it is none. A body of an error is
// {"code":-1121,"msg":"Invalid symbol."}.
func check(got *venue.Reply) error {
	if got.Status == http.StatusOK {
		return nil
	}
	code, text := problem(got.Body)
	err := fmt.Errorf("status %d: %s (code %s)", got.Status, text, code)
	switch got.Status {
	case http.StatusTooManyRequests:
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, 10*time.Second)}
	case http.StatusTeapot: // banned for going on after 429
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, 2*time.Minute)}
	case http.StatusForbidden: // the firewall's limit
		return &venue.RetryError{Err: err, After: venue.RetryAfter(got.Header, 5*time.Minute)}
	case http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%w: not served to this place; give url= another host, such as wss://stream.binance.us:9443: %w", venue.ErrRefused, err)
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: key= is wanted, or is wrong: %w", venue.ErrRefused, err)
	case http.StatusBadRequest, http.StatusNotFound:
		return fmt.Errorf("%w: %w", venue.ErrRefused, err)
	}
	return err
}

// problem reads the body of an error.
func problem(body []byte) (code, text string) {
	code, text = "none", "no reason given"
	var s venue.Scanner
	s.Reset(body)
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return code, text
		}
		switch v := s.Value(); string(key) {
		case "code":
			code = venue.Clip(v.Text())
		case "msg":
			text = venue.Clip(v.Text())
		}
	}
}

// unix reads a time that may be in milliseconds, as by default, or in microseconds.
func unix(v venue.Value) (market.Time, bool) {
	n, ok := v.Uint()
	switch {
	case !ok:
		return 0, false
	case n < 1e14: // until the year 5138
		return market.Time(n) * venue.Milliseconds, true
	case n < 9e15:
		return market.Time(n) * venue.Microseconds, true
	}
	return 0, false
}

// earliest is before any time that the venue can mean, which was founded in 2017.
const earliest = 1_262_304_000 * market.Second // 2010

// stamp gives e its time, or that of its arrival when the venue sent none that can be.
func stamp(e *market.Entry, at venue.Value) {
	t, ok := unix(at)
	if !ok || t < earliest {
		t = e.Received
		e.Flags |= market.FlagNoEventTime
	}
	e.Event = t
}
