package store

import (
	"context"
	"fmt"
	"math"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Gap is a gap as the store knows it.
type Gap struct {
	market.Gap
	Cause             string // feed, tape (damage), trim (not on the tape any more), store (entries that it cannot hold)
	Feed              string
	Lost              uint64 // entries of the tape, where that is known
	Position, Through tape.Position
}

// Gaps returns the gaps between two times, oldest first: those of a symbol and of its feed as a whole, or with "" all. 0 leaves an
// end open. Gaps whose time is not known are always among them.
func (s *Store) Gaps(ctx context.Context, symbol market.Symbol, from, to market.Time) ([]Gap, error) {
	gaps, err := s.gaps(ctx, symbol, from, to)
	return gaps, s.notice(err)
}

func (s *Store) gaps(ctx context.Context, symbol market.Symbol, from, to market.Time) ([]Gap, error) {
	query := "SELECT g.cause, coalesce(s.symbol, ''), g.feed, g.since, g.until, g.reason, g.flags, g.lost, g.position, g.through" +
		" FROM gap_rows g LEFT JOIN symbols s ON s.id = g.symbol" +
		" WHERE (g.since < ?1 AND g.until >= ?2 OR g.until = 0)"
	if symbol != "" {
		query += " AND (s.symbol = ?3 OR g.symbol IS NULL AND g.feed IN ('', (SELECT feed FROM symbols WHERE symbol = ?3)))"
	}
	rows, err := s.readers.QueryContext(ctx, query+" ORDER BY g.since, g.id", orEnd(to, math.MaxInt64), orEnd(from, math.MinInt64),
		string(symbol))
	if err != nil {
		return nil, fmt.Errorf("read gaps: %w", mark(err))
	}
	defer rows.Close()
	var out []Gap
	for rows.Next() {
		var g Gap
		if err := rows.Scan(&g.Cause, &g.Symbol, &g.Feed, &g.From, &g.To, &g.Reason, &g.Flags, &g.Lost, &g.Position,
			&g.Through); err != nil {
			return nil, fmt.Errorf("read gaps: %w", mark(err))
		}
		out = append(out, g)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read gaps: %w", mark(err))
	}
	return out, nil
}
