package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// TestMain checks that nothing is left running.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		http.DefaultClient.CloseIdleConnections()
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > 2 && time.Now().Before(deadline) {
			runtime.Gosched()
		}
		if n := runtime.NumGoroutine(); n > 2 {
			stacks := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "%d goroutines are left:\n%s\n", n, stacks[:runtime.Stack(stacks, true)])
			code = 1
		}
	}
	os.Exit(code)
}

func dec(s string) market.Decimal {
	d, err := market.ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

// newMemTape returns a tape that is read in small steps.
func newMemTape() *tapetest.Memory { return &tapetest.Memory{Epoch: tape.Epoch{1, 2, 3}, Chunk: 7} }

// breakDown lets reads fail, and returns once that has been noticed a few times.
func breakDown(m *tapetest.Memory, put func()) {
	var failed atomic.Int64
	m.OnRead(func() error {
		failed.Add(1)
		return tape.ErrUnavailable
	})
	put()
	for failed.Load() < 2 {
		runtime.Gosched()
	}
}

// memHistory is history in memory.
type memHistory struct {
	mu       sync.Mutex
	pos      tape.Position
	epoch    tape.Epoch
	rows     []market.Row
	listings map[market.Symbol]*market.Listing
	machine  *candle.Machine
	bars     map[market.Symbol]map[market.Interval]map[market.Time]market.Bar
	fail     error
}

func newMemHistory() *memHistory {
	m, err := candle.New(candle.Options{})
	if err != nil {
		panic(err)
	}
	return &memHistory{
		listings: map[market.Symbol]*market.Listing{}, machine: m,
		bars: map[market.Symbol]map[market.Interval]map[market.Time]market.Bar{},
	}
}

func (h *memHistory) take(rec *tape.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range rec.Entries {
		e := rec.Entries[i]
		_ = h.machine.Feed(rec.Feed).Push(&e)
		if !e.IsTick() {
			continue
		}
		h.rows = append(h.rows, market.Row{N: rec.Ordinal + uint64(i) + 1, Entry: e})
		l := h.listings[e.Symbol]
		if l == nil {
			l = &market.Listing{Symbol: e.Symbol, Feed: rec.Feed}
			h.listings[e.Symbol] = l
		}
		if e.Kind == market.KindTrade {
			l.LastTrade, l.TradeSeq = e, e.Seq
		} else {
			l.LastQuote, l.QuoteSeq = e, e.Seq
		}
	}
	for _, c := range h.machine.Drain(nil) {
		if h.bars[c.Bar.Symbol] == nil {
			h.bars[c.Bar.Symbol] = map[market.Interval]map[market.Time]market.Bar{}
		}
		of := h.bars[c.Bar.Symbol]
		if of[c.Bar.Interval] == nil {
			of[c.Bar.Interval] = map[market.Time]market.Bar{}
		}
		if c.Delta {
			whole, err := candle.Merge(of[c.Bar.Interval][c.Bar.Start], c.Bar)
			if err != nil {
				panic(err)
			}
			c.Bar = whole
		}
		of[c.Bar.Interval][c.Bar.Start] = c.Bar
	}
	h.pos = rec.Through
}

func (h *memHistory) Applied() (tape.Epoch, tape.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch, h.pos
}

func (h *memHistory) Listings(context.Context) ([]market.Listing, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []market.Listing
	for _, l := range h.listings {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b market.Listing) int { return strings.Compare(string(a.Symbol), string(b.Symbol)) })
	return out, h.fail
}

func (h *memHistory) Ticks(ctx context.Context, q market.TickQuery, yield func(*market.Row) error) error {
	h.mu.Lock()
	rows, fail := slices.Clone(h.rows), h.fail
	h.mu.Unlock()
	if fail != nil {
		return fail
	}
	rows = slices.DeleteFunc(rows, func(r market.Row) bool {
		out := r.Kind != q.Kind || q.Symbol != "" && r.Symbol != q.Symbol || q.From != 0 && r.Event < q.From || q.To != 0 && r.Event >= q.To
		if q.After != nil && !out {
			c := cmp.Or(cmp.Compare(r.Event, q.After.Event), cmp.Compare(r.Seq, q.After.Seq))
			out = !q.Descending && c <= 0 || q.Descending && c >= 0
		}
		return out
	})
	slices.SortFunc(rows, func(a, b market.Row) int {
		c := cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.N, b.N))
		if q.Symbol == "" {
			c = cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.N, b.N))
		}
		if q.Descending {
			c = -c
		}
		return c
	})
	for i := range rows[:min(len(rows), q.Limit)] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := yield(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (h *memHistory) Bars(_ context.Context, q market.BarQuery, dst []market.Bar) ([]market.Bar, tape.Position, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var bars []market.Bar
	for _, b := range h.bars[q.Symbol][q.Interval] {
		if (q.From == 0 || b.Start >= q.From) && (q.To == 0 || b.Start < q.To) {
			bars = append(bars, b)
		}
	}
	slices.SortFunc(bars, func(a, b market.Bar) int {
		if q.Descending {
			return cmp.Compare(b.Start, a.Start)
		}
		return cmp.Compare(a.Start, b.Start)
	})
	return append(dst, bars[:min(len(bars), q.Limit)]...), h.pos, h.fail
}

// bench is a gateway that serves on loopback, and its tape and history.
type bench struct {
	t       testing.TB
	tape    *tapetest.Memory
	history *memHistory
	g       *Gateway
	url     string
	server  *httptest.Server
	stop    func() // ends the gateway and waits for it
}

// way is how the gateways of the tests drive their sessions. TestOtherWays sets it.
var way struct{ portable, tls bool }

// serve starts a gateway. The tape's records that are there already are in history; those that come are put there as well.
func serve(t testing.TB, m *tapetest.Memory, change func(*Options)) *bench {
	t.Helper()
	h := newMemHistory()
	h.epoch = m.Epoch
	for _, rec := range m.Records() {
		h.take(rec)
	}
	m.OnAppend(func(rec *tape.Record) error {
		h.take(rec)
		return nil
	})
	registry := prometheus.NewRegistry()
	o := Options{Tape: m, History: h, Registerer: registry, Gatherer: registry, Version: "test"}
	o.Portable = way.portable
	o.Heartbeat = time.Hour // a test that is slow must not hear one
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	server := httptest.NewUnstartedServer(g.Handler())
	server.EnableHTTP2 = true
	if way.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	b := &bench{t: t, tape: m, history: h, g: g, url: server.URL, server: server}
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
	})
	t.Cleanup(b.stop)
	select {
	case <-g.started:
	case err := <-done:
		t.Fatalf("Run: %v", err)
	}
	return b
}

// get makes a request and returns its status, headers and body.
func (b *bench) get(path string, headers ...string) (int, http.Header, string) {
	b.t.Helper()
	return b.do(http.MethodGet, path, headers...)
}

func (b *bench) do(method, path string, headers ...string) (int, http.Header, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

// until waits until the hub has come to a state. Who asks for news only after a look would wait for ever for what came in between.
func (b *bench) until(there func() bool) {
	b.t.Helper()
	late := time.After(patience)
	for {
		news := b.g.hub.news()
		if there() {
			return
		}
		select {
		case <-news:
		case <-late:
			b.t.Fatal("the hub does not come to where the test waits for it")
		}
	}
}

// hears waits until the hub knows all of the tape up to a position.
func (b *bench) hears(next tape.Position) {
	b.t.Helper()
	b.until(func() bool { at, _ := b.g.hub.position(); return at >= next })
}

// isBlocked reports whether a session waits for its client to read, for as long as we look.
func (b *bench) isBlocked() bool {
	for range 1000 {
		var m dto.Metric
		if err := b.g.metrics.waiting.Write(&m); err != nil {
			b.t.Fatal(err)
		}
		if m.GetGauge().GetValue() == 0 {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// client is a WebSocket client.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

// dial opens a stream.
func (b *bench) dial(path string) *client {
	b.t.Helper()
	c, status := b.tryDial(path)
	if c == nil {
		b.t.Fatalf("%s: the handshake was answered by %d", path, status)
	}
	return c
}

// tryDial opens a stream, or returns the status that it was refused with.
func (b *bench) tryDial(path string, headers ...string) (*client, int) {
	b.t.Helper()
	o := &websocket.DialOptions{HTTPHeader: http.Header{}, HTTPClient: b.server.Client()}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			o.Host = headers[i+1]
		} else {
			o.HTTPHeader.Add(headers[i], headers[i+1])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ws, response, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.url, "http")+path, o)
	if response == nil {
		b.t.Fatal(err)
	}
	if response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, response.StatusCode
	}
	ws.SetReadLimit(16 << 20)
	c := &client{b.t, ws}
	b.t.Cleanup(func() { _ = ws.CloseNow() })
	return c, response.StatusCode
}

// read returns the next message as it came.
func (c *client) read() string {
	c.t.Helper()
	s, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return s
}

func (c *client) tryRead() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, data, err := c.ws.Read(ctx)
	return string(data), err
}

// send sends a message.
func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// want reads the next message and compares it.
func (c *client) want(text string) {
	c.t.Helper()
	if got := c.read(); got != text {
		c.t.Fatalf("got  %s\nwant %s", got, text)
	}
}

// message is any message of the stream. encoding/json would take t for T, so it is read by hand.
type message struct {
	T, S, State, Reason, Oldest, C string
	Seq                            uint64
	Code                           int
	Trades                         []string
	Live, Ended                    bool // of a clock
}

func (m *message) UnmarshalJSON(data []byte) error {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	for name, to := range map[string]any{
		"T": &m.T, "S": &m.S, "state": &m.State, "reason": &m.Reason, "oldest": &m.Oldest, "seq": &m.Seq, "code": &m.Code, "trades": &m.Trades,
		"live": &m.Live, "ended": &m.Ended,
	} {
		if raw, ok := o[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return err
			}
		}
	}
	if m.T == "cursor" {
		return json.Unmarshal(o["c"], &m.C)
	}
	return nil
}

// frame reads the next message and decodes it.
func (c *client) frame() []message {
	c.t.Helper()
	return decodeFrame(c.t, c.read())
}

func decodeFrame(t testing.TB, text string) []message {
	t.Helper()
	var list []message
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("frame %.300s: %v", text, err)
	}
	return list
}

// cursor returns the cursor that closes a frame, or "".
func cursor(list []message) string {
	if len(list) == 0 || list[len(list)-1].T != "cursor" {
		return ""
	}
	return list[len(list)-1].C
}

// join connects to the tape and subscribes.
func (b *bench) join(subscribe string) *client {
	b.t.Helper()
	c := b.dial("/v2/tape")
	c.want(`[{"T":"success","msg":"connected"}]`)
	c.send(subscribe)
	for {
		list := c.frame()
		if list[0].T == "subscription" {
			return c
		}
		if list[0].T != "heartbeat" {
			b.t.Fatalf("got %+v, want the subscription", list)
		}
	}
}

// trade makes a trade; price is in cents.
func trade(symbol market.Symbol, seq uint64, cents int64, when market.Time) market.Entry {
	p, err := market.NewDecimal(cents, -2)
	if err != nil {
		panic(err)
	}
	return market.Trade{
		Symbol: symbol, Seq: seq, Event: when, Received: when + 1_000_000, Price: p, Size: dec("100"), Side: market.SideBuy,
	}.Entry()
}

func quote(symbol market.Symbol, seq uint64, when market.Time) market.Entry {
	return market.Quote{
		Symbol: symbol, Seq: seq, Event: when, Received: when + 1_000_000,
		Bid: dec("187.41"), BidSize: dec("3"), Ask: dec("187.43"), AskSize: dec("2"),
	}.Entry()
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
