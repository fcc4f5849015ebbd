// Package brokertest runs brokers for tests: a redis-server, a NATS server with JetStream, a Kafka cluster and an MQTT broker. All but
// the first run in the process of the test; all speak over real sockets.
package brokertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
)

// Redis is a redis-server.
type Redis struct {
	Addr string
	dir  string
	args []string
	cmd  *exec.Cmd
}

// NewRedis starts a redis-server that keeps nothing on disk, or skips the test where there is none; under CI that fails it.
func NewRedis(t *testing.T, args ...string) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no redis-server here: tools/deps.sh go installs it")
		}
		t.Skip("there is no redis-server here")
	}
	r := &Redis{Addr: FreeAddress(t), dir: t.TempDir(), args: args}
	r.Start(t)
	t.Cleanup(func() { r.Stop(t) })
	return r
}

// Start starts the server, at the same address as before, and waits until it answers.
func (r *Redis) Start(t *testing.T) {
	t.Helper()
	_, port, err := net.SplitHostPort(r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir, "--logfile", filepath.Join(r.dir, "log")}, r.args...)
	r.cmd = exec.Command("redis-server", args...) //nolint:noctx // it ends with Stop
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", r.Addr)
		if err == nil {
			_ = conn.Close() // it was only to see whether one can
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(r.dir, "log"))
			t.Fatalf("redis-server does not answer: %v\n%s", err, log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop kills the server and waits for its end.
func (r *Redis) Stop(t *testing.T) {
	t.Helper()
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill() // it may have ended
	_ = r.cmd.Wait()         // by a signal
	r.cmd = nil
}

// Client returns a client of the server.
func (r *Redis) Client(t *testing.T, password string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr, Password: password, Protocol: 2})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// NATS is a NATS server with JetStream.
type NATS struct {
	URL    string
	Server *server.Server
	opts   server.Options
}

// NewNATS starts a server; with changes its options before that, and may be nil.
func NewNATS(t *testing.T, with func(*server.Options)) *NATS {
	t.Helper()
	n := &NATS{opts: server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}}
	if with != nil {
		with(&n.opts)
	}
	n.Start(t)
	t.Cleanup(n.Stop)
	return n
}

// Start starts the server, at the same address as before.
func (n *NATS) Start(t *testing.T) {
	t.Helper()
	opts := n.opts
	s, err := server.NewServer(&opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	n.Server, n.URL = s, s.ClientURL()
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		n.opts.Port = addr.Port
	}
}

// Stop ends the server.
func (n *NATS) Stop() {
	n.Server.Shutdown()
	n.Server.WaitForShutdown()
}

// Conn returns a connection, for which opts may be needed.
func (n *NATS) Conn(t *testing.T, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(n.URL, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Stream makes a stream of subjects, which keeps all unless change says otherwise.
func (n *NATS) Stream(t *testing.T, nc *nats.Conn, name string, change func(*jetstream.StreamConfig), subjects ...string) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c := jetstream.StreamConfig{Name: name, Subjects: subjects}
	if change != nil {
		change(&c)
	}
	s, err := js.CreateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return js, s
}

// FreeAddress returns an address of this machine that nobody listens to.
func FreeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// Tick returns the n-th of the numbered messages that tests send: its price tells its number.
func Tick(n int) string {
	return fmt.Sprintf(`{"timestamp":"2026-11-23T14:30:00.%06dZ","symbol":"S","price":%d.00,"size":1}`, n%1_000_000, n)
}
