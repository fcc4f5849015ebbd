package poll

import (
	"encoding/json"
	"hash/fnv"

	"tapedeck/internal/market"
	"tapedeck/internal/venue/mapping"
)

// A place is what a source with since= remembers on the tape: the newest that it has read.
type place struct {
	Print uint64      `json:"print"` // of what is asked
	ID    string      `json:"id,omitempty"`
	Time  string      `json:"time,omitempty"` // as the source wrote it
	At    market.Time `json:"at"`
}

func (p place) encode() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic("BUG: a place that is no JSON: " + err.Error())
	}
	return b
}

// maxPlace bounds the offset, in bytes.
const maxPlace = 4096

func parsePlace(b []byte) (p place, ok bool) {
	if len(b) == 0 || len(b) > maxPlace {
		return place{}, false
	}
	return p, json.Unmarshal(b, &p) == nil && p.At != 0
}

// fingerprint tells sources apart, without what is secret about them.
func fingerprint(m *mapping.Mapping) uint64 {
	h := fnv.New64a()
	for _, part := range []string{m.URL.Scheme, m.URL.Host, m.URL.Path, m.Poll.Since} {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}
