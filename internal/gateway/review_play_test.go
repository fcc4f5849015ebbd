package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// TestPlayTrimmedMeanwhile trims the tape while a play is still in history: where it would have come to the tape is gone, and it goes on
// out of history for as long, without a hole.
func TestPlayTrimmedMeanwhile(t *testing.T) {
	for _, paused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			const every = 20 * market.Second / 1000
			from := market.FromStd(time.Now()) - 3000*every
			for i := range 3000 {
				m.Put("sim", tick("SIM:A", uint64(i+1), from+market.Time(i)*every))
			}
			v := watchTape(t, m, manner{cursors: true}, func(o *Options) { o.Ring = 1 })
			v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
			m.Trim(1001)
			v.do(`{"action":"play","from":%q}`, from.String())
			v.watch(5 * time.Second)
			if paused {
				v.do(`{"action":"pause"}`)
				m.Trim(2501)
				v.watch(time.Hour)
				v.do(`{"action":"resume"}`)
			} else {
				m.Trim(2501)
			}
			v.watch(54 * time.Second)
			next := uint64(1)
			for _, x := range v.seen {
				if x.T != "t" {
					continue
				}
				if want := fmt.Sprint("t SIM:A ", next); x.line != want {
					t.Fatalf("got %s, want %s", x.line, want)
				}
				next++
			}
			if next < 2950 {
				t.Errorf("it came to trade %d only", next)
			}
		})
	}
}

// TestPauseLatest pauses between two rounds of mode latest: what the clock has passed is told all the same.
func TestPauseLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := minuteOfTicks(m)
		v := watchTape(t, m, manner{}, nil)
		v.do(`{"action":"subscribe","trades":["SIM:A"],"mode":"latest","every":"10s"}`)
		v.do(`{"action":"play","from":%q}`, from.String())
		v.watch(11 * time.Second)
		v.seen = nil
		v.watch(4500 * time.Millisecond)
		v.do(`{"action":"pause"}`)
		clock := v.s.play.shown
		v.watch(time.Minute)
		want := fmt.Sprint("t SIM:A ", int64((clock-from)/market.Second)+1)
		if lines := strings.Split(v.lines("t"), ","); lines[len(lines)-1] != want {
			t.Errorf("the clock stands at %v, and what came last is %q, want %s", clock, lines[len(lines)-1], want)
		}
		if got := v.s.play.shown; got != clock {
			t.Errorf("the clock went from %v to %v while it was held", clock, got)
		}
	})
}

// TestResumeAmongSteps goes on while ticks that were stepped by are still being told: the clock is at the last of them.
func TestResumeAmongSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := minuteOfTicks(m)
		v := watchTape(t, m, manner{}, func(o *Options) { o.Limits.Frame = 1000 })
		v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
		v.do(`{"action":"play","from":%q}`, from.String())
		v.do(`{"action":"pause"}`)
		v.do(`{"action":"step","ticks":50}`)
		var p parcel
		if err := v.s.compose(t.Context(), &p, &v.sc, true); err != nil {
			t.Fatal(err)
		}
		told := v.s.play.told
		if v.s.play.steps == 0 || told == from {
			t.Fatal("all of the steps were told at once")
		}
		v.do(`{"action":"resume"}`)
		v.watch(1500 * time.Millisecond)
		want := fmt.Sprint("t SIM:A ", int64((told-from)/market.Second)+2)
		if got := v.lines("t"); !strings.HasPrefix(got, want) {
			t.Errorf("a second and a half after the steps got %q, want %s", got, want)
		}
	})
}

// TestLiveWhenLive asks a stream that is live to be live: it misses nothing.
func TestLiveWhenLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		minuteOfTicks(m)
		v := watchTape(t, m, manner{}, nil)
		v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
		v.put("sim", tick("SIM:A", 61, market.FromStd(time.Now())))
		v.do(`{"action":"live"}`)
		v.put("sim", tick("SIM:A", 62, market.FromStd(time.Now())))
		v.watch(time.Second)
		if got := v.lines("clock t"); got != "clock speed=1 live=true playing=true ended=<nil>,t SIM:A 61,t SIM:A 62" {
			t.Errorf("got %s", got)
		}
	})
}

// TestPlayFromTheBeginningOfTime begins at the oldest times that there are.
func TestPlayFromTheBeginningOfTime(t *testing.T) {
	for _, from := range []string{"1684-01-01", "1700-01-01", "1970-01-01"} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			minuteOfTicks(m)
			v := watchTape(t, m, manner{}, nil)
			v.do(`{"action":"subscribe","trades":["*"],"bars":["*"],"dailyBars":["*"]}`)
			v.do(`{"action":"play","from":%q,"speed":"max"}`, from)
			v.watch(time.Second)
			if got := strings.Count(v.lines("t"), "t SIM:A"); got != 60 {
				t.Errorf("from %s: %d trades came", from, got)
			}
		})
	}
}

// TestRoundsGoByTheMonotonicClock sets when a round of mode latest is due: a step of the wall clock must not put it off.
func TestRoundsGoByTheMonotonicClock(t *testing.T) {
	s := &session{every: 50 * time.Millisecond}
	now := time.Now()
	s.paced(now)
	if !strings.Contains(s.due.String(), " m=") {
		t.Errorf("the round is due at %v, by the clock on the wall", s.due)
	}
	if d := s.due.Sub(now); d <= 0 || d > s.every || s.due.UnixNano()%int64(s.every) != 0 {
		t.Errorf("the round is due at %v, %v from now", s.due, d)
	}
}

// TestPricesAreNotToldOfPlays asks for prices of the past that is gone by the time it is looked up: who knows nothing but prices is told
// by the end of the connection.
func TestPricesAreNotToldOfPlays(t *testing.T) {
	m := newMemTape()
	minuteOfTicks(m)
	v := watchTape(t, m, manner{dialect: prices}, nil)
	v.s.opening = &order{from: &departure{cursor: &tape.Cursor{Epoch: m.Epoch, Position: 3, Index: tape.AllEntries}}}
	v.s.watchPrices("", place{pos: 61})
	m.Trim(10)
	v.s.answer(t.Context())
	if out := string(v.s.unsent()); strings.Contains(out, `"T"`) {
		t.Errorf("a client that wants prices was sent %q", out)
	}
	if v.s.end == nil {
		t.Error("a client whose past cannot be played waits for it")
	}
}

// TestPlaysAreLimited lets two sessions play at once: a third one is refused until one of them is live or gone.
func TestPlaysAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemTape()
		from := minuteOfTicks(m)
		one := watchTape(t, m, manner{}, func(o *Options) { o.Limits.Plays = 2 })
		others := []*viewer{one.g.viewer(t, m, manner{}), one.g.viewer(t, m, manner{}), one.g.viewer(t, m, manner{})}
		play := fmt.Sprintf(`{"action":"play","from":%q}`, from.String())
		one.do("%s", play)
		if err := one.try(`{"action":"play","from":"2999-01-01"}`); err == nil {
			t.Error("it plays the future")
		}
		one.do("%s", play) // again is not one more
		others[0].do("%s", play)
		if err := others[1].try(play); err == nil || !strings.Contains(err.Error(), "all 2 plays are taken") {
			t.Fatalf("a third play: %v", err)
		}
		o := &order{from: &departure{time: from}}
		if err := one.g.mayPlay(t.Context(), o); err == nil || one.g.asProblem(err).status != http.StatusServiceUnavailable {
			t.Errorf("a third play by its address: %v", err)
		}
		one.do(`{"action":"live"}`)
		if err := one.g.mayPlay(t.Context(), o); err != nil {
			t.Error(err)
		}
		others[1].do("%s", play)
		others[0].s.closed()
		others[2].do(`{"action":"play","from":%q,"speed":"max"}`, from.String())
		others[2].watch(time.Second) // and joins
		one.do("%s", play)
		if n := one.g.plays.Load(); n != 2 {
			t.Errorf("%d plays are counted", n)
		}
	})
}
