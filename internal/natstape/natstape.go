// Package natstape keeps the tape in a stream of NATS JetStream: a NATS server that is linked into the program, listens on no
// socket and syncs every write before it answers.
//
// A record is one message on the subject "tape.0.<feed>", and its position is the sequence of the message. One goroutine
// writes: what arrived while the disk was busy with the last turn is written together in the next one. Nothing is shown to
// readers before its write was synced. Recent records are kept decoded in memory and shared by all readers; who is behind
// them reads from the stream.
//
// JetStream doesn't tell when it lost something, so this package looks for itself: each record has a checksum of its own,
// positions must be dense, and a mark beside the stream remembers how far the tape had come. What is lost is read as a gap.
//
// The folder of a tape:
//
//	LOCK          held by the process that has the tape open, with its number
//	tape/         what belongs to JetStream
//	tape.mark     epoch and high-water mark, in two slots
//	quarantine/   copies of damaged files, a folder for each finding; nothing deletes them
//
// Log.mu, damageMu and blocksMu are never held together, nor while waiting for the server or the disk.
package natstape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Errors of opening a tape, beside those of package tape.
var (
	// ErrFormat says that the folder was written by a program whose format this one doesn't know. Nothing was written.
	ErrFormat = errors.New("unknown format of the tape")
	// ErrLocked says that another process has the folder open.
	ErrLocked = errors.New("the tape is in use")
)

// Options say how to open a tape. Only Dir is needed.
type Options struct {
	Dir        string                // folder of the tape; made with mode 0700 when it isn't there
	Logger     *slog.Logger          // nil logs nothing
	Registerer prometheus.Registerer // where the metrics go; nil keeps them to itself

	// HighWater is the last position that anybody else remembers to have read, such as the store, and HighWaterOrdinal the
	// number of entries up to it (0 when that isn't known). A tape that ends before it has lost its end.
	HighWater        tape.Position
	HighWaterOrdinal uint64

	// MinFree is how many bytes of the disk are left alone: appends are refused while less is free. Zero stands for 5 % of
	// the disk, at least 512 MiB and at most 8 GiB, but never more than an eighth of the disk.
	MinFree uint64

	RingBytes  int64         // memory for recent records, by estimate; 0 stands for 64 MiB
	AckTimeout time.Duration // how long a write may take before the server is restarted; 0 stands for 15 s

	// FreeSpace returns the free bytes and the size of the disk that holds dir; nil asks the operating system.
	FreeSpace func(dir string) (free, size uint64, err error)
	// Ticker returns a channel that ticks every d, for looking after the disk, and what stops it; nil stands for time.NewTicker.
	Ticker func(d time.Duration) (<-chan time.Time, func())

	noScrub bool // for tests: leave old blocks to the readers
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("a tape needs a folder")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RingBytes == 0 {
		o.RingBytes = 64 << 20
	}
	if o.AckTimeout == 0 {
		o.AckTimeout = 15 * time.Second
	}
	if o.RingBytes < 0 || o.AckTimeout < 0 {
		return o, errors.New("the ring's size and the time for a write can't be negative")
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.Ticker == nil {
		o.Ticker = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		}
	}
	return o, nil
}

// Log is a tape on an embedded JetStream. All its methods may be called at once.
type Log struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	lock    *dirLock

	queue   chan *request // to the writer; its bound is what Append's context waits for
	stop    chan struct{} // closed by Close: no more appends
	done    chan struct{} // closed when the writer has ended
	closing sync.Once
	closeOK error // of the first Close; read after done

	session atomic.Pointer[session] // nil while the server is down

	mu      sync.Mutex // guards what readers see
	epoch   tape.Epoch
	first   tape.Position
	last    tape.Position
	ordinal uint64 // entries up to last
	ring    ring
	moved   chan struct{} // closed when last moves; nil while nobody waits
	closed  bool
	health  error

	damageMu sync.Mutex
	damage   []stretch // what was found so far, in no order

	blocksMu sync.Mutex
	blocks   []block // that were there when the server started, in order

	rescue   chan rescue   // asks the writer to restart the server because a block must be mended
	scrubbed chan struct{} // closed when the goroutine that looks through old blocks has ended
	began    market.Time   // when the tape was opened

	writer // owned by the writer's goroutine once Open has returned
}

var (
	_ tape.Appender = (*Log)(nil)
	_ tape.Source   = (*Log)(nil)
)

// Open opens the tape in a folder, or makes it. It returns when the tape can be read and appended to. The caller must Close it.
//
// ErrLocked and ErrFormat are for good; nothing was written then. Damage isn't an error: it is logged, copied to quarantine
// and read as a gap.
func Open(ctx context.Context, opts Options) (*Log, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the tape's folder: %w", err)
	}
	lock, err := lockDir(opts.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		opts:  opts,
		log:   opts.Logger,
		lock:  lock,
		queue: make(chan *request, 256),

		rescue:   make(chan rescue),
		scrubbed: make(chan struct{}),
		began:    market.FromStd(time.Now()),

		stop:  make(chan struct{}),
		done:  make(chan struct{}),
		first: 1,
		ring:  ring{limit: opts.RingBytes},
	}
	l.feeds = map[string]*feedState{}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.release(false))
	}
	if l.metrics, err = newMetrics(opts.Registerer, l); err != nil {
		return nil, errors.Join(err, l.release(false))
	}
	l.checkDisk()
	go l.write()
	if opts.noScrub {
		close(l.scrubbed)
	} else {
		go l.scrub()
	}
	return l, nil
}

// Close writes what is in the queue, stops the server and notes that the tape was closed cleanly. Readers that wait get
// tape.ErrClosed. Further calls wait for the first and return what it did.
func (l *Log) Close() error {
	l.closing.Do(func() {
		close(l.stop)
		<-l.done
		<-l.scrubbed
		l.mu.Lock()
		l.closed = true
		l.wake()
		l.mu.Unlock()
		l.closeOK = l.release(!l.broken)
		l.metrics.unregister()
	})
	<-l.done
	return l.closeOK
}

// release gives back what open took. A clean end is noted in the mark.
func (l *Log) release(clean bool) error {
	var errs []error
	if s := l.session.Swap(nil); s != nil {
		s.close()
	}
	if l.mark != nil {
		if clean {
			errs = append(errs, l.mark.close(true))
		} else {
			errs = append(errs, l.mark.close(false))
		}
	}
	errs = append(errs, l.lock.release())
	return errors.Join(errs...)
}

// Health returns nil while appends are accepted, else an error that wraps tape.ErrFull, tape.ErrUnavailable or tape.ErrClosed
// and says why.
func (l *Log) Health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return tape.ErrClosed
	}
	return l.health
}

func (l *Log) setHealth(err error) {
	l.mu.Lock()
	before := l.health
	l.health = err
	l.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		l.log.Warn("tape refuses appends", "reason", err)
	case err == nil && before != nil:
		l.log.Info("tape accepts appends again")
	}
}

// Stats is what a tape holds, for status pages.
type Stats struct {
	tape.Bounds
	Ordinal     uint64 // entries on the tape
	RingRecords int
	RingBytes   int64
	Damaged     uint64 // positions that are known to be damaged
	Blocks      int    // files that were there when the tape was opened
	Unchecked   int    // of them, those whose checksums were not looked at yet; a goroutine does so in the background
	FreeBytes   uint64 // of the disk, as last seen
}

// Stats returns what is known without asking the disk.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	s := Stats{
		Bounds: l.bounds(), Ordinal: l.ordinal, RingRecords: l.ring.len(), RingBytes: l.ring.bytes, FreeBytes: l.free.Load(),
	}
	l.mu.Unlock()
	s.Damaged = l.damagedPositions()
	s.Blocks, s.Unchecked = l.countBlocks()
	return s
}

// Bounds implements tape.Source.
func (l *Log) Bounds() tape.Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bounds()
}

func (l *Log) bounds() tape.Bounds {
	return tape.Bounds{Epoch: l.epoch, First: l.first, Last: l.last}
}

// Wait implements tape.Source.
func (l *Log) Wait(ctx context.Context, after tape.Position) error {
	for {
		l.mu.Lock()
		switch {
		case l.last > after:
			l.mu.Unlock()
			return nil
		case l.closed:
			l.mu.Unlock()
			return tape.ErrClosed
		case l.moved == nil:
			l.moved = make(chan struct{})
		}
		moved := l.moved
		l.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wake wakes all who wait. The caller holds mu.
func (l *Log) wake() {
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// storeDir is the folder that belongs to JetStream.
func storeDir(dir string) string { return filepath.Join(dir, "tape") }

// streamDir is where JetStream keeps the stream of the tape.
func streamDir(dir string) string {
	return filepath.Join(storeDir(dir), "jetstream", "$G", "streams", streamName)
}

// blockDir is where JetStream keeps the messages of the tape.
func blockDir(dir string) string { return filepath.Join(streamDir(dir), "msgs") }
