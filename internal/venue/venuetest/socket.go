package venuetest

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// socket is a TCP connection that can be made to fail.
type socket struct {
	net.Conn

	mu   sync.Mutex
	mode mode
	rng  *rand.Rand
	gone chan struct{} // closed with the connection
	once sync.Once
}

// mode is what a socket does with what is written to it.
type mode uint8

const (
	sound    mode = iota
	halfOpen      // nothing gets out, nothing comes in, nobody is told
	cutting       // half of the next write gets out, then the connection is reset
	garbling      // the next write is random bytes
	dripping      // a few bytes at a time
)

func newSocket(c net.Conn) *socket { return &socket{Conn: c, gone: make(chan struct{})} }

func (s *socket) set(m mode, rng *rand.Rand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode, s.rng = m, rng
}

func (s *socket) get() mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == nil && s.get() == halfOpen {
		<-s.gone
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.mode {
	case sound:
	case halfOpen:
		return len(p), nil
	case cutting:
		n, err := s.Conn.Write(p[:len(p)/2])
		s.reset()
		if err == nil {
			err = net.ErrClosed
		}
		return n, err
	case garbling:
		s.mode = sound
		garbage := make([]byte, len(p))
		for i := range garbage {
			garbage[i] = byte(s.rng.Uint32())
		}
		return s.Conn.Write(garbage)
	case dripping:
		for i := 0; i < len(p); i += 7 {
			if n, err := s.Conn.Write(p[i:min(i+7, len(p))]); err != nil {
				return i + n, err
			}
			if i/7 < 20 {
				time.Sleep(time.Millisecond) // what is slow is slow; nothing is awaited here
			}
		}
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// reset ends the connection without a goodbye.
func (s *socket) reset() {
	if tcp, ok := s.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = s.Close()
}

// Close implements net.Conn.
func (s *socket) Close() error {
	s.once.Do(func() { close(s.gone) })
	return s.Conn.Close()
}

// listener makes every connection one that can fail.
type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newSocket(c), nil
}
