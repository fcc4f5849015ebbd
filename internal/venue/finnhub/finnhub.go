// Package finnhub speaks Finnhub's stream of trades (wss://ws.finnhub.io).
//
// The venue sends trades without numbers, names, sides or exchanges, and identical ones follow each other in one message: none is
// taken for a repeat of another. It acknowledges nothing and has no past trades to give, so whatever was missed stays a gap. It
// sends no quotes. Which venues its US stock trades come from is not said: they are not the consolidated tape.
//
// The protocol is described at https://finnhub.io/docs/api/websocket-trades.
package finnhub

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

// Options say who asks.
type Options struct {
	Venue string // first part of the symbols; "" is FINNHUB
	URL   string // another address than Finnhub's own
	Token string // required
}

const host = "wss://ws.finnhub.io"

// Venue is Finnhub's stream.
type Venue struct {
	o   Options
	url string
}

var _ venue.Venue = (*Venue)(nil)

// New returns the stream, or says what is wrong with the options. Errors tell no secrets.
func New(o Options) (*Venue, error) {
	if o.Venue == "" {
		o.Venue = "FINNHUB"
	}
	if o.Token == "" {
		return nil, errors.New("no key: set FINNHUB_API_KEY, or say key=env:NAME")
	}
	if o.URL == "" {
		o.URL = host
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, errors.New("url=: want an address such as wss://ws.finnhub.io")
	}
	q := u.Query()
	q.Set("token", o.Token)
	u.RawQuery = q.Encode()
	return &Venue{o: o, url: u.String()}, nil
}

// Traits implements venue.Venue. A key has one connection; messages go one symbol at a time, and 30 requests a second are the limit
// of all plans.
func (v *Venue) Traits() venue.Traits {
	return venue.Traits{
		Name:      "finnhub",
		Heartbeat: 6 * time.Second,
		Ping:      5 * time.Second,
		Pace:      50 * time.Millisecond,
		Lines:     1,
		Dial:      2 * time.Second,
		NoNumbers: true,
	}
}

// Endpoint implements venue.Venue. The venue wants its key in the query.
func (v *Venue) Endpoint(venue.Kinds) (string, http.Header) { return v.url, make(http.Header) }

// Name implements venue.Venue: AAPL, BINANCE:BTCUSDT, OANDA:EUR_USD, IC MARKETS:1. The tape's name is the venue's, in which bytes that
// a symbol cannot have are written as $ and two hexadecimal digits: FINNHUB:BINANCE:BTCUSDT, FINNHUB:IC$20MARKETS:1. Names that are
// written in that way are understood.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	native, err := decode(strings.ToUpper(name))
	if err != nil {
		return venue.Instrument{}, err
	}
	i := venue.Instrument{Native: native}
	i.Symbol, err = market.NewSymbol(v.o.Venue, encode(native))
	return i, err
}

// encode writes a name of the venue's with the bytes that a symbol may have.
func encode(native string) string {
	var b strings.Builder
	for i := range len(native) {
		c := native[i]
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._:/-^=!&+@", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "$%02X", c)
		}
	}
	return b.String()
}

// decode undoes encode.
func decode(name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '$' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", fmt.Errorf("%.60q ends in the middle of $ and two hexadecimal digits", name)
		}
		high, low := strings.IndexByte(digits, name[i+1]), strings.IndexByte(digits, name[i+2])
		if high < 0 || low < 0 {
			return "", fmt.Errorf("%.60q: a $ wants two hexadecimal digits", name)
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), nil
}

const digits = "0123456789ABCDEF"

// Listing implements venue.Venue. The lists are of whole countries and exchanges, and nothing tells which of their symbols a plan
// covers.
func (v *Venue) Listing() venue.Listing { return venue.Unlisted{} }

// History implements venue.Venue: there is none.
func (v *Venue) History() venue.History { return nil }
