package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// idleShard is a shard that nothing drives but the test.
func idleShard(t *testing.T, g *Gateway) *shard {
	t.Helper()
	sh, err := newShard(g)
	if err != nil {
		t.Fatal(err)
	}
	sh.now = time.Now()
	t.Cleanup(func() {
		sh.cutAll()
		_ = sh.epoll.Close()
	})
	return sh
}

// seat puts a session on one end of a pair of sockets, and returns the other end.
func seat(t *testing.T, sh *shard, s *session) (c *conn, peer int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(pair[1]) })
	if no := sh.g.enter(guest{loopback: true}); no != nil {
		t.Fatal(no)
	}
	sh.g.metrics.sessions.WithLabelValues(s.stream).Inc()
	c = &conn{session: s, shard: sh, fd: pair[0], guest: guest{loopback: true}, readable: true, writable: true}
	sh.conns[int32(c.fd)] = c
	return c, pair[1]
}

func fromCursor(p place, epoch tape.Epoch) string {
	return `"from":{"cursor":"` + p.cursor(epoch).String() + `"}`
}

// TestLatestForgetsReadAhead goes over to mode latest and back while blocks are held that were read ahead from the tape.
func TestLatestForgetsReadAhead(t *testing.T) {
	m := newMemTape()
	for i := range 30 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0))
	}
	g := still(t, m, func(o *Options) { o.Ring = 1; o.Limits.Frame = 100 })
	s := newSession(g, "/v2/tape", manner{})
	defer s.lag(false)
	comply(t, s, `{"action":"subscribe","trades":["SIM:A"],`+fromCursor(place{pos: 1}, m.Epoch)+`}`)
	nextFrame(t, s)
	comply(t, s, `{"action":"subscribe","mode":"latest"}`)
	if got := drainFrames(t, s); fmt.Sprint(got) != "[t SIM:A 30]" {
		t.Fatalf("got %v, want the newest", got)
	}
	comply(t, s, `{"action":"subscribe","mode":"every"}`)
	pos := m.Put("sim", trade("SIM:A", 31, 100, t0))
	g.hub.publish(m.Records()[pos-1])
	if got := drainFrames(t, s); fmt.Sprint(got) != "[t SIM:A 31]" {
		t.Errorf("got %v, want what came since", got)
	}
}

// TestSharedParcelForgetsReadAhead gives a session that still holds blocks of the tape a parcel that was built for another one.
func TestSharedParcelForgetsReadAhead(t *testing.T) {
	m := newMemTape()
	for i := range 30 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0))
	}
	g := still(t, m, func(o *Options) { o.Limits.Frame = 100 })
	sh := idleShard(t, g)
	var list []*conn
	for range 2 {
		s := newSession(g, "/v2/tape", manner{})
		comply(t, s, `{"action":"subscribe","trades":["SIM:A"],`+fromCursor(place{pos: 1}, m.Epoch)+`}`)
		c, _ := seat(t, sh, s)
		sh.key(c)
		list = append(list, c)
	}
	slow := list[1]
	blocks, err := g.hub.read(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	slow.main.held = blocks
	sh.due(t.Context(), list[0])
	sh.due(t.Context(), slow)
	if slow.away || slow.parcel == nil || slow.parcel != list[0].parcel {
		t.Fatal("the parcel is not shared")
	}
	first := decodeFrame(t, unframe(t, slow.rest))
	if got := drainFrames(t, slow.session); got[0] != fmt.Sprint("t SIM:A ", len(first)+1) {
		t.Errorf("got %v after %d trades", got, len(first))
	}
}

// TestSharedLatestIsNewest lets a session of mode latest be due when another one's round is not the newest any more.
func TestSharedLatestIsNewest(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	g := still(t, m, nil)
	sh := idleShard(t, g)
	var list []*conn
	for range 3 {
		s := newSession(g, "/v2/tape", manner{})
		comply(t, s, `{"action":"subscribe","trades":["SIM:A"],"mode":"latest","every":"1m"}`)
		c, _ := seat(t, sh, s)
		sh.key(c)
		list = append(list, c)
	}
	add := func(seq uint64) {
		pos := m.Put("sim", trade("SIM:A", seq, 100, t0))
		g.hub.publish(m.Records()[pos-1])
	}
	add(2)
	sh.due(t.Context(), list[0])
	add(3)
	sh.due(t.Context(), list[1])
	sh.due(t.Context(), list[2])
	if list[1].parcel != list[2].parcel {
		t.Error("what is newest is not shared")
	}
	for i, want := range []uint64{2, 3, 3} {
		if got := decodeFrame(t, unframe(t, list[i].rest)); len(got) != 1 || got[0].Seq != want {
			t.Errorf("session %d: got %+v, want trade %d", i, got, want)
		}
	}
}

// TestLatestDetourEnds adds a symbol from an earlier place on in mode latest. What comes behind the end of the detour comes once.
func TestLatestDetourEnds(t *testing.T) {
	for _, ring := range []int{1, 3, 1000} {
		m := newMemTape()
		for i := range 6 {
			m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0), trade("SIM:B", uint64(i+1), 100, t0))
		}
		g := still(t, m, func(o *Options) { o.Ring = ring })
		s := newSession(g, "/v2/tape", manner{})
		comply(t, s, `{"action":"subscribe","trades":["SIM:A"],"mode":"latest",`+fromCursor(place{pos: 4}, m.Epoch)+`}`)
		comply(t, s, `{"action":"subscribe","trades":["SIM:B"],`+fromCursor(place{pos: 1}, m.Epoch)+`}`)
		count := map[string]int{}
		for _, line := range drainFrames(t, s) {
			if count[line]++; count[line] > 1 {
				t.Errorf("ring %d: %s came again", ring, line)
			}
		}
		if count["t SIM:A 6"] != 1 || count["t SIM:B 6"] != 1 {
			t.Errorf("ring %d: got %v", ring, count)
		}
		s.lag(false)
	}
}

// TestDetoursAreBounded asks for a symbol from the past again and again, before any of it came.
func TestDetoursAreBounded(t *testing.T) {
	m := newMemTape()
	for i := range 6 {
		m.Put("sim", trade("SIM:A", uint64(i+1), 100, t0))
	}
	s := newSession(still(t, m, nil), "/v2/tape", manner{})
	comply(t, s, `{"action":"subscribe","quotes":["*"]}`)
	text := `{"action":"subscribe","trades":["*"],` + fromCursor(place{pos: 1}, m.Epoch) + `}`
	var err error
	n := 0
	for ; n < 1000 && err == nil; n++ {
		err = ask(t, s, text)
	}
	if err == nil || len(s.detours) > 32 {
		t.Fatalf("got %v after %d, %d detours", err, n, len(s.detours))
	}
	drainFrames(t, s)
	comply(t, s, text)
}

// TestFeedsAreInTheFilter has two clients of one symbol that came from another feed when the second one asked.
func TestFeedsAreInTheFilter(t *testing.T) {
	m := newMemTape()
	m.Put("one", trade("SIM:A", 1, 100, t0))
	g := still(t, m, nil)
	first := newSession(g, "/v2/tape", manner{})
	comply(t, first, `{"action":"subscribe","trades":["SIM:A"]}`)
	first.subs.refresh(g.hub)
	pos := m.Put("two", trade("SIM:A", 2, 100, t0))
	g.hub.publish(m.Records()[pos-1])
	second := newSession(g, "/v2/tape", manner{})
	comply(t, second, `{"action":"subscribe","trades":["SIM:A"]}`)
	second.subs.refresh(g.hub)
	gap := &event{channel: chGaps}
	if first.subs.wants(native, "two", gap) != second.subs.wants(native, "two", gap) && first.subs.filter() == second.subs.filter() {
		t.Error("the filters are the same, what is wanted is not")
	}
}

// TestAnswersAreBounded asks for long answers and does not read them.
func TestAnswersAreBounded(t *testing.T) {
	g := still(t, newMemTape(), nil)
	sh := idleShard(t, g)
	s := newSession(g, "/v2/tape", manner{})
	var names []string
	for i := range 256 {
		names = append(names, fmt.Sprintf("SIM:%s%03d", strings.Repeat("X", market.MaxSymbol-8), i))
	}
	list := `["` + strings.Join(names, `","`) + `"]`
	for _, channel := range channelNames() {
		comply(t, s, `{"action":"subscribe","`+channel+`":`+list+`}`)
	}
	c, _ := seat(t, sh, s)
	for range 50 {
		r, err := parseRequest(false, []byte(`{"action":"subscribe"}`))
		s.asked = append(s.asked, inquiry{r, err})
	}
	for range 200 {
		sh.now = time.Now()
		sh.turn(t.Context(), c)
		if held := cap(c.rest) + cap(c.out); held > 1<<20 {
			t.Fatalf("%d bytes wait for the client", held)
		}
	}
	if len(c.asked) == 0 || !c.waits {
		t.Fatalf("the client does not wait: %d asked, waits: %v", len(c.asked), c.waits)
	}
}

// TestEndedSessionIsCut ends a session whose client does not read: the goodbye cannot be written, so nothing else ends it.
func TestEndedSessionIsCut(t *testing.T) {
	g := still(t, newMemTape(), nil)
	g.silence = func(int) (time.Duration, bool) { return 0, true } // its system answers for it
	sh := idleShard(t, g)
	s := newSession(g, "/v2/tape", manner{})
	c, _ := seat(t, sh, s)
	c.rest = make([]byte, 8<<20)
	sh.turn(t.Context(), c)
	for range 10 {
		sh.turn(t.Context(), c)
	}
	s.goodbye()
	start := sh.now
	for after := time.Duration(0); sh.conns[int32(c.fd)] == c; after += time.Second {
		if after > time.Hour {
			t.Fatal("the session is still there after an hour")
		}
		sh.now = start.Add(after)
		sh.sweep(t.Context())
	}
}

// TestStalledClientHoldsLittle looks at what a session that is behind keeps while its client does not read.
func TestStalledClientHoldsLittle(t *testing.T) {
	m := newMemTape()
	m.Chunk = 1000
	for i := range 200 {
		var entries []market.Entry
		for j := range 100 {
			entries = append(entries, trade("SIM:A", uint64(100*i+j+1), 100, t0))
		}
		m.Put("sim", entries...)
	}
	s := newSession(still(t, m, func(o *Options) { o.Ring = 1 }), "/v2/tape", manner{})
	defer s.lag(false)
	comply(t, s, `{"action":"subscribe","trades":["SIM:A"],`+fromCursor(place{pos: 1}, m.Epoch)+`}`)
	nextFrame(t, s)
	held := 0
	for _, b := range s.main.held {
		held += 208*len(b.rec.Entries) + 24*len(b.events)
	}
	if held == 0 || held > 512<<10 {
		t.Errorf("got %d bytes that are held", held)
	}
}

// TestPostToEndedShard brings a connection to a shard that has ended: it must be told, so that the session ends too.
func TestPostToEndedShard(t *testing.T) {
	b := serve(t, filled(), nil)
	sh := b.g.shards[0]
	b.stop()
	c := b.adoptable(t)
	if sh.adopt(newSession(b.g, "/v2/tape", manner{}), c, guest{}) {
		t.Error("an ended shard takes a connection")
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("the connection that was not taken: %v", err)
	}
}
