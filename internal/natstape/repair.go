package natstape

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"tapedeck/internal/tape"
)

// scan is what a block holds.
type scan struct {
	blockSummary
	subjects map[string]uint64  // messages by subject
	newer    map[string]uint64  // of them, those beyond the old index
	tail     [blockHash]byte    // hash of the last record
	good     int64              // bytes up to the end of the last whole record
	bad      int                // damaged places that whole records follow
	foreign  bool               // there are tombstones or erased messages: not written by this program
	keep     [][2]int64         // parts of the file that are whole records
	lost     [][2]tape.Position // positions between whole records that are missing
}

// prepareBlocks makes the block files ready for the server, so that it neither has to read them all nor cuts off what follows a
// damaged record. Damaged blocks are copied to quarantine and written again without the bad parts. When the index is up to
// date only the last block is read, which the server will write to; the others are looked at before they are first used. When
// anything is not as expected, the server is left to do what it does.
func (l *Log) prepareBlocks(high tape.Position) error {
	dir := blockDir(l.opts.Dir)
	blocks, err := listBlocks(dir)
	if err != nil || len(blocks) == 0 {
		return err
	}
	old, err := readIndex(dir)
	if err != nil && !errors.Is(err, errNoIndex) {
		return err
	}
	scans, err := l.scanBlocks(blocks, old)
	if err != nil {
		return err
	}
	if old != nil && (scans == nil || slices.ContainsFunc(scans, func(s *scan) bool { return s.bad > 0 })) {
		old = nil // what the index counts is no longer there
		if scans, err = l.scanBlocks(blocks, nil); err != nil {
			return err
		}
	}
	if old == nil || !old.fits(blocks) || !scans[0].sound(blocks[len(blocks)-1].size) {
		for i, s := range scans {
			if err := l.mendBlock(blocks[len(blocks)-len(scans)+i], s, i == len(scans)-1, high); err != nil {
				return err
			}
		}
		x := newIndex(old, scans)
		if x == nil {
			return nil
		}
		if err := writeIndex(dir, x); err != nil {
			l.log.Warn("index of the tape's blocks not written; the server will read them all", "error", err)
		}
	}
	l.rememberBlocks(dir, old, scans)
	return nil
}

// sound tells whether a block of a size is nothing but whole records.
func (s *scan) sound(size int64) bool { return s.bad == 0 && s.good == size }

// scanBlocks reads the blocks from the last one that the old index knows on, or all when there is no old index. It returns nil
// when blocks that the index knows are gone.
func (l *Log) scanBlocks(blocks []blockFile, old *blockIndex) ([]*scan, error) {
	var after uint64
	if old != nil {
		n := len(old.blocks)
		if n > len(blocks) || !slices.EqualFunc(old.blocks, blocks[:n], func(s blockSummary, b blockFile) bool { return s.number == b.number }) {
			return nil, nil
		}
		blocks, after = blocks[n-1:], old.last
	}
	scans := make([]*scan, len(blocks))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range blocks {
		g.Go(func() (err error) {
			scans[i], err = blocks[i].scan(after)
			return err
		})
	}
	return scans, g.Wait()
}

// scan reads a block. Messages beyond a sequence are counted as newer.
func (b *blockFile) scan(after uint64) (*scan, error) {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return nil, fmt.Errorf("read a block: %w", err)
	}
	s := &scan{subjects: map[string]uint64{}, newer: map[string]uint64{}}
	s.number = b.number
	r := newBlockReader(data, b.number)
	for {
		e, ok, err := r.next()
		if err != nil {
			if !r.resync() {
				return s, nil
			}
			s.bad++
			continue
		}
		if !ok {
			return s, nil
		}
		if !e.message {
			s.foreign = true
		}
		if e.message && e.sequence > s.last {
			s.add(e, after)
		}
		s.good = int64(e.end)
		copy(s.tail[:], data[e.end-blockHash:e.end])
		if n := len(s.keep); n > 0 && s.keep[n-1][1] == int64(e.offset) {
			s.keep[n-1][1] = int64(e.end)
		} else {
			s.keep = append(s.keep, [2]int64{int64(e.offset), int64(e.end)})
		}
	}
}

// add counts a message.
func (s *scan) add(e blockEntry, after uint64) {
	if s.first == 0 {
		s.first, s.firstTime = e.sequence, e.time
	} else if e.sequence > s.last+1 {
		s.lost = append(s.lost, [2]tape.Position{tape.Position(s.last + 1), tape.Position(e.sequence - 1)})
		for seq := s.last + 1; seq < e.sequence; seq++ {
			s.deleted.Insert(seq)
		}
	}
	s.last, s.lastTime = e.sequence, e.time
	s.bytes += uint64(e.end - e.offset)
	s.subjects[string(e.subject)]++
	if e.sequence > after {
		s.newer[string(e.subject)]++
	}
}

// mendBlock takes the bad parts out of a block. An unfinished write at the end of the last one isn't damage, unless it was
// acknowledged.
func (l *Log) mendBlock(b blockFile, s *scan, isLast bool, high tape.Position) error {
	if s.sound(b.size) {
		return nil
	}
	if s.bad > 0 || !isLast || tape.Position(s.last) < high {
		l.log.Warn("damaged block of the tape", "block", b.path, "bad_places", s.bad, "bytes_at_end", b.size-s.good, "positions_lost", fmt.Sprint(s.lost))
		if err := l.quarantineFiles([]blockFile{b}); err != nil {
			return fmt.Errorf("copy a damaged block to quarantine: %w", err)
		}
	}
	if s.bad == 0 && s.good > 0 {
		return truncate(b.path, s.good)
	}
	return b.rewrite(s.keep)
}

// rewrite replaces a block by the parts of it that are to be kept, or removes it when there are none.
func (b *blockFile) rewrite(keep [][2]int64) error {
	if len(keep) == 0 {
		if err := os.Remove(b.path); err != nil {
			return fmt.Errorf("remove a block without a whole record: %w", err)
		}
		return nil
	}
	data, err := os.ReadFile(b.path)
	if err != nil {
		return fmt.Errorf("read a damaged block: %w", err)
	}
	tmp := filepath.Join(filepath.Dir(b.path), fmt.Sprintf("mended-%d", b.number))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("mend a block: %w", err)
	}
	var errs []error
	for _, part := range keep {
		_, err := f.Write(data[part[0]:part[1]])
		errs = append(errs, err)
	}
	errs = append(errs, f.Sync(), f.Close())
	if err := errors.Join(errs...); err != nil {
		return errors.Join(fmt.Errorf("mend a block: %w", err), os.Remove(tmp))
	}
	if err := os.Rename(tmp, b.path); err != nil {
		return fmt.Errorf("mend a block: %w", err)
	}
	if err := syncDir(filepath.Dir(b.path)); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("mend a block: %w", err)
	}
	return nil
}

// newIndex makes an index of an old one and what was scanned, from the old one's last block on; nil when it can't be told
// what the server would make of the blocks.
func newIndex(old *blockIndex, scans []*scan) *blockIndex {
	x := &blockIndex{subjects: map[string]*subjectIndex{}}
	if old != nil {
		x.subjects = old.subjects
		x.blocks = old.blocks[:len(old.blocks)-1]
	}
	for _, s := range scans {
		if s.foreign {
			return nil
		}
		if s.last == 0 {
			continue // nothing whole in it: it was removed
		}
		counts := s.subjects
		if old != nil {
			counts = s.newer
		}
		for name, n := range counts {
			sub := x.subjects[name]
			if sub == nil {
				sub = &subjectIndex{first: s.number}
				x.subjects[name] = sub
			}
			sub.total += n
			sub.last = s.number
		}
		x.blocks = append(x.blocks, s.blockSummary)
		x.tail = s.tail
	}
	if len(scans) == 0 || scans[len(scans)-1].last == 0 || len(x.blocks) == 0 {
		return nil
	}
	for i := range x.blocks {
		x.messages += x.blocks[i].messages()
		x.bytes += x.blocks[i].bytes
	}
	head, end := &x.blocks[0], &x.blocks[len(x.blocks)-1]
	x.first, x.firstTime, x.last, x.lastTime = head.first, head.firstTime, end.last, end.lastTime
	return x
}
