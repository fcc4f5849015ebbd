package feed

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tapedeck/internal/market"
)

// Adapter makes sources of one kind.
type Adapter struct {
	Scheme string

	// Venue, when set, is the venue of a feed that got a name= but no venue=, instead of that name: simulated symbols are
	// SIM:… whatever their feed is called.
	Venue string

	// Params are the parameters that the adapter knows, besides name and venue. Any other is refused.
	Params []string

	// Check refuses a URL that Open would refuse whatever the world looks like. It touches neither files nor network. May be nil.
	Check func(u *URL) error

	// Probe looks whether what the URL names is there, so that a mistake is told before anything runs. May be nil.
	Probe func(u *URL) error

	// Offer returns what a feed of the URL brings when somebody wants it, nil when it brings nothing on demand. It touches neither
	// files nor network. May be nil.
	Offer func(u *URL) (*Offer, error)

	// Open makes a source. It may read files but doesn't wait for anybody. Errors are as those of Source.Run.
	Open func(u *URL, start Start) (Source, error)
}

// Registry knows the adapters by their scheme. It does not change after NewRegistry.
type Registry struct{ adapters map[string]Adapter }

// NewRegistry returns a registry of the adapters. Two of one scheme are a mistake of the program and panic.
func NewRegistry(adapters ...Adapter) *Registry {
	r := &Registry{adapters: make(map[string]Adapter, len(adapters))}
	for _, a := range adapters {
		if _, twice := r.adapters[a.Scheme]; twice || a.Scheme == "" || a.Open == nil {
			panic("BUG: feed adapter " + strconv.Quote(a.Scheme) + " is incomplete or registered twice")
		}
		r.adapters[a.Scheme] = a
	}
	return r
}

// Schemes returns the schemes that have an adapter, sorted.
func (r *Registry) Schemes() []string { return slices.Sorted(maps.Keys(r.adapters)) }

// Parse reads one feed URL and checks its scheme and parameters.
func (r *Registry) Parse(s string) (*URL, error) {
	u, err := ParseURL(s)
	if err != nil {
		return nil, err
	}
	a, ok := r.adapters[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("%w %q: no feed is called %s%s; there are %s",
			ErrURL, u, u.Scheme, near(u.Scheme, r.Schemes()), strings.Join(r.Schemes(), ", "))
	}
	if err := u.Only(append([]string{"name", "venue"}, a.Params...)...); err != nil {
		return nil, err
	}
	if a.Venue != "" && u.named && !u.Has("venue") {
		u.Venue = a.Venue
	}
	if a.Check != nil {
		if err := a.Check(u); err != nil {
			return nil, fmt.Errorf("%q: %w", u, err)
		}
	}
	return u, nil
}

// ParseAll reads the feed URLs of a configuration and gives each feed a name of its own: the second sim:// without a name= is
// sim-2, with symbols SIM-2:…. A name belongs to what its feed wrote on the tape, so feeds whose order may change need name=.
func (r *Registry) ParseAll(list []string) ([]*URL, error) {
	urls := make([]*URL, 0, len(list))
	taken := make(map[string]*URL)
	for i, s := range list {
		u, err := r.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("feed %d: %w", i+1, err)
		}
		if other, twice := taken[u.Name]; twice && u.named {
			return nil, fmt.Errorf("feed %d: %w %q: %q is called %s as well", i+1, ErrURL, u, other, u.Name)
		}
		if u.named {
			taken[u.Name] = u
		}
		urls = append(urls, u)
	}
	for i, u := range urls {
		if u.named {
			continue
		}
		base := u.Name
		for n := 2; taken[u.Name] != nil; n++ {
			u.Name = base + "-" + strconv.Itoa(n)
		}
		taken[u.Name] = u
		if u.Name != base && !u.Has("venue") {
			if err := u.setVenue(u.Name); err != nil {
				return nil, fmt.Errorf("feed %d: %w %q: %w", i+1, ErrURL, u, err)
			}
		}
	}
	return urls, nil
}

// Probe looks whether what the URLs name is there, of all at once: a venue that is slow to answer makes the others wait no longer. The
// error is that of the first URL with one, and says which feed it is.
func (r *Registry) Probe(urls ...*URL) error {
	errs := make([]error, len(urls))
	var wg sync.WaitGroup
	for i, u := range urls {
		if a := r.adapters[u.Scheme]; a.Probe != nil {
			wg.Go(func() { errs[i] = a.Probe(u) })
		}
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("feed %s: %w", urls[i].Name, err)
		}
	}
	return nil
}

// Offer returns what a feed of the URL brings when somebody wants it, nil when it brings nothing on demand.
func (r *Registry) Offer(u *URL) (*Offer, error) {
	a := r.adapters[u.Scheme]
	if a.Offer == nil {
		return nil, nil
	}
	o, err := a.Offer(u)
	if o == nil || err != nil {
		return nil, err
	}
	o.Feed, o.Venue = u.Name, u.Venue
	return o, nil
}

// Open makes the source of a URL that Parse returned.
func (r *Registry) Open(u *URL, start Start) (Source, error) {
	a, ok := r.adapters[u.Scheme]
	if !ok {
		return nil, Permanent(fmt.Errorf("%w %q: no feed is called %s", ErrURL, u, u.Scheme))
	}
	return a.Open(u, start)
}

// near says which of the known words was probably meant: "; did you mean symbols?".
func near(word string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		d := market.EditDistance(strings.ToLower(word), k)
		if len(word) >= 3 && (strings.HasPrefix(k, word) || strings.HasPrefix(word, k)) {
			d = min(d, 2)
		}
		if d < distance && d < len(word) {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}
