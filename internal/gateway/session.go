package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// statusTrimmed closes a session whose next record is no longer on the tape.
const statusTrimmed websocket.StatusCode = 4016

// session is one client of a stream: a place on the tape, a set of symbols, and a socket. Its fields belong to the goroutine
// of run; the one that reads the client's messages hands them over by inbox.
type session struct {
	g      *Gateway
	socket *socket
	d      dialect
	inbox  chan []byte

	subs     subscriptions
	authed   bool
	keyed    bool // the handshake carried credentials
	cursors  bool // the client wants to know its place
	latest   bool
	every    time.Duration // between two frames in mode latest
	lastSent time.Time     // in mode latest

	main    stretch    // where the session is
	mutes   []mute     // symbols that the client has already up to a place that main has not reached
	detours []*stretch // symbols that were asked for from an earlier place on; they come before main goes on
	behind  bool       // the session reads the tape and not the ring

	frame  []byte // headroom, then what is to be written; of /ws/prices whole frames
	ticks  int    // in frame
	blocks []*block
	newest newest
}

func newSession(g *Gateway, s *socket, d dialect) *session {
	return &session{g: g, socket: s, d: d, inbox: make(chan []byte)}
}

// serve runs the session until the client leaves, ctx is done or the gateway closes, and waits for its goroutines.
func (s *session) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, s.socket.cut)()
	var wg sync.WaitGroup
	said := make(chan *leave, 1) // room for the listener's
	done := make(chan struct{})  // closed when nobody takes messages any more
	wg.Go(func() { said <- s.listen(ctx, done) })
	var dead atomic.Bool
	stop := s.watch(func() {
		dead.Store(true)
		cancel()
	})
	end := s.run(ctx, said)
	stop()
	if dead.Load() {
		end = &leave{label: "dead"}
	}
	close(done)
	s.lag(false)
	s.g.metrics.closes.WithLabelValues(end.label).Inc()
	if end.code != 0 {
		s.socket.close(end)
	}
	cancel()
	s.socket.cut()
	s.socket.release()
	wg.Wait()
}

// watch calls lost once the client is found to be gone. The function that it returns ends the watch.
func (s *session) watch(lost func()) (stop func()) {
	every := s.g.opt.Ping
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
		case s.socket.isDead(8*every, s.g.silence):
			lost()
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

// listen hands the client's messages to run, at the rate that is allowed.
func (s *session) listen(ctx context.Context, done <-chan struct{}) *leave {
	l := &s.g.opt.Limits
	tokens, last := float64(l.Burst), time.Now()
	for {
		text, end := s.socket.read(ctx)
		if text == nil {
			if end == nil {
				end = &leave{label: "gone"}
			}
			return end
		}
		now := time.Now()
		tokens = min(float64(l.Burst), tokens+now.Sub(last).Seconds()*float64(l.Rate))
		last = now
		if tokens < 1 {
			return &leave{websocket.StatusPolicyViolation, fmt.Sprintf("more than %d messages a second", l.Rate), "rate"}
		}
		tokens--
		if s.d == prices {
			continue // it has nothing to ask
		}
		select {
		case s.inbox <- text:
		case <-done:
			return &leave{label: "gone"}
		}
	}
}

// run writes what is due until the session ends, and says how it ended.
func (s *session) run(ctx context.Context, said <-chan *leave) *leave {
	beat := time.NewTicker(s.g.opt.Heartbeat)
	defer beat.Stop()
	ping := time.NewTicker(s.g.opt.Ping)
	defer ping.Stop()
	pace := time.NewTimer(time.Hour)
	defer pace.Stop()
	always := make(chan struct{})
	close(always)
	if err := s.greet(); err != nil {
		return s.failed(ctx, err)
	}
	for {
		news := s.g.hub.news()
		more, wait, err := s.step(ctx)
		if err != nil {
			return s.failed(ctx, err)
		}
		var (
			once  <-chan struct{}
			paced <-chan time.Time
		)
		switch {
		case more:
			once = always
		case wait > 0:
			pace.Reset(wait)
			paced, news = pace.C, nil
		case s.subs.empty():
			news = nil
		}
		if s.g.isClosing() && (!more || s.cursors || s.behind) {
			return s.goodbye()
		}
		select {
		case end := <-said:
			return end
		case <-ctx.Done():
			return &leave{label: "shutdown"}
		case text := <-s.inbox:
			err = s.obey(ctx, text)
		case <-beat.C:
			err = s.heartbeat()
		case <-ping.C:
			err = s.socket.write(appendFrame(nil, framePing, nil))
		case payload := <-s.socket.pings:
			err = s.socket.write(appendFrame(nil, framePong, payload))
		case <-once:
		case <-news:
		case <-paced:
		case <-s.g.closing:
		}
		if err != nil {
			return s.failed(ctx, err)
		}
	}
}

// step writes at most one frame of what is due. It reports whether more may be due, or how long to wait before asking again;
// with neither there is nothing until the hub has news.
func (s *session) step(ctx context.Context) (more bool, wait time.Duration, err error) {
	if s.subs.empty() {
		return false, 0, nil
	}
	if s.latest {
		if wait = s.every - time.Since(s.lastSent); wait > 0 {
			return false, wait, nil
		}
		return false, 0, s.sendNewest()
	}
	s.open()
	more, err = s.fill(ctx)
	if errors.Is(err, tape.ErrUnavailable) || errors.Is(err, tape.ErrClosed) {
		wait, err = 100*time.Millisecond, nil
	}
	if err == nil {
		err = s.flush()
	}
	s.release()
	return more, wait, err
}

// open takes a buffer for a frame.
func (s *session) open() {
	if b, ok := s.g.buffers.Get().(*[]byte); ok {
		s.frame = (*b)[:0]
	}
	s.clear()
}

// clear makes the frame empty.
func (s *session) clear() {
	s.frame, s.ticks = append(s.frame[:0], make([]byte, headroom)...), 0
}

// isClear reports whether nothing is in the frame.
func (s *session) isClear() bool { return len(s.frame) <= headroom }

// release gives the buffer back, so that a session that waits holds none.
func (s *session) release() {
	b := s.frame
	s.frame = nil
	if cap(b) > 0 && cap(b) <= 4*s.g.opt.Limits.Frame {
		s.g.buffers.Put(&b)
	}
}

// flush writes the frame, if there is anything in it: events with a comma behind each.
func (s *session) flush() error {
	if s.isClear() {
		return nil
	}
	from := headroom
	if s.d != prices {
		if s.cursors && len(s.detours) == 0 {
			s.frame = append(s.appendCursor(s.frame), ',')
		}
		s.frame[len(s.frame)-1] = ']'
		from = putHeader(s.frame, frameText, len(s.frame)-headroom)
	}
	if err := s.send(s.frame[from:]); err != nil {
		return err
	}
	s.g.metrics.ticks.Add(float64(s.ticks))
	s.clear()
	return nil
}

// appendCursor writes the place that the session is at as a message.
func (s *session) appendCursor(dst []byte) []byte {
	dst = append(dst, `{"T":"cursor","c":"`...)
	dst = append(dst, s.main.at.cursor(s.g.opt.Tape.Bounds().Epoch).String()...)
	return append(dst, `"}`...)
}

// write sends one message.
func (s *session) write(text []byte) error {
	return s.send(appendFrame(make([]byte, 0, headroom+len(text)), frameText, text))
}

// send sends whole frames.
func (s *session) send(frames []byte) error {
	if err := s.socket.write(frames); err != nil {
		return err
	}
	s.g.metrics.writes.Inc()
	s.g.metrics.bytes.Add(float64(len(frames)))
	return nil
}

// heartbeat tells the client that the connection is alive, and where it stands.
func (s *session) heartbeat() error {
	if s.d != native {
		return nil
	}
	text := appendHeartbeat([]byte{'['}, market.FromStd(time.Now()))
	if s.cursors && len(s.detours) == 0 && !s.subs.empty() {
		text = s.appendCursor(append(text, ','))
	}
	return s.write(append(text, ']'))
}

func appendHeartbeat(dst []byte, t market.Time) []byte {
	return append(appendTime(append(dst, `{"T":"heartbeat","t":`...), t), '}')
}

// goodbye is how a session leaves at shutdown: with its place, so that the client can go on from there.
func (s *session) goodbye() *leave {
	reason := "shutting down"
	if s.cursors && len(s.detours) == 0 && !s.subs.empty() {
		reason += " cursor=" + s.main.at.cursor(s.g.opt.Tape.Bounds().Epoch).String()
	}
	return &leave{websocket.StatusGoingAway, reason, "shutdown"}
}

// failed turns an error into how the session leaves.
func (s *session) failed(ctx context.Context, err error) *leave {
	var trimmed *tape.TrimmedError
	switch {
	case errors.As(err, &trimmed):
		r := s.g.tooOld(ctx, trimmed.First)
		if s.d == prices || s.write(r.append(nil)) == nil {
			return &leave{statusTrimmed, r.msg, "trimmed"}
		}
		return &leave{label: "gone"}
	case ctx.Err() != nil:
		return &leave{label: "shutdown"}
	case errors.Is(err, errInternal):
		s.g.opt.Logger.Error("a session failed", "error", err)
		return &leave{websocket.StatusInternalError, "internal error", "internal"}
	}
	return &leave{label: "gone"} // the client could not be written to
}

// lag keeps count of the sessions that read the tape.
func (s *session) lag(behind bool) {
	if behind == s.behind {
		return
	}
	s.behind = behind
	if behind {
		s.g.metrics.catchingUp.Inc()
	} else {
		s.g.metrics.catchingUp.Dec()
	}
}
