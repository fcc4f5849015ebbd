package natstape

import (
	"context"
	"errors"
	"fmt"

	"tapedeck/internal/tape"
)

// defaultMinFree is what Options.MinFree stands for when it is 0.
func defaultMinFree(size uint64) uint64 {
	return min(max(size/20, 512<<20), 8<<30, size/8)
}

// checkDisk looks how much of the disk is free, and stops or resumes accepting appends. It resumes a little above where it
// stopped, so that it doesn't waver.
func (l *Log) checkDisk() {
	free, size, err := l.opts.FreeSpace(l.opts.Dir)
	if err != nil {
		if !l.blind {
			l.blind = true
			l.log.Warn("free space of the disk not known", "error", err)
		}
		return
	}
	l.blind = false
	l.free.Store(free)
	l.minFree = l.opts.MinFree
	if l.minFree == 0 {
		l.minFree = defaultMinFree(size)
	}
	switch {
	case free < l.minFree:
		l.full = true
	case free >= l.minFree+l.minFree/16:
		l.full = false
	}
	l.judge(nil)
}

// judge sets the health from what the writer knows. A cause is why the server is broken.
func (l *Log) judge(cause error) {
	if cause != nil {
		l.cause = cause
	}
	switch {
	case l.full:
		l.setHealth(fmt.Errorf("%w: %s free, appends need %s (%s)", tape.ErrFull, mebibytes(l.free.Load()), mebibytes(l.minFree), l.opts.Dir))
	case l.broken:
		l.setHealth(l.cause)
	default:
		l.setHealth(nil)
	}
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// lookAround is what the writer does between turns: look after the disk, restart a broken server.
func (l *Log) lookAround(ctx context.Context) {
	l.mended = false
	l.checkDisk()
	switch s := l.session.Load(); {
	case l.broken:
		l.mend(ctx)
	case s != nil && s.hasFailed():
		l.breakDown(fmt.Errorf("%w: JetStream can't write", tape.ErrUnavailable), nil)
	}
}

// breakDown stops a server that doesn't answer, takes back what it may have written of the requests, and refuses them. After a
// full disk or a failed sync JetStream doesn't recover by itself.
func (l *Log) breakDown(cause error, rs []*request) {
	l.log.Error("tape's server is broken and will be restarted", "error", cause)
	l.metrics.restarts.Inc()
	l.broken = true
	if s := l.session.Swap(nil); s != nil {
		s.close()
	}
	l.cut = false
	l.held = append(l.held, rs...)
	l.checkDisk()
	l.judge(cause)
	if !l.mended {
		l.mend(context.Background())
	} else {
		l.takeBack()
	}
}

// restart restarts a server that is well, so that the block of a number can be mended, unless it has been.
func (l *Log) restart(ctx context.Context, number uint32) error {
	if l.isChecked(number) {
		return nil
	}
	l.broken, l.cause, l.cut = true, fmt.Errorf("%w: a damaged block is being mended", tape.ErrUnavailable), false
	if s := l.session.Swap(nil); s != nil {
		s.close()
	}
	l.mend(ctx)
	if l.broken {
		return l.cause
	}
	return nil
}

// takeBack removes what was written but not acknowledged, and then refuses the requests that it belonged to: only now is it
// certain that they are not on the tape.
func (l *Log) takeBack() {
	if l.cut {
		return
	}
	if err := cutTail(l.opts.Dir, l.last); err != nil {
		l.judge(fmt.Errorf("%w: unacknowledged records not taken back: %w", tape.ErrUnavailable, err))
		return
	}
	l.cut = true
	refuse(l.held, l.Health())
	l.held = nil
}

// mend starts the server again when there is room. When it can't, it is tried again at the next look around.
func (l *Log) mend(ctx context.Context) {
	l.takeBack()
	l.checkDisk()
	if !l.cut || l.full {
		return
	}
	err := l.prepareBlocks(l.last)
	var s *session
	if err == nil {
		s, err = startSession(l.opts.Dir, l.log)
	}
	if err == nil {
		if err = l.resume(ctx, s); err != nil {
			s.close()
		}
	}
	if err != nil {
		// Tried every second: setHealth logs it when it is news.
		l.judge(fmt.Errorf("%w: %w", tape.ErrUnavailable, err))
		return
	}
	l.broken, l.mended = false, true
	l.session.Store(s)
	l.log.Info("tape's server restarted", "last", l.last)
	l.judge(nil)
}

// resume checks that a restarted server has what was acknowledged, and nothing else, as open does.
func (l *Log) resume(ctx context.Context, s *session) error {
	o := opening{marked: l.mark.read(), hasMark: true, high: l.last, ordinal: l.ordinal}
	info, err := l.findStream(ctx, s, &o)
	if err != nil {
		return err
	}
	if last := tape.Position(info.State.LastSeq); last > l.last {
		return fmt.Errorf("BUG: the stream ends at %d, after what was taken back to %d", last, l.last)
	}
	if err := l.settle(ctx, s, info, &o); err != nil {
		return err
	}
	for name, f := range l.feeds {
		if !f.fenced {
			delete(l.feeds, name) // its last record is asked for again
		}
	}
	return nil
}

// isFull tells whether appends are refused because the disk is full.
func (l *Log) isFull() bool { return errors.Is(l.Health(), tape.ErrFull) }
