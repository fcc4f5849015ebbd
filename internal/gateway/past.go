package gateway

import (
	"slices"
	"sync"

	"tapedeck/internal/tape"
)

// past keeps the blocks that were read from the tape last. Sessions that fall behind the ring do so at the same place, and go on at much the
// same pace: what one has read and encoded serves the others.
type past struct {
	limit int // entries

	mu     sync.Mutex
	blocks map[tape.Position]*block // by their first position
	order  []tape.Position          // oldest first
	size   int                      // entries
}

// from returns blocks in a row from a position on, up to so many entries and at least one block; none when the first is not there.
func (p *past) from(pos tape.Position, entries int) []*block {
	p.mu.Lock()
	defer p.mu.Unlock()
	var blocks []*block
	for n := 0; n < entries; {
		b := p.blocks[pos]
		if b == nil {
			break
		}
		b.wanted.Add(1)
		blocks = append(blocks, b)
		n += len(b.rec.Entries)
		pos = b.rec.Through + 1
	}
	return blocks
}

// add puts blocks in, and lets go of the oldest.
func (p *past) add(blocks []*block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocks == nil {
		p.blocks = make(map[tape.Position]*block)
	}
	for _, b := range blocks {
		if p.blocks[b.rec.Position] != nil {
			continue // another reader was faster
		}
		p.blocks[b.rec.Position] = b
		p.order = append(p.order, b.rec.Position)
		p.size += len(b.rec.Entries)
	}
	drop := 0
	for p.size > p.limit && drop < len(p.order)-1 {
		p.size -= len(p.blocks[p.order[drop]].rec.Entries)
		delete(p.blocks, p.order[drop])
		drop++
	}
	p.order = slices.Delete(p.order, 0, drop)
}
