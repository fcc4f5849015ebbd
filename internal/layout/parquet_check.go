package layout

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	codec "github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"tapedeck/internal/thrift"
)

// What a Parquet file may claim. Writers keep pages near 1 MiB and footers far below one; what is beyond this is a mistake or an
// attack, and would be paid for with memory before it is found out.
const (
	maxFooter     = 16 << 20
	maxPage       = 64 << 20
	maxPageValues = 4 << 20
	maxGroup      = 512 << 20 // largest pages of all columns of a row group together
	maxLeaves     = 2000
	maxHeader     = 1 << 20
	maxItems      = 1 << 20 // of all lists in a footer
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errParquet, fmt.Sprintf(format, args...))
}

// checkParquet looks whether the sizes that a file tells of itself can be true, before anything is allocated by them.
func checkParquet(at io.ReaderAt, size int64) (err error) {
	defer recovered(&err)
	if size < 12 {
		return damaged("it has %d bytes", size)
	}
	var end [8]byte
	if _, err := at.ReadAt(end[:], size-8); err != nil {
		return err
	}
	if string(end[4:]) != "PAR1" {
		return damaged("it is cut off, or goes on after its end")
	}
	length := int64(binary.LittleEndian.Uint32(end[:]))
	if length > maxFooter || length > size-12 {
		return damaged("a footer of %d bytes in a file of %d", length, size)
	}
	footer := make([]byte, length)
	if _, err := at.ReadAt(footer, size-8-length); err != nil {
		return err
	}
	var meta format.FileMetaData
	if _, err := decodeThrift(footer, &meta); err != nil {
		return err
	}
	if len(meta.Schema) > 2*maxLeaves {
		return damaged("%d columns", len(meta.Schema))
	}
	for g := range meta.RowGroups {
		var total int64
		for c := range meta.RowGroups[g].Columns {
			largest, err := checkChunk(at, size, &meta.RowGroups[g].Columns[c].MetaData)
			if err != nil {
				return fmt.Errorf("row group %d, column %d: %w", g+1, c+1, err)
			}
			total += largest
		}
		if total > maxGroup {
			return damaged("the pages of row group %d need %d bytes", g+1, total)
		}
	}
	return nil
}

// checkChunk looks at the pages of a column in a row group, and returns how much its largest needs.
func checkChunk(at io.ReaderAt, size int64, meta *format.ColumnMetaData) (largest int64, err error) {
	begin := meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 && d < begin {
		begin = d
	}
	if begin < 4 || meta.TotalCompressedSize < 0 || meta.TotalCompressedSize > size-begin {
		return 0, damaged("a column of %d bytes at %d in a file of %d", meta.TotalCompressedSize, begin, size)
	}
	end := begin + meta.TotalCompressedSize
	dictionary := int64(0)
	for begin < end {
		header, n, err := pageHeader(at, begin, end)
		if err != nil {
			return 0, err
		}
		packed, plain := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
		values := int64(header.DataPageHeader.V.NumValues) + int64(header.DictionaryPageHeader.V.NumValues) + int64(header.DataPageHeaderV2.V.NumValues)
		if packed < 0 || packed > end-begin-n || plain < 0 || plain > maxPage || values < 0 || values > maxPageValues {
			return 0, damaged("a page of %d values in %d bytes, %d unpacked, where %d are left", values, packed, plain, end-begin-n)
		}
		skip := int64(0)
		if v := header.DataPageHeaderV2; v.Valid {
			if skip = int64(v.V.DefinitionLevelsByteLength) + int64(v.V.RepetitionLevelsByteLength); skip < 0 || skip > packed || skip > plain {
				return 0, damaged("levels of %d bytes in a page of %d", skip, packed)
			}
		}
		body := io.NewSectionReader(at, begin+n+skip, packed-skip)
		if err := checkPacked(body, meta.Codec, plain-skip, header); err != nil {
			return 0, err
		}
		need := plain + 24*values
		if header.DictionaryPageHeader.Valid {
			dictionary = need
		}
		largest = max(largest, need)
		begin += n + packed
	}
	return largest + dictionary, nil
}

// pageHeader reads the header of a page and returns how many bytes it takes.
func pageHeader(at io.ReaderAt, begin, end int64) (*format.PageHeader, int64, error) {
	for room := int64(256); ; room *= 16 {
		b := make([]byte, min(room, end-begin, maxHeader))
		if _, err := at.ReadAt(b, begin); err != nil {
			return nil, 0, err
		}
		header := new(format.PageHeader)
		n, err := decodeThrift(b, header)
		if err == nil {
			return header, int64(n), nil
		}
		if int64(len(b)) < room {
			return nil, 0, err
		}
	}
}

// checkPacked looks whether what is packed is as long as it says, where the packing alone would find out too late.
func checkPacked(body *io.SectionReader, codec format.CompressionCodec, plain int64, header *format.PageHeader) error {
	if body.Size() == 0 || header.DataPageHeaderV2.Valid && header.DataPageHeaderV2.V.IsCompressed.Valid && !header.DataPageHeaderV2.V.IsCompressed.V {
		return nil
	}
	var text io.Reader
	switch codec {
	case format.Uncompressed:
		return nil
	case format.Snappy:
		var b [binary.MaxVarintLen64]byte
		n, err := body.Read(b[:])
		if length, m := binary.Uvarint(b[:n]); m <= 0 || err != nil || int64(length) != plain {
			return damaged("a page of snappy with %d bytes that should be %d", length, plain)
		}
		return nil
	case format.Gzip:
		z, err := gzip.NewReader(body)
		if err != nil {
			return damaged("a page of gzip: %v", err)
		}
		text = z
	case format.Zstd:
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxPage))
		if err != nil {
			return damaged("a page of zstd: %v", err)
		}
		defer z.Close()
		text = z
	default: // The library reads zeros where LZ4 has values.
		return fmt.Errorf("it is packed by %s; write it with zstd, snappy or gzip", codec)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(text, plain+1))
	if err != nil || n != plain {
		return damaged("a page of %s with %d bytes or more that should be %d", codec, n, plain)
	}
	return nil
}

// decodeThrift decodes a value of thrift's compact protocol after it has looked that all lengths in it are true, and returns how many
// bytes it takes.
func decodeThrift(b []byte, v any) (n int, err error) {
	defer recovered(&err)
	n, ok := thrift.Length(b, maxItems)
	if !ok {
		return 0, damaged("its directory makes no sense")
	}
	if err := codec.Unmarshal(new(codec.CompactProtocol), b[:n], v); err != nil {
		return 0, damaged("its directory: %v", err)
	}
	return n, nil
}
