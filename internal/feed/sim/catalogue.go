package sim

import (
	"hash/fnv"
	"math"
	"strings"
)

// sector is a group of instruments that move together, more than with the market.
type sector int

const (
	tech sector = iota
	consumer
	finance
	other
	broad
	crypto
	sectors // number of them
)

// profile is what an instrument is like.
type profile struct {
	price      float64 // where it starts, and slowly returns to
	volatility float64 // of a year
	activity   float64 // share of the ticks, against others
	sector     sector
	market     float64 // share of the market's movement in its own; the squares of the three shares add up to 1
	group      float64 // share of its sector's
	spread     float64 // usual, as a part of the price
	lot        float64 // usual size of a trade: shares, or US dollars for pairs
	pair       bool    // BASE-QUOTE: trades in fractions
}

// defaultNames is the market of sim:// without symbols=.
func defaultNames() []string {
	return []string{"AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "TSLA", "SPY", "BTC-USD", "ETH-USD"}
}

// profileOf returns the profile of a name: of the well-known ones about what they are, of any other what its letters give.
func profileOf(name string) profile {
	switch name {
	case "AAPL":
		return profile{228, .27, 10, tech, .70, .35, .00005, 90, false}
	case "MSFT":
		return profile{421, .24, 8, tech, .72, .38, .00006, 60, false}
	case "NVDA":
		return profile{139, .48, 14, tech, .66, .45, .00007, 130, false}
	case "AMZN":
		return profile{197, .31, 8, consumer, .68, .30, .00006, 80, false}
	case "GOOGL":
		return profile{168, .29, 7, tech, .66, .38, .00007, 80, false}
	case "META":
		return profile{563, .35, 6, tech, .64, .40, .0001, 45, false}
	case "TSLA":
		return profile{331, .58, 13, consumer, .52, .25, .0001, 70, false}
	case "SPY":
		return profile{592, .16, 16, broad, .97, 0, .00002, 200, false}
	case "QQQ":
		return profile{503, .20, 12, broad, .92, .20, .00002, 150, false}
	case "JPM":
		return profile{243, .25, 4, finance, .62, .45, .0001, 60, false}
	case "BRK.A":
		return profile{705_000, .17, 1, finance, .60, .40, .0005, 1, false}
	case "BTC-USD", "BTCUSD", "BTCUSDT", "BTC-USDT":
		return profile{97_500, .52, 14, crypto, .25, .72, .00001, 900, true}
	case "ETH-USD", "ETHUSD", "ETHUSDT", "ETH-USDT":
		return profile{3_340, .66, 10, crypto, .25, .76, .00002, 700, true}
	case "SOL-USD":
		return profile{254, .85, 8, crypto, .22, .70, .0001, 500, true}
	case "XRP-USD":
		return profile{1.43, .90, 8, crypto, .18, .62, .0002, 400, true}
	case "DOGE-USD":
		return profile{0.415, 1.0, 8, crypto, .18, .62, .0002, 300, true}
	case "SHIB-USD":
		return profile{0.0000254, 1.1, 5, crypto, .18, .62, .0004, 200, true}
	case "EUR-USD", "EURUSD":
		return profile{1.0510, .075, 8, other, .15, 0, .00002, 20_000, true}
	}
	return invented(name)
}

// invented makes a plausible profile out of the letters of a name.
func invented(name string) profile {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	x := h.Sum64()
	part := func() float64 { // The next ten bits as a number from 0 to 1.
		f := float64(x&1023) / 1023
		x >>= 10
		return f
	}
	p := profile{
		price: math.Round(800*math.Exp(4.2*part())) / 100, volatility: .18 + .4*part(), activity: 1 + 4*part(),
		sector: []sector{tech, consumer, finance, other}[x&3], market: .4 + .3*part(), group: .2 + .2*part(),
		spread: .0001 + .0003*part(), lot: 40 + 80*part(),
	}
	if strings.ContainsAny(name, "-/") {
		p.pair, p.sector, p.group, p.volatility, p.lot = true, crypto, .6, .6+.5*p.volatility, 400
		p.market *= .4
	}
	return p
}

// tickOf returns the exponent of the price increment: cents for shares, hundredths of a cent below a dollar (rule 612 of the
// SEC); for pairs five significant digits or so, and never coarser than cents.
func tickOf(p profile) int {
	if !p.pair {
		if p.price < 1 {
			return -4
		}
		return -2
	}
	return min(-2, int(math.Floor(math.Log10(p.price)))-4)
}

// stepOf returns the exponent of the size increment: whole shares, and of a coin what is worth a few hundredths of a cent.
func stepOf(p profile) int {
	if !p.pair {
		return 0
	}
	return max(min(-int(math.Ceil(math.Log10(p.price)))-3, 0), -8)
}

// shape is the activity of the US stock market over its day, against that of its noon, by the hour in New York. Nights are
// quiet here, not still.
func shape(second float64) float64 {
	return interpolate([]float64{
		0, .35, 4, .40, 8, .65, 9.45, .95, 9.5, 2.3, 10, 1.6, 11, 1.1, 12.5, .85, 14, .95, 15, 1.2, 15.75, 1.8, 16, 2.1, 16.02, .8,
		18, .5, 20, .4, 24, .35,
	}, second/3600)
}

// pairShape is that of the markets that never close: highest when Europe and America are both awake.
func pairShape(second float64) float64 {
	return interpolate([]float64{0, .75, 3, .85, 7, 1, 9.5, 1.3, 11, 1.25, 15, 1, 18, .85, 21, .9, 24, .75}, second/3600)
}

// interpolate returns the level at an hour from pairs of hour and level.
func interpolate(points []float64, hour float64) float64 {
	hour = math.Mod(hour, 24)
	for i := 2; i < len(points); i += 2 {
		if from, to := points[i-2], points[i]; hour <= to {
			return points[i-1] + (points[i+1]-points[i-1])*(hour-from)/(to-from)
		}
	}
	return points[len(points)-1]
}
