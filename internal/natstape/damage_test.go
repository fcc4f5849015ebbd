package natstape

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// recorded is a tape that was closed, or whose process was killed, and what was on it.
type recorded struct {
	dir     string
	epoch   tape.Epoch
	batches []*tape.Batch // of positions 1, 2, 3 …
	gone    bool          // nothing is left of the damaged files that could be copied to quarantine
}

// memoryDir returns a folder on a disk in memory where there is one with room: for tests in which syncing proves nothing.
func memoryDir(t *testing.T) string {
	t.Helper()
	const shm, room = "/dev/shm", 512 << 20
	if free, _, err := freeSpace(shm); err != nil || free < room {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "natstape-*") //nolint:usetesting // t.TempDir is not on this disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// record makes a tape of n records of size bytes and more. When killed it looks as if its process had been killed.
func record(t *testing.T, n, size int, killed bool) *recorded {
	t.Helper()
	r := &recorded{dir: filepath.Join(memoryDir(t), "tape")}
	l := openTape(t, Options{Dir: r.dir})
	r.epoch = l.Bounds().Epoch
	rnd := rand.NewChaCha8([32]byte{1})
	for i := range n {
		b := tapetest.Batch(fmt.Sprint("feed", i%3), uint64(1+i*10), 1+i%7)
		if size > 0 {
			b.Offset = make([]byte, size)
			_, _ = rnd.Read(b.Offset)
		}
		r.batches = append(r.batches, b)
		if _, err := l.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if killed {
		// Nothing is written between appends: a copy is what would be left.
		dir := filepath.Join(memoryDir(t), "tape")
		if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
			t.Fatal(err)
		}
		r.dir = dir
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recorded) blocks(t *testing.T) []blockFile {
	t.Helper()
	blocks, err := listBlocks(blockDir(r.dir))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	return blocks
}

// place returns the block that holds a position, and where its record is in it.
func (r *recorded) place(t *testing.T, pos tape.Position) (blockFile, blockEntry) {
	t.Helper()
	for _, b := range r.blocks(t) {
		data, err := os.ReadFile(b.path)
		if err != nil {
			t.Fatal(err)
		}
		br := newBlockReader(data, b.number)
		for {
			e, ok, err := br.next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if e.message && e.sequence == uint64(pos) {
				return b, e
			}
		}
	}
	t.Fatalf("position %d is in no block", pos)
	return blockFile{}, blockEntry{}
}

// flip flips a bit at an offset of a file.
func flip(t *testing.T, path string, off int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[off] ^= 0x10
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *recorded) removeIndex(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(blockDir(r.dir), indexFile)); err != nil {
		t.Fatal(err)
	}
}

// check opens the damaged tape and compares what is read with what was recorded: the positions in lost, which must be one
// after the other, are one gap, all others are unchanged. Then it appends, opens the tape again and looks a second time.
func (r *recorded) check(t *testing.T, opts Options, lost []tape.Position, newEpoch bool) {
	t.Helper()
	opts.Dir = r.dir
	if opts.HighWater == 0 {
		r.verify(t, lost)
	}
	last := tape.Position(len(r.batches))
	var epoch tape.Epoch
	var copies []string
	for round := range 2 {
		l := openTape(t, opts)
		b := l.Bounds()
		if b.First != 1 || b.Last != last+tape.Position(round) {
			t.Fatalf("round %d: Bounds %+v, want 1 to %d", round, b, last+tape.Position(round))
		}
		if round == 0 {
			epoch = b.Epoch
			if (epoch != r.epoch) != newEpoch {
				t.Errorf("epoch was %v and is %v, new: %v", r.epoch, epoch, newEpoch)
			}
		}
		if b.Epoch != epoch {
			t.Errorf("round %d: epoch %v, before %v", round, b.Epoch, epoch)
		}
		if round == 0 {
			r.compare(t, l, lost)
			copies = quarantined(t, r.dir)
		}
		fresh := tapetest.Batch("feed0", uint64(100_000+round*10), 3)
		pos, err := l.Append(t.Context(), fresh)
		if err != nil || pos != last+tape.Position(round)+1 {
			t.Fatalf("round %d: Append: position %d, %v; want %d", round, pos, err, last+tape.Position(round)+1)
		}
		r.batches = append(r.batches, fresh)
		r.compare(t, l, lost)
		if n := l.Stats().Damaged; n != uint64(len(lost)) {
			t.Errorf("round %d: %d damaged positions in Stats, want %d", round, n, len(lost))
		}
		if rec, err := l.LastOf(t.Context(), "feed0"); err != nil || rec == nil || rec.Position != pos {
			t.Errorf("round %d: LastOf: %+v, %v; want position %d", round, rec, err, pos)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.verify(t, lost)
	if len(lost) > 0 && !r.gone && len(copies) == 0 {
		t.Error("nothing in quarantine")
	}
	if again := quarantined(t, r.dir); !slices.Equal(again, copies) {
		t.Errorf("in quarantine at first: %v; later: %v", copies, again)
	}
}

// quarantined lists what is in quarantine.
func quarantined(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(quarantineDir(dir), "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// verify verifies the tape offline: it must find the same damage and write nothing.
func (r *recorded) verify(t *testing.T, lost []tape.Position) {
	t.Helper()
	before := tree(t, r.dir)
	rep, err := Verify(t.Context(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if after := tree(t, r.dir); after != before {
		t.Errorf("Verify wrote to the folder:\n%s\n%s", before, after)
	}
	var want []ReportGap
	var entries, entriesLost uint64
	for i, b := range r.batches {
		if slices.Contains(lost, tape.Position(i+1)) {
			entriesLost += uint64(len(b.Entries))
		} else {
			entries += uint64(len(b.Entries))
		}
	}
	if len(lost) > 0 {
		want = append(want, ReportGap{From: lost[0], Through: lost[len(lost)-1], EntriesLost: entriesLost})
		if rep.OK() {
			t.Error("Verify says that the damaged tape is well")
		}
	}
	var got []ReportGap
	for _, g := range rep.Gaps {
		got = append(got, ReportGap{From: g.From, Through: g.Through, EntriesLost: g.EntriesLost})
	}
	if !slices.Equal(got, want) {
		t.Errorf("Verify found gaps %+v, want %+v", got, want)
	}
	if rep.First != 1 || rep.Last != tape.Position(len(r.batches)) || rep.Entries != entries || rep.Records != uint64(len(r.batches)-len(lost)) {
		t.Errorf("Verify: %+v, want %d records to %d with %d entries", rep, len(r.batches)-len(lost), len(r.batches), entries)
	}
}

// compare reads the tape from every position.
func (r *recorded) compare(t *testing.T, l *Log, lost []tape.Position) {
	t.Helper()
	var ordinal, entriesLost uint64
	ordinals := make([]uint64, len(r.batches)+1)
	for i, b := range r.batches {
		ordinals[i] = ordinal
		ordinal += uint64(len(b.Entries))
		if slices.Contains(lost, tape.Position(i+1)) {
			entriesLost += uint64(len(b.Entries))
		}
	}
	all := tapetest.ReadAll(t, l, 1)
	next := tape.Position(1)
	for _, rec := range all {
		if rec.Position != next {
			t.Fatalf("position %d follows %d", rec.Position, next-1)
		}
		next = rec.Through + 1
		if isDamage(rec) {
			e := rec.Entries[0]
			if len(lost) == 0 || rec.Position != lost[0] || rec.Through != lost[len(lost)-1] {
				t.Fatalf("gap from %d to %d, want %v", rec.Position, rec.Through, lost)
			}
			if e.Seq != entriesLost || rec.Ordinal != ordinals[lost[0]-1] || e.Text == "" {
				t.Errorf("gap %+v at ordinal %d, want %d entries lost at %d", e, rec.Ordinal, entriesLost, ordinals[lost[0]-1])
			}
			if lost[0] > 1 {
				before := r.batches[lost[0]-2].Entries
				if want := before[len(before)-1].Event; e.Event != want {
					t.Errorf("gap begins at %v, want %v", e.Event, want)
				}
			}
			if n := lost[len(lost)-1]; int(n) < len(r.batches) {
				if want := r.batches[n].Entries[0].Event; e.Until != want && e.Until < market.Second {
					t.Errorf("gap ends at %v, want %v", e.Until, want)
				}
			}
			continue
		}
		if slices.Contains(lost, rec.Position) {
			t.Fatalf("position %d is read as a record", rec.Position)
		}
		want := r.batches[rec.Position-1]
		if rec.Feed != want.Feed || rec.Ordinal != ordinals[rec.Position-1] || !bytes.Equal(rec.Offset, want.Offset) || !slices.Equal(rec.Entries, want.Entries) {
			t.Fatalf("position %d is not what was appended (feed %s, ordinal %d, want %d)", rec.Position, rec.Feed, rec.Ordinal, ordinals[rec.Position-1])
		}
	}
	if int(next) != len(r.batches)+1 {
		t.Fatalf("read up to %d of %d", next-1, len(r.batches))
	}
	for _, from := range lost {
		recs, err := l.Read(context.Background(), from, nil)
		if err != nil || len(recs) == 0 || recs[0].Position != from || recs[0].Through != lost[len(lost)-1] {
			t.Fatalf("Read(%d) within the damage: %v, %v", from, recs, err)
		}
	}
}

// span returns the positions from a to b.
func span(a, b tape.Position) []tape.Position {
	var s []tape.Position
	for ; a <= b; a++ {
		s = append(s, a)
	}
	return s
}

func TestFlippedBit(t *testing.T) {
	places := map[string]func(blockEntry) int{
		"payload": func(e blockEntry) int { return e.end - blockHash - 3 },
		"headers": func(e blockEntry) int { return e.end - blockHash - len(e.payload) - 10 },
		"length":  func(e blockEntry) int { return e.offset + 1 },
		"subject": func(e blockEntry) int { return e.offset + blockHeader + 7 },
	}
	for _, state := range []string{"closed", "closed without index", "killed"} {
		for _, pos := range []tape.Position{1, 57, 100} {
			for what, at := range places {
				if pos != 57 && what != "payload" && what != "length" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%s", state, pos, what), func(t *testing.T) {
					r := record(t, 100, 0, state == "killed")
					b, e := r.place(t, pos)
					flip(t, b.path, at(e))
					if state == "closed without index" {
						r.removeIndex(t)
					}
					// Without its last record the tape ends before what was acknowledged.
					r.check(t, Options{}, span(pos, pos), pos == 100)
				})
			}
		}
	}
}

// TestFlippedBitInOldBlock has damage in a block that isn't read when the tape is opened: a reader, or the scrubbing in the
// background, finds it, and nothing but the damaged record may be lost.
func TestFlippedBitInOldBlock(t *testing.T) {
	for _, test := range []struct {
		what  string
		scrub bool
	}{{"payload", true}, {"length", true}, {"length", false}} {
		t.Run(fmt.Sprintf("%s/scrub=%v", test.what, test.scrub), func(t *testing.T) {
			r := record(t, 40, 512<<10, false)
			b, e := r.place(t, 7)
			off := e.end - blockHash - 3
			if test.what == "length" {
				off = e.offset + 1
			}
			flip(t, b.path, off)
			if test.scrub {
				l := openTape(t, Options{Dir: r.dir})
				<-l.scrubbed
				if s := l.Stats(); s.Blocks != 3 || s.Unchecked != 0 {
					t.Errorf("Stats after scrubbing: %+v", s)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			r.check(t, Options{noScrub: !test.scrub}, span(7, 7), false)
		})
	}
}

func TestTruncatedBlock(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed=", killed), func(t *testing.T) {
			r := record(t, 100, 0, killed)
			b, e := r.place(t, 80)
			if err := truncate(b.path, int64(e.offset)+5); err != nil {
				t.Fatal(err)
			}
			r.check(t, Options{}, span(80, 100), true)
		})
	}
}

// TestZeroedTail is what some file systems leave after a power cut.
func TestZeroedTail(t *testing.T) {
	r := record(t, 100, 0, true)
	b, e := r.place(t, 91)
	data, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[e.offset+4:])
	if err := os.WriteFile(b.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r.check(t, Options{}, span(91, 100), true)
}

func TestEmptyMeta(t *testing.T) {
	for _, name := range []string{"meta.inf", "meta.sum"} {
		t.Run(name, func(t *testing.T) {
			r := record(t, 100, 0, false)
			if err := truncate(filepath.Join(streamDir(r.dir), name), 0); err != nil {
				t.Fatal(err)
			}
			r.check(t, Options{}, nil, false)
			if files, err := filepath.Glob(filepath.Join(quarantineDir(r.dir), "*", "msgs", "*.blk")); err != nil || len(files) == 0 {
				t.Errorf("nothing in quarantine: %v", err)
			}
		})
	}
}

func TestMissingBlock(t *testing.T) {
	for _, which := range []int{0, 1, 2} {
		t.Run(fmt.Sprint(which), func(t *testing.T) {
			r := record(t, 40, 512<<10, false)
			blocks := r.blocks(t)
			if len(blocks) != 3 {
				t.Fatalf("%d blocks, the test wants 3", len(blocks))
			}
			first, err := blocks[which].firstSequence()
			if err != nil {
				t.Fatal(err)
			}
			last := uint64(40)
			if which < 2 {
				if last, err = blocks[which+1].firstSequence(); err != nil {
					t.Fatal(err)
				}
				last--
			}
			if err := os.Remove(blocks[which].path); err != nil {
				t.Fatal(err)
			}
			r.gone = true
			r.check(t, Options{}, span(tape.Position(first), tape.Position(last)), which == 2)
		})
	}
}

func TestDeletedMark(t *testing.T) {
	r := record(t, 50, 0, false)
	if err := os.Remove(markPath(r.dir)); err != nil {
		t.Fatal(err)
	}
	r.check(t, Options{}, nil, false)
}

// TestTornMark leaves one of the two slots.
func TestTornMark(t *testing.T) {
	r := record(t, 50, 0, true)
	m, _, err := readMark(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, markPath(r.dir), int(m.count%2)*slotApart+42)
	r.check(t, Options{}, nil, false)
}

func TestMarkOfAnotherVersion(t *testing.T) {
	r := record(t, 5, 0, false)
	m, _, err := readMark(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	m.count++
	slot := m.append(nil)
	slot[8] = 9
	slot = sealSlot(slot)
	f, err := os.OpenFile(markPath(r.dir), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeAll(f, slot, int64(m.count%2)*slotApart); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, r.dir)
	if _, err := Open(t.Context(), Options{Dir: r.dir}); err == nil || !strings.Contains(err.Error(), "newer tapedeck") {
		t.Errorf("Open of a newer format: %v", err)
	}
	if after := tree(t, r.dir); after != before {
		t.Errorf("a refused folder was written to:\n%s\n%s", before, after)
	}
}

// TestLostTape removes what belongs to JetStream; the mark, or the store, remembers that there was something.
func TestLostTape(t *testing.T) {
	t.Run("stream", func(t *testing.T) {
		r := record(t, 30, 0, false)
		if err := os.RemoveAll(storeDir(r.dir)); err != nil {
			t.Fatal(err)
		}
		r.gone = true
		r.check(t, Options{}, span(1, 30), true)
	})
	t.Run("blocks", func(t *testing.T) {
		r := record(t, 30, 0, false)
		if err := os.RemoveAll(blockDir(r.dir)); err != nil {
			t.Fatal(err)
		}
		r.check(t, Options{}, span(1, 30), true)
	})
	t.Run("folder", func(t *testing.T) {
		r := record(t, 30, 0, false)
		var n uint64
		for _, b := range r.batches {
			n += uint64(len(b.Entries))
		}
		r.dir = t.TempDir()
		r.gone = true
		r.check(t, Options{HighWater: 30, HighWaterOrdinal: n}, span(1, 30), true)
	})
}

// TestStoreIsAhead is a tape that was put back from a backup.
func TestStoreIsAhead(t *testing.T) {
	r := record(t, 30, 0, false)
	var n uint64
	for _, b := range r.batches {
		n += uint64(len(b.Entries))
	}
	for i := range 5 {
		r.batches = append(r.batches, tapetest.Batch("gone", uint64(1+i), 1))
	}
	r.check(t, Options{HighWater: 35, HighWaterOrdinal: n + 5}, span(31, 35), true)
}

// tree describes the files of a folder.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, de fs.DirEntry, err error) error {
		if err != nil || de.IsDir() || path == lockPath(dir) {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %d %x\n", path, len(data), crc32.Checksum(data, castagnoli()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
