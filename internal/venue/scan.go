package venue

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrJSON is wrapped by errors about a text that is not JSON, or is JSON of another shape than was asked for.
var ErrJSON = errors.New("not the JSON that was expected")

// maxDepth is how deeply values may lie in each other. No venue comes near it.
const maxDepth = 512

// Scanner reads a JSON text from its beginning to its end, in place: it does not allocate, and what it returns points into the
// text. It is as strict as RFC 8259 about all that it passes, skipped values included; only UTF-8 is not looked at (the line
// does that for whole messages). Keys are told apart by case, as they are in JSON and not in encoding/json: Binance's t and T
// are two fields.
//
//	var s venue.Scanner
//	s.Reset(msg)
//	for s.Enter('{'); ; {
//		key, ok := s.Key()
//		if !ok {
//			break
//		}
//		switch string(key) { // does not allocate
//		case "p":
//			price = s.Value()
//		default:
//			s.Skip()
//		}
//	}
//	if err := s.End(); err != nil {
//
// After an error everything returns zero values and loops end, so that it need be looked at only once.
type Scanner struct {
	b     []byte
	i     int
	first bool // just entered: no comma yet
	err   error
}

// Reset begins with another text.
func (s *Scanner) Reset(b []byte) { *s = Scanner{b: b} }

// Err returns the first error.
func (s *Scanner) Err() error { return s.err }

// End returns the first error, which may be that something follows the value that was read.
func (s *Scanner) End() error {
	s.space()
	if s.err == nil && s.i < len(s.b) {
		s.fail("something follows the value")
	}
	return s.err
}

// Next says what the next value begins with: '{', '[', '"', '0' for any number, 't', 'f', 'n' for null, and 0 when there is none.
func (s *Scanner) Next() byte {
	s.space()
	if s.err != nil || s.i >= len(s.b) {
		return 0
	}
	switch c := s.b[s.i]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return 0
}

// Enter steps into the next value, which must be an object ('{') or an array ('['); anything else is an error.
func (s *Scanner) Enter(bracket byte) {
	s.space()
	if s.err != nil {
		return
	}
	if s.i >= len(s.b) || s.b[s.i] != bracket {
		s.fail("want " + string(bracket))
		return
	}
	s.i++
	s.first = true
}

// Key returns the key of the next member of the object that was entered. After the last one it has left the object and returns
// false. The member's value must be read, entered or skipped before the next call.
func (s *Scanner) Key() (key []byte, ok bool) {
	if !s.more('}') {
		return nil, false
	}
	s.space()
	v := s.text()
	s.space()
	if s.err != nil || s.i >= len(s.b) || s.b[s.i] != ':' {
		s.fail("want a colon after a key")
		return nil, false
	}
	s.i++
	s.first = false
	return v.Bytes(), true
}

// More reports whether the array that was entered has another element, which is then the next value. After the last one it has
// left the array.
func (s *Scanner) More() bool { return s.more(']') }

func (s *Scanner) more(bracket byte) bool {
	s.space()
	switch {
	case s.err != nil:
		return false
	case s.i >= len(s.b):
		s.fail("it ends early")
		return false
	case s.b[s.i] == bracket:
		s.i++
		s.first = false
		return false
	case s.first:
		s.first = false
		return true
	case s.b[s.i] != ',':
		s.fail("want a comma")
		return false
	}
	s.i++
	return true
}

// Value returns the next value, whole.
func (s *Scanner) Value() Value {
	s.space()
	if s.err != nil {
		return nil
	}
	begin := s.i
	s.value(0)
	if s.err != nil {
		return nil
	}
	return s.b[begin:s.i:s.i]
}

// Skip passes the next value.
func (s *Scanner) Skip() { s.Value() }

func (s *Scanner) fail(problem string) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s at byte %d", ErrJSON, problem, s.i)
	}
}

// space passes white space, of which venues send none.
func (s *Scanner) space() {
	if s.i < len(s.b) && s.b[s.i] <= ' ' {
		s.spaces()
	}
}

func (s *Scanner) spaces() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *Scanner) value(depth int) {
	if s.i >= len(s.b) {
		s.fail("a value is missing")
		return
	}
	switch c := s.b[s.i]; {
	case c == '"':
		s.text()
	case c == '{' || c == '[':
		s.container(c, depth)
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	case c == 'n':
		s.word("null")
	default:
		s.fail("this begins no value")
	}
}

func (s *Scanner) container(bracket byte, depth int) {
	if depth == maxDepth {
		s.fail("too deep")
		return
	}
	s.i++
	s.first = true
	if bracket == '[' {
		for s.more(']') {
			s.space()
			s.value(depth + 1)
		}
		return
	}
	for {
		if _, ok := s.Key(); !ok {
			return
		}
		s.space()
		s.value(depth + 1)
	}
}

func (s *Scanner) word(w string) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		s.fail("want " + w)
		return
	}
	s.i += len(w)
}

// text passes a string and returns it with its quotes.
func (s *Scanner) text() Value {
	if s.err != nil {
		return nil
	}
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		s.fail("want a string")
		return nil
	}
	begin := s.i
	b, i := s.b, s.i+1
	for i < len(b) {
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return b[begin:s.i:s.i]
		case c == '\\':
			if s.i = i; !s.escape() {
				s.fail("no such escape")
				return nil
			}
			i = s.i + 1
		case c < ' ':
			s.i = i
			s.fail("a control character in a string")
			return nil
		default:
			i++
		}
	}
	s.i = i
	s.fail("a string does not end")
	return nil
}

// escape passes an escape but for its last byte.
func (s *Scanner) escape() bool {
	s.i++
	if s.i >= len(s.b) {
		return false
	}
	c := s.b[s.i]
	if c == 'u' {
		for range 4 {
			s.i++
			if s.i >= len(s.b) || hex(s.b[s.i]) < 0 {
				return false
			}
		}
		return true
	}
	return bytes.IndexByte([]byte(`"\/bfnrt`), c) >= 0
}

func (s *Scanner) number() {
	if s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i < len(s.b) && s.b[s.i] == '0':
		s.i++
	case !s.digits():
		s.fail("not a number")
		return
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			s.fail("not a number")
			return
		}
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			s.fail("not a number")
		}
	}
}

func (s *Scanner) digits() bool {
	b, i := s.b, s.i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	found := i > s.i
	s.i = i
	return found
}

// hex returns the value of a hexadecimal digit, or -1.
func hex(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return -1
}
