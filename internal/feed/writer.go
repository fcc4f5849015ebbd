package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// MaxBatch is the number of entries that go into one record.
const MaxBatch = 16_384

// Tape is what the Writer writes to, and reads when it starts.
type Tape interface {
	tape.Appender
	tape.Source
}

// lastOf is a tape that can find the last record of a feed without being read from the end.
type lastOf interface {
	// LastOf returns the last record of the feed, or nil when it has none.
	LastOf(ctx context.Context, feed string) (*tape.Record, error)
}

// WriterOptions say where the numbers of the symbols stand.
type WriterOptions struct {
	Tape Tape

	// Listings are what the store knows of each symbol after the records before From.
	Listings []market.Listing

	// From is the first position that the listings do not cover; 0 is the first that the tape has.
	From tape.Position

	// Lost is the number of entries before From that were lost to damage of the tape. A symbol that nobody knows may have been
	// among them, so its numbers begin after as many.
	Lost uint64
}

// Writer numbers ticks and puts them on the tape. There is one in a process, shared by all feeds: each writes through a lane of
// its own. Numbers are assigned when a batch is appended and belong to it only if that succeeds, so they have no hole.
type Writer struct {
	tape Tape
	from tape.Position // from here on the tape was read at the start

	guests sync.Mutex // held while a history lane appends; taken before everything else

	mu      sync.Mutex
	offsets map[string][]byte // of the last record of each feed whose last record is known
	symbols map[market.Symbol]*counter
	lanes   map[string]*Lane
	left    *sync.Cond // with mu: symbols are visited no more
	damage  uint64     // entries lost in damaged stretches, which a symbol that is new may have had as well
}

// counter is where the numbers of a symbol stand.
type counter struct {
	symbol market.Symbol

	// Guarded by Writer.mu.
	feed    string // that it last came from
	lane    *Lane  // the lane that writes it now, nil when none does
	visited bool   // a history lane is writing it: a lane that would claim it waits

	// Guarded by mu of the lane that writes it, and by Writer.mu as well when none does.
	trades, quotes uint64 // number of the last
	lastTrade      market.Entry
	lastQuote      market.Entry
	touched        [2]uint64 // batch that lastTrade and lastQuote were taken from
}

// NewWriter returns a writer whose numbers go on where those on the tape end: it takes the listings and reads the tape from
// there to its end.
func NewWriter(ctx context.Context, o WriterOptions) (*Writer, error) {
	w := &Writer{
		tape:    o.Tape,
		offsets: make(map[string][]byte),
		symbols: make(map[market.Symbol]*counter, len(o.Listings)),
		lanes:   make(map[string]*Lane),
		damage:  o.Lost,
	}
	w.left = sync.NewCond(&w.mu)
	for i := range o.Listings {
		l := &o.Listings[i]
		c := &counter{symbol: l.Symbol, feed: l.Feed, trades: l.TradeSeq, quotes: l.QuoteSeq}
		// What a feed goes on from is its own last tick, and never one of a file.
		if l.LastTrade.Flags&market.FlagHistory == 0 {
			c.lastTrade = l.LastTrade
		}
		if l.LastQuote.Flags&market.FlagHistory == 0 {
			c.lastQuote = l.LastQuote
		}
		w.symbols[l.Symbol] = c
	}
	bounds := o.Tape.Bounds()
	w.from = o.From
	if w.from == 0 {
		w.from = max(bounds.First, 1)
	}
	if w.from > bounds.Last+1 {
		return nil, fmt.Errorf("the store has read up to position %d, but the tape ends at %d", w.from-1, bounds.Last)
	}
	r := tape.NewReader(o.Tape, w.from)
	for r.Position() <= bounds.Last {
		rec, err := r.TryNext(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the tape from %d for the numbers of the symbols: %w", r.Position(), err)
		}
		if rec == nil {
			return nil, fmt.Errorf("read the tape from %d: it ends before %d", r.Position(), bounds.Last)
		}
		w.scan(rec)
	}
	return w, nil
}

// scan brings the numbers up to date with a record.
func (w *Writer) scan(rec *tape.Record) {
	for i := range rec.Entries {
		e := &rec.Entries[i]
		switch e.Kind {
		case market.KindTrade:
			c := w.counter(e.Symbol)
			if c.trades = e.Seq; c.cameFrom(rec.Feed, e) {
				c.lastTrade = *e
			}
		case market.KindQuote:
			c := w.counter(e.Symbol)
			if c.quotes = e.Seq; c.cameFrom(rec.Feed, e) {
				c.lastQuote = *e
			}
		case market.KindGap:
			if e.Flags&market.FlagDamage != 0 {
				w.skip(e.Seq)
			}
		case market.KindHeartbeat, market.KindStatus, market.KindAlarm, market.KindBar:
		}
	}
	if rec.Feed != "" {
		w.offsets[rec.Feed] = rec.Offset
	}
}

// cameFrom notes the feed of a tick, and reports whether the tick is one that the feed goes on from. History belongs to nobody
// who brings the symbol live.
func (c *counter) cameFrom(feed string, e *market.Entry) bool {
	live := e.Flags&market.FlagHistory == 0
	if live || c.feed == "" {
		c.feed = feed
	}
	return live
}

// skip leaves out n numbers of every symbol: so many entries are lost, and nothing tells which symbols they were of. A number
// that may have been shown must not come again for another tick. A tick that is read behind the damage tells the true number.
func (w *Writer) skip(n uint64) {
	for _, c := range w.symbols {
		c.trades += n
		c.quotes += n
	}
	w.damage += n
}

// counter returns the counter of a symbol. It is called with mu held, or before anyone else has the writer.
func (w *Writer) counter(s market.Symbol) *counter {
	c := w.symbols[s]
	if c == nil {
		c = &counter{symbol: s, trades: w.damage, quotes: w.damage}
		w.symbols[s] = c
	}
	return c
}

// Lane is the way of one feed onto the tape. Append is called by one goroutine at a time; the rest may be called at once.
type Lane struct {
	w       *Writer
	feed    string
	history bool   // see HistoryLane
	offset  []byte // of the feed's last record when the lane was opened

	// Held while a batch is numbered and written; taken before the mutexes below and that of the writer. Only history lanes ever
	// wait for it, and are waited for.
	appending sync.Mutex

	mu     sync.Mutex
	number uint64 // batches so far
	stands []byte // offset of the last of them
}

// Lane opens the way of a feed onto the tape. A feed has one at a time.
func (w *Writer) Lane(ctx context.Context, feed string) (*Lane, error) {
	l := &Lane{w: w, feed: feed}
	w.mu.Lock()
	if w.lanes[feed] != nil {
		w.mu.Unlock()
		return nil, Permanent(fmt.Errorf("feed %s is running already", feed))
	}
	w.lanes[feed] = l
	offset, known := w.offsets[feed]
	w.mu.Unlock()
	if !known {
		var err error
		if offset, err = w.findOffset(ctx, feed); err != nil {
			l.Close()
			return nil, fmt.Errorf("find the last record of feed %s: %w", feed, err)
		}
	}
	l.offset = slices.Clone(offset)
	return l, nil
}

// findOffset returns the offset of the feed's last record before what was scanned at the start. A tape that doesn't know is read
// backwards in stretches; that a feed wrote nothing for so long is rare.
func (w *Writer) findOffset(ctx context.Context, feed string) ([]byte, error) {
	if t, ok := w.tape.(lastOf); ok {
		rec, err := t.LastOf(ctx, feed)
		if err != nil || rec == nil {
			return nil, err
		}
		return rec.Offset, nil
	}
	const stretch = 256
	first := max(w.tape.Bounds().First, 1)
	for end := w.from; end > first; {
		begin := first
		if end-first > stretch {
			begin = end - stretch
		}
		var found *tape.Record
		for r := tape.NewReader(w.tape, begin); r.Position() < end; {
			rec, err := r.TryNext(ctx)
			if err != nil {
				if trimmed := new(tape.TrimmedError); errors.As(err, &trimmed) {
					return nil, nil
				}
				return nil, err
			}
			if rec == nil {
				break
			}
			if rec.Feed == feed {
				found = rec
			}
		}
		if found != nil {
			return found.Offset, nil
		}
		end = begin
	}
	return nil, nil
}

// Close lets go of the feed and its symbols.
func (l *Lane) Close() {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if l.w.lanes[l.feed] != l {
		return
	}
	delete(l.w.lanes, l.feed)
	l.mu.Lock()
	if l.number > 0 {
		l.w.offsets[l.feed] = l.stands
	}
	l.mu.Unlock()
	for _, c := range l.w.symbols {
		if c.lane == l {
			c.lane = nil
		}
	}
}

// Offset returns the offset of the feed's last record on the tape when the lane was opened.
func (l *Lane) Offset() []byte { return l.offset }

// claim returns the counter of a symbol for this lane, or an error that wraps ErrSymbolTaken.
func (l *Lane) claim(s market.Symbol) (*counter, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	c := l.w.counter(s)
	for c.visited && c.lane == nil {
		l.w.left.Wait() // at most for one batch of a file
	}
	if c.lane != nil && c.lane != l {
		return nil, fmt.Errorf("symbol %s comes from feed %s and from feed %s (give one of them venue=): %w",
			s, c.lane.feed, l.feed, ErrSymbolTaken)
	}
	if c.lane == nil {
		c.lane, c.feed, c.touched = l, l.feed, [2]uint64{}
	}
	return c, nil
}

// Last returns the last trade or quote of a symbol that is on the tape, unless another lane writes the symbol.
func (l *Lane) Last(s market.Symbol, kind market.Kind) (market.Entry, bool) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	c := l.w.symbols[s]
	if c == nil || c.lane != nil && c.lane != l {
		return market.Entry{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := c.lastTrade
	if kind == market.KindQuote {
		e = c.lastQuote
	}
	return e, e.Kind == kind
}

// lastEvent returns the latest event time of the symbols that last came from this feed, 0 when there are none.
func (l *Lane) lastEvent() market.Time {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var latest market.Time
	for _, c := range l.w.symbols {
		if c.feed == l.feed && (c.lane == nil || c.lane == l) {
			latest = max(latest, c.lastTrade.Event, c.lastQuote.Event)
		}
	}
	return latest
}

// Append numbers the ticks among the entries and puts them on the tape as one record, in the way of tape.Appender.Append: the
// entries belong to the tape when it succeeds, and have lost their numbers again when it does not.
func (l *Lane) Append(ctx context.Context, entries []market.Entry, offset []byte) error {
	if l.history {
		return l.appendHistory(ctx, &tape.Batch{Feed: l.feed, Offset: offset, Entries: entries})
	}
	counters := make([]*counter, len(entries))
	for i := range entries {
		if e := &entries[i]; e.IsTick() {
			var err error
			if counters[i], err = l.claim(e.Symbol); err != nil {
				return err
			}
		}
	}
	return l.append(ctx, &tape.Batch{Feed: l.feed, Offset: offset, Entries: entries}, counters)
}

// append is Append with the counters of the ticks at hand.
func (l *Lane) append(ctx context.Context, b *tape.Batch, counters []*counter) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	l.assign(b.Entries, counters)
	if _, err := l.w.tape.Append(ctx, b); err != nil {
		l.rollback(b.Entries, counters)
		return err
	}
	l.keep(b, counters)
	return nil
}

func (l *Lane) assign(entries []market.Entry, counters []*counter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	number(entries, counters)
}

// number gives the ticks among the entries the next numbers of their counters.
func number(entries []market.Entry, counters []*counter) {
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case market.KindTrade:
			counters[i].trades++
			e.Seq = counters[i].trades
		case market.KindQuote:
			counters[i].quotes++
			e.Seq = counters[i].quotes
		default:
		}
	}
}

// rollback takes back the numbers of a batch that is not on the tape.
func (l *Lane) rollback(entries []market.Entry, counters []*counter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unnumber(entries, counters)
}

// unnumber undoes number.
func unnumber(entries []market.Entry, counters []*counter) {
	for i := range entries {
		e := &entries[i]
		switch e.Kind {
		case market.KindTrade:
			counters[i].trades--
			e.Seq = 0
		case market.KindQuote:
			counters[i].quotes--
			e.Seq = 0
		default:
		}
	}
}

// keep remembers the last tick of each symbol of a batch that is on the tape: from the end, so that each is copied once.
func (l *Lane) keep(b *tape.Batch, counters []*counter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	l.stands = b.Offset
	entries := b.Entries
	for i := range slices.Backward(entries) {
		c := counters[i]
		if c == nil {
			continue
		}
		switch entries[i].Kind {
		case market.KindTrade:
			if c.touched[0] != l.number {
				c.touched[0], c.lastTrade = l.number, entries[i]
			}
		case market.KindQuote:
			if c.touched[1] != l.number {
				c.touched[1], c.lastQuote = l.number, entries[i]
			}
		default:
		}
	}
}
