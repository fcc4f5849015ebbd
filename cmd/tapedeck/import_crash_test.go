package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rowsFile writes a file of so many trades of 2013, and returns what it is told by.
func rowsFile(t *testing.T, path string, n int) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	var b bytes.Buffer
	b.WriteString("time,price,size\n")
	sum := new(big.Int)
	at := time.Date(2013, 10, 8, 13, 30, 0, 0, time.UTC).UnixMilli()
	for range n {
		at += rng.Int64N(200)
		cents, size := 14_000+rng.Int64N(300), 1+rng.Int64N(500)
		fmt.Fprintf(&b, "%d,%d.%02d,%d\n", at, cents/100, cents%100, size)
		sum.Add(sum, big.NewInt(cents*size))
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d rows, %s cents", n, sum)
}

// imported exports a symbol and tells what is in it of 2013, as rowsFile does. The numbers must be dense.
func imported(t *testing.T, data, symbol string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.csv")
	if text, err := exec.CommandContext(t.Context(), program(t), "export", "--symbol", symbol, "--data", data, "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("export: %v\n%s", err, text)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	column := make(map[string]int)
	for i, name := range head {
		column[name] = i
	}
	list, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]bool, len(list)+1)
	sum, n := new(big.Int), 0
	for _, row := range list {
		seq, err := strconv.Atoi(row[column["seq"]])
		if err != nil || seq < 1 || seq > len(list) || seen[seq] {
			t.Fatalf("number %s among %d trades", row[column["seq"]], len(list))
		}
		seen[seq] = true
		if !strings.HasPrefix(row[column["timestamp"]], "2013-") {
			continue
		}
		cents, ok1 := new(big.Int).SetString(strings.Replace(row[column["price"]], ".", "", 1), 10)
		size, ok2 := new(big.Int).SetString(row[column["size"]], 10)
		if !ok1 || !ok2 {
			t.Fatalf("row %v", row)
		}
		sum.Add(sum, cents.Mul(cents, size))
		n++
	}
	return fmt.Sprintf("%d rows, %s cents", n, sum)
}

// importKilled runs an import and kills it after a while; done tells that it came to its end before.
func importKilled(t *testing.T, after time.Duration, args ...string) (done bool) {
	t.Helper()
	done, err := importFor(t, after, args...)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// importFor is importKilled for an import that may fail.
func importFor(t *testing.T, after time.Duration, args ...string) (done bool, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), append([]string{"import", "--yes"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if killed := !timer.Stop(); err != nil && !killed {
		return false, fmt.Errorf("import: %w\n%s", err, &out)
	}
	return err == nil, nil
}

// TestKillImport kills an import into a folder again and again. Nothing is lost, and nothing comes twice.
func TestKillImport(t *testing.T) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) //nolint:gosec // moments need not be secret
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "trades.csv")
	want := rowsFile(t, file, 200_000)
	program(t) // made before the clock runs
	lives := 0
	for done := false; !done; lives++ {
		// The more often it was killed the longer it may live, so that it comes to its end on any machine.
		done = importKilled(t, time.Duration(rng.Int64N(int64(500+100*lives)))*time.Millisecond, file, "--symbol", "FILE:SPY", "--data", data)
	}
	if got := imported(t, data, "FILE:SPY"); got != want {
		t.Errorf("history has %s, the file %s", got, want)
	}
	if !importKilled(t, time.Minute, file, "--symbol", "FILE:SPY", "--data", data) {
		t.Error("the second import was killed")
	}
	if got := imported(t, data, "FILE:SPY"); got != want {
		t.Errorf("history has %s after the same file again, the file %s", got, want)
	}
	if out, err := exec.CommandContext(t.Context(), program(t), "verify", "--data", data).CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	t.Logf("%d lives", lives)
}

// TestKillImportThroughServer kills now the import, now the server that it goes through, while a feed brings the same symbol live.
func TestKillImportThroughServer(t *testing.T) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) //nolint:gosec // moments need not be secret
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "trades.csv")
	want := rowsFile(t, file, 200_000)
	program(t)
	serve := func() *process {
		p := startServer(t, "--data", data, "--feed", "sim://?symbols=SPY&rate=3000/s&seed=7", "--log-level", "warn")
		p.ready(t)
		return p
	}
	p, lives := serve(), 0
	for done := false; !done; lives++ {
		moment := time.Duration(rng.Int64N(int64(500+100*lives))) * time.Millisecond
		if rng.IntN(3) > 0 {
			done = importKilled(t, moment, file, "--symbol", "SIM:SPY", "--data", data)
			continue
		}
		killed := make(chan struct{})
		timer := time.AfterFunc(moment/2, func() {
			defer close(killed)
			_ = p.cmd.Process.Kill()
		})
		var err error
		done, err = importFor(t, moment, file, "--symbol", "SIM:SPY", "--data", data)
		if timer.Stop() {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		<-killed
		<-p.ended
		p = serve()
	}
	if got := imported(t, data, "SIM:SPY"); got != want {
		t.Errorf("the server's history has %s, the file %s", got, want)
	}
	p.stop(t)
	if got := imported(t, data, "SIM:SPY"); got != want {
		t.Errorf("history has %s, the file %s", got, want)
	}
	if out, err := exec.CommandContext(t.Context(), program(t), "verify", "--data", data).CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	t.Logf("%d lives", lives)
}

// TestKillExport kills an export at random moments: what is under the name of the file is whole.
func TestKillExport(t *testing.T) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) //nolint:gosec // moments need not be secret
	dir := t.TempDir()
	data, file, out := filepath.Join(dir, "data"), filepath.Join(dir, "trades.csv"), filepath.Join(dir, "out.csv")
	rowsFile(t, file, 100_000)
	if !importKilled(t, 2*time.Minute, file, "--symbol", "FILE:SPY", "--data", data) {
		t.Fatal("the import was killed")
	}
	export := func() *exec.Cmd {
		return exec.CommandContext(t.Context(), program(t), "export", "--symbol", "FILE:SPY", "--data", data, "-o", out)
	}
	if text, err := export().CombinedOutput(); err != nil {
		t.Fatalf("export: %v\n%s", err, text)
	}
	whole, err := os.ReadFile(out)
	if err != nil || bytes.Count(whole, []byte("\n")) != 100_001 {
		t.Fatalf("%d lines, %v", bytes.Count(whole, []byte("\n")), err)
	}
	for range 10 {
		if err := os.Remove(out); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		cmd := export()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
		got, err := os.ReadFile(out)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err == nil && !bytes.Equal(got, whole) {
			t.Fatalf("a file of %d bytes, the whole one has %d", len(got), len(whole))
		}
	}
}
