// Package tapetest holds what every tape must do, as a suite of tests that each implementation runs, and a tape in memory for the
// tests of those who use one.
package tapetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Tape is what the suite tests. Close keeps what was appended; the same folder can then be opened again.
type Tape interface {
	tape.Appender
	tape.Source
	Close() error
}

// Intruder is implemented by a tape under test that can append behind its own back, as another process would.
type Intruder interface {
	Intrude(ctx context.Context, b *tape.Batch) error
}

// Run runs the suite. The function opens the tape in a folder, or makes it; it is called several times for one folder, each
// time after the tape was closed or its process killed. For the latter, Run starts the test binary again with only the calling
// test, so it must be called as the first thing of a test that does nothing else.
func Run(t *testing.T, open func(t *testing.T, dir string) Tape) {
	if Child(t, open) {
		return
	}
	RunVolatile(t, open)
	t.Run("Killed", func(t *testing.T) { testKilled(t, open) })
}

// RunVolatile is Run for a tape that ends with its process, which therefore is not killed.
func RunVolatile(t *testing.T, open func(t *testing.T, dir string) Tape) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, func(*testing.T, string) Tape)
	}{
		{"Empty", testEmpty},
		{"Order", testOrder},
		{"Reopen", testReopen},
		{"ManyFeeds", testManyFeeds},
		{"VisibleOnlyAfterAppend", testVisible},
		{"Wait", testWait},
		{"WaitMany", testWaitMany},
		{"Read", testRead},
		{"Paces", testPaces},
		{"TooLarge", testTooLarge},
		{"Fenced", testFenced},
		{"Closed", testClosed},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// Batch makes a batch of n trades of a feed with the numbers from seq on. Equal arguments make equal batches.
func Batch(feed string, seq uint64, n int) *tape.Batch {
	b := &tape.Batch{Feed: feed, Offset: fmt.Appendf(nil, "%s@%d", feed, seq+uint64(n)), Entries: make([]market.Entry, n)}
	for i := range b.Entries {
		b.Entries[i] = trade(feed, seq+uint64(i))
	}
	return b
}

func trade(feed string, seq uint64) market.Entry {
	price, err := market.NewDecimal(int64(10_000+seq%997), -2)
	if err != nil {
		panic(err) // the exponent is in range
	}
	size, err := market.NewDecimal(int64(1+seq%13), 0)
	if err != nil {
		panic(err)
	}
	at := 1_700_000_000*market.Second + market.Time(seq)*market.Second/1000
	return market.Trade{
		Symbol: market.Symbol("TEST:S" + fmt.Sprint(len(feed), seq%5)), Seq: seq, Event: at, Received: at + 1234, Price: price, Size: size,
		Side: market.SideBuy, ID: seq, Exchange: "X",
	}.Entry()
}

// ReadAll reads a tape from a position to its end.
func ReadAll(t testing.TB, src tape.Source, from tape.Position) []*tape.Record {
	t.Helper()
	r := tape.NewReader(src, from)
	var all []*tape.Record
	for {
		rec, err := r.TryNext(context.Background())
		if err != nil {
			t.Fatalf("read position %d: %v", r.Position(), err)
		}
		if rec == nil {
			return all
		}
		all = append(all, rec)
	}
}

// mustAppend appends a batch and returns its position.
func mustAppend(t testing.TB, a tape.Appender, b *tape.Batch) tape.Position {
	t.Helper()
	pos, err := a.Append(context.Background(), b)
	if err != nil {
		t.Fatalf("Append(%s, %d entries): %v", b.Feed, len(b.Entries), err)
	}
	return pos
}

// closeTape closes a tape and fails the test when that fails.
func closeTape(t testing.TB, l Tape) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// opened opens a tape in a new folder, and closes it when the test ends.
func opened(t *testing.T, open func(*testing.T, string) Tape) Tape {
	t.Helper()
	l := open(t, t.TempDir())
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// record is a record as the suite expects it.
type record struct {
	Position tape.Position
	Ordinal  uint64
	Feed     string
	Offset   string
	Entries  []market.Entry
}

func flat(recs []*tape.Record) []record {
	out := make([]record, 0, len(recs))
	for _, r := range recs {
		out = append(out, record{r.Position, r.Ordinal, r.Feed, string(r.Offset), r.Entries})
	}
	return out
}

// entriesEqual compares entries as == does, which sees the digits of decimals.
func entriesEqual(a, b market.Entry) bool { return a == b }

// differs reports a difference between what was read and what was appended.
func differs(t testing.TB, recs []*tape.Record, want []record) {
	t.Helper()
	got := flat(recs)
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range got {
		if diff := cmp.Diff(want[i], got[i], cmp.Comparer(entriesEqual)); diff != "" {
			t.Fatalf("record %d (-want +got):\n%s", i, diff)
		}
		if recs[i].Through != recs[i].Position {
			t.Fatalf("record %d stands for %d to %d", i, recs[i].Position, recs[i].Through)
		}
	}
}

// expect turns batches that were appended to an empty tape into what must be read.
func expect(batches []*tape.Batch) []record {
	var ordinal uint64
	out := make([]record, 0, len(batches))
	for i, b := range batches {
		out = append(out, record{tape.Position(i + 1), ordinal, b.Feed, string(b.Offset), b.Entries})
		ordinal += uint64(len(b.Entries))
	}
	return out
}

func testEmpty(t *testing.T, open func(*testing.T, string) Tape) {
	dir := t.TempDir()
	l := open(t, dir)
	b := l.Bounds()
	if b.First != 1 || b.Last != 0 || b.Epoch == (tape.Epoch{}) {
		t.Errorf("Bounds of an empty tape: %+v", b)
	}
	recs, err := l.Read(context.Background(), 1, nil)
	if err != nil || len(recs) != 0 {
		t.Errorf("Read of an empty tape: %d records, %v", len(recs), err)
	}
	closeTape(t, l)
	l = open(t, dir)
	defer closeTape(t, l)
	if again := l.Bounds(); again != b {
		t.Errorf("Bounds after opening again: %+v, want %+v", again, b)
	}
	if other := opened(t, open); other.Bounds().Epoch == b.Epoch {
		t.Error("two tapes have the same epoch")
	}
}

func testOrder(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	var batches []*tape.Batch
	for i, n := range []int{1, 2, 3, 100, 1, 1000, 1} {
		b := Batch("feed "+string(rune('a'+i%2))+" with. odd *>name", uint64(1+i*1000), n)
		batches = append(batches, b)
		if pos := mustAppend(t, l, b); pos != tape.Position(i+1) {
			t.Errorf("append %d: position %d", i, pos)
		}
	}
	differs(t, ReadAll(t, l, 1), expect(batches))
	differs(t, ReadAll(t, l, 4), expect(batches)[3:])
}

func testReopen(t *testing.T, open func(*testing.T, string) Tape) {
	dir := t.TempDir()
	var batches []*tape.Batch
	var epoch tape.Epoch
	for round := range 4 {
		l := open(t, dir)
		b := l.Bounds()
		if round == 0 {
			epoch = b.Epoch
		}
		if b.Epoch != epoch || b.First != 1 || b.Last != tape.Position(len(batches)) {
			t.Fatalf("round %d: Bounds %+v, want epoch %v and last %d", round, b, epoch, len(batches))
		}
		differs(t, ReadAll(t, l, 1), expect(batches))
		for i := range round { // the first round appends nothing
			b := Batch("a", uint64(1+len(batches)*100), 1+i*7)
			batches = append(batches, b)
			mustAppend(t, l, b)
		}
		closeTape(t, l)
	}
	l := open(t, dir)
	defer closeTape(t, l)
	differs(t, ReadAll(t, l, 1), expect(batches))
}

func testManyFeeds(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	const feeds, each = 24, 15 // enough for the largest groups of a writer
	positions := make([][]tape.Position, feeds)
	var wg sync.WaitGroup
	for f := range feeds {
		wg.Go(func() {
			for i := range each {
				pos, err := l.Append(context.Background(), Batch(fmt.Sprint("f", f), uint64(1+10*i), 10))
				if err != nil {
					t.Errorf("feed %d: %v", f, err)
					return
				}
				positions[f] = append(positions[f], pos)
			}
		})
	}
	wg.Wait()
	recs := ReadAll(t, l, 1)
	if len(recs) != feeds*each {
		t.Fatalf("%d records, want %d", len(recs), feeds*each)
	}
	var ordinal uint64
	next := map[string]uint64{}
	for i, r := range recs {
		if r.Position != tape.Position(i+1) || r.Ordinal != ordinal {
			t.Fatalf("record %d: position %d, ordinal %d, want ordinal %d", i, r.Position, r.Ordinal, ordinal)
		}
		ordinal += uint64(len(r.Entries))
		if want := 1 + 10*next[r.Feed]; r.Entries[0].Seq != want {
			t.Fatalf("record %d of feed %s begins with %d, want %d", i, r.Feed, r.Entries[0].Seq, want)
		}
		next[r.Feed]++
	}
	for f := range feeds {
		for i, pos := range positions[f] {
			if r := recs[pos-1]; r.Feed != fmt.Sprint("f", f) || r.Entries[0].Seq != uint64(1+10*i) {
				t.Fatalf("append %d of feed %d was told position %d, where there is %s %d", i, f, pos, r.Feed, r.Entries[0].Seq)
			}
		}
	}
}

func testVisible(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	const n = 200
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := make(chan error, 1)
	go func() {
		r := tape.NewReader(l, 1)
		for i := range n {
			rec, err := r.Next(ctx)
			if err != nil {
				seen <- err
				return
			}
			if last := l.Bounds().Last; rec.Position != tape.Position(i+1) || last < rec.Position {
				seen <- fmt.Errorf("read position %d while the tape ended at %d, want %d", rec.Position, last, i+1)
				return
			}
		}
		seen <- nil
	}()
	for i := range n {
		pos := mustAppend(t, l, Batch("a", uint64(i+1), 1))
		if last := l.Bounds().Last; last != pos {
			t.Fatalf("appended position %d, but the tape ends at %d", pos, last)
		}
		recs, err := l.Read(ctx, pos, nil)
		if err != nil || len(recs) != 1 || recs[0].Position != pos {
			t.Fatalf("Read(%d) after its append: %d records, %v", pos, len(recs), err)
		}
	}
	if err := <-seen; err != nil {
		t.Fatal(err)
	}
}

func testWait(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Wait(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a cancelled context: %v", err)
	}
	mustAppend(t, l, Batch("a", 1, 1))
	if err := l.Wait(t.Context(), 0); err != nil {
		t.Errorf("Wait for what is there: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := l.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait for what does not come: %v", err)
	}
}

// testWaitMany would hang if a wake-up were lost between looking and waiting.
func testWaitMany(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	const waiters, n = 500, 40
	var wg sync.WaitGroup
	for range waiters {
		wg.Go(func() {
			for after := tape.Position(0); after < n; {
				if err := l.Wait(t.Context(), after); err != nil {
					t.Errorf("Wait(%d): %v", after, err)
					return
				}
				last := l.Bounds().Last
				if last <= after {
					t.Errorf("Wait(%d) returned while the tape ended at %d", after, last)
					return
				}
				after = last
			}
		})
	}
	for i := range n {
		mustAppend(t, l, Batch("a", uint64(i+1), 1))
	}
	wg.Wait()
}

func testRead(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	for i := range 20 {
		mustAppend(t, l, Batch("a", uint64(i+1), 1))
	}
	own := &tape.Record{}
	recs, err := l.Read(t.Context(), 5, []*tape.Record{own})
	if err != nil || len(recs) < 2 || recs[0] != own || recs[1].Position != 5 {
		t.Fatalf("Read(5) onto one record: %d records, %v", len(recs), err)
	}
	if recs, err := l.Read(t.Context(), 21, nil); err != nil || len(recs) != 0 {
		t.Errorf("Read at the end: %d records, %v", len(recs), err)
	}
	var trimmed *tape.TrimmedError
	if _, err := l.Read(t.Context(), 0, nil); !errors.As(err, &trimmed) || trimmed.First != 1 {
		t.Errorf("Read(0): %v, want a TrimmedError with First 1", err)
	}
}

// testPaces has readers that keep up, that start late and that begin in the middle: all must see the same.
func testPaces(t *testing.T, open func(*testing.T, string) Tape) {
	dir := t.TempDir()
	l := open(t, dir)
	defer func() { closeTape(t, l) }()
	var batches []*tape.Batch
	add := func(n int) {
		for range n {
			b := Batch("a", uint64(1+len(batches)*20), 20)
			batches = append(batches, b)
			mustAppend(t, l, b)
		}
	}
	add(50)
	closeTape(t, l) // what came before is not in the memory of the new one
	l = open(t, dir)
	const total = 150
	var wg sync.WaitGroup
	got := make([][]*tape.Record, 6)
	for i := range got {
		wg.Go(func() {
			from := tape.Position(1 + i*17)
			r := tape.NewReader(l, from)
			for pos := from; pos <= total; pos++ {
				rec, err := r.Next(t.Context())
				if err != nil {
					t.Errorf("reader %d at %d: %v", i, pos, err)
					return
				}
				got[i] = append(got[i], rec)
			}
		})
	}
	add(total - 50)
	wg.Wait()
	want := expect(batches)
	for i := range got {
		differs(t, got[i], want[i*17:])
	}
}

func testTooLarge(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	if _, err := l.Append(t.Context(), Batch("a", 1, tape.MaxEntries+1)); !errors.Is(err, tape.ErrTooLarge) {
		t.Errorf("Append of too many entries: %v", err)
	}
	b := Batch("a", 1, tape.MaxEntries)
	if pos := mustAppend(t, l, b); pos != 1 {
		t.Errorf("position %d after a refused append", pos)
	}
	differs(t, ReadAll(t, l, 1), expect([]*tape.Batch{b}))
}

func testFenced(t *testing.T, open func(*testing.T, string) Tape) {
	l := opened(t, open)
	intruder, ok := l.(Intruder)
	if !ok {
		t.Skip("nobody else can write to this tape")
	}
	a1, b1, a2, b2 := Batch("a", 1, 3), Batch("b", 1, 3), Batch("a", 4, 3), Batch("b", 4, 2)
	mustAppend(t, l, a1)
	mustAppend(t, l, b1)
	if err := intruder.Intrude(t.Context(), a2); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if pos, err := l.Append(t.Context(), Batch("a", 4, 1)); !errors.Is(err, tape.ErrFenced) {
			t.Errorf("Append after another writer: position %d, %v; want ErrFenced", pos, err)
		}
	}
	if pos := mustAppend(t, l, b2); pos != 4 {
		t.Errorf("the other feed appended at %d, want 4", pos)
	}
	differs(t, ReadAll(t, l, 1), expect([]*tape.Batch{a1, b1, a2, b2}))
}

func testClosed(t *testing.T, open func(*testing.T, string) Tape) {
	l := open(t, t.TempDir())
	mustAppend(t, l, Batch("a", 1, 1))
	waited := make(chan error, 1)
	go func() { waited <- l.Wait(context.Background(), 1) }()
	closeTape(t, l)
	if err := <-waited; !errors.Is(err, tape.ErrClosed) {
		t.Errorf("Wait on a tape that is closed: %v", err)
	}
	if _, err := l.Append(t.Context(), Batch("a", 2, 1)); !errors.Is(err, tape.ErrClosed) {
		t.Errorf("Append to a closed tape: %v", err)
	}
	if _, err := l.Read(t.Context(), 1, nil); !errors.Is(err, tape.ErrClosed) {
		t.Errorf("Read of a closed tape: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
