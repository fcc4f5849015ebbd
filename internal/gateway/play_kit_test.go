package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
)

// viewer is a session that plays, without a driver: the test lets time pass, in a bubble of synctest.
type viewer struct {
	t    testing.TB
	m    *tapetest.Memory
	g    *Gateway
	s    *session
	sc   scratch
	seen []shown
}

// shown is a message that a viewer was sent, and when.
type shown struct {
	at   time.Time
	raw  string
	line string // "T S seq" of a message of the tape, or "clock" and what it says
	T    string
	time market.Time // of a clock
}

// watchTape returns a viewer of a tape that the hub has read.
func watchTape(t testing.TB, m *tapetest.Memory, mn manner, change func(*Options)) *viewer {
	t.Helper()
	g := still(t, m, change)
	if h, ok := g.opt.History.(*memHistory); ok {
		for _, rec := range m.Records() {
			h.take(rec)
		}
	}
	return g.viewer(t, m, mn)
}

func (g *Gateway) viewer(t testing.TB, m *tapetest.Memory, mn manner) *viewer {
	v := &viewer{t: t, m: m, g: g, s: newSession(g, "/v2/tape", mn)}
	v.s.ping, v.s.beat = time.Now().Add(1000*time.Hour), time.Now().Add(1000*time.Hour)
	t.Cleanup(func() { v.s.lag(false) })
	return v
}

// put appends a record, which the hub reads at once.
func (v *viewer) put(feed string, entries ...market.Entry) {
	pos := v.m.Put(feed, entries...)
	v.g.hub.publish(v.m.Records()[pos-1])
}

// do makes the session do what a message says.
func (v *viewer) do(format string, args ...any) {
	v.t.Helper()
	if err := v.try(fmt.Sprintf(format, args...)); err != nil {
		v.t.Fatal(err)
	}
}

// try is do for what may be refused.
func (v *viewer) try(text string) error {
	v.t.Helper()
	r, err := parseRequest(false, []byte(text))
	if err != nil {
		return err
	}
	switch {
	case r.action == "unsubscribe":
		err = v.s.unsubscribe(r)
	case isOrder(r.action):
		err = v.s.command(v.t.Context(), r.action, &r.order)
	default:
		err = v.s.subscribe(v.t.Context(), r)
	}
	v.take(unframe(v.t, v.s.unsent()))
	return err
}

// watch lets time pass, and takes what comes.
func (v *viewer) watch(d time.Duration) {
	v.t.Helper()
	end := time.Now().Add(d)
	for {
		if !v.s.wantsTicks() || v.s.isCurrent() {
			time.Sleep(time.Until(end))
			return
		}
		if next := v.s.quiet(); next.After(time.Now()) {
			if next.After(end) {
				time.Sleep(time.Until(end))
				return
			}
			time.Sleep(time.Until(next))
		}
		var p parcel
		err := v.s.compose(v.t.Context(), &p, &v.sc, false)
		if errors.Is(err, errBehind) {
			err = v.s.compose(v.t.Context(), &p, &v.sc, true)
		}
		if err != nil {
			v.t.Fatal(err)
		}
		v.take(unframe(v.t, p.bytes()))
	}
}

// take notes what was sent.
func (v *viewer) take(text string) {
	v.t.Helper()
	for dec := json.NewDecoder(strings.NewReader(text)); dec.More(); {
		var list []json.RawMessage
		if err := dec.Decode(&list); err != nil {
			v.t.Fatalf("%v in %.300s", err, text)
		}
		for _, raw := range list {
			var m message
			if err := json.Unmarshal(raw, &m); err != nil {
				v.t.Fatal(err)
			}
			x := shown{at: time.Now(), raw: string(raw), T: m.T, line: fmt.Sprint(m.T, " ", m.S, " ", m.Seq)}
			if m.T == "clock" {
				var o map[string]any
				if err := json.Unmarshal(raw, &o); err != nil {
					v.t.Fatal(err)
				}
				at, err := market.ParseTime(fmt.Sprint(o["t"]))
				if err != nil {
					v.t.Fatal(err)
				}
				x.time = at
				x.line = fmt.Sprint("clock speed=", o["speed"], " live=", o["live"], " playing=", o["playing"], " ended=", o["ended"])
			}
			v.seen = append(v.seen, x)
		}
	}
}

// lines returns the lines of what was sent since the last call, of the kinds that are named.
func (v *viewer) lines(kinds string) string {
	var list []string
	for _, x := range v.seen {
		if strings.Contains(kinds, x.T) {
			list = append(list, x.line)
		}
	}
	v.seen = nil
	return strings.Join(list, ",")
}
