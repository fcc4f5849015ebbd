package alert

import (
	"math"

	"tapedeck/internal/market"
)

// node is a part of a program. Numbers are doubles; true and false are 1 and 0, and unknown is NaN in both.
type node interface {
	eval(v *view) float64
}

type constant float64

func (c constant) eval(*view) float64 { return float64(c) }

// variable is what stands in the last trade or quote.
type variable uint8

const (
	varPrice variable = iota
	varSize
	varBid
	varAsk
	varSpread
	varMid
)

func (n variable) eval(v *view) float64 {
	s := v.symbol
	switch n {
	case varPrice, varSize:
		if !s.traded {
			return unknown()
		}
		if n == varPrice {
			return s.price
		}
		return s.last.size.Float64()
	case varBid, varAsk, varSpread, varMid:
	}
	if !s.quoted {
		return unknown()
	}
	switch n {
	case varBid:
		return s.bid.Float64()
	case varAsk:
		return s.ask.Float64()
	case varSpread:
		if d, err := s.ask.Sub(s.bid); err == nil {
			return d.Float64()
		}
		return s.ask.Float64() - s.bid.Float64()
	default:
		return (s.bid.Float64() + s.ask.Float64()) / 2
	}
}

type not struct{ x node }

func (n not) eval(v *view) float64 { return 1 - n.x.eval(v) }

// both is a and b: false as soon as one is, unknown when that depends on what is not known.
type both struct{ a, b node }

func (n both) eval(v *view) float64 {
	a, b := n.a.eval(v), n.b.eval(v) // both always: what looks back must see every tick
	if a == 0 || b == 0 {
		return 0
	}
	return a * b
}

type either struct{ a, b node }

func (n either) eval(v *view) float64 {
	a, b := n.a.eval(v), n.b.eval(v)
	if a == 1 || b == 1 {
		return 1
	}
	return a + b
}

type comparison struct {
	op   relation
	a, b node
}

// relation is what a comparison asks for.
type relation uint8

const (
	less relation = iota
	lessOrEqual
	greater
	greaterOrEqual
	equal
	different
)

func (n comparison) eval(v *view) float64 {
	a, b := n.a.eval(v), n.b.eval(v)
	if math.IsNaN(a) || math.IsNaN(b) {
		return unknown()
	}
	switch n.op {
	case less:
		return truthOf(a < b)
	case lessOrEqual:
		return truthOf(a <= b)
	case greater:
		return truthOf(a > b)
	case greaterOrEqual:
		return truthOf(a >= b)
	case equal:
		return truthOf(a == b)
	default:
		return truthOf(a != b)
	}
}

type arithmetic struct {
	op   byte
	a, b node
}

func (n arithmetic) eval(v *view) float64 {
	a, b := n.a.eval(v), n.b.eval(v)
	var x float64
	switch n.op {
	case '+':
		x = a + b
	case '-':
		x = a - b
	case '*':
		x = a * b
	default:
		x = a / b
	}
	if math.IsInf(x, 0) { // a division by zero, or beyond what can be counted
		return unknown()
	}
	return x
}

type choice struct{ cond, yes, no node }

func (n choice) eval(v *view) float64 {
	yes, no := n.yes.eval(v), n.no.eval(v)
	switch n.cond.eval(v) {
	case 1:
		return yes
	case 0:
		return no
	}
	return unknown()
}

// plain is a function of numbers.
type plain struct {
	name string
	args []node
}

func (n plain) eval(v *view) float64 {
	x := n.args[0].eval(v)
	if n.name == "abs" {
		return math.Abs(x)
	}
	for _, arg := range n.args[1:] {
		y := arg.eval(v)
		switch {
		case math.IsNaN(x) || math.IsNaN(y):
			x = unknown()
		case n.name == "max":
			x = max(x, y)
		default:
			x = min(x, y)
		}
	}
	return x
}

// windowed is a function of a window.
type windowed struct {
	of     use
	window int // of the symbol, by the program's list
}

func (n windowed) eval(v *view) float64 {
	w := v.windows[n.window]
	if !w.valid.has(n.of) {
		w.cache[n.of] = n.compute(w, v.symbol)
		w.valid |= 1 << n.of
	}
	return w.cache[n.of]
}

// compute computes the function anew.
func (n windowed) compute(w *window, s *symbol) float64 {
	if !s.traded || !w.known(s.clock) {
		return unknown()
	}
	switch n.of {
	case useVolume:
		return w.volume.float()
	case useTrades:
		return float64(w.points.len())
	case useVWAP:
		return w.vwap()
	case useHigh, useLow:
		x := &w.high
		if n.of == useLow {
			x = &w.low
		}
		if p, ok := x.price(); ok {
			return p.Float64()
		}
		return unknown()
	case useChange, useCount:
	}
	first, ok := w.first()
	if !ok || first.IsZero() {
		return unknown()
	}
	return percent(first.Float64(), s.price)
}

// percent returns by how many percent b is above a.
func percent(a, b float64) float64 { return (b - a) / math.Abs(a) * 100 }

// crossing is true when a was on the other side of b at the evaluation before.
type crossing struct {
	a, b     node
	up, down bool
	slot     int
}

func (n crossing) eval(v *view) float64 {
	d := n.a.eval(v) - n.b.eval(v)
	before := v.memory[n.slot]
	if math.IsNaN(d) {
		return unknown()
	}
	if d != 0 { // what touches and turns back has not crossed
		v.memory[n.slot] = d
	}
	if math.IsNaN(before) {
		return 0
	}
	return truthOf(n.up && before < 0 && d > 0 || n.down && before > 0 && d < 0)
}

// averaged is a function of bars.
type averaged struct{ of int }

func (n averaged) eval(v *view) float64 { return v.averages[n.of].now() }

// days is a function of trading days.
type days struct{ name string }

func (n days) eval(v *view) float64 {
	s := v.symbol
	if !s.traded {
		return unknown()
	}
	if n.name == "prev_close" {
		if !s.closed {
			return unknown()
		}
		return s.close.Float64()
	}
	if !s.opened || s.open.IsZero() {
		return unknown()
	}
	return percent(s.open.Float64(), s.price)
}

// aging is the seconds since the last tick, by the clock of the feed.
type aging struct{}

func (aging) eval(v *view) float64 {
	return float64(max(v.now-v.symbol.clock, 0)) / float64(market.Second)
}

// holed tells whether ticks may be missing between the last two.
type holed struct{}

func (holed) eval(v *view) float64 { return truthOf(v.symbol.gap) }
