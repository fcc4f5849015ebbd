package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// HistoryHolder is history that can say whether it holds any tick that was of the past when it was put on the tape. History need not; it is
// looked through for them then, which takes as long again as reading the tape does.
type HistoryHolder interface {
	HoldsHistory(ctx context.Context) (bool, error)
}

// rows are the ticks that a play takes out of history, in the order of their time and, of the same time, of their arrival: those that the
// tape no longer has, those of files, whose times are not of their receipt, and the gaps among them.
type rows struct {
	g        *Gateway
	pl       *play
	imports  bool // there are ticks that were of the past when they came: those are told beside the tape
	filter   filter
	opened   bool
	streams  []*rowStream
	gaps     []market.Gap
	key      rowKey      // of what was told last
	resumed  bool        // the client was told what is up to key before
	block    *block      // what was read
	numbers  []uint64    // of its entries on the tape; 0 of what is no tick
	at       int32       // its entries that were told
	horizon  market.Time // what was not read does not come before
	done     bool        // all was read
	machine  *barMaker   // nil when no bars are wanted
	previous market.Time // of the row that was read last
}

// rowKey is a place in the order of rows.
type rowKey struct {
	event market.Time
	n     uint64
}

// ofBeat is the number of a heartbeat that was told: of its time nothing is left to come.
const ofBeat = math.MaxUint64 - 1

func (k rowKey) before(o rowKey) bool { return k.event < o.event || k.event == o.event && k.n < o.n }

// rowStream is the ticks of a kind, of one symbol or of all.
type rowStream struct {
	query market.TickQuery
	kept  int // rows of a page at most
	rows  []market.Row
	at    int
	floor market.Time // everything before it was read
	last  bool        // there are no more pages
}

const (
	mostStreams = 16      // for so many symbols each is asked for by itself
	pageOfRows  = 1024    // that are kept
	pageToScan  = 1 << 14 // that are read for them
	slack       = 10 * market.Second
)

// openRows gives a play what it needs of history, if anything.
func (g *Gateway) openRows(ctx context.Context, p *play) error {
	imports := true
	if h, ok := g.opt.History.(HistoryHolder); ok {
		var err error
		if imports, err = h.HoldsHistory(ctx); err != nil {
			return fmt.Errorf("%w: ask history: %w", errInternal, err)
		}
	}
	if imports || p.from < p.oldest {
		p.rows = &rows{g: g, pl: p, imports: imports, key: rowKey{p.from, 0}}
	}
	return nil
}

// rowDue returns when the next row is due, or the time that none comes before, when that is later than a moment; endOfTime when there is none.
func (a *advance) rowDue(ctx context.Context, before market.Time) (market.Time, error) {
	s, r := a.s, a.s.play.rows
	if r == nil {
		return endOfTime, nil
	}
	if f := s.subs.filter(); !r.opened || f != r.filter {
		if !a.tape {
			return 0, errBehind
		}
		if err := r.open(ctx, &s.subs, f); err != nil {
			return 0, err
		}
	}
	for r.block == nil || int(r.at) >= len(r.block.rec.Entries) {
		switch {
		case r.done:
			return endOfTime, nil
		case r.horizon > before || a.scanned >= mostScanned:
			r.block = nil
			return r.horizon, nil
		case !a.tape:
			return 0, errBehind
		}
		if err := r.read(ctx, a); err != nil {
			return 0, err
		}
	}
	return r.block.rec.Entries[r.at].Event, nil
}

// tellRows tells the rows up to a moment.
func (a *advance) tellRows(limit market.Time) {
	r, pl := a.s.play.rows, a.s.play
	if r.block == nil {
		return
	}
	entries := r.block.rec.Entries
	to := r.at
	for int(to) < len(entries) && entries[to].Event <= limit {
		to++
	}
	at := a.tell(r.block, r.at, to, true, r.isLeftOut)
	if at > r.at {
		last := &entries[at-1]
		pl.last = max(pl.last, last.Event)
		switch {
		case last.IsTick():
			r.key = rowKey{last.Event, r.numbers[at-1]}
		case last.Kind == market.KindHeartbeat:
			r.key = rowKey{last.Event, ofBeat}
		case r.key.before(rowKey{last.Event, 0}):
			r.key = rowKey{last.Event, 0} // a gap comes before the ticks of its time
		}
	}
	r.at = at
}

// isLeftOut reports whether an event of history is told by the tape.
func (r *rows) isLeftOut(e *market.Entry, ev *event) bool {
	if ev.bar == nil || e.Event < r.pl.oldest {
		return false
	}
	return !r.g.hub.isImported(ev.symbol)
}

// open begins to read, or begins again when the client wants other symbols: behind what was told.
func (r *rows) open(ctx context.Context, subs *subscriptions, f filter) error {
	fresh := !r.opened || subs.wantsBars()
	r.opened, r.filter, r.done, r.block, r.at, r.horizon, r.previous = true, f, false, nil, 0, 0, 0
	had := r.key
	if r.pl.told > r.key.event {
		r.key = rowKey{r.pl.told, math.MaxUint64}
	}
	gapsFrom := r.key.event
	if r.resumed {
		r.resumed, r.previous, gapsFrom = false, had.event, had.event+1
	}
	r.streams = r.streams[:0]
	trades, quotes := subs.sets[chTrades].clone(), subs.sets[chQuotes].clone()
	for _, c := range []channel{chBars, chUpdatedBars, chDailyBars} {
		trades.merge(&subs.sets[c])
	}
	r.query(market.KindTrade, &trades)
	r.query(market.KindQuote, &quotes)
	if err := r.openGaps(ctx, subs, gapsFrom); err != nil {
		return err
	}
	if fresh {
		return r.warm(ctx, subs, had, gapsFrom)
	}
	return nil
}

// query adds the streams for the ticks of some symbols.
func (r *rows) query(kind market.Kind, symbols *set) {
	q := market.TickQuery{Kind: kind, From: r.key.event, Limit: pageToScan}
	if q.From == 0 {
		q.From = 1 // 0 would leave the beginning open
	}
	if !r.imports {
		// What came before the tape begins has earlier times, but for clocks that are wrong.
		q.To = r.pl.oldest + slack
	}
	names := symbols.symbols()
	if symbols.all || len(names) > mostStreams {
		r.streams = append(r.streams, &rowStream{query: q, kept: pageOfRows, floor: q.From})
		return
	}
	for _, name := range names {
		q.Symbol = name
		r.streams = append(r.streams, &rowStream{query: q, kept: max(64, pageOfRows/len(names)), floor: q.From})
	}
}

// isOurs reports whether a row is told out of history, and not by the tape.
func (r *rows) isOurs(row *market.Row) bool {
	switch {
	case row.Flags&market.FlagHistory != 0 || row.N <= r.pl.trimmed:
		return true
	case row.Flags&market.FlagImported != 0:
		return row.Event < r.pl.oldest
	}
	return false
}

// errEnough ends a page that has as many rows as are kept.
var errEnough = errors.New("enough rows")

// peek returns the next row of a stream that is told out of history. Without one it returns nil; unless last is set, there is none before
// the time floor then.
func (st *rowStream) peek(ctx context.Context, r *rows, a *advance) (*market.Row, error) {
	if st.at == len(st.rows) && !st.last {
		if err := st.load(ctx, r, a); err != nil {
			return nil, err
		}
	}
	if st.at == len(st.rows) {
		return nil, nil
	}
	return &st.rows[st.at], nil
}

// load reads the next page.
func (st *rowStream) load(ctx context.Context, r *rows, a *advance) error {
	n := 0
	var last market.TickKey
	st.rows, st.at = st.rows[:0], 0
	err := r.g.opt.History.Ticks(ctx, st.query, func(row *market.Row) error {
		n++
		last = market.TickKey{Event: row.Event, Seq: row.Seq}
		if st.query.Symbol == "" {
			last.Seq = row.N
		}
		if r.isOurs(row) && r.key.before(rowKey{row.Event, row.N}) {
			if st.rows = append(st.rows, *row); len(st.rows) == st.kept {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("%w: read history: %w", errInternal, err)
	}
	a.scanned += n
	st.last = err == nil && n < st.query.Limit
	if n > 0 {
		st.query.After = &last
		st.floor = last.Event
	}
	return nil
}

// read merges what the streams have next into a block. Without one, nothing comes before the horizon, or it is done.
func (r *rows) read(ctx context.Context, a *advance) error {
	r.block, r.at, r.numbers = nil, 0, r.numbers[:0]
	rec := &tape.Record{Position: 1}
	add := func(e market.Entry, n uint64) {
		rec.Entries = append(rec.Entries, e)
		r.numbers = append(r.numbers, n)
	}
	for {
		best, err := r.first(ctx, a)
		if err != nil {
			return err
		}
		if best == nil || best.rows[best.at].Event >= r.horizon {
			break
		}
		if len(rec.Entries) >= pageOfRows {
			r.horizon = best.rows[best.at].Event
			break
		}
		row := &best.rows[best.at]
		for len(r.gaps) > 0 && r.gaps[0].From <= row.Event {
			add(r.gaps[0].Entry(), 0)
			r.gaps = r.gaps[1:]
		}
		// Time passed, if nothing else did: bars close by it.
		if beat := r.beat(); r.previous != 0 && row.Event > beat {
			add(market.Heartbeat{Event: beat}.Entry(), 0)
		}
		r.previous = row.Event
		add(row.Entry, row.N)
		best.at++
	}
	if r.horizon == endOfTime {
		r.done = true
		for _, gap := range r.gaps {
			add(gap.Entry(), 0)
		}
		r.gaps = nil
		if beat := r.beat(); r.previous != 0 && beat <= market.FromStd(time.Now()) {
			add(market.Heartbeat{Event: beat}.Entry(), 0)
		}
	}
	if len(rec.Entries) == 0 {
		return nil
	}
	r.block = &block{rec: rec, events: make([]event, 0, len(rec.Entries))}
	for i := range rec.Entries {
		r.block.events = r.g.hub.event(r.block.events, rec, i, r.machine)
	}
	return nil
}

// beat is when the bars of the minute of the row before close.
func (r *rows) beat() market.Time {
	return r.previous.Floor(market.Minute) + market.Minute + closesAfter
}

// first returns the stream whose row is the next, nil when none is known. It sets the horizon, which no unknown row comes before.
func (r *rows) first(ctx context.Context, a *advance) (best *rowStream, err error) {
	r.horizon = endOfTime
	for _, st := range r.streams {
		row, err := st.peek(ctx, r, a)
		if err != nil {
			return nil, err
		}
		if row == nil {
			if !st.last {
				r.horizon = min(r.horizon, st.floor)
			}
			continue
		}
		if best == nil || (rowKey{row.Event, row.N}).before(rowKey{best.rows[best.at].Event, best.rows[best.at].N}) {
			best = st
		}
	}
	return best, nil
}

// openGaps reads the gaps from a moment on of the time that the tape does not have.
func (r *rows) openGaps(ctx context.Context, subs *subscriptions, from market.Time) error {
	r.gaps = nil
	h, ok := r.g.opt.History.(GapHistory)
	if !ok || from >= r.pl.oldest {
		return nil
	}
	all := subs.sets[chTrades].clone()
	for c := chQuotes; c < chStatuses; c++ {
		all.merge(&subs.sets[c])
	}
	names := all.symbols()
	if all.all {
		names = []market.Symbol{""}
	}
	seen := make(map[market.Gap]bool)
	for _, name := range names {
		err := h.EachGap(ctx, name, from, r.pl.oldest, func(gap market.Gap) error {
			if gap.From >= from && gap.To != 0 && gap.To <= r.pl.oldest && !seen[gap] {
				seen[gap] = true
				r.gaps = append(r.gaps, gap)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: read the gaps: %w", errInternal, err)
		}
	}
	slices.SortStableFunc(r.gaps, func(a, b market.Gap) int { return int(min(max(a.From-b.From, -1), 1)) })
	return nil
}

// warm makes the machine for the bars of these rows, and lets it have what came before them: the bars of the day and of the minute are as
// they were at that moment. What was told last of history was at had, and the gaps
// before gapsFrom.
func (r *rows) warm(ctx context.Context, subs *subscriptions, had rowKey, gapsFrom market.Time) error {
	r.machine = nil
	if !subs.wantsBars() {
		return nil
	}
	m, err := r.g.newMachine()
	if err != nil {
		return err
	}
	r.machine = &barMaker{machine: m}
	isKnown := func(gap *market.Gap) bool { return gap.From < gapsFrom && gap.To <= r.pl.oldest }
	if err := r.g.takeGaps(ctx, subs, gapsFrom, isKnown, r.machine, func(market.Symbol) string { return "" }); err != nil {
		return err
	}
	err = r.g.eachBefore(ctx, subs, r.key.event, func(row *market.Row) {
		if r.isOurs(row) && !r.key.before(rowKey{row.Event, row.N}) {
			r.machine.take("", &row.Entry)
		}
	})
	if err == nil && had.n == ofBeat {
		beat := market.Heartbeat{Event: had.event}.Entry()
		r.machine.take("", &beat) // the bars that it closed were told
	}
	return err
}
