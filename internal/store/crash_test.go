package store

import (
	"bufio"
	"context"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// dump returns all that a store holds, row by row, but for what belongs to the file and not to its content.
func dump(t testing.TB, path string) []string {
	t.Helper()
	var out []string
	for _, query := range []string{
		"SELECT * FROM symbols ORDER BY id", "SELECT * FROM forms ORDER BY id", "SELECT * FROM trade_rows", "SELECT * FROM quote_rows",
		"", "SELECT * FROM gaps ORDER BY position, through, since_ns", "SELECT * FROM feeds ORDER BY feed", "SELECT * FROM tape",
		"SELECT * FROM epochs",
	} {
		if query == "" {
			out = append(out, dumpBars(t, path)...)
			continue
		}
		out = append(out, userReads(t, path+"?mode=ro", query)...)
	}
	return out
}

// dumpBars returns the stored bars as if all were rows of bar_rows: which of them are in pages depends on how the tape was cut.
func dumpBars(t testing.TB, path string) []string {
	t.Helper()
	out := userReads(t, path+"?mode=ro", "SELECT * FROM bar_rows")
	for _, page := range userReads(t, path+"?mode=ro", "SELECT symbol, start, hex(data) FROM bar_pages") {
		part := strings.Split(page, "|")
		data, err := hex.DecodeString(part[2])
		if err != nil {
			t.Fatal(err)
		}
		symbol, at := number(t, part[0]), number(t, part[1])
		bars, err := takePage(nil, "X", market.Time(at), data)
		if err != nil {
			t.Fatal(err)
		}
		for i := range bars {
			values := make([]driver.NamedValue, barColumnCount)
			barValues(values, symbol, &bars[i])
			line := make([]string, len(values))
			for j := range values {
				line[j] = fmt.Sprint(values[j].Value)
			}
			out = append(out, strings.Join(line, "|"))
		}
	}
	key := func(line string) [3]int64 {
		part := strings.SplitN(line, "|", 4)
		return [3]int64{number(t, part[0]), number(t, part[1]), number(t, part[2])}
	}
	slices.SortFunc(out, func(a, b string) int {
		k, l := key(a), key(b)
		return slices.Compare(k[:], l[:])
	})
	for i := 1; i < len(out); i++ {
		if key(out[i-1]) == key(out[i]) {
			t.Errorf("a bar is stored twice:\n%s\n%s", out[i-1], out[i])
		}
	}
	return out
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// same holds what one store holds to what another does.
func same(t testing.TB, want, got []string) {
	t.Helper()
	if slices.Equal(want, got) {
		return // comparing in detail takes seconds
	}
	t.Errorf("rows (-want +got):\n%.5000s", cmp.Diff(want, got))
}

// allOf records a whole tape at once into a new store and returns what it holds.
func allOf(t testing.TB, src *tapetest.Memory) []string {
	t.Helper()
	o := options(t)
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dump(t, o.Path)
}

// busyTape is a tape of two feeds with late ticks and gaps.
func busyTape(seed uint64, batches int) *tapetest.Memory {
	src := newMemTape()
	coin := newTraffic(seed, "coinbase", "COINBASE:BTC-USD", "COINBASE:ETH-USD", "COINBASE:SOL-USD")
	iex := newTraffic(seed+1, "alpaca", "ALPACA:AAPL", "ALPACA:SPY")
	for range batches {
		coin.fill(src, 1)
		if coin.rand.IntN(2) == 0 {
			iex.fill(src, 1)
		}
	}
	return src
}

// However the tape is cut by restarts and transactions, the same rows come out: bars, revisions and marks among them.
func TestRestartsLeaveNoTrace(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			src := busyTape(seed, 60)
			want := allOf(t, src)
			o := options(t)
			rnd := rand.New(rand.NewPCG(seed, 1))
			for last, p := src.Bounds().Last, tape.Position(0); p < last; {
				p = min(last, p+1+tape.Position(rnd.IntN(40)))
				s, err := Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				r := NewRecorder(s, src)
				r.ticks = 1 + rnd.IntN(200)
				r.onCommit = func(at tape.Position) {
					if at >= p {
						cancel()
					}
				}
				if err := r.Run(ctx); err != nil {
					t.Fatal(err)
				}
				cancel()
				_, p = s.Applied()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			same(t, want, dump(t, o.Path))
		})
	}
}

// The environment of the child process of TestKill.
const (
	childPath = "TAPEDECK_TEST_STORE"
	childSeed = "TAPEDECK_TEST_SEED"
)

// TestKillChild is the process that TestKill kills.
func TestKillChild(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("runs as a child of TestKill")
	}
	seed, err := strconv.ParseUint(os.Getenv(childSeed), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	src := killedTape(seed)
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(s, src)
	r.ticks = 50
	if seed == packingSeed {
		r.ticks = 300
	}
	r.onCommit = func(p tape.Position) { fmt.Println("committed", p) }
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const (
	killBatches = 100

	// packingSeed is that of the tape of TestKillWhilePacking.
	packingSeed = 1000
)

// killedTape is what the process records that is killed.
func killedTape(seed uint64) *tapetest.Memory {
	if seed == packingSeed {
		return pagesTape(seed, 40)
	}
	return busyTape(seed, killBatches)
}

// A process that is killed at any moment leaves a file from which the next one goes on, and in the end every row is there once.
func TestKill(t *testing.T) {
	kills := 5
	if testing.Short() {
		kills = 3
	}
	const seed = 42
	src := busyTape(seed, killBatches)
	want := allOf(t, src)
	o := options(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range kills {
		killOnce(t, o.Path, seed, 1+rnd.IntN(6))
	}
	s := mustOpen(t, o)
	_, p := s.Applied()
	if p == 0 || p == src.Bounds().Last {
		t.Fatalf("killed at position %d of %d: not in the middle", p, src.Bounds().Last)
	}
	record(t, s, src)
	same(t, want, dump(t, o.Path))
}

// killOnce runs a recorder in a process of its own and kills it after so many commits, in the middle of the next.
func killOnce(t *testing.T, path string, seed uint64, commits int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), childPath+"="+path, childSeed+"="+strconv.FormatUint(seed, 10))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for lines := bufio.NewScanner(out); seen < commits && lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "committed") {
			t.Errorf("child: %s", lines.Text())
			break
		}
		seen++
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil || seen < commits {
		t.Errorf("the child ended after %d commits: %v", seen, err)
	}
}

// Bars are what one gets by going through all trades and not caring about their order.
func TestBarsAgainstAllTrades(t *testing.T) {
	src := busyTape(9, 60)
	s := mustOpen(t, options(t))
	record(t, s, src)
	for _, symbol := range []market.Symbol{"COINBASE:BTC-USD", "COINBASE:SOL-USD"} {
		for _, v := range []market.Interval{
			market.Sec1(), market.Min1(), market.Hour1(), market.Day1(),
			{N: 5, Unit: market.UnitSecond},
			{N: 7, Unit: market.UnitMinute},
			{N: 4, Unit: market.UnitHour},
		} {
			got, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: symbol, Interval: v, Limit: 1 << 20}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i].Rev, got[i].Final, got[i].Gappy = 0, false, false
			}
			if diff := cmp.Diff(naive(src, symbol, v), got, exact, exactWide); diff != "" {
				t.Errorf("%s bars of %s (-naive +got):\n%s", v, symbol, diff)
			}
		}
	}
}

// exactWide compares sums by their text.
var exactWide = cmp.Comparer(func(a, b market.Wide) bool { return a.Cmp(b) == 0 })

// naive makes bars of all trades on the tape, as of a venue without a calendar and without rules.
func naive(src *tapetest.Memory, symbol market.Symbol, v market.Interval) []market.Bar {
	length, ok := v.Fixed()
	if !ok {
		length = 24 * market.Hour
	}
	bars := map[market.Time]*market.Bar{}
	var starts []market.Time
	for _, rec := range src.Records() {
		for _, e := range rec.Entries {
			if e.Kind != market.KindTrade || e.Symbol != symbol {
				continue
			}
			start := e.Event.Floor(length)
			b := bars[start]
			if b == nil {
				b = &market.Bar{
					Symbol: symbol, Interval: v, Start: start, End: start + length, Priced: true, High: e.Price, Low: e.Price,
					FirstSeq: e.Seq, OpenAt: e.Event + 1,
				}
				bars[start] = b
				starts = append(starts, start)
			}
			if e.Event < b.OpenAt {
				b.Open, b.OpenAt, b.OpenSeq = e.Price, e.Event, e.Seq
			}
			if b.CloseSeq == 0 || e.Event >= b.CloseAt {
				b.Close, b.CloseAt, b.CloseSeq = e.Price, e.Event, e.Seq
			}
			if c := e.Price.Cmp(b.High); c > 0 || c == 0 && e.Price.Exp() < b.High.Exp() {
				b.High = e.Price
			}
			if c := e.Price.Cmp(b.Low); c < 0 || c == 0 && e.Price.Exp() < b.Low.Exp() {
				b.Low = e.Price
			}
			b.FirstSeq, b.LastSeq = min(b.FirstSeq, e.Seq), max(b.LastSeq, e.Seq)
			b.Count++
			product, _ := market.Product(e.Price, e.Size)
			b.Turnover, _ = b.Turnover.Add(product)
			b.Volume, _ = b.Volume.Add(market.WideOf(e.Size))
		}
	}
	slices.Sort(starts)
	out := make([]market.Bar, len(starts))
	for i, start := range starts {
		out[i] = *bars[start]
	}
	return out
}
