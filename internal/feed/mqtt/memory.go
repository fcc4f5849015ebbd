package mqtt

import (
	"hash/maphash"
)

// remembered is the number of messages that a feed knows again. A broker sends again at most what it has not been told of as taken,
// which most limit to a hundred or a thousand.
const remembered = 4096

// memory knows the last messages that were taken. The oldest is forgotten first. One goroutine uses it at a time.
type memory struct {
	seed maphash.Seed
	ring []uint64
	next int
	seen map[uint64]int
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed(), seen: make(map[uint64]int)} }

// key names a message.
func (m *memory) key(topic string, id uint16, payload []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.WriteString(topic) // a hash takes all
	_, _ = h.Write([]byte{0, byte(id >> 8), byte(id)})
	_, _ = h.Write(payload)
	return h.Sum64()
}

func (m *memory) has(key uint64) bool { return m.seen[key] > 0 }

func (m *memory) add(key uint64) {
	if len(m.ring) < remembered {
		m.ring = append(m.ring, key)
	} else {
		old := m.ring[m.next]
		if m.seen[old]--; m.seen[old] <= 0 {
			delete(m.seen, old)
		}
		m.ring[m.next] = key
		m.next = (m.next + 1) % remembered
	}
	m.seen[key]++
}
