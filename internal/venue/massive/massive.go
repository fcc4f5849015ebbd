// Package massive speaks the market data protocol of Massive (formerly Polygon.io): its streams for stocks, options, crypto and
// forex, and its REST API of past trades.
//
// What it leaves as the venue has it: condition codes and exchanges are the numbers of the venue's glossary; an exchange whose
// trades were reported by a trade reporting facility is written with it, as "4/201", because numbers of trades are unique within
// both only. Trades of options have no number: the number of the message stands in for it.
//
// The protocol is described at https://massive.com/docs/websocket and https://massive.com/docs/rest.
package massive

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

// Options say which of the venue's streams is meant, and who asks.
type Options struct {
	Venue   string // first part of the symbols; "" is MASSIVE
	Feed    string // stocks, options, crypto or forex; "" is stocks
	Delayed bool   // the stream that is 15 minutes late

	// URL and REST are other addresses than the venue's own, such as ws://127.0.0.1:8080. Without a path, the stream's is added. An
	// empty REST is the same host as URL.
	URL, REST string

	Key string // required
}

const (
	streamHost  = "wss://socket.massive.com"
	delayedHost = "wss://delayed.massive.com"
	restHost    = "https://api.massive.com"
)

// Venue is one of Massive's streams.
type Venue struct {
	o    Options
	url  string
	rest string
}

var _ venue.Venue = (*Venue)(nil)

// New returns the stream that the options name, or says what is wrong with them. Errors tell no secrets.
func New(o Options) (*Venue, error) {
	if o.Venue == "" {
		o.Venue = "MASSIVE"
	}
	if o.Feed == "" {
		o.Feed = "stocks"
	}
	switch o.Feed {
	case "stocks", "options", "crypto", "forex":
	default:
		return nil, fmt.Errorf("feed=%.40s: Tapedeck knows stocks, options, crypto and forex", o.Feed)
	}
	if o.Key == "" {
		return nil, errors.New("no key: set MASSIVE_API_KEY, or say key=env:NAME")
	}
	v := &Venue{o: o, url: streamHost + "/" + o.Feed, rest: restHost}
	if o.Delayed {
		v.url = delayedHost + "/" + o.Feed
	}
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
			return nil, errors.New("url=: want an address such as wss://socket.massive.com")
		}
		v.rest = strings.Replace(u.Scheme, "ws", "http", 1) + "://" + u.Host
		if u.Path == "" || u.Path == "/" {
			u.Path = "/" + o.Feed
		}
		v.url = u.String()
	}
	if o.REST != "" {
		u, err := url.Parse(o.REST)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("rest=: want an address such as https://api.massive.com")
		}
		v.rest = strings.TrimSuffix(o.REST, "/")
	}
	return v, nil
}

// Traits implements venue.Venue. A key has one connection to each stream; plans that have streams have no limit of requests.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name:      "massive",
		Heartbeat: 6 * time.Second,
		Ping:      5 * time.Second,
		Pace:      50 * time.Millisecond,
		Lines:     1,
		Dial:      2 * time.Second,
		Ack:       10 * time.Second,
		REST:      100 * time.Millisecond,
	}
}

// Endpoint implements venue.Venue.
func (v *Venue) Endpoint(venue.Kinds) (string, http.Header) { return v.url, make(http.Header) }

// Name implements venue.Venue: AAPL or BRK.B of stocks, O:SPY251219C00650000 of options, BTC-USD of crypto and EUR-USD of forex, where a
// slash or the prefix X: or C: of the REST API does as well.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	name = strings.ToUpper(name)
	i := venue.Instrument{Native: name}
	ok := true
	switch v.o.Feed {
	case "stocks":
		ok = plain(name, ".")
	case "options":
		rest, is := strings.CutPrefix(name, "O:")
		ok = is && len(rest) > 15 && plain(rest, "")
	case "crypto", "forex":
		prefix := map[string]string{"crypto": "X:", "forex": "C:"}[v.o.Feed]
		base, quote, is := strings.Cut(strings.Replace(strings.TrimPrefix(name, prefix), "/", "-", 1), "-")
		ok = is && plain(base, "") && plain(quote, "")
		name = base + "-" + quote
		i.Native, i.REST = name, prefix+name
		if v.o.Feed == "forex" {
			i.Native = base + "/" + quote
		}
	}
	if !ok {
		return i, fmt.Errorf("%.60q is no name of %s at the venue, such as %s", name, v.o.Feed, map[string]string{
			"stocks": "AAPL or BRK.B", "options": "O:SPY251219C00650000", "crypto": "BTC-USD", "forex": "EUR-USD",
		}[v.o.Feed])
	}
	var err error
	i.Symbol, err = market.NewSymbol(v.o.Venue, name)
	return i, err
}

// plain reports whether a name consists of capital letters, digits and the bytes of more.
func plain(name, more string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return name != ""
}

// History implements venue.Venue. Forex has no trades.
func (v *Venue) History() venue.History {
	if v.o.Feed == "forex" {
		return nil
	}
	return history{v}
}

func (v *Venue) header() http.Header {
	return http.Header{"Authorization": {"Bearer " + v.o.Key}}
}
