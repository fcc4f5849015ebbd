package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/market"
)

// TestHandshakes opens the stream as it may be opened, and as it may not.
func TestHandshakes(t *testing.T) {
	good := opening("/v2/tape")
	but := func(line, with string) string {
		if !strings.Contains(good, line) {
			t.Fatalf("%q is not in a handshake", line)
		}
		return strings.Replace(good, line, with, 1)
	}
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), path)
		for _, test := range []struct {
			name, request string
			status        int
		}{
			{"plain", good, 101},
			{"other case", but("Upgrade: websocket", "uPGRADE: WebSocket"), 101},
			{"list", but("Connection: Upgrade", "Connection: keep-alive, upgrade"), 101},
			{"two fields", but("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"), 101},
			{"protocols", opening("/v2/tape", "Sec-WebSocket-Protocol: chat, superchat"), 101},
			{"no Upgrade", but("Upgrade: websocket\r\n", ""), 426},
			{"another Upgrade", but("Upgrade: websocket", "Upgrade: h2c"), 426},
			{"part of a word", but("Upgrade: websocket", "Upgrade: websockets"), 426},
			{"no Connection", but("Connection: Upgrade\r\n", ""), 426},
			{"another Connection", but("Connection: Upgrade", "Connection: keep-alive"), 426},
			{"no version", but("Sec-WebSocket-Version: 13\r\n", ""), 426},
			{"version 8", but("Version: 13", "Version: 8"), 426},
			{"version 130", but("Version: 13", "Version: 130"), 426},
			{"no key", but(key, ""), 400},
			{"empty key", but(key, "Sec-WebSocket-Key:\r\n"), 400},
			{"short key", but(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub24=\r\n"), 400},
			{"long key", but(key, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n"), 400},
			{"key that is not base64", but(key, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"), 400},
			{"two keys", but(key, key+key), 400},
			{"POST", but("GET", "POST"), 405},
			{"HEAD", but("GET", "HEAD"), 405},
			{"HTTP/1.0", but("HTTP/1.1", "HTTP/1.0"), 426},
		} {
			for _, single := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/single=%t", test.name, single), func(t *testing.T) {
					p, status, header := b.with(t).shake(test.request, single)
					if status != test.status {
						t.Fatalf("got %d, want %d", status, test.status)
					}
					if status == http.StatusUpgradeRequired && header.Get("Sec-WebSocket-Version") != "13" {
						t.Errorf("the refusal does not say which version is served: %v", header)
					}
					if test.status != http.StatusSwitchingProtocols {
						return
					}
					if header.Get("Sec-WebSocket-Accept") != accepted || !strings.EqualFold(header.Get("Upgrade"), "websocket") ||
						!strings.EqualFold(header.Get("Connection"), "Upgrade") || header.Get("Sec-WebSocket-Protocol") != "" || header.Get("Sec-WebSocket-Extensions") != "" {
						t.Errorf("got %v", header)
					}
					if got := p.text(); got != `[{"T":"success","msg":"connected"}]` {
						t.Errorf("got %s", got)
					}
				})
			}
		}
		t.Run("frames in the packet", func(t *testing.T) {
			// A client need not wait for the answer if it bears that it is refused.
			request := good + string(masked(fin|opText, asking(22))) + string(masked(fin|opPing, "early"))
			p, status, _ := b.with(t).shake(request, false)
			if status != http.StatusSwitchingProtocols {
				t.Fatalf("got %d", status)
			}
			(&wireCase{texts: []string{"connected", answered}, pongs: []string{"early"}}).run(p, false)
		})
		t.Run("half a frame in the packet", func(t *testing.T) {
			frame := masked(fin|opText, asking(300))
			p, status, _ := b.with(t).shake(good+string(frame[:100]), false)
			if status != http.StatusSwitchingProtocols {
				t.Fatalf("got %d", status)
			}
			(&wireCase{texts: []string{"connected", answered}, bytes: frame[100:]}).run(p, true)
		})
	})
}

// TestDeflateOffers offers compression in all sorts. What the server cannot keep to it must decline by saying nothing, and what it
// takes it must answer in words that the offer allows.
func TestDeflateOffers(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), path)
		for _, test := range []struct {
			offer string
			taken bool
		}{
			{"permessage-deflate", true},
			{"permessage-deflate; client_max_window_bits", true},
			{"permessage-deflate; client_max_window_bits=15", true},
			{"permessage-deflate; client_max_window_bits=8", true},
			{`permessage-deflate; client_max_window_bits="10"`, true},
			{"permessage-deflate; server_no_context_takeover", true},
			{"permessage-deflate; client_no_context_takeover", true},
			{"permessage-deflate;server_no_context_takeover;client_no_context_takeover", true},
			{"permessage-deflate; server_max_window_bits=15", true},
			{"x-other, permessage-deflate", true},
			{"permessage-deflate; server_max_window_bits=7, permessage-deflate", true},
			{"permessage-deflate; x-other; client_max_window_bits, permessage-deflate; client_max_window_bits", true},
			{"x-other\r\nSec-WebSocket-Extensions: permessage-deflate", true},
			{"permessage-deflate; x-other", false},
			{"permessage-deflate; server_max_window_bits", false},
			{"permessage-deflate; server_max_window_bits=7", false},
			{"permessage-deflate; server_max_window_bits=16", false},
			{"permessage-deflate; server_max_window_bits=010", false},
			{"permessage-deflate; server_max_window_bits=+9", false},
			{"permessage-deflate; client_max_window_bits=7", false},
			{"permessage-deflate; client_max_window_bits=x", false},
			{"permessage-deflate; server_no_context_takeover=1", false},
			{"permessage-deflate; client_no_context_takeover=true", false},
			{"permessage-deflate; server_no_context_takeover; server_no_context_takeover", false},
			{"permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", false},
			{"x-webkit-deflate-frame", false},
			{"permessage-bzip2", false},
		} {
			t.Run(test.offer, func(t *testing.T) {
				p, status, header := b.with(t).shake(opening("/v2/tape", "Sec-WebSocket-Extensions: "+test.offer), false)
				if status != http.StatusSwitchingProtocols {
					t.Fatalf("got %d", status)
				}
				answer := header.Get("Sec-WebSocket-Extensions")
				if !test.taken {
					if answer != "" {
						t.Errorf("got %q", answer)
					}
					(&wireCase{texts: []string{"connected"}, bytes: masked(fin|rsv1|opText, deflate("{}")), code: 1002}).run(p, false)
					return
				}
				words := strings.Split(answer, "; ")
				if words[0] != "permessage-deflate" || !slices.Contains(words, "server_no_context_takeover") {
					t.Fatalf("got %q", answer)
				}
				for _, w := range words[1:] {
					name, _, valued := strings.Cut(w, "=")
					if strings.HasSuffix(name, "bits") && (!valued || !strings.Contains(test.offer, name)) {
						t.Errorf("got %q", answer)
					}
				}
				if strings.HasPrefix(test.offer, "permessage-deflate; server_max") && strings.HasSuffix(test.offer, "15") && !slices.Contains(words, "server_max_window_bits=15") {
					t.Errorf("got %q without what was asked for", answer)
				}
				p.deflate = true
				(&wireCase{texts: []string{"connected", answered}, bytes: masked(fin|rsv1|opText, deflate(asking(22)))}).run(p, false)
			})
		}
	})
}

const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"

// TestDeflateConformance runs cases of RFC 7692 over streams that have agreed on compression.
func TestDeflateConformance(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), func(o *Options) {
			path(o)
			o.Logger = listenTo(t)
		})
		for _, c := range deflateCases() {
			for _, single := range []bool{false, true} {
				if single && len(c.bytes) > 1000 {
					continue
				}
				t.Run(fmt.Sprintf("%s/single=%t", c.name, single), func(t *testing.T) {
					p := b.with(t).open("/v2/tape", offer)
					if !p.deflate {
						t.Fatal("compression was declined")
					}
					c.run(p, single)
				})
			}
		}
		b.stillServes(t)
	})
}

func deflateCases() []wireCase {
	packed := deflate(asking(22))
	flushed := deflate(asking(10)) + "\x00\x00\xff\xff" + deflate(asking(22)[10:])
	return []wireCase{
		{name: "one frame", bytes: masked(fin|rsv1|opText, packed), texts: []string{answered}},
		{name: "not compressed", bytes: masked(fin|opText, asking(22)), texts: []string{answered}},
		{
			name: "both kinds", bytes: slices.Concat(masked(fin|rsv1|opText, packed), masked(fin|opText, "x"), masked(fin|rsv1|opText, packed)),
			texts: []string{answered, refused, answered},
		},
		{name: "fragments", bytes: slices.Concat(masked(rsv1|opText, packed[:5]), masked(opMore, packed[5:9]), masked(fin|opMore, packed[9:])), texts: []string{answered}},
		{name: "empty fragments", bytes: slices.Concat(masked(rsv1|opText, ""), masked(opMore, packed), masked(fin|opMore, "")), texts: []string{answered}},
		{
			name:  "ping between",
			bytes: slices.Concat(masked(rsv1|opText, packed[:5]), masked(fin|opPing, "between"), masked(fin|opMore, packed[5:])),
			texts: []string{answered}, pongs: []string{"between"},
		},
		{name: "empty message", bytes: masked(fin|rsv1|opText, "\x00"), texts: []string{refused}},
		{name: "several blocks", bytes: masked(fin|rsv1|opText, flushed), texts: []string{answered}},
		// The examples of RFC 7692, 7.2.3: the message is Hello, which is no request.
		{name: "example of one block", bytes: masked(fin|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), texts: []string{refused}},
		{name: "example without compression", bytes: masked(fin|rsv1|opText, "\x00\x05\x00\xfa\xffHello\x00"), texts: []string{refused}},
		{name: "example of a final block", bytes: masked(fin|rsv1|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), texts: []string{refused}},
		{name: "example of two blocks", bytes: masked(fin|rsv1|opText, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), texts: []string{refused}},
		{
			name:  "looks back into another message", // both sides go without
			bytes: slices.Concat(masked(fin|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00"), masked(fin|rsv1|opText, "\xf2\x00\x11\x00\x00")),
			texts: []string{refused}, code: 1007,
		},
		{name: "bit on a continuation", bytes: slices.Concat(masked(rsv1|opText, packed[:5]), masked(fin|rsv1|opMore, packed[5:])), code: 1002},
		{name: "bit on the continuation only", bytes: slices.Concat(masked(opText, "{"), masked(fin|rsv1|opMore, packed)), code: 1002},
		{name: "bit on a ping", bytes: masked(fin|rsv1|opPing, ""), code: 1002},
		{name: "bit on a close", bytes: masked(fin|rsv1|opClose, "\x03\xe8"), code: 1002},
		{name: "another bit", bytes: masked(fin|0x20|opText, packed), code: 1002},
		{name: "binary", bytes: masked(fin|rsv1|opBinary, packed), code: 1003},
		{name: "reserved kind of block", bytes: masked(fin|rsv1|opText, "\x07garbage"), code: 1007},
		{name: "wrong length of a stored block", bytes: masked(fin|rsv1|opText, "\x00\x05\x00\x05\x00Hello\x00"), code: 1007},
		{name: "ends within a block", bytes: masked(fin|rsv1|opText, "\x00\xff\x00\x00\xffHello"), code: 1007},
		{name: "not UTF-8", bytes: masked(fin|rsv1|opText, deflate("\"\xff\"")), code: 1007},
		{name: "cut within a character", bytes: masked(fin|rsv1|opText, deflate("a\xe2\x82")), code: 1007},
		{name: "at the limit", bytes: masked(fin|rsv1|opText, deflate(asking(65536))), texts: []string{answered}},
		{name: "above the limit", bytes: masked(fin|rsv1|opText, deflate(asking(65537))), code: 1009},
		{name: "above the limit as it is sent", bytes: head(fin|rsv1|opText, 80_000, 0), code: 1009},
		{name: "nothing for long", bytes: masked(fin|rsv1|opText, strings.Repeat("\x00\x00\x00\xff\xff", 1000)+packed), texts: []string{answered}},
	}
}

// TestDeflateBombs sends small messages that are large when inflated. They are refused at the limit: the server takes memory for that
// and no more.
func TestDeflateBombs(t *testing.T) {
	large := deflate(strings.Repeat("\x00", 48<<20))
	half := deflate(strings.Repeat(" ", 40_000)) + "\x00\x00\xff\xff"
	inner := deflate(strings.Repeat("\x00", 32<<20))
	cases := []wireCase{
		{name: "1 MiB", bytes: masked(fin|rsv1|opText, deflate(strings.Repeat("\x00", 1<<20)))},
		{name: "48 MiB", bytes: masked(fin|rsv1|opText, large)},
		{name: "48 MiB without an end", bytes: masked(rsv1|opText, large)},
		{name: "in fragments", bytes: slices.Concat(masked(rsv1|opText, half), masked(opMore, half), masked(fin|opMore, half))},
		{name: "packed twice", bytes: masked(fin|rsv1|opText, deflate(strings.Repeat(inner, 3)))},
	}
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), path)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				c.code = 1009
				if c.name == "48 MiB without an end" {
					// Whether it is inflated while it comes is the server's choice; it must end with the next fragment at the latest.
					c.bytes = append(slices.Clone(c.bytes), masked(fin|opMore, "\x00")...)
				}
				b.with(t).open("/v2/tape", offer)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range 8 {
					c.run(b.with(t).open("/v2/tape", offer), false)
				}
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
					t.Errorf("refusing 8 bombs took %d bytes", took)
				}
			})
		}
		b.stillServes(t)
	})
}

// TestDeflateTellsTheSame compares what a client gets that has agreed on compression with what one gets that has not.
func TestDeflateTellsTheSame(t *testing.T) {
	eachPath(t, func(t *testing.T, path func(*Options)) {
		b := serve(t, filled(), path)
		plain, packed := b.open("/v2/tape"), b.open("/v2/tape", offer)
		const last = 5000
		read := func(p *peer) []string {
			p.write(masked(fin|opText, `{"action":"subscribe","trades":["SIM:AAPL"],"quotes":["*"],"from":{"time":"2026-11-01T00:00:00Z"}}`), false)
			p.text()
			var events []string
			for {
				var list []json.RawMessage
				if err := json.Unmarshal([]byte(p.text()), &list); err != nil {
					t.Fatal(err)
				}
				for _, event := range list {
					events = append(events, string(event))
					if bytes.Contains(event, fmt.Appendf(nil, `"seq":%d,`, last)) {
						return events
					}
				}
			}
		}
		for seq := uint64(26); seq <= last; {
			var entries []market.Entry
			for range 250 {
				if seq <= last {
					entries = append(entries, trade("SIM:AAPL", seq, 18700+int64(seq%50), t0+market.Time(seq)))
				}
				seq++
			}
			b.tape.Put("sim", entries...)
		}
		want, got := read(plain), read(packed)
		if !slices.Equal(got, want) {
			t.Errorf("%d events came compressed, %d plain, and they differ", len(got), len(want))
		}
		if packed.packed == 0 {
			t.Error("nothing came compressed")
		}
	})
}

// shake sends the request of a handshake, in single bytes if need be.
func (b *bench) shake(request string, single bool) (p *peer, status int, header http.Header) {
	b.t.Helper()
	if !single {
		return b.knock(request)
	}
	n := len(request) - 1
	first := request[:n]
	p = b.dialRaw()
	p.write([]byte(first), true)
	status, header = p.answer(request, n)
	return p, status, header
}

// FuzzSubscribe sends a message to a stream and then one that is known to be refused. Each must be answered: the one in some way, the
// other as ever.
func FuzzSubscribe(f *testing.F) {
	for _, s := range []string{
		`{"action":"subscribe","trades":["SIM:AAPL"],"quotes":["*"],"cursor":true}`, `{"action":"unsubscribe","trades":["*"]}`,
		`{"action":"auth","key":"a","secret":"b"}`, `{"action":"subscribe","bars":["MSFT"],"mode":"latest","every":"50ms"}`,
		`{"action":"subscribe","trades":["*"],"from":{"time":"2026-11-23T14:30:00Z"}}`, `{"action":"subscribe","trades":["*"],"from":{"cursor":"AAAA"}}`,
		`[]`, `{`, ``, `{"action":"subscribe","trades":["\ud800"]}`, `{"action":"play","speed":1e999}`,
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	b := serve(f, filled(), func(o *Options) { o.Logger = listenTo(f) })
	f.Fuzz(func(t *testing.T, text string, packed bool) {
		text = strings.ToValidUTF8(text, "?")
		if len(text) > 64<<10 {
			return
		}
		p := b.with(t).open("/v2/tape", offer)
		defer func() { _ = p.conn.Close() }() // as a client that goes away
		first, payload := byte(fin|opText), text
		if packed {
			first, payload = fin|rsv1|opText, deflate(text)
		}
		p.write(slices.Concat(masked(first, payload), masked(fin|opText, `{"action":"sentinel"}`)), false)
		for n := 0; ; n++ {
			got := p.text()
			if !strings.Contains(got, "sentinel") {
				continue
			}
			if n == 0 && !strings.Contains(text, "sentinel") {
				t.Errorf("%q was not answered", text)
			}
			return
		}
	})
}
