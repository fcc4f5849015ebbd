// Package replay is a feed that plays a file of trades or quotes as if it were live.
//
//	replay:///data/trades.csv.gz?symbol=SPY&speed=10&loop=true&jitter=0.5
//
// The path is absolute after three slashes, relative to the working directory after two; it may be percent-encoded. The file is
// whatever package layout reads: CSV and its kin, JSON lines or Parquet, packed or not, with or without a header. Bars are played
// as trades of their close. Digits are kept as they are, times to the nanosecond.
//
// The parameters:
//
//	symbol   name of the instrument when the file has no column for it (default: from the file's name); otherwise the symbols to
//	         play, separated by commas
//	map      what columns mean, by name or number: map=time=ts,price=px,size=3; "size=" means that there is none
//	tz       zone of times that do not say theirs, such as America/New_York (default: the layout's own, else UTC)
//	dates    mdy or dmy: how 03/04/2024 is to be read (default: as the rows tell)
//	speed    how much faster than recorded, such as 10, or max (default 1)
//	delay    fixed time between rows, such as 50ms, instead of the recorded one
//	jitter   0 to 1: how much times between rows vary at random (default 0)
//	seed     of the jitter (default 1)
//	loop     true plays the file again and again, each pass later by the length of the file, so that time never runs back
//	shift    now moves all times so that the first row is now; otherwise they are kept
//
// Rows in the order of the file are ticks in that order, whatever their times. A row that can't be used is left out, logged once for
// each kind of problem, counted, and marked on the tape by a gap that names its line.
//
// The feed remembers on the tape which row was last: a replay that was killed goes on with the next, and one that came to its
// end stays there, unless the file or the parameters that choose its rows have changed. With shift=now it begins anew.
package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/layout"
	"tapedeck/internal/market"
)

// Label is shown with everything that comes from this feed.
const Label = "REPLAY"

// The drop reason of rows that cannot be used.
const reasonBadRow = "bad_row"

// Adapter returns the adapter of replay:// URLs.
func Adapter() feed.Adapter {
	return feed.Adapter{
		Scheme: "replay",
		Venue:  "REPLAY",
		Params: []string{"symbol", "map", "tz", "dates", "speed", "delay", "jitter", "seed", "loop", "shift"},
		Check: func(u *feed.URL) error {
			_, err := parse(u)
			return err
		},
		Probe: func(u *feed.URL) error {
			c, err := parse(u)
			if err != nil {
				return err
			}
			info, err := os.Stat(c.path)
			if err != nil {
				return fmt.Errorf("replay: %w", err)
			}
			if info.IsDir() {
				return fmt.Errorf("replay: %s is a folder, not a file", c.path)
			}
			return nil
		},
		Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
			c, err := parse(u)
			if err != nil {
				return nil, err
			}
			return &source{config: c, start: start}, nil
		},
	}
}

// config is a URL that was read.
type config struct {
	path    string
	layout  layout.Options // all but the name of the file
	speed   float64        // 0 is as fast as possible
	delay   time.Duration
	delayed bool
	jitter  float64
	seed    uint64
	loop    bool
	now     bool   // shift=now
	choice  string // what of the URL says which ticks the rows give
}

func parse(u *feed.URL) (*config, error) {
	c := &config{path: filepath.FromSlash(u.Target)}
	c.layout = layout.Options{Venue: u.Venue, OneVenue: true, Closes: true}
	if c.path == "" {
		return nil, feed.Permanent(fmt.Errorf("%w: %s names no file; want replay:///path/to/trades.csv", feed.ErrURL, u))
	}
	var err error
	if err = c.parseSymbols(u); err != nil {
		return nil, err
	}
	if c.layout.Map, err = parseMap(u); err != nil {
		return nil, err
	}
	if err = c.parseTimes(u); err != nil {
		return nil, err
	}
	if err = c.parsePace(u); err != nil {
		return nil, err
	}
	if c.loop, err = u.Bool("loop", false); err != nil {
		return nil, err
	}
	switch u.Get("shift") {
	case "now":
		c.now = true
	case "", "none":
	default:
		return nil, u.Errorf("shift", "want now, or none")
	}
	c.choice = strings.Join([]string{u.Venue, u.Get("symbol"), u.Get("map"), u.Get("tz"), u.Get("dates")}, "\x00")
	return c, nil
}

// parseSymbols reads symbol=. Without it a file that names no symbols has that of its own name: trades.csv.gz is TRADES.
func (c *config) parseSymbols(u *feed.URL) error {
	names := u.List("symbol")
	venue := c.layout.Venue
	if len(names) == 0 {
		base, _, _ := strings.Cut(filepath.Base(c.path), ".")
		stem := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
				return r
			}
			return '_'
		}, base)
		s, err := market.NewSymbol(venue, stem[:min(len(stem), market.MaxSymbol-len(venue)-1)])
		if err != nil {
			s, err = market.NewSymbol(venue, "FILE")
		}
		c.layout.Symbol = s
		return err
	}
	for _, name := range names {
		s, err := market.NewSymbol(venue, name)
		if err != nil {
			return feed.Permanent(fmt.Errorf("%w: symbol: %w", feed.ErrURL, err))
		}
		c.layout.Only = append(c.layout.Only, s)
		c.layout.Symbol = s
	}
	return nil
}

// parseMap reads map=time=ts_ns,price=px.
func parseMap(u *feed.URL) (map[string]string, error) {
	parts := u.List("map")
	if len(parts) == 0 {
		if u.Has("map") {
			return nil, u.Errorf("map", "want meanings and columns, such as time=ts,price=px")
		}
		return nil, nil
	}
	mapping := make(map[string]string, len(parts))
	for _, part := range parts {
		name, column, ok := strings.Cut(part, "=")
		if !ok {
			return nil, u.Errorf("map", strconv.Quote(part)+" is not meaning=column, such as time=ts")
		}
		meaning, err := layout.Meaning(name)
		if err != nil {
			return nil, u.Errorf("map", err.Error())
		}
		if _, twice := mapping[meaning]; twice {
			return nil, u.Errorf("map", name+" is given twice")
		}
		mapping[meaning] = strings.TrimSpace(column)
	}
	return mapping, nil
}

func (c *config) parseTimes(u *feed.URL) error {
	if tz := u.Get("tz"); tz != "" {
		zone, err := time.LoadLocation(tz)
		if err != nil || tz == "Local" {
			return u.Errorf("tz", "is not a time zone such as America/New_York")
		}
		c.layout.Zone = zone
	}
	switch c.layout.Dates = u.Get("dates"); c.layout.Dates {
	case "", "mdy", "dmy":
		return nil
	}
	return u.Errorf("dates", "want mdy or dmy")
}

func (c *config) parsePace(u *feed.URL) error {
	switch text := strings.TrimSuffix(u.Get("speed"), "x"); {
	case text == "ma": // max without its x
	case !u.Has("speed"):
		c.speed = 1
	default:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || !(f >= 1e-3 && f <= 1e9) {
			return u.Errorf("speed", "want a number from 0.001 to 1000000000, or max")
		}
		c.speed = f
	}
	var err error
	c.delayed = u.Has("delay")
	if c.delay, err = u.Duration("delay", 0); err != nil {
		return err
	}
	if c.jitter, err = u.Float("jitter", 0, 0, 1); err != nil {
		return err
	}
	c.seed, err = u.Uint("seed", 1)
	return err
}
