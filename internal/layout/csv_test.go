package layout

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const testLine = 1 << 20

func readAll(src io.Reader, comma byte) (rows [][]string, broken int, err error) {
	r := newTable(src, comma, testLine)
	for {
		fields, err := r.next()
		switch {
		case errors.Is(err, errQuote):
			broken++
			continue
		case errors.Is(err, io.EOF):
			return rows, broken, nil
		case err != nil:
			return rows, broken, err
		}
		row := make([]string, len(fields))
		for i, f := range fields {
			row[i] = string(f)
		}
		rows = append(rows, row)
	}
}

func TestTable(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		comma  byte
		want   [][]string
		broken int
	}{
		"plain":          {"a,b\nc,d\n", ',', [][]string{{"a", "b"}, {"c", "d"}}, 0},
		"no last end":    {"a,b\nc,d", ',', [][]string{{"a", "b"}, {"c", "d"}}, 0},
		"CRLF":           {"a,b\r\nc,d\r\n", ',', [][]string{{"a", "b"}, {"c", "d"}}, 0},
		"empty fields":   {",\n,,\na,\n", ',', [][]string{{"", ""}, {"", "", ""}, {"a", ""}}, 0},
		"empty lines":    {"\n\na\n\r\n\nb\n", ',', [][]string{{"a"}, {"b"}}, 0},
		"quotes":         {`"a,b","c ""d""",e` + "\n", ',', [][]string{{"a,b", `c "d"`, "e"}}, 0},
		"empty quotes":   {`"",""` + "\n", ',', [][]string{{"", ""}}, 0},
		"quote within":   {`a"b,c` + "\n", ',', [][]string{{`a"b`, "c"}}, 0},
		"quote not shut": {"\"a,b\nc,d\n", ',', [][]string{{"c", "d"}}, 1},
		"after a quote":  {"\"a\"b,c\nd\n", ',', [][]string{{"d"}}, 1},
		"tabs":           {"a\tb,c\n", '\t', [][]string{{"a", "b,c"}}, 0},
		"nothing":        {"", ',', nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
				rows, broken, err := readAll(src, c.comma)
				if err != nil || broken != c.broken {
					t.Errorf("got %d broken rows, %v, want %d", broken, err, c.broken)
				}
				if diff := cmp.Diff(c.want, rows); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestTableAcrossItsBuffer(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	in := "a," + long + "\n" + strings.Repeat("b,c\n", 100_000) + "\"" + long + "\"\"\",d"
	rows, _, err := readAll(iotest.HalfReader(strings.NewReader(in)), ',')
	if err != nil || len(rows) != 100_002 || rows[0][1] != long || rows[100_001][0] != long+`"` {
		t.Errorf("got %d rows, %v", len(rows), err)
	}
	_, _, err = readAll(strings.NewReader("a\n"+strings.Repeat("x", 2*testLine)), ',')
	if err == nil || !strings.Contains(err.Error(), "line 2 is longer") {
		t.Errorf("got %v", err)
	}
	failed := errors.New("disk gone")
	rows, _, err = readAll(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(failed)), ',')
	if !errors.Is(err, failed) || len(rows) != 1 {
		t.Errorf("got %d rows, %v: a row that may be cut off is none", len(rows), err)
	}
}

// FuzzTable reads any bytes: it ends, whatever pieces they come in, and agrees with encoding/csv where both accept them.
func FuzzTable(f *testing.F) {
	for _, s := range []string{
		"a,b\nc,d\n", "\"a\"\"b\",\"c\r\n", "\"\",\n,\"", "time,price\r\n1,2\r\n\r\n", "\xef\xbb\xbfa;b", "a\"b,c", "\"a\" ,b", "\r\r\n", "\"\n\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		rows, broken, err := readAll(bytes.NewReader(in), ',')
		if err != nil {
			t.Fatal(err)
		}
		again, brokenAgain, err := readAll(iotest.OneByteReader(bytes.NewReader(in)), ',')
		if err != nil || brokenAgain != broken || !cmp.Equal(rows, again) {
			t.Fatalf("byte by byte: got %q, %d, %v, want %q, %d", again, brokenAgain, err, rows, broken)
		}
		std := csv.NewReader(bytes.NewReader(in))
		std.FieldsPerRecord = -1
		want, err := std.ReadAll()
		if err != nil || broken > 0 || multiline(want) {
			return
		}
		if !cmp.Equal(rows, want) && len(rows)+len(want) > 0 {
			t.Fatalf("got %q, encoding/csv has %q", rows, want)
		}
	})
}

func multiline(rows [][]string) bool {
	for _, row := range rows {
		for _, f := range row {
			if strings.Contains(f, "\n") {
				return true
			}
		}
	}
	return false
}
