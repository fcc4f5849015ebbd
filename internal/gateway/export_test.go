package gateway

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
)

// TestExport looks at CSV as it is on the wire.
func TestExport(t *testing.T) {
	m := filled()
	odd := trade("X:A", 1, 100, t0)
	odd.Exchange, odd.Conditions, odd.Ref, odd.Side, odd.Price = "=1+1", "+I", `-a,"b"`, market.SideNone, dec("-5.50")
	odd.Event, odd.Received = 0, 0
	m.Put("x", odd)
	m.Put("coinbase", market.Quote{
		Symbol: "COINBASE:BTC-USD", Seq: 1, Event: t0, Received: t0 + 1, Bid: dec("28165.46"), BidSize: dec("0.10"), BidFrom: "V", Ask: dec("28165.48"),
		AskSize: dec("2"), AskFrom: "Q", Conditions: "@", Tape: 'C',
	}.Entry())
	b := serve(t, m, nil)
	const head = "symbol,timestamp,price,size,exchange,id,conditions,tape,side,ref,seq,received\n"
	for path, want := range map[string]string{
		"/v2/stocks/trades?symbols=BTC/USD,SIM:MSFT&format=csv": head +
			"BTC/USD,2026-11-23T14:30:00Z,28165.4700,0.00000100,C,99,\"'@,I\",C,S,,1,2026-11-23T14:30:00.001Z\n" +
			"SIM:MSFT,2026-11-23T14:30:00.000000001Z,400.01,100,,,,,B,,1,2026-11-23T14:30:00.001000001Z\n",
		"/v2/stocks/X:A/trades?format=csv&end=2027-01-01": head + `X:A,,-5.50,100,'=1+1,,'+I,,,"'-a,""b""",1,` + "\n",
		"/v2/stocks/aapl/trades?format=csv&sort=desc&limit=2": head +
			"aapl,2026-11-23T14:42:00Z,187.24,100,,,,,B,,25,2026-11-23T14:42:00.001Z\n" +
			"aapl,2026-11-23T14:41:30Z,187.23,100,,,,,B,,24,2026-11-23T14:41:30.001Z\n",
		"/v1beta3/crypto/us/quotes?symbols=BTC/USD&format=csv": "symbol,timestamp,bid_price,bid_size,bid_exchange,ask_price,ask_size,ask_exchange,conditions,tape,seq,received\n" +
			"BTC/USD,2026-11-23T14:30:00Z,28165.46,0.10,V,28165.48,2,Q,'@,C,1,2026-11-23T14:30:00.000000001Z\n",
		"/v2/stocks/bars?symbols=BTC/USD,AAPL&timeframe=1Min&format=csv&limit=2": "symbol,timestamp,open,high,low,close,volume,trade_count,vwap,gappy\n" +
			"BTC/USD,2026-11-23T14:30:00Z,28165.4700,28165.4700,28165.4700,28165.4700,0.00000100,1,28165.47,false\n" +
			"AAPL,2026-11-23T14:30:00Z,187.00,187.01,187.00,187.01,200,2,187.005,false\n",
		"/v2/stocks/AAPL/bars?timeframe=1Day&format=csv&start=2027-01-01": "symbol,timestamp,open,high,low,close,volume,trade_count,vwap,gappy\n",
	} {
		code, h, body := b.get(path)
		if code != 200 || body != want {
			t.Errorf("%s: got %d\n%s\nwant\n%s", path, code, body, want)
		}
		if got := h.Get("Content-Type"); got != "text/csv; charset=utf-8" {
			t.Errorf("%s: got %s", path, got)
		}
	}
	for path, want := range map[string]string{
		"/v2/stocks/BTC%2FUSD/trades?format=csv":                       "COINBASE_BTC-USD-trades.csv",
		"/v2/stocks/quotes?symbols=AAPL&format=csv":                    "quotes.csv",
		"/v2/stocks/AAPL/bars?timeframe=5m&format=csv":                 "SIM_AAPL-bars-5Min.csv",
		"/v1beta3/crypto/us/bars?symbols=AAPL&timeframe=1M&format=csv": "bars-1Month.csv",
	} {
		code, h, body := b.do(http.MethodHead, path)
		if got := h.Get("Content-Disposition"); code != 200 || body != "" || got != `attachment; filename="`+want+`"` {
			t.Errorf("%s: got %d %s %q", path, code, got, body)
		}
	}
}

// TestDocumentedColumns holds the columns that docs/protocol.md shows to the letter.
func TestDocumentedColumns(t *testing.T) {
	want := tradeColumns + "\n" + quoteColumns + "\n" + barColumns + "\n"
	if got := startingWith(t, fenced(t), "symbol,timestamp,"); got != want {
		t.Errorf("docs/protocol.md has\n%s\nwant\n%s", got, want)
	}
}

// TestExportOfManyBars reads more bars than are read at once, in both directions, and past what any page has.
func TestExportOfManyBars(t *testing.T) {
	m := newMemTape()
	const n = 2*exportBars + exportBars/2
	for i := range uint64(n) {
		m.Put("sim", trade("SIM:AAPL", i+1, 18700+int64(i), t0+market.Time(i)*market.Second))
	}
	m.Put("sim", trade("SIM:MSFT", 1, 1, t0))
	b := serve(t, m, nil)
	for _, test := range []struct {
		query string
		want  int
	}{{"", n}, {"&sort=desc", n}, {"&limit=1", 1}, {fmt.Sprintf("&limit=%d", exportBars), exportBars}, {"&limit=1001&sort=desc", 1001}, {"&limit=2500", n}, {"&limit=9999", n}} {
		_, _, body := b.get("/v2/stocks/bars?symbols=AAPL,MSFT&timeframe=1Sec&format=csv" + test.query)
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows = slices.DeleteFunc(rows[1:], func(r []string) bool { return r[0] != "AAPL" })
		if len(rows) != test.want {
			t.Fatalf("%s: got %d bars, want %d", test.query, len(rows), test.want)
		}
		for i := range rows {
			at := market.Time(i)
			if strings.Contains(test.query, "desc") {
				at = n - 1 - at
			}
			if want := (t0 + at*market.Second).String(); rows[i][1] != want {
				t.Fatalf("%s: row %d is of %s, want %s", test.query, i, rows[i][1], want)
			}
		}
	}
}

// endless is a history with as many trades as one asks for, which takes its time for each.
type endless struct {
	*memHistory
	trades int
	pause  func(ctx context.Context, i int) error
}

func (h *endless) Ticks(ctx context.Context, q market.TickQuery, yield func(*market.Row) error) error {
	row := market.Row{Entry: trade(q.Symbol, 1, 18742, t0)}
	for i := range min(h.trades, q.Limit) {
		if h.pause != nil {
			if err := h.pause(ctx, i); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		row.Seq, row.Event = uint64(i+1), t0+market.Time(i)
		if err := yield(&row); err != nil {
			return err
		}
	}
	return nil
}

// resting is a gateway that knows a symbol and does not run: nothing but its handler, for a bubble.
func resting(t testing.TB, h *endless, change func(*Options)) *Gateway {
	t.Helper()
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18742, t0))
	h.memHistory = newMemHistory()
	for _, rec := range m.Records() {
		h.take(rec)
	}
	o := Options{Tape: m, History: h}
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(g.started)
	return g
}

// sink is a client that takes what it is given, each piece after a while.
type sink struct {
	header http.Header
	status int
	bytes  int
	lines  int
	most   int // of a piece
	delay  time.Duration
}

func (s *sink) Header() http.Header {
	if s.header == nil {
		s.header = http.Header{}
	}
	return s.header
}

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(b []byte) (int, error) {
	time.Sleep(s.delay) // of a bubble
	s.bytes += len(b)
	s.lines += bytes.Count(b, []byte{'\n'})
	s.most = max(s.most, len(b))
	return len(b), nil
}

func exportRequest(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v2/stocks/AAPL/trades?format=csv", nil)
	r.Host = "localhost"
	return r
}

// TestExportMemory exports more than memory should ever hold.
func TestExportMemory(t *testing.T) {
	const rows = 400_000
	g := resting(t, &endless{trades: rows}, nil)
	routes := g.Handler()
	var s sink
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	routes.ServeHTTP(&s, exportRequest(t.Context()))
	runtime.ReadMemStats(&after)
	if s.lines != rows+1 || s.bytes < 30<<20 || s.most > leasePiece {
		t.Fatalf("got %d lines, %d bytes, a piece of %d", s.lines, s.bytes, s.most)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated for %d of answer", used, s.bytes)
	}
}

// TestExportOfASlowClient lets a client take an hour for what no question may take more than half a minute for.
func TestExportOfASlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 50_000
		g := resting(t, &endless{trades: rows}, nil)
		begin := time.Now()
		s := sink{delay: g.opt.Limits.QueryTime - time.Millisecond}
		g.Handler().ServeHTTP(&s, exportRequest(t.Context()))
		if s.lines != rows+1 || time.Since(begin) < 10*g.opt.Limits.QueryTime {
			t.Errorf("got %d lines in %s", s.lines, time.Since(begin))
		}
	})
}

// TestExportThatStops are exports that end before their end: nobody takes half of one for the whole.
func TestExportThatStops(t *testing.T) {
	disk := errors.New("disk I/O error")
	stuck := func(after int) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			if i < after {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
	}
	fails := func(after int) func(context.Context, int) error {
		return func(_ context.Context, i int) error {
			if i < after {
				return nil
			}
			return disk
		}
	}
	for name, test := range map[string]struct {
		pause  func(context.Context, int) error
		status int // 0 when it was cut off
	}{
		"history is stuck":            {stuck(0), 503},
		"history is stuck on the way": {stuck(20_000), 0},
		"history fails":               {fails(0), 500},
		"history fails on the way":    {fails(20_000), 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := resting(t, &endless{trades: 1 << 30, pause: test.pause}, nil)
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if v := recover(); (v == http.ErrAbortHandler) != (test.status == 0) { //nolint:errorlint // a panic value is compared as it was thrown
						t.Errorf("%s: panic %v", name, v)
					}
				}()
				g.Handler().ServeHTTP(w, exportRequest(t.Context()))
			}()
			if test.status != 0 && (w.Code != test.status || w.Header().Get("Content-Type") != "application/problem+json") {
				t.Errorf("%s: got %d %s", name, w.Code, w.Body)
			}
			if len(g.queries) != 0 {
				t.Errorf("%s: %d slots are still taken", name, len(g.queries))
			}
		})
	}
}

// TestExportThatNobodyReads asks for an export and does not read it: its slot is free again soon.
func TestExportThatNobodyReads(t *testing.T) {
	h := &endless{trades: 1 << 40}
	var begun atomic.Bool
	h.pause = func(context.Context, int) error {
		begun.Store(true)
		return nil
	}
	b := serve(t, filled(), func(o *Options) {
		h.memHistory, _ = o.History.(*memHistory)
		o.History = h
		o.Limits.QueryTime = 50 * time.Millisecond
	})
	conn := b.connect()
	if _, err := io.WriteString(conn, "GET /v2/stocks/AAPL/trades?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for !begun.Load() || len(b.g.queries) > 0 {
		runtime.Gosched()
	}
	answer, err := io.ReadAll(conn)
	if err == nil && bytes.HasSuffix(answer, []byte("0\r\n\r\n")) {
		t.Errorf("%d bytes came, as if they were the whole", len(answer))
	}
}

// TestExportsLeaveRoom lets more exports come than may run: other questions are answered, and those that wait in vain are told.
func TestExportsLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var begun atomic.Int32
		h := &endless{trades: 1 << 30, pause: func(ctx context.Context, i int) error {
			if i == 0 {
				begun.Add(1)
			}
			time.Sleep(time.Second)
			return ctx.Err()
		}}
		g := resting(t, h, func(o *Options) { o.Limits.Queries = 4 })
		routes := g.Handler()
		done := make(chan int)
		for range 3 {
			go func() {
				// Each row takes so long that none is written before the time is over, and so renews nothing.
				w := httptest.NewRecorder()
				routes.ServeHTTP(w, exportRequest(ctx))
				done <- w.Code
			}()
		}
		synctest.Wait()
		if n := begun.Load(); n != 2 {
			t.Errorf("%d exports run, want 2", n)
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v2/stocks/AAPL/bars?timeframe=1Min", nil)
		r.Host = "localhost"
		if routes.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Errorf("a question besides: got %d %s", w.Code, w.Body)
		}
		for range 3 {
			if code := <-done; code != http.StatusServiceUnavailable {
				t.Errorf("got %d, want 503", code)
			}
		}
		cancel()
	})
}

// TestExportAtShutdown ends an export that would go on for hours.
func TestExportAtShutdown(t *testing.T) {
	h := &endless{trades: 1 << 40}
	g := resting(t, h, nil)
	h.pause = func(_ context.Context, i int) error {
		if i == 1_000_000/8 {
			close(g.closing)
		}
		return nil
	}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // a panic value is compared as it was thrown
			t.Errorf("got %v, want that it is cut off", v)
		}
	}()
	g.Handler().ServeHTTP(&sink{}, exportRequest(t.Context()))
	t.Error("it went on to its end")
}
