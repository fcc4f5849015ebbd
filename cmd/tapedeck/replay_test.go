package main

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// row is a line of a file of trades, as its text has it.
type row struct {
	at    time.Time
	price string
}

// readTrades reads the columns ts_ns and price of a gzipped CSV file with the standard library, as an oracle.
func readTrades(t *testing.T, path string) []row {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	ts, price := slices.Index(records[0], "ts_ns"), slices.Index(records[0], "price")
	rows := make([]row, 0, len(records)-1)
	for _, r := range records[1:] {
		ns, err := strconv.ParseInt(r[ts], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{time.Unix(0, ns).UTC(), r[price]})
	}
	return rows
}

// TestReplayIntoHistory plays real trades and finds each row in /history once, with its digits and its time; a second start
// on the same data adds nothing.
func TestReplayIntoHistory(t *testing.T) {
	for _, c := range []struct{ file, symbol, speed string }{
		{"trades/binance-spot_BTCUSDT_2024-08-08_trades.csv.gz", "BTCUSDT", "1000"},
		{"trades/lean_us-equity_IBM_2013-10-07_trades.csv.gz", "IBM", "max"},
	} {
		t.Run(c.symbol, func(t *testing.T) {
			path := shared(t, c.file)
			want := readTrades(t, path)
			data := t.TempDir()
			for range 2 {
				p := startServer(t, "--data", data, "--feed", "replay://"+path+"?speed="+c.speed)
				p.until(t, "/v1/feeds", func(_ int, body []byte) bool {
					var v struct{ Feeds []struct{ State string } }
					return json.Unmarshal(body, &v) == nil && len(v.Feeds) == 1 && (v.Feeds[0].State == "done" || v.Feeds[0].State == "closed")
				})
				body := p.until(t, "/history?limit=1000000&symbol=REPLAY:"+c.symbol, func(status int, body []byte) bool {
					return status == http.StatusOK && countOf(body) >= len(want)
				})
				compareHistory(t, body, want, "REPLAY:"+c.symbol)
				p.stop(t)
			}
		})
	}
}

func countOf(body []byte) int {
	var rows []json.RawMessage
	if json.Unmarshal(body, &rows) != nil {
		return -1
	}
	return len(rows)
}

func compareHistory(t *testing.T, body []byte, want []row, symbol string) {
	t.Helper()
	var got []struct {
		ID        uint64          `json:"id"`
		Timestamp string          `json:"timestamp"`
		Symbol    string          `json:"symbol"`
		Price     json.RawMessage `json:"price"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d", len(got), len(want))
	}
	ids := make(map[uint64]bool, len(got))
	slices.Reverse(got) // newest first
	for i, g := range got {
		w := fmt.Sprint(want[i].at.Format(time.RFC3339Nano), " ", symbol, " ", want[i].price)
		if s := fmt.Sprint(g.Timestamp, " ", g.Symbol, " ", string(g.Price)); s != w {
			t.Fatalf("row %d: got %s, want %s", i+1, s, w)
		}
		ids[g.ID] = true
	}
	if len(ids) != len(got) {
		t.Errorf("got %d different ids for %d rows", len(ids), len(got))
	}
}

// TestReplayTwoColumns plays the tutorial's kind of file, whose times are ahead of the clock: they count like any others.
func TestReplayTwoColumns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.csv")
	if err := os.WriteFile(path, []byte("timestamp,price\n2131-05-01 09:30:00,187.40\n2131-05-01 09:30:10,187.4200\n2131-05-01 09:31:02,193.02\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServer(t, "--data", t.TempDir(), "--feed", "replay://"+path+"?symbol=SPY&speed=max")
	body := p.until(t, "/history", func(_ int, body []byte) bool { return countOf(body) == 3 })
	const want = `[{"id":4,"timestamp":"2131-05-01T09:31:02Z","symbol":"REPLAY:SPY","price":193.02},` +
		`{"id":3,"timestamp":"2131-05-01T09:30:10Z","symbol":"REPLAY:SPY","price":187.4200},` +
		`{"id":2,"timestamp":"2131-05-01T09:30:00Z","symbol":"REPLAY:SPY","price":187.40}]`
	if got := strings.TrimSpace(string(body)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	status, _, body, err := p.get(t.Context(), "/v2/stocks/SPY/bars?timeframe=1Min")
	var v struct {
		Bars []struct {
			T       string
			O, H, L json.RawMessage
			N       int
		}
	}
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	if err != nil || status != http.StatusOK || len(v.Bars) != 2 || v.Bars[0].N != 2 || string(v.Bars[0].H) != "187.4200" {
		t.Errorf("bars: %d %v %s", status, err, body)
	}
	p.stop(t)
}
