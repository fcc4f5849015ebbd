package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/latency"
)

// shard drives many sessions on raw sockets: one goroutine that reads what clients sent, and writes to each client all that is due to
// it in one write that does not wait. What a socket does not take is kept, as a part of a parcel that others share, until the
// kernel says that there is room again; meanwhile the session stands still, and reads on from the tape when it has fallen behind
// the ring. What takes longer than memory does, the readers do (see readers).
//
// The fields belong to the goroutine of run, except those under mu.
type shard struct {
	g     *Gateway
	epoll *os.File // in Go's own poller, so that waiting costs no thread
	fd    int

	conns   map[int32]*conn
	live    []*conn // that may be due ticks
	turns   []*conn // that want another turn
	filters map[filter]int
	recent  [2]map[parcelKey]*parcel // built in this round and the one before
	spare   []*parcel
	scratch scratch
	input   []byte
	closing bool
	now     time.Time
	alarm   time.Time // when a session wants to be looked at at the latest
	written tally
	delays  latency.Counts // of what was written since it was last reported

	mu     sync.Mutex
	posted []*conn       // that are new, or come back from the readers
	ended  bool          // nothing looks at posted any more
	wake   chan struct{} // has one element when something was posted
}

// conn is a session on a socket. While it is away, at the readers, the shard touches only the flags.
type conn struct {
	*session
	shard *shard
	fd    int
	guest guest

	readable, writable bool
	gone               bool // the socket is of no more use
	away               bool
	turning            bool // in turns
	waits              bool // for the client to read
	lives              int  // index in live and 1, or 0
	filter             filter
	counted            bool // filter is counted in filters

	rest    []byte    // of what is being written
	parcel  *parcel   // that rest is of; nil for answers
	brought *parcel   // by the readers
	retry   time.Time // when the session may be looked at again
	hangUp  time.Time // when the connection is cut, if the client has not closed it; zero while the session lives
	askAt   time.Time // when it is worth asking again whether the client is there
	endBy   time.Time // when the connection is cut, if the client has not read up to the goodbye; zero before that is due
}

// parcelKey says what a parcel is of: the same for clients of the same manner that want the same from the same place.
type parcelKey struct {
	manner manner
	filter filter
	from   place
}

// tally is what was written since it was last reported.
type tally struct{ writes, bytes, ticks int }

const (
	parcelsATurn = 4 // before others have theirs
	inputSize    = 64 << 10
	mostEvents   = 256

	// yieldEvery is after how many writes of a round the shard lets other goroutines run. A round of many clients takes milliseconds, and the
	// ticks of the next one wait meanwhile for a processor to put them on the tape.
	yieldEvery = 32
)

// newShard makes a shard, or returns nil where there are none.
func newShard(g *Gateway) (*shard, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd) // it is the other error that counts
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	return &shard{
		g: g, epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, conns: make(map[int32]*conn), filters: make(map[filter]int),
		recent: [2]map[parcelKey]*parcel{make(map[parcelKey]*parcel), make(map[parcelKey]*parcel)},
		input:  make([]byte, inputSize), wake: make(chan struct{}, 1),
	}, nil
}

// adopt takes a connection over from Go's own poller, and drives the session on it from now on. It returns false, and changes nothing,
// when it cannot.
func (sh *shard) adopt(s *session, c net.Conn, guest guest) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	if err := raw.Control(func(its uintptr) { fd, err = unix.FcntlInt(its, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || fd < 0 {
		return false
	}
	if !sh.post(&conn{session: s, shard: sh, fd: fd, guest: guest, readable: true, writable: true}) {
		_ = unix.Close(fd) // nothing was written to it
		return false
	}
	_ = tcp.Close() // the connection lives on in the other descriptor
	return true
}

// post hands a connection to the shard. It returns false when the shard has ended.
func (sh *shard) post(c *conn) bool {
	sh.mu.Lock()
	if sh.ended {
		sh.mu.Unlock()
		return false
	}
	sh.posted = append(sh.posted, c)
	sh.mu.Unlock()
	select {
	case sh.wake <- struct{}{}:
	default:
	}
	return true
}

// run drives the sessions until ctx is done, then cuts those that are left.
func (sh *shard) run(ctx context.Context) {
	events := make(chan []unix.EpollEvent)
	taken := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { sh.poll(events, taken) })
	defer func() {
		_ = sh.epoll.Close() // ends poll
		for range events {
			taken <- struct{}{}
		}
		wg.Wait()
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	always := make(chan struct{})
	close(always)
	closing := sh.g.closing
	every := min(250*time.Millisecond, max(time.Millisecond, min(sh.g.opt.Ping, sh.g.opt.Heartbeat)/8))
	sweep := time.Now().Add(every)
	for {
		news := sh.g.hub.news()
		sh.round(ctx)
		if !sh.now.Before(sweep) {
			sweep = sh.now.Add(every)
			sh.sweep(ctx)
		}
		sh.report()
		if len(sh.live) == 0 {
			news = nil
		}
		var once <-chan struct{}
		if len(sh.turns) > 0 {
			once = always
		}
		until := sweep
		if !sh.alarm.IsZero() && sh.alarm.Before(until) {
			until = sh.alarm
		}
		timer.Reset(time.Until(until))
		select {
		case <-once:
		case <-news:
		case list := <-events:
			sh.ready(ctx, list)
			taken <- struct{}{}
		case <-sh.wake:
			sh.collect(ctx)
		case <-timer.C:
		case <-closing:
			closing, sh.closing = nil, true
			for _, c := range sh.conns {
				sh.again(c)
			}
		case <-ctx.Done():
			sh.cutAll()
			return
		}
	}
}

// poll waits for the sockets and hands over what it learns, a list at a time, until the epoll is closed.
func (sh *shard) poll(events chan<- []unix.EpollEvent, taken <-chan struct{}) {
	defer close(events)
	raw, err := sh.epoll.SyscallConn()
	if err != nil {
		return // it is closed
	}
	list := make([]unix.EpollEvent, mostEvents)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), list, 0) // an interrupted wait is made again
			return n > 0
		})
		if err != nil {
			return
		}
		events <- list[:n]
		<-taken
	}
}

// ready takes in what the kernel says of the sockets.
func (sh *shard) ready(ctx context.Context, list []unix.EpollEvent) {
	sh.now = time.Now()
	for i := range list {
		c := sh.conns[list[i].Fd]
		if c == nil {
			continue // it was cut, or its number is a new connection's by now
		}
		if what := list[i].Events; what&^unix.EPOLLOUT != 0 {
			c.readable = true
		}
		c.writable = true // an error shows at the next write
		sh.turn(ctx, c)
	}
}

// collect takes in what was posted.
func (sh *shard) collect(ctx context.Context) {
	sh.mu.Lock()
	posted := sh.posted
	sh.posted = nil
	sh.mu.Unlock()
	sh.now = time.Now()
	for _, c := range posted {
		if c.away {
			sh.welcome(c)
		} else if err := sh.add(c); err != nil {
			sh.g.opt.Logger.Error("a connection cannot be watched", "error", err)
			c.gone = true
		}
		if c.gone {
			sh.drop(c)
			continue
		}
		sh.list(c)
		sh.turn(ctx, c)
	}
}

// add begins to watch a new connection. Events come when something changes (EPOLLET), so that none need be asked for again.
func (sh *shard) add(c *conn) error {
	sh.conns[int32(c.fd)] = c
	if err := unix.SetNonblock(c.fd, true); err != nil {
		return err
	}
	return unix.EpollCtl(sh.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(c.fd),
	})
}

// send lets the readers do what the session needs the tape for.
func (sh *shard) send(c *conn) {
	c.away = true
	sh.g.readers.add(c)
}

// work is what the readers do for a session.
func (c *conn) work(ctx context.Context, sc *scratch) {
	if len(c.asked) > 0 {
		c.answer(ctx)
	} else {
		p := new(parcel)
		from := c.standing()
		switch err := c.compose(ctx, p, sc, true); {
		case err == nil:
			if len(p.bytes()) > 0 {
				c.brought = p
			} else if c.play == nil && c.standing() == from && !c.isCurrent() {
				c.retry = time.Now().Add(time.Millisecond) // what is next is not in the ring yet
			}
		case isForNow(err):
			c.retry = time.Now().Add(retryAfter)
		default:
			c.failed(ctx, err)
		}
	}
	c.shard.post(c) // the shards end after the readers
}

// welcome takes back a session that was away.
func (sh *shard) welcome(c *conn) {
	c.away = false
	if c.brought != nil {
		c.parcel, c.rest, c.brought = c.brought, c.brought.bytes(), nil
		c.parcel.refs = 1
		sh.written.ticks += c.parcel.ticks
	}
}

// round gives a turn to all that may be due ticks, and to those that wanted another one.
func (sh *shard) round(ctx context.Context) {
	sh.now = time.Now()
	sh.alarm = time.Time{}
	sh.forget()
	turns := sh.turns
	sh.turns = nil
	for _, c := range turns {
		c.turning = false
		if sh.conns[int32(c.fd)] == c && c.lives == 0 {
			sh.turn(ctx, c)
		}
	}
	// From the end: a session that leaves the list makes room for one that had its turn.
	yielded := sh.written.writes
	for _, c := range slices.Backward(sh.live) {
		sh.turn(ctx, c)
		if sh.written.writes-yielded >= yieldEvery {
			yielded = sh.written.writes
			runtime.Gosched()
		}
	}
}

// turn does for a session what can be done without waiting. A turn is over when nothing is left to do, when the client does not take
// more for now, or when others should have theirs.
func (sh *shard) turn(ctx context.Context, c *conn) {
	for range parcelsATurn {
		switch {
		case c.away:
			return
		case c.gone:
			sh.drop(c)
			return
		case c.readable && (!c.hangUp.IsZero() || !c.isFull()):
			sh.read(c)
		case len(c.rest) > 0:
			if !c.writable {
				return
			}
			sh.write(c)
		case !c.hangUp.IsZero():
			return
		case len(c.out) >= mostUnsent: // before more is added to it
			c.rest = c.unsent()
		case c.needsTape():
			sh.send(c)
			return
		case len(c.asked) > 0:
			c.answer(ctx)
			sh.list(c)
		case len(c.out) > 0 || c.pong != nil:
			c.rest = c.unsent()
		case c.end != nil:
			sh.hang(c)
		case sh.closing && c.mayPart():
			c.goodbye()
			sh.list(c)
		case !c.wantsTicks():
			return
		case c.isCurrent():
			c.abreast = true
			return
		case sh.now.Before(c.retry):
			sh.remind(c.retry)
			return
		case sh.now.Before(c.quiet()):
			sh.remind(c.quiet())
			return
		default:
			sh.due(ctx, c)
		}
	}
	sh.again(c)
}

// again gives a session another turn after the others had theirs.
func (sh *shard) again(c *conn) {
	if !c.turning {
		c.turning = true
		sh.turns = append(sh.turns, c)
	}
}

// remind makes the shard look again at a time.
func (sh *shard) remind(t time.Time) {
	if sh.alarm.IsZero() || t.Before(sh.alarm) {
		sh.alarm = t
	}
}

// read takes in what a client sent.
func (sh *shard) read(c *conn) {
	n, err := unix.Read(c.fd, sh.input)
	switch {
	case errors.Is(err, unix.EINTR):
	case errors.Is(err, unix.EAGAIN):
		c.readable = false
	case err != nil || n <= 0:
		c.gone = true
	case c.hangUp.IsZero():
		c.hear(sh.input[:n], sh.now)
	}
}

// write writes what it can of the rest.
func (sh *shard) write(c *conn) {
	n, err := unix.Write(c.fd, c.rest)
	switch {
	case errors.Is(err, unix.EINTR):
		return
	case errors.Is(err, unix.EAGAIN):
		c.writable, c.abreast = false, false
		sh.wait(c, true)
		return
	case err != nil:
		c.gone = true
		return
	}
	sh.wait(c, false)
	sh.written.writes++
	sh.written.bytes += n
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		if p := c.parcel; p != nil && c.abreast && !p.since.IsZero() {
			sh.delays.Observe(time.Since(p.since), 1)
		}
		c.rest = nil
		sh.release(c.parcel)
		c.parcel = nil
	}
}

// wait keeps count of the sessions that wait for their clients. Until the kernel says that there is room they have no part in rounds.
func (sh *shard) wait(c *conn, waits bool) {
	if waits == c.waits {
		return
	}
	if c.waits = waits; waits {
		sh.g.metrics.waiting.Inc()
	} else {
		sh.g.metrics.waiting.Dec()
	}
	sh.list(c)
}

// due builds what is due to a session, or takes what was built for another one that stands at the same place.
func (sh *shard) due(ctx context.Context, c *conn) {
	key, shared := sh.key(c)
	if shared {
		// A round of mode latest is of use only while it is the newest: the next one may be due much later.
		if p := sh.find(key); p != nil && (!c.manner.latest || uint64(p.to.pos) >= sh.g.hub.end.Load()) {
			c.lag(false)
			c.main.at, c.main.held = p.to, nil
			sh.hand(c, p)
			return
		}
	}
	p := sh.parcel()
	from := c.standing()
	err := c.compose(ctx, p, &sh.scratch, false)
	switch {
	case errors.Is(err, errBehind):
		sh.send(c)
	case err != nil:
		c.failed(ctx, err)
		sh.list(c)
	default:
		// New symbols may have come to light while it was built; then it is of another filter.
		if shared && c.subs.filter() == key.filter && c.main.at != key.from {
			p.refs++
			sh.release(sh.recent[0][key])
			sh.recent[0][key] = p
		}
		sh.hand(c, p)
		if c.play == nil && c.rest == nil && c.standing() == from {
			c.retry = sh.now.Add(time.Millisecond)
		}
	}
	sh.release(p)
}

// hand gives a parcel to a session to be sent.
func (sh *shard) hand(c *conn, p *parcel) {
	if b := p.bytes(); len(b) > 0 {
		p.refs++
		c.parcel, c.rest = p, b
		sh.written.ticks += p.ticks
		if c.manner.latest && c.play == nil {
			c.paced(sh.now)
		}
	}
}

// key returns what the next parcel of a session is of, and whether others may have use for it.
func (sh *shard) key(c *conn) (key parcelKey, shared bool) {
	if len(c.detours) > 0 || c.play != nil {
		return key, false
	}
	c.refresh(&c.main)
	f := c.subs.filter()
	if !c.counted || f != c.filter {
		sh.uncount(c)
		c.counted, c.filter = true, f
		sh.filters[f]++
	}
	return parcelKey{c.manner, f, c.main.at}, sh.filters[f] > 1 && len(c.mutes) == 0
}

func (sh *shard) uncount(c *conn) {
	if !c.counted {
		return
	}
	c.counted = false
	if sh.filters[c.filter]--; sh.filters[c.filter] == 0 {
		delete(sh.filters, c.filter)
	}
}

// find returns a parcel that was built for another session.
func (sh *shard) find(key parcelKey) *parcel {
	if p := sh.recent[0][key]; p != nil {
		return p
	}
	p := sh.recent[1][key]
	if p != nil {
		delete(sh.recent[1], key)
		sh.recent[0][key] = p
	}
	return p
}

// forget lets go of the parcels that nobody asked for in a whole round.
func (sh *shard) forget() {
	for _, p := range sh.recent[1] {
		sh.release(p)
	}
	clear(sh.recent[1])
	sh.recent[0], sh.recent[1] = sh.recent[1], sh.recent[0]
}

// parcel returns an empty parcel that the caller holds.
func (sh *shard) parcel() *parcel {
	if n := len(sh.spare); n > 0 {
		p := sh.spare[n-1]
		sh.spare = sh.spare[:n-1]
		p.refs = 1
		return p
	}
	return &parcel{refs: 1}
}

// mostSpare is how many empty parcels are kept.
const mostSpare = 16

// release lets go of a parcel; nil is none.
func (sh *shard) release(p *parcel) {
	if p == nil {
		return
	}
	if p.refs--; p.refs == 0 && len(sh.spare) < mostSpare && cap(p.buf) <= 4*sh.g.opt.Limits.Frame {
		sh.spare = append(sh.spare, p)
	}
}

// list puts a session among those that may be due ticks and can take them, or takes it out.
func (sh *shard) list(c *conn) {
	wants := c.hangUp.IsZero() && c.wantsTicks() && !c.gone && !c.waits
	switch {
	case wants && c.lives == 0:
		sh.live = append(sh.live, c)
		c.lives = len(sh.live)
	case !wants && c.lives != 0:
		last := sh.live[len(sh.live)-1]
		sh.live[c.lives-1], last.lives = last, c.lives
		sh.live[len(sh.live)-1] = nil
		sh.live, c.lives = sh.live[:len(sh.live)-1], 0
		sh.uncount(c)
	}
}

// hang ends a session whose goodbye was written: the client of a WebSocket has a moment to close.
func (sh *shard) hang(c *conn) {
	sh.list(c)
	if c.end.code == 0 || c.manner.carrier == inEvents || unix.Shutdown(c.fd, unix.SHUT_WR) != nil {
		c.gone = true
		return
	}
	c.hangUp = sh.now.Add(lingers)
}

// drop ends a connection.
func (sh *shard) drop(c *conn) {
	c.gone = true
	if c.away {
		return // it is dropped when it is back
	}
	sh.list(c)
	sh.uncount(c)
	sh.wait(c, false)
	delete(sh.conns, int32(c.fd))
	_ = unix.Close(c.fd) // it is gone either way
	sh.release(c.parcel)
	c.parcel, c.rest = nil, nil
	c.closed()
	sh.g.exit(c.guest)
}

// sweep does what time asks for.
func (sh *shard) sweep(ctx context.Context) {
	for _, c := range sh.conns {
		if c.away {
			continue
		}
		if !c.hangUp.IsZero() && sh.now.After(c.hangUp) {
			sh.drop(c)
			continue
		}
		if c.end == nil && sh.isLost(c) {
			c.leave(&leave{label: "dead"})
			sh.drop(c)
			continue
		}
		if c.end != nil && c.hangUp.IsZero() && sh.isLate(c) {
			sh.drop(c)
			continue
		}
		if len(c.rest) == 0 && len(c.out) == 0 && c.end == nil {
			c.duties(sh.now)
		}
		if len(c.out) > 0 {
			sh.turn(ctx, c)
		}
	}
}

// isLate reports whether a client has had its time to read up to the goodbye.
func (sh *shard) isLate(c *conn) bool {
	if c.endBy.IsZero() {
		c.endBy = sh.now.Add(sh.g.patience())
	}
	return sh.now.After(c.endBy)
}

// isLost reports whether the client is gone without a word. It asks no oftener than pings are sent: listeners to events never have
// anything to say.
func (sh *shard) isLost(c *conn) bool {
	if sh.now.Before(c.askAt) {
		return false
	}
	c.askAt = sh.now.Add(sh.g.opt.Ping)
	return sh.g.isDead(sh.now, c.heard, len(c.rest) > 0, func() (time.Duration, bool) { return sh.g.silence(c.fd) })
}

// report adds to the metrics what was written.
func (sh *shard) report() {
	w := &sh.written
	if w.writes == 0 {
		return
	}
	m := sh.g.metrics
	m.writes.Add(float64(w.writes))
	m.bytes.Add(float64(w.bytes))
	m.ticks.Add(float64(w.ticks))
	m.sent.add(sh.now, &sh.delays)
	*w = tally{}
}

// cutAll ends all connections without a word. The readers have ended.
func (sh *shard) cutAll() {
	sh.mu.Lock()
	posted := sh.posted
	sh.posted, sh.ended = nil, true
	sh.mu.Unlock()
	for _, c := range posted {
		if !c.away {
			sh.conns[int32(c.fd)] = c
		}
	}
	for _, c := range sh.conns {
		c.away = false
		c.leave(&leave{label: "shutdown"})
		sh.drop(c)
	}
}
