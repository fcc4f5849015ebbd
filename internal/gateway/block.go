package gateway

import (
	"sync"
	"sync/atomic"
	"time"

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
	events []event     // in the order in which they are sent: by entry, bars after the entry that caused them
	latest market.Time // when the last of its entries was received; 0 when none says
	seen   time.Time   // when it was there to be read; zero for one that was read again
	past   bool        // some of its entries were history when they reached the tape, and are none of the events

	wanted atomic.Uint32 // how often it was taken from the past
	making sync.Mutex    // held while an encoding is made, so that no two make it
	text   [dialects][formats]atomic.Pointer[encoding]
}

// encoding is a block in one dialect and format: event i is data[at[i]:at[i+1]], in JSON with a comma behind it, and empty when
// the dialect has no message for it.
type encoding struct {
	data []byte
	at   []uint32
}

// in returns the block in a dialect and format.
func (b *block) in(d dialect, f format) *encoding {
	if t := b.text[d][f].Load(); t != nil {
		return t
	}
	b.making.Lock()
	defer b.making.Unlock()
	if t := b.text[d][f].Load(); t != nil {
		return t
	}
	t := &encoding{data: make([]byte, 0, len(b.events)*160), at: make([]uint32, 1, len(b.events)+1)}
	for i := range b.events {
		t.data = b.append(t.data, d, f, i)
		t.at = append(t.at, uint32(len(t.data)))
	}
	b.text[d][f].Store(t)
	return t
}

// append writes event i, in JSON with a comma, or nothing.
func (b *block) append(dst []byte, d dialect, f format, i int) []byte {
	ev := &b.events[i]
	return appendMessage(dst, d, f, b.rec.Feed, &b.rec.Entries[ev.entry], ev)
}

// appendMessage writes the message for an event, in JSON with a comma behind it, or nothing.
func appendMessage(dst []byte, d dialect, f format, feed string, e *market.Entry, ev *event) []byte {
	if f == asPacked {
		return appendPacked(dst, d, feed, e, ev)
	}
	before := len(dst)
	dst = appendEvent(dst, d, feed, e, ev)
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
