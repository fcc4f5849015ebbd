package store

import (
	"context"
	"fmt"

	"tapedeck/internal/market"
)

// HoldsHistory reports whether the store ever took in a tick that was of the past when it reached the tape: an import.
func (s *Store) HoldsHistory(ctx context.Context) (bool, error) {
	var holds bool
	err := s.readers.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM forms WHERE flags & ? != 0)", int64(market.FlagHistory)).Scan(&holds)
	if err != nil {
		return false, s.notice(fmt.Errorf("read forms: %w", mark(err)))
	}
	return holds, nil
}
