package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// tick is a trade that was received at a time.
func tick(symbol market.Symbol, seq uint64, at market.Time) market.Entry {
	e := trade(symbol, seq, 10000+int64(seq%100), at)
	e.Received = at
	return e
}

// minuteOfTicks puts a trade of SIM:A a second onto a tape, the last of them now; it returns when the first was received.
func minuteOfTicks(m *tapetest.Memory) market.Time {
	from := market.FromStd(time.Now()) - 59*market.Second
	for i := range 60 {
		m.Put("sim", tick("SIM:A", uint64(i+1), from+market.Time(i)*market.Second))
	}
	return from
}

// TestPlayPace plays a minute at ten times its pace, with a ring that has it and one that does not: each trade comes when it is due, the
// clock is told, and when it has caught up with the present the session is live, without a hole.
func TestPlayPace(t *testing.T) {
	for _, ring := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			from := minuteOfTicks(m)
			v := watchTape(t, m, manner{}, func(o *Options) { o.Ring = ring })
			v.do(`{"action":"subscribe","trades":["*"]}`)
			v.seen = nil
			begin := time.Now()
			v.do(`{"action":"play","from":%q,"speed":10}`, from.String())
			v.watch(10 * time.Second)
			v.put("sim", tick("SIM:A", 61, market.FromStd(time.Now())))
			v.watch(time.Second)

			next, lastClock, joined := uint64(1), begin, 0
			for _, x := range v.seen {
				switch x.T {
				case "t":
					if want := fmt.Sprint("t SIM:A ", next); x.line != want {
						t.Fatalf("ring %d: got %s, want %s", ring, x.line, want)
					}
					due := begin.Add(time.Duration(next-1) * 100 * time.Millisecond)
					if late := x.at.Sub(due); next <= 60 && (late < 0 || late > 3*time.Millisecond) {
						t.Errorf("ring %d: trade %d came %v late", ring, next, late)
					}
					next++
				case "clock":
					if d := x.at.Sub(lastClock); joined == 0 && d > 250*time.Millisecond {
						t.Errorf("ring %d: no clock for %v", ring, d)
					}
					lastClock = x.at
					if strings.Contains(x.line, "live=true") {
						joined++
						continue
					}
					want := from + market.Time(x.at.Sub(begin))*10
					if d := want - x.time; d < 0 || d > 30*market.Second/1000 {
						t.Errorf("ring %d: the clock says %v at %v", ring, x.time, want)
					}
				}
			}
			if next != 62 || joined != 1 || v.s.play != nil {
				t.Errorf("ring %d: %d trades came, and live was told %d times", ring, next-1, joined)
			}
		})
	}
}

// TestPlayOrders pauses, goes on, changes the pace, seeks and leaves.
func TestPlayOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := minuteOfTicks(m)
		v := watchTape(t, m, manner{}, nil)
		v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
		v.seen = nil
		step := func(d time.Duration, want string, format string, args ...any) {
			t.Helper()
			v.do(format, args...)
			v.watch(d)
			if got := v.lines("t"); got != want {
				t.Errorf("%s: got %s, want %s", fmt.Sprintf(format, args...), got, want)
			}
		}
		step(2500*time.Millisecond, "t SIM:A 1,t SIM:A 2,t SIM:A 3", `{"action":"play","from":%q}`, from.String())
		step(time.Hour, "", `{"action":"pause"}`)
		step(time.Second, "t SIM:A 4", `{"action":"resume"}`)
		step(time.Second, "t SIM:A 5,t SIM:A 6", `{"action":"speed","speed":2}`)
		step(time.Second, "t SIM:A 31,t SIM:A 32,t SIM:A 33", `{"action":"seek","time":%q}`, (from + 30*market.Second).String())
		step(time.Second, "", `{"action":"pause"}`)
		step(time.Second, "", `{"action":"seek","time":%q}`, (from + 40*market.Second).String())
		step(time.Second, "t SIM:A 41", `{"action":"step"}`)
		step(time.Second, "t SIM:A 42,t SIM:A 43,t SIM:A 44", `{"action":"step","ticks":3}`)
		if got := v.s.play.shown; got != from+43*market.Second {
			t.Errorf("the clock is at %v after the step, want %v", got, from+43*market.Second)
		}
		step(time.Second, "t SIM:A 45,t SIM:A 46", `{"action":"resume"}`)
		v.do(`{"action":"live"}`)
		v.put("sim", tick("SIM:A", 61, market.FromStd(time.Now())))
		v.watch(time.Second)
		if got := v.lines("clock t"); got != "clock speed=1 live=true playing=true ended=<nil>,t SIM:A 61" {
			t.Errorf("live: got %s", got)
		}
	})
}

// TestPlayEnd plays up to an end, at a pace and flat out: what is at the end is not told, the clock says so, and a seek goes on.
func TestPlayEnd(t *testing.T) {
	for _, speed := range []string{"4", `"max"`} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			from := minuteOfTicks(m)
			v := watchTape(t, m, manner{}, nil)
			v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
			v.seen = nil
			to := from + 3*market.Second
			v.do(`{"action":"play","from":%q,"to":%q,"speed":%s}`, from.String(), to.String(), speed)
			v.watch(time.Minute)
			end := v.seen[len(v.seen)-1]
			if end.time != to || !strings.Contains(end.line, "live=false playing=false ended=true") {
				t.Errorf("speed %s: ended with %s", speed, end.raw)
			}
			if got := v.lines("t"); got != "t SIM:A 1,t SIM:A 2,t SIM:A 3" {
				t.Errorf("speed %s: got %s", speed, got)
			}
			if err := v.try(`{"action":"resume"}`); err == nil {
				t.Error("it resumed behind the end")
			}
			v.do(`{"action":"seek","time":%q}`, (from + 2*market.Second).String())
			v.watch(time.Minute)
			if got := v.lines("t"); got != "t SIM:A 3" {
				t.Errorf("speed %s: after the seek got %s", speed, got)
			}
		})
	}
}

// TestPlayFlatOut plays everything as fast as it is read, and joins live once.
func TestPlayFlatOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := minuteOfTicks(m)
		v := watchTape(t, m, manner{cursors: true}, func(o *Options) { o.Ring = 10; o.Limits.Frame = 1000 })
		v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
		v.do(`{"action":"play","from":%q,"speed":"max"}`, from.String())
		begin := time.Now()
		v.watch(time.Second)
		var want []string
		for i := range 60 {
			want = append(want, fmt.Sprint("t SIM:A ", i+1))
		}
		last := v.seen[len(v.seen)-2] // before the cursor
		if last.line != "clock speed=1 live=true playing=true ended=<nil>" || last.at.Sub(begin) > 10*time.Millisecond {
			t.Errorf("ended with %s after %v", last.raw, last.at.Sub(begin))
		}
		if got := v.lines("t"); got != strings.Join(want, ",") {
			t.Errorf("got %s", got)
		}
	})
}

// TestPlayWaitsForTheClient plays for a client that reads nothing for minutes. The clock waits: the client does not find the past piled up.
func TestPlayWaitsForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := market.FromStd(time.Now()) - market.Hour
		for i := range 3600 {
			m.Put("sim", tick("SIM:A", uint64(i+1), from+market.Time(i)*market.Second))
		}
		v := watchTape(t, m, manner{}, func(o *Options) { o.Limits.Frame = 1000 })
		v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
		v.do(`{"action":"play","from":%q,"speed":2}`, from.String())
		v.watch(time.Second)
		time.Sleep(10 * time.Minute)
		v.seen = nil
		v.watch(10 * time.Second)
		got := strings.Count(v.lines("t"), "t SIM:A")
		// A frame, a second of the wall that the clock was ahead, and what came since.
		if got < 20 || got > 35 {
			t.Errorf("%d trades came in ten seconds at twice the pace", got)
		}
	})
}

// TestPlaySubscriptions changes what is wanted while the past is played: a new symbol comes from the clock's moment on.
func TestPlaySubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := market.FromStd(time.Now()) - 59*market.Second
		for i := range 60 {
			at := from + market.Time(i)*market.Second
			m.Put("sim", tick("SIM:A", uint64(i+1), at), tick("SIM:B", uint64(i+1), at))
		}
		v := watchTape(t, m, manner{}, nil)
		v.do(`{"action":"play","from":%q}`, from.String())
		v.watch(2500 * time.Millisecond)
		v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
		v.watch(2 * time.Second)
		v.do(`{"action":"subscribe","trades":["SIM:B"]}`)
		v.watch(time.Second)
		v.do(`{"action":"unsubscribe","trades":["SIM:A"]}`)
		v.watch(time.Second)
		if got, want := v.lines("t"), "t SIM:A 4,t SIM:A 5,t SIM:A 6,t SIM:B 6,t SIM:B 7"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := v.try(`{"action":"subscribe","trades":["SIM:A"],"from":{"time":"1999-12-31"}}`); err == nil {
			t.Error("a subscription from another moment was taken while the past was played")
		}
	})
}
