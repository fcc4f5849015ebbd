package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// socket is a WebSocket as a session sees it. The library does the handshake, reads, and says goodbye; data, pings and pongs are
// written here, straight to the connection, so that a batch of messages is one write, and no control frame waits behind a client
// that does not read. Each call of Write on a net.Conn is atomic, and every frame is written by one call, so that ours and the
// library's never mix.
type socket struct {
	ws    *websocket.Conn
	raw   net.Conn
	pings chan []byte  // payload of the client's last ping that was not answered yet
	heard atomic.Int64 // when the client last sent anything, in ns since 1970
	busy  atomic.Bool  // a write is waiting for the client to read
}

// leave says how a session ends: with a close code, its reason for the client, and the name under which it is counted.
type leave struct {
	code   websocket.StatusCode
	reason string
	label  string
}

// accept answers the handshake. When it fails the response has been written.
func accept(w http.ResponseWriter, r *http.Request, limit int) (*socket, error) {
	s := &socket{pings: make(chan []byte, 1)}
	grab := &grabber{ResponseWriter: w}
	ws, err := websocket.Accept(grab, r, &websocket.AcceptOptions{
		// The guard has checked the origin, more strictly.
		InsecureSkipVerify: true,
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			s.hear()
			s.pinged(append([]byte(nil), payload...))
			return false
		},
		OnPongReceived: func(context.Context, []byte) { s.hear() },
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(limit))
	s.ws, s.raw = ws, grab.conn
	s.hear()
	return s, nil
}

// grabber remembers the connection that a handshake takes from the HTTP server.
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

func (s *socket) hear() { s.heard.Store(time.Now().UnixNano()) }

// pinged keeps a ping for the session to answer. Only the newest needs an answer (RFC 6455, 5.5.3).
func (s *socket) pinged(payload []byte) {
	for {
		select {
		case s.pings <- payload:
			return
		default:
		}
		select {
		case <-s.pings:
		default:
		}
	}
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
	s.hear()
	return data, nil
}

// The first bytes of the frames that are written: final, and what they are.
const (
	frameText = 0x80 | 0x1
	framePing = 0x80 | 0x9
	framePong = 0x80 | 0xa
)

// headroom is what a header of a frame takes at most.
const headroom = 10

// putHeader writes the header of a frame of a size so that it ends at room[headroom], and returns where it begins.
func putHeader(room []byte, kind byte, size int) int {
	switch {
	case size < 126:
		room[headroom-2], room[headroom-1] = kind, byte(size)
		return headroom - 2
	case size < 1<<16:
		room[headroom-4], room[headroom-3] = kind, 126
		binary.BigEndian.PutUint16(room[headroom-2:], uint16(size))
		return headroom - 4
	}
	room[0], room[1] = kind, 127
	binary.BigEndian.PutUint64(room[2:], uint64(size))
	return 0
}

// appendFrame appends a frame.
func appendFrame(dst []byte, kind byte, payload []byte) []byte {
	var room [headroom]byte
	from := putHeader(room[:], kind, len(payload))
	return append(append(dst, room[from:]...), payload...)
}

// write writes whole frames. It blocks for as long as the client does not read; cut ends that.
func (s *socket) write(frames []byte) error {
	s.busy.Store(true)
	defer s.busy.Store(false)
	_, err := s.raw.Write(frames)
	return err
}

// isDead reports whether the client has not been heard of for so long that it must be gone. One that is only slow to read is
// not: its system still answers for it where we can ask, and elsewhere a write that waits counts for it.
func (s *socket) isDead(patience time.Duration, silence func(net.Conn) (time.Duration, bool)) bool {
	if time.Since(time.Unix(0, s.heard.Load())) < patience {
		return false
	}
	if d, ok := silence(s.raw); ok {
		return d > patience
	}
	return !s.busy.Load()
}

// close says goodbye and waits a few seconds for the client's own.
func (s *socket) close(l *leave) {
	_ = s.ws.Close(l.code, l.reason) // whether the client heard it changes nothing
}

// cut ends the connection without a word, whatever anybody is doing with it.
func (s *socket) cut() {
	_ = s.raw.Close() // it is the end either way
}

// release gives back what the library holds, after cut or close.
func (s *socket) release() {
	_ = s.ws.CloseNow() // it is closed
}
