package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
)

// run starts a server on data of its own, which ends with the test.
func run(tb testing.TB, change func(*Config)) (n *node, url string) {
	tb.Helper()
	return runLogged(tb, nil, change)
}

// runLogged is run with a logger.
func runLogged(tb testing.TB, log *slog.Logger, change func(*Config)) (n *node, url string) {
	tb.Helper()
	c := Defaults()
	c.Listen, c.Data = "127.0.0.1:0", filepath.Join(tb.TempDir(), "data")
	c.MinFree = 1 << 20
	change(&c)
	ready := make(chan string, 1)
	s, err := New(Options{Config: c, Logger: log, Ready: func(url string) { ready <- url }})
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", c.Listen)
	if err != nil {
		tb.Fatal(err)
	}
	n = &node{Server: s, metrics: prometheus.NewRegistry()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if err := n.open(ctx); err != nil {
		tb.Fatal(err)
	}
	go func() { done <- n.run(ctx, listener) }()
	tb.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, n.close()); err != nil {
			tb.Error(err)
		}
	})
	return n, <-ready
}

// BenchmarkFeedToSocket measures from the stamp that a tick gets when it arrives, through the synced tape, to a client that has
// read it from its WebSocket, at 10,000 ticks/s. Run it with -benchtime 1x or more; an iteration is 20,000 ticks.
func BenchmarkFeedToSocket(b *testing.B) {
	_, base := run(b, func(c *Config) { c.Feeds = []string{"sim://?rate=10000/s&seed=1"} })
	u, err := url.Parse(base)
	if err != nil {
		b.Fatal(err)
	}
	u.Scheme = "ws"
	conn, _, err := websocket.Dial(b.Context(), u.JoinPath("v2/tape").String(), nil) //nolint:bodyclose // the library closes it
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(16 << 20)
	if err := conn.Write(b.Context(), websocket.MessageText, []byte(`{"action":"subscribe","trades":["*"],"quotes":["*"]}`)); err != nil {
		b.Fatal(err)
	}
	var lags []time.Duration
	warm := 0
	for n := 0; n < 20_000*b.N; {
		_, frame, err := conn.Read(b.Context())
		now := time.Now()
		if err != nil {
			b.Fatal(err)
		}
		var messages []struct {
			R time.Time `json:"r"`
		}
		if err := json.Unmarshal(frame, &messages); err != nil {
			b.Fatal(err)
		}
		if warm++; warm < 200 {
			continue
		}
		for _, m := range messages {
			if !m.R.IsZero() {
				lags = append(lags, now.Sub(m.R))
				n++
			}
		}
	}
	slices.Sort(lags)
	ms := func(q float64) float64 {
		return float64(lags[int(q*float64(len(lags)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.99), "p99-ms")
	b.ReportMetric(ms(0.999), "p99.9-ms")
}

// BenchmarkFeedToStore lets a feed run at a rate and measures what the store has recorded, durably, in ten seconds, and how
// far it was behind the tape at the end. Run it with -benchtime 1x.
func BenchmarkFeedToStore(b *testing.B) {
	for _, rate := range []int{200_000, 300_000} {
		b.Run(fmt.Sprintf("%d", rate), func(b *testing.B) {
			n, _ := run(b, func(c *Config) {
				c.Feeds = []string{fmt.Sprintf("sim://?rate=%d/s&seed=1", rate)}
			})
			ticker := time.NewTicker(time.Second)
			defer ticker.Stop()
			<-ticker.C // the first second warms up
			for range b.N {
				before, _ := n.store.Entries()
				began := time.Now()
				for range 10 {
					<-ticker.C
				}
				after, _ := n.store.Entries()
				b.ReportMetric(float64(after-before)/time.Since(began).Seconds(), "ticks/s")
				b.ReportMetric(float64(n.store.Lag()), "records-behind")
			}
		})
	}
}
