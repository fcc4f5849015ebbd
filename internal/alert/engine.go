package alert

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// ErrNoRule is wrapped when a rule, or an alarm, is not there.
var ErrNoRule = errors.New("there is no such rule")

// Tape is what the engine reads, and puts its alarms onto.
type Tape interface {
	tape.Source
	tape.Appender
}

// Options are what an Engine is made of.
type Options struct {
	Path       string // of the file of rules, alarms and state; made when it is not there
	Tape       Tape
	Calendars  *market.Calendars
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	// Every is how often the state is written down; 0 is 5 s. After a crash as much of the tape is read again.
	Every time.Duration

	Webhooks WebhookOptions
}

// Engine drives a book along the tape. An alarm is put on the tape, then noted in the file, then delivered; each once,
// whenever the program is ended: after a crash the book is taken up where it was written down and the tape is read on from there, which
// gives the same alarms with the same ids, and what is on the tape or in the file by then is not put there again.
type Engine struct {
	o       Options
	log     *slog.Logger
	ledger  *ledger
	metrics *meters
	waiting chan struct{} // holds a token when there may be something to deliver

	mu    sync.Mutex // held while a record is taken in, until its alarms are noted
	book  *Book
	rules map[string]*Rule // of the book, by id
	at    tape.Position    // of the last record that is in the book
	told  told             // what is on the tape of what the book will say
	saved time.Time        // when the state was written down
	size  int              // of the state, as written down
	halt  error            // why the engine stands still; nil while it follows the tape
	ahead bool             // the book holds records whose alarms are not noted: it must not be written down
}

// told is how much of what the book says is on the tape: the alarms of all records before one, and some of that one.
type told struct {
	record tape.Position
	alarms uint64
}

// Open opens the file. The engine knows its rules then, and does nothing before Run.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := openLedger(ctx, o.Path)
	if err != nil {
		return nil, err
	}
	m, err := newMeters(o.Registerer)
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	e := &Engine{o: o, log: o.Logger, ledger: l, metrics: m, waiting: make(chan struct{}, 1)}
	if err := e.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", o.Path, err), e.Close())
	}
	return e, nil
}

// Close closes the file. Run must have returned.
func (e *Engine) Close() error {
	e.metrics.unregister(e.o.Registerer)
	return e.ledger.close()
}

// load takes up the book where it was written down.
func (e *Engine) load(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	rules, err := e.ledger.rules(ctx)
	if err != nil {
		return err
	}
	book := NewBook(e.o.Calendars)
	if err := book.SetRules(rules); err != nil {
		return err
	}
	epoch, at, state, err := e.ledger.place(ctx)
	if err != nil {
		return err
	}
	bounds := e.o.Tape.Bounds()
	switch {
	case at == 0 && len(state) == 0: // the first start: the past is not told again
		at = bounds.Last
	case epoch != bounds.Epoch || at > bounds.Last:
		e.log.WarnContext(ctx, "alerts begin anew at the end of the tape: it is not the one that they stood on", "position", at)
		at = bounds.Last
	default:
		if err := book.Restore(state); err != nil {
			e.log.WarnContext(ctx, "alerts forget what they have seen", "error", err)
		}
	}
	e.book, e.at, e.ahead = book, max(at, max(bounds.First, 1)-1), false
	e.rules = byID(book.rules)
	e.metrics.rules.Set(float64(len(rules)))
	if e.told, err = e.scan(ctx, e.at+1, bounds.Last); err != nil {
		return err
	}
	return e.save(ctx, nil)
}

func byID(rules []*Rule) map[string]*Rule {
	m := make(map[string]*Rule, len(rules))
	for _, r := range rules {
		m[r.ID] = r
	}
	return m
}

// scan looks for what the engine put on the tape between two positions.
func (e *Engine) scan(ctx context.Context, from, to tape.Position) (last told, err error) {
	for r := tape.NewReader(e.o.Tape, from); r.Position() <= to; {
		rec, err := r.TryNext(ctx)
		if err != nil || rec == nil {
			return last, err
		}
		if rec.Feed == market.AlertFeed {
			if t, ok := parseTold(rec.Offset); ok && (t.record > last.record || t.record == last.record && t.alarms > last.alarms) {
				last = t
			}
		}
	}
	return last, nil
}

func (t told) offset() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(t.record)), t.alarms)
}

func parseTold(offset []byte) (told, bool) {
	record, n := binary.Uvarint(offset)
	if n <= 0 {
		return told{}, false
	}
	alarms, m := binary.Uvarint(offset[n:])
	return told{tape.Position(record), alarms}, m > 0
}

// Run follows the tape and delivers alarms until ctx is done. It returns nil then.
func (e *Engine) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { e.deliver(ctx) })
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := e.follow(ctx)
		if ctx.Err() != nil {
			return e.end(ctx)
		}
		e.log.ErrorContext(ctx, "alerts stand still", "error", err, "pause", pause)
		e.mu.Lock()
		e.halt = err
		e.mu.Unlock()
		select {
		case <-ctx.Done():
			return e.end(ctx)
		case <-time.After(pause):
		}
		if err := e.load(ctx); err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "alerts stand still", "error", err)
		}
	}
}

// drainTime is what the last writes take at most when the engine was told to stop.
const drainTime = 5 * time.Second

// end writes the state down for the last time.
func (e *Engine) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ahead {
		return nil // the records since the last time are read again at the next start
	}
	return e.save(ctx, nil)
}

// most is how many alarms are put onto the tape at once, at most.
const most = 1000

// follow takes in record after record.
func (e *Engine) follow(ctx context.Context) error {
	r := tape.NewReader(e.o.Tape, e.at+1)
	for {
		rec, err := r.Next(ctx)
		if trimmed := new(tape.TrimmedError); errors.As(err, &trimmed) {
			e.log.WarnContext(ctx, "alerts skip what the tape has no more", "from", trimmed.Position, "to", trimmed.First)
			r = tape.NewReader(e.o.Tape, trimmed.First)
			continue
		}
		if err != nil {
			return fmt.Errorf("read the tape: %w", err)
		}
		if err := e.take(ctx, r, rec); err != nil {
			return err
		}
	}
}

// take takes in a record, and those behind it that are at hand, puts their alarms on the tape and notes them.
func (e *Engine) take(ctx context.Context, r *tape.Reader, rec *tape.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	began := time.Now()
	e.ahead = true
	var fresh []Alarm // not on the tape yet
	var all []Alarm
	end := e.told
	for n := 0; rec != nil; n++ {
		if rec.Feed != market.AlertFeed {
			for i, a := range e.book.Push(rec) {
				all = append(all, a)
				if here := (told{rec.Position, uint64(i + 1)}); here.record > e.told.record || here.record == e.told.record && here.alarms > e.told.alarms {
					fresh, end = append(fresh, a), here
				}
			}
		}
		e.at = rec.Through
		if len(fresh) >= most || n == 64 {
			break
		}
		var err error
		if rec, err = r.TryNext(ctx); err != nil {
			break // told by the next read
		}
	}
	if err := e.tell(ctx, fresh, end); err != nil {
		return err
	}
	e.metrics.seconds.Observe(time.Since(began).Seconds())
	if len(all) > 0 {
		if err := e.note(ctx, all); err != nil {
			return err
		}
	}
	e.ahead, e.halt = false, nil
	if time.Since(e.saved) < e.pace() {
		return nil
	}
	return e.save(ctx, nil)
}

// pace returns how often the state is written down: the larger it is, the less often; and seldom without rules.
func (e *Engine) pace() time.Duration {
	if len(e.rules) == 0 {
		return 12 * e.o.Every
	}
	return e.o.Every * time.Duration(1+e.size>>20)
}

// Health returns why the engine stands still, nil while it follows the tape. Nothing is lost meanwhile: it goes on where it stood.
func (e *Engine) Health() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.halt
}

// tell puts alarms on the tape, waiting while it takes nothing.
func (e *Engine) tell(ctx context.Context, alarms []Alarm, end told) error {
	if len(alarms) == 0 {
		return nil
	}
	now := market.FromStd(time.Now())
	b := &tape.Batch{Feed: market.AlertFeed, Offset: end.offset(), Entries: make([]market.Entry, len(alarms))}
	for i, a := range alarms {
		b.Entries[i] = market.Entry{
			Kind: market.KindAlarm, Symbol: a.Symbol, Seq: a.Seq, Event: a.Event, Received: now, Price: a.Price, Ref: a.ID, Text: a.Text,
		}
	}
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, err := e.o.Tape.Append(ctx, b)
		if err == nil {
			e.told = end
			e.metrics.fired.Add(float64(len(alarms)))
			return nil
		}
		if !errors.Is(err, tape.ErrFull) && !errors.Is(err, tape.ErrUnavailable) {
			return fmt.Errorf("append alarms to the tape: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// note writes alarms down that are on the tape, even when the engine is being stopped.
func (e *Engine) note(ctx context.Context, alarms []Alarm) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := e.ledger.write(ctx, func(tx *sql.Tx) error { return note(ctx, tx, alarms, e.rules, time.Now()) }); err != nil {
		return fmt.Errorf("note alarms: %w", err)
	}
	e.wake()
	return nil
}

// wake tells who delivers that there may be something.
func (e *Engine) wake() {
	select {
	case e.waiting <- struct{}{}:
	default:
	}
}

// save writes the state of the book and its place down, with whatever else is to be changed at once. It is called with mu held.
func (e *Engine) save(ctx context.Context, also func(tx *sql.Tx) error) error {
	state := e.book.State()
	err := e.ledger.write(ctx, func(tx *sql.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return stand(ctx, tx, e.o.Tape.Bounds().Epoch, e.at, state)
	})
	if err != nil {
		return fmt.Errorf("write down where alerts stand: %w", err)
	}
	e.saved, e.size = time.Now(), len(state)
	e.metrics.state.Set(float64(len(state)))
	return nil
}

// Rules returns the rules by id.
func (e *Engine) Rules() []Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book.Rules()
}

// Put adds a rule, or replaces the one with its id; without an id it gets one. It holds from the next record on, and after any
// restart. Errors wrap ErrRule.
func (e *Engine) Put(ctx context.Context, r Rule) (Rule, error) {
	if r.ID == "" {
		r.ID = strings.ToLower(rand.Text()[:10])
	}
	if err := checkID(r.ID); err != nil {
		return Rule{}, err
	}
	if err := r.check(); err != nil {
		return Rule{}, err
	}
	return r, e.change(ctx, func(rules map[string]Rule) error {
		rules[r.ID] = r
		return nil
	}, func(tx *sql.Tx) error {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO rules (id, rule, changed) VALUES (?, ?, ?)", r.ID, string(text), time.Now().UnixNano())
		return err
	})
}

// Delete takes a rule away. What it fired stays in the history.
func (e *Engine) Delete(ctx context.Context, id string) error {
	return e.change(ctx, func(rules map[string]Rule) error {
		if _, ok := rules[id]; !ok {
			return fmt.Errorf("%w: %q", ErrNoRule, clip(id))
		}
		delete(rules, id)
		return nil
	}, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM rules WHERE id = ?", id)
		return err
	})
}

// change changes the rules in the book and in the file, or in none of both.
func (e *Engine) change(ctx context.Context, edit func(map[string]Rule) error, write func(*sql.Tx) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ahead {
		return errors.New("alerts stand still now; see the log")
	}
	before := e.book.Rules()
	rules := make(map[string]Rule, len(before))
	for _, r := range before {
		rules[r.ID] = r
	}
	if err := edit(rules); err != nil {
		return err
	}
	if err := e.book.SetRules(slices.Collect(maps.Values(rules))); err != nil {
		return err
	}
	if err := e.save(ctx, write); err != nil {
		return errors.Join(err, e.book.SetRules(before))
	}
	e.rules = byID(e.book.rules)
	e.metrics.rules.Set(float64(len(rules)))
	return nil
}

// Fired returns alarms of the past, the newest first.
func (e *Engine) Fired(ctx context.Context, q Query) ([]Fired, error) { return e.ledger.fired(ctx, q) }

// Acknowledge notes that somebody has seen an alarm.
func (e *Engine) Acknowledge(ctx context.Context, n int64) error {
	return e.ledger.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE alarms SET acknowledged = ? WHERE n = ? AND acknowledged IS NULL", time.Now().UnixNano(), n)
		if err != nil {
			return err
		}
		if changed, err := result.RowsAffected(); err != nil || changed > 0 {
			return err
		}
		var there bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM alarms WHERE n = ?)", n).Scan(&there); err != nil || there {
			return err
		}
		return fmt.Errorf("%w: alarm %d", ErrNoRule, n)
	})
}
