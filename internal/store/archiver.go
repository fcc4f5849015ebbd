package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/market"
)

// ArchiverOptions say when ticks leave the tables, and when they leave history.
type ArchiverOptions struct {
	// Hot is how long a UTC day stays in the tables after its end; days are by event time, as queries are. 0 archives nothing.
	Hot time.Duration

	// Keep is how long an archived day is kept after its end, and KeepBytes how much the archive may take: the oldest days go first.
	// 0 is for ever, and as much as comes.
	Keep      time.Duration
	KeepBytes int64

	Every      time.Duration         // between two looks at what there is to do; 0 is an hour
	Now        func() time.Time      // the clock of the wall; nil is time.Now
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is registered

	rows  int // of a file at most; 0 is maxFileRows
	chunk int // rows that are deleted at once; 0 is purgeRows
}

const (
	// maxFileRows bounds a file, and with it what a crash makes us do again.
	maxFileRows = 1 << 20

	// purgeRows is how many rows one transaction deletes. The recorder waits for it: it takes some 10 ms.
	purgeRows = 4000

	// A day that has a file already gets another one when so many late ticks have come for it, or so long after the file before: not
	// a file an hour for a tick an hour.
	lateRows = 100_000
	lateWait = 24 * time.Hour

	// clockStep is by how much the clock of the wall may go otherwise than the time that passes, between two looks; holdStill is for how
	// long nothing is archived or removed after that.
	clockStep = time.Minute
	holdStill = time.Hour

	// beginAttempts is how often a transaction is begun again when others have the lock for longer than a statement waits.
	beginAttempts = 20

	// mostFailures is with how many symbols one look may fail before it gives up until the next.
	mostFailures = 8
)

// Archiver moves days from the tables into files, and removes the oldest files. A store has one at most, in the process whose recorder
// fills it or in one without.
//
// What it does can be ended at any moment. A file is listed before it is written, durable before its ticks are deleted, and out of the list
// of what queries read before it is removed; Run begins with what an earlier one left half done.
type Archiver struct {
	store   *Store
	o       ArchiverOptions
	log     *slog.Logger
	metrics *archiveMetrics
	owner   string // part of the names of files
	db      *sql.DB
	clock   stepDetector
	clean   bool // nothing is half done

	onStep func() // for tests: before and after each transaction; may be nil

	mu      sync.Mutex
	failure error // of the last look
}

// NewArchiver returns an archiver for the store. It does nothing before Run.
func NewArchiver(s *Store, o ArchiverOptions) (*Archiver, error) {
	if o.Keep != 0 && o.Keep < o.Hot {
		return nil, fmt.Errorf("archive: days would be removed after %s and archived after %s", o.Keep, o.Hot)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Every == 0 {
		o.Every = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.rows == 0 {
		o.rows = maxFileRows
	}
	if o.chunk == 0 {
		o.chunk = purgeRows
	}
	a := &Archiver{store: s, o: o, log: o.Logger, clock: stepDetector{wall: o.Now}}
	var err error
	if a.metrics, err = newArchiveMetrics(o.Registerer, a); err != nil {
		return nil, err
	}
	return a, nil
}

// Run archives and removes what is due, at once and then every hour, until ctx is done. It returns nil then. What fails is
// logged, told by Health and tried again: the tables keep what is not in the archive yet.
func (a *Archiver) Run(ctx context.Context) (err error) {
	defer a.metrics.unregister()
	if err := a.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.db.Close()) }()
	for attempt := 0; ; {
		err := a.store.notice(a.look(ctx))
		if ctx.Err() != nil {
			return nil
		}
		a.settled(ctx, err)
		wait := a.o.Every
		if err != nil {
			wait = min(wait, rand.N(time.Minute<<min(attempt, 6))+time.Second)
			attempt++
		} else {
			attempt = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// open opens the connection over which the archiver writes. It is not the recorder's: each waits for the other as another program would.
func (a *Archiver) open() (err error) {
	if a.db, err = sql.Open("sqlite", source(a.store.path, a.store.busy, false)); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	a.db.SetMaxOpenConns(1)
	return nil
}

// settled notes how a look ended.
func (a *Archiver) settled(ctx context.Context, err error) {
	a.mu.Lock()
	a.failure = err
	a.mu.Unlock()
	if err != nil {
		a.metrics.failures.Inc()
		a.log.ErrorContext(ctx, "archiving failed and is tried again", "error", err)
		return
	}
	a.metrics.done.Set(float64(a.o.Now().Unix()))
}

// Health returns why days are not archived, nil when they are.
func (a *Archiver) Health() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// look does all that is due.
func (a *Archiver) look(ctx context.Context) (err error) {
	if !a.clean {
		if err := a.recover(ctx); err != nil {
			return err
		}
	}
	defer func() { a.clean = err == nil }()
	now, step, still := a.clock.now()
	if step != 0 {
		a.log.WarnContext(ctx, "the clock was set; nothing is archived or removed for a while", "step", step, "wait", holdStill)
	}
	at, sure, ok := a.reference(market.Time(now.UnixNano()))
	if still || !ok {
		return nil
	}
	if err := a.archive(ctx, at); err != nil {
		return err
	}
	return a.retain(ctx, sure)
}

// reference returns the time that the ages of what is archived are measured from: that of the newest tick, and never later than now. A
// clock that is wrong by a year makes nothing old, for the ticks before it are of the true time, and those after it have the venue's
// time as well; nor does anything grow old while nothing comes. What a file or a venue without times brought was received by our clock
// only: what is removed for good is measured from sure, which is that of the ticks that have a venue's time, if there are any.
func (a *Archiver) reference(now market.Time) (at, sure market.Time, ok bool) {
	at, sure = math.MinInt64, math.MinInt64
	a.store.now.mu.RLock()
	defer a.store.now.mu.RUnlock()
	for _, l := range a.store.now.listings {
		for _, e := range [...]*market.Entry{&l.LastTrade, &l.LastQuote} {
			if e.Kind == 0 {
				continue
			}
			t := e.Received
			if e.Flags&(market.FlagImported|market.FlagHistory|market.FlagNoEventTime) == 0 {
				t = min(t, e.Event)
				sure = max(sure, t)
			}
			at, ok = max(at, t), true
		}
	}
	at = min(at, now)
	if sure = min(sure, now); sure <= 0 {
		sure = at
	}
	return at, sure, ok && at > 0 && now > 0
}

// transact runs do in a transaction of its own. What has begun is brought to an end.
func (a *Archiver) transact(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	if a.onStep != nil {
		a.onStep()
		defer a.onStep()
	}
	stop := ctx
	ctx = context.WithoutCancel(ctx)
	tx, err := a.db.BeginTx(ctx, nil)
	// A recorder that catches up leaves little room between its transactions.
	for attempt := 0; err != nil && passing(err) && attempt < beginAttempts && stop.Err() == nil; attempt++ {
		tx, err = a.db.BeginTx(ctx, nil)
	}
	if err != nil {
		return fmt.Errorf("archive: %w", mark(err))
	}
	defer tx.Rollback() //nolint:errcheck // the error that led here is on its way out; after Commit it does nothing
	if err := do(ctx, tx); err != nil {
		return fmt.Errorf("archive: %w", mark(err))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("archive: %w", mark(err))
	}
	return nil
}

// stepDetector notices when the clock of the wall is set.
type stepDetector struct {
	wall   func() time.Time
	last   time.Time // of the wall, without the monotonic reading
	passed time.Time // with it
	until  time.Time // when nothing has to hold still any more, by the time that passes
}

// now returns the time of the wall, by how much it was set since the call before if that is a step, and whether a step is so
// recent that the time is not to be trusted.
func (d *stepDetector) now() (now time.Time, step time.Duration, still bool) {
	now, passed := d.wall().Round(0), time.Now()
	if !d.last.IsZero() {
		if by := now.Sub(d.last) - passed.Sub(d.passed); by.Abs() > clockStep {
			step = by
			d.until = passed.Add(holdStill)
		}
	}
	d.last, d.passed = now, passed
	return now, step, passed.Before(d.until)
}
