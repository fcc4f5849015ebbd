package store

import (
	"testing"

	"tapedeck/internal/market"
)

// openBars returns how many stored bars are not final.
func openBars(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.readers.QueryRowContext(t.Context(), "SELECT count(*) FROM bar_rows WHERE final = 0").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// over is the end of a file whose bars are over, as far as the file can tell at that moment.
func over(at market.Time) market.Entry { return history(heartbeat(at)) }

// TestAFeedClosesTheBarsOfAFile has a file end in the middle of a day that a live feed goes on with.
func TestAFeedClosesTheBarsOfAFile(t *testing.T) {
	for _, again := range []bool{false, true} {
		src, o := newMemTape(), options(t)
		s := reopened(t, nil, o)
		src.Put("import-1", history(trade(coin, 1, start, "1", "1")), over(start+2*market.Second))
		record(t, s, src)
		if again {
			s = reopened(t, s, o)
		}
		src.Put("live", trade(coin, 2, start+30*market.Second, "2", "1"))
		src.Put("live", heartbeat(start+5*24*market.Hour))
		record(t, s, src)
		if n := openBars(t, s); n != 0 {
			t.Errorf("again %v: %d bars are open five days later", again, n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBarsCloseAcrossARestart stops the recorder in the middle of a file, of whose time the feed of the symbol knows more than of
// its trades.
func TestBarsCloseAcrossARestart(t *testing.T) {
	for _, again := range []bool{false, true} {
		src, o := newMemTape(), options(t)
		s := reopened(t, nil, o)
		src.Put("live", trade(coin, 1, start, "1", "1"), heartbeat(start+5*24*market.Hour))
		src.Put("import-1", history(trade(coin, 2, start+24*market.Hour, "2", "1")))
		record(t, s, src)
		if again {
			s = reopened(t, s, o)
		}
		src.Put("import-1", over(start+6*24*market.Hour))
		record(t, s, src)
		if n := openBars(t, s); n != 0 {
			t.Errorf("again %v: %d bars are open a day later", again, n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
