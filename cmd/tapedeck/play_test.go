package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPlay records what a server shows live, then plays the same time again at full speed, to an end and on into the present: the lines
// are the same, and go on without a hole.
func TestPlay(t *testing.T) {
	p := startServer(t, "--data", t.TempDir(), "--feed", "sim://?symbols=AAPL,MSFT&rate=500/s&seed=3")
	begin := time.Now()
	live := p.lines(t, 3000, "tail", "--json")
	at := func(line string) time.Time {
		t.Helper()
		var k struct {
			R time.Time `json:"r"`
		}
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatal(err)
		}
		return k.R
	}
	// What has the same time of receipt as the last line may be more than was read.
	from, to := at(live[0]), at(live[len(live)-1])
	for at(live[len(live)-1]).Equal(to) {
		live = live[:len(live)-1]
	}
	got := p.lines(t, 0, "play", "--json", "--speed", "max", "--from", from.Format(time.RFC3339Nano), "--to", to.Format(time.RFC3339Nano))
	// The first line live may have had company in its batch before it.
	for len(got) > 0 && got[0] != live[0] {
		got = got[1:]
	}
	if strings.Join(got, "\n") != strings.Join(live, "\n") {
		t.Errorf("%d lines were shown live, and %d played: they are not the same", len(live), len(got))
	}

	next := make(map[string]uint64)
	for _, line := range p.lines(t, 5000, "play", "--json", "--speed", "100", "--from", time.Since(begin).String()) {
		var k tick
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatal(err)
		}
		key := k.Kind + k.S
		if want := next[key]; (k.Kind == "t" || k.Kind == "q") && want != 0 && k.Seq != want {
			t.Fatalf("%s: got seq %d, want %d", key, k.Seq, want)
		}
		next[key] = k.Seq + 1
	}
	for args, want := range map[string]string{
		"--from noon":                                "from: it must be a time",
		"--from 1m --to 2m":                          "to: it must be later than from",
		"--from 1m --speed 0":                        "speed: it must be a number from 0.1 to 10000",
		"--from 2200-01-01":                          "that time has not come yet",
		"--from 2200-01-01 --url http://127.0.0.1:1": "connect",
	} {
		cmd := exec.CommandContext(t.Context(), program(t), append([]string{"play", "--url", p.url}, strings.Fields(args)...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), want) {
			t.Errorf("play %s: got exit code %d and %s, want %d and %s", args, cmd.ProcessState.ExitCode(), out, exitFailed, want)
		}
	}
	p.stop(t)
}

// lines runs a command against the server, and returns the ticks that it prints: so many, or with 0 all until it ends.
func (p *process) lines(t *testing.T, n int, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), append(args, "--url", p.url)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var list []string
	scanner := bufio.NewScanner(stdout)
	for (n == 0 || len(list) < n) && scanner.Scan() {
		if line := scanner.Text(); strings.HasPrefix(line, `{"T":"t"`) || strings.HasPrefix(line, `{"T":"q"`) {
			list = append(list, line)
		}
	}
	if n > 0 {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	for scanner.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v ended with %v", args, err)
	}
	return list
}
