package line

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/venuetest"
)

// lab is a venue and its emulation.
type lab struct {
	profile *venuetest.Profile
	venue   func(t *testing.T, stream, rest string) venue.Venue
	names   []string                 // as a feed URL has them
	symbols map[string]market.Symbol // by the names of the stream

	traits func(*venue.Traits) // after they have been made fast
	waits  func(*timings)      // likewise
	lossy  bool                // the venue has no history: what was missed is a gap
	faults []venuetest.Fault   // nil: all
	wishes *feed.Wishes
}

// fast is a venue that is in a hurry.
type fast struct {
	venue.Venue
	traits venue.Traits
}

func (f fast) Traits() venue.Traits { return f.traits }

func hurry(v venue.Venue, change func(*venue.Traits)) venue.Venue {
	t := v.Traits()
	if t.Ping > 0 && t.Ping <= t.Heartbeat {
		t.Ping = 30 * time.Millisecond
	}
	t.Heartbeat = 250 * time.Millisecond // on a machine that is busy, less would be dead lines for no reason
	t.Pace, t.Dial, t.REST = min(t.Pace, time.Millisecond), time.Millisecond, time.Millisecond
	t.Reorder = min(t.Reorder, 20*time.Millisecond)
	t.Lifetime /= 3600
	if t.Ack > 0 {
		t.Ack = 500 * time.Millisecond
	}
	if change != nil {
		change(&t)
	}
	return fast{v, t}
}

func fastTimings() timings {
	return timings{
		dial: 2 * time.Second, settle: 20 * time.Millisecond, patience: 60 * time.Millisecond, retry: 100 * time.Millisecond, fill: 20 * time.Second,
		stall: 60 * time.Millisecond, ready: 500 * time.Millisecond, sweep: 5 * time.Millisecond, window: 50 * time.Millisecond,
		healthy: 200 * time.Millisecond, refused: 50 * time.Millisecond, unlisted: time.Hour, scale: 400,
	}
}

// bench is a feed of an emulated venue on a tape in memory.
type bench struct {
	t      *testing.T
	lab    lab
	server *venuetest.Server
	tape   *tapetest.Memory
	log    *logBuffer
	runner *feed.Runner
	stop   context.CancelFunc
	ended  chan error
	seen   int // records that were looked at
	trades map[market.Symbol][]market.Entry
	gaps   []market.Entry
	states []market.Entry
}

// start runs the feed of a lab's venue.
func start(t *testing.T, l lab) *bench {
	t.Helper()
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	return run(t, l, s, &tapetest.Memory{})
}

func run(t *testing.T, l lab, server *venuetest.Server, tp *tapetest.Memory) *bench {
	t.Helper()
	b := &bench{t: t, lab: l, server: server, tape: tp, ended: make(chan error, 1), log: &logBuffer{}, trades: make(map[market.Symbol][]market.Entry)}
	v := hurry(l.venue(t, server.URL(), server.REST()), l.traits)
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp})
	if err != nil {
		t.Fatal(err)
	}
	u, err := feed.ParseURL(l.profile.Name + "://x")
	if err != nil {
		t.Fatal(err)
	}
	shared, waits := &bucket{}, fastTimings()
	if l.waits != nil {
		l.waits(&waits)
	}
	b.runner, err = feed.NewRunner(feed.RunnerOptions{
		URL: u, Writer: w, Wishes: l.wishes, Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Open: func(_ *feed.URL, start feed.Start) (feed.Source, error) {
			return newSource(v, venue.Trades|venue.Quotes, l.names, start, shared, waits), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() { b.ended <- b.runner.Run(ctx) }()
	t.Cleanup(func() {
		_ = b.end()
		if t.Failed() {
			t.Logf("log of the feed:\n%s", b.log.tail(4000))
		}
	})
	return b
}

// end stops the feed and returns what it ended with.
func (b *bench) end() error {
	b.stop()
	err := <-b.ended
	b.ended <- err
	return err
}

// read takes what is new on the tape.
func (b *bench) read() {
	records := b.tape.Records()
	for _, rec := range records[b.seen:] {
		for _, e := range rec.Entries {
			switch e.Kind {
			case market.KindTrade:
				b.trades[e.Symbol] = append(b.trades[e.Symbol], e)
			case market.KindGap:
				b.gaps = append(b.gaps, e)
			case market.KindStatus:
				b.states = append(b.states, e)
			default:
			}
		}
	}
	b.seen = len(records)
}

// until waits for something that is to come.
func (b *bench) until(what string, done func() bool) {
	b.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		if b.read(); done() {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			b.t.Fatalf("waited in vain until %s\ntruth: %s\ngaps: %s", what, b.standing(), describe(b.gaps))
		}
	}
}

// standing says how far truth and tape have come.
func (b *bench) standing() string {
	var text string
	for native, symbol := range b.lab.symbols {
		truth := b.server.Trades(native)
		text += fmt.Sprintf("%s: %d made, %d on the tape; ", native, len(truth), len(b.trades[symbol]))
		have := make(map[int64]bool)
		for _, e := range b.trades[symbol] {
			have[e.Event.Std().UnixMilli()] = true
		}
		for _, tr := range truth {
			if !have[tr.Time.UnixMilli()] {
				text += fmt.Sprintf("no %d; ", tr.ID)
			}
		}
	}
	return text
}

func describe(gaps []market.Entry) string {
	var text string
	for _, g := range gaps[max(0, len(gaps)-20):] {
		text += fmt.Sprintf("\n  %s %s to %s flags %d: %s", g.Symbol, g.Event, g.Until, g.Flags, g.Text)
	}
	return text
}

func unfilled(gaps []market.Entry) []market.Entry {
	return slices.DeleteFunc(slices.Clone(gaps), func(g market.Entry) bool { return g.Flags&market.FlagFilled != 0 })
}

// natives returns the names of the stream, sorted.
func (b *bench) natives() []string { return slices.Sorted(maps.Keys(b.lab.symbols)) }

// flowing trades until every symbol arrives.
func (b *bench) flowing() {
	b.t.Helper()
	for _, native := range b.natives() {
		symbol := b.lab.symbols[native]
		b.read()
		have := len(b.trades[symbol])
		next := time.Now()
		b.until(native+" flows", func() bool {
			if time.Now().After(next) {
				b.server.Trade(native)
				next = time.Now().Add(10 * time.Millisecond)
			}
			return len(b.trades[symbol]) > have
		})
	}
}

// caughtUp waits until the last trade of each symbol is on the tape, or named by a gap where the venue has no past. Such a gap shows
// with the next trade, so that there are more of them until it does.
func (b *bench) caughtUp() {
	b.t.Helper()
	next := time.Now().Add(300 * time.Millisecond)
	b.until("the tape has caught up", func() bool {
		all := true
		for native, symbol := range b.lab.symbols {
			last, list := b.server.Last(native), b.trades[symbol]
			all = all && (slices.ContainsFunc(list[max(0, len(list)-20):], func(e market.Entry) bool {
				return e.Event.Std().UnixMilli() == last.Time.UnixMilli()
			}) || b.lab.lossy && b.named(symbol, market.FromStd(last.Time)))
		}
		if !all && b.lab.lossy && time.Now().After(next) {
			next = time.Now().Add(300 * time.Millisecond)
			for native := range b.lab.symbols {
				b.server.Trade(native)
			}
		}
		return all
	})
}

// check compares the tape with the truth from the first trade on the tape on: every trade once and with its digits, or a gap that
// names it.
func (b *bench) check() {
	b.t.Helper()
	select {
	case err := <-b.ended:
		b.ended <- err
	default:
		b.caughtUp() // what was sent just now is still on its way
	}
	b.read()
	for _, native := range b.natives() {
		symbol := b.lab.symbols[native]
		list := b.trades[symbol]
		if len(list) == 0 {
			b.t.Errorf("%s: nothing on the tape", native)
			continue
		}
		times := make(map[int64]int)
		for i, e := range list {
			times[e.Event.Std().UnixMilli()]++
			if e.Seq != list[0].Seq+uint64(i) {
				b.t.Fatalf("%s: trade %d has number %d", native, i, e.Seq)
			}
			if i > 0 && e.Event < list[i-1].Event && !b.lab.lossy {
				b.t.Errorf("%s: trade %d of %s comes after one of %s", native, e.ID, e.Event, list[i-1].Event)
			}
		}
		missing, known := 0, 0
		for _, tr := range b.server.Trades(native) {
			at := tr.Time.UnixMilli()
			if at < list[0].Event.Std().UnixMilli() {
				continue
			}
			switch n := times[at]; {
			case n > 1:
				b.t.Errorf("%s: trade %d is %d times on the tape", native, tr.ID, n)
			case n == 0 && !b.named(symbol, market.FromStd(tr.Time)):
				b.t.Errorf("%s: trade %d of %s is not on the tape, and no gap says so", native, tr.ID, tr.Time)
			case n == 0:
				missing++
			default:
				known++
				i := slices.IndexFunc(list, func(e market.Entry) bool { return e.Event.Std().UnixMilli() == at })
				if e := &list[i]; e.Price.String() != tr.Price || e.Size.String() != tr.Size {
					b.t.Errorf("%s: trade %d: got %s × %s, want %s × %s", native, tr.ID, e.Price, e.Size, tr.Price, tr.Size)
				}
			}
		}
		if known != len(list) {
			b.t.Errorf("%s: %d trades on the tape, %d of them happened", native, len(list), known)
		}
		if missing > 0 && !b.lab.lossy {
			b.t.Errorf("%s: %d trades were not fetched although the venue has them: %s", native, missing, describe(unfilled(b.gaps)))
		}
		b.t.Logf("%s: %d trades on the tape, %d in gaps, %d connects", native, known, missing, len(b.server.Connects()))
	}
}

// named reports whether an unfilled gap covers a moment of a symbol.
func (b *bench) named(s market.Symbol, at market.Time) bool {
	return slices.ContainsFunc(b.gaps, func(g market.Entry) bool {
		return (g.Symbol == s || g.Symbol == "") && g.Flags&market.FlagFilled == 0 && g.Event <= at && at <= g.Until
	})
}

// chaos lets a venue fail in a hundred ways at random, while it goes on trading.
func chaos(t *testing.T, l lab) {
	t.Helper()
	t.Parallel()
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 1))
	faults := l.faults
	if faults == nil {
		faults = venuetest.Faults()
	}
	b := start(t, l)
	b.flowing()
	for i := range 100 {
		f := faults[rng.IntN(len(faults))]
		if i < len(faults) {
			f = faults[i] // each of them once at least
		}
		b.some(rng)
		b.server.Inject(f, rng)
		b.some(rng)
		if rng.IntN(3) == 0 {
			b.flowing()
			if !l.lossy {
				b.caughtUp()
			}
		}
	}
	b.flowing()
	b.caughtUp()
	if err := b.end(); err != nil {
		t.Errorf("the feed ended with %v", err)
	}
	b.check()
}

// some makes a few trades and quotes.
func (b *bench) some(rng *rand.Rand) {
	natives := b.natives()
	for range 1 + rng.IntN(6) {
		native := natives[rng.IntN(len(natives))]
		b.server.Trade(native)
		b.server.Quote(native)
	}
}
