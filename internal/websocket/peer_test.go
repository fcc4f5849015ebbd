package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
)

// conversation are the messages that are sent there and back.
func conversation() []string {
	return []string{
		"hello", "", "κόσμε €𐍈", strings.Repeat("a", 125), strings.Repeat("b", 126), strings.Repeat("tape ", 13_000),
		strings.Repeat("c", 65_535), strings.Repeat("d", 65_536), strings.Repeat(`{"T":"t","S":"AAPL","p":187.42}`, 9000),
	}
}

const peerLimit = 1 << 20

// echo is a server as the gateway has it: it sends back what it reads until there is a close, which it answers.
func echo(u *Upgrade) error {
	var (
		d     Decoder
		z     = NewDeflater()
		in    = u.Early
		piece = make([]byte, 4096)
	)
	d.Init(DecoderOptions{Limit: peerLimit, Deflate: u.Deflate})
	for {
		for len(in) > 0 {
			n, m, err := d.Next(in)
			if err != nil {
				return err
			}
			in = in[n:]
			var out []byte
			switch m.Op {
			case OpText, OpBinary:
				if u.Deflate {
					out = z.Append(make([]byte, MaxHeader), m.Payload)
					out = out[PutHeader(out, MaxHeader, m.Op, true, len(out)-MaxHeader):]
				} else {
					out = AppendFrame(nil, m.Op, m.Payload)
				}
			case OpPing:
				out = AppendFrame(nil, OpPong, m.Payload)
			case OpClose:
				_, err := u.Conn.Write(AppendClose(nil, m.Code, string(m.Payload)))
				return err
			default: // nothing yet, or a pong
			}
			if _, err := u.Conn.Write(out); err != nil {
				return err
			}
		}
		n, err := u.Conn.Read(piece)
		if err != nil {
			return err
		}
		in = piece[:n]
	}
}

// A client that is not ours talks to our handshake, decoder and frames.
func TestAcceptWithAnotherClient(t *testing.T) {
	for name, mode := range map[string]coder.CompressionMode{
		"plain": coder.CompressionDisabled, "deflate": coder.CompressionNoContextTakeover, "deflate with context offered": coder.CompressionContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			address := serve(t, UpgradeOptions{Deflate: true, Protocols: []string{"tapedeck.v1"}}, func(u *Upgrade, err error) {
				if err == nil {
					if u.Deflate != (mode != coder.CompressionDisabled) {
						err = errors.New("deflate was not agreed on as offered")
					}
					err = errors.Join(err, echo(u))
				}
				done <- err
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ws, _, err := coder.Dial(ctx, "ws://"+address+"/ws", &coder.DialOptions{ //nolint:bodyclose // the library has taken it
				Subprotocols: []string{"bearer.secret", "tapedeck.v1"}, CompressionMode: mode, CompressionThreshold: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ws.CloseNow() }() // after a failure
			ws.SetReadLimit(peerLimit)
			if got := ws.Subprotocol(); got != "tapedeck.v1" {
				t.Errorf("subprotocol %q", got)
			}
			for _, message := range conversation() {
				if err := ws.Write(ctx, coder.MessageText, []byte(message)); err != nil {
					t.Fatal(err)
				}
				kind, got, err := ws.Read(ctx)
				if err != nil || kind != coder.MessageText || string(got) != message {
					t.Fatalf("sent %d bytes, got %d, %v, %v", len(message), len(got), kind, err)
				}
			}
			reading := ws.CloseRead(ctx)
			if err := ws.Ping(ctx); err != nil {
				t.Error(err)
			}
			if err := ws.Close(coder.StatusCode(4321), "bye"); err != nil {
				t.Error(err)
			}
			<-reading.Done()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// Our client's handshake, frames and decoder talk to a server that is not ours.
func TestHandshakeWithAnotherServer(t *testing.T) {
	for name, mode := range map[string]coder.CompressionMode{
		"plain": coder.CompressionDisabled, "deflate": coder.CompressionNoContextTakeover, "deflate with context": coder.CompressionContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ws, err := coder.Accept(w, r, &coder.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1, Subprotocols: []string{"tapedeck.v1"}})
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = ws.CloseNow() }()
				ws.SetReadLimit(peerLimit)
				for {
					kind, message, err := ws.Read(r.Context())
					if err != nil {
						if coder.CloseStatus(err) != 4321 { // which the library has answered
							t.Error(err)
						}
						return
					}
					if err := ws.Write(r.Context(), kind, message); err != nil {
						t.Error(err)
						return
					}
				}
			}))
			defer s.Close()
			address := s.Listener.Addr().String()
			u, err := Handshake(dial(t, address), address, "/ws", http.Header{"Sec-Websocket-Protocol": {"tapedeck.v1"}}, true)
			if err != nil {
				t.Fatal(err)
			}
			if want := mode != coder.CompressionDisabled; u.Deflate != want || u.Protocol != "tapedeck.v1" {
				t.Errorf("deflate is %t, want %t; subprotocol %q", u.Deflate, want, u.Protocol)
			}
			c := caller{u: u, in: u.Early, piece: make([]byte, 10_000)}
			c.d.Init(DecoderOptions{Limit: peerLimit, Client: true, Deflate: u.Deflate, Inflaters: new(Inflaters)})
			for _, message := range conversation() {
				c.ask(t, AppendMasked(nil, OpText, testKey, []byte(message)), text(message))
			}
			c.ask(t, AppendMasked(nil, OpPing, testKey, []byte("there?")), pong("there?"))
			c.ask(t, AppendMaskedClose(nil, testKey, 4321, "bye"), closing(4321, "bye"))
			if n, err := c.u.Conn.Read(c.piece); !errors.Is(err, io.EOF) {
				t.Errorf("got %d bytes and %v behind the close", n, err)
			}
		})
	}
}

// caller is a client of ours.
type caller struct {
	u     *Upgrade
	d     Decoder
	in    []byte
	piece []byte
}

// ask sends a frame and waits for one.
func (c *caller) ask(t *testing.T, frame []byte, want Message) {
	t.Helper()
	if _, err := c.u.Conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	for {
		n, m, err := c.d.Next(c.in)
		if err != nil {
			t.Fatal(err)
		}
		c.in = c.in[n:]
		if m.Op != 0 {
			if m.Op != want.Op || m.Code != want.Code || !bytes.Equal(m.Payload, want.Payload) {
				t.Fatalf("got %d %d %.40q, want %d %d %.40q", m.Op, m.Code, m.Payload, want.Op, want.Code, want.Payload)
			}
			return
		}
		if n, err = c.u.Conn.Read(c.piece); err != nil {
			t.Fatal(err)
		}
		c.in = c.piece[:n]
	}
}
