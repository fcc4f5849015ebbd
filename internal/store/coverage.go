package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

const (
	// lostAfter is how far apart two signs of life of a feed may be without the time between them being unknown. Feeds beat about once a
	// second, and are called stale after ten.
	lostAfter = 10 * market.Second

	// lateAfter is how long after it happened a trade may be received without being late. What happened earlier than that before some
	// moment was known at that moment, unless late_rows says otherwise.
	lateAfter = market.Minute

	// coverageLimit bounds the times of evidence: beyond it, sums of them overflow.
	coverageLimit market.Time = 9_000_000_000_000_000_000

	// keptSpans is how many spans of a kind can grow at once. A trade that comes late begins a span of its own, and must not make the
	// next one that is in time begin another.
	keptSpans = 4
)

// coverageKey is what evidence is of; see coverageTables.
type coverageKey struct {
	symbol int64
	feed   string
	origin market.Origin
}

// coverageSpan is a row of coverage_rows.
type coverageSpan struct {
	since, until, known market.Time
	dirty               bool // not in the file as it is
	stored              bool // the file has a row with this since
}

// coverageRow is a row to be written.
type coverageRow struct {
	coverageKey
	coverageSpan
}

// lateRow is a row of late_rows.
type lateRow struct {
	symbol                      int64
	hour, first, last, received int64
}

// series of spans of one key that may still grow, the one that grew last in front.
type growing struct {
	key    coverageKey
	loaded bool
	queued bool
	spans  []coverageSpan
}

// symbolCoverage is what the ledger holds of a symbol.
type symbolCoverage struct {
	trades [market.OriginImported + 1]growing
	feeds  map[string]bool // that are known to bring it
	feed   string          // the last of them
	late   []lateRow       // not written yet
}

// ledger notes what is known of which time. It is part of the recorder's fold: what it notes is written with the position that
// it follows from.
type ledger struct {
	fold  *fold
	feeds map[string]*growing
	dirty []*growing
	late  []*symbolCoverage
	done  []coverageRow // spans that no longer grow
	gone  []coverageRow // keys that the file must lose, because the span begins earlier now
}

// take notes that a feed was alive: by its ticks and heartbeats, and by its word. What is played from a file says nothing of now.
func (l *ledger) take(ctx context.Context, rec *tape.Record) error {
	var g *growing
	for i := range rec.Entries {
		e := &rec.Entries[i]
		switch e.Kind {
		case market.KindTrade, market.KindQuote, market.KindHeartbeat:
		case market.KindStatus:
			if e.State != market.StateLive {
				continue
			}
		default:
			continue
		}
		if e.Received == 0 || e.Flags&(market.FlagImported|market.FlagHistory) != 0 {
			continue
		}
		if g == nil {
			if g = l.feeds[rec.Feed]; g == nil {
				g = &growing{key: coverageKey{0, rec.Feed, market.OriginConnected}}
				l.feeds[rec.Feed] = g
			}
		}
		if err := l.grow(ctx, g, market.Span{From: e.Received, To: e.Received + 1}, lostAfter, e.Received); err != nil {
			return err
		}
	}
	return nil
}

// tick notes a tick of a symbol.
func (l *ledger) tick(ctx context.Context, st *symbolState, feed string, e *market.Entry) error {
	if e.Event < -coverageLimit || e.Event > coverageLimit || e.Received > coverageLimit {
		return nil
	}
	c := &st.coverage
	live := e.Flags&(market.FlagImported|market.FlagHistory) == 0
	if live && c.feed != feed {
		if err := l.follow(ctx, st, feed, e.Received); err != nil {
			return err
		}
	}
	if e.Kind != market.KindTrade {
		return nil
	}
	if live && e.Received-e.Event > lateAfter {
		l.noteLate(st, e)
	}
	origin := market.OriginLive
	switch {
	case !live:
		origin = market.OriginImported
	case e.Flags&market.FlagBackfilled != 0:
		origin = market.OriginBackfilled
	}
	second := e.Event.Floor(market.Second)
	return l.growTrades(ctx, st, origin, market.Span{From: second, To: second + market.Second}, e.Received)
}

// bar notes a bar that a file brought.
func (l *ledger) bar(ctx context.Context, e *market.Entry) error {
	if b, err := e.Bar(); err != nil || b.Start < -coverageLimit || b.End > coverageLimit || b.End <= b.Start {
		return nil //nolint:nilerr // a bar that is refused is evidence of nothing
	}
	return l.growTrades(ctx, l.fold.symbol(e.Symbol), market.OriginImported, market.Span{From: e.Event, To: e.Until}, e.Received)
}

func (l *ledger) growTrades(ctx context.Context, st *symbolState, origin market.Origin, span market.Span, known market.Time) error {
	g := &st.coverage.trades[origin]
	if len(g.spans) > 0 && span.From >= g.spans[0].since && span.To <= g.spans[0].until {
		return nil // nearly always
	}
	g.key = coverageKey{st.id, "", origin}
	return l.grow(ctx, g, span, market.QuietAfter, known)
}

// follow notes that a feed brings a symbol.
func (l *ledger) follow(ctx context.Context, st *symbolState, feed string, received market.Time) error {
	c := &st.coverage
	c.feed = feed
	if c.feeds[feed] {
		return nil
	}
	g := &growing{key: coverageKey{st.id, feed, market.OriginConnected}}
	if err := l.load(ctx, g); err != nil {
		return err
	}
	if c.feeds == nil {
		c.feeds = make(map[string]bool)
	}
	c.feeds[feed] = true
	if len(g.spans) == 0 {
		l.done = append(l.done, coverageRow{g.key, coverageSpan{since: received, until: received, known: received}})
	}
	return nil
}

// noteLate notes a trade that came late.
func (l *ledger) noteLate(st *symbolState, e *market.Entry) {
	c := &st.coverage
	if len(c.late) == 0 {
		l.late = append(l.late, c)
	}
	row := lateRow{st.id, int64(e.Received / market.Hour), int64(e.Event), int64(e.Event), int64(e.Received)}
	if n := len(c.late); n > 0 && c.late[n-1].hour == row.hour {
		r := &c.late[n-1]
		r.first, r.last, r.received = min(r.first, row.first), max(r.last, row.last), max(r.received, row.received)
		return
	}
	c.late = append(c.late, row)
}

// grow adds a span to those of a key: to one that is no further away than bridge, or else as one of its own.
func (l *ledger) grow(ctx context.Context, g *growing, span market.Span, bridge, known market.Time) error {
	if !g.loaded {
		if err := l.load(ctx, g); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(g.spans, func(s coverageSpan) bool { return span.From <= s.until+bridge && span.To+bridge >= s.since })
	if i < 0 {
		if n := len(g.spans); n == keptSpans {
			if last := g.spans[n-1]; last.dirty {
				l.done = append(l.done, coverageRow{g.key, last})
			}
			g.spans = g.spans[:n-1]
		}
		g.spans = slices.Insert(g.spans, 0, coverageSpan{since: span.From, until: span.To, known: known, dirty: true})
		l.queue(g)
		return nil
	}
	if i > 0 {
		s := g.spans[i]
		copy(g.spans[1:i+1], g.spans[:i])
		g.spans[0] = s
	}
	s := &g.spans[0]
	if span.From < s.since {
		if s.stored {
			l.gone = append(l.gone, coverageRow{g.key, *s})
		}
		s.since, s.dirty, s.stored = span.From, true, false
	}
	if span.To > s.until {
		s.until, s.dirty = span.To, true
	}
	if s.dirty {
		s.known = min(s.known, known)
		l.queue(g)
	}
	return nil
}

func (l *ledger) queue(g *growing) {
	if !g.queued {
		g.queued = true
		l.dirty = append(l.dirty, g)
	}
}

// load reads the newest span of a key, which may grow.
func (l *ledger) load(ctx context.Context, g *growing) error {
	g.loaded = true
	s := coverageSpan{stored: true}
	err := l.fold.writer.conn.QueryRowContext(ctx, "SELECT since, until, known FROM coverage_rows WHERE symbol = ? AND feed = ? AND origin = ?"+
		" ORDER BY since DESC LIMIT 1", g.key.symbol, g.key.feed, g.key.origin).Scan(&s.since, &s.until, &s.known)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		g.loaded = false
		return fmt.Errorf("read coverage: %w", err)
	default:
		g.spans = append(g.spans, s)
	}
	return nil
}

// drain moves what is to be written into the batch.
func (l *ledger) drain(b *batch) {
	b.coverageGone, b.coverage = l.gone, l.done
	for _, g := range l.dirty {
		g.queued = false
		for i := range g.spans {
			if s := &g.spans[i]; s.dirty {
				b.coverage = append(b.coverage, coverageRow{g.key, *s})
				s.dirty, s.stored = false, true
			}
		}
	}
	for _, c := range l.late {
		b.late = append(b.late, c.late...)
		c.late = nil
	}
	l.gone, l.done = nil, nil
	l.dirty, l.late = l.dirty[:0], l.late[:0]
}

const (
	coverageHead = "INSERT INTO coverage_rows (symbol, feed, origin, since, until, known)"
	coverageTail = "ON CONFLICT DO UPDATE SET until = max(until, excluded.until), known = min(known, excluded.known)"
	lateHead     = "INSERT INTO late_rows (symbol, hour, first, last, received)"
	lateTail     = "ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)," +
		" received = max(received, excluded.received)"
)

// writeCoverage writes what the ledger noted.
func (w *writer) writeCoverage(ctx context.Context, b *batch) error {
	for i := range b.coverageGone {
		r := &b.coverageGone[i]
		// What was said of another span that began at the same time is kept.
		if _, err := w.conn.ExecContext(ctx, "DELETE FROM coverage_rows WHERE symbol = ? AND feed = ? AND origin = ? AND since = ?"+
			" AND until <= ? AND known >= ?", r.symbol, r.feed, r.origin, int64(r.since), int64(r.until), int64(r.known)); err != nil {
			return fmt.Errorf("write coverage: %w", err)
		}
	}
	if err := w.run(ctx, w.coverage, nil, func() error {
		for i := range b.coverage {
			r := &b.coverage[i]
			if err := w.coverage.fill(ctx, r.symbol, r.feed, int64(r.origin), int64(r.since), int64(r.until), int64(r.known)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("write coverage: %w", err)
	}
	if err := w.run(ctx, w.late, nil, func() error {
		for i := range b.late {
			r := &b.late[i]
			if err := w.late.fill(ctx, r.symbol, r.hour, r.first, r.last, r.received); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("write late trades: %w", err)
	}
	return nil
}
