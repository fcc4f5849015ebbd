package store

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
)

// randomBars returns closed bars of 1 s as they may be: most of one trade, some of several, a few of an odd kind.
func randomBars(rng *rand.Rand, n int) []market.Bar {
	bars := make([]market.Bar, 0, n)
	at, seq, price := start.Floor(market.Second), uint64(rng.IntN(1000)), int64(18_742)
	dec := func(coef int64, exp int) market.Decimal {
		d, err := market.NewDecimal(coef, exp)
		if err != nil {
			panic(err)
		}
		return d
	}
	unit := [...]market.Time{1, 1000, 1_000_000, 1e9}[rng.IntN(4)]
	for range n {
		at += market.Second * market.Time(1+rng.IntN(20))
		exp := -2
		if rng.IntN(20) == 0 {
			exp = rng.IntN(20) - 15
		}
		price += rng.Int64N(9) - 4
		size := dec(1+rng.Int64N(500), -rng.IntN(3))
		b := market.Bar{
			Symbol: "SIM:A", Interval: market.Sec1(), Start: at, End: at + market.Second, Final: true, Priced: true,
			Open: dec(price, exp), Volume: market.WideOf(size), Count: 1, Gappy: rng.IntN(9) == 0,
		}
		seq++
		b.High, b.Low, b.Close = b.Open, b.Open, b.Open
		b.OpenAt = at + (market.Time(rng.Int64N(1e9)) / unit * unit)
		b.CloseAt, b.FirstSeq, b.LastSeq, b.OpenSeq, b.CloseSeq = b.OpenAt, seq, seq, seq, seq
		b.Turnover, _ = market.Product(b.Open, size)
		if rng.IntN(3) == 0 {
			more := 1 + rng.Uint64N(5)
			b.Count += more
			seq += more
			b.LastSeq, b.CloseSeq = seq, seq-rng.Uint64N(more+1)
			b.High, b.Low, b.Close = dec(price+rng.Int64N(5), exp), dec(price-rng.Int64N(5), exp), dec(price+rng.Int64N(3)-1, -2)
			b.CloseAt = b.OpenAt + market.Time(rng.Int64N(1e9))/unit*unit
			b.Turnover, _ = b.Turnover.Add(b.Volume)
		}
		switch rng.IntN(40) {
		case 0: // only trades that set no price
			b.Open, b.High, b.Low, b.Close, b.OpenAt, b.CloseAt, b.OpenSeq, b.CloseSeq, b.Priced = dec(0, 0), dec(0, 0), dec(0, 0), dec(0, 0), 0, 0, 0, 0, false
		case 1: // the close stands for the open
			b.CloseAt, b.CloseSeq = 0, 0
		case 2:
			b.Rev = rng.Uint32()
		case 3:
			b.Volume, _ = market.ParseWide("123456789012345678901234567890.12345678")
			b.Turnover, _ = market.ParseWide("-98765432109876543210987654.3")
		case 4:
			b.FirstSeq, b.LastSeq, b.OpenSeq, b.Count = math.MaxUint64, 0, 7, math.MaxUint64
			b.Open, b.Low = dec(math.MaxInt64, 40), dec(-math.MaxInt64, -40)
		}
		bars = append(bars, b)
	}
	return bars
}

// allFields compares bars digit by digit; of sums, by how they are spelled.
var allFields = cmp.Comparer(func(a, b market.Bar) bool {
	if a.Volume.String() != b.Volume.String() || a.Turnover.String() != b.Turnover.String() {
		return false
	}
	a.Volume, a.Turnover = b.Volume, b.Turnover
	return a == b
})

func TestPageGivesBackItsBars(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		want := randomBars(rng, 1+rng.IntN(100))
		for i := range want {
			if !pageable(&want[i]) {
				t.Fatalf("not pageable: %+v", want[i])
			}
		}
		data := appendPage(nil, want)
		got, err := takePage(nil, "SIM:A", want[0].Start, data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, allFields); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// The bars of seconds with a single trade are what makes up a market's store: each costs little.
func TestPageIsSmall(t *testing.T) {
	var bars []market.Bar
	rng := rand.New(rand.NewPCG(5, 5))
	for _, b := range randomBars(rng, 400) {
		if appendedFlags(&b)&barSingle != 0 && b.Rev == 0 {
			bars = append(bars, b)
		}
	}
	bars = bars[:pageBars]
	if got := float64(len(appendPage(nil, bars))) / pageBars; got > 15 {
		t.Errorf("%.1f bytes a bar of one trade, want 15 at most", got)
	}
}

func appendedFlags(b *market.Bar) byte {
	h := pageHeadOf([]market.Bar{*b})
	flags, _, _ := pagedFlags(&h, b)
	return flags
}

func FuzzBarPage(f *testing.F) {
	for seed := range uint64(6) {
		bars := randomBars(rand.New(rand.NewPCG(seed, 2)), 1+int(seed)*4)
		f.Add(int64(bars[0].Start), appendPage(nil, bars))
	}
	f.Add(int64(0), []byte{pageVersion, 0, 0, 0, 9, 1})
	f.Add(int64(math.MaxInt64/1e9*1e9), []byte{pageVersion, 0, 0, 0, 0, 1, barSingle, 2, 2, 0, 0})
	f.Fuzz(func(t *testing.T, start int64, data []byte) {
		bars, err := takePage(nil, "SIM:A", market.Time(start), data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || len(bars) > 0 {
				t.Fatalf("%d bars and %v, want none and ErrCorrupt", len(bars), err)
			}
			return
		}
		again, err := takePage(nil, "SIM:A", bars[0].Start, appendPage(nil, bars))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(bars, again, allFields); diff != "" {
			t.Fatalf("written and read again (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkTakePage(b *testing.B) {
	bars := randomBars(rand.New(rand.NewPCG(1, 1)), pageBars)
	data := appendPage(nil, bars)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if bars, err = takePage(bars[:0], "SIM:A", bars[0].Start, data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*pageBars), "ns/bar")
	b.ReportMetric(float64(len(data))/pageBars, "B/bar")
}
