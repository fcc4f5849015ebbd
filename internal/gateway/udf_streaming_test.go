package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
)

// liner reads /udf/streaming.
type liner struct {
	t    testing.TB
	body io.ReadCloser
	r    *bufio.Reader
	end  context.CancelFunc
}

func (b *bench) lines(query string) *liner {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/udf/streaming?"+query, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.server.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/x-ndjson" {
		b.t.Fatalf("got %d %v", response.StatusCode, response.Header)
	}
	return &liner{b.t, response.Body, bufio.NewReader(response.Body), cancel}
}

// next returns the next line, or "end".
func (l *liner) next() string {
	line, err := l.r.ReadString('\n')
	if err != nil {
		return "end"
	}
	return strings.TrimSuffix(line, "\n")
}

func TestUDFStreaming(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0), trade("SIM:B", 1, 100, t0))
	b := serveUDF(t, m, nil)
	some, all, both := b.lines("symbols=a,SIM:A"), b.lines(""), b.lines("symbols=B,A&quotes=true")
	undated := trade("SIM:C", 1, 300, 0)
	undated.Received = t0 + 2*market.Second
	m.Put("sim", trade("SIM:A", 2, 18742, t0+999_999_999), quote("SIM:B", 1, t0+market.Second), undated, alarm("SIM:A", 2, t0, "x"))
	const a = `{"f":"t","id":"SIM:A","p":187.42,"s":100,"t":1795444200}`
	const c = `{"f":"t","id":"SIM:C","p":3.00,"s":100,"t":1795444202}`
	const q = `{"f":"q","id":"SIM:B","bp":187.41,"bs":3,"ap":187.43,"as":2,"t":1795444201}`
	for _, test := range []struct {
		l    *liner
		want []string
	}{{some, []string{a}}, {all, []string{a, c}}, {both, []string{a, q}}} {
		for _, want := range test.want {
			if got := test.l.next(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	b.stop()
	for _, l := range []*liner{some, all, both} {
		if got := l.next(); got != "end" {
			t.Errorf("got %s after the end", got)
		}
	}
}

func TestUDFStreamingIsAlive(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serveUDF(t, m, func(o *Options) { o.Heartbeat = time.Millisecond })
	l := b.lines("symbols=A")
	for range 3 {
		if got := l.next(); got != "" {
			t.Fatalf("got %q, want a blank line", got)
		}
	}
}

// TestUDFStreamingCounts lets streams in up to the limit, and one more when one has gone.
func TestUDFStreamingCounts(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serveUDF(t, m, func(o *Options) { o.Limits.Connections = 1 })
	l := b.lines("")
	if code, h, _ := b.get("/udf/streaming"); code != 503 || h.Get("Retry-After") == "" {
		t.Errorf("got %d", code)
	}
	l.end()
	for {
		b.g.mu.Lock()
		n := b.g.total
		b.g.mu.Unlock()
		if n == 0 {
			break
		}
		runtime.Gosched()
	}
	b.lines("")
}

// TestUDFStreamingSlow reads late what has left memory: each trade once, in order.
func TestUDFStreamingSlow(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0))
	b := serveUDF(t, m, func(o *Options) { o.Ring = 20; o.Limits.Frame = 1000 }) // a record takes several writes
	l := b.lines("symbols=A")
	const size, records = 100, 800
	for i := range records {
		entries := make([]market.Entry, size)
		for j := range entries {
			n := uint64(i*size + j + 2)
			entries[j] = trade("SIM:A", n, int64(n), t0)
		}
		m.Put("sim", entries...)
	}
	for n := 2; n < records*size+2; n++ {
		var x struct{ P json.Number }
		if err := json.Unmarshal([]byte(l.next()), &x); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d.%02d", n/100, n%100); string(x.P) != want {
			t.Fatalf("got %s, want %s", x.P, want)
		}
	}
}

// TestUDFStreamingTrimmed ends a stream whose next trade is gone: a hole would look like silence.
func TestUDFStreamingTrimmed(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0))
	b := serveUDF(t, m, func(o *Options) { o.Ring = 1 })
	first := m.Bounds().Last + 1
	for i := range 50 {
		m.Put("sim", trade("SIM:A", uint64(i+2), 1, t0))
	}
	b.waitFor()
	m.Trim(first + 10)
	l := &lines{g: b.g, pos: first}
	if _, err := l.compose(t.Context()); err == nil || l.failed(err) != "trimmed" {
		t.Errorf("got %v", err)
	}
}

// TestUDFStreamingStalled ends the gateway while a client reads nothing: it is cut off, and nothing is left.
func TestUDFStreamingStalled(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0))
	b := serveUDF(t, m, func(o *Options) { o.Drain = time.Millisecond })
	b.lines("")
	const size = 1000
	for i := range 200 { // more than sockets hold
		entries := make([]market.Entry, size)
		for j := range entries {
			entries[j] = trade("SIM:A", uint64(i*size+j+2), 1, t0)
		}
		m.Put("sim", entries...)
	}
	for !b.isBlocked() {
		runtime.Gosched()
	}
	b.stop()
}

// TestUDFStreamingOverTLS holds HTTP/2, where many answers are on one connection, to the same.
func TestUDFStreamingOverTLS(t *testing.T) {
	way.tls = true
	defer func() { way.tls = false }()
	t.Run("Streaming", TestUDFStreaming)
	t.Run("IsAlive", TestUDFStreamingIsAlive)
	t.Run("Slow", TestUDFStreamingSlow)
	t.Run("Stalled", TestUDFStreamingStalled)
}
