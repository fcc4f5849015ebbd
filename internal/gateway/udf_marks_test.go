package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/market"
)

// udfMark is a mark, on the chart or below it.
type udfMark struct {
	ID      string   `json:"id"`
	Time    int64    `json:"time"`
	Color   string   `json:"color"`
	Label   string   `json:"label"`
	Text    string   `json:"text"`
	Tooltip []string `json:"tooltip"`
	Font    string   `json:"labelFontColor"`
	Size    int      `json:"minSize"`
	Shape   string   `json:"shape"`
}

func alarm(s market.Symbol, seq uint64, when market.Time, text string) market.Entry {
	return market.Alarm{Symbol: s, Seq: seq, Event: when, Price: dec("1.00"), Text: text}.Entry()
}

// waitFor returns when the hub has read all of the tape.
func (b *bench) waitFor() {
	for b.g.hub.end.Load() <= uint64(b.tape.Bounds().Last) {
		runtime.Gosched()
	}
}

func TestUDFMarks(t *testing.T) {
	start := t0.Floor(market.Hour)
	minute := func(i int) market.Time { return start + market.Time(i)*market.Minute }
	second := func(i int) int64 { return int64(minute(i) / market.Second) }
	m := newMemTape()
	var entries []market.Entry
	for i, at := range []int{0, 1, 2, 10, 11, 40} {
		entries = append(entries, trade("SIM:A", uint64(i+1), 100, minute(at)))
	}
	m.Put("sim", entries...)
	b := serveUDF(t, m, nil,
		market.Gap{Symbol: "SIM:A", From: minute(1) + 5*market.Second, To: minute(2), Reason: "lost <b>it</b>"},
		market.Gap{From: minute(5), To: minute(9), Flags: market.FlagFilled}, // where no bar is
		market.Gap{Symbol: "SIM:B", From: minute(1), To: minute(2)},
		market.Gap{Symbol: "SIM:A", Reason: "who knows when"},
		market.Gap{Symbol: "SIM:A", From: minute(-5), To: minute(1)}, // before the first bar
		// Filled as a whole, and another in part.
		market.Gap{Symbol: "SIM:A", From: minute(10), To: minute(10) + 9},
		market.Gap{Symbol: "SIM:A", From: minute(10), To: minute(10) + 9, Flags: market.FlagFilled},
		market.Gap{Symbol: "SIM:A", From: minute(40), To: minute(40) + 9},
		market.Gap{Symbol: "SIM:A", From: minute(40), To: minute(40) + 5, Flags: market.FlagFilled},
	)
	var alarms []market.Entry
	for i := range 13 {
		alarms = append(alarms, alarm("SIM:A", 5, minute(11)+market.Time(i), fmt.Sprintf("rule %d", i)))
	}
	m.Put("sim", append(alarms, alarm("SIM:A", 6, minute(70), "late"), alarm("SIM:B", 1, minute(11), "another's"))...)
	b.waitFor()

	var list []udfMark
	b.udf(fmt.Sprintf("marks?symbol=A&resolution=1&from=%d&to=%d", second(-60), second(60)), &list)
	if len(list) != 16 {
		t.Fatalf("got %d marks: %+v", len(list), list)
	}
	times := map[int64]int{}
	ids := map[string]bool{}
	for _, x := range list {
		times[x.Time]++
		ids[x.ID] = true
		if x.Color == "" || len(x.Label) != 1 || x.Text == "" || x.Font == "" || x.Size == 0 || strings.ContainsAny(x.Text, "<>") {
			t.Errorf("got %+v", x)
		}
	}
	if len(ids) != 16 || times[second(1)] != 1 || times[second(2)] != 1 || times[second(11)] != 10 || times[second(10)] != 1 || times[second(40)] != 3 {
		t.Errorf("got the times %v, %d names", times, len(ids))
	}
	if x := list[0]; x.Color != "red" || !strings.Contains(x.Text, ":01:05Z to ") || !strings.Contains(x.Text, "lost") {
		t.Errorf("got %+v", x)
	}
	if x := list[1]; x.Color != "green" || !strings.Contains(x.Text, "fetched") {
		t.Errorf("got %+v", x)
	}
	if x := list[2]; x.Time != second(10) || x.Color != "green" {
		t.Errorf("got %+v", x)
	}
	if x, y := list[13], list[14]; x.Color+y.Color != "redgreen" {
		t.Errorf("got %+v and %+v", x, y)
	}
	if x := list[12]; x.Text != "4 more" {
		t.Errorf("got %+v", x)
	}
	// Whatever part is asked for, each mark is where it was.
	for _, resolution := range []string{"1", "5", "60", "1D", "1M"} {
		var whole, pieces []udfMark
		b.udf(fmt.Sprintf("timescale_marks?symbol=SIM:A&resolution=%s&from=0&to=%d", resolution, second(600)), &whole)
		bars, _ := b.bars("SIM:A", resolution, 0, second(600), 0)
		for i := range bars {
			var some []udfMark
			b.udf(fmt.Sprintf("timescale_marks?symbol=SIM:A&resolution=%s&from=%d&to=%d", resolution, bars[i].Time, bars[i].Time), &some)
			pieces = append(pieces, some...)
		}
		if len(whole) == 0 || fmt.Sprint(whole) != fmt.Sprint(pieces) {
			t.Errorf("%s: got %v in pieces, %v at once", resolution, pieces, whole)
		}
		for _, x := range whole {
			if len(x.Tooltip) != 1 || x.Shape == "" || !slices.ContainsFunc(bars, func(b udfBar) bool { return b.Time == x.Time }) {
				t.Errorf("%s: got %+v", resolution, x)
			}
		}
	}
	// Nothing there: a list all the same.
	if _, _, body := b.get("/udf/marks?symbol=A&resolution=1&from=0&to=1"); body != "[]\n" {
		t.Errorf("got %s", body)
	}
}

// TestUDFMarksOfMemory asks where history knows no gaps: those in memory are told.
func TestUDFMarksOfMemory(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serve(t, m, nil)
	m.Put("sim", market.Gap{From: t0 + 1, To: t0 + 2, Reason: "lost"}.Entry())
	m.Put("other", market.Gap{From: t0 + 1, To: t0 + 2, Reason: "not ours"}.Entry())
	b.waitFor()
	var list []udfMark
	b.udf(fmt.Sprintf("marks?symbol=A&resolution=1&from=0&to=%d", t0/market.Second), &list)
	if len(list) != 1 || !strings.Contains(list[0].Text, "lost") {
		t.Errorf("got %+v", list)
	}
}

// liner reads /udf/streaming.
type liner struct {
	t    testing.TB
	body io.ReadCloser
	r    *bufio.Reader
	end  context.CancelFunc
}

func (b *bench) lines(query string) *liner {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/udf/streaming?"+query, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.server.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/x-ndjson" {
		b.t.Fatalf("got %d %v", response.StatusCode, response.Header)
	}
	return &liner{b.t, response.Body, bufio.NewReader(response.Body), cancel}
}

// next returns the next line, or "end".
func (l *liner) next() string {
	line, err := l.r.ReadString('\n')
	if err != nil {
		return "end"
	}
	return strings.TrimSuffix(line, "\n")
}

func TestUDFStreaming(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0), trade("SIM:B", 1, 100, t0))
	b := serveUDF(t, m, nil)
	some, all, both := b.lines("symbols=a,SIM:A"), b.lines(""), b.lines("symbols=B,A&quotes=true")
	undated := trade("SIM:C", 1, 300, 0)
	undated.Received = t0 + 2*market.Second
	m.Put("sim", trade("SIM:A", 2, 18742, t0+999_999_999), quote("SIM:B", 1, t0+market.Second), undated, alarm("SIM:A", 2, t0, "x"))
	const a = `{"f":"t","id":"SIM:A","p":187.42,"s":100,"t":1795444200}`
	const c = `{"f":"t","id":"SIM:C","p":3.00,"s":100,"t":1795444202}`
	const q = `{"f":"q","id":"SIM:B","bp":187.41,"bs":3,"ap":187.43,"as":2,"t":1795444201}`
	for _, test := range []struct {
		l    *liner
		want []string
	}{{some, []string{a}}, {all, []string{a, c}}, {both, []string{a, q}}} {
		for _, want := range test.want {
			if got := test.l.next(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	b.stop()
	for _, l := range []*liner{some, all, both} {
		if got := l.next(); got != "end" {
			t.Errorf("got %s after the end", got)
		}
	}
}

func TestUDFStreamingIsAlive(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serveUDF(t, m, func(o *Options) { o.Heartbeat = time.Millisecond })
	l := b.lines("symbols=A")
	for range 3 {
		if got := l.next(); got != "" {
			t.Fatalf("got %q, want a blank line", got)
		}
	}
}

// TestUDFStreamingCounts lets streams in up to the limit, and one more when one has gone.
func TestUDFStreamingCounts(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serveUDF(t, m, func(o *Options) { o.Limits.Connections = 1 })
	l := b.lines("")
	if code, h, _ := b.get("/udf/streaming"); code != 503 || h.Get("Retry-After") == "" {
		t.Errorf("got %d", code)
	}
	l.end()
	for {
		b.g.mu.Lock()
		n := b.g.total
		b.g.mu.Unlock()
		if n == 0 {
			break
		}
		runtime.Gosched()
	}
	b.lines("")
}

// TestUDFStreamingSlow reads late what has left memory: each trade once, in order.
func TestUDFStreamingSlow(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0))
	b := serveUDF(t, m, func(o *Options) { o.Ring = 20 })
	l := b.lines("symbols=A")
	const size, records = 50, 2000
	for i := range records {
		entries := make([]market.Entry, size)
		for j := range entries {
			n := uint64(i*size + j + 2)
			entries[j] = trade("SIM:A", n, int64(n), t0)
		}
		m.Put("sim", entries...)
	}
	for n := 2; n < records*size+2; n++ {
		var x struct{ P json.Number }
		if err := json.Unmarshal([]byte(l.next()), &x); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%d.%02d", n/100, n%100); string(x.P) != want {
			t.Fatalf("got %s, want %s", x.P, want)
		}
	}
}

// TestUDFStreamingTrimmed ends a stream whose next trade is gone: a hole would look like silence.
func TestUDFStreamingTrimmed(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0))
	b := serveUDF(t, m, func(o *Options) { o.Ring = 1 })
	first := m.Bounds().Last + 1
	for i := range 50 {
		m.Put("sim", trade("SIM:A", uint64(i+2), 1, t0))
	}
	b.waitFor()
	m.Trim(first + 10)
	l := &lines{g: b.g, pos: first}
	if _, err := l.compose(t.Context()); err == nil || l.failed(err) != "trimmed" {
		t.Errorf("got %v", err)
	}
}

// TestUDFStreamingStalled ends the gateway while a client reads nothing: it is cut off, and nothing is left.
func TestUDFStreamingStalled(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 1, t0))
	b := serveUDF(t, m, func(o *Options) { o.Drain = time.Millisecond })
	b.lines("")
	const size = 1000
	for i := range 300 { // more than sockets hold
		entries := make([]market.Entry, size)
		for j := range entries {
			entries[j] = trade("SIM:A", uint64(i*size+j+2), 1, t0)
		}
		m.Put("sim", entries...)
	}
	for !b.isBlocked() {
		runtime.Gosched()
	}
	b.stop()
}

// TestUDFStreamingOverTLS holds HTTP/2, where many answers are on one connection, to the same.
func TestUDFStreamingOverTLS(t *testing.T) {
	way.tls = true
	defer func() { way.tls = false }()
	t.Run("Streaming", TestUDFStreaming)
	t.Run("IsAlive", TestUDFStreamingIsAlive)
	t.Run("Slow", TestUDFStreamingSlow)
	t.Run("Stalled", TestUDFStreamingStalled)
}
