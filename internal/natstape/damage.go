package natstape

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// stretch is a part of the tape that can't be read: messages that are gone, whose checksum is wrong, or that are void.
type stretch struct {
	from, through tape.Position
	before, after uint64      // entries on the tape before it, and up to its end
	since, until  market.Time // of the neighbours
	cause         string
}

// record returns the gap that a reader at position at, within the stretch, gets for the rest of it.
func (d *stretch) record(at tape.Position) *tape.Record {
	return &tape.Record{
		Position: at,
		Through:  d.through,
		Ordinal:  d.before,
		Batch: tape.Batch{Entries: []market.Entry{{
			Kind:     market.KindGap,
			Flags:    market.FlagDamage,
			Seq:      d.after - d.before,
			Event:    d.since,
			Received: d.until,
			Until:    d.until,
			Text:     fmt.Sprintf("positions %d to %d of the tape are lost: %s", d.from, d.through, d.cause),
		}}},
	}
}

func isDamage(rec *tape.Record) bool {
	return len(rec.Entries) == 1 && rec.Entries[0].Kind == market.KindGap && rec.Entries[0].Flags&market.FlagDamage != 0
}

// knownDamage returns the gap at a position when its stretch was examined before.
func (l *Log) knownDamage(at tape.Position) *tape.Record {
	l.damageMu.Lock()
	defer l.damageMu.Unlock()
	for i := range l.damage {
		if d := &l.damage[i]; d.from <= at && at <= d.through {
			return d.record(at)
		}
	}
	return nil
}

func (l *Log) damagedPositions() uint64 {
	l.damageMu.Lock()
	defer l.damageMu.Unlock()
	var n uint64
	for i := range l.damage {
		n += uint64(l.damage[i].through-l.damage[i].from) + 1
	}
	return n
}

// noteDamage remembers a stretch; isNew is false when another reader was faster.
func (l *Log) noteDamage(d stretch) (isNew bool) {
	l.damageMu.Lock()
	defer l.damageMu.Unlock()
	for i := range l.damage {
		if l.damage[i].from <= d.from && d.from <= l.damage[i].through {
			return false
		}
	}
	l.damage = append(l.damage, d)
	return true
}

// examine finds out how far the damage at position at goes, up to position last, and how much was lost. It remembers and logs
// what it found, copies the damaged files to quarantine, and returns the gap to read in its place.
func (l *Log) examine(ctx context.Context, s *session, at, last tape.Position) (*tape.Record, error) {
	if err := l.checkAround(ctx, at); err != nil {
		return nil, err
	}
	if now := l.session.Load(); now != nil {
		s = now
	}
	l.mu.Lock()
	first, end, ordinal := l.first, l.last, l.ordinal
	l.mu.Unlock()
	last = max(last, end)
	d, err := s.survey(ctx, at, first, last)
	if err != nil {
		return nil, err
	}
	if d.through == end && ordinal > d.after {
		d.after = ordinal // nothing whole follows, but what was on the tape up to its end has been counted
	}
	if d.until == 0 {
		d.until = l.began // nothing follows that has a time
	}
	if l.noteDamage(d) {
		l.log.Warn("tape is damaged", "from", d.from, "through", d.through, "entries_lost", d.after-d.before, "cause", d.cause)
		l.quarantineBlocks(d.from, d.through)
	}
	return d.record(at), nil
}

// survey walks in both directions from a damaged position to the nearest whole records.
func (s *session) survey(ctx context.Context, at, first, last tape.Position) (stretch, error) {
	var dec tape.Decoder
	d := stretch{from: first, through: last}
	// Backward, in strides that double: what is fetched is read forward.
	for end, stride := at, tape.Position(1); end > first; stride *= 2 {
		begin := max(first, end-min(end-1, stride))
		rec, err := s.lastWhole(ctx, &dec, begin, end-1)
		if err != nil {
			return d, err
		}
		if rec != nil {
			d.from, d.before, d.since = rec.Position+1, rec.Ordinal+uint64(len(rec.Entries)), lastTime(rec)
			break
		}
		end = begin
	}
	d.after = d.before
	causes := map[string]tape.Position{}
	for pos := d.from; pos <= last; {
		ms, err := s.fetch(ctx, pos, fetchMessages)
		if err != nil {
			return d, err
		}
		for _, m := range ms {
			if m.position > last {
				break
			}
			causes[causeMissing] += m.position - pos
			pos = m.position + 1
			if v, ok := parseVoid(m); ok {
				causes[causeVoid]++
				d.after, d.until = max(d.after, v.after), v.at
				continue
			}
			if rec, ok := decode(&dec, m); ok {
				d.through, d.after, d.until = m.position-1, max(rec.Ordinal, d.before), firstTime(rec)
				d.cause = mainCause(causes)
				return d, nil
			}
			causes[causeChecksum]++
		}
		if len(ms) == 0 { // the first can't be loaded; what is after it may
			causes[causeMissing]++
			pos++
		}
	}
	d.cause = mainCause(causes)
	return d, nil
}

// The causes of damage, as they are told.
const (
	causeMissing  = "records are missing"
	causeChecksum = "records have a wrong checksum"
	causeVoid     = "the tape had lost its end"
)

func mainCause(n map[string]tape.Position) string {
	best := causeMissing
	for _, c := range slices.Sorted(maps.Keys(n)) {
		if n[c] > n[best] {
			best = c
		}
	}
	return best
}

// lastWhole returns the last whole record within [begin, end], or nil.
func (s *session) lastWhole(ctx context.Context, dec *tape.Decoder, begin, end tape.Position) (*tape.Record, error) {
	var found *tape.Record
	for pos := begin; pos <= end; {
		ms, err := s.fetch(ctx, pos, int(min(fetchMessages, end-pos+1)))
		if err != nil {
			return nil, err
		}
		if len(ms) == 0 {
			pos++
		}
		for _, m := range ms {
			if m.position > end {
				return found, nil
			}
			if rec, ok := decode(dec, m); ok {
				found = rec
			}
			pos = m.position + 1
		}
	}
	return found, nil
}

// firstTime and lastTime are when the first and last entries of a record happened.
func firstTime(rec *tape.Record) market.Time {
	if len(rec.Entries) == 0 {
		return 0
	}
	return timeOf(&rec.Entries[0])
}

func lastTime(rec *tape.Record) market.Time {
	if len(rec.Entries) == 0 {
		return 0
	}
	return timeOf(&rec.Entries[len(rec.Entries)-1])
}

func timeOf(e *market.Entry) market.Time {
	if e.Event != 0 {
		return e.Event
	}
	return e.Received
}

// void is the content of a message that takes the place of a lost one, so that its position is not used twice.
type void struct {
	from, through tape.Position // the stretch that was lost
	before, after uint64        // entries before it and up to its end
	at            market.Time   // when the loss was found
}

const voidMagic = "TAPEVOID"

// append writes 8 bytes of magic, five numbers of 8 bytes, little endian, and their CRC-32C.
func (v *void) append(b []byte) []byte {
	start := len(b)
	b = append(b, voidMagic...)
	for _, n := range []uint64{uint64(v.from), uint64(v.through), v.before, v.after, uint64(v.at)} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli()))
}

// parseVoid reads a void message; ok is false for any other.
func parseVoid(m raw) (v void, ok bool) {
	const size = 8 + 5*8
	le := binary.LittleEndian
	if m.subject != subjectVoid || len(m.data) != size+4 || string(m.data[:8]) != voidMagic ||
		le.Uint32(m.data[size:]) != crc32.Checksum(m.data[:size], castagnoli()) {
		return void{}, false
	}
	n := func(i int) uint64 { return le.Uint64(m.data[8+8*i:]) }
	return void{tape.Position(n(0)), tape.Position(n(1)), n(2), n(3), market.Time(n(4))}, true
}
