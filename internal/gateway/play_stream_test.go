package gateway

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// recent puts n trades of each of some symbols onto a tape, the last of them received a moment ago, ten milliseconds apart. It returns when the
// first was.
func recent(m *tapetest.Memory, n int, symbols ...market.Symbol) market.Time {
	from := market.FromStd(time.Now()) - market.Time(n)*10_000_000
	for i := range n {
		var entries []market.Entry
		for _, s := range symbols {
			entries = append(entries, tick(s, uint64(i+1), from+market.Time(i)*10_000_000))
		}
		m.Put("sim", entries...)
	}
	return from
}

// TestPlayJoins lets clients play from many moments while the tape grows, over sockets. Each gets what was received from its moment on, once and
// in order, and is live in the end.
func TestPlayJoins(t *testing.T) {
	for _, ring := range []int{50, 1 << 16} {
		m := newMemTape()
		m.Chunk = 100
		from := recent(m, 3000, "SIM:A", "SIM:B")
		b := serve(t, m, func(o *Options) { o.Ring = ring; o.Limits.Frame = 4000; o.Limits.CatchUps = 2 })
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				first := uint64(1 + i*200)
				speed := []string{`"max"`, "10000", "500"}[i%3]
				c := b.join(`{"action":"subscribe","trades":["SIM:A"],"cursor":true}`)
				c.send(fmt.Sprintf(`{"action":"play","from":%q,"speed":%s}`, from+market.Time(first-1)*10_000_000, speed))
				next, live, place := first, false, ""
				began := false
				for next <= 3500 || !live {
					list := c.frame()
					for _, x := range list {
						switch {
						case x.T == "t" && !began && x.Seq > 3000: // live, before the play began
						case x.T == "t" && x.Seq != next:
							t.Errorf("client %d got trade %d, want %d", i, x.Seq, next)
							return
						case x.T == "t":
							next++
						case x.T == "clock":
							began, live = true, x.Live
						}
					}
					if p := cursor(list); p != "" && began {
						place = p
					}
					if !live && i%4 == 3 && place != "" && next < 2900 && rand.N(20) == 0 { // the connection is lost; it goes on behind its cursor
						_ = c.ws.CloseNow()
						c = b.join(`{"action":"subscribe","trades":["SIM:A"],"cursor":true}`)
						c.send(fmt.Sprintf(`{"action":"play","from":{"cursor":%q},"speed":%s}`, place, speed))
						place, began = "", false
					}
				}
			})
		}
		for i := range 500 {
			m.Put("sim", tick("SIM:A", uint64(3001+i), market.FromStd(time.Now())), tick("SIM:B", uint64(3001+i), market.FromStd(time.Now())))
		}
		wg.Wait()
		b.stop()
	}
}

// TestPlayByAddress plays what the address of a stream asks for, in every dialect: but for their times a client that knows nothing of it
// sees the messages that it would see live.
func TestPlayByAddress(t *testing.T) {
	m := newMemTape()
	from := recent(m, 100, "SIM:AAPL", "COINBASE:BTC-USD")
	to := from + 50*10_000_000
	b := serve(t, m, nil)
	query := "from=" + from.String() + "&to=" + to.String() + "&speed="
	for _, speed := range []string{"max", "100"} {
		for path, symbol := range map[string]string{
			"/v2/tape": "SIM:AAPL", "/v2/iex": "AAPL", "/v2/sip": "AAPL", "/v2/test": "AAPL", "/v1beta3/crypto/us": "BTC/USD",
		} {
			c := b.dial(path + "?" + query + speed)
			c.want(`[{"T":"success","msg":"connected"}]`)
			c.send(`{"action":"subscribe","trades":["` + symbol + `"]}`)
			if list := c.frame(); list[0].T != "subscription" {
				t.Errorf("%s: got %+v, want the subscription", path, list)
			}
			for next := uint64(1); next <= 50; {
				for _, x := range c.frame() {
					switch {
					case x.T == "clock" && path == "/v2/tape":
					case x.T != "t" || x.S != symbol || x.Seq != next:
						t.Fatalf("%s: got %+v, want trade %d of %s", path, x, next, symbol)
					default:
						next++
					}
				}
			}
			_ = c.ws.CloseNow()
		}
		c := b.dial("/ws/prices?symbol=AAPL&" + query + speed)
		for i := range 50 {
			want := fmt.Sprintf(`{"timestamp":%q,"symbol":"SIM:AAPL","price":100.%02d}`, from+market.Time(i)*10_000_000, i+1)
			c.want(want)
		}
	}
}

// TestPlayRefused asks by address for what cannot be played.
func TestPlayRefused(t *testing.T) {
	m := newMemTape()
	recent(m, 10, "SIM:A")
	b := serve(t, m, nil)
	for path, want := range map[string]string{
		"/v2/tape?speed=10":                                  "400",
		"/v2/iex?from=noon":                                  "400",
		"/v2/tape?from=2026-01-01&speed=":                    "400",
		"/ws/prices?from=2200-01-01":                         "416",
		"/v2/tape?from=2026-01-02&to=2026-01-01":             "400",
		"/v2/tape/sse?trades=*&from=2200-01-01&speed=2":      "416",
		"/v2/tape/sse?trades=*&speed=2":                      "400",
		"/v2/tape/sse?trades=*&from=2026-01-01&speed=100000": "400",
	} {
		status := 0
		if strings.Contains(path, "sse") {
			status, _, _ = b.get(path)
		} else {
			_, status = b.tryDial(path)
		}
		if fmt.Sprint(status) != want {
			t.Errorf("%s: got %d, want %s", path, status, want)
		}
	}
}

// TestPlayEvents plays as Server-Sent Events, loses the connection and goes on behind the last event at the same pace.
func TestPlayEvents(t *testing.T) {
	m := newMemTape()
	from := recent(m, 100, "SIM:A")
	b := serve(t, m, func(o *Options) { o.Limits.Frame = 500 })
	path := "/v2/tape/sse?trades=SIM:A&from=" + from.String() + "&to=" + (from + 80*10_000_000).String() + "&speed=20"
	l := b.listen(path)
	for next := uint64(1); next <= 80; {
		for stop := min(80, next+30); next <= stop; {
			for _, x := range decodeFrame(t, l.next()) {
				if x.T == "t" {
					if x.Seq != next {
						t.Fatalf("got trade %d, want %d", x.Seq, next)
					}
					next++
				}
			}
		}
		_ = l.body.Close()
		if next <= 80 {
			l = b.listen(path, "Last-Event-ID", l.id)
		}
	}
}

// TestPlayPacked plays for a client of MessagePack.
func TestPlayPacked(t *testing.T) {
	m := newMemTape()
	from := recent(m, 10, "SIM:A")
	b := serve(t, m, nil)
	c := b.dial("/v2/tape?encoding=msgpack&speed=max&from=" + from.String())
	c.read()
	c.send(`{"action":"subscribe","trades":["*"]}`)
	c.read()
	v, err := unpackValue([]byte(c.read()))
	if err != nil {
		t.Fatal(err)
	}
	list, ok := v.([]any)
	if !ok || len(list) != 11 {
		t.Fatalf("got %v, want 10 trades and the clock", v)
	}
	if clock, ok := list[10].(map[string]any); !ok || clock["T"] != "clock" || clock["live"] != true {
		t.Errorf("got %v, want the clock", list[10])
	}
}

// TestPlayLatest plays in mode latest: of each symbol at most one trade in a round, the newest, and in the end the last of all.
func TestPlayLatest(t *testing.T) {
	m := newMemTape()
	from := recent(m, 2000, "SIM:A", "SIM:B")
	b := serve(t, m, func(o *Options) { o.Ring = 100 })
	for _, speed := range []string{`"max"`, "50"} {
		c := b.join(`{"action":"subscribe","trades":["*"],"mode":"latest","every":"20ms"}`)
		to := from + 1000*10_000_000
		c.send(fmt.Sprintf(`{"action":"play","from":%q,"to":%q,"speed":%s}`, from, to, speed))
		frames, last := 0, map[string]uint64{}
		for ended := false; !ended; {
			seen := map[string]bool{}
			for _, x := range c.frame() {
				if x.T == "clock" {
					ended = x.Ended
				}
				if x.T != "t" {
					continue
				}
				if seen[x.S] || x.Seq <= last[x.S] {
					t.Fatalf("speed %s: got %+v after %d", speed, x, last[x.S])
				}
				seen[x.S], last[x.S] = true, x.Seq
				frames++
			}
		}
		if last["SIM:A"] != 1000 || last["SIM:B"] != 1000 || frames > 1000 {
			t.Errorf("speed %s: got %v in %d", speed, last, frames)
		}
	}
}

// TestPlayQuiet plays a time in which nothing happens: the clock is told at once, and goes on being told.
func TestPlayQuiet(t *testing.T) {
	m := newMemTape()
	from := recent(m, 100, "SIM:A")
	b := serve(t, m, nil)
	c := b.dial("/v2/tape?speed=0.1&from=" + from.String())
	c.read()
	c.send(`{"action":"subscribe","trades":["SIM:B"]}`)
	for kinds := ""; kinds != "subscription status clock clock clock"; {
		x := c.frame()[0]
		if kinds = strings.TrimSpace(kinds + " " + x.T); strings.Contains(kinds, "t ") && x.T == "t" {
			t.Fatalf("got %+v", x)
		}
	}
}

// TestPlayShutdown ends the server under clients that play: they are told goodbye with their place.
func TestPlayShutdown(t *testing.T) {
	m := newMemTape()
	from := recent(m, 1000, "SIM:A")
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","trades":["*"],"cursor":true}`)
	c.send(fmt.Sprintf(`{"action":"play","from":%q,"speed":%v}`, from, 1+rand.N(20)))
	place := ""
	for place == "" {
		place = cursor(c.frame())
	}
	go b.stop()
	for {
		if _, err := c.tryRead(); err != nil {
			if !strings.Contains(err.Error(), "shutting down cursor=") {
				t.Errorf("got %v", err)
			}
			break
		}
	}
	b.stop()
}
