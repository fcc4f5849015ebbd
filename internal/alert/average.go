package alert

import (
	"math"

	"tapedeck/internal/market"
)

// averageKey names a function of bars: "sma" of n bars that are length long.
type averageKey struct {
	name   string
	n      int
	length market.Time
}

// bars are the bars of one length of a symbol as a function needs them: no trade, no bar; the first begins at a multiple of its
// length. A late trade of the running bar counts in it; one of a bar that is over does not, since it was the past already when the
// next bar began.
type bars struct {
	length    market.Time
	start     market.Time // of the running bar
	any       bool
	last      market.Time // the time of the trade that the close is of
	high, low float64
	close     float64
	before    float64 // the close of the bar before; NaN when there is none
}

// add takes in a trade and reports whether the running bar was over: what it was is in done.
func (b *bars) add(p point) (done bars, over bool) {
	start := p.event.Floor(b.length)
	x := p.price.Float64()
	switch {
	case !b.any:
		*b = bars{length: b.length, start: start, any: true, last: p.event, high: x, low: x, close: x, before: unknown()}
	case start > b.start:
		done, over = *b, true
		*b = bars{length: b.length, start: start, any: true, last: p.event, high: x, low: x, close: x, before: done.close}
	case start == b.start:
		b.high, b.low = max(b.high, x), min(b.low, x)
		if p.event >= b.last {
			b.last, b.close = p.event, x
		}
	}
	return done, over
}

// trueRange is the range of a bar, the close before it included (Wilder, New Concepts in Technical Trading Systems, 1978).
func (b *bars) trueRange() float64 {
	if math.IsNaN(b.before) {
		return b.high - b.low
	}
	return max(b.high, b.before) - min(b.low, b.before)
}

// average is one function of bars of a symbol. The bars that are over are in its state; the running one is added when it is asked.
//
//   - sma(n): the mean of the closes of n bars.
//   - ema(n): EMA = EMA' + (close − EMA') × 2/(n+1), beginning with the mean of the first n closes.
//   - rsi(n): 100 × U / (U + D), where U and D are Wilder's means of the rises and of the falls between closes; 50 when nothing moved.
//   - atr(n): Wilder's mean of the true ranges.
//
// Wilder's mean begins as the mean of the first n values; from then on it is M = M' + (value − M') / n. All are unknown before n values.
type average struct {
	key    averageKey
	bars   bars
	closes ring[float64] // of the last n−1 bars that are over, for sma
	seen   int           // values that are over
	a, b   float64       // ema; U and D of rsi; atr

	fresh bool // what value returned last is still right
	cache float64
}

func newAverage(key averageKey) *average { return &average{key: key, bars: bars{length: key.length}} }

func (x *average) add(p point) {
	x.fresh = false
	done, over := x.bars.add(p)
	if !over {
		return
	}
	x.seen, x.a, x.b = x.with(&done)
	if x.key.name == "sma" {
		x.closes.insert(x.closes.len(), done.close)
		if x.closes.len() > x.key.n-1 {
			x.closes.pop()
		}
	}
}

// with returns the state as it is with one more bar.
func (x *average) with(bar *bars) (seen int, a, b float64) {
	switch x.key.name {
	case "ema":
		return x.seen + 1, smooth(x.a, bar.close, x.seen, x.key.n, 2/float64(x.key.n+1)), 0
	case "rsi":
		if math.IsNaN(bar.before) {
			return x.seen, x.a, x.b
		}
		move := bar.close - bar.before
		weight := 1 / float64(x.key.n)
		return x.seen + 1, smooth(x.a, max(move, 0), x.seen, x.key.n, weight), smooth(x.b, max(-move, 0), x.seen, x.key.n, weight)
	case "atr":
		return x.seen + 1, smooth(x.a, bar.trueRange(), x.seen, x.key.n, 1/float64(x.key.n)), 0
	}
	return x.seen + 1, 0, 0
}

// smooth adds a value to a mean of seen values: a plain mean up to n of them, then one that forgets.
func smooth(mean, value float64, seen, n int, weight float64) float64 {
	if seen < n {
		weight = 1 / float64(seen+1)
	}
	return mean + (value-mean)*weight
}

// now returns the function with the running bar.
func (x *average) now() float64 {
	if !x.fresh {
		x.cache, x.fresh = x.value(), true
	}
	return x.cache
}

// value computes the function with the running bar.
func (x *average) value() float64 {
	if !x.bars.any {
		return unknown()
	}
	seen, a, b := x.with(&x.bars)
	if seen < x.key.n {
		return unknown()
	}
	switch x.key.name {
	case "sma":
		sum := x.bars.close
		for i := range x.closes.len() {
			sum += *x.closes.at(i)
		}
		return sum / float64(x.key.n)
	case "rsi":
		if a+b == 0 {
			return 50
		}
		return 100 * a / (a + b)
	}
	return a
}
