package feed

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/market"
)

// Offer is what a feed on demand would bring: symbols that somebody wants, besides those that it brings anyway.
type Offer struct {
	Feed  string // its name
	Venue string // first part of its symbols

	// Limit is how many symbols the feed may carry at once, those that it brings anyway included: what the plan of its account allows.
	// 0 is a thousand.
	Limit int

	// Linger is how long a symbol is still carried that nobody wants any more, so that a client that reconnects misses nothing and
	// the venue is not asked again and again; 0 is a minute.
	Linger time.Duration

	// Fixed are the symbols that the feed brings anyway.
	Fixed []market.Symbol

	// Name returns the symbol that a user means by a name such as AAPL or BTC/USD, or why the feed has none of it.
	Name func(name string) (market.Symbol, error)
}

const (
	defaultLinger = time.Minute
	defaultWishes = 1000
)

// ErrNoRoom is wrapped by errors of Want.
var ErrNoRoom = errors.New("symbol limit exceeded")

// Wishes are the symbols that clients want of feeds on demand. Whoever wants a symbol counts, and what nobody wants is let go after
// a while. There is one in a process: clients say what they want, and each feed on demand takes it from its Demand. Its methods may
// be called at once, but for Offer, which comes first.
type Wishes struct {
	demands []*Demand
	mu      sync.Mutex // guards what is wanted of all of them
}

// NewWishes returns the wishes of nobody.
func NewWishes() *Wishes { return &Wishes{} }

// Offer makes a feed one on demand. A feed may do so once.
func (w *Wishes) Offer(o Offer) error {
	if o.Linger == 0 {
		o.Linger = defaultLinger
	}
	if o.Limit == 0 {
		o.Limit = defaultWishes
	}
	switch {
	case o.Name == nil || o.Venue == "" || o.Limit < 0 || o.Linger < 0:
		return fmt.Errorf("BUG: the offer of feed %s is not complete", o.Feed)
	case w.Demand(o.Feed) != nil:
		return fmt.Errorf("feed %s is on demand twice", o.Feed)
	case len(o.Fixed) > o.Limit:
		return fmt.Errorf("feed %s names %d symbols, which is more than its limit of %d", o.Feed, len(o.Fixed), o.Limit)
	}
	o.Fixed = slices.Clone(o.Fixed)
	w.demands = append(w.demands, &Demand{offer: o, mu: &w.mu, wanted: make(map[market.Symbol]*wish), changed: make(chan struct{})})
	return nil
}

// Demand returns what is wanted of a feed, nil when it is not one on demand.
func (w *Wishes) Demand(feed string) *Demand {
	if w == nil {
		return nil
	}
	for _, d := range w.demands {
		if d.offer.Feed == feed {
			return d
		}
	}
	return nil
}

// Name returns the symbols that feeds on demand have under a name that a user says, with or without the venue before it.
func (w *Wishes) Name(text string) []market.Symbol {
	var list []market.Symbol
	name := text
	full, err := market.ParseSymbol(text)
	if err == nil {
		name = full.Name()
	}
	for _, d := range w.demands {
		if err == nil && full.Venue() != d.offer.Venue {
			continue
		}
		if s, err := d.offer.Name(name); err == nil && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// of returns the feed that would bring a symbol, nil when none would, or one brings it anyway.
func (w *Wishes) of(s market.Symbol) *Demand {
	for _, d := range w.demands {
		if slices.Contains(d.offer.Fixed, s) {
			return nil
		}
	}
	for _, d := range w.demands {
		if s.Venue() != d.offer.Venue {
			continue
		}
		if named, err := d.offer.Name(s.Name()); err == nil && named == s {
			return d
		}
	}
	return nil
}

// Want counts a client in for each of the symbols, each named once, or for none of them when a feed has no room for all: the error
// wraps ErrNoRoom then. What no feed brings on demand is nobody's concern. The client calls Release with the same symbols, all at
// once or one by one.
func (w *Wishes) Want(symbols []market.Symbol) error {
	lists := w.divide(symbols)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, d := range w.demands {
		if err := d.hasRoom(lists[i]); err != nil {
			return err
		}
	}
	for i, d := range w.demands {
		d.want(lists[i])
	}
	return nil
}

// Release takes back a Want.
func (w *Wishes) Release(symbols []market.Symbol) {
	lists := w.divide(symbols)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, d := range w.demands {
		d.release(lists[i])
	}
}

// divide says which symbols each feed would bring.
func (w *Wishes) divide(symbols []market.Symbol) [][]market.Symbol {
	lists := make([][]market.Symbol, len(w.demands))
	for _, s := range symbols {
		if i := slices.Index(w.demands, w.of(s)); i >= 0 {
			lists[i] = append(lists[i], s)
		}
	}
	return lists
}

// Demand is what is wanted of one feed. Its methods may be called at once.
type Demand struct {
	offer Offer

	mu      *sync.Mutex // that of the wishes
	wanted  map[market.Symbol]*wish
	changed chan struct{}
}

// wish is a symbol that clients want, or wanted a short while ago.
type wish struct {
	clients int
	left    time.Time // when the last client let it go
	refused bool      // by the venue
}

// Wanted appends the symbols that the feed is to carry besides those of its own, sorted: those that clients want, and those that they
// wanted until a short while ago. What the venue refused is not among them. It is to be asked when Changed says so, and about once a
// second.
func (d *Demand) Wanted(dst []market.Symbol) []market.Symbol {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	first := len(dst)
	for s, w := range d.wanted {
		switch {
		case w.clients == 0 && now.Sub(w.left) >= d.offer.Linger:
			delete(d.wanted, s)
		case !w.refused:
			dst = append(dst, s)
		}
	}
	slices.Sort(dst[first:])
	return dst
}

// Changed returns a channel that is closed when clients want something else. Who waits asks for it before it asks for Wanted.
func (d *Demand) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Refused says that the venue won't bring a symbol. It is not wanted any more until another client asks for it.
func (d *Demand) Refused(s market.Symbol) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.wanted[s]; w != nil {
		w.refused = true
	}
}

// tell wakes who waits for a change. It is called with mu held.
func (d *Demand) tell() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// isFresh reports whether the venue is to be asked for a symbol when a client wants it. It is called with mu held.
func (d *Demand) isFresh(s market.Symbol) bool {
	w := d.wanted[s]
	return w == nil || w.refused
}

// hasRoom returns an error when the symbols can't be carried besides those that clients want. It is called with mu held.
func (d *Demand) hasRoom(symbols []market.Symbol) error {
	carried := len(d.offer.Fixed)
	fresh := false
	for _, s := range symbols {
		if w := d.wanted[s]; w == nil || w.refused || w.clients == 0 {
			carried++
			fresh = true
		}
	}
	for _, w := range d.wanted {
		if w.clients > 0 && !w.refused {
			carried++
		}
	}
	if fresh && carried > d.offer.Limit {
		return fmt.Errorf("%w: feed %s may carry %d", ErrNoRoom, d.offer.Feed, d.offer.Limit)
	}
	return nil
}

// want counts a client in for each of the symbols, which have room. It is called with mu held.
func (d *Demand) want(symbols []market.Symbol) {
	fresh := false
	for _, s := range symbols {
		fresh = fresh || d.isFresh(s)
		w := d.wanted[s]
		if w == nil {
			w = &wish{}
			d.wanted[s] = w
		}
		w.clients++
		w.refused = false
	}
	if fresh {
		d.makeRoom()
		d.tell()
	}
}

// makeRoom lets go what nobody wants any more, the longest unwanted first, until the rest has room. It is called with mu held.
func (d *Demand) makeRoom() {
	var idle []market.Symbol
	carried := len(d.offer.Fixed)
	for s, w := range d.wanted {
		if w.refused {
			continue
		}
		carried++
		if w.clients == 0 {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b market.Symbol) int { return d.wanted[a].left.Compare(d.wanted[b].left) })
	for _, s := range idle[:min(max(carried-d.offer.Limit, 0), len(idle))] {
		delete(d.wanted, s)
	}
}

// release counts a client out for each of the symbols. It is called with mu held.
func (d *Demand) release(symbols []market.Symbol) {
	for _, s := range symbols {
		w := d.wanted[s]
		if w == nil || w.clients == 0 {
			panic("BUG: symbol " + string(s) + " is released more often than it was wanted")
		}
		w.clients--
		if w.clients > 0 {
			continue
		}
		w.left = time.Now()
		if w.refused {
			delete(d.wanted, s)
		}
	}
}
