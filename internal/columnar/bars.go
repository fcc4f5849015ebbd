package columnar

import (
	"errors"
	"io"

	"tapedeck/internal/market"
)

// BarWriter writes bars. It holds a row group at most. It is for one goroutine.
type BarWriter struct{}

// NewBarWriter returns a writer of bars to w.
func NewBarWriter(w io.Writer, o WriterOptions) (*BarWriter, error) {
	return nil, errors.ErrUnsupported
}

// Write adds a bar.
func (w *BarWriter) Write(bar *market.Bar) error { return errors.ErrUnsupported }

// Close writes what is left, and the end of the file. It does not close the writer below.
func (w *BarWriter) Close() error { return errors.ErrUnsupported }

// BarFile is a Parquet file of bars of this package. Its methods may be called at once.
type BarFile struct{}

// OpenBars is as OpenTicks.
func OpenBars(r io.ReaderAt, size int64) (*BarFile, error) { return nil, errors.ErrUnsupported }

// Rows returns how many bars the file has.
func (f *BarFile) Rows() int64 { return 0 }

// Scan begins to read all bars, in the order of the file.
func (f *BarFile) Scan() *BarScan { return nil }

// BarScan is a place in a file. It is for one goroutine, and needs no closing.
type BarScan struct{}

// Next returns the next bar, or io.EOF. The bar is valid until the next call.
func (s *BarScan) Next() (*market.Bar, error) { return nil, errors.ErrUnsupported }
