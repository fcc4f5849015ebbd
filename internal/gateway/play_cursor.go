package gateway

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// trail is how far a play came, where a place on the tape alone does not say it: with what is told out of history, and at the end.
type trail struct {
	from    market.Time // where the play began
	told    market.Time // all that was due up to here was told
	oldest  market.Time // what came before it was told by the times of the venues
	trimmed uint64      // entries that the tape no longer had
	key     rowKey      // what of history was told
	ended   bool        // the end was told too
}

// trailVersion is the first byte of a cursor with a trail. The cursors of the tape have another.
const trailVersion = 2

// trail returns how far the play came; nil when its place on the tape says it.
func (p *play) trail() *trail {
	if p == nil || p.rows == nil && !p.ended {
		return nil
	}
	m := &trail{from: p.from, told: max(p.told, p.last), oldest: p.oldest, trimmed: p.trimmed, ended: p.ended}
	if p.rows != nil {
		m.key = p.rows.key
	}
	if p.closing || p.ended {
		m.told = p.to - 1
		m.key = p.endKey
	}
	return m
}

// cursor encodes a cursor with the trail: base64url of a version byte, the epoch, position and index as varints, whether the end was told, the
// times, each by what it differs from another, the other numbers, and four bytes of CRC-32C.
func (m *trail) cursor(c tape.Cursor) string {
	b := make([]byte, 0, 80)
	b = append(b, trailVersion)
	b = append(b, c.Epoch[:]...)
	b = binary.AppendUvarint(b, uint64(c.Position))
	b = binary.AppendUvarint(b, uint64(c.Index+1))
	ended := byte(0)
	if m.ended {
		ended = 1
	}
	b = append(b, ended)
	b = binary.AppendVarint(b, int64(m.from))
	b = binary.AppendVarint(b, int64(m.told-m.from))
	b = binary.AppendVarint(b, int64(m.oldest-m.told))
	b = binary.AppendVarint(b, int64(m.key.event-m.told))
	b = binary.AppendUvarint(b, m.key.n+1) // "all of that time" is 0
	b = binary.AppendUvarint(b, m.trimmed+1)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return base64.RawURLEncoding.EncodeToString(b)
}

// text returns the cursor of a departure that has one.
func (d *departure) text() string {
	if d.trail != nil {
		return d.trail.cursor(*d.cursor)
	}
	return d.cursor.String()
}

// parseCursor reads a cursor, of the tape alone or of a play.
func parseCursor(text string) (*departure, error) {
	if len(text) > 160 {
		return nil, fmt.Errorf("%.20q…: %w", text, tape.ErrCursor)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 1+16+1+1+1+6+4 || b[0] != trailVersion {
		c, err := tape.ParseCursor(text)
		if err != nil {
			return nil, err
		}
		return &departure{cursor: &c}, nil
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, fmt.Errorf("%q: %w", text, tape.ErrCursor)
	}
	r := varints{rest: body[17:]}
	c := tape.Cursor{Epoch: tape.Epoch(body[1:17]), Position: tape.Position(r.unsigned())}
	index := r.unsigned()
	c.Index = uint32(index) - 1
	m := &trail{ended: r.flag()}
	m.from = r.time(0)
	m.told = r.time(m.from)
	m.oldest = r.time(m.told)
	m.key.event = r.time(m.told)
	m.key.n, m.trimmed = r.unsigned()-1, r.unsigned()-1
	if r.bad || len(r.rest) > 0 || index > uint64(tape.AllEntries) || m.from > m.told {
		return nil, fmt.Errorf("%q: %w", text, tape.ErrCursor)
	}
	return &departure{cursor: &c, trail: m}, nil
}

// varints reads numbers one after the other.
type varints struct {
	rest []byte
	bad  bool // there was one that is none
}

func (r *varints) unsigned() uint64 {
	n, size := binary.Uvarint(r.rest)
	return took(r, n, size)
}

// time reads a time by what it differs from another.
func (r *varints) time(than market.Time) market.Time {
	n, size := binary.Varint(r.rest)
	d := market.Time(took(r, n, size))
	if d > 0 && than > math.MaxInt64-d || d < 0 && than < math.MinInt64-d {
		r.bad = true
		return 0
	}
	if t := than + d; t >= -earliestAt && t <= earliestAt {
		return t
	}
	r.bad = true
	return 0
}

func (r *varints) flag() bool {
	if len(r.rest) == 0 || r.rest[0] > 1 {
		r.bad = true
		return false
	}
	set := r.rest[0] == 1
	r.rest = r.rest[1:]
	return set
}

// took takes a number of so many bytes off the rest.
func took[T int64 | uint64](r *varints, n T, size int) T {
	if size <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// resume finds where a play goes on that was interrupted: behind all that its client was told, in both sources.
func (g *Gateway) resume(ctx context.Context, p *play, d *departure) (place, error) {
	m := d.trail
	p.from, p.oldest, p.trimmed = m.from, m.oldest, m.trimmed
	at, err := g.placeFor(ctx, &departure{cursor: d.cursor})
	b := g.opt.Tape.Bounds()
	if m.told < m.oldest && d.cursor.Epoch == b.Epoch && placeOf(*d.cursor).pos < b.First {
		// What was trimmed meanwhile comes out of history, like what was before.
		found := play{from: m.told}
		if at, err = g.findPlay(ctx, b, &found); err == nil {
			p.oldest, p.trimmed = found.oldest, found.trimmed
		}
	}
	if err != nil {
		return at, err
	}
	p.base, p.told, p.shown, p.last = m.told, m.told, m.told, m.told
	p.endKey = m.key
	if p.ended = m.ended && p.to != 0 && p.to <= m.told+1; p.ended {
		p.endAt = at
		p.base, p.told, p.shown, p.last = p.to, p.to, p.to, p.to
	}
	return at, nil
}
