package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// place is how far the tape has been recorded: the row of the table tape.
type place struct {
	epoch     tape.Epoch
	position  tape.Position // last record that was applied
	entries   uint64        // entries on the tape up to there
	lost      uint64        // of those, entries that were lost to damage of the tape
	highWater tape.Position // highest position that the tape was seen to have
}

func readPlace(ctx context.Context, q querier) (p place, err error) {
	var epoch string
	err = q.QueryRowContext(ctx, "SELECT epoch, position, entries, lost, high_water FROM tape").
		Scan(&epoch, &p.position, &p.entries, &p.lost, &p.highWater)
	if err != nil {
		return p, fmt.Errorf("read the position of the tape: %w", mark(err))
	}
	if n, err := hex.Decode(p.epoch[:], []byte(epoch)); err != nil || n != 0 && n != len(p.epoch) {
		return p, fmt.Errorf("epoch %.40q: %w", epoch, ErrCorrupt)
	}
	return p, nil
}

// live is the newest state in memory: what is in the file as of the last commit.
type live struct {
	mu       sync.RWMutex
	place    place
	listings map[market.Symbol]*market.Listing
}

// load reads the state from the file.
func (v *live) load(ctx context.Context, s *Store) error {
	tx, err := s.readers.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	p, err := readPlace(ctx, tx)
	if err != nil {
		return err
	}
	series, err := readSymbols(ctx, tx)
	if err != nil {
		return err
	}
	if err := readNewest(ctx, s, tx, series); err != nil {
		return err
	}
	listings := make(map[market.Symbol]*market.Listing, len(series))
	for _, st := range series {
		l := st.listing
		listings[st.symbol] = &l
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.place, v.listings = p, listings
	return nil
}

// publish makes a commit visible.
func (v *live) publish(p place, touched []*symbolState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.place = p
	for _, st := range touched {
		l := v.listings[st.symbol]
		if l == nil {
			l = &market.Listing{}
			v.listings[st.symbol] = l
		}
		*l = st.listing
	}
}

func (v *live) placed() place {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.place
}

// Applied returns the epoch of the tape and the position up to which it has been recorded.
func (s *Store) Applied() (tape.Epoch, tape.Position) {
	p := s.now.placed()
	return p.epoch, p.position
}

// Entries returns how many entries were on the tape up to the applied position, and how many of those were lost to damage of
// the tape. The numbers of a symbol that has no listing begin after as many: it may have been among them.
func (s *Store) Entries() (all, lost uint64) {
	p := s.now.placed()
	return p.entries, p.lost
}

// Listings returns what history knows of each symbol, in the order of their names, all as of one commit. The error is nil;
// it is there for stores that have to ask a server.
func (s *Store) Listings(context.Context) ([]market.Listing, error) {
	s.now.mu.RLock()
	out := make([]market.Listing, 0, len(s.now.listings))
	for _, l := range s.now.listings {
		out = append(out, *l)
	}
	s.now.mu.RUnlock()
	slices.SortFunc(out, func(a, b market.Listing) int { return strings.Compare(string(a.Symbol), string(b.Symbol)) })
	return out, nil
}

// Latest returns what history knows of one symbol; ok is false when it knows nothing.
func (s *Store) Latest(symbol market.Symbol) (l market.Listing, ok bool) {
	s.now.mu.RLock()
	defer s.now.mu.RUnlock()
	if p := s.now.listings[symbol]; p != nil {
		return *p, true
	}
	return market.Listing{}, false
}
