package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
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
	for _, c := range [][2]string{
		{"--from noon", "from: it must be a time"},
		{"--from 1m --to 2m", "to: it must be later than from"},
		{"--from 1m --speed 0", "speed: it must be a number from 0.1 to 10000"},
		{"--from 2200-01-01", "that time has not come yet"},
		{"--from 2200-01-01 --url http://127.0.0.1:1", "connect"},
	} {
		args, want := c[0], c[1]
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

// TestPlayRealDay plays six hours of four real stocks twice at full speed: as history, by the venue's times, and as the tape has it, by the
// times of receipt. Both give every trade once, in order, with its digits.
func TestPlayRealDay(t *testing.T) {
	const from, to = "2013-10-07T13:30:00Z", "2013-10-07T19:30:00Z"
	want, last := make(map[string][]row), make(map[string]time.Time)
	args := []string{"--data", t.TempDir()}
	all := 0
	for _, name := range []string{"SPY", "AIG", "BAC", "IBM"} {
		path := shared(t, "trades/lean_us-equity_"+name+"_2013-10-07_trades.csv.gz")
		rows := readTrades(t, path)
		all += len(rows)
		last["R:"+name] = slices.MaxFunc(rows, func(a, b row) int { return a.at.Compare(b.at) }).at
		for _, r := range rows {
			if isWithin(r.at, from, to) {
				want["R:"+name] = append(want["R:"+name], r)
			}
		}
		args = append(args, "--feed", "replay://"+path+"?speed=max&venue=R")
	}
	begin := time.Now()
	p := startServer(t, args...)
	for symbol, at := range last {
		p.until(t, "/history?limit=1&symbol="+symbol, func(status int, body []byte) bool {
			var rows []struct{ Timestamp time.Time }
			return status == http.StatusOK && json.Unmarshal(body, &rows) == nil && len(rows) == 1 && rows[0].Timestamp.Equal(at)
		})
	}
	received := "from=" + begin.UTC().Format(time.RFC3339Nano) + "&to=" + time.Now().UTC().Format(time.RFC3339Nano)
	for what, query := range map[string]string{"history": "from=" + from + "&to=" + to, "tape": received} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.url, "http")+"v2/tape?speed=max&"+query, nil) //nolint:bodyclose // the library closes it
		if err != nil {
			t.Fatal(err, resp)
		}
		conn.SetReadLimit(16 << 20)
		began := time.Now()
		if err := conn.Write(ctx, websocket.MessageText, []byte(`{"action":"subscribe","trades":["*"]}`)); err != nil {
			t.Fatal(err)
		}
		var frames [][]byte
		for len(frames) == 0 || !bytes.Contains(frames[len(frames)-1], []byte(`"ended":true`)) {
			_, frame, err := conn.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, frame)
		}
		took := time.Since(began)
		cancel()
		_ = conn.CloseNow()
		got := make(map[string][]row)
		n := 0
		for _, frame := range frames {
			var list []struct {
				Kind string      `json:"T"`
				S    string      `json:"S"`
				Size json.Number `json:"s"` // else encoding/json takes s for S
				P    json.Number `json:"p"`
				At   string      `json:"t"`
			}
			if err := json.Unmarshal(frame, &list); err != nil {
				t.Fatal(err)
			}
			for _, k := range list {
				if k.Kind != "t" {
					continue
				}
				at, err := time.Parse(time.RFC3339Nano, k.At)
				if err != nil {
					t.Fatal(err)
				}
				n++
				if isWithin(at, from, to) {
					got[k.S] = append(got[k.S], row{at.UTC(), k.P.String()})
				}
			}
		}
		t.Logf("%s: %d trades in %v, %.0f a second", what, n, took.Round(time.Millisecond), float64(n)/took.Seconds())
		if what == "tape" && n != all {
			t.Errorf("%s: got %d trades, want %d", what, n, all)
		}
		for symbol, rows := range want {
			if !slices.Equal(got[symbol], rows) {
				t.Errorf("%s: %s: got %d trades, want %d, or they differ", what, symbol, len(got[symbol]), len(rows))
			}
		}
	}
	p.stop(t)
}

// isWithin reports whether a time is in a span, given as RFC 3339.
func isWithin(at time.Time, from, to string) bool {
	begin, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return false
	}
	end, err := time.Parse(time.RFC3339, to)
	return err == nil && !at.Before(begin) && at.Before(end)
}
