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
	"time"
)

// TestDocumentedCommands runs every curl command that the documents show, to the letter but for the address.
func TestDocumentedCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl here")
	}
	server := startServer(t, "--data", t.TempDir(), "--feed", "sim://?symbols=AAPL,MSFT&rate=200/s&seed=1", "--log-level", "warn")
	server.ready(t)
	server.until(t, "/history?limit=3&symbol=SIM:AAPL", func(status int, body []byte) bool { return status == 200 && strings.Count(string(body), `"id"`) == 3 })
	streams := 0
	for _, name := range []string{"README.md", "docs/protocol.md", "docs/operations.md"} {
		doc, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^ *(curl .*?)(?:  +# .*)?$`).FindAllSubmatch(doc, -1) {
			command := string(match[1])
			t.Run(command, func(t *testing.T) {
				here := strings.ReplaceAll(command, "http://127.0.0.1:8000/", server.url)
				if here == command {
					t.Fatalf("%s: a command without the server's usual address", name)
				}
				if strings.Contains(command, " -N ") {
					streams++
					streamed(t, here)
				} else {
					answered(t, here)
				}
			})
		}
	}
	if streams < 2 {
		t.Errorf("found %d commands that stream: this test has lost sight of them", streams)
	}
	server.stop(t)
}

// answered runs a command that ends.
func answered(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", command).Output()
	if err != nil || len(out) == 0 || strings.Contains(string(out), `"about:blank"`) {
		t.Errorf("%s: %v, %.500s", command, err, out)
	}
}

// streamed runs a command that goes on for ever, until it has shown a trade and the place behind it.
func streamed(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	cmd.Stderr = io.Discard // its progress
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, trade, seen := bufio.NewScanner(stdout), false, ""
	for lines.Scan() {
		seen += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), `data: [{"T":"t","S":"SIM:AAPL",`) {
			trade = true
		} else if trade && strings.HasPrefix(lines.Text(), "id: ") {
			cancel()
			_ = cmd.Wait() // it was ended by us
			return
		}
	}
	t.Errorf("%s ended with %v before a trade and its place came:\n%.2000s", command, cmd.Wait(), seen)
}
