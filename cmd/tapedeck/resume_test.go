package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// idle is the symbol of a server that is to have next to no ticks.
const idle = "SIM:IDLE"

// resumer is a client that is cut again and again, and goes on from its cursor each time. It holds what it gets, over all its
// connections, to be every tick of its symbols, once, in order. It takes in a frame as a whole or not at all, as its cursor is behind
// all of it.
type resumer struct {
	symbol string // or *
	since  string // where the first connection begins
	cursor string
	last   map[string]uint64 // seq by kind and symbol
	order  uint64            // a hash of all ticks in the order in which they came, but for those of idle
	buf    []byte

	mu   sync.Mutex
	conn *net.TCPConn // while there is one
}

// goal is what clients must have at the end: the last seq by kind and symbol.
type goal struct{ last map[string]uint64 }

// has reports whether the client has all of its symbols that there is.
func (c *resumer) has(g *goal) bool {
	for key, seq := range g.last {
		if (c.symbol == "*" || key[1:] == c.symbol) && c.last[key] < seq {
			return false
		}
	}
	return true
}

// run connects again and again until the client has all of a goal that is known, or something is wrong.
func (c *resumer) run(ctx context.Context, address string, known *atomic.Pointer[goal]) error {
	for ctx.Err() == nil {
		if g := known.Load(); g != nil && c.has(g) {
			return nil
		}
		conn, r, err := c.connect(ctx, address)
		if err != nil { // the server is away, or about to be
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
			continue
		}
		for err == nil {
			if g := known.Load(); g != nil && c.has(g) {
				break // it had to catch up first
			}
			err = c.read(r)
		}
		_ = conn.Close() // it is of no more use
		if wrong, ok := errors.AsType[*wrongError](err); ok {
			return fmt.Errorf("client of %s: %w", c.symbol, wrong)
		}
	}
	return fmt.Errorf("client of %s: %w, with %v", c.symbol, ctx.Err(), c.last)
}

// connect opens the stream and subscribes from where the client is.
func (c *resumer) connect(ctx context.Context, address string) (net.Conn, *bufio.Reader, error) {
	dialed, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	conn, ok := dialed.(*net.TCPConn)
	if !ok {
		return nil, nil, fmt.Errorf("got a %T", dialed)
	}
	from := `"time":"` + c.since + `"`
	if c.cursor != "" {
		from = `"cursor":"` + c.cursor + `"`
	}
	text := fmt.Sprintf(`%128s{"action":"subscribe","trades":[%q],"quotes":[%q],"cursor":true,"from":{%s}}`, "", c.symbol, c.symbol, from)
	frame := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
	frame = append(append(frame, 0, 0, 0, 0), text...) // masked with zeros
	r := bufio.NewReaderSize(conn, 16<<10)
	_, err = io.WriteString(conn, "GET /v2/tape HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err == nil {
		err = switched(r)
	}
	if err == nil {
		_, err = conn.Write(frame)
	}
	if err != nil {
		_ = conn.Close() // the error says more
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return conn, r, nil
}

func switched(r *bufio.Reader) error {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	_ = response.Body.Close() // it is not asked for
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered by %s", response.Status)
	}
	return nil
}

// cut tears the connection away, if there is one.
func (c *resumer) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return false
	}
	_ = c.conn.SetLinger(0) // the server may have been first
	err := c.conn.Close()
	c.conn = nil
	return err == nil
}

// wrongError is what must not happen, unlike the end of a connection.
type wrongError struct{ what string }

func (e *wrongError) Error() string { return e.what }

// read takes in a frame.
func (c *resumer) read(r *bufio.Reader) error {
	var head [10]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return err
	}
	size, long := uint64(head[1]), 0
	switch size {
	case 126:
		long = 2
	case 127:
		long = 8
	}
	if _, err := io.ReadFull(r, head[10-long:]); err != nil {
		return err
	}
	if long > 0 {
		var wide [8]byte
		copy(wide[8-long:], head[10-long:])
		size = binary.BigEndian.Uint64(wide[:])
	}
	if uint64(cap(c.buf)) < size {
		c.buf = make([]byte, size)
	}
	frame := c.buf[:size]
	if _, err := io.ReadFull(r, frame); err != nil {
		return err
	}
	switch head[0] {
	case 0x81:
		return c.take(frame)
	case 0x88:
		if bytes.HasPrefix(frame, []byte{1001 >> 8, 1001 & 0xff}) {
			return io.EOF
		}
		return &wrongError{fmt.Sprintf("the server closes: %q", frame)}
	case 0x89, 0x8a: // what the client reads is answer enough
		return nil
	}
	return &wrongError{fmt.Sprintf("a frame begins with %x", head[:2])}
}

// take takes in a message of the server.
func (c *resumer) take(frame []byte) error {
	ticks, ended := 0, false
	for rest := frame; ; {
		_, event, ok := bytes.Cut(rest, []byte(`{"T":"`))
		if !ok {
			break
		}
		kind, tail, _ := bytes.Cut(event, []byte(`","`))
		rest = tail
		switch string(kind) {
		case "t", "q":
			ticks++
			if err := c.tick(kind[0], tail); err != nil {
				return err
			}
		case "cursor":
			cursor, _, ok := bytes.Cut(bytes.TrimPrefix(tail, []byte(`c":"`)), []byte{'"'})
			if !ok {
				return &wrongError{fmt.Sprintf("cursor in %.200s", tail)}
			}
			c.cursor, ended = string(cursor), true
		case "error":
			return &wrongError{fmt.Sprintf("the server refuses: %s", frame)}
		}
	}
	if ticks > 0 && !ended {
		return &wrongError{fmt.Sprintf("%d ticks without a cursor behind them", ticks)}
	}
	return nil
}

// tick takes in a tick, whose text is given from behind its kind on.
func (c *resumer) tick(kind byte, text []byte) error {
	symbol, tail, ok := bytes.Cut(bytes.TrimPrefix(text, []byte(`S":"`)), []byte{'"'})
	_, tail, ok2 := bytes.Cut(tail, []byte(`,"seq":`))
	seq, err := strconv.ParseUint(string(tail[:max(0, bytes.IndexByte(tail, ','))]), 10, 64)
	if !ok || !ok2 || err != nil {
		return &wrongError{fmt.Sprintf("tick %.300s: %v", text, err)}
	}
	key := string(kind) + string(symbol)
	if c.symbol != "*" && c.symbol != key[1:] {
		return &wrongError{"got a tick of " + key}
	}
	if want := c.last[key] + 1; seq != want {
		return &wrongError{fmt.Sprintf("%s: got seq %d, want %d", key, seq, want)}
	}
	c.last[key] = seq
	if key[1:] == idle {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte(key), seq^c.order*31)) // a hash takes all
	c.order = h.Sum64()
	return nil
}

// TestResume cuts 200 clients at random 1,000 times in all while 20,000 ticks a second come, with a restart and a crash of the server
// among them. At the end each has every tick of its symbols from the first to the last, once and in order, and all that want the same
// have got it in the same order. Nothing is refused: the tape is the same all the time, and nothing is trimmed.
func TestResume(t *testing.T) {
	const clients, symbols = 200, 50
	cuts := 1000
	if testing.Short() {
		cuts = 200
	}
	names := make([]string, symbols)
	for i := range names {
		names[i] = fmt.Sprintf("A%02d", i)
	}
	data := t.TempDir()
	serve := func(feed string, more ...string) *process {
		p := startServer(t, append([]string{"--data", data, "--log-level", "warn", "--feed", feed}, more...)...)
		p.ready(t)
		return p
	}
	feed := "sim://?rate=20000/s&seed=11&symbols=" + strings.Join(names, ",")
	program(t) // made before the clock runs
	since := time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)
	p := serve(feed)
	address := strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/")

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var known atomic.Pointer[goal]
	var wg sync.WaitGroup
	all := make([]*resumer, clients)
	errs := make(chan error, clients)
	for i := range all {
		c := &resumer{symbol: "SIM:" + names[i%symbols], since: since, last: map[string]uint64{}}
		if i < 4 {
			c.symbol = "*"
		}
		all[i] = c
		wg.Go(func() { errs <- c.run(ctx, address, &known) })
	}
	defer wg.Wait()
	defer cancel()

	began := time.Now()
	rnd := rand.New(rand.NewPCG(uint64(began.UnixNano()), 0)) //nolint:gosec // moments need not be secret
	pace := time.NewTicker(8 * time.Millisecond)
	defer pace.Stop()
	for n := 0; n < cuts && len(errs) == 0; <-pace.C {
		if !all[rnd.IntN(clients)].cut() {
			continue
		}
		switch n++; n {
		case cuts / 3:
			p.stop(t)
			p = serve(feed, "--listen", address)
		case cuts * 2 / 3:
			p.kill(t)
			p = serve(feed, "--listen", address)
		}
	}
	elapsed := time.Since(began)
	p.stop(t)
	p = serve("sim://?symbols=IDLE&rate=1/s", "--listen", address)
	end := &goal{last: map[string]uint64{}}
	ticks := uint64(0)
	for kind, resource := range map[string]string{"t": "trades", "q": "quotes"} {
		for symbol, k := range newest(t, p, resource, names) {
			end.last[kind+symbol] = k.Seq
			ticks += k.Seq
		}
	}
	known.Store(end)
	for _, c := range all {
		c.cut() // so that it asks itself whether it has all
	}
	wg.Wait()
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d ticks on the tape in %v, %d cuts", ticks, elapsed.Round(time.Millisecond), cuts)
	orders := map[string]uint64{}
	for _, c := range all {
		for key, seq := range c.last {
			if seq != end.last[key] && key[1:] != idle {
				t.Errorf("client of %s: %s ends at %d, want %d", c.symbol, key, seq, end.last[key])
			}
		}
		if first, ok := orders[c.symbol]; ok && first != c.order {
			t.Errorf("two clients of %s were told in different orders", c.symbol)
		}
		orders[c.symbol] = c.order
	}
	p.stop(t)
}

// newest returns the newest trade or quote of each symbol.
func newest(t *testing.T, p *process, resource string, names []string) map[string]tick {
	t.Helper()
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = "SIM:" + name
	}
	path := "/v2/stocks/" + resource + "/latest?symbols=" + url.QueryEscape(strings.Join(list, ","))
	status, _, body, err := p.get(t.Context(), path)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %v %.500s", path, status, err, body)
	}
	var answer struct{ Trades, Quotes map[string]tick }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	if resource == "quotes" {
		return answer.Quotes
	}
	return answer.Trades
}
