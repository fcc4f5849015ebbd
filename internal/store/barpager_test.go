package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// secondsTape puts trades of many seconds onto a tape: of SIM:A in each, of SIM:B in a third of them, half of which are late.
func secondsTape(src *tapetest.Memory, from, to int) {
	for first := from; first < to; first += 10 {
		var entries []market.Entry
		for i := first; i < first+10; i++ {
			at := start + market.Time(i)*market.Second
			entries = append(entries, trade("SIM:A", uint64(i+1), at, "187.42", "100"))
			if i%3 == 0 {
				entries = append(entries, trade("SIM:B", uint64(i/3+1), at-market.Time(i%2)*13*market.Minute, fmt.Sprintf("%d.%d", 10+i%50, i%7), "7"))
			}
		}
		src.Put("sim", entries...)
	}
}

// recordOnce opens a store, records all of a tape, and closes it.
func recordOnce(t *testing.T, o Options, src *tapetest.Memory) {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// unpage makes of a store what the program before 2.0 left: each bar in a row of its own.
func unpage(t *testing.T, path string) {
	t.Helper()
	var statements []string
	for rows := range slices.Chunk(dumpBars(t, path), 200) {
		for i, line := range rows {
			rows[i] = "('" + strings.ReplaceAll(line, "|", "','") + "')"
		}
		statements = append(statements, "INSERT OR IGNORE INTO bar_rows VALUES "+strings.Join(rows, ","))
	}
	edit(t, path, append(statements, "DROP TABLE bar_pages", "PRAGMA user_version = 1001")...)
}

func rowsOf(t *testing.T, path, where string) int64 {
	t.Helper()
	return number(t, userReads(t, path, "SELECT count(*) FROM "+where)[0])
}

// A file of before keeps its bars where they are, and they move to pages as it is written to, some at a time, with restarts in between. Nothing that can be asked
// changes by it.
func TestRowsOfBeforeBecomePages(t *testing.T) {
	src := newMemTape()
	secondsTape(src, 0, 3000)
	o := options(t)
	recordOnce(t, o, src)
	unpage(t, o.Path)
	before := rowsOf(t, o.Path, "bar_rows WHERE interval = 1")
	if r, err := Verify(t.Context(), o.Path, nil); err != nil || len(r.Problems) > 0 || r.Format != "1.1" {
		t.Fatalf("format %s, problems %q, %v", r.Format, r.Problems, err)
	}
	recordOnce(t, o, src) // nothing new
	if got := rowsOf(t, o.Path, "bar_rows WHERE interval = 1"); got != before {
		t.Errorf("%d rows of seconds after an open, want the %d of before", got, before)
	}
	left := before
	for i := range 12 {
		secondsTape(src, 3000+i*10, 3010+i*10)
		recordOnce(t, o, src)
		if i%4 == 3 {
			same(t, allOf(t, src), dump(t, o.Path))
		}
		now := rowsOf(t, o.Path, "bar_rows WHERE interval = 1")
		if moved := left - now; moved > pageBudget+pageBacklog {
			t.Errorf("%d rows moved in a transaction, want some %d at most", moved, pageBudget)
		}
		left = now
	}
	if left > 2*pageWhen {
		t.Errorf("%d rows of seconds are left of %d, want fewer than %d", left, before, 2*pageWhen)
	}
	if r, err := Verify(t.Context(), o.Path, nil); err != nil || len(r.Problems) > 0 || r.Format != "2.0" {
		t.Errorf("format %s, problems %q, %v", r.Format, r.Problems, err)
	}
}

// Bars in pages answer as those in rows do, whatever part of them is asked for, in whatever order.
func TestBarsOfPagesInParts(t *testing.T) {
	src := newMemTape()
	secondsTape(src, 0, 1000)
	s := mustOpen(t, options(t))
	record(t, s, src)
	for _, symbol := range []market.Symbol{"SIM:A", "SIM:B"} {
		for _, v := range []market.Interval{market.Sec1(), {N: 15, Unit: market.UnitSecond}} {
			all := naive(src, symbol, v)
			for _, part := range [][2]int{{0, len(all)}, {1, 2}, {len(all) / 3, len(all)}, {0, len(all) / 2}, {len(all) / 4, len(all)/4 + 3}, {len(all) - 2, len(all)}} {
				for _, limit := range []int{1, 2, 63, 64, 65, 1 << 20} {
					for _, descending := range []bool{false, true} {
						q := market.BarQuery{Symbol: symbol, Interval: v, Limit: limit, Descending: descending, From: all[part[0]].Start, To: all[part[1]-1].End}
						got, _, err := s.Bars(t.Context(), q, nil)
						if err != nil {
							t.Fatal(err)
						}
						for i := range got {
							got[i].Rev, got[i].Final = 0, false
						}
						want := slices.Clone(all[part[0]:part[1]])
						if descending {
							slices.Reverse(want)
						}
						want = want[:min(limit, len(want))]
						if slices.EqualFunc(want, got, sameBar) {
							continue
						}
						if diff := cmp.Diff(want, got, exact, exactWide); diff != "" {
							t.Fatalf("%s bars of %s, %d to %d, limit %d, descending %t (-naive +got):\n%.3000s", v, symbol, part[0], part[1], limit, descending, diff)
						}
					}
				}
			}
		}
	}
}

// sameBar reports whether bars are the same but for how many zeros their sums end in.
func sameBar(a, b market.Bar) bool {
	if a.Volume.Cmp(b.Volume) != 0 || a.Turnover.Cmp(b.Turnover) != 0 {
		return false
	}
	a.Volume, a.Turnover = b.Volume, b.Turnover
	return a == b
}

// A page that is not what it should be is named, and no answer is made of it.
func TestDamagedPage(t *testing.T) {
	for name, statement := range map[string]string{
		"cut":           "UPDATE bar_pages SET data = substr(data, 1, length(data) - 1) WHERE id = 2",
		"other version": "UPDATE bar_pages SET data = x'63' || substr(data, 2) WHERE id = 2",
		"no bytes":      "UPDATE bar_pages SET data = 'text' WHERE id = 2",
		"moved":         "UPDATE bar_pages SET start = start + 1 WHERE id = 2",
	} {
		t.Run(name, func(t *testing.T) {
			src := newMemTape()
			secondsTape(src, 0, 500)
			o := options(t)
			recordOnce(t, o, src)
			edit(t, o.Path, statement)
			r, err := Verify(t.Context(), o.Path, nil)
			if err != nil || len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "page 2 of bars") {
				t.Errorf("problems %q, %v, want the page", r.Problems, err)
			}
			s := mustOpen(t, o)
			for _, symbol := range []market.Symbol{"SIM:A", "SIM:B"} {
				bars, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: symbol, Interval: market.Sec1(), Limit: 1 << 20}, nil)
				if err == nil && len(bars) < len(naive(src, symbol, market.Sec1())) {
					t.Errorf("%d bars of %s and no error", len(bars), symbol)
				}
			}
		})
	}
}

// A page that is written while another of its symbol is in memory is found by what comes later in the transaction: gaps, and late trades.
func TestNewPageIsFoundInItsTransaction(t *testing.T) {
	src := newMemTape()
	second := func(i int) market.Time { return start + market.Time(i)*market.Second }
	put := func(from, to int) {
		for i := from; i < to; i++ {
			src.Put("sim", trade("SIM:A", uint64(i+1), second(i), "187.42", "100"))
		}
	}
	put(0, 1000)
	o := options(t)
	recordOnce(t, o, src)
	last := number(t, userReads(t, o.Path, fmt.Sprintf("SELECT (max(last) - %d) / 1000000000 FROM bar_pages", int64(start)))[0])
	src.Put("sim", trade("SIM:A", 5001, second(int(last)), "187.40", "1")) // the last page is read
	put(1000, 2000)
	src.Put("sim", market.Gap{Symbol: "SIM:A", From: second(1100), To: second(1110), Reason: "line was down"}.Entry())
	src.Put("sim", trade("SIM:A", 5002, second(1200), "187.40", "1"))
	src.Put("sim", market.Gap{Symbol: "SIM:A", From: second(1300), To: second(1301), Reason: "line was down"}.Entry())
	recordOnce(t, o, src)
	same(t, allOf(t, src), dump(t, o.Path))
	s := mustOpen(t, o)
	bars, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: "SIM:A", Interval: market.Sec1(), Limit: 1 << 20}, nil)
	if err != nil || len(bars) != 2000 {
		t.Fatalf("%d bars, %v, want 2000", len(bars), err)
	}
	for i, b := range bars {
		if gappy := i >= 1100 && i < 1110 || i == 1300; b.Gappy != gappy {
			t.Errorf("bar %d is gappy: %t", i, b.Gappy)
		}
	}
	if bars[1200].Count != 2 || bars[last].Count != 2 {
		t.Errorf("%d and %d trades in the bars of late ones, want 2", bars[1200].Count, bars[last].Count)
	}
}

// The newest closed bars stay rows, from which a start reads what is closed, even where the rows that are moved at once end right before the open ones.
func TestNewestClosedBarsStayRows(t *testing.T) {
	src, o := newMemTape(), options(t)
	for i := range 520 {
		src.Put("sim", trade("SIM:A", uint64(i+1), start+market.Time(i)*market.Second, "187.42", "100"))
	}
	recordOnce(t, o, src)
	unpage(t, o.Path)
	closed := rowsOf(t, o.Path, "bar_rows WHERE interval = 1 AND final")
	edit(t, o.Path, fmt.Sprintf("DELETE FROM bar_rows WHERE interval = 1 AND final AND start < %d", int64(start+market.Time(closed-pageBacklog)*market.Second)))
	src.Put("sim", trade("SIM:A", 1000, start+200*market.Second, "187.42", "100"))
	recordOnce(t, o, src)
	if n := rowsOf(t, o.Path, "bar_pages"); n == 0 {
		t.Error("nothing was moved")
	}
	if n := rowsOf(t, o.Path, "bar_rows WHERE interval = 1 AND final"); n < pageKeep {
		t.Errorf("%d closed bars are rows, want %d at least", n, pageKeep)
	}
}
