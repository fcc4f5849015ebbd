package market

import (
	"fmt"
	"strconv"
	"strings"
)

// Entry returns the bar as an entry of KindBar: what a file that holds bars puts on the tape. Turnover, and which trades it
// was made of, are not part of it: a file doesn't say.
func (b *Bar) Entry() Entry {
	e := Entry{
		Kind: KindBar, Symbol: b.Symbol, Event: b.Start, Until: b.End, Ref: b.Interval.Short(),
		Price: b.Open, Size: b.High, Ask: b.Low, AskSize: b.Close, ID: b.Count,
	}
	if !b.Volume.IsZero() || b.Count > 0 {
		e.Text = b.Volume.String()
	}
	return e
}

// Bar returns the entry as an imported bar: final, without turnover, and with a volume of 0 where the file tells none. An error
// says what in it is not of a bar: its interval, its span, or its volume.
func (e *Entry) Bar() (Bar, error) {
	interval, err := ParseInterval(e.Ref)
	if err != nil {
		return Bar{}, fmt.Errorf("bar of %s at %s: %w", e.Symbol, e.Event, err)
	}
	b := Bar{
		Symbol: e.Symbol, Interval: interval, Start: e.Event, End: e.Until,
		Open: e.Price, High: e.Size, Low: e.Ask, Close: e.AskSize, Count: e.ID, Final: true, Priced: true, Imported: true,
	}
	if e.Until <= e.Event {
		return Bar{}, fmt.Errorf("bar of %s at %s: it ends at %s: %w", e.Symbol, e.Event, e.Until, ErrRange)
	}
	if e.Text != "" {
		if b.Volume, err = ParseWide(e.Text); err != nil {
			return Bar{}, fmt.Errorf("volume of the bar of %s at %s: %w", e.Symbol, e.Event, err)
		}
		if b.Volume.Sign() < 0 {
			return Bar{}, fmt.Errorf("volume %s of the bar of %s at %s: %w", b.Volume, e.Symbol, e.Event, ErrRange)
		}
	}
	return b, nil
}

// Short formats the interval as charts do, and as ParseInterval reads it: "5m" is five minutes and "1M" a month.
func (v Interval) Short() string {
	unit := "?"
	switch v.Unit {
	case UnitSecond:
		unit = "s"
	case UnitMinute:
		unit = "m"
	case UnitHour:
		unit = "h"
	case UnitDay:
		unit = "d"
	case UnitWeek:
		unit = "w"
	case UnitMonth:
		unit = "M"
	}
	return strconv.Itoa(v.N) + unit
}

// ImportFeed begins the names of the feeds on the tape that are files: each has one of its own, made of what is in it.
const ImportFeed = "import-"

// AlertFeed is the name under which alarms are on the tape.
const AlertFeed = "alert"

// IsImport reports whether a feed is a file that was imported, and so nothing that could bring a symbol live.
func IsImport(feed string) bool { return strings.HasPrefix(feed, ImportFeed) }
