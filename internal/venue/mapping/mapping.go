// Package mapping reads ticks out of any JSON: a user says, in the parameters of a feed's URL or in a small YAML file, where in a
// message the value, its time and its symbol stand. Sensors, scores and private price feeds come in by it without a line of Go.
//
// A mapping is a list of rules, most often of one. A rule is tried on every message; what does not fit is left out and counted
// under a reason, and nothing that a source sends can end its feed. Paths are those of tidwall/gjson; numbers are taken from
// the text as it was sent, so that 21.50 stays 21.50.
package mapping

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	"tapedeck/internal/market"
)

// Reasons under which items that can't be used are counted.
const (
	ReasonNotJSON  = "not_json"         // the message is not JSON, or nested deeper than maxDepth
	ReasonNoItems  = "no_items"         // there is nothing at the path of the items
	ReasonNoValue  = "no_value"         // neither a price nor both sides of a quote
	ReasonBadValue = "bad_value"        // a price, a bid or an ask that is no exact decimal
	ReasonBadSize  = "bad_size"         // a size that is no exact decimal, or negative
	ReasonBadTime  = "bad_time"         // a time that can't be read
	ReasonBadID    = "bad_id"           // an id that is no text or number, or too long
	ReasonSymbol   = "bad_symbol"       // no symbol, one that is too long, or no text or number
	ReasonOther    = "other_symbol"     // a symbol that the feed does not carry
	ReasonTooMany  = "too_many_symbols" // more symbols than maxSymbols
)

// Bounds of what a source can make us keep.
const (
	maxDepth   = 128    // of JSON; gjson walks it by recursion
	maxSymbols = 10_000 // of one feed
	maxID      = 128    // bytes of an id
)

// Mapping is a source and the way to read it. It may be shared.
type Mapping struct {
	Stream Stream
	Poll   Poll

	// URL is the address of the source, and Header what is sent along. Secret says that either holds a secret.
	URL    *url.URL
	Header http.Header
	Secret bool

	// Symbols are the source's own names of what the feed carries; none is: whatever comes.
	Symbols []string

	secrets []string // that no message must repeat
	rules   []rule
	names   *names
}

// Stream is what is particular to a WebSocket source.
type Stream struct {
	Login       string   // sent first
	Subscribe   []string // sent then; templates of {symbol}, {symbols} or {list}
	Unsubscribe []string
	Chunk       int           // symbols in one message
	Pace        time.Duration // between two messages

	Ping  string // sent as text when set
	Every time.Duration
	Pong  string // a text that is no data

	Ack, Refuse condition
	RefuseText  string // path of the reason
	AckTime     time.Duration

	Stall time.Duration // silent for so long is dead
}

// Poll is what is particular to an HTTP source.
type Poll struct {
	Interval time.Duration
	Timeout  time.Duration // of one request
	Stall    time.Duration // failing for so long ends the attempt
	Max      int64         // bytes of an answer
	Since    string        // a query of {id} and {time} for what is new
	Repeat   bool          // an item without time or id is a reading at every poll, even when it did not change
}

// A rule says where the parts of a tick stand in an item.
type rule struct {
	items  path
	keyed  bool      // the symbol is the item's key in an object
	filter condition // on the message
	where  condition // on an item

	symbol  path
	as      template
	price   path
	size    path
	side    path
	id      path
	bid     path
	bidSize path
	ask     path
	askSize path
	time    path

	clock     clock
	scale     int // prices are multiplied by 10^scale
	sizeScale int
	sides     map[string]market.Side
	maker     bool // side is that of the order in the book
}

func newMapping(venue string) *Mapping {
	return &Mapping{names: &names{venue: venue, known: make(map[string]market.Symbol)}}
}

// Numbered reports whether every item has an id of the source's.
func (m *Mapping) Numbered() bool {
	for i := range m.rules {
		if m.rules[i].price.set() && !m.rules[i].id.set() {
			return false
		}
	}
	return true
}

// Timed reports whether every item has a time of the source's.
func (m *Mapping) Timed() bool {
	for i := range m.rules {
		if !m.rules[i].time.set() {
			return false
		}
	}
	return true
}

// Kinds reports whether trades and quotes can come out of the mapping.
func (m *Mapping) Kinds() (trades, quotes bool) {
	for i := range m.rules {
		trades = trades || m.rules[i].price.set()
		quotes = quotes || m.rules[i].bid.set()
	}
	return trades, quotes
}

// names turns the source's names into symbols and remembers them: a name is made once.
type names struct {
	venue   string
	carried bool              // only what is known from the start
	given   map[string]string // by the user

	mu    sync.Mutex
	known map[string]market.Symbol // "" for a name that can't be one
}

// Symbol returns the symbol of a name of the source's, "" when there is none.
func (m *Mapping) Symbol(native string) market.Symbol {
	s, _ := m.names.symbol(native)
	return s
}

// symbol returns the symbol of a name, or why it has none. The name may be of bytes that change later.
func (n *names) symbol(native string) (s market.Symbol, reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, ok := n.known[native]
	switch {
	case ok && s != "":
		return s, ""
	case ok:
		return "", ReasonSymbol
	case n.carried:
		return "", ReasonOther
	case len(n.known) >= maxSymbols:
		return "", ReasonTooMany
	}
	if len(native) > 4*market.MaxSymbol {
		return "", ReasonSymbol
	}
	if s = n.add(native); s == "" {
		return "", ReasonSymbol
	}
	return s, ""
}

// add makes the symbol of a name and remembers it.
func (n *names) add(native string) market.Symbol {
	key := string(append([]byte(nil), native...))
	name := key
	if given, ok := n.given[key]; ok {
		name = given
	}
	s, err := market.NewSymbol(n.venue, canonical(name))
	if err != nil {
		s = ""
	}
	n.known[key] = s
	return s
}

// canonical makes of any text what can stand in a symbol: letters, digits, dots, underscores and dashes; a dash for the rest.
func canonical(name string) string {
	b := make([]byte, 0, len(name))
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_':
			b = append(b, byte(r))
		default:
			b = append(b, '-')
		}
	}
	return string(b)
}
