package natstape

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tapedeck/internal/tape"
)

// Bounds of a turn of the writer.
const (
	maxTurn      = 512      // records; JetStream takes 1,000 in an atomic batch
	maxTurnBytes = 16 << 20 // after which no further record is added
)

// request is an append on its way. The writer answers it exactly once.
type request struct {
	batch   *tape.Batch
	data    []byte // the encoded record; its memory belongs to the writer's turn
	ordinal uint64
	subject string
	free    bool // publish without saying what the subject's last record is: it can't be loaded
	tries   int
	answer  chan answer // of capacity 1
}

type answer struct {
	position tape.Position
	err      error
}

// writer is the state of the goroutine that writes. Only free is read by others.
type writer struct {
	mark       *mark
	feeds      map[string]*feedState
	encoder    tape.Encoder
	buf        []byte     // encoded records of the turn
	backlog    []*request // what did not fit into the turn, oldest first
	number     uint64     // of the turn
	minFree    uint64
	full       bool
	broken     bool       // the server doesn't answer, or answers that it can't write: it must be restarted
	cause      error      // of being broken
	mended     bool       // it was restarted since the last tick: if it breaks again, it is not restarted before the next
	held       []*request // wait for that
	cut        bool       // what was written but not acknowledged before it broke has been removed
	blind      bool       // the disk's free space isn't known
	markFailed bool       // the last write of the mark failed
	free       atomic.Uint64
}

// feedState is what the writer knows of a feed.
type feedState struct {
	last   tape.Position // of its last record; 0 for none
	fenced bool          // somebody else appended: this process must not any more
}

// Append implements tape.Appender. One batch a feed is on its way at a time; more of them wait for the next turn.
func (l *Log) Append(ctx context.Context, b *tape.Batch) (tape.Position, error) {
	start := time.Now()
	r := &request{batch: b, answer: make(chan answer, 1)}
	select {
	case <-l.stop:
		return 0, tape.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case l.queue <- r:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-l.stop:
		return 0, tape.ErrClosed
	}
	select {
	case a := <-r.answer:
		if a.err == nil {
			l.metrics.appendSeconds.Observe(time.Since(start).Seconds())
		}
		return a.position, a.err
	case <-l.done:
	}
	// The writer has ended. What it took from the queue it has answered before.
	select {
	case a := <-r.answer:
		return a.position, a.err
	default:
		return 0, tape.ErrClosed
	}
}

// lookAfter is how often the writer looks after the disk, and tries to mend a broken server.
const lookAfter = time.Second

// write is the writer's goroutine. It ends after Close, when the queue is empty.
func (l *Log) write() {
	defer close(l.done)
	ctx := context.Background() // what was begun is finished: every wait in here has a bound of its own
	tick, stopTick := l.opts.Ticker(lookAfter)
	defer stopTick()
	for {
		if len(l.backlog) > 0 {
			l.turn(ctx)
			continue
		}
		select {
		case r := <-l.queue:
			l.backlog = append(l.backlog, r)
			l.turn(ctx)
		case <-tick:
			l.lookAround(ctx)
		case r := <-l.rescue:
			r.answer <- l.restart(ctx, r.number)
		case <-l.stop:
			select {
			case r := <-l.queue:
				l.backlog = append(l.backlog, r)
			default:
				refuse(l.held, tape.ErrUnavailable)
				return
			}
		}
	}
}

// turn writes what waits, as far as it fits, and answers it.
func (l *Log) turn(ctx context.Context) {
	for len(l.backlog) < maxTurn {
		select {
		case r := <-l.queue:
			l.backlog = append(l.backlog, r)
			continue
		default:
		}
		break
	}
	if err := l.refusal(); err != nil {
		for _, r := range l.backlog {
			r.answer <- answer{err: err}
		}
		l.backlog = l.backlog[:0]
		return
	}
	rs := l.prepare(ctx)
	if len(rs) == 0 {
		return
	}
	l.publish(ctx, rs)
}

// refusal returns why nothing can be written now, or nil.
func (l *Log) refusal() error {
	l.checkDisk()
	if l.broken || l.full {
		return l.Health()
	}
	return nil
}

// prepare takes from the backlog what belongs to this turn, encoded: one record a feed, so that each can say which record of
// its feed it follows.
func (l *Log) prepare(ctx context.Context) []*request {
	var (
		rs    []*request
		later []*request
		seen  = make(map[string]bool, len(l.backlog))
		down  error
	)
	l.buf = l.buf[:0]
	ordinal := l.ordinal
	for _, r := range l.backlog {
		if down != nil || len(l.buf) > maxTurnBytes || seen[r.batch.Feed] {
			later = append(later, r)
			continue
		}
		f, err := l.feed(ctx, r.batch.Feed)
		switch {
		case err != nil:
			down = err
		case f.fenced:
			err = fmt.Errorf("feed %q: %w", r.batch.Feed, tape.ErrFenced)
		default:
			err = l.encode(r, ordinal)
		}
		if err != nil {
			r.answer <- answer{err: err}
			continue
		}
		seen[r.batch.Feed] = true
		ordinal += uint64(len(r.batch.Entries))
		rs = append(rs, r)
	}
	l.backlog = append(l.backlog[:0], later...)
	if down != nil {
		l.again(rs)
		l.breakDown(down, nil)
		return nil
	}
	return rs
}

// encode encodes the record of r into the turn's buffer.
func (l *Log) encode(r *request, ordinal uint64) error {
	start := len(l.buf)
	buf, err := l.encoder.Append(l.buf, ordinal, r.batch)
	if err != nil {
		return err
	}
	// When the buffer grew, the records before this one go on pointing to its old memory, which nobody writes to any more.
	l.buf, r.data, r.ordinal = buf, buf[start:len(buf):len(buf)], ordinal
	r.subject = subjectOf(r.batch.Feed)
	return nil
}

// feed returns the state of a feed, asking the stream for its last record the first time.
func (l *Log) feed(ctx context.Context, name string) (*feedState, error) {
	if f := l.feeds[name]; f != nil {
		return f, nil
	}
	s := l.session.Load()
	m, ok, err := s.lastOf(ctx, subjectOf(name))
	if err != nil {
		return nil, err
	}
	f := &feedState{}
	if ok {
		f.last = m.position
	}
	l.feeds[name] = f
	return f, nil
}

// commit makes acknowledged records visible, and then answers.
func (l *Log) commit(rs []*request, at tape.Position) {
	if len(rs) == 0 {
		return
	}
	recs := make([]*tape.Record, len(rs))
	for i, r := range rs {
		b := *r.batch
		b.Offset = slices.Clone(b.Offset)
		recs[i] = &tape.Record{Position: at, Through: at, Ordinal: r.ordinal, Batch: b}
		l.feeds[b.Feed].last = at
		at++
		l.metrics.bytes.Add(float64(len(r.data)))
		l.metrics.entries.Add(float64(len(b.Entries)))
	}
	l.metrics.records.Add(float64(len(rs)))
	l.show(recs)
	for i, r := range rs {
		r.answer <- answer{position: recs[i].Position}
	}
}

// show lets readers see records that are durable and follow the last one.
func (l *Log) show(recs []*tape.Record) {
	last := recs[len(recs)-1]
	ordinal := last.Ordinal + uint64(len(last.Entries))
	// The mark first: what anybody saw is then below it, whenever this process is killed.
	err := l.mark.move(last.Through, ordinal)
	if err != nil && !l.markFailed {
		l.log.Error("high-water mark not written", "error", err)
	}
	l.markFailed = err != nil
	l.mu.Lock()
	for _, rec := range recs {
		if rec.Through != rec.Position {
			l.ring.reset() // it holds one position a record
			continue
		}
		l.ring.add(rec)
	}
	l.last, l.ordinal = last.Through, ordinal
	l.wake()
	l.mu.Unlock()
}

// refuse answers requests with an error.
func refuse(rs []*request, err error) {
	for _, r := range rs {
		r.answer <- answer{err: err}
	}
}

// errNoAnswer says that the outcome of a write isn't known.
var errNoAnswer = errors.New("no answer from JetStream")
