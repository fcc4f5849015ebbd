package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"tapedeck/internal/natstape"
	"tapedeck/internal/store"
	"tapedeck/internal/tape"
)

// Report is what Verify found. What matters of the tape is repeated at the top, for scripts.
type Report struct {
	Data           string               `json:"data"`
	OK             bool                 `json:"ok"` // nothing that was ever acknowledged is damaged or missing
	Epoch          string               `json:"epoch"`
	First          tape.Position        `json:"first"`
	Last           tape.Position        `json:"last"`
	Records        uint64               `json:"records"`
	Entries        uint64               `json:"entries"`
	ChecksumErrors uint64               `json:"checksum_errors"`
	Gaps           []natstape.ReportGap `json:"gaps"`
	Problems       []string             `json:"problems"` // in words, a sentence each; empty when all is well
	Tape           *natstape.Report     `json:"tape"`
	Store          *store.Report        `json:"store"` // null when the file is missing or can't be read
}

// Verify checks the tape, the store and the archive of a data folder without writing anything. The server must not run on it. The error, which
// wraps ErrRefused, says that the folder could not be read as Tapedeck's at all; what is wrong with what it holds is in
// the report. Where is the archive, as the configuration has it.
func Verify(ctx context.Context, data, where string) (_ Report, err error) {
	place, err := openArchive(where, data)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	t, err := natstape.Verify(ctx, data)
	if err != nil {
		return Report{}, refused(fmt.Errorf("verify tape: %w", err), natstape.ErrFormat, natstape.ErrLocked, fs.ErrNotExist)
	}
	r := Report{
		Data: data, Epoch: t.Epoch, First: t.First, Last: t.Last, Records: t.Records, Entries: t.Entries,
		ChecksumErrors: t.ChecksumErrors, Gaps: t.Gaps, Tape: &t, Problems: []string{},
	}
	for _, p := range t.Problems {
		r.problem("tape: %s", p)
	}
	st, err := store.Verify(ctx, filepath.Join(data, "store.db"), place)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.problem("store: the file is missing; the server will make it again from the tape")
	case errors.Is(err, store.ErrCorrupt):
		r.problem("store: %v; the server will move it aside and make it again from the tape", err)
	case err != nil:
		return Report{}, refused(err, store.ErrFormat)
	default:
		r.Store = &st
		for _, p := range st.Problems {
			r.problem("store: %s", p)
		}
		r.compare(&st)
	}
	r.OK = len(r.Problems) == 0
	return r, nil
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// compare finds what the store and the tape do not agree in.
func (r *Report) compare(st *store.Report) {
	if st.Position > r.Last {
		r.problem("the store has recorded the tape up to position %d, but the tape ends at %d", st.Position, r.Last)
	}
	if st.Epoch != "" && st.Position == r.Last && st.Epoch != r.Epoch {
		r.problem("the store was filled from epoch %s, the tape has %s", st.Epoch, r.Epoch)
	}
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	p := &printer{w: w}
	p.line("data      %s", r.Data)
	p.line("epoch     %s", r.Epoch)
	p.line("tape      positions %d to %d, %d records, %d entries, %d bytes", r.First, r.Last, r.Records, r.Entries, r.Tape.Bytes)
	p.line("checksums %d errors", r.ChecksumErrors)
	for _, g := range r.Gaps {
		p.line("gap       positions %d to %d, %d entries: %s", g.From, g.Through, g.EntriesLost, g.Cause)
	}
	if s := r.Store; s != nil {
		p.line("store     up to position %d, %d symbols, %d trades, %d quotes, %d bars, %d gaps", s.Position, s.Symbols, s.Trades, s.Quotes, s.Bars, s.Gaps)
		if a := s.Archived; a.Files > 0 || a.Removed > 0 {
			p.line("archive   %d files with %d of those ticks, %d bytes; %d ticks were removed for their age or for room", a.Files, a.Ticks, a.Bytes, a.Removed)
		}
	}
	for _, problem := range r.Problems {
		p.line("problem   %s", problem)
	}
	if r.OK {
		p.line("all is well")
	}
	return p.err
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}
