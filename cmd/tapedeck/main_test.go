package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary stand in for the program in scripts.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"tapedeck": main}) }

// build makes the program as users have it, once: the tests that load and kill it say how much it must bear, which the race
// detector divides by twenty (SQLite is half of the work). The same code runs under the detector in the packages' own tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tapedeck-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tapedeck")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// program returns the path of the program.
func program(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "script"), RequireExplicitExec: true})
}

// shared returns a file of the real market data that lies beside the checkout, or skips the test.
func shared(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "shared", "data", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real market data beside the checkout: %v", err)
	}
	return path
}

// process is a running tapedeck.
type process struct {
	cmd   *exec.Cmd
	url   string
	log   *lockedBuffer
	ended chan struct{} // closed when the process has ended, after err was set
	err   error
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startServer runs "tapedeck serve" on a free port and returns when it has printed its address.
func startServer(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{
		cmd:   exec.Command(program(t), append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...), //nolint:noctx // ends by kill or stop
		log:   new(lockedBuffer),
		ended: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=")
	p.cmd.Stderr = p.log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill(t)
		if t.Failed() {
			t.Logf("log of the server:\n%s", tailOf(p.log.String(), 60))
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(line, "Tapedeck is at ")
	go func() {
		// The rest of the output is drained, so that the process never blocks on it.
		_, _ = io.Copy(io.Discard, stdout)
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	if err != nil || !ok {
		<-p.ended
		t.Fatalf("the server printed %q (%v) instead of its address, and ended with %v:\n%s", line, err, p.err, p.log)
	}
	p.url = strings.TrimSpace(address)
	return p
}

func tailOf(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill ends the process as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks the process to end and expects that it does so in order.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if p.err != nil {
		t.Fatalf("the server ended with %v:\n%s", p.err, p.log)
	}
}

// get reads a resource of the server.
func (p *process) get(ctx context.Context, path string) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(p.url, "/")+path, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

// until asks again and again until cond holds, and fails the test with the last answer after two minutes.
func (p *process) until(t *testing.T, path string, cond func(status int, body []byte) bool) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var last string
	for {
		status, _, body, err := p.get(ctx, path)
		if err == nil && cond(status, body) {
			return body
		}
		if ctx.Err() != nil {
			t.Fatalf("%s never was as expected; last: %s", path, last)
		}
		last = fmt.Sprintf("%d %v %.2000s", status, err, body)
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ready waits until all parts of the server run.
func (p *process) ready(t *testing.T) {
	t.Helper()
	p.until(t, "/readyz", func(status int, _ []byte) bool { return status == http.StatusOK })
}

// tick is a trade or a quote as the stream and the REST API show it.
type tick struct {
	Kind string      `json:"T"`
	S    string      `json:"S"`
	Seq  uint64      `json:"seq"`
	P    json.Number `json:"p"`
	Size json.Number `json:"s"`
	BP   json.Number `json:"bp"`
	AP   json.Number `json:"ap"`
	Time string      `json:"t"`
}

// dialStream opens the stream and subscribes; from is a cursor or "".
func (p *process) dialStream(ctx context.Context, from string) (*websocket.Conn, error) {
	u, err := url.Parse(p.url)
	if err != nil {
		return nil, err
	}
	u.Scheme = "ws"
	conn, _, err := websocket.Dial(ctx, u.JoinPath("v2/tape").String(), nil) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(16 << 20)
	request := map[string]any{"action": "subscribe", "trades": []string{"*"}, "quotes": []string{"*"}, "cursor": true}
	if from != "" {
		request["from"] = map[string]string{"cursor": from}
	}
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	return conn, conn.Write(ctx, websocket.MessageText, text)
}

// readTicks hands over what the stream shows until the connection or ctx ends, and returns the last cursor.
func readTicks(ctx context.Context, conn *websocket.Conn, show func(tick)) (cursor string, err error) {
	for {
		_, frame, err := conn.Read(ctx)
		if err != nil {
			return cursor, err
		}
		var messages []json.RawMessage
		if err := json.Unmarshal(frame, &messages); err != nil {
			return cursor, fmt.Errorf("frame %.200s: %w", frame, err)
		}
		for _, raw := range messages {
			var head struct {
				T    string          `json:"T"`
				Time json.RawMessage `json:"t"` // else encoding/json takes it for T
				C    json.RawMessage `json:"c"`
			}
			if err := json.Unmarshal(raw, &head); err != nil {
				return cursor, err
			}
			switch head.T {
			case "t", "q":
				var k tick
				if err := json.Unmarshal(raw, &k); err != nil {
					return cursor, err
				}
				show(k)
			case "cursor":
				if err := json.Unmarshal(head.C, &cursor); err != nil {
					return cursor, err
				}
			case "error":
				return cursor, fmt.Errorf("the server says %s", raw)
			}
		}
	}
}
