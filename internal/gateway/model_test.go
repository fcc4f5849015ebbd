package gateway

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// TestSessionModel does at random what clients and tapes do, and holds what the session sends to a model: of each symbol every trade
// from the place on that it was asked for, once, in order.
func TestSessionModel(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { newModel(t, seed).run() })
	}
}

type model struct {
	t    *testing.T
	rnd  *rand.Rand
	tape *tapetest.Memory
	g    *Gateway
	s    *session
	seqs map[market.Symbol]uint64
	next map[market.Symbol]uint64 // number of the trade that must come next, of what is subscribed to
	said []string
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), tape: newMemTape(), seqs: map[market.Symbol]uint64{}, next: map[market.Symbol]uint64{}}
	m.tape.Chunk = 1 + m.rnd.IntN(5)
	m.g = still(t, m.tape, func(o *Options) {
		o.Ring = 1 + m.rnd.IntN(60)
		o.Limits.Frame = 200 + m.rnd.IntN(3000)
	})
	m.s = newSession(m.g, "/v2/tape", manner{})
	return m
}

func (m *model) run() {
	defer m.s.lag(false)
	m.grow()
	for range 200 {
		switch m.rnd.IntN(6) {
		case 0, 1:
			m.grow()
		case 2:
			m.subscribe()
		case 3:
			m.unsubscribe()
		default:
			m.fill()
		}
	}
	for m.fill() {
	}
	for symbol, next := range m.next {
		if next != m.seqs[symbol]+1 {
			m.t.Fatalf("%s: trade %d did not come\n%s", symbol, next, strings.Join(m.said, "\n"))
		}
	}
}

func (m *model) symbol() market.Symbol {
	return market.Symbol("SIM:" + string(rune('A'+m.rnd.IntN(4))))
}

// grow appends records; the hub reads them at once.
func (m *model) grow() {
	for range 1 + m.rnd.IntN(4) {
		var entries []market.Entry
		for range 1 + m.rnd.IntN(5) {
			s := m.symbol()
			m.seqs[s]++
			entries = append(entries, trade(s, m.seqs[s], 100, t0))
		}
		pos := m.tape.Put("sim", entries...)
		m.g.hub.publish(m.tape.Records()[pos-1])
	}
}

// firstAt returns the number of the first trade of a symbol at or behind a place.
func (m *model) firstAt(symbol market.Symbol, p place) uint64 {
	for _, rec := range m.tape.Records() {
		for i := range rec.Entries {
			if e := &rec.Entries[i]; e.Symbol == symbol && !(place{rec.Position, int32(i)}).before(p) {
				return e.Seq
			}
		}
	}
	return m.seqs[symbol] + 1
}

func (m *model) subscribe() {
	symbol := m.symbol()
	text := `{"action":"subscribe","trades":["` + string(symbol) + `"]`
	at := m.s.main.at
	if m.s.subs.empty() {
		at = place{pos: m.tape.Bounds().Last + 1}
	}
	if m.rnd.IntN(2) == 0 {
		records := m.tape.Records()
		rec := records[m.rnd.IntN(len(records))]
		c := tape.Cursor{Epoch: m.tape.Epoch, Position: rec.Position, Index: tape.AllEntries}
		if n := m.rnd.IntN(len(rec.Entries) + 1); n < len(rec.Entries) {
			c.Index = uint32(n)
		}
		at = placeOf(c)
		text += `,"from":{"cursor":"` + c.String() + `"}`
	}
	m.said = append(m.said, fmt.Sprintf("%s} at %+v", text, m.s.main.at))
	comply(m.t, m.s, text+"}")
	if _, ok := m.next[symbol]; !ok {
		m.next[symbol] = m.firstAt(symbol, at)
	}
}

func (m *model) unsubscribe() {
	symbol := m.symbol()
	m.said = append(m.said, fmt.Sprintf("unsubscribe %s at %+v", symbol, m.s.main.at))
	comply(m.t, m.s, `{"action":"unsubscribe","trades":["`+string(symbol)+`"]}`)
	delete(m.next, symbol)
}

// fill takes one frame of what is due, and reports whether there may be more.
func (m *model) fill() bool {
	if m.s.subs.empty() {
		return false
	}
	text := nextFrame(m.t, m.s)
	if text == "" {
		return !m.s.isCurrent()
	}
	for _, x := range decodeFrame(m.t, text) {
		next, ok := m.next[market.Symbol(x.S)]
		if !ok || x.Seq != next {
			m.t.Fatalf("%s: got trade %d, want %d\n%s", x.S, x.Seq, next, strings.Join(m.said, "\n"))
		}
		m.next[market.Symbol(x.S)]++
	}
	return !m.s.isCurrent()
}
