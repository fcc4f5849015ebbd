package sim

import (
	"math"
	"math/rand/v2"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// Seconds of trading in a year, which the volatilities are of.
const (
	shareYear = 252 * 6.5 * 3600
	pairYear  = 365 * 24 * 3600
)

// comeback is the part of its distance from where it started that a price makes good in a second: a month's drift or so.
const comeback = 1.0 / (20 * 86400)

// world is the simulated market. It knows no clock but its own: next makes one tick after the other.
type world struct {
	rng         *rand.Rand
	instruments []instrument
	choose      alias
	quotes      bool

	n       float64 // ticks so far, without the opening
	opening int     // ticks of the opening that are still to come
	step    float64 // seconds of the market's clock per tick
	root    float64 // square root of step
	open    float64 // second of the day at n = 0

	all     float64 // movement of the market so far, in standard deviations of a second
	groups  [sectors]float64
	moved   [sectors]float64 // n at which the group last moved
	reshape float64          // n up to which the levels below hold
	level   float64          // of shares
	pairs   float64          // of pairs
}

// instrument is a symbol of the world. Prices are in increments.
type instrument struct {
	symbol market.Symbol
	profile
	own    float64 // share of its own in its movement
	sigma  float64 // volatility of a second
	base   float64 // price that it comes back to
	mid    float64
	tick   int // exponents of prices and sizes
	step   int
	unit   float64 // of a size, in increments: one US dollar's worth for pairs is unit / mid
	spread float64 // usual, in increments

	all, group, at float64 // of the world when it last moved
	bid, ask       int64
	id             uint64 // of its last trade
}

// newWorld returns the market at its opening. Prices go on from the last on the tape, and so does what is random: a market that
// was restarted does not repeat itself.
func newWorld(c config, start feed.Start, second int) *world {
	w := &world{
		quotes: c.quotes, step: 1 / c.rate, root: math.Sqrt(1 / c.rate), open: float64(second),
		instruments: make([]instrument, len(c.symbols)),
	}
	var history uint64
	weights := make([]float64, len(c.symbols))
	for i, s := range c.symbols {
		in := &w.instruments[i]
		in.init(s)
		weights[i] = in.activity
		if start.Last == nil {
			continue
		}
		if e, ok := start.Last(s, market.KindTrade); ok {
			in.resume(e)
			history = history*31 + e.Seq
		}
	}
	w.opening = len(c.symbols)
	if c.quotes {
		w.opening *= 2
	}
	w.choose = newAlias(weights)
	w.rng = rand.New(rand.NewPCG(c.seed, history))
	return w
}

func (in *instrument) init(s market.Symbol) {
	in.symbol, in.profile = s, profileOf(s.Name())
	in.tick, in.step = tickOf(in.profile), stepOf(in.profile)
	year := float64(shareYear)
	if in.pair {
		year = pairYear
	}
	in.sigma = in.volatility / math.Sqrt(year)
	in.own = math.Sqrt(max(0, 1-in.market*in.market-in.profile.group*in.profile.group))
	scale := math.Pow10(-in.tick)
	in.base = in.price * scale
	in.mid = in.base
	in.unit = scale * math.Pow10(-in.step)
	in.spread = in.profile.spread
}

// resume goes on from the last trade on the tape.
func (in *instrument) resume(e market.Entry) {
	if p := e.Price.Float64() * math.Pow10(-in.tick); p >= 2 && p < 1e15 {
		in.mid = p
	}
	in.id = e.ID
}

// next makes the next tick. It sets everything but the times, and Seq.
func (w *world) next(e *market.Entry) {
	if w.opening > 0 {
		w.openWith(e)
		return
	}
	w.n++
	if w.n >= w.reshape {
		w.look()
	}
	w.all += w.root * w.normal()
	in := &w.instruments[w.choose.pick(w.rng.Uint64())]
	level := w.level
	if in.pair {
		level = w.pairs
	}
	w.move(in, level)
	if w.quotes && w.rng.Uint32()&1023 < 614 { // Three quotes to two trades.
		w.quote(in, level, e)
		return
	}
	if !w.quotes {
		w.requote(in)
	}
	w.trade(in, level, e)
}

// openWith makes the first ticks: of each symbol a quote, and then a trade.
func (w *world) openWith(e *market.Entry) {
	if w.reshape == 0 {
		w.look()
	}
	k := len(w.instruments)
	in := &w.instruments[(k-w.opening%k)%k]
	quote := w.opening > k
	w.opening--
	if quote {
		w.quote(in, w.level, e)
		return
	}
	if !w.quotes {
		w.requote(in)
	}
	w.trade(in, w.level, e)
}

// look reads the shape of the day, which is good for ten seconds of the market's clock.
func (w *world) look() {
	second := math.Mod(w.open+w.n*w.step, 86400)
	w.level, w.pairs = shape(second), pairShape(second)
	w.reshape = w.n + max(1, math.Floor(10/w.step))
}

// move brings the price of an instrument up to date: it takes its share of what the market and its sector did since it last
// moved, and adds what is its own.
func (w *world) move(in *instrument, level float64) {
	g := in.sector
	if since := w.n - w.moved[g]; since > 0 {
		w.groups[g] += w.root * math.Sqrt(since) * w.normal()
		w.moved[g] = w.n
	}
	since := w.n - in.at
	z := in.market*(w.all-in.all) + in.profile.group*(w.groups[g]-in.group) + in.own*w.root*math.Sqrt(since)*w.normal()
	x := max(-.2, min(.2, in.sigma*level*z))
	in.mid += in.mid*x + (in.base-in.mid)*min(comeback*since*w.step, 1)
	in.mid = max(in.mid, 2)
	in.all, in.group, in.at = w.all, w.groups[g], w.n
}

// requote sets bid and ask around the price.
func (w *world) requote(in *instrument) {
	spread := max(1, math.Round(in.spread*in.mid))
	switch r := w.rng.Uint32() & 15; {
	case r >= 14:
		spread = math.Ceil(spread * 2)
	case r >= 10:
		spread = math.Ceil(spread * 1.4)
	}
	in.bid = max(1, int64(in.mid-(spread-1)/2))
	in.ask = in.bid + int64(spread)
}

func (w *world) quote(in *instrument, level float64, e *market.Entry) {
	w.requote(in)
	*e = market.Entry{
		Kind: market.KindQuote, Symbol: in.symbol,
		Price: decimal(in.bid, in.tick), Size: w.depth(in, level),
		Ask: decimal(in.ask, in.tick), AskSize: w.depth(in, level),
	}
}

// trade prints at the bid, at the ask, or now and then between them.
func (w *world) trade(in *instrument, level float64, e *market.Entry) {
	r := w.rng.Uint64()
	lean := (in.mid - float64(in.bid+in.ask)/2) / float64(in.ask-in.bid) // Above the middle of the quote, more buy.
	buys := 0.5 + max(-.4, min(.4, lean*.5))
	price, side := in.bid, market.SideSell
	if float64(r&0xffff)/0x10000 < buys {
		price, side = in.ask, market.SideBuy
	}
	if gap := in.ask - in.bid; gap > 1 && r>>16&15 == 0 {
		price = in.bid + 1 + int64(r>>20&0xffff)*(gap-1)>>16
	}
	in.id++
	*e = market.Entry{
		Kind: market.KindTrade, Symbol: in.symbol, Side: side, ID: in.id,
		Price: decimal(price, in.tick), Size: w.size(in, level),
	}
}

// size of a trade. Shares: mostly odd lots and hundreds. Pairs: log-normal in dollars.
func (w *world) size(in *instrument, level float64) market.Decimal {
	if in.pair {
		usd := in.lot * level * math.Exp(1.4*w.rng.NormFloat64()-1)
		return decimal(max(1, int64(min(usd*in.unit/in.mid, 1e17))), in.step)
	}
	r := w.rng.Uint64()
	if in.lot < 10 { // A share that costs as much as a house is not traded by the hundred.
		return decimal(1+int64(r&3)*int64(in.lot)/2, 0)
	}
	switch k := r & 63; {
	case k < 34:
		return decimal(1+int64(r>>8&0xffff)*int64(min(in.lot, 99))>>16, 0)
	case k < 52:
		return decimal(100, 0)
	default:
		lots := 1 + float64(r>>8&0xffff)/0x10000*in.lot/12*level
		if k == 63 {
			lots *= 8
		}
		return decimal(100*int64(1+lots), 0)
	}
}

// depth is the size of a quote: lots of a hundred, or a few trades' worth.
func (w *world) depth(in *instrument, level float64) market.Decimal {
	r := float64(w.rng.Uint32()>>8) / (1 << 24)
	if in.pair {
		usd := in.lot * (.2 + 12*r*r*r) * (1 + level)
		return decimal(max(1, int64(min(usd*in.unit/in.mid, 1e17))), in.step)
	}
	if in.lot < 10 {
		return decimal(1+int64(3*r), 0)
	}
	return decimal(100*(1+int64(10*r*r*r*(1+level))), 0)
}

// decimal is coef × 10^exp, whose exponent is one of an instrument.
func decimal(coef int64, exp int) market.Decimal {
	d, err := market.NewDecimal(coef, exp)
	if err != nil {
		panic("BUG: " + err.Error()) // Exponents are -13 to 0, coefficients positive.
	}
	return d
}

// normal returns a number that is nearly normally distributed, with mean 0 and deviation 1: the sum of four even ones. It never
// exceeds 3.5, and takes a third of the time of a true one.
func (w *world) normal() float64 {
	r := w.rng.Uint64()
	sum := r&0xffff + r>>16&0xffff + r>>32&0xffff + r>>48
	return (float64(sum)/0x10000 - 2) * 1.7320508075688772
}

// alias picks an index with given weights in constant time (M. Vose, "A linear algorithm for generating random numbers with a
// given distribution", 1991).
type alias struct {
	keep  []float64
	other []int
}

func newAlias(weights []float64) alias {
	n := len(weights)
	a := alias{make([]float64, n), make([]int, n)}
	var sum float64
	for _, w := range weights {
		sum += w
	}
	var small, large []int
	for i, w := range weights {
		a.keep[i], a.other[i] = w*float64(n)/sum, i
		if a.keep[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.other[s] = l
		if a.keep[l] -= 1 - a.keep[s]; a.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		a.keep[i] = 1 // What rounding left.
	}
	return a
}

func (a *alias) pick(r uint64) int {
	i := int(r >> 32 * uint64(len(a.keep)) >> 32)
	if float64(r&0xffffffff)/(1<<32) < a.keep[i] {
		return i
	}
	return a.other[i]
}
