package layout

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// probeBytes is how much of a file is looked at to find out how it is packed and what stands between its fields.
const probeBytes = 64 << 10

// Formats, as Options.Format has them.
const (
	formatCSV     = "csv"
	formatJSONL   = "jsonl"
	formatParquet = "parquet"
)

// open finds out how the file is packed, and makes rows of it.
func (r *Reader) open(src io.Reader) error {
	switch r.opt.Format {
	case "", "auto", formatCSV, formatJSONL, formatParquet:
	default:
		return fmt.Errorf("format %q: want auto, csv, jsonl or parquet", r.opt.Format)
	}
	raw := bufio.NewReaderSize(src, probeBytes)
	magic, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(magic, []byte("PAR1")) {
		return r.openParquet(src)
	}
	if r.opt.Format == formatParquet {
		return errors.New("the file is not Parquet: it does not begin with PAR1")
	}
	text, err := r.unpack(src, raw, magic)
	if err != nil {
		return r.whole(err)
	}
	head, err := text.Peek(probeBytes)
	if len(head) == 0 {
		if errors.Is(err, io.EOF) {
			return errors.New("the file is empty")
		}
		return r.whole(err)
	}
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		text = bufio.NewReaderSize(transform.NewReader(text, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()), probeBytes)
		if head, err = text.Peek(probeBytes); len(head) == 0 {
			return r.whole(err)
		}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if _, err := text.Discard(3); err != nil {
			return err
		}
		head = head[3:]
	}
	if hasOldLines(head) {
		r.oldLines = true
		text = bufio.NewReaderSize(&oldLines{text}, probeBytes)
		if head, err = text.Peek(probeBytes); len(head) == 0 {
			return r.whole(err)
		}
	}
	if i := bytes.IndexByte(head, 0); i >= 0 {
		return fmt.Errorf("the file is not text: byte %d is zero", i+1)
	}
	if r.opt.Format == formatJSONL || r.opt.Format != formatCSV && looksLikeJSON(head) {
		r.format = formatJSONL
		r.src, err = newObjects(text, head, r.opt.Limits.Line)
		return err
	}
	r.format = formatCSV
	r.src = newTable(text, delimiter(head), r.opt.Limits.Line)
	return nil
}

// looksLikeJSON reports whether text begins with an object, or with a list of values.
func looksLikeJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) < 2 {
		return false
	}
	next := bytes.TrimLeft(head[1:], " \t\r\n")
	switch head[0] {
	case '{':
		return len(next) > 0 && (next[0] == '"' || next[0] == '}')
	case '[':
		return len(next) > 0 && bytes.IndexByte([]byte(`"{[-0123456789`), next[0]) >= 0
	}
	return false
}

// unpack returns the text of a file, and refuses well-known kinds that have none by name.
func (r *Reader) unpack(src io.Reader, raw *bufio.Reader, magic []byte) (*bufio.Reader, error) {
	for _, kind := range [...]struct{ magic, name string }{
		{"\xfd7zX", "packed by xz; unpack it, or pack it by gzip or zstd"},
		{"BZh", "packed by bzip2; unpack it, or pack it by gzip or zstd"},
		{"7z\xbc\xaf", "packed by 7-Zip; unpack it, or pack it by gzip or zstd"},
		{"\xd0\xcf\x11\xe0", "an Excel workbook; save it as CSV"},
		{"ARRO", "an Arrow file; save it as Parquet or CSV"},
		{"PK\x05\x06", "a ZIP archive that holds no file"},
		{"SQLi", "an SQLite database; export the table as CSV"},
	} {
		if bytes.HasPrefix(magic, []byte(kind.magic)) {
			return nil, errors.New("the file is " + kind.name)
		}
	}
	in := &counter{src: raw}
	var text io.Reader
	var err error
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		r.packing = "gzip"
		text, err = gzip.NewReader(in)
	case bytes.HasPrefix(magic, []byte("\x28\xb5\x2f\xfd")):
		r.packing = "zstd"
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		text = z
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")):
		r.packing = "zip"
		text, in, err = unzip(src)
	default:
		return raw, nil
	}
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(&inflater{src: text, in: in, limits: r.opt.Limits}, probeBytes), nil
}

// unzip opens the only file of an archive.
func unzip(src io.Reader) (io.Reader, *counter, error) {
	at, size, err := sized(src)
	if err != nil {
		return nil, nil, fmt.Errorf("the file is a ZIP archive: %w", err)
	}
	archive, err := zip.NewReader(at, size)
	if err != nil {
		return nil, nil, fmt.Errorf("the ZIP archive is damaged: %w", err)
	}
	var only *zip.File
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if only != nil {
			return nil, nil, fmt.Errorf("the ZIP archive (or spreadsheet) holds several files, %.100q and %.100q among them; unpack it first", only.Name, f.Name)
		}
		only = f
	}
	if only == nil {
		return nil, nil, errors.New("the ZIP archive holds no file")
	}
	text, err := only.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("the ZIP archive is damaged: %w", err)
	}
	return text, &counter{n: size}, nil
}

// sized returns what can be read at any place, and how much of it there is.
func sized(src io.Reader) (io.ReaderAt, int64, error) {
	at, ok := src.(io.ReaderAt)
	seeker, can := src.(io.Seeker)
	if !ok || !can {
		return nil, 0, errors.New("it can't be read from a pipe; save it as a file first")
	}
	size, err := seeker.Seek(0, io.SeekEnd)
	return at, size, err
}

// counter counts what is read.
type counter struct {
	src io.Reader
	n   int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte lets unpackers do without a buffer of their own.
func (c *counter) ReadByte() (byte, error) {
	b, ok := c.src.(io.ByteReader)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	v, err := b.ReadByte()
	if err == nil {
		c.n++
	}
	return v, err
}

// freeRatio is how much a packed file may unpack to before its ratio counts.
const freeRatio = 64 << 20

// errBomb is wrapped when a packed file grows beyond the limits.
var errBomb = errors.New("the file is refused")

// inflater holds what is unpacked against the limits.
type inflater struct {
	src    io.Reader
	in     *counter
	out    int64
	limits Limits
}

func (z *inflater) Read(p []byte) (int, error) {
	n, err := z.src.Read(p)
	z.out += int64(n)
	switch {
	case z.out > z.limits.Inflated:
		return 0, fmt.Errorf("%w: it unpacks to more than %d bytes", errBomb, z.limits.Inflated)
	case z.out > freeRatio && z.out/int64(z.limits.Ratio) > z.in.n:
		return 0, fmt.Errorf("%w: %d bytes of it unpack to %d, more than %d for each", errBomb, z.in.n, z.out, z.limits.Ratio)
	}
	return n, err
}

// whole explains an error of reading a file.
func (r *Reader) whole(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, errBomb) || r.packing == "":
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the %s file is cut off: %w", r.packing, err)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat),
		errors.Is(err, zstd.ErrMagicMismatch), errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrReservedBlockType),
		errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrCompressedSizeTooBig), errors.Is(err, zstd.ErrBlockTooSmall),
		errors.Is(err, zstd.ErrUnexpectedBlockSize), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("the %s file is damaged: %w", r.packing, err)
	}
	return err
}

// errRow is wrapped by errors after which only one row is lost.
var errRow = errors.New("the row can't be read")

func isRowError(err error) bool { return errors.Is(err, errQuote) || errors.Is(err, errRow) }
