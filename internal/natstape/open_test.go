package natstape

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func TestOptions(t *testing.T) {
	for _, opts := range []Options{{}, {Dir: "x", RingBytes: -1}, {Dir: "x", AckTimeout: -1}} {
		if l, err := Open(t.Context(), opts); err == nil {
			t.Errorf("Open(%+v) succeeds: %v", opts, l.Close())
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: file}); err == nil {
		t.Error("Open of a file succeeds")
	}
}

// TestSecondProcess has another process that opens the tape: both here and there, the second one is refused.
func TestSecondProcess(t *testing.T) {
	const name = "NATSTAPE_TEST_HOLD"
	if dir := os.Getenv(name); dir != "" {
		l := openTape(t, Options{Dir: dir})
		fmt.Println("OPEN")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the other side closes it
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondProcess$")
	cmd.Env = append(os.Environ(), name+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 4)
	if _, err := out.Read(line); err != nil || string(line) != "OPEN" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	before := tree(t, dir)
	_, err = Open(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", cmd.Process.Pid)) {
		t.Errorf("second Open: %v, want one that names process %d", err, cmd.Process.Pid)
	}
	if after := tree(t, dir); after != before {
		t.Errorf("the second Open wrote:\n%s\n%s", before, after)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	l := openTape(t, Options{Dir: dir})
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open in one process: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestNoGoroutinesStay opens and closes a tape, and opens one that fails.
func TestNoGoroutinesStay(t *testing.T) {
	dir := t.TempDir()
	once := func() {
		l := openTape(t, Options{Dir: dir})
		if _, err := l.Append(t.Context(), tapetest.Batch("a", 1, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
			t.Fatal("second Open succeeds")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	once() // the server keeps a few of its own for the life of the process
	before := runtime.NumGoroutine()
	for range 5 {
		once()
	}
	// Goroutines of the server's may still be on their way out when it says that it has ended.
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}

func TestFolderIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes here")
	}
	r := record(t, 3, 0, false)
	for _, path := range []string{r.dir, storeDir(r.dir)} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, %v", path, st.Mode(), err)
		}
	}
}

// syncBuffer is a buffer that may be written to by several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestIndexIsAccepted looks whether the server takes the index that is written for it after a kill: it says so in its log when
// it doesn't.
func TestIndexIsAccepted(t *testing.T) {
	for _, before := range []int{0, 15} { // records that an index of the server's own knows of
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			r := &recorded{dir: filepath.Join(memoryDir(t), "tape")}
			add := func(l *Log, n int) {
				for range n {
					b := tapetest.Batch(fmt.Sprint("feed", len(r.batches)%3), uint64(1+len(r.batches)), 1)
					b.Offset = make([]byte, 700<<10)
					r.batches = append(r.batches, b)
					if _, err := l.Append(t.Context(), b); err != nil {
						t.Fatal(err)
					}
				}
			}
			if before > 0 {
				l := openTape(t, Options{Dir: r.dir})
				add(l, before)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			l := openTape(t, Options{Dir: r.dir})
			r.epoch = l.Bounds().Epoch
			add(l, 30-before)
			killed := filepath.Join(memoryDir(t), "tape")
			if err := os.CopyFS(killed, os.DirFS(r.dir)); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r.dir = killed
			if n := len(r.blocks(t)); n < 3 {
				t.Fatalf("%d blocks, the test wants 3", n)
			}
			var log syncBuffer
			r.check(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, nil, false)
			if strings.Contains(log.String(), "nats server") {
				t.Errorf("the server complains:\n%s", log.String())
			}
		})
	}
}

// TestIndexAsTheServerWritesIt reads an index of the server's and writes it again.
func TestIndexAsTheServerWritesIt(t *testing.T) {
	r := record(t, 40, 512<<10, false)
	x, err := readIndex(blockDir(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	if x.messages != 40 || x.first != 1 || x.last != 40 || len(x.blocks) != 3 || len(x.subjects) != 3 {
		t.Errorf("index %+v", x)
	}
	for _, s := range x.subjects {
		if s.total < 13 || s.first == 0 || s.last < s.first {
			t.Errorf("subject %+v", s)
		}
	}
	again, err := parseIndex(x.encode())
	if err != nil || again.messages != x.messages || again.bytes != x.bytes || again.tail != x.tail || len(again.blocks) != 3 {
		t.Errorf("written and read again: %+v, %v", again, err)
	}
	var scans []*scan
	for _, b := range r.blocks(t) {
		s, err := b.scan(0)
		if err != nil {
			t.Fatal(err)
		}
		scans = append(scans, s)
	}
	own := newIndex(nil, scans)
	if own.messages != x.messages || own.bytes != x.bytes || own.first != x.first || own.last != x.last ||
		own.firstTime != x.firstTime || own.lastTime != x.lastTime || own.tail != x.tail {
		t.Errorf("index of our own %+v, the server's %+v", own, x)
	}
	for name, s := range x.subjects {
		if own.subjects[name] == nil || *own.subjects[name] != *s {
			t.Errorf("subject %s: %+v, the server's %+v", name, own.subjects[name], s)
		}
	}
}

// TestBlocksAreReadAsWritten holds the reader of block files to what the server writes.
func TestBlocksAreReadAsWritten(t *testing.T) {
	r := record(t, 60, 0, false)
	b := r.blocks(t)[0]
	data, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	br := newBlockReader(data, b.number)
	var enc tape.Encoder
	var ordinal uint64
	for i, batch := range r.batches {
		e, ok, err := br.next()
		if err != nil || !ok {
			t.Fatalf("record %d: %v, %v", i, ok, err)
		}
		want, err := enc.Append(nil, ordinal, batch)
		if err != nil {
			t.Fatal(err)
		}
		if !e.message || e.sequence != uint64(i+1) || string(e.subject) != subjectOf(batch.Feed) || !bytes.Equal(e.payload, want) {
			t.Fatalf("record %d: %+v", i, e)
		}
		ordinal += uint64(len(batch.Entries))
	}
	if _, ok, err := br.next(); ok || err != nil {
		t.Errorf("after the last record: %v, %v", ok, err)
	}
}

func TestSubjects(t *testing.T) {
	for feed, want := range map[string]string{
		"coinbase": "tape.0.coinbase", "": "tape.0.%", "a.b": "tape.0.a%2eb", "a b*>": "tape.0.a%20b%2a%3e", "%": "tape.0.%25", "\x01é": "tape.0.%01%c3%a9",
	} {
		if got := subjectOf(feed); got != want {
			t.Errorf("subjectOf(%q) = %q, want %q", feed, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	dir := t.TempDir()
	l := openTape(t, Options{Dir: dir, Registerer: reg})
	for i := range 3 {
		if _, err := l.Append(t.Context(), tapetest.Batch("a", uint64(1+i*5), 5)); err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"tapedeck_tape_records_total": 3, "tapedeck_tape_entries_total": 15, "tapedeck_tape_sync_batches_total": 3, "tapedeck_tape_last_position": 3,
		"tapedeck_tape_append_seconds": 3, "tapedeck_tape_full": 0, "tapedeck_tape_damaged_positions": 0, "tapedeck_tape_server_restarts_total": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for _, name := range []string{"tapedeck_tape_ring_bytes", "tapedeck_tape_disk_free_bytes", "tapedeck_tape_appended_bytes_total"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTape(t, Options{Dir: dir, Registerer: reg}) // there is room for the metrics of the next one
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestManyBehind has more readers that are far behind than may fetch at once, with large records, while the writer goes on.
func TestManyBehind(t *testing.T) {
	const records = 3
	r := record(t, records, 5<<20, false)
	l := openTape(t, Options{Dir: r.dir, RingBytes: 1})
	s := l.session.Load()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			var recs []*tape.Record
			for pos := tape.Position(1); pos <= records; {
				var err error
				if recs, err = l.Read(t.Context(), pos, recs[:0]); err != nil {
					t.Errorf("Read(%d): %v", pos, err)
					return
				}
				pos = recs[len(recs)-1].Through + 1
			}
		})
	}
	for i := range 20 {
		if _, err := l.Append(t.Context(), tapetest.Batch("a", uint64(1+i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if l.session.Load() != s {
		t.Error("the server was restarted")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLastOf asks for the last records of feeds, of which there may be none.
func TestLastOf(t *testing.T) {
	r := record(t, 10, 0, false)
	l := openTape(t, Options{Dir: r.dir})
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	for feed, want := range map[string]tape.Position{"feed0": 10, "feed1": 8, "feed2": 9} {
		rec, err := l.LastOf(t.Context(), feed)
		if err != nil || rec == nil || rec.Position != want || !bytes.Equal(rec.Offset, r.batches[want-1].Offset) {
			t.Errorf("LastOf(%s): %+v, %v; want position %d", feed, rec, err, want)
		}
	}
	if rec, err := l.LastOf(t.Context(), "none"); err != nil || rec != nil {
		t.Errorf("LastOf a feed without records: %+v, %v", rec, err)
	}
}

// TestLastOfDamaged has a last record of a feed that is damaged: the one before it counts.
func TestLastOfDamaged(t *testing.T) {
	r := record(t, 10, 0, false)
	b, e := r.place(t, 9) // the last one of feed2
	flip(t, b.path, e.end-blockHash-2)
	l := openTape(t, Options{Dir: r.dir})
	rec, err := l.LastOf(t.Context(), "feed2")
	if err != nil || rec == nil || rec.Position != 6 {
		t.Errorf("LastOf: %+v, %v; want position 6", rec, err)
	}
	if pos, err := l.Append(t.Context(), tapetest.Batch("feed2", 1000, 1)); err != nil || pos != 11 {
		t.Errorf("Append after the damaged record: %d, %v", pos, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(quarantineDir(r.dir)); errors.Is(err, fs.ErrNotExist) {
		t.Error("nothing in quarantine")
	}
}
