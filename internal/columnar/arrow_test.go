package columnar

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"tapedeck/internal/market"
)

// The stream is read with Arrow's own reader, and each number is compared as text.
func TestArrowSaysTheSame(t *testing.T) {
	rows := made(rand.New(rand.NewPCG(13, 14)), market.KindTrade, "SIM:AAPL", 5000)
	rows[3].Size = decimal(t, "1e-40")
	r, err := ipc.NewReader(bytes.NewReader(write(t, market.KindTrade, rows, WriterOptions{Format: Arrow, Rows: 1500})))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	at := 0
	for {
		batch, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		column := func(name string) string { return batch.Column(batch.Schema().FieldIndices(name)[0]).ValueStr(0) }
		if batch.NumRows() == 0 || batch.NumRows() > 1500 {
			t.Errorf("a batch of %d rows", batch.NumRows())
		}
		first := rows[at]
		for name, want := range map[string]string{
			"symbol": "SIM:AAPL", "side": sideText(first.Side), "conditions": first.Conditions, "exchange": first.Exchange,
		} {
			if got := column(name); got != want {
				t.Errorf("%s of row %d: got %q, want %q", name, at, got, want)
			}
		}
		prices, _ := batch.Column(batch.Schema().FieldIndices("price")[0]).(*array.Decimal128)
		sizes, _ := batch.Column(batch.Schema().FieldIndices("size")[0]).(*array.Decimal128)
		times, _ := batch.Column(batch.Schema().FieldIndices("ts_event")[0]).(*array.Timestamp)
		if prices == nil || sizes == nil || times == nil {
			t.Fatal(batch.Schema())
		}
		for i := range int(batch.NumRows()) {
			row := rows[at+i]
			want, err := row.Price.Rescale(-usualScale)
			if err != nil {
				t.Fatal(err)
			}
			if got := prices.Value(i).ToString(usualScale); got != want.String() {
				t.Errorf("price of row %d: got %s, want %s", at+i, got, want)
			}
			if got := int64(times.Value(i)); got != int64(row.Event) {
				t.Errorf("time of row %d: got %d, want %d", at+i, got, row.Event)
			}
			if got := sizes.IsNull(i); got != (at+i == 3) {
				t.Errorf("size of row %d: null is %t", at+i, got)
			}
		}
		at += int(batch.NumRows())
	}
	if at != len(rows) {
		t.Errorf("got %d rows, want %d", at, len(rows))
	}
}
