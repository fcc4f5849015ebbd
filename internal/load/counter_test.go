package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/websocket"
)

// trade writes a trade as the server does.
func trade(kind, symbol string, seq uint64) string {
	return fmt.Sprintf(`{"T":%q,"S":%q,"i":%d,"p":187.42,"s":100,"t":"2026-11-23T15:46:44.1Z","c":["@","I"],"tks":"B","seq":%d,"r":"2026-11-23T15:46:44.123456789Z"}`,
		kind, symbol, seq, seq)
}

// trades are one message with a trade of A for each number.
func trades(seqs ...uint64) string {
	var list []string
	for _, seq := range seqs {
		list = append(list, trade("t", "SIM:A", seq))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func upTo(from, to uint64) (seqs []uint64) {
	for ; from <= to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

func frames(payloads ...string) (stream []byte) {
	for _, p := range payloads {
		stream = websocket.AppendFrame(stream, websocket.OpText, []byte(p))
	}
	return stream
}

// counts is what tests compare.
type counts struct{ Ticks, Losses, Disorder, Behind uint64 }

// count feeds a stream in pieces to a connection, and returns what it has counted.
func count(c *conn, t *tally, pieces ...[]byte) (counts, error) {
	for _, p := range pieces {
		t.begin(len(p), true)
		if err := c.feed(p, t); err != nil {
			return counts{}, err
		}
		t.record()
	}
	return counts{t.ticks, t.losses, t.disorder, c.behind(t)}, nil
}

func TestNumbersAreChecked(t *testing.T) {
	a := func(seq uint64) string { return trade("t", "SIM:A", seq) }
	for name, test := range map[string]struct {
		payloads []string
		want     counts
	}{
		"nothing":               {[]string{"[]"}, counts{}},
		"from any number":       {[]string{trades(upTo(1000, 1099)...)}, counts{Ticks: 100}},
		"across frames":         {[]string{trades(1, 2), trades(3), trades(4, 5, 6)}, counts{Ticks: 6}},
		"hole in a frame":       {[]string{trades(1), trades(2, 3, 6, 7)}, counts{Ticks: 5, Losses: 2}},
		"hole between frames":   {[]string{trades(1, 2), trades(10, 11, 12)}, counts{Ticks: 5, Losses: 7}},
		"twice":                 {[]string{trades(1, 2), trades(3, 3, 4)}, counts{Ticks: 5, Disorder: 1}},
		"a frame twice":         {[]string{trades(1, 2), trades(3, 4), trades(3, 4), trades(5)}, counts{Ticks: 7, Disorder: 2}},
		"back":                  {[]string{trades(5), trades(6, 4, 7)}, counts{Ticks: 4, Disorder: 1}},
		"exchanged":             {[]string{trades(1), trades(3, 2, 4)}, counts{Ticks: 4, Losses: 1, Disorder: 1}},
		"other messages":        {[]string{`[{"T":"success","msg":"connected"}]`, trades(1, 2), `[{"T":"heartbeat","t":"x"}]`, trades(3)}, counts{Ticks: 3}},
		"among other messages":  {[]string{trades(1), "[" + a(2) + `,{"T":"cursor","c":"abc"},` + a(3) + `,{"T":"b","S":"SIM:A","o":1},` + a(4) + "]"}, counts{Ticks: 4}},
		"symbols apart":         {[]string{"[" + a(1) + "," + trade("t", "SIM:B", 7) + "," + a(2) + "," + trade("t", "SIM:B", 8) + "]"}, counts{Ticks: 4}},
		"quotes apart":          {[]string{"[" + a(1) + "," + trade("q", "SIM:A", 1) + "," + a(2) + "," + trade("q", "SIM:A", 3) + "]"}, counts{Ticks: 4, Losses: 1}},
		"a symbol is a prefix":  {[]string{"[" + a(1) + "," + trade("t", "SIM:AA", 1) + "," + a(2) + "]"}, counts{Ticks: 3}},
		"keys in another order": {[]string{`[{"T":"t","seq":1,"r":"2026-11-23T15:46:44Z","S":"SIM:A"},{"T":"t","i":9,"S":"SIM:A","seq":3}]`}, counts{Ticks: 2, Losses: 1}},
		"a huge frame":          {[]string{trades(upTo(1, 2000)...), trades(upTo(2001, 2500)...)}, counts{Ticks: 2500}},
	} {
		for _, full := range []bool{true, false} {
			c, tally := newConn(full), newTally()
			got, err := count(&c, tally, frames(test.payloads...))
			if err != nil {
				t.Errorf("%s, full %t: %v", name, full, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s, full %t (-want +got):\n%s", name, full, diff)
			}
		}
	}
}

// TestStreamsAreSplitAnywhere reads streams with fragments and control frames in two pieces, and byte by byte.
func TestStreamsAreSplitAnywhere(t *testing.T) {
	message := trades(3, 4, 6)
	stream := frames(`[{"T":"subscription","trades":["*"]}]`, trades(1, 2))
	stream = websocket.AppendFrame(stream, websocket.OpPing, []byte("are you there"))
	stream = append(append(stream, 0x01, 50), message[:50]...)
	stream = websocket.AppendFrame(stream, websocket.OpPing, nil)
	stream = append(stream, 0x00, 0)
	stream = append(append(stream, 0x80, 126, byte((len(message)-50)>>8), byte(len(message)-50)), message[50:]...)
	stream = append(stream, 0x81, 127, 0, 0, 0, 0, 0, 0, 0, byte(len(trades(7))))
	stream = append(stream, trades(7)...)
	want := counts{Ticks: 6, Losses: 1}
	for _, full := range []bool{true, false} {
		try := func(name string, pieces ...[]byte) {
			t.Helper()
			c, tally := newConn(full), newTally()
			got, err := count(&c, tally, pieces...)
			if err != nil || got != want || tally.subscribed != 1 || tally.frames != 8 {
				t.Fatalf("%s, full %t: %+v and %d frames, want %+v and 8; subscribed %d; %v", name, full, got, tally.frames, want, tally.subscribed, err)
			}
			pong := websocket.AppendMasked(nil, websocket.OpPong, [4]byte{}, []byte("are you there"))
			if pong = websocket.AppendMasked(pong, websocket.OpPong, [4]byte{}, nil); string(c.answer) != string(pong) {
				t.Fatalf("%s: answers %q, want %q", name, c.answer, pong)
			}
			if n := tally.latency.TotalCount(); full && n != 6 {
				t.Fatalf("%s: %d latencies, want 6", name, n)
			}
		}
		for i := range stream {
			try(fmt.Sprint("at ", i), stream[:i], stream[i:])
		}
		var bytewise [][]byte
		for i := range stream {
			bytewise = append(bytewise, stream[i:i+1])
		}
		try("every byte", bytewise...)
	}
}

func TestBadStreams(t *testing.T) {
	for name, stream := range map[string][]byte{
		"masked":                websocket.AppendMasked(nil, websocket.OpText, [4]byte{}, []byte("[]")),
		"reserved bit":          {0xc1, 0},
		"binary":                {0x82, 0},
		"unknown opcode":        {0x83, 0},
		"continues nothing":     {0x80, 0},
		"message in a message":  {0x01, 0, 0x81, 0},
		"long ping":             {0x89, 126, 0, 126},
		"ping in pieces":        {0x09, 0},
		"length of 2^63":        {0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"message without end":   frames(`[{"T":"t"`),
		"not an object":         frames(`["T":"t"}]`),
		"a tick without number": frames(`[{"T":"t","S":"SIM:A","i":1}]`),
		"a tick without symbol": frames(`[{"T":"t","seq":1}]`),
		"an endless object":     frames("[{" + strings.Repeat("x", maxObject) + "}]"),
	} {
		for _, full := range []bool{true, false} {
			c := newConn(full)
			if _, err := count(&c, newTally(), stream); !errors.Is(err, errMalformed) {
				t.Errorf("%s: got error %v", name, err)
			}
		}
	}
	for want, stream := range map[string][]byte{
		"401":          frames(`[{"T":"error","code":401,"msg":"not authenticated"}]`),
		`1001 "later"`: websocket.AppendClose(nil, websocket.CodeGoingAway, "later"),
	} {
		c := newConn(true)
		if _, err := count(&c, newTally(), stream); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %s", err, want)
		}
	}
}

// TestLatency holds what is recorded against the stamps.
func TestLatency(t *testing.T) {
	c, tally := newConn(true), newTally()
	now := time.Date(2026, 11, 23, 15, 46, 44, 0, time.UTC)
	at := func(ago time.Duration) string {
		return `{"T":"t","S":"A","seq":1,"r":"` + now.Add(-ago).Format(time.RFC3339Nano) + `"}`
	}
	tally.recording = true
	tally.now = now.UnixNano()
	list := []string{at(0), at(time.Millisecond), at(time.Millisecond), at(-time.Second), at(time.Hour), at(1500 * time.Millisecond), at(30 * time.Microsecond)}
	if err := c.feed(frames("["+strings.Join(list, ",")+"]"), tally); err != nil {
		t.Fatal(err)
	}
	tally.record()
	want := []int64{1, 1, 30, 1000, 1000, 1_500_000, mostLatency}
	for i, want := range want {
		if got := tally.latency.ValueAtQuantile(100 * (float64(i) + 0.5) / float64(len(list))); !tally.latency.ValuesAreEquivalent(got, want) {
			t.Errorf("latency %d is %d µs, want %d", i, got, want)
		}
	}
	if n := tally.latency.TotalCount(); n != int64(len(list)) {
		t.Errorf("%d latencies of %d ticks", n, len(list))
	}
}

func TestStamps(t *testing.T) {
	var s stamps
	for _, text := range []string{
		"2026-11-23T15:46:44Z", "2026-11-23T15:46:44.1Z", "2026-11-23T15:46:44.123456789Z", "2026-11-23T15:46:45.000000001Z",
		"1969-12-31T23:59:59.9Z", "2024-02-29T00:00:00.5Z",
	} {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := s.read([]byte(text)); !ok || got != want.UnixNano() {
			t.Errorf("%s: got %d %t, want %d", text, got, ok, want.UnixNano())
		}
	}
	for _, text := range []string{"", "Z", "2026-11-23T15:46:44", "2026-11-23T15:46:44.Z", "2026-11-23T15:46:44,1Z", "2026-11-23T15:46:44.1234567890Z", "2026-13-23T15:46:44Z", "2026-11-23T15:46:44.12xZ"} {
		if ns, ok := s.read([]byte(text)); ok {
			t.Errorf("%q was read as %d", text, ns)
		}
	}
}

// slowCount counts the objects of messages as encoding/json reads them.
func slowCount(payloads []string) (want counts, ok bool) {
	last := make(map[string]uint64)
	for _, p := range payloads {
		var list []map[string]json.RawMessage
		if json.Unmarshal([]byte(p), &list) != nil {
			return counts{}, false
		}
		for _, o := range list {
			var seq uint64
			if kind := string(o["T"]); kind != `"t"` && kind != `"q"` {
				continue
			}
			if json.Unmarshal(o["seq"], &seq) != nil {
				return counts{}, false
			}
			key := string(o["T"]) + string(o["S"])
			want.Ticks++
			switch before := last[key]; {
			case before == 0, seq == before+1:
			case seq <= before:
				want.Disorder++
				continue
			default:
				want.Losses += seq - before - 1
			}
			last[key] = seq
		}
	}
	return want, true
}

// FuzzCounter reads any bytes without a panic, and streams that are made of a list of numbers as encoding/json does, however they are cut.
func FuzzCounter(f *testing.F) {
	f.Add([]byte{}, uint64(1))
	f.Add([]byte{1, 1, 1, 1, 0, 2, 7, 1, 255, 1}, uint64(2))
	f.Add([]byte(strings.Repeat("\x01", 100)), uint64(3))
	f.Add(frames(trades(1, 2, 3)), uint64(4))
	f.Add([]byte{0x81, 127, 0, 0, 0, 0, 0, 0, 0, 2, '[', ']', 0x89, 0}, uint64(5))
	f.Add([]byte{0x82, 6, 0x91, 0x81, 0xa1, 'T', 0xa1, 't'}, uint64(6))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, packed := range []bool{false, true} {
			c := newConn(seed%2 == 0)
			if packed {
				c.decode = newMessages(true, new(websocket.Inflaters))
			}
			// Decoders may write on what they read.
			_, _ = count(&c, newTally(), cut(rng, append([]byte(nil), data...))...)
		}

		payloads := story(rng, data)
		want, ok := slowCount(payloads)
		if !ok {
			t.Fatalf("a bad story: %q", payloads)
		}
		c, tally := newConn(seed%2 == 0), newTally()
		got, err := count(&c, tally, cut(rng, frames(payloads...))...)
		want.Behind = got.Behind
		// A sampled connection may take a loss and a double within one read for none of both.
		slack := !c.full && got.Ticks == want.Ticks && got.Losses-got.Disorder == want.Losses-want.Disorder
		if err != nil || got != want && !slack {
			t.Errorf("got %+v, want %+v, %v", got, want, err)
		}
	})
}

// story makes messages whose numbers take the steps that data says.
func story(rng *rand.Rand, data []byte) (payloads []string) {
	seqs := map[string]uint64{}
	var list []string
	for _, b := range data[:min(len(data), 300)] {
		symbol, kind := "SIM:A", "t"
		switch b >> 6 {
		case 2:
			symbol = "SIM:AB"
		case 3:
			kind = "q"
		}
		seqs[kind+symbol] += uint64(b & 3)
		list = append(list, trade(kind, symbol, max(seqs[kind+symbol], 1)))
		if rng.IntN(20) == 0 {
			payloads, list = append(payloads, "["+strings.Join(list, ",")+"]"), nil
		}
	}
	return append(payloads, "["+strings.Join(list, ",")+"]")
}

// cut cuts a stream into pieces of any size.
func cut(rng *rand.Rand, stream []byte) (pieces [][]byte) {
	for len(stream) > 0 {
		n := min(1+rng.IntN(1<<rng.IntN(12)), len(stream))
		pieces, stream = append(pieces, stream[:n:n]), stream[n:]
	}
	return pieces
}

// BenchmarkCounter is what a delivery costs the crowd, without the kernel's part: frames of one or many ticks, in reads of 64 KiB.
func BenchmarkCounter(b *testing.B) {
	for _, full := range []bool{true, false} {
		for _, size := range []uint64{1, 10, 100} {
			b.Run(fmt.Sprintf("full=%t/frame=%d", full, size), func(b *testing.B) {
				var stream []byte
				const ticks = 400
				for seq := uint64(1_000_001); seq <= 1_000_000+ticks; seq += size {
					stream = append(stream, frames(trades(upTo(seq, seq+size-1)...))...)
				}
				tally := newTally()
				b.SetBytes(int64(len(stream)) / ticks)
				b.ReportAllocs()
				for i := 0; i < b.N; i += ticks {
					c := newConn(full)
					c.only, c.last = 0, 1_000_000
					tally.symbolIndex([]byte("SIM:A"))
					tally.begin(len(stream), true)
					if err := c.feed(stream, tally); err != nil {
						b.Fatal(err)
					}
					tally.record()
				}
				if tally.losses+tally.disorder > 0 {
					b.Fatal("miscounted")
				}
			})
		}
	}
}
