package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/market"
	"tapedeck/internal/publish"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// params are the parameters of a URL.
type params map[string]string

func (p params) Get(name string) string { return p[name] }

func (p params) Has(name string) bool { _, ok := p[name]; return ok }

func (p params) List(name string) []string {
	if p[name] == "" {
		return nil
	}
	return strings.Split(p[name], ",")
}

func (p params) Bool(name string, otherwise bool) (bool, error) {
	if !p.Has(name) {
		return otherwise, nil
	}
	return p[name] == "true", nil
}

func (p params) Uint(name string, otherwise uint64) (n uint64, err error) {
	if !p.Has(name) {
		return otherwise, nil
	}
	_, err = fmt.Sscan(p[name], &n)
	return n, err
}

func (p params) Secret(name string) (string, error) { return p[name], nil }

func (p params) Errorf(name, problem string) error { return errors.New(name + ": " + problem) }

// trades returns trades number from to to of a symbol: the price is the number.
func trades(symbol market.Symbol, from, to int) []market.Entry {
	var list []market.Entry
	for n := from; n <= to; n++ {
		price, err := market.NewDecimal(int64(n)*100, -2)
		if err != nil {
			panic(err)
		}
		list = append(list, market.Entry{
			Kind: market.KindTrade, Symbol: symbol, Seq: uint64(n), Price: price, Event: 1_795_444_200_250_000_000, Received: 1_795_444_200_250_000_000,
		})
	}
	return list
}

func put(t *testing.T, tp *tapetest.Memory, entries ...market.Entry) {
	t.Helper()
	if _, err := tp.Append(t.Context(), &tape.Batch{Feed: "f", Entries: entries}); err != nil {
		t.Fatal(err)
	}
}

// start runs a publisher to a target until the function that it returns is called.
func start(t *testing.T, tp tape.Source, dir, url string, p params) (pub *publish.Publisher, stop func()) {
	t.Helper()
	metrics, err := publish.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	scheme, target, _ := strings.Cut(url, "://")
	if p == nil {
		p = params{}
	}
	pub, err = publish.New(publish.Options{
		Target: publish.Target{Name: "x", Scheme: scheme, Target: target, Shown: url, Params: p}, Tape: tp, Dir: dir,
		Log: slog.New(slog.DiscardHandler), Metrics: metrics, Random: func(int64) int64 { return int64(10 * time.Millisecond) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- pub.Run(ctx) }()
	done := false
	stop = func() {
		t.Helper()
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
	t.Cleanup(stop)
	return pub, stop
}

func want(n int) string {
	return fmt.Sprintf(`{"timestamp":"2026-11-23T14:30:00.25Z","symbol":"SIM:AAPL","price":%d.00}`, n)
}

// TestRedisChannel is the tutorial's consumer: it gets each tick once, in order, over a restart, and what came while the server was
// away as well.
func TestRedisChannel(t *testing.T) {
	r := brokertest.NewRedis(t)
	tp, dir := &tapetest.Memory{}, t.TempDir()
	put(t, tp, trades("SIM:AAPL", 1, 3)...) // before there is a target
	n := 3
	sub := r.Client(t, "").Subscribe(t.Context(), "prices")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect := func(from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			m, err := sub.ReceiveMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m.Payload != want(i) {
				t.Fatalf("got %s, want %s", m.Payload, want(i))
			}
		}
	}
	more := func(k int) {
		t.Helper()
		history := trades("SIM:AAPL", 9000, 9000)[0]
		history.Flags |= market.FlagHistory
		status := market.Entry{Kind: market.KindStatus, State: market.StateLive, Event: 1}
		put(t, tp, append(trades("SIM:AAPL", n+1, n+k), history, status)...)
		n += k
	}
	url := "redis://" + r.Addr + "/prices"
	_, stop := start(t, tp, dir, url, nil)
	more(2500)
	expect(4, 2503)
	stop()
	more(10) // while it does not run
	pub, stop := start(t, tp, dir, url, nil)
	expect(2504, 2513)
	r.Stop(t)
	more(10)
	for pub.Info().Live {
		time.Sleep(time.Millisecond)
	}
	if i := pub.Info(); i.Error == "" || i.Behind == 0 {
		t.Errorf("without a server: %+v", i)
	}
	r.Start(t)
	_ = sub.Close()
	sub = r.Client(t, "").Subscribe(t.Context(), "prices")
	// It may have gone on before we listen: the next ticks are seen anyhow.
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for !pub.Info().Live || pub.Info().Behind > 0 {
		time.Sleep(time.Millisecond)
	}
	more(10)
	var last string
	for last != want(n) {
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last = m.Payload
	}
	stop()
	_ = sub.Close()
}

// TestStreams sends to streams of Redis and of NATS and to a topic of Kafka: each tick, once, in order, what is wanted only.
func TestStreams(t *testing.T) {
	tp := &tapetest.Memory{}
	put(t, tp, trades("SIM:AAPL", 1, 1500)...)
	put(t, tp, trades("SIM:BRK.B", 1, 10)...)
	quote := trades("SIM:AAPL", 1, 1)[0]
	quote.Kind, quote.Ask = market.KindQuote, quote.Price
	put(t, tp, quote)

	r := brokertest.NewRedis(t)
	_, stop := start(t, tp, t.TempDir(), "redis+stream://"+r.Addr+"/ticks:{name}", params{"start": "earliest", "symbols": "*.B,OTHER:*", "names": "bare"})
	c := r.Client(t, "")
	for c.XLen(t.Context(), "ticks:BRK.B").Val() < 10 {
		time.Sleep(time.Millisecond)
	}
	stop()
	if got := c.XRange(t.Context(), "ticks:BRK.B", "-", "+").Val()[0].Values["data"]; got != `{"timestamp":"2026-11-23T14:30:00.25Z","symbol":"BRK.B","price":1.00}` {
		t.Errorf("got %v", got)
	}
	if n := c.Exists(t.Context(), "ticks:AAPL").Val(); n != 0 {
		t.Error("a symbol that nobody asked for is there")
	}

	n := brokertest.NewNATS(t, nil)
	_, s := n.Stream(t, n.Conn(t), "T", nil, "ticks.>")
	for range 2 { // the second time from the beginning, as after a crash
		pub, stop := start(t, tp, t.TempDir(), "nats+js://"+strings.TrimPrefix(n.URL, "nats://")+"/ticks.{venue}.{name}", params{"start": "earliest", "format": "alpaca"})
		for !pub.Info().Live || pub.Info().Behind > 0 {
			time.Sleep(time.Millisecond)
		}
		stop()
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]uint64{"ticks.SIM.AAPL": 1501, "ticks.SIM.BRK%2EB": 10}, info.State.Subjects); diff != "" {
		t.Error(diff)
	}
	last, err := s.GetLastMsgForSubject(t.Context(), "ticks.SIM.AAPL")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(last.Data); got != `{"T":"q","S":"SIM:AAPL","bp":1.00,"bs":0,"ap":1.00,"as":0,"t":"2026-11-23T14:30:00.25Z","c":[],"seq":1,"r":"2026-11-23T14:30:00.25Z"}` {
		t.Errorf("got %s", got)
	}

	_, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.SeedTopics(3, "ticks"))
	_, stop = start(t, tp, t.TempDir(), "kafka://"+hosts+"/ticks", params{"start": "earliest", "compression": "zstd"})
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(hosts, ",")...), kgo.ConsumeTopics("ticks"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	got := make(map[string]int)
	for total := 0; total < 1510; {
		f := cl.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(rec *kgo.Record) {
			total++
			key := string(rec.Key)
			got[key]++
			if value := strings.Replace(string(rec.Value), key, "SIM:AAPL", 1); value != want(got[key]) {
				t.Fatalf("message %d of %s is %s", got[key], key, value)
			}
		})
	}
	stop()
}

// TestCoreNATS sends on a subject.
func TestCoreNATS(t *testing.T) {
	n := brokertest.NewNATS(t, nil)
	tp := &tapetest.Memory{}
	nc := n.Conn(t)
	sub, err := nc.SubscribeSync("ticks.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	start(t, tp, t.TempDir(), n.URL+"/ticks.{symbol}", nil)
	put(t, tp, trades("SIM:AAPL", 1, 100)...)
	for i := range 100 {
		m, err := sub.NextMsgWithContext(t.Context())
		if err != nil || string(m.Data) != want(i+1) || m.Subject != "ticks.SIM:AAPL" {
			t.Fatalf("%v %v", m, err)
		}
	}
}

// TestPosition begins at the end of another tape, and refuses a file that says nothing.
func TestPosition(t *testing.T) {
	r := brokertest.NewRedis(t)
	tp, dir := &tapetest.Memory{}, t.TempDir()
	put(t, tp, trades("SIM:AAPL", 1, 5)...)
	path := filepath.Join(dir, "x.json")
	if err := os.WriteFile(path, []byte(`{"epoch":"00","position":1,"entry":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	pub, stop := start(t, tp, dir, "redis://"+r.Addr+"/x", nil)
	stop()
	if i := pub.Info(); i.Behind != 0 {
		t.Errorf("got %+v", i)
	}
	b, err := os.ReadFile(path)
	var at struct {
		Epoch    string
		Position int
	}
	if err = errors.Join(err, json.Unmarshal(b, &at)); err != nil || at.Position != 2 || at.Epoch == "00" {
		t.Errorf("got %s %v", b, err)
	}
	if err := os.WriteFile(path, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = publish.New(publish.Options{Target: publish.Target{Name: "x", Scheme: "redis", Target: r.Addr + "/x", Params: params{}}, Tape: tp, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	for url, p := range map[string]params{
		"redis://h":             {},
		"redis://h/a{x}":        {},
		"redis://h/a":           {"maxlen": "5"},
		"redis+stream://h/a":    {"stream": "false"},
		"nats://h/a.*":          {},
		"nats://h/":             {},
		"kafka://h/a b":         {},
		"kafka://h/a":           {"compression": "rar"},
		"kafka://h/b":           {"format": "xml"},
		"kafka://h/c":           {"quotes": "true"},
		"kafka://h/d":           {"symbols": "[a"},
		"kafka://h/e":           {"names": "short"},
		"kafka://h/f":           {"start": "noon"},
		"mqtt://h/g":            {},
		"kafka://me:hunter2@/h": {},
	} {
		scheme, target, _ := strings.Cut(url, "://")
		if err := publish.Check(&publish.Target{Scheme: scheme, Target: target, Params: p}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s %v: got %v", url, p, err)
		}
	}
	if err := publish.Check(&publish.Target{Scheme: "nats+js", Target: "h/ticks.{venue}.{name}", Params: params{"token": "env:X", "credentials": "file:/none", "tls": "true", "tls_ca": "/none"}}); err != nil {
		t.Error(err)
	}
}
