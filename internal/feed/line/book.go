package line

import (
	"cmp"
	"slices"
	"unsafe"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// book is where the trades of one symbol stand.
type book struct {
	in   venue.Instrument
	last market.Entry // newest trade that was pushed, of Kind 0 when there is none

	carriers int    // connections that carry the trades of the symbol
	broken   string // why trades after last may be missing, "" when all is well
	check    market.Time
	tried    bool // the check was tried and history did not answer

	// Live trades that must not be pushed yet: where numbers are consecutive, those after a hole, by number; else those that
	// arrived while it is not clear what came before, in the order of arrival.
	waiting []market.Entry
	bytes   int
	since   market.Time // of the first of them

	cuts []cut // further holes, among what waits

	mark   uint64 // how far the venue says it has come
	marked market.Time
	ahead  market.Time // since when that is further than we are; 0 when it is not

	filling bool
	probing bool        // what is being filled was found by asking, not by what came or did not come
	left    bool        // nobody wants the symbol any more once that is done
	abandon func(error) // stops the filling

	old     []market.Entry // trades that look like numbers that began anew
	seen    market.Time    // arrival of the last trade
	mean    market.Time    // between two
	n       int
	renewed market.Time // when it was subscribed to anew because it was silent, without history to ask
	mute    int         // probes in a row that the venue had nothing new for
}

// cut is a hole among the trades that wait: before the one at an index, and why.
type cut struct {
	at  int
	why string
}

const entrySize = int(unsafe.Sizeof(market.Entry{}))

func byNumber(a, b market.Entry) int { return cmp.Compare(a.ID, b.ID) }

func byTime(a, b market.Entry) int {
	return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.ID, b.ID))
}

// hold keeps a trade until what is before it is known.
func (b *book) hold(e *market.Entry, numbered bool, now market.Time) (bytes int) {
	if numbered {
		i, twice := slices.BinarySearchFunc(b.waiting, *e, byNumber)
		if twice {
			return 0
		}
		b.waiting = slices.Insert(b.waiting, i, *e)
	} else {
		b.waiting = append(b.waiting, *e)
	}
	if len(b.waiting) == 1 {
		b.since = now
	}
	bytes = entrySize + len(e.Ref)
	b.bytes += bytes
	return bytes
}

// highest returns the highest number that is pushed or waits.
func (b *book) highest() uint64 {
	if n := len(b.waiting); n > 0 {
		return max(b.last.ID, b.waiting[n-1].ID)
	}
	return b.last.ID
}

// beat learns how often the symbol trades.
func (b *book) beat(now market.Time) {
	if b.n > 0 {
		b.mean += (max(now-b.seen, 0) - b.mean) / market.Time(min(b.n, 16))
	}
	b.n++
	b.seen = now
	b.mute = 0
}

// stalled tells a symbol that has been silent for longer than is its habit. Each time that the venue had nothing to say, it is left
// alone for twice as long.
func (b *book) stalled(now, floor market.Time) bool {
	wait := max(floor, 20*b.mean)
	if b.n < 8 {
		wait = max(wait, 4*floor)
	}
	return b.seen != 0 && now-b.seen > wait<<min(b.mute, 5)
}

// resets is how many trades in a row must be newer by time and older by number before the venue is taken to count anew.
const resets = 8

// anew tells whether the venue began to count anew: a trade that is later than all others has a number that was there before,
// and those after it go on from there. They are kept until that is certain.
func (b *book) anew(e *market.Entry) []market.Entry {
	if e.Event <= b.last.Event || e.Flags&(market.FlagBackfilled|market.FlagNoEventTime) != 0 {
		b.old = nil
		return nil
	}
	if n := len(b.old); n > 0 && e.ID <= b.old[n-1].ID {
		b.old = b.old[:0]
	}
	b.old = append(b.old, *e)
	if len(b.old) < resets {
		return nil
	}
	list := b.old
	b.old = nil
	return list
}

// why returns why trades are missing.
func (b *book) why() string {
	if b.broken != "" {
		return b.broken
	}
	return "trades did not arrive"
}

// leave notes that nobody wants the symbol: what happens until it comes again is not asked for.
func (b *book) leave() {
	b.broken, b.check = notWanted, 0
	b.last.ID, b.mark, b.ahead = 0, 0, 0
}

// lose notes that trades from now on may be missing.
func (b *book) lose(reason string) {
	switch n := len(b.cuts); {
	case b.broken == "" && !b.filling:
		b.broken, b.check = reason, 0
	case !b.filling && len(b.waiting) == 0:
		// The hole is the same as before.
	case n == 0 || b.cuts[n-1].at < len(b.waiting):
		b.cuts = append(b.cuts, cut{len(b.waiting), reason})
	}
}

// mended notes that the hole is no more, and what the next one is.
func (b *book) mended(next market.Time) {
	b.broken, b.check, b.tried = "", 0, false
	if len(b.cuts) == 0 {
		return
	}
	b.broken = b.cuts[0].why
	b.cuts = b.cuts[1:]
	if b.carriers > 0 || len(b.waiting) > 0 {
		b.check = next
	}
}

// keep notes that the hole is to be looked at again. A break that came meanwhile is part of it.
func (b *book) keep(next market.Time) {
	if b.broken == "" && len(b.cuts) > 0 {
		b.broken = b.cuts[0].why
	}
	for len(b.cuts) > 0 && b.cuts[0].at == 0 {
		b.cuts = b.cuts[1:]
	}
	b.check = next
}
