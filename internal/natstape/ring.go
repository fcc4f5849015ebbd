package natstape

import (
	"unsafe"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// ring holds the newest records, without a hole, until they are more than limit bytes by estimate. The newest one always stays.
type ring struct {
	limit   int64
	bytes   int64
	head    int // records before it are gone; their places are nil
	records []*tape.Record
}

func (r *ring) len() int { return len(r.records) - r.head }

// add appends a record, which must follow the last one, and drops the oldest as needed.
func (r *ring) add(rec *tape.Record) {
	r.records = append(r.records, rec)
	r.bytes += estimate(rec)
	for r.bytes > r.limit && r.len() > 1 {
		r.bytes -= estimate(r.records[r.head])
		r.records[r.head] = nil
		r.head++
	}
	if r.head > 64 && r.head > len(r.records)/2 {
		n := copy(r.records, r.records[r.head:])
		clear(r.records[n:])
		r.records, r.head = r.records[:n], 0
	}
}

// reset empties the ring.
func (r *ring) reset() { *r = ring{limit: r.limit} }

// from appends the records from position pos on to dst, some at a time; ok is false when the ring begins after pos.
func (r *ring) from(pos tape.Position, dst []*tape.Record) (_ []*tape.Record, ok bool) {
	live := r.records[r.head:]
	if len(live) == 0 || pos < live[0].Position {
		return dst, false
	}
	i := int(pos - live[0].Position) // records of the ring stand for one position each
	if i >= len(live) {
		return dst, false
	}
	return append(dst, live[i:min(len(live), i+maxRecordsARead)]...), true
}

// maxRecordsARead bounds what one Read returns, so that a reader that was far behind does not hold on to the whole ring.
const maxRecordsARead = 256

// estimate is the memory that a record takes, roughly: its texts are mostly shared.
func estimate(rec *tape.Record) int64 {
	n := int64(unsafe.Sizeof(*rec)) + int64(len(rec.Offset)) + int64(cap(rec.Entries))*int64(unsafe.Sizeof(market.Entry{}))
	for i := range rec.Entries {
		e := &rec.Entries[i]
		n += int64(len(e.Ref) + len(e.Text))
	}
	return n
}
