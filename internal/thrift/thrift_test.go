package thrift_test

import (
	"bytes"
	"testing"

	"tapedeck/internal/thrift"
)

func TestLength(t *testing.T) {
	nested := func(n int) []byte { // structs in structs
		return append(bytes.Repeat([]byte{0x1c}, n), make([]byte, n+1)...)
	}
	lists := func(n int) []byte { // a list of one list of one list …
		return append(append([]byte{0x19}, bytes.Repeat([]byte{0x19}, n)...), 0x03, 0, 0)
	}
	for name, test := range map[string]struct {
		in   []byte
		want int // below 0 when it is refused
	}{
		"nothing":                        {nil, -1},
		"an empty struct":                {[]byte{0}, 1},
		"and what follows it":            {[]byte{0, 1, 2}, 1},
		"a number":                       {[]byte{0x15, 0x96, 0x01, 0}, 4},
		"a number without an end":        {[]byte{0x15, 0x96}, -1},
		"booleans take no room":          {[]byte{0x11, 0x12, 0}, 3},
		"booleans of a list take a byte": {[]byte{0x19, 0x21, 1, 2, 0}, 5},
		"a field with its own number":    {[]byte{0x05, 0x80, 0x01, 0x02, 0}, 5},
		"a text":                         {[]byte{0x18, 3, 'a', 'b', 'c', 0}, 6},
		"a text that is cut off":         {[]byte{0x18, 3, 'a', 'b'}, -1},
		"a text beyond all sizes":        {[]byte{0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0}, -1},
		"a double":                       {append(append([]byte{0x17}, make([]byte, 8)...), 0), 10},
		"a list with a long head":        {append(append([]byte{0x19, 0xf3, 16}, make([]byte, 16)...), 0), 20},
		"a list that lies":               {[]byte{0x19, 0xf3, 0xff, 0xff, 0x03, 0}, -1},
		"a list above the limit":         {append(append([]byte{0x19, 0xf3, 65}, make([]byte, 65)...), 0), -1},
		"a map":                          {[]byte{0x1b, 0, 0}, -1},
		"structs as deep as may be":      {nested(16), 33},
		"structs too deep":               {nested(17), -1},
		"lists too deep":                 {lists(20), -1},
		"no end":                         {[]byte{0x11}, -1},
	} {
		if n, ok := thrift.Length(test.in, 64); ok != (test.want >= 0) || ok && n != test.want {
			t.Errorf("%s: got %d, %v, want %d", name, n, ok, test.want)
		}
	}
}

func FuzzLength(f *testing.F) {
	f.Add([]byte{0x19, 0x21, 1, 2, 0})
	f.Add([]byte{0x1c, 0x18, 1, 'a', 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := thrift.Length(b, 1000)
		if n < 0 || n > len(b) {
			t.Fatalf("%d of %d bytes", n, len(b))
		}
		if !ok {
			return
		}
		if again, ok := thrift.Length(b[:n], 1000); !ok || again != n {
			t.Errorf("by itself it takes %d, %v, not %d", again, ok, n)
		}
	})
}
