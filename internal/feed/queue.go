package feed

import (
	"slices"
	"unsafe"

	"tapedeck/internal/market"
)

// chunk is what will be one batch: entries, and of each tick the counter of its symbol.
type chunk struct {
	entries  []market.Entry
	counters []*counter
	marks    []mark
	offset   []byte // where the source stands after the chunk
	size     int    // bytes that it holds, about
}

// mark is the end of a push within a chunk, where it can be divided. Only pushes with an offset are marked.
type mark struct {
	end    int
	offset []byte
}

// queue holds what has been pushed and is not on the tape yet, in order, in chunks of at most MaxBatch entries. A push is never
// divided between two chunks.
type queue struct {
	chunks []*chunk
	size   int    // bytes
	offset []byte // of the last push that had one
	hint   int    // entries of the chunk before, to make the next one in one piece
}

// room returns the chunk that n more entries go into. The caller appends at most n.
func (q *queue) room(n int) *chunk {
	if k := len(q.chunks); k > 0 && len(q.chunks[k-1].entries)+n <= MaxBatch {
		return q.chunks[k-1]
	}
	capacity := min(max(n, q.hint+q.hint/4, 16), MaxBatch)
	c := &chunk{entries: make([]market.Entry, 0, capacity), counters: make([]*counter, 0, capacity), offset: q.offset}
	q.chunks = append(q.chunks, c)
	return c
}

// add puts an entry into the chunk that room returned.
func (q *queue) add(c *chunk, e *market.Entry, n *counter) {
	c.entries = append(c.entries, *e)
	c.counters = append(c.counters, n)
	size := entrySize(e)
	c.size += size
	q.size += size
}

// cut takes back what was added to the chunk beyond n entries.
func (q *queue) cut(c *chunk, n int) {
	for i := n; i < len(c.entries); i++ {
		size := entrySize(&c.entries[i])
		c.size -= size
		q.size -= size
	}
	clear(c.entries[n:])
	c.entries, c.counters = c.entries[:n], c.counters[:n]
}

// entrySize returns the bytes that an entry holds, about: most texts are shared.
func entrySize(e *market.Entry) int { return int(unsafe.Sizeof(*e)) + len(e.Ref) + len(e.Text) }

// stand notes the offset after a push into the chunk, or after one of no entries, which is into the last chunk there is.
func (q *queue) stand(c *chunk, offset []byte) {
	if offset == nil {
		return
	}
	q.offset = slices.Clone(offset)
	if c == nil {
		if len(q.chunks) == 0 {
			return
		}
		c = q.chunks[len(q.chunks)-1]
	}
	c.offset = q.offset
	if n := len(c.marks); n > 0 && c.marks[n-1].end == len(c.entries) {
		c.marks[n-1].offset = q.offset
		return
	}
	c.marks = append(c.marks, mark{len(c.entries), q.offset})
}

// take removes and returns the first chunk, or nil.
func (q *queue) take() *chunk {
	if len(q.chunks) == 0 {
		return nil
	}
	c := q.chunks[0]
	q.chunks[0] = nil
	q.chunks = q.chunks[1:]
	q.hint = len(c.entries)
	return c
}

// gone notes that a chunk that was taken needs no room any more.
func (q *queue) gone(c *chunk) { q.size -= c.size }

// halve divides a chunk that is too large for a record: between two pushes where it can be, so that the offset of the first
// half is exact; within a push otherwise, where the first half keeps the offset from before the push.
func (c *chunk) halve(before []byte) (first, second *chunk) {
	at, offset := len(c.entries)/2, before
	for _, m := range c.marks {
		if m.end <= at {
			offset = m.offset
		}
	}
	for _, m := range slices.Backward(c.marks) {
		if m.end <= at && m.end > 0 {
			at, offset = m.end, m.offset
			break
		}
	}
	first = &chunk{entries: c.entries[:at:at], counters: c.counters[:at:at], offset: offset}
	second = &chunk{entries: c.entries[at:], counters: c.counters[at:], offset: c.offset}
	for _, m := range c.marks {
		if m.end <= at {
			first.marks = append(first.marks, m)
		} else {
			second.marks = append(second.marks, mark{m.end - at, m.offset})
		}
	}
	return first, second
}
