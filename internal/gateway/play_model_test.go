package gateway

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
)

// TestPlayModel gives a session orders at random, and holds what it tells to a model: a list of trades, a place in it and a clock. What the client
// wants comes once, in order, not before the clock has come to it, and hardly later.
func TestPlayModel(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { newPlayModel(t, seed).run() })
	}
}

type playModel struct {
	t      *testing.T
	rnd    *rand.Rand
	v      *viewer
	begin  market.Time
	list   []market.Entry
	places []place
	seqs   map[market.Symbol]uint64
	wanted map[market.Symbol]bool

	next   int // what comes next of the list
	clock  market.Time
	pace   float64 // 0 when it stands, below 0 flat out
	to     market.Time
	orders []string
}

func newPlayModel(t *testing.T, seed uint64) *playModel {
	m := &playModel{t: t, rnd: rand.New(rand.NewPCG(seed, 9)), seqs: map[market.Symbol]uint64{}, wanted: map[market.Symbol]bool{}}
	tp := newMemTape()
	tp.Chunk = 1 + m.rnd.IntN(9)
	m.v = watchTape(t, tp, manner{}, func(o *Options) {
		o.Ring = 1 + m.rnd.IntN(100)
		o.Limits.Frame = 300 + m.rnd.IntN(3000)
	})
	m.begin = market.FromStd(time.Now()) - market.Hour
	for at := m.begin; at < market.FromStd(time.Now()); at += market.Time(m.rnd.IntN(20)) * market.Second {
		m.put(at)
	}
	return m
}

func (m *playModel) symbol() market.Symbol {
	return market.Symbol("SIM:" + string(rune('A'+m.rnd.IntN(3))))
}

// put appends a record of trades that were received at a time.
func (m *playModel) put(at market.Time) {
	var entries []market.Entry
	for range 1 + m.rnd.IntN(4) {
		s := m.symbol()
		m.seqs[s]++
		entries = append(entries, tick(s, m.seqs[s], at))
	}
	m.v.put("sim", entries...)
	pos := m.v.m.Bounds().Last
	for i := range entries {
		m.list = append(m.list, entries[i])
		m.places = append(m.places, place{pos, int32(i)})
	}
}

func (m *playModel) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\nafter %s", fmt.Sprintf(format, args...), strings.Join(m.orders, "\n"))
}

func (m *playModel) do(format string, args ...any) {
	m.t.Helper()
	text := fmt.Sprintf(format, args...)
	m.orders = append(m.orders, fmt.Sprintf("%v %s", time.Now().Format("15:04:05.000"), text))
	if err := m.v.try(text); err != nil {
		m.fail("%s: %v", text, err)
	}
}

// first returns the index of the first trade that was received at or after a time.
func (m *playModel) first(at market.Time) int {
	for i := range m.list {
		if m.list[i].Received >= at {
			return i
		}
	}
	return len(m.list)
}

func (m *playModel) run() {
	m.next = len(m.list)
	m.pace = 1
	m.clock = market.FromStd(time.Now())
	for range 60 {
		m.order()
		if m.rnd.IntN(3) == 0 {
			m.put(market.FromStd(time.Now()))
		}
		m.watch(time.Duration(m.rnd.IntN(4000)) * time.Millisecond)
	}
}

func (m *playModel) order() {
	s := m.v.s
	playing := s.play != nil
	when := m.begin + market.Time(m.rnd.Int64N(int64(market.FromStd(time.Now())-m.begin)))
	switch n := m.rnd.IntN(9); {
	case n == 0:
		symbol := m.symbol()
		m.do(`{"action":"subscribe","trades":[%q]}`, symbol)
		if !playing && len(m.wanted) == 0 {
			m.next = len(m.list)
		}
		m.wanted[symbol] = true
	case n == 1:
		symbol := m.symbol()
		m.do(`{"action":"unsubscribe","trades":[%q]}`, symbol)
		delete(m.wanted, symbol)
	case n == 2 || !playing:
		m.pace = []float64{0.5, 1, 7, 60, 1000, 10000, -1}[m.rnd.IntN(7)]
		speed, end := `"max"`, ""
		if m.pace > 0 {
			speed = fmt.Sprint(m.pace)
		}
		if m.to = 0; m.rnd.IntN(3) == 0 {
			m.to = when + market.Time(1+m.rnd.IntN(1000))*market.Second
			end = fmt.Sprintf(`,"to":%q`, m.to)
		}
		m.do(`{"action":"play","from":%q%s,"speed":%s}`, when, end, speed)
		m.next, m.clock = m.first(when), when
	case n == 3:
		m.do(`{"action":"pause"}`)
		m.settle()
		m.pace = 0
	case n == 4 && !s.play.ended:
		running := s.play.running
		if m.do(`{"action":"resume"}`); running {
			break
		}
		m.settle()
		m.pace = float64(s.play.pace)
	case n == 5:
		m.do(`{"action":"seek","time":%q}`, when)
		m.next, m.clock = m.first(when), when
		m.pace, m.to = 0, s.play.to
		if s.play.running {
			m.pace = float64(s.play.pace)
		}
	case n == 6:
		p := []float64{0.1, 3, 100}[m.rnd.IntN(3)]
		m.do(`{"action":"speed","speed":%v}`, p)
		m.settle()
		if m.pace != 0 {
			m.pace = p
		}
	case n == 7 && !s.play.running && !s.play.ended && len(m.wanted) > 0:
		m.step(1 + m.rnd.IntN(5))
	case n == 8:
		m.do(`{"action":"live"}`)
		m.next, m.pace = len(m.list), 1
	}
}

// settle takes over where the clock of the session stands, which may be as far behind that of the model as the client has not heard of it.
func (m *playModel) settle() {
	at := m.v.s.play.base
	pace := max(m.pace, 0)
	if m.pace >= 0 && (at > m.clock || float64(m.clock-at) > pace*float64(clockEvery+5*time.Millisecond)) {
		m.fail("the clock is held at %v, and was at %v", at, m.clock)
	}
	m.clock = at
}

// step steps, and looks at what comes at once.
func (m *playModel) step(n int) {
	m.do(`{"action":"step","ticks":%d}`, n)
	m.v.watch(100 * time.Millisecond)
	i := m.next
	for ; n > 0 && i < len(m.list) && (m.to == 0 || m.list[i].Received < m.to); i++ {
		if m.wanted[m.list[i].Symbol] {
			n--
			m.clock = max(m.clock, m.list[i].Received)
		}
	}
	if n > 0 && i > m.next { // it looked for more
		m.clock = max(m.clock, m.list[i-1].Received)
	}
	m.told(i)
	if !m.v.s.play.ended {
		m.settle()
	}
}

// told compares what was told with what is between the place of the model and another, and goes there.
func (m *playModel) told(to int) {
	m.t.Helper()
	var want []string
	for i := m.next; i < to; i++ {
		if e := &m.list[i]; m.wanted[e.Symbol] {
			want = append(want, fmt.Sprint("t ", e.Symbol, " ", e.Seq))
		}
	}
	if got := m.v.lines("t"); got != strings.Join(want, ",") {
		m.fail("got  %s\nwant %s\nclock %v, next %d, to %d", got, strings.Join(want, ","), m.clock, m.next, to)
	}
	m.next = to
}

// watch lets time pass, and checks what came.
func (m *playModel) watch(d time.Duration) {
	m.v.watch(d)
	s := m.v.s
	if s.play == nil && len(m.wanted) == 0 {
		m.told(m.next)
		m.next = len(m.list)
		return
	}
	to := len(m.list)
	for i, p := range m.places {
		if !p.before(s.main.at) {
			to = i
			break
		}
	}
	m.told(to)
	if s.play == nil {
		if to != len(m.list) {
			m.fail("live, and %d of %d came", to, len(m.list))
		}
		return
	}
	if m.pace < 0 && !s.play.ended {
		m.fail("flat out it came to %d of %d", to, len(m.list))
	}
	if m.pace > 0 {
		m.clock += market.Time(float64(d) * m.pace)
	}
	if s.play.ended {
		m.clock, m.pace = m.to, 0
	}
	if to > 0 && m.pace >= 0 && m.list[to-1].Received > m.clock {
		m.fail("trade %d came, and the clock is at %v", to-1, m.clock)
	}
	slack := func(d time.Duration) market.Time { return market.Time(float64(d) * max(m.pace, 0)) }
	for i := to; i < len(m.list); i++ {
		e := &m.list[i]
		due := e.Received + slack(5*time.Millisecond)
		if !m.wanted[e.Symbol] {
			due = e.Received + slack(clockEvery+5*time.Millisecond)
		}
		if due < m.clock && (m.to == 0 || e.Received < m.to) {
			m.fail("%s %d of %v did not come, and the clock is at %v", e.Symbol, e.Seq, e.Received, m.clock)
		}
	}
}
