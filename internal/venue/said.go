package venue

import "strings"

// longestSaid is how much is repeated of a venue's words, in bytes.
const longestSaid = 200

// Clip returns a venue's words so that they can be told: not longer than 200 bytes, and UTF-8.
func Clip(said string) string {
	if len(said) > longestSaid {
		said = strings.ToValidUTF8(said[:longestSaid], "") + "…"
	}
	return strings.ToValidUTF8(said, "?")
}

// Unlisted is the Listing of a venue that can't be asked.
type Unlisted struct{}

// First implements Listing.
func (Unlisted) First([]string) *Request { return nil }

// Page implements Listing. There is none.
func (Unlisted) Page(*Request, *Reply, []Instrument) ([]Instrument, *Request, error) {
	return nil, nil, nil
}
