package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errQuote is what is wrong with a row whose quotes don't match. The row is lost, those after it are not: a quoted field ends
// with its line, so that a stray quote does not swallow the file.
var errQuote = errors.New("a quoted field is not closed on its line, or goes on after its closing quote")

// errLine wraps what stops a file: a line longer than the limit is no row of a table, and where it ends nobody knows.
var errLine = errors.New("a line is too long")

// table splits text into rows and fields as RFC 4180 has it, with three differences: any single byte may stand between fields, a
// field does not contain line breaks, and a quote within an unquoted field stands for itself. Lines end in LF or CRLF; empty
// lines are left out.
type table struct {
	lines   lineReader
	comma   byte
	fields  [][]byte
	row     []byte // as it stands in the file
	scratch []byte // of fields with doubled quotes
}

func newTable(src io.Reader, comma byte, maxLine int) *table {
	return &table{lines: newLineReader(src, maxLine), comma: comma}
}

// next returns the fields of the next row, which are good until the next call, and io.EOF at the end. On errQuote the table goes
// on with the next row; any other error is for good.
func (t *table) next() ([][]byte, error) {
	for {
		line, err := t.lines.next()
		if err != nil {
			return nil, err
		}
		if len(line) > 0 {
			t.row = line
			return t.split(line)
		}
	}
}

func (t *table) line() uint64 { return t.lines.n }
func (t *table) text() []byte { return t.row }

// split divides a line into fields. They are parts of it, but for those with doubled quotes.
func (t *table) split(line []byte) ([][]byte, error) {
	t.fields = t.fields[:0]
	t.scratch = t.scratch[:0]
	for {
		if len(line) > 0 && line[0] == '"' {
			field, rest, ok := t.unquote(line)
			if !ok || len(rest) > 0 && rest[0] != t.comma {
				return nil, errQuote
			}
			t.fields = append(t.fields, field)
			if len(rest) == 0 {
				return t.fields, nil
			}
			line = rest[1:]
			continue
		}
		i := bytes.IndexByte(line, t.comma)
		if i < 0 {
			t.fields = append(t.fields, line)
			return t.fields, nil
		}
		t.fields = append(t.fields, line[:i:i])
		line = line[i+1:]
	}
}

// unquote returns the content of the quoted field that the line begins with, and what follows it.
func (t *table) unquote(line []byte) (field, rest []byte, ok bool) {
	end := bytes.IndexByte(line[1:], '"')
	if end < 0 {
		return nil, nil, false
	}
	end++
	if end+1 == len(line) || line[end+1] != '"' {
		return line[1:end:end], line[end+1:], true
	}
	begin := len(t.scratch) // What was appended before keeps its array, even when this one grows into another.
	for i := 1; i < len(line); i++ {
		if line[i] == '"' {
			if i+1 == len(line) || line[i+1] != '"' {
				return t.scratch[begin:len(t.scratch):len(t.scratch)], line[i+1:], true
			}
			i++
		}
		t.scratch = append(t.scratch, line[i])
	}
	return nil, nil, false
}

// lineReader returns the lines of a text.
type lineReader struct {
	src    io.Reader
	max    int // longest line, in bytes
	buf    []byte
	head   int // of what was not returned yet
	tail   int
	n      uint64 // number of the line that was returned last, from 1
	failed error
}

func newLineReader(src io.Reader, longest int) lineReader {
	return lineReader{src: src, max: longest, buf: make([]byte, 64<<10)}
}

// next returns a line without its end. It is good until the next call.
func (r *lineReader) next() ([]byte, error) {
	scanned := r.head
	for {
		if i := bytes.IndexByte(r.buf[scanned:r.tail], '\n'); i >= 0 {
			line := r.buf[r.head : scanned+i]
			r.head = scanned + i + 1
			r.n++
			return trimCR(line), nil
		}
		scanned = r.tail
		if r.failed != nil {
			if r.head < r.tail && errors.Is(r.failed, io.EOF) {
				line := r.buf[r.head:r.tail]
				r.head = r.tail
				r.n++
				return trimCR(line), nil
			}
			return nil, r.failed
		}
		if r.tail-r.head > r.max {
			r.failed = fmt.Errorf("line %d is longer than %d bytes: %w", r.n+1, r.max, errLine)
			return nil, r.failed
		}
		scanned -= r.fill()
	}
}

// fill reads more and returns by how much what is in the buffer has moved.
func (r *lineReader) fill() (moved int) {
	if r.head > 0 {
		moved = r.head
		r.tail = copy(r.buf, r.buf[r.head:r.tail])
		r.head = 0
	}
	if r.tail == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.src.Read(r.buf[r.tail:])
	r.tail += n
	r.failed = err
	return moved
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
