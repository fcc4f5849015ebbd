package gateway

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// resources are what a client could leave behind in the server.
type resources struct{ goroutines, files int }

// held counts what the process holds.
func held(t testing.TB) resources {
	t.Helper()
	r := resources{goroutines: runtime.NumGoroutine(), files: -1}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		r.files = len(list)
	}
	return r
}

// returnsTo waits until the process holds no more than it did, and fails when that takes too long.
func (want resources) returnsTo(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := held(t)
		if got.goroutines <= want.goroutines && got.files <= want.files {
			return
		}
		if time.Now().After(deadline) {
			stacks := make([]byte, 64<<10)
			t.Fatalf("got %+v, want %+v:\n%s", got, want, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

// metric returns the sum of a metric over its labels, as /metrics shows it.
func (b *bench) metric(name string) (sum float64) {
	b.t.Helper()
	_, _, body := b.get("/metrics")
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, "tapedeck_gateway_"+name)
		if !ok || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' '):], &v); err != nil {
			b.t.Fatalf("%s: %v", line, err)
		}
		sum += v
	}
	return sum
}

// becomes waits until a metric has a value.
func (b *bench) becomes(name string, want float64) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); b.metric(name) != want; runtime.Gosched() {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s is %v, want %v", name, b.metric(name), want)
		}
	}
}

// cutter is a client that connects and is torn away. It reports whether its stream was opened.
type cutter func(conn *net.TCPConn) bool

// say sends what a cutter has to say. The server may be quicker.
func say(conn *net.TCPConn, data ...[]byte) {
	for _, d := range data {
		_, _ = conn.Write(d) // the end of the connection is what is tested
	}
}

// hears reads until a part of what the server says was read, and reports whether it came.
func hears(conn *net.TCPConn, part string) bool {
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if strings.Contains(string(got), part) {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// cutters are the ways in which clients come and are torn away. Each leaves its connection open: how it is closed is the other half.
func cutters() []cutter {
	request := []byte(opening("/v2/tape", offer))
	subscribed := func(request, subscribe string) cutter {
		return func(conn *net.TCPConn) bool {
			say(conn, []byte(request), masked(fin|opText, subscribe))
			return hears(conn, `"T":"t"`)
		}
	}
	return []cutter{
		func(*net.TCPConn) bool { return false },
		func(conn *net.TCPConn) bool {
			say(conn, request[:len(request)/2])
			return false
		},
		func(conn *net.TCPConn) bool { // gone before the answer
			say(conn, request)
			return false
		},
		func(conn *net.TCPConn) bool {
			say(conn, request)
			return hears(conn, "connected")
		},
		func(conn *net.TCPConn) bool { // within a frame
			say(conn, request, masked(fin|opText, asking(22)), masked(fin|opText, asking(500))[:200])
			return hears(conn, "subscription")
		},
		func(conn *net.TCPConn) bool { // within a compressed message
			say(conn, request, masked(rsv1|opText, deflate(asking(500))))
			return hears(conn, "connected")
		},
		func(conn *net.TCPConn) bool { // in the middle of saying goodbye
			say(conn, request, masked(fin|opClose, "\x03\xe8"))
			return hears(conn, "connected")
		},
		func(conn *net.TCPConn) bool { // thrown out
			say(conn, request, []byte{0xff, 0xff})
			return hears(conn, "connected")
		},
		subscribed(opening("/v2/tape"), `{"action":"subscribe","trades":["*"]}`),
		subscribed(opening("/v2/tape"), `{"action":"subscribe","trades":["SIM:AAPL"],"cursor":true,"from":{"time":"2026-11-01T00:00:00Z"}}`),
		subscribed(opening("/v2/tape"), `{"action":"subscribe","trades":["*"],"mode":"latest","every":"10ms"}`),
		func(conn *net.TCPConn) bool {
			say(conn, []byte(opening("/ws/prices")))
			return hears(conn, `"price"`)
		},
		func(conn *net.TCPConn) bool {
			say(conn, []byte("GET /v2/tape/sse?trades=* HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"))
			return hears(conn, `"T":"t"`)
		},
	}
}

// TestLeaks opens 10,000 connections in all and tears each of them away, in every state that a client can be in, while ticks come. Nothing is
// left of them.
func TestLeaks(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		const places = 100
		b := serve(t, filled(), func(o *Options) {
			path(o)
			o.Limits.Connections = places
			o.Logger = listenTo(t)
		})
		b.tape.OnAppend(nil) // history is not what is tested
		b.stillServes(t)
		b.becomes("sessions", 1)
		before := held(t)

		connects := 5_000 // in each of two ways
		if testing.Short() {
			connects = 500
		}
		var left, opened atomic.Int64
		left.Store(int64(connects))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var wg, ticks sync.WaitGroup
		done := make(chan struct{})
		ticks.Go(func() { b.tick(done) })
		for i := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(1, uint64(i)))
				for left.Add(-1) >= 0 && ctx.Err() == nil {
					ok, err := b.tear(ctx, rnd)
					if err != nil {
						t.Error(err)
						return
					}
					if ok {
						opened.Add(1)
					}
				}
			})
		}
		wg.Wait()
		close(done)
		ticks.Wait()
		if ctx.Err() != nil {
			t.Fatalf("%d connections were left to be made", left.Load())
		}
		if n := opened.Load(); n < int64(connects)/2 {
			t.Errorf("only %d streams were opened", n)
		}
		before.returnsTo(t)
		b.becomes("sessions", 1)
		b.becomes("catching_up", 0)
		for range places - 1 {
			b.open("/v2/tape")
		}
		if _, status := b.tryDial("/v2/tape"); status != http.StatusServiceUnavailable {
			t.Errorf("one more than all was answered by %d", status)
		}
	})
}

// tick puts trades onto the tape until done is closed, each when the one before was looked at by the gateway.
func (b *bench) tick(done <-chan struct{}) {
	for seq := uint64(2000); ; seq++ {
		at := b.tape.Put("sim", trade("SIM:AAPL", seq, 100, t0))
		for next := at; next <= at; next, _ = b.g.hub.position() {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Microsecond): // a market has its pace
			}
		}
	}
}

// tear makes a connection and tears it away.
func (b *bench) tear(ctx context.Context, rnd *rand.Rand) (opened bool, err error) {
	dialed, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		return false, err
	}
	conn, ok := dialed.(*net.TCPConn)
	if !ok {
		return false, fmt.Errorf("got a %T", dialed)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false, err
	}
	all := cutters()
	opened = all[rnd.IntN(len(all))](conn)
	switch rnd.IntN(8) {
	case 0: // in order, with what the server has sent unread
	case 1:
		if err := conn.CloseWrite(); err == nil {
			_, _ = io.CopyN(io.Discard, conn, 100) // whatever comes
		}
	default:
		_ = conn.SetLinger(0) // closing sends a reset; the server may have been first
	}
	_ = conn.Close() // the same
	return opened, nil
}
