package venuetest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Server is an emulated venue.
type Server struct {
	t       testing.TB
	profile *Profile
	opts    Options
	http    *http.Server
	host    string
	ctx     context.Context //nolint:containedctx // the lifetime of the server, which is that of its test
	wg      sync.WaitGroup

	mu       sync.Mutex
	conns    []*Conn
	closed   bool
	connects []time.Time
	requests int
	trades   map[string][]Trade
	quotes   map[string]uint64
	dials    []refusal // answers to the next handshakes
	gets     []refusal // answers to the next REST requests
	dumb     int       // so many connections to come stay silent
}

// refusal is an answer in place of what was asked for.
type refusal struct {
	status int
	after  time.Duration
}

type socketKey struct{}

// Start runs an emulated venue until the test ends.
func Start(t testing.TB, p *Profile, o Options) *Server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		t.Fatal(err)
	}
	s := &Server{
		t: t, profile: p, opts: o.withDefaults(), host: l.Addr().String(), ctx: ctx,
		trades: make(map[string][]Trade), quotes: make(map[string]uint64),
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: 10 * time.Second,
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, socketKey{}, c) },
	}
	s.wg.Go(func() { _ = s.http.Serve(listener{l}) })
	s.wg.Go(s.beat)
	t.Cleanup(func() {
		stop()
		s.mu.Lock()
		s.closed = true
		conns := slices.Clone(s.conns)
		s.mu.Unlock()
		for _, c := range conns {
			_ = c.socket.Close()
		}
		_ = s.http.Close()
		s.wg.Wait()
	})
	return s
}

// URL returns the address of the stream.
func (s *Server) URL() string { return "ws://" + s.host }

// REST returns the address of the REST API.
func (s *Server) REST() string { return "http://" + s.host }

// Now is the venue's clock.
func (s *Server) Now() time.Time { return time.Now().Add(s.opts.Skew) }

// serve answers a request: a handshake, or one of the REST API.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	upgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	s.mu.Lock()
	list := &s.gets
	if upgrade {
		s.connects = append(s.connects, time.Now())
		list = &s.dials
	} else {
		s.requests++
	}
	var no *refusal
	if len(*list) > 0 {
		no = &(*list)[0]
		*list = (*list)[1:]
	}
	s.mu.Unlock()
	switch {
	case no != nil:
		if no.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((no.after+time.Second-1)/time.Second)))
		}
		w.WriteHeader(no.status)
	case upgrade:
		s.accept(w, r)
	case s.profile.REST == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
		s.profile.REST(s, w, r)
	}
}

func (s *Server) accept(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return
	}
	ws.SetReadLimit(1 << 20)
	sock, _ := r.Context().Value(socketKey{}).(*socket)
	c := &Conn{
		s: s, ws: ws, socket: sock, Request: r, symbols: make(map[string]bool), muted: make(map[string]bool), out: make(chan frame, 1<<16),
		done: make(chan struct{}),
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = ws.CloseNow()
		return
	}
	if s.dumb > 0 {
		s.dumb--
		c.silent = true
	}
	s.conns = append(s.conns, c)
	s.wg.Add(1)
	defer s.wg.Done()
	s.mu.Unlock()
	c.run(s.ctx)
	s.mu.Lock()
	s.conns = slices.DeleteFunc(s.conns, func(other *Conn) bool { return other == c })
	s.mu.Unlock()
}

// beat lets every connection beat.
func (s *Server) beat() {
	ticker := time.NewTicker(s.opts.Beat)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		if s.profile.Beat == nil {
			continue
		}
		for _, c := range s.Conns() {
			c.call.Lock()
			s.profile.Beat(c)
			c.call.Unlock()
		}
	}
}

// Trade makes the next trade of a symbol: it is the truth from now on, and sent to whoever subscribed to it.
func (s *Server) Trade(symbol string) Trade {
	s.mu.Lock()
	list := s.trades[symbol]
	id := s.opts.First
	now := s.Now().UTC().Truncate(time.Millisecond)
	if n := len(list); n > 0 {
		id = list[n-1].ID + 1
		if !now.After(list[n-1].Time) {
			now = list[n-1].Time.Add(time.Millisecond)
		}
	}
	t := Trade{
		Symbol: symbol, ID: id, Price: fmt.Sprintf("%d.%02d", 100+id%900, id%100), Size: fmt.Sprintf("0.%04d0", 1+id%9999), Buy: id%2 == 0, Time: now,
	}
	s.trades[symbol] = append(list, t)
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, c := range conns {
		c.trade(&t)
	}
	return t
}

// Quote makes a quote of a symbol and sends it to whoever subscribed to it.
func (s *Server) Quote(symbol string) Quote {
	s.mu.Lock()
	s.quotes[symbol]++
	id := s.quotes[symbol]
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	q := Quote{
		Symbol: symbol, ID: id, Bid: fmt.Sprintf("%d.10", 100+id%900), BidSize: "1.50", Ask: fmt.Sprintf("%d.20", 100+id%900), AskSize: "2.0",
		Time: s.Now().UTC().Truncate(time.Millisecond),
	}
	for _, c := range conns {
		c.quote(&q)
	}
	return q
}

// Trades returns the truth about a symbol, in order.
func (s *Server) Trades(symbol string) []Trade {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.trades[symbol])
}

// Range returns the trades of a symbol with low ≤ number < high; a high of 0 is without end.
func (s *Server) Range(symbol string, low, high uint64) []Trade {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.trades[symbol]
	by := func(t Trade, id uint64) int { return cmp.Compare(t.ID, id) }
	i, _ := slices.BinarySearchFunc(list, low, by)
	j := len(list)
	if high != 0 {
		j, _ = slices.BinarySearchFunc(list, high, by)
	}
	return slices.Clone(list[i:max(i, j)])
}

// Last returns the last trade of a symbol, with number 0 when there is none.
func (s *Server) Last(symbol string) Trade {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.trades[symbol]; len(list) > 0 {
		return list[len(list)-1]
	}
	return Trade{Symbol: symbol}
}

// Conns returns the connections that are open.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Connects returns when handshakes came, refused ones included.
func (s *Server) Connects() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.connects)
}

// Requests returns how many requests the REST API got, refused ones included.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}
