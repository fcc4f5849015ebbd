package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"tapedeck/internal/layout"
	"tapedeck/internal/market"
)

// describe prints what a file was recognised as.
func (im *importer) describe(f *sourceFile) {
	d := f.rows.Layout()
	fmt.Fprintf(im.out, "%s: %s\n", filepath.Base(f.name), d.Layout)
	format := d.Format
	if d.Packing != "" {
		format += ", " + d.Packing
	}
	if !d.Header && d.Format == "csv" {
		format += ", no header"
	}
	rows := d.Kind
	if d.Interval != "" {
		rows += " of " + d.Interval
	}
	if d.Kind == layout.Bars {
		rows += ", labelled by their " + d.Label
	}
	for _, line := range [...][2]string{
		{"rows", rows}, {"format", format}, {"symbols", strings.Join(d.Symbols, ", ")}, {"times", d.Times},
	} {
		if line[1] != "" {
			fmt.Fprintf(im.out, "  %-9s %s\n", line[0], line[1])
		}
	}
	var used, left []string
	for _, c := range d.Columns {
		switch {
		case c.Meaning == "":
			left = append(left, c.Name)
		case strings.EqualFold(c.Meaning, c.Name):
			used = append(used, c.Name)
		default:
			used = append(used, c.Name+" = "+c.Meaning)
		}
	}
	if len(used) > 0 {
		fmt.Fprintf(im.out, "  %-9s %s\n", "columns", some(used))
	}
	if len(left) > 0 {
		fmt.Fprintf(im.out, "  %-9s %s\n", "left out", some(left))
	}
	for _, note := range d.Notes {
		fmt.Fprintf(im.out, "  %-9s %s\n", "note", note)
	}
}

// some joins the first of a list.
func some(list []string) string {
	const most = 20
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

// shown is how many entries a dry run prints.
const shown = 10

// show prints what was recognised, and the first entries and rejected rows.
func (im *importer) show(f *sourceFile) error {
	var entries []market.Entry
	var rejects []layout.Reject
	for f.rows.Row() < 1000 && len(entries) < shown {
		var reject *layout.Reject
		var err error
		if entries, reject, err = f.rows.NextRow(entries); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if reject != nil && len(rejects) < shown {
			rejects = append(rejects, *reject)
		}
	}
	entries = entries[:min(len(entries), shown)]
	if im.flags.asJSON {
		return json.NewEncoder(im.out).Encode(dryRun(f, entries, rejects))
	}
	im.describe(f)
	for i := range entries {
		fmt.Fprintf(im.out, "  %s\n", shownEntry(&entries[i]))
	}
	for i := range rejects {
		fmt.Fprintf(im.out, "  rejected: %v\n", &rejects[i])
	}
	return nil
}

// shownEntry is a line of a dry run.
func shownEntry(e *market.Entry) string {
	switch e.Kind {
	case market.KindBar:
		return fmt.Sprintf("%s %s  open %s high %s low %s close %s volume %s", e.Event, e.Symbol, e.Price, e.Size, e.Ask, e.AskSize, orDash(e.Text))
	case market.KindQuote:
		return fmt.Sprintf("%s %s  bid %s × %s ask %s × %s", e.Event, e.Symbol, e.Price, e.Size, e.Ask, e.AskSize)
	default:
	}
	side := ""
	switch e.Side {
	case market.SideBuy:
		side = " buy"
	case market.SideSell:
		side = " sell"
	case market.SideNone:
	}
	return fmt.Sprintf("%s %s  %s × %s%s", e.Event, e.Symbol, e.Price, e.Size, side)
}

// dryRunFile is what a dry run prints with --json.
type dryRunFile struct {
	File    string             `json:"file"`
	Layout  layout.Description `json:"layout"`
	Rows    []string           `json:"rows"`
	Rejects []string           `json:"rejects,omitempty"`
}

func dryRun(f *sourceFile, entries []market.Entry, rejects []layout.Reject) dryRunFile {
	d := dryRunFile{File: f.name, Layout: f.rows.Layout(), Rows: []string{}}
	for i := range entries {
		d.Rows = append(d.Rows, shownEntry(&entries[i]))
	}
	for i := range rejects {
		d.Rejects = append(d.Rejects, rejects[i].Error())
	}
	return d
}

// progress tells how far an import is: a bar on a terminal, else a line now and then.
type progress struct {
	w      io.Writer
	name   string
	size   int64
	lively bool
	quiet  bool
	begun  time.Time
	told   time.Time
	drawn  bool
}

func (im *importer) newProgress(f *sourceFile) *progress {
	now := time.Now()
	return &progress{w: im.errOut, name: filepath.Base(f.name), size: f.size, lively: im.lively, quiet: im.flags.asJSON && !im.lively, begun: now, told: now}
}

// How often progress is told.
const (
	drawEvery = 200 * time.Millisecond
	tellEvery = 10 * time.Second
)

// at tells how much of the file has been read and put on the tape.
func (p *progress) at(read int64, s *importSummary) {
	now := time.Now()
	every := tellEvery
	if p.lively {
		every = drawEvery
	}
	if p.quiet || now.Sub(p.told) < every {
		return
	}
	p.told = now
	part := 1.0
	if p.size > 0 {
		part = min(float64(read)/float64(p.size), 1)
	}
	rate := uint64(float64(s.Rows) / now.Sub(p.begun).Seconds())
	if !p.lively {
		fmt.Fprintf(p.w, "tapedeck: %s: %.0f %% read, %s rows, %s rows/s\n", p.name, part*100, grouped(s.Rows), grouped(rate))
		return
	}
	const width = 30
	full := int(part * width)
	fmt.Fprintf(p.w, "\r\x1b[K%s [%s%s] %3.0f %%  %s rows  %s rows/s", p.name, strings.Repeat("#", full), strings.Repeat(".", width-full),
		part*100, grouped(s.Rows), grouped(rate))
	p.drawn = true
}

// end takes the bar away.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
