package columnar

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// arrowWriter writes record batches of the IPC stream format. Its columns are those of the Parquet files.
type arrowWriter struct {
	w       io.Writer
	out     *ipc.Writer // nil as long as the schema is not written: only with the first rows the scales are known
	builder *array.RecordBuilder
}

func (a *arrowWriter) begin(t *table) {
	fields := make([]arrow.Field, len(t.columns))
	for i := range t.columns {
		c := &t.columns[i]
		fields[i] = arrow.Field{Name: c.name, Nullable: c.nullable, Type: arrowType(&c.field)}
	}
	meta := arrow.NewMetadata([]string{metaTable, metaVersion}, []string{t.name, version})
	schema := arrow.NewSchema(fields, &meta)
	a.out = ipc.NewWriter(a.w, ipc.WithSchema(schema))
	a.builder = array.NewRecordBuilder(memory.DefaultAllocator, schema)
}

func arrowType(f *field) arrow.DataType {
	switch f.form {
	case formTime:
		return &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"}
	case formCount:
		return arrow.PrimitiveTypes.Uint64
	case formSmall:
		return arrow.PrimitiveTypes.Uint8
	case formDecimal:
		return &arrow.Decimal128Type{Precision: precision, Scale: int32(f.scale)}
	case formBool:
		return arrow.FixedWidthTypes.Boolean
	case formText:
	}
	return arrow.BinaryTypes.String
}

func (a *arrowWriter) group(t *table) error {
	if a.out == nil {
		a.begin(t)
	}
	for i := range t.columns {
		appendArrow(a.builder.Field(i), &t.columns[i])
	}
	batch := a.builder.NewRecordBatch()
	defer batch.Release()
	return a.out.Write(batch)
}

// appendArrow appends the rows of c to the builder of its type.
func appendArrow(b array.Builder, c *column) {
	b.Reserve(c.n)
	switch b := b.(type) {
	case *array.TimestampBuilder:
		for _, v := range c.ints {
			b.UnsafeAppend(arrow.Timestamp(v))
		}
	case *array.Uint64Builder:
		for i, v := range c.ints {
			if c.isNull(i) {
				b.UnsafeAppendBoolToBitmap(false)
			} else {
				b.UnsafeAppend(uint64(v))
			}
		}
	case *array.Uint8Builder:
		for _, v := range c.ints {
			b.UnsafeAppend(uint8(v))
		}
	case *array.BooleanBuilder:
		for _, v := range c.ints {
			b.UnsafeAppend(v != 0)
		}
	case *array.Decimal128Builder:
		for i := range c.n {
			if c.isNull(i) {
				b.UnsafeAppendBoolToBitmap(false)
				continue
			}
			v := c.at(i)
			b.UnsafeAppend(decimal128.New(v.hi, v.lo))
		}
	case *array.StringBuilder:
		n := 0
		for _, place := range c.places {
			n += len(c.words[place])
		}
		b.ReserveData(n)
		for _, place := range c.places {
			b.Append(c.words[place])
		}
	}
}

func (a *arrowWriter) close(t *table) error {
	if a.out == nil {
		a.begin(t)
	}
	defer a.builder.Release()
	return a.out.Close()
}
