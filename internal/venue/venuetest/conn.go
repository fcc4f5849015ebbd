package venuetest

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/coder/websocket"
)

// Conn is one connection of a client.
type Conn struct {
	Request *http.Request // of the handshake
	State   any           // of the profile's own

	s      *Server
	ws     *websocket.Conn
	socket *socket
	call   sync.Mutex // held while the profile is asked to do something with this connection
	out    chan frame
	done   chan struct{}

	mu      sync.Mutex
	symbols map[string]bool
	silent  bool // nothing is sent any more
	muted   map[string]bool
	plan    []Fault // what happens to the next trades
	held    [][]byte
}

// frame is a message to a client, or the end of the connection.
type frame struct {
	data   []byte
	code   websocket.StatusCode // not 0: close with it
	reason string
}

// Server returns the server.
func (c *Conn) Server() *Server { return c.s }

// run talks to the client until the connection ends.
func (c *Conn) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		c.write(ctx)
	})
	c.do(c.s.profile.Opened)
	for {
		_, msg, err := c.ws.Read(ctx)
		if err != nil {
			break
		}
		if c.s.profile.Message != nil && !c.isSilent() {
			c.call.Lock()
			c.s.profile.Message(c, msg)
			c.call.Unlock()
		}
	}
	stop()
	close(c.done)
	_ = c.socket.Close()
	wg.Wait()
	_ = c.ws.CloseNow()
}

func (c *Conn) do(f func(*Conn)) {
	if f != nil && !c.isSilent() {
		c.call.Lock()
		f(c)
		c.call.Unlock()
	}
}

func (c *Conn) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-c.out:
			if f.code != 0 {
				_ = c.ws.Close(f.code, f.reason)
				return
			}
			if c.ws.Write(ctx, websocket.MessageText, f.data) != nil {
				return
			}
		}
	}
}

func (c *Conn) put(f frame) {
	if c.isSilent() || f.data == nil && f.code == 0 { // A profile may have nothing to say of a tick to this connection.
		return
	}
	select {
	case c.out <- f:
	case <-c.done:
	}
}

func (c *Conn) isSilent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent
}

// Send sends a text message.
func (c *Conn) Send(msg []byte) { c.put(frame{data: msg}) }

// Close ends the connection in order, after what was sent before.
func (c *Conn) Close(code websocket.StatusCode, reason string) {
	c.put(frame{code: code, reason: reason})
}

// Subscribe lets the connection have the ticks of symbols from now on.
func (c *Conn) Subscribe(symbols ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range symbols {
		c.symbols[s] = true
		delete(c.muted, s) // who asks again is heard
	}
}

// Unsubscribe undoes Subscribe.
func (c *Conn) Unsubscribe(symbols ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range symbols {
		delete(c.symbols, s)
	}
}

// Subscribed returns what the connection has subscribed to, sorted.
func (c *Conn) Subscribed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.symbols))
}

// quote sends a quote if the connection has subscribed to its symbol.
func (c *Conn) quote(q *Quote) {
	c.mu.Lock()
	wanted := c.symbols[q.Symbol] && !c.muted[q.Symbol]
	c.mu.Unlock()
	if wanted && c.s.profile.Quote != nil {
		c.call.Lock()
		msg := c.s.profile.Quote(c, q)
		c.call.Unlock()
		c.Send(msg)
	}
}

// trade sends a trade if the connection has subscribed to its symbol, with what is planned to go wrong.
func (c *Conn) trade(t *Trade) {
	c.mu.Lock()
	wanted := c.symbols[t.Symbol] && !c.muted[t.Symbol]
	var fault Fault
	if wanted && len(c.plan) > 0 {
		fault, c.plan = c.plan[0], c.plan[1:]
	}
	held := c.held
	if wanted {
		c.held = nil
	}
	c.mu.Unlock()
	if !wanted || c.s.profile.Trade == nil {
		return
	}
	c.call.Lock()
	msg := c.s.profile.Trade(c, t)
	c.call.Unlock()
	switch fault {
	case Drop:
	case Duplicate:
		c.Send(msg)
		c.Send(msg)
	case Reorder:
		c.mu.Lock()
		c.held = append(c.held, msg)
		c.mu.Unlock()
	case NotANumber:
		if c.s.profile.Broken != nil {
			c.Send(c.s.profile.Broken(t))
		}
	default:
		c.Send(msg)
	}
	for _, late := range held {
		c.Send(late)
	}
}
