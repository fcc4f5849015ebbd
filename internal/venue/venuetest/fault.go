package venuetest

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// Fault is something that goes wrong.
type Fault uint8

// What can go wrong. Where a fault concerns connections, it concerns all that are open.
const (
	Cut           Fault = iota + 1 // TCP is reset in the middle of the next frame
	HalfOpen                       // nothing gets out and nothing is read; the socket stays
	Silence                        // nothing is sent any more, pings are answered
	Garbage                        // the next frame is random bytes
	BadUTF8                        // a text message that is not UTF-8
	BadJSON                        // a text message that ends early
	Duplicate                      // the next trade comes twice
	Reorder                        // the next trade comes after the one that follows it
	Drop                           // the next trade does not come
	Stale                          // an old trade comes again
	Drip                           // what is sent arrives a few bytes at a time
	Huge                           // a message of 11 MB of a type that nobody knows
	NotANumber                     // the next trade comes with a price of NaN
	UnknownType                    // a message of a type that nobody knows
	GoingAway                      // closed with 1001
	InternalError                  // closed with 1011
	TryAgain                       // closed with 1013
	Policy                         // closed with 1008
	RefuseDial                     // closed, and the next handshake is answered by 503
	LimitDial                      // closed, and the next handshake is answered by 429 and Retry-After: 1
	LimitREST                      // the next request of history is answered by 429
	BreakREST                      // the next request of history is answered by 503
	Mute                           // one symbol is silent until it is subscribed to anew; the rest goes on
	Shutdown                       // announced as the venue does, then closed
	Dumb                           // closed, and the next connection is accepted and stays silent
	faults
)

// String names the fault.
func (f Fault) String() string {
	return [...]string{
		"none", "cut", "half_open", "silence", "garbage", "bad_utf8", "bad_json", "duplicate", "reorder", "drop", "stale", "drip", "huge", "nan",
		"unknown_type", "going_away", "internal_error", "try_again", "policy", "refuse_dial", "limit_dial", "limit_rest", "break_rest", "mute",
		"shutdown", "dumb",
	}[f]
}

// Faults returns all faults.
func Faults() []Fault {
	list := make([]Fault, 0, faults)
	for f := Cut; f < faults; f++ {
		list = append(list, f)
	}
	return list
}

// Inject lets something go wrong. Rng says how, where there is a choice.
func (s *Server) Inject(f Fault, rng *rand.Rand) {
	switch f {
	case RefuseDial:
		s.RefuseDials(1, http.StatusServiceUnavailable, 0)
	case LimitDial:
		s.RefuseDials(1, http.StatusTooManyRequests, time.Second)
	case LimitREST:
		s.refuseNext(http.StatusTooManyRequests)
	case BreakREST:
		s.refuseNext(http.StatusServiceUnavailable)
	case Dumb:
		s.mu.Lock()
		s.dumb++
		s.mu.Unlock()
	default:
	}
	for _, c := range s.Conns() {
		c.inject(f, rng)
	}
}

// RefuseDials answers the next n handshakes with a status, and Retry-After if it is not 0.
func (s *Server) RefuseDials(n, status int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.dials = append(s.dials, refusal{status, after})
	}
}

// RefuseREST answers the next n REST requests with a status, and Retry-After if it is not 0.
func (s *Server) RefuseREST(n, status int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.gets = append(s.gets, refusal{status, after})
	}
}

// refuseNext refuses one more request, unless some are to be refused anyway: a client that is told no again and again gives up, rightly.
func (s *Server) refuseNext(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.gets) < 3 {
		s.gets = append(s.gets, refusal{status: status})
	}
}

// inject lets something go wrong on one connection.
func (c *Conn) inject(f Fault, rng *rand.Rand) {
	switch f {
	case Cut:
		c.socket.set(cutting, rng)
	case HalfOpen:
		c.socket.set(halfOpen, rng)
	case Garbage:
		c.socket.set(garbling, rand.New(rand.NewPCG(rng.Uint64(), 0))) // one of its own: it writes when it likes
	case Drip:
		c.socket.set(dripping, rng)
	case Silence:
		c.mu.Lock()
		c.silent = true
		c.mu.Unlock()
	case BadUTF8:
		c.Send([]byte("{\"type\":\"\xff\xfe\"}"))
	case BadJSON:
		c.Send([]byte(`{"type":"mat`))
	case Duplicate, Reorder, Drop, NotANumber:
		c.mu.Lock()
		c.plan = append(c.plan, f)
		c.mu.Unlock()
	case Stale:
		c.again(rng)
	case Huge:
		c.unknown(11 << 20)
	case UnknownType:
		c.unknown(100)
	case GoingAway:
		c.Close(websocket.StatusGoingAway, "maintenance")
	case InternalError:
		c.Close(websocket.StatusInternalError, "internal error")
	case TryAgain:
		c.Close(websocket.StatusTryAgainLater, "try again later")
	case Policy:
		c.Close(websocket.StatusPolicyViolation, "too slow")
	case RefuseDial, LimitDial, Dumb:
		c.socket.reset()
	case Mute:
		c.mute(rng)
	case Shutdown:
		c.shutdown()
	default:
	}
}

// again sends an old trade of each symbol.
func (c *Conn) again(rng *rand.Rand) {
	for _, symbol := range c.Subscribed() {
		if list := c.s.Trades(symbol); len(list) > 0 && c.s.profile.Trade != nil {
			back := min(50, len(list))
			c.call.Lock()
			msg := c.s.profile.Trade(c, &list[len(list)-1-rng.IntN(back)])
			c.call.Unlock()
			c.Send(msg)
		}
	}
}

func (c *Conn) unknown(ballast int) {
	if c.s.profile.Unknown != nil {
		c.Send(c.s.profile.Unknown(ballast))
	}
}

func (c *Conn) mute(rng *rand.Rand) {
	symbols := c.Subscribed()
	if len(symbols) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted[symbols[rng.IntN(len(symbols))]] = true
}

// Mute lets one symbol be silent on the connections that are open.
func (s *Server) Mute(symbol string) {
	for _, c := range s.Conns() {
		c.mu.Lock()
		c.muted[symbol] = true
		c.mu.Unlock()
	}
}

// shutdown announces the end of the connection, if the venue does that, and ends it.
func (c *Conn) shutdown() {
	grace := time.Duration(0)
	if c.s.profile.Notice != nil {
		c.Send(c.s.profile.Notice(c))
		grace = c.s.opts.Grace
	}
	timer := time.AfterFunc(grace, func() { c.Close(websocket.StatusGoingAway, "shutdown") })
	c.s.t.Cleanup(func() { timer.Stop() })
}
