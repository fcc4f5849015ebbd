package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestTailResumes kills the server under a tail and starts it again: the lines go on without a hole and without a double.
func TestTailResumes(t *testing.T) {
	data := t.TempDir()
	const feed = "sim://?symbols=AAPL,MSFT&rate=500/s&seed=3"
	p := startServer(t, "--data", data, "--feed", feed)
	cmd := exec.CommandContext(t.Context(), program(t), "tail", "--json", "--url", p.url)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	next := make(map[string]uint64)
	read := func(n int) {
		t.Helper()
		for n > 0 && lines.Scan() {
			var k tick
			if err := json.Unmarshal(lines.Bytes(), &k); err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			if k.Kind != "t" && k.Kind != "q" {
				continue
			}
			key := k.Kind + k.S
			if want := next[key]; want != 0 && k.Seq != want {
				t.Fatalf("%s: got seq %d, want %d", key, k.Seq, want)
			}
			next[key] = k.Seq + 1
			n--
		}
		if n > 0 {
			t.Fatalf("tail ended: %v", lines.Err())
		}
	}
	read(500)
	address := strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/")
	p.kill(t)
	p = startServer(t, "--data", data, "--feed", feed, "--listen", address)
	read(1500)
	p.stop(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("tail ended with %v after SIGINT", err)
	}
}

// TestStopSaysGoodbye asks the server to end: a client reads all that was sent, then 1001, and the server ends in order.
func TestStopSaysGoodbye(t *testing.T) {
	p := startServer(t, "--data", t.TempDir(), "--feed", "sim://?symbols=AAPL,MSFT&rate=2000/s&seed=3")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := p.dialStream(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	seen := make(chan struct{})
	type end struct {
		cursor string
		err    error
	}
	done := make(chan end, 1)
	go func() {
		n := 0
		cursor, err := readTicks(ctx, conn, func(tick) {
			if n++; n == 1000 {
				close(seen)
			}
		})
		done <- end{cursor, err}
	}()
	<-seen
	p.stop(t)
	got := <-done
	var closed websocket.CloseError
	if !errors.As(got.err, &closed) || closed.Code != websocket.StatusGoingAway || got.cursor == "" {
		t.Errorf("got cursor %q and %v, want a cursor and a close with 1001", got.cursor, got.err)
	}
}
