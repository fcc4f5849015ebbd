package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/market"
)

// wishList is wishes for stocks and pairs of ALPACA, of which it has room for a few.
type wishList struct {
	limit int

	mu      sync.Mutex
	clients map[market.Symbol]int
}

func newWishList(limit int) *wishList {
	return &wishList{limit: limit, clients: make(map[market.Symbol]int)}
}

func (w *wishList) Name(text string) []market.Symbol {
	name := strings.TrimPrefix(strings.ToUpper(text), "ALPACA:")
	s, err := market.NewSymbol("ALPACA", strings.Replace(name, "/", "-", 1))
	if err != nil || strings.Contains(name, ":") || name == "NOWHERE" {
		return nil
	}
	if name == "TWICE" {
		return []market.Symbol{"ALPACA:TWICE", "MASSIVE:TWICE"}
	}
	return []market.Symbol{s}
}

func (w *wishList) Want(symbols []market.Symbol) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := maps.Clone(w.clients)
	for _, s := range symbols {
		if s.Venue() == "ALPACA" {
			next[s]++
		}
	}
	if len(next) > w.limit {
		return errors.New("symbol limit exceeded: feed alpaca may carry " + fmt.Sprint(w.limit))
	}
	w.clients = next
	return nil
}

func (w *wishList) Release(symbols []market.Symbol) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range symbols {
		if s.Venue() != "ALPACA" {
			continue
		}
		if w.clients[s]--; w.clients[s] == 0 {
			delete(w.clients, s)
		} else if w.clients[s] < 0 {
			panic("BUG: " + s + " is released more often than it was wanted")
		}
	}
}

// String lists what is wanted and by how many.
func (w *wishList) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, s := range slices.Sorted(maps.Keys(w.clients)) {
		fmt.Fprintf(&b, "%s:%d ", s.Name(), w.clients[s])
	}
	return strings.TrimSpace(b.String())
}

// wants waits until the wishes are as told.
func (w *wishList) wants(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for w.String() != want {
		if time.Now().After(deadline) {
			t.Fatalf("wanted is %q, want %q", w, want)
		}
		runtime.Gosched()
	}
}

// ways runs a test with the driver of the platform and with the portable one.
func ways(t *testing.T, test func(t *testing.T, portable bool)) {
	t.Helper()
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprintf("portable=%v", portable), func(t *testing.T) { test(t, portable) })
	}
}

func TestWishes(t *testing.T) {
	ways(t, func(t *testing.T, portable bool) {
		m := newMemTape()
		m.Put("sim", trade("SIM:AAPL", 1, 18742, t0))
		w := newWishList(3)
		b := serve(t, m, func(o *Options) { o.Wishes, o.Portable = w, portable })

		// A program written for the vendor means the vendor's, whatever else has the name.
		c := b.dial("/v2/iex")
		c.want(`[{"T":"success","msg":"connected"}]`)
		c.send(`{"action":"subscribe","trades":["AAPL","MSFT"],"quotes":["AAPL"],"bars":["IBM","*"],"statuses":["SPY"]}`)
		c.want(`[{"T":"subscription","trades":["AAPL","MSFT"],"quotes":["AAPL"],"bars":["*","IBM"],"updatedBars":[],"dailyBars":[],"statuses":["SPY"],` +
			`"lulds":[],"corrections":["AAPL","MSFT"],"cancelErrors":["AAPL","MSFT"]}]`)
		w.wants(t, "AAPL:1 IBM:1 MSFT:1")
		c.send(`{"action":"subscribe","trades":["AMD"]}`)
		c.want(`[{"T":"error","code":405,"msg":"symbol limit exceeded"}]`)
		w.wants(t, "AAPL:1 IBM:1 MSFT:1")
		c.send(`{"action":"unsubscribe","quotes":["AAPL"],"bars":["IBM"]}`)
		c.read()
		w.wants(t, "AAPL:1 MSFT:1")
		m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 1, "187.1", t0+1), trade("SIM:AAPL", 2, 100, t0+2))
		if got := c.read(); !strings.Contains(got, `"p":187.1,`) || strings.Contains(got, `"p":1.`) {
			t.Errorf("got %s, want the vendor's trade", got)
		}

		// Others say which, in the native dialect; a name that is known elsewhere stands for that.
		n := b.dial("/v2/tape")
		n.want(`[{"T":"success","msg":"connected"}]`)
		n.send(`{"action":"subscribe","trades":["alpaca:btc/usd","alpaca:aapl"]}`)
		if got := n.read(); !strings.Contains(got, `"trades":["ALPACA:AAPL","ALPACA:BTC-USD"]`) {
			t.Errorf("got %s", got)
		}
		n.want(`[{"T":"status","S":"ALPACA:BTC-USD","state":"unknown"}]`)
		w.wants(t, "AAPL:2 BTC-USD:1 MSFT:1")
		n.send(`{"action":"subscribe","trades":["AMD"]}`)
		n.want(`[{"T":"error","code":405,"msg":"symbol limit exceeded: feed alpaca may carry 3"}]`)
		n.send(`{"action":"subscribe","trades":["TWICE"]}`)
		n.want(`[{"T":"error","code":400,"msg":"TWICE is ambiguous: say ALPACA:TWICE or MASSIVE:TWICE","candidates":["ALPACA:TWICE","MASSIVE:TWICE"]}]`)
		n.send(`{"action":"subscribe","trades":["NOWHERE"]}`)
		n.read()
		n.read()
		w.wants(t, "AAPL:2 BTC-USD:1 MSFT:1")
		_ = n.ws.CloseNow()
		w.wants(t, "AAPL:1 MSFT:1")
		_ = c.ws.CloseNow()
		w.wants(t, "")
	})
}

// TestWishesOfThePast has a client that wants nothing of a feed while it is told the past.
func TestWishesOfThePast(t *testing.T) {
	m := newMemTape()
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 1, "187.1", t0), alpacaTrade("ALPACA:AAPL", 2, "187.2", t0+60*market.Second))
	w := newWishList(1)
	b := serve(t, m, func(o *Options) { o.Wishes = w })
	c := b.dial("/v2/iex?from=" + t0.String() + "&speed=1")
	c.want(`[{"T":"success","msg":"connected"}]`)
	c.send(`{"action":"subscribe","trades":["AAPL","MSFT"]}`)
	c.read()
	w.wants(t, "")
	c.send(`{"action":"live"}`)
	for !strings.Contains(c.read(), `"code":405`) {
	}
	w.wants(t, "")
	c.send(`{"action":"unsubscribe","trades":["MSFT"]}`)
	c.send(`{"action":"subscribe","trades":["AAPL"]}`)
	w.wants(t, "AAPL:1")
	c.send(`{"action":"play","from":"` + t0.String() + `"}`)
	w.wants(t, "")
	c.send(`{"action":"live"}`)
	w.wants(t, "AAPL:1")
	// A place that cannot be gone on from takes nothing.
	c.send(`{"action":"unsubscribe","trades":["AAPL"]}`)
	w.wants(t, "")
	c.send(`{"action":"subscribe","trades":["AAPL"],"from":{"time":"2200-01-01T00:00:00Z"}}`)
	for !strings.Contains(c.read(), `"code":416`) {
	}
	w.wants(t, "")
}

func TestWishesOfOthers(t *testing.T) {
	ways(t, func(t *testing.T, portable bool) {
		m := newMemTape()
		m.Put("sim", trade("SIM:AAPL", 1, 18742, t0))
		w := newWishList(2)
		b := serve(t, m, func(o *Options) { o.Wishes, o.Portable = w, portable })
		events := b.listen("/v2/tape/sse?trades=ALPACA:AAPL")
		prices := b.dial("/ws/prices?symbol=ALPACA:MSFT")
		w.wants(t, "AAPL:1 MSFT:1")
		if status, _, text := b.get("/v2/tape/sse?trades=ALPACA:IBM"); status != http.StatusBadRequest || !strings.Contains(text, "symbol limit exceeded") {
			t.Errorf("got %d %s, want that there is no room", status, text)
		}
		full := b.dial("/ws/prices?symbol=IBM")
		if _, err := full.tryRead(); err == nil || !strings.Contains(err.Error(), "StatusTryAgainLater") {
			t.Errorf("got %v, want to be sent away", err)
		}
		if status, _, text := b.get("/v2/tape/sse?trades=ALPACA:AAPL&from=2200-01-01"); status != http.StatusRequestedRangeNotSatisfiable {
			t.Errorf("got %d %s", status, text)
		}
		w.wants(t, "AAPL:1 MSFT:1")
		m.Put("alpaca", alpacaTrade("ALPACA:MSFT", 1, "410", t0))
		if got := prices.read(); !strings.Contains(got, `"symbol":"ALPACA:MSFT","price":410`) {
			t.Errorf("got %s", got)
		}
		_ = prices.ws.CloseNow()
		w.wants(t, "AAPL:1")
		_ = events.body.Close()
		w.wants(t, "")
		if c, status := b.tryDial("/ws/prices?symbol=NOWHERE"); c != nil || status != http.StatusNotFound {
			t.Errorf("got %d of a symbol that nobody has", status)
		}
	})
}

// TestWishesInREST asks for a name that two feeds have.
func TestWishesInREST(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18742, t0))
	b := serve(t, m, func(o *Options) { o.Wishes = newWishList(1) })
	if status, _, text := b.get("/v2/stocks/AAPL/trades/latest"); status != http.StatusNotFound {
		t.Errorf("got %d %s for what only another feed has", status, text)
	}
	m.Put("alpaca", alpacaTrade("ALPACA:AAPL", 1, "187.1", t0))
	b.hears(3)
	for path, want := range map[string]string{
		"/v2/stocks/AAPL/trades/latest":                `"p":187.1,`,
		"/v2/stocks/trades/latest?symbols=AAPL":        `{"trades":{"AAPL":`,
		"/v2/stocks/trades/latest?symbols=SIM:AAPL":    `"p":187.42`,
		"/v2/stocks/trades/latest?symbols=ALPACA:AAPL": `"p":187.1,`,
	} {
		if status, _, text := b.get(path); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: got %d %s, want %s", path, status, text, want)
		}
	}
}
