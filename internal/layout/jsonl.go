package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// objects reads JSON lines (jsonlines.org): an object a line, whose members are the columns, or an array a line, whose elements are.
// Members of objects within an object count as its own; an array of values is one text with commas between them. Numbers keep
// their digits.
type objects struct {
	lines   lineReader
	names   []string       // members, in the order in which the first lines have them; nil for arrays
	columns map[string]int // by name
	header  bool           // the names are still to be given as a row
	cells   [][]byte
	row     []byte
	scratch []byte
	next0   int // column that the next member probably is
}

// How much of the beginning tells what members there are, and how many there may be.
const (
	nameLines  = 200
	maxMembers = 1000
	maxDepth   = 8
)

// newObjects looks at the first lines for the names of members.
func newObjects(text io.Reader, head []byte, maxLine int) (*objects, error) {
	o := &objects{lines: newLineReader(text, maxLine), columns: make(map[string]int)}
	probe := &objects{columns: o.columns}
	lines := bytes.Split(head, []byte("\n"))
	if len(lines) > 1 {
		lines = lines[:len(lines)-1] // The last may be cut off.
	}
	for _, line := range lines[:min(len(lines), nameLines)] {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if line[0] == '[' && len(probe.names) == 0 {
			if len(line) == 1 || line[1] == '[' || line[1] == '{' {
				return nil, errors.New("the file is one JSON array; make a line of each of its elements, as jq -c '.[]' does")
			}
			return o, nil
		}
		if err := probe.members(line, true); errors.Is(err, errMembers) {
			return nil, err
		}
	}
	if len(probe.names) == 0 {
		if len(lines) > 0 && len(bytes.TrimSpace(lines[0])) == 1 {
			return nil, errors.New("the file is one JSON object over several lines; it must have an object a line, as jq -c makes of it")
		}
		return nil, errors.New("the file begins like JSON, but none of its first lines is an object")
	}
	o.names, o.header = probe.names, true
	return o, nil
}

func (o *objects) line() uint64 { return o.lines.n }
func (o *objects) text() []byte { return o.row }

func (o *objects) next() ([][]byte, error) {
	if o.header {
		o.header = false
		for _, name := range o.names {
			o.cells = append(o.cells, []byte(name))
		}
		return o.cells, nil
	}
	for {
		line, err := o.lines.next()
		if err != nil {
			return nil, err
		}
		o.row = line
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		o.scratch = o.scratch[:0]
		if line[0] == '[' && o.names == nil {
			return o.elements(line)
		}
		o.cells = o.cells[:len(o.names)]
		clear(o.cells)
		o.next0 = 0
		return o.cells, o.members(line, false)
	}
}

// errMembers says that there are too many columns.
var errMembers = fmt.Errorf("its objects have more than %d members", maxMembers)

func badJSON(line, rest []byte) error {
	return fmt.Errorf("%w: it is not JSON at byte %d", errRow, len(line)-len(rest)+1)
}

// members sets the cells of an object, or learns its names.
func (o *objects) members(line []byte, learn bool) error {
	rest, ok, err := o.object(line, learn, 0)
	switch {
	case err != nil:
		return err
	case !ok || len(bytes.TrimSpace(rest)) > 0:
		return badJSON(line, rest)
	}
	return nil
}

// object reads an object and returns what follows it.
func (o *objects) object(s []byte, learn bool, depth int) (rest []byte, ok bool, err error) {
	if len(s) == 0 || s[0] != '{' || depth > maxDepth {
		return s, false, nil
	}
	s = skipSpace(s[1:])
	if len(s) > 0 && s[0] == '}' {
		return s[1:], true, nil
	}
	for {
		var name []byte
		if name, s, ok = o.str(s); !ok {
			return s, false, nil
		}
		if s = skipSpace(s); len(s) == 0 || s[0] != ':' {
			return s, false, nil
		}
		s = skipSpace(s[1:])
		if len(s) > 0 && s[0] == '{' {
			if s, ok, err = o.object(s, learn, depth+1); !ok || err != nil {
				return s, ok, err
			}
		} else {
			var value []byte
			if value, s, ok = o.value(s); !ok {
				return s, false, nil
			}
			if err := o.set(name, value, learn); err != nil {
				return s, false, err
			}
		}
		s = skipSpace(s)
		switch {
		case len(s) > 0 && s[0] == ',':
			s = skipSpace(s[1:])
		case len(s) > 0 && s[0] == '}':
			return s[1:], true, nil
		default:
			return s, false, nil
		}
	}
}

// set sets the cell of a member. Of several of one name the first counts, so that an inner one does not hide it.
func (o *objects) set(name, value []byte, learn bool) error {
	i := o.next0
	if i >= len(o.names) || string(name) != o.names[i] {
		at, known := o.columns[string(name)]
		switch {
		case !known && !learn:
			return nil
		case !known && len(o.names) == maxMembers:
			return errMembers
		case !known:
			at = len(o.names)
			o.columns[string(name)] = at
			o.names = append(o.names, string(name))
		}
		i = at
	}
	o.next0 = i + 1
	if !learn && o.cells[i] == nil {
		o.cells[i] = value
	}
	return nil
}

// elements reads an array as a row.
func (o *objects) elements(line []byte) ([][]byte, error) {
	o.cells = o.cells[:0]
	s := skipSpace(line[1:])
	for len(s) == 0 || s[0] != ']' {
		value, rest, ok := o.value(s)
		s = skipSpace(rest)
		if !ok || len(s) == 0 || s[0] != ',' && s[0] != ']' || len(o.cells) == maxMembers {
			return nil, badJSON(line, s)
		}
		o.cells = append(o.cells, value)
		if s[0] == ',' {
			s = skipSpace(s[1:])
		}
	}
	if len(bytes.TrimSpace(s[1:])) > 0 {
		return nil, badJSON(line, s)
	}
	return o.cells, nil
}

// value reads a value as the text of a cell: nil for null.
func (o *objects) value(s []byte) (value, rest []byte, ok bool) {
	if len(s) == 0 {
		return nil, s, false
	}
	switch s[0] {
	case '"':
		return o.str(s)
	case '[':
		return o.array(s)
	case '{':
		n := o.skip(s)
		return s[:n], s[n:], n > 0
	}
	n := 0
	for n < len(s) && s[n] != ',' && s[n] != '}' && s[n] != ']' && s[n] > ' ' {
		n++
	}
	value, rest = s[:n:n], s[n:]
	switch string(value) {
	case "null":
		return nil, rest, true
	case "true", "false":
		return value, rest, true
	}
	return value, rest, n > 0 && (value[0] == '-' || value[0] >= '0' && value[0] <= '9')
}

// array reads an array of plain values as one text; of others it gives what stands in the file.
func (o *objects) array(s []byte) (value, rest []byte, ok bool) {
	n := o.skip(s)
	if n == 0 {
		return nil, s, false
	}
	var list [][]byte
	whole, rest := s[:n:n], s[n:]
	s = skipSpace(s[1:n])
	for len(s) > 0 && s[0] != ']' {
		if s[0] == '[' || s[0] == '{' {
			return whole, rest, true
		}
		var element []byte
		if element, s, ok = o.value(s); !ok {
			return nil, s, false
		}
		list = append(list, element)
		if s = skipSpace(s); len(s) > 0 && s[0] == ',' {
			s = skipSpace(s[1:])
		}
	}
	if list == nil {
		return nil, rest, true
	}
	return bytes.Join(list, []byte(",")), rest, true
}

// skip returns the length of an array or object, 0 when it does not end.
func (o *objects) skip(s []byte) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		}
	}
	return 0
}

// str reads a string.
func (o *objects) str(s []byte) (value, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '"' {
		return nil, s, false
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return s[1:i:i], s[i+1:], true
		case s[i] == '\\':
			return o.escaped(s)
		case s[i] < ' ':
			return nil, s[i:], false
		}
	}
	return nil, s[len(s):], false
}

// escaped reads a string with escapes (RFC 8259, section 7). Halves of surrogate pairs that stand alone become U+FFFD.
func (o *objects) escaped(s []byte) (value, rest []byte, ok bool) {
	begin := len(o.scratch) // Values that were given keep their array when this one grows into another.
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return o.scratch[begin:len(o.scratch):len(o.scratch)], s[i+1:], true
		case s[i] < ' ':
			return nil, s[i:], false
		case s[i] != '\\':
			o.scratch = append(o.scratch, s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		if s[i] == 'u' {
			r, n := unicodeEscape(s[i+1:])
			if n == 0 {
				return nil, s[i:], false
			}
			o.scratch = utf8.AppendRune(o.scratch, r)
			i += n
			continue
		}
		at := bytes.IndexByte([]byte(`"\/bfnrt`), s[i])
		if at < 0 {
			return nil, s[i:], false
		}
		o.scratch = append(o.scratch, "\"\\/\b\f\n\r\t"[at])
	}
	return nil, s[len(s):], false
}

// unicodeEscape reads what follows \u: four digits, and of a surrogate pair the second half as well.
func unicodeEscape(s []byte) (r rune, n int) {
	hex := func(s []byte) (rune, bool) {
		if len(s) < 4 {
			return 0, false
		}
		v, err := strconv.ParseUint(string(s[:4]), 16, 16)
		return rune(v), err == nil
	}
	r, ok := hex(s)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(r) && len(s) >= 10 && s[4] == '\\' && s[5] == 'u' {
		if low, ok := hex(s[6:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 10
			}
		}
	}
	return r, 4 // AppendRune makes U+FFFD of half a pair.
}

func skipSpace(s []byte) []byte {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		s = s[1:]
	}
	return s
}
