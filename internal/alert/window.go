package alert

import (
	"math"
	"math/big"

	"tapedeck/internal/market"
)

// MaxWindow is the most trades that one window remembers, about 12 MB. A window that would have to remember more answers that it
// does not know, until enough of them have left it.
const MaxWindow = 1 << 18

// point is a trade as the windows remember it.
type point struct {
	event       market.Time
	price, size market.Decimal
}

// window is the trades of one symbol whose times lie in (clock−length, clock]. Its clock is the latest time of a trade.
// A trade that comes late is put where it belongs, as long as it belongs to the window.
//
// A trade costs O(1) on average; a late one as much as the trades that it is behind.
type window struct {
	length market.Time
	points ring[point] // by time; of equal times in the order in which they came
	before point       // the last trade that has left: its price stood when the window begins
	left   bool        // before is set

	uses   use // what is kept up to date besides the points
	volume total
	value  total // Σ price × size
	high   extreme
	low    extreme
	lost   market.Time // the window is not known before this moment: it had to forget a trade of then

	valid use // the values that were computed since the last trade
	cache [useCount]float64
}

// use is a set of functions of a window; their numbers are also those of the cache.
type use uint8

const (
	useChange use = iota
	useHigh
	useLow
	useVWAP
	useVolume
	useTrades
	useCount
)

// useOf returns the function of a name.
func useOf(name string) use {
	switch name {
	case "high":
		return useHigh
	case "low":
		return useLow
	case "vwap":
		return useVWAP
	case "volume":
		return useVolume
	case "count":
		return useTrades
	}
	return useChange
}

func (u use) has(f use) bool { return u&(1<<f) != 0 }

// sums reports whether the sums of a window are needed.
func (u use) sums() bool { return u.has(useVWAP) || u.has(useVolume) }

// enable begins to keep up to date what a function needs.
func (w *window) enable(f use) {
	if w.uses.has(f) {
		return
	}
	summed := w.uses.sums()
	w.uses |= 1 << f
	for i := range w.points.len() {
		p := *w.points.at(i)
		if w.uses.sums() && !summed {
			w.volume.add(p.size, 1)
			w.value.addProduct(p.price, p.size, 1)
		}
		if f == useHigh {
			w.high.add(p)
		}
		if f == useLow {
			w.low.add(p)
		}
	}
}

func newWindow(length market.Time) *window {
	w := &window{length: length, lost: math.MinInt64}
	w.low.least = true
	return w
}

// add takes in a trade; clock is the latest time of a trade, this one included.
func (w *window) add(p point, clock market.Time) {
	from := clock - w.length
	if p.event <= from {
		if !w.left || p.event >= w.before.event {
			w.before, w.left = p, true
		}
	} else {
		at := w.points.len()
		for at > 0 && w.points.at(at-1).event > p.event {
			at--
		}
		w.points.insert(at, p)
		if w.uses.sums() {
			w.volume.add(p.size, 1)
			w.value.addProduct(p.price, p.size, 1)
		}
		if w.uses.has(useHigh) {
			w.high.add(p)
		}
		if w.uses.has(useLow) {
			w.low.add(p)
		}
	}
	w.expire(from)
	for w.points.len() > MaxWindow {
		w.lost = w.points.at(0).event
		w.drop()
	}
}

// expire forgets the trades that are not later than from.
func (w *window) expire(from market.Time) {
	w.valid = 0
	for w.points.len() > 0 && w.points.at(0).event <= from {
		w.drop()
	}
	w.high.expire(from)
	w.low.expire(from)
}

func (w *window) drop() {
	p := w.points.pop()
	if !w.left || p.event >= w.before.event {
		w.before, w.left = p, true
	}
	if w.uses.sums() {
		w.volume.add(p.size, -1)
		w.value.addProduct(p.price, p.size, -1)
	}
}

// known reports whether the window holds all that it should.
func (w *window) known(clock market.Time) bool { return w.lost <= clock-w.length }

// first returns the price that stood when the window began: that of the last trade before it, or, when there is none, of the first
// trade in it.
func (w *window) first() (market.Decimal, bool) {
	switch {
	case w.left:
		return w.before.price, true
	case w.points.len() > 0:
		return w.points.at(0).price, true
	}
	return market.Decimal{}, false
}

// vwap returns Σ price × size ÷ Σ size, NaN when nothing was traded.
func (w *window) vwap() float64 {
	if w.volume.sum.Sign() == 0 {
		return math.NaN()
	}
	q := new(big.Rat).Quo(w.value.rat(), w.volume.rat())
	f, _ := q.Float64()
	return f
}

// extreme knows the highest, or the lowest, price of a window: the trades that no later one reaches, from the highest on.
type extreme struct {
	least  bool
	points ring[point]
}

// beats reports whether a price makes an earlier one needless.
func (x *extreme) beats(p, earlier market.Decimal) bool {
	c := p.Cmp(earlier)
	return c == 0 || (c < 0) == x.least
}

func (x *extreme) add(p point) {
	at := x.points.len()
	for at > 0 && x.points.at(at-1).event > p.event {
		at--
	}
	if at < x.points.len() && x.beats(x.points.at(at).price, p.price) {
		return
	}
	keep := at
	for keep > 0 && x.beats(p.price, x.points.at(keep-1).price) {
		keep--
	}
	x.points.splice(keep, at, p)
}

func (x *extreme) expire(from market.Time) {
	for x.points.len() > 0 && x.points.at(0).event <= from {
		x.points.pop()
	}
}

// price returns the highest or lowest price.
func (x *extreme) price() (market.Decimal, bool) {
	if x.points.len() == 0 {
		return market.Decimal{}, false
	}
	return x.points.at(0).price, true
}

// total is an exact sum of decimals: sum × 10^exp.
type total struct {
	sum big.Int
	exp int
}

func (t *total) add(d market.Decimal, sign int64) {
	t.addScaled(big.NewInt(d.Coef()), d.Exp(), sign)
}

func (t *total) addProduct(a, b market.Decimal, sign int64) {
	x := big.NewInt(a.Coef())
	t.addScaled(x.Mul(x, big.NewInt(b.Coef())), a.Exp()+b.Exp(), sign)
}

func (t *total) addScaled(x *big.Int, exp int, sign int64) {
	switch {
	case exp < t.exp:
		t.sum.Mul(&t.sum, pow10(t.exp-exp))
		t.exp = exp
	case exp > t.exp:
		x.Mul(x, pow10(exp-t.exp))
	}
	if sign < 0 {
		t.sum.Sub(&t.sum, x)
	} else {
		t.sum.Add(&t.sum, x)
	}
	if t.sum.Sign() == 0 {
		t.exp = 0
	}
}

func (t *total) rat() *big.Rat {
	if t.exp >= 0 {
		return new(big.Rat).SetInt(new(big.Int).Mul(&t.sum, pow10(t.exp)))
	}
	return new(big.Rat).SetFrac(&t.sum, pow10(-t.exp))
}

func (t *total) float() float64 {
	f, _ := t.rat().Float64()
	return f
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
