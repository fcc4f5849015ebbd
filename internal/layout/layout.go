// Package layout reads files of trades, quotes and bars as the world writes them: it finds out what the columns of a table mean, and
// gives its rows as entries of the tape, to the last digit and the nanosecond.
//
// A file is text (CSV and its kin, with or without a header; JSON lines) or Parquet; text may be packed by gzip or zstd, or be
// UTF-16. Open looks at the beginning of a file only, and reads it once; memory does not grow with the file, nor with what hostile
// bytes claim about themselves. What was recognised is told by Reader.Layout, for people to confirm. A row that can't be used is
// never dropped in silence: it is a Reject, with its line and a reason.
package layout

import (
	"fmt"
	"io"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// Options say what a file does not. The zero value leaves all to the file.
type Options struct {
	Name  string // of the file, for messages, and for the symbol when nothing else says it
	Venue string // of symbols that name none; "" is what the layout knows, else IMPORT

	// Symbol is that of rows that do not name theirs; "" makes one of the file's name. Without a venue it is one of Venue.
	Symbol market.Symbol

	// Only are the symbols whose rows are wanted; rows of others are left out. Nil wants all. One without a venue stands for that name
	// at any.
	Only []market.Symbol

	// OneVenue takes every name of a symbol for one of Venue: a colon in it is part of the name.
	OneVenue bool

	Format   string            // auto, csv, jsonl or parquet; "" is auto
	Zone     *time.Location    // of times that do not say theirs; nil is the layout's own, else UTC
	Dates    string            // mdy or dmy says what 03/04/2024 is; "" lets the rows tell
	Map      map[string]string // meaning (see Meaning) to the name or number of a column; "" says that there is none
	Interval market.Interval   // of bars whose file does not say; the zero value lets the spacing of the rows tell
	Label    string            // start or end: which moment of a bar its time is; "" is the layout's own, else start

	// Closes gives a row of bars as a trade: its close, with its volume.
	Closes bool

	// Native opens a Parquet file that this program wrote, to the last digit; of any other it returns no entries. Nil takes them all for
	// files of others.
	Native func(src io.ReaderAt, size int64) (kind market.Kind, entries Entries, err error)

	// Now is when the file is read: what happens after it is doubted. Zero doubts nothing.
	Now market.Time

	// Calendars tell when the day of a daily bar begins. Nil is market.NewCalendars.
	Calendars *market.Calendars

	Limits Limits
}

// Limits bound what a file may cost. Zero fields have the values that are named here.
type Limits struct {
	Line     int   // bytes of the longest line, 1 MiB
	Inflated int64 // bytes that a packed file may unpack to, 1 TiB
	Ratio    int   // by how much a packed file may grow after its first 64 MiB, 1000
}

func (l Limits) withDefaults() Limits {
	if l.Line <= 0 {
		l.Line = 1 << 20
	}
	if l.Inflated <= 0 {
		l.Inflated = 1 << 40
	}
	if l.Ratio <= 0 {
		l.Ratio = 1000
	}
	return l
}

// Kinds of rows, as Description has them.
const (
	Trades = "trades"
	Quotes = "quotes"
	Bars   = "bars"
)

// Column is what one column of a file was taken for.
type Column struct {
	Name    string `json:"column"`
	Meaning string `json:"meaning"` // "" when it is left out
}

// Description says what was recognised.
type Description struct {
	Layout   string   `json:"layout"` // name of the source, or what kind of table it is
	Format   string   `json:"format"` // csv, jsonl or parquet
	Packing  string   `json:"packing,omitempty"`
	Kind     string   `json:"kind"` // Trades, Quotes or Bars
	Columns  []Column `json:"columns"`
	Header   bool     `json:"header"`
	Passed   int      `json:"lines_before_header,omitempty"`
	Symbols  []string `json:"symbols,omitempty"`  // of the rows that were looked at, at most 20
	Interval string   `json:"interval,omitempty"` // of bars
	Label    string   `json:"label,omitempty"`    // start or end
	Zone     string   `json:"zone"`               // of times that do not say theirs
	Times    string   `json:"times"`              // how times are spelled
	Notes    []string `json:"notes,omitempty"`
}

// Reject is a row that can't be used.
type Reject struct {
	Line    uint64 // of the file, from 1; of Parquet, the row
	Column  string // "" when it is the whole row
	Value   string // of the column, cut
	Problem string // what is wrong, without the particulars: one of few texts
	Reason  string // the whole of it
	Text    string // the row as it stands in the file, cut after 4 KiB
}

// Error says where the row is, and what is wrong with it.
func (r *Reject) Error() string {
	if r.Column == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d, %s", r.Line, r.Reason)
}

// rowSource is a file as rows of text.
type rowSource interface {
	// next returns the cells of a row, good until the next call, and io.EOF at the end. On errQuote and errRow only that row is
	// lost; other errors are for good.
	next() ([][]byte, error)
	line() uint64 // of the row returned last
	text() []byte // the same as it stands in the file
}

// Reader reads one file. It belongs to one goroutine.
type Reader struct {
	opt     Options
	format  string
	packing string
	src     rowSource
	layout  *layout
	dec     *decoder
	probe   []probed // rows that were read to recognise the file, not given yet
	rows    uint64
	rejects []Reject
	failed  error
	told    Description

	oldLines bool // lines end in carriage returns

	// Of a file that needs no recognising.
	own     Entries
	ownKind market.Kind
}

// probed is a row that was read ahead.
type probed struct {
	cells [][]byte
	line  uint64
	text  []byte
	err   error // the row can't be read
}

// Open finds out what a file is by its first bytes and rows. It reads src once from its start; of Parquet, which has its
// directory at its end, src must be an io.ReaderAt and io.Seeker as well, as *os.File is. Errors say what is wrong with the file;
// those about its columns wrap ErrLayout.
func Open(src io.Reader, o Options) (*Reader, error) {
	o.Limits = o.Limits.withDefaults()
	if o.Calendars == nil {
		o.Calendars = market.NewCalendars()
	}
	r := &Reader{opt: o}
	rec, err := r.recogniser()
	if err != nil {
		return nil, err
	}
	if err := r.open(src); err != nil {
		return nil, err
	}
	if r.own != nil {
		return r, r.studyOwn()
	}
	if err := r.look(); err != nil {
		return nil, err
	}
	if r.layout, err = rec.recognise(r.sample()); err != nil {
		return nil, r.whole(err)
	}
	if r.layout.skip > len(r.probe) {
		r.layout.skip = len(r.probe)
	}
	r.probe = r.probe[r.layout.skip:]
	if r.dec, err = r.study(); err != nil {
		return nil, err
	}
	r.told = r.describe()
	r.dec.clock.repeated, r.dec.clock.doubts = 0, doubts{} // of the rows that were looked at: they come again
	return r, nil
}

// recogniser checks the options that say what columns and times mean.
func (r *Reader) recogniser() (*recogniser, error) {
	rec := &recogniser{closes: r.opt.Closes, name: r.opt.Name}
	if len(r.opt.Map) > 0 {
		rec.mapping = make(map[field]string, len(r.opt.Map))
		names := fieldNames()
		for name, column := range r.opt.Map {
			known, err := Meaning(name)
			if err != nil {
				return nil, fmt.Errorf("map: %w", err)
			}
			for f := range fields {
				if names[f] == known {
					rec.mapping[f] = strings.TrimSpace(column)
				}
			}
		}
	}
	switch r.opt.Dates {
	case "", "mdy", "dmy":
	default:
		return nil, fmt.Errorf("dates %q: want mdy or dmy", r.opt.Dates)
	}
	switch r.opt.Label {
	case "", "start", "end":
	default:
		return nil, fmt.Errorf("label %q: want start or end", r.opt.Label)
	}
	return rec, nil
}

// Next appends the entries of some more rows to dst, in the order of the file, and returns the extended slice: always whole rows, so
// that Row says after which row dst ends, and no more than fit into dst's capacity, or 4,096 where it has less. It may append nothing. It
// returns io.EOF at the end of the file, together with what came before it. Any other error means that the rest of the file can't be
// read.
func (r *Reader) Next(dst []market.Entry) ([]market.Entry, error) {
	room := max(cap(dst), len(dst)+nextEntries) - max(len(r.layout.series), 1)
	for n := 0; n < nextRows && len(dst) <= room; n++ {
		var reject *Reject
		var err error
		dst, reject, err = r.NextRow(dst)
		if err != nil {
			return dst, err
		}
		if reject != nil {
			r.rejects = append(r.rejects, *reject)
			if len(r.rejects) >= nextRejects {
				break
			}
		}
	}
	return dst, nil
}

// How much Next reads at once: enough to spread its cost, little enough for memory and for being interrupted.
const (
	nextRows    = 65_536
	nextEntries = 4096
	nextRejects = 256
)

// Row returns how many rows of the file have been read: the header is none, and neither are empty lines.
func (r *Reader) Row() uint64 { return r.rows }

// Line returns the line of the file that was read last.
func (r *Reader) Line() uint64 {
	switch {
	case len(r.probe) > 0:
		return r.probe[0].line
	case r.own != nil:
		return r.rows
	}
	return r.src.line()
}

// Rejects returns the rows that Next and Skip could not use since the last call.
func (r *Reader) Rejects() []Reject {
	list := r.rejects
	r.rejects = nil
	return list
}

// Skip leaves out rows that have been taken care of already. It reads them nevertheless: what a time means may depend on the row before.
// Their rejects are told again. It returns io.EOF when the file has fewer.
func (r *Reader) Skip(rows uint64) error {
	var entries []market.Entry
	for range rows {
		_, reject, err := r.NextRow(entries[:0])
		if err != nil {
			return err
		}
		if reject != nil {
			r.rejects = append(r.rejects, *reject)
		}
	}
	return nil
}

// NextRow appends the entries of the next row to dst, or returns why it can't be used. Neither means that the row is not wanted: of another
// symbol, or no tick by the file's own account. A wide table may give both: a row with some cells that can't be used.
func (r *Reader) NextRow(dst []market.Entry) ([]market.Entry, *Reject, error) {
	if len(r.probe) > 0 {
		p := &r.probe[0]
		r.probe = r.probe[1:]
		return r.decode(dst, p.cells, p.line, p.text, p.err)
	}
	if r.failed != nil {
		return dst, nil, r.failed
	}
	if r.own != nil {
		return r.nextOwn(dst)
	}
	cells, err := r.src.next()
	if err != nil && !isRowError(err) {
		r.failed = r.whole(err)
		return dst, nil, r.failed
	}
	return r.decode(dst, cells, r.src.line(), r.src.text(), err)
}

// decode turns a row into entries.
func (r *Reader) decode(dst []market.Entry, cells [][]byte, line uint64, text []byte, broken error) ([]market.Entry, *Reject, error) {
	r.rows++
	problem := (*Reject)(nil)
	if broken != nil {
		problem = &Reject{Problem: broken.Error(), Reason: broken.Error()}
	} else {
		dst, problem = r.dec.row(dst, cells)
	}
	if problem != nil {
		problem.Line = line
		problem.Text = string(text[:min(len(text), maxRejectText)])
	}
	return dst, problem, nil
}

const maxRejectText = 4 << 10
