package server

import (
	"cmp"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// deal is a trade of the tests: a price in cents and whole shares, so that all sums are exact.
type deal struct {
	at    time.Time
	seq   uint64
	cents int64
	size  int64
}

// newYork is where the trading days of stocks are.
func newYork(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// deals makes trades of nine weeks in which clocks went back, a holiday and a half-day lie, and a year begins, in the order of
// their arrival: many come late, some by days, and many come at a bell or at the same time as others.
func deals(t *testing.T, seed uint64, n int) []deal {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 4))
	zone := newYork(t)
	begin := time.Date(2025, 10, 27, 0, 0, 0, 0, zone)
	list := make([]deal, 0, n)
	for i := range n {
		at := begin.Add(time.Duration(i) * (68 * 24 * time.Hour / time.Duration(n)))
		y, m, d := at.Date()
		switch r.IntN(12) {
		case 0:
			at = time.Date(y, m, d, 9, 30, 0, -r.IntN(2), zone)
		case 1:
			at = time.Date(y, m, d, 13, 0, 0, -r.IntN(2), zone)
		case 2:
			at = time.Date(y, m, d, 16, 0, 0, -r.IntN(2), zone)
		case 3:
			at = time.Date(y, m, d, 0, 0, 0, -r.IntN(2), zone)
		case 4:
			at = at.Add(-time.Duration(r.Int64N(int64(80 * time.Hour))))
		case 5:
			at = at.Add(-time.Duration(r.Int64N(int64(90 * time.Second))))
		case 6:
			if i > 0 {
				at = list[i-1].at
			}
		default:
			at = at.Add(time.Duration(r.Int64N(int64(3 * time.Second))))
		}
		list = append(list, deal{at.UTC(), uint64(i + 1), 18_000 + r.Int64N(1500), 1 + r.Int64N(400)})
	}
	return list
}

// put appends deals to the tape, and returns when they are in history.
func put(t *testing.T, n *node, feed string, symbol market.Symbol, list []deal) {
	t.Helper()
	for part := range slices.Chunk(list, 400) {
		batch := &tape.Batch{Feed: feed}
		for _, d := range part {
			price, err := market.NewDecimal(d.cents, -2)
			if err != nil {
				t.Fatal(err)
			}
			size, err := market.NewDecimal(d.size, 0)
			if err != nil {
				t.Fatal(err)
			}
			side := market.SideBuy
			if d.size%2 == 0 {
				side = market.SideSell
			}
			batch.Entries = append(batch.Entries, market.Trade{
				Symbol: symbol, Seq: d.seq, ID: 1_000_000 + d.seq, Event: market.FromStd(d.at), Received: market.FromStd(d.at) + 1, Price: price, Size: size,
				Exchange: "V", Side: side,
			}.Entry())
		}
		if _, err := n.tape.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	n.recordRest(t.Context())
}

// sdk is Alpaca's own library, unchanged but for the address.
func sdk(t *testing.T, address string) *marketdata.Client {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = ""
	t.Setenv("APCA_API_DATA_URL", u.String())
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return marketdata.NewClient(marketdata.ClientOpts{HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute}})
}

// bucket returns the start of the bar of an interval that a trade of a stock, or else of a coin, is in; ok is false when it is in none.
func bucket(at time.Time, n int, unit marketdata.TimeFrameUnit, zone *time.Location) (start time.Time, ok bool) {
	length := map[marketdata.TimeFrameUnit]time.Duration{"Sec": time.Second, marketdata.Min: time.Minute, marketdata.Hour: time.Hour}[unit]
	if length != 0 {
		span := int64(length) * int64(n)
		return time.Unix(0, at.UnixNano()/span*span).UTC(), true // all are after 1970
	}
	if zone == nil {
		zone = time.UTC
	} else if !inSession(at.In(zone)) {
		return start, false
	}
	y, m, d := at.In(zone).Date()
	switch unit {
	case marketdata.Week:
		d -= (int(at.In(zone).Weekday()) + 6) % 7
	case marketdata.Min, marketdata.Hour, marketdata.Day:
	case marketdata.Month:
		months := y*12 + int(m) - 1
		months -= months % n
		y, m, d = months/12, time.Month(months%12+1), 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, zone).UTC(), true
}

// inSession knows the regular sessions of New York in those weeks, by heart.
func inSession(at time.Time) bool {
	closes := 16
	switch at.Format(time.DateOnly) {
	case "2025-11-27", "2025-12-25", "2026-01-01":
		return false
	case "2025-11-28", "2025-12-24":
		closes = 13
	}
	if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
		return false
	}
	minute := at.Hour()*60 + at.Minute()
	return minute >= 9*60+30 && minute < closes*60
}

// naiveBars goes through all trades and puts each where it belongs.
func naiveBars(list []deal, n int, unit marketdata.TimeFrameUnit, zone *time.Location) []marketdata.Bar {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b deal) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq)) })
	var bars []marketdata.Bar
	var turnover int64 // in cents
	for _, d := range list {
		start, ok := bucket(d.at, n, unit, zone)
		if !ok {
			continue
		}
		price := float64(d.cents) / 100
		if len(bars) == 0 || !bars[len(bars)-1].Timestamp.Equal(start) {
			bars = append(bars, marketdata.Bar{Timestamp: start, Open: price, High: price, Low: price})
			turnover = 0
		}
		b := &bars[len(bars)-1]
		b.High, b.Low, b.Close = max(b.High, price), min(b.Low, price), price
		b.Volume += uint64(d.size)
		b.TradeCount++
		turnover += d.cents * d.size
		b.VWAP = mean(turnover, int64(b.Volume))
	}
	return bars
}

// mean is cents/volume as a price at six decimals, half to even.
func mean(cents, volume int64) float64 {
	whole, rest := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(cents), big.NewInt(10_000)), big.NewInt(volume), new(big.Int))
	twice := rest.Lsh(rest, 1).Cmp(big.NewInt(volume))
	if twice > 0 || twice == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(1))
	}
	f, _ := new(big.Rat).SetFrac(whole, big.NewInt(1_000_000)).Float64()
	return f
}

// TestBarsOfEveryInterval reads the bars of every unit, in many lengths, with Alpaca's SDK, and compares them with what the trades
// make.
func TestBarsOfEveryInterval(t *testing.T) {
	n, address := run(t, func(c *Config) { c.Feeds = nil })
	stock, coin := deals(t, 1, 1200), deals(t, 2, 1200)
	put(t, n, "alpaca", "ALPACA:AAPL", stock)
	put(t, n, "coinbase", "COINBASE:BTC-USD", coin)
	c := sdk(t, address)
	zone := newYork(t)
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for unit, lengths := range map[marketdata.TimeFrameUnit][]int{
		"Sec": {1, 5, 59}, marketdata.Min: {1, 2, 5, 7, 15, 30, 59}, marketdata.Hour: {1, 2, 4, 7, 12, 23}, marketdata.Day: {1}, marketdata.Week: {1},
		marketdata.Month: {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	} {
		for _, i := range lengths {
			frame := marketdata.NewTimeFrame(i, unit)
			req := marketdata.GetBarsRequest{TimeFrame: frame, Start: start, PageLimit: 10_000}
			want := naiveBars(stock, i, unit, zone)
			if i%5 == 2 { // and the other way round, in pages
				slices.Reverse(want)
				req.Sort, req.PageLimit = marketdata.SortDesc, 97
			}
			got, err := c.GetBars("AAPL", req)
			if err != nil {
				t.Fatalf("%s: %v", frame, err)
			}
			if !slices.Equal(want, got) || len(got) == 0 {
				t.Errorf("%s of a stock -want +got:\n%.2000s", frame, gocmp.Diff(want, got))
			}
			coins, err := c.GetCryptoBars("BTC/USD", marketdata.GetCryptoBarsRequest{TimeFrame: frame, Start: start})
			if err != nil {
				t.Fatalf("%s: %v", frame, err)
			}
			var also []marketdata.CryptoBar
			for _, b := range naiveBars(coin, i, unit, nil) {
				also = append(also, marketdata.CryptoBar{
					Timestamp: b.Timestamp, Open: b.Open, High: b.High, Low: b.Low, Close: b.Close, Volume: float64(b.Volume), TradeCount: b.TradeCount, VWAP: b.VWAP,
				})
			}
			if !slices.Equal(also, coins) || len(coins) == 0 {
				t.Errorf("%s of a coin -want +got:\n%.2000s", frame, gocmp.Diff(also, coins))
			}
		}
	}
}

// TestAlpacaReadsTheStore reads ticks, the newest and snapshots of a whole server with Alpaca's SDK.
func TestAlpacaReadsTheStore(t *testing.T) {
	n, address := run(t, func(c *Config) { c.Feeds = nil })
	list := deals(t, 3, 2500)
	put(t, n, "alpaca", "ALPACA:AAPL", list)
	c := sdk(t, address)
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b deal) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq)) })
	want := make([]marketdata.Trade, len(list))
	trade := func(d deal) marketdata.Trade {
		return marketdata.Trade{Timestamp: d.at, Price: float64(d.cents) / 100, Size: uint32(d.size), Exchange: "V", ID: int64(1_000_000 + d.seq)}
	}
	for i, d := range sorted {
		want[i] = trade(d)
	}
	for _, req := range []marketdata.GetTradesRequest{{PageLimit: 10_000}, {PageLimit: 333}, {PageLimit: 999, TotalLimit: 2100}} {
		for _, req.Sort = range []marketdata.Sort{marketdata.SortAsc, marketdata.SortDesc} {
			req.Start = list[0].at.AddDate(-1, 0, 0)
			got, err := c.GetTrades("AAPL", req)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(want)
			if req.Sort == marketdata.SortDesc {
				slices.Reverse(want)
			}
			if req.TotalLimit != 0 {
				want = want[:req.TotalLimit]
			}
			if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%+v -want +got:\n%.2000s", req, diff)
			}
		}
	}
	var snapshot *marketdata.Snapshot
	for snapshot == nil || snapshot.LatestTrade == nil || snapshot.LatestTrade.ID != int64(1_000_000+len(list)) { // the hub may be behind history
		var err error
		if snapshot, err = c.GetSnapshot("AAPL", marketdata.GetSnapshotRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	last := trade(list[len(list)-1])
	minutes, days := naiveBars(list, 1, marketdata.Min, newYork(t)), naiveBars(list, 1, marketdata.Day, newYork(t))
	if diff := gocmp.Diff(&marketdata.Snapshot{
		LatestTrade: &last, MinuteBar: &minutes[len(minutes)-1], DailyBar: &days[len(days)-1], PrevDailyBar: &days[len(days)-2],
	}, snapshot, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestExportComesBack exports trades, and plays the file to another server.
func TestExportComesBack(t *testing.T) {
	n, address := run(t, func(c *Config) { c.Feeds = nil })
	put(t, n, "alpaca", "ALPACA:AAPL", deals(t, 5, 3000))
	put(t, n, "alpaca", "ALPACA:MSFT", deals(t, 6, 500))
	name := filepath.Join(t.TempDir(), "trades.csv")
	download(t, address+"v2/stocks/trades?symbols=AAPL,MSFT&start=2025-01-01&format=csv", name)

	other, again := run(t, func(c *Config) { c.Feeds = []string{"replay://" + name + "?speed=max&venue=ALPACA"} })
	numbered := func(symbol market.Symbol) uint64 {
		l, _ := other.store.Latest(symbol)
		return l.TradeSeq
	}
	for numbered("ALPACA:AAPL") < 3000 || numbered("ALPACA:MSFT") < 500 {
		_, applied := other.store.Applied()
		if err := other.tape.Wait(t.Context(), applied); err != nil {
			t.Fatal(err)
		}
		other.recordRest(t.Context())
	}
	req := marketdata.GetTradesRequest{Start: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), PageLimit: 10_000}
	want, err := sdk(t, address).GetMultiTrades([]string{"AAPL", "MSFT"}, req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sdk(t, again).GetMultiTrades([]string{"AAPL", "MSFT"}, req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" || len(want["AAPL"]) != 3000 || len(want["MSFT"]) != 500 {
		t.Errorf("%d and %d trades; -want +got:\n%.2000s", len(want["AAPL"]), len(want["MSFT"]), diff)
	}
}

// download saves an answer as a file.
func download(t *testing.T, address, name string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, response.Status, err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
