package store

import (
	"context"
	"fmt"

	"tapedeck/internal/market"
)

// Evidence calls yield with what is known of a symbol between two times, in no order and with overlaps, until yield returns an error,
// which is then returned: its trades, and when its feeds were connected, from the moment on at which they brought it first. It is known
// by the second, of feeds by the nanosecond; see market.Evidence.
func (s *Store) Evidence(ctx context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Evidence) error) error {
	return s.notice(s.evidence(ctx, symbol, from, to, yield))
}

func (s *Store) evidence(ctx context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Evidence) error) error {
	id, err := s.symbolID(ctx, symbol)
	if err != nil || id == 0 {
		return err
	}
	// The clause on since is what the index is used for; that on until leaves out what lies before.
	rows, err := s.readers.QueryContext(ctx, "SELECT origin, since, until, known FROM coverage_rows"+
		" WHERE symbol = ?1 AND feed = '' AND origin IN (2, 3, 4) AND since < ?3 AND until > ?2"+
		" UNION ALL SELECT c.origin, max(c.since, f.since), c.until, max(c.since, f.since) FROM coverage_rows f JOIN coverage_rows c"+
		" ON c.symbol = 0 AND c.feed = f.feed AND c.origin = 1 WHERE f.symbol = ?1 AND f.feed <> '' AND f.origin = 1"+
		" AND c.since < ?3 AND c.until > ?2 AND c.until > f.since", id, int64(from), int64(to))
	if err != nil {
		return fmt.Errorf("read coverage: %w", mark(err))
	}
	defer rows.Close()
	for rows.Next() {
		var e market.Evidence
		if err := rows.Scan(&e.Origin, &e.From, &e.To, &e.Known); err != nil {
			return fmt.Errorf("read coverage: %w", mark(err))
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read coverage: %w", mark(err))
	}
	return nil
}

// Late appends the spans of event times in which trades of a symbol may lie that happened before a moment and were received after it, and
// returns the extended slice. Of the last minute before the moment nothing is said: any trade in it may have been received after.
// Imported trades are not meant.
func (s *Store) Late(ctx context.Context, symbol market.Symbol, at market.Time, dst []market.Span) ([]market.Span, error) {
	dst, err := s.lateSpans(ctx, symbol, at, dst)
	return dst, s.notice(err)
}

func (s *Store) lateSpans(ctx context.Context, symbol market.Symbol, at market.Time, dst []market.Span) ([]market.Span, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT first, last + 1 FROM late_rows JOIN symbols s ON s.id = late_rows.symbol"+
		" WHERE s.symbol = ? AND hour >= ? AND received > ? AND first <= ?", string(symbol), int64(at/market.Hour), int64(at), int64(at))
	if err != nil {
		return dst, fmt.Errorf("read late trades: %w", mark(err))
	}
	defer rows.Close()
	for rows.Next() {
		var v market.Span
		if err := rows.Scan(&v.From, &v.To); err != nil {
			return dst, fmt.Errorf("read late trades: %w", mark(err))
		}
		dst = append(dst, v)
	}
	if err := rows.Err(); err != nil {
		return dst, fmt.Errorf("read late trades: %w", mark(err))
	}
	return dst, nil
}
