// Package venue says what a line to a market asks of the market's protocol. Each folder below it holds all that is particular
// to one venue, as pure functions of bytes: what to send, what an answer means, how its history is asked for. Nothing here
// dials, waits, or looks at a clock; internal/feed/line does, for all venues alike.
package venue

import (
	"net/http"
	"time"

	"tapedeck/internal/market"
)

// Kinds are the ticks that a feed asks its venue for.
type Kinds uint8

// The kinds of ticks.
const (
	Trades Kinds = 1 << iota
	Quotes
)

// Instrument is what a venue trades, under its names there and here.
type Instrument struct {
	Native  string         // as the venue's stream names it: "BTC/USD", "BTCUSDT"
	REST    string         // as its REST API names it, where that differs; "" is Native
	Symbol  market.Symbol  // as the tape names it: "KRAKEN:BTC-USD"
	Tick    market.Decimal // smallest step of the price; zero when the venue does not say
	Lot     market.Decimal // smallest step of the size; zero when the venue does not say
	Resting bool           // listed, but not traded now
}

// Traits are the facts of a venue that the line keeps to.
type Traits struct {
	Name string // as in its feed URL: "coinbase"

	// Heartbeat is how long a line on which all is well is silent at most, with Ping sent or without. A line that was silent for
	// twice as long is dead.
	Heartbeat time.Duration

	Ping     time.Duration // between two WebSocket pings of ours; 0: none
	Pace     time.Duration // between two messages to the venue on one connection
	Symbols  int           // at most so many symbols a connection; 0: any number
	Lines    int           // at most so many connections at once; 0: any number
	Dial     time.Duration // between two attempts to connect, over all connections of the feed
	Lifetime time.Duration // the venue ends each connection at this age: another is up before; 0: never
	Ack      time.Duration // an instrument that was asked for and is not acknowledged by then was not taken; 0: the venue does not acknowledge
	REST     time.Duration // between two requests of history, over all instruments

	// Consecutive says that the numbers of an instrument's trades follow each other without a hole, so that a hole is seen.
	Consecutive bool

	// Reorder is how long a trade may be late behind one with a higher number before the hole counts as one.
	Reorder time.Duration

	// NoNumbers says that trades have neither number nor name: after a reconnect only their times tell what was there before.
	NoNumbers bool

	// Open says that the venue sends what it likes: there may be no instruments at all, and the entries of a symbol that was
	// not asked for are taken.
	Open bool
}

// Venue is one market's protocol. Its methods may be called at once.
type Venue interface {
	Traits() Traits

	// Endpoint returns the WebSocket address of a line that carries the kinds, and the header of its handshake. The secret
	// parts of either never appear in an error or a log.
	Endpoint(kinds Kinds) (url string, header http.Header)

	// Session begins the protocol on a new connection that is to carry the instruments.
	Session(kinds Kinds, instruments []Instrument) Session

	// Listing returns the requests that list the venue's instruments, and reads an answer to one. A venue that can't be asked
	// returns no first request; its instruments are then those of Name.
	Listing() Listing

	// Name returns the instrument that a user means by a name such as "BTC-USD", as far as the name alone can tell.
	Name(name string) (Instrument, error)

	// History asks for past trades, nil when the venue has none to give.
	History() History
}

// Session is the protocol on one connection: it turns what the venue sent into entries, and says what to send. One goroutine
// calls it. It keeps nothing of the bytes it is given.
type Session interface {
	// Opened is called once, when the connection is up.
	Opened(out *Output) error

	// Message reads one message. An error ends the connection; one that is wraps ErrRefused rests the feed. What can be left
	// out without harm is counted in out and no error.
	Message(msg []byte, received market.Time, out *Output) error

	// Second is called about once a second: keep-alive messages of the protocol's own belong here.
	Second(now market.Time, out *Output) error

	// Subscribe and Unsubscribe change what the connection carries.
	Subscribe(instruments []Instrument, out *Output) error
	Unsubscribe(instruments []Instrument, out *Output) error
}

// Output is what a session has to say. The line empties it between two calls, and its slices are used again.
type Output struct {
	Entries []market.Entry // trades, quotes, gaps and statuses in the order in which the venue sent them
	Send    [][]byte       // messages to be sent as text, in this order, at the venue's pace

	Taken   []market.Symbol // subscriptions that the venue acknowledged
	Refused []Refusal       // subscriptions that it will not serve
	Marks   []Mark          // how far the venue says it has come
	Ready   bool            // logged in: what Opened could not send before may follow

	// Drain is set when the venue announced the end of this connection: another is up before it is closed.
	Drain string

	// Lost is set when messages of this connection were lost, as its own numbers show: everything that it carries is looked at
	// again.
	Lost string

	Unusable map[string]int // messages and items that could not be used, by a reason in snake_case
}

// Refusal is a subscription that the venue will not serve.
type Refusal struct {
	Symbol market.Symbol
	Reason string // in the venue's words
}

// Mark says that the trade with this number exists.
type Mark struct {
	Symbol market.Symbol
	ID     uint64
}

// Unused counts a message or an item that could not be used.
func (o *Output) Unused(reason string) {
	if o.Unusable == nil {
		o.Unusable = make(map[string]int)
	}
	o.Unusable[reason]++
}

// Reset empties the output.
func (o *Output) Reset() {
	clear(o.Unusable)
	*o = Output{
		Entries: o.Entries[:0], Send: o.Send[:0], Taken: o.Taken[:0], Refused: o.Refused[:0], Marks: o.Marks[:0], Unusable: o.Unusable,
	}
}

// Request is a GET of the venue's REST API.
type Request struct {
	URL    string
	Header http.Header
	Cursor any // of the protocol's own, for the page that follows

	// Hold is how long nothing is to be asked of the venue before this: it says that its limit is near. Usually 0.
	Hold time.Duration
}

// Reply is the answer to a Request.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Listing asks for a venue's instruments.
type Listing interface {
	// First returns the first request, nil when the venue can't be asked.
	First(names []string) *Request

	// Page reads an answer, appends to dst, and returns the next request, nil when there is no more.
	Page(asked *Request, got *Reply, dst []Instrument) ([]Instrument, *Request, error)
}

// Hole is a stretch of an instrument's trades that did not arrive.
type Hole struct {
	Instrument Instrument
	After      market.Entry // the last trade before it; of Kind 0 when none is known
	Before     market.Entry // the first trade after it; of Kind 0 when none is known: up to now
	Now        market.Time
}

// History asks for the trades of a hole, page by page.
type History interface {
	First(h *Hole) *Request

	// Page reads an answer and appends its trades to dst in any order, those outside of the hole included. It returns the next
	// request, nil when the hole is covered. Complete says, with the last page, whether the venue gave all there was.
	Page(h *Hole, asked *Request, got *Reply, dst []market.Entry) (entries []market.Entry, next *Request, complete bool, err error)
}
