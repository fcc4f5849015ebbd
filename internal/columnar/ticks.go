package columnar

import (
	"errors"
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
	Shapes Shapes // of the numbers; the zero value fits nearly everything
	Rows   int    // rows of a row group or record batch at most; 0: 122,880 for Parquet, 65,536 for Arrow
}

// TickWriter writes trades or quotes. It holds a row group at most. It is for one goroutine.
type TickWriter struct{}

// NewTickWriter returns a writer of the ticks of a kind to w.
func NewTickWriter(w io.Writer, kind market.Kind, o WriterOptions) (*TickWriter, error) {
	return nil, errors.ErrUnsupported
}

// Write adds a row. The rows of a symbol come in the order of (Event, Seq).
func (w *TickWriter) Write(row *market.Row) error { return errors.ErrUnsupported }

// Close writes what is left, and the end of the file, without which it is none. It does not close the writer below.
func (w *TickWriter) Close() error { return errors.ErrUnsupported }

// TickFile is a Parquet file of trades or quotes of this package. Its methods may be called at once.
type TickFile struct{}

// OpenTicks reads the end of a file of size bytes. What is wrong with it wraps ErrCorrupt, or ErrForeign for a Parquet file that is not ours.
func OpenTicks(r io.ReaderAt, size int64) (*TickFile, error) { return nil, errors.ErrUnsupported }

// With returns the same file, read through another reader of the same bytes: so footers can be kept when files are closed.
func (f *TickFile) With(r io.ReaderAt) *TickFile { return f }

// Kind returns what the file holds.
func (f *TickFile) Kind() market.Kind { return 0 }

// Rows returns how many rows the file has.
func (f *TickFile) Rows() int64 { return 0 }

// Span returns the first and the last event time in the file; ok is false when it has no rows.
func (f *TickFile) Span() (first, last market.Time, ok bool) { return 0, 0, false }

// Scan begins to read the rows that q asks for, in the order of the file, or backwards when q.Descending. Row groups and pages whose
// times are outside of q are not read. With q.Symbol, rows of other symbols are left out; q.Kind is not looked at.
func (f *TickFile) Scan(q market.TickQuery) *TickScan { return nil }

// TickScan is a place in a file. It is for one goroutine, and needs no closing.
type TickScan struct{}

// Next returns the next row, or io.EOF. The row is valid until the next call; its strings may be kept.
func (s *TickScan) Next() (*market.Row, error) { return nil, errors.ErrUnsupported }
