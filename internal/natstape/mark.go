package natstape

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"tapedeck/internal/tape"
)

// mark remembers, outside of JetStream, what the tape is and how far it had come. It is a file of two slots that are written
// in turn, so that a torn write leaves the other one:
//
//	 0  8  "TAPEMARK"
//	 8  2  version, little endian like all that follows
//	10  1  1 when the tape was closed cleanly
//	11  5  zero
//	16  8  number of the write: the larger one is the newer slot
//	24 16  epoch
//	40  8  last position
//	48  8  entries up to it
//	56  4  zero
//	60  4  CRC-32C of the 60 bytes before
//
// It is written after each acknowledged turn and before readers see its records, without a sync: that survives the end of the
// process. After a power cut the stream itself, which is synced, is at least as new.
type mark struct {
	file *os.File

	mu  sync.Mutex
	now marked
}

// marked is what a slot says.
type marked struct {
	clean    bool
	count    uint64
	epoch    tape.Epoch
	position tape.Position
	ordinal  uint64
}

const (
	markMagic   = "TAPEMARK"
	markVersion = 1
	slotSize    = 64
	slotApart   = 4096 // so that they are on different sectors
)

func markPath(dir string) string { return filepath.Join(dir, "tape.mark") }

// readMark returns the newer of the valid slots of a folder's mark; ok is false when there is none. The error is ErrFormat for
// a mark of another version, or that of reading.
func readMark(dir string) (m marked, ok bool, err error) {
	b, err := os.ReadFile(markPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return marked{}, false, nil
	}
	if err != nil {
		return marked{}, false, fmt.Errorf("read the tape's mark: %w", err)
	}
	return parseMark(b)
}

// parseMark is readMark on the bytes of the file.
func parseMark(b []byte) (m marked, ok bool, err error) {
	for off := 0; off+slotSize <= len(b); off += slotApart {
		s, valid, err := parseSlot(b[off : off+slotSize])
		if err != nil {
			return marked{}, false, err
		}
		if valid && (!ok || s.count > m.count) {
			m, ok = s, true
		}
	}
	return m, ok, nil
}

func parseSlot(b []byte) (m marked, ok bool, err error) {
	le := binary.LittleEndian
	if string(b[:8]) != markMagic || le.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli()) {
		return marked{}, false, nil
	}
	if v := le.Uint16(b[8:]); v != markVersion {
		return marked{}, false, fmt.Errorf("%w: its mark has version %d, this program knows version %d; use a newer tapedeck", ErrFormat, v, markVersion)
	}
	m = marked{clean: b[10] == 1, count: le.Uint64(b[16:]), position: tape.Position(le.Uint64(b[40:])), ordinal: le.Uint64(b[48:])}
	copy(m.epoch[:], b[24:40])
	return m, true, nil
}

func (m *marked) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, markMagic...)
	b = le.AppendUint16(b, markVersion)
	if m.clean {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, 0, 0, 0, 0, 0)
	b = le.AppendUint64(b, m.count)
	b = append(b, m.epoch[:]...)
	b = le.AppendUint64(b, uint64(m.position))
	b = le.AppendUint64(b, m.ordinal)
	b = append(b, 0, 0, 0, 0)
	return le.AppendUint32(b, crc32.Checksum(b[len(b)-60:], castagnoli()))
}

// openMark opens the mark of a folder for writing, making it when it isn't there. It goes on counting from before.
func openMark(dir string, before marked) (*mark, error) {
	f, err := os.OpenFile(markPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the tape's mark: %w", err)
	}
	m := &mark{file: f, now: before}
	if st, err := f.Stat(); err != nil || st.Size() < slotApart+slotSize {
		// Room for both slots now, so that no later write can find the disk full.
		if err := errors.Join(err, writeAll(f, make([]byte, slotSize), slotApart)); err != nil {
			return nil, errors.Join(fmt.Errorf("make the tape's mark: %w", err), f.Close())
		}
	}
	return m, nil
}

// read returns what was noted last.
func (m *mark) read() marked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// move notes how far the tape has come.
func (m *mark) move(position tape.Position, ordinal uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.position, m.now.ordinal = position, ordinal
	return m.write()
}

// set notes everything and syncs.
func (m *mark) set(epoch tape.Epoch, position tape.Position, ordinal uint64, clean bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.epoch, m.now.position, m.now.ordinal, m.now.clean = epoch, position, ordinal, clean
	if err := m.write(); err != nil {
		return err
	}
	return m.sync()
}

// write writes the slot whose turn it is. The caller holds mu.
func (m *mark) write() error {
	var buf [slotSize]byte
	m.now.count++
	if err := writeAll(m.file, m.now.append(buf[:0]), int64(m.now.count%2)*slotApart); err != nil {
		return fmt.Errorf("write the tape's mark: %w", err)
	}
	return nil
}

func (m *mark) sync() error {
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("sync the tape's mark: %w", err)
	}
	return nil
}

// close closes the file, after noting a clean end if it is one.
func (m *mark) close(clean bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if clean {
		m.now.clean = true
		err = errors.Join(m.write(), m.sync())
	}
	return errors.Join(err, m.file.Close())
}

// castagnoli returns the table of CRC-32C; the standard library makes it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }
