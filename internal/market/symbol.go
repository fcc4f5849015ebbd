package market

import (
	"errors"
	"fmt"
	"strings"
)

// Symbol names an instrument of a venue as VENUE:NAME in upper case: "SIM:AAPL", "COINBASE:BTC-USD". The venue ends at the
// first colon.
type Symbol string

// MaxSymbol is the longest symbol in bytes, venue included.
const MaxSymbol = 64

// ErrSymbol is wrapped by the errors of ParseSymbol and NewSymbol.
var ErrSymbol = errors.New("not a symbol")

// ParseSymbol reads VENUE:NAME in any case.
func ParseSymbol(s string) (Symbol, error) {
	venue, name, ok := strings.Cut(s, ":")
	if !ok {
		return "", fmt.Errorf("%.80q has no venue, as in SIM:AAPL: %w", s, ErrSymbol)
	}
	return NewSymbol(venue, name)
}

// NewSymbol makes a symbol of a venue and a name in any case.
func NewSymbol(venue, name string) (Symbol, error) {
	if venue == "" || name == "" {
		return "", fmt.Errorf("%.80q needs a venue and a name, as in SIM:AAPL: %w", venue+":"+name, ErrSymbol)
	}
	if n := len(venue) + 1 + len(name); n > MaxSymbol {
		return "", fmt.Errorf("%.80q… is longer than %d bytes: %w", venue+":"+name, MaxSymbol, ErrSymbol)
	}
	s := strings.ToUpper(venue + ":" + name)
	for i := range len(s) {
		if !symbolByte(s[i]) || i < len(venue) && strings.IndexByte("/^=!&+$@", s[i]) >= 0 {
			return "", fmt.Errorf("%q must not stand in %.80q: %w", s[i:i+1], s, ErrSymbol)
		}
	}
	return Symbol(s), nil
}

func symbolByte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._:/-^=!&+$@", c) >= 0
}

// Venue returns the part before the first colon.
func (s Symbol) Venue() string {
	venue, _, _ := strings.Cut(string(s), ":")
	return venue
}

// Name returns the part after the first colon.
func (s Symbol) Name() string {
	_, name, _ := strings.Cut(string(s), ":")
	return name
}
