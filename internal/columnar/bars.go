package columnar

import (
	"fmt"
	"io"

	"tapedeck/internal/market"
)

// BarWriter writes bars. It holds a row group at most. It is for one goroutine.
type BarWriter struct{ writer }

// NewBarWriter returns a writer of bars to w.
func NewBarWriter(w io.Writer, o WriterOptions) (*BarWriter, error) {
	out, err := newWriter(w, newTable(barFields()), o)
	if err != nil {
		return nil, err
	}
	return &BarWriter{out}, nil
}

// Write adds a bar.
func (w *BarWriter) Write(bar *market.Bar) error {
	if w.err != nil {
		return w.err
	}
	if err := w.table.addBar(bar); err != nil {
		return err
	}
	return w.added(len(bar.Symbol))
}

// BarFile is a Parquet file of bars of this package. Its methods may be called at once.
type BarFile struct{ file }

// OpenBars is as OpenTicks.
func OpenBars(r io.ReaderAt, size int64) (*BarFile, error) {
	f, err := openFile(r, size, tableBars)
	if err != nil {
		return nil, err
	}
	return &BarFile{*f}, nil
}

// Rows returns how many bars the file has.
func (f *BarFile) Rows() int64 { return f.rows }

// Scan begins to read all bars, in the order of the file.
func (f *BarFile) Scan() *BarScan {
	s := &BarScan{f: f, pages: pages{f: &f.file, group: -1}, notations: notations{n: maxNumbers}}
	s.todo.init(&f.file, false)
	return s
}

// BarScan is a place in a file. It is for one goroutine, and needs no closing.
type BarScan struct {
	f         *BarFile
	pages     pages
	todo      cursor
	at        int
	bar       market.Bar
	err       error
	notations notations
}

// Next returns the next bar, or io.EOF. The bar is valid until the next call. A volume or turnover that had an exponent above 0 has 0, and is the same number.
func (s *BarScan) Next() (*market.Bar, error) {
	if s.err == nil {
		s.err = s.next()
	}
	if s.err != nil {
		return nil, s.err
	}
	return &s.bar, nil
}

func (s *BarScan) next() error {
	if s.at == s.pages.n {
		if !s.todo.next(func(_, _ int64) bool { return true }) {
			return io.EOF
		}
		if err := s.pages.read(s.todo.group, s.todo.page); err != nil {
			return err
		}
		s.at = 0
	}
	s.at++
	return s.fill(s.at - 1)
}

// fill makes row i of the page the scan's bar.
func (s *BarScan) fill(i int) error {
	c, fields := s.pages.columns, s.f.fields
	v, err := market.ParseInterval(c[1].texts[i])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	x, err := s.notations.of(c[22].texts[i])
	if err != nil {
		return err
	}
	b := &s.bar
	*b = market.Bar{
		Symbol: market.Symbol(c[0].texts[i]), Interval: v, Start: market.Time(c[2].ints[i]), End: market.Time(c[3].ints[i]),
		Count: uint64(c[10].ints[i]), OpenAt: market.Time(c[12].ints[i]), CloseAt: market.Time(c[13].ints[i]),
		OpenSeq: uint64(c[14].ints[i]), CloseSeq: uint64(c[15].ints[i]), FirstSeq: uint64(c[16].ints[i]), LastSeq: uint64(c[17].ints[i]),
		Rev: uint32(c[18].ints[i]), Final: c[19].ints[i] != 0, Gappy: c[20].ints[i] != 0, Imported: c[21].ints[i] != 0,
		Priced: !x.none[0],
	}
	if b.Priced {
		for k, d := range [...]*market.Decimal{&b.Open, &b.High, &b.Low, &b.Close} {
			if *d, err = x.decimal(k, c[4+k].at(i), c[4+k].isNull(i), fields[4+k].scale); err != nil {
				return fmt.Errorf("%s: %w", fields[4+k].name, err)
			}
		}
	}
	if b.Volume, err = x.wide(4, c[8].at(i), c[8].isNull(i), fields[8].scale); err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	if b.Turnover, err = x.wide(5, c[11].at(i), c[11].isNull(i), fields[11].scale); err != nil {
		return fmt.Errorf("turnover: %w", err)
	}
	return nil
}
