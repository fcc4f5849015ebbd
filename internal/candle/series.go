package candle

import (
	"slices"

	"tapedeck/internal/market"
)

// symbol is what the machine knows of a symbol.
type symbol struct {
	name   market.Symbol
	venue  *venue
	gaps   spans
	series []series // one for each interval of the machine
	guests bool     // files may have opened bars that are in memory
}

// series are the bars of a symbol and interval that are in memory, by rising start.
type series struct {
	bars []*node

	// floor divides what is known: a bar that starts at it or later, and is not in memory, does not exist. One that starts
	// earlier may be in the store.
	floor market.Time
	gone  market.Time // end of the latest bar that has left memory, or was never in it: whatever feed closed it
}

// leave notes that a bar with an end is in the store only.
func (s *series) leave(end market.Time) {
	s.floor, s.gone = max(s.floor, end), max(s.gone, end)
}

// node is a bar in memory. It is in exactly one of: a series and the queue of its feed; the deltas of its machine; the free list.
type node struct {
	bar     market.Bar
	series  *series
	home    *Feed // whose queue it is in; nil of a delta
	dirty   bool  // in Machine.dirty
	closed  bool  // since the last Drain
	revised bool  // since the last Drain
	delta   bool
	leaving bool // to be removed by the next Drain
	gappy   bool // came from the store with a gap that we do not know
}

// deltaKey finds a delta again while it is not drained.
type deltaKey struct {
	series *series
	start  market.Time
}

// find returns the bar that holds t, or nil.
func (s *series) find(t market.Time) *node {
	for _, n := range slices.Backward(s.bars) {
		if n.bar.Start <= t {
			if t < n.bar.End {
				return n
			}
			return nil
		}
	}
	return nil
}

// insert puts a bar in its place, nearly always the last.
func (s *series) insert(n *node) {
	i := len(s.bars)
	for i > 0 && s.bars[i-1].bar.Start > n.bar.Start {
		i--
	}
	s.bars = slices.Insert(s.bars, i, n)
}

// remove takes out a bar, nearly always the first.
func (s *series) remove(n *node) {
	if i := slices.Index(s.bars, n); i >= 0 {
		s.bars = slices.Delete(s.bars, i, i+1)
	}
}

// take returns an empty node.
func (m *Machine) take() *node {
	if i := len(m.free) - 1; i >= 0 {
		n := m.free[i]
		m.free = m.free[:i]
		return n
	}
	return new(node)
}

func (m *Machine) release(n *node) {
	*n = node{}
	m.free = append(m.free, n)
}

// touch notes that a bar changed.
func (m *Machine) touch(n *node) {
	if n.bar.Final {
		n.revised = true
		n.bar.Rev++
	}
	m.mark(n)
}

func (m *Machine) mark(n *node) {
	if !n.dirty {
		n.dirty = true
		m.dirty = append(m.dirty, n)
	}
}

// deadline is a moment at which something is to be done with a bar: first close it, then let it go.
type deadline struct {
	at market.Time
	n  *node
}

// deadlines is a binary heap, the earliest first. Of equal moments the order depends only on the pushes and pops before.
type deadlines []deadline

func (q *deadlines) push(d deadline) {
	h := append(*q, d)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].at <= d.at {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = d
	*q = h
}

func (q *deadlines) pop() deadline {
	h := *q
	top, last := h[0], h[len(h)-1]
	h[len(h)-1] = deadline{}
	h = h[:len(h)-1]
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].at < h[down].at {
			down++
		}
		if last.at <= h[down].at {
			break
		}
		h[i] = h[down]
		i = down
	}
	if len(h) > 0 {
		h[i] = last
	}
	*q = h
	return top
}

// drop takes out the deadline of a bar.
func (q *deadlines) drop(n *node) {
	h := *q
	*q = h[:0]
	for _, d := range h { // what is pushed lies before what is still to be read
		if d.n != n {
			q.push(d)
		}
	}
	clear(h[len(*q):])
}

// span is a half-open span of time.
type span struct{ from, to market.Time }

// spans are disjoint, by rising time.
type spans []span

// maxSpans bounds the gaps that are remembered of a symbol or feed. Beyond it the two oldest become one that covers both: it is
// safer to say of a bar that it may be incomplete than not to.
const maxSpans = 64

func (s spans) overlap(from, to market.Time) bool {
	for _, g := range slices.Backward(s) {
		if g.from < to {
			return g.to > from
		}
	}
	return false
}

func (s spans) add(from, to market.Time) spans {
	i := 0
	for i < len(s) && s[i].to < from {
		i++
	}
	j := i
	for ; j < len(s) && s[j].from <= to; j++ {
		from, to = min(from, s[j].from), max(to, s[j].to)
	}
	s = slices.Replace(s, i, j, span{from, to})
	if len(s) > maxSpans {
		s[1].from = s[0].from
		s = slices.Delete(s, 0, 1)
	}
	return s
}

func (s spans) subtract(from, to market.Time) spans {
	out := make(spans, 0, len(s)+1)
	for _, g := range s {
		if g.from < from {
			out = append(out, span{g.from, min(g.to, from)})
		}
		if g.to > to {
			out = append(out, span{max(g.from, to), g.to})
		}
	}
	if len(out) > maxSpans {
		out[1].from = out[0].from
		out = slices.Delete(out, 0, 1)
	}
	return out
}
