package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"tapedeck/internal/feed"
)

// table is a file that is open at its first row.
type table struct {
	file   *os.File
	rows   *reader
	layout *layout
}

// probeBytes is how much of a file is looked at to find out what it is.
const probeBytes = 64 << 10

// openFile opens a file and identifies it.
func openFile(c *config) (*os.File, [16]byte, error) {
	var id [16]byte
	f, err := os.Open(c.path)
	if err != nil {
		return nil, id, feed.Permanent(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a folder or a device, not a file", c.path)
	}
	if err == nil {
		if id, err = identify(f, info.Size(), c.choice); err != nil {
			err = fmt.Errorf("read %s: %w", c.path, err)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, id, feed.Permanent(err)
	}
	return f, id, nil
}

// openTable makes a table of an open file, which it takes over: it finds out how it is packed, what stands between its fields
// and what its columns mean. All errors are permanent.
func openTable(f *os.File, c *config) (*table, error) {
	t, err := readTable(f, c)
	if err != nil {
		_ = f.Close()
		return nil, feed.Permanent(fmt.Errorf("%s: %w", c.path, err))
	}
	return t, nil
}

func readTable(f *os.File, c *config) (*table, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := unpack(bufio.NewReaderSize(f, probeBytes))
	if err != nil {
		return nil, err
	}
	head, err := text.Peek(probeBytes)
	if len(head) == 0 {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, unpackError(err)
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if _, err := text.Discard(3); err != nil {
			return nil, err
		}
		head = head[3:]
	}
	if i := bytes.IndexByte(head, 0); i >= 0 {
		return nil, fmt.Errorf("the file is not text: byte %d is zero", i+1)
	}
	comma := delimiter(head)
	l, err := recognise(topLines(head, comma), c.mapping, c.clock)
	if err != nil {
		return nil, err
	}
	t := &table{file: f, rows: newReader(text, comma), layout: l}
	for range l.skip {
		if _, err := t.rows.next(); err != nil && !errors.Is(err, errQuote) {
			return nil, unpackError(err)
		}
	}
	return t, nil
}

// close closes the file.
func (t *table) close() { _ = t.file.Close() } // It was only read.

// unpack returns the text of a file that is plain or gzip, and refuses other well-known kinds by name.
func unpack(raw *bufio.Reader) (*bufio.Reader, error) {
	magic, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, kind := range [...]struct{ magic, name string }{
		{"PK\x03\x04", "a ZIP archive (or a spreadsheet); unpack it first"},
		{"PAR1", "a Parquet file, not CSV"},
		{"\x28\xb5\x2f\xfd", "packed by zstd; unpack it, or pack it by gzip"},
		{"\xfd7zX", "packed by xz; unpack it, or pack it by gzip"},
		{"BZh", "packed by bzip2; unpack it, or pack it by gzip"},
		{"\xff\xfe", "UTF-16 text; save it as UTF-8"},
		{"\xfe\xff", "UTF-16 text; save it as UTF-8"},
	} {
		if bytes.HasPrefix(magic, []byte(kind.magic)) {
			return nil, errors.New("the file is " + kind.name)
		}
	}
	if !bytes.HasPrefix(magic, []byte("\x1f\x8b")) {
		return raw, nil
	}
	z, err := gzip.NewReader(raw)
	if err != nil {
		return nil, unpackError(err)
	}
	return bufio.NewReaderSize(z, probeBytes), nil
}

// unpackError explains an error of reading a gzip file.
func unpackError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the gzip file is cut off: %w", err)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return fmt.Errorf("the gzip file is damaged: %w", err)
	}
	return err
}

// delimiter finds what stands between fields: what occurs equally often in most of the first lines.
func delimiter(head []byte) byte {
	lines := bytes.Split(head, []byte("\n"))
	if len(lines) > 1 {
		lines = lines[:len(lines)-1] // The last may be cut off.
	}
	lines = lines[:min(len(lines), probeLines)]
	best, bestLines, bestCount := byte(','), 0, 0
	for _, d := range []byte(",;\t|") {
		var counts []int
		for _, line := range lines {
			if n := count(line, d); n > 0 {
				counts = append(counts, n)
			}
		}
		slices.Sort(counts)
		usual, run := 0, 0
		for i := 0; i < len(counts); {
			j := i
			for j < len(counts) && counts[j] == counts[i] {
				j++
			}
			if j-i >= run {
				usual, run = counts[i], j-i
			}
			i = j
		}
		if run > bestLines || run == bestLines && usual > bestCount {
			best, bestLines, bestCount = d, run, usual
		}
	}
	return best
}

// count counts d outside of quotes.
func count(line []byte, d byte) int {
	n, quoted := 0, false
	for _, c := range line {
		switch c {
		case '"':
			quoted = !quoted
		case d:
			if !quoted {
				n++
			}
		}
	}
	return n
}

// topLines returns the first rows of a file as strings.
func topLines(head []byte, comma byte) [][]string {
	r := newReader(bytes.NewReader(bytes.Clone(head)), comma)
	var lines [][]string
	for len(lines) < probeLines {
		row, err := r.next()
		if errors.Is(err, errQuote) {
			lines = append(lines, []string{""})
			continue
		}
		if err != nil {
			break
		}
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = string(v)
		}
		lines = append(lines, line)
	}
	return lines
}
