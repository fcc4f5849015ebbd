package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alpacahq/alpaca-trade-api-go/v3/alpaca"
	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// reader is Alpaca's own SDK for history, unchanged but for the address, which it finds by a variable of its own.
func reader(t *testing.T, url string) *marketdata.Client {
	t.Helper()
	t.Setenv("APCA_API_DATA_URL", url)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return marketdata.NewClient(marketdata.ClientOpts{
		APIKey: "any", APISecret: "any", RetryLimit: 1, RetryDelay: time.Nanosecond,
		HTTPClient: &http.Client{Transport: transport, Timeout: 20 * time.Second},
	})
}

// same compares what the SDK returned with what it should have.
func same[T any](t *testing.T, what string, want T) func(T, error) {
	t.Helper()
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s -want +got:\n%s", what, diff)
		}
	}
}

// monday is when the desk opens: far enough back that every clock is beyond it.
const monday = t0 - 2*364*24*market.Hour

// desk is a tape of two stocks and a coin, on two days, and what the SDK should read from it.
type desk struct {
	tape   *tapetest.Memory
	trades map[string][]marketdata.Trade
	quotes map[string][]marketdata.Quote
	coins  []marketdata.CryptoTrade
	offers []marketdata.CryptoQuote
}

func newDesk() *desk {
	d := &desk{tape: newMemTape(), trades: map[string][]marketdata.Trade{}, quotes: map[string][]marketdata.Quote{}}
	put := func(symbol market.Symbol, seq uint64, price string, at market.Time) {
		d.tape.Put("alpaca", alpacaTrade(symbol, seq, price, at))
		d.trades[symbol.Name()] = append(d.trades[symbol.Name()], marketdata.Trade{
			Timestamp: at.Std(), Price: dec(price).Float64(), Size: 100, Exchange: "V", ID: int64(52_983_525_029_460 + seq), Conditions: []string{"@", "F"}, Tape: "C",
		})
	}
	put("ALPACA:AAPL", 1, "180.55", monday-72*market.Hour) // the Friday before
	for i := range uint64(20) {
		put("ALPACA:AAPL", i+2, []string{"187.42", "187.4", "188", "187.05"}[i%4], monday+market.Time(i)*20*market.Second+market.Time(i))
	}
	put("ALPACA:AAPL", 22, "186.01", monday+330*market.Second) // late
	put("ALPACA:MSFT", 1, "410.005", monday+1)
	slices.SortFunc(d.trades["AAPL"], func(a, b marketdata.Trade) int { return a.Timestamp.Compare(b.Timestamp) })
	for i := range uint64(5) {
		at := monday + market.Time(i)*market.Second
		d.tape.Put("alpaca", market.Quote{
			Symbol: "ALPACA:AAPL", Seq: i + 1, Event: at, Received: at + 1, Bid: dec("187.41"), BidSize: dec("3"), BidFrom: "V",
			Ask: dec("187.43"), AskSize: dec("2"), AskFrom: "Q", Conditions: "R", Tape: 'C',
		}.Entry())
		d.quotes["AAPL"] = append(d.quotes["AAPL"], marketdata.Quote{
			Timestamp: at.Std(), BidPrice: 187.41, BidSize: 3, BidExchange: "V", AskPrice: 187.43, AskSize: 2, AskExchange: "Q",
			Conditions: []string{"R"}, Tape: "C",
		})
		d.tape.Put("coinbase", market.Trade{
			Symbol: "COINBASE:BTC-USD", Seq: i + 1, ID: 900 + i, Event: at, Received: at + 1, Price: dec("61837.6300"), Size: dec("0.00000100"),
			Side: market.SideSell,
		}.Entry(), market.Quote{
			Symbol: "COINBASE:BTC-USD", Seq: i + 1, Event: at + 1, Received: at + 1, Bid: dec("61837.62"), BidSize: dec("0.25"),
			Ask: dec("61837.64"), AskSize: dec("1.5"),
		}.Entry())
		d.coins = append(d.coins, marketdata.CryptoTrade{
			Timestamp: at.Std(), Price: 61837.63, Size: 0.000001, ID: int64(900 + i), TakerSide: marketdata.TakerSideSell,
		})
		d.offers = append(d.offers, marketdata.CryptoQuote{
			Timestamp: (at + 1).Std(), BidPrice: 61837.62, BidSize: 0.25, AskPrice: 61837.64, AskSize: 1.5,
		})
	}
	return d
}

// backwards returns a list in the opposite order.
func backwards[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// TestAlpacaReadsTicks reads trades and quotes with the SDK, in pages of all kinds.
func TestAlpacaReadsTicks(t *testing.T) {
	d := newDesk()
	b := serve(t, d.tape, nil)
	c := reader(t, b.url)
	aapl, start := d.trades["AAPL"], (monday - 100*market.Hour).Std()
	for _, test := range []struct {
		name string
		req  marketdata.GetTradesRequest
		want []marketdata.Trade
	}{
		{"all", marketdata.GetTradesRequest{Start: start}, aapl},
		{"the newest day, as it does not say", marketdata.GetTradesRequest{}, aapl[1:]},
		{"pages of 3", marketdata.GetTradesRequest{Start: start, PageLimit: 3}, aapl},
		{"pages of 22, which is all there is", marketdata.GetTradesRequest{Start: start, PageLimit: 22}, aapl},
		{"8 in pages of 3", marketdata.GetTradesRequest{Start: start, PageLimit: 3, TotalLimit: 8}, aapl[:8]},
		{"8", marketdata.GetTradesRequest{Start: start, TotalLimit: 8}, aapl[:8]},
		{"more than there is", marketdata.GetTradesRequest{Start: start, TotalLimit: 20_000}, aapl},
		{"the last first", marketdata.GetTradesRequest{Start: start, PageLimit: 4, Sort: marketdata.SortDesc}, backwards(aapl)},
		{"both ends are in it", marketdata.GetTradesRequest{Start: aapl[3].Timestamp, End: aapl[9].Timestamp, PageLimit: 2}, aapl[3:10]},
		{"until an end", marketdata.GetTradesRequest{End: aapl[0].Timestamp}, aapl[:1]},
		{"after all", marketdata.GetTradesRequest{Start: (monday + market.Hour).Std()}, nil},
		{"with what makes no difference", marketdata.GetTradesRequest{
			Start: start, Feed: marketdata.SIP, AsOf: "-", Currency: "USD", Sort: marketdata.SortAsc,
		}, aapl},
	} {
		same(t, test.name, test.want)(c.GetTrades("AAPL", test.req))
	}
	same(t, "trades of two", map[string][]marketdata.Trade{"ALPACA:MSFT": d.trades["MSFT"], "aapl": aapl})(
		c.GetMultiTrades([]string{"ALPACA:MSFT", "aapl"}, marketdata.GetTradesRequest{Start: start, PageLimit: 7}))
	// The total may end between two symbols.
	same(t, "one of two", map[string][]marketdata.Trade{"MSFT": d.trades["MSFT"]})(
		c.GetMultiTrades([]string{"MSFT", "AAPL"}, marketdata.GetTradesRequest{Start: start, TotalLimit: 1}))

	same(t, "quotes", d.quotes["AAPL"])(c.GetQuotes("AAPL", marketdata.GetQuotesRequest{PageLimit: 2, Feed: marketdata.IEX}))
	same(t, "quotes of two", d.quotes)(c.GetMultiQuotes([]string{"AAPL", "MSFT"}, marketdata.GetQuotesRequest{PageLimit: 2}))
	same(t, "the last quotes", map[string][]marketdata.Quote{"AAPL": backwards(d.quotes["AAPL"])[:3]})(
		c.GetMultiQuotes([]string{"MSFT", "AAPL"}, marketdata.GetQuotesRequest{PageLimit: 2, TotalLimit: 3, Sort: marketdata.SortDesc}))

	same(t, "coins", d.coins)(c.GetCryptoTrades("BTC/USD", marketdata.GetCryptoTradesRequest{PageLimit: 2}))
	same(t, "the last coins", map[string][]marketdata.CryptoTrade{"BTC/USD": backwards(d.coins)[:4]})(
		c.GetCryptoMultiTrades([]string{"BTC/USD"}, marketdata.GetCryptoTradesRequest{PageLimit: 3, TotalLimit: 4, Sort: marketdata.SortDesc, Start: monday.Std()}))
	same(t, "offers", d.offers)(c.GetCryptoQuotes("BTC/USD", marketdata.GetCryptoQuotesRequest{PageLimit: 4, End: (monday + market.Hour).Std()}))
	same(t, "offers of one", map[string][]marketdata.CryptoQuote{"BTC/USD": d.offers})(
		c.GetCryptoMultiQuotes([]string{"BTC/USD"}, marketdata.GetCryptoQuotesRequest{}))
}

// The bars of the desk.
func (d *desk) bars() (minutes []marketdata.Bar, days []marketdata.Bar, coin marketdata.CryptoBar) {
	minute := func(n int, o, h, l, c float64, count uint64, vw float64) marketdata.Bar {
		return marketdata.Bar{
			Timestamp: (monday + market.Time(n)*market.Minute).Std(), Open: o, High: h, Low: l, Close: c, Volume: 100 * count, TradeCount: count, VWAP: vw,
		}
	}
	minutes = []marketdata.Bar{
		{Timestamp: (monday - 72*market.Hour).Std(), Open: 180.55, High: 180.55, Low: 180.55, Close: 180.55, Volume: 100, TradeCount: 1, VWAP: 180.55},
		minute(0, 187.42, 188, 187.4, 188, 3, 187.606667),
		minute(1, 187.05, 187.42, 187.05, 187.4, 3, 187.29),
		minute(2, 188, 188, 187.05, 187.42, 3, 187.49),
		minute(3, 187.4, 188, 187.05, 187.05, 3, 187.483333),
		minute(4, 187.42, 188, 187.4, 188, 3, 187.606667),
		minute(5, 187.05, 187.42, 186.01, 187.4, 4, 186.97),
		minute(6, 188, 188, 187.05, 187.05, 2, 187.525),
	}
	days = []marketdata.Bar{
		{Timestamp: (monday - 72*market.Hour).Std(), Open: 180.55, High: 180.55, Low: 180.55, Close: 180.55, Volume: 100, TradeCount: 1, VWAP: 180.55},
		{Timestamp: monday.Std(), Open: 187.42, High: 188, Low: 186.01, Close: 187.05, Volume: 2100, TradeCount: 21, VWAP: 187.398095},
	}
	for i := range days { // midnight in New York
		days[i].Timestamp = days[i].Timestamp.Truncate(24 * time.Hour).Add(5 * time.Hour)
	}
	return minutes, days, marketdata.CryptoBar{
		Timestamp: monday.Std(), Open: 61837.63, High: 61837.63, Low: 61837.63, Close: 61837.63, Volume: 0.000005, TradeCount: 5, VWAP: 61837.63,
	}
}

// TestAlpacaReadsBars reads bars with the SDK.
func TestAlpacaReadsBars(t *testing.T) {
	d := newDesk()
	b := serve(t, d.tape, nil)
	c := reader(t, b.url)
	minutes, days, coin := d.bars()
	start := (monday - 100*market.Hour).Std()
	for _, test := range []struct {
		name string
		req  marketdata.GetBarsRequest
		want []marketdata.Bar
	}{
		{"minutes", marketdata.GetBarsRequest{TimeFrame: marketdata.OneMin, Start: start}, minutes},
		{"minutes of the newest day", marketdata.GetBarsRequest{TimeFrame: marketdata.OneMin}, minutes[1:]},
		{"minutes in pages", marketdata.GetBarsRequest{TimeFrame: marketdata.OneMin, Start: start, PageLimit: 3}, minutes},
		{"the last five minutes in pages", marketdata.GetBarsRequest{
			TimeFrame: marketdata.OneMin, Start: start, PageLimit: 2, TotalLimit: 5, Sort: marketdata.SortDesc,
		}, backwards(minutes)[:5]},
		{"days, which is what it asks for when it does not say", marketdata.GetBarsRequest{Start: start}, days},
		{"the current day", marketdata.GetBarsRequest{}, days[1:]},
		{"adjusted", marketdata.GetBarsRequest{
			Start: start, TimeFrame: marketdata.OneDay, Adjustment: marketdata.CombineAdjustments(marketdata.AdjustmentSplit, marketdata.AdjustmentSpinOff),
			Feed: marketdata.IEX, AsOf: "2024-11-25", Currency: "USD",
		}, days},
	} {
		same(t, test.name, test.want)(c.GetBars("AAPL", test.req))
	}
	msft := []marketdata.Bar{{Timestamp: monday.Std(), Open: 410.005, High: 410.005, Low: 410.005, Close: 410.005, Volume: 100, TradeCount: 1, VWAP: 410.005}}
	same(t, "bars of two", map[string][]marketdata.Bar{"AAPL": minutes[1:], "MSFT": msft})(
		c.GetMultiBars([]string{"AAPL", "MSFT"}, marketdata.GetBarsRequest{TimeFrame: marketdata.OneMin, PageLimit: 4}))
	same(t, "bars of a coin", []marketdata.CryptoBar{coin})(c.GetCryptoBars("BTC/USD", marketdata.GetCryptoBarsRequest{TimeFrame: marketdata.OneMin}))
	day := coin
	day.Timestamp = monday.Std().Truncate(24 * time.Hour)
	same(t, "days of a coin", map[string][]marketdata.CryptoBar{"BTC/USD": {day}})(
		c.GetCryptoMultiBars([]string{"BTC/USD"}, marketdata.GetCryptoBarsRequest{Start: start, TotalLimit: 3}))
}

// TestBarsOfTheEvening asks for the current day of a stock when it is the next day in UTC already.
func TestBarsOfTheEvening(t *testing.T) {
	m := newMemTape()
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 1, "187.42", monday-72*market.Hour))
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 2, "187.43", monday))
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 3, "187.44", monday+10*market.Hour)) // 19:30 in New York
	b := serve(t, m, nil)
	c := reader(t, b.url)
	got, err := c.GetBars("AAPL", marketdata.GetBarsRequest{})
	if err != nil || len(got) != 1 || got[0].Close != 187.43 || got[0].Timestamp != (monday-9*market.Hour-30*market.Minute).Std() {
		t.Errorf("days: got %+v, %v", got, err)
	}
	if got, err = c.GetBars("AAPL", marketdata.GetBarsRequest{TimeFrame: marketdata.OneMin}); err != nil || len(got) != 1 || got[0].Close != 187.44 {
		t.Errorf("minutes: got %+v, %v", got, err)
	}
}

// TestAlpacaReadsTheNewest reads the newest of all with the SDK, and snapshots.
func TestAlpacaReadsTheNewest(t *testing.T) {
	d := newDesk()
	b := serve(t, d.tape, nil)
	c := reader(t, b.url)
	minutes, days, coin := d.bars()
	// The newest trade is the one that came last, though it is late.
	last := d.trades["AAPL"][slices.IndexFunc(d.trades["AAPL"], func(v marketdata.Trade) bool { return v.Price == 186.01 })]
	msft, quoted := d.trades["MSFT"][0], d.quotes["AAPL"][4]
	lone := marketdata.Bar{Timestamp: monday.Std(), Open: 410.005, High: 410.005, Low: 410.005, Close: 410.005, Volume: 100, TradeCount: 1, VWAP: 410.005}

	same(t, "trade", &last)(c.GetLatestTrade("AAPL", marketdata.GetLatestTradeRequest{Feed: marketdata.SIP, Currency: "USD"}))
	same(t, "trades", map[string]marketdata.Trade{"AAPL": last, "MSFT": msft})(
		c.GetLatestTrades([]string{"AAPL", "MSFT"}, marketdata.GetLatestTradeRequest{}))
	same(t, "quote", &quoted)(c.GetLatestQuote("AAPL", marketdata.GetLatestQuoteRequest{}))
	same[*marketdata.Quote](t, "no quote", nil)(c.GetLatestQuote("MSFT", marketdata.GetLatestQuoteRequest{}))
	same(t, "quotes", map[string]marketdata.Quote{"AAPL": quoted})(c.GetLatestQuotes([]string{"MSFT", "AAPL"}, marketdata.GetLatestQuoteRequest{}))
	same(t, "bar", &minutes[7])(c.GetLatestBar("AAPL", marketdata.GetLatestBarRequest{Feed: marketdata.IEX}))
	same(t, "bars", map[string]marketdata.Bar{"AAPL": minutes[7], "MSFT": lone})(
		c.GetLatestBars([]string{"AAPL", "MSFT"}, marketdata.GetLatestBarRequest{Currency: "USD"}))

	lone2 := lone
	lone2.Timestamp = days[1].Timestamp
	all := map[string]*marketdata.Snapshot{
		"AAPL": {LatestTrade: &last, LatestQuote: &quoted, MinuteBar: &minutes[7], DailyBar: &days[1], PrevDailyBar: &days[0]},
		"MSFT": {LatestTrade: &msft, MinuteBar: &lone, DailyBar: &lone2},
	}
	same(t, "snapshot", all["AAPL"])(c.GetSnapshot("AAPL", marketdata.GetSnapshotRequest{}))
	same(t, "snapshots", all)(c.GetSnapshots([]string{"AAPL", "MSFT"}, marketdata.GetSnapshotRequest{Feed: marketdata.IEX, Currency: "USD"}))

	sold, offered, day := d.coins[4], d.offers[4], coin
	day.Timestamp = monday.Std().Truncate(24 * time.Hour)
	same(t, "coin", &sold)(c.GetLatestCryptoTrade("BTC/USD", marketdata.GetLatestCryptoTradeRequest{}))
	same(t, "coins", map[string]marketdata.CryptoTrade{"BTC/USD": sold})(
		c.GetLatestCryptoTrades([]string{"BTC/USD"}, marketdata.GetLatestCryptoTradeRequest{}))
	same(t, "offer", &offered)(c.GetLatestCryptoQuote("BTC/USD", marketdata.GetLatestCryptoQuoteRequest{}))
	same(t, "offers", map[string]marketdata.CryptoQuote{"BTC/USD": offered})(
		c.GetLatestCryptoQuotes([]string{"BTC/USD"}, marketdata.GetLatestCryptoQuoteRequest{}))
	same(t, "bar of a coin", &coin)(c.GetLatestCryptoBar("BTC/USD", marketdata.GetLatestCryptoBarRequest{}))
	same(t, "bars of coins", map[string]marketdata.CryptoBar{"BTC/USD": coin})(
		c.GetLatestCryptoBars([]string{"BTC/USD"}, marketdata.GetLatestCryptoBarRequest{}))
	whole := marketdata.CryptoSnapshot{LatestTrade: &sold, LatestQuote: &offered, MinuteBar: &coin, DailyBar: &day}
	same(t, "snapshot of a coin", &whole)(c.GetCryptoSnapshot("BTC/USD", marketdata.GetCryptoSnapshotRequest{}))
	same(t, "snapshots of coins", map[string]marketdata.CryptoSnapshot{"BTC/USD": whole})(
		c.GetCryptoSnapshots([]string{"BTC/USD"}, marketdata.GetCryptoSnapshotRequest{}))
}

// TestAlpacaReadsErrors looks at what the SDK makes of a refusal: it has the status and the whole answer, and does not try again.
func TestAlpacaReadsErrors(t *testing.T) {
	b := serve(t, newDesk().tape, nil)
	c := reader(t, b.url)
	for name, err := range map[string]error{
		"404 AAPX":  second(c.GetMultiTrades([]string{"MSFT", "AAPX"}, marketdata.GetTradesRequest{})),
		"404 NOPE":  second(c.GetSnapshots([]string{"NOPE"}, marketdata.GetSnapshotRequest{})),
		"400 10000": second(c.GetBars("AAPL", marketdata.GetBarsRequest{PageLimit: 10_001})),
	} {
		status, text, _ := strings.Cut(name, " ")
		var answer *alpaca.APIError
		if !errors.As(err, &answer) || http.StatusText(answer.StatusCode) == "" || !strings.Contains(answer.Body, `"status":`+status) || !strings.Contains(answer.Body, text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
