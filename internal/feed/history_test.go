package feed_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"tapedeck/internal/feed"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// moody is a tape that refuses some appends.
type moody struct {
	*tapetest.Memory
	mu  sync.Mutex
	rng *rand.Rand
}

func (m *moody) Append(ctx context.Context, b *tape.Batch) (tape.Position, error) {
	m.mu.Lock()
	refuse := m.rng.IntN(4) == 0
	m.mu.Unlock()
	if refuse {
		return 0, tape.ErrUnavailable
	}
	return m.Memory.Append(ctx, b)
}

func past(n int, symbols ...market.Symbol) []market.Entry {
	batch := make([]market.Entry, n)
	for i := range batch {
		kind := market.KindTrade
		if i%3 == 0 {
			kind = market.KindQuote
		}
		batch[i] = tick(kind, symbols[i%len(symbols)], market.Time(i+1), int64(i))
		batch[i].Flags = market.FlagImported | market.FlagHistory
	}
	return batch
}

// TestHistoryLaneSharesSymbols has two feeds that come and go write symbols that two files bring as well, on a tape that refuses
// every fourth batch.
func TestHistoryLaneSharesSymbols(t *testing.T) {
	tp := &moody{Memory: new(tapetest.Memory), rng: rand.New(rand.NewPCG(1, 2))}
	w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	write := func(l *feed.Lane, batch []market.Entry) {
		for {
			err := l.Append(t.Context(), batch, nil)
			if err == nil {
				return
			}
			if !errors.Is(err, tape.ErrUnavailable) {
				t.Error(err)
				return
			}
		}
	}
	for i := range 2 {
		wg.Go(func() {
			name := fmt.Sprintf("live-%d", i)
			for range 20 {
				l, err := w.Lane(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				for range 10 {
					write(l, []market.Entry{
						tick(market.KindTrade, market.Symbol(fmt.Sprintf("L:A%d", i)), 100, 1),
						tick(market.KindTrade, market.Symbol(fmt.Sprintf("L:B%d", i)), 100, 1),
					})
				}
				l.Close()
			}
		})
		wg.Go(func() {
			l, err := w.HistoryLane(t.Context(), fmt.Sprintf("import-%d", i))
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			for range 150 {
				write(l, past(30, "L:A0", "L:B0", "L:A1", "L:B1", "L:C"))
			}
		})
	}
	wg.Wait()
	var entries []market.Entry
	for _, rec := range tp.Records() {
		entries = append(entries, rec.Entries...)
	}
	if want := 2 * (20*10*2 + 150*30); len(entries) != want {
		t.Errorf("%d entries on the tape, want %d", len(entries), want)
	}
	checkNumbers(t, entries)
	again := newWriter(t, tp.Memory, nil, 0)
	l := newLane(t, again, "live-0")
	if err := l.Append(t.Context(), []market.Entry{tick(market.KindTrade, "L:A0", 5, 5)}, nil); err != nil {
		t.Fatal(err)
	}
	recs := tp.Records()
	checkNumbers(t, append(entries, recs[len(recs)-1].Entries...))
}

// TestHistoryIsNobodysLast holds that a feed never goes on from a tick of a file.
func TestHistoryIsNobodysLast(t *testing.T) {
	tp := new(tapetest.Memory)
	w := newWriter(t, tp, nil, 0)
	live := newLane(t, w, "live")
	file, err := w.HistoryLane(t.Context(), "import-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Append(t.Context(), []market.Entry{tick(market.KindTrade, "L:A", 100, 7)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := file.Append(t.Context(), past(10, "L:A"), nil); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*feed.Writer{
		"as it ran": w, "from the tape": newWriter(t, tp, nil, 0), "from the store": newWriter(t, tp, store(tp, 2), 3),
	} {
		if name == "as it ran" {
			live.Close()
		}
		l := newLane(t, w, "live")
		e, ok := l.Last("L:A", market.KindTrade)
		if name == "from the store" { // the listing's last trade is one of the file there
			if ok {
				t.Errorf("%s: last trade is %+v, want none", name, e)
			}
			continue
		}
		if !ok || e.Event != 100 {
			t.Errorf("%s: last trade is %+v, want the one at 100", name, e)
		}
	}
}

// gate is a tape whose appends wait.
type gate struct {
	*tapetest.Memory
	open chan struct{}
}

func (g *gate) Append(ctx context.Context, b *tape.Batch) (tape.Position, error) {
	<-g.open
	return g.Memory.Append(ctx, b)
}

// TestClaimWaitsForHistory has a feed claim a symbol while a file's batch of it is on its way.
func TestClaimWaitsForHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &gate{new(tapetest.Memory), make(chan struct{})}
		w, err := feed.NewWriter(t.Context(), feed.WriterOptions{Tape: tp})
		if err != nil {
			t.Fatal(err)
		}
		file, err := w.HistoryLane(t.Context(), "import-1")
		if err != nil {
			t.Fatal(err)
		}
		live, other := newLane(t, w, "live"), newLane(t, w, "other")
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := file.Append(t.Context(), past(3, "L:A"), nil); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		appended := make(chan string, 2)
		for name, l := range map[string]*feed.Lane{"live": live, "other": other} {
			symbol := market.Symbol("L:A")
			if name == "other" {
				symbol = "L:B"
			}
			wg.Go(func() {
				if err := l.Append(t.Context(), []market.Entry{tick(market.KindTrade, symbol, 100, 7)}, nil); err != nil {
					t.Error(err)
				}
				appended <- name
			})
		}
		synctest.Wait()
		tp.open <- struct{}{} // one of the two that wait in the tape: the file, or the feed of another symbol
		tp.open <- struct{}{}
		synctest.Wait()
		tp.open <- struct{}{}
		wg.Wait()
		var entries []market.Entry
		for _, rec := range tp.Records() {
			entries = append(entries, rec.Entries...)
		}
		checkNumbers(t, entries)
		if len(entries) != 5 || len(appended) != 2 {
			t.Errorf("%d entries, want 5", len(entries))
		}
	})
}

func TestHistoryLaneRefusesWhatIsLive(t *testing.T) {
	w := newWriter(t, new(tapetest.Memory), nil, 0)
	file, err := w.HistoryLane(t.Context(), "import-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Append(t.Context(), []market.Entry{tick(market.KindTrade, "L:A", 100, 7)}, nil); err == nil {
		t.Error("a live tick went through the lane of a file")
	}
	if err := newLane(t, w, "live").Append(t.Context(), []market.Entry{tick(market.KindTrade, "L:A", 100, 7)}, nil); err != nil {
		t.Error(err)
	}
}
