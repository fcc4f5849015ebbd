package feed

import (
	"hash/maphash"

	"tapedeck/internal/market"
)

// remembered is the number of trades of a symbol whose ids are kept. A venue that sends again what it sent before a reconnect
// sends up to about a thousand.
const remembered = 1024

// dedupe knows the last trades of one symbol by what the venue calls them. When it is full the oldest is forgotten, never
// more: a set that is cleared lets a burst of repeats through. It begins small and doubles, since most symbols are quiet.
type dedupe struct {
	ring []uint64 // keys in the order of arrival, oldest at next when full
	next int
	full bool
	seen map[uint64]struct{}
}

// tradeKey names a trade as its venue does; ok is false when the venue gives it no name. Numbers are unique within an exchange
// and a day only (Alpaca), so both are part of it.
func tradeKey(seed maphash.Seed, e *market.Entry) (key uint64, ok bool) {
	if e.ID == 0 && e.Ref == "" {
		return 0, false
	}
	const day = 24 * market.Hour
	key = e.ID*0x9e3779b97f4a7c15 ^ uint64(e.Event.Floor(day)/day)<<40
	if e.Ref != "" {
		key ^= maphash.String(seed, e.Ref)
	}
	if e.Exchange != "" {
		key = key*0xbf58476d1ce4e5b9 ^ maphash.String(seed, e.Exchange)
	}
	return key, true
}

// has reports whether the key was added lately.
func (d *dedupe) has(key uint64) bool {
	_, ok := d.seen[key]
	return ok
}

// add remembers the key.
func (d *dedupe) add(key uint64) {
	if d.seen == nil {
		d.seen = make(map[uint64]struct{})
	}
	if !d.full {
		d.ring = append(d.ring, key)
		d.seen[key] = struct{}{}
		d.full = len(d.ring) == remembered
		return
	}
	delete(d.seen, d.ring[d.next])
	d.ring[d.next] = key
	d.seen[key] = struct{}{}
	d.next = (d.next + 1) % remembered
}
