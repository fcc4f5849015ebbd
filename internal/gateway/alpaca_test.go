package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata"
	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata/stream"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tapedeck/internal/market"
)

// strict is a logger of the SDK that lets nothing pass: the SDK only warns when it loses a message.
type strict struct{ t *testing.T }

func (s strict) Infof(string, ...any) {}

func (s strict) Warnf(format string, v ...any) { s.t.Errorf("the SDK warns: "+format, v...) }

func (s strict) Errorf(format string, v ...any) { s.t.Errorf("the SDK fails: "+format, v...) }

// calm is a logger for tests in which the SDK fails on purpose.
type calm struct{}

func (calm) Infof(string, ...any)  {}
func (calm) Warnf(string, ...any)  {}
func (calm) Errorf(string, ...any) {}

// sdk is what the clients of the SDK have in common.
type sdk interface {
	Connect(ctx context.Context) error
	Terminated() <-chan error
}

// connect connects a client of the SDK; it is disconnected at the end of the test.
func connect(t *testing.T, c sdk) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Connect(ctx); err != nil {
		cancel()
		t.Fatalf("Connect: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		for err := range c.Terminated() {
			if err != nil {
				t.Errorf("Terminated: %v", err)
			}
		}
	})
}

// heard is what a handler of the SDK was given.
type heard[T any] chan T

func hear[T any]() heard[T] { return make(heard[T], 100) }

func (h heard[T]) handle(v T) { h <- v }

// want takes the next value and compares what is exported of it.
func (h heard[T]) want(t *testing.T, want T) {
	t.Helper()
	select {
	case got := <-h:
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(stream.Trade{}, stream.Quote{})); diff != "" {
			t.Errorf("-want +got: %s", diff)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing came, want %+v", want)
	}
}

// wantNothing looks at what came so far.
func (h heard[T]) wantNothing(t *testing.T) {
	t.Helper()
	select {
	case got := <-h:
		t.Errorf("got %+v, want nothing", got)
	default:
	}
}

// alpacaTrade is a trade with all that a stock feed says.
func alpacaTrade(symbol market.Symbol, seq uint64, price string, when market.Time) market.Entry {
	return market.Trade{
		Symbol: symbol, Seq: seq, ID: 52_983_525_029_460 + seq, Event: when, Received: when + 1_000_000, Price: dec(price), Size: dec("100"),
		Exchange: "V", Conditions: "@,F", Tape: 'C',
	}.Entry()
}

func sdkTrade(symbol string, seq int64, price float64, when market.Time) stream.Trade {
	return stream.Trade{
		ID: 52_983_525_029_460 + seq, Symbol: symbol, Exchange: "V", Price: price, Size: 100, Timestamp: when.Std(), Conditions: []string{"@", "F"}, Tape: "C",
	}
}

// TestAlpacaStocks runs Alpaca's own SDK against the stream for stocks.
func TestAlpacaStocks(t *testing.T) {
	m := newMemTape()
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 1, "187.10", t0+market.Second), alpacaTrade("ALPACA:MSFT", 1, "410", t0))
	b := serve(t, m, nil)
	trades, quotes, statuses := hear[stream.Trade](), hear[stream.Quote](), hear[stream.TradingStatus]()
	bars, updated, daily := hear[stream.Bar](), hear[stream.Bar](), hear[stream.Bar]()
	c := stream.NewStocksClient(marketdata.IEX,
		stream.WithBaseURL(b.url+"/v2"), stream.WithCredentials("any", "any"), stream.WithLogger(strict{t}), stream.WithReconnectSettings(1, 0),
		stream.WithTrades(trades.handle, "AAPL"), stream.WithQuotes(quotes.handle, "AAPL"), stream.WithStatuses(statuses.handle, "*"),
		stream.WithBars(bars.handle, "*"), stream.WithUpdatedBars(updated.handle, "*"), stream.WithDailyBars(daily.handle, "AAPL"),
	)
	connect(t, c)

	m.Put("alpaca",
		alpacaTrade("ALPACA:MSFT", 2, "411", t0+market.Second),
		alpacaTrade("ALPACA:AAPL", 2, "187.42", t0+1_123_456_789),
		market.Quote{
			Symbol: "ALPACA:AAPL", Seq: 1, Event: t0 + market.Second, Received: t0 + market.Second, Bid: dec("187.41"), BidSize: dec("3"),
			Ask: dec("187.43"), AskSize: dec("2"), BidFrom: "V", AskFrom: "Q", Conditions: "R", Tape: 'C',
		}.Entry(),
		market.Quote{ // as a venue sends it that says less, and in fractions
			Symbol: "ALPACA:AAPL", Seq: 2, Event: 0, Received: t0 + 2*market.Second, Bid: dec("0.1"), BidSize: dec("0.75"),
			Ask: dec("0.3"), AskSize: dec("4294967296"),
		}.Entry(),
		market.Status{Symbol: "ALPACA:AAPL", State: market.StateHalted, Event: t0 + market.Second, Reason: "news pending"}.Entry(),
		market.Status{Symbol: "ALPACA:AAPL", State: market.StateStale, Event: t0}.Entry(),
		market.Gap{Symbol: "ALPACA:AAPL", From: t0, To: t0 + 1, Reason: "connection lost"}.Entry(),
		market.Status{Symbol: "ALPACA:MSFT", State: market.StateLive, Event: t0 + market.Second}.Entry(),
	)
	trades.want(t, sdkTrade("AAPL", 2, 187.42, t0+1_123_456_789))
	quotes.want(t, stream.Quote{
		Symbol: "AAPL", BidExchange: "V", BidPrice: 187.41, BidSize: 3, AskExchange: "Q", AskPrice: 187.43, AskSize: 2,
		Timestamp: (t0 + market.Second).Std(), Conditions: []string{"R"}, Tape: "C",
	})
	quotes.want(t, stream.Quote{
		Symbol: "AAPL", BidPrice: 0.1, BidSize: 0, AskPrice: 0.3, AskSize: 1<<32 - 1, Timestamp: (t0 + 2*market.Second).Std(), Conditions: []string{},
	})
	statuses.want(t, stream.TradingStatus{
		Symbol: "AAPL", StatusCode: "H", StatusMsg: "Trading Halt", ReasonMsg: "news pending", Timestamp: (t0 + market.Second).Std(),
	})
	statuses.want(t, stream.TradingStatus{Symbol: "MSFT", StatusCode: "T", StatusMsg: "Trading Resumption", Timestamp: (t0 + market.Second).Std()})

	// The next minute closes the bars, and a late trade changes one.
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 3, "188", t0+62*market.Second))
	bar := stream.Bar{
		Symbol: "AAPL", Open: 187.1, High: 187.42, Low: 187.1, Close: 187.42, Volume: 200, Timestamp: t0.Std(), TradeCount: 2, VWAP: 187.26,
	}
	trades.want(t, sdkTrade("AAPL", 3, 188, t0+62*market.Second))
	// Bars close in the order of their symbols' first trades.
	bars.want(t, bar)
	bars.want(t, stream.Bar{Symbol: "MSFT", Open: 410, High: 411, Low: 410, Close: 411, Volume: 200, Timestamp: t0.Std(), TradeCount: 2, VWAP: 410.5})
	day := bar
	day.Timestamp = (t0.Floor(24*market.Hour) + 5*market.Hour).Std() // midnight in New York
	day.High, day.Close, day.Volume, day.TradeCount, day.VWAP = 188, 188, 300, 3, 187.506667
	daily.want(t, day)
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 4, "186", t0+3*market.Second))
	trades.want(t, sdkTrade("AAPL", 4, 186, t0+3*market.Second))
	bar.Low, bar.Close, bar.Volume, bar.TradeCount, bar.VWAP = 186, 186, 300, 3, 186.84
	updated.want(t, bar)

	// More, and less.
	if err := c.SubscribeToTrades(trades.handle, "MSFT"); err != nil {
		t.Fatal(err)
	}
	if err := c.UnsubscribeFromTrades("AAPL"); err != nil {
		t.Fatal(err)
	}
	if err := c.SubscribeToLULDs(func(stream.LULD) {}, "AAPL"); err != nil {
		t.Fatal(err)
	}
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 5, "188.5", t0+63*market.Second), alpacaTrade("ALPACA:MSFT", 3, "412.25", t0+64*market.Second))
	trades.want(t, sdkTrade("MSFT", 3, 412.25, t0+64*market.Second))
	trades.wantNothing(t)
}

// TestAlpacaCrypto runs Alpaca's own SDK against the stream for crypto.
func TestAlpacaCrypto(t *testing.T) {
	m := newMemTape()
	coin := func(seq uint64, price, size string, when market.Time) market.Entry {
		return market.Trade{
			Symbol: "COINBASE:BTC-USD", Seq: seq, ID: 865_127_781 + seq, Event: when, Received: when + 1, Price: dec(price), Size: dec(size), Side: market.SideSell,
		}.Entry()
	}
	sold := func(seq int64, price, size float64, when market.Time) stream.CryptoTrade {
		return stream.CryptoTrade{
			ID: 865_127_781 + seq, Symbol: "BTC/USD", Price: price, Size: size, Timestamp: when.Std(), TakerSide: marketdata.TakerSideSell,
		}
	}
	m.Put("coinbase", coin(1, "61837.6300", "0.5", t0))
	b := serve(t, m, nil)
	t.Setenv("DATA_CRYPTO_PROXY_WS", b.url+"/v1beta3/crypto")
	trades, quotes, bars, updated := hear[stream.CryptoTrade](), hear[stream.CryptoQuote](), hear[stream.CryptoBar](), hear[stream.CryptoBar]()
	c := stream.NewCryptoClient(marketdata.US,
		stream.WithCredentials("any", "any"), stream.WithLogger(strict{t}), stream.WithReconnectSettings(1, 0),
		stream.WithCryptoTrades(trades.handle, "BTC/USD"), stream.WithCryptoQuotes(quotes.handle, "*"), stream.WithCryptoBars(bars.handle, "BTC/USD"),
		stream.WithCryptoUpdatedBars(updated.handle, "BTC/USD"), stream.WithCryptoOrderbooks(func(stream.CryptoOrderbook) {}, "BTC/USD"),
	)
	connect(t, c)
	m.Put("coinbase",
		coin(2, "61838.0100", "0.00000100", t0+1),
		coin(3, "61838", "9000000000", t0+2),
		market.Quote{
			Symbol: "COINBASE:BTC-USD", Seq: 1, Event: t0 + 3, Received: t0 + 4, Bid: dec("61837.61"), BidSize: dec("0.5"), Ask: dec("61837.63"), AskSize: dec("1.25000000"),
		}.Entry(),
		coin(4, "61838", "1", t0+60*market.Second),
		coin(5, "61838", "1", t0+62*market.Second),
		coin(6, "60000", "2", t0+10),
	)
	trades.want(t, sold(2, 61838.01, 0.000001, t0+1))
	trades.want(t, sold(3, 61838, 9e9, t0+2))
	quotes.want(t, stream.CryptoQuote{Symbol: "BTC/USD", BidPrice: 61837.61, BidSize: 0.5, AskPrice: 61837.63, AskSize: 1.25, Timestamp: (t0 + 3).Std()})
	bar := stream.CryptoBar{
		Symbol: "BTC/USD", Open: 61837.63, High: 61838.01, Low: 61837.63, Close: 61838, Volume: 9000000000.500001, Timestamp: t0.Std(), TradeCount: 3, VWAP: 61838,
	}
	bars.want(t, bar)
	bar.Low, bar.Close, bar.Volume, bar.TradeCount, bar.VWAP = 60000, 60000, 9000000002.500001, 4, 61838
	updated.want(t, bar)
	if err := c.UnsubscribeFromTrades("BTC/USD"); err != nil {
		t.Fatal(err)
	}
}

// TestAlpacaFinds connects the SDK to each path that it knows, by the variable of its own.
func TestAlpacaFinds(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18742, t0))
	b := serve(t, m, nil)
	for i, feed := range []marketdata.Feed{marketdata.IEX, marketdata.SIP, marketdata.DelayedSIP, "test"} {
		for j, base := range []string{b.url + "/v2", "ws" + strings.TrimPrefix(b.url, "http") + "/v2"} {
			t.Setenv("DATA_PROXY_WS", base)
			trades := hear[stream.Trade]()
			c := stream.NewStocksClient(feed, stream.WithCredentials("any", "any"), stream.WithLogger(strict{t}), stream.WithTrades(trades.handle, "AAPL"))
			connect(t, c)
			seq := uint64(2 + 2*i + j)
			m.Put("sim", trade("SIM:AAPL", seq, 18742, t0+market.Time(seq)))
			trades.want(t, stream.Trade{
				ID: int64(seq), Symbol: "AAPL", Price: 187.42, Size: 100, Timestamp: (t0 + market.Time(seq)).Std(), Conditions: []string{},
			})
		}
	}
}

// TestAlpacaErrors looks at how the SDK tells what the server refused.
func TestAlpacaErrors(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, func(o *Options) { o.Limits.Symbols = 2 })
	ignore := func(stream.Trade) {}
	base := []stream.StockOption{stream.WithBaseURL(b.url + "/v2"), stream.WithCredentials("any", "any"), stream.WithLogger(calm{}), stream.WithReconnectSettings(1, 0)}

	err := stream.NewStocksClient(marketdata.SIP, append(base, stream.WithTrades(ignore, "A", "B", "C"))...).Connect(t.Context())
	if !errors.Is(err, stream.ErrSymbolLimitExceeded) {
		t.Errorf("got %v, want %v", err, stream.ErrSymbolLimitExceeded)
	}
	c := stream.NewStocksClient(marketdata.SIP, append(base, stream.WithTrades(ignore, "A", "B"))...)
	connect(t, c)
	if err := c.SubscribeToTrades(ignore, "C"); !errors.Is(err, stream.ErrSymbolLimitExceeded) {
		t.Errorf("got %v, want %v", err, stream.ErrSymbolLimitExceeded)
	}
	if err := c.SubscribeToTrades(ignore, "no symbol"); err == nil || !strings.Contains(err.Error(), "cannot be a symbol") {
		t.Errorf("got %v, want that it cannot be a symbol", err)
	}
	// It lives on, with what it had.
	if err := c.UnsubscribeFromTrades("B"); err != nil {
		t.Error(err)
	}
	if err := c.SubscribeToTrades(ignore, "C"); err != nil {
		t.Error(err)
	}
	err = stream.NewStocksClient("nowhere", base...).Connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "irrecoverable") {
		t.Errorf("got %v, want an error that no retry mends", err)
	}
}
