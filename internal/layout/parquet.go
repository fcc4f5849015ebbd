package layout

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"tapedeck/internal/market"
)

// Entries are what a file of our own making holds.
type Entries interface {
	// Next returns the next entry, good until the next call, or io.EOF.
	Next() (*market.Entry, error)
}

// openParquet makes rows of a Parquet file: entries of one that we wrote, text of any other.
func (r *Reader) openParquet(src io.Reader) error {
	r.format = formatParquet
	at, size, err := sized(src)
	if err != nil {
		return fmt.Errorf("the file is Parquet: %w", err)
	}
	if r.opt.Native != nil {
		kind, own, err := r.opt.Native(at, size)
		if err != nil {
			return err
		}
		if own != nil {
			r.own, r.ownKind = own, kind
			return nil
		}
	}
	r.src, err = openColumns(at, size)
	return err
}

// columnsFile gives the rows of a Parquet file as text. Every value keeps its digits: decimals as they are, floats in the fewest digits
// that tell them from all others, times with their nanoseconds. Nested columns are left out, but for lists of plain values, whose
// elements are joined by commas.
type columnsFile struct {
	file    *parquet.File
	leaves  []leaf
	names   [][]byte
	group   int
	rows    parquet.Rows
	buf     []parquet.Row
	at, n   int
	count   uint64
	cells   [][]byte
	scratch []byte
	started bool
	ended   bool
	joined  []byte
}

// leaf is a column.
type leaf struct {
	show func(dst []byte, v *parquet.Value) []byte
	list bool
}

// readRows is how many rows are decoded at once.
const readRows = 256

// errParquet is wrapped by all that is wrong with a Parquet file.
var errParquet = errors.New("the Parquet file is damaged")

// openColumns reads the directory of a file, after it has been looked at whether it can be true.
func openColumns(at io.ReaderAt, size int64) (c *columnsFile, err error) {
	defer recovered(&err)
	if err := checkParquet(at, size); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(at, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errParquet, err)
	}
	c = &columnsFile{file: f, group: -1, buf: make([]parquet.Row, readRows)}
	schema := f.Schema()
	for _, path := range schema.Columns() {
		column, ok := schema.Lookup(path...)
		if !ok {
			return nil, fmt.Errorf("%w: column %.100q is not in its schema", errParquet, path)
		}
		c.names = append(c.names, []byte(path[0]))
		c.leaves = append(c.leaves, leaf{show: shower(column.Node.Type()), list: column.MaxRepetitionLevel > 0})
		if column.MaxRepetitionLevel > 1 || len(path) > 1 && column.MaxRepetitionLevel == 0 {
			c.leaves[len(c.leaves)-1].show = nil
			c.names[len(c.names)-1] = []byte(strings.Join(path, "."))
		}
	}
	c.cells = make([][]byte, len(c.leaves))
	return c, nil
}

// recovered makes an error of a panic: the library believes what a file says in more places than were looked at.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errParquet, r)
	}
}

func (c *columnsFile) line() uint64 { return c.count }

func (c *columnsFile) text() []byte {
	c.joined = c.joined[:0]
	for i, cell := range c.cells {
		if i > 0 {
			c.joined = append(c.joined, ',')
		}
		c.joined = append(c.joined, cell...)
	}
	return c.joined
}

// next returns the names of the columns first.
func (c *columnsFile) next() (cells [][]byte, err error) {
	defer recovered(&err)
	if !c.started {
		c.started = true
		return c.names, nil
	}
	if c.at == c.n {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	row := c.buf[c.at]
	c.at++
	c.count++
	c.scratch = c.scratch[:0]
	clear(c.cells)
	for i := range row {
		v := &row[i]
		n := v.Column()
		if n < 0 || n >= len(c.leaves) || v.IsNull() || c.leaves[n].show == nil {
			continue
		}
		begin := len(c.scratch)
		if c.leaves[n].list && len(c.cells[n]) > 0 { // The elements of a list follow each other.
			begin -= len(c.cells[n])
			c.scratch = append(c.scratch, ',')
		}
		c.scratch = c.leaves[n].show(c.scratch, v)
		c.cells[n] = c.scratch[begin:len(c.scratch):len(c.scratch)]
	}
	return c.cells, nil
}

// fill decodes more rows.
func (c *columnsFile) fill() error {
	c.at, c.n = 0, 0
	for c.n == 0 {
		if c.rows == nil {
			if c.group++; c.ended || c.group >= len(c.file.RowGroups()) {
				c.ended = true
				return io.EOF
			}
			c.rows = c.file.RowGroups()[c.group].Rows()
		}
		n, err := c.rows.ReadRows(c.buf)
		c.n = n
		switch {
		case errors.Is(err, io.EOF):
			_ = c.rows.Close() // It was only read.
			c.rows = nil
		case err != nil:
			return fmt.Errorf("%w: row group %d: %w", errParquet, c.group+1, err)
		case n == 0:
			return fmt.Errorf("%w: row group %d: %w", errParquet, c.group+1, io.ErrNoProgress)
		}
	}
	return nil
}

// shower returns how the values of a column are written, nil when they mean nothing to us.
func shower(t parquet.Type) func([]byte, *parquet.Value) []byte {
	if logical := t.LogicalType(); logical != nil {
		switch v := logical.Value.(type) {
		case *format.DecimalType:
			return showDecimal(int(v.Scale))
		case *format.DateType:
			return func(dst []byte, v *parquet.Value) []byte {
				return time.Unix(int64(v.Int32())*86_400, 0).UTC().AppendFormat(dst, time.DateOnly)
			}
		case *format.TimestampType:
			return showTime(unitOf(&v.Unit), v.IsAdjustedToUTC)
		case *format.TimeType:
			return showClock(unitOf(&v.Unit))
		case *format.IntType:
			if !v.IsSigned && v.BitWidth == 64 {
				return func(dst []byte, v *parquet.Value) []byte { return strconv.AppendUint(dst, v.Uint64(), 10) }
			}
			if !v.IsSigned && v.BitWidth == 32 {
				return func(dst []byte, v *parquet.Value) []byte { return strconv.AppendUint(dst, uint64(v.Uint32()), 10) }
			}
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return func(dst []byte, v *parquet.Value) []byte { return strconv.AppendBool(dst, v.Boolean()) }
	case parquet.Int32:
		return func(dst []byte, v *parquet.Value) []byte { return strconv.AppendInt(dst, int64(v.Int32()), 10) }
	case parquet.Int64:
		return func(dst []byte, v *parquet.Value) []byte { return strconv.AppendInt(dst, v.Int64(), 10) }
	case parquet.Int96:
		return showOldTime
	case parquet.Float:
		return func(dst []byte, v *parquet.Value) []byte { return showFloat(dst, float64(v.Float()), 32) }
	case parquet.Double:
		return func(dst []byte, v *parquet.Value) []byte { return showFloat(dst, v.Double(), 64) }
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return func(dst []byte, v *parquet.Value) []byte { return append(dst, v.ByteArray()...) }
	}
	return nil
}

// showFloat writes the fewest digits that tell a float from all others: what the number was before it became one, in all likelihood.
func showFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst
	}
	if a := math.Abs(f); a != 0 && (a < 1e-30 || a >= 1e30) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

// unitOf returns the length of a unit of time.
func unitOf(u *format.TimeUnit) market.Time {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return market.Second / 1e3
	case *format.MicroSeconds:
		return market.Second / 1e6
	}
	return 1
}

// showTime writes a timestamp: one that is not of UTC as clocks of its zone show it, which the file doesn't name.
func showTime(unit market.Time, utc bool) func([]byte, *parquet.Value) []byte {
	return func(dst []byte, v *parquet.Value) []byte {
		n := v.Int64()
		if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
			return strconv.AppendInt(append(dst, '?'), n, 10) // beyond the range of Time
		}
		dst = market.Time(n * int64(unit)).AppendRFC3339(dst)
		if !utc {
			dst = dst[:len(dst)-1] // without Z
		}
		return dst
	}
}

// showClock writes a time of day.
func showClock(unit market.Time) func([]byte, *parquet.Value) []byte {
	return func(dst []byte, v *parquet.Value) []byte {
		n := v.Int64()
		if unit == market.Second/1e3 {
			n = int64(v.Int32())
		}
		if n < 0 || n >= int64(day/unit) {
			return strconv.AppendInt(append(dst, '?'), n, 10)
		}
		return market.Time(n*int64(unit)).Std().AppendFormat(dst, "15:04:05.999999999")
	}
}

// showOldTime writes the timestamps that Spark and Impala used to write: nanoseconds of a day, and its Julian number.
func showOldTime(dst []byte, v *parquet.Value) []byte {
	w := v.Int96()
	ns, julian := int64(w[0])|int64(w[1])<<32, int64(w[2])
	const unixEpoch = 2_440_588
	days := julian - unixEpoch
	if ns < 0 || ns >= int64(day) || days > 106_000 || days < -106_000 {
		return strconv.AppendInt(append(dst, '?'), julian, 10)
	}
	return (market.Time(days)*day + market.Time(ns)).AppendRFC3339(dst)
}

// showDecimal writes a decimal of a scale.
func showDecimal(scale int) func([]byte, *parquet.Value) []byte {
	return func(dst []byte, v *parquet.Value) []byte {
		var digits []byte
		switch v.Kind() {
		case parquet.Int32:
			digits = strconv.AppendInt(nil, int64(v.Int32()), 10)
		case parquet.Int64:
			digits = strconv.AppendInt(nil, v.Int64(), 10)
		default:
			b := v.ByteArray()
			if len(b) > 32 {
				return append(dst, '?')
			}
			n := new(big.Int).SetBytes(b)
			if len(b) > 0 && b[0]&0x80 != 0 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
			}
			digits = n.Append(nil, 10)
		}
		return append(append(append(dst, digits...), 'e'), strconv.Itoa(-scale)...)
	}
}
