package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// source is a feed of one venue.
type source struct {
	venue    venue.Venue
	traits   venue.Traits
	history  venue.History // nil: there is none
	kinds    venue.Kinds
	names    []string // as the user wrote them
	compress bool
	t        timings
	start    feed.Start
	log      *slog.Logger
	rest     *rest
	dialer   *http.Client
	gate     *gate
	random   func(n int64) int64

	desk  *desk
	sink  feed.Sink
	fills chan struct{} // a token for each hole that is being filled
	work  sync.WaitGroup
	links sync.WaitGroup
	ended chan error // what a hole's filling failed with

	unlisted atomic.Bool // the venue's list could not be read: names that it does not know may be among the symbols

	proven atomic.Bool // the venue took us once: a refusal may pass

	mu      sync.Mutex
	groups  []*group
	open    int
	carried map[market.Symbol]int  // by how many connections
	changed bool                   // carried is not told yet
	stale   map[market.Symbol]bool // symbols that were told to be without a connection
	listed  []venue.Instrument
	renewal []venue.Instrument
	strikes map[market.Symbol]int  // connections in a row that a symbol was not acknowledged on
	ever    map[market.Symbol]bool // symbols that were taken once
	denied  []string               // refusals, to be told when nothing is left
}

var _ feed.Source = (*source)(nil)

// Traits implements feed.Source.
func (s *source) Traits() feed.Traits { return feed.Traits{Mends: true} }

// Run implements feed.Source.
func (s *source) Run(ctx context.Context, sink feed.Sink) (err error) {
	instruments, err := s.instruments(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.sink = sink
	s.begin(ctx, sink, instruments)
	var groups sync.WaitGroup
	for _, g := range s.groups {
		groups.Go(func() {
			if err := g.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	err = s.supervise(ctx)
	cancel(err)
	groups.Wait()
	s.links.Wait()
	s.work.Wait()
	s.start.Account.Lines(0)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// instruments finds what the names of the URL stand for.
func (s *source) instruments(ctx context.Context) ([]venue.Instrument, error) {
	if len(s.names) == 0 {
		return nil, nil
	}
	asking, stop := context.WithTimeoutCause(ctx, s.t.dial, errors.New("it did not answer in time"))
	defer stop()
	found, listed, err := resolve(asking, s.venue, s.rest, s.names)
	switch {
	case err != nil && found == nil:
		return nil, err
	case err != nil:
		s.log.WarnContext(ctx, "going on with the names as they are written", "error", err)
		s.unlisted.Store(true)
	}
	for _, in := range found {
		if in.Resting {
			s.log.InfoContext(ctx, "the venue lists a symbol that is not traded now", "symbol", in.Symbol)
		}
	}
	s.listed = listed
	if len(listed) > 0 {
		s.start.Account.Lists(listed)
	}
	return found, nil
}

// begin makes the desk and divides the instruments between connections.
func (s *source) begin(ctx context.Context, sink feed.Sink, instruments []venue.Instrument) {
	s.desk = &desk{
		sink: sink, start: s.start, log: s.log, traits: s.traits, history: s.history != nil, t: s.t, books: make(map[market.Symbol]*book),
		fill: func(b *book, h venue.Hole, reason string) {
			s.work.Go(func() {
				if err := s.fillHole(ctx, b, h, reason); err != nil {
					select {
					case s.ended <- err:
					default:
					}
				}
			})
		},
		renew: func(in venue.Instrument) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.renewal = append(s.renewal, in)
		},
	}
	for _, in := range instruments {
		s.desk.know(in, false)
	}
	for _, kinds := range s.divided() {
		per := s.traits.Symbols
		if per == 0 || per > len(instruments) {
			per = max(len(instruments), 1)
		}
		made := 0
		for part := range slices.Chunk(instruments, per) {
			s.groups = append(s.groups, &group{s: s, kinds: kinds, instruments: slices.Clone(part)})
			made++
		}
		if made == 0 {
			s.groups = append(s.groups, &group{s: s, kinds: kinds})
		}
	}
	s.gate.most = max(connects, len(s.groups))
}

// divided returns the kinds of each connection: all on one, unless the venue has them at different addresses.
func (s *source) divided() []venue.Kinds {
	if s.kinds == venue.Trades|venue.Quotes {
		trades, _ := s.venue.Endpoint(venue.Trades)
		quotes, _ := s.venue.Endpoint(venue.Quotes)
		if trades != quotes {
			return []venue.Kinds{venue.Trades, venue.Quotes}
		}
	}
	return []venue.Kinds{s.kinds}
}

// supervise does what concerns all connections, until ctx is done or nothing is left to do.
func (s *source) supervise(ctx context.Context) error {
	ticker := time.NewTicker(s.t.sweep)
	defer ticker.Stop()
	wishes := time.NewTicker(time.Second)
	defer wishes.Stop()
	lists := time.NewTicker(s.t.unlisted)
	defer lists.Stop()
	var reading atomic.Bool
	var changed <-chan struct{}
	if s.start.Demand != nil {
		changed = s.start.Demand.Changed()
		s.wish(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-s.ended:
			return err
		case <-ticker.C:
			if err := s.desk.sweep(ctx); err != nil {
				return err
			}
			s.renewAll(ctx)
			s.tellCarried()
			if err := s.left(); err != nil {
				return err
			}
		case <-lists.C:
			if s.unlisted.Load() && reading.CompareAndSwap(false, true) {
				s.work.Go(func() {
					defer reading.Store(false)
					s.readList(ctx)
				})
			}
		case <-changed:
			changed = s.start.Demand.Changed()
			s.wish(ctx)
		case <-wishes.C:
			if s.start.Demand != nil {
				s.wish(ctx)
			}
		}
	}
}

// left returns an error when the venue has refused everything that the feed is for.
func (s *source) left() error {
	if s.start.Demand != nil || s.traits.Open {
		return nil
	}
	for _, g := range s.groups {
		if len(g.list()) > 0 {
			return nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return feed.Permanent(fmt.Errorf("the venue refuses every symbol: %s: %w", s.denied[0], venue.ErrRefused))
}

// renewAll subscribes anew to symbols whose stream fell silent.
func (s *source) renewAll(ctx context.Context) {
	s.mu.Lock()
	list := s.renewal
	s.renewal = nil
	s.mu.Unlock()
	for _, in := range list {
		for _, g := range s.groups {
			if g.kinds&venue.Trades != 0 && g.has(in.Symbol) {
				s.log.WarnContext(ctx, "the stream of a symbol fell silent; subscribing anew", "symbol", in.Symbol)
				g.change(ctx, []venue.Instrument{in}, []venue.Instrument{in}, silent)
			}
		}
	}
}

// wish subscribes to what clients want and lets go what nobody wants any more.
func (s *source) wish(ctx context.Context) {
	wanted := s.start.Demand.Wanted(nil)
	fixed := func(symbol market.Symbol) bool {
		return slices.ContainsFunc(s.names, func(name string) bool {
			in, err := s.venue.Name(name)
			return err == nil && in.Symbol == symbol
		})
	}
	for _, kinds := range s.divided() {
		var groups []*group
		have := make(map[market.Symbol]*group)
		for _, g := range s.groups {
			if g.kinds != kinds {
				continue
			}
			groups = append(groups, g)
			for _, in := range g.list() {
				have[in.Symbol] = g
				if !slices.Contains(wanted, in.Symbol) && !fixed(in.Symbol) {
					g.change(ctx, nil, []venue.Instrument{in}, notWanted)
					if kinds&venue.Trades != 0 {
						s.desk.unwanted(in.Symbol)
					}
				}
			}
		}
		var add []venue.Instrument
		for _, symbol := range wanted {
			if have[symbol] != nil {
				continue
			}
			in, err := s.venue.Name(symbol.Name())
			if err != nil {
				s.start.Demand.Refused(symbol)
				continue
			}
			s.desk.know(in, true)
			add = append(add, in)
		}
		if len(add) > 0 {
			// On demand there is one connection a kind; a plan's limit is below what a connection carries.
			groups[0].change(ctx, add, nil, "")
		}
	}
}

// refused notes that the venue will not serve a symbol. The feed goes on with the others.
func (s *source) refused(ctx context.Context, in venue.Instrument, reason string) {
	for _, g := range s.groups {
		g.remove(in.Symbol)
	}
	s.mu.Lock()
	s.denied = append(s.denied, in.Symbol.Name()+": "+reason)
	s.mu.Unlock()
	s.log.ErrorContext(ctx, "the venue refuses a symbol; going on with the others", "symbol", in.Symbol, "reason", reason)
	s.start.Account.Refused(in.Symbol, reason)
	if s.start.Demand != nil {
		s.start.Demand.Refused(in.Symbol)
	}
	at := now()
	err := s.desk.tell(ctx, market.Entry{
		Kind: market.KindStatus, Symbol: in.Symbol, State: market.StateDown, Event: at, Received: at, Text: "refused by the venue: " + reason,
	})
	if err != nil {
		s.log.DebugContext(ctx, "could not tell that a symbol was refused", "error", err)
	}
}

// carries notes that one more connection carries a symbol.
func (s *source) carries(ctx context.Context, symbol market.Symbol) {
	s.mu.Lock()
	s.carried[symbol]++
	s.changed = true
	s.ever[symbol] = true
	delete(s.strikes, symbol)
	revived := s.stale[symbol]
	delete(s.stale, symbol)
	s.mu.Unlock()
	if revived {
		at := now()
		e := market.Entry{Kind: market.KindStatus, Symbol: symbol, State: market.StateLive, Event: at, Received: at}
		_ = s.desk.tell(ctx, e) // a sink that is over says so to the next who pushes
	}
}

// strike counts a connection that a symbol was not acknowledged on, and tells whether it ever was.
func (s *source) strike(symbol market.Symbol) (n int, ever bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strikes[symbol]++
	return s.strikes[symbol], s.ever[symbol]
}

// carriesNot notes that one connection less carries the symbols.
func (s *source) carriesNot(symbols []market.Symbol) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = true
	for _, symbol := range symbols {
		if s.carried[symbol]--; s.carried[symbol] <= 0 {
			delete(s.carried, symbol)
		}
	}
}

// tellCarried says what is carried, when that has changed.
func (s *source) tellCarried() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed {
		s.changed = false
		s.start.Account.Carries(slices.Collect(maps.Keys(s.carried)))
	}
}

// count counts connections that are up.
func (s *source) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
	s.start.Account.Lines(s.open)
}

// state tells that a group is without a connection: the feed when no other is up, else its symbols.
func (s *source) state(ctx context.Context, g *group, why error) {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	at := now()
	var list []market.Entry
	if open == 0 {
		state := market.StateDown
		if errors.Is(why, errIdle) {
			state = market.StateLive
		}
		list = append(list, market.Entry{Kind: market.KindStatus, State: state, Event: at, Received: at, Text: why.Error()})
	} else {
		for _, in := range g.list() {
			s.mu.Lock()
			s.stale[in.Symbol] = true
			s.mu.Unlock()
			list = append(list, market.Entry{
				Kind: market.KindStatus, Symbol: in.Symbol, State: market.StateStale, Event: at, Received: at, Text: why.Error(),
			})
		}
	}
	for _, e := range list {
		if s.desk.tell(ctx, e) != nil {
			return
		}
	}
}

// lifetime returns the age at which a connection is replaced: somewhat before the venue ends it, and not all at once.
func (s *source) lifetime() time.Duration {
	l := s.traits.Lifetime
	if l <= 0 {
		return 0
	}
	return l - time.Duration(s.random(int64(l/16)+1)) - l/32
}

// explain says why a connection ended.
func (s *source) explain(host string, err error) error {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		err = fmt.Errorf("%s closed the connection: %d %.120s", host, closed.Code, closed.Reason)
		if closed.Code == websocket.StatusTryAgainLater {
			return &venue.RetryError{Err: err, After: time.Second}
		}
		return err
	}
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s ended the connection", host)
	case errors.As(err, &op):
		return fmt.Errorf("the connection to %s was lost: %w", host, op.Err)
	}
	return withoutURL(err)
}

func processRandom(n int64) int64 { return rand.Int64N(n) }
