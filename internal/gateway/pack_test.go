package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/tinylib/msgp/msgp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// twins holds MessagePack to the JSON that says the same.
type twins struct {
	t    testing.TB
	d    dialect
	text *json.Decoder
	rest []byte // MessagePack
}

// sameMessage fails the test unless packed has the members of the JSON text in their order, and the same values.
func sameMessage(t testing.TB, d dialect, text, packed []byte) {
	t.Helper()
	w := &twins{t: t, d: d, text: json.NewDecoder(bytes.NewReader(text)), rest: packed}
	w.text.UseNumber()
	w.value("", 0)
	if len(w.rest) > 0 {
		t.Fatalf("%x follows the message for %s", w.rest, text)
	}
}

func (w *twins) token() json.Token {
	w.t.Helper()
	v, err := w.text.Token()
	if err != nil {
		w.t.Fatalf("BUG: not JSON: %v", err)
	}
	return v
}

// must takes the answer of a function that reads MessagePack.
func must[T any](w *twins, what string) func(T, []byte, error) T {
	return func(v T, rest []byte, err error) T {
		w.t.Helper()
		if err != nil {
			w.t.Fatalf("%s: %x: %v", what, w.rest, err)
		}
		w.rest = rest
		return v
	}
}

// value compares the next value, which is the member of that name, and returns whether MessagePack has it.
func (w *twins) value(name string, depth int) {
	w.t.Helper()
	switch v := w.token().(type) {
	case json.Delim:
		if v == '[' {
			n := must[uint32](w, name)(msgp.ReadArrayHeaderBytes(w.rest))
			for ; w.text.More(); n-- {
				w.value("", depth+1)
			}
			if n != 0 {
				w.t.Fatalf("%s: the list says that there are %d more", name, int32(n))
			}
			w.token()
			return
		}
		w.members(depth)
	case nil:
		rest, err := msgp.ReadNilBytes(w.rest)
		must[any](w, name)(nil, rest, err)
	case bool:
		if got := must[bool](w, name)(msgp.ReadBoolBytes(w.rest)); got != v {
			w.t.Fatalf("%s: got %v, want %v", name, got, v)
		}
	case json.Number:
		w.number(name, v.String())
	case string:
		switch name {
		case "t", "r", "from", "to", "oldest":
			if at, err := market.ParseTime(v); err == nil && at != 0 {
				if got := must[time.Time](w, name)(msgp.ReadTimeBytes(w.rest)); !got.Equal(at.Std()) {
					w.t.Fatalf("%s: got %v, want %s", name, got, v)
				}
				return
			}
		}
		if got := must[string](w, name)(msgp.ReadStringBytes(w.rest)); got != v {
			w.t.Fatalf("%s: got %q, want %q", name, got, v)
		}
	}
}

func (w *twins) members(depth int) {
	w.t.Helper()
	n := must[uint32](w, "map")(msgp.ReadMapHeaderBytes(w.rest))
	for w.text.More() {
		name, ok := w.token().(string)
		if !ok {
			w.t.Fatal("BUG: a member without a name")
		}
		before := w.rest
		if n > 0 {
			if got := must[string](w, "name")(msgp.ReadStringBytes(w.rest)); got == name {
				w.value(name, depth+1)
				n--
				continue
			}
		}
		// The SDKs get no time that is nil.
		if w.rest = before; w.d == native || w.token() != nil {
			w.t.Fatalf("got %x, want %q", before, name)
		}
	}
	if n != 0 {
		w.t.Fatalf("the map says that there are %d more", n)
	}
	w.token()
}

func (w *twins) number(name, text string) {
	w.t.Helper()
	kind := msgp.NextType(w.rest)
	want, _ := strconv.ParseFloat(text, 64)
	switch name {
	case "p", "bp", "ap", "o", "h", "l", "c", "vw":
		if w.d != dialects && kind != msgp.Float64Type {
			w.t.Fatalf("%s: got %v, want a float", name, kind)
		}
	case "s", "bs", "as", "v":
		if w.d != stocks {
			break
		}
		limit := big.NewInt(math.MaxUint32)
		if name == "v" {
			limit = big.NewInt(math.MaxInt64)
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			w.t.Fatalf("BUG: %s is no number", text)
		}
		n := new(big.Int).Quo(exact.Num(), exact.Denom())
		if n.Sign() < 0 {
			n.SetInt64(0)
		} else if n.Cmp(limit) > 0 {
			n = limit
		}
		if got := must[uint64](w, name)(msgp.ReadUint64Bytes(w.rest)); got != n.Uint64() {
			w.t.Fatalf("%s: got %d, want %d of %s", name, got, n, text)
		}
		return
	case "i", "n", "seq", "code":
		if w.d != dialects && kind == msgp.Float64Type {
			w.t.Fatalf("%s: got a float", name)
		}
	}
	var got float64
	switch kind {
	case msgp.IntType:
		got = float64(must[int64](w, name)(msgp.ReadInt64Bytes(w.rest)))
	case msgp.UintType:
		got = float64(must[uint64](w, name)(msgp.ReadUint64Bytes(w.rest)))
	case msgp.Float64Type:
		got = must[float64](w, name)(msgp.ReadFloat64Bytes(w.rest))
	default:
		w.t.Fatalf("%s: got %v, want the number %s", name, kind, text)
	}
	if got != want {
		w.t.Fatalf("%s: got %v, want %s", name, got, text)
	}
}

// sameEvent compares both encodings of an event in every dialect.
func sameEvent(t testing.TB, feed string, e *market.Entry, ev *event) {
	t.Helper()
	for d := range dialects {
		text, packed := appendEvent(nil, d, feed, e, ev), appendPacked(nil, d, feed, e, ev)
		switch {
		case d == prices || len(text) == 0:
			if len(packed) > 0 {
				t.Fatalf("dialect %d: got %x, want nothing", d, packed)
			}
		case len(packed) == 0:
			t.Fatalf("dialect %d: got nothing, want %s", d, text)
		default:
			sameMessage(t, d, text, packed)
		}
	}
}

// TestPackSaysWhatJSONSays compares both encodings of one of everything.
func TestPackSaysWhatJSONSays(t *testing.T) {
	g, err := New(Options{Tape: newMemTape(), History: newMemHistory()})
	if err != nil {
		t.Fatal(err)
	}
	bars, err := g.newBars(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.hub.start(nil, bars, 1)
	seen := map[channel]int{}
	m := fixture()
	m.Put("sim", market.Status{Symbol: "SIM:MSFT", State: market.StateHalted, Event: t0, Reason: "news"}.Entry())
	m.Put("sim", market.Status{Symbol: "SIM:MSFT", State: market.StateLive, Event: t0}.Entry())
	for _, rec := range m.Records() {
		b := g.hub.block(rec, g.hub.bars)
		for i := range b.events {
			seen[b.events[i].channel]++
			sameEvent(t, rec.Feed, &rec.Entries[b.events[i].entry], &b.events[i])
		}
	}
	for c := range channels {
		if seen[c] == 0 {
			t.Errorf("the fixture has nothing of channel %d", c)
		}
	}
	sameMessage(t, native, appendHeartbeat(nil, t0), packAnswer(nil, append(appendHeartbeat([]byte{'['}, t0), ']'))[1:]) // behind the head of the list
	sameMessage(t, native, []byte(`{"T":"cursor","c":"AY1x"}`), appendPackedCursor(nil, "AY1x"))
}

// TestPackBytes is the example of docs/protocol.md.
func TestPackBytes(t *testing.T) {
	e := market.Trade{
		Symbol: "SIM:AAPL", Seq: 1042, Event: t0 + 250_000_000, Received: t0 + 250_000_000, Price: dec("187.42"), Size: dec("100"), Side: market.SideBuy,
	}.Entry()
	want := "8a" + "a154a174" + "a153a853494d3a4141504c" + "a169cd0412" + "a170cb40676d70a3d70a3d" + "a17364" + "a174d7ff3b9aca006b044de8" + "a16390" +
		"a3746b73a142" + "a3736571cd0412" + "a172d7ff3b9aca006b044de8"
	if got := hex.EncodeToString(appendPacked(nil, native, "sim", &e, &event{channel: chTrades})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(appendEvent(nil, native, "sim", &e, &event{channel: chTrades}))
	if !strings.Contains(strings.Join(strings.Fields(string(doc)), ""), want) || !strings.Contains(string(doc), text) {
		t.Errorf("docs/protocol.md shows something else than %s in %s", text, want)
	}
}

func TestPackTimes(t *testing.T) {
	for at, size := range map[market.Time]int{
		t0: 6, t0 + 1: 10, market.Second: 6, 1: 10, market.Second - 1: 10, -1: 15, -market.Second: 15, (1<<32 - 1) * market.Second: 6,
		(1 << 32) * market.Second: 10, math.MinInt64 + 1<<50: 15, math.MaxInt64: 10, -1_500_000_000: 15,
	} {
		b := appendPackedTime(nil, at)
		got, rest, err := msgp.ReadTimeBytes(b)
		if err != nil || len(rest) > 0 || len(b) != size || !got.Equal(at.Std()) {
			t.Errorf("%v: got %v in %x, %v; want %d bytes", at, got, b, err, size)
		}
		if v, err := unpackValue(b); err != nil || v != at.String() {
			t.Errorf("%v: read as %v, %v", at, v, err)
		}
	}
	if b := appendPackedTime(nil, 0); !bytes.Equal(b, []byte{0xc0}) {
		t.Errorf("got %x for no time, want nil", b)
	}
}

// TestPackSizes looks at the types of sizes: the SDK for stocks gives up a message over a fraction.
func TestPackSizes(t *testing.T) {
	huge, err := market.NewDecimal(7, 19)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		size           market.Decimal
		others, stocks string
	}{
		{dec("100"), "64", "64"},
		{dec("100.000"), "64", "64"},
		{dec("0"), "00", "00"},
		{dec("0.5"), "cb3fe0000000000000", "00"},
		{dec("1.99"), "cb3fffd70a3d70a3d7", "01"},
		{dec("4294967296"), "cf0000000100000000", "ceffffffff"},
		{dec("-3"), "fd", "00"},
		{dec("9223372036854775807"), "cf7fffffffffffffff", "ceffffffff"},
		{huge, "cb440e5b8fa8fe2ac0", "ceffffffff"}, // 7e19 is more than an integer of 64 bits
		{huge.Neg(), "cbc40e5b8fa8fe2ac0", "00"},
	} {
		for d, want := range map[dialect]string{native: c.others, crypto: c.others, stocks: c.stocks} {
			p := packer{dst: []byte{0x80}, d: d}
			p.size("s", c.size)
			if got := hex.EncodeToString(p.dst); got != "81a173"+want {
				t.Errorf("%s in dialect %d: got %s, want %s", c.size, d, got, "81a173"+want)
			}
		}
	}
	for text, want := range map[string][2]string{
		"300.00": {"cd012c", "cd012c"}, "0.25": {"cb3fd0000000000000", "00"}, "100000000000000000000": {"cb4415af1d78b58c40", "cf7fffffffffffffff"},
	} {
		v, err := market.ParseWide(text)
		if err != nil {
			t.Fatal(err)
		}
		for d, want := range map[dialect]string{native: want[0], crypto: want[0], stocks: want[1]} {
			p := packer{dst: []byte{0x80}, d: d}
			p.volume("v", v)
			if got := hex.EncodeToString(p.dst); got != "81a176"+want {
				t.Errorf("%s in dialect %d: got %s, want %s", text, d, got, "81a176"+want)
			}
		}
	}
}

// TestSDKsNeedThese holds both encodings to what SDKs fail without: a time, and in the dialect of stocks the exchanges.
func TestSDKsNeedThese(t *testing.T) {
	e := trade("SIM:BTC-USD", 1, 100, 0)
	q := quote("SIM:BTC-USD", 1, 0)
	e.Received, q.Received = t0, t0
	for d, want := range map[dialect][2]string{
		native: {
			`{"T":"t","S":"SIM:BTC-USD","i":1,"p":1.00,"s":100,"t":null,"c":[],"tks":"B","seq":1,"r":"2026-11-23T14:30:00Z"}`,
			`{"T":"q","S":"SIM:BTC-USD","bp":187.41,"bs":3,"ap":187.43,"as":2,"t":null,"c":[],"seq":1,"r":"2026-11-23T14:30:00Z"}`,
		},
		stocks: {
			`{"T":"t","S":"BTC-USD","i":1,"p":1.00,"s":100,"t":"2026-11-23T14:30:00Z","x":"","c":[],"tks":"B","seq":1,"r":"2026-11-23T14:30:00Z"}`,
			`{"T":"q","S":"BTC-USD","bx":"","bp":187.41,"bs":3,"ax":"","ap":187.43,"as":2,"t":"2026-11-23T14:30:00Z","c":[],"seq":1,"r":"2026-11-23T14:30:00Z"}`,
		},
		crypto: {
			`{"T":"t","S":"BTC/USD","i":1,"p":1.00,"s":100,"t":"2026-11-23T14:30:00Z","c":[],"tks":"B","seq":1,"r":"2026-11-23T14:30:00Z"}`,
			`{"T":"q","S":"BTC/USD","bp":187.41,"bs":3,"ap":187.43,"as":2,"t":"2026-11-23T14:30:00Z","c":[],"seq":1,"r":"2026-11-23T14:30:00Z"}`,
		},
	} {
		if got := string(appendEvent(nil, d, "sim", &e, &event{channel: chTrades})); got != want[0] {
			t.Errorf("got  %s\nwant %s", got, want[0])
		}
		if got := string(appendEvent(nil, d, "sim", &q, &event{channel: chQuotes})); got != want[1] {
			t.Errorf("got  %s\nwant %s", got, want[1])
		}
	}
	sameEvent(t, "sim", &e, &event{channel: chTrades})
	sameEvent(t, "sim", &q, &event{channel: chQuotes})
	if e.Event != 0 || q.Event != 0 {
		t.Error("an entry of the tape was changed")
	}
}

func TestPackAllocates(t *testing.T) {
	b := record(100)
	dst := make([]byte, 0, 64<<10)
	for d := range prices {
		if n := testing.AllocsPerRun(100, func() {
			out := dst
			for i := range b.events {
				out = appendPacked(out, d, "sim", &b.rec.Entries[i], &b.events[i])
			}
		}); n != 0 {
			t.Errorf("dialect %d: got %v allocations, want none", d, n)
		}
	}
}

func BenchmarkPack(b *testing.B) {
	r := record(1000)
	dst := make([]byte, 0, 1<<20)
	for b.Loop() {
		dst = dst[:0]
		for i := range r.events {
			dst = appendPacked(dst, native, "sim", &r.rec.Entries[i], &r.events[i])
		}
	}
	b.SetBytes(int64(len(dst)))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

// FuzzPack holds MessagePack to JSON for any entry.
func FuzzPack(f *testing.F) {
	f.Add(uint8(0), uint8(1), "SIM:AAPL", "V", "@,I", "text", uint64(1042), uint64(0), int64(t0), int64(t0+1), int64(18742), int8(-2), int64(100), int8(0))
	f.Add(uint8(1), uint8(0), "COINBASE:BTC-USD", "", "", "", uint64(7), uint64(9), int64(0), int64(5), int64(-1), int8(9), int64(1), int8(-8))
	f.Add(uint8(2), uint8(9), "X:A-B-C", "\xff", ",", "\u2028", uint64(math.MaxUint64), uint64(1), int64(-1), int64(0), int64(1)<<62, int8(40), int64(15), int8(-1))
	f.Fuzz(func(t *testing.T, c, bits uint8, symbol, exchange, conditions, text string, seq, id uint64, at, received, price int64, exp int8, size int64, sizeExp int8) {
		p, err := market.NewDecimal(price, int(exp))
		if err != nil {
			t.Skip()
		}
		s, err := market.NewDecimal(size, int(sizeExp))
		if err != nil {
			t.Skip()
		}
		e := market.Entry{
			Symbol: market.Symbol(symbol), Seq: seq, ID: id, Event: market.Time(at), Received: market.Time(received), Until: market.Time(at ^ received),
			Price: p, Size: s, Ask: p, AskSize: s, Exchange: exchange, Conditions: conditions, Text: text, Ref: text, AskFrom: text,
			Kind: market.KindTrade, Side: market.Side(bits % 3), State: market.State(bits % 7), Tape: bits, Flags: market.Flags(bits),
		}
		ev := event{channel: channel(c % uint8(channels))}
		if ev.channel == chQuotes {
			e.Kind = market.KindQuote
		}
		w, err := market.Product(p, s)
		if err != nil {
			w = market.WideOf(s)
		}
		ev.bar = &market.Bar{
			Symbol: e.Symbol, Start: e.Event, Open: p, High: p, Low: s, Close: p, Volume: w, Turnover: market.WideOf(p), Count: id, Gappy: bits&1 != 0,
		}
		if !inYears(e.Event) || !inYears(e.Received) || !inYears(e.Until) {
			t.Skip() // JSON has them, but our own parser does not read the ends of market.Time back
		}
		sameEvent(t, text, &e, &ev)
		if b := appendPacked(nil, native, text, &e, &ev); len(b) > 0 {
			if _, err := unpackValue(b); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
		}
	})
}

func inYears(t market.Time) bool {
	_, err := market.ParseTime(t.String())
	return err == nil
}

// TestPackAnswer holds the answers of the stream to their JSON, and looks at how long what they hold is written.
func TestPackAnswer(t *testing.T) {
	names := []string{"connected", "authenticated", "subscription", "status-unknown", "error", "error-416", "heartbeat", "status", "gap", "gap-feed"}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(wireFolder, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		sameMessage(t, native, text, packAnswer(nil, text))
	}
	long := []byte(`[`)
	for i := range 70_000 {
		long = strconv.AppendInt(append(long, ","[:min(i, 1)]...), int64(i-5), 10)
	}
	for _, text := range []string{
		string(long) + "]", `[1.5,-1,18446744073709551615,1e400,true,false,null,{"t":"no time","from":"2026-11-23T14:30:00Z","x":"2026-11-23T14:30:00Z"}]`,
		`{"a":[],"b":{},"c":[[[[1,2],[3]]]]}`, `{"t":null,"oldest":"2026-11-23T14:30:00.000000001+05:00"}`,
	} {
		got := packAnswer([]byte("before"), []byte(text))
		if !bytes.HasPrefix(got, []byte("before")) {
			t.Fatalf("got %.20x, want what was there before", got)
		}
		sameMessage(t, dialects, []byte(text), got[len("before"):])
	}
	if got, want := hex.EncodeToString(packAnswer(nil, []byte(`[{"T":"success","msg":"connected"}]`))), "9182a154a773756363657373a36d7367a9636f6e6e6563746564"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, text := range []string{"", "[", "[1]]", `{"a"`, `{"a":1]`, "[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]", "nonsense"} {
		v, err := unpackValue(packAnswer(nil, []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(v); err != nil || string(got) != `[{"T":"error","code":500,"msg":"internal error"}]` {
			t.Errorf("%.20s: got %s, %v, want an error message", text, got, err)
		}
	}
}

// FuzzPackAnswer holds any JSON to what it becomes.
func FuzzPackAnswer(f *testing.F) {
	for _, s := range []string{
		`[{"T":"success","msg":"connected"}]`, `[{"T":"subscription","trades":["SIM:AAPL"],"quotes":[]}]`,
		`[{"T":"error","code":416,"msg":"\u003c\ufffd","reason":"trimmed","oldest":"2026-11-23T14:30:00.25Z","candidates":["A:B"]}]`,
		`[1,-1,1.5,1e99,184467440737095516150,null,true,{}]`, `[`, `{"t":"1969-12-31T23:59:59.5Z"}`, `["\ud800"]`, tape.Cursor{}.String(),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := packAnswer(nil, text)
		if rest, err := msgp.Skip(got); err != nil || len(rest) > 0 {
			t.Fatalf("%s: %x is not MessagePack: %v", text, got, err)
		}
		if json.Valid(text) && !bytes.Equal(got, packAnswer(nil, nil)) {
			sameMessage(t, dialects, text, got)
		}
	})
}

// packed is a client that speaks MessagePack.
type packed struct{ *client }

// say sends a request of JSON in MessagePack, in fragments, as the SDK for Python does.
func (c packed) say(text string) {
	c.t.Helper()
	w, err := c.ws.Writer(c.t.Context(), websocket.MessageBinary)
	if err != nil {
		c.t.Fatal(err)
	}
	data := packAnswer(nil, []byte(text))
	for _, part := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
		if _, err := w.Write(part); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// wantPacked reads the next message and compares it with JSON.
func (c packed) wantPacked(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	kind, data, err := c.ws.Read(ctx)
	if err != nil || kind != websocket.MessageBinary {
		c.t.Fatalf("got %v %q, %v, want a binary message", kind, data, err)
	}
	sameMessage(c.t, native, []byte(text), data)
}

// TestPackedStream speaks MessagePack with the native stream, which has what no SDK knows, and JSON in between.
func TestPackedStream(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:AAPL", 1, 18700, t0))
	b := serve(t, m, nil)
	c := packed{b.dial("/v2/tape?encoding=msgpack")}
	c.wantPacked(`[{"T":"success","msg":"connected"}]`)
	c.say(`{"action":"auth","key":"k","secret":"s"}`)
	c.wantPacked(`[{"T":"success","msg":"authenticated"}]`)
	c.say(`{"action":"subscribe","trades":["SIM:AAPL","SIM:NEW"],"cursor":true}`)
	c.wantPacked(`[{"T":"subscription","trades":["SIM:AAPL","SIM:NEW"],"quotes":[],"bars":[],"updatedBars":[],"dailyBars":[],"statuses":[],` +
		`"alerts":[],"lulds":[],"corrections":["SIM:AAPL","SIM:NEW"],"cancelErrors":["SIM:AAPL","SIM:NEW"]}]`)
	c.wantPacked(`[{"T":"status","S":"SIM:NEW","state":"unknown"}]`)
	m.Put("sim", trade("SIM:AAPL", 2, 18742, t0+1), market.Gap{Symbol: "SIM:AAPL", From: t0, To: t0 + 1, Reason: "connection lost"}.Entry())
	place := tape.Cursor{Epoch: m.Epoch, Position: m.Bounds().Last, Index: tape.AllEntries}.String()
	due := `{"T":"t","S":"SIM:AAPL","i":2,"p":187.42,"s":100,"t":"2026-11-23T14:30:00.000000001Z","c":[],"tks":"B","seq":2,"r":"2026-11-23T14:30:00.001000001Z"},` +
		`{"T":"gap","S":"SIM:AAPL","feed":"sim","from":"2026-11-23T14:30:00Z","to":"2026-11-23T14:30:00.000000001Z","filled":false,"reason":"connection lost"},` +
		`{"T":"cursor","c":"` + place + `"}`
	c.wantPacked("[" + due + "]")
	c.send(`{"action":"subscribe","trades":[1]}`)
	c.wantPacked(`[{"T":"error","code":400,"msg":"invalid syntax: \"trades\" must be a list of symbols; number 1 is none"}]`)
	if err := c.ws.Write(t.Context(), websocket.MessageBinary, []byte{0x81, 0xa1}); err != nil {
		t.Fatal(err)
	}
	c.wantPacked(`[{"T":"error","code":400,"msg":"invalid syntax: not MessagePack: it ends too early"}]`)

	// The past is the same, whether by header or by address.
	later, _ := b.tryDial("/v2/tape", "Content-Type", "application/msgpack")
	if later == nil {
		t.Fatal("the handshake was refused")
	}
	c = packed{later}
	c.wantPacked(`[{"T":"success","msg":"connected"}]`)
	c.say(`{"action":"subscribe","trades":["AAPL"],"cursor":true,"from":{"cursor":"` + tape.Cursor{Epoch: m.Epoch, Position: 1, Index: tape.AllEntries}.String() + `"}}`)
	c.wantPacked(`[{"T":"subscription","trades":["SIM:AAPL"],"quotes":[],"bars":[],"updatedBars":[],"dailyBars":[],"statuses":[],` +
		`"alerts":[],"lulds":[],"corrections":["SIM:AAPL"],"cancelErrors":["SIM:AAPL"]}]`)
	c.wantPacked("[" + due + "]")
}
