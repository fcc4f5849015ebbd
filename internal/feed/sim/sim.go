// Package sim is a market that does not exist: a feed of trades and quotes that look like those of real instruments, drawn from
// a seed. It is what Tapedeck shows when nothing is configured, and what it is tested and measured with.
//
//	sim://?symbols=AAPL,MSFT,BTC-USD&rate=2/s&seed=1
//
// The parameters:
//
//	symbols  names, pairs as BASE-QUOTE; any name will do (default: nine well-known ones)
//	rate     ticks a second of all symbols together, 0.1/s to 1000000/s; also 30/m (default 2/s)
//	seed     of all that is random (default 1)
//	quotes   false leaves the quotes out (default true: three quotes to two trades)
//	open     time of day in New York at which the market's own day begins, or "now" (default 09:30)
//
// The same seed and parameters give the same prices, sizes and sides in the same order, whenever and however fast they run:
// the market has a clock of its own that advances by 1/rate with each tick, and the shape of its day (busy at the open and at
// the close, quiet at noon, never still at night) follows that clock from the time of day that open says. After a restart
// prices go on from the last on the tape.
package sim

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// Label is shown with everything that comes from this feed.
const Label = "SIM"

// Limits of the parameters.
const (
	MinRate    = 0.1
	MaxRate    = 1_000_000
	MaxSymbols = 10_000
)

const defaultOpen = 9*3600 + 30*60 // seconds of the day

// Adapter returns the adapter of sim:// URLs.
func Adapter() feed.Adapter {
	return feed.Adapter{
		Scheme: "sim",
		Venue:  "SIM",
		Params: []string{"symbols", "rate", "seed", "quotes", "open"},
		Check: func(u *feed.URL) error {
			_, err := parse(u)
			return err
		},
		Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
			c, err := parse(u)
			if err != nil {
				return nil, err
			}
			return newSource(c, start), nil
		},
	}
}

// config is a URL that was read.
type config struct {
	symbols []market.Symbol
	rate    float64 // ticks a second
	seed    uint64
	quotes  bool
	open    int // second of the day in New York; -1 is now
}

func parse(u *feed.URL) (config, error) {
	var c config
	var err error
	if c.symbols, err = parseSymbols(u); err != nil {
		return c, err
	}
	if c.rate, err = parseRate(u); err != nil {
		return c, err
	}
	if c.seed, err = u.Uint("seed", 1); err != nil {
		return c, err
	}
	if c.quotes, err = u.Bool("quotes", true); err != nil {
		return c, err
	}
	c.open, err = parseOpen(u)
	return c, err
}

// parseSymbols takes the names from symbols= or from the place of the host: sim://AAPL,MSFT.
func parseSymbols(u *feed.URL) ([]market.Symbol, error) {
	names := u.List("symbols")
	switch target := feed.SplitList(u.Target); {
	case len(target) > 0 && u.Has("symbols"):
		return nil, u.Errorf("symbols", "the URL names symbols before the question mark as well")
	case len(target) > 0:
		names = target
	case len(names) == 0 && u.Has("symbols"):
		return nil, u.Errorf("symbols", "want names such as AAPL,BTC-USD")
	case len(names) == 0:
		names = defaultNames()
	}
	if len(names) > MaxSymbols {
		return nil, u.Errorf("symbols", fmt.Sprintf("at most %d", MaxSymbols))
	}
	seen := make(map[market.Symbol]bool, len(names))
	symbols := make([]market.Symbol, 0, len(names))
	for _, name := range names {
		s, err := market.NewSymbol(u.Venue, name)
		if err != nil {
			return nil, feed.Permanent(fmt.Errorf("%w: symbols: %w", feed.ErrURL, err))
		}
		if seen[s] {
			return nil, u.Errorf("symbols", s.Name()+" is named twice")
		}
		seen[s] = true
		symbols = append(symbols, s)
	}
	return symbols, nil
}

func parseRate(u *feed.URL) (float64, error) {
	text := u.Get("rate")
	if text == "" {
		if u.Has("rate") {
			return 0, u.Errorf("rate", "want a number a second, such as 2/s")
		}
		return 2, nil
	}
	number, unit, ok := strings.Cut(text, "/")
	per := 1.0
	if ok {
		switch strings.ToLower(strings.TrimSpace(unit)) {
		case "s", "sec", "second":
		case "m", "min", "minute":
			per = 60
		case "h", "hour":
			per = 3600
		default:
			return 0, u.Errorf("rate", "want ticks a second or a minute, such as 2/s or 30/m")
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(n) {
		return 0, u.Errorf("rate", "want a number a second, such as 2/s")
	}
	if n /= per; n < MinRate || n > MaxRate {
		return 0, u.Errorf("rate", fmt.Sprintf("want %g/s to %d/s", MinRate, MaxRate))
	}
	return n, nil
}

func parseOpen(u *feed.URL) (int, error) {
	text := u.Get("open")
	switch text {
	case "":
		return defaultOpen, nil
	case "now":
		return -1, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, u.Errorf("open", "want a time of day in New York such as 09:30, or now")
	}
	return t.Hour()*3600 + t.Minute()*60, nil
}

// secondOfDay returns the second of the day in New York. Without the zone's table it falls back on its winter time, which shifts
// the shape of a simulated day by an hour in summer.
func secondOfDay(t time.Time) int {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		zone = time.FixedZone("EST", -5*3600)
	}
	t = t.In(zone)
	return t.Hour()*3600 + t.Minute()*60 + t.Second()
}
