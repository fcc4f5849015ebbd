package tape_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

func dec(t testing.TB, s string) market.Decimal {
	t.Helper()
	d, err := market.ParseDecimal(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sample(t testing.TB) *tape.Batch {
	t0 := market.Time(1_723_161_254_087_896_568)
	return &tape.Batch{Feed: "binance", Offset: []byte("row 7"), Entries: []market.Entry{
		{Kind: market.KindTrade, Symbol: "BINANCE:BTCUSDT", Seq: 1042, Event: t0, Received: t0 + 12345, Price: dec(t, "61837.63000000"), Size: dec(t, "0.02000000"), Side: market.SideSell, ID: 3735683259},
		{Kind: market.KindTrade, Symbol: "BINANCE:BTCUSDT", Seq: 1043, Event: t0 + 5, Received: t0 + 12345, Price: dec(t, "61837.62"), Size: dec(t, "1"), Side: market.SideBuy, ID: 3735683260, Conditions: "@,F", Tape: 'C', Exchange: "V"},
		{Kind: market.KindQuote, Symbol: "BINANCE:BTCUSDT", Seq: 7, Event: t0 + 6, Received: t0 + 12346, Price: dec(t, "61837.60"), Size: dec(t, "3"), Ask: dec(t, "61837.65"), AskSize: dec(t, "0.5"), Exchange: "V", AskFrom: "Q"},
		{Kind: market.KindTrade, Symbol: "BINANCE:ÉTÉ", Seq: 1, Event: t0 - 1e15, Received: t0, Price: dec(t, "-37.63"), Size: dec(t, "0"), Ref: "498350a3-8c03-affd"},
		{Kind: market.KindGap, Event: t0, Until: t0 + 1e9, Text: "connection lost", Flags: market.FlagDamage, Seq: 12},
		{Kind: market.KindStatus, Symbol: "BINANCE:BTCUSDT", Event: t0, State: market.StateStale, Text: "silent"},
		{Kind: market.KindHeartbeat, Event: t0 + 7, Received: t0 + 8},
		{Kind: market.KindAlarm, Symbol: "BINANCE:BTCUSDT", Event: t0, Seq: 1043, Price: dec(t, "61837.62"), Text: "2.13% move!"},
	}}
}

// TestBarsRoundTrip has bars among trades of the same symbol, with which they share what differences are told from.
func TestBarsRoundTrip(t *testing.T) {
	b := sample(t)
	bar := market.Bar{
		Symbol: "BINANCE:BTCUSDT", Interval: market.Min1(), Start: 1_723_161_240 * market.Second, End: 1_723_161_300 * market.Second,
		Open: dec(t, "61837.60"), High: dec(t, "61840"), Low: dec(t, "61830.5"), Close: dec(t, "61837.63"), Count: 17,
	}
	var err error
	if bar.Volume, err = market.ParseWide("123456789012345678901234.5678"); err != nil {
		t.Fatal(err)
	}
	b.Entries = append(b.Entries, bar.Entry(), b.Entries[1], bar.Entry())
	got := decode(t, encode(t, 7, b)).Entries
	if diff := cmp.Diff(b.Entries, got, equalDecimals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := got[len(got)-1].Bar()
	bar.Final, bar.Priced, bar.Imported = true, true, true
	if err != nil || again != bar {
		t.Errorf("the bar came back as %+v, %v", again, err)
	}
}

func encode(t testing.TB, ordinal uint64, b *tape.Batch) []byte {
	t.Helper()
	var e tape.Encoder
	data, err := e.Append(nil, ordinal, b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t testing.TB, data []byte) tape.Record {
	t.Helper()
	var (
		d   tape.Decoder
		rec tape.Record
	)
	if err := d.Decode(data, &rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

var equalDecimals = cmp.Comparer(func(a, b market.Decimal) bool { return a == b })

func TestRecordRoundTrip(t *testing.T) {
	b := sample(t)
	rec := decode(t, encode(t, 99, b))
	if rec.Ordinal != 99 {
		t.Errorf("got ordinal %d, want 99", rec.Ordinal)
	}
	if diff := cmp.Diff(*b, rec.Batch, equalDecimals); diff != "" {
		t.Errorf("batch changed (-want +got):\n%s", diff)
	}
}

func TestRecordRoundTripOfExtremes(t *testing.T) {
	extreme := []int64{0, 1, -1, math.MaxInt64, math.MinInt64 + 1, 1e18, -1e18}
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func() int64 { return extreme[rng.IntN(len(extreme))] }
	number := func() market.Decimal {
		d, err := market.NewDecimal(pick(), rng.IntN(market.MaxExp-market.MinExp+1)+market.MinExp)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for range 200 {
		b := &tape.Batch{Feed: "f", Entries: make([]market.Entry, rng.IntN(40))}
		for i := range b.Entries {
			b.Entries[i] = market.Entry{
				Kind: market.Kind(1 + rng.IntN(6)), Side: market.Side(rng.IntN(3)), Flags: market.Flags(rng.IntN(256)), State: market.State(rng.IntN(6)),
				Tape: byte(rng.IntN(256)), Symbol: market.Symbol(fmt.Sprint("V:", rng.IntN(5))), Seq: uint64(pick()), Event: market.Time(pick()),
				Received: market.Time(pick()), Until: market.Time(pick()), Price: number(), Size: number(), Ask: number(), AskSize: number(),
				ID: uint64(pick()), Ref: fmt.Sprint(rng.IntN(3)), Exchange: strings.Repeat("x", rng.IntN(3)), Text: "t",
			}
		}
		rec := decode(t, encode(t, math.MaxUint64, b))
		if diff := cmp.Diff(b.Entries, rec.Entries, equalDecimals); diff != "" && len(b.Entries) > 0 {
			t.Fatalf("entries changed (-want +got):\n%s", diff)
		}
	}
}

func TestDecodeFindsEveryFlippedBit(t *testing.T) {
	data := encode(t, 5, sample(t))
	var (
		d   tape.Decoder
		rec tape.Record
	)
	for bit := range 8 * len(data) {
		damaged := bytes.Clone(data)
		damaged[bit/8] ^= 1 << (bit % 8)
		if err := d.Decode(damaged, &rec); !errors.Is(err, tape.ErrCorrupt) {
			t.Fatalf("bit %d flipped: got error %v, want ErrCorrupt", bit, err)
		}
	}
	for n := range data {
		if err := d.Decode(data[:n], &rec); !errors.Is(err, tape.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: got error %v, want ErrCorrupt", n, err)
		}
	}
}

// TestRecordFormat holds the bytes of version 1: tapes that users have must stay readable.
func TestRecordFormat(t *testing.T) {
	const golden = "08011207" + "62696e616e6365" // the rest is compared after decoding
	data := encode(t, 5, sample(t))
	if got := hex.EncodeToString(data[:len(golden)/2]); got != golden {
		t.Errorf("record begins with %s, want %s", got, golden)
	}
	old, err := hex.DecodeString(recordV1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*sample(t), decode(t, old).Batch, equalDecimals); diff != "" {
		t.Errorf("a record of format 1 reads differently (-want +got):\n%s", diff)
	}
}

func TestRecordIsSmall(t *testing.T) {
	b := stream(1024)
	perTick := float64(len(encode(t, 0, b))) / float64(len(b.Entries))
	if perTick > 14 {
		t.Errorf("got %.1f bytes a tick, want 14 at most", perTick)
	}
}

func TestEncoderRefusesTooMany(t *testing.T) {
	var e tape.Encoder
	_, err := e.Append(nil, 0, &tape.Batch{Entries: make([]market.Entry, tape.MaxEntries+1)})
	if !errors.Is(err, tape.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestEncoderDoesNotAllocate(t *testing.T) {
	b := stream(256)
	var e tape.Encoder
	buf := encode(t, 0, b)
	allocs := testing.AllocsPerRun(100, func() {
		var err error
		if buf, err = e.Append(buf[:0], 1, b); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("got %v allocations a batch, want none", allocs)
	}
}

// stream makes a batch of trades and quotes as a live venue sends them.
func stream(n int) *tape.Batch {
	rng := rand.New(rand.NewPCG(7, 7))
	symbols := []market.Symbol{"SIM:AAPL", "SIM:MSFT", "SIM:NVDA", "SIM:BTC-USD"}
	seq := make([]uint64, 2*len(symbols))
	price := []int64{18742, 41200, 12345, 6180000}
	now := market.Time(1_790_000_000_000_000_000)
	b := &tape.Batch{Feed: "sim", Entries: make([]market.Entry, n)}
	for i := range b.Entries {
		s := rng.IntN(len(symbols))
		price[s] += int64(rng.IntN(5)) - 2
		now += market.Time(rng.IntN(200_000))
		p, _ := market.NewDecimal(price[s], -2)
		size, _ := market.NewDecimal(int64(1+rng.IntN(5))*100, 0)
		e := market.Entry{Symbol: symbols[s], Event: now, Received: now, Price: p, Size: size, Kind: market.KindTrade, Side: market.SideBuy, ID: uint64(i)}
		if rng.IntN(2) == 0 {
			e.Kind = market.KindQuote
			e.Ask, _ = market.NewDecimal(price[s]+1, -2)
			e.AskSize, e.Side, e.ID = size, 0, 0
		}
		seq[2*s+int(e.Kind)&1]++
		e.Seq = seq[2*s+int(e.Kind)&1]
		b.Entries[i] = e
	}
	return b
}

func BenchmarkEncode(b *testing.B) {
	batch := stream(1024)
	var (
		e   tape.Encoder
		buf []byte
	)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = e.Append(buf[:0], 1, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/tick")
	b.ReportMetric(float64(len(buf))/1024, "bytes/tick")
}

func BenchmarkDecode(b *testing.B) {
	data := encode(b, 0, stream(1024))
	var (
		d   tape.Decoder
		rec tape.Record
	)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(data, &rec); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/tick")
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, 3, sample(f)))
	f.Add(encode(f, 0, &tape.Batch{}))
	f.Add(encode(f, 9, stream(3)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var (
			d   tape.Decoder
			rec tape.Record
		)
		// A fuzzer does not find checksums: try the bytes as the body of a record too.
		for _, data := range [][]byte{data, tape.Seal(bytes.Clone(data))} {
			if err := d.Decode(data, &rec); err != nil {
				if !errors.Is(err, tape.ErrCorrupt) {
					t.Fatalf("got %v, want ErrCorrupt", err)
				}
				continue
			}
			again := decode(t, encode(t, rec.Ordinal, &rec.Batch))
			if diff := cmp.Diff(rec, again, equalDecimals); diff != "" {
				t.Fatalf("decoded record does not survive (-first +second):\n%s", diff)
			}
		}
	})
}
