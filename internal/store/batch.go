package store

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Who says that there is a gap.
const (
	causeFeed  = "feed"  // the feed, by an entry of the tape
	causeTape  = "tape"  // the tape, by an entry that stands for a damaged part
	causeTrim  = "trim"  // the tape, which was not whole when it was read
	causeStore = "store" // the store, of entries that it cannot hold
)

// gap is a row of gap_rows.
type gap struct {
	market.Gap
	cause             string
	symbol            int64 // 0: all symbols of the feed, or of the tape when there is no feed
	feed              string
	lost              uint64 // entries, where that is known
	position, through tape.Position
}

// numberedForm is a form that is new to the file.
type numberedForm struct {
	id   int64
	form form
}

// batch is what one transaction writes: the effect of some records on the file. It is computed in memory as a whole, and then
// written, again and again if need be, until the file has it.
type batch struct {
	place    place
	newEpoch bool
	since    tape.Position // first position of the new epoch
	touched  []*symbolState
	forms    []numberedForm
	feeds    map[string]*candle.Feed // those that had something to say
	bars     []barStep
	imported []importedBar
	gaps     []gap
	refused  map[refusal]int                // index into gaps
	symbols  map[market.Symbol]*symbolState // those of the fold
	records  int
	ticks    int

	coverage, coverageGone []coverageRow
	late                   []lateRow
}

// refusal is what is wrong with some entries of a symbol. All of a batch share a row of gaps and a line of the log.
type refusal struct {
	symbol int64
	what   string
}

// fold computes the effect of records on the file. It holds the state of the recorder, which runs ahead of the file by one
// batch at most.
type fold struct {
	store   *Store
	log     *slog.Logger
	writer  *writer
	symbols map[market.Symbol]*symbolState
	lastID  int64 // highest id of a symbol
	last    *symbolState
	forms   formNumbers
	machine *candle.Machine
	feeds   map[string]*candle.Feed
	damage  []market.Entry // gaps of the tape itself, for feeds that appear later
	batch   batch
	pool    rowPool
	ledger  ledger
}

// load reads the state of the file.
func (f *fold) load(ctx context.Context) error {
	p, err := readPlace(ctx, f.writer.conn)
	if err != nil {
		return err
	}
	f.batch = batch{place: p, feeds: make(map[string]*candle.Feed), refused: make(map[refusal]int)}
	list, err := readSymbols(ctx, f.writer.conn)
	if err != nil {
		return err
	}
	f.symbols = make(map[market.Symbol]*symbolState, len(list))
	f.forms.limit = f.store.forms.limit
	f.ledger = ledger{fold: f, feeds: make(map[string]*growing)}
	for _, st := range list {
		if l, ok := f.store.Latest(st.symbol); ok {
			st.listing = l
		}
		st.trades.goOn(&st.listing.LastTrade, st.listing.TradeSeq)
		st.quotes.goOn(&st.listing.LastQuote, st.listing.QuoteSeq)
		f.symbols[st.symbol] = st
		f.lastID = max(f.lastID, st.id)
	}
	f.batch.symbols = f.symbols
	if err := f.forms.load(ctx, f.writer.conn); err != nil {
		return fmt.Errorf("read forms: %w", mark(err))
	}
	return f.loadBars(ctx)
}

// enter notes the tape that the next records come from.
func (f *fold) enter(b tape.Bounds) {
	p := &f.batch.place
	if p.epoch != b.Epoch {
		if p.position > 0 {
			f.log.Warn("the tape has a new epoch", "old", p.epoch.String(), "new", b.Epoch.String(), "position", uint64(p.position))
		}
		p.epoch = b.Epoch
		f.batch.newEpoch, f.batch.since = true, p.position+1
	}
	p.highWater = max(p.highWater, b.Last)
}

// record takes in a record. An error is one of reading the file, and passes or not as that does; the record may then have been
// taken in by half, and the state is of no more use.
func (f *fold) record(ctx context.Context, rec *tape.Record) error {
	p := &f.batch.place
	switch {
	case rec.Ordinal > p.entries:
		f.missing(rec, rec.Ordinal-p.entries)
	case rec.Ordinal < p.entries && damage(rec) == 0:
		f.log.Error("the tape numbers entries again", "position", uint64(rec.Position), "ordinal", rec.Ordinal, "entries", p.entries)
	}
	p.entries = rec.Ordinal
	if err := f.ledger.take(ctx, rec); err != nil {
		return err
	}
	feed := f.feed(rec.Feed)
	for i := range rec.Entries {
		e := &rec.Entries[i]
		n := rec.Ordinal + uint64(i) + 1
		switch e.Kind {
		case market.KindTrade, market.KindQuote:
			if err := f.tick(ctx, rec, feed, n, e); err != nil {
				return err
			}
		case market.KindGap:
			f.gap(rec, feed, e)
		case market.KindBar:
			if err := f.bar(ctx, rec, n, e); err != nil {
				return err
			}
		case market.KindHeartbeat, market.KindStatus, market.KindAlarm:
			f.push(rec, feed, n, e)
		}
	}
	if damaged := damage(rec); damaged > 0 {
		p.entries += damaged
	} else {
		p.entries += uint64(len(rec.Entries))
	}
	p.position = rec.Through
	p.highWater = max(p.highWater, rec.Through)
	f.batch.records++
	return nil
}

// damage returns how many entries a record says were lost, 0 when it is not about damage.
func damage(rec *tape.Record) uint64 {
	if len(rec.Entries) == 1 && rec.Entries[0].Kind == market.KindGap && rec.Entries[0].Flags&market.FlagDamage != 0 {
		return rec.Entries[0].Seq
	}
	return 0
}

// missing notes that entries before a record were not on the tape, although the record's ordinal counts them.
func (f *fold) missing(rec *tape.Record, lost uint64) {
	f.log.Error("entries are missing on the tape", "position", uint64(rec.Position), "entries", lost)
	at := market.Time(0)
	if len(rec.Entries) > 0 {
		at = rec.Entries[0].Event
	}
	f.batch.place.lost += lost
	f.batch.gaps = append(f.batch.gaps, gap{
		Gap:      market.Gap{From: at, To: at, Reason: "missing on the tape", Flags: market.FlagDamage},
		cause:    causeTrim,
		lost:     lost,
		position: f.batch.place.position + 1, through: rec.Position - 1,
	})
}

// trimmed notes that the tape begins after the position that would have been read next.
func (f *fold) trimmed(first tape.Position) {
	p := &f.batch.place
	f.log.Error("the tape was trimmed before it was recorded", "from", uint64(p.position+1), "through", uint64(first-1))
	f.batch.gaps = append(f.batch.gaps, gap{
		Gap:      market.Gap{Reason: "trimmed from the tape before it was recorded", Flags: market.FlagDamage},
		cause:    causeTrim,
		position: p.position + 1, through: first - 1,
	})
	p.position = first - 1
}

// gap takes in an entry of KindGap.
func (f *fold) gap(rec *tape.Record, feed *candle.Feed, e *market.Entry) {
	g := gap{Gap: e.Gap(), cause: causeFeed, feed: rec.Feed, position: rec.Position, through: rec.Through}
	if e.Symbol != "" {
		st := f.symbol(e.Symbol)
		if st.listing.Feed == "" {
			st.listing.Feed = rec.Feed
		}
		g.symbol = st.id
		f.touch(st)
	}
	if e.Flags&market.FlagDamage != 0 {
		// Which symbols the lost entries were of is not known, so that each may have had all of them.
		g.cause, g.lost = causeTape, e.Seq
		f.batch.place.lost += e.Seq
		for _, st := range f.symbols {
			st.listing.TradeSeq += e.Seq
			st.listing.QuoteSeq += e.Seq
			f.touch(st)
		}
	}
	f.markBars(feed, g, e)
	f.batch.ticks += gapTicks
}

// gapTicks is how many ticks a gap counts for in the size of a transaction: it looks for bars to mark.
const gapTicks = 100

// symbol returns the state of a symbol, new or not.
func (f *fold) symbol(s market.Symbol) *symbolState {
	if f.last != nil && f.last.symbol == s {
		return f.last
	}
	st := f.symbols[s]
	if st == nil {
		f.lastID++
		lost := f.batch.place.lost
		st = &symbolState{id: f.lastID, symbol: s, listing: market.Listing{Symbol: s, TradeSeq: lost, QuoteSeq: lost}}
		f.symbols[s] = st
	}
	f.last = st
	return st
}

func (f *fold) touch(st *symbolState) {
	if !st.touched {
		st.touched = true
		f.batch.touched = append(f.batch.touched, st)
	}
}

// tick takes in a trade or a quote.
func (f *fold) tick(ctx context.Context, rec *tape.Record, feed *candle.Feed, n uint64, e *market.Entry) error {
	if reason := storable(n, e); reason != "" {
		f.refuse(rec, n, e, reason)
		return nil
	}
	st := f.symbol(e.Symbol)
	shape := formOf(e)
	id, fresh, err := f.forms.of(ctx, f.writer.conn, &shape)
	if err != nil {
		return fmt.Errorf("read forms: %w", err)
	}
	if fresh {
		f.batch.forms = append(f.batch.forms, numberedForm{id, shape})
	}
	var t tick
	t.set(n, e, id)
	if r := st.series(e.Kind); r.count > 0 && t.seq <= r.highest {
		twice := r.holds(&t)
		if !twice {
			if twice, err = f.writer.has(ctx, e.Kind, st.id, &t); err != nil {
				return fmt.Errorf("read %s: %w", tickTable(e.Kind), err)
			}
		}
		if twice {
			f.refuse(rec, n, e, "its number was used before")
			return nil
		}
	}
	if e.Flags&market.FlagHistory == 0 || st.listing.Feed == "" || market.IsImport(st.listing.Feed) {
		st.listing.Feed = rec.Feed
	}
	if err := f.ledger.tick(ctx, st, rec.Feed, e); err != nil {
		return err
	}
	st.add(e, t, &f.pool)
	f.touch(st)
	f.batch.ticks++
	f.push(rec, feed, n, e)
	return nil
}

// refuse notes an entry that cannot be a row.
func (f *fold) refuse(rec *tape.Record, n uint64, e *market.Entry, reason string) {
	f.note(rec, n, e, "cannot be stored: "+reason).lost++
	f.store.metrics.refused.Inc()
}

// note returns the gap that says what is wrong with an entry, and logs it when it is the first of the batch.
func (f *fold) note(rec *tape.Record, n uint64, e *market.Entry, what string) *gap {
	var symbol int64
	if e.Symbol != "" && len(e.Symbol) <= market.MaxSymbol {
		st := f.symbol(e.Symbol)
		if st.listing.Feed == "" {
			st.listing.Feed = rec.Feed
		}
		f.touch(st)
		symbol = st.id
	}
	key := refusal{symbol, what}
	i, ok := f.batch.refused[key]
	if !ok {
		f.log.Error("an entry of the tape is not in history as it is", "position", uint64(rec.Position), "n", n, "kind", e.Kind.String(),
			"symbol", string(e.Symbol), "seq", e.Seq, "reason", what)
		i = len(f.batch.gaps)
		f.batch.refused[key] = i
		f.batch.gaps = append(f.batch.gaps, gap{
			Gap:   market.Gap{Symbol: e.Symbol, From: e.Event, To: e.Event, Reason: fmt.Sprintf("%s %d %s", e.Kind, e.Seq, what)},
			cause: causeStore, symbol: symbol, feed: rec.Feed, position: rec.Position,
		})
	}
	g := &f.batch.gaps[i]
	g.From, g.To, g.through = min(g.From, e.Event), max(g.To, e.Event), rec.Through
	return g
}

// finish brings the batch into the order of the file.
func (f *fold) finish() {
	f.drain()
	f.ledger.drain(&f.batch)
	slices.SortFunc(f.batch.touched, func(a, b *symbolState) int { return int(a.id - b.id) })
	for _, st := range f.batch.touched {
		for _, r := range [...]*series{&st.trades, &st.quotes} {
			if !r.sorted {
				slices.SortFunc(r.rows, func(a, b tick) int { return a.compare(&b) })
			}
		}
	}
}

// settle begins the next batch, once this one is in the file.
func (f *fold) settle() {
	b := &f.batch
	for _, st := range b.touched {
		st.settle(&f.pool)
	}
	f.store.now.publish(b.place, b.touched)
	clear(b.feeds)
	clear(b.refused)
	clear(b.touched)
	*b = batch{
		place: b.place, touched: b.touched[:0], forms: b.forms[:0], feeds: b.feeds, bars: b.bars[:0], imported: b.imported[:0], gaps: b.gaps[:0],
		refused: b.refused, symbols: b.symbols,
	}
	f.forms.trim()
}

// id returns the id of a symbol that has ticks.
func (b *batch) id(s market.Symbol) int64 { return b.symbols[s].id }

// empty reports whether there is nothing to write.
func (b *batch) empty() bool { return b.records == 0 && len(b.gaps) == 0 && !b.newEpoch }
