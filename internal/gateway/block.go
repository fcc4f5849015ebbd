package gateway

import (
	"sync"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// channel is what a client subscribes to.
type channel uint8

const (
	chTrades channel = iota
	chQuotes
	chBars
	chUpdatedBars
	chDailyBars
	chStatuses
	chAlerts
	chGaps   // comes with trades and quotes
	channels // how many there are
)

// event is something that a record gives to clients: one of its entries, or a bar that an entry closed or changed.
type event struct {
	entry   int32  // index of the entry that it is, or that caused it
	symbol  uint32 // its number in the directory; 0 when it is about all symbols of the feed
	channel channel
	bar     *market.Bar // of the channels of bars
}

// block is a record as clients see it. It is shared by all sessions and never changes, except that its encodings are made
// when they are first asked for.
type block struct {
	rec    *tape.Record
	events []event // in the order in which they are sent: by entry, bars after the entry that caused them
	text   [dialects]encoding
}

// encoding is a block in one dialect: event i is data[at[i]:at[i+1]], with a comma behind it, and empty when the dialect has
// no message for it.
type encoding struct {
	once sync.Once
	data []byte
	at   []uint32
}

// in returns the block in a dialect.
func (b *block) in(d dialect) *encoding {
	t := &b.text[d]
	t.once.Do(func() {
		t.data = make([]byte, 0, len(b.events)*160)
		t.at = make([]uint32, 1, len(b.events)+1)
		for i := range b.events {
			t.data = b.append(t.data, d, i)
			t.at = append(t.at, uint32(len(t.data)))
		}
	})
	return t
}

// append writes event i and a comma, or nothing.
func (b *block) append(dst []byte, d dialect, i int) []byte {
	ev := &b.events[i]
	before := len(dst)
	dst = appendEvent(dst, d, b.rec.Feed, &b.rec.Entries[ev.entry], ev)
	if len(dst) > before {
		dst = append(dst, ',')
	}
	return dst
}

// place is a place on the tape: so many entries of the record at position pos were delivered, and all before it.
type place struct {
	pos   tape.Position
	index int32
}

func (p place) before(q place) bool { return p.pos < q.pos || p.pos == q.pos && p.index < q.index }

// cursor names the place to a client.
func (p place) cursor(epoch tape.Epoch) tape.Cursor {
	if p.index == 0 {
		return tape.Cursor{Epoch: epoch, Position: p.pos - 1, Index: tape.AllEntries}
	}
	return tape.Cursor{Epoch: epoch, Position: p.pos, Index: uint32(p.index)}
}

// placeOf is the place that a cursor names.
func placeOf(c tape.Cursor) place {
	if c.Index == tape.AllEntries {
		return place{pos: c.Position + 1}
	}
	return place{pos: c.Position, index: int32(min(c.Index, tape.MaxEntries))}
}
