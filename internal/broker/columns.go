package broker

import (
	"bytes"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// maxColumns is how many columns a line may have.
const maxColumns = 64

// line reads a line of columns, divided by commas, semicolons or tabs, or a bare number.
func (sh *shapes) line(text []byte, m *Message, out *venue.Output) {
	if len(text) == 0 {
		return
	}
	var cells [maxColumns][]byte
	n := split(text, &cells)
	if n == 0 {
		out.Unused(ReasonUnreadable)
		return
	}
	var it item
	if len(sh.columns) > 0 {
		names := columnNames()
		for i, name := range sh.columns[:min(n, len(sh.columns))] {
			it.set(names[name], 1, quoted(cells[i]))
		}
	} else {
		found(cells[:n], &it)
	}
	if it.values[fieldPrice].Null() && it.values[fieldBid].Null() {
		out.Unused(ReasonUnreadable)
		return
	}
	sh.tick(&it, m, out)
}

// split divides a line at the first kind of separator that it has, and returns the number of its cells, 0 when they are too many.
func split(text []byte, cells *[maxColumns][]byte) int {
	separator := byte(',')
	for _, c := range []byte("\t;,") {
		if bytes.IndexByte(text, c) >= 0 {
			separator = c
			break
		}
	}
	n := 0
	for rest := text; ; n++ {
		if n == maxColumns {
			return 0
		}
		cell, tail, more := bytes.Cut(rest, []byte{separator})
		cell = bytes.TrimSpace(cell)
		if len(cell) >= 2 && cell[0] == '"' && cell[len(cell)-1] == '"' {
			cell = bytes.TrimSpace(cell[1 : len(cell)-1])
		}
		cells[n] = cell
		if !more {
			return n + 1
		}
		rest = tail
	}
}

// found tells columns by their content, in any order: a time, a name, then a price and a size. A single number is a price.
func found(cells [][]byte, it *item) {
	for _, cell := range cells {
		if len(cell) == 0 {
			continue
		}
		v := quoted(cell)
		d, err := market.ParseDecimal(cell)
		switch {
		case err == nil && len(cells) > 1 && it.ranks[fieldTime] == 0 && looksLikeEpoch(d):
			it.set(fieldTime, 1, v)
		case err == nil && it.ranks[fieldPrice] == 0:
			it.set(fieldPrice, 1, v)
		case err == nil:
			it.set(fieldSize, 1, v)
		default:
			if _, ok := timeOf(v); ok {
				it.set(fieldTime, 1, v)
			} else if sideOf(v) != market.SideNone && it.ranks[fieldSymbol] != 0 {
				it.set(fieldSide, 1, v)
			} else {
				it.set(fieldSymbol, 1, v)
			}
		}
	}
}

// looksLikeEpoch reports whether a number is more likely a time of this century than a price: it is 10^9 or more.
func looksLikeEpoch(d market.Decimal) bool {
	least, err := market.NewDecimal(1, 9)
	return err == nil && !d.Less(least)
}

// quoted makes a value of the text of a cell. It is no JSON, but read in the same way.
func quoted(cell []byte) venue.Value {
	if len(cell) == 0 {
		return nil
	}
	v := make(venue.Value, 0, len(cell)+2)
	v = append(v, '"')
	for _, c := range cell {
		if c != '\\' && c != '"' {
			v = append(v, c)
		}
	}
	return append(v, '"')
}
