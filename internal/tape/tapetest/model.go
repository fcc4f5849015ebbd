package tapetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tapedeck/internal/tape"
)

// testModel does random things to a tape and to a slice, and compares them.
func testModel(t *testing.T, open func(*testing.T, string) Tape) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	l := open(t, dir)
	defer func() { closeTape(t, l) }()
	var (
		batches []*tape.Batch
		next    = map[string]uint64{}
		epoch   = l.Bounds().Epoch
	)
	for range 300 {
		switch p := rnd.IntN(100); {
		case p < 60:
			feed := fmt.Sprint("feed", rnd.IntN(4))
			n := 1 + rnd.IntN(1<<rnd.IntN(10))
			b := Batch(feed, next[feed]+1, n)
			next[feed] += uint64(n)
			batches = append(batches, b)
			if pos := mustAppend(t, l, b); pos != tape.Position(len(batches)) {
				t.Fatalf("position %d, want %d", pos, len(batches))
			}
		case p < 90 && len(batches) > 0:
			from := 1 + rnd.IntN(len(batches))
			recs, err := l.Read(t.Context(), tape.Position(from), nil)
			if err != nil || len(recs) == 0 {
				t.Fatalf("Read(%d) of %d: %d records, %v", from, len(batches), len(recs), err)
			}
			differs(t, recs, expect(batches)[from-1:from-1+len(recs)])
		case p < 93:
			closeTape(t, l)
			l = open(t, dir)
		default:
			if b := l.Bounds(); b != (tape.Bounds{Epoch: epoch, First: 1, Last: tape.Position(len(batches))}) {
				t.Fatalf("Bounds %+v after %d appends", b, len(batches))
			}
		}
	}
	differs(t, ReadAll(t, l, 1), expect(batches))
}
