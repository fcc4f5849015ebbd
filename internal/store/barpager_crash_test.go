package store

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// pagesTape is a tape of many seconds of few symbols: with late trades near and far, gaps of symbols and of feeds, some of them filled, and in
// SIM:C numbers as large as they come.
func pagesTape(seed uint64, batches int) *tapetest.Memory {
	src, r := newMemTape(), rand.New(rand.NewPCG(seed, 99))
	seq, clock := map[market.Symbol]uint64{}, market.Time(0)
	tradeOf := func(s market.Symbol, at, received market.Time) market.Entry {
		seq[s]++
		price, _ := market.NewDecimal(18_742+r.Int64N(9)-r.Int64N(2)*40_000, -2-r.IntN(2))
		size, _ := market.NewDecimal(1+r.Int64N(300), -r.IntN(3))
		if s == "SIM:C" {
			price, _ = market.NewDecimal([]int64{0, 1, -1, math.MaxInt64, -math.MaxInt64, r.Int64()}[r.IntN(6)], -r.IntN(8))
			size, _ = market.NewDecimal([]int64{0, 1, 77}[r.IntN(3)], -r.IntN(6))
		}
		return market.Trade{Symbol: s, Seq: seq[s], Event: start + at, Received: start + received, Price: price, Size: size}.Entry()
	}
	for range batches {
		var entries []market.Entry
		for range 1 + r.IntN(120) {
			clock += market.Time(r.Int64N(int64(market.Second)))
			at := clock
			switch r.IntN(25) {
			case 0:
				at -= market.Time(r.Int64N(int64(10 * market.Second)))
			case 1:
				at -= market.Time(r.Int64N(int64(20 * market.Minute)))
			case 2:
				at = market.Time(r.Int64N(int64(clock) + 1))
			}
			entries = append(entries, tradeOf([]market.Symbol{"SIM:A", "SIM:A", "SIM:B", "SIM:C"}[r.IntN(4)], at, clock+1))
			if r.IntN(60) == 0 {
				to := market.Time(r.Int64N(int64(clock) + 1))
				gap := market.Gap{From: start + to - market.Time(r.Int64N(int64(5*market.Minute))), To: start + to, Reason: "line was down"}
				gap.Symbol = []market.Symbol{"", "SIM:A", "SIM:B"}[r.IntN(3)]
				if r.IntN(3) == 0 {
					gap.Flags = market.FlagFilled
				}
				entries = append(entries, gap.Entry())
			}
		}
		src.Put("sim", entries...)
	}
	return src
}

// recordInPieces records a tape with restarts and in transactions of any size. Now and then a transaction is given up in the middle of it, at any statement
// that writes bars or comes behind them, and now and then the file is made one of format 1.1.
func recordInPieces(t *testing.T, src *tapetest.Memory, r *rand.Rand, o Options) {
	t.Helper()
	failed := 0
	for last, p := src.Bounds().Last, tape.Position(0); p < last; {
		wish, fails := r.IntN(6), r.IntN(3) > 0
		if p > 0 && wish == 0 {
			unpage(t, o.Path)
		}
		if fails = fails && p > 0 && wish > 0; fails {
			edit(t, o.Path, fmt.Sprintf("CREATE TRIGGER stop BEFORE %s WHEN (SELECT count(*) FROM bar_pages) >= %d BEGIN SELECT RAISE(%s, 'stop'); END",
				[]string{"INSERT ON bar_pages", "DELETE ON bar_pages", "DELETE ON bar_rows", "INSERT ON bar_rows", "INSERT ON tape"}[r.IntN(5)],
				rowsOf(t, o.Path, "bar_pages")+int64(r.IntN(2)), []string{"ABORT", "ROLLBACK", "FAIL"}[r.IntN(3)]))
		}
		until := min(last, p+1+tape.Position(r.IntN(8)))
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		rec := NewRecorder(s, src)
		rec.ticks = 1 + r.IntN(3000)
		rec.onCommit = func(at tape.Position) {
			if at >= until {
				cancel()
			}
		}
		if err := rec.Run(ctx); err != nil {
			if !fails || !strings.Contains(err.Error(), "stop") {
				t.Fatal(err)
			}
			failed++
		}
		cancel()
		_, p = s.Applied()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		edit(t, o.Path, "DROP TRIGGER IF EXISTS stop")
	}
	if failed == 0 {
		t.Error("no transaction failed")
	}
}

// checkPages holds the bars of a store to all trades of the tape, and the store to itself.
func checkPages(t *testing.T, src *tapetest.Memory, o Options) {
	t.Helper()
	if r, err := Verify(t.Context(), o.Path, nil); err != nil || len(r.Problems) > 0 {
		t.Errorf("verify: %q, %v", r.Problems, err)
	}
	s := mustOpen(t, o)
	for _, symbol := range []market.Symbol{"SIM:A", "SIM:B"} {
		for _, v := range []market.Interval{market.Sec1(), {N: 5, Unit: market.UnitSecond}} {
			got, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: symbol, Interval: v, Limit: 1 << 20}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i].Rev, got[i].Final, got[i].Gappy = 0, false, false
			}
			if want := naive(src, symbol, v); len(want) != len(got) || !equalBars(want, got) {
				t.Errorf("%s bars of %s (-naive +got):\n%.3000s", v, symbol, cmp.Diff(want, got, exact, exactWide))
			}
		}
	}
}

func equalBars(a, b []market.Bar) bool {
	for i := range a {
		if !sameBar(a[i], b[i]) {
			return false
		}
	}
	return true
}

// tidy takes the zeros from the end of sums: of one beyond 64 bits it depends on when it was read how many there are.
func tidy(lines []string) []string {
	for i, line := range lines {
		part := strings.Split(line, "|")
		for j, p := range part {
			if strings.Contains(p, ".") {
				part[j] = strings.TrimRight(strings.TrimRight(p, "0"), ".")
			}
		}
		lines[i] = strings.Join(part, "|")
	}
	return lines
}

// However the tape is cut by restarts, by transactions and by those that fail in the middle, and whatever format the file had, the same bars come out.
func TestPagesWhateverHappens(t *testing.T) {
	for seed := range uint64(1) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			src := pagesTape(seed, 28)
			want := tidy(allOf(t, src))
			o := options(t)
			recordInPieces(t, src, rand.New(rand.NewPCG(seed, 5)), o)
			same(t, want, tidy(dump(t, o.Path)))
			checkPages(t, src, o)
			if n := rowsOf(t, o.Path, "bar_pages"); n < 5 {
				t.Errorf("%d pages, want more of them", n)
			}
		})
	}
}

// A process that is killed while it packs leaves each bar in one place.
func TestKillWhilePacking(t *testing.T) {
	src := killedTape(packingSeed)
	want := tidy(allOf(t, src))
	o := options(t)
	r := rand.New(rand.NewPCG(8, 8))
	for range 2 {
		killOnce(t, o.Path, packingSeed, 2+r.IntN(6))
		dumpBars(t, o.Path) // says when a bar is there twice
	}
	s := mustOpen(t, o)
	if _, p := s.Applied(); p == 0 || p == src.Bounds().Last {
		t.Fatalf("killed at position %d of %d: not in the middle", p, src.Bounds().Last)
	}
	if rowsOf(t, o.Path, "bar_pages") == 0 {
		t.Error("killed before the first page")
	}
	record(t, s, src)
	same(t, want, tidy(dump(t, o.Path)))
}
