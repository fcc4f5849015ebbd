package replay_test

import (
	"bufio"
	"compress/gzip"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/replay"
	"tapedeck/internal/layout/layouttest"
	"tapedeck/internal/market"
)

// open makes the source of a URL.
func open(t testing.TB, url string, start feed.Start) feed.Source {
	t.Helper()
	reg := feed.NewRegistry(replay.Adapter())
	u, err := reg.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	if start.Log == nil {
		start.Log = slog.New(slog.DiscardHandler)
	}
	src, err := reg.Open(u, start)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestRecordedFilesExactly plays every recorded file of trades and compares it with the independent reading.
func TestRecordedFilesExactly(t *testing.T) {
	files := append(layouttest.Files(t, "trades/*.csv.gz"), layouttest.Files(t, "sp500*.csv")...)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if info, err := os.Stat(path); testing.Short() && err == nil && info.Size() > 100_000 {
				t.Skip("large")
			}
			want := layouttest.Read(t, path)
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			var sink feedtest.Sink
			if err := open(t, "replay://"+abs+"?speed=max", feed.Start{}).Run(t.Context(), &sink); err != nil {
				t.Fatal(err)
			}
			got := sink.Entries(market.KindTrade)
			if len(got) != want.Rows || len(sink.Entries()) != want.Rows {
				t.Fatalf("got %d trades and %d entries in all, want %d", len(got), len(sink.Entries()), want.Rows)
			}
			if first, last := got[0].Event.Std(), got[len(got)-1].Event.Std(); !first.Equal(want.First) || !last.Equal(want.Last) {
				t.Errorf("got times %v to %v, want %v to %v", first, last, want.First, want.Last)
			}
			var turnover market.Wide
			var nanos layouttest.Nanos
			for i := range got {
				p, err := market.Product(got[i].Price, got[i].Size)
				if err != nil {
					t.Fatal(err)
				}
				if turnover, err = turnover.Add(p); err != nil {
					t.Fatal(err)
				}
				nanos.Add(int64(got[i].Event))
			}
			if !want.Sized {
				want.Sum = new(big.Rat)
			}
			if sum, ok := new(big.Rat).SetString(turnover.String()); !ok || sum.Cmp(want.Sum) != 0 {
				t.Errorf("got Σ price × size %s, want %s", turnover, want.Sum.FloatString(20))
			}
			if nanos != want.Nanos {
				t.Errorf("got Σ times %+v, want %+v", nanos, want.Nanos)
			}
			for i, sample := range want.Samples {
				e := got[i*layouttest.Every]
				if e.Price.String() != sample.Price && !strings.ContainsAny(sample.Price, "eE") {
					t.Errorf("trade %d: got price %s, want %s", i*layouttest.Every, e.Price, sample.Price)
				}
				if want.Sized && e.Size.String() != sample.Size && !strings.ContainsAny(sample.Size, "eE") {
					t.Errorf("trade %d: got size %s, want %s", i*layouttest.Every, e.Size, sample.Size)
				}
			}
		})
	}
}

// TestRecordedQuotes plays the recorded files of quotes but for the largest: each row is a quote.
func TestRecordedQuotes(t *testing.T) {
	for _, path := range layouttest.Files(t, "quotes/*.csv.gz") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if info, err := os.Stat(path); err == nil && info.Size() > 600_000 {
				t.Skip("large")
			}
			lines := countLines(t, path)
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			var sink feedtest.Sink
			if err := open(t, "replay://"+abs+"?speed=max", feed.Start{}).Run(t.Context(), &sink); err != nil {
				t.Fatal(err)
			}
			got := sink.Entries(market.KindQuote)
			if bad := sink.Drops("bad_row"); len(got)+bad != lines-1 || bad > 0 {
				t.Errorf("got %d quotes and %d bad rows, want %d rows", len(got), bad, lines-1)
				for _, e := range sink.Entries(market.KindGap) {
					t.Log(e.Text)
				}
			}
		})
	}
}

func countLines(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s := bufio.NewScanner(z); s.Scan(); {
		n++
	}
	return n
}
