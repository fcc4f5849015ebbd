package alpaca

import (
	"fmt"
	"strings"
	"testing"

	"tapedeck/internal/venue"
)

// frame is a message of n trades, in JSON.
func frame(n int) []byte {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(
			`{"T":"t","S":"AAPL","i":%d,"x":"K","p":162.9%d,"s":3,"c":["@","F","T","I"],"z":"C","t":"2023-04-06T11:54:26.8382322%02dZ"}`, 628+i, i%10, i%100))
	}
	return []byte("[" + strings.Join(list, ",") + "]")
}

// packedFrame is the message of the vendor's example, with n trades.
func packedFrame(n int) []byte {
	one := "\x89\xa1T\xa1t\xa1S\xa4AAPL\xa1i\x01\xa1x\xa1N\xa1p\xcb\x40\x60\xd1\xeb\x85\x1e\xb8\x52\xa1s\x03\xa1c\x91\xa1 \xa1z\xa1A\xa1t\xd7\xff\x45\x81\xee\x2c\x6a\xa9\x25\xa1"
	return []byte("\xdc\x00" + string(rune(n)) + strings.Repeat(one, n))
}

func TestAllocations(t *testing.T) {
	for name, message := range map[string][]byte{"json": frame(100), "msgpack": packedFrame(100)} {
		s, out := start(t, open(t, nil), "AAPL")
		out.Reset()
		n := testing.AllocsPerRun(100, func() {
			out.Reset()
			if err := s.Message(message, now, out); err != nil || len(out.Entries) != 100 {
				t.Fatalf("%s: %d entries, %v", name, len(out.Entries), err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations in a message of 100 trades, want none", name, n)
		}
	}
}

// BenchmarkDecode counts trades, in messages of one and of ten: the stream of all stocks has about ten in a busy second.
func BenchmarkDecode(b *testing.B) {
	for name, message := range map[string][]byte{
		"json/1": frame(1), "json/10": frame(10), "msgpack/1": packedFrame(1), "msgpack/10": packedFrame(10),
	} {
		b.Run(name, func(b *testing.B) {
			s, out := start(b, open(b, nil), "AAPL")
			trades := 0
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				if err := s.Message(message, now, out); err != nil {
					b.Fatal(err)
				}
				trades += len(out.Entries)
			}
			b.ReportMetric(float64(trades)/b.Elapsed().Seconds(), "trades/s")
		})
	}
}

func FuzzMessage(f *testing.F) {
	v := open(f, nil)
	for _, seed := range []string{
		string(frame(2)), string(packedFrame(2)), `[{"T":"success","msg":"authenticated"}]`, `[{"T":"subscription","trades":["AAPL"]}]`,
		`[{"T":"error","code":405,"msg":"symbol limit exceeded"}]`, `[{"T":"q","S":"AAPL","bx":"K","bp":91.95,"bs":2,"ax":"Q","ap":91.98,"as":1,"c":["R"]}]`,
		`[{"T":"c","S":"AAPL","oi":1,"op":1,"os":1,"ci":2}]`, `[{"T":"s","S":"AAPL","sc":"H"}]`, `[{"T":"success","msg":"connected"},{"T":"success","msg":"authenticated"}]`,
		"\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\x91\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		s := v.Session(venue.Trades|venue.Quotes, named(t, v, "AAPL"))
		out := &venue.Output{}
		tell(t, s, out, `[{"T":"success","msg":"connected"}]`, `[{"T":"success","msg":"authenticated"}]`)
		if err := s.Message(message, now, out); err != nil {
			return
		}
		for i := range out.Entries {
			e := &out.Entries[i]
			if e.Symbol != "ALPACA:AAPL" || e.Received != now || e.Event == 0 || e.IsTick() && (e.Price.Sign() < 0 || e.Size.Sign() < 0) {
				t.Errorf("%q became %+v", message, e)
			}
		}
	})
}

func FuzzPage(f *testing.F) {
	v := open(f, nil)
	for _, seed := range []string{
		`{"trades":{"AAPL":[{"t":"2021-10-13T08:00:00.08960768Z","x":"P","p":140.2,"s":595,"c":["@","T"],"i":1,"z":"C"}]},"next_page_token":"QUF"}`,
		`{"trades":{"A":[{"t":"2022-10-21T20:19:03.752176Z","x":"D","p":129.88,"s":5,"c":null,"i":71697353758036,"z":"A","u":"canceled"}]},"next_page_token":null}`,
		`{"trades":{},"currency":"MXN"}`, `{"trades":[]}`, `{"message":"forbidden."}`,
	} {
		f.Add([]byte(seed))
	}
	hole := &venue.Hole{Instrument: named(f, v, "AAPL")[0], Now: now}
	hole.After.Event = 1
	f.Fuzz(func(t *testing.T, body []byte) {
		h := v.History()
		asked := h.First(hole)
		got, next, complete, err := h.Page(hole, asked, &venue.Reply{Status: 200, Body: body}, nil)
		if err != nil && (len(got) > 0 || next != nil || complete) || err == nil && (next == nil) != complete {
			t.Errorf("%q: %d entries, next %v, complete %v, %v", body, len(got), next, complete, err)
		}
		for i := range got {
			if e := &got[i]; e.Kind != 1 || e.Symbol != "ALPACA:AAPL" || e.Event == 0 || e.Price.Sign() <= 0 {
				t.Errorf("%q became %+v", body, e)
			}
		}
	})
}
