package poll

import (
	"slices"

	"tapedeck/internal/market"
)

// leastMemory is the number of items that are remembered at least. A source whose answers hold more than half of it has twice as
// many as its longest answer.
const leastMemory = 4096

// memory knows what was in earlier answers. It outlives the source that fills it, so that a reconnect repeats nothing; what an
// earlier process put on the tape it learns from there.
type memory struct {
	last func(market.Symbol, market.Kind) (market.Entry, bool)
	met  map[lane]bool // what the tape was asked for

	seen map[key]struct{}
	ring []key // of seen, the oldest at next once it is full
	next int
	most int // items in the longest answer

	values map[slot]content // of what has neither id nor time: where it stood in the last answer

	fresh []market.Entry
	keys  []mark // of fresh
	done  int    // of fresh
}

// lane is a symbol's trades or quotes.
type lane struct {
	symbol market.Symbol
	kind   market.Kind
}

// content is what an item says.
type content struct {
	price, size, ask, askSize market.Decimal
	side                      market.Side
}

// key is what an item is known by: nth counts those alike in one answer.
type key struct {
	lane
	id    uint64
	ref   string
	event market.Time
	content
	nth int
}

// slot is a place in an answer: the nth item of a lane.
type slot struct {
	lane
	nth int
}

// mark is what to remember of an item once it was pushed.
type mark struct {
	key  key
	slot slot
	bare bool // it has neither id nor time
}

func newMemory(last func(market.Symbol, market.Kind) (market.Entry, bool)) *memory {
	return &memory{
		last: last, met: make(map[lane]bool), seen: make(map[key]struct{}), values: make(map[slot]content),
	}
}

// bare reports whether an entry has neither id nor time.
func bare(e *market.Entry) bool {
	return e.ID == 0 && e.Ref == "" && e.Flags&market.FlagNoEventTime != 0
}

func contentOf(e *market.Entry) content {
	return content{price: e.Price, size: e.Size, ask: e.Ask, askSize: e.AskSize, side: e.Side}
}

// sift returns the entries of an answer that were in none before, in order of time. It is good until the next call; pushed says
// what of it was handed over. With repeat, what has neither id nor time is new each time.
func (m *memory) sift(entries []market.Entry, repeat bool) []market.Entry {
	order(entries)
	m.most = max(m.most, len(entries))
	m.fresh, m.keys, m.done = m.fresh[:0], m.keys[:0], 0
	alike := make(map[key]int)
	places := make(map[lane]int)
	old := m.known(entries)
	for i := range entries {
		e := &entries[i]
		at := lane{e.Symbol, e.Kind}
		k := mark{slot: slot{at, places[at]}, bare: bare(e)}
		places[at]++
		if k.bare {
			if value, ok := m.values[k.slot]; ok && value == contentOf(e) && !repeat {
				continue
			}
		} else {
			k.key = key{lane: at, id: e.ID, ref: e.Ref}
			if e.ID == 0 && e.Ref == "" {
				k.key.event, k.key.content = e.Event, contentOf(e)
				k.key.nth = alike[k.key]
				first := k.key
				first.nth = 0
				alike[first]++
			}
			if _, ok := m.seen[k.key]; ok {
				continue
			}
			if k.slot.nth < old[at] {
				m.remember(k.key)
				continue
			}
		}
		m.fresh = append(m.fresh, *e)
		m.keys = append(m.keys, k)
	}
	return m.fresh
}

// pushed remembers the next n of what sift returned.
func (m *memory) pushed(n int) {
	for ; n > 0; n-- {
		if k := &m.keys[m.done]; k.bare {
			m.values[k.slot] = contentOf(&m.fresh[m.done])
		} else {
			m.remember(k.key)
		}
		m.done++
	}
}

func (m *memory) remember(k key) {
	room := max(leastMemory, 2*m.most)
	if len(m.ring) < room {
		if m.next != 0 { // it was full before: the oldest comes first again
			m.ring = append(slices.Clone(m.ring[m.next:]), m.ring[:m.next]...)
			m.next = 0
		}
		m.ring = append(m.ring, k)
	} else {
		delete(m.seen, m.ring[m.next])
		m.ring[m.next] = k
		m.next = (m.next + 1) % len(m.ring)
	}
	m.seen[k] = struct{}{}
}

// known returns, of each lane that is met for the first time, how many of the entries were on the tape before this process began:
// those up to the lane's last one, where it is among them, and otherwise those before it in time.
func (m *memory) known(entries []market.Entry) map[lane]int {
	old := make(map[lane]int)
	var fresh []lane
	for i := range entries {
		at := lane{entries[i].Symbol, entries[i].Kind}
		if !m.met[at] {
			m.met[at] = true
			fresh = append(fresh, at)
		}
	}
	for _, at := range fresh {
		if m.last == nil {
			continue
		}
		last, ok := m.last(at.symbol, at.kind)
		if !ok {
			continue
		}
		m.values[slot{at, 0}] = contentOf(&last)
		n, before := 0, 0
		for i := range entries {
			e := &entries[i]
			if e.Symbol != at.symbol || e.Kind != at.kind {
				continue
			}
			n++
			switch {
			case same(e, &last):
				old[at] = n
			case e.Event < last.Event:
				before = n
			}
		}
		if old[at] == 0 {
			old[at] = before
		}
	}
	return old
}

// same reports whether an item is the one on the tape.
func same(e, last *market.Entry) bool {
	if e.ID != 0 || e.Ref != "" {
		return e.ID == last.ID && e.Ref == last.Ref
	}
	return e.Event == last.Event && contentOf(e) == contentOf(last)
}

// order sorts by time. An answer with the newest first is turned round, so that those of one time keep their order.
func order(entries []market.Entry) {
	if len(entries) > 1 && entries[0].Event > entries[len(entries)-1].Event {
		slices.Reverse(entries)
	}
	slices.SortStableFunc(entries, func(a, b market.Entry) int {
		switch {
		case a.Event < b.Event:
			return -1
		case a.Event > b.Event:
			return 1
		}
		return 0
	})
}
