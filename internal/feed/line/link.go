package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// link is one connection to the venue.
type link struct {
	s       *source
	kinds   venue.Kinds
	conn    *websocket.Conn
	session venue.Session
	host    string
	opened  time.Time
	life    context.Context //nolint:containedctx // ends when somebody else wants the connection to end
	cancel  context.CancelCauseFunc

	heard  atomic.Int64  // when the venue was heard last, since opened: a clock that is set does not change that
	wake   chan struct{} // something is to be sent
	begun  chan struct{} // closed when the session has begun
	ready  chan struct{} // closed when every instrument is taken or refused
	drain  chan struct{} // closed when another should take its place
	done   chan struct{} // closed when it has ended, for the reason err
	err    error
	spent  sync.Once // of drain
	filled sync.Once // of ready

	mu      sync.Mutex
	out     venue.Output
	asked   map[market.Symbol]*subscription
	unsent  [][]byte
	settled bool // nothing that was asked for is open
	letting bool // ends because another has taken its place
	over    bool // has ended: nothing is taken any more
}

// subscription is an instrument that the link is to carry.
type subscription struct {
	in      venue.Instrument
	taken   bool
	expires time.Time // when it counts as not taken; zero: the venue acknowledges nothing
	tries   int
}

var (
	errSilent   = errors.New("the line is dead: nothing came")
	errFlood    = errors.New("too many messages wait to be sent")
	errReplaced = errors.New("another connection has taken its place")
)

// mostUnsent is how many messages wait to be sent at most; they are subscriptions, some per hundred symbols.
const mostUnsent = 10_000

// dial makes a connection and begins the protocol for the instruments.
func (s *source) dial(ctx context.Context, kinds venue.Kinds, instruments []venue.Instrument) (*link, error) {
	address, header := s.venue.Endpoint(kinds)
	l := &link{
		s: s, kinds: kinds, host: hostOf(address), wake: make(chan struct{}, 1), begun: make(chan struct{}), ready: make(chan struct{}), drain: make(chan struct{}),
		done: make(chan struct{}), asked: make(map[market.Symbol]*subscription),
	}
	header = header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "tapedeck")
	}
	mode := websocket.CompressionDisabled
	if s.compress {
		mode = websocket.CompressionContextTakeover
	}
	dialing, stop := context.WithTimeout(ctx, s.t.dial)
	defer stop()
	conn, resp, err := websocket.Dial(dialing, address, &websocket.DialOptions{ //nolint:bodyclose // its body is in memory, or the connection itself
		HTTPClient: s.dialer, HTTPHeader: header, CompressionMode: mode,
		OnPingReceived: func(context.Context, []byte) bool { l.alive(); return true },
		OnPongReceived: func(context.Context, []byte) { l.alive() },
	})
	if resp != nil {
		s.rest.date(resp.Header)
	}
	if err != nil {
		return nil, refusal(l.host, resp, err)
	}
	conn.SetReadLimit(maxMessage)
	l.conn = conn
	l.opened = time.Now()
	l.life, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	l.session = s.venue.Session(kinds, slices.Clone(instruments))
	l.mu.Lock()
	for _, in := range instruments {
		l.ask(in)
	}
	l.mu.Unlock()
	return l, nil
}

// hostOf returns the part of an address that holds no secret.
func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

// refusal says why a handshake failed: what the venue answered, never the address.
func refusal(host string, resp *http.Response, err error) error {
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode == 0 {
		return fmt.Errorf("connect to %s: %w", host, withoutURL(err))
	}
	text := strings.TrimSpace(resp.Status)
	err = fmt.Errorf("connect to %s: the venue answers %s", host, text)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: %w (is the key right?)", err, venue.ErrRefused)
	case http.StatusForbidden:
		return fmt.Errorf("%w: %w (the key, the plan, or the address that we come from)", err, venue.ErrRefused)
	case http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%w: %w (not served in this region; url= names another host)", err, venue.ErrRefused)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusTeapot:
		return &venue.RetryError{Err: err, After: venue.RetryAfter(resp.Header, 0)}
	}
	return err
}

// alive notes a ping or a pong. Where the venue's own messages tell that the line lives, these don't count: a stream may be dead
// behind a socket that is not.
func (l *link) alive() {
	if t := l.s.traits; t.Ping > 0 && t.Ping <= t.Heartbeat {
		l.heard.Store(int64(time.Since(l.opened)))
	}
}

// ask notes that an instrument is asked for. It is called with mu held.
func (l *link) ask(in venue.Instrument) {
	sub := &subscription{in: in, tries: 1}
	if l.s.traits.Ack > 0 {
		sub.expires = time.Now().Add(l.s.traits.Ack)
	}
	l.asked[in.Symbol] = sub
	l.settled = false
}

// run runs the connection until it ends, and tells why in err.
func (l *link) run(ctx context.Context) {
	defer close(l.done)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	unlink := context.AfterFunc(l.life, func() { stop(context.Cause(l.life)) })
	defer unlink()
	var wg sync.WaitGroup
	wg.Go(func() { l.end(l.send(ctx)) })
	wg.Go(func() { l.end(l.keep(ctx)) })
	if l.s.traits.Ping > 0 {
		wg.Go(func() { l.ping(ctx) })
	}
	err := l.do(ctx, func(out *venue.Output) error { return l.session.Opened(out) })
	if err == nil {
		close(l.begun)
	}
	if err == nil && l.s.traits.Ack == 0 {
		err = l.takeAll(ctx)
	}
	if err == nil {
		err = l.receive(ctx)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	l.err = l.s.explain(l.host, err)
	stop(err)
	l.mu.Lock()
	letting := l.letting
	l.mu.Unlock()
	if letting || ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		_ = l.conn.Close(websocket.StatusNormalClosure, "")
	}
	_ = l.conn.CloseNow()
	wg.Wait()
	carried, asked := l.release()
	l.s.carriesNot(carried)
	if l.kinds&venue.Trades != 0 {
		l.s.desk.let(carried, l.err.Error())
		l.s.desk.miss(asked, l.err.Error())
		if l.s.traits.Open {
			l.s.desk.missAll(l.err.Error())
		}
	}
}

// end ends the connection for a reason.
func (l *link) end(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		l.cancel(err)
	}
}

// let ends a connection that another has taken the place of.
func (l *link) let() {
	l.mu.Lock()
	l.letting = true
	l.mu.Unlock()
	l.cancel(errReplaced)
	<-l.done
}

// release returns what the venue has taken, sorted, and what it was asked for besides, when the connection has ended. A change that comes later finds nothing: each
// symbol that was taken is let go once.
func (l *link) release() (carried, asked []market.Symbol) {
	l.mu.Lock()
	defer l.mu.Unlock()
	carried = l.takenNow()
	slices.Sort(carried)
	for s, sub := range l.asked {
		if !sub.taken {
			asked = append(asked, s)
		}
	}
	clear(l.asked)
	l.over = true
	return carried, asked
}

// receive reads messages until the connection ends.
func (l *link) receive(ctx context.Context) error {
	var buf []byte
	for {
		kind, r, err := l.conn.Reader(ctx)
		if err != nil {
			return err
		}
		if buf, err = readAll(r, buf[:0]); err != nil {
			return err
		}
		at := time.Now()
		l.heard.Store(int64(at.Sub(l.opened)))
		if kind == websocket.MessageText && !utf8.Valid(buf) {
			return errors.New("a message is not UTF-8")
		}
		received := market.FromStd(at)
		if err := l.do(ctx, func(out *venue.Output) error { return l.session.Message(buf, received, out) }); err != nil {
			return err
		}
		if cap(buf) > 1<<20 {
			buf = nil // Such messages are rare; the memory is not kept for the next one.
		}
	}
}

// readAll reads a message into a buffer that is used again.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// do lets the session do something, and does what it says.
func (l *link) do(ctx context.Context, f func(out *venue.Output) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := &l.out
	out.Reset()
	failed := guard(ctx, l.s.log, func() error { return f(out) })
	for reason, n := range out.Unusable {
		l.s.desk.sink.Dropped(reason, n)
	}
	if !l.settled {
		for i := range out.Entries {
			if e := &out.Entries[i]; e.IsTick() {
				l.take(ctx, e.Symbol) // A tick is as good as an acknowledgement, and may come before it.
			}
		}
	}
	// What came before the failure is good. That nothing did is no sign of life.
	if failed == nil || len(out.Entries) > 0 {
		if err := l.s.desk.take(ctx, out.Entries, out.Marks); err != nil {
			return err
		}
	}
	if out.Ready || len(out.Taken) > 0 || len(out.Entries) > 0 {
		l.s.proven.Store(true)
	}
	if failed != nil {
		return failed
	}
	if out.Ready {
		for _, sub := range l.asked {
			if !sub.expires.IsZero() {
				sub.expires = time.Now().Add(l.s.traits.Ack)
			}
		}
	}
	for _, s := range out.Taken {
		l.take(ctx, s)
	}
	for _, r := range out.Refused {
		l.refuse(ctx, r.Symbol, r.Reason)
	}
	l.settle()
	if out.Lost != "" && l.kinds&venue.Trades != 0 {
		l.s.desk.doubt(slices.Collect(maps.Keys(l.asked)), out.Lost)
	}
	if out.Drain != "" {
		l.replace(out.Drain)
	}
	for _, msg := range out.Send {
		l.unsent = append(l.unsent, slices.Clone(msg))
	}
	if len(l.unsent) > mostUnsent {
		return errFlood
	}
	if len(l.unsent) > 0 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// takenNow is carried with mu held.
func (l *link) takenNow() []market.Symbol {
	var list []market.Symbol
	for s, sub := range l.asked {
		if sub.taken {
			list = append(list, s)
		}
	}
	return list
}

// take notes that the venue has taken a subscription. It is called with mu held.
func (l *link) take(ctx context.Context, s market.Symbol) {
	sub := l.asked[s]
	if sub == nil || sub.taken || l.over {
		return
	}
	sub.taken = true
	if l.kinds&venue.Trades != 0 {
		l.s.desk.taken(s)
	}
	l.s.carries(ctx, s)
}

// takeAll takes all subscriptions as acknowledged, where the venue says nothing.
func (l *link) takeAll(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.asked {
		l.take(ctx, s)
	}
	l.settle()
	return nil
}

// refuse notes that the venue will not serve a symbol. It is called with mu held.
func (l *link) refuse(ctx context.Context, s market.Symbol, reason string) {
	sub := l.asked[s]
	if sub == nil {
		return
	}
	if sub.taken && l.kinds&venue.Trades != 0 {
		l.s.desk.let([]market.Symbol{s}, "refused: "+reason)
	}
	delete(l.asked, s)
	l.s.refused(ctx, sub.in, reason)
}

// settle notes when nothing is open any more. It is called with mu held.
func (l *link) settle() {
	l.settled = true
	for _, sub := range l.asked {
		l.settled = l.settled && sub.taken
	}
	if !l.settled {
		return
	}
	l.filled.Do(func() { close(l.ready) })
}

// replace asks for a connection in place of this one.
func (l *link) replace(reason string) {
	l.spent.Do(func() {
		l.s.log.Info("connection will be replaced", "host", l.host, "reason", reason)
		close(l.drain)
	})
}

// send sends what is to be sent, at the venue's pace.
func (l *link) send(ctx context.Context) error {
	for {
		l.mu.Lock()
		var msg []byte
		if len(l.unsent) > 0 {
			msg, l.unsent = l.unsent[0], l.unsent[1:]
		}
		l.mu.Unlock()
		if msg == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-l.wake:
			}
			continue
		}
		kind := websocket.MessageText
		if len(msg) > 0 && msg[0] >= 0x80 {
			kind = websocket.MessageBinary
		}
		writing, stop := context.WithTimeout(ctx, l.s.t.dial)
		err := l.conn.Write(writing, kind, msg)
		stop()
		if err != nil {
			return err
		}
		if l.s.traits.Pace > 0 {
			if err := pause(ctx, l.s.traits.Pace); err != nil {
				return err
			}
		}
	}
}

// keep watches the connection: that it is not dead, what the venue has not acknowledged, how old it is.
func (l *link) keep(ctx context.Context) error {
	beat := l.s.traits.Heartbeat
	every := 250 * time.Millisecond
	if beat > 0 {
		every = min(every, max(beat/8, time.Millisecond))
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	second := time.Now()
	life := l.s.lifetime()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		at := time.Now()
		if silent := at.Sub(l.opened) - time.Duration(l.heard.Load()); beat > 0 && silent > 2*beat-every {
			return fmt.Errorf("%w for %s", errSilent, silent.Round(time.Millisecond))
		}
		if life > 0 && at.Sub(l.opened) >= life {
			l.replace("it is " + life.Round(time.Second).String() + " old")
		}
		if err := l.expire(ctx, at); err != nil {
			return err
		}
		if at.Sub(second) < min(time.Second, 8*every) {
			continue
		}
		second = at
		if err := l.do2(ctx, at); err != nil {
			return err
		}
	}
}

// do2 lets the session do what it does every second. It says nothing of the line being alive.
func (l *link) do2(ctx context.Context, at time.Time) error {
	l.mu.Lock()
	l.out.Reset()
	err := guard(ctx, l.s.log, func() error { return l.session.Second(market.FromStd(at), &l.out) })
	idle := err == nil && len(l.out.Entries) == 0 && len(l.out.Send) == 0 && len(l.out.Taken) == 0 && len(l.out.Refused) == 0 &&
		l.out.Lost == "" && l.out.Drain == "" && len(l.out.Marks) == 0 && len(l.out.Unusable) == 0
	said := l.out
	l.out = venue.Output{}
	l.mu.Unlock()
	if idle {
		return nil
	}
	return l.do(ctx, func(out *venue.Output) error {
		*out = said
		return err
	})
}

// expire asks once more for what was not acknowledged in time. What is still not acknowledged ends the connection, and on the next
// one counts as refused, unless it was taken before.
func (l *link) expire(ctx context.Context, at time.Time) error {
	l.mu.Lock()
	var again []venue.Instrument
	var none []market.Symbol
	for _, s := range slices.Sorted(maps.Keys(l.asked)) {
		sub := l.asked[s]
		switch {
		case sub.taken || sub.expires.IsZero():
		case len(l.unsent) > 0:
			sub.expires = at.Add(l.s.traits.Ack) // Not even asked for.
		case at.Before(sub.expires):
		case sub.tries == 1:
			sub.tries++
			sub.expires = at.Add(l.s.traits.Ack)
			again = append(again, sub.in)
		default:
			none = append(none, s)
		}
	}
	anyTaken := len(l.takenNow()) > 0
	l.mu.Unlock()
	if len(none) > 0 && !anyTaken {
		return fmt.Errorf("the venue acknowledged none of %d subscriptions", len(none))
	}
	for _, s := range none {
		switch strikes, ever := l.s.strike(s); {
		case strikes == 1:
			return fmt.Errorf("the venue did not acknowledge %s", s.Name()) // It may be the line.
		case ever:
			l.mu.Lock()
			if sub := l.asked[s]; sub != nil { // Others shall not suffer for it. It is asked for again later.
				sub.tries, sub.expires = 1, at.Add(l.s.t.refused)
			}
			l.mu.Unlock()
		default:
			l.mu.Lock()
			l.refuse(ctx, s, "the venue did not acknowledge the subscription")
			l.settle()
			l.mu.Unlock()
		}
	}
	if len(again) > 0 {
		return l.do(ctx, func(out *venue.Output) error { return l.session.Subscribe(again, out) })
	}
	return nil
}

// change unsubscribes from instruments, for a reason, and subscribes to others.
func (l *link) change(ctx context.Context, add, remove []venue.Instrument, reason string) error {
	select {
	case <-l.begun:
	case <-l.done:
		return nil
	case <-ctx.Done():
		return nil
	}
	if len(remove) > 0 {
		l.mu.Lock()
		var gone []market.Symbol
		for _, in := range remove {
			if sub := l.asked[in.Symbol]; sub != nil && sub.taken {
				gone = append(gone, in.Symbol)
			}
			delete(l.asked, in.Symbol)
		}
		l.settle()
		l.mu.Unlock()
		if l.kinds&venue.Trades != 0 {
			l.s.desk.let(gone, reason)
		}
		l.s.carriesNot(gone)
		if err := l.do(ctx, func(out *venue.Output) error { return l.session.Unsubscribe(remove, out) }); err != nil {
			return err
		}
	}
	if len(add) == 0 {
		return nil
	}
	l.mu.Lock()
	for _, in := range add {
		l.ask(in)
	}
	l.mu.Unlock()
	if err := l.do(ctx, func(out *venue.Output) error { return l.session.Subscribe(add, out) }); err != nil {
		return err
	}
	if l.s.traits.Ack == 0 {
		return l.takeAll(ctx)
	}
	return nil
}

// ping sends a ping from time to time. That no pong comes is noticed by what is heard.
func (l *link) ping(ctx context.Context) {
	ticker := time.NewTicker(l.s.traits.Ping)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		waiting, stop := context.WithTimeout(ctx, l.s.traits.Ping)
		_ = l.conn.Ping(waiting) // keep watches
		stop()
	}
}

// flush waits, not for long, until all that the venue had sent before has been read.
func (l *link) flush(ctx context.Context) {
	waiting, stop := context.WithTimeout(ctx, l.s.t.settle)
	defer stop()
	unlink := context.AfterFunc(l.life, stop)
	defer unlink()
	_ = l.conn.Ping(waiting) // a venue that answers no pings has had its time
}

// guard lets a venue's code read what came from outside. A panic there is an error like any other, as it is for every adapter: it ends
// the connection, and not the process.
func guard(ctx context.Context, log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "adapter panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
