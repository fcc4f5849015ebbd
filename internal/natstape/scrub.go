package natstape

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/tape"
)

// block is a file of messages that was there when the server started. The server cuts a block off at the first record whose
// length makes no sense, and says nothing. So each block is read and checked here before the server is asked for anything in
// it, once, and in the background.
type block struct {
	file        blockFile
	first, last tape.Position
	checked     bool
}

// rememberBlocks notes the blocks of an index and of a scan, which follow each other. What was scanned is checked.
func (l *Log) rememberBlocks(dir string, old *blockIndex, scans []*scan) {
	var blocks []block
	add := func(s *blockSummary, checked bool) {
		if s.last == 0 {
			return
		}
		file := blockFile{path: filepath.Join(dir, fmt.Sprintf("%d.blk", s.number)), number: s.number}
		blocks = append(blocks, block{file, tape.Position(s.first), tape.Position(s.last), checked})
	}
	if old != nil {
		for i := range old.blocks {
			if old.blocks[i].number < scans[0].number {
				add(&old.blocks[i], false)
			}
		}
	}
	for _, s := range scans {
		add(&s.blockSummary, true)
	}
	l.blocksMu.Lock()
	defer l.blocksMu.Unlock()
	for i := range blocks {
		for j := range l.blocks {
			if l.blocks[j].file.number == blocks[i].file.number && l.blocks[j].checked {
				blocks[i].checked = true
			}
		}
	}
	l.blocks = blocks
}

func (l *Log) countBlocks() (all, unchecked int) {
	l.blocksMu.Lock()
	defer l.blocksMu.Unlock()
	for i := range l.blocks {
		if !l.blocks[i].checked {
			unchecked++
		}
	}
	return len(l.blocks), unchecked
}

// blockAt returns the block that holds a position, and how far what was checked goes from there; ok is false when the position
// is in no block, or in one that was checked.
func (l *Log) blockAt(pos tape.Position) (b block, end tape.Position, ok bool) {
	l.blocksMu.Lock()
	defer l.blocksMu.Unlock()
	i, _ := slices.BinarySearchFunc(l.blocks, pos, func(b block, pos tape.Position) int { return cmp.Compare(b.last, pos) })
	for j := i; j < len(l.blocks); j++ {
		if !l.blocks[j].checked {
			if j == i && l.blocks[j].first <= pos {
				return l.blocks[j], l.blocks[j].last, true
			}
			return block{}, l.blocks[j].first - 1, false
		}
	}
	return block{}, math.MaxUint64, false
}

// checkBlock makes sure that the block of a position was checked, and returns up to where blocks were checked from there. A
// damaged block is mended, for which the server is restarted.
func (l *Log) checkBlock(ctx context.Context, pos tape.Position) (end tape.Position, err error) {
	b, end, unchecked := l.blockAt(pos)
	if !unchecked {
		return end, nil
	}
	s, err := b.file.scan(math.MaxUint64)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", tape.ErrUnavailable, err)
	}
	st, err := b.file.stat()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", tape.ErrUnavailable, err)
	}
	if !s.sound(st) || tape.Position(s.first) != b.first || tape.Position(s.last) != b.last {
		return end, l.askRescue(ctx, b.file.number)
	}
	l.blocksMu.Lock()
	defer l.blocksMu.Unlock()
	for i := range l.blocks {
		if l.blocks[i].file.number == b.file.number {
			l.blocks[i].checked = true
		}
	}
	return end, nil
}

// checkAround checks the blocks around a damaged position, which are going to be looked at for its neighbours.
func (l *Log) checkAround(ctx context.Context, pos tape.Position) error {
	l.blocksMu.Lock()
	i, _ := slices.BinarySearchFunc(l.blocks, pos, func(b block, pos tape.Position) int { return cmp.Compare(b.last, pos) })
	var around []tape.Position
	for _, b := range l.blocks[max(0, i-1):min(len(l.blocks), i+2)] {
		around = append(around, b.first)
	}
	l.blocksMu.Unlock()
	for _, first := range around {
		if _, err := l.checkBlock(ctx, first); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) isChecked(number uint32) bool {
	l.blocksMu.Lock()
	defer l.blocksMu.Unlock()
	return !slices.ContainsFunc(l.blocks, func(b block) bool { return b.file.number == number && !b.checked })
}

// rescue asks the writer to mend the block of a number.
type rescue struct {
	number uint32
	answer chan error // of capacity 1
}

// askRescue has the writer restart the server with mended blocks, and waits for it.
func (l *Log) askRescue(ctx context.Context, number uint32) error {
	answer := make(chan error, 1)
	select {
	case l.rescue <- rescue{number, answer}:
	case <-l.done:
		return tape.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return <-answer
}

// scrub checks all blocks that nobody has asked for yet, at a fifth of the speed that it could. It ends when all are checked or
// the tape is closed.
func (l *Log) scrub() {
	defer close(l.scrubbed)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		select {
		case <-l.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	defer cancel()
	for {
		pos, ok := l.firstUnchecked()
		if !ok {
			return
		}
		start := time.Now()
		if _, err := l.checkBlock(ctx, pos); err != nil {
			if ctx.Err() == nil {
				l.log.Warn("block of the tape not checked", "position", pos, "error", err)
			}
			return
		}
		pause := time.NewTimer(4 * time.Since(start))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

func (l *Log) firstUnchecked() (tape.Position, bool) {
	l.blocksMu.Lock()
	defer l.blocksMu.Unlock()
	for i := range l.blocks {
		if !l.blocks[i].checked {
			return l.blocks[i].first, true
		}
	}
	return 0, false
}
