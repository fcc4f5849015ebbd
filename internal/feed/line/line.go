// Package line is the connection to a market, for all venues alike: what is particular to one is a venue.Venue. It dials,
// subscribes and checks what the venue acknowledged, notices a dead line, connects again without hammering, replaces connections
// before they end, sees trades that did not arrive, fetches them from the venue's history, and says what could not be had.
//
//	coinbase://BTC-USD,ETH-USD?kinds=trades,quotes
//
// The parameters that all venues know:
//
//	kinds      trades, quotes, or both (default: both)
//	url        address of the stream, for a region or a test: ws://127.0.0.1:8080
//	rest       address of the REST API
//	compress   true asks for permessage-deflate
//	on-demand  true: symbols that clients ask for are subscribed to while they do
//	limit      symbols at once, on demand
//	linger     how long a symbol stays that nobody asks for any more
//
// A feed keeps an order of its own for each symbol. Live trades that come after a hole wait while it is filled, at most two
// minutes and 8 MiB; those of other symbols don't. What was fetched has market.FlagBackfilled; a gap with market.FlagFilled
// says where, one without it says what is missing, and why.
package line

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Kind is a kind of feeds: a venue, and how its URLs are read.
type Kind struct {
	Scheme string
	Params []string // besides those that all venues know

	// New returns the venue of a URL. It touches neither files nor network, unless for a secret.
	New func(u *feed.URL) (venue.Venue, error)

	// Names returns the symbols that the URL names; nil: what stands before the question mark, between commas.
	Names func(u *feed.URL) []string

	// Check refuses a URL before anything is opened; nil: New does, and has no secret to look for.
	Check func(u *feed.URL) error

	Limit int // symbols on demand when the URL gives no limit=
}

// Adapter returns the adapter of a kind of feeds. All feeds of it share the venue's limit of REST requests.
func Adapter(k Kind) feed.Adapter {
	if k.Names == nil {
		k.Names = func(u *feed.URL) []string { return feed.SplitList(u.Target) }
	}
	shared := &bucket{}
	return feed.Adapter{
		Scheme: k.Scheme,
		Params: append([]string{"kinds", "url", "rest", "compress", "on-demand", "limit", "linger"}, k.Params...),
		Check: func(u *feed.URL) error {
			if k.Check != nil {
				if err := k.Check(u); err != nil {
					return err
				}
			}
			return k.check(u)
		},
		Probe: func(u *feed.URL) error { return k.probe(u, shared) },
		Offer: k.offer,
		Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
			s, err := k.open(u, start, shared)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

// check refuses what can be seen to be wrong in the URL alone.
func (k Kind) check(u *feed.URL) error {
	if _, err := kindsOf(u); err != nil {
		return err
	}
	if _, err := u.Bool("compress", false); err != nil {
		return err
	}
	demand, err := u.Bool("on-demand", false)
	if err != nil {
		return err
	}
	if _, err := u.Uint("limit", 0); err != nil {
		return err
	}
	if _, err := u.Duration("linger", 0); err != nil {
		return err
	}
	if k.Check != nil {
		return nil // The venue of such a kind reads its names by itself.
	}
	v, err := k.New(u)
	if err != nil {
		return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
	}
	names := k.Names(u)
	if len(names) == 0 && !demand && !v.Traits().Open {
		return feed.Permanent(fmt.Errorf("%w: it names no symbols; write %s://NAME,NAME", feed.ErrURL, k.Scheme))
	}
	for i, name := range names {
		if _, err := v.Name(name); err != nil && !errors.Is(err, venue.ErrListing) {
			return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
		}
		if slices.ContainsFunc(names[:i], func(other string) bool { return plain(other) == plain(name) }) {
			return feed.Permanent(fmt.Errorf("%w: %s is named twice", feed.ErrURL, name))
		}
	}
	return nil
}

// probe asks the venue whether it lists what the URL names. A venue that can't be asked is no reason to stop.
func (k Kind) probe(u *feed.URL, shared *bucket) error {
	s, err := k.open(u, feed.Start{}, shared)
	if err != nil {
		return err
	}
	if len(s.names) == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), 8*time.Second)
	defer stop()
	if _, _, err = resolve(ctx, s.venue, s.rest, s.names); feed.IsPermanent(err) {
		return err
	}
	return nil
}

// offer says what a feed brings on demand.
func (k Kind) offer(u *feed.URL) (*feed.Offer, error) {
	if yes, err := u.Bool("on-demand", false); err != nil || !yes {
		return nil, err
	}
	v, err := k.New(u)
	if err != nil {
		return nil, err
	}
	limit, err := u.Uint("limit", uint64(k.Limit))
	if err != nil {
		return nil, err
	}
	o := &feed.Offer{Limit: int(min(limit, 1_000_000))}
	if o.Linger, err = u.Duration("linger", 0); err != nil {
		return nil, err
	}
	o.Name = func(name string) (market.Symbol, error) {
		in, err := v.Name(name)
		return in.Symbol, err
	}
	for _, name := range k.Names(u) {
		symbol, err := o.Name(name)
		if err != nil {
			return nil, err
		}
		o.Fixed = append(o.Fixed, symbol)
	}
	return o, nil
}

// kindsOf reads the kinds of ticks that a URL asks for.
func kindsOf(u *feed.URL) (venue.Kinds, error) {
	if !u.Has("kinds") {
		return venue.Trades | venue.Quotes, nil
	}
	var kinds venue.Kinds
	for _, name := range u.List("kinds") {
		switch strings.ToLower(name) {
		case "trades":
			kinds |= venue.Trades
		case "quotes":
			kinds |= venue.Quotes
		default:
			return 0, u.Errorf("kinds", "want trades, quotes, or both")
		}
	}
	if kinds == 0 {
		return 0, u.Errorf("kinds", "want trades, quotes, or both")
	}
	return kinds, nil
}

// open makes the source of a URL.
func (k Kind) open(u *feed.URL, start feed.Start, shared *bucket) (*source, error) {
	v, err := k.New(u)
	if err != nil {
		return nil, feed.Permanent(err)
	}
	kinds, err := kindsOf(u)
	if err != nil {
		return nil, err
	}
	compress, err := u.Bool("compress", false)
	if err != nil {
		return nil, err
	}
	s := newSource(v, kinds, k.Names(u), start, shared, realTimings())
	s.compress = compress
	return s, nil
}

func newSource(v venue.Venue, kinds venue.Kinds, names []string, start feed.Start, shared *bucket, t timings) *source {
	traits := v.Traits()
	s := &source{
		venue: v, traits: traits, history: v.History(), kinds: kinds, names: names, t: t, start: start, log: start.Log,
		rest: &rest{client: newClient(), bucket: shared, every: traits.REST, account: start.Account}, random: processRandom,
		dialer: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		gate:   &gate{every: traits.Dial, window: t.window, most: connects}, fills: make(chan struct{}, maxFills), ended: make(chan error, 1),
		carried: make(map[market.Symbol]int), stale: make(map[market.Symbol]bool),
		strikes: make(map[market.Symbol]int), ever: make(map[market.Symbol]bool),
	}
	return s
}
