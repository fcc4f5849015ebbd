package gateway

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// socket is a WebSocket as a session sees it. It is the only place that knows who writes the frames.
type socket struct {
	ws      *websocket.Conn
	raw     net.Conn
	writing atomic.Bool  // a write is waiting for the client to read
	written atomic.Int64 // messages written
}

// leave says how a session ends: with a close code, its reason for the client, and the name under which it is counted.
type leave struct {
	code   websocket.StatusCode
	reason string
	label  string
}

// accept answers the handshake. When it fails the response has been written.
func accept(w http.ResponseWriter, r *http.Request, limit int) (*socket, error) {
	s := &socket{}
	grab := &grabber{ResponseWriter: w}
	ws, err := websocket.Accept(grab, r, &websocket.AcceptOptions{
		// The guard has checked the origin, more strictly.
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
		// A pong could not overtake what the client does not read, and waiting for it would end the connection.
		OnPingReceived: func(context.Context, []byte) bool { return !s.writing.Load() },
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(limit))
	s.ws, s.raw = ws, grab.conn
	return s, nil
}

// grabber remembers the connection that a handshake takes from the HTTP server, so that it can be cut off whatever the library waits
// for.
type grabber struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack implements http.Hijacker.
func (g *grabber) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(g.ResponseWriter).Hijack()
	g.conn = conn
	return conn, rw, err
}

// read returns the next message of the client. When there is none it says how to leave; nil stands for a connection that is
// gone.
func (s *socket) read(ctx context.Context) ([]byte, *leave) {
	kind, data, err := s.ws.Read(ctx)
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return nil, &leave{websocket.StatusMessageTooBig, "message too big", "too_big"}
	case websocket.CloseStatus(err) != -1:
		return nil, &leave{websocket.StatusNormalClosure, "", "client"}
	case err != nil:
		return nil, nil
	case kind != websocket.MessageText:
		return nil, &leave{websocket.StatusUnsupportedData, "send JSON in text messages", "binary"}
	case !utf8.Valid(data):
		return nil, &leave{websocket.StatusInvalidFramePayloadData, "not UTF-8", "utf8"}
	}
	return data, nil
}

// write sends one text message. It blocks for as long as the client does not read.
func (s *socket) write(ctx context.Context, text []byte) error {
	s.writing.Store(true)
	defer s.writing.Store(false)
	err := s.ws.Write(ctx, websocket.MessageText, text)
	s.written.Add(1)
	return err
}

// keepAlive pings the client until ctx is done or the client is gone, which it reports by returning false. A client that is busy
// reading what was written is alive, whatever becomes of the ping.
func (s *socket) keepAlive(ctx context.Context, every time.Duration) bool {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return true
		case <-t.C:
		}
		if s.writing.Load() {
			continue
		}
		before := s.written.Load()
		wait, cancel := context.WithTimeout(ctx, every)
		err := s.ws.Ping(wait)
		cancel()
		if err != nil && ctx.Err() == nil && !s.writing.Load() && s.written.Load() == before {
			return false
		}
	}
}

// close says goodbye and waits a few seconds for the client's own.
func (s *socket) close(l *leave) {
	// Whether the client heard it changes nothing.
	_ = s.ws.Close(l.code, l.reason)
}

// cut ends the connection without a word, whatever anybody is doing with it.
func (s *socket) cut() {
	_ = s.raw.Close() // it is the end either way
}

// release gives back what the library holds, after cut or close.
func (s *socket) release() {
	_ = s.ws.CloseNow() // it is closed
}
