package columnar

import (
	"fmt"
	"io"

	"tapedeck/internal/market"
)

// Format is a way to write columns.
type Format uint8

// The formats.
const (
	Parquet Format = 0
	Arrow   Format = 1 // the IPC stream format
)

// WriterOptions are what a writer may be told.
type WriterOptions struct {
	Format Format
	Rows   int // rows of a row group or record batch at most; 0: 98,304 for Parquet, 65,536 for Arrow
}

// groups is what both formats are written as.
type groups interface {
	group(t *table) error // writes the rows of t
	close(t *table) error
}

// writer gathers rows and writes them a group at a time.
type writer struct {
	table *table
	out   groups
	rows  int
	err   error // what the writer below said; nothing is written after that
}

func newWriter(w io.Writer, t *table, o WriterOptions) (writer, error) {
	rows := o.Rows
	var (
		out groups
		err error
	)
	switch o.Format {
	case Parquet:
		if rows == 0 {
			rows = groupRows
		}
		out, err = newParquetWriter(w, t.name, len(t.columns))
	case Arrow:
		if rows == 0 {
			rows = arrowRows
		}
		out = &arrowWriter{w: w}
	default:
		err = fmt.Errorf("format %d of columns: there are Parquet and Arrow", o.Format)
	}
	if err == nil && (rows < 1 || rows > maxGroupRows) {
		err = fmt.Errorf("groups of %d rows: want 1 to %d", rows, maxGroupRows)
	}
	return writer{table: t, out: out, rows: rows}, err
}

// added notes a row of the table, and writes the group when it is full.
func (w *writer) added(text int) error {
	if w.table.grown(text, w.rows) {
		w.flush()
	}
	return w.err
}

func (w *writer) flush() {
	if w.err == nil && w.table.n > 0 {
		w.err = w.out.group(w.table)
		w.table.reset()
	}
}

// Close writes what is left, and the end of the file, without which it is none. It does not close the writer below.
func (w *writer) Close() error {
	w.flush()
	err := w.out.close(w.table)
	if w.err != nil {
		return w.err
	}
	return err
}

// TickWriter writes trades or quotes. It holds a row group at most. It is for one goroutine.
type TickWriter struct {
	writer
	kind market.Kind
}

// NewTickWriter returns a writer of the ticks of a kind to w.
func NewTickWriter(w io.Writer, kind market.Kind, o WriterOptions) (*TickWriter, error) {
	if kind != market.KindTrade && kind != market.KindQuote {
		return nil, fmt.Errorf("there are no columns of a %s", kind)
	}
	out, err := newWriter(w, newTable(tickFields(kind)), o)
	if err != nil {
		return nil, err
	}
	return &TickWriter{writer: out, kind: kind}, nil
}

// Write adds a row. The rows of a symbol come in the order of (Event, Seq).
func (w *TickWriter) Write(row *market.Row) error {
	if w.err != nil {
		return w.err
	}
	if row.Kind != w.kind {
		return fmt.Errorf("a %s among columns of a %s", row.Kind, w.kind)
	}
	if err := w.table.addTick(row); err != nil {
		return err
	}
	return w.added(len(row.Symbol) + len(row.Exchange) + len(row.AskFrom) + len(row.Conditions) + len(row.Ref))
}

// TickFile is a Parquet file of trades or quotes of this package. Its methods may be called at once.
type TickFile struct {
	file
	kind market.Kind
}

// OpenTicks reads the end of a file of size bytes. What is wrong with it wraps ErrCorrupt, or ErrForeign for a Parquet file that is not ours; anything
// else is an error of r.
func OpenTicks(r io.ReaderAt, size int64) (*TickFile, error) {
	f, err := openFile(r, size, tableTrades, tableQuotes)
	if err != nil {
		return nil, err
	}
	t := &TickFile{file: *f, kind: market.KindTrade}
	if f.table == tableQuotes {
		t.kind = market.KindQuote
	}
	return t, nil
}

// With returns the same file, read through another reader of the same bytes: so what is known of a file can be kept when it is closed.
func (f *TickFile) With(r io.ReaderAt) *TickFile {
	g := *f
	g.r = r
	return &g
}

// Kind returns what the file holds.
func (f *TickFile) Kind() market.Kind { return f.kind }

// Rows returns how many rows the file has.
func (f *TickFile) Rows() int64 { return f.rows }

// Span returns the first and the last event time in the file; ok is false when it has no rows.
func (f *TickFile) Span() (first, last market.Time, ok bool) {
	for i := range f.groups {
		g := &f.groups[i]
		if !ok || g.low < int64(first) {
			first = market.Time(g.low)
		}
		if !ok || g.high > int64(last) {
			last = market.Time(g.high)
		}
		ok = true
	}
	return first, last, ok
}

// Scan begins to read the rows that q asks for, in the order of the file, or backwards when q.Descending. Row groups and pages whose
// times are outside of q are not read. With q.Symbol, rows of other symbols are left out. q.Kind is not looked at, and a Limit of 0 is none.
func (f *TickFile) Scan(q market.TickQuery) *TickScan {
	s := &TickScan{f: f, q: q, pages: pages{f: &f.file, group: -1}, left: q.Limit, notations: notations{n: 2}}
	s.row.Kind = f.kind
	if f.kind == market.KindQuote {
		s.notations.n = 4
	}
	s.todo.init(&f.file, q.Descending)
	return s
}

// TickScan is a place in a file. It is for one goroutine, and needs no closing.
type TickScan struct {
	f         *TickFile
	q         market.TickQuery
	pages     pages
	todo      cursor
	at, end   int // rows of the page that are still to come; backwards, end is behind the next one
	left      int
	row       market.Row
	err       error
	notations notations
}

// cursor goes through the pages of a file.
type cursor struct {
	f           *file
	group, page int
	back        bool
}

func (c *cursor) init(f *file, back bool) {
	c.f, c.back = f, back
	c.group, c.page = 0, -1
	if back {
		c.group = len(f.groups) - 1
		if c.group >= 0 {
			c.page = len(f.groups[c.group].starts)
		}
	}
}

// next goes to the next page that want says may matter, by its first and last time; false when there is none.
func (c *cursor) next(want func(low, high int64) bool) bool {
	for c.group >= 0 && c.group < len(c.f.groups) {
		g := &c.f.groups[c.group]
		if want(g.low, g.high) {
			step := 1
			if c.back {
				step = -1
			}
			for c.page += step; c.page >= 0 && c.page < len(g.starts); c.page += step {
				if want(g.lows[c.page], g.highs[c.page]) {
					return true
				}
			}
		}
		if c.back {
			c.group--
			if c.group >= 0 {
				c.page = len(c.f.groups[c.group].starts)
			}
		} else {
			c.group++
			c.page = -1
		}
	}
	return false
}

// Next returns the next row, or io.EOF. The row is valid until the next call; its strings may be kept.
func (s *TickScan) Next() (*market.Row, error) {
	if s.err == nil {
		s.err = s.next()
	}
	if s.err != nil {
		return nil, s.err
	}
	return &s.row, nil
}

func (s *TickScan) next() error {
	if s.q.Limit > 0 && s.left == 0 {
		return io.EOF
	}
	for {
		if s.at == s.end {
			if !s.todo.next(s.wants) {
				return io.EOF
			}
			if err := s.pages.read(s.todo.group, s.todo.page); err != nil {
				return err
			}
			s.at, s.end = 0, s.pages.n
		}
		i := s.at
		if s.q.Descending {
			s.end--
			i = s.end
		} else {
			s.at++
		}
		if !s.asked(i) {
			continue
		}
		s.left--
		return s.fill(i)
	}
}

// wants reports whether rows of these times may be asked for.
func (s *TickScan) wants(low, high int64) bool {
	q := &s.q
	if q.From != 0 && high < int64(q.From) || q.To != 0 && low >= int64(q.To) {
		return false
	}
	if q.After == nil {
		return true
	}
	if q.Descending {
		return low <= int64(q.After.Event)
	}
	return high >= int64(q.After.Event)
}

// asked reports whether row i of the page is asked for.
func (s *TickScan) asked(i int) bool {
	q, c := &s.q, s.pages.columns
	event := market.Time(c[atEvent].ints[i])
	if q.From != 0 && event < q.From || q.To != 0 && event >= q.To || q.Symbol != "" && c[atSymbol].texts[i] != string(q.Symbol) {
		return false
	}
	if q.After == nil {
		return true
	}
	seq := uint64(c[atSeq].ints[i])
	if q.Descending {
		return event < q.After.Event || event == q.After.Event && seq < q.After.Seq
	}
	return event > q.After.Event || event == q.After.Event && seq > q.After.Seq
}

// notations remembers what the column digits said, which is mostly the same.
type notations struct {
	n     int
	text  string
	last  *notation
	known map[string]*notation
}

func (x *notations) of(text string) (*notation, error) {
	if x.last != nil && x.text == text {
		return x.last, nil
	}
	v, ok := x.known[text]
	if !ok {
		var err error
		if v, err = parseNotation(text, x.n); err != nil {
			return nil, err
		}
		if x.known == nil || len(x.known) == 256 { // so many that it is different each time
			x.known = make(map[string]*notation)
		}
		x.known[text] = v
	}
	x.text, x.last = text, v
	return v, nil
}

// fill makes row i of the page the scan's row.
func (s *TickScan) fill(i int) error {
	c, fields, row := s.pages.columns, s.f.fields, &s.row
	row.Symbol = market.Symbol(c[atSymbol].texts[i])
	row.Event, row.Received = market.Time(c[atEvent].ints[i]), market.Time(c[atReceived].ints[i])
	row.Seq, row.N = uint64(c[atSeq].ints[i]), uint64(c[atN].ints[i])
	c, fields = c[atN+1:], fields[atN+1:]
	x, err := s.notations.of(c[len(c)-1].texts[i])
	if err != nil {
		return err
	}
	row.Flags = market.Flags(c[len(c)-2].ints[i])
	numbers := [...]*market.Decimal{&row.Price, &row.Size, &row.Ask, &row.AskSize}
	for k := range x.n {
		if *numbers[k], err = x.decimal(k, c[k].at(i), c[k].isNull(i), fields[k].scale); err != nil {
			return fmt.Errorf("%s: %w", fields[k].name, err)
		}
	}
	tape := ""
	if s.f.kind == market.KindTrade {
		switch side := c[2].texts[i]; side {
		case "B":
			row.Side = market.SideBuy
		case "S":
			row.Side = market.SideSell
		case "":
			row.Side = market.SideNone
		default:
			return fmt.Errorf("side %.20q: %w", side, ErrCorrupt)
		}
		row.Exchange, row.Conditions, tape = c[3].texts[i], c[4].texts[i], c[5].texts[i]
		row.ID, row.Ref = uint64(c[6].ints[i]), c[7].texts[i]
	} else {
		row.Exchange, row.AskFrom, row.Conditions, tape = c[4].texts[i], c[5].texts[i], c[6].texts[i], c[7].texts[i]
		if row.AskFrom == row.Exchange {
			row.AskFrom = ""
		}
	}
	row.Tape = 0
	if tape != "" {
		row.Tape = tape[0]
	}
	return nil
}
