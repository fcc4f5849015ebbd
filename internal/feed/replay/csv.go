package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line that is taken for one of a table, in bytes.
const maxLine = 1 << 20

// errQuote is what is wrong with a row whose quotes don't match. The row is lost, those after it are not: a quoted field ends
// with its line, so that a stray quote does not swallow the file.
var errQuote = errors.New("a quoted field is not closed on its line, or goes on after its closing quote")

// reader splits a table into rows and fields as RFC 4180 has it, with three differences: any single byte may stand between
// fields, a field does not contain line breaks, and a quote within an unquoted field stands for itself. Lines end in LF or
// CRLF; empty lines are left out.
type reader struct {
	src    io.Reader
	comma  byte
	buf    []byte
	head   int // of what was not returned yet
	tail   int
	fields [][]byte
	line   int // number of the line that was returned last, from 1
	failed error
}

func newReader(src io.Reader, comma byte) *reader {
	return &reader{src: src, comma: comma, buf: make([]byte, 64<<10)}
}

// next returns the fields of the next row, which are good until the next call, and io.EOF at the end. On errQuote the reader goes
// on with the next row; any other error is for good.
func (r *reader) next() ([][]byte, error) {
	for {
		line, err := r.nextLine()
		if err != nil {
			return nil, err
		}
		if len(line) > 0 {
			return r.split(line)
		}
	}
}

// nextLine returns a line without its end.
func (r *reader) nextLine() ([]byte, error) {
	scanned := r.head
	for {
		if i := bytes.IndexByte(r.buf[scanned:r.tail], '\n'); i >= 0 {
			line := r.buf[r.head : scanned+i]
			r.head = scanned + i + 1
			r.line++
			return trimCR(line), nil
		}
		scanned = r.tail
		if r.failed != nil {
			if r.head < r.tail && errors.Is(r.failed, io.EOF) {
				line := r.buf[r.head:r.tail]
				r.head = r.tail
				r.line++
				return trimCR(line), nil
			}
			return nil, r.failed
		}
		if r.tail-r.head > maxLine {
			r.failed = fmt.Errorf("line %d is longer than %d bytes", r.line+1, maxLine)
			return nil, r.failed
		}
		scanned -= r.fill()
	}
}

// fill reads more and returns by how much what is in the buffer has moved.
func (r *reader) fill() (moved int) {
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

// split divides a line into fields, in place.
func (r *reader) split(line []byte) ([][]byte, error) {
	r.fields = r.fields[:0]
	for {
		if len(line) > 0 && line[0] == '"' {
			field, rest, ok := unquote(line)
			if !ok || len(rest) > 0 && rest[0] != r.comma {
				return nil, errQuote
			}
			r.fields = append(r.fields, field)
			if len(rest) == 0 {
				return r.fields, nil
			}
			line = rest[1:]
			continue
		}
		i := bytes.IndexByte(line, r.comma)
		if i < 0 {
			r.fields = append(r.fields, line)
			return r.fields, nil
		}
		r.fields = append(r.fields, line[:i:i])
		line = line[i+1:]
	}
}

// unquote returns the content of the quoted field that the line begins with, moved together in place where it holds doubled
// quotes, and what follows it.
func unquote(line []byte) (field, rest []byte, ok bool) {
	w := 1
	for i := 1; i < len(line); i++ {
		if line[i] == '"' {
			if i+1 == len(line) || line[i+1] != '"' {
				return line[1:w:w], line[i+1:], true
			}
			i++
		}
		line[w] = line[i]
		w++
	}
	return nil, nil, false
}
