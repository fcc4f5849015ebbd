package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// soloist drives one session with goroutines of its own: where there are no shards, for connections that are more than a socket (TLS),
// and when Options.Portable says so. It may wait for its client, so it costs a stack and a buffer, and a system call for each wait.
type soloist struct {
	*session
	conn   io.ReadWriteCloser
	input  chan []byte
	taken  chan struct{} // input may be used again
	heard  atomic.Int64  // when the client last sent anything, in ns since 1970
	busy   atomic.Bool   // a write waits for the client to read
	parcel parcel
}

// solo drives a session until it ends. It closes the connection; ctx cuts it.
func (g *Gateway) solo(ctx context.Context, s *session, conn io.ReadWriteCloser, early []byte) {
	l := &soloist{session: s, conn: conn, input: make(chan []byte), taken: make(chan struct{})}
	l.heard.Store(time.Now().UnixNano())
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whatever anybody does with it
	var wg sync.WaitGroup
	wg.Go(func() { l.listen(ctx) })
	unwatch := l.watch()
	if len(early) > 0 {
		s.hear(early, time.Now())
	}
	l.run(ctx)
	l.hang(ctx)
	unwatch()
	stop()
	_ = conn.Close() // it is the end either way
	for range l.input {
		l.taken <- struct{}{}
	}
	wg.Wait()
	s.closed()
}

// listen hands over what the client sends until the connection ends.
func (l *soloist) listen(ctx context.Context) {
	defer close(l.input)
	buf := make([]byte, 4<<10)
	for {
		n, err := l.conn.Read(buf)
		if n > 0 {
			l.heard.Store(time.Now().UnixNano())
			select {
			case l.input <- buf[:n]:
				<-l.taken
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// watch ends the connection once the client is found to be gone. The function that it returns ends the watch and waits for it.
func (l *soloist) watch() (stop func()) {
	every := l.g.opt.Ping
	var (
		mu    sync.Mutex
		timer *time.Timer
		done  bool
	)
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case done:
		case l.isGone():
			_ = l.conn.Close() // run notices
		default:
			timer.Reset(every)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done = true
		timer.Stop()
	}
}

// isGone reports whether the client must be gone. One that only listens has nothing to say for itself.
func (l *soloist) isGone() bool {
	excused := l.busy.Load() || l.manner.carrier == inEvents
	return l.g.isDead(time.Now(), time.Unix(0, l.heard.Load()), excused, l.silence)
}

// silence asks the system, if the connection is a socket, or TLS over one.
func (l *soloist) silence() (d time.Duration, ok bool) {
	var conn any = l.conn
	if over, is := conn.(interface{ NetConn() net.Conn }); is {
		conn = over.NetConn()
	}
	sc, is := conn.(syscall.Conn)
	if !is {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	if raw.Control(func(fd uintptr) { d, ok = l.g.silence(int(fd)) }) != nil {
		return 0, false
	}
	return d, ok
}

// run writes what is due until the session ends or the connection does.
func (l *soloist) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	always := make(chan struct{})
	close(always)
	var retry time.Time
	for {
		news := l.g.hub.news()
		now := time.Now()
		until := l.duties(now)
		for len(l.asked) > 0 {
			l.answer(ctx)
			if len(l.out) >= mostUnsent && !l.write(l.unsent()) {
				return
			}
		}
		if !l.write(l.unsent()) {
			return
		}
		due := l.wantsTicks() && !l.isCurrent()
		if !due {
			l.lag(false)
			l.abreast = true
		}
		closing := l.g.isClosing()
		if l.end == nil && closing && l.mayPart() {
			l.goodbye()
			continue
		}
		if l.end != nil {
			return
		}
		var once <-chan struct{}
		wait := l.quiet()
		if wait.Before(retry) {
			wait = retry
		}
		if due && now.Before(wait) {
			news = nil
			if wait.Before(until) {
				until = wait
			}
		} else if due {
			again, ok := l.deliver(ctx)
			if !ok {
				return
			}
			retry = again
			once = always
		}
		timer.Reset(time.Until(until))
		select {
		case p, ok := <-l.input:
			if !ok {
				return
			}
			l.hear(p, time.Now())
			l.taken <- struct{}{}
		case <-ctx.Done():
			return
		case <-once:
		case <-news:
		case <-timer.C:
		case <-l.closingOnce(closing):
		}
	}
}

// closingOnce returns the channel that tells of the end, unless that is known.
func (l *soloist) closingOnce(known bool) <-chan struct{} {
	if known {
		return nil
	}
	return l.g.closing
}

// patientWrite is how long a write takes at most to a client that reads.
const patientWrite = 20 * time.Millisecond

// deliver builds what is due, and writes it. It returns when to try again if that is not at once; ok is false when the client cannot
// be written to.
func (l *soloist) deliver(ctx context.Context) (retry time.Time, ok bool) {
	from := l.standing()
	err := l.build(ctx, false)
	if errors.Is(err, errBehind) {
		if err = l.catchUp(ctx); ctx.Err() != nil {
			return time.Time{}, false
		}
	}
	now := time.Now()
	switch {
	case err != nil && isForNow(err):
		return now.Add(retryAfter), true
	case err != nil:
		l.failed(ctx, err)
		return time.Time{}, true
	}
	b := l.parcel.bytes()
	if len(b) == 0 {
		if l.play == nil && l.standing() == from {
			return now.Add(time.Millisecond), true // what is next is not in the ring yet
		}
		return time.Time{}, true
	}
	if l.manner.latest && l.play == nil {
		l.paced(now)
	}
	l.g.metrics.ticks.Add(float64(l.parcel.ticks))
	if ok = l.write(b); l.abreast && !l.parcel.since.IsZero() {
		ended := time.Now()
		l.g.metrics.sent.observe(ended, ended.Sub(l.parcel.since))
		l.abreast = ended.Sub(now) < patientWrite
	}
	if cap(l.parcel.buf) > 4<<10 {
		l.parcel.buf = nil // a session that waits holds little
	}
	return time.Time{}, ok
}

// catchUp is build with the tape, which so many may read at once. Plays, which may take long, never have more than half of the places.
func (l *soloist) catchUp(ctx context.Context) error {
	for i, s := range []slots{l.g.playUps, l.g.catchUps} {
		if i == 0 && l.play == nil {
			continue
		}
		if err := s.acquire(ctx); err != nil {
			return err
		}
		defer s.release()
	}
	return l.build(ctx, true)
}

// build composes with what soloists lend each other: a compressor alone is larger than all that a session has.
func (l *soloist) build(ctx context.Context, tape bool) error {
	sc, ok := l.g.scratches.Get().(*scratch)
	if !ok {
		sc = new(scratch)
	}
	defer l.g.scratches.Put(sc)
	return l.compose(ctx, &l.parcel, sc, tape)
}

// write writes whole frames. It waits for as long as the client does not read, unless it is the last that is written.
func (l *soloist) write(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if c, ok := l.conn.(interface{ SetWriteDeadline(time.Time) error }); ok && l.end != nil {
		_ = c.SetWriteDeadline(time.Now().Add(l.g.patience())) // if it cannot be set, the write tells
	}
	l.busy.Store(true)
	l.g.metrics.waiting.Inc()
	defer l.g.metrics.waiting.Dec()
	defer l.busy.Store(false)
	if _, err := l.conn.Write(b); err != nil {
		return false
	}
	l.g.metrics.writes.Inc()
	l.g.metrics.bytes.Add(float64(len(b)))
	return true
}

// hang waits a moment for the client to close, after a goodbye.
func (l *soloist) hang(ctx context.Context) {
	if l.end == nil {
		switch {
		case ctx.Err() != nil:
			l.leave(&leave{label: "shutdown"})
		case l.isGone():
			l.leave(&leave{label: "dead"})
		}
		return
	}
	half, ok := l.conn.(interface{ CloseWrite() error })
	if l.end.code == 0 || l.manner.carrier == inEvents || !l.write(l.unsent()) || !ok || half.CloseWrite() != nil {
		return
	}
	timer := time.NewTimer(lingers)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-l.input:
			if !ok {
				return
			}
			l.taken <- struct{}{}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
