package store

import (
	"context"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// TestLedgerKeepsWhatAnEarlierFileSaid has a file go backwards from the very second at which a span of another file begins, which the
// recorder has forgotten.
func TestLedgerKeepsWhatAnEarlierFileSaid(t *testing.T) {
	const s, past = "SIM:A", market.FlagImported | market.FlagHistory
	src, o := newMemTape(), options(t)
	st := reopened(t, nil, o)
	src.Put("import-1", flagged(s, 1, 0, 20_000, past), flagged(s, 2, 20, 20_000, past), flagged(s, 3, 10_000, 20_000, past))
	record(t, st, src)
	src.Put("import-2", flagged(s, 4, 0, 30_000, past))
	src.Put("import-2", flagged(s, 5, -5, 30_000, past))
	last := src.Bounds().Last
	r := NewRecorder(st, src)
	r.ticks = 1 // each in a transaction of its own
	ctx, cancel := context.WithCancel(t.Context())
	r.onCommit = func(p tape.Position) {
		if p >= last {
			cancel()
		}
	}
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{"4 -5-21", "4 10000-10001"}, evidence(t, st, s)); diff != "" {
		t.Error(diff)
	}
	first := market.Time(0)
	for _, e := range evidenceOf(t, st, s) {
		if e.From <= at(0) && e.To > at(20) && (first == 0 || e.Known < first) {
			first = e.Known
		}
	}
	if first != at(20_000) {
		t.Errorf("what the first file brought is known since %s, want %s", first, at(20_000))
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// TestLedgerTakesNoBarThatIsRefused has a bar that cannot be stored: nothing is known of its time by it.
func TestLedgerTakesNoBarThatIsRefused(t *testing.T) {
	src, st := newMemTape(), mustOpen(t, options(t))
	bar := market.Bar{
		Symbol: "SIM:A", Interval: market.Day1(), Start: -90_000 * 24 * market.Hour, End: -90_000*24*market.Hour + 24*market.Hour,
		Open: dec("1"), High: dec("2"), Low: dec("1"), Close: dec("2"), Priced: true, Imported: true,
	}
	e := bar.Entry()
	e.Received = start
	src.Put("import-1", e)
	record(t, st, src)
	for table, want := range map[string]int{"imported_bar_rows": 0, "coverage_rows": 0, "gap_rows": 1} {
		var n int
		if err := st.readers.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
}
