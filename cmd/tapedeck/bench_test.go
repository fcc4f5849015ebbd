package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bench runs a benchmark of the program and returns its report.
func bench(t *testing.T, report any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), append([]string{"bench"}, append(args, "--json", "--data", t.TempDir())...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, stderr.Bytes())
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
}

func TestBenchFanout(t *testing.T) {
	for name, args := range map[string][]string{
		"all":         nil,
		"one each":    {"--symbols", "7", "--subscribe", "one"},
		"all of many": {"--symbols", "MSFT,AAPL,BTC-USD", "--check", "sample", "--loops", "2"},
		"compressed":  {"--compress"},
		"MessagePack": {"--encoding", "msgpack"},
	} {
		t.Run(name, func(t *testing.T) {
			var r fanoutReport
			bench(t, &r, append([]string{"fanout", "--clients", "20", "--rate", "300", "--duration", "500ms", "--warmup", "100ms"}, args...)...)
			if len(r.Runs) != 1 || r.Bench != "fanout" || r.Clients != 20 {
				t.Fatalf("got %+v", r)
			}
			checkRun(t, &r.Runs[0])
			if runtime.GOOS == "linux" && (r.Runs[0].ServerCPU == nil || r.Runs[0].ServerMemory == nil || *r.Runs[0].ServerMemory < 1<<20) {
				t.Errorf("what the server uses was not measured: %+v", r.Runs[0])
			}
		})
	}
}

func checkRun(t *testing.T, run *fanoutRun) {
	t.Helper()
	if run.Deliveries == 0 || run.DeliveriesPerSecond <= 0 || run.Latency == nil || run.Latency.Samples == 0 || run.Latency.Max <= 0 {
		t.Errorf("nothing was measured: %+v", run)
	}
	if run.Losses != 0 || run.OrderErrors != 0 || run.ConnectionsLost != 0 {
		t.Errorf("something was lost: %+v", run)
	}
}

func TestBenchIdle(t *testing.T) {
	var r fanoutReport
	bench(t, &r, "fanout", "--clients", "50", "--idle", "--duration", "50ms", "--warmup", "0s")
	if run := r.Runs[0]; !r.Idle || run.Deliveries != 0 || run.Latency != nil || runtime.GOOS == "linux" && run.ConnectionMemory == nil {
		t.Errorf("got %+v", run)
	}
}

// TestBenchPeer measures the broadcaster of bench/gorilla beside the program.
func TestBenchPeer(t *testing.T) {
	peer := filepath.Join(t.TempDir(), "gorilla")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join("..", "..", "bench"), "-o", peer, "./gorilla")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "" && bytes.Contains(out, []byte("dial tcp")) {
			t.Skipf("its module is not here, and cannot be fetched: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	for name, args := range map[string][]string{"all": {"--symbols", "3"}, "one each": {"--symbols", "3", "--subscribe", "one"}} {
		t.Run(name, func(t *testing.T) {
			var r fanoutReport
			bench(t, &r, append([]string{"fanout", "--clients", "20", "--rate", "300", "--duration", "500ms", "--warmup", "100ms", "--peer", peer}, args...)...)
			if len(r.Runs) != 2 || r.Runs[1].Server != "peer" || r.Ratio <= 0 {
				t.Fatalf("got %+v", r)
			}
			for i := range r.Runs {
				checkRun(t, &r.Runs[i])
			}
		})
	}
}

// TestBenchURL measures a server that runs already.
func TestBenchURL(t *testing.T) {
	p := startServer(t, "--data", t.TempDir(), "--feed", "sim://?symbols=AAPL&rate=500/s")
	var r fanoutReport
	bench(t, &r, "fanout", "--url", p.url, "--clients", "20", "--duration", "500ms", "--warmup", "0s")
	checkRun(t, &r.Runs[0])
	if r.Runs[0].ServerCPU == nil {
		t.Error("what the server uses was not read from its metrics")
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program(t), "bench", "fanout", "--url", p.url, "--clients", "2", "--duration", "300ms", "--warmup", "0s",
		"--symbols", "NOPE", "--subscribe", "one")
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "not one tick of NOPE came") {
		t.Errorf("of a symbol that is not there: got %v, %s", err, stderr.String())
	}
}

func TestBenchIngest(t *testing.T) {
	var r ingestReport
	bench(t, &r, "ingest", "--rate", "2000", "--batch", "64", "--duration", "1s", "--warmup", "0s")
	if r.Lone.Records == 0 || r.Lone.Latency == nil || r.Bulk.Records == 0 || r.Bulk.Batch != 64 || r.Bulk.TicksPerSecond <= 0 {
		t.Errorf("nothing was appended: %+v", r)
	}
	if s := r.Server; s.Appended <= 0 || s.Recorded <= 0 || s.Append == nil || s.Append.P50 <= 0 || s.BytesPerTick <= 0 {
		t.Errorf("the server has taken nothing: %+v", s)
	}
}

// TestBenchFails ends with 1 and a line that says why.
func TestBenchFails(t *testing.T) {
	for want, args := range map[string][]string{
		"connection 1 of 1": {"fanout", "--clients", "1", "--url", "http://127.0.0.1:1"},
		"no-such-program":   {"fanout", "--clients", "1", "--duration", "1ms", "--warmup", "0s", "--peer", "no-such-program --x"},
		"no-such-folder":    {"ingest", "--data", "no-such-folder"},
	} {
		var stdout, stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), program(t), append([]string{"bench"}, args...)...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		var exit *exec.ExitError
		if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
			t.Errorf("%v ended with %v", args, err)
		}
		if line := stderr.String(); strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "tapedeck: ") || !strings.Contains(line, want) || stdout.Len() > 0 {
			t.Errorf("%v said %q and %q, want one line with %s", args, line, stdout.String(), want)
		}
	}
}

func TestBenchVerdict(t *testing.T) {
	for _, test := range []struct {
		run  fanoutRun
		want string
	}{
		{fanoutRun{Server: "a"}, ""},
		{fanoutRun{Server: "a", Losses: 3}, "3 ticks were lost"},
		{fanoutRun{Server: "a", OrderErrors: 4}, "4 came twice"},
		{fanoutRun{Server: "a", ConnectionsLost: 5, LostReason: "why"}, "5 connections were lost: why"},
		{fanoutRun{Server: "a", silent: "NOPE"}, "not one tick of NOPE came"},
	} {
		err := (&fanoutReport{Runs: []fanoutRun{{}, test.run}}).verdict()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.run, err, test.want)
		}
	}
}

func TestHighestRate(t *testing.T) {
	for _, test := range []struct{ first, most, capacity, least float64 }{
		{100, 1e6, 1234, 1000}, {100, 1e6, 100, 100}, {100, 1e6, 30, 1}, {100, 1e6, 1e9, 1e6}, {100, 50, 1e9, 50}, {1, 1e6, 777_777, 700_000},
	} {
		tries := 0
		got, err := highest(test.first, test.most, func(rate float64) (bool, error) {
			tries++
			return rate <= test.capacity, nil
		})
		if err != nil || got > test.capacity || got < test.least || got > test.most || tries > 30 {
			t.Errorf("%+v: got %v, %v after %d tries", test, got, err, tries)
		}
	}
	wrong := errors.New("wrong")
	if _, err := highest(1, 10, func(float64) (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
}

func TestQuantilesOfBuckets(t *testing.T) {
	text := func(counts ...int) string {
		var b strings.Builder
		for i, le := range []string{"0.001", "0.01", "0.1", "+Inf"} {
			b.WriteString(`x_seconds_bucket{le="` + le + `"} ` + strconv.Itoa(counts[i]) + "\n")
		}
		return b.String() + "# HELP x_seconds_bucket nothing 7\nx_seconds_count 9\n"
	}
	before := parseMetrics(text(100, 100, 100, 100))
	got := quantiles("x_seconds", before, parseMetrics(text(100, 1000, 1090, 1100)))
	want := &bucketQuantiles{P50: 1 + 9*500.0/900, P99: 100, P999: 100}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := quantiles("x_seconds", before, before); got != nil {
		t.Errorf("quantiles of nothing: %+v", got)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999.4: "999", 1000: "1,000", 12_345_678: "12,345,678", -1234: "-1,234", -123: "-123"} {
		if got := count(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{12: "12 B", 4096: "4096 B", 25_000: "25.0 KB", 3.2e6: "3.2 MB", 1.234e9: "1.23 GB"} {
		if got := bytesText(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func TestAddressOfAServer(t *testing.T) {
	for line, want := range map[string]string{
		"Tapedeck is at http://127.0.0.1:8000/\n": "http://127.0.0.1:8000/", "listening on https://[::1]:1\n": "https://[::1]:1",
		"": "", "\n": "", "see http://": "", "ftp://x": "", "all is well": "",
	} {
		got := ""
		if u := addressIn(line); u != nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
