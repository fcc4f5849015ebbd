// Package venuetest is a market that lives in a test: a server on real sockets that speaks a venue's protocol, makes numbered
// trades and quotes, keeps the truth about them for its REST side, and fails in every way that venues were seen to fail.
//
//	s := venuetest.Start(t, venuetest.Coinbase(), venuetest.Options{})
//	… a client is pointed at s.URL() and s.REST() …
//	s.Trade("BTC-USD")
//	s.Inject(venuetest.Cut, rng)
package venuetest

import (
	"net/http"
	"time"
)

// Profile is how a venue's server speaks. Functions that are nil have nothing to do. They are called by several goroutines, those
// of one connection one after the other; what is to be remembered of a connection is kept in Conn.State.
type Profile struct {
	Name string

	// Opened is called when a connection is up: greetings, and subscriptions that are part of the address.
	Opened func(c *Conn)

	// Message is called with each message of a client.
	Message func(c *Conn, msg []byte)

	// Beat is called for each connection every Options.Beat: heartbeats.
	Beat func(c *Conn)

	// Trade and Quote encode a tick for a connection that subscribed to its symbol.
	Trade func(c *Conn, t *Trade) []byte
	Quote func(c *Conn, q *Quote) []byte

	// REST answers whatever is not a WebSocket handshake: the listing, and the truth about trades.
	REST func(s *Server, w http.ResponseWriter, r *http.Request)

	// Unknown encodes a message of a type that nobody knows, with so many bytes of ballast.
	Unknown func(ballast int) []byte

	// Broken encodes a trade that cannot be used: a price of NaN.
	Broken func(t *Trade) []byte

	// Notice encodes the announcement that this connection will be closed. Nil: the venue makes none.
	Notice func(c *Conn) []byte
}

// Trade is a trade that happened. Its numbers follow each other for each symbol.
type Trade struct {
	Symbol      string // as the venue's stream names it
	ID          uint64
	Price, Size string
	Buy         bool // the taker bought
	Time        time.Time
}

// Quote is a best bid and offer.
type Quote struct {
	Symbol                     string
	ID                         uint64
	Bid, BidSize, Ask, AskSize string
	Time                       time.Time
}

// Options of a Server.
type Options struct {
	Beat  time.Duration // between two heartbeats; 0 is 50 ms
	First uint64        // number of the first trade of each symbol; 0 is 1,000,001
	Skew  time.Duration // the venue's clock is ahead by this
	Grace time.Duration // from a Notice to the end of the connection; 0 is 200 ms
}

func (o Options) withDefaults() Options {
	if o.Beat == 0 {
		o.Beat = 50 * time.Millisecond
	}
	if o.First == 0 {
		o.First = 1_000_001
	}
	if o.Grace == 0 {
		o.Grace = 200 * time.Millisecond
	}
	return o
}
