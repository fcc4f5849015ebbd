package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
	"tapedeck/internal/websocket"
)

// still is a gateway that nothing moves: its hub has read the whole tape.
func still(t testing.TB, m *tapetest.Memory, change func(*Options)) *Gateway {
	t.Helper()
	o := Options{Tape: m, History: newMemHistory()}
	if change != nil {
		change(&o)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	g.hub.start(nil, nil, 1)
	for _, rec := range m.Records() {
		g.hub.publish(rec)
	}
	return g
}

// ask makes a session do what a message says.
func ask(t testing.TB, s *session, text string) error {
	t.Helper()
	r, err := parseRequest(false, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if r.action == "unsubscribe" {
		return s.unsubscribe(r)
	}
	return s.subscribe(t.Context(), r)
}

// comply makes a session do what a message says, and fails when it does not.
func comply(t testing.TB, s *session, text string) {
	t.Helper()
	if err := ask(t, s, text); err != nil {
		t.Fatal(err)
	}
}

// nextFrame builds what is due to a session next, as text; empty when nothing is.
func nextFrame(t testing.TB, s *session) string {
	t.Helper()
	var p parcel
	var sc scratch
	if err := s.compose(t.Context(), &p, &sc, true); err != nil {
		t.Fatal(err)
	}
	return unframe(t, p.bytes())
}

// unframe returns the payloads of frames, joined.
func unframe(t testing.TB, b []byte) string {
	t.Helper()
	var d websocket.Decoder
	d.Init(websocket.DecoderOptions{Client: true, Limit: 1 << 30, Deflate: true})
	var text []byte
	for len(b) > 0 {
		n, m, err := d.Next(b)
		if err != nil {
			t.Fatal(err)
		}
		b = b[n:]
		text = append(text, m.Payload...)
	}
	return string(text)
}

// drainFrames builds frames until nothing is due, and returns what they hold as "T S seq" lines.
func drainFrames(t *testing.T, s *session) []string {
	t.Helper()
	var lines []string
	for !s.isCurrent() {
		if text := nextFrame(t, s); text != "" {
			for _, m := range decodeFrame(t, text) {
				lines = append(lines, fmt.Sprint(m.T, " ", m.S, " ", m.Seq))
			}
		}
	}
	return lines
}

// TestAddSymbolFromAhead lets a client that is behind add a symbol that it knows already up to a later place.
func TestAddSymbolFromAhead(t *testing.T) {
	for _, ring := range []int{1, 1000} {
		m := newMemTape()
		for i := range 6 {
			m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0), trade("SIM:B", uint64(i+1), 100, t0))
		}
		s := newSession(still(t, m, func(o *Options) { o.Ring = ring }), "/v2/tape", manner{})
		s.subs.sets[chTrades].add("SIM:A", 1)
		s.main.at = place{pos: 2}
		from := tape.Cursor{Epoch: m.Epoch, Position: 4, Index: 2}
		comply(t, s, `{"action":"subscribe","trades":["SIM:B"],"from":{"cursor":"`+from.String()+`"}}`)
		got := strings.Join(drainFrames(t, s), ",")
		want := "t SIM:A 2,t SIM:A 3,t SIM:A 4,t SIM:A 5,t SIM:B 5,t SIM:A 6,t SIM:B 6"
		if got != want {
			t.Errorf("ring %d: got %s\nwant %s", ring, got, want)
		}
		s.lag(false)
	}
}

// TestDetourWithinRecord adds symbols from places within records, so that both ends of the detour cut one.
func TestDetourWithinRecord(t *testing.T) {
	m := newMemTape()
	for i := range 4 {
		var entries []market.Entry
		for j := range 3 {
			entries = append(entries, trade("SIM:A", uint64(3*i+j+1), 100, t0), trade("SIM:B", uint64(3*i+j+1), 100, t0))
		}
		m.Put("sim", entries...)
	}
	for _, ring := range []int{1, 1000} {
		for from := range int32(6) {
			for until := range int32(6) {
				s := newSession(still(t, m, func(o *Options) { o.Ring = ring; o.Limits.Frame = 300 }), "/v2/tape", manner{})
				s.subs.sets[chTrades].add("SIM:A", 1)
				s.main.at = place{pos: 3, index: until}
				c := place{pos: 2, index: from}.cursor(m.Epoch)
				comply(t, s, `{"action":"subscribe","trades":["*"],"from":{"cursor":"`+c.String()+`"}}`)
				next := map[string]uint64{"SIM:A": 6 + uint64(until+1)/2, "SIM:B": 3 + uint64(from)/2}
				for _, line := range drainFrames(t, s) {
					var symbol string
					var seq uint64
					if _, err := fmt.Sscanf(line, "t %s %d", &symbol, &seq); err != nil || seq != next[symbol]+1 {
						t.Fatalf("ring %d, from %d, until %d: got %s after %d", ring, from, until, line, next[symbol])
					}
					next[symbol] = seq
				}
				if next["SIM:A"] != 12 || next["SIM:B"] != 12 {
					t.Fatalf("ring %d, from %d, until %d: ended at %v", ring, from, until, next)
				}
				s.lag(false)
			}
		}
	}
}

// TestDamagedStretch reads over records that were lost: the gap that stands for them comes once, and cursors go on behind it.
func TestDamagedStretch(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	for range 3 { // positions 2 to 4 are lost, and read as one record
		m.Put("sim")
	}
	lost := &tape.Record{Position: 2, Through: 4, Batch: tape.Batch{Entries: []market.Entry{{Kind: market.KindGap, Seq: 9, Flags: market.FlagDamage, Event: t0, Until: t0 + 1}}}}
	m.Put("sim", trade("SIM:A", 11, 100, t0))
	g := still(t, newMemTape(), nil)
	for _, rec := range []*tape.Record{m.Records()[0], lost, m.Records()[4]} {
		g.hub.publish(rec)
	}
	s := newSession(g, "/v2/tape", manner{})
	s.subs.sets[chTrades].all = true
	for at, want := range map[place]string{
		{pos: 1}: "t SIM:A 1,gap * 0,t SIM:A 11",
		{pos: 2}: "gap * 0,t SIM:A 11",
		{pos: 3}: "gap * 0,t SIM:A 11", // its cursor was given out before the damage
		{pos: 5}: "t SIM:A 11",
	} {
		s.main = stretch{at: at}
		if got := strings.Join(drainFrames(t, s), ","); got != want {
			t.Errorf("from %+v: got %s, want %s", at, got, want)
		}
		if s.main.at != (place{pos: 6}) {
			t.Errorf("from %+v: ended at %+v", at, s.main.at)
		}
	}
}

// TestPing pings the server while it streams, and hears its heartbeats with the place that the client is at.
func TestPing(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, func(o *Options) { o.Ping = 5 * time.Millisecond; o.Heartbeat = 5 * time.Millisecond })
	c := b.join(`{"action":"subscribe","trades":["*"],"cursor":true}`)
	pinged := make(chan error, 1)
	go func() {
		for range 20 {
			if err := c.ws.Ping(context.Background()); err != nil {
				pinged <- err
				return
			}
		}
		pinged <- nil
	}()
	beats := 0
	for done := false; !done || beats < 3; {
		select {
		case err := <-pinged:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
		m.Put("sim", trade("SIM:A", 1, 100, t0))
		list := c.frame()
		if cursor(list) == "" {
			t.Fatalf("got %+v, want a cursor", list)
		}
		if list[0].T == "heartbeat" {
			beats++
		}
	}
}

// TestLatestCursors cuts a round of mode latest into many frames. The cursor of each but the last must be from before the round.
func TestLatestCursors(t *testing.T) {
	m := newMemTape()
	b := serve(t, m, func(o *Options) { o.Limits.Frame = 500 })
	c := b.join(`{"action":"subscribe","trades":["*"],"cursor":true,"mode":"latest","every":"10ms"}`)
	var entries []market.Entry
	for i := range 100 {
		entries = append(entries, trade(market.Symbol(fmt.Sprint("SIM:S", i)), 1, 100, t0))
	}
	end := place{pos: m.Put("sim", entries...) + 1}.cursor(m.Epoch).String()
	symbols := 0
	for symbols < 100 {
		list := c.frame()
		symbols += len(list) - 1
		if last := cursor(list) == end; last != (symbols == 100) {
			t.Fatalf("after %d symbols: got the end: %v", symbols, last)
		}
	}
}

// TestCursorWhileMuted adds a symbol from a place ahead of where the session is. Until it has come there no cursor may be given: one place
// cannot say that the client has less of one symbol than of the other.
func TestCursorWhileMuted(t *testing.T) {
	m := newMemTape()
	for i := range 6 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0), trade("SIM:B", uint64(i+1), 100, t0))
	}
	s := newSession(still(t, m, func(o *Options) { o.Limits.Frame = 150 }), "/v2/tape", manner{cursors: true})
	s.subs.sets[chTrades].add("SIM:A", 1)
	s.main.at = place{pos: 2}
	from := tape.Cursor{Epoch: m.Epoch, Position: 4, Index: 2}
	comply(t, s, `{"action":"subscribe","trades":["SIM:B"],"from":{"cursor":"`+from.String()+`"}}`)
	got := map[string]string{}
	for !s.isCurrent() {
		list := decodeFrame(t, nextFrame(t, s))
		for _, x := range list {
			if x.T == "t" {
				got[fmt.Sprint(x.S, " ", x.Seq)] = cursor(list)
			}
		}
	}
	for _, early := range []string{"SIM:A 2", "SIM:A 3"} {
		if c, ok := got[early]; !ok || c != "" {
			t.Errorf("%s: got the cursor %q", early, c)
		}
	}
	for _, late := range []string{"SIM:A 5", "SIM:B 6"} {
		if got[late] == "" {
			t.Errorf("%s: got no cursor", late)
		}
	}
}
