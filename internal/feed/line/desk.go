package line

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// desk is what all connections of a feed hand their entries to. It puts the trades of each symbol in order, sees holes, lets them
// be filled, and pushes into the sink.
type desk struct {
	sink    feed.Sink
	start   feed.Start
	log     *slog.Logger
	traits  venue.Traits
	history bool
	t       timings
	fill    func(b *book, h venue.Hole, reason string) // starts to fill a hole; never blocks
	renew   func(in venue.Instrument)                  // subscribes anew to a symbol that fell silent

	mu     sync.Mutex
	books  map[market.Symbol]*book
	recent *book
	out    []market.Entry
	bytes  int // of all that waits
	twice  int // trades that came again, since the last flush
}

func now() market.Time { return market.FromStd(time.Now()) }

// book returns where a symbol stands. Of a symbol that is new it asks the tape: what happened since its last trade there is
// missing. It is called with mu held.
func (d *desk) book(s market.Symbol) *book {
	if d.recent != nil && d.recent.in.Symbol == s {
		return d.recent
	}
	b := d.books[s]
	if b == nil {
		b = &book{in: venue.Instrument{Symbol: s, Native: s.Name()}}
		if last, ok := d.start.Last(s, market.KindTrade); ok {
			b.last = last
			b.broken = "not running"
		}
		d.books[s] = b
	}
	d.recent = b
	return b
}

// know makes sure that an instrument has a book with its names. One that is wanted just now has no hole before: nobody wanted what
// happened then.
func (d *desk) know(in venue.Instrument, wished bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.books[in.Symbol] != nil
	b := d.book(in.Symbol)
	b.in = in
	if wished && !known && b.last.Kind != 0 {
		b.leave()
	}
}

// take takes what a connection received. It is called by one connection after the other.
func (d *desk) take(ctx context.Context, entries []market.Entry, marks []venue.Mark) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := now()
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case market.KindTrade:
			d.trade(d.book(e.Symbol), e, at)
		case market.KindHeartbeat:
			d.start.Account.Clock(e.Event, e.Received)
		default:
			d.out = append(d.out, *e)
		}
	}
	for _, m := range marks {
		d.note(d.book(m.Symbol), m.ID, at)
	}
	return d.flush(ctx)
}

// note takes how far the venue says a symbol has come.
func (d *desk) note(b *book, id uint64, at market.Time) {
	b.mark, b.marked = max(b.mark, id), at
	if b.last.ID == 0 || b.mark <= b.highest() {
		b.ahead = 0
		if b.mark == b.last.ID && b.carriers > 0 && len(b.waiting) == 0 && !b.filling && d.traits.Consecutive {
			b.broken, b.check = "", 0 // The venue has come no further than we have.
		}
		return
	}
	if b.ahead == 0 {
		b.ahead = at
	}
}

// push hands a trade over.
func (d *desk) push(b *book, e *market.Entry) {
	d.out = append(d.out, *e)
	b.last = *e
	if b.ahead != 0 && b.mark <= b.last.ID {
		b.ahead = 0
	}
}

// trade takes a live trade.
func (d *desk) trade(b *book, e *market.Entry, at market.Time) {
	if b.renewed != 0 {
		// It speaks again as soon as it is asked to: it was not quiet, it was mute.
		if at < b.renewed+max(20*b.mean, 10*market.Time(d.t.settle)) && b.broken == "" {
			b.broken = silent
		}
		b.renewed = 0
	}
	b.beat(at)
	if d.traits.Consecutive && e.ID != 0 {
		d.numbered(b, e, at)
		return
	}
	switch {
	case b.filling:
		d.hold(b, e, at)
	case b.broken == "" || b.last.Kind == 0:
		b.broken, b.check = "", 0
		d.push(b, e)
	case !d.history || b.broken == notWanted:
		d.gap(b, b.last.Event, e.Event, b.broken, 0)
		b.broken, b.check = "", 0
		d.push(b, e)
	default:
		if b.check == 0 {
			b.check = at.Add(d.t.settle)
		}
		d.hold(b, e, at)
	}
}

// numbered takes a live trade whose number says what is missing before it.
func (d *desk) numbered(b *book, e *market.Entry, at market.Time) {
	switch {
	case b.last.Kind == 0 || b.last.ID == 0:
		if b.last.Kind != 0 && b.broken != "" {
			d.gap(b, b.last.Event, e.Event, b.broken, 0)
		}
		b.broken, b.check = "", 0
		d.push(b, e)
	case e.ID <= b.last.ID:
		if list := b.anew(e); list != nil {
			d.gap(b, b.last.Event, list[0].Event, "the venue began to number its trades anew", 0)
			d.unholdFirst(b, len(b.waiting))
			for i := range list {
				d.push(b, &list[i])
			}
			b.mark, b.ahead, b.cuts = 0, 0, nil
			return
		}
		d.twice++
	case e.ID == b.last.ID+1:
		d.push(b, e)
		if !b.filling {
			b.broken, b.check = "", 0
		}
		d.drain(b, at)
	default:
		d.hold(b, e, at)
	}
}

// drain pushes what waits and follows on what was pushed.
func (d *desk) drain(b *book, at market.Time) {
	n := 0
	for n < len(b.waiting) && b.waiting[n].ID <= b.last.ID+1 {
		if e := &b.waiting[n]; e.ID == b.last.ID+1 {
			d.push(b, e)
		}
		n++
	}
	if n > 0 {
		d.unholdFirst(b, n)
		b.since = at
	}
}

// hold lets a trade wait, or gives up what it waits for when there is no room.
func (d *desk) hold(b *book, e *market.Entry, at market.Time) {
	d.bytes += b.hold(e, d.traits.Consecutive && e.ID != 0, at)
	if b.bytes <= maxWaiting && d.bytes <= maxAllWaiting {
		return
	}
	if b.filling {
		if b.abandon != nil {
			b.abandon(errNoRoom)
		}
		if b.bytes <= 2*maxWaiting {
			return // What was fetched by now comes first.
		}
	}
	d.giveUp(b, b.why()+notFilled+errNoRoom.Error())
}

// giveUp pushes what waits, with gaps where something is missing.
func (d *desk) giveUp(b *book, reason string) {
	for {
		list := d.unhold(b)
		d.merge(b, list, reason)
		if b.mended(now()); b.broken == "" || len(b.waiting) == 0 {
			return
		}
		reason = b.broken
	}
}

// unhold takes what waits, up to the next hole in it.
func (d *desk) unhold(b *book) []market.Entry {
	n := len(b.waiting)
	if len(b.cuts) > 0 {
		n = b.cuts[0].at
	}
	return d.unholdFirst(b, n)
}

// unholdFirst takes the first n of those that wait.
func (d *desk) unholdFirst(b *book, n int) []market.Entry {
	list := slices.Clone(b.waiting[:n])
	for i := range list {
		size := entrySize + len(list[i].Ref)
		b.bytes -= size
		d.bytes -= size
	}
	b.waiting = slices.Delete(b.waiting, 0, n)
	for i := range b.cuts {
		b.cuts[i].at = max(b.cuts[i].at-n, 0)
	}
	return list
}

// gap says that trades of a symbol may be missing, or were.
func (d *desk) gap(b *book, from, to market.Time, reason string, flags market.Flags) {
	d.out = append(d.out, market.Entry{
		Kind: market.KindGap, Symbol: b.in.Symbol, Event: from, Until: max(from, to), Received: now(), Text: reason, Flags: flags,
	})
}

// merge pushes trades that are in order, with gaps before those that something is missing before: by their numbers, or, where these
// tell nothing, before the first. It returns the number of gaps.
func (d *desk) merge(b *book, list []market.Entry, why string) (gaps int) {
	for i := range list {
		e := &list[i]
		numbered := d.traits.Consecutive && e.ID != 0 && b.last.ID != 0
		switch {
		case numbered && e.ID <= b.last.ID:
			continue
		case numbered && e.ID > b.last.ID+1:
			text := fmt.Sprintf("%s: %d trades, numbers %d to %d", why, e.ID-b.last.ID-1, b.last.ID+1, e.ID-1)
			if gaps++; gaps == maxGaps {
				text = why + ": more holes follow"
				d.gap(b, b.last.Event, list[len(list)-1].Event, text, 0)
			} else if gaps < maxGaps {
				d.gap(b, b.last.Event, e.Event, text, 0)
			}
		case !numbered && i == 0 && b.last.Kind != 0:
			gaps++
			d.gap(b, b.last.Event, e.Event, why, 0)
		}
		d.push(b, e)
	}
	return gaps
}

// flush pushes what is to be pushed. No entries say that the feed is alive. It is called with mu held.
func (d *desk) flush(ctx context.Context) error {
	if d.twice > 0 {
		d.start.Account.Repeated(d.twice)
		d.twice = 0
	}
	list := d.out
	defer func() {
		clear(d.out)
		d.out = d.out[:0]
	}()
	for {
		n := min(len(list), feed.MaxPush)
		if err := d.sink.Push(ctx, list[:n], nil); err != nil {
			return err
		}
		if list = list[n:]; len(list) == 0 {
			return nil
		}
	}
}

// tell pushes one entry of the line's own.
func (d *desk) tell(ctx context.Context, e market.Entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sink.Push(ctx, []market.Entry{e}, nil)
}

// taken notes that a connection carries a symbol. What happened before is asked for a little later, when history knows it.
func (d *desk) taken(s market.Symbol) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.book(s)
	if b.carriers == 0 && b.renewed == 0 && b.broken == "" && b.last.Kind != 0 {
		b.lose("the symbol was not subscribed to") // Whatever came last, nothing says that all came until now.
	}
	b.carriers++
	if b.seen == 0 {
		b.seen = now()
	}
	switch {
	case b.last.Kind == 0 || b.broken == notWanted:
	case b.broken != "":
		b.check = now().Add(d.t.settle)
	case b.carriers > 1 && d.history && !d.traits.Consecutive:
		// Nothing tells whether the connection before missed something.
		b.lose("the connection was replaced")
		b.check = now().Add(d.t.settle)
	}
}

// let notes that a connection carries symbols no more. Those that no other carries may miss trades from now on.
func (d *desk) let(symbols []market.Symbol, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range symbols {
		b := d.book(s)
		switch b.carriers--; {
		case b.carriers > 0:
		case reason == notWanted && b.filling:
			b.left = true
		case reason == notWanted:
			d.leave(b)
		case reason == silent && !d.history:
			b.renewed = now()
		default:
			b.lose(reason)
		}
	}
}

// unwanted notes that nobody wants a symbol that no connection carries: there was none when it was let go.
func (d *desk) unwanted(s market.Symbol) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch b := d.book(s); {
	case b.carriers > 0 || b.last.Kind == 0:
	case b.filling:
		b.left = true
	default:
		d.leave(b)
	}
}

// leave notes that nobody wants a symbol any more. What of it waits goes first; the next sweep pushes it.
func (d *desk) leave(b *book) {
	if len(b.waiting) > 0 {
		d.giveUp(b, b.why())
	}
	b.leave()
}

// miss notes that a connection ended before it carried symbols. They were carried before, perhaps, and let go to be asked for anew.
func (d *desk) miss(symbols []market.Symbol, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range symbols {
		if b := d.book(s); b.carriers == 0 && b.last.Kind != 0 {
			b.lose(reason)
		}
	}
}

// missAll notes that a connection ended on which a venue sends what it likes: all that was not asked for may miss trades.
func (d *desk) missAll(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.books {
		if b.carriers == 0 && b.last.Kind != 0 {
			b.lose(reason)
		}
	}
}

// doubt notes that trades of symbols that are carried may be missing.
func (d *desk) doubt(symbols []market.Symbol, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range symbols {
		b := d.book(s)
		if b.lose(reason); b.check == 0 {
			b.check = now().Add(d.t.settle)
		}
	}
}

// sweep looks at all that waits for time to pass.
func (d *desk) sweep(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := now()
	for _, b := range d.books {
		d.look(b, at)
	}
	if len(d.out) == 0 && d.twice == 0 {
		return nil // A push would say that the feed is alive.
	}
	return d.flush(ctx)
}

// look begins to fill the hole of a symbol that is due.
func (d *desk) look(b *book, at market.Time) {
	if b.filling || b.last.Kind == 0 {
		return
	}
	numbered := d.traits.Consecutive
	switch {
	case numbered && len(b.waiting) > 0:
		if at < b.since.Add(d.traits.Reorder) {
			return
		}
		if !d.history {
			d.giveUp(b, b.why())
			return
		}
		d.begin(b, b.why(), at)
	case !d.history:
		if b.carriers > 0 && b.stalled(at, market.Time(d.t.stall)) {
			b.mute++
			b.seen = at
			d.renew(b.in)
		}
	case numbered && b.ahead != 0 && b.carriers > 0:
		if at >= b.ahead.Add(d.t.patience) && at >= b.check {
			d.begin(b, b.why(), at)
		}
	case b.broken != "":
		if b.check != 0 && at >= b.check && (b.carriers > 0 || len(b.waiting) > 0) {
			d.begin(b, b.broken, at)
		}
	case b.carriers > 0 && at > b.marked.Add(4*d.traits.Heartbeat) && b.stalled(at, market.Time(d.t.stall)):
		b.probing = true
		d.begin(b, silent, at)
	}
}

// Reasons of holes.
const (
	silent    = "the stream of the symbol fell silent" // found by asking
	notWanted = "nobody wanted the symbol"             // nothing is fetched for it
	notFilled = "; not filled: "
)

// begin lets a hole be filled.
func (d *desk) begin(b *book, reason string, at market.Time) {
	h := venue.Hole{Instrument: b.in, After: b.last, Now: at}
	if len(b.waiting) > 0 {
		h.Before = b.waiting[0]
	}
	b.filling = true
	d.fill(b, h, reason)
}
