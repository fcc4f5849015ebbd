package layout

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/layout/layouttest"
	"tapedeck/internal/market"
)

// total adds up what layouttest does.
type total struct {
	rows        int
	first, last market.Time
	nanos       layouttest.Nanos
	sums        market.Wide
	sized       bool // the file has sizes
}

func (x *total) add(t *testing.T, e *market.Entry) {
	if x.rows == 0 {
		x.first = e.Event
	}
	x.last = e.Event
	x.rows++
	x.nanos.Add(int64(e.Event))
	one, err := market.NewDecimal(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	pairs := [][2]market.Decimal{{e.Price, e.Size}}
	switch {
	case e.Kind == market.KindBar:
		volume, err := market.ParseDecimal(e.Text)
		if err != nil {
			t.Fatal(err)
		}
		pairs = [][2]market.Decimal{{e.Price, one}, {e.Size, one}, {e.Ask, one}, {e.AskSize, volume}}
	case e.Kind == market.KindQuote && !x.sized:
		pairs = [][2]market.Decimal{{e.Price, one}, {e.Ask, one}}
	case e.Kind == market.KindQuote:
		pairs = [][2]market.Decimal{{e.Price, e.Size}, {e.Ask, e.AskSize}}
	case !x.sized:
		pairs[0][1] = one
	}
	for _, p := range pairs {
		product, err := market.Product(p[0], p[1])
		if err != nil {
			t.Fatal(err)
		}
		if x.sums, err = x.sums.Add(product); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecordedFilesExactly reads every recorded file and compares it with the independent reading: as many entries as rows, the same first and
// last time, the same sum of times, the same sum of products.
func TestRecordedFilesExactly(t *testing.T) {
	var files []string
	for _, pattern := range []string{"trades/*", "quotes/*", "bars/*", "sp500*"} {
		files = append(files, layouttest.Files(t, pattern)...)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			switch info, err := os.Stat(path); {
			case testing.Short() && err == nil && info.Size() > 300_000:
				t.Skip("large")
			case strings.Contains(name, "constituents"), strings.Contains(name, "wide"), strings.Contains(name, "shiller"), strings.HasPrefix(name, "gemini_ETH-USD_2021-07-01_quotes"):
				t.Skip("has a test of its own")
			}
			want := layouttest.Read(t, path)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			r, err := Open(f, Options{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			got := total{sized: r.layout.has(fSize) || r.layout.has(fBidSize)}
			var entries []market.Entry
			for err == nil {
				entries, err = r.Next(entries[:0])
				for i := range entries {
					got.add(t, &entries[i])
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if rejects := r.Rejects(); len(rejects) > 0 {
				t.Errorf("%d rows are rejected, the first: %v", len(rejects), &rejects[0])
			}
			if got.rows != want.Rows || r.Row() != uint64(want.Rows) || !got.first.Std().Equal(want.First) || !got.last.Std().Equal(want.Last) {
				t.Errorf("got %d entries of %d rows, %v to %v, want %d, %v to %v", got.rows, r.Row(), got.first, got.last, want.Rows, want.First, want.Last)
			}
			if got.nanos != want.Nanos {
				t.Errorf("got Σ times %+v, want %+v", got.nanos, want.Nanos)
			}
			if sum, ok := new(big.Rat).SetString(got.sums.String()); !ok || sum.Cmp(want.Sum) != 0 {
				t.Errorf("got Σ products %s, want %s", got.sums, want.Sum.FloatString(20))
			}
		})
	}
}

// TestWideFilesExactly reads the files that have a column for each instrument: an entry for each cell with a number.
func TestWideFilesExactly(t *testing.T) {
	for name, rejected := range map[string]int{"us-20-stocks_daily-close_1990-2024_wide.csv.gz": 0, "sp500-index_monthly_shiller.csv.gz": 1} {
		path := layouttest.Files(t, "bars/"+name)[0]
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := Open(f, Options{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		entries, rejects := all(t, r)
		z, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		text, err := gzip.NewReader(z)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(text).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		want, sum := 0, new(big.Rat)
		for _, row := range rows[1:] {
			if row[0] == "1970-01-01" {
				continue // the time that stands for none
			}
			for _, cell := range row[1:] {
				if n, ok := new(big.Rat).SetString(cell); ok {
					want++
					sum.Add(sum, n)
				}
			}
		}
		got := new(big.Rat)
		for i := range entries {
			n, ok := new(big.Rat).SetString(entries[i].Price.String())
			if !ok {
				t.Fatal(entries[i].Price)
			}
			got.Add(got, n)
		}
		if len(entries) != want || got.Cmp(sum) != 0 || len(rejects) != rejected || int(r.Row()) != len(rows)-1 {
			t.Errorf("%s: got %d entries with a sum of %s and %d rejects, want %d, %s and %d", name, len(entries), got.FloatString(6), len(rejects),
				want, sum.FloatString(6), rejected)
		}
	}
}

// TestJoinedQuotesExactly reads Gemini's quotes, whose prices and sizes share a column.
func TestJoinedQuotesExactly(t *testing.T) {
	path := layouttest.Files(t, "quotes/gemini_ETH-USD_2021-07-01_quotes.csv.gz")[0]
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Open(f, Options{Symbol: "GEMINI:ETH-USD"})
	if err != nil {
		t.Fatal(err)
	}
	entries, rejects := all(t, r)
	if len(entries) != 72_180 || len(rejects) != 0 || told(&entries[0]) != "GEMINI:ETH-USD 2021-07-01T00:00:00Z 2271.58×1.6477 2279.63×28.479526" {
		t.Errorf("got %d quotes, %d rejects, first %s", len(entries), len(rejects), told(&entries[0]))
	}
}

// TestNotTicks says why a table that is no market data, and captures of raw messages, are refused.
func TestNotTicks(t *testing.T) {
	for _, pattern := range []string{"bars/sp500-constituents_reference.csv.gz", "raw/*"} {
		for _, path := range layouttest.Files(t, pattern) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := Open(f, Options{Name: filepath.Base(path)}); !errors.Is(err, ErrLayout) {
				t.Errorf("%s: got %v", path, err)
			}
		}
	}
}

// TestNastyFiles reads files that real programs wrote: each is understood, and every row is either an entry or a reject.
func TestNastyFiles(t *testing.T) {
	rejected := map[string]int{
		"bad-values.csv": 116,
		"plotly_tesla_quoted-first-row-intraday.csv": 1, // 11:34 of no day
		"taq-like_quotes_no-leading-zero.csv":        2, // neither bid nor ask
	}
	first := map[string]string{
		"absurdly-large-values.csv":                           "IMPORT:Z 1d 2017-08-16T00:00:00Z 42667410863718.8 44909275184681.3 42059260987182.4 42903702221740.8 v7961320441231.66",
		"alphavantage-like_spy_1min_desc.csv":                 "IMPORT:Z 1m 2019-02-15T16:00:00Z 277.27 277.4 277.19 277.39 v2689895",
		"bad-values.csv":                                      "IMPORT:Z 1d 2017-01-03T00:00:00Z 212.61 213.35 211.52 212.8 v96708880",
		"binance-trades_btcusdt_no-header.csv":                "IMPORT:Z 2020-11-16T04:10:46Z 15993.5×0.026472",
		"binance-ws-capture_trxusd-perp_injected-errors.csv":  "BINANCE:TRXUSD_PERP 2025-03-04T00:00:04.986Z 0.23097×32.0 sell #39605682",
		"binance-ws-capture_trxusdt_spot_injected-errors.csv": "BINANCE:TRXUSDT 2025-03-04T00:00:01.271497Z 0.2312×2619.4 sell #348656870",
		"bitcoincharts_bitstamp_no-header.csv":                "IMPORT:Z 2011-09-13T13:53:36Z 5.800000000000×1.000000000000",
		"bitmex-dump_trades_kdb-timestamps.csv":               "BITMEX:ADAZ18 2018-12-05T00:00:25.948313Z 0.00000954×166774 sell #498350a3-8c03-affd-cf87-e6d8a90b70e5",
		"bom_intraday_minute.csv":                             "IMPORT:Z 1m 2020-12-15T09:30:00Z 367.4 367.62 367.36 367.46 v407870",
		"cryptodatadownload_btcusdt_d_2026.csv":               "IMPORT:BTCUSDT 1d 2026-03-30T00:00:00Z 66010.93 68169.65 65800.59 66797.37 v18353.38975 n3902849",
		"cryptodatadownload_coinbase_btcusd_1h_ampm.csv":      "IMPORT:BTCUSD 1h 2020-10-24T07:00:00Z 12965.84 12965.84 12953.2 12953.2 v0.0",
		"google-finance_orcl_2010.csv":                        "IMPORT:Z 1d 2010-12-31T00:00:00Z 31.22 31.33 30.93 31.30 v11716389",
		"investing-com_sp500_2025.csv":                        "IMPORT:Z 1d 2025-05-02T00:00:00Z 5645.88 5700.70 5642.28 5686.67 v",
		"kraken-ohlcvt_xbtusd_1440_no-header.csv":             "KRAKEN:Z 1d 2013-10-06T00:00:00Z 122.0 122.0 122.0 122.0 v0.1 n1",
		"marketstore_not-sorted.csv":                          "IMPORT:Z 2018-11-21T01:23:44.999999Z 112.80×0 112.8×0",
		"marketstore_ticks_duplicates-1970.csv":               "IMPORT:Z 1970-01-02T21:37:57.14Z 1.05185×0 1.05197×0",
		"marketstore_ticks_us-after-space.csv":                "IMPORT:Z 2016-12-30T21:37:57.14Z 1.05185×0 1.05197×0",
		"metatrader-like_eurusd_15m.csv":                      "IMPORT:Z 15m 2022-10-10T00:00:00Z 0.97312 0.97369 0.97312 0.97357 v0",
		"ninjatrader_spy_minute.csv":                          "IMPORT:Z 1m 2011-03-01T09:00:00Z 133.9 134.01 133.9 133.98 v3778",
		"plotly_aapl_two-columns.csv":                         "IMPORT:Z 2014-01-02T00:00:00Z 77.44539475×0",
		"plotly_tesla_quoted-first-row-intraday.csv":          "IMPORT:Z 1d 2018-10-15T00:00:00Z 259.0600 263.2800 254.5367 259.5900 v6189026.0000",
		"quandl-wiki_aapl_2011.csv":                           "IMPORT:Z 1d 2011-12-30T00:00:00Z 403.51 406.28 403.49 405.0 v6416500.0",
		"stooq-pl_spx.csv":                                    "IMPORT:Z 1d 1980-11-03T00:00:00Z 127.47 129.85 127.23 129.04 v19900000",
		"taq-like_quotes_no-leading-zero.csv":                 "IMPORT:A 2022-02-20T06:24:34Z 1×1 0×0 P//",
		"tradingview_btcusdt_1d.csv":                          "IMPORT:Z 1d 2017-08-17T00:00:00Z 4261.48 4485.39 4200.74 4285.08 v795.150377",
		"yahoo-2017plus_btc-usd.csv":                          "IMPORT:Z 1d 2017-10-10T00:00:00Z 4776.209961 4922.169922 4765.100098 4781.990234 v1597139968",
		"yahoo-classic_spy_2011.csv":                          "IMPORT:Z 1d 2011-12-30T00:00:00Z 126.02 126.33 125.50 125.50 v95599000",
	}
	for _, path := range layouttest.Files(t, "nasty/*") {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Open(strings.NewReader(string(text)), Options{Name: name, Symbol: "Z"})
			if err != nil {
				t.Fatal(err)
			}
			entries, rejects := all(t, r)
			lines := len(strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' || c == '\r' }))
			if d := r.Layout(); d.Header {
				lines -= 1 + d.Passed
			}
			if len(entries)+len(rejects) != lines || len(rejects) != rejected[name] || r.Row() != uint64(lines) {
				t.Errorf("got %d entries and %d rejects of %d rows, want %d rejects of %d", len(entries), len(rejects), r.Row(), rejected[name], lines)
			}
			if got := told(&entries[0]); got != first[name] {
				t.Errorf("got %q, want %q", got, first[name])
			}
			for _, reject := range rejects {
				if reject.Line == 0 || reject.Reason == "" || !strings.Contains(string(text), reject.Text) {
					t.Errorf("got reject %+v", reject)
				}
			}
		})
	}
}
