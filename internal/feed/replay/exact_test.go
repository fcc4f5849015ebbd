package replay_test

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
	"tapedeck/internal/feed/replay"
	"tapedeck/internal/market"
)

// shared is the folder of recorded market data that stands beside the repository on the machines that have it.
const shared = "../../../../shared/data"

func sharedFiles(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no recorded data in %s", shared)
	}
	return files
}

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

// expect is what an independent reading of a file gives: encoding/csv, math/big and package time.
type expect struct {
	rows        int
	first, last time.Time
	turnover    *big.Rat // Σ price × size
	nanos       *big.Int // Σ time
	text        []string // price and size as written, of some rows
}

// columns of the recorded files: time, price, size. Negative is none.
var columnsOf = map[string][3]int{
	"ts_ns,event_ts_ms": {0, 5, 6}, "TimestampOfReceive": {4, 7, 8}, "ts_ns,symbol": {0, 2, 3}, "time_seconds": {0, 1, 2},
	`"symbol","side"`: {4, 2, 3}, `"timestamp","id"`: {0, 4, -1}, "1315922016,": {0, 1, 2}, "timestamp,price": {0, 1, -1},
	"date,price": {0, 1, -1},
}

func readIndependently(t *testing.T, path string) expect {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	br := bufio.NewReader(r)
	head, err := br.Peek(20)
	if err != nil {
		t.Fatal(err)
	}
	col, found := [3]int{}, false
	for prefix, c := range columnsOf {
		if strings.HasPrefix(string(head), prefix) {
			col, found = c, true
		}
	}
	if !found {
		t.Fatalf("%s: unknown header %q", path, head)
	}
	x := expect{turnover: new(big.Rat), nanos: new(big.Int)}
	rows := csv.NewReader(br)
	rows.ReuseRecord = true
	if head[0] < '0' || head[0] > '9' {
		if _, err := rows.Read(); err != nil {
			t.Fatal(err)
		}
	}
	var product, price, size big.Int
	sums := make(map[int]*big.Int) // by decimal places
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			for places, sum := range sums {
				ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(places, -places))), nil)
				if places < 0 {
					x.turnover.Add(x.turnover, new(big.Rat).SetInt(ten.Mul(ten, sum)))
				} else {
					x.turnover.Add(x.turnover, new(big.Rat).SetFrac(sum, ten))
				}
			}
			return x
		}
		if err != nil {
			t.Fatal(err)
		}
		at := parseIndependently(t, row[col[0]])
		if x.rows == 0 {
			x.first = at
		}
		x.last = at
		x.rows++
		x.nanos.Add(x.nanos, new(big.Int).SetInt64(at.UnixNano()))
		places := parts(t, &price, row[col[1]])
		text := row[col[1]]
		if col[2] >= 0 {
			places += parts(t, &size, row[col[2]])
			if sums[places] == nil {
				sums[places] = new(big.Int)
			}
			sums[places].Add(sums[places], product.Mul(&price, &size))
			text += " " + row[col[2]]
		}
		if x.rows%97 == 1 && len(x.text) < 2000 {
			x.text = append(x.text, strings.Clone(text))
		}
	}
}

func parseIndependently(t *testing.T, s string) time.Time {
	t.Helper()
	whole, fraction, _ := strings.Cut(s, ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		unit := int64(1e9)
		for limit := int64(1e11); n >= limit && unit > 1; limit *= 1000 {
			unit /= 1000
		}
		n *= unit
		if fraction != "" {
			f, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
			if err != nil {
				t.Fatalf("time %q", s)
			}
			n += f * unit / 1e9
		}
		return time.Unix(0, n).UTC()
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02", "Jan 2 2006"} {
		if at, err := time.Parse(form, s); err == nil {
			return at
		}
	}
	t.Fatalf("time %q", s)
	return time.Time{}
}

// parts reads a decimal number as digits × 10^-places.
func parts(t *testing.T, digits *big.Int, s string) (places int) {
	t.Helper()
	s, exponent, ok := strings.Cut(s, "E")
	if ok {
		e, err := strconv.Atoi(exponent)
		if err != nil {
			t.Fatalf("number %q", s)
		}
		places = -e
	}
	if whole, fraction, ok := strings.Cut(s, "."); ok {
		s = whole + fraction
		places += len(fraction)
	}
	if _, ok := digits.SetString(s, 10); !ok {
		t.Fatalf("number %q", s)
	}
	return places
}

// TestRecordedFilesExactly plays every recorded file of trades and compares it with the independent reading.
func TestRecordedFilesExactly(t *testing.T) {
	files := append(sharedFiles(t, "trades/*.csv.gz"), sharedFiles(t, "sp500*.csv")...)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if info, err := os.Stat(path); testing.Short() && err == nil && info.Size() > 100_000 {
				t.Skip("large")
			}
			want := readIndependently(t, path)
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			var sink feedtest.Sink
			if err := open(t, "replay://"+abs+"?speed=max", feed.Start{}).Run(t.Context(), &sink); err != nil {
				t.Fatal(err)
			}
			got := sink.Entries(market.KindTrade)
			if len(got) != want.rows || len(sink.Entries()) != want.rows {
				t.Fatalf("got %d trades and %d entries in all, want %d", len(got), len(sink.Entries()), want.rows)
			}
			if first, last := got[0].Event.Std(), got[len(got)-1].Event.Std(); !first.Equal(want.first) || !last.Equal(want.last) {
				t.Errorf("got times %v to %v, want %v to %v", first, last, want.first, want.last)
			}
			var turnover market.Wide
			nanos := new(big.Int)
			for i := range got {
				p, err := market.Product(got[i].Price, got[i].Size)
				if err != nil {
					t.Fatal(err)
				}
				if turnover, err = turnover.Add(p); err != nil {
					t.Fatal(err)
				}
				nanos.Add(nanos, big.NewInt(int64(got[i].Event)))
			}
			if sum, ok := new(big.Rat).SetString(turnover.String()); !ok || sum.Cmp(want.turnover) != 0 {
				t.Errorf("got Σ price × size %s, want %s", turnover, want.turnover.FloatString(20))
			}
			if nanos.Cmp(want.nanos) != 0 {
				t.Errorf("got Σ times %s, want %s", nanos, want.nanos)
			}
			for i, text := range want.text {
				e := got[i*97]
				price, size, sized := strings.Cut(text, " ")
				if e.Price.String() != price && !strings.ContainsAny(price, "eE") {
					t.Errorf("trade %d: got price %s, want %s", i*97, e.Price, price)
				}
				if sized && e.Size.String() != size && !strings.ContainsAny(size, "eE") {
					t.Errorf("trade %d: got size %s, want %s", i*97, e.Size, size)
				}
			}
		})
	}
}

// TestRecordedQuotes plays the recorded files of quotes but for the largest: each row is a quote.
func TestRecordedQuotes(t *testing.T) {
	for _, path := range sharedFiles(t, "quotes/*.csv.gz") {
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
