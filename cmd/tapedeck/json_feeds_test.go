package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestJSONFeeds runs the examples of docs/json-feeds.md to the letter, but for addresses: the source, each server, and what is
// asked of it.
func TestJSONFeeds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "json-feeds.md"))
	if err != nil {
		t.Fatal(err)
	}
	source := startSource(t)
	program(t)                         // it is built from here
	t.Chdir(filepath.Join("..", "..")) // the examples are run from the root
	t.Setenv("PLANT_KEY", "example")
	var server *process
	asked := 0
	for _, match := range regexp.MustCompile(`(?m)^ {4}(go run|tapedeck serve|curl) (.*)$`).FindAllStringSubmatch(string(text), -1) {
		arguments := strings.ReplaceAll(match[2], "127.0.0.1:9001", source)
		switch match[1] {
		case "go run":
			if arguments != "./examples/source" {
				t.Errorf("an example that is not run: %s", match[0])
			}
		case "tapedeck serve":
			feed := regexp.MustCompile(`^--feed '(.*)'$`).FindStringSubmatch(arguments)
			if feed == nil {
				t.Fatalf("want one feed: %s", match[0])
			}
			if strings.Contains(feed[1], "api.example.com") {
				if out, err := exec.CommandContext(t.Context(), program(t), "serve", "--feed", feed[1], "--print-config").CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", feed[1], err, out)
				}
				continue
			}
			if server != nil {
				server.stop(t)
			}
			server = startServer(t, "--data", t.TempDir(), "--feed", feed[1], "--log-level", "warn")
			server.ready(t)
		case "curl":
			path, ok := strings.CutPrefix(strings.Trim(arguments, "'"), "http://127.0.0.1:8000")
			if !ok || server == nil {
				t.Fatalf("an example that can't be run: %s", match[0])
			}
			asked++
			want := regexp.MustCompile(`symbol=([A-Z:-]+)`).FindStringSubmatch(path)[1]
			server.until(t, path, func(status int, body []byte) bool {
				return status == 200 && strings.Contains(string(body), `"symbol":"`+want+`","price":`)
			})
		}
	}
	if asked != 3 {
		t.Errorf("asked for %d symbols, want 3: this test has lost sight of the examples", asked)
	}
	if server != nil {
		server.stop(t)
	}
}

// startSource runs examples/source until the test ends, and returns its address.
func startSource(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	path := filepath.Join(t.TempDir(), "source")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "../../examples/source").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, path, "-listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait() // it was ended by us
	})
	return strings.TrimSpace(strings.TrimPrefix(line, "source is at "))
}
