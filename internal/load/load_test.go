package load

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"tapedeck/internal/websocket"
)

// server speaks as much of the stream's protocol as a crowd needs: it confirms a subscription, and then sends what play writes.
type server struct {
	*httptest.Server
	deflate bool
	play    func(w io.Writer, request http.Header, symbols []string)

	mu       sync.Mutex
	conns    []net.Conn
	handlers sync.WaitGroup
}

func newServer(t *testing.T, secure bool) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.Close()
		s.handlers.Wait()
	})
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/deck/v2/tape" {
		http.NotFound(w, r)
		return
	}
	up, err := websocket.Accept(w, r, websocket.UpgradeOptions{Deflate: s.deflate})
	if err != nil {
		return
	}
	s.mu.Lock()
	s.conns = append(s.conns, up.Conn)
	s.mu.Unlock()
	s.handlers.Go(func() {
		defer func() { _ = up.Conn.Close() }()
		s.session(up, r.Header)
	})
}

// session speaks with one client until it is gone.
func (s *server) session(up *websocket.Upgrade, request http.Header) {
	hello := websocket.AppendFrame(nil, websocket.OpText, []byte(`[{"T":"success","msg":"connected"}]`))
	if request.Get("Content-Type") != "" {
		hello = websocket.AppendFrame(nil, websocket.OpBinary, packed(map[string]any{"T": "success", "msg": "connected"}))
	}
	if _, err := up.Conn.Write(hello); err != nil {
		return
	}
	var d websocket.Decoder
	d.Init(websocket.DecoderOptions{})
	buf := make([]byte, 4096)
	for {
		n, err := up.Conn.Read(buf)
		if err != nil {
			return
		}
		for p := buf[:n]; ; {
			n, m, err := d.Next(p)
			if err != nil || m.Op == 0 || m.Op == websocket.OpClose {
				break
			}
			p = p[n:]
			var ask struct {
				Action string   `json:"action"`
				Trades []string `json:"trades"`
			}
			if m.Op == websocket.OpText && json.Unmarshal(m.Payload, &ask) == nil && ask.Action == "subscribe" {
				s.play(up.Conn, request, ask.Trades)
			}
		}
	}
}

// packed writes objects as MessagePack.
func packed(objects ...map[string]any) []byte {
	b := msgp.AppendArrayHeader(nil, uint32(len(objects)))
	for _, o := range objects {
		b = msgp.AppendMapHeader(b, uint32(len(o)))
		for k, v := range o {
			b = msgp.AppendString(b, k)
			switch v := v.(type) {
			case time.Time: // 30 bits of ns, 34 of s
				b = binary.BigEndian.AppendUint64(append(b, 0xd7, 0xff), uint64(v.Nanosecond())<<34|uint64(v.Unix()))
			default:
				b, _ = msgp.AppendIntf(b, v)
			}
		}
	}
	return b
}

func (s *server) base(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(s.URL + "/deck")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

var subscribed = websocket.AppendFrame(nil, websocket.OpText, []byte(`[{"T":"subscription","trades":["SIM:A"]}]`))

// until waits until cond holds, which other goroutines see to.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatal("waited in vain until ", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// crowdOf makes a crowd that goes on from PhaseBegin when all its connections have seen ticks, and lost have ended.
func crowdOf(t *testing.T, o Options, ticks, lost uint64) *crowd {
	t.Helper()
	o.Duration = time.Millisecond
	var phases []Phase
	c, err := newCrowd(o)
	if err != nil {
		t.Fatal(err)
	}
	c.opts.Phase = func(_ context.Context, p Phase) error {
		phases = append(phases, p)
		if p == PhaseBegin {
			until(t, "all ticks have come", func() bool { return c.shown().Ticks >= ticks })
			until(t, "connections are lost", func() bool {
				n := uint64(0)
				for _, l := range c.loops {
					n += l.tally.shown.lost.Load()
				}
				return n >= lost
			})
		}
		return nil
	}
	t.Cleanup(func() {
		if want := []Phase{PhaseConnected, PhaseBegin, PhaseEnd}; !t.Failed() && !slices.Equal(phases, want) {
			t.Errorf("phases %v, want %v", phases, want)
		}
	})
	return c
}

// total is how many ticks a crowd has seen in all.
func total(c *crowd) (n uint64) {
	for _, l := range c.loops {
		n += l.tally.ticks
	}
	return n
}

// TestRunCountsEveryTick lets 40 clients see streams of which some have a hole, come twice, or end before their time.
func TestRunCountsEveryTick(t *testing.T) {
	for _, check := range []Check{CheckAll, CheckSample} {
		for _, loops := range []int{1, 3} {
			s := newServer(t, false)
			s.play = func(w io.Writer, _ http.Header, symbols []string) {
				seqs := upTo(1, 200)
				switch symbols[0] {
				case "HOLE":
					seqs = slices.Delete(seqs, 99, 102)
				case "TWICE":
					seqs = slices.Insert(seqs, 150, 150)
				case "END":
					_, _ = w.Write(append(slices.Clone(subscribed), websocket.AppendClose(nil, websocket.CodePolicy, "too slow")...))
					return
				}
				_, _ = w.Write(append(slices.Clone(subscribed), frames(trades(seqs[:70]...), trades(seqs[70:]...))...))
			}
			special := map[int]string{16: "HOLE", 33: "HOLE", 35: "TWICE", 39: "END"}
			c := crowdOf(t, Options{
				URL: s.base(t), Clients: 40, Loops: loops, Check: check,
				Symbols: func(client int) []string { return []string{cmp.Or(special[client], "USUAL")} },
			}, 39*200-2*3+1, 1)
			got, err := c.do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Losses != 6 || got.OrderErrors != 1 || got.Lost != 1 || total(c) != 39*200-5 || got.Behind != 0 {
				t.Errorf("got %+v and %d ticks", got, total(c))
			}
			if got.LostWhy == nil || !strings.Contains(got.LostWhy.Error(), "too slow") {
				t.Errorf("lost because of %v", got.LostWhy)
			}
			if want := map[Check]int{CheckAll: 40, CheckSample: 3}[check]; got.Checked != want {
				t.Errorf("%d connections were checked in full, want %d", got.Checked, want)
			}
		}
	}
}

// TestOtherStreams counts what is compressed, in MessagePack, or encrypted.
func TestOtherStreams(t *testing.T) {
	play := func(w io.Writer, request http.Header, _ []string) {
		if request.Get("Content-Type") == "application/msgpack" {
			now := time.Now()
			objects := []map[string]any{{"T": "subscription", "trades": []string{"A"}}}
			for seq := range 5 {
				objects = append(objects, map[string]any{"T": "t", "S": "A", "seq": seq + 1, "r": now, "p": 1.5, "c": []string{"@"}, "x": nil})
			}
			objects = append(objects, map[string]any{"T": "q", "S": "A", "seq": 8, "r": now}, map[string]any{"T": "t", "S": "A", "seq": 9, "r": "2026-11-23T15:46:44Z"})
			stream := websocket.AppendFrame(nil, websocket.OpBinary, packed(objects...))
			_, _ = w.Write(websocket.AppendFrame(stream, websocket.OpPing, []byte("?")))
			return
		}
		_, _ = w.Write(append(slices.Clone(subscribed), frames(trades(1, 2, 3), trades(7, 8), trades(8, 9))...))
	}
	deflated := func(w io.Writer, _ http.Header, _ []string) {
		stream := slices.Clone(subscribed)
		for _, text := range []string{trades(1, 2, 3), trades(7, 8, 8, 9)} {
			payload := websocket.NewDeflater().Append(nil, []byte(text))
			var room [websocket.MaxHeader]byte
			begin := websocket.PutHeader(room[:], len(room), websocket.OpText, true, len(payload))
			stream = append(append(stream, room[begin:]...), payload...)
		}
		_, _ = w.Write(stream)
	}
	for name, test := range map[string]struct {
		secure, deflate, packed bool
		play                    func(io.Writer, http.Header, []string)
		losses, doubles         uint64
	}{
		"deflate":        {deflate: true, play: deflated, losses: 3, doubles: 1},
		"declined":       {play: play, losses: 3, doubles: 1},
		"MessagePack":    {packed: true, play: play, losses: 3},
		"TLS":            {secure: true, play: play, losses: 3, doubles: 1},
		"TLS and packed": {secure: true, packed: true, play: play, losses: 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.secure)
			s.play, s.deflate = test.play, test.deflate
			c := crowdOf(t, Options{
				URL: s.base(t), Clients: 5, Loops: 2, Deflate: true, MessagePack: test.packed,
				Symbols: func(int) []string { return []string{"A"} },
			}, 5*7, 0)
			if test.secure {
				c.trust = x509.NewCertPool()
				c.trust.AddCert(s.Certificate())
			}
			got, err := c.do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if total(c) != 5*7 || got.Losses != 5*test.losses || got.OrderErrors != 5*test.doubles || got.Lost != 0 {
				t.Errorf("got %+v and %d ticks", got, total(c))
			}
		})
	}
}

// TestIdle opens connections that ask for nothing.
func TestIdle(t *testing.T) {
	s := newServer(t, false)
	s.play = func(io.Writer, http.Header, []string) { t.Error("a subscription") }
	got, err := Run(t.Context(), Options{URL: s.base(t), Clients: 50, Duration: time.Millisecond})
	if err != nil || got.Ticks != 0 || got.Lost != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t, false)
	s.play = func(w io.Writer, _ http.Header, _ []string) {
		_, _ = w.Write(frames(`[{"T":"error","code":405,"msg":"symbol limit exceeded"}]`))
	}
	o := Options{URL: s.base(t), Clients: 3, Duration: time.Millisecond, Symbols: func(int) []string { return []string{"*"} }}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "symbol limit exceeded") {
		t.Errorf("a refused subscription: %v", err)
	}
	elsewhere := o
	elsewhere.URL = o.URL.JoinPath("elsewhere")
	if _, err := Run(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no stream there: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := Run(ctx, o); !errors.Is(err, enough) {
		t.Errorf("cancelled: %v", err)
	}
	for _, bad := range []Options{{}, {URL: o.URL}, {URL: o.URL, Clients: 1}, {URL: &url.URL{Scheme: "ftp", Host: "x"}, Clients: 1, Duration: 1}} {
		if _, err := Run(t.Context(), bad); err == nil {
			t.Errorf("%+v was run", bad)
		}
	}
}
