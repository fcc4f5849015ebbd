package tape_test

import (
	"errors"
	"testing"

	"tapedeck/internal/tape"
)

func TestCursorRoundTrip(t *testing.T) {
	for _, c := range []tape.Cursor{
		{},
		{Epoch: tape.Epoch{1, 2, 3}, Position: 1, Index: tape.AllEntries},
		{Epoch: tape.Epoch{15: 255}, Position: 1<<64 - 1, Index: 65535},
		{Position: 300, Index: 0},
	} {
		got, err := tape.ParseCursor(c.String())
		if err != nil || got != c {
			t.Errorf("ParseCursor(%q) = %v, %v, want %v", c.String(), got, err, c)
		}
	}
}

func TestCursorRefusesEveryChangedCharacter(t *testing.T) {
	good := tape.Cursor{Epoch: tape.Epoch{9}, Position: 123456, Index: tape.AllEntries}.String()
	for i := range good {
		for _, c := range []byte("AZaz09-_=. ") {
			if good[i] == c {
				continue
			}
			bad := good[:i] + string(c) + good[i+1:]
			if got, err := tape.ParseCursor(bad); !errors.Is(err, tape.ErrCursor) {
				t.Fatalf("ParseCursor(%q) = %v, %v, want ErrCursor", bad, got, err)
			}
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(tape.Cursor{Position: 7, Index: 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		c, err := tape.ParseCursor(s)
		if err != nil {
			if !errors.Is(err, tape.ErrCursor) {
				t.Fatalf("got %v, want ErrCursor", err)
			}
			return
		}
		if again, err := tape.ParseCursor(c.String()); err != nil || again != c {
			t.Fatalf("%v became %v, %v", c, again, err)
		}
	})
}
