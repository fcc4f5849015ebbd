package websocket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve answers handshakes with Accept and hands what came of them to use, one after the other. The connection is closed behind it.
func serve(t *testing.T, o UpgradeOptions, use func(*Upgrade, error)) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		u, err := Accept(wrapped{w}, r, o)
		use(u, err)
		if err == nil {
			u.Conn.Close()
		}
	}))
	s.Config.ReadTimeout, s.Config.WriteTimeout = time.Minute, time.Minute
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// wrapped is a response writer as a middleware leaves it.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

const rfcKey = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455, 1.3

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("got a %T", conn)
	}
	return tcp
}

func TestAcceptRefuses(t *testing.T) {
	good := func() *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws", nil)
		r.Header = http.Header{
			"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {rfcKey},
		}
		return r
	}
	if _, _, err := checkRequest(good()); err != nil {
		t.Fatalf("a good request: %v", err)
	}
	for name, c := range map[string]struct {
		change func(r *http.Request)
		status int
		header http.Header
	}{
		"POST":                 {func(r *http.Request) { r.Method = http.MethodPost }, 405, http.Header{"Allow": {"GET"}}},
		"HTTP/1.0":             {func(r *http.Request) { r.ProtoMinor = 0 }, 426, http.Header{"Upgrade": {"websocket"}}},
		"HTTP/2":               {func(r *http.Request) { r.ProtoMajor, r.Header = 2, http.Header{} }, 426, nil},
		"no Connection":        {func(r *http.Request) { r.Header.Del("Connection") }, 426, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}},
		"Connection: close":    {func(r *http.Request) { r.Header.Set("Connection", "close, upgraded") }, 426, nil},
		"no Upgrade":           {func(r *http.Request) { r.Header.Del("Upgrade") }, 426, nil},
		"Upgrade: h2c":         {func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, 426, nil},
		"no version":           {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, 426, http.Header{"Sec-Websocket-Version": {"13"}}},
		"version 8":            {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, 426, http.Header{"Sec-Websocket-Version": {"13"}}},
		"two versions":         {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Version", "8") }, 426, nil},
		"no key":               {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400, nil},
		"two keys":             {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", rfcKey) }, 400, nil},
		"key of 15 bytes":      {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "MTIzNDU2Nzg5MDEyMzQ1") }, 400, nil},
		"key that is not":      {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "?"+rfcKey[1:]) }, 400, nil},
		"key with a tail":      {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", rfcKey[:21]+"R==") }, 400, nil},
		"extensions, mistaken": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Extensions", "a;;") }, 400, nil},
		"body":                 {func(r *http.Request) { r.ContentLength = 5 }, 400, nil},
		"chunked body":         {func(r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} }, 400, nil},
		// The recorder has no connection that could be taken over.
		"no connection": {func(*http.Request) {}, 500, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := good(), httptest.NewRecorder()
			c.change(r)
			u, err := Accept(w, r, UpgradeOptions{Deflate: true})
			if err == nil || u != nil {
				t.Fatalf("got %+v, %v", u, err)
			}
			if w.Code != c.status {
				t.Errorf("status %d, want %d (%v)", w.Code, c.status, err)
			}
			for name, want := range c.header {
				if diff := cmp.Diff(want, w.Header()[name]); diff != "" {
					t.Errorf("%s: (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// The example of RFC 6455, 1.3, to the byte, with a frame that came behind it before it was answered.
func TestAcceptAnswersTheExample(t *testing.T) {
	type result struct {
		u    *Upgrade
		err  error
		rest []byte
	}
	results := make(chan result, 1)
	address := serve(t, UpgradeOptions{Deflate: true, Protocols: []string{"v2.chat", "superchat", "chat"}}, func(u *Upgrade, err error) {
		r := result{u: u, err: err}
		if err == nil {
			r.rest, r.err = io.ReadAll(u.Conn)
		}
		results <- r
	})
	conn := dial(t, address)
	early, late := client(fin|1, "early"), client(fin|1, "late")
	_, err := io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: WebSocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n"+
		"Sec-WebSocket-Key: "+rfcKey+"\r\nOrigin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"+string(early))
	if err != nil {
		t.Fatal(err)
	}
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: superchat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	if _, err := conn.Write(late); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	// What came behind the request is in Early as far as it had been read, and on the connection from there on.
	if all := string(r.u.Early) + string(r.rest); all != string(early)+string(late) {
		t.Errorf("got %q, want %q and %q", all, early, late)
	}
	if r.u.Protocol != "superchat" || !r.u.Deflate {
		t.Errorf("agreed on %q, deflate %t", r.u.Protocol, r.u.Deflate)
	}
}

func TestAcceptAgreesOnNothing(t *testing.T) {
	upgrades := make(chan *Upgrade, 1)
	address := serve(t, UpgradeOptions{Protocols: []string{"chat"}}, func(u *Upgrade, err error) {
		if err != nil {
			t.Error(err)
		}
		upgrades <- u
	})
	u, err := Handshake(dial(t, address), address, "/", http.Header{"Sec-Websocket-Protocol": {"talk, Chat"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if theirs := <-upgrades; u.Deflate || u.Protocol != "" || theirs.Deflate || theirs.Protocol != "" {
		t.Errorf("got %+v and %+v", u, theirs)
	}
}

func TestHandshakeRefuses(t *testing.T) {
	const good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n"
	for name, c := range map[string]struct {
		answer string
		ok     bool
	}{
		"good":                       {good, true},
		"good, compressed":           {good + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n", true},
		"good, smaller window":       {good + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_max_window_bits=9\r\n", true},
		"good, subprotocol":          {good + "Sec-WebSocket-Protocol: chat\r\n", true},
		"status":                     {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n", false},
		"no HTTP":                    {"SSH-2.0-OpenSSH\r\n", false},
		"endless":                    {good + "X: " + strings.Repeat("x", 1<<20) + "\r\n", false},
		"no upgrade":                 {strings.Replace(good, "Connection: Upgrade", "Connection: close", 1), false},
		"other key":                  {strings.Replace(good, "KEY", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1), false},
		"context takeover":           {good + "Sec-WebSocket-Extensions: permessage-deflate\r\n", false},
		"window that was not asked":  {good + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits=15\r\n", false},
		"other extension":            {good + "Sec-WebSocket-Extensions: brotli\r\n", false},
		"mistaken extension":         {good + "Sec-WebSocket-Extensions: a b\r\n", false},
		"two answers":                {good + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover, x\r\n", false},
		"subprotocol nobody offered": {good + "Sec-WebSocket-Protocol: talk\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			done := make(chan error, 1)
			go func() {
				r, err := http.ReadRequest(bufio.NewReader(theirs))
				if err == nil {
					answer := strings.Replace(c.answer, "KEY", acceptKey(r.Header.Get("Sec-WebSocket-Key")), 1)
					_, err = io.WriteString(theirs, answer+"\r\n"+string(server(fin|1, "early")))
				}
				done <- errors.Join(err, theirs.Close())
			}()
			u, err := Handshake(ours, "example.com", "/x?y=z", http.Header{"Sec-Websocket-Protocol": {"chat"}, "Host": {"mine"}}, true)
			if (err == nil) != c.ok {
				t.Errorf("got %+v, %v", u, err)
			}
			if c.ok && string(u.Early) != string(server(fin|1, "early")) {
				t.Errorf("got %q behind the handshake", u.Early)
			}
			ours.Close()
			// Whoever refuses may hang up before all of the answer is written.
			if err := <-done; err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
		})
	}
	for _, c := range [][2]string{{"", "/"}, {"a b", "/"}, {"a\r\nX: y", "/"}, {"a", ""}, {"a", "x"}, {"a", "/ HTTP/1.1\r\n"}} {
		if _, err := Handshake(nil, c[0], c[1], nil, false); err == nil {
			t.Errorf("host %q and path %q were sent", c[0], c[1])
		}
	}
}
