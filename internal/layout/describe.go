package layout

import (
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/market"
)

// described is how many symbols and columns of a wide table a description has.
const described = 20

// Layout says what was recognised.
func (r *Reader) Layout() Description { return r.told }

func (r *Reader) describe() Description {
	l := r.layout
	d := Description{
		Layout: l.name, Format: r.format, Packing: r.packing, Header: l.header, Passed: l.passed,
		Zone: r.dec.clock.zone.String(), Times: r.times(), Notes: slices.Clone(l.notes),
	}
	if r.oldLines {
		d.Notes = append(d.Notes, "lines end in carriage returns")
	}
	d.Kind = kindName(l.kind)
	if l.kind == market.KindBar {
		d.Label = "start"
		if r.dec.labelEnd {
			d.Label = "end"
		}
		if r.dec.interval.N > 0 {
			d.Interval = r.dec.interval.Short()
		}
	}
	if d.Layout == "" {
		d.Layout = "table of " + d.Kind
	}
	names := fieldNames()
	for i, name := range l.names {
		d.Columns = append(d.Columns, Column{name, r.meaningOf(i, names)})
	}
	d.Symbols = r.symbols()
	return d
}

func kindName(k market.Kind) string {
	switch k {
	case market.KindBar:
		return Bars
	case market.KindQuote:
		return Quotes
	default:
		return Trades
	}
}

// Symbol returns the symbol of all rows, "" when each names its own.
func (r *Reader) Symbol() market.Symbol {
	if r.layout.has(fSymbol) || r.layout.series != nil {
		return ""
	}
	return r.dec.symbol
}

// Unwanted returns a few of the symbols that the rows named, and that Options.Only does not have.
func (r *Reader) Unwanted() []market.Symbol { return r.dec.unwanted }

// meaningOf says in words what a column was taken for.
func (r *Reader) meaningOf(i int, names [fields]string) string {
	l := r.layout
	for n, s := range l.series {
		for f := range fields {
			if s.cols[f] == i && f != fTime {
				return string(r.dec.series[n]) + " " + r.called(f, names)
			}
		}
	}
	for f := range fields {
		if l.cols[f] == i && (f != fClose || l.kind != market.KindBar) {
			return r.called(f, names)
		}
	}
	return ""
}

func (r *Reader) called(f field, names [fields]string) string {
	if r.layout.kind == market.KindBar {
		switch f {
		case fPrice:
			return names[fClose]
		case fSize:
			return "volume"
		default:
		}
	}
	return names[f]
}

// symbols returns those of the rows that were looked at, in the order of the file.
func (r *Reader) symbols() []string {
	var list []string
	add := func(s market.Symbol) {
		if len(list) < described && s != "" && !slices.Contains(list, string(s)) {
			list = append(list, string(s))
		}
	}
	switch {
	case r.layout.series != nil:
		for _, s := range r.dec.series {
			add(s)
		}
	case r.layout.has(fSymbol):
		for _, p := range r.probe {
			if p.err == nil {
				s, _ := r.dec.symbolOf(p.cells)
				add(s)
			}
		}
	default:
		add(r.dec.symbol)
	}
	return list
}

// times says how the rows that were looked at spell times.
func (r *Reader) times() string {
	units := [...]string{"seconds", "milliseconds", "microseconds", "nanoseconds"}
	var seen [4]bool
	var words, split, zoned, rounded bool
	split = r.layout.has(fClock)
	r.cellsOf(r.layout.cols[fTime], func(cell []byte) {
		t, ok := parseEpoch(cell)
		if !ok {
			if rounded = rounded || isRounded(cell); !isRounded(cell) {
				words = true
				_, how := r.dec.clock.parse(cell)
				zoned = zoned || how == exactTime
			}
			return
		}
		whole, _, _ := number(cell, 20)
		for i, limit := range [...]int64{1e11, 1e14, 1e17, 1<<63 - 1} {
			if whole < limit {
				seen[i] = t != 0 || whole == 0
				break
			}
		}
	})
	if r.layout.since != 0 {
		return "counted from midnight"
	}
	var list []string
	for i, s := range seen {
		if s {
			list = append(list, units[i]+" since 1970")
		}
	}
	switch {
	case split:
		list = []string{"date and time of day in two columns"}
	case zoned:
		list = append(list, "dates with a zone")
	case words:
		list = append(list, fmt.Sprintf("dates, in %s", r.dec.clock.zone))
	}
	if rounded {
		list = append(list, "numbers that a spreadsheet rounded")
	}
	return strings.Join(list, ", and ")
}
