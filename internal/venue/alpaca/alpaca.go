// Package alpaca speaks Alpaca's market data protocol: the streams for stocks (v2/iex, v2/sip, v2/delayed_sip, v1beta1/boats,
// v1beta1/overnight, v2/test) and for crypto (v1beta3/crypto/us), in JSON or MessagePack, and the REST API of past trades.
//
// What it leaves as the venue has it: sizes of stock quotes are in round lots, condition codes are letters of the consolidated
// tapes, and the numbers of trades are unique within an exchange, a tape and a day only. Trades that the venue cancels or corrects
// afterwards stay on the tape as they were told: there is no kind of entry for it yet. Each is counted, and a gap of no length
// at its time says in words what the venue changed.
//
// The protocol is described at https://docs.alpaca.markets/docs/streaming-market-data and …/docs/historical-api.
package alpaca

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

// Options say which of Alpaca's streams is meant, and who asks.
type Options struct {
	Venue string // first part of the symbols; "" is ALPACA
	Feed  string // iex, sip, delayed_sip, boats, overnight, test or crypto; "" is iex

	// URL and REST are other addresses than Alpaca's own, such as ws://127.0.0.1:8080. Without a path, the stream's is added. An
	// empty REST is the same host as URL.
	URL, REST string

	Key, Secret string // required
	Header      bool   // tell the key in the header of the handshake, not in a message
	Packed      bool   // MessagePack instead of JSON
}

const (
	streamHost = "wss://stream.data.alpaca.markets"
	restHost   = "https://data.alpaca.markets"
)

// path returns the path of a stream, "" when there is none of the name.
func path(feed string) string {
	switch feed {
	case "iex", "sip", "delayed_sip", "test":
		return "/v2/" + feed
	case "boats", "overnight":
		return "/v1beta1/" + feed
	case "crypto":
		return "/v1beta3/crypto/us"
	}
	return ""
}

// Venue is one of Alpaca's streams.
type Venue struct {
	o    Options
	url  string
	rest string
}

var _ venue.Venue = (*Venue)(nil)

// New returns the stream that the options name, or says what is wrong with them. Errors tell no secrets.
func New(o Options) (*Venue, error) {
	if o.Venue == "" {
		o.Venue = "ALPACA"
	}
	if o.Feed == "" {
		o.Feed = "iex"
	}
	if path(o.Feed) == "" {
		return nil, fmt.Errorf("feed=%.40s: Alpaca has iex, sip, delayed_sip, boats, overnight, crypto and test", o.Feed)
	}
	if o.Key == "" || o.Secret == "" {
		return nil, errors.New("no key: set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or say key=env:NAME&secret=env:NAME")
	}
	v := &Venue{o: o, url: streamHost + path(o.Feed), rest: restHost}
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
			return nil, errors.New("url=: want an address such as wss://stream.data.alpaca.markets")
		}
		v.rest = strings.Replace(u.Scheme, "ws", "http", 1) + "://" + u.Host
		if u.Path == "" || u.Path == "/" {
			u.Path = path(o.Feed)
		}
		v.url = u.String()
	}
	if o.REST != "" {
		u, err := url.Parse(o.REST)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("rest=: want an address such as https://data.alpaca.markets")
		}
		v.rest = strings.TrimSuffix(o.REST, "/")
	}
	return v, nil
}

// Traits implements venue.Venue. The venue answers pings, allows one connection an account, and 200 requests a minute to the
// smallest plan.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name:      "alpaca",
		Heartbeat: 6 * time.Second,
		Ping:      5 * time.Second,
		Pace:      50 * time.Millisecond,
		Lines:     1,
		Dial:      2 * time.Second,
		Ack:       10 * time.Second,
		REST:      300 * time.Millisecond,
	}
}

// Endpoint implements venue.Venue.
func (v *Venue) Endpoint(venue.Kinds) (string, http.Header) {
	h := make(http.Header)
	if v.o.Header {
		v.sign(h)
	}
	if v.o.Packed {
		h.Set("Content-Type", "application/msgpack")
	}
	return v.url, h
}

func (v *Venue) sign(h http.Header) {
	h.Set("APCA-API-KEY-ID", v.o.Key)
	h.Set("APCA-API-SECRET-KEY", v.o.Secret)
}

// mask takes our secrets out of what the venue said.
func (v *Venue) mask(said string) string { return venue.Mask(said, v.o.Secret, v.o.Key) }

// Name implements venue.Venue. Stocks are named as the tapes do (BRK.B), pairs as BTC/USD or BTC-USD.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	name = strings.ToUpper(name)
	i := venue.Instrument{Native: name}
	switch v.o.Feed {
	case "test":
		if name != "FAKEPACA" {
			return i, fmt.Errorf("%.40q: the test stream carries FAKEPACA only", name)
		}
	case "crypto":
		base, quote, ok := strings.Cut(strings.Replace(name, "/", "-", 1), "-")
		if !ok || !plain(base, "") || !plain(quote, "") {
			return i, fmt.Errorf("%.40q is not a pair: write BTC-USD or BTC/USD", name)
		}
		i.Native = base + "/" + quote
		name = base + "-" + quote
	default:
		if !plain(name, ".") {
			return i, fmt.Errorf("%.40q is not the name of a US stock, such as AAPL or BRK.B", name)
		}
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

// Listing implements venue.Venue. The list of assets belongs to another API, that of trading, which not every key may ask.
func (v *Venue) Listing() venue.Listing { return venue.Unlisted{} }

// History implements venue.Venue. The test stream has none.
func (v *Venue) History() venue.History {
	if v.o.Feed == "test" {
		return nil
	}
	return history{v}
}
