package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata"
	"github.com/alpacahq/alpaca-trade-api-go/v3/marketdata/stream"
	gocmp "github.com/google/go-cmp/cmp"

	"tapedeck/internal/venue/venuetest"
)

// quiet is a logger of the SDK.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// bot is a program written for Alpaca: it finds its server by the variable that the SDK reads.
type bot struct {
	t      *testing.T
	client *stream.StocksClient
	trades chan stream.Trade
	stop   func()
}

// newBot connects a bot, and subscribes to the trades of some symbols.
func newBot(t *testing.T, symbols ...string) *bot {
	t.Helper()
	b := &bot{t: t, trades: make(chan stream.Trade, 1000)}
	b.client = stream.NewStocksClient(marketdata.IEX, stream.WithCredentials("any", "any"), stream.WithLogger(quiet{}),
		stream.WithReconnectSettings(1, 0), stream.WithTrades(b.handle, symbols...))
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.client.Connect(ctx); err != nil {
		cancel()
		t.Fatalf("connect: %v", err)
	}
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			for err := range b.client.Terminated() {
				if err != nil {
					t.Errorf("terminated: %v", err)
				}
			}
		})
	}
	t.Cleanup(b.stop)
	return b
}

func (b *bot) handle(t stream.Trade) { b.trades <- t }

// want takes the next trade.
func (b *bot) want(want venuetest.Trade) {
	b.t.Helper()
	select {
	case got := <-b.trades:
		if got.Symbol != want.Symbol || got.ID != int64(want.ID) || !got.Timestamp.Equal(want.Time) {
			b.t.Errorf("got %+v, want %+v", got, want)
		}
	case <-time.After(20 * time.Second):
		b.t.Fatalf("nothing came, want %+v", want)
	}
}

// carries waits until the emulated venue's only client has subscribed to symbols.
func carries(t *testing.T, v *venuetest.Server, symbols ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var got []string
		conns := v.Conns()
		if len(conns) == 1 {
			got = conns[0].Subscribed()
		}
		diff := gocmp.Diff(symbols, got)
		if diff == "" || len(symbols) == 0 && len(got) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections; the venue is asked for: -want +got: %s", len(conns), diff)
		}
		runtime.Gosched()
	}
}

// TestMultiplexer has programs written for Alpaca share one connection to an emulated Alpaca, unchanged but for the variables that say
// where it is.
func TestMultiplexer(t *testing.T) {
	const key, secret = "PKMULTIPLEXER", "the-secret-of-the-test"
	upstream := venuetest.Start(t, venuetest.Alpaca(venuetest.AlpacaOptions{Key: key, Secret: secret, Limit: 4}), venuetest.Options{})
	t.Setenv("APCA_API_KEY_ID", key)
	t.Setenv("APCA_API_SECRET_KEY", secret)
	var said bytes.Buffer
	n, address := runLogged(t, slog.New(slog.NewTextHandler(&locked{w: &said}, &slog.HandlerOptions{Level: slog.LevelDebug})), func(c *Config) {
		c.Feeds = []string{"alpaca://SPY?kinds=trades&on-demand=true&limit=4&linger=2s&url=" + upstream.URL()}
	})
	base, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DATA_PROXY_WS", "ws://"+base.Host+"/v2")

	one := newBot(t, "AAPL", "MSFT")
	two := newBot(t, "AAPL", "IBM")
	three := newBot(t, "SPY", "IBM")
	carries(t, upstream, "AAPL", "IBM", "MSFT", "SPY")
	aapl, ibm, spy := upstream.Trade("AAPL"), upstream.Trade("IBM"), upstream.Trade("SPY")
	one.want(aapl)
	two.want(aapl)
	two.want(ibm)
	three.want(ibm)
	three.want(spy)

	// The plan has no room for more.
	if err := three.client.SubscribeToTrades(three.handle, "AMD"); !errors.Is(err, stream.ErrSymbolLimitExceeded) {
		t.Errorf("got %v, want that the limit is exceeded", err)
	}

	// A program that comes back misses nothing upstream; what nobody wants is let go after a while, and makes room at once.
	one.stop()
	one = newBot(t, "MSFT")
	carries(t, upstream, "AAPL", "IBM", "MSFT", "SPY")
	msft := upstream.Trade("MSFT")
	one.want(msft)
	two.stop()
	if err := three.client.SubscribeToTrades(three.handle, "AMD"); err != nil {
		t.Fatal(err)
	}
	carries(t, upstream, "AMD", "IBM", "MSFT", "SPY")
	one.stop()
	amd := upstream.Trade("AMD")
	three.want(amd)
	three.stop()
	carries(t, upstream, "SPY")
	if got := len(upstream.Conns()); got != 1 {
		t.Errorf("%d connections to the venue, want 1", got)
	}
	if got := len(upstream.Connects()); got != 1 {
		t.Errorf("the venue was connected to %d times, want 1", got)
	}

	// All of it is on the tape, and in history.
	n.recordRest(t.Context())
	for symbol, want := range map[string]venuetest.Trade{"AAPL": aapl, "IBM": ibm, "MSFT": msft, "AMD": amd, "SPY": spy} {
		response, err := http.Get(address + "v2/stocks/" + symbol + "/trades?start=" + want.Time.Format(time.RFC3339Nano)) //nolint:noctx // of a test
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || !bytes.Contains(text, fmt.Appendf(nil, `"i":%d,`, want.ID)) || !bytes.Contains(text, []byte(`"s":`+want.Size+`,`)) {
			t.Errorf("%s: history has %s, %v; want %+v", symbol, text, err, want)
		}
	}
	if text := said.String(); strings.Contains(text, key) || strings.Contains(text, secret) {
		t.Error("the log tells the key")
	}
}

// locked lets several goroutines write.
type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

// Write implements io.Writer.
func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// TestVendorsWithoutKeys looks at what is said at the start.
func TestVendorsWithoutKeys(t *testing.T) {
	for _, name := range []string{"APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "FINNHUB_API_KEY", "MASSIVE_API_KEY", "OTHER_KEY"} {
		t.Setenv(name, "")
	}
	for feed, want := range map[string]string{
		"alpaca://AAPL":                    "APCA_API_KEY_ID",
		"finnhub://AAPL":                   "FINNHUB_API_KEY",
		"massive://AAPL":                   "MASSIVE_API_KEY",
		"massive://AAPL?key=env:OTHER_KEY": "OTHER_KEY",
		"alpaca://":                        "on-demand=true",
		"alpaca://AAPL?feed=nyse":          "feed=nyse",
		"alpaca://BTC/USD":                 "BTC/USD",
		"alpaca://AAPL,aapl":               "twice",
		"alpaca://AAPL?auth=guess":         "auth=",
		"alpaca://AAPL?encoding=xml":       "encoding=",
		"massive://AAPL?delayed=perhaps":   "delayed=",
		"alpaca://AAPL,MSFT?on-demand=true&limit=1&key=aaaa&secret=bbbb": "limit of 1",
	} {
		c := Defaults()
		c.Data, c.Feeds = t.TempDir(), []string{feed}
		if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "bbbb") {
			t.Errorf("%s: got %v, want %q in it", feed, err, want)
		}
	}
}
