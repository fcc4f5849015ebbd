package redis

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestPlace(t *testing.T) {
	p := place{stream: "ticks", last: -5, after: id{1 << 50, 7}, counted: true, count: 9, skip: 3, begun: true}
	if got, err := parsePlace(p.append(nil)); err != nil || got != p {
		t.Errorf("got %+v %v", got, err)
	}
	if got, err := parsePlace(nil); err != nil || got.begun {
		t.Errorf("none: %+v %v", got, err)
	}
}

// FuzzPlace reads any offset: what is taken is written as it was.
func FuzzPlace(f *testing.F) {
	p := place{stream: "ticks", after: id{5, 6}, counted: true}
	f.Add(p.append(nil))
	f.Add([]byte{1, 0, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePlace(b)
		if err != nil || len(b) == 0 {
			return
		}
		if again, err := parsePlace(p.append(nil)); err != nil || !bytes.Equal(again.append(nil), p.append(nil)) {
			t.Errorf("%+v is read as %+v: %v", p, again, err)
		}
	})
}

// FuzzFields makes a message of any fields: it is JSON, and says what they say.
func FuzzFields(f *testing.F) {
	f.Add("symbol", "AAPL", "price", "1.50")
	f.Add("a\"", "\x00", "\\", "\n")
	f.Fuzz(func(t *testing.T, a, x, b, y string) {
		if a == b {
			return
		}
		text := appendQuoted(append(appendQuoted([]byte{'{'}, a), ':'), x)
		text = append(appendQuoted(append(appendQuoted(append(text, ','), b), ':'), y), '}')
		if !json.Valid(text) {
			t.Errorf("%q", text)
		}
	})
}

func FuzzID(f *testing.F) {
	f.Add("1795474511636-0")
	f.Add("0-18446744073709551615")
	f.Fuzz(func(t *testing.T, s string) {
		i, err := parseID(s)
		if err != nil {
			return
		}
		if again, err := parseID(i.String()); err != nil || again != i {
			t.Errorf("%s is %v", s, again)
		}
		if b := i.before(); i != (id{}) && !b.less(i) {
			t.Errorf("%v is before %v", b, i)
		}
	})
}
