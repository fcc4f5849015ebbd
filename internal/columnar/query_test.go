package columnar

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

// asked is what a query is answered with, reckoned the slow way.
func asked(rows []market.Row, q market.TickQuery) []market.Row {
	var out []market.Row
	rows = slices.Clone(rows)
	if q.Descending {
		slices.Reverse(rows)
	}
	for _, row := range rows {
		switch {
		case q.From != 0 && row.Event < q.From, q.To != 0 && row.Event >= q.To, q.Symbol != "" && row.Symbol != q.Symbol:
			continue
		case q.After != nil && !q.Descending && (row.Event < q.After.Event || row.Event == q.After.Event && row.Seq <= q.After.Seq):
			continue
		case q.After != nil && q.Descending && (row.Event > q.After.Event || row.Event == q.After.Event && row.Seq >= q.After.Seq):
			continue
		}
		if out = append(out, row); len(out) == q.Limit {
			break
		}
	}
	return out
}

func TestScansGiveWhatTheyAreAskedFor(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	rows := made(r, market.KindTrade, "SIM:AAPL", 3*pageRows)
	rows = append(rows, made(r, market.KindTrade, "SIM:MSFT", 2*pageRows+5)...)
	f := open(t, write(t, market.KindTrade, rows, WriterOptions{Rows: pageRows + 100}))
	if first, last, ok := f.Span(); !ok || first != rows[0].Event && first != rows[3*pageRows].Event || last < rows[len(rows)-1].Event {
		t.Errorf("span %s to %s, %t", first, last, ok)
	}
	for i := range 80 {
		var q market.TickQuery
		pick := func() *market.Row { return &rows[r.IntN(len(rows))] }
		if r.IntN(2) == 0 {
			q.From = pick().Event
		}
		if r.IntN(2) == 0 {
			q.To = pick().Event
		}
		if r.IntN(3) == 0 {
			row := pick()
			q.After = &market.TickKey{Event: row.Event, Seq: row.Seq + r.Uint64N(2)}
		}
		if r.IntN(2) == 0 {
			q.Symbol = pick().Symbol
		}
		if r.IntN(2) == 0 {
			q.Limit = 1 + r.IntN(3000)
		}
		q.Descending = r.IntN(2) == 0
		if want, got := asked(rows, q), read(t, f, q); !slices.Equal(want, got) {
			t.Fatalf("question %d, %+v: got %d rows, want %d; (-want +got)\n%.2000s", i, q, len(got), len(want), cmp.Diff(want, got, exact()))
		}
	}
}

// A reader that counts what it is asked for.
type counting struct {
	r     io.ReaderAt
	bytes int
}

func (c *counting) ReadAt(b []byte, at int64) (int, error) {
	c.bytes += len(b)
	return c.r.ReadAt(b, at)
}

func TestRangeReadsFewPages(t *testing.T) {
	rows := made(rand.New(rand.NewPCG(9, 10)), market.KindTrade, "SIM:AAPL", 50*pageRows)
	b := write(t, market.KindTrade, rows, WriterOptions{})
	c := &counting{r: bytes.NewReader(b)}
	f := open(t, b).With(c)
	for _, down := range []bool{false, true} {
		c.bytes = 0
		mid := rows[len(rows)/2].Event
		got := read(t, f, market.TickQuery{From: mid, To: mid + 1, Descending: down})
		if len(got) == 0 || c.bytes > len(b)/15 {
			t.Errorf("descending %t: %d rows out of %d bytes of %d", down, len(got), c.bytes, len(b))
		}
	}
}

func TestBarsComeBackAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	rows := made(r, market.KindTrade, "SIM:AAPL", 5000)
	bars := make([]market.Bar, 0, len(rows))
	for i, row := range rows {
		b := market.Bar{
			Symbol: row.Symbol, Interval: market.Min1(), Start: row.Event, End: row.Event + market.Minute,
			Open: row.Price, High: row.Price, Low: row.Price, Close: rows[r.IntN(len(rows))].Price, Volume: market.WideOf(row.Size),
			Count: uint64(i), OpenAt: row.Event, CloseAt: row.Received, OpenSeq: row.Seq, CloseSeq: row.Seq + 1, FirstSeq: row.Seq, LastSeq: row.Seq + 9,
			Rev: uint32(r.IntN(3)), Final: r.IntN(2) == 0, Gappy: r.IntN(2) == 0, Imported: r.IntN(4) == 0, Priced: r.IntN(10) > 0,
		}
		if !b.Priced {
			b.Open, b.High, b.Low, b.Close = market.Decimal{}, market.Decimal{}, market.Decimal{}, market.Decimal{}
		}
		var err error
		if b.Turnover, err = market.Product(row.Price, row.Size); err != nil {
			t.Fatal(err)
		}
		if i == 17 { // more digits than any column has
			for range 3 {
				if b.Turnover, err = market.Product(decimal(t, "9223372036854775807"), decimal(t, "0.9223372036854775807")); err != nil {
					t.Fatal(err)
				}
			}
			b.Interval = market.Interval{N: 3, Unit: market.UnitMonth}
		}
		bars = append(bars, b)
	}
	for _, n := range []int{0, 1, len(bars)} {
		var b bytes.Buffer
		w, err := NewBarWriter(&b, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := w.Write(&bars[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := OpenBars(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Rows() != int64(n) {
			t.Errorf("got %d bars, want %d", f.Rows(), n)
		}
		got := make([]market.Bar, 0, n)
		for s := f.Scan(); ; {
			bar, err := s.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, *bar)
		}
		if diff := cmp.Diff(bars[:n], got, exact()); diff != "" {
			t.Errorf("%d bars: (-written +read)\n%.3000s", n, diff)
		}
		if _, err := OpenTicks(bytes.NewReader(b.Bytes()), int64(b.Len())); !errors.Is(err, ErrForeign) {
			t.Errorf("bars opened as ticks: got %v, want ErrForeign", err)
		}
	}
}
