package columnar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

func decimal(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// write returns the file that a writer makes of rows.
func write(t testing.TB, kind market.Kind, rows []market.Row, o WriterOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewTickWriter(&b, kind, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Write(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, b []byte) *TickFile {
	t.Helper()
	f, err := OpenTicks(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t testing.TB, f *TickFile, q market.TickQuery) []market.Row {
	t.Helper()
	var rows []market.Row
	for s := f.Scan(q); ; {
		row, err := s.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, *row)
	}
}

// exact compares decimals digit for digit.
func exact() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b market.Decimal) bool { return a == b }),
		cmp.Comparer(func(a, b market.Wide) bool { return a == b }),
	}
}

// made returns ticks as a busy day of a symbol has them, in order, with whatever else a tick may carry here and there.
func made(r *rand.Rand, kind market.Kind, symbol market.Symbol, n int) []market.Row {
	rows := make([]market.Row, n)
	at := market.Time(1_700_000_000_000_000_000)
	price, tapeAt := int64(18742), uint64(1000)
	number := func(coef int64, exp int) market.Decimal {
		d, err := market.NewDecimal(coef, exp)
		if err != nil {
			panic(err)
		}
		return d
	}
	for i := range rows {
		if r.IntN(4) > 0 {
			at += market.Time(r.IntN(100_000)) * 1000
		}
		price += r.Int64N(7) - 3
		tapeAt += 1 + r.Uint64N(3)
		row := &rows[i]
		row.N = tapeAt
		row.Kind, row.Symbol, row.Seq = kind, symbol, uint64(i+1)
		row.Event, row.Received = at, at+market.Time(r.IntN(1_000_000))
		row.Price, row.Size = number(price, -2), number(r.Int64N(500)+1, 0)
		row.Exchange = []string{"Q", "N", "", "XNAS"}[r.IntN(4)]
		row.Conditions = []string{"", "@", "@,T", "@,I"}[r.IntN(4)]
		row.Tape = []byte{0, 'A', 'C'}[r.IntN(3)]
		if kind == market.KindTrade {
			row.Side = market.Side(r.IntN(3))
			if row.ID = 5_000_000 + uint64(i); r.IntN(50) == 0 {
				row.ID, row.Ref = 0, fmt.Sprintf("order-%d", r.Uint64())
			}
		} else {
			row.Ask, row.AskSize = number(price+1, -2), number(r.Int64N(500), 0)
			row.AskFrom = []string{"", "P"}[r.IntN(2)]
		}
		switch r.IntN(40) {
		case 0:
			row.Price = number(price/10, -1) // 1874.2 has a digit less after the point
		case 1:
			row.Size = number(12_345_678, -8)
		case 2:
			row.Flags = market.FlagBackfilled
		}
	}
	return rows
}

// odd are numbers that hardly any column holds, and texts that are none.
func odd(t testing.TB, rows []market.Row) {
	for i, s := range []string{"1e-40", "-9223372036854775807", "9223372036854775807e40", "0.000", "0e-40", "-0.5", "5e30", "0.00000000000000000001"} {
		rows[i*3].Price = decimal(t, s)
		rows[i*3+1].Size = decimal(t, s)
		rows[i*3].ID = 1<<63 + uint64(i)
	}
	rows[5].Event = -5
	rows[0].Event = rows[5].Event - 1
}

func TestTicksComeBackAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []market.Kind{market.KindTrade, market.KindQuote} {
		for _, n := range []int{0, 1, 100, pageRows + 1, 2*pageRows + 17} {
			for _, fine := range []bool{false, true} {
				rows := made(r, kind, "SIM:AAPL", n)
				if n > 50 {
					odd(t, rows)
					if kind == market.KindQuote {
						for i := range rows {
							rows[i].ID = 0
						}
					}
				}
				o := WriterOptions{Rows: 2 * pageRows}
				if fine && n > 0 {
					rows[0].Price = decimal(t, "0.000000000000000000001") // all others are 21 digits after the point from now on
				}
				f := open(t, write(t, kind, rows, o))
				if f.Kind() != kind || f.Rows() != int64(n) {
					t.Errorf("got %d rows of kind %s, want %d of %s", f.Rows(), f.Kind(), n, kind)
				}
				if got := read(t, f, market.TickQuery{}); !slices.Equal(rows, got) {
					t.Fatalf("%s, %d rows, fine %t: (-written +read)\n%s", kind, n, fine, cmp.Diff(rows, got, exact()))
				}
			}
		}
	}
}
