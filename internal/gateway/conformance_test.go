package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// eachPath runs a test on each of the ways in which the gateway writes to sockets.
func eachPath(t *testing.T, test func(t *testing.T, path func(*Options))) {
	for name, portable := range map[string]bool{"shards": false, "portable": true} {
		t.Run(name, func(t *testing.T) {
			test(t, func(o *Options) { o.Portable = portable })
		})
	}
}

// complaints is a log that must stay empty.
type complaints struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Write(p)
}

// listenTo makes a log of what the gateway warns of, and lets the test fail when there is anything in it at the end.
func listenTo(t testing.TB) *slog.Logger {
	c := &complaints{}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.buf.Len() > 0 {
			t.Errorf("the gateway complains:\n%.2000s", c.buf.String())
		}
	})
	return slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// peer is a client that sends any bytes, and holds every frame of the server to the rules.
type peer struct {
	t       testing.TB
	conn    *net.TCPConn
	r       *bufio.Reader
	deflate bool // was negotiated
	packed  int  // messages that came compressed
}

// patience is after what a server that says nothing hangs.
const patience = 20 * time.Second

// opening returns the request of a handshake; headers are added to it as lines.
func opening(path string, headers ...string) string {
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// accepted is the proof of the server for the key of opening, which is that of RFC 6455, 1.3.
const accepted = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// dialRaw opens a connection that has patience.
func (b *bench) dialRaw() *peer {
	b.t.Helper()
	p := &peer{t: b.t, conn: b.connect()}
	p.r = bufio.NewReader(p.conn)
	if err := p.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// knock sends a request and returns the answer.
func (b *bench) knock(request string) (p *peer, status int, header http.Header) {
	b.t.Helper()
	p = b.dialRaw()
	status, header = p.answer(request, 0)
	return p, status, header
}

// answer sends a request, of which so many bytes were sent, and returns what the server says to it.
func (p *peer) answer(request string, sent int) (status int, header http.Header) {
	p.t.Helper()
	p.write([]byte(request[sent:]), false)
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("the answer to %.60q: %v", request, err)
	}
	_ = response.Body.Close() // of a switch it has none, of a refusal it is not asked for
	return response.StatusCode, response.Header
}

// open opens a stream and reads its greeting.
func (b *bench) open(path string, headers ...string) *peer {
	b.t.Helper()
	p, status, header := b.knock(opening(path, headers...))
	if status != http.StatusSwitchingProtocols || header.Get("Sec-WebSocket-Accept") != accepted {
		b.t.Fatalf("the handshake was answered by %d %v", status, header)
	}
	p.deflate = strings.HasPrefix(header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	if got := p.text(); got != `[{"T":"success","msg":"connected"}]` {
		b.t.Fatalf("got %s", got)
	}
	return p
}

// write sends bytes, one at a time if need be. The server may have ended the connection: what it said says more than the error.
func (p *peer) write(data []byte, single bool) {
	step := len(data)
	if single {
		step = 1
	}
	for len(data) > 0 {
		if _, err := p.conn.Write(data[:min(step, len(data))]); err != nil {
			return
		}
		data = data[min(step, len(data)):]
	}
}

// The kinds of frames.
const (
	opMore   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xa
	fin      = 0x80
	rsv1     = 0x40
)

// maskKey masks what the peer sends.
func maskKey() []byte { return []byte{0x37, 0xfa, 0x21, 0x3d} }

// head returns the header of a client's frame whose length is written in as many bytes as are said, or in as few as possible
// for 0.
func head(first byte, size uint64, in int) []byte {
	if in == 0 {
		switch {
		case size < 126:
			in = 1
		case size < 1<<16:
			in = 2
		default:
			in = 8
		}
	}
	h := []byte{first, 0}
	switch in {
	case 1:
		h[1] = byte(size)
	case 2:
		h[1] = 126
		h = binary.BigEndian.AppendUint16(h, uint16(size))
	default:
		h[1] = 127
		h = binary.BigEndian.AppendUint64(h, size)
	}
	h[1] |= 0x80
	return append(h, maskKey()...)
}

// masked returns a frame of a client.
func masked(first byte, payload string) []byte {
	return append(head(first, uint64(len(payload)), 0), veil(payload)...)
}

// veil masks a payload.
func veil(payload string) []byte {
	key, data := maskKey(), []byte(payload)
	for i := range data {
		data[i] ^= key[i%4]
	}
	return data
}

// frame reads a frame of the server, and checks what holds for every one.
func (p *peer) frame() (op byte, payload []byte, err error) {
	p.t.Helper()
	var h [2]byte
	if _, err := io.ReadFull(p.r, h[:]); err != nil {
		return 0, nil, err
	}
	op = h[0] & 0xf
	size := uint64(h[1] & 0x7f)
	var long [8]byte
	switch size {
	case 126:
		_, err = io.ReadFull(p.r, long[6:])
		size = binary.BigEndian.Uint64(long[:])
		if err == nil && size < 126 {
			p.t.Errorf("a length of %d in three bytes", size)
		}
	case 127:
		_, err = io.ReadFull(p.r, long[:])
		size = binary.BigEndian.Uint64(long[:])
		if err == nil && size < 1<<16 {
			p.t.Errorf("a length of %d in nine bytes", size)
		}
	}
	if err != nil {
		return 0, nil, err
	}
	packed := h[0]&rsv1 != 0
	switch {
	case h[0]&fin == 0 || h[0]&0x30 != 0 || h[1]&0x80 != 0:
		p.t.Fatalf("a frame begins with %x: it must be whole, without a reserved bit and not masked", h)
	case packed && (!p.deflate || op >= opClose):
		p.t.Fatalf("a frame begins with %x: it must not be compressed", h)
	case op >= opClose && size > 125 || size > 16<<20:
		p.t.Fatalf("a frame begins with %x and has %d bytes", h, size)
	}
	payload = make([]byte, size)
	if _, err = io.ReadFull(p.r, payload); err == nil && packed {
		p.packed++
		payload, err = inflate(payload)
	}
	return op, payload, err
}

// inflate undoes what permessage-deflate does to one message. Nothing of the messages before is known to it.
func inflate(data []byte) ([]byte, error) {
	r := flate.NewReader(io.MultiReader(bytes.NewReader(data), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	out, err := io.ReadAll(r)
	return out, errors.Join(err, r.Close())
}

// deflate does to a message what permessage-deflate does.
func deflate(text string) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// text reads the next message.
func (p *peer) text() string {
	p.t.Helper()
	op, payload, err := p.frame()
	if err != nil || op != opText || !utf8.Valid(payload) {
		p.t.Fatalf("got a frame of kind %d, %.200q, %v, want a text", op, payload, err)
	}
	return string(payload)
}

// wireCase is what a client sends, and what must come of it.
type wireCase struct {
	name  string
	bytes []byte
	texts []string // a part of each message that must be the answer; before a goodbye it need not come
	pongs []string // that must come, in this order
	code  int      // that the server closes with; 0 when the stream must go on
	ours  bool     // the client has closed, and waits for the server to end the connection
}

// run sends a case to a fresh stream and compares.
func (c *wireCase) run(p *peer, single bool) {
	p.t.Helper()
	p.write(c.bytes, single)
	texts, pongs, asked := c.texts, c.pongs, false
	for {
		if c.code == 0 && len(texts)+len(pongs) == 0 && !asked {
			asked, pongs = true, []string{"alive?"}
			p.write(masked(fin|opPing, "alive?"), single)
		}
		op, payload, err := p.frame()
		switch {
		case err != nil:
			p.t.Fatalf("the stream ends with %v, want %q, pongs %q, code %d", err, texts, pongs, c.code)
		case op == opText && len(texts) > 0 && strings.Contains(string(payload), texts[0]):
			texts = texts[1:]
		case op == opPong && len(pongs) > 0 && string(payload) == pongs[0]:
			if pongs = pongs[1:]; asked {
				return
			}
		case op == opClose && c.code != 0 && len(pongs) == 0:
			p.leave(payload, c)
			return
		default:
			p.t.Fatalf("got a frame of kind %d, %.200q, want %q, pongs %q, code %d", op, payload, texts, pongs, c.code)
		}
	}
}

// leave checks the server's goodbye, and that the connection ends: by the server when the client has said goodbye first, else
// when the client has.
func (p *peer) leave(payload []byte, c *wireCase) {
	p.t.Helper()
	if len(payload) < 2 || !utf8.Valid(payload[2:]) {
		p.t.Fatalf("the server closes with %q", payload)
	}
	if got := int(binary.BigEndian.Uint16(payload)); got != c.code {
		p.t.Errorf("the server closes with %d %s, want %d", got, payload[2:], c.code)
	}
	if !c.ours {
		p.write(masked(fin|opClose, string(payload[:2])), false)
		_ = p.conn.CloseWrite() // it may be closed already
	}
	rest, err := io.ReadAll(p.r)
	if len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Errorf("behind its goodbye the server sends %q, and %v", rest, err)
	}
}

// TestConformance runs the table of cases against the stream: the bytes at once, and one by one. At the end the server serves, and
// has kept nothing.
func TestConformance(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), func(o *Options) {
			path(o)
			o.Logger = listenTo(t)
		})
		groups := map[string]func() []wireCase{
			"framing": framingCases, "fragments": fragmentCases, "control": controlCases, "close": closeCases, "utf8": utf8Cases,
			"reserved": reservedCases,
		}
		all := func(t *testing.T) {
			for group, cases := range groups {
				for _, c := range cases() {
					for _, single := range []bool{false, true} {
						if single && len(c.bytes) > 1000 {
							continue
						}
						t.Run(fmt.Sprintf("%s/%s/single=%t", group, c.name, single), func(t *testing.T) { c.run(b.with(t).open("/v2/tape"), single) })
					}
				}
			}
		}
		all(t)
		before := heap()
		all(t)
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		b.stillServes(t)
	})
}

// with returns the bench for a part of the test.
func (b *bench) with(t testing.TB) *bench {
	c := *b
	c.t = t
	return &c
}

// stillServes checks that a client as it should be is served.
func (b *bench) stillServes(t *testing.T) {
	t.Helper()
	c := b.with(t).join(`{"action":"subscribe","trades":["SIM:AAPL"]}`)
	b.tape.Put("sim", trade("SIM:AAPL", 1000, 100, t0))
	if got := c.frame(); len(got) != 1 || got[0].Seq != 1000 {
		t.Errorf("got %+v", got)
	}
}

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	for range 2 { // the pools are emptied in two steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// asking returns a request of so many bytes that is answered by a message with subscription in it, and by one with error when it is
// too short for that.
func asking(size int) string {
	const request = `{"action":"subscribe"}`
	return (request + strings.Repeat(" ", size))[:max(size, 0)]
}

const (
	answered = `"T":"subscription"`
	refused  = `"T":"error","code":400`
)

func framingCases() []wireCase {
	cases := []wireCase{
		{name: "empty text", bytes: masked(fin|opText, ""), texts: []string{refused}},
		{name: "not masked", bytes: []byte{fin | opText, 2, '{', '}'}, code: 1002},
		{name: "not masked and empty", bytes: []byte{fin | opText, 0}, code: 1002},
		{name: "ping not masked", bytes: []byte{fin | opPing, 0}, code: 1002},
		{name: "key of zeros", bytes: append([]byte{fin | opText, 0x80 | 22, 0, 0, 0, 0}, asking(22)...), texts: []string{answered}},
		{name: "two in a packet", bytes: append(masked(fin|opText, asking(22)), masked(fin|opText, "x")...), texts: []string{answered, refused}},
		{name: "too large by its header", bytes: head(fin|opText, 65537, 0), code: 1009},
		{name: "too large by its second header", bytes: slices.Concat(masked(opText, asking(40000)), head(fin|opMore, 25537, 0)), code: 1009},
		{name: "binary", bytes: masked(fin|opBinary, "\x80"), code: 1003},
		{name: "binary in fragments", bytes: slices.Concat(masked(opBinary, "\x80"), masked(fin|opMore, "\x80")), code: 1003},
	}
	for _, size := range []int{22, 125, 126, 127, 128, 65535, 65536} {
		cases = append(cases, wireCase{name: fmt.Sprint("size=", size), bytes: masked(fin|opText, asking(size)), texts: []string{answered}})
	}
	for _, form := range []struct{ size, in int }{{0, 2}, {22, 2}, {125, 2}, {0, 8}, {22, 8}, {126, 8}, {65535, 8}} {
		cases = append(cases, wireCase{
			name:  fmt.Sprintf("size=%d in %d bytes", form.size, form.in),
			bytes: append(head(fin|opText, uint64(form.size), form.in), veil(asking(form.size))...), code: 1002,
		})
	}
	for size, code := range map[uint64]int{1 << 31: 1009, 1 << 32: 1009, 1 << 62: 1009, 1<<63 - 1: 1009, 1 << 63: 1002, 1<<64 - 1: 1002} {
		cases = append(
			cases,
			wireCase{name: fmt.Sprintf("size=%#x", size), bytes: head(fin|opText, size, 8), code: code},
			wireCase{name: fmt.Sprintf("size=%#x of a fragment", size), bytes: append(masked(opText, "{"), head(opMore, size, 8)...), code: code},
			wireCase{name: fmt.Sprintf("size=%#x of a ping", size), bytes: head(fin|opPing, size, 8), code: 1002},
		)
	}
	return cases
}

func fragmentCases() []wireCase {
	first, last := asking(22)[:7], asking(22)[7:]
	many := masked(opText, "")
	for _, c := range asking(50) {
		many = append(many, masked(opMore, string(c))...)
	}
	return []wireCase{
		{name: "two", bytes: slices.Concat(masked(opText, first), masked(fin|opMore, last)), texts: []string{answered}},
		{name: "many", bytes: slices.Concat(many, masked(fin|opMore, "")), texts: []string{answered}},
		{name: "empty", bytes: slices.Concat(masked(opText, ""), masked(opMore, ""), masked(fin|opMore, "")), texts: []string{refused}},
		{name: "last is empty", bytes: slices.Concat(masked(opText, first+last), masked(fin|opMore, "")), texts: []string{answered}},
		{
			name:  "ping between",
			bytes: slices.Concat(masked(opText, first), masked(fin|opPing, "between"), masked(fin|opMore, last)),
			texts: []string{answered}, pongs: []string{"between"},
		},
		{name: "pong between", bytes: slices.Concat(masked(opText, first), masked(fin|opPong, "x"), masked(fin|opMore, last)), texts: []string{answered}},
		{name: "close between", bytes: slices.Concat(masked(opText, first), masked(fin|opClose, "\x03\xe8")), code: 1000, ours: true},
		{
			name:  "message behind",
			bytes: slices.Concat(masked(opText, first), masked(fin|opMore, last), masked(fin|opText, "x")), texts: []string{answered, refused},
		},
		{name: "text between", bytes: slices.Concat(masked(opText, first), masked(fin|opText, last)), code: 1002},
		{name: "begun twice", bytes: slices.Concat(masked(opText, first), masked(opText, last)), code: 1002},
		{name: "binary between", bytes: slices.Concat(masked(opText, first), masked(fin|opBinary, last)), code: 1002},
		{name: "end of nothing", bytes: masked(fin|opMore, last), code: 1002},
		{name: "middle of nothing", bytes: masked(opMore, last), code: 1002},
		{
			name:  "end of what has ended",
			bytes: slices.Concat(masked(opText, first), masked(fin|opMore, last), masked(fin|opMore, "")), texts: []string{answered}, code: 1002,
		},
		{name: "whole in fragments", bytes: slices.Concat(masked(opText, asking(65000)), masked(fin|opMore, asking(536)[22:])), texts: []string{answered}},
	}
}

func controlCases() []wireCase {
	long := strings.Repeat("p", 125)
	three := slices.Concat(masked(fin|opPong, ""), masked(fin|opPong, "x"), masked(fin|opPong, long))
	return []wireCase{
		{name: "ping", bytes: masked(fin|opPing, ""), pongs: []string{""}},
		{name: "ping with text", bytes: masked(fin|opPing, "Hello"), pongs: []string{"Hello"}},
		{name: "ping with bytes", bytes: masked(fin|opPing, "\x00\xff\xfe\x80"), pongs: []string{"\x00\xff\xfe\x80"}},
		{name: "ping of 125", bytes: masked(fin|opPing, long), pongs: []string{long}},
		{name: "ping of 126", bytes: masked(fin|opPing, long+"p"), code: 1002},
		{name: "ping of 126 by its header", bytes: head(fin|opPing, 126, 0), code: 1002},
		{name: "pong of 126", bytes: masked(fin|opPong, long+"p"), code: 1002},
		{name: "pong not asked for", bytes: three},
		{name: "fragmented ping", bytes: masked(opPing, "x"), code: 1002},
		{name: "fragmented pong", bytes: masked(opPong, ""), code: 1002},
		{name: "fragmented close", bytes: masked(opClose, "\x03\xe8"), code: 1002},
		{
			name:  "ping around messages",
			bytes: slices.Concat(masked(fin|opText, asking(22)), masked(fin|opPing, "after")), texts: []string{answered}, pongs: []string{"after"},
		},
		{
			name: "ping and close", bytes: slices.Concat(masked(fin|opPing, "last"), masked(fin|opClose, "\x03\xe8")), pongs: []string{"last"},
			code: 1000, ours: true,
		},
	}
}

// TestManyPings sends pings faster than they can be answered. The last one must be, with its own payload; of the others none twice,
// and none before one that was sent earlier.
func TestManyPings(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), path)
		p := b.open("/v2/tape")
		var all []byte
		const pings = 40
		for i := range pings {
			all = append(all, masked(fin|opPing, fmt.Sprintf("%02d", i))...)
		}
		p.write(all, false)
		for last := ""; last != fmt.Sprint(pings-1); {
			op, payload, err := p.frame()
			if err != nil || op != opPong || string(payload) <= last {
				t.Fatalf("got kind %d, %q, %v behind %q", op, payload, err, last)
			}
			last = string(payload)
		}
	})
}

func closeCases() []wireCase {
	with := func(code int, reason string) []byte {
		return masked(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
	}
	cases := []wireCase{
		{name: "without a code", bytes: masked(fin|opClose, ""), code: 1000, ours: true},
		{name: "of one byte", bytes: masked(fin|opClose, "\x03"), code: 1002},
		{name: "with a reason", bytes: with(1000, "bye – adieu"), code: 1000, ours: true},
		{name: "with a reason of 123 bytes", bytes: with(1001, strings.Repeat("r", 123)), code: 1001, ours: true},
		{name: "with a reason of 124 bytes", bytes: with(1001, strings.Repeat("r", 124)), code: 1002},
		{name: "with a reason that is not UTF-8", bytes: with(1000, "bye\xce\xff"), code: 1007},
		{name: "with a reason that is cut", bytes: with(1000, "bye\xe2\x82"), code: 1007},
		{name: "then a message", bytes: slices.Concat(with(1000, ""), masked(fin|opText, asking(22))), code: 1000, ours: true},
		{name: "then a ping", bytes: slices.Concat(with(1000, ""), masked(fin|opPing, "x")), code: 1000, ours: true},
		{name: "then another", bytes: slices.Concat(with(1001, ""), with(1000, "")), code: 1001, ours: true},
		{name: "then what is no frame", bytes: slices.Concat(with(1000, ""), []byte{0xff, 0xff, 0xff}), code: 1000, ours: true},
		{name: "behind a message", bytes: slices.Concat(masked(fin|opText, asking(22)), with(1000, "")), texts: []string{answered}, code: 1000, ours: true},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4016, 4999} {
		cases = append(cases, wireCase{name: fmt.Sprint("code=", code), bytes: with(code, ""), code: code, ours: true})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, wireCase{name: fmt.Sprint("code=", code), bytes: with(code, "x"), code: 1002})
	}
	return cases
}

func utf8Cases() []wireCase {
	var cases []wireCase
	for name, text := range map[string]string{
		"word": "κόσμε", "first of 2": "\u0080", "last of 2": "\u07ff", "first of 3": "\u0800", "last of 3": "\uffff", "first of 4": "\U00010000",
		"last of 4": "\U0010ffff", "below surrogates": "\ud7ff", "above surrogates": "\ue000", "not a character": "\ufffe", "mark": "\ufeff", "zero": "\x00",
	} {
		cases = append(cases, wireCase{name: name, bytes: masked(fin|opText, text), texts: []string{refused}})
		var pieces []byte
		for i := range len(text) {
			pieces = append(pieces, masked([]byte{opText, opMore}[min(i, 1)], text[i:i+1])...)
		}
		cases = append(cases, wireCase{name: name + " byte by byte", bytes: append(pieces, masked(fin|opMore, "")...), texts: []string{refused}})
	}
	for name, text := range map[string]string{
		"overlong of 2": "\xc0\x80", "overlong of 2, last": "\xc1\xbf", "overlong of 3": "\xe0\x9f\xbf", "overlong of 4": "\xf0\x8f\xbf\xbf",
		"overlong of 5": "\xf8\x87\xbf\xbf\xbf", "overlong of 6": "\xfc\x80\x80\x80\x80\xaf", "high surrogate": "\xed\xa0\x80", "low surrogate": "\xed\xbf\xbf",
		"pair of surrogates": "\xed\xa0\x80\xed\xb0\x80", "above U+10FFFF": "\xf4\x90\x80\x80", "far above U+10FFFF": "\xf7\xbf\xbf\xbf", "fe": "\xfe", "ff": "\xff",
		"alone": "\x80", "one too many": "κ\x80", "one too few": "\xe2\x82x", "start twice": "\xce\xce\xba", "in the middle": strings.Repeat("a", 300) + "\xff" + strings.Repeat("b", 300),
	} {
		cases = append(
			cases,
			wireCase{name: name, bytes: masked(fin|opText, `"`+text+`"`), code: 1007},
			wireCase{name: name + " at the end", bytes: masked(fin|opText, text), code: 1007},
			// The rest of the message never comes, and need not.
			wireCase{name: name + " early", bytes: slices.Concat(masked(opText, `"`), masked(opMore, text+" ")), code: 1007},
		)
	}
	return append(
		cases,
		wireCase{name: "cut of 2", bytes: masked(fin|opText, "a\xce"), code: 1007},
		wireCase{name: "cut of 3", bytes: masked(fin|opText, "a\xe2\x82"), code: 1007},
		wireCase{name: "cut of 4", bytes: masked(fin|opText, "a\xf0\x9f\x98"), code: 1007},
		wireCase{name: "cut at the last fragment", bytes: slices.Concat(masked(opText, "a"), masked(fin|opMore, "\xf0\x9f\x98")), code: 1007},
		wireCase{name: "broken between fragments", bytes: slices.Concat(masked(opText, "\xe2"), masked(opMore, "a")), code: 1007},
		wireCase{name: "surrogate between fragments", bytes: slices.Concat(masked(opText, "\xed"), masked(opMore, "\xa0")), code: 1007},
		wireCase{name: "overlong between fragments", bytes: slices.Concat(masked(opText, "\xe0"), masked(opMore, "\x80")), code: 1007},
		wireCase{
			name: "ping within a character", bytes: slices.Concat(masked(opText, "\xe2\x82"), masked(fin|opPing, "\xff"), masked(fin|opMore, "\xac")),
			texts: []string{refused}, pongs: []string{"\xff"},
		},
	)
}

func reservedCases() []wireCase {
	var cases []wireCase
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		cases = append(
			cases,
			wireCase{name: fmt.Sprintf("opcode %x", op), bytes: masked(fin|op, ""), code: 1002},
			wireCase{name: fmt.Sprintf("opcode %x with a payload", op), bytes: masked(fin|op, "x"), code: 1002},
			wireCase{name: fmt.Sprintf("opcode %x in a message", op), bytes: slices.Concat(masked(opText, "{"), masked(fin|op, "x")), code: 1002},
		)
	}
	for _, bits := range []byte{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70} {
		for name, first := range map[string]byte{"text": fin | opText, "ping": fin | opPing, "close": fin | opClose, "fragment": opText} {
			cases = append(cases, wireCase{name: fmt.Sprintf("bits %x of a %s", bits, name), bytes: masked(first|bits, ""), code: 1002})
		}
		cases = append(cases, wireCase{
			name: fmt.Sprintf("bits %x of a continuation", bits), bytes: slices.Concat(masked(opText, "{"), masked(fin|opMore|bits, "}")), code: 1002,
		})
	}
	return cases
}
