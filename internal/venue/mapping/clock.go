package mapping

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// A clock reads times as a source writes them.
type clock struct {
	unit   string         // s, ms, us, ns, rfc3339, auto; "" when layout is set
	layout string         // of package time
	zone   *time.Location // of a layout without a zone
}

func parseClock(unit, zone string) (clock, error) {
	c := clock{unit: strings.ToLower(unit), zone: time.UTC}
	switch c.unit {
	case "":
		c.unit = "auto"
	case "s", "ms", "us", "ns", "rfc3339", "auto":
	case "µs", "μs":
		c.unit = "us"
	default:
		if !strings.Contains(unit, "06") && !strings.Contains(unit, "15") {
			return c, errors.New("want s, ms, us, ns, rfc3339, auto, or a layout such as 2006-01-02 15:04:05")
		}
		c.unit, c.layout = "", unit
	}
	if zone == "" {
		return c, nil
	}
	var err error
	if c.zone, err = time.LoadLocation(zone); err != nil {
		return c, fmt.Errorf("tz: no zone is called %q; want a name such as Europe/Berlin", zone)
	}
	return c, nil
}

// read reads a time from the text of a value.
func (c clock) read(s string) (market.Time, bool) {
	switch c.unit {
	case "s":
		return epoch(s, 9)
	case "ms":
		return epoch(s, 6)
	case "us":
		return epoch(s, 3)
	case "ns":
		return epoch(s, 0)
	case "rfc3339":
		t, err := market.ParseTime(s)
		return t, err == nil && t != 0
	case "auto":
		return guess(s)
	}
	t, err := time.ParseInLocation(c.layout, s, c.zone)
	if err != nil {
		return 0, false
	}
	at := market.FromStd(t)
	return at, at != 0
}

// epoch reads a count of units of 10^exp ns since 1970 exactly; what is finer than a nanosecond is cut off.
func epoch(s string, exp int) (market.Time, bool) {
	if point := strings.IndexByte(s, '.'); point >= 0 && len(s) > point+10 && !strings.ContainsAny(s, "eE") {
		s = s[:point+10]
	}
	d, err := market.ParseDecimal(s)
	if err != nil {
		return 0, false
	}
	coef, exp := d.Coef(), d.Exp()+exp
	for ; exp < 0 && coef != 0; exp++ {
		coef /= 10
	}
	for ; exp > 0 && coef != 0; exp-- {
		if coef > 922_337_203_685_477_580 || coef < -922_337_203_685_477_580 {
			return 0, false
		}
		coef *= 10
	}
	return market.Time(coef), coef != 0
}

// guess tells the unit of a number by its size: 10^9 is now in seconds, 10^12 in milliseconds, and so on. A text that is no
// number is RFC 3339.
func guess(s string) (market.Time, bool) {
	d, err := market.ParseDecimal(s)
	if err != nil {
		t, err := market.ParseTime(s)
		return t, err == nil && t != 0
	}
	for _, g := range [...]struct {
		below int64 // of the number
		exp   int
	}{{1e11, 9}, {1e14, 6}, {1e17, 3}} {
		limit, err := market.NewDecimal(g.below, 0)
		if err == nil && d.Less(limit) {
			return epoch(s, g.exp)
		}
	}
	return epoch(s, 0)
}
