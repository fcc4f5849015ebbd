package store

import (
	"context"

	"tapedeck/internal/market"
)

// EachGap calls yield for the gaps that Gaps returns, in its order, until yield returns an error, which is then returned. It is Gaps
// for who does not know the store.
func (s *Store) EachGap(ctx context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Gap) error) error {
	gaps, err := s.Gaps(ctx, symbol, from, to)
	if err != nil {
		return err
	}
	for i := range gaps {
		if err := yield(gaps[i].Gap); err != nil {
			return err
		}
	}
	return nil
}
