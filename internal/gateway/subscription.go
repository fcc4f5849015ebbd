package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// set is the symbols of one channel that a client asked for.
type set struct {
	all   bool
	ids   []uint64          // a bit for each symbol that is known
	names map[string]uint32 // what was asked for, in upper case and in full where it is known, to its number; 0 when unknown
}

func (s *set) has(id uint32) bool {
	return s.all || int(id>>6) < len(s.ids) && s.ids[id>>6]&(1<<(id&63)) != 0
}

func (s *set) empty() bool { return !s.all && len(s.names) == 0 }

func (s *set) add(name string, id uint32) {
	if s.names == nil {
		s.names = make(map[string]uint32)
	}
	s.names[name] = id
	if id == 0 {
		return
	}
	for int(id>>6) >= len(s.ids) {
		s.ids = append(s.ids, 0)
	}
	s.ids[id>>6] |= 1 << (id & 63)
}

func (s *set) remove(name string) {
	id, ok := s.names[name]
	if !ok {
		return
	}
	delete(s.names, name)
	if id != 0 {
		s.ids[id>>6] &^= 1 << (id & 63)
	}
}

// listed are the channels that clients name in their messages.
const listed = chGaps

// channelNames are how clients name them, in the order in which they are answered.
func channelNames() [listed]string {
	return [listed]string{"trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "alerts"}
}

// subscriptions are what a client asked for. They are owned by the goroutine of its session.
type subscriptions struct {
	sets  [listed]set
	feeds map[string]bool // feeds of the symbols; what is said of a whole feed concerns the client then
	known int64           // size of the directory when names were last looked up
	sum   *filter         // of what is known; nil until it is asked for
}

// filter stands for what a client wants: those with the same one want the same of every block.
type filter [sha256.Size]byte

// filter returns the filter of the symbols that are known.
func (s *subscriptions) filter() filter {
	if s.sum == nil {
		var b []byte
		for i := range s.sets {
			c := &s.sets[i]
			ids := c.ids
			for len(ids) > 0 && ids[len(ids)-1] == 0 {
				ids = ids[:len(ids)-1]
			}
			b = binary.AppendUvarint(strconv.AppendBool(b, c.all), uint64(len(ids)))
			for _, word := range ids {
				b = binary.LittleEndian.AppendUint64(b, word)
			}
		}
		// The feed of a symbol may have become another one between the times when two clients' symbols were looked up.
		for _, feed := range slices.Sorted(maps.Keys(s.feeds)) {
			b = append(binary.AppendUvarint(b, uint64(len(feed))), feed...)
		}
		sum := filter(sha256.Sum256(b))
		s.sum = &sum
	}
	return *s.sum
}

func (s *subscriptions) empty() bool {
	for i := range s.sets {
		if !s.sets[i].empty() {
			return false
		}
	}
	return true
}

// symbols counts the distinct symbols that are named.
func (s *subscriptions) symbols() int {
	names := make(map[string]bool)
	for i := range s.sets {
		for name := range s.sets[i].names {
			names[name] = true
		}
	}
	return len(names)
}

// without takes symbols out; where all are taken out, what is named besides stays.
func (s *subscriptions) without(gone *[listed]set) {
	for i := range s.sets {
		if gone[i].all {
			s.sets[i].all = false
		}
		for name := range gone[i].names {
			s.sets[i].remove(name)
		}
	}
	s.known = -1
}

// clone returns a copy that shares nothing.
func (s *subscriptions) clone() *subscriptions {
	c := *s
	c.feeds = maps.Clone(s.feeds)
	for i := range c.sets {
		c.sets[i].ids = slices.Clone(c.sets[i].ids)
		c.sets[i].names = maps.Clone(c.sets[i].names)
	}
	return &c
}

// wants reports whether an event of a feed is due to the client. In the dialect of the SDKs only what they know is.
func (s *subscriptions) wants(d dialect, feed string, ev *event) bool {
	switch ev.channel {
	case chTrades, chQuotes, chBars, chUpdatedBars, chDailyBars:
		return s.sets[ev.channel].has(ev.symbol)
	case chAlerts:
		if d == prices {
			return s.sets[chTrades].has(ev.symbol)
		}
		return d == native && s.sets[chAlerts].has(ev.symbol)
	case chStatuses:
		if d != native {
			return d == stocks && ev.symbol != 0 && s.sets[chStatuses].has(ev.symbol)
		}
		return s.concerns(feed, ev.symbol, s.sets[:])
	case chGaps:
		return d == native && s.concerns(feed, ev.symbol, s.sets[:chStatuses])
	case channels:
	}
	return false
}

// concerns reports whether a symbol, or a whole feed when it is 0, is in one of the sets.
func (s *subscriptions) concerns(feed string, id uint32, sets []set) bool {
	for i := range sets {
		if sets[i].all || id != 0 && sets[i].has(id) {
			return true
		}
	}
	return id == 0 && (s.feeds[feed] || feed == "" && len(s.feeds) > 0)
}

// wanted is a symbol that a client named, looked up.
type wanted struct {
	name string // in upper case, in full where it is known
	id   uint32
}

// ambiguousError says that a name stands for several symbols.
type ambiguousError struct {
	name       string
	candidates []market.Symbol
}

func (e *ambiguousError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is ambiguous: say", e.name)
	for i, s := range e.candidates {
		if i > 0 {
			b.WriteString(" or")
		}
		b.WriteString(" " + string(s))
	}
	return b.String()
}

// lookUp finds what a client named. A symbol that nobody has seen yet is fine as long as it could be one.
func (h *hub) lookUp(text string) (wanted, error) {
	id, symbol, candidates := h.find(text)
	switch {
	case id != 0:
		return wanted{string(symbol), id}, nil
	case len(candidates) > 0:
		return wanted{}, &ambiguousError{strings.ToUpper(text), candidates}
	}
	name := strings.ToUpper(text)
	if !strings.Contains(name, ":") {
		if _, err := market.NewSymbol("X", name); err != nil {
			return wanted{}, fmt.Errorf("%.80q cannot be a symbol", text)
		}
	} else if _, err := market.ParseSymbol(name); err != nil {
		return wanted{}, fmt.Errorf("%.80q cannot be a symbol", text)
	}
	return wanted{name, 0}, nil
}

// refresh looks up again what was not known, when symbols have been added since. It must be called after blocks were taken
// from the hub and before they are matched.
func (s *subscriptions) refresh(h *hub) {
	if n := h.grown.Load(); n != s.known {
		s.known = n
		s.resolve(h)
	}
}

func (s *subscriptions) resolve(h *hub) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s.feeds, s.sum = make(map[string]bool), nil
	for i := range s.sets {
		c := &s.sets[i]
		for name, id := range c.names {
			if id == 0 {
				if id, _ = h.names.find(name); id == 0 {
					continue
				}
				c.remove(name)
				c.add(string(h.names.list[id].symbol), id)
			}
			s.feeds[h.names.list[id].feed] = true
		}
	}
}

// echo appends the message that tells a client its whole set.
func (s *subscriptions) echo(dst []byte, d dialect) []byte {
	dst = append(dst, `[{"T":"subscription"`...)
	for i, name := range channelNames() {
		if channel(i) == chAlerts && d != native {
			continue
		}
		dst = s.sets[i].list(append(append(append(dst, `,"`...), name...), `":`...), d)
	}
	if d == crypto {
		dst = append(dst, `,"orderbooks":[]`...)
	} else {
		dst = append(dst, `,"lulds":[]`...)
		dst = s.sets[chTrades].list(append(dst, `,"corrections":`...), d)
		dst = s.sets[chTrades].list(append(dst, `,"cancelErrors":`...), d)
	}
	return append(dst, `}]`...)
}

func (s *set) list(dst []byte, d dialect) []byte {
	dst = append(dst, '[')
	if s.all {
		dst = append(dst, `"*",`...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		if strings.Contains(name, ":") {
			dst = append(appendSymbol(dst, d, market.Symbol(name)), ',')
		} else {
			dst = append(appendString(dst, name), ',')
		}
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, ']')
}
