package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"

	"tapedeck/internal/market"
)

// What a file may ask of us. What this package writes is far below.
const (
	maxFooter = 32 << 20 // bytes
	maxIndex  = 64 << 20 // bytes of all indexes
	maxPage   = 4 << 20  // bytes of a page, uncompressed
	maxDict   = 16 << 20 // bytes of a dictionary, uncompressed
	tailGuess = 64 << 10 // bytes at the end that are read at once, in the hope that all metadata is there
)

// A file is what is known of a file after its end was read. It is not changed after that.
type file struct {
	r      io.ReaderAt
	size   int64
	unzip  *zstd.Decoder
	table  string
	fields []field
	groups []group
	rows   int64
}

// A group is a row group.
type group struct {
	rows   int
	starts []int // first rows of the pages
	chunks []chunk

	// Of the column that rows are looked up by: in all, and for each page.
	low, high   int64
	lows, highs []int64
}

// A chunk is a column of a group.
type chunk struct {
	dict  piece // length 0 when there is none
	pages []piece
}

// A piece is a part of the file.
type piece struct {
	at     int64
	length int32
}

// openFile reads the end of a file, which must hold one of the tables.
func openFile(r io.ReaderAt, size int64, tables ...string) (*file, error) {
	f := &file{r: r, size: size}
	meta, tail, err := f.footer()
	if err != nil {
		return nil, err
	}
	for _, kv := range meta.KeyValueMetadata {
		if kv.Key == metaTable {
			f.table = kv.Value
		}
	}
	if f.table == "" {
		return nil, fmt.Errorf("no %s in its metadata: %w", metaTable, ErrForeign)
	}
	if !slices.Contains(tables, f.table) {
		return nil, fmt.Errorf("a file of %q: %w", f.table, ErrForeign)
	}
	if err := f.schema(meta); err != nil {
		return nil, err
	}
	if err := f.index(meta, tail); err != nil {
		return nil, err
	}
	f.unzip, err = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDict), zstd.WithDecoderLowmem(true))
	return f, err
}

// A tail is the end of a file in memory.
type tail struct {
	at int64 // place of b in the file
	b  []byte
}

// readAt reads all of b, and tells the end of the file from errors of the reader.
func (f *file) readAt(b []byte, at int64) error {
	n, err := f.r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("it ends %d bytes early: %w", len(b)-n, ErrCorrupt)
	}
	return err
}

func (f *file) footer() (*format.FileMetaData, *tail, error) {
	const ends = 8 // the length of the footer, and the magic
	if f.size < int64(len(magic))+ends {
		return nil, nil, fmt.Errorf("%d bytes are no Parquet file: %w", f.size, ErrCorrupt)
	}
	t := &tail{at: max(0, f.size-tailGuess)}
	t.b = make([]byte, f.size-t.at)
	if err := f.readAt(t.b, t.at); err != nil {
		return nil, nil, err
	}
	last := t.b[len(t.b)-ends:]
	if string(last[4:]) != magic {
		return nil, nil, fmt.Errorf("it does not end as a Parquet file does: %w", ErrCorrupt)
	}
	length := int64(binary.LittleEndian.Uint32(last))
	if length > maxFooter || length > f.size-ends-int64(len(magic)) {
		return nil, nil, fmt.Errorf("a footer of %d bytes: %w", length, ErrCorrupt)
	}
	if err := f.extend(t, f.size-ends-length); err != nil {
		return nil, nil, err
	}
	b := t.b[f.size-ends-length-t.at:]
	meta := new(format.FileMetaData)
	if _, err := unmarshal(b[:length], meta); err != nil {
		return nil, nil, fmt.Errorf("footer: %w", err)
	}
	t.b = t.b[:f.size-ends-length-t.at]
	return meta, t, nil
}

// extend reads more of the file, so that the tail begins at at or before.
func (f *file) extend(t *tail, at int64) error {
	if at >= t.at {
		return nil
	}
	b := make([]byte, t.at-at+int64(len(t.b)))
	if err := f.readAt(b[:t.at-at], at); err != nil {
		return err
	}
	copy(b[t.at-at:], t.b)
	t.at, t.b = at, b
	return nil
}

// schema finds out which columns there are, and holds them against those that the table should have.
func (f *file) schema(meta *format.FileMetaData) error {
	if len(meta.Schema) == 0 || int(meta.Schema[0].NumChildren.V) != len(meta.Schema)-1 {
		return fmt.Errorf("its columns lie in each other: %w", ErrCorrupt)
	}
	elements := meta.Schema[1:]
	switch f.table {
	case tableTrades:
		_, f.fields = tickFields(market.KindTrade)
	case tableQuotes:
		_, f.fields = tickFields(market.KindQuote)
	default:
		_, f.fields = barFields()
	}
	if len(elements) < len(f.fields) {
		return fmt.Errorf("%d columns: %w", len(elements), ErrCorrupt)
	}
	for i := range f.fields {
		if e := &elements[i]; f.fields[i].form == formDecimal && e.Scale.V >= 0 && e.Scale.V <= finestScale {
			f.fields[i].scale = int(e.Scale.V)
		}
		want := elementOf(&f.fields[i])
		a, err := marshal(&want)
		if err != nil {
			return err
		}
		b, err := marshal(&elements[i])
		if err != nil || !bytes.Equal(a, b) {
			return fmt.Errorf("column %.40q is not %s as it should be: %w", elements[i].Name, f.fields[i].name, ErrCorrupt)
		}
	}
	return nil
}

// index learns where the pages are.
func (f *file) index(meta *format.FileMetaData, t *tail) error {
	for g := range meta.RowGroups {
		rg := &meta.RowGroups[g]
		if rg.NumRows <= 0 || rg.NumRows > maxGroupRows || len(rg.Columns) != len(meta.Schema)-1 {
			return fmt.Errorf("a group of %d rows and %d columns: %w", rg.NumRows, len(rg.Columns), ErrCorrupt)
		}
		gr := group{rows: int(rg.NumRows), chunks: make([]chunk, len(f.fields))}
		for c := range f.fields {
			if err := f.chunk(&gr, c, &rg.Columns[c], t); err != nil {
				return fmt.Errorf("group %d, column %s: %w", g, f.fields[c].name, err)
			}
		}
		f.rows += rg.NumRows
		f.groups = append(f.groups, gr)
	}
	if f.rows != meta.NumRows {
		return fmt.Errorf("%d rows in the groups of a file of %d: %w", f.rows, meta.NumRows, ErrCorrupt)
	}
	return nil
}

// lookup is the column that rows are looked up by.
func (f *file) lookup() int {
	if f.table == tableBars {
		return 2
	}
	return atEvent
}

func (f *file) chunk(g *group, c int, from *format.ColumnChunk, t *tail) error {
	m := &from.MetaData
	want := elementOf(&f.fields[c])
	if m.Type != want.Type.V || m.Codec != format.Zstd || m.NumValues != int64(g.rows) || from.FilePath != "" {
		return fmt.Errorf("not as the schema has it: %w", ErrCorrupt)
	}
	var places format.OffsetIndex
	if err := f.indexAt(t, from.OffsetIndexOffset, from.OffsetIndexLength, &places); err != nil {
		return err
	}
	ch := &g.chunks[c]
	var starts []int
	at := int64(len(magic))
	for _, p := range places.PageLocations {
		if p.Offset < at || p.CompressedPageSize <= 0 || p.CompressedPageSize > maxPage || p.Offset > f.size-int64(p.CompressedPageSize) ||
			p.FirstRowIndex < 0 || p.FirstRowIndex >= int64(g.rows) {
			return fmt.Errorf("a page out of place: %w", ErrCorrupt)
		}
		at = p.Offset + int64(p.CompressedPageSize)
		starts = append(starts, int(p.FirstRowIndex))
		ch.pages = append(ch.pages, piece{p.Offset, p.CompressedPageSize})
	}
	if c == 0 {
		g.starts = starts
	}
	if len(starts) == 0 || starts[0] != 0 || !slices.IsSorted(starts) || !slices.Equal(starts, g.starts) {
		return fmt.Errorf("pages of other rows than those of the first column: %w", ErrCorrupt)
	}
	for i := range starts {
		if from, to := g.page(i); to <= from || to-from > 16*pageRows {
			return fmt.Errorf("a page of %d rows: %w", to-from, ErrCorrupt)
		}
	}
	if d := m.DictionaryPageOffset; d > 0 {
		length := ch.pages[0].at - d
		if length <= 0 || length > maxDict || d < int64(len(magic)) {
			return fmt.Errorf("a dictionary of %d bytes: %w", length, ErrCorrupt)
		}
		ch.dict = piece{d, int32(length)}
	}
	if c == f.lookup() {
		return f.times(g, from, t)
	}
	return nil
}

// page returns the rows of page i: from ≤ row < to.
func (g *group) page(i int) (from, to int) {
	if i+1 < len(g.starts) {
		return g.starts[i], g.starts[i+1]
	}
	return g.starts[i], g.rows
}

func (f *file) indexAt(t *tail, at int64, length int32, v any) error {
	end := t.at + int64(len(t.b))
	if at < int64(len(magic)) || length <= 0 || at > end-int64(length) || end-at > maxIndex {
		return fmt.Errorf("an index of %d bytes at %d: %w", length, at, ErrCorrupt)
	}
	if err := f.extend(t, at); err != nil {
		return err
	}
	_, err := unmarshal(t.b[at-t.at:][:length], v)
	return err
}

// times learns which times the group and its pages hold.
func (f *file) times(g *group, from *format.ColumnChunk, t *tail) error {
	var index format.ColumnIndex
	if err := f.indexAt(t, from.ColumnIndexOffset, from.ColumnIndexLength, &index); err != nil {
		return err
	}
	if len(index.MinValues) != len(g.starts) || len(index.MaxValues) != len(g.starts) {
		return fmt.Errorf("bounds of %d pages of %d: %w", len(index.MinValues), len(g.starts), ErrCorrupt)
	}
	for i := range g.starts {
		low, high := index.MinValues[i], index.MaxValues[i]
		if len(low) != 8 || len(high) != 8 {
			return fmt.Errorf("bounds of %d bytes: %w", len(low), ErrCorrupt)
		}
		g.lows = append(g.lows, int64(binary.LittleEndian.Uint64(low)))
		g.highs = append(g.highs, int64(binary.LittleEndian.Uint64(high)))
	}
	g.low, g.high = slices.Min(g.lows), slices.Max(g.highs)
	return nil
}
