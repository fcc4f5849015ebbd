package layout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"tapedeck/internal/market"
)

// pandasBar is what pandas writes of a frame of bars.
type pandasBar struct {
	Open   float64 `parquet:"Open"`
	High   float64 `parquet:"High"`
	Low    float64 `parquet:"Low"`
	Close  float64 `parquet:"Close"`
	Volume int64   `parquet:"Volume"`
	At     int64   `parquet:"__index_level_0__,timestamp(nanosecond)"`
}

// polarsTrade has the types that Polars and Spark use.
type polarsTrade struct {
	Symbol     string   `parquet:"symbol,dict"`
	At         int64    `parquet:"timestamp,timestamp(microsecond)"`
	Price      int64    `parquet:"price,decimal(4:18)"`
	Size       float32  `parquet:"size"`
	Side       *string  `parquet:"side,optional"`
	Conditions []string `parquet:"conditions,list"`
	Number     uint64   `parquet:"trade_id"`
}

func parquetOf[T any](t testing.TB, rows []T, codec compress.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.Compression(codec))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func trades(t testing.TB, n int, codec compress.Codec) []byte {
	t.Helper()
	rows := make([]polarsTrade, n)
	for i := range rows {
		sell := "sell"
		rows[i] = polarsTrade{
			Symbol: "AAPL", At: 1_700_000_000_123_456 + int64(i), Price: 1_874_200 + int64(i), Size: 0.1, Conditions: []string{"@", "I"}, Number: uint64(i + 1),
		}
		if i%2 == 1 {
			rows[i].Side, rows[i].Conditions = &sell, nil
		}
	}
	return parquetOf(t, rows, codec)
}

// TestParquetOfOthers reads what other programs write: decimals exactly, floats in their shortest digits.
func TestParquetOfOthers(t *testing.T) {
	for name, codec := range map[string]compress.Codec{
		"plain": &parquet.Uncompressed, "snappy": &parquet.Snappy, "zstd": &parquet.Zstd, "gzip": &parquet.Gzip,
	} {
		t.Run(name, func(t *testing.T) {
			r, got := readText(t, string(trades(t, 1000, codec)), Options{Venue: "US"})
			if len(got) != 1000 || r.Layout().Format != "parquet" {
				t.Fatalf("got %d rows of %+v, the first %s", len(got), r.Layout(), got[0])
			}
			want := []string{
				"US:AAPL 2023-11-14T22:13:20.123456Z 187.4200×0.1 #1 /@,I", "US:AAPL 2023-11-14T22:13:20.123457Z 187.4201×0.1 sell #2",
			}
			if diff := cmp.Diff(want, got[:2]); diff != "" {
				t.Error(diff)
			}
		})
	}
	bars := []pandasBar{{187.15, 188.44, 183.89, 185.64, 100, 1_704_205_800_000_000_000}, {0.1, 0.30000000000000004, 1e-7, 0.2, 1, 1_704_205_860_000_000_000}, {math.NaN(), 1, 1, 1, 1, 1_704_205_920_000_000_000}}
	_, got := readText(t, string(parquetOf(t, bars, &parquet.Snappy)), Options{Name: "AAPL.parquet"})
	want := []string{
		"IMPORT:AAPL 1m 2024-01-02T14:30:00Z 187.15 188.44 183.89 185.64 v100", "IMPORT:AAPL 1m 2024-01-02T14:31:00Z 0.1 0.30000000000000004 0.0000001 0.2 v1",
		`line 3, column Open: "" is not a decimal number`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestParquetOfLZ4 refuses the packing that the library gets wrong.
func TestParquetOfLZ4(t *testing.T) {
	_, err := Open(bytes.NewReader(trades(t, 100, &parquet.Lz4Raw)), Options{})
	if err == nil || !strings.Contains(err.Error(), "LZ4_RAW") {
		t.Errorf("got %v", err)
	}
}

// TestParquetNeedsAFile says that what has its directory at its end can't be read from a pipe.
func TestParquetNeedsAFile(t *testing.T) {
	_, err := Open(struct{ io.Reader }{bytes.NewReader(trades(t, 2, &parquet.Snappy))}, Options{})
	if err == nil || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("got %v", err)
	}
}

// TestDamagedParquet cuts a file and changes its bytes: it is refused, or read with whatever values are left, never with a panic, and
// never at the cost of memory that it only claims to need.
func TestDamagedParquet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, codec := range map[string]compress.Codec{"snappy": &parquet.Snappy, "zstd": &parquet.Zstd, "gzip": &parquet.Gzip} {
		whole := trades(t, 300, codec)
		for range 400 {
			b := bytes.Clone(whole)
			for range 1 + rng.IntN(3) {
				at := rng.IntN(len(b))
				if rng.IntN(2) == 0 {
					at = len(b) - 1 - rng.IntN(min(len(b), 900)) // the directory
				}
				b[at] = byte(rng.Uint32())
			}
			if rng.IntN(4) == 0 {
				b = b[:rng.IntN(len(b))]
			}
			r, err := Open(bytes.NewReader(b), Options{})
			for err == nil {
				_, err = r.Next(nil)
			}
			if err == nil || errors.Is(err, io.ErrNoProgress) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	for name, b := range map[string][]byte{
		"a footer that is longer than the file": append([]byte("PAR1xxxxxxxx"), append(binary.LittleEndian.AppendUint32(nil, 1<<30), "PAR1"...)...),
		"a list that is longer than the footer": listOf(1 << 30),
		"nothing but magic":                     []byte("PAR1PAR1"),
	} {
		if _, err := Open(bytes.NewReader(b), Options{}); !errors.Is(err, errParquet) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// listOf is a file whose footer has a schema that says it has so many columns.
func listOf(n uint64) []byte {
	footer := append([]byte{0x15, 0x02, 0x19, 0xfc}, binary.AppendUvarint(nil, n)...)
	b := append([]byte("PAR1"), footer...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(footer))), "PAR1"...)
}

// own are entries of a file of our own.
type own struct{ list []market.Entry }

func (o *own) Next() (*market.Entry, error) {
	if len(o.list) == 0 {
		return nil, io.EOF
	}
	e := &o.list[0]
	o.list = o.list[1:]
	return e, nil
}

// TestOwnParquet gives the entries of our own files as they are, without what the tape stamps anew.
func TestOwnParquet(t *testing.T) {
	list := []market.Entry{
		{Kind: market.KindTrade, Symbol: "SIM:A", Seq: 7, Event: 1, Received: 2, Flags: market.FlagBackfilled, ID: 3},
		{Kind: market.KindTrade, Symbol: "SIM:B", Seq: 8, Event: 3},
	}
	native := func(io.ReaderAt, int64) (market.Kind, Entries, error) { return market.KindTrade, &own{list}, nil }
	for only, want := range map[market.Symbol]int{"": 2, "B": 1, "SIM:A": 1} {
		o := Options{Native: native}
		if only != "" {
			o.Only = []market.Symbol{only}
		}
		r, err := Open(bytes.NewReader(trades(t, 1, &parquet.Snappy)), o)
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := all(t, r)
		if len(entries) != want || r.Row() != 2 || entries[0].Seq != 0 || entries[0].Received != 0 || entries[0].Flags != 0 {
			t.Errorf("%s: got %+v", only, entries)
		}
	}
}

// FuzzOpen reads any bytes as a file: no panic, no hang, no entry that makes no sense, and each row is accounted for.
func FuzzOpen(f *testing.F) {
	for _, s := range []string{
		"timestamp,price\n2024-05-31T09:30:00Z,187.40\n", "1315922016,5.8,1.0\n", "ts_ns,symbol,bid,bid_size,ask,ask_size\n1,E,1,1,2,2\n",
		"Date,Open,High,Low,Close,Volume\n31-Dec-10,31.22,31.33,30.93,31.30,1\n", "\xef\xbb\xbfa;b\n1;2\n", "\x1f\x8b\x08\x00", "PK\x03\x04",
		"Price,Close,High,Low,Open\nTicker,A,A,A,A\nDate,,,,\n2020-01-02,1,1,1,1\n", `{"time":1700000000,"price":"1.5\u00e9","c":["a",1]}` + "\n[1,2]\n",
		"20110301 090100;133.9;134.01;133.9;133.98;3778\n", "date,A,B\n1990-01-02,1,2\n", "[1499040000000,\"1\",2]\n", "\xff\xfet\x00,\x00p\x00\n\x00",
		"time,open,high,low,close\n9000000000,1,1,1,1\n-9000000000,1,1,1,1\n", "\x28\xb5\x2f\xfd",
	} {
		f.Add([]byte(s), "", uint8(0))
	}
	f.Add([]byte("a,b,c\n1,2,3\n"), "time=a,price=2,size=", uint8(1))
	f.Add(trades(f, 3, &parquet.Snappy), "", uint8(2))
	f.Add(listOf(1<<40), "", uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, mapping string, how uint8) {
		o := Options{Name: mapping, Limits: Limits{Line: 1 << 16, Inflated: 1 << 22}, Closes: how&1 != 0, OneVenue: how&2 != 0}
		if how&4 != 0 {
			o.Interval, o.Label = market.Day1(), "end"
		}
		for part := range strings.SplitSeq(mapping, ",") {
			if name, column, ok := strings.Cut(part, "="); ok {
				if o.Map == nil {
					o.Map = make(map[string]string)
				}
				o.Map[name] = column
			}
		}
		r, err := Open(bytes.NewReader(in), o)
		if err != nil {
			return
		}
		_ = r.Layout()
		var entries []market.Entry
		for err == nil {
			before := r.Row()
			if entries, err = r.Next(entries[:0]); err == nil && r.Row() == before {
				t.Fatal("no progress")
			}
			for _, reject := range r.Rejects() {
				if reject.Reason == "" || reject.Problem == "" {
					t.Fatalf("got %+v", reject)
				}
			}
			for i := range entries {
				if problem := absurd(&entries[i]); problem != "" {
					t.Fatalf("%s: %+v", problem, entries[i])
				}
			}
		}
	})
}

// absurd says what in an entry can't be.
func absurd(e *market.Entry) string {
	if s, err := market.ParseSymbol(string(e.Symbol)); err != nil || s != e.Symbol {
		return fmt.Sprint("symbol ", err)
	}
	switch {
	case e.Event == 0:
		return "no time"
	case e.Kind == market.KindBar:
		if _, err := e.Bar(); err != nil {
			return err.Error()
		}
		if e.Size.Less(e.Price) || e.Price.Less(e.Ask) || e.Size.Less(e.AskSize) || e.AskSize.Less(e.Ask) {
			return "prices out of order"
		}
	case e.Kind == market.KindQuote:
		if e.Price.Sign() < 0 || e.Ask.Sign() < 0 || e.Size.Sign() < 0 {
			return "below zero"
		}
	case e.Kind != market.KindTrade || e.Size.Sign() < 0:
		return "no trade"
	}
	return ""
}
