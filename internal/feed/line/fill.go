package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// What a hole is not filled for.
var (
	errNoRoom   = errors.New("too many trades came meanwhile")
	errTooLarge = fmt.Errorf("more than %d trades", maxFetched)
	errPartial  = errors.New("the venue's history does not have all of it")
	errLate     = errors.New("the venue's history is behind")
)

// fetched is what came of filling a hole.
type fetched struct {
	trades   []market.Entry
	complete bool
	err      error // why it is not
}

// fillHole reads the history of a hole and hands it to the desk.
func (s *source) fillHole(ctx context.Context, b *book, h venue.Hole, reason string) error {
	filling, cancel := context.WithTimeoutCause(ctx, s.t.fill, errors.New("it took too long"))
	defer cancel()
	filling, abandon := context.WithCancelCause(filling)
	defer abandon(nil)
	s.desk.mu.Lock()
	b.abandon = abandon
	s.desk.mu.Unlock()
	var got fetched
	select {
	case s.fills <- struct{}{}:
		got = s.fetch(filling, &h)
		<-s.fills
	case <-filling.Done():
		got.err = context.Cause(filling)
	}
	if ctx.Err() != nil {
		return nil // What is missing will be asked for at the next start.
	}
	return s.desk.filled(ctx, b, &h, reason, got)
}

// fetch reads page after page. What cannot be read is tried again until the hole's time is over.
func (s *source) fetch(ctx context.Context, h *venue.Hole) (got fetched) {
	backoff := feed.NewBackoff(s.random)
	req := s.history.First(h)
	if req == nil {
		return fetched{err: errPartial}
	}
	late, tries := 0, 0
	for req != nil {
		reply, err := s.rest.get(ctx, req)
		var list []market.Entry
		var next *venue.Request
		var complete bool
		if err == nil {
			err = guard(ctx, s.log, func() error {
				list, next, complete, err = s.history.Page(h, req, reply, nil)
				return err
			})
		}
		if err != nil {
			got.err = err
			if tries++; tries == maxTries || errors.Is(err, venue.ErrRefused) || s.rest.wait(ctx, backoff, err, s.t.scale) != nil {
				break
			}
			continue
		}
		got.err, tries = nil, 0
		got.trades = append(got.trades, list...)
		if next == nil {
			got.complete = complete
			if complete && s.behind(h, got.trades) {
				late++
				got.err, got.complete = errLate, false
				if late <= 5 && pause(ctx, s.t.settle) == nil {
					got.trades, req, got.complete = nil, s.history.First(h), false
					continue
				}
			}
			break
		}
		if len(got.trades) > maxFetched {
			got.err = errTooLarge
			break
		}
		req = next
	}
	switch {
	case got.complete:
	case ctx.Err() != nil && got.err != nil:
		got.err = fmt.Errorf("%w: %w", context.Cause(ctx), got.err)
	case ctx.Err() != nil:
		got.err = context.Cause(ctx)
	case got.err == nil:
		got.err = errPartial
	}
	return got
}

// behind reports whether history lacks the trade before the end of a hole, which must be there.
func (s *source) behind(h *venue.Hole, trades []market.Entry) bool {
	if !s.desk.traits.Consecutive || h.Before.ID == 0 || h.Before.ID <= h.After.ID+1 {
		return false
	}
	return !slices.ContainsFunc(trades, func(e market.Entry) bool { return e.ID == h.Before.ID-1 })
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// filled takes the history of a hole: the fetched trades first, then those that waited.
func (d *desk) filled(ctx context.Context, b *book, h *venue.Hole, reason string, got fetched) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	probing := b.probing
	b.filling, b.probing, b.abandon = false, false, nil
	at := now()
	trades := d.wanted(b, h, got.trades)
	if probing {
		d.probed(b, len(trades))
	}
	until := h.Before.ID
	if n := len(trades); n > 0 {
		until = max(until, trades[n-1].ID) // History may be ahead of what has arrived: that lies between what was fetched.
	}
	why := reason
	if got.err != nil {
		d.log.WarnContext(ctx, "a hole could not be filled", "symbol", b.in.Symbol, "reason", reason, "trades", len(trades), "error", got.err)
		why += notFilled + got.err.Error()
	} else if len(trades) > 0 {
		d.log.InfoContext(ctx, "filled a hole", "symbol", b.in.Symbol, "reason", reason, "trades", len(trades))
	}
	switch {
	case d.traits.Consecutive && h.Before.ID == 0 && got.err != nil:
		// What is missing shows with the next trade, or with the next mark of the venue.
		d.mergeNumbered(b, trades, d.before(b, until), why, reason)
		b.keep(at.Add(d.t.retry))
		b.ahead = 0
		d.drain(b, at)
		d.leaveLate(b)
		return d.flush(ctx)
	case d.traits.Consecutive:
		d.mergeNumbered(b, trades, d.before(b, until), why, reason)
		d.drain(b, at)
	case got.err != nil && len(trades) == 0 && len(b.waiting) == 0 && (probing || !b.tried):
		b.tried = true // Nothing waits: there is time to try again.
		b.keep(at.Add(d.t.retry))
		d.leaveLate(b)
		return d.flush(ctx)
	default:
		d.mergeTimed(b, h, trades, why, got.err == nil)
	}
	b.mended(at.Add(d.t.settle))
	if b.since = at; b.check == 0 && b.mark > b.highest() {
		b.check = at.Add(d.t.retry) // History is behind what the venue says: asking again at once would not help.
	}
	d.leaveLate(b)
	return d.flush(ctx)
}

// leaveLate lets a symbol go that nobody wanted any more while it was being filled.
func (d *desk) leaveLate(b *book) {
	if b.left {
		b.left = false
		d.leave(b)
	}
}

// mergeTimed pushes fetched trades, then those that waited, where only times tell their order. The runner leaves out those that
// are among both.
func (d *desk) mergeTimed(b *book, h *venue.Hole, trades []market.Entry, why string, filled bool) {
	from, waited := b.last, d.unhold(b)
	until := max(h.Now, from.Event)
	if len(waited) > 0 {
		until = waited[0].Event
	}
	for i := range trades {
		d.push(b, &trades[i])
	}
	switch {
	case !filled:
		d.gap(b, from.Event, until, why, 0)
	case len(trades) > 0:
		d.gap(b, from.Event, b.last.Event, why, market.FlagFilled)
	}
	for i := range waited {
		d.push(b, &waited[i])
	}
}

// mergeNumbered pushes fetched trades and those that waited, in the order of their numbers.
func (d *desk) mergeNumbered(b *book, trades, waited []market.Entry, why, reason string) {
	from, fresh := b.last, len(trades)
	list := append(trades, waited...)
	slices.SortStableFunc(list, byNumber)
	if d.merge(b, list, why) == 0 && fresh > 0 {
		d.gap(b, from.Event, b.last.Event, reason, market.FlagFilled)
	}
}

// before takes those waiting trades that end a hole: the one with the number, and what follows on it.
func (d *desk) before(b *book, id uint64) []market.Entry {
	n := 0
	for n < len(b.waiting) && b.waiting[n].ID <= id {
		n++
	}
	return d.unholdFirst(b, n)
}

// wanted returns the fetched trades that belong into a hole, in order, each once.
func (d *desk) wanted(b *book, h *venue.Hole, list []market.Entry) []market.Entry {
	at := now()
	for i := range list {
		list[i].Flags |= market.FlagBackfilled
		if list[i].Received == 0 {
			list[i].Received = at
		}
	}
	if d.traits.Consecutive {
		slices.SortStableFunc(list, byNumber)
		list = slices.CompactFunc(list, func(a, b market.Entry) bool { return a.ID == b.ID })
		return slices.DeleteFunc(list, func(e market.Entry) bool {
			_, waits := slices.BinarySearchFunc(b.waiting, e, byNumber)
			return e.ID <= b.last.ID || e.ID <= h.After.ID || waits || h.Before.ID != 0 && e.ID >= h.Before.ID
		})
	}
	slices.SortStableFunc(list, byTime)
	return slices.DeleteFunc(list, func(e market.Entry) bool {
		switch {
		case e.Event < h.After.Event || h.Before.Kind != 0 && e.Event > h.Before.Event:
			return true
		case h.Before.Kind != 0 && same(&e, &h.Before):
			return true // It waits.
		case e.Event > h.After.Event:
			return false
		}
		// At the moment of the last trade before the hole: a higher number of the same exchange came after it.
		return e.ID == 0 || e.ID <= h.After.ID || e.Exchange != h.After.Exchange
	})
}

// same reports whether two entries are the same trade by what the venue calls them.
func same(a, b *market.Entry) bool {
	return a.ID == b.ID && a.Ref == b.Ref && a.Exchange == b.Exchange && (a.ID != 0 || a.Ref != "")
}

// probed takes the result of asking about a silent symbol.
func (d *desk) probed(b *book, found int) {
	b.seen = now()
	if found == 0 {
		b.mute++
		return
	}
	b.mute = 0
	d.renew(b.in)
}
