package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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
)

// witness remembers all that clients were shown, over all lives of a server.
type witness struct {
	mu    sync.Mutex
	shown map[string]map[uint64]tick // by kind and symbol, then seq
	next  map[string]uint64          // what the running stream must show next
	wrong []string
	blind bool // what is shown now does not count
}

func newWitness() *witness {
	return &witness{shown: make(map[string]map[uint64]tick), next: make(map[string]uint64)}
}

// reconnect forgets where the stream was: a new one without a cursor begins anywhere.
func (w *witness) reconnect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.next)
	w.blind = false
}

// lookAway lasts until the next reconnect: a machine without power shows nothing to anybody. A sync that is under way while ext4 is
// shut down may return without an error although its data are lost, which no program can know.
func (w *witness) lookAway() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blind = true
}

func (w *witness) see(k tick) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind {
		return
	}
	key := k.Kind + " " + k.S
	if w.shown[key] == nil {
		w.shown[key] = make(map[uint64]tick)
	}
	if want, ok := w.next[key]; ok && k.Seq != want {
		w.wrong = append(w.wrong, fmt.Sprintf("%s: seq %d was shown where %d was due", key, k.Seq, want))
	}
	w.next[key] = k.Seq + 1
	if before, ok := w.shown[key][k.Seq]; ok && before != k {
		w.wrong = append(w.wrong, fmt.Sprintf("%s: seq %d was shown as %v and as %v", key, k.Seq, before, k))
	}
	w.shown[key][k.Seq] = k
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, m := range w.shown {
		n += len(m)
	}
	return n
}

// check compares what was shown with what the server's history has.
func (w *witness) check(t *testing.T, p *process) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.wrong {
		t.Error(s)
	}
	for key, shown := range w.shown {
		var kind, symbol string
		if _, err := fmt.Sscan(key, &kind, &symbol); err != nil {
			t.Fatal(err)
		}
		resource := map[string]string{"t": "trades", "q": "quotes"}[kind]
		stored := history(t, p, resource, symbol)
		for i, k := range stored {
			if k.Seq != uint64(i+1) {
				t.Errorf("%s: number %d of the store has seq %d", key, i+1, k.Seq)
				break
			}
		}
		for seq, want := range shown {
			if seq == 0 || seq > uint64(len(stored)) {
				t.Errorf("%s: seq %d was shown, the store ends at %d", key, seq, len(stored))
				break
			}
			if got := stored[seq-1]; got.P != want.P || got.Size != want.Size || got.BP != want.BP || got.AP != want.AP || got.Time != want.Time {
				t.Errorf("%s: seq %d was shown as %+v and stored as %+v", key, seq, want, got)
				break
			}
		}
	}
}

// history reads all trades or quotes of a symbol, page by page, in the order of their seq.
func history(t *testing.T, p *process, resource, symbol string) []tick {
	t.Helper()
	var all []tick
	for token := ""; ; {
		path := "/v2/stocks/" + url.PathEscape(symbol) + "/" + resource + "?limit=10000&start=2000-01-01T00:00:00Z&page_token=" + url.QueryEscape(token)
		status, _, body, err := p.get(t.Context(), path)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %v %.500s", path, status, err, body)
		}
		var page struct {
			Trades, Quotes []tick
			Next           *string `json:"next_page_token"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		all = append(append(all, page.Trades...), page.Quotes...)
		if page.Next == nil {
			return bySeq(all)
		}
		token = *page.Next
	}
}

// bySeq sorts ticks that are in the order of their event times, which is nearly that of their numbers.
func bySeq(ticks []tick) []tick {
	for i := range ticks {
		for j := i; j > 0 && ticks[j-1].Seq > ticks[j].Seq; j-- {
			ticks[j-1], ticks[j] = ticks[j], ticks[j-1]
		}
	}
	return ticks
}

// crash runs a server under load again and again, each life ended by end at a random moment, with a client that writes down
// all that it is shown.
func crash(t *testing.T, lives int, data string, end func(*process, *witness)) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) //nolint:gosec // moments need not be secret
	w := newWitness()
	program(t) // made before the clock runs
	var slowest time.Duration
	for life := range lives {
		began := time.Now()
		p := startServer(t, "--data", data, "--feed", "sim://?symbols=AAPL,MSFT,NVDA,TSLA,BTC-USD&rate=20000/s&seed=7", "--log-level", "warn")
		p.ready(t)
		slowest = max(slowest, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		conn, err := p.dialStream(ctx, "")
		if err != nil {
			cancel()
			t.Fatal(err)
		}
		w.reconnect()
		before := w.count()
		enough := make(chan struct{})
		var once sync.Once
		wanted := 200 + rng.IntN(8000) // the moment is that at which so many ticks were shown
		done := make(chan struct{})
		go func() {
			defer close(done)
			n := 0
			_, _ = readTicks(ctx, conn, func(k tick) {
				w.see(k)
				if n++; n >= wanted {
					once.Do(func() { close(enough) })
				}
			})
		}()
		select {
		case <-enough:
		case <-done:
			t.Errorf("life %d: the stream ended early", life)
		}
		end(p, w)
		<-done
		cancel()
		_ = conn.CloseNow()
		if w.count() == before {
			t.Errorf("life %d: nothing was shown", life)
		}
	}
	p := startServer(t, "--data", data, "--feed", "sim://?symbols=IDLE&rate=1/s", "--log-level", "warn")
	p.ready(t)
	w.check(t, p)
	p.stop(t)
	out, err := exec.CommandContext(t.Context(), program(t), "verify", "--data", data).CombinedOutput()
	if err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
	t.Logf("%d lives, %d ticks shown, slowest start to ready %v", lives, w.count(), slowest.Round(time.Millisecond))
}

func TestKill(t *testing.T) {
	lives := 50
	if testing.Short() {
		lives = 5
	}
	crash(t, lives, t.TempDir(), func(p *process, _ *witness) { p.kill(t) })
}

// disk is an ext4 file system of a test's own.
type disk struct{ image, mnt string }

// newDisk makes and mounts a file system of so many bytes, or skips the test where that can't be done.
func newDisk(t *testing.T, size int64, tools ...string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system takes root")
	}
	for _, tool := range append(tools, "mkfs.ext4", "mount", "umount") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("a disk of its own takes %s", tool)
		}
	}
	dir := t.TempDir()
	d := &disk{filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")}
	if err := os.Mkdir(d.mnt, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, size); err != nil {
		t.Fatal(err)
	}
	d.run(t, "mkfs.ext4", "-q", "-F", "-m", "0", d.image)
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", d.image, d.mnt).CombinedOutput(); err != nil {
		t.Skipf("this machine does not mount files: %v: %s", err, out)
	}
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "umount", "-l", d.mnt).Run()
	})
	return d
}

func (d *disk) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestPowerCut puts the data on a file system of its own and cuts it off: what was not synced is gone.
func TestPowerCut(t *testing.T) {
	d := newDisk(t, 3<<30, "xfs_io")
	lives := 10
	if testing.Short() {
		lives = 2
	}
	crash(t, lives, filepath.Join(d.mnt, "data"), func(p *process, w *witness) {
		w.lookAway()
		d.run(t, "xfs_io", "-x", "-c", "shutdown", d.mnt)
		p.kill(t)
		d.run(t, "umount", d.mnt)
		d.run(t, "mount", "-o", "loop", d.image, d.mnt)
	})
}

// TestDiskFull fills the disk of a running server and frees it again: nothing that was shown is lost, history answers all the
// time, and the server goes on by itself.
func TestDiskFull(t *testing.T) {
	d := newDisk(t, 512<<20)
	data := filepath.Join(d.mnt, "data")
	p := startServer(t, "--data", data, "--feed", "sim://?symbols=AAPL,MSFT&rate=2000/s&seed=7", "--log-level", "warn")
	p.ready(t)
	conn, err := p.dialStream(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		_, _ = readTicks(ctx, conn, w.see)
	}()
	more := func() {
		t.Helper()
		before := w.count()
		p.until(t, "/health", func(int, []byte) bool { return w.count() > before+1000 })
	}
	more()

	filler := filepath.Join(d.mnt, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	_ = f.Close()
	body := p.until(t, "/readyz", func(status int, _ []byte) bool { return status == http.StatusServiceUnavailable })
	if !strings.Contains(string(body), "full") && !strings.Contains(string(body), "space") {
		t.Errorf("/readyz does not say that the disk is full: %s", body)
	}
	if status, _, body, err := p.get(t.Context(), "/history?limit=10"); err != nil || status != http.StatusOK || countOf(body) != 10 {
		t.Errorf("history while the disk is full: %d %v %s", status, err, body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.ready(t)
	more()
	cancel()
	<-done
	p.stop(t)
	p = startServer(t, "--data", data, "--feed", "sim://?symbols=IDLE&rate=1/s", "--log-level", "warn")
	p.ready(t)
	w.check(t, p)
	p.stop(t)
}
