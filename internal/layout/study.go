package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// How much is read ahead to recognise a file and to study its rows.
const (
	probeRows  = 1000
	probeCells = 512 << 10 // bytes
)

// look reads the first rows.
func (r *Reader) look() error {
	room := probeCells
	for len(r.probe) < probeRows && room > 0 {
		cells, err := r.src.next()
		if err != nil && !isRowError(err) {
			r.failed = r.whole(err)
			if errors.Is(err, io.EOF) || len(r.probe) > probeLines {
				return nil // What came before can be used.
			}
			return r.failed
		}
		p := probed{line: r.src.line(), text: bytes.Clone(r.src.text()), err: err}
		for _, c := range cells {
			p.cells = append(p.cells, bytes.Clone(c))
			room -= len(c) + 24
		}
		room -= len(p.text) + 64
		r.probe = append(r.probe, p)
	}
	return nil
}

// sample returns the rows that were looked at as text, without those that can't be read.
func (r *Reader) sample() [][]string {
	rows := make([][]string, 0, len(r.probe))
	for _, p := range r.probe {
		row := make([]string, len(p.cells))
		for i, c := range p.cells {
			row[i] = string(c)
		}
		if p.err != nil {
			row = []string{""}
		}
		rows = append(rows, row)
	}
	return rows
}

// study finds out from the first rows what the columns don't tell: the order of day and month, what a comma within a number means, how
// long bars are, which way time runs.
func (r *Reader) study() (*decoder, error) {
	l := r.layout
	d := &decoder{
		layout: l, opt: &r.opt, symbols: make(map[string]market.Symbol), texts: make(map[string]string), days: make(map[string]*market.Lookup),
	}
	d.clock.zone = time.UTC
	if l.zone != nil {
		d.clock.zone = l.zone
	}
	if r.opt.Zone != nil {
		d.clock.zone = r.opt.Zone
	}
	r.studyDates(d)
	r.studyNumbers(d)
	if err := r.chooseSymbols(d); err != nil {
		return nil, err
	}
	d.labelEnd = l.labelEnd
	if r.opt.Label != "" {
		d.labelEnd = r.opt.Label == "end"
	}
	return d, r.studyTimes(d)
}

// cellsOf calls f with a column of each row that was looked at.
func (r *Reader) cellsOf(column int, f func(cell []byte)) {
	for i := range r.probe {
		p := &r.probe[i]
		if p.err == nil && column >= 0 && column < len(p.cells) {
			f(bytes.TrimSpace(p.cells[column]))
		}
	}
}

// studyDates finds a date among the rows that can be read in one order only.
func (r *Reader) studyDates(d *decoder) {
	switch {
	case r.opt.Dates == "mdy":
		d.clock.order = monthFirst
		return
	case r.opt.Dates == "dmy":
		d.clock.order = dayFirst
		return
	}
	var mdy, dmy string
	ambiguous := false
	r.cellsOf(r.layout.cols[fTime], func(cell []byte) {
		first := clockwork{order: monthFirst}
		second := clockwork{order: dayFirst}
		if _, _, ok := (&clockwork{}).parseDate(cell); ok || len(cell) == 0 {
			return
		}
		_, _, month := first.parseDate(cell)
		_, _, day := second.parseDate(cell)
		switch {
		case month && !day:
			mdy = string(cell)
		case day && !month:
			dmy = string(cell)
		case month && day:
			ambiguous = true
		}
	})
	switch {
	case mdy != "" && dmy == "":
		d.clock.order = monthFirst
		r.note("dates are month/day/year, as %.20q tells", mdy)
	case dmy != "" && mdy == "":
		d.clock.order = dayFirst
		r.note("dates are day/month/year, as %.20q tells", dmy)
	case ambiguous && mdy == "":
		if d.clock.order = r.layout.order; d.clock.order != orderUnknown {
			r.note("dates are taken for month/day/year, as %s writes them; --dates dmy says otherwise", r.layout.name)
		}
	}
}

func (r *Reader) note(format string, args ...any) {
	r.layout.notes = append(r.layout.notes, fmt.Sprintf(format, args...))
}

// studyNumbers finds out what commas mean.
func (r *Reader) studyNumbers(d *decoder) {
	var point, comma int
	for _, c := range r.layout.all() {
		for _, f := range [...]field{fPrice, fBid, fAsk, fOpen, fHigh, fLow, fSize} {
			r.cellsOf(c[f], func(cell []byte) {
				if f == fSize && len(cell) > 0 && strings.IndexByte("KMBkmb", cell[len(cell)-1]) >= 0 {
					cell = cell[:len(cell)-1]
				}
				switch evidence(cell) {
				case pointStyle:
					point++
				case commaStyle:
					comma++
				case styleUnknown:
				}
			})
		}
	}
	switch {
	case point > 0:
		d.numbers.style = pointStyle
	case comma > 0:
		d.numbers.style = commaStyle
		r.note("numbers have a decimal comma")
	}
}

// all returns what the columns mean, for each series.
func (l *layout) all() []columns {
	if l.series == nil {
		return []columns{l.cols}
	}
	list := make([]columns, len(l.series))
	for i, s := range l.series {
		list[i] = s.cols
	}
	return list
}

// chooseSymbols settles the symbol of rows that name none, and those of wide tables.
func (r *Reader) chooseSymbols(d *decoder) error {
	d.venue = r.opt.Venue
	if d.venue == "" {
		d.venue = r.layout.venue
	}
	if d.venue == "" {
		d.venue = "IMPORT"
	}
	if r.opt.Only != nil {
		d.only = make(map[market.Symbol]bool, len(r.opt.Only))
		d.named = make(map[string]bool)
		for _, s := range r.opt.Only {
			if strings.Contains(string(s), ":") {
				d.only[s] = true
			} else {
				d.named[strings.ToUpper(string(s))] = true
			}
		}
	}
	switch {
	case r.opt.Symbol == "":
		d.symbol = r.nameless(d.venue)
	case strings.Contains(string(r.opt.Symbol), ":"):
		d.symbol = r.opt.Symbol
	default:
		s, err := market.NewSymbol(d.venue, string(r.opt.Symbol))
		if err != nil {
			return err
		}
		d.symbol = s
	}
	if !r.layout.has(fSymbol) && r.layout.series == nil {
		d.only = nil // All rows are of the one symbol.
	}
	for _, s := range r.layout.series {
		symbol, err := market.NewSymbol(d.venue, s.name)
		if err != nil {
			return fmt.Errorf("column %s: %w", s.name, err)
		}
		d.series = append(d.series, symbol)
		d.want(symbol)
	}
	return nil
}

// nameless makes a symbol of the name of the file: what is left of it without what says kind, date and length.
func (r *Reader) nameless(venue string) market.Symbol {
	name := r.layout.symbol
	if name == "" {
		name = nameOf(r.opt.Name, r.layout.name == "TradingView")
	}
	if v, rest, ok := strings.Cut(name, ":"); ok {
		if r.opt.Venue == "" {
			venue = v
		}
		name = rest
	}
	s, err := market.NewSymbol(venue, name[:min(len(name), max(0, market.MaxSymbol-len(venue)-1))])
	if err != nil {
		return market.Symbol(venue + ":FILE")
	}
	return s
}

// nameOf takes what may be a symbol from the name of a file.
func nameOf(file string, chart bool) string {
	base := file
	if i := strings.LastIndexAny(base, `/\`); i >= 0 {
		base = base[i+1:]
	}
	for _, end := range [...]string{".gz", ".zst", ".zip", ".csv", ".txt", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".dat", ".raw"} {
		base = strings.TrimSuffix(base, end)
	}
	base, _, _ = strings.Cut(base, ", ") // TradingView: "NASDAQ_AAPL, 1D"
	words := strings.FieldsFunc(base, func(c rune) bool { return c == '_' || c == ' ' })
	if chart && len(words) == 2 {
		return symbolOf(words[0]) + ":" + symbolOf(words[1])
	}
	words = slices.DeleteFunc(words, isLabel)
	if len(words) == 0 {
		words = []string{base}
	}
	name := strings.Join(words, "_")
	parts := strings.Split(name, "-") // Binance: BTCUSDT-trades-2024-01-01
	for len(parts) > 1 && isLabel(parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	return symbolOf(strings.Join(parts, "-"))
}

// isLabel reports whether a word of a file's name says what is in it, but not of which instrument.
func isLabel(word string) bool {
	word = strings.ToLower(word)
	switch word {
	case "trades", "trade", "quotes", "quote", "bars", "ticks", "tick", "klines", "aggtrades", "daily", "hourly", "minute", "second", "day",
		"dat", "ascii", "nt", "mt", "d", "h", "1h", "1d", "m1", "h1", "d1", "history", "historical", "data", "sample", "message", "utc":
		return true
	}
	if _, err := market.ParseInterval(word); err == nil && len(word) > 1 && word[0] >= '0' && word[0] <= '9' {
		return true
	}
	if isDigits([]byte(word)) {
		return true
	}
	var c clockwork
	_, how := c.parse([]byte(word))
	return how.ok()
}

// studyTimes finds out which way time runs and, of bars, how long they are.
func (r *Reader) studyTimes(d *decoder) error {
	var rising, falling int
	last := make(map[market.Symbol]market.Time)
	steps := make(map[market.Time]int)
	dates := true
	seen := 0
	for i := range r.probe {
		p := &r.probe[i]
		if p.err != nil {
			continue
		}
		t, how, problem := d.moment(p.cells, &d.layout.cols)
		if problem != nil || how == noTime {
			continue
		}
		symbol, _ := d.symbolOf(p.cells)
		seen++
		dates = dates && d.isDay(t, how)
		if was, ok := last[symbol]; ok {
			switch {
			case t > was:
				rising++
			case t < was:
				falling++
			}
			if step := max(t-was, was-t); step != 0 {
				steps[step]++
			}
		}
		last[symbol] = t
	}
	d.clock.falling = falling > rising
	d.clock.last = 0
	if d.clock.falling {
		r.note("rows go back in time")
	}
	if r.layout.kind != market.KindBar {
		return nil
	}
	return r.chooseInterval(d, steps, dates && seen > 0)
}

// chooseInterval settles the length of bars.
func (r *Reader) chooseInterval(d *decoder, steps map[market.Time]int, dates bool) error {
	switch {
	case r.opt.Interval.N > 0:
		d.interval = r.opt.Interval
		d.layout.cols[fInterval] = -1
	case d.layout.has(fInterval):
		return nil // Each row says its own.
	case r.layout.interval.N > 0:
		d.interval = r.layout.interval
	default:
		var ok bool
		if d.interval, ok = spacing(steps, dates); !ok {
			return errors.New("how long the bars are can't be told from their times; say it, such as --interval 1m")
		}
		r.note("bars of %s, as the spacing of the rows tells", d.interval.Short())
	}
	return nil
}

// spacing returns the interval of bars whose times are so far apart: the longest that divides nearly all steps, for there are gaps,
// and now and then a stray row. Of days, weeks and months, which have unequal lengths, the usual step tells.
func spacing(steps map[market.Time]int, dates bool) (market.Interval, bool) {
	total, whole := 0, 0
	for s, n := range steps {
		total += n
		if s%day == 0 {
			whole += n
		}
	}
	most := func(n int) bool { return n > 0 && n >= total-total/32 }
	if dates || most(whole) {
		if total == 0 {
			return market.Day1(), dates
		}
		return calendarStep(steps), true
	}
	for _, unit := range [...]struct {
		unit   market.Unit
		length market.Time
		all    int // of the next unit
	}{{market.UnitHour, market.Hour, 24}, {market.UnitMinute, market.Minute, 60}, {market.UnitSecond, market.Second, 60}} {
		for n := unit.all / 2; n >= 1; n-- {
			if unit.all%n != 0 {
				continue
			}
			fit := 0
			for s, times := range steps {
				if s%(market.Time(n)*unit.length) == 0 {
					fit += times
				}
			}
			if most(fit) {
				return market.Interval{N: n, Unit: unit.unit}, true
			}
		}
	}
	return market.Interval{}, false
}

// calendarStep tells days, weeks and months apart by the usual step.
func calendarStep(steps map[market.Time]int) market.Interval {
	var list []market.Time
	for s, n := range steps {
		for range n {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	switch usual := (list[len(list)/2] + 12*market.Hour) / day; {
	case usual >= 360:
		return market.Interval{N: 12, Unit: market.UnitMonth}
	case usual >= 89:
		return market.Interval{N: 3, Unit: market.UnitMonth}
	case usual >= 28:
		return market.Interval{N: 1, Unit: market.UnitMonth}
	case usual >= 5:
		return market.Interval{N: 1, Unit: market.UnitWeek}
	}
	return market.Day1()
}
