package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// TestPlayClockStands holds a play, and lets one end: the client goes on hearing of the clock four times a second at least, in all dialects that
// know it, and nothing of it in the others.
func TestPlayClockStands(t *testing.T) {
	for name, mn := range map[string]manner{
		"every": {}, "latest": {latest: true}, "cursors": {cursors: true}, "library": {dialect: stocks},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			from := minuteOfTicks(m)
			v := watchTape(t, m, mn, nil)
			v.do(`{"action":"subscribe","trades":["SIM:A"]}`)
			for _, order := range []string{
				fmt.Sprintf(`{"action":"play","from":%q,"to":%q,"speed":1}`, from, from+50*market.Second), `{"action":"pause"}`, `{"action":"resume"}`,
			} {
				v.do("%s", order)
				v.seen = nil
				last, clocks := time.Now(), 0
				v.watch(30 * time.Second)
				for _, x := range v.seen {
					if x.T != "clock" {
						continue
					}
					clocks++
					if d := x.at.Sub(last); d > 250*time.Millisecond {
						t.Errorf("%s, after %s: no clock for %v", name, order, d)
					}
					last = x.at
				}
				switch {
				case mn.dialect != native && clocks > 0:
					t.Errorf("%s was told the clock", name)
				case mn.dialect == native && clocks < 4*30:
					t.Errorf("%s, after %s: %d clocks in half a minute", name, order, clocks)
				}
			}
		})
	}
}

// TestPlayClockStandsOverSockets holds a play for clients of every carrier.
func TestPlayClockStandsOverSockets(t *testing.T) {
	m := newMemTape()
	from := recent(m, 10, "SIM:A")
	b := serve(t, m, nil)
	c := b.join(`{"action":"subscribe","trades":["SIM:A"]}`)
	c.send(fmt.Sprintf(`{"action":"play","from":%q}`, from))
	c.send(`{"action":"pause"}`)
	for held := 0; held < 4; {
		for _, x := range c.frame() {
			if x.T == "clock" && !x.Live {
				held++
			}
		}
	}
	to := from + 50_000_000
	packed := b.dial(fmt.Sprintf("/v2/tape?encoding=msgpack&speed=max&from=%s&to=%s", from, to))
	packed.read()
	packed.send(`{"action":"subscribe","trades":["*"]}`)
	for ended := 0; ended < 3; {
		ended += strings.Count(packed.read(), "ended")
	}
	l := b.listen(fmt.Sprintf("/v2/tape/sse?trades=*&speed=max&from=%s&to=%s", from, to))
	for ended := 0; ended < 3; {
		for _, x := range decodeFrame(t, l.next()) {
			if x.Ended {
				ended++
			}
		}
	}
	_ = l.body.Close()
	// Who comes back after the end hears that it is the end, and nothing else.
	l = b.listen(fmt.Sprintf("/v2/tape/sse?trades=*&bars=*&speed=max&from=%s&to=%s", from, to), "Last-Event-ID", l.id)
	for ended := false; !ended; {
		for _, x := range decodeFrame(t, l.next()) {
			if x.T == "t" || x.T == "b" {
				t.Errorf("after the end came %+v", x)
			}
			ended = ended || x.Ended
		}
	}
}

// pastOfFiles puts onto a tape a feed that replays a file of years ago, a feed that is live, and imports, several ticks at the same nanosecond. It
// returns when the oldest of it happened.
func pastOfFiles(m *tapetest.Memory) (old market.Time) {
	now := market.FromStd(time.Now())
	old = now - 1000*24*market.Hour
	begin := now - market.Hour
	for i := range 150 {
		e := tick("REPLAY:X", uint64(i+1), begin+market.Time(i)*market.Second)
		e.Event, e.Flags = old+market.Time(i/3*3)*market.Second, market.FlagImported
		m.Put("replay", e)
		m.Put("sim", tick("SIM:A", uint64(i+1), begin+market.Time(i)*market.Second+1))
	}
	for n, from := range []market.Time{begin, old} {
		var entries []market.Entry
		for i := range 90 {
			e := tick("FILE:Y", uint64(90*n+i+1), now-market.Minute)
			e.Event = from + market.Time(i/2*3)*market.Second
			entries = append(entries, e)
		}
		m.Put("import-1", history(entries...)...)
	}
	m.Put("sim", market.Heartbeat{Event: begin + 10*market.Minute, Received: begin + 10*market.Minute}.Entry())
	return old
}

// TestPlayResumesExactly interrupts plays behind every message that has a cursor: who goes on with it gets the rest, once and whole, out of history,
// from the tape, and where both are told together.
func TestPlayResumesExactly(t *testing.T) {
	for _, latest := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemTape()
			old := pastOfFiles(m)
			g := withBars(t, m, func(o *Options) { o.Limits.Frame = 700 })
			h, ok := g.opt.History.(*gapped)
			if !ok {
				t.Fatal("no history")
			}
			h.gaps = append(h.gaps, market.Gap{Symbol: "FILE:Y", From: old + 30*market.Second, To: old + 31*market.Second, Reason: "lost"})
			m.Trim(60)
			to := old + 999*24*market.Hour + 26*market.Hour
			play := func(from string) *viewer {
				v := g.viewer(t, m, manner{cursors: true, latest: latest})
				v.do(`{"action":"subscribe","trades":["*"],"bars":["*"]}`)
				v.do(`{"action":"play","from":%s,"to":%q,"speed":"max"}`, from, to)
				v.watch(time.Minute)
				return v
			}
			whole := play(fmt.Sprintf("%q", old.String())).seen
			cursors := 0
			for i := range whole {
				if whole[i].T != "cursor" {
					continue
				}
				cursors++
				var c message
				if err := c.UnmarshalJSON([]byte(whole[i].raw)); err != nil {
					t.Fatal(err)
				}
				rest := viewer{seen: append([]shown(nil), whole[i:]...)}
				want := rest.told()
				if diff := diffLines(play(fmt.Sprintf(`{"cursor":%q}`, c.C)).told(), want); !latest && diff != "" {
					t.Fatalf("behind message %d of %d: %s", i, len(whole), diff)
				} else if latest && diff != "" && len(want) == 0 {
					t.Fatalf("behind message %d of %d, in mode latest: %s", i, len(whole), diff)
				}
				if len(want) == 0 {
					break // it is only the clock that stands from here on
				}
			}
			if cursors < 10 && !latest {
				t.Errorf("%d cursors came", cursors)
			}
		})
	}
}

// TestPlayEventsResumeInHistory loses the connection of an event stream again and again while history is played: each trade comes once.
func TestPlayEventsResumeInHistory(t *testing.T) {
	m := newMemTape()
	old := pastOfFiles(m)
	b := serve(t, m, func(o *Options) { o.Limits.Frame = 500 })
	path := fmt.Sprintf("/v2/tape/sse?trades=*&from=%s&to=%s&speed=max", old, old+market.Hour)
	seen := map[string]int{}
	for n, id, ended := 0, "", false; !ended; n++ {
		var behind []string
		if id != "" {
			behind = []string{"Last-Event-ID", id}
		}
		l := b.listen(path, behind...)
		for k := 0; k < 5+n%3 && !ended; k++ {
			for _, x := range decodeFrame(t, l.next()) {
				if x.T == "t" {
					seen[fmt.Sprint(x.S, x.Seq)]++
				}
				ended = ended || x.Ended
			}
		}
		id = l.id
		_ = l.body.Close()
	}
	for trade, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", trade, n)
		}
	}
	if len(seen) != 240 {
		t.Errorf("%d trades came, want 150 of the replay and 90 of the file", len(seen))
	}
}

// TestPlayEndsItsBars plays up to midnight: the bar that ends there is told before the end is, and nothing else of what comes after.
func TestPlayEndsItsBars(t *testing.T) {
	for _, speed := range []string{"100", `"max"`} {
		for _, trimmed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				m := newMemTape()
				day := market.FromStd(time.Now()).Floor(24 * market.Hour)
				begin := day - 3*market.Minute
				for i := range 6 * 60 {
					m.Put("sim", tick("SIM:A", uint64(i+1), begin+market.Time(i)*market.Second))
				}
				time.Sleep(time.Hour)
				g := withBars(t, m, nil)
				if trimmed {
					m.Trim(6 * 60)
				}
				v := g.viewer(t, m, manner{cursors: true})
				v.do(`{"action":"subscribe","trades":["*"],"bars":["*"]}`)
				v.seen = nil
				v.do(`{"action":"play","from":%q,"to":%q,"speed":%s}`, begin.String(), day.String(), speed)
				v.watch(time.Minute)
				if got := len(strings.Split(strings.Trim(v.copy().lines("t"), ","), ",")); got != 180 {
					t.Errorf("speed %s, trimmed %v: %d trades came, want 180", speed, trimmed, got)
				}
				if got := len(strings.Split(v.copy().lines("b"), ",")); got != 3 {
					t.Errorf("speed %s, trimmed %v: %d bars came, want 3", speed, trimmed, got)
				}
				place := ""
				for _, x := range v.seen {
					if x.T == "cursor" {
						place = x.raw[len(`{"T":"cursor","c":"`) : len(x.raw)-2]
					}
				}
				// From the end on it goes on without a hole.
				v.seen = nil
				v.do(`{"action":"play","from":{"cursor":%q},"to":%q,"speed":"max"}`, place, (day + market.Minute).String())
				v.watch(time.Second)
				got := strings.Split(v.copy().lines("t"), ",")
				if len(got) != 60 || got[0] != "t SIM:A 181" {
					t.Errorf("speed %s, trimmed %v: from the end on %d trades came, the first %s", speed, trimmed, len(got), got[0])
				}
			})
		}
	}
}

// copy returns a viewer that has seen the same.
func (v *viewer) copy() *viewer { return &viewer{seen: v.seen} }

// FuzzParseCursor holds what reads cursors to refuse everything else, and to write what it reads.
func FuzzParseCursor(f *testing.F) {
	c := tape.Cursor{Epoch: tape.Epoch{1}, Position: 7, Index: 3}
	f.Add(c.String())
	f.Add((&trail{from: 5, told: 9, oldest: 100, trimmed: 4, key: rowKey{8, 2}}).cursor(c))
	f.Add((&trail{from: -5, told: 9, oldest: 1, key: rowKey{9, ofBeat}, ended: true}).cursor(c))
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseCursor(text)
		if err != nil {
			return
		}
		if same, err := parseCursor(d.text()); err != nil || *same.cursor != *d.cursor || d.trail != nil && *same.trail != *d.trail {
			t.Errorf("%q came to %+v, and then to %+v: %v", text, d, same, err)
		}
	})
}
