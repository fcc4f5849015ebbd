package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// errUnlisted is wrapped when the venue's list could not be read.
var errUnlisted = errors.New("the venue's list of instruments could not be read")

// list reads the venue's instruments, those of the names at least, or all when there are no names. Nil without an error: the
// venue has no list.
func list(ctx context.Context, v venue.Venue, r *rest, names []string) ([]venue.Instrument, error) {
	l := v.Listing()
	if l == nil {
		return nil, nil
	}
	var found []venue.Instrument
	for req := l.First(names); req != nil; {
		reply, err := r.get(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnlisted, err)
		}
		if found, req, err = l.Page(req, reply, found); err != nil {
			return nil, fmt.Errorf("%w: %w", errUnlisted, err)
		}
	}
	return found, nil
}

// resolve finds the instruments that a user names. What the venue does not list is a permanent error that tells what is near; a
// venue that cannot be asked is taken at its names, and said to be so by the error errUnlisted that comes with them.
func resolve(ctx context.Context, v venue.Venue, r *rest, names []string) (found, listed []venue.Instrument, err error) {
	listed, unlisted := list(ctx, v, r, names)
	all := listed
	for _, name := range names {
		i, ok := lookup(listed, name)
		if !ok {
			named, err := v.Name(name)
			switch {
			case err != nil && (unlisted == nil && listed == nil || !errors.Is(err, venue.ErrListing)):
				return nil, nil, feed.Permanent(fmt.Errorf("symbol %s: %w", name, err))
			case unlisted != nil && err != nil:
				return nil, nil, fmt.Errorf("symbol %s: %w: %w", name, err, unlisted)
			case listed != nil || unlisted == nil && v.Listing() != nil && v.Listing().First(names) != nil:
				if i, ok = lookup(listed, named.Native); !ok {
					if whole, err := list(ctx, v, r, nil); err == nil && len(whole) > 0 {
						all = whole
					}
					if i, ok = lookup(all, name); !ok {
						return nil, nil, feed.Permanent(fmt.Errorf("the venue does not list %s%s", name, near(all, name)))
					}
				}
			default:
				i = named
			}
		}
		if slices.ContainsFunc(found, func(other venue.Instrument) bool { return other.Symbol == i.Symbol }) {
			return nil, nil, feed.Permanent(fmt.Errorf("%s is named twice", i.Symbol.Name()))
		}
		found = append(found, i)
	}
	return found, listed, unlisted
}

// readList reads the list that could not be read at the start. Symbols that are not in it are refused: some venues take a
// subscription to what there is not, and are silent.
func (s *source) readList(ctx context.Context) {
	listed, err := list(ctx, s.venue, s.rest, s.names)
	if err != nil {
		return // it is asked for again
	}
	s.unlisted.Store(false)
	if len(listed) == 0 {
		return
	}
	var all []venue.Instrument
	for _, name := range s.names {
		in, err := s.venue.Name(name)
		if err != nil {
			continue // the feed did not start with it
		}
		if _, ok := lookup(listed, name); ok {
			continue
		}
		if all == nil {
			if all, err = list(ctx, s.venue, s.rest, nil); err != nil || len(all) == 0 {
				all = listed
			}
		}
		if _, ok := lookup(all, name); !ok {
			s.refused(ctx, in, "it is not listed"+near(all, name))
		}
	}
	s.start.Account.Lists(listed)
}

// plain writes a name in the one way that names are compared in.
func plain(name string) string {
	return strings.NewReplacer("/", "-", "_", "-").Replace(strings.ToUpper(name))
}

// lookup finds the instrument of a name: that of the tape, of the stream, or of the REST API. One that trades is preferred.
func lookup(listed []venue.Instrument, name string) (venue.Instrument, bool) {
	name = plain(name)
	best := -1
	for n := range listed {
		i := &listed[n]
		if plain(i.Symbol.Name()) != name && plain(i.Native) != name && (i.REST == "" || plain(i.REST) != name) {
			continue
		}
		if best < 0 || listed[best].Resting && !i.Resting {
			best = n
		}
	}
	if best < 0 {
		return venue.Instrument{}, false
	}
	return listed[best], true
}

// near says which of the listed names were probably meant.
func near(listed []venue.Instrument, name string) string {
	const few = 3
	type candidate struct {
		name     string
		distance int
	}
	name = plain(name)
	var best []candidate
	for n := range listed {
		c := candidate{listed[n].Symbol.Name(), market.EditDistance(name, plain(listed[n].Symbol.Name()))}
		if len(name) >= 3 && strings.HasPrefix(c.name, name) {
			c.distance = min(c.distance, 2)
		}
		if c.distance <= max(2, len(name)/3) {
			best = append(best, c)
		}
	}
	if len(best) == 0 {
		return ""
	}
	slices.SortStableFunc(best, func(a, b candidate) int { return a.distance - b.distance })
	best = best[:min(few, len(best))]
	var names []string
	for _, c := range best {
		names = append(names, c.name)
	}
	return " (did you mean " + strings.Join(names, " or ") + "?)"
}
