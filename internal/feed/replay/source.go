package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/layout"
	"tapedeck/internal/market"
)

// source plays a file.
type source struct {
	config *config
	start  feed.Start

	place   place
	shift   market.Time // of all times of this pass
	rows    *layout.Reader
	logged  map[string]bool // kinds of problems that have been logged
	usable  uint64          // rows that gave a tick, in this run
	firstly *layout.Reject  // first row that could not be used, in this run
	skipped skipped

	played   uint64         // rows up to the last in the batch, or the last that was marked
	next     []market.Entry // of the row at hand
	received market.Time    // when it was due
	batch    []market.Entry
	offset   []byte

	rng    *rand.Rand
	begin  time.Time     // of the pace
	target time.Duration // since begin, at which the last row was due
	prev   market.Time   // time of the last row, shifted; 0 before the first

	mu    sync.Mutex
	clock span
}

// span is what the replay waits through: its clock goes from one time to the other while so much real time passes.
type span struct {
	from, to market.Time
	begin    time.Time
	length   time.Duration
}

// skipped are rows in a row that could not be used, which become one gap.
type skipped struct {
	n     int
	first *layout.Reject
}

var (
	_ feed.Source  = (*source)(nil)
	_ feed.Clocked = (*source)(nil)
)

// Traits implements feed.Source.
func (s *source) Traits() feed.Traits {
	// Only at its own pace does a file whose times are moved to now stay there.
	live := s.config.now && s.config.speed == 1 && !s.config.delayed && s.config.jitter == 0
	return feed.Traits{Label: Label, Pull: true, Resumes: true, Past: !live}
}

// Clock implements feed.Clocked: the time that has been reached between the last row and the next.
func (s *source) Clock(now market.Time) market.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clock
	if c.length <= 0 || c.to <= c.from {
		return c.from
	}
	part := float64(now-market.FromStd(c.begin)) / float64(c.length)
	return c.from + market.Time(float64(c.to-c.from)*max(0, min(part, 1)))
}

// maxGroup is the number of rows that are pushed at once when they need not wait.
const maxGroup = 512

// Run implements feed.Source.
func (s *source) Run(ctx context.Context, sink feed.Sink) error {
	f, id, err := openFile(s.config)
	if err != nil {
		return err
	}
	if p, ok := parsePlace(s.start.Offset); ok && p.identity == id && !s.config.now {
		s.place = p
	}
	s.place.identity = id
	if s.place.done && !s.config.loop {
		_ = f.Close()
		return nil
	}
	s.place.done = false
	s.logged = make(map[string]bool)
	s.batch = make([]market.Entry, 0, maxGroup+2)
	s.rng = rand.New(rand.NewPCG(s.config.seed, s.place.pass))
	for {
		rows, err := openRows(f, s.config)
		if err == nil {
			err = s.play(ctx, sink, rows)
		}
		_ = f.Close() // It was only read.
		if err != nil {
			return err
		}
		if err := s.finish(); err != nil {
			return err
		}
		if !s.config.loop {
			s.place.done = true
			s.offset = s.place.append(s.offset[:0])
			return sink.Push(ctx, nil, s.offset)
		}
		if err := s.nextPass(); err != nil {
			return err
		}
		if f, id, err = openFile(s.config); err != nil {
			return err
		}
		if id != s.place.identity {
			s.place = place{identity: id} // The file has been replaced: play the new one, from its beginning.
		}
	}
}

// finish checks that the pass gave anything at all: a file whose rows are all bad, or all of other symbols, is a mistake.
func (s *source) finish() error {
	if s.usable > 0 || s.place.first != 0 {
		return nil
	}
	switch {
	case s.firstly != nil:
		return feed.Permanent(fmt.Errorf("%s: no row can be used: %w", s.config.path, s.firstly))
	case len(s.rows.Unwanted()) > 0:
		names := make([]string, len(s.rows.Unwanted()))
		for i, symbol := range s.rows.Unwanted() {
			names[i] = symbol.Name()
		}
		return feed.Permanent(fmt.Errorf("%s: no row is of the symbol that symbol= asks for; the file has %s",
			s.config.path, strings.Join(names, ", ")))
	}
	return feed.Permanent(fmt.Errorf("%s: the file has no rows", s.config.path))
}

// nextPass begins another pass: later than the last by the length of the file and a usual step between two rows.
func (s *source) nextPass() error {
	if s.place.span == 0 {
		length := s.place.last - s.place.first
		s.place.span = length + max(length/market.Time(max(s.place.rows, 2)-1), 1)
	}
	s.place.pass++
	if left := (math.MaxInt64 - max(s.place.last, 0)) / max(s.place.span, 1); s.place.span <= 0 || s.place.pass >= uint64(left) {
		return feed.Permanent(fmt.Errorf("%s: after %d passes the times of the next would be beyond the year 2262", s.config.path, s.place.pass))
	}
	s.place.rows = 0
	s.rng = rand.New(rand.NewPCG(s.config.seed, s.place.pass))
	return nil
}

// play plays the rest of a pass.
func (s *source) play(ctx context.Context, sink feed.Sink, rows *layout.Reader) error {
	s.rows = rows
	if n := rows.Layout().Passed; n > 0 && s.start.Log != nil && s.place.pass == 0 {
		s.start.Log.InfoContext(ctx, "lines before the header are passed over", "file", s.config.path, "lines", n)
	}
	if !s.config.now {
		s.shift = s.place.span * market.Time(s.place.pass)
	} else if s.place.pass > 0 {
		s.shift += s.place.span
	}
	for {
		entries, reject, err := rows.NextRow(s.next[:0])
		s.next = entries
		switch {
		case errors.Is(err, io.EOF):
			if s.skipped.n > 0 && s.prev != 0 {
				s.mark(s.prev)
			}
			return s.flush(ctx, sink)
		case err != nil:
			if err := s.flush(ctx, sink); err != nil {
				return err
			}
			return feed.Permanent(fmt.Errorf("%s: after line %d: %w", s.config.path, rows.Line(), err))
		case rows.Row()%maxGroup == 0 && ctx.Err() != nil:
			return ctx.Err()
		case rows.Row() <= s.place.rows:
			continue // Played before a restart.
		}
		if err := s.row(ctx, sink, reject); err != nil {
			return err
		}
	}
}

// row plays one row: it waits until it is due and adds it to the batch. Its entries are pushed together, so that the offset never
// stands within it.
func (s *source) row(ctx context.Context, sink feed.Sink, reject *layout.Reject) error {
	if len(s.next) == 0 {
		if reject != nil {
			s.reject(ctx, sink, reject)
		}
		s.place.rows++
		return nil
	}
	s.usable++
	event := s.next[0].Event
	if s.place.first == 0 {
		s.place.first, s.place.last = event, event
		if s.config.now {
			s.shift = market.FromStd(time.Now()) - event
		}
	}
	s.place.last = max(s.place.last, event)
	event += s.shift
	if err := s.wait(ctx, sink, event); err != nil {
		return err
	}
	s.place.rows++
	if s.skipped.n > 0 {
		s.mark(event)
	}
	for i := range s.next {
		s.next[i].Event += s.shift
		s.next[i].Received = s.received
	}
	s.batch = append(s.batch, s.next...)
	s.played = s.place.rows
	s.prev = event
	if reject != nil {
		s.reject(ctx, sink, reject) // one cell of a wide table
	}
	if len(s.batch) >= maxGroup {
		return s.flush(ctx, sink)
	}
	return nil
}

// resolution is what need not be waited for: timers are no finer.
const resolution = time.Millisecond

// wait returns when a row is due. Before it waits it pushes what is ready.
func (s *source) wait(ctx context.Context, sink feed.Sink, event market.Time) error {
	now := time.Now()
	s.received = market.FromStd(now)
	switch {
	case s.begin.IsZero():
		s.begin = now // The first row is due at once.
	case s.config.delayed:
		s.target += s.vary(float64(s.config.delay))
	case s.config.speed > 0 && event > s.prev:
		s.target += s.vary(float64(event-s.prev) / s.config.speed)
	}
	rest := s.target - now.Sub(s.begin)
	if s.config.speed == 0 && !s.config.delayed || rest <= resolution {
		return nil
	}
	if err := s.flush(ctx, sink); err != nil {
		return err
	}
	s.setClock(span{s.prev, event, now, rest})
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case now = <-timer.C:
	}
	s.received = market.FromStd(now)
	return nil
}

// vary applies the jitter to a length of time.
func (s *source) vary(ns float64) time.Duration {
	if s.config.jitter > 0 {
		ns *= 1 + s.config.jitter*(2*s.rng.Float64()-1)
	}
	return time.Duration(min(ns, math.MaxInt64/2))
}

func (s *source) setClock(c span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = c
}

// flush pushes what is ready. Rows that were left out since then are not part of the offset: after a crash they are found again,
// so that their mark is not lost.
func (s *source) flush(ctx context.Context, sink feed.Sink) error {
	if len(s.batch) == 0 {
		return nil
	}
	at := s.place
	at.rows = s.played
	s.offset = at.append(s.offset[:0])
	if err := sink.Push(ctx, s.batch, s.offset); err != nil {
		return err
	}
	s.setClock(span{from: s.prev})
	s.batch = s.batch[:0]
	return nil
}

// reject counts a row that can't be used, and logs the first of its kind.
func (s *source) reject(ctx context.Context, sink feed.Sink, problem *layout.Reject) {
	sink.Dropped(reasonBadRow, 1)
	if s.firstly == nil {
		s.firstly = problem
	}
	if s.skipped.n == 0 {
		s.skipped.first = problem
	}
	s.skipped.n++
	if !s.logged[problem.Problem] && s.start.Log != nil {
		s.logged[problem.Problem] = true
		s.start.Log.WarnContext(ctx, "row left out; others like it are only counted", "file", s.config.path, "error", problem)
	}
}

// mark adds the gap that stands for rows that could not be used, between the row before them and the one after.
func (s *source) mark(until market.Time) {
	from := s.prev
	if from == 0 {
		from = until
	}
	reason := s.skipped.first.Error()
	if s.skipped.n > 1 {
		reason = fmt.Sprintf("%d rows left out, the first: %s", s.skipped.n, reason)
	} else {
		reason = "row left out: " + reason
	}
	e := market.Entry{Kind: market.KindGap, Event: min(from, until), Until: max(from, until), Received: s.received, Text: reason}
	e.Symbol = s.rows.Symbol()
	s.batch = append(s.batch, e)
	s.played = s.place.rows
	s.skipped = skipped{}
}
