package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/websocket"
)

// The codes of our own that close a stream.
const (
	codeAuthTimeout websocket.Code = 4004 // the client did not say in time who it is
	codeTrimmed     websocket.Code = 4016 // what is due next is no longer on the tape
)

// session is one client of a stream: a place on the tape, a set of symbols, and what is to be told to the client besides. It does
// no input or output and never waits for the client: who drives it brings what the client sent and takes what is to be sent. There
// are two drivers: a shard has many sessions, and a soloist has one. A session belongs to one goroutine at a time.
type session struct {
	g      *Gateway
	manner manner
	stream string // route of the stream, for the metrics
	keyed  bool   // the handshake carried credentials
	authed bool
	behind bool // the session reads the tape and not the ring

	// The client had all that there was, and has taken all that it was sent since: how long ticks are on their way to it says something
	// of the server.
	abreast bool

	decoder  websocket.Decoder
	tokens   float64   // messages that the client may send at once
	refilled time.Time // when tokens were last added
	asked    []inquiry // messages of the client that are not answered yet
	out      []byte    // answers and control frames, to be sent before more ticks
	pong     []byte    // the newest ping that is not answered, when out is too long for more; nil when there is none
	end      *leave    // why the session ends, once it does; out holds the goodbye

	heard  time.Time // when the client last sent anything
	beat   time.Time // when the next heartbeat is due
	ping   time.Time // when the next ping is due
	authBy time.Time // when the client must have authenticated; zero when it need not

	every time.Duration // between two rounds of mode latest
	due   time.Time     // when the next round of mode latest is due

	subs    subscriptions
	main    stretch         // where the session is
	mutes   []mute          // symbols that the client has already up to a place that main has not reached
	detours []*stretch      // symbols that were asked for from an earlier place on; they come before main goes on
	play    *play           // the past that the session is told; nil when it is live
	opening *order          // a play that begins with the first subscription
	wished  []market.Symbol // what is made known to feeds on demand, sorted
}

// inquiry is a message of the client: what it asks for, or why it cannot be understood.
type inquiry struct {
	request *request
	err     error
}

// leave says how a session ends: with a close code, its reason for the client, and the name under which it is counted. Without a code
// the connection is ended without a word.
type leave struct {
	code   websocket.Code
	reason string
	label  string
}

// mostUnsent is how many bytes of answers wait for a client that does not read before nothing more is read of it.
const mostUnsent = 16 << 10

func newSession(g *Gateway, stream string, m manner) *session {
	now := time.Now()
	s := &session{
		g: g, stream: stream, manner: m, tokens: float64(g.opt.Limits.Burst), refilled: now, heard: now,
		beat: now.Add(g.opt.Heartbeat), ping: now.Add(g.opt.Ping), every: 50 * time.Millisecond,
	}
	if g.opt.AuthDeadline > 0 && m.carrier == inFrames && m.dialect != prices {
		s.authBy = now.Add(g.opt.AuthDeadline)
	}
	s.decoder.Init(websocket.DecoderOptions{Limit: g.opt.Limits.Message, Deflate: m.deflate, Inflaters: &g.inflaters})
	return s
}

// hear takes in what the client sent. Control frames are answered at once, messages wait in asked.
func (s *session) hear(p []byte, now time.Time) {
	s.heard = now
	if s.manner.carrier == inEvents {
		return // it has nothing to say
	}
	for len(p) > 0 && s.end == nil {
		n, m, err := s.decoder.Next(p)
		if err != nil {
			s.misunderstood(err)
			return
		}
		p = p[n:]
		switch m.Op {
		case websocket.OpPong: // an answer to ours
		case websocket.OpText, websocket.OpBinary, websocket.OpPing:
			if !s.mayspeak(now) {
				s.leave(&leave{websocket.CodePolicy, fmt.Sprintf("more than %d messages a second", s.g.opt.Limits.Rate), "rate"})
				return
			}
			s.take(m)
		case websocket.OpClose:
			code := m.Code
			if code == websocket.CodeNoStatus {
				code = websocket.CodeNormal
			}
			s.leave(&leave{code, "", "client"})
		case websocket.OpContinuation: // nothing is complete
		}
	}
	s.decoder.Release()
}

// misunderstood ends the session because of what the client sent.
func (s *session) misunderstood(err error) {
	l := &leave{websocket.CodeProtocol, err.Error(), "protocol"}
	if bad, ok := errors.AsType[*websocket.Error](err); ok {
		l.code, l.reason = bad.Code, bad.Reason
		if label := map[websocket.Code]string{websocket.CodeTooBig: "too_big", websocket.CodeInvalid: "utf8"}[bad.Code]; label != "" {
			l.label = label
		}
	}
	s.leave(l)
}

// mayspeak counts a message against what the client is allowed.
func (s *session) mayspeak(now time.Time) bool {
	l := &s.g.opt.Limits
	s.tokens = min(float64(l.Burst), s.tokens+now.Sub(s.refilled).Seconds()*float64(l.Rate))
	s.refilled = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// take takes in one message.
func (s *session) take(m websocket.Message) {
	switch {
	case m.Op == websocket.OpPing && len(s.out) < mostUnsent:
		s.out = websocket.AppendFrame(s.out, websocket.OpPong, m.Payload)
	case m.Op == websocket.OpPing:
		s.pong = append([]byte{}, m.Payload...) // only the newest needs an answer (RFC 6455, 5.5.3)
	case m.Op == websocket.OpBinary && s.manner.format != asPacked:
		s.leave(&leave{websocket.CodeUnsupported, "send JSON in text messages", "binary"})
	case s.manner.dialect == prices: // it has nothing to ask
	default:
		r, err := parseRequest(m.Op == websocket.OpBinary, m.Payload)
		s.asked = append(s.asked, inquiry{r, err})
	}
}

// isFull reports whether nothing more should be read of the client for now: there is enough to answer, or enough that it does not read.
func (s *session) isFull() bool { return len(s.asked) > 0 || len(s.out) >= mostUnsent }

// needsTape reports whether answering what was asked may take a while, because it looks something up on the tape.
func (s *session) needsTape() bool {
	return len(s.asked) > 0 && s.asked[0].request != nil && (s.asked[0].request.needsPlaces() || s.opening != nil)
}

// answer does what the client asked for first.
func (s *session) answer(ctx context.Context) {
	q := s.asked[0]
	if s.asked = s.asked[1:]; len(s.asked) == 0 {
		s.asked = nil
	}
	s.abreast = false
	if s.end == nil {
		s.obey(ctx, q)
	}
}

// unsent returns what is to be sent before any ticks, and forgets it.
func (s *session) unsent() []byte {
	out := s.out
	if s.pong != nil && s.end == nil {
		out = websocket.AppendFrame(out, websocket.OpPong, s.pong)
	}
	s.out, s.pong = nil, nil
	return out
}

// say sends one message, given as JSON.
func (s *session) say(text []byte) {
	switch {
	case s.manner.carrier == inEvents:
		s.out = s.event(s.out, text)
	case s.manner.format == asPacked:
		s.out = websocket.AppendFrame(s.out, websocket.OpBinary, packAnswer(nil, text))
	default:
		s.out = websocket.AppendFrame(s.out, websocket.OpText, text)
	}
}

// leave ends the session: nothing but a goodbye is sent after it.
func (s *session) leave(l *leave) {
	if s.end != nil {
		return
	}
	s.end, s.asked = l, nil
	if l.code != 0 && s.manner.carrier == inFrames {
		s.out = websocket.AppendClose(s.out, l.code, l.reason)
	}
}

// plays reports whether what the session does next is for a play.
func (s *session) plays() bool {
	if s.play != nil || s.opening != nil {
		return true
	}
	return len(s.asked) > 0 && s.asked[0].request != nil && isOrder(s.asked[0].request.action)
}

// wantsTicks reports whether anything may be due to the client now or later.
func (s *session) wantsTicks() bool { return s.end == nil && (!s.subs.empty() || s.play != nil) }

// mayPart reports whether the session may say goodbye at shutdown: it has nothing more to send, or its client can ask for the rest, or
// there is too much of it.
func (s *session) mayPart() bool {
	return !s.wantsTicks() || s.isCurrent() || s.behind || s.manner.cursors || s.manner.latest || s.play != nil
}

// isCurrent reports whether the client has been sent all that it is due, as of the moment.
func (s *session) isCurrent() bool {
	if s.play != nil {
		// Who is told the clock is told it while it stands, too.
		return s.play.isStill() && s.manner.dialect != native
	}
	return len(s.detours) == 0 && uint64(s.main.at.pos) >= s.g.hub.end.Load()
}

// compose builds what is due to the client next: a round of mode latest, or a frame. Without the tape it returns errBehind when only
// that has it.
func (s *session) compose(ctx context.Context, p *parcel, sc *scratch, tape bool) error {
	p.reset()
	var err error
	switch {
	case s.play != nil:
		err = s.fillPlay(ctx, p, sc, tape)
	case s.manner.latest:
		s.fillNewest(p, sc)
	default:
		err = s.fill(ctx, p, sc, tape)
	}
	s.seal(p, sc)
	p.to = s.main.at
	return err
}

// seal ends a message.
func (s *session) seal(p *parcel, sc *scratch) {
	cursor := ""
	if p.messages > 0 {
		cursor = s.told()
	}
	p.seal(s.manner, cursor, sc)
}

// hasPlace reports whether one place says what the client has got. It does not while symbols are caught up on from an earlier place, or
// while the client has some up to a later one.
func (s *session) hasPlace() bool {
	return len(s.detours) == 0 && !slices.ContainsFunc(s.mutes, func(m mute) bool { return s.main.at.before(m.until) })
}

// cursor returns the place that the session is at.
func (s *session) cursor() string {
	at := s.main.at
	if s.play != nil && (s.play.closing || s.play.ended) {
		at = s.play.endAt
	}
	c := at.cursor(s.g.opt.Tape.Bounds().Epoch)
	if m := s.play.trail(); m != nil {
		return m.cursor(c)
	}
	return c.String()
}

// told returns the cursor that the client is told now; empty when it did not ask for any, or when there is none.
func (s *session) told() string {
	if !s.manner.cursors || !s.hasPlace() || s.subs.empty() {
		return ""
	}
	return s.cursor()
}

// paced sets when the next round of mode latest is due. Sessions with the same interval are due at the same moments, so that they share
// what is built for one of them. The clock of the wall says when that is, and the one that never steps when it has come.
func (s *session) paced(now time.Time) {
	s.due = now.Add(now.Truncate(s.every).Add(s.every).Sub(now))
}

// quiet returns until when nothing is to be built for the session, by its pace; zero when it has none.
func (s *session) quiet() time.Time {
	switch {
	case s.play != nil:
		return s.play.wake
	case s.manner.latest:
		return s.due
	}
	return time.Time{}
}

// duties does what time asks for: heartbeats and pings. It must be called again at the time that it returns or soon after.
func (s *session) duties(now time.Time) (next time.Time) {
	if s.end != nil {
		return now.Add(time.Hour)
	}
	if !now.Before(s.beat) {
		s.beat = now.Add(s.g.opt.Heartbeat)
		s.heartbeat(now)
	}
	if !now.Before(s.ping) {
		s.ping = now.Add(s.g.opt.Ping)
		if s.manner.carrier == inFrames {
			s.out = websocket.AppendFrame(s.out, websocket.OpPing, nil)
		} else {
			s.out = append(s.out, ":\n\n"...)
		}
	}
	next = s.beat
	if s.ping.Before(next) {
		next = s.ping
	}
	if s.authed || s.authBy.IsZero() {
		return next
	}
	if !now.Before(s.authBy) {
		s.say((&refusal{code: 404, msg: "auth timeout"}).append(nil))
		s.leave(&leave{codeAuthTimeout, "auth timeout", "auth"})
	} else if s.authBy.Before(next) {
		next = s.authBy
	}
	return next
}

// heartbeat tells the client that the connection is alive, and where it stands.
func (s *session) heartbeat(now time.Time) {
	if s.manner.dialect != native {
		return
	}
	text := appendHeartbeat([]byte{'['}, market.FromStd(now))
	if cursor := s.told(); cursor != "" {
		text = appendCursor(append(text, ','), cursor)
	}
	s.say(append(text, ']'))
}

func appendCursor(dst []byte, cursor string) []byte {
	return append(append(append(dst, `{"T":"cursor","c":"`...), cursor...), `"}`...)
}

func appendHeartbeat(dst []byte, t market.Time) []byte {
	return append(appendTime(append(dst, `{"T":"heartbeat","t":`...), t), '}')
}

// mostReason is how long the reason of a close frame may be. The longest of cursors, those of some plays, do not fit in; the client has had one then.
const mostReason = 123

// goodbye is how a session leaves at shutdown: with its place, so that the client can go on from there.
func (s *session) goodbye() {
	reason := "shutting down"
	if cursor := s.told(); cursor != "" && len(reason)+len(" cursor=")+len(cursor) <= mostReason {
		reason += " cursor=" + cursor
	}
	s.leave(&leave{websocket.CodeGoingAway, reason, "shutdown"})
}

// failed ends the session because of an error of compose.
func (s *session) failed(ctx context.Context, err error) {
	var trimmed *tape.TrimmedError
	switch {
	case errors.As(err, &trimmed):
		r := s.g.tooOld(ctx, trimmed.First)
		if s.manner.dialect != prices {
			s.say(r.append(nil))
		}
		s.leave(&leave{codeTrimmed, r.msg, "trimmed"})
	case ctx.Err() != nil:
		s.leave(&leave{label: "shutdown"})
	default:
		s.g.opt.Logger.Error("a session failed", "error", err)
		s.leave(&leave{websocket.CodeInternal, "internal error", "internal"})
	}
}

// isForNow reports whether an error of compose may go away by itself.
func isForNow(err error) bool {
	return errors.Is(err, tape.ErrUnavailable) || errors.Is(err, tape.ErrClosed)
}

// lingers is how long a client has to close after our goodbye.
const lingers = 5 * time.Second

// retryAfter is how long a session waits when the tape cannot be read for now.
const retryAfter = 100 * time.Millisecond

// lag keeps count of the sessions that read the tape.
func (s *session) lag(behind bool) {
	if behind == s.behind {
		return
	}
	s.behind = behind
	if behind {
		s.abreast = false
		s.g.metrics.catchingUp.Inc()
	} else {
		s.g.metrics.catchingUp.Dec()
	}
}

// patience is how long a client may be silent, or take to read what comes before its goodbye.
func (g *Gateway) patience() time.Duration { return 8 * g.opt.Ping }

// isDead reports whether a client has not been heard of for so long that it must be gone. One that is only slow to read, or that has
// nothing to say, is not: its system still answers for it where that can be asked, and elsewhere it is excused.
func (g *Gateway) isDead(now, heard time.Time, excused bool, silence func() (time.Duration, bool)) bool {
	if now.Sub(heard) < g.patience() {
		return false
	}
	if d, ok := silence(); ok {
		return d > g.patience()
	}
	return !excused
}

// closed counts a session that has ended.
func (s *session) closed() {
	s.lag(false)
	s.drop()
	s.forget()
	label := "gone"
	if s.end != nil {
		label = s.end.label
	}
	s.g.metrics.closes.WithLabelValues(label).Inc()
	s.g.metrics.sessions.WithLabelValues(s.stream).Dec()
}

// opened counts a session that begins, and greets the client.
func (s *session) opened(r *http.Request) {
	s.g.metrics.sessions.WithLabelValues(s.stream).Inc()
	s.keyed = r.Header.Get("APCA-API-KEY-ID") != "" || r.Header.Get("Authorization") != ""
	s.greet()
	if s.manner.carrier == inEvents {
		s.tell()
	}
}
