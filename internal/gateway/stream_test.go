package gateway

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

const t0 = market.Time(1_795_444_200_000_000_000) // 2026-11-23T14:30:00Z

func TestSubscribe(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18700, t0))
	b := serve(t, m, nil)
	c := b.dial("/v2/tape")
	c.want(`[{"T":"success","msg":"connected"}]`)
	c.send(`{"action":"auth","key":"k","secret":"s"}`)
	c.want(`[{"T":"success","msg":"authenticated"}]`)
	c.send(`{"action":"auth","key":"k","secret":"s"}`)
	c.want(`[{"T":"error","code":403,"msg":"already authenticated"}]`)
	c.send(`{"action":"subscribe","trades":["aapl"],"quotes":null,"news":["*"]}`)
	c.want(`[{"T":"subscription","trades":["SIM:AAPL"],"quotes":[],"bars":[],"updatedBars":[],"dailyBars":[],"statuses":[],` +
		`"alerts":[],"lulds":[],"corrections":["SIM:AAPL"],"cancelErrors":["SIM:AAPL"]}]`)
	m.Put("sim", trade("SIM:AAPL", 2, 18742, t0+1), quote("SIM:AAPL", 1, t0+2), trade("SIM:MSFT", 1, 100, t0+2))
	c.want(`[{"T":"t","S":"SIM:AAPL","i":2,"p":187.42,"s":100,"t":"2026-11-23T14:30:00.000000001Z","c":[],"tks":"B","seq":2,"r":"2026-11-23T14:30:00.001000001Z"}]`)
	c.send(`{"action":"subscribe","quotes":["*"]}`)
	c.frame()
	m.Put("sim", quote("SIM:MSFT", 1, t0+3))
	c.want(`[{"T":"q","S":"SIM:MSFT","bp":187.41,"bs":3,"ap":187.43,"as":2,"t":"2026-11-23T14:30:00.000000003Z","c":[],"seq":1,"r":"2026-11-23T14:30:00.001000003Z"}]`)
	c.send(`{"action":"unsubscribe","trades":["SIM:AAPL"],"quotes":["*"]}`)
	if list := c.frame(); len(list[0].Trades) != 0 {
		t.Errorf("got %v, want no trades", list[0].Trades)
	}
}

func TestUnknownSymbolComesLater(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, nil)
	c := b.dial("/v2/tape")
	c.read()
	c.send(`{"action":"subscribe","trades":["new","SIM:OLD"]}`)
	if list := c.frame(); strings.Join(list[0].Trades, " ") != "NEW SIM:OLD" {
		t.Errorf("got %v", list)
	}
	if list := c.frame(); len(list) != 2 || list[0].T != "status" || list[0].State != "unknown" {
		t.Errorf("got %+v, want two statuses", list)
	}
	m.Put("sim", trade("SIM:NEW", 1, 100, t0), trade("SIM:OLD", 1, 100, t0))
	if list := c.frame(); len(list) != 2 || list[0].S != "SIM:NEW" || list[1].S != "SIM:OLD" {
		t.Errorf("got %+v, want both trades", list)
	}
}

// collect reads trades until a symbol's number last is seen, and checks that each number comes once and in order.
func collect(t *testing.T, c *client, next map[string]uint64, stop func() bool) (cursorSeen string) {
	t.Helper()
	for !stop() {
		list := c.frame()
		for _, m := range list {
			if m.T != "t" {
				continue
			}
			if m.Seq != next[m.S]+1 {
				t.Fatalf("%s: got trade %d after %d", m.S, m.Seq, next[m.S])
			}
			next[m.S] = m.Seq
		}
		if s := cursor(list); s != "" {
			cursorSeen = s
		}
	}
	return cursorSeen
}

// grow appends records of random size until stop is closed, then one last trade of each symbol.
func grow(m *tapetest.Memory, seed uint64, symbols []market.Symbol, records int) map[string]uint64 {
	rnd := rand.New(rand.NewPCG(seed, 1))
	seqs := make(map[string]uint64)
	for i := range records {
		entries := make([]market.Entry, 0, 8)
		for range 1 + rnd.IntN(8) {
			s := symbols[rnd.IntN(len(symbols))]
			if rnd.IntN(4) == 0 {
				entries = append(entries, quote(s, 1, t0+market.Time(i)*market.Second))
				continue
			}
			seqs[string(s)]++
			entries = append(entries, trade(s, seqs[string(s)], 100, t0+market.Time(i)*market.Second))
		}
		m.Put("sim", entries...)
	}
	return seqs
}

// TestResume cuts a client at random many times while the tape grows, with a ring so short that it is overrun all the time.
func TestResume(t *testing.T) {
	symbols := []market.Symbol{"SIM:A", "SIM:B", "SIM:C"}
	for _, ring := range []int{1, 40, 1 << 16} {
		t.Run(fmt.Sprint("ring=", ring), func(t *testing.T) {
			t.Parallel()
			m := newMemTape()
			m.Put("sim", trade("SIM:Z", 1, 1, t0))
			b := serve(t, m, func(o *Options) { o.Ring = ring; o.Limits.Frame = 2000; o.Limits.CatchUps = 2 })
			done := make(chan map[string]uint64, 1)
			start := m.Bounds().Last
			go func() { done <- grow(m, uint64(ring), symbols, 1500) }()
			next := make(map[string]uint64)
			from := tape.Cursor{Epoch: m.Epoch, Position: start, Index: tape.AllEntries}.String()
			rnd := rand.New(rand.NewPCG(7, uint64(ring)))
			for range 40 {
				c := b.join(`{"action":"subscribe","trades":["SIM:A","SIM:B","SIM:C"],"quotes":["*"],"cursor":true,"from":{"cursor":"` + from + `"}}`)
				frames := 1 + rnd.IntN(20)
				if s := collect(t, c, next, func() bool { frames--; return frames < 0 || next["SIM:A"] > 1200 }); s != "" {
					from = s
				}
				_ = c.ws.CloseNow()
			}
			all := <-done
			c := b.join(`{"action":"subscribe","trades":["SIM:A","SIM:B","SIM:C"],"cursor":true,"from":{"cursor":"` + from + `"}}`)
			collect(t, c, next, func() bool { return fmt.Sprint(next) == fmt.Sprint(all) })
		})
	}
}

// TestResumeWithinRecord checks that a cursor inside a record goes on behind the entry that it names.
func TestResumeWithinRecord(t *testing.T) {
	m := newMemTape()
	var entries []market.Entry
	for i := range 100 {
		entries = append(entries, trade("SIM:A", uint64(i+1), 100, t0))
	}
	m.Put("sim", entries...)
	b := serve(t, m, func(o *Options) { o.Limits.Frame = 1000 })
	from := tape.Cursor{Epoch: m.Epoch, Index: tape.AllEntries}.String()
	next := map[string]uint64{}
	for next["SIM:A"] < 100 {
		c := b.join(`{"action":"subscribe","trades":["*"],"cursor":true,"from":{"cursor":"` + from + `"}}`)
		frames := 1
		from = collect(t, c, next, func() bool { frames--; return frames < 0 })
		_ = c.ws.CloseNow()
	}
}

// TestAddSymbolFromCursor adds a symbol from a place in the past to a running stream: what the new one missed comes, the old
// one goes on without a double.
func TestAddSymbolFromCursor(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, nil)
	begin := tape.Cursor{Epoch: m.Epoch, Index: tape.AllEntries}.String()
	c := b.join(`{"action":"subscribe","trades":["SIM:A"],"cursor":true}`)
	c.frame()
	for i := range 10 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0), trade("SIM:B", uint64(i+1), 100, t0))
	}
	next := map[string]uint64{}
	collect(t, c, next, func() bool { return next["SIM:A"] == 10 })
	c.send(`{"action":"subscribe","trades":["SIM:B"],"from":{"cursor":"` + begin + `"}}`)
	collect(t, c, next, func() bool { return next["SIM:B"] == 10 })
	m.Put("sim", trade("SIM:A", 11, 100, t0), trade("SIM:B", 11, 100, t0))
	collect(t, c, next, func() bool { return next["SIM:B"] == 11 && next["SIM:A"] == 11 })
}

func TestResumeRefused(t *testing.T) {
	m := newMemTape()
	for i := range 10 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0+market.Time(i)*market.Second))
	}
	m.Trim(5)
	b := serve(t, m, nil)
	for name, test := range map[string]struct {
		cursor tape.Cursor
		reason string
	}{
		"epoch":   {tape.Cursor{Epoch: tape.Epoch{9}, Position: 6, Index: tape.AllEntries}, "epoch"},
		"trimmed": {tape.Cursor{Epoch: m.Epoch, Position: 2, Index: tape.AllEntries}, "trimmed"},
		"future":  {tape.Cursor{Epoch: m.Epoch, Position: 11, Index: tape.AllEntries}, "future"},
	} {
		t.Run(name, func(t *testing.T) {
			c := b.dial("/v2/tape")
			c.read()
			c.send(`{"action":"subscribe","trades":["*"],"from":{"cursor":"` + test.cursor.String() + `"}}`)
			got := c.frame()[0]
			if got.Code != 416 || got.Reason != test.reason {
				t.Errorf("got %+v, want 416 %s", got, test.reason)
			}
			if test.reason == "trimmed" && got.Oldest != "2026-11-23T14:30:04.001Z" {
				t.Errorf("got oldest %s", got.Oldest)
			}
		})
	}
	// The last cursor that still works: behind record 4.
	c := b.join(`{"action":"subscribe","trades":["*"],"from":{"cursor":"` + tape.Cursor{Epoch: m.Epoch, Position: 4, Index: tape.AllEntries}.String() + `"}}`)
	if got := c.frame()[0]; got.Seq != 5 {
		t.Errorf("got %+v, want trade 5", got)
	}
	c = b.join(`{"action":"subscribe","trades":["*"],"from":{"time":"2026-11-23T14:30:07Z"}}`)
	if got := c.frame()[0]; got.Seq != 8 {
		t.Errorf("got %+v, want trade 8", got)
	}
	c = b.dial("/v2/tape")
	c.read()
	c.send(`{"action":"subscribe","trades":["*"],"from":{"time":"2026-11-23T14:30:01Z"}}`)
	if got := c.frame()[0]; got.Code != 416 || got.Reason != "trimmed" {
		t.Errorf("got %+v, want 416 trimmed", got)
	}
}

// TestSlowClient lets one client read nothing while another reads everything. When it reads at last it gets everything too.
func TestSlowClient(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:Z", 1, 1, t0))
	b := serve(t, m, func(o *Options) { o.Ring = 1000 })
	slow := b.join(`{"action":"subscribe","trades":["SIM:A"]}`)
	slow.frame() // unknown
	fast := b.join(`{"action":"subscribe","trades":["SIM:A"]}`)
	fast.frame()
	const size = 100
	seq := uint64(0)
	nextFast, nextSlow := map[string]uint64{}, map[string]uint64{}
	for left := 50; left > 0; { // so many records after the slow client has blocked its session
		if left < 50 || b.isBlocked() {
			left--
		}
		entries := make([]market.Entry, size)
		for i := range entries {
			seq++
			entries[i] = trade("SIM:A", seq, 100, t0)
		}
		m.Put("sim", entries...)
		collect(t, fast, nextFast, func() bool { return nextFast["SIM:A"] == seq })
	}
	collect(t, slow, nextSlow, func() bool { return nextSlow["SIM:A"] == seq })
}

func TestLatest(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0), quote("SIM:A", 1, t0))
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","trades":["*"],"quotes":["*"],"mode":"latest","every":"20ms","cursor":true}`)
	for i := range 1000 {
		m.Put("sim", trade("SIM:A", uint64(i+2), 100, t0), trade("SIM:B", uint64(i+1), 100, t0), quote("SIM:A", uint64(i+2), t0))
	}
	frames, last := 0, uint64(0)
	for last != 1001 {
		frames++
		seen := map[string]bool{}
		for _, x := range c.frame() {
			if x.T == "heartbeat" {
				continue
			}
			if seen[x.T+x.S] {
				t.Fatalf("%s of %s came twice in a frame", x.T, x.S)
			}
			seen[x.T+x.S] = true
			if x.T == "t" && x.S == "SIM:A" {
				if x.Seq <= last {
					t.Fatalf("got trade %d after %d", x.Seq, last)
				}
				last = x.Seq
			}
		}
	}
	if frames > 500 {
		t.Errorf("%d frames: nothing was conflated", frames)
	}
}

// TestLatestBehindRing lets a client in mode latest come from before the ring: it gets the newest of each symbol that changed, at once.
func TestLatestBehindRing(t *testing.T) {
	m := newMemTape()
	begin := m.Put("sim", trade("SIM:OLD", 1, 1, t0))
	b := serve(t, m, func(o *Options) { o.Ring = 5 })
	for i := range 100 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0), quote("SIM:A", uint64(i+1), t0))
	}
	b.hears(102)
	from := tape.Cursor{Epoch: m.Epoch, Position: begin, Index: tape.AllEntries}.String()
	c := b.join(`{"action":"subscribe","trades":["*"],"quotes":["*"],"mode":"latest","from":{"cursor":"` + from + `"}}`)
	got := c.frame()
	if len(got) != 2 || got[0].Seq != 100 || got[1].Seq != 100 {
		t.Errorf("got %+v, want the newest trade and quote of SIM:A", got)
	}
}

func TestShutdownTellsTheCursor(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","trades":["*"],"cursor":true}`)
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	place := cursor(c.frame())
	go b.stop()
	_, err := c.tryRead()
	var end websocket.CloseError
	if !asClose(err, &end) || end.Code != websocket.StatusGoingAway || end.Reason != "shutting down cursor="+place {
		t.Errorf("got %v, want 1001 with cursor %s", err, place)
	}
	b.stop()
}

// TestTapeUnavailable lets the tape fail for a while. Nothing is lost, and nobody is cut off.
func TestTapeUnavailable(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, func(o *Options) { o.Ring = 1 })
	c := b.join(`{"action":"subscribe","trades":["*"]}`)
	breakDown(m, func() {
		for i := range 20 {
			m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0))
		}
	})
	m.OnRead(nil)
	next := map[string]uint64{}
	collect(t, c, next, func() bool { return next["SIM:A"] == 20 })
}

// TestTrimmedUnderClient trims what a client has not got yet: it is told so, and the connection ends.
func TestTrimmedUnderClient(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","trades":["SIM:A"]}`)
	prices := b.dial("/ws/prices")
	breakDown(m, func() {
		for i := range 20 {
			m.Put("sim", trade("SIM:A", uint64(i+2), 100, t0+market.Time(i)*market.Second))
		}
	})
	m.Trim(11)
	m.OnRead(nil)
	c.want(`[{"T":"error","code":416,"msg":"what is asked for is no longer on the tape, which begins at 2026-11-23T14:30:09.001Z",` +
		`"reason":"trimmed","oldest":"2026-11-23T14:30:09.001Z"}]`)
	for _, c := range []*client{c, prices} {
		if _, err := c.tryRead(); websocket.CloseStatus(err) != 4016 {
			t.Errorf("got %v, want 4016", err)
		}
	}
	// Others go on from what is there.
	c = b.join(`{"action":"subscribe","trades":["SIM:A"]}`)
	m.Put("sim", trade("SIM:A", 22, 100, t0))
	if got := c.frame(); got[0].Seq != 22 {
		t.Errorf("got %+v", got)
	}
}

func TestPrices(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18700, t0))
	b := serve(t, m, nil)
	c := b.dial("/ws/prices?symbol=AAPL")
	all := b.dial("/ws/prices")
	m.Put("sim", trade("SIM:AAPL", 2, 18742, t0), trade("SIM:MSFT", 1, 100, t0), trade("SIM:AAPL", 3, 18743, t0+1))
	m.Put("sim", market.Alarm{Symbol: "SIM:AAPL", Seq: 3, Event: t0 + 1, Price: dec("187.43"), Text: "2.13% move!"}.Entry())
	c.want(`{"timestamp":"2026-11-23T14:30:00Z","symbol":"SIM:AAPL","price":187.42}`)
	c.want(`{"timestamp":"2026-11-23T14:30:00.000000001Z","symbol":"SIM:AAPL","price":187.43}`)
	c.want(`{"timestamp":"2026-11-23T14:30:00.000000001Z","symbol":"SIM:AAPL","price":187.43,"alert":"2.13% move!"}`)
	for range 4 {
		all.read()
	}
}

func TestAliases(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 1, t0), trade("COINBASE:BTC-USD", 1, 1, t0))
	b := serve(t, m, func(o *Options) { o.Heartbeat = 10 * time.Millisecond })
	for path, want := range map[string]string{"/v2/iex": "AAPL BTC-USD", "/v2/test": "AAPL BTC-USD", "/v1beta3/crypto/us": "AAPL BTC/USD"} {
		c := b.dial(path)
		c.read()
		c.send(`{"action":"subscribe","trades":["AAPL","BTC/USD"],"statuses":["*"]}`)
		if got := c.frame(); got[0].Trades[1]+" "+got[0].Trades[0] != want {
			t.Errorf("%s: got %v, want %s", path, got[0].Trades, want)
		}
		m.Put("sim",
			market.Gap{From: t0, To: t0 + 1, Reason: "x"}.Entry(), market.Status{State: market.StateDown, Event: t0}.Entry(),
			trade("SIM:AAPL", 2, 1, t0), trade("COINBASE:BTC-USD", 2, 1, t0))
		got := c.frame()
		if len(got) != 2 || got[0].S+" "+got[1].S != want {
			t.Errorf("%s: got %+v, want two trades of %s", path, got, want)
		}
	}
}

func TestBars(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1000, t0+market.Second))
	b := serve(t, m, nil)
	begin := m.Bounds().Last
	c := b.join(`{"action":"subscribe","bars":["*"],"updatedBars":["*"],"dailyBars":["*"]}`)
	m.Put("sim", trade("SIM:A", 2, 1100, t0+2*market.Second))
	m.Put("sim", trade("SIM:A", 3, 1200, t0+62*market.Second))
	text := c.read()
	want := `{"T":"b","S":"SIM:A","o":10.00,"h":11.00,"l":10.00,"c":11.00,"v":200,"t":"2026-11-23T14:30:00Z","n":2,"vw":10.5}`
	if !strings.Contains(text, want) {
		t.Errorf("got %s\nwant %s", text, want)
	}
	if list := decodeFrame(t, text); len(list) != 2 || list[1].T != "d" {
		t.Errorf("got %s, want a minute bar and the day", text)
	}
	m.Put("sim", trade("SIM:A", 4, 900, t0+3*market.Second))
	if got := c.frame(); len(got) != 1 || got[0].T != "u" {
		t.Errorf("got %+v, want the revised bar", got)
	}
	// Who comes later and reads the same stretch gets the same bars.
	from := tape.Cursor{Epoch: m.Epoch, Position: begin, Index: tape.AllEntries}.String()
	late := b.join(`{"action":"subscribe","bars":["*"],"updatedBars":["*"],"dailyBars":["*"],"from":{"cursor":"` + from + `"}}`)
	var kinds []string
	for _, x := range late.frame() {
		kinds = append(kinds, x.T)
	}
	if strings.Join(kinds, "") != "bdu" {
		t.Errorf("got %v, want b, d, u", kinds)
	}
}

// stale is history whose bars are newer than the position that it says, as when it records while the gateway starts.
type stale struct {
	*memHistory
	applied tape.Position
}

func (s stale) Applied() (tape.Epoch, tape.Position) {
	epoch, _ := s.memHistory.Applied()
	return epoch, s.applied
}

// TestBarsAfterRestart starts a gateway in the middle of a minute: the bar of that minute holds the trades from before, each once.
func TestBarsAfterRestart(t *testing.T) {
	for _, applied := range []tape.Position{0, 1, 3, 5} {
		t.Run(fmt.Sprint("applied=", applied), func(t *testing.T) {
			m := newMemTape()
			for i := range 5 {
				m.Put("sim", trade("SIM:A", uint64(i+1), 1000+int64(i), t0+market.Time(i)*market.Second))
			}
			b := serve(t, m, func(o *Options) {
				h, ok := o.History.(*memHistory)
				if !ok {
					t.Fatalf("got a %T", o.History)
				}
				o.History = stale{h, applied}
			})
			c := b.join(`{"action":"subscribe","bars":["SIM:A"]}`)
			m.Put("sim", trade("SIM:A", 6, 2000, t0+30*market.Second))
			m.Put("sim", market.Heartbeat{Event: t0 + 62*market.Second, Received: t0 + 62*market.Second}.Entry())
			c.want(`[{"T":"b","S":"SIM:A","o":10.00,"h":20.00,"l":10.00,"c":20.00,"v":600,"t":"2026-11-23T14:30:00Z","n":6,"vw":11.683333}]`)
		})
	}
}

// TestFromFuture asks for a time that has not come. It must not be taken for the present.
func TestFromFuture(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serve(t, m, nil)
	c := b.dial("/v2/tape")
	c.read()
	c.send(`{"action":"subscribe","trades":["*"],"from":{"time":"2200-01-01T00:00:00Z"}}`)
	c.want(`[{"T":"error","code":416,"msg":"that time has not come yet","reason":"future"}]`)
	if status, _, body := b.get("/v2/tape/sse?trades=*&from=2200-01-01"); status != 416 || !strings.Contains(body, `"reason":"future"`) {
		t.Errorf("got %d %s", status, body)
	}
}

// TestLateTrade lets a trade come when its minute has been closed for several others: the bar is told again.
func TestLateTrade(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1000, t0))
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","updatedBars":["*"]}`)
	for i := range 4 {
		m.Put("sim", trade("SIM:A", uint64(i+2), 1100, t0+market.Time(i+1)*market.Minute+5*market.Second))
	}
	m.Put("sim", trade("SIM:A", 6, 1200, t0+7*market.Second))
	c.want(`[{"T":"u","S":"SIM:A","o":10.00,"h":12.00,"l":10.00,"c":12.00,"v":200,"t":"2026-11-23T14:30:00Z","n":2,"vw":11}]`)
}

// TestBarsOfThePast lets a client see everything live, and another one, of a gateway that was started later, go on from the beginning: it is
// told the same, bar for bar.
func TestBarsOfThePast(t *testing.T) {
	const want = `"trades":["*"],"bars":["*"],"updatedBars":["*"],"dailyBars":["*"]`
	m := newMemTape()
	begin := tape.Cursor{Epoch: m.Epoch, Index: tape.AllEntries}.String()
	rnd := rand.New(rand.NewPCG(11, 5))
	b := serve(t, m, nil)
	live := b.join(`{"action":"subscribe",` + want + `}`)
	seqs := map[market.Symbol]uint64{}
	for i := range 400 {
		var entries []market.Entry
		for range 1 + rnd.IntN(4) {
			s := market.Symbol("SIM:" + string(rune('A'+rnd.IntN(3))))
			seqs[s]++
			when := t0 + market.Time(i*7+rnd.IntN(5))*market.Second
			if rnd.IntN(10) == 0 {
				when -= market.Time(rnd.IntN(80)) * market.Second // late
			}
			entries = append(entries, trade(s, seqs[s], int64(1000+rnd.IntN(50)), when))
		}
		m.Put("sim", entries...)
	}
	seqs["SIM:Z"]++
	m.Put("sim", trade("SIM:Z", 1, 1, t0+24*market.Hour))
	everything := func(c *client) (lines []string, kinds map[string]int) {
		kinds = map[string]int{}
		for {
			var list []json.RawMessage
			if err := json.Unmarshal([]byte(c.read()), &list); err != nil {
				t.Fatal(err)
			}
			for _, raw := range list {
				text := string(raw)
				switch kind := text[:len(`{"T":"t"`)]; kind {
				case `{"T":"t"`, `{"T":"b"`, `{"T":"u"`, `{"T":"d"`:
					kinds[kind]++
					lines = append(lines, text)
				}
				if strings.Contains(text, `"T":"t","S":"SIM:Z"`) {
					return lines, kinds
				}
			}
		}
	}
	told, kinds := everything(live)
	if kinds[`{"T":"b"`] < 50 || kinds[`{"T":"u"`] < 5 || kinds[`{"T":"d"`] < 50 {
		t.Fatalf("the market of the test is too quiet: %v", kinds)
	}
	_ = live.ws.CloseNow()
	b.stop()
	for _, ring := range []int{1, 1 << 16} {
		later := serve(t, m, func(o *Options) { o.Ring = ring })
		c := later.join(`{"action":"subscribe",` + want + `,"from":{"cursor":"` + begin + `"}}`)
		again, _ := everything(c)
		if diff := cmp.Diff(told, again); diff != "" {
			t.Errorf("ring %d: %s", ring, diff)
		}
		_ = c.ws.CloseNow()
		later.stop()
	}
}
