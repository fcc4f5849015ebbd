package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

func TestStrings(t *testing.T) {
	for in, want := range map[string]string{
		"plain": `"plain"`, "q\"\\": `"q\"\\"`, "\n\x00\x7f": `"\n\u0000\u007f"`, "é–😀": `"é–😀"`, "\xff": `"\ufffd"`, "</script>": `"\u003c/script\u003e"`,
		"a&b": `"a\u0026b"`, "\u2028\u2029": `"\u2028\u2029"`,
	} {
		if got := string(appendString(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func FuzzString(f *testing.F) {
	f.Add("AAPL")
	f.Add("\xff\u2028<\"")
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if utf8.ValidString(s) && got != s {
			t.Fatalf("got %q, want %q", got, s)
		}
	})
}

func TestConditions(t *testing.T) {
	for in, want := range map[string]string{"": `[]`, "@": `["@"]`, "@,I": `["@","I"]`, " ,": `[" ",""]`} {
		if got := string(appendConditions(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// record makes a block of n trades and quotes of 50 symbols.
func record(n int) *block {
	b := &block{rec: &tape.Record{Position: 1, Through: 1, Batch: tape.Batch{Feed: "sim"}}}
	for i := range n {
		symbol := market.Symbol("SIM:SYM" + string(rune('A'+i%50/10)) + string(rune('0'+i%10)))
		e, c := trade(symbol, uint64(i), 18742+int64(i), t0+market.Time(i)*1_234_567), chTrades
		if i%3 == 0 {
			e, c = quote(symbol, uint64(i), t0+market.Time(i)*1_234_567), chQuotes
		}
		b.rec.Entries = append(b.rec.Entries, e)
		b.events = append(b.events, event{entry: int32(i), symbol: uint32(i%50) + 1, channel: c})
	}
	return b
}

func TestEncodeAllocates(t *testing.T) {
	b := record(100)
	dst := make([]byte, 0, 64<<10)
	if n := testing.AllocsPerRun(100, func() {
		out := dst
		for i := range b.events {
			out = b.append(out, native, asText, i)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// TestCopyAllocates holds what a session does for each frame, once its buffers are there, to no allocation.
func TestCopyAllocates(t *testing.T) {
	g, err := New(Options{Tape: newMemTape(), History: newMemHistory()})
	if err != nil {
		t.Fatal(err)
	}
	b := record(100)
	b.in(native, asText)
	s := newSession(g, "/v2/tape", manner{})
	s.subs.sets[chTrades].add("SIM:SYMA1", 2)
	s.subs.sets[chQuotes].all = true
	p := &parcel{buf: make([]byte, 0, 64<<10)}
	var sc scratch
	st := &stretch{}
	if n := testing.AllocsPerRun(100, func() {
		p.reset()
		s.copy(st, b, p)
		s.seal(p, &sc)
	}); n != 0 || len(p.bytes()) == 0 {
		t.Errorf("got %v allocations, want none; %d bytes", n, len(p.bytes()))
	}
}

// TestPublishAllocates holds the hub to what it allocates for a record of 1,000 ticks: its block and what it is made of, nothing
// for each tick.
func TestPublishAllocates(t *testing.T) {
	m := newMemTape()
	g, err := New(Options{Tape: m, History: newMemHistory(), Ring: 5000})
	if err != nil {
		t.Fatal(err)
	}
	bars, err := g.newBars(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.hub.start(nil, bars, 1)
	entries := record(1000).rec.Entries
	for i := range entries {
		entries[i].Event = t0
	}
	pos, seq := tape.Position(0), uint64(0)
	if n := testing.AllocsPerRun(50, func() {
		for i := range entries {
			seq++
			entries[i].Seq = seq
		}
		pos++
		g.hub.publish(&tape.Record{Position: pos, Through: pos, Batch: tape.Batch{Feed: "sim", Entries: entries}})
	}); n > 10 {
		t.Errorf("got %v allocations, want at most 10", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := record(1000)
	dst := make([]byte, 0, 1<<20)
	b.SetBytes(int64(len(r.in(native, asText).data)))
	for b.Loop() {
		dst = dst[:0]
		for i := range r.events {
			dst = r.append(dst, native, asText, i)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

func FuzzClientMessage(f *testing.F) {
	for _, s := range []string{
		`{"action":"auth","key":"k","secret":"s"}`,
		`{"action":"subscribe","trades":["SIM:AAPL"],"quotes":["*"],"bars":null,"cursor":true,"mode":"latest","every":"50ms"}`,
		`{"action":"subscribe","trades":["*"],"from":{"cursor":"` + tape.Cursor{Position: 7, Index: 3}.String() + `"}}`,
		`{"action":"subscribe","trades":["*"],"from":{"time":"2026-11-23T14:30:00Z"}}`,
		`{"action":"unsubscribe","trades":["AAPL","BTC/USD"]}`,
		`{"action":"play","from":"2026-11-23T14:30:00Z","to":1795444200,"speed":10}`, `{"action":"play","from":{"time":"2026-11-23"},"speed":"max"}`,
		`{"action":"play","from":{"cursor":"` + tape.Cursor{Position: 1}.String() + `"}}`, `{"action":"seek","time":"2026-11-23T14:30:00Z"}`,
		`{"action":"speed","speed":0.5}`, `{"action":"step","ticks":7}`, `{"action":"pause"}`, `{"action":"resume"}`, `{"action":"live"}`,
		`[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]`, `{"a":1,"a":2}`, `{"action"`, "\xff", `{"action":"subscribe"}x`,
	} {
		f.Add([]byte(s))
	}
	m := filled()
	h := newMemHistory()
	g, err := New(Options{Tape: m, History: h})
	if err != nil {
		f.Fatal(err)
	}
	g.hub.start(nil, nil, 1)
	for _, rec := range m.Records() {
		g.hub.publish(rec)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseRequest(false, text)
		if err != nil {
			if text := (&refusal{code: 400, msg: err.Error()}).append(nil); !json.Valid(text) {
				t.Fatalf("the answer is not JSON: %s", text)
			}
			return
		}
		s := newSession(g, "/v2/tape", manner{})
		switch r.action {
		case "subscribe":
			if s.subscribe(t.Context(), r) != nil {
				return
			}
		case "unsubscribe":
			if s.unsubscribe(r) != nil {
				return
			}
		default:
			if !isOrder(r.action) {
				break
			}
			comply(t, s, `{"action":"subscribe","trades":["*"],"bars":["*"]}`)
			if s.command(t.Context(), r.action, &r.order) != nil {
				return
			}
			if said := unframe(t, s.unsent()); said != "" && !json.Valid([]byte(said)) {
				t.Fatalf("the clock is not JSON: %s", said)
			}
		}
		echo := s.subs.echo(nil, native)
		if !json.Valid(echo) {
			t.Fatalf("the answer is not JSON: %s", echo)
		}
		if s.subs.empty() {
			return
		}
		for range 10 {
			if s.isCurrent() {
				break
			}
			if text := nextFrame(t, s); text != "" && !json.Valid([]byte(text)) {
				t.Fatalf("the frame is not JSON: %s", text)
			}
		}
	})
}

func FuzzPageToken(f *testing.F) {
	f.Add(pageToken{symbol: "SIM:AAPL", key: market.TickKey{Event: t0, Seq: 42}, hash: 7, from: t0 - 1}.String())
	f.Add(pageToken{symbol: "X:Y", key: market.TickKey{Event: -1}}.String())
	f.Add("")
	f.Add("AAAA")
	f.Add(strings.Repeat("A", 150))
	f.Fuzz(func(t *testing.T, s string) {
		token, err := parseToken(s)
		if err != nil {
			return
		}
		again, err := parseToken(token.String())
		if err != nil || again != token {
			t.Fatalf("got %+v and %v, want %+v", again, err, token)
		}
	})
}

// FuzzQuery asks for ticks and bars with any query: never a panic, always an answer that is JSON or CSV with a status that fits.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"limit=2&symbol=AAPL", "from=2026-11-23&to=1795444230", "format=csv&symbol=BTC/USD", "start=2026-11-23T14:30:00Z&end=2026-11-24&limit=3&sort=desc",
		"timeframe=5Min&limit=2", "timeframe=1Day&sort=desc&page_token=AAAA", "symbols=AAPL,BTC/USD,SIM:MSFT&limit=1", "limit=-1", "%zz", "a=1&a=2;b",
		"format=csv&timeframe=1Month&limit=3&symbols=AAPL,BTC/USD", "symbols=AAPL&feed=sip&currency=USD", "timeframe=1Week&adjustment=split,all&end=1680-01-01",
		"from=9223372036854775807&to=-9223372036854775808", "start=99999999999", "end=0", "from=20261123",
	} {
		f.Add(s)
	}
	m := filled()
	b := serve(f, m, nil)
	routes := b.g.Handler()
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{
			"/history", "/v2/stocks/AAPL/trades", "/v2/stocks/quotes", "/v2/stocks/AAPL/bars", "/v2/stocks/bars", "/v2/stocks/bars/latest",
			"/v2/stocks/snapshots", "/v1beta3/crypto/us/snapshots",
		} {
			checkAnswer(t, routes, path, query)
		}
	})
}
