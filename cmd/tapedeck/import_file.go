package main

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tapedeck/internal/layout"
	"tapedeck/internal/market"
	"tapedeck/internal/server"
)

// sourceFile is a file to be imported, recognised.
type sourceFile struct {
	name  string // as the user gave it
	file  *os.File
	spool string // of standard input, the file it was kept in; removed at the end
	size  int64
	read  countingFile
	rows  *layout.Reader
	opt   layout.Options
}

// countingFile is a file that tells how much of it was read.
type countingFile struct {
	*os.File
	n int64
}

func (c *countingFile) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadAt counts as well: Parquet is read in pieces, each about once.
func (c *countingFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.File.ReadAt(p, at)
	c.n += int64(n)
	return n, err
}

func (f *sourceFile) close() {
	_ = f.file.Close() // It was only read.
	if f.spool != "" {
		_ = os.Remove(f.spool)
	}
}

// recognise opens a file and finds out what it is. A file that isn't understood is refused: nothing was written.
func (im *importer) recognise(ctx context.Context, name string) (*sourceFile, error) {
	f := &sourceFile{name: name, opt: im.options}
	f.opt.Name = filepath.Base(name)
	if err := f.open(ctx, im.in); err != nil {
		return nil, fail(exitFailed, err)
	}
	if err := f.begin(); err != nil {
		f.close()
		return nil, fail(exitConfig, fmt.Errorf("%s: %w", name, err))
	}
	return f, nil
}

// open opens the file. Standard input is kept in a temporary file: what tells a file from others is made of all of it.
func (f *sourceFile) open(ctx context.Context, stdin io.Reader) (err error) {
	if f.name == "-" {
		f.opt.Name = "stdin"
		if f.file, err = os.CreateTemp("", "tapedeck-import-*"); err != nil {
			return err
		}
		f.spool = f.file.Name()
		if f.size, err = io.Copy(f.file, &interruptible{ctx, stdin}); err != nil {
			f.close()
			return fmt.Errorf("read standard input: %w", err)
		}
		return nil
	}
	// Asked before it is opened: opening a pipe waits for who writes into it.
	info, err := os.Stat(f.name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a folder, a pipe or a device, not a file (\"-\" reads standard input)", f.name)
	}
	if err == nil {
		f.file, err = os.Open(f.name)
	}
	if err != nil {
		return err
	}
	f.size = info.Size()
	return nil
}

// interruptible ends a copy when its context ends.
type interruptible struct {
	ctx context.Context //nolint:containedctx // an io.Reader has no other place for it, and this one lives for one copy
	src io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.src.Read(p)
}

// begin reads the file from its start.
func (f *sourceFile) begin() error {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f.read = countingFile{File: f.file}
	var err error
	f.rows, err = layout.Open(&f.read, f.opt)
	return err
}

// id makes what tells the import of this file from all others: its content, and what its rows were taken for.
func (f *sourceFile) id(ctx context.Context) (string, error) {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, &interruptible{ctx, f.file}); err != nil {
		return "", fmt.Errorf("read %s: %w", f.name, err)
	}
	d := f.rows.Layout()
	taken := struct {
		Kind, Zone, Interval, Label, Venue, Dates string
		Columns                                   []layout.Column
		Symbol                                    market.Symbol
		Only                                      []market.Symbol
	}{d.Kind, d.Zone, d.Interval, d.Label, f.opt.Venue, f.opt.Dates, d.Columns, f.rows.Symbol(), f.opt.Only}
	if err := json.NewEncoder(h).Encode(taken); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// batch is what one Put gets.
type batch struct {
	entries []market.Entry
	rows    uint64
	rejects []layout.Reject
	read    int64
	before  bool  // these rows are on the tape already
	err     error // io.EOF after the last
}

// put imports one file.
func (im *importer) put(ctx context.Context, intake server.Intake, f *sourceFile) error {
	id, err := f.id(ctx)
	if err != nil {
		return err
	}
	if err := f.begin(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	already, done, err := intake.Begin(ctx, server.IntakeFile{ID: id, Name: f.opt.Name})
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	s := &importSummary{File: f.name, Layout: f.rows.Layout(), Already: already, Rejects: im.rejectsName(f)}
	if done {
		s.Rows, s.Done, s.Rejects = already, true, ""
		return im.report(s)
	}
	side := &sideFile{name: s.Rejects}
	err = im.feed(ctx, intake, f, s, side)
	if closeErr := side.close(); err == nil {
		err = closeErr
	}
	if s.Rejected == 0 {
		s.Rejects = ""
	}
	s.Doubts = f.rows.Doubts()
	if reportErr := im.report(s); err == nil {
		err = reportErr
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: stopped after %d rows; the same command goes on from there", f.name, s.Rows)
	case err != nil:
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}

// feed reads on while the batch before is being put.
func (im *importer) feed(ctx context.Context, intake server.Intake, f *sourceFile, s *importSummary, side *sideFile) error {
	reading, stop := context.WithCancel(ctx)
	batches := make(chan batch)
	idle := make(chan []market.Entry, 2)
	idle <- make([]market.Entry, 0, server.IntakeBatch)
	idle <- make([]market.Entry, 0, server.IntakeBatch)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		readBatches(reading, f, s.Already, batches, idle)
	}()
	defer func() {
		stop()
		<-finished
	}()
	progress := im.newProgress(f)
	defer progress.end()
	for {
		var b batch
		select {
		case b = <-batches:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.count(&b)
		if err := side.add(b.rejects); err != nil {
			return err
		}
		last := errors.Is(b.err, io.EOF)
		if last && s.Imported == 0 && s.Already == 0 && len(b.entries) == 0 {
			s.Rows = b.rows
			return f.nothing(s)
		}
		if !b.before && (len(b.entries) > 0 || last) {
			if err := intake.Put(ctx, b.entries, b.rows, last); err != nil {
				return err
			}
			s.Imported += uint64(len(b.entries))
		}
		s.Rows = b.rows
		progress.at(b.read, s)
		switch {
		case last:
			s.Done = true
			return nil
		case b.err != nil:
			return f.damaged(s, b.err)
		}
		idle <- b.entries[:0]
	}
}

// damaged says where a file can't be read any further, and what stays of it.
func (f *sourceFile) damaged(s *importSummary, err error) error {
	stays := "nothing of it is on the tape"
	if n := s.Imported; n > 0 || s.Already > 0 {
		stays = fmt.Sprintf("what stands before it is on the tape and stays there (%s rows were read, %s ticks or bars put by this run); a whole copy of the file is "+
			"another file, whose rows would come a second time: cut off the first %s rows of it", grouped(s.Rows), grouped(n), grouped(s.Rows))
	}
	return fmt.Errorf("after line %d: %w: %s", f.rows.Line(), err, stays)
}

// nothing says why a file gave nothing.
func (f *sourceFile) nothing(s *importSummary) error {
	switch list := f.rows.Unwanted(); {
	case len(list) > 0:
		names := make([]string, len(list))
		for i, symbol := range list {
			names[i] = string(symbol)
		}
		return fmt.Errorf("no row is of %s; the file has %s. To give all rows another name, say --map symbol=", f.opt.Only[0], strings.Join(names, ", "))
	case s.Rejected > 0:
		return fmt.Errorf("no row can be used; the reasons are in %s", s.Rejects)
	case s.Rows > 0:
		return errors.New("none of its rows is a tick")
	}
	return errors.New("the file has no rows")
}

// count adds a batch to the summary. Rows that gave no entry and were not rejected were not wanted; a wide row may count for
// several.
func (s *importSummary) count(b *batch) {
	rows := b.rows - s.Rows
	s.Rejected += uint64(len(b.rejects))
	if used := uint64(len(b.entries)) + uint64(len(b.rejects)); rows > used {
		s.LeftOut += rows - used
	}
	for i := range b.entries {
		at := b.entries[i].Event
		if s.First == 0 || at < s.First {
			s.First = at
		}
		if s.Last == 0 || at > s.Last {
			s.Last = at
		}
	}
}

// readBatches fills batches until the file ends or ctx does. Rows that are on the tape already come in batches of their own.
func readBatches(ctx context.Context, f *sourceFile, already uint64, to chan<- batch, idle <-chan []market.Entry) {
	for {
		var b batch
		select {
		case b.entries = <-idle:
		case <-ctx.Done():
			return
		}
		if b.before = f.rows.Row() < already; b.before {
			b.err = readAgain(f.rows, already, &b)
		} else {
			b.entries, b.err = f.rows.Next(b.entries)
			b.rejects = f.rows.Rejects()
		}
		b.rows, b.read = f.rows.Row(), f.read.n
		select {
		case to <- b:
		case <-ctx.Done():
			return
		}
		if b.err != nil {
			return
		}
	}
}

// readAgain reads rows up to those that are on the tape already, at most a few thousand.
func readAgain(rows *layout.Reader, already uint64, b *batch) error {
	for n := 0; n < 4096 && rows.Row() < already; n++ {
		var reject *layout.Reject
		var err error
		if b.entries, reject, err = rows.NextRow(b.entries); err != nil {
			return err
		}
		if reject != nil {
			b.rejects = append(b.rejects, *reject)
		}
	}
	return nil
}

// rejectsName returns where the rows of a file that can't be used go.
func (im *importer) rejectsName(f *sourceFile) string {
	switch {
	case im.flags.rejects != "":
		return im.flags.rejects
	case f.name == "-":
		return "stdin.rejected.csv"
	}
	return f.name + ".rejected.csv"
}

// sideFile has the rejected rows of one file. It is made when there is one, and begun anew by each run, which meets them all again.
type sideFile struct {
	name string
	file *os.File
	rows *csv.Writer
}

func (s *sideFile) add(rejects []layout.Reject) error {
	if len(rejects) == 0 {
		return nil
	}
	if s.file == nil {
		f, err := os.Create(s.name)
		if err != nil {
			return fmt.Errorf("%w; say where rejected rows may go by --rejects FILE", err)
		}
		s.file, s.rows = f, csv.NewWriter(f)
		if err := s.rows.Write([]string{"line", "reason", "text"}); err != nil {
			return err
		}
	}
	for i := range rejects {
		r := &rejects[i]
		if err := s.rows.Write([]string{strconv.FormatUint(r.Line, 10), r.Reason, r.Text}); err != nil {
			return err
		}
	}
	return nil
}

func (s *sideFile) close() error {
	if s.file == nil {
		return nil
	}
	s.rows.Flush()
	err := s.rows.Error()
	if closeErr := s.file.Close(); err == nil {
		err = closeErr
	}
	return err
}
