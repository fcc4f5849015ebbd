package gateway

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tapedeck/internal/market"
)

// TestBadMessages sends what a client must not: each is answered by an error that says what is wrong, and the stream goes on.
func TestBadMessages(t *testing.T) {
	m := filled()
	b := serve(t, m, func(o *Options) { o.Limits.Symbols = 3; o.Limits.Burst = 1000 })
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	c := b.join(`{"action":"subscribe","trades":["SIM:AAPL"]}`)
	for _, test := range []struct {
		text     string
		code     int
		contains string
	}{
		{``, 400, "ends too early"},
		{`hello`, 400, "not JSON at byte"},
		{`{`, 400, "ends too early"},
		{`[]`, 400, "one JSON object"},
		{`{"action":"subscribe"} {}`, 400, "follows"},
		{`{"action":"subscribe","action":"auth"}`, 400, "occurs twice"},
		{`{"action":1}`, 400, "action"},
		{`{"Action":"auth"}`, 400, "action"},
		{`{"action":"fly"}`, 400, "fly"},
		{`{"action":"play"}`, 400, "where to begin"},
		{`{"action":"play","from":"noon"}`, 400, "RFC 3339"},
		{`{"action":"play","from":true}`, 400, "must be a time"},
		{`{"action":"play","from":"2026-11-23T14:30:00Z","to":"2026-11-23T14:30:00Z"}`, 400, "later than"},
		{`{"action":"play","from":"2026-11-23T14:30:00Z","speed":0.05}`, 400, "from 0.1 to 10000"},
		{`{"action":"play","from":"2026-11-23T14:30:00Z","speed":"fast"}`, 400, "from 0.1 to 10000"},
		{`{"action":"play","from":"2200-01-01","speed":1}`, 416, "future"},
		{`{"action":"pause"}`, 400, "not playing"},
		{`{"action":"resume"}`, 400, "not playing"},
		{`{"action":"seek","time":"2026-11-23T14:30:00Z"}`, 400, "not playing"},
		{`{"action":"seek"}`, 400, "where to"},
		{`{"action":"speed","speed":2}`, 400, "not playing"},
		{`{"action":"speed"}`, 400, "from 0.1 to 10000"},
		{`{"action":"step"}`, 400, "not playing"},
		{`{"action":"step","ticks":0}`, 400, "from 1 to 10000"},
		{`{"action":"step","ticks":"all"}`, 400, "from 1 to 10000"},
		{`{"action":"subscribe","x":` + deep + `}`, 400, "nested deeper"},
		{`{"action":"subscribe","trades":"AAPL"}`, 400, "list of symbols"},
		{`{"action":"subscribe","trades":[1]}`, 400, "number 1"},
		{`{"action":"subscribe","trades":[""]}`, 400, "number 1"},
		{`{"action":"subscribe","trades":["A B"]}`, 400, "A B"},
		{`{"action":"subscribe","trades":["` + strings.Repeat("A", 100) + `"]}`, 400, "cannot be a symbol"},
		{`{"action":"subscribe","trades":["MSFT"]}`, 400, `"candidates":["ALPACA:MSFT","SIM:MSFT"]`},
		{`{"action":"subscribe","trades":["A","B","C","D"]}`, 405, "at most 3"},
		{`{"action":"subscribe","trades":["*"],"mode":"fast"}`, 400, "mode"},
		{`{"action":"subscribe","trades":["*"],"mode":"latest","every":"1ns"}`, 400, "every"},
		{`{"action":"subscribe","trades":["*"],"mode":"latest","every":50}`, 400, "every"},
		{`{"action":"subscribe","trades":["*"],"mode":"latest","every":"-5s"}`, 400, "every"},
		{`{"action":"subscribe","trades":["*"],"cursor":"yes"}`, 400, "cursor"},
		{`{"action":"subscribe","trades":["*"],"from":"x"}`, 400, "from"},
		{`{"action":"subscribe","trades":["*"],"from":{}}`, 400, "from"},
		{`{"action":"subscribe","trades":["*"],"from":{"cursor":"x","time":"y"}}`, 400, "from"},
		{`{"action":"subscribe","trades":["*"],"from":{"cursor":"AAAA"}}`, 400, "not a cursor"},
		{`{"action":"subscribe","trades":["*"],"from":{"time":"noon"}}`, 400, "RFC 3339"},
	} {
		c.send(test.text)
		text := c.read()
		got := decodeFrame(t, text)
		if got[0].T != "error" || got[0].Code != test.code || !strings.Contains(text, test.contains) {
			t.Errorf("%s: got %s\nwant %d with %s", cut(test.text), text, test.code, test.contains)
		}
	}
	m.Put("sim", trade("SIM:AAPL", 26, 100, t0))
	if got := c.frame(); len(got) != 1 || got[0].Seq != 26 {
		t.Errorf("got %+v: the set must not have changed", got)
	}
}

// TestCloses breaks the rules that end a connection.
func TestCloses(t *testing.T) {
	b := serve(t, filled(), func(o *Options) { o.Limits.Burst = 5; o.Limits.Rate = 1 })
	ctx := context.Background()
	for name, test := range map[string]struct {
		send func(*client) error
		code websocket.StatusCode
	}{
		"binary":    {func(c *client) error { return c.ws.Write(ctx, websocket.MessageBinary, []byte{1}) }, 1003},
		"not UTF-8": {func(c *client) error { return c.ws.Write(ctx, websocket.MessageText, []byte("\"\xff\"")) }, 1007},
		"too large": {func(c *client) error { return c.ws.Write(ctx, websocket.MessageText, make([]byte, 65<<10)) }, 1009},
		"too fast": {func(c *client) error {
			for range 10 {
				if err := c.ws.Write(ctx, websocket.MessageText, []byte(`{"action":"auth"}`)); err != nil {
					return nil // closed already
				}
			}
			return nil
		}, 1008},
	} {
		t.Run(name, func(t *testing.T) {
			c := b.dial("/v2/tape")
			c.t = t
			c.read()
			if err := test.send(c); err != nil {
				t.Fatal(err)
			}
			for {
				if _, err := c.tryRead(); err != nil {
					if websocket.CloseStatus(err) != test.code {
						t.Errorf("got %v, want %d", err, test.code)
					}
					return
				}
			}
		})
	}
}

// connect opens a connection.
func (b *bench) connect() *net.TCPConn {
	b.t.Helper()
	dialed, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	conn, ok := dialed.(*net.TCPConn)
	if !ok {
		b.t.Fatalf("got a %T", dialed)
	}
	b.t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	return conn
}

// raw opens a WebSocket without a library, to send what none would.
func (b *bench) raw(path string) (*net.TCPConn, *bufio.Reader) {
	b.t.Helper()
	conn := b.connect()
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		b.t.Fatal(err)
	}
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		path, base64.StdEncoding.EncodeToString(key))
	if err != nil {
		b.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		b.t.Fatalf("handshake: %v", response.Status)
	}
	return conn, r
}

// TestMalformedFrames sends bytes that are no frames. The connection ends; the server does not.
func TestMalformedFrames(t *testing.T) {
	b := serve(t, filled(), nil)
	mask := []byte{0, 0, 0, 0}
	huge := func(n uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, n), mask...)
	}
	for name, frame := range map[string][]byte{
		"not masked":              {0x81, 0x02, '{', '}'},
		"length of 2^63":          huge(1 << 63),
		"length of 2^64-1":        huge(1<<64 - 1),
		"length of 2^62":          huge(1 << 62),
		"reserved bit":            append([]byte{0xc1, 0x80}, mask...),
		"reserved opcode":         append([]byte{0x83, 0x80}, mask...),
		"fragmented ping":         append([]byte{0x09, 0x80}, mask...),
		"ping of 126 bytes":       append([]byte{0x89, 0xfe, 0, 126}, make([]byte, 130)...),
		"continuation of nothing": append([]byte{0x80, 0x80}, mask...),
		"close with one byte":     append([]byte{0x88, 0x81}, 0, 0, 0, 0, 1),
		"close code 1005":         append([]byte{0x88, 0x82}, 0, 0, 0, 0, 0x03, 0xed),
		"half a frame":            {0x81},
	} {
		t.Run(name, func(t *testing.T) {
			conn, r := b.raw("/v2/tape")
			if _, err := conn.Write(frame); err != nil {
				t.Fatal(err)
			}
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("the connection stays open: %v", err)
			}
		})
	}
	if code, _, _ := b.get("/health"); code != 200 {
		t.Errorf("got %d", code)
	}
}

// TestDeadClient leaves pings unanswered. The server finds out and closes.
func TestDeadClient(t *testing.T) {
	b := serve(t, filled(), func(o *Options) { o.Ping = 20 * time.Millisecond })
	// Its system would answer for it.
	b.g.silence = func(int) (time.Duration, bool) { return time.Hour, true }
	conn, r := b.raw("/v2/tape")
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("a client that answers no ping is kept")
	}
	for { // it is counted once the session has ended
		if _, _, body := b.get("/metrics"); strings.Contains(body, `closes_total{reason="dead"} 1`) {
			break
		}
	}
}

func TestIsDead(t *testing.T) {
	known := func(d time.Duration) func() (time.Duration, bool) {
		return func() (time.Duration, bool) { return d, true }
	}
	unknown := func() (time.Duration, bool) { return 0, false }
	b := serve(t, filled(), func(o *Options) { o.Ping = time.Minute / 8 })
	now := time.Now()
	long := now.Add(-time.Hour)
	if b.g.isDead(now, now, false, known(time.Hour)) {
		t.Error("a client that was just heard is dead")
	}
	if b.g.isDead(now, long, false, known(time.Second)) {
		t.Error("a client whose system answers is dead")
	}
	if !b.g.isDead(now, long, false, known(time.Hour)) || !b.g.isDead(now, long, false, unknown) {
		t.Error("a client that is silent in every way is alive")
	}
	if b.g.isDead(now, long, true, unknown) {
		t.Error("a client that is slow to read is dead")
	}
	// Of a living connection the system can tell, where we know how to ask.
	conn, _ := b.raw("/v2/tape")
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if d, ok := peerSilence(int(fd)); ok != (runtime.GOOS == "linux") || d > time.Minute {
			t.Errorf("got %v, %v", d, ok)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestShutdownCutsStalledClients ends a gateway while a client does not read. It must not wait for that client longer than the
// time it gives to all.
func TestShutdownCutsStalledClients(t *testing.T) {
	m := filled()
	b := serve(t, m, func(o *Options) { o.Drain = 20 * time.Millisecond })
	b.join(`{"action":"subscribe","trades":["SIM:AAPL"]}`)
	for seq := uint64(26); !b.isBlocked(); {
		entries := make([]market.Entry, 500)
		for i := range entries {
			entries[i] = trade("SIM:AAPL", seq, 100, t0)
			seq++
		}
		m.Put("sim", entries...)
	}
	b.stop()
}

func TestOrigins(t *testing.T) {
	b := serve(t, filled(), func(o *Options) {
		o.PublicURL = "https://Ticks.example.org/deck/"
		o.Origins = []string{"http://localhost:5173"}
	})
	own := "http://" + strings.TrimPrefix(b.url, "http://")
	for _, test := range []struct {
		host, origin string
		ok           bool
	}{
		{"", "", true},
		{"", own, true},
		{"", strings.ToUpper(own), true},
		{"", "http://localhost:5173", true},
		{"ticks.example.org", "https://ticks.example.org", true},
		{"", "https://ticks.example.org", true},
		{"ticks.example.org", "http://ticks.example.org:8000", false},
		{"", "null", false},
		{"", "http://evil.example", false},
		{"", own + ".evil.example", false},
		{"", "http://127.0.0.1", false},
		{"", "https://" + strings.TrimPrefix(b.url, "http://"), false},
		{"", "http://localhost:5174", false},
		{"", "file://", false},
		{"evil.example", "http://evil.example", false},
	} {
		var headers []string
		if test.origin != "" {
			headers = append(headers, "Origin", test.origin)
		}
		if test.host != "" {
			headers = append(headers, "Host", test.host)
		}
		c, got := b.tryDial("/v2/tape", headers...)
		if (got == http.StatusSwitchingProtocols) != test.ok || c == nil && got != http.StatusForbidden && got != http.StatusMisdirectedRequest {
			t.Errorf("host %q, origin %q: got %d", test.host, test.origin, got)
		}
		if c != nil {
			_ = c.ws.CloseNow()
		}
	}
	if _, got := b.tryDial("/v2/tape", "Origin", own, "Origin", own); got != http.StatusForbidden {
		t.Errorf("two origins: got %d", got)
	}
}

func TestConnectionLimits(t *testing.T) {
	b := serve(t, filled(), func(o *Options) { o.Limits.Connections = 2 })
	first := b.dial("/v2/tape")
	b.dial("/ws/prices")
	if _, got := b.tryDial("/v2/tape"); got != http.StatusServiceUnavailable {
		t.Fatalf("got %d", got)
	}
	if err := first.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	for { // the place is free once the session is gone
		if c, _ := b.tryDial("/v2/tape"); c != nil {
			c.read()
			break
		}
	}
	g := still(t, newMemTape(), func(o *Options) { o.Limits = Limits{Connections: 100, PerAddress: 1, PerPrincipal: 1} })
	one, two := guest{address: "192.0.2.1"}, guest{address: "192.0.2.2"}
	if g.enter(one) != nil || g.enter(two) != nil {
		t.Error("two addresses are refused")
	}
	if no := g.enter(one); no == nil || no.status != 429 {
		t.Errorf("got %v, want 429", no)
	}
	g.exit(one)
	g.exit(two)
	key := guest{address: "192.0.2.1", principal: "key"}
	if g.enter(key) != nil {
		t.Error("a connection with a key is refused")
	}
	elsewhere := key
	elsewhere.address = "192.0.2.2"
	if no := g.enter(elsewhere); no == nil || no.status != 429 {
		t.Errorf("got %v, want 429", no)
	}
	g.exit(key)
	if len(g.perHost) != 0 || len(g.perPrincipal) != 0 || g.total != 0 {
		t.Errorf("left are %v, %v, %d", g.perHost, g.perPrincipal, g.total)
	}
}

func TestRefusedHandshakes(t *testing.T) {
	b := serve(t, filled(), nil)
	for _, test := range []struct {
		path    string
		headers []string
		status  int
	}{
		{"/v2/tape?encoding=xml", nil, 400},
		{"/ws/prices?encoding=msgpack", nil, 400},
		{"/v2/tape?token=secret", nil, 400},
		{"/ws/prices?symbol=NOPE", nil, 404},
		{"/ws/prices?symbol=", nil, 404},
		{"/ws/prices?symbol=MSFT", nil, 400},
		{"/ws/prices?sym=AAPL", nil, 400},
	} {
		if _, got := b.tryDial(test.path, test.headers...); got != test.status {
			t.Errorf("%s: got %d, want %d", test.path, got, test.status)
		}
	}
}

func TestClientAddress(t *testing.T) {
	g, err := newGuard(&Options{Proxies: nil})
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{RemoteAddr: "203.0.113.9:1234", Header: http.Header{"X-Forwarded-For": {"1.2.3.4"}}}
	if got, _ := g.client(r); got != "203.0.113.9" {
		t.Errorf("got %s: a stranger's word was believed", got)
	}
	g.proxies = prefixes("127.0.0.0/8", "10.0.0.0/8")
	r = &http.Request{RemoteAddr: "127.0.0.1:1234", Header: http.Header{"X-Forwarded-For": {"6.6.6.6, 198.51.100.7", "10.1.1.1"}}}
	if got, loopback := g.client(r); got != "198.51.100.7" || loopback {
		t.Errorf("got %s, want the rightmost hop that is no proxy", got)
	}
	r.Header = http.Header{}
	if got, loopback := g.client(r); got != "127.0.0.1" || !loopback {
		t.Errorf("got %s", got)
	}
}

// FuzzFrames sends any bytes after the handshake. The server must end the connection, and itself not.
func FuzzFrames(f *testing.F) {
	masked := func(kind byte, text string) []byte {
		return append([]byte{kind, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	}
	f.Add(masked(0x81, `{"action":"subscribe","trades":["*"]}`))
	f.Add(append(masked(0x01, `{"action":`), masked(0x80, `"auth"}`)...))
	f.Add(append(masked(0x89, "ping"), masked(0x88, "\x03\xe8bye")...))
	f.Add(masked(0x82, "\x00"))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x81, 0xfe, 0xff, 0xff})
	b := serve(f, filled(), nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := *b
		c.t = t
		conn, r := c.raw("/v2/tape")
		// The server may end it before all is written.
		_, _ = conn.Write(data)
		_ = conn.CloseWrite()
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatalf("the connection stays open: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
