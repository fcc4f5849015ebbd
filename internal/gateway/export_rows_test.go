package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/columnar"
	"tapedeck/internal/market"
)

// exact compares numbers digit for digit.
func exact() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b market.Decimal) bool { return a == b }),
		cmp.Comparer(func(a, b market.Wide) bool { return a.String() == b.String() }),
	}
}

// busy is a server with ticks of two symbols, more than a group of columns has, and what history says of them.
func busy(t *testing.T) (*bench, *memHistory) {
	t.Helper()
	m := newMemTape()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range uint64(3000) {
		when := t0 + market.Time(i)*250_000_000
		for _, s := range []market.Symbol{"SIM:AAPL", "COINBASE:BTC-USD"} {
			e := trade(s, i+1, 18700+r.Int64N(100), when)
			if s == "COINBASE:BTC-USD" {
				e.Price, e.Size = dec(fmt.Sprintf("28165.%04d", r.IntN(10_000))), dec(fmt.Sprintf("0.%08d", 1+r.IntN(1_000_000)))
				e.ID, e.Exchange, e.Conditions = i, "C", "@,I"
			}
			m.Put("x", e)
			m.Put("x", quote(s, i+1, when))
		}
	}
	var h *memHistory
	b := serve(t, m, func(o *Options) { h, _ = o.History.(*memHistory) })
	return b, h
}

func rowsOf(t *testing.T, h *memHistory, kind market.Kind, symbols ...market.Symbol) []market.Row {
	t.Helper()
	var rows []market.Row
	for _, s := range symbols {
		err := h.Ticks(t.Context(), market.TickQuery{Kind: kind, Symbol: s, Limit: 1 << 30}, func(row *market.Row) error {
			rows = append(rows, *row)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func readTicks(t *testing.T, body string) []market.Row {
	t.Helper()
	f, err := columnar.OpenTicks(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var rows []market.Row
	for s := f.Scan(market.TickQuery{}); ; {
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

// TestParquetIsWhatHistoryHas reads exports back and compares every field of every row.
func TestParquetIsWhatHistoryHas(t *testing.T) {
	b, h := busy(t)
	for what, kind := range map[string]market.Kind{"trades": market.KindTrade, "quotes": market.KindQuote} {
		code, header, body := b.get("/v2/stocks/" + what + "?symbols=AAPL,BTC/USD&format=parquet&start=2026-01-01")
		if code != 200 || header.Get("Content-Type") != "application/vnd.apache.parquet" ||
			header.Get("Content-Disposition") != `attachment; filename="`+what+`.parquet"` {
			t.Fatalf("%s: got %d %v", what, code, header)
		}
		want := rowsOf(t, h, kind, "SIM:AAPL", "COINBASE:BTC-USD")
		if diff := cmp.Diff(want, readTicks(t, body), exact()); diff != "" {
			t.Errorf("%s: (-history +file)\n%.2000s", what, diff)
		}
	}
	_, _, body := b.get("/v2/stocks/AAPL/trades?format=parquet&start=2026-01-01&limit=7&sort=desc")
	rows := rowsOf(t, h, market.KindTrade, "SIM:AAPL")
	if got := readTicks(t, body); len(got) != 7 || got[0].Seq != rows[len(rows)-1].Seq || got[6].Seq != got[0].Seq-6 {
		t.Errorf("the last 7 trades: got %d", len(got))
	}
	_, _, body = b.get("/v2/stocks/AAPL/trades?format=parquet&start=2027-01-01")
	if got := readTicks(t, body); len(got) != 0 {
		t.Errorf("of a year without trades: got %d", len(got))
	}
}

func TestBarsAsColumns(t *testing.T) {
	b, h := busy(t)
	code, header, body := b.get("/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Min&format=parquet&start=2026-01-01")
	if code != 200 || header.Get("Content-Disposition") != `attachment; filename="bars-1Min.parquet"` {
		t.Fatalf("got %d %v", code, header)
	}
	want, _, err := h.Bars(t.Context(), market.BarQuery{Symbol: "COINBASE:BTC-USD", Interval: market.Min1(), Limit: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := columnar.OpenBars(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var got []market.Bar
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
	if diff := cmp.Diff(want, got, exact()); diff != "" || len(got) < 10 {
		t.Errorf("(-history +file)\n%.2000s", diff)
	}
}

// TestArrowHasAllRows reads the stream with Arrow's own reader.
func TestArrowHasAllRows(t *testing.T) {
	b, _ := busy(t)
	for path, want := range map[string]int64{
		"/v2/stocks/trades?symbols=AAPL,BTC/USD&format=arrow&start=2026-01-01":          6000,
		"/v2/stocks/AAPL/quotes?format=arrow&start=2026-01-01":                          3000,
		"/v2/stocks/AAPL/bars?timeframe=1Sec&format=arrow&start=2026-01-01":             750,
		"/v2/stocks/AAPL/bars?timeframe=1Sec&format=arrow&start=2027-01-01&end=2027-02": -1,
		"/v2/stocks/AAPL/bars?timeframe=1Sec&format=arrow&start=2027-01-01":             0,
	} {
		code, header, body := b.get(path)
		if want < 0 {
			if code != 400 {
				t.Errorf("%s: got %d", path, code)
			}
			continue
		}
		if code != 200 || header.Get("Content-Type") != "application/vnd.apache.arrow.stream" || !strings.HasSuffix(header.Get("Content-Disposition"), `.arrows"`) {
			t.Fatalf("%s: got %d %v", path, code, header)
		}
		r, err := ipc.NewReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var rows int64
		for r.Next() {
			rows += r.RecordBatch().NumRows()
		}
		if err := r.Err(); err != nil || rows != want {
			t.Errorf("%s: got %d rows, %v; want %d", path, rows, err, want)
		}
		r.Release()
	}
}

// TestLinesOfJSON looks at them as they are on the wire.
func TestLinesOfJSON(t *testing.T) {
	m := filled()
	m.Put("coinbase", market.Quote{
		Symbol: "COINBASE:BTC-USD", Seq: 1, Event: t0, Received: t0 + 1, Bid: dec("28165.46"), BidSize: dec("0.10"), BidFrom: "V", Ask: dec("28165.48"),
		AskSize: dec("2"), AskFrom: "Q", Conditions: "@", Tape: 'C',
	}.Entry())
	b := serve(t, m, nil)
	for path, want := range map[string]string{
		"/v2/stocks/trades?symbols=BTC/USD,SIM:MSFT&format=jsonl": `{"symbol":"BTC/USD","timestamp":"2026-11-23T14:30:00Z","price":28165.4700,"size":0.00000100,"exchange":"C","id":99,` +
			`"conditions":"@,I","tape":"C","side":"S","seq":1,"received":"2026-11-23T14:30:00.001Z"}` + "\n" +
			`{"symbol":"SIM:MSFT","timestamp":"2026-11-23T14:30:00.000000001Z","price":400.01,"size":100,"side":"B","seq":1,"received":"2026-11-23T14:30:00.001000001Z"}` + "\n",
		"/v1beta3/crypto/us/quotes?symbols=BTC/USD&format=jsonl": `{"symbol":"BTC/USD","timestamp":"2026-11-23T14:30:00Z","bid_price":28165.46,"bid_size":0.10,"bid_exchange":"V",` +
			`"ask_price":28165.48,"ask_size":2,"ask_exchange":"Q","conditions":"@","tape":"C","seq":1,"received":"2026-11-23T14:30:00.000000001Z"}` + "\n",
		"/v2/stocks/AAPL/bars?timeframe=1Min&format=jsonl&limit=1": `{"symbol":"AAPL","timestamp":"2026-11-23T14:30:00Z","open":187.00,"high":187.01,"low":187.00,"close":187.01,` +
			`"volume":200,"trade_count":2,"vwap":187.005,"gappy":false}` + "\n",
		"/v2/stocks/AAPL/bars?timeframe=1Min&format=jsonl&start=2027-01-01": "",
	} {
		code, header, body := b.get(path)
		if code != 200 || body != want || header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: got %d %s\n%s\nwant\n%s", path, code, header.Get("Content-Type"), body, want)
		}
		for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
			if !json.Valid(lines.Bytes()) {
				t.Errorf("not JSON: %s", lines.Text())
			}
		}
	}
}

// TestColumnsThatStop are files that end before their end: they have no footer.
func TestColumnsThatStop(t *testing.T) {
	h := &endless{trades: 1 << 30, pause: func(_ context.Context, i int) error {
		if i == 3*exportRows {
			return errors.New("disk I/O error")
		}
		return nil
	}}
	for _, format := range []string{FormatParquet, FormatArrow} {
		g := resting(t, h, nil)
		w := httptest.NewRecorder()
		func() {
			defer func() {
				// What compresses so well may all wait yet, so that an error answer can still be given.
				if v := recover(); v != http.ErrAbortHandler && w.Code != http.StatusInternalServerError { //nolint:errorlint // a panic value is compared as it was thrown
					t.Errorf("%s: got %d, panic %v", format, w.Code, v)
				}
			}()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/stocks/AAPL/trades?format="+format, nil)
			r.Host = "localhost"
			g.Handler().ServeHTTP(w, r)
		}()
		if _, err := columnar.OpenTicks(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len())); !errors.Is(err, columnar.ErrCorrupt) {
			t.Errorf("%s: half a file opens: %v", format, err)
		}
	}
}

// BenchmarkExport asks for rows of a history that costs nothing: what is measured is the way from rows to the socket.
func BenchmarkExport(b *testing.B) {
	const rows = 400_000
	for _, format := range ExportFormats() {
		b.Run(format, func(b *testing.B) {
			g := resting(b, &endless{trades: rows}, nil)
			routes := g.Handler()
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/v2/stocks/AAPL/trades?format="+format, nil)
			r.Host = "localhost"
			b.ReportAllocs()
			for b.Loop() {
				var s sink
				if routes.ServeHTTP(&s, r); s.bytes == 0 {
					b.Fatal(s.status, s.bytes)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
