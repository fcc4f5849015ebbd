package columnar

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The marks in a file's metadata by which OpenTicks and OpenBars know their own.
const (
	metaTable   = "tapedeck.table"
	metaVersion = "tapedeck.version"
	version     = "1"
	createdBy   = "tapedeck"
	magic       = "PAR1"
)

// parquetWriter writes row groups, a page for each column and span of rows. All columns of a group have the same spans, so that whoever wants some
// rows reads one page of each.
//
// Pages are of the first version, which every reader knows. Each has its checksum.
type parquetWriter struct {
	w    io.Writer
	at   int64
	meta format.FileMetaData
	zip  *zstd.Encoder

	// What is known of the pages, a place for each column of each group, as it will be written before the footer. It and the footer are all that grows
	// with the file: some 15 KB for a group of 98,304 rows.
	columnIndexes, offsetIndexes [][]byte

	page, packed []byte // scratch
}

func newParquetWriter(w io.Writer, name string, columns int) (*parquetWriter, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, err
	}
	p := &parquetWriter{w: w, zip: zip}
	p.meta = format.FileMetaData{
		Version:   2,
		CreatedBy: createdBy,
		KeyValueMetadata: []format.KeyValue{
			{Key: metaTable, Value: name},
			{Key: metaVersion, Value: version},
		},
	}
	for range columns {
		p.meta.ColumnOrders = append(p.meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	return p, p.write([]byte(magic))
}

// schemaOf is the schema of a table: a root, and below it the columns.
func schemaOf(t *table) []format.SchemaElement {
	schema := []format.SchemaElement{{Name: t.name, NumChildren: thrift.New(int32(len(t.columns)))}}
	for i := range t.columns {
		schema = append(schema, elementOf(&t.columns[i].field))
	}
	return schema
}

func elementOf(f *field) format.SchemaElement {
	e := format.SchemaElement{Name: f.name, RepetitionType: thrift.New(format.Required)}
	if f.nullable {
		e.RepetitionType = thrift.New(format.Optional)
	}
	switch f.form {
	case formTime:
		e.Type = thrift.New(format.Int64)
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.NanoSeconds{}}}
	case formCount:
		e.Type = thrift.New(format.Int64)
		e.LogicalType.Value = &format.IntType{BitWidth: 64}
		e.ConvertedType = thrift.New(deprecated.Uint64)
	case formSmall:
		e.Type = thrift.New(format.Int32)
		e.LogicalType.Value = &format.IntType{BitWidth: 8}
		e.ConvertedType = thrift.New(deprecated.Uint8)
	case formText:
		e.Type = thrift.New(format.ByteArray)
		e.LogicalType.Value = &format.StringType{}
		e.ConvertedType = thrift.New(deprecated.UTF8)
	case formBool:
		e.Type = thrift.New(format.Boolean)
	case formDecimal:
		e.Type, e.TypeLength = thrift.New(format.FixedLenByteArray), thrift.New(int32(16))
		e.LogicalType.Value = &format.DecimalType{Scale: int32(f.scale), Precision: precision}
		e.ConvertedType = thrift.New(deprecated.Decimal)
		e.Scale, e.Precision = thrift.New(int32(f.scale)), thrift.New(int32(precision))
	}
	return e
}

func (p *parquetWriter) write(b []byte) error {
	n, err := p.w.Write(b)
	p.at += int64(n)
	return err
}

func marshal(v any) ([]byte, error) { return thrift.Marshal(new(thrift.CompactProtocol), v) }

// group writes the rows of t.
func (p *parquetWriter) group(t *table) error {
	p.meta.Schema = schemaOf(t) // only now the scales are known
	spans := make([]span, len(t.pages))
	for i, from := range t.pages {
		spans[i] = span{from, t.n}
		if i > 0 {
			spans[i-1].to = from
		}
	}
	group := format.RowGroup{NumRows: int64(t.n), FileOffset: p.at, Ordinal: int16(min(len(p.meta.RowGroups), 1<<15-1))}
	for i := range t.columns {
		chunk, err := p.chunk(&t.columns[i], spans)
		if err != nil {
			return fmt.Errorf("column %s: %w", t.columns[i].name, err)
		}
		group.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		group.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
		group.Columns = append(group.Columns, chunk)
	}
	p.meta.RowGroups = append(p.meta.RowGroups, group)
	p.meta.NumRows += int64(t.n)
	return nil
}

// chunk writes a column of a group.
func (p *parquetWriter) chunk(c *column, spans []span) (format.ColumnChunk, error) {
	e, err := c.encode(spans)
	if err != nil {
		return format.ColumnChunk{}, err
	}
	element := elementOf(&c.field)
	all := c.bounds(span{0, c.n})
	meta := format.ColumnMetaData{
		Type: element.Type.V, Encoding: []format.Encoding{e.encoding, format.RLE}, PathInSchema: []string{c.name},
		Codec: format.Zstd, NumValues: int64(c.n),
		Statistics: format.Statistics{NullCount: all.nulls, MinValue: all.min, MaxValue: all.max},
	}
	begin := p.at
	if e.dict != nil {
		meta.DictionaryPageOffset = begin
		meta.Encoding = append(meta.Encoding, format.Plain)
		header := format.PageHeader{Type: format.DictionaryPage}
		header.DictionaryPageHeader = thrift.New(format.DictionaryPageHeader{NumValues: int32(e.words), Encoding: format.Plain})
		if err := p.writePage(&meta, &header, e.dict); err != nil {
			return format.ColumnChunk{}, err
		}
	}
	meta.DataPageOffset = p.at
	index := format.ColumnIndex{BoundaryOrder: format.Unordered}
	var places format.OffsetIndex
	for i, s := range spans {
		p.page, err = c.levels(p.page[:0], s)
		if err != nil {
			return format.ColumnChunk{}, err
		}
		p.page = append(p.page, e.pages[i]...)
		at := p.at
		header := format.PageHeader{Type: format.DataPage}
		header.DataPageHeader = thrift.New(format.DataPageHeader{
			NumValues: int32(s.to - s.from), Encoding: e.encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		})
		if err := p.writePage(&meta, &header, p.page); err != nil {
			return format.ColumnChunk{}, err
		}
		places.PageLocations = append(places.PageLocations, format.PageLocation{
			Offset: at, CompressedPageSize: int32(p.at - at), FirstRowIndex: int64(s.from),
		})
		if c.form != formText {
			b := c.bounds(s)
			index.NullPages = append(index.NullPages, !b.any)
			index.MinValues = append(index.MinValues, b.min)
			index.MaxValues = append(index.MaxValues, b.max)
			index.NullCounts = append(index.NullCounts, b.nulls)
		}
	}
	meta.TotalCompressedSize = p.at - begin
	return format.ColumnChunk{MetaData: meta}, p.remember(&index, &places)
}

func (p *parquetWriter) remember(index *format.ColumnIndex, places *format.OffsetIndex) error {
	var b []byte
	if len(index.NullPages) > 0 {
		var err error
		if b, err = marshal(index); err != nil {
			return err
		}
	}
	p.columnIndexes = append(p.columnIndexes, b)
	b, err := marshal(places)
	p.offsetIndexes = append(p.offsetIndexes, b)
	return err
}

// writePage compresses a page and writes it behind its header.
func (p *parquetWriter) writePage(meta *format.ColumnMetaData, header *format.PageHeader, page []byte) error {
	p.packed = p.zip.EncodeAll(page, p.packed[:0])
	header.UncompressedPageSize = int32(len(page))
	header.CompressedPageSize = int32(len(p.packed))
	header.CRC = int32(crc32.ChecksumIEEE(p.packed))
	head, err := marshal(header)
	if err != nil {
		return err
	}
	meta.TotalUncompressedSize += int64(len(head) + len(page))
	if err := p.write(head); err != nil {
		return err
	}
	return p.write(p.packed)
}

// close writes the indexes of the pages and the footer.
func (p *parquetWriter) close(t *table) error {
	defer func() { _ = p.zip.Close() }() // it has nothing to write: pages are packed whole
	if p.meta.Schema == nil {
		p.meta.Schema = schemaOf(t)
	}
	if err := p.indexes(); err != nil {
		return err
	}
	footer, err := marshal(&p.meta)
	if err != nil {
		return err
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return p.write(append(footer, magic...))
}

func (p *parquetWriter) indexes() error {
	columns := len(p.meta.Schema) - 1
	for i, b := range p.columnIndexes {
		if chunk := &p.meta.RowGroups[i/columns].Columns[i%columns]; b != nil {
			chunk.ColumnIndexOffset, chunk.ColumnIndexLength = p.at, int32(len(b))
			if err := p.write(b); err != nil {
				return err
			}
		}
	}
	for i, b := range p.offsetIndexes {
		chunk := &p.meta.RowGroups[i/columns].Columns[i%columns]
		chunk.OffsetIndexOffset, chunk.OffsetIndexLength = p.at, int32(len(b))
		if err := p.write(b); err != nil {
			return err
		}
	}
	return nil
}
