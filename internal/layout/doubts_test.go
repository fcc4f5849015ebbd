package layout

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"tapedeck/internal/market"
)

// TestDoubts says of rows that were taken what else they may mean: it is told, and nothing else is.
func TestDoubts(t *testing.T) {
	now, err := market.ParseTime("2026-11-23T12:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"none":       {"time,price,size\n2024-05-31T09:30:00Z,1,1\n1717147800,1,2\n", nil},
		"leap":       {"time,price\n2016-12-31T23:59:60Z,1\n2016-12-31 23:59:60.5,1\n20161231 235960,1\n2016-12-31T23:59:59Z,1\n", []string{"3 rows have a leap second, and are in the second before"}},
		"no size":    {"time,price,size\n1717147800,1,\n1717147801,1,1\n", []string{"1 row has no size, and is in no volume"}},
		"no column":  {"time,price\n1717147800,1\n", nil},
		"counters":   {"time,price\n17,1\n18,1\n1717147801,1\n", []string{"2 rows have times that come out before 1990, the first is 17: are they numbers of seconds since 1970?"}},
		"old dates":  {"time,price\n1962-01-02,1\n", nil},
		"ten digits": {"time,price\n1717147800,1\n4102444800,1\n", []string{"1 row is in the future, at 2100-01-01T00:00:00Z"}},
		"units":      {"time,price\n1717147800,1\n1717147801,1\n1717147802000,1\n", []string{"times are numbers of several units: 2 of seconds, 1 of milliseconds"}},
		"twice":      {"time,price\n2024-11-03 01:30,1\n2024-11-03 01:30,1\n", []string{"2 rows are in an hour that clocks showed twice: the order of the rows told which"}},
	} {
		o := Options{Name: "x.csv", Now: now}
		if name == "twice" {
			zone, err := time.LoadLocation("America/New_York")
			if err != nil {
				t.Fatal(err)
			}
			o.Zone = zone
		}
		r, err := Open(strings.NewReader(c.text), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all(t, r)
		if diff := cmp.Diff(c.want, r.Doubts()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestOldLines reads a file whose lines end in carriage returns.
func TestOldLines(t *testing.T) {
	r, err := Open(strings.NewReader("time,price\r1717147800,1\r\r1717147801,2\r"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	entries, rejects := all(t, r)
	if len(entries) != 2 || len(rejects) != 0 || r.Line() != 4 || !strings.Contains(strings.Join(r.Layout().Notes, ";"), "carriage returns") {
		t.Errorf("got %+v, %+v, line %d, %q", entries, rejects, r.Line(), r.Layout().Notes)
	}
	for _, text := range []string{"time,price\r\n1717147800,1\r\n", "time,price\n1717147800,1\r", "\r", "a\r"} {
		if hasOldLines([]byte(text)) {
			t.Errorf("%q was taken for old lines", text)
		}
	}
}

// TestMapNames hints at the column that was meant.
func TestMapNames(t *testing.T) {
	for name, want := range map[string]string{"timm": "did you mean time=time?", "Prise": "did you mean time=price?", "nope": "no such column. The file has", "zzzzzzzz": "no such column. The file has"} {
		_, err := Open(strings.NewReader("time,price\n1717147800,1\n"), Options{Map: map[string]string{"time": name}})
		if !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// TestOwnParquetRenamed gives all rows of a file of our own another name, and takes no other mapping.
func TestOwnParquetRenamed(t *testing.T) {
	list := []market.Entry{{Kind: market.KindTrade, Symbol: "SIM:A", Event: 1}, {Kind: market.KindTrade, Symbol: "SIM:B", Event: 3}}
	native := func(io.ReaderAt, int64) (market.Kind, Entries, error) { return market.KindTrade, &own{list}, nil }
	file := func() io.Reader { return bytes.NewReader(trades(t, 1, &parquet.Snappy)) }
	o := Options{Native: native, Symbol: "LAB:NEW", Only: []market.Symbol{"LAB:NEW"}, Map: map[string]string{"symbol": ""}}
	r, err := Open(file(), o)
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := all(t, r)
	if len(entries) != 2 || entries[0].Symbol != "LAB:NEW" || entries[1].Symbol != "LAB:NEW" || r.Symbol() != "LAB:NEW" || len(r.Layout().Columns) != 1 {
		t.Errorf("got %+v of %s, %+v", entries, r.Symbol(), r.Layout())
	}
	o.Map = map[string]string{"time": "when"}
	if _, err := Open(file(), o); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "needs no mapping") {
		t.Errorf("got %v", err)
	}
}
