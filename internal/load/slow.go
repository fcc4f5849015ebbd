package load

import (
	"net"
	"sync"
	"time"
)

// connSocket is a connection that a goroutine of its own reads.
type connSocket struct {
	net.Conn
	mu sync.Mutex // a frame is written in one piece
}

// writePatience is how long a peer may take to make room for a frame of a few bytes.
const writePatience = 5 * time.Second

func (s *connSocket) write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return err
	}
	_, err := s.Write(p)
	return err
}

func (s *connSocket) shut() { _ = s.SetDeadline(time.Now()) }

func (s *connSocket) close() error { return s.Close() }

// slowBuffer is what a connection of the slow path reads at once.
const slowBuffer = 16 << 10

// runSlow reads every connection on a goroutine of its own, until the run is over.
func (l *loop) runSlow() error {
	var wg sync.WaitGroup
	for _, link := range l.links {
		s, ok := link.socket.(*connSocket)
		if !ok {
			panic("BUG: a socket of another kind on the slow path")
		}
		wg.Go(func() { l.read(link, s) })
	}
	// Readers that wait for bytes are woken when the run is over.
	wg.Go(func() {
		ticker := time.NewTicker(idle)
		defer ticker.Stop()
		for !l.crowd.closing.Load() {
			<-ticker.C
		}
		for _, link := range l.links {
			if s, ok := link.socket.(*connSocket); ok {
				_ = s.SetReadDeadline(time.Now())
			}
		}
	})
	wg.Wait()
	return nil
}

// read takes in what comes on a connection.
func (l *loop) read(link *link, s *connSocket) {
	buf := make([]byte, slowBuffer)
	more := l.receive(link, link.early, nil)
	for more {
		n, err := s.Read(buf)
		more = l.receive(link, buf[:n], err)
	}
}

// receive takes in what was read under the loop's lock, and says whether to read on.
func (l *loop) receive(link *link, p []byte, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(link, p, err)
	l.tally.show()
	return !link.gone && !l.crowd.closing.Load()
}
