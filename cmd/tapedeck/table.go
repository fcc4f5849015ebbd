package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// table shows the newest values of each symbol in place on a terminal, at most ten times a second.
type table struct {
	w     *bufio.Writer
	rows  map[string]*tableRow
	order []string
	drawn time.Time
	lines int    // of the last drawing, to go back up over
	clock string // of a replay; empty when it is live
}

type tableRow struct {
	last, size, bid, ask, at, state string
	up                              int
}

func newTable(w *bufio.Writer) *table { return &table{w: w, rows: make(map[string]*tableRow)} }

func (t *table) write(_ json.RawMessage, m *message) error {
	if m.S == "" {
		return nil
	}
	row, ok := t.rows[m.S]
	if !ok {
		row = new(tableRow)
		t.rows[m.S] = row
		i, _ := slices.BinarySearch(t.order, m.S)
		t.order = slices.Insert(t.order, i, m.S)
	}
	switch m.T {
	case "t":
		if now, err := m.P.Float64(); err == nil {
			if before, err := json.Number(row.last).Float64(); err == nil && now != before {
				row.up = 1
				if now < before {
					row.up = -1
				}
			}
		}
		row.last, row.size, row.at, row.state = m.P.String(), m.Size.String(), m.Time, ""
	case "q":
		row.bid, row.ask = m.BP.String(), m.AP.String()
	case "status":
		row.state = m.State
	case "gap":
		row.state = "gap"
	}
	return nil
}

// flush draws the table unless it was drawn a moment ago; the next frame will.
func (t *table) flush() error {
	if time.Since(t.drawn) < 100*time.Millisecond {
		return nil
	}
	t.drawn = time.Now()
	if t.lines > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA", t.lines)
	}
	fmt.Fprintf(t.w, "\x1b[2K\x1b[1m%-24s %16s %12s %16s %16s  %s\x1b[0m\n", "SYMBOL", "LAST", "SIZE", "BID", "ASK", cmp.Or(t.clock, "TIME"))
	for _, s := range t.order {
		r := t.rows[s]
		color, arrow := "", " "
		switch {
		case r.up > 0:
			color, arrow = "\x1b[32m", "▲"
		case r.up < 0:
			color, arrow = "\x1b[31m", "▼"
		}
		fmt.Fprintf(t.w, "\x1b[2K%-24s %s%s%15s\x1b[0m %12s %16s %16s  %s %s\n", s, color, arrow, r.last, r.size, r.bid, r.ask, r.at, r.state)
	}
	t.lines = len(t.order) + 1
	return t.w.Flush()
}
