package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// TestCrowdModel lets many clients do at random what clients do, over real sockets with small buffers, while the tape grows, and holds
// what each is sent to a model: of each symbol every trade from the place on that it was asked for, once, in order, and none once the
// client was told that it is unsubscribed.
func TestCrowdModel(t *testing.T) {
	for _, portable := range []bool{false, true} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("portable=%v/seed=%d", portable, seed), func(t *testing.T) { crowdModel(t, seed, portable) })
		}
	}
}

// world is the tape, and what the model knows of it.
type world struct {
	tape *tapetest.Memory

	mu     sync.Mutex
	rnd    *rand.Rand
	places map[market.Symbol][]place // of the trades, the first first
	open   int                       // how many of the symbols there are yet
}

// crowdSymbols are those that are traded. The last ones are not known to anybody at first.
func crowdSymbols() []market.Symbol {
	return []market.Symbol{"SIM:A", "SIM:B", "SIM:C", "SIM:D", "SIM:E", "SIM:F", "SIM:G"}
}

// grow appends records.
func (w *world) grow(records int) {
	for range records {
		w.mu.Lock()
		if w.rnd.IntN(60) == 0 && w.open < len(crowdSymbols()) {
			w.open++
		}
		var names []market.Symbol
		for range 1 + w.rnd.IntN(12) {
			names = append(names, crowdSymbols()[w.rnd.IntN(w.open)])
		}
		w.put(names)
		w.mu.Unlock()
	}
}

// put appends a record with a trade of each of the symbols. The lock is held.
func (w *world) put(names []market.Symbol) {
	pos := w.tape.Bounds().Last + 1
	entries := make([]market.Entry, 0, len(names))
	for i, s := range names {
		w.places[s] = append(w.places[s], place{pos, int32(i)})
		entries = append(entries, trade(s, uint64(len(w.places[s])), 100, t0))
	}
	if got := w.tape.Put("sim", entries...); got != pos {
		panic("BUG: somebody else appends")
	}
}

// firstAt returns the number of the first trade of a symbol at or behind a place, be it that it is still to come.
func (w *world) firstAt(s market.Symbol, p place) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.places[s]
	return 1 + uint64(sort.Search(len(list), func(i int) bool { return !list[i].before(p) }))
}

// end returns the place where the tape ends now.
func (w *world) end() place { return place{pos: w.tape.Bounds().Last + 1} }

// somewhere returns a place within the last records.
func (w *world) somewhere(rnd *rand.Rand) place {
	records := w.tape.Records()
	rec := records[max(0, len(records)-1-rnd.IntN(200))]
	return place{rec.Position, int32(rnd.IntN(len(rec.Entries)))}
}

// due says which number of a symbol must come next. It is exact, or not before low and not behind high.
type due struct{ low, high uint64 }

// member is a client of the crowd and its model.
type member struct {
	w      *world
	rnd    *rand.Rand
	dial   func() (*websocket.Conn, error)
	ws     *websocket.Conn
	next   map[market.Symbol]due
	all    bool // asked for *
	latest bool
	marked bool // cursors are on
	mixed  bool // added something from a place: cursors may be of a place that not all symbols are at
	last   place
	main   place // the session is not before it
	said   []string
}

var errModel = errors.New("not as in the model")

func (c *member) wrong(format string, args ...any) error {
	said := c.said[max(0, len(c.said)-12):]
	return fmt.Errorf("%w: %s\n%s", errModel, fmt.Sprintf(format, args...), strings.Join(said, "\n"))
}

// connect opens a stream, with nothing subscribed to.
func (c *member) connect() error {
	if c.ws != nil {
		_ = c.ws.CloseNow()
	}
	ws, err := c.dial()
	if err != nil {
		return err
	}
	ws.SetReadLimit(16 << 20)
	c.ws, c.next, c.all, c.latest, c.marked, c.mixed = ws, map[market.Symbol]due{}, false, false, false, false
	c.said = append(c.said, "connect")
	return nil
}

// hear takes in the next message, and reports whether it is the answer to a subscription.
func (c *member) hear() (answer bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	_, data, err := c.ws.Read(ctx)
	if err != nil {
		return false, c.wrong("read: %v; due is %v of %v", err, c.next, c.ends())
	}
	var list []message
	if err := decodeInto(data, &list); err != nil {
		return false, err
	}
	ticks := 0
	for i := range list {
		m := &list[i]
		switch m.T {
		case "t":
			ticks++
			if err := c.tick(m); err != nil {
				return false, err
			}
		case "cursor":
			if err := c.cursor(m.C); err != nil {
				return false, err
			}
		case "error":
			return false, c.wrong("%s", data)
		case "subscription":
			answer = true
		}
	}
	if ticks > 0 && c.marked != (list[len(list)-1].T == "cursor") && !c.mixed {
		return false, c.wrong("cursors are on: %v; got %.200s", c.marked, data)
	}
	return answer, nil
}

func (c *member) ends() map[market.Symbol]int {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	ends := map[market.Symbol]int{}
	for s, list := range c.w.places {
		ends[s] = len(list)
	}
	return ends
}

func (c *member) tick(m *message) error {
	s := market.Symbol(m.S)
	d, ok := c.next[s]
	switch {
	case !ok:
		return c.wrong("%s %d is not subscribed to", s, m.Seq)
	case c.latest && m.Seq+1 < d.low, !c.latest && (m.Seq < d.low || m.Seq > d.high):
		return c.wrong("latest %v: got %s %d, want %+v", c.latest, s, m.Seq, d)
	}
	c.next[s] = due{m.Seq + 1, m.Seq + 1}
	return nil
}

// cursor holds a cursor to what came before it.
func (c *member) cursor(text string) error {
	cur, err := tape.ParseCursor(text)
	if err != nil {
		return err
	}
	at := placeOf(cur)
	if at.before(c.main) {
		return c.wrong("the cursor goes back from %+v to %+v", c.main, at)
	}
	c.main, c.last = at, at
	for s, d := range c.next {
		first := c.w.firstAt(s, at)
		// In mode latest all but the newest are left out, and a symbol that was added ahead may be ahead.
		if ok := c.latest || first <= d.high && (first >= d.low || c.mixed); !ok {
			return c.wrong("latest %v: the cursor %+v says that %s goes on with %d, want %+v", c.latest, at, s, first, d)
		}
	}
	return nil
}

// say sends a message, and takes in what comes until it is answered.
func (c *member) say(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	c.said = append(c.said, fmt.Sprintf("%s at %+v, due %v", text, c.main, c.next))
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return c.wrong("write: %v", err)
	}
	for {
		if answer, err := c.hear(); answer || err != nil {
			return err
		}
	}
}

// add subscribes to symbols, or to all of them.
func (c *member) add(all bool, names ...market.Symbol) error {
	list := make([]string, 0, len(names))
	for _, s := range names {
		list = append(list, string(s))
	}
	if all {
		list, names = []string{"*"}, crowdSymbols()
	}
	text := `{"action":"subscribe","trades":["` + strings.Join(list, `","`) + `"]`
	empty := len(c.next) == 0
	from, exact := c.main, false
	if empty {
		from = c.w.end()
	}
	if c.rnd.IntN(2) == 0 {
		exact = true
		if from = c.w.somewhere(c.rnd); c.rnd.IntN(2) == 0 && c.last != (place{}) {
			from = c.last
		}
		text += `,"from":{"cursor":"` + from.cursor(c.w.tape.Epoch).String() + `"}`
		c.mixed = c.mixed || !empty
	}
	if err := c.say("%s}", text); err != nil {
		return err
	}
	if empty {
		c.main = from
	}
	for _, s := range names {
		if _, ok := c.next[s]; ok {
			continue
		}
		d := due{c.w.firstAt(s, from), 0}
		if d.high = d.low; !exact {
			d.low, d.high = c.w.firstAt(s, c.main), c.w.firstAt(s, c.w.end())
		}
		c.next[s] = d
	}
	c.all = c.all || all
	return nil
}

// act does something at random.
func (c *member) act() error {
	s := crowdSymbols()[c.rnd.IntN(len(crowdSymbols()))]
	switch c.rnd.IntN(10) {
	case 0, 1:
		return c.add(c.rnd.IntN(8) == 0 && len(c.next) == 0, s)
	case 2:
		if c.all {
			return nil
		}
		if err := c.say(`{"action":"unsubscribe","trades":["%s"]}`, s); err != nil {
			return err
		}
		delete(c.next, s)
		return nil
	case 3:
		on := c.rnd.IntN(4) > 0
		if err := c.say(`{"action":"subscribe","cursor":%v}`, on); err != nil {
			return err
		}
		c.marked = on
		return nil
	case 4:
		return c.change(c.rnd.IntN(3) == 0)
	case 5:
		until := c.w.end().pos + tape.Position(c.rnd.IntN(1<<c.rnd.IntN(11))) // stand still for so many records
		for c.w.end().pos < until {
			c.w.grow(1)
		}
		return nil
	case 6:
		if c.last == (place{}) || c.rnd.IntN(4) > 0 {
			return nil
		}
		if err := c.connect(); err != nil {
			return err
		}
		return c.add(false, s)
	default:
		return c.drink()
	}
}

// change goes over to another mode.
func (c *member) change(latest bool) error {
	mode := `"every"`
	if latest {
		mode = `"latest","every":"` + []string{"10ms", "15ms"}[c.rnd.IntN(2)] + `"`
	}
	was := c.latest
	c.latest = true // until it is answered, either may come
	if err := c.say(`{"action":"subscribe","mode":%s}`, mode); err != nil {
		return err
	}
	c.latest = latest
	if was && !latest {
		// Who was behind the ring went on at the present.
		for s, d := range c.next {
			d.high = max(d.high, c.w.firstAt(s, c.w.end()))
			c.next[s] = d
		}
	}
	return nil
}

// drink reads a few messages, as long as some are due.
func (c *member) drink() error {
	for range c.rnd.IntN(12) {
		if !c.thirsty() {
			return nil
		}
		if _, err := c.hear(); err != nil {
			return err
		}
	}
	return nil
}

// thirsty reports whether trades must come that have not.
func (c *member) thirsty() bool {
	for s, d := range c.next {
		if c.w.firstAt(s, c.w.end()) > d.high {
			return true
		}
	}
	return false
}

// run does so many things, then waits for the end and reads all that is due.
func (c *member) run(acts int, acted *sync.WaitGroup, ended <-chan struct{}) error {
	err := c.connect()
	for i := 0; i < acts && err == nil; i++ {
		c.w.grow(c.rnd.IntN(5))
		err = c.act()
	}
	acted.Done()
	if err != nil {
		return err
	}
	<-ended
	for c.thirsty() {
		if _, err := c.hear(); err != nil {
			return err
		}
	}
	return c.ws.Close(websocket.StatusNormalClosure, "")
}

// smallBuffers makes the system hold little of what a client does not read.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		err = tcp.SetWriteBuffer(64 << 10)
	}
	return conn, err
}

func crowdModel(t *testing.T, seed uint64, portable bool) {
	rnd := rand.New(rand.NewPCG(seed, 5))
	w := &world{tape: newMemTape(), rnd: rand.New(rand.NewPCG(seed, 6)), places: map[market.Symbol][]place{}, open: 3}
	w.tape.Chunk = 1 + rnd.IntN(30)
	w.grow(20)
	fails := rand.New(rand.NewPCG(seed, 7))
	w.tape.OnRead(func() error {
		if fails.IntN(500) == 0 {
			return tape.ErrUnavailable
		}
		return nil
	})
	o := Options{Tape: w.tape, History: newMemHistory(), Portable: portable, Ring: 1 + rnd.IntN(1<<(4+rnd.IntN(12)))}
	o.Limits = Limits{Frame: 200 + rnd.IntN(4000), CatchUps: 1 + rnd.IntN(3), Rate: 1e6, Burst: 1e6}
	o.Heartbeat, o.Ping = time.Hour, time.Hour
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	<-g.Started()
	server := httptest.NewUnstartedServer(g.Handler())
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.total != 0 || len(g.perHost) != 0 {
			t.Errorf("%d sessions are left, %v", g.total, g.perHost)
		}
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			err = tcp.SetReadBuffer(64 << 10)
		}
		return conn, err
	}}}
	dial := func() (*websocket.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/v2/tape", &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // the library closes it
		return ws, err
	}
	var acted, all sync.WaitGroup
	ended := make(chan struct{})
	for i := range uint64(8) {
		c := &member{w: w, rnd: rand.New(rand.NewPCG(seed, 100+i)), dial: dial}
		acted.Add(1)
		all.Go(func() {
			if err := c.run(40, &acted, ended); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			if c.ws != nil {
				_ = c.ws.CloseNow()
			}
		})
	}
	acted.Wait()
	w.mu.Lock()
	w.put(slices.Clone(crowdSymbols()))
	w.mu.Unlock()
	runtime.Gosched()
	close(ended)
	all.Wait()
}

func decodeInto(data []byte, list *[]message) error {
	if err := json.Unmarshal(data, list); err != nil {
		return fmt.Errorf("message %.200s: %w", data, err)
	}
	return nil
}
