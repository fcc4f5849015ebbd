package websocket

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func text(s string) Message { return Message{Op: OpText, Payload: []byte(s)} }
func blob(s string) Message { return Message{Op: OpBinary, Payload: []byte(s)} }
func ping(s string) Message { return Message{Op: OpPing, Payload: []byte(s)} }
func pong(s string) Message { return Message{Op: OpPong, Payload: []byte(s)} }

func closing(code Code, reason string) Message {
	return Message{Op: OpClose, Payload: []byte(reason), Code: code}
}

// claiming is a header of a masked frame that announces a length, and some bytes behind it.
func claiming(first byte, length uint64) []byte {
	return frame{first: first, key: &testKey, claim: &length, payload: make([]byte, 64)}.append(nil)
}

const (
	testLimit = 70_000
	fin       = bitFin
	rsv1      = bitDeflated
)

func deflated(message string) string { return string(NewDeflater().Append(nil, []byte(message))) }

// streams are what a decoder meets: from RFC 6455 and RFC 7692, and from those who do not keep to them.
func streams() []stream {
	long := strings.Repeat("tape", 100)
	longer := strings.Repeat("0123456789", 7_000)
	half := longer[:testLimit/2]
	zeros := strings.Repeat("\x00", 4<<20)
	return []stream{
		{name: "RFC 6455 5.7 hello", in: []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, out: []Message{text("Hello")}},
		{name: "empty text", in: client(fin|1, ""), out: []Message{text("")}},
		{name: "empty binary", in: client(fin|2, ""), out: []Message{blob("")}},
		{name: "binary that is no text", in: client(fin|2, "\xff\xfe\x00"), out: []Message{blob("\xff\xfe\x00")}},
		{name: "length of 125", in: client(fin|2, long[:125]), out: []Message{blob(long[:125])}},
		{name: "length of 126", in: client(fin|2, long[:126]), out: []Message{blob(long[:126])}},
		{name: "length of 127", in: client(fin|2, long[:127]), out: []Message{blob(long[:127])}},
		{name: "length of 65535", in: client(fin|2, longer[:65535]), out: []Message{blob(longer[:65535])}},
		{name: "length of 65536", in: client(fin|2, longer[:65536]), out: []Message{blob(longer[:65536])}},
		{name: "length of the limit", in: client(fin|1, longer), out: []Message{text(longer)}},
		{name: "limit and one more", in: client(fin|1, longer+"x"), code: CodeTooBig},
		{name: "several messages", in: join(client(fin|1, "a"), client(fin|2, "b"), client(fin|9, "c"), client(fin|1, "d")), out: []Message{text("a"), blob("b"), ping("c"), text("d")}},
		{name: "half a message", in: client(fin|1, "hello")[:8], half: true},
		{name: "half a header", in: client(fin|2, long)[:3], half: true},

		{name: "fragments", in: join(client(1, "Hel"), client(fin, "lo")), out: []Message{text("Hello")}},
		{name: "empty fragments", in: join(client(2, ""), client(0, ""), client(fin, "")), out: []Message{blob("")}},
		{name: "last fragment is all", in: join(client(1, ""), client(fin, "Hello"), client(fin|1, "x")), out: []Message{text("Hello"), text("x")}},
		{name: "fragment that waits", in: join(client(1, "Hel"), client(0, "lo")), half: true},
		{name: "control between fragments", in: join(client(1, "Hel"), client(fin|9, "p"), client(0, "l"), client(fin|10, "q"), client(fin, "o")), out: []Message{ping("p"), pong("q"), text("Hello")}},
		{name: "fragments to the limit", in: join(client(1, half), client(0, half), client(fin, "")), out: []Message{text(half + half)}},
		{name: "fragments over the limit", in: join(client(1, half), client(0, half), client(fin, "x")), code: CodeTooBig},
		{name: "continuation of nothing", in: client(fin, "x"), code: CodeProtocol},
		{name: "continuation of a finished message", in: join(client(fin|1, "a"), client(fin, "x")), out: []Message{text("a")}, code: CodeProtocol},
		{name: "text within a fragmented message", in: join(client(1, "a"), client(fin|1, "x")), code: CodeProtocol},
		{name: "binary within a fragmented message", in: join(client(1, "a"), client(2, "x")), code: CodeProtocol},

		{name: "RSV1", in: client(fin|0x40|1, "x"), code: CodeProtocol},
		{name: "RSV2", in: client(fin|0x20|1, "x"), code: CodeProtocol},
		{name: "RSV3", in: client(fin|0x10|1, "x"), code: CodeProtocol},
		{name: "RSV2 where compression was agreed on", in: client(fin|0x60|1, "x"), deflate: true, code: CodeProtocol},
		{name: "RSV1 on a ping", in: client(fin|0x40|9, "x"), deflate: true, code: CodeProtocol},
		{name: "RSV1 on a close", in: client(fin|0x40|8, ""), deflate: true, code: CodeProtocol},
		{name: "RSV1 on a continuation", in: join(client(1, "a"), client(fin|0x40, "x")), deflate: true, code: CodeProtocol},
		{name: "opcode 3", in: client(fin|3, "x"), code: CodeProtocol},
		{name: "opcode 7", in: client(fin|7, ""), code: CodeProtocol},
		{name: "opcode 11", in: client(fin|11, ""), code: CodeProtocol},
		{name: "opcode 15", in: client(fin|15, ""), code: CodeProtocol},

		{name: "no mask", in: server(fin|1, "x"), code: CodeProtocol},
		{name: "no mask on a ping", in: server(fin|9, ""), code: CodeProtocol},
		{name: "server's frame", in: server(fin|1, "x"), client: true, out: []Message{text("x")}},
		{name: "server's fragments", in: join(server(1, long), server(fin, long)), client: true, out: []Message{text(long + long)}},
		{name: "server that masks", in: client(fin|1, "x"), client: true, code: CodeProtocol},

		{name: "length in 16 bits that fits 7", in: frame{first: fin | 2, payload: []byte(long[:125]), key: &testKey, form: 2}.append(nil), code: CodeProtocol},
		{name: "length in 64 bits that fits 7", in: frame{first: fin | 2, key: &testKey, form: 8}.append(nil), code: CodeProtocol},
		{name: "length in 64 bits that fits 16", in: frame{first: fin | 2, payload: []byte(longer[:65535]), key: &testKey, form: 8}.append(nil), code: CodeProtocol},
		{name: "length of 2^31", in: claiming(fin|2, 1<<31), code: CodeTooBig},
		{name: "length of 2^32", in: claiming(fin|2, 1<<32), code: CodeTooBig},
		{name: "length of 2^62", in: claiming(fin|2, 1<<62), code: CodeTooBig},
		{name: "length of 2^63-1", in: claiming(fin|2, 1<<63-1), code: CodeTooBig},
		{name: "length of 2^63", in: claiming(fin|2, 1<<63), code: CodeProtocol},
		{name: "length of 2^64-1", in: claiming(fin|1, 1<<64-1), code: CodeProtocol},
		{name: "length of 2^63-1 of a continuation", in: join(client(2, "x"), claiming(fin, 1<<63-1)), code: CodeTooBig},
		{name: "length of 2^62, compressed", in: claiming(fin|rsv1|2, 1<<62), deflate: true, code: CodeTooBig},

		{name: "ping", in: client(fin|9, "are you there"), out: []Message{ping("are you there")}},
		{name: "ping of 125", in: client(fin|9, long[:125]), out: []Message{ping(long[:125])}},
		{name: "ping of 126", in: client(fin|9, long[:126]), code: CodeProtocol},
		{name: "close of 2^64-1", in: claiming(fin|8, 1<<64-1), code: CodeProtocol},
		{name: "fragmented ping", in: join(client(9, "a"), client(fin, "b")), code: CodeProtocol},
		{name: "fragmented close", in: client(8, ""), code: CodeProtocol},

		{name: "close", in: client(fin|8, "\x03\xe8bye"), out: []Message{closing(1000, "bye")}},
		{name: "close without code", in: client(fin|8, ""), out: []Message{closing(CodeNoStatus, "")}},
		{name: "close within a message", in: join(client(1, "a"), client(fin|8, "\x03\xe9")), out: []Message{closing(1001, "")}, half: true},
		{name: "close of one byte", in: client(fin|8, "\x03"), code: CodeProtocol},
		{name: "close with a reason of 123", in: client(fin|8, "\x03\xe8"+long[:123]), out: []Message{closing(1000, long[:123])}},
		{name: "close with a reason that is not UTF-8", in: client(fin|8, "\x03\xe8\xc0\xaf"), code: CodeInvalid},
		{name: "close with a reason that is cut", in: client(fin|8, "\x03\xe8\xe2\x82"), code: CodeInvalid},

		{name: "text", in: client(fin|1, "κόσμε €𐍈"), out: []Message{text("κόσμε €𐍈")}},
		{name: "text cut within a character", in: join(client(1, "\xf0\x90"), client(0, "\x8d"), client(fin, "\x88")), out: []Message{text("𐍈")}},
		{name: "text that ends within a character", in: client(fin|1, "x\xe2\x82"), code: CodeInvalid},
		{name: "fragments that end within a character", in: join(client(1, "x\xe2"), client(fin, "\x82")), code: CodeInvalid},
		{name: "fragments that go wrong in a character", in: join(client(1, "x\xe2"), client(fin, "y\x82")), code: CodeInvalid},
		{name: "wrong byte in a fragment", in: client(1, "x\xffy"), code: CodeInvalid},
		{name: "overlong", in: client(fin|1, "\xc0\xaf"), code: CodeInvalid},
		{name: "surrogate", in: client(fin|1, "\xed\xa0\x80"), code: CodeInvalid},
		{name: "beyond unicode", in: client(fin|1, "\xf4\x90\x80\x80"), code: CodeInvalid},
		// Nothing that follows could make it right: the RFC lets one say so at once (6455, 8.1), and it is the same however it comes.
		{name: "overlong begins", in: client(1, "x\xe0\x80"), code: CodeInvalid},
		{name: "surrogate begins", in: client(1, "x\xed\xa0"), code: CodeInvalid},
		{name: "beyond unicode begins", in: client(1, "x\xf4\x90"), code: CodeInvalid},
		{name: "character begins", in: client(1, "x\xed\x9f"), half: true},

		{name: "RFC 7692 7.2.3.1 hello", in: client(fin|rsv1|1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), deflate: true, out: []Message{text("Hello")}},
		{name: "RFC 7692 7.2.3.1 fragments", in: join(client(rsv1|1, "\xf2\x48\xcd"), client(fin, "\xc9\xc9\x07\x00")), deflate: true, out: []Message{text("Hello")}},
		{name: "RFC 7692 7.2.3.3 stored", in: client(fin|rsv1|1, "\x00\x05\x00\xfa\xffHello\x00"), deflate: true, out: []Message{text("Hello")}},
		{name: "RFC 7692 7.2.3.4 last block", in: client(fin|rsv1|1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), deflate: true, out: []Message{text("Hello")}},
		{name: "RFC 7692 7.2.3.5 two blocks", in: client(fin|rsv1|1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), deflate: true, out: []Message{text("Hello")}},
		{name: "last block and nothing behind it", in: client(fin|rsv1|1, "\xf3\x48\xcd\xc9\xc9\x07\x00"), deflate: true, out: []Message{text("Hello")}},
		{name: "last blocks", in: client(fin|rsv1|1, strings.Repeat("\xf3\x48\xcd\xc9\xc9\x07\x00", 3)+"\x00"), deflate: true, out: []Message{text("HelloHelloHello")}},
		{name: "too many last blocks", in: client(fin|rsv1|1, strings.Repeat("\x03\x00", 1000)+"\x00"), deflate: true, code: CodeInvalid},
		{name: "RFC 7692 7.2.3.6 empty", in: client(fin|rsv1|1, "\x00"), deflate: true, out: []Message{text("")}},
		{name: "empty without a byte", in: client(fin|rsv1|2, ""), deflate: true, out: []Message{blob("")}},
		{name: "compressed without context", in: join(client(fin|rsv1|1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), client(fin|rsv1|1, "\xf2\x00\x11\x00\x00")), deflate: true, out: []Message{text("Hello")}, code: CodeInvalid},
		{name: "not compressed where it was agreed on", in: join(client(fin|1, "Hello"), client(fin|rsv1|1, deflated("x")), client(fin|1, "y")), deflate: true, out: []Message{text("Hello"), text("x"), text("y")}},
		{name: "compressed to the limit", in: client(fin|rsv1|1, deflated(longer)), deflate: true, out: []Message{text(longer)}},
		{name: "compressed over the limit", in: client(fin|rsv1|1, deflated(longer+"x")), deflate: true, code: CodeTooBig},
		{name: "deflate bomb", in: client(fin|rsv1|1, deflated(zeros)), deflate: true, code: CodeTooBig},
		{name: "deflate bomb in fragments", in: join(client(rsv1|2, deflated(zeros)[:500]), client(fin, deflated(zeros)[500:])), deflate: true, code: CodeTooBig},
		{name: "damaged", in: client(fin|rsv1|1, "\xff\xff\xff"), deflate: true, code: CodeInvalid},
		{name: "cut", in: client(fin|rsv1|1, deflated(long)[:8]), deflate: true, code: CodeInvalid},
		{name: "compressed text that is not UTF-8", in: client(fin|rsv1|1, deflated("x\xff")), deflate: true, code: CodeInvalid},
		{name: "compressed binary", in: client(fin|rsv1|2, deflated("x\xff")), deflate: true, out: []Message{blob("x\xff")}},
		{name: "control between compressed fragments", in: join(client(rsv1|1, deflated(long)[:4]), client(fin|9, "p"), client(fin, deflated(long)[4:])), deflate: true, out: []Message{ping("p"), text(long)}},
	}
}

type stream struct {
	name    string
	in      []byte
	client  bool
	deflate bool
	out     []Message
	code    Code // of the error at the end, or 0
	half    bool // more is wanted
}

func TestDecoder(t *testing.T) {
	var shared Inflaters
	for _, c := range streams() {
		t.Run(c.name, func(t *testing.T) {
			for way, cut := range ways(1) {
				for _, inflaters := range []*Inflaters{nil, &shared} {
					d := NewDecoder(DecoderOptions{Limit: testLimit, Client: c.client, Deflate: c.deflate, Inflaters: inflaters})
					got := decode(d, c.in, cut)
					if diff := cmp.Diff(c.out, got.Messages, bytewise); diff != "" {
						t.Fatalf("%s: messages (-want +got):\n%.2000s", way, diff)
					}
					var code Code
					if got.Err != nil {
						code = got.Err.Code
					}
					if code != c.code {
						t.Fatalf("%s: got error %v, want code %d", way, got.Err, c.code)
					}
					if want := !c.half && c.code == 0; got.Idle != want {
						t.Fatalf("%s: idle is %t, want %t", way, got.Idle, want)
					}
				}
			}
		})
	}
}

func TestDecoderCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		want := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		d := NewDecoder(DecoderOptions{})
		_, m, err := d.Next(client(fin|8, string([]byte{byte(code >> 8), byte(code)})))
		if got := err == nil; got != want {
			t.Fatalf("close code %d: accepted is %t, want %t", code, got, want)
		}
		if want && m.Code != Code(code) {
			t.Fatalf("close code %d: got %d", code, m.Code)
		}
	}
}

// Wrong text is refused at its first wrong byte, long before the frame or the message ends.
func TestDecoderRefusesTextEarly(t *testing.T) {
	whole := client(1, strings.Repeat("x", 1000)+"\xc3("+strings.Repeat("x", 1000))
	d := NewDecoder(DecoderOptions{})
	for i := range whole {
		_, _, err := d.Next(whole[i : i+1])
		if at := 4 + 4 + 1000 + 1; (err != nil) != (i >= at) {
			t.Fatalf("byte %d of the frame: error is %v, wanted from byte %d on", i, err, at)
		}
	}
}

func TestDecoderStaysDead(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	_, _, first := d.Next(client(fin|3, ""))
	n, m, again := d.Next(client(fin|1, "hello"))
	if first == nil || !errors.Is(again, first) || n != 0 || m.Op != 0 {
		t.Fatalf("got %d bytes, %+v and %v after %v", n, m, again, first)
	}
}

func TestDecoderIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size > 160 {
		t.Errorf("a decoder is %d bytes, want at most 160", size)
	}
}

// What was announced is not what is kept.
func TestDecoderKeepsWhatCame(t *testing.T) {
	d := NewDecoder(DecoderOptions{Limit: 1 << 20})
	length := uint64(1 << 20)
	if _, _, err := d.Next(frame{first: fin | 2, key: &testKey, claim: &length, payload: []byte("little")}.append(nil)); err != nil {
		t.Fatal(err)
	}
	if cap(d.buf) > 2048 {
		t.Errorf("%d bytes are held for a frame of which 6 have come", cap(d.buf))
	}
}

func TestDecoderHoldsNothingWhenIdle(t *testing.T) {
	d := NewDecoder(DecoderOptions{Deflate: true})
	for _, in := range [][]byte{
		join(client(1, "Hel"), client(fin, "lo")),
		client(fin|rsv1|1, deflated("hello")),
		client(fin|9, "ping"),
	} {
		for _, way := range []func() int{func() int { return 1 }, func() int { return 1 << 20 }} {
			decode(d, in, way)
			if d.buf != nil || d.ctl != nil || !d.Idle() {
				t.Errorf("after %q: %d and %d bytes are held", in, cap(d.buf), cap(d.ctl))
			}
		}
	}
	// A control frame's memory goes, and the message it came in stays.
	decode(d, join(client(1, "Hel"), client(fin|9, "ping")), func() int { return 1 })
	if d.ctl != nil || string(d.buf) != "Hel" {
		t.Errorf("got %q and %q within a message", d.buf, d.ctl)
	}
	d.Release()
	if got := decode(d, client(fin, "lo"), func() int { return 1 }); !cmp.Equal(got.Messages, []Message{text("Hello")}, bytewise) {
		t.Errorf("got %+v after a release within a message", got)
	}
}

func TestDecoderWithoutAllocations(t *testing.T) {
	var shared Inflaters
	d := NewDecoder(DecoderOptions{Deflate: true, Inflaters: &shared})
	small, compressed := client(fin|1, `{"action":"subscribe"}`), client(fin|rsv1|1, deflated(`{"action":"subscribe"}`))
	p := make([]byte, 0, 1024)
	for name, c := range map[string]struct {
		in   []byte
		want float64
	}{
		"message":            {small, 0},
		"compressed message": {compressed, 0},
		"ping":               {client(fin|9, "are you there"), 0},
	} {
		got := testing.AllocsPerRun(100, func() {
			p = append(p[:0], c.in...)
			if _, m, err := d.Next(p); err != nil || m.Op == 0 {
				t.Fatal(m, err)
			}
		})
		if got > c.want && !raceEnabled {
			t.Errorf("%s: %v allocations, want %v", name, got, c.want)
		}
	}
}

// A message that inflates a thousandfold costs its limit and no more.
func TestDecoderBombIsFlat(t *testing.T) {
	var shared Inflaters
	bomb := client(fin|rsv1|2, deflated(strings.Repeat("\x00", 64<<20)))
	d := NewDecoder(DecoderOptions{Limit: 1 << 20, Deflate: true, Inflaters: &shared})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := d.Next(bomb)
	runtime.ReadMemStats(&after)
	var fault *Error
	if !errors.As(err, &fault) || fault.Code != CodeTooBig {
		t.Errorf("got %v", err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 3<<20 {
		t.Errorf("%d bytes were allocated for a limit of 1 MiB", got)
	}
}

// Payloads are the reader's until the next call, and no append to one reaches what follows it.
func TestDecoderPayloadIsClosed(t *testing.T) {
	p := join(client(fin|1, "one"), client(fin|1, "two"))
	d := NewDecoder(DecoderOptions{})
	n, m, err := d.Next(p)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(m.Payload, "XXXXXXXXXX"...)
	if _, m, err = d.Next(p[n:]); err != nil || string(m.Payload) != "two" {
		t.Errorf("got %q, %v", m.Payload, err)
	}
}

func TestMask(t *testing.T) {
	plain := bytes.Repeat([]byte("tapedeck"), 20)
	for size := range len(plain) {
		for from := range 9 {
			if from > size {
				continue
			}
			got := bytes.Clone(plain[:size])
			mask(got[:from], testKey)
			mask(got[from:], turned(testKey, from))
			for i := range got {
				if got[i] != plain[i]^testKey[i%4] {
					t.Fatalf("size %d in two from %d: byte %d is wrong", size, from, i)
				}
			}
		}
	}
}
