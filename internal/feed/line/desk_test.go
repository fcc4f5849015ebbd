package line

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

const symbol = market.Symbol("V:X")

// table is a desk whose holes are filled by the test.
type table struct {
	*desk
	t     *testing.T
	sink  *feedtest.Sink
	book  *book
	holes []venue.Hole
	why   []string
	renew int
}

func newTable(t *testing.T, traits venue.Traits, history bool, last market.Entry) *table {
	t.Helper()
	tb := &table{t: t, sink: &feedtest.Sink{}}
	tb.desk = &desk{
		sink: tb.sink, log: slog.New(slog.DiscardHandler), traits: traits, history: history, t: realTimings(), books: make(map[market.Symbol]*book),
		start: feed.Start{Last: func(market.Symbol, market.Kind) (market.Entry, bool) { return last, last.Kind != 0 }},
		renew: func(venue.Instrument) { tb.renew++ },
		fill: func(_ *book, h venue.Hole, reason string) {
			tb.holes = append(tb.holes, h)
			tb.why = append(tb.why, reason)
		},
	}
	tb.know(venue.Instrument{Symbol: symbol, Native: "X"}, false)
	tb.book = tb.books[symbol]
	return tb
}

// trade makes a trade with a number at a second.
func trade(id uint64, second int) market.Entry {
	return market.Entry{Kind: market.KindTrade, Symbol: symbol, ID: id, Event: market.Time(second) * market.Second, Received: now()}
}

func (tb *table) live(list ...market.Entry) {
	tb.t.Helper()
	if err := tb.take(tb.t.Context(), list, nil); err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *table) later(d time.Duration) {
	tb.t.Helper()
	time.Sleep(d) // in a bubble
	if err := tb.sweep(tb.t.Context()); err != nil {
		tb.t.Fatal(err)
	}
}

// answer fills the last hole.
func (tb *table) answer(err error, list ...market.Entry) {
	tb.t.Helper()
	if len(tb.holes) == 0 {
		tb.t.Fatal("no hole was to be filled")
	}
	n := len(tb.holes) - 1
	if err := tb.filled(tb.t.Context(), tb.book, &tb.holes[n], tb.why[n], fetched{trades: list, complete: err == nil, err: err}); err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *table) want(words ...string) {
	tb.t.Helper()
	var got []string
	for _, e := range tb.sink.Entries() {
		switch e.Kind {
		case market.KindTrade:
			mark := ""
			if e.Flags&market.FlagBackfilled != 0 {
				mark = "b"
			}
			got = append(got, fmt.Sprintf("%d%s", e.ID, mark))
		case market.KindGap:
			mark := "gap"
			if e.Flags&market.FlagFilled != 0 {
				mark = "filled"
			}
			got = append(got, fmt.Sprintf("%s %d-%d %s", mark, e.Event/market.Second, e.Until/market.Second, e.Text))
		default:
			got = append(got, e.Kind.String())
		}
	}
	if diff := cmp.Diff(words, got); diff != "" {
		tb.t.Errorf("pushed (-want +got):\n%s", diff)
	}
}

func numbered() venue.Traits {
	return venue.Traits{Consecutive: true, Reorder: 250 * time.Millisecond, Heartbeat: 5 * time.Second}
}

func TestDeskPutsTradesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.live(trade(1, 1), trade(3, 3), trade(2, 2), trade(2, 2), trade(4, 4), trade(1, 1))
		tb.want("1", "2", "3", "4")
		tb.later(time.Second)
		if len(tb.holes) != 0 {
			t.Errorf("holes: %v", tb.holes)
		}
	})
}

func TestDeskFillsAHoleWhileOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.taken(symbol)
		other := trade(7, 9)
		other.Symbol = "V:Y"
		tb.live(trade(1, 1), trade(5, 5))
		tb.later(300 * time.Millisecond)
		tb.live(trade(6, 6), other, trade(9, 9))
		tb.want("1", "7")
		tb.answer(nil, trade(4, 4), trade(2, 2), trade(3, 3), trade(5, 5), trade(1, 1), trade(2, 2))
		tb.want("1", "7", "2b", "3b", "4b", "5", "filled 1-5 trades did not arrive", "6")
		tb.later(300 * time.Millisecond)
		tb.answer(errors.New("no answer"), trade(8, 8))
		tb.want("1", "7", "2b", "3b", "4b", "5", "filled 1-5 trades did not arrive", "6",
			"gap 6-8 trades did not arrive; not filled: no answer: 1 trades, numbers 7 to 7", "8b", "9")
	})
}

func TestDeskHeedsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.taken(symbol)
		tb.live(trade(1, 1))
		if err := tb.take(t.Context(), nil, []venue.Mark{{Symbol: symbol, ID: 3}}); err != nil {
			t.Fatal(err)
		}
		tb.later(time.Second)
		if len(tb.holes) != 0 {
			t.Fatal("a mark that is just ahead counted as a hole")
		}
		tb.later(1500 * time.Millisecond)
		tb.answer(nil, trade(2, 2), trade(3, 3))
		tb.want("1", "2b", "3b", "filled 1-3 trades did not arrive")
	})
}

func TestDeskWithoutHistoryTellsGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, venue.Traits{NoNumbers: true}, false, trade(0, 1))
		tb.taken(symbol)
		tb.later(time.Minute)
		tb.live(trade(0, 5), trade(0, 6))
		tb.let([]market.Symbol{symbol}, "lost")
		tb.taken(symbol)
		tb.live(trade(0, 9))
		tb.want("gap 1-5 not running", "0", "0", "gap 6-9 lost", "0")
	})
}

func TestDeskFillsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, venue.Traits{}, true, trade(10, 10))
		tb.taken(symbol)
		tb.live(trade(40, 40), trade(50, 50))
		tb.want()
		tb.later(1100 * time.Millisecond)
		tb.answer(nil, trade(40, 40), trade(30, 30), trade(20, 20), trade(10, 10), trade(9, 10), trade(11, 10), trade(50, 50), trade(5, 5))
		tb.want("11b", "20b", "30b", "filled 10-30 not running", "40", "50")
		tb.let([]market.Symbol{symbol}, "lost")
		tb.taken(symbol)
		tb.live(trade(70, 70))
		tb.later(1100 * time.Millisecond)
		tb.answer(errPartial, trade(65, 65))
		tb.want("11b", "20b", "30b", "filled 10-30 not running", "40", "50", "65b", "gap 50-70 lost; not filled: "+errPartial.Error(), "70")
	})
}

func TestDeskSeesNumbersThatBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.live(trade(1000, 1))
		var list []market.Entry
		for i := range 10 {
			list = append(list, trade(uint64(1+i), 10+i))
		}
		tb.live(list...)
		tb.want("1000", "gap 1-10 the venue began to number its trades anew", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
	})
}

func TestDeskHoldsABoundedNumberOfTrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.live(trade(1, 1))
		n := uint64(maxWaiting/entrySize) + 10
		var list []market.Entry
		for id := uint64(3); id < 3+n; id++ {
			list = append(list, trade(id, int(id)))
		}
		tb.live(list...)
		got := tb.sink.Entries()
		if len(got) != int(n)+2 || got[1].Kind != market.KindGap || !strings.Contains(got[1].Text, errNoRoom.Error()) {
			t.Errorf("got %d entries, the second %+v; want a gap and all that came", len(got), got[1])
		}
		if tb.bytes > maxWaiting {
			t.Errorf("%d bytes wait", tb.bytes)
		}
	})
}

func TestDeskProbesASilentSymbol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.taken(symbol)
		for i := range 20 {
			tb.live(trade(uint64(1+i), 1+i))
			time.Sleep(time.Second)
		}
		tb.later(20 * time.Second)
		if len(tb.holes) != 0 {
			t.Fatal("asked too early")
		}
		tb.later(15 * time.Second)
		tb.answer(nil)
		tb.later(40 * time.Second)
		if len(tb.holes) != 1 {
			t.Errorf("a symbol that was found to be quiet is asked for %d times", len(tb.holes))
		}
		tb.later(30 * time.Second)
		tb.answer(nil, trade(21, 60))
		if tb.renew != 1 {
			t.Errorf("subscribed anew %d times, want once", tb.renew)
		}
	})
}

func TestDeskRemembersABreakDuringAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, venue.Traits{}, true, trade(10, 10))
		tb.taken(symbol)
		tb.live(trade(40, 40))
		tb.later(1100 * time.Millisecond)
		tb.let([]market.Symbol{symbol}, "lost again") // while the first hole is being filled
		tb.taken(symbol)
		tb.live(trade(60, 60))
		tb.answer(nil, trade(30, 30))
		tb.want("30b", "filled 10-30 not running", "40")
		tb.later(1100 * time.Millisecond)
		tb.answer(nil, trade(50, 50))
		tb.want("30b", "filled 10-30 not running", "40", "50b", "filled 40-50 lost again", "60")
	})
}

// TestDeskAsksASilentSymbolOnce has a busy symbol whose stream fell silent: what is fetched for the moment of subscribing anew is no
// reason to subscribe anew again.
func TestDeskAsksASilentSymbolOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, venue.Traits{}, true, market.Entry{})
		tb.taken(symbol)
		for i := range 20 {
			tb.live(trade(uint64(1+i), 1+i))
			time.Sleep(time.Second)
		}
		tb.later(40 * time.Second)
		tb.answer(nil, trade(21, 21))
		tb.let([]market.Symbol{symbol}, silent)
		tb.taken(symbol)
		tb.live(trade(30, 30))
		tb.later(1100 * time.Millisecond)
		tb.answer(nil, trade(25, 25))
		if tb.renew != 1 {
			t.Errorf("subscribed anew %d times, want once", tb.renew)
		}
	})
}

// TestDeskWaitsForHistoryThatIsBehind has a venue that says it has come further than its history.
func TestDeskWaitsForHistoryThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.taken(symbol)
		tb.live(trade(1, 1))
		if err := tb.take(t.Context(), nil, []venue.Mark{{Symbol: symbol, ID: 9}}); err != nil {
			t.Fatal(err)
		}
		for range 600 {
			tb.later(100 * time.Millisecond)
			if tb.book.filling {
				tb.answer(nil)
			}
		}
		if n := len(tb.holes); n < 2 || n > 5 {
			t.Errorf("asked %d times in a minute, want a few", n)
		}
	})
}

// TestDeskKnowsThatNobodyListened has a trade that comes when nobody carries the symbol any more: what follows until it is carried again
// is a hole all the same.
func TestDeskKnowsThatNobodyListened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, venue.Traits{}, false, market.Entry{})
		tb.taken(symbol)
		tb.live(trade(10, 10))
		tb.let([]market.Symbol{symbol}, notWanted)
		tb.live(trade(11, 11))
		tb.taken(symbol)
		tb.live(trade(50, 50))
		tb.want("10", "gap 10-11 nobody wanted the symbol", "11", "gap 11-50 the symbol was not subscribed to", "50")
	})
}

// TestDeskLeavesASymbolWhoseHoleIsFilled lets a symbol go while its history is asked for: what is older than the hole is not pushed again.
func TestDeskLeavesASymbolWhoseHoleIsFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.taken(symbol)
		tb.live(trade(4, 4), trade(5, 5), trade(8, 8))
		tb.later(300 * time.Millisecond)
		tb.let([]market.Symbol{symbol}, notWanted)
		tb.answer(nil, trade(4, 4), trade(5, 5), trade(6, 6), trade(7, 7), trade(8, 8))
		want := []string{"4", "5", "6b", "7b", "8", "filled 5-8 trades did not arrive"}
		tb.want(want...)
		tb.taken(symbol)
		tb.live(trade(20, 20))
		tb.want(append(want, "gap 8-20 nobody wanted the symbol", "20")...)
	})
}

// TestDeskFetchesNothingThatNobodyWanted lets a symbol go while no connection is up.
func TestDeskFetchesNothingThatNobodyWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t, numbered(), true, market.Entry{})
		tb.taken(symbol)
		tb.live(trade(1, 1))
		tb.let([]market.Symbol{symbol}, "lost")
		tb.unwanted(symbol)
		tb.taken(symbol)
		tb.live(trade(9, 9))
		tb.later(time.Second)
		tb.want("1", "gap 1-9 nobody wanted the symbol", "9")
		if len(tb.holes) > 0 {
			t.Errorf("asked for %v because of %v", tb.holes, tb.why)
		}
	})
}

// TestDeskMergesWhatCameMeanwhile has a history that is ahead of the stream: what waits by then lies between what was fetched.
func TestDeskMergesWhatCameMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{nil, errPartial} {
			tb := newTable(t, numbered(), true, trade(1, 1))
			tb.taken(symbol)
			tb.later(1100 * time.Millisecond)
			tb.live(trade(4, 4), trade(5, 5))
			tb.answer(err, trade(2, 2), trade(3, 3), trade(6, 6))
			tb.live(trade(6, 6), trade(7, 7))
			want := []string{"2b", "3b", "4", "5", "6b", "filled 1-6 not running", "7"}
			tb.want(want...)
		}
	})
}
