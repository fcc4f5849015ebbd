package natstape

import (
	"context"
	"errors"
	"fmt"

	"tapedeck/internal/tape"
)

// Read implements tape.Source. Records that are no longer in memory are fetched from the stream and decoded for each reader.
func (l *Log) Read(ctx context.Context, from tape.Position, dst []*tape.Record) ([]*tape.Record, error) {
	l.mu.Lock()
	first, last, closed := l.first, l.last, l.closed
	if !closed && from <= last {
		if recs, ok := l.ring.from(from, dst); ok {
			l.mu.Unlock()
			return recs, nil
		}
	}
	l.mu.Unlock()
	switch {
	case closed:
		return dst, tape.ErrClosed
	case from < first:
		return dst, &tape.TrimmedError{Position: from, First: first}
	case from > last:
		return dst, nil
	}
	end, err := l.checkBlock(ctx, from)
	if err != nil {
		return dst, l.readError(err)
	}
	s := l.session.Load()
	if s == nil {
		return dst, l.readError(fmt.Errorf("%w: its server is being restarted", tape.ErrUnavailable))
	}
	recs, _, err := l.chunk(ctx, s, from, min(last, end))
	if err != nil {
		return dst, l.readError(err)
	}
	return append(dst, recs...), nil
}

// readError tells a tape that is closed from one that is restarted: both end the connection that a reader was using.
func (l *Log) readError(err error) error {
	if errors.Is(err, tape.ErrUnavailable) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			return tape.ErrClosed
		}
	}
	return err
}

// chunk reads records from position from on, which must be on the tape, up to position last: whole records up to the first
// that is damaged, or else the one gap that stands for the damage. It returns the messages of the records as well.
func (l *Log) chunk(ctx context.Context, s *session, from, last tape.Position) ([]*tape.Record, []raw, error) {
	if gap := l.knownDamage(from); gap != nil {
		return []*tape.Record{gap}, nil, nil
	}
	ms, err := s.fetch(ctx, from, int(min(fetchMessages, last-from+1)))
	if err != nil {
		return nil, nil, fmt.Errorf("read the tape at %d: %w", from, err)
	}
	var (
		d    tape.Decoder
		recs []*tape.Record
	)
	for i, m := range ms {
		if m.position != from+tape.Position(i) || m.position > last {
			break
		}
		rec, ok := decode(&d, m)
		if !ok {
			break
		}
		recs = append(recs, rec)
	}
	if len(recs) > 0 {
		return recs, ms[:len(recs)], nil
	}
	gap, err := l.examine(ctx, s, from, last)
	if err != nil {
		return nil, nil, fmt.Errorf("examine the tape at %d: %w", from, err)
	}
	return []*tape.Record{gap}, nil, nil
}

// decode decodes a message; ok is false for one that is damaged or void.
func decode(d *tape.Decoder, m raw) (*tape.Record, bool) {
	if m.subject == subjectVoid {
		return nil, false
	}
	rec := &tape.Record{}
	if err := d.Decode(m.data, rec); err != nil {
		return nil, false
	}
	rec.Position, rec.Through = m.position, m.position
	return rec, true
}

// LastOf returns the newest record of a feed that is whole, or nil when there is none. A feed asks it once, when it starts, to
// go on from the record's Offset.
func (l *Log) LastOf(ctx context.Context, feed string) (*tape.Record, error) {
	s := l.session.Load()
	if s == nil {
		return nil, l.readError(fmt.Errorf("%w: its server is down", tape.ErrUnavailable))
	}
	bounds := l.Bounds()
	m, ok, err := s.lastOf(ctx, subjectOf(feed))
	if err != nil {
		return nil, l.readError(fmt.Errorf("read the last record of feed %q: %w", feed, err))
	}
	if ok {
		var d tape.Decoder
		if rec, whole := decode(&d, m); whole && rec.Feed == feed && rec.Position <= bounds.Last {
			return rec, nil
		}
	}
	if !ok {
		has, err := s.hasSubject(ctx, subjectOf(feed))
		if err != nil || !has {
			return nil, err
		}
	}
	return l.searchBack(ctx, bounds, feed)
}

// searchBack looks for the last record of a feed from the end of the tape on: the last one is damaged.
func (l *Log) searchBack(ctx context.Context, b tape.Bounds, feed string) (*tape.Record, error) {
	var recs []*tape.Record
	for end := b.Last; end >= b.First; {
		begin := max(b.First, end-min(end, fetchMessages)+1)
		var found *tape.Record
		for at := begin; at <= end; {
			var err error
			if recs, err = l.Read(ctx, at, recs[:0]); err != nil {
				return nil, err
			}
			for _, rec := range recs {
				if rec.Feed == feed && rec.Position <= end && rec.Through == rec.Position && len(rec.Entries) > 0 && !isDamage(rec) {
					found = rec
				}
				at = rec.Through + 1
			}
		}
		if found != nil {
			return found, nil
		}
		end = begin - 1
	}
	return nil, nil
}
