package load

import (
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of the latencies that a histogram tells apart, in µs, and its digits.
const (
	leastLatency = 1
	mostLatency  = 60_000_000
	digits       = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digits)
}

// tally is what the connections of one loop have in common. It is owned by the loop's goroutine, except for the last group.
type tally struct {
	now       int64 // when the bytes at hand had been read, in ns since 1970
	recording bool  // whether latencies count

	stamps  stamps
	symbols map[string]int // index of each symbol that was seen
	symbol  string         // the last one, which is mostly the next one too
	index   int
	newest  []uint64 // highest number of each series on any connection

	latency *hdrhistogram.Histogram
	stamp   int64 // of the last tick: neighbours share it, and are recorded together
	pending int64 // ticks with that stamp that have not been recorded

	ticks, bytes, frames, reads uint64
	losses, disorder            uint64
	subscribed, lost, early     uint64 // early are those of the lost whose subscription was not confirmed

	shown shown
}

// shown is what others may read of a tally while it counts.
type shown struct {
	ticks, bytes, frames, reads, subscribed, lost, early atomic.Uint64
	why                                                  atomic.Pointer[error] // the first connection was lost
}

func newTally() *tally {
	return &tally{symbols: make(map[string]int), latency: newHistogram()}
}

// show lets others see how far the tally has come.
func (t *tally) show() {
	t.shown.ticks.Store(t.ticks)
	t.shown.bytes.Store(t.bytes)
	t.shown.frames.Store(t.frames)
	t.shown.reads.Store(t.reads)
	t.shown.subscribed.Store(t.subscribed)
	t.shown.lost.Store(t.lost)
	t.shown.early.Store(t.early)
}

// lose counts a connection that was lost.
func (t *tally) lose(ready bool, why error) {
	t.shown.why.CompareAndSwap(nil, &why)
	t.lost++
	if !ready {
		t.early++
	}
}

// reason returns why the first connection was lost; nil when none was.
func (t *tally) reason() error {
	if why := t.shown.why.Load(); why != nil {
		return *why
	}
	return nil
}

// begin is called when bytes were read, before they are looked at.
func (t *tally) begin(n int, recording bool) {
	t.now = time.Now().UnixNano()
	t.recording = recording
	t.bytes += uint64(n)
	t.reads++
}

// symbolIndex numbers the symbols in the order of their coming.
func (t *tally) symbolIndex(name []byte) int {
	if string(name) == t.symbol {
		return t.index
	}
	i, ok := t.symbols[string(name)]
	if !ok {
		i = len(t.symbols)
		t.symbols[string(name)] = i
		t.newest = append(t.newest, 0, 0)
	}
	t.symbol, t.index = string(name), i
	return i
}

// arrived notes the latency of a tick.
func (t *tally) arrived(stamp int64) {
	if !t.recording || stamp == 0 {
		return
	}
	if stamp != t.stamp {
		t.record()
		t.stamp = stamp
	}
	t.pending++
}

// record writes down the latencies that are pending. It is called before now changes.
func (t *tally) record() {
	if t.pending == 0 {
		return
	}
	µs := min(max((t.now-t.stamp)/int64(time.Microsecond), leastLatency), mostLatency)
	_ = t.latency.RecordValues(µs, t.pending) // within the bounds it cannot fail
	t.pending = 0
}
