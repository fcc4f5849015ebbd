package natstape

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// opening is what is known of a tape while it is opened.
type opening struct {
	marked  marked
	hasMark bool
	high    tape.Position // the last position that anybody remembers
	ordinal uint64        // entries up to it, as far as anybody remembers
	broken  string        // why continuity can't be shown; empty when it can
}

// open starts the server and compares what is on the stream with what was remembered of it.
func (l *Log) open(ctx context.Context) error {
	var o opening
	var err error
	if o.marked, o.hasMark, err = readMark(l.opts.Dir); err != nil {
		return err
	}
	o.high, o.ordinal = o.marked.position, o.marked.ordinal
	if l.opts.HighWater > o.high {
		o.high, o.ordinal = l.opts.HighWater, max(o.ordinal, l.opts.HighWaterOrdinal)
	}
	if err := l.prepareBlocks(o.high); err != nil {
		return err
	}
	s, err := startSession(l.opts.Dir, l.log)
	if err != nil {
		return err
	}
	l.session.Store(s)
	info, err := l.findStream(ctx, s, &o)
	if err != nil {
		return err
	}
	return l.settle(ctx, s, info, &o)
}

// findStream returns the stream, made if it isn't there. A stream that was there once is not made blindly: what is left of it
// is copied to quarantine, and it is made over its files.
func (l *Log) findStream(ctx context.Context, s *session, o *opening) (*jetstream.StreamInfo, error) {
	info, err := s.lookup(ctx)
	if err != nil {
		return nil, err
	}
	blocks, err := listBlocks(blockDir(l.opts.Dir))
	if err != nil {
		return nil, err
	}
	switch {
	case info == nil && len(blocks) > 0:
		l.log.Warn("stream of the tape can't be opened and is made again over its files", "high_water", o.high)
		l.quarantineStream()
	case info == nil && o.high > 0:
		l.log.Warn("tape is gone", "high_water", o.high)
		o.broken = "the stream was gone"
	case info == nil:
	case info.State.LastSeq == 0 && o.high > 0:
		l.log.Warn("tape is empty", "high_water", o.high)
		o.broken = "the stream was empty"
		l.quarantineStream()
		if err := s.js.DeleteStream(ctx, streamName); err != nil {
			return nil, fmt.Errorf("remove the empty stream: %w", err)
		}
	default:
		return info, nil
	}
	epoch := o.marked.epoch
	if epoch == (tape.Epoch{}) {
		if epoch, err = newEpoch(); err != nil {
			return nil, err
		}
	}
	// The server doesn't write the description anew when there is one, however unusable.
	for _, name := range []string{"meta.inf", "meta.sum"} {
		if err := os.Remove(filepath.Join(streamDir(l.opts.Dir), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("remove the unusable description of the stream: %w", err)
		}
	}
	var first tape.Position
	if o.broken != "" {
		first = o.high + 1 // nothing is left: the stream begins after what was lost
	}
	return s.create(ctx, epoch, first)
}

// settle decides on the epoch, fills in what was lost at the end, and notes where the tape stands.
func (l *Log) settle(ctx context.Context, s *session, info *jetstream.StreamInfo, o *opening) error {
	last := tape.Position(info.State.LastSeq)
	ordinal, certain, err := s.ordinalAt(ctx, last, o)
	if err != nil {
		return fmt.Errorf("read the end of the tape: %w", err)
	}
	if have := metaEpochOf(info); o.hasMark && have != o.marked.epoch {
		o.broken = "mark and stream are of different tapes"
	}
	if o.hasMark && last == o.marked.position && certain && ordinal != o.marked.ordinal {
		o.broken = "mark and stream count differently"
	}
	if last < o.high {
		o.broken = "the tape had lost its end"
	}
	epoch := o.marked.epoch
	if !o.hasMark {
		epoch = metaEpochOf(info)
		if last > 0 {
			l.log.Warn("mark of the tape is missing: whether the tape had gone on isn't known", "last", last)
		}
	}
	if o.broken != "" || epoch == (tape.Epoch{}) {
		if epoch, err = newEpoch(); err != nil {
			return err
		}
	}
	high, total := max(last, o.high), max(ordinal, o.ordinal)
	if o.broken != "" {
		l.log.Warn("continuity of the tape can't be shown, new epoch",
			"reason", o.broken, "last", last, "high_water", high, "entries", ordinal, "entries_remembered", o.ordinal, "epoch", epoch.String())
		if last < o.high {
			l.quarantineStream()
		}
	}
	if l.mark == nil {
		if l.mark, err = openMark(l.opts.Dir, o.marked); err != nil {
			return err
		}
	}
	// The new epoch is noted before anything is changed under it; a crash from here on leads here again.
	if err := l.mark.set(epoch, high, total, false); err != nil {
		return err
	}
	if err := syncDir(l.opts.Dir); err != nil {
		return fmt.Errorf("sync the tape's folder: %w", err)
	}
	if last < high {
		if err := l.fill(ctx, s, void{from: last + 1, through: high, before: ordinal, after: total}); err != nil {
			return err
		}
	}
	if err := s.update(ctx, info, epoch); err != nil {
		return err
	}
	if missing := uint64(last) - min(uint64(last), info.State.Msgs); missing > 0 {
		l.log.Warn("positions are missing on the tape", "count", missing, "last", last)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.broken != "" {
		l.ring.reset() // all readers must agree on what is lost
	}
	l.epoch, l.last, l.ordinal = epoch, high, total
	return nil
}

// ordinalAt returns the number of entries on the tape up to its last position; it isn't certain when that is damaged.
func (s *session) ordinalAt(ctx context.Context, last tape.Position, o *opening) (n uint64, certain bool, err error) {
	if last == 0 {
		return 0, true, nil
	}
	ms, err := s.fetch(ctx, last, 1)
	if err != nil {
		return 0, false, err
	}
	if len(ms) == 1 {
		if v, ok := parseVoid(ms[0]); ok {
			return v.after, true, nil
		}
		var d tape.Decoder
		if rec, ok := decode(&d, ms[0]); ok {
			return rec.Ordinal + uint64(len(rec.Entries)), true, nil
		}
	}
	if last == o.high && o.ordinal > 0 {
		return o.ordinal, false, nil
	}
	d, err := s.survey(ctx, last, 1, last)
	if err != nil {
		return 0, false, err
	}
	// Nobody knows how many were in there: count as many as could have been, so that no number is used twice.
	n = max(d.after, d.before+uint64(last-d.from+1)*tape.MaxEntries)
	return n, false, nil
}

// fill puts void messages on the stream for the positions of v, so that these are never used again.
func (l *Log) fill(ctx context.Context, s *session, v void) error {
	l.log.Warn("tape's lost end is filled", "from", v.from, "through", v.through, "entries_lost", v.after-v.before)
	v.at = market.FromStd(time.Now())
	data := v.append(nil)
	for at := v.from; at <= v.through; {
		n := min(maxTurn, v.through-at+1)
		id := "void-" + strconv.FormatUint(uint64(at), 36)
		for i := range n {
			m := &nats.Msg{Subject: subjectVoid, Data: data, Header: nats.Header{
				"Nats-Batch-Id":       {id},
				"Nats-Batch-Sequence": {strconv.FormatUint(uint64(i+1), 10)},
			}}
			if i == 0 {
				m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(uint64(at-1), 10)}
			}
			if i < n-1 {
				if err := s.conn.PublishMsg(m); err != nil {
					return fmt.Errorf("fill the tape's lost end at %d: %w", at, err)
				}
				continue
			}
			m.Header["Nats-Batch-Commit"] = []string{"1"}
			if err := s.request(ctx, m); err != nil {
				return fmt.Errorf("fill the tape's lost end at %d: %w", at, err)
			}
		}
		at += n
	}
	return nil
}

// newEpoch draws an epoch.
func newEpoch() (tape.Epoch, error) {
	var e tape.Epoch
	if _, err := rand.Read(e[:]); err != nil {
		return e, fmt.Errorf("draw an epoch: %w", err)
	}
	return e, nil
}
