package candle

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// realData is where captures of real markets lie beside a checkout.
const realData = "../../../shared/data"

// rows reads the cells of a gzip CSV file without its heading.
func rows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(realData, name))
	if err != nil {
		t.Skipf("no real data beside this checkout: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	s := bufio.NewScanner(z)
	for s.Scan() {
		out = append(out, strings.Split(s.Text(), ","))
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return out[1:]
}

// letters gives the flags of the capture (QuantConnect's TradeConditionFlags) their letters of the consolidated tape.
func letters(t *testing.T, hex string) string {
	t.Helper()
	flags, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"@"}
	for _, c := range []struct {
		flag uint64
		code string
	}{{0x40, "O"}, {0x80, "6"}, {0x2000, "T"}, {0x4000000, "Q"}, {0x1000000, "M"}} {
		if flags&c.flag != 0 {
			codes = append(codes, c.code)
		}
	}
	return strings.Join(codes, ",")
}

// TestRealDaysAgainstOfficialBars makes the daily bars of real prints and holds them against the vendor's. The close is that of
// the closing auction, which prints after the bell. Open, high and low of the vendor leave out prints that the capture does not
// mark, and its volume includes some that the capture lacks.
func TestRealDaysAgainstOfficialBars(t *testing.T) {
	for _, tt := range []struct{ symbol, date string }{
		{"IBM", "2013-10-07"}, {"IBM", "2013-10-08"}, {"IBM", "2013-10-09"}, {"SPY", "2013-10-07"},
	} {
		name := market.Symbol("NYSE:" + tt.symbol)
		m := machine(t, Options{})
		f := m.Feed("capture")
		store := shelf{}
		prints := rows(t, "trades/lean_us-equity_"+tt.symbol+"_"+tt.date+"_trades.csv.gz")
		for i, row := range prints {
			ns, err := strconv.ParseInt(row[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			push(t, f, market.Entry{
				Kind: market.KindTrade, Symbol: name, Seq: uint64(i + 1), Event: market.Time(ns), Price: dec(t, row[2]), Size: dec(t, row[3]),
				Conditions: letters(t, row[5]),
			})
			if i%5000 == 0 {
				store.put(t, m.Drain(nil))
			}
		}
		store.put(t, m.Drain(nil))
		days := sorted(store, name, market.Day1())
		if len(days) != 1 {
			t.Fatalf("%s %s: %d days", tt.symbol, tt.date, len(days))
		}
		day := days[0]
		for _, row := range rows(t, "bars/lean_daily_"+tt.symbol+".csv.gz") {
			if row[0] != tt.date {
				continue
			}
			if want := dec(t, row[5]); day.Close.Cmp(want) != 0 {
				t.Errorf("%s %s: close %s, want %s", tt.symbol, tt.date, day.Close, want)
			}
			got, want := dec(t, day.Volume.String()).Coef(), dec(t, row[6]).Coef()
			if d := got - want; max(d, -d)*50 > want {
				t.Errorf("%s %s: volume %d, want %d within 2 %%", tt.symbol, tt.date, got, want)
			}
		}
		// Rolled up, the minutes have every print that the hours have.
		hours, err := Roller{Interval: market.Hour1()}.Roll(nil, sorted(store, name, market.Min1()))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range sorted(store, name, market.Hour1()) {
			got := hours[i]
			got.Rev, got.Final = want.Rev, want.Final
			if d := diff(want, got); d != "" {
				t.Errorf("%s %s (-of ticks +of minutes):\n%s", tt.symbol, tt.date, d)
			}
		}
	}
}
