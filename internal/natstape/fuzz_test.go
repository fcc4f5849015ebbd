package natstape

import (
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// FuzzBlock reads any bytes as a block: it must end, stay within the bytes, and return only records whose hash is right.
func FuzzBlock(f *testing.F) {
	dir := f.TempDir()
	l := openTape(f, Options{Dir: dir})
	for i := range 5 {
		if _, err := l.Append(f.Context(), tapetest.Batch("a", uint64(1+i), 1)); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	block, err := os.ReadFile(filepath.Join(blockDir(dir), "1.blk"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(block)
	f.Add(block[:len(block)-7])
	f.Add(append(make([]byte, 40), block...))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "1.blk")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b := blockFile{path: path, number: 1, size: int64(len(data))}
		s, err := b.scan(0)
		if err != nil {
			t.Fatal(err)
		}
		if s.good > b.size || s.sound(b.size) && s.bad > 0 {
			t.Fatalf("scan of %d bytes: %+v", b.size, s)
		}
		if keep, _, err := b.upTo(tape.Position(s.last)); err != nil || keep > b.size {
			t.Fatalf("upTo: %d, %v", keep, err)
		}
		// What is kept of a damaged block must be sound.
		if s.bad > 0 || s.good < b.size {
			if err := b.rewrite(s.keep); err != nil {
				t.Fatal(err)
			}
			if len(s.keep) == 0 {
				return
			}
			size, err := b.stat()
			if err != nil {
				t.Fatal(err)
			}
			again, err := b.scan(0)
			if err != nil || !again.sound(size) || again.last != s.last || again.bytes != s.bytes {
				t.Fatalf("mended block: %+v, %v; before %+v", again, err, s)
			}
		}
	})
}

// FuzzIndex reads any bytes as an index.
func FuzzIndex(f *testing.F) {
	x := &blockIndex{
		messages: 2, bytes: 100, first: 1, last: 2, firstTime: 5, lastTime: 6, subjects: map[string]*subjectIndex{"tape.0.a": {2, 1, 1}},
		blocks: []blockSummary{{number: 1, bytes: 100, first: 1, last: 3, firstTime: 5, lastTime: 6}},
	}
	x.blocks[0].deleted.Insert(2)
	f.Add(x.encode())
	x.blocks = append(x.blocks, blockSummary{number: 2, first: 4, last: 4})
	f.Add(x.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 10 { // else the hash would let nothing through
			copy(b[len(b)-8:], indexHash(b[:len(b)-8]))
		}
		x, err := parseIndex(b)
		if err != nil {
			return
		}
		again, err := parseIndex(x.encode())
		if err != nil || again.messages != x.messages || len(again.blocks) != len(x.blocks) || len(again.subjects) != len(x.subjects) {
			t.Fatalf("written and read again: %+v, %v; before %+v", again, err, x)
		}
	})
}

// FuzzMark reads any bytes as a mark.
func FuzzMark(f *testing.F) {
	m := marked{count: 7, epoch: tape.Epoch{1, 2}, position: 8, ordinal: 9}
	slot := m.append(nil)
	f.Add(slot)
	file := make([]byte, slotApart+slotSize)
	copy(file[slotApart:], slot)
	f.Add(file)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= slotSize {
			sealSlot(b[:slotSize])
		}
		m, ok, err := parseMark(b)
		if err != nil || !ok {
			return
		}
		again, ok, err := parseMark(m.append(nil))
		if err != nil || !ok || again != m {
			t.Fatalf("written and read again: %+v, %v, %v; before %+v", again, ok, err, m)
		}
	})
}

// FuzzVoid reads any bytes as a void message.
func FuzzVoid(f *testing.F) {
	v := void{1, 2, 3, 4, 5}
	f.Add(v.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := parseVoid(raw{subject: subjectVoid, data: b})
		if !ok {
			return
		}
		if again, ok := parseVoid(raw{subject: subjectVoid, data: v.append(nil)}); !ok || again != v {
			t.Fatalf("written and read again: %+v, before %+v", again, v)
		}
	})
}
