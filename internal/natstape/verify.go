package natstape

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Report is what Verify found.
type Report struct {
	Dir              string        `json:"dir"`
	Epoch            string        `json:"epoch"`
	First            tape.Position `json:"first"`
	Last             tape.Position `json:"last"`
	Records          uint64        `json:"records"` // that are whole
	Entries          uint64        `json:"entries"` // in them
	Bytes            int64         `json:"bytes"`   // of the files
	HighWater        tape.Position `json:"high_water"`
	HighWaterOrdinal uint64        `json:"high_water_entries"`
	Clean            bool          `json:"clean"` // it was closed, not killed
	Gaps             []ReportGap   `json:"gaps"`
	ChecksumErrors   uint64        `json:"checksum_errors"`  // damaged places in the files
	UnfinishedBytes  int64         `json:"unfinished_bytes"` // of a write that was cut short and never acknowledged
	Problems         []string      `json:"problems"`         // in words; empty when all is well
}

// ReportGap is a stretch of positions that can't be read.
type ReportGap struct {
	From        tape.Position `json:"from"`
	Through     tape.Position `json:"through"`
	EntriesLost uint64        `json:"entries_lost"`
	Since       market.Time   `json:"since"` // of the last entry before it
	Until       market.Time   `json:"until"` // of the first entry after it
	Cause       string        `json:"cause"`
}

// OK tells whether everything that was ever acknowledged is there and whole.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Verify reads the whole tape in a folder, checks it, and writes nothing. The tape must not be open: ErrLocked. A folder of a
// format that this program doesn't know is ErrFormat, one without a tape is fs.ErrNotExist.
func Verify(ctx context.Context, dir string) (Report, error) {
	r := Report{Dir: dir, First: 1, Gaps: []ReportGap{}, Problems: []string{}}
	unlock, err := lockToRead(dir)
	if err != nil {
		return r, err
	}
	defer unlock()
	m, hasMark, err := readMark(dir)
	if err != nil {
		return r, err
	}
	blocks, err := listBlocks(blockDir(dir))
	if err != nil {
		return r, err
	}
	if !hasMark && len(blocks) == 0 {
		return r, fmt.Errorf("no tape in %s: %w", dir, fs.ErrNotExist)
	}
	r.Epoch, r.HighWater, r.HighWaterOrdinal, r.Clean = m.epoch.String(), m.position, m.ordinal, m.clean
	if err := r.meta(dir, m, hasMark); err != nil {
		return r, err
	}
	v := &verifier{report: &r}
	for i := range blocks {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err := v.block(&blocks[i], i == len(blocks)-1); err != nil {
			return r, err
		}
	}
	v.end(m)
	return r, nil
}

// lockToRead keeps others from opening the tape meanwhile. A folder that was never opened has no lock, and gets none.
func lockToRead(dir string) (unlock func(), err error) {
	f, err := os.Open(lockPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the tape's lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer func() { _ = f.Close() }()
		return nil, lockedBy(dir, f, err)
	}
	return func() { _ = f.Close() }, nil
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// meta reads what the stream says of itself.
func (r *Report) meta(dir string, m marked, hasMark bool) error {
	var meta struct {
		Metadata map[string]string `json:"metadata"`
	}
	b, err := os.ReadFile(filepath.Join(streamDir(dir), "meta.inf"))
	if err == nil {
		err = json.Unmarshal(b, &meta)
	}
	if err != nil {
		r.problem("the description of the stream can't be read: %v", err)
		return nil
	}
	if err := checkFormat(meta.Metadata[metaFormat]); err != nil {
		return err
	}
	epoch := meta.Metadata[metaEpoch]
	if !hasMark {
		r.Epoch = epoch
		r.problem("the mark %s is missing: how far the tape had come isn't known", markPath(dir))
	} else if epoch != hex.EncodeToString(m.epoch[:]) {
		r.problem("the stream has epoch %q, the mark %s", epoch, m.epoch)
	}
	return nil
}

// verifier goes through the records of all blocks in order.
type verifier struct {
	report  *Report
	decoder tape.Decoder
	last    tape.Position // of the last message
	ordinal uint64        // entries up to the last whole record or void
	time    market.Time   // of the last whole record
	gap     *ReportGap    // that has not ended yet; EntriesLost is what is known so far
	causes  map[string]tape.Position
	torn    bool // the last block has an unfinished end
}

func (v *verifier) block(b *blockFile, isLast bool) error {
	data, err := os.ReadFile(b.path)
	if err != nil {
		return fmt.Errorf("read a block: %w", err)
	}
	v.report.Bytes += int64(len(data))
	r := newBlockReader(data, b.number)
	for {
		at := r.at
		e, ok, err := r.next()
		switch {
		case err != nil && r.resync():
			v.report.ChecksumErrors++
			v.report.problem("block %s: %v at byte %d", b.path, err, at)
		case err != nil && isLast:
			v.report.UnfinishedBytes = int64(len(data) - at)
			v.torn = true
			return nil
		case err != nil:
			v.report.ChecksumErrors++
			v.report.problem("block %s: %v at byte %d, and nothing whole after it", b.path, err, at)
			return nil
		case !ok:
			return nil
		case e.message && tape.Position(e.sequence) > v.last:
			v.message(raw{tape.Position(e.sequence), string(e.subject), e.payload})
		}
	}
}

// message takes the next message of the tape.
func (v *verifier) message(m raw) {
	if m.position > v.last+1 {
		v.lose(v.last+1, m.position-1, causeMissing)
	}
	v.last = m.position
	if w, ok := parseVoid(m); ok {
		v.lose(m.position, m.position, causeVoid)
		v.ordinal, v.gap.Until = max(v.ordinal, w.after), w.at
		return
	}
	rec, ok := decode(&v.decoder, m)
	if !ok {
		v.report.ChecksumErrors++
		v.lose(m.position, m.position, causeChecksum)
		return
	}
	v.closeGap(rec.Ordinal, firstTime(rec))
	if rec.Ordinal != v.ordinal {
		v.report.problem("position %d begins with entry %d, but %d were counted", rec.Position, rec.Ordinal, v.ordinal)
	}
	v.report.Records++
	v.report.Entries += uint64(len(rec.Entries))
	v.ordinal, v.time = rec.Ordinal+uint64(len(rec.Entries)), lastTime(rec)
}

// lose notes lost positions, which belong to one gap with the lost ones before them.
func (v *verifier) lose(from, through tape.Position, cause string) {
	if v.gap == nil {
		v.gap = &ReportGap{From: from, Since: v.time, EntriesLost: v.ordinal} // as a base; see closeGap
		v.causes = map[string]tape.Position{}
	}
	v.gap.Through = through
	v.causes[cause] += through - from + 1
}

// closeGap ends a gap, if there is one, before entry number ordinal.
func (v *verifier) closeGap(ordinal uint64, until market.Time) {
	if v.gap == nil {
		return
	}
	g := *v.gap
	v.gap = nil
	v.ordinal = max(v.ordinal, ordinal)
	g.EntriesLost = v.ordinal - g.EntriesLost
	if until != 0 {
		g.Until = until
	}
	g.Cause = mainCause(v.causes)
	v.report.Gaps = append(v.report.Gaps, g)
	v.report.problem("positions %d to %d are lost with %d entries: %s", g.From, g.Through, g.EntriesLost, g.Cause)
}

// end compares the end of the tape with the mark.
func (v *verifier) end(m marked) {
	if m.position > v.last {
		v.lose(v.last+1, m.position, "the tape ends before what was acknowledged")
		v.last = m.position
	} else if v.torn && m.clean {
		v.report.problem("the last block ends in the middle of a record, though the tape was closed cleanly")
	}
	v.closeGap(m.ordinal, 0)
	v.report.Last = v.last
	if v.last == m.position && v.ordinal != m.ordinal {
		v.report.problem("%d entries were counted, the mark remembers %d", v.ordinal, m.ordinal)
	}
}
