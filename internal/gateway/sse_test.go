package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	dto "github.com/prometheus/client_model/go"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// listener reads Server-Sent Events.
type listener struct {
	t    testing.TB
	body io.ReadCloser
	r    *bufio.Reader
	id   string // of the last event
}

// listen opens the events at a path.
func (b *bench) listen(path string, headers ...string) *listener {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.server.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" || response.Header.Get("Content-Security-Policy") == "" {
		text, _ := io.ReadAll(response.Body)
		b.t.Fatalf("got %d %v %s", response.StatusCode, response.Header, text)
	}
	return &listener{t: b.t, body: response.Body, r: bufio.NewReader(response.Body)}
}

// next returns the data of the next event, or "" at the end.
func (l *listener) next() string {
	l.t.Helper()
	data := ""
	for {
		line, err := l.r.ReadString('\n')
		if err != nil {
			return ""
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "data":
			data = value
		case "id":
			l.id = value
		case "retry":
		case "":
			if data != "" {
				return data
			}
		default:
			l.t.Fatalf("got the line %q", line)
		}
	}
}

func TestEvents(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0), trade("SIM:B", 1, 100, t0))
	b := serve(t, m, nil)
	l := b.listen("/v2/tape/sse?trades=A,SIM:B&quotes=*")
	if got := l.next(); got != `[{"T":"success","msg":"connected"}]` {
		t.Fatalf("got %s", got)
	}
	if got := l.next(); !strings.HasPrefix(got, `[{"T":"subscription","trades":["SIM:A","SIM:B"],"quotes":["*"],`) || l.id == "" {
		t.Fatalf("got %s, id %q", got, l.id)
	}
	m.Put("sim", trade("SIM:A", 2, 100, t0), trade("SIM:C", 1, 100, t0), quote("SIM:C", 1, t0))
	list := decodeFrame(t, l.next())
	if len(list) != 2 || list[0].S != "SIM:A" || list[0].Seq != 2 || list[1].T != "q" {
		t.Fatalf("got %+v", list)
	}
	want := tape.Cursor{Epoch: m.Epoch, Position: m.Bounds().Last, Index: tape.AllEntries}.String()
	if l.id != want {
		t.Errorf("got the id %q, want %q", l.id, want)
	}
	b.stop()
	if got := l.next(); got != "" {
		t.Errorf("got %s after the end", got)
	}
}

// TestEventsResume breaks the connection again and again, and goes on as browsers do: with the id of the last event.
func TestEventsResume(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	b := serve(t, m, func(o *Options) { o.Ring = 20; o.Limits.Frame = 500 })
	l := b.listen("/v2/tape/sse?trades=SIM:A")
	l.next()
	l.next()
	done := make(chan map[string]uint64, 1)
	go func() {
		seq := uint64(1)
		for range 300 {
			seq += 2
			m.Put("sim", trade("SIM:A", seq-1, 100, t0), trade("SIM:A", seq, 100, t0))
		}
		done <- nil
	}()
	next := uint64(2)
	for n := 1; next <= 601; n++ {
		data := l.next()
		if data == "" || n%7 == 0 {
			_ = l.body.Close()
			l = b.listen("/v2/tape/sse?trades=SIM:A&from=2020-01-01", "Last-Event-ID", l.id)
		}
		if data == "" {
			continue
		}
		for _, x := range decodeFrame(t, data) {
			if x.T != "t" {
				continue
			}
			if x.Seq != next {
				t.Fatalf("got trade %d, want %d", x.Seq, next)
			}
			next++
		}
	}
	<-done
}

func TestEventsRefused(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:A", 1, 100, t0))
	m.Put("alpaca", trade("ALPACA:A", 1, 100, t0))
	b := serve(t, m, func(o *Options) { o.Limits.Symbols = 2 })
	cursor := tape.Cursor{Position: 1}.String()
	for _, test := range []struct {
		path, header string
		status       int
		says         string
	}{
		{"", "", 400, "name what you want"},
		{"?trades=", "", 400, "name what you want"},
		{"?trades=SIM:A,", "", 400, "with commas between"},
		{"?trade=SIM:A", "", 400, "not known here"},
		{"?trades=A", "", 400, `"candidates":["ALPACA:A","SIM:A"]`},
		{"?trades=SIM:A,SIM:B,SIM:C", "", 400, "symbol limit exceeded"},
		{"?trades=*&mode=often", "", 400, "mode"},
		{"?trades=*&every=1y", "", 400, "every"},
		{"?trades=*&from=yesterday", "", 400, `"parameter":"from"`},
		{"?trades=*&cursor=x", "", 400, "cursor"},
		{"?trades=*&cursor=" + cursor, "", 416, `"reason":"epoch"`},
		{"?trades=*", cursor, 416, `"reason":"epoch"`},
		{"?trades=*", "nonsense", 400, `"parameter":"Last-Event-ID"`},
		{"?trades=*&from=2020-01-01&cursor=" + cursor, "", 400, "either"},
	} {
		headers := []string{}
		if test.header != "" {
			headers = append(headers, "Last-Event-ID", test.header)
		}
		status, header, body := b.get("/v2/tape/sse"+test.path, headers...)
		if status != test.status || !strings.Contains(body, test.says) || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d %s", test.path, test.header, status, body)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: not JSON: %s", test.path, body)
		}
	}
	if status, _, _ := b.do(http.MethodPost, "/v2/tape/sse?trades=*"); status != 405 {
		t.Errorf("POST: got %d", status)
	}
	if status, _, _ := b.get("/v2/tape/sse?trades=*", "Origin", "https://evil.example"); status != 403 {
		t.Errorf("another origin: got %d", status)
	}
}

// TestDeflate offers compression: long messages are compressed, and say the same.
func TestDeflate(t *testing.T) {
	m := newMemTape()
	m.Put("sim", trade("SIM:Z", 1, 100, t0))
	b := serve(t, m, func(o *Options) { o.Limits.Frame = 3000 })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	offer := &websocket.DialOptions{
		HTTPClient: b.server.Client(), CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1,
	}
	ws, response, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.url, "http")+"/v2/tape", offer) //nolint:bodyclose // the library closes it
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(got, "permessage-deflate") {
		t.Fatalf("got the extensions %q", got)
	}
	ws.SetReadLimit(1 << 20)
	c := &client{t, ws}
	defer func() { _ = ws.CloseNow() }()
	c.read()
	c.send(`{"action":"subscribe","trades":["*"],"cursor":true}`)
	c.read()
	seqs := grow(m, 3, []market.Symbol{"SIM:A", "SIM:B"}, 400)
	text := 0
	for last := (map[string]uint64{}); last["SIM:A"] < seqs["SIM:A"] || last["SIM:B"] < seqs["SIM:B"]; {
		message := c.read()
		text += len(message)
		for _, x := range decodeFrame(t, message) {
			if x.T != "t" {
				continue
			}
			if x.Seq != last[x.S]+1 {
				t.Fatalf("%s: got trade %d after %d", x.S, x.Seq, last[x.S])
			}
			last[x.S] = x.Seq
		}
	}
	var sent dto.Metric
	if err := b.g.metrics.bytes.Write(&sent); err != nil {
		t.Fatal(err)
	}
	if got := int(sent.GetCounter().GetValue()); got > text/2 {
		t.Errorf("%d bytes were sent for %d of text", got, text)
	}
}

// TestAuthDeadline leaves the server without a word about who the client is.
func TestAuthDeadline(t *testing.T) {
	b := serve(t, filled(), func(o *Options) { o.AuthDeadline = 30 * time.Millisecond; o.Ping = 40 * time.Millisecond })
	c := b.dial("/v2/tape")
	c.read()
	c.want(`[{"T":"error","code":404,"msg":"auth timeout"}]`)
	if _, err := c.tryRead(); websocket.CloseStatus(err) != 4004 {
		t.Errorf("got %v, want a close with 4004", err)
	}
	if c, _ := b.tryDial("/v2/tape", "APCA-API-KEY-ID", "key", "APCA-API-SECRET-KEY", "secret"); c != nil {
		c.read()
		c.want(`[{"T":"success","msg":"authenticated"}]`)
	}
}

// late is a history that is not there before its gate is opened.
type late struct {
	*memHistory
	asked, gate chan struct{}
}

// Listings implements History.
func (h late) Listings(ctx context.Context) ([]market.Listing, error) {
	close(h.asked)
	<-h.gate
	return h.memHistory.Listings(ctx)
}

// TestEventsWhileStarting opens events before the server is ready. They begin once it is: a browser that were refused would never
// come back.
func TestEventsWhileStarting(t *testing.T) {
	m := newMemTape()
	h := late{newMemHistory(), make(chan struct{}), make(chan struct{})}
	g, err := New(Options{Tape: m, History: h})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	<-h.asked
	came := make(chan struct{})
	handler := g.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(came)
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	b := &bench{t: t, tape: m, g: g, url: server.URL, server: server}
	go func() {
		<-came
		close(h.gate)
	}()
	if got := b.listen("/v2/tape/sse?trades=*").next(); got != `[{"T":"success","msg":"connected"}]` {
		t.Errorf("got %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
