package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const (
	pollBuffer = 256 << 10 // bytes read at once
	pollEvents = 256       // connections that are asked about at once
)

// fileSocket is a socket that Go's own poller does not know: it would wake up for all that arrives on it.
type fileSocket int

// adopt takes over a connection: as a bare socket if it is one.
func (c *crowd) adopt(conn net.Conn) (socket, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return &connSocket{Conn: conn}, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var failed error
	err = raw.Control(func(old uintptr) {
		fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	// The connection lives on in the duplicate, which does not block either: that belongs to what both stand for.
	return fileSocket(fd), tcp.Close()
}

func (s fileSocket) write(p []byte) error {
	for {
		n, err := unix.Write(int(s), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("write", err)
		case n < len(p):
			return fmt.Errorf("the server takes %d of %d bytes", n, len(p))
		default:
			return nil
		}
	}
}

func (s fileSocket) shut() { _ = unix.Shutdown(int(s), unix.SHUT_RDWR) }

func (s fileSocket) close() error { return os.NewSyscallError("close", unix.Close(int(s))) }

// run reads all connections of the loop until the run is over.
func (l *loop) run() error {
	if l.crowd.tls {
		return l.runSlow()
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer func() { _ = unix.Close(poll) }()
	for i, link := range l.links {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd(link), &event); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
		l.take(link, link.early, nil)
		link.early = nil
	}
	buf := make([]byte, pollBuffer)
	events := make([]unix.EpollEvent, pollEvents)
	for !l.crowd.closing.Load() {
		l.tally.show()
		n, err := unix.EpollWait(poll, events, int(idle.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		for i := range max(n, 0) {
			link := l.links[events[i].Fd]
			if l.readable(link, buf); link.gone {
				// What has ended is readable for ever.
				if err := unix.EpollCtl(poll, unix.EPOLL_CTL_DEL, fd(link), nil); err != nil {
					return os.NewSyscallError("epoll_ctl", err)
				}
			}
		}
	}
	l.tally.show()
	return nil
}

// readable takes in what a connection has, once: then it is the next one's turn.
func (l *loop) readable(link *link, buf []byte) {
	n, err := unix.Read(fd(link), buf)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	case err != nil:
		n, err = 0, os.NewSyscallError("read", err)
	case n == 0:
		err = io.EOF
	}
	l.take(link, buf[:n], err)
}

// fd returns the descriptor of a connection of the fast path.
func fd(link *link) int {
	s, ok := link.socket.(fileSocket)
	if !ok {
		panic("BUG: a socket of another kind on the fast path")
	}
	return int(s)
}
