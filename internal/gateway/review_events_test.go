package gateway

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"tapedeck/internal/market"
)

// hear opens events over TLS with the version of HTTP that is asked for.
func (b *bench) hear(t *testing.T, path string, two bool) io.ReadCloser {
	t.Helper()
	transport, ok := b.server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	transport = transport.Clone()
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(!two)
	transport.Protocols.SetHTTP2(two)
	if !two {
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	t.Cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || (response.ProtoMajor == 2) != two {
		t.Fatalf("got %s %s", response.Proto, response.Status)
	}
	return response.Body
}

// overTLS lets the gateways of a test serve TLS.
func overTLS(t *testing.T) {
	t.Helper()
	way.tls = true
	t.Cleanup(func() { way.tls = false })
}

// TestEventsOutliveSilence listens for longer than a client may be silent. One that listens to events has nothing to say.
func TestEventsOutliveSilence(t *testing.T) {
	overTLS(t)
	for name, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, filled(), func(o *Options) { o.Ping = 20 * time.Millisecond })
			lines := bufio.NewReader(b.hear(t, "/v2/tape/sse?trades=*", two))
			for pings := 0; pings < 16; { // a client is given up after 8
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatalf("after %d pings: %v", pings, err)
				}
				if line == ":\n" {
					pings++
				}
			}
		})
	}
}

// TestShutdownCutsStalledEvents ends a gateway while a client does not read the events that it asked for.
func TestShutdownCutsStalledEvents(t *testing.T) {
	overTLS(t)
	for name, two := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			m := filled()
			b := serve(t, m, func(o *Options) { o.Drain = 20 * time.Millisecond })
			body := b.hear(t, "/v2/tape/sse?trades=SIM:AAPL", two)
			// More than the windows of HTTP/2 hold.
			for seq := uint64(26); seq < 100_000 || !b.isBlocked(); {
				entries := make([]market.Entry, 500)
				for i := range entries {
					entries[i] = trade("SIM:AAPL", seq, 100, t0)
					seq++
				}
				m.Put("sim", entries...)
			}
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				b.stop()
			}()
			select {
			case <-stopped:
			case <-time.After(20 * time.Second):
				t.Error("the gateway waits for a client that does not read")
				_ = body.Close()
				<-stopped
			}
		})
	}
}
