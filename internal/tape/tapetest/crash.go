package tapetest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/tape"
)

// childDir is the environment variable that tells a process that it is the one to be killed, and in which folder its tape is.
const childDir = "TAPETEST_CHILD_DIR"

// Acked is an append that a child process was told is durable.
type Acked struct {
	Feed     string
	Seq      uint64 // of its first entry
	N        int
	Position tape.Position
	Epoch    string
}

// childFeeds is enough for turns that an implementation writes in another way than a few records.
const childFeeds = 20

// Child is the process that is killed: it appends as fast as it can, and prints what was acknowledged. A test that calls
// StartChild calls it first, and returns when it returned true. It returns false in the process of the test itself.
func Child(t *testing.T, open func(*testing.T, string) Tape) bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	l := open(t, dir)
	next := map[string]uint64{}
	for _, rec := range ReadAll(t, l, 1) {
		if n := len(rec.Entries); n > 0 && rec.Through == rec.Position {
			next[rec.Feed] = rec.Entries[n-1].Seq
		}
	}
	epoch := l.Bounds().Epoch
	var wg sync.WaitGroup
	var out sync.Mutex
	for f := range childFeeds {
		wg.Go(func() {
			feed := fmt.Sprint("f", f)
			rnd := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(f)))
			for seq := next[feed] + 1; ; {
				n := 1 + rnd.IntN(1<<rnd.IntN(11))
				pos, err := l.Append(t.Context(), Batch(feed, seq, n))
				if err != nil {
					out.Lock()
					fmt.Fprintf(os.Stderr, "append: %v\n", err)
					out.Unlock()
					return
				}
				out.Lock()
				_, err = fmt.Fprintf(os.Stdout, "ACK %s %d %d %d %s\n", feed, seq, n, pos, epoch)
				out.Unlock()
				if err != nil {
					return // nobody listens any more
				}
				seq += uint64(n)
			}
		})
	}
	wg.Wait()
	return true
}

// StartChild starts the test binary again, with only the test that calls it, as a process that appends to the tape in a folder
// until it is stopped. What was acknowledged is sent to acks, which is closed when the process has ended.
func StartChild(t *testing.T, dir string) (cmd *exec.Cmd, acks <-chan Acked) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+name+"$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ch := make(chan Acked, 1<<16)
	go func() {
		defer close(ch)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var a Acked
			if _, err := fmt.Sscanf(lines.Text(), "ACK %s %d %d %d %s", &a.Feed, &a.Seq, &a.N, &a.Position, &a.Epoch); err == nil {
				ch <- a
			}
		}
		if err := cmd.Wait(); err != nil && errs.Len() > 0 {
			t.Logf("child: %v\n%.2000s", err, errs.String())
		}
	}()
	return cmd, ch
}

// testKilled kills a process that appends, at random moments, and looks whether all that it was told is durable is there,
// once, and nothing but what it appended.
func testKilled(t *testing.T, open func(*testing.T, string) Tape) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	var all []Acked
	for round := range rounds {
		cmd, acks := StartChild(t, dir)
		for n := 1 + rnd.IntN(400); n > 0; n-- {
			a, ok := <-acks
			if !ok {
				t.Fatalf("round %d: the child ended by itself", round)
			}
			all = append(all, a)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for a := range acks {
			all = append(all, a)
		}
		l := open(t, dir)
		Survived(t, l, all)
		closeTape(t, l)
	}
	t.Logf("%d acknowledged appends in %d rounds", len(all), rounds)
}

// Survived checks a tape after its process was killed: what was acknowledged is there, each entry once and in order, under the
// positions and the epoch that were told.
func Survived(t *testing.T, l tape.Source, all []Acked) {
	t.Helper()
	recs := ReadAll(t, l, 1)
	next := map[string]uint64{}
	var ordinal uint64
	for i, r := range recs {
		if r.Position != tape.Position(i+1) || r.Through != r.Position || r.Ordinal != ordinal {
			t.Fatalf("record %d: position %d through %d, ordinal %d, want %d", i, r.Position, r.Through, r.Ordinal, ordinal)
		}
		ordinal += uint64(len(r.Entries))
		want := Batch(r.Feed, next[r.Feed]+1, len(r.Entries))
		for j := range r.Entries {
			if r.Entries[j] != want.Entries[j] {
				t.Fatalf("entry %d of position %d: got %+v, want %+v", j, r.Position, r.Entries[j], want.Entries[j])
			}
		}
		next[r.Feed] += uint64(len(r.Entries))
	}
	epoch := l.Bounds().Epoch.String()
	for _, a := range all {
		if a.Epoch != epoch {
			t.Fatalf("epoch %s was told, now it is %s", a.Epoch, epoch)
		}
		if a.Position > tape.Position(len(recs)) {
			t.Fatalf("acknowledged position %d is lost: the tape ends at %d", a.Position, len(recs))
		}
		if r := recs[a.Position-1]; r.Feed != a.Feed || len(r.Entries) != a.N || r.Entries[0].Seq != a.Seq {
			t.Fatalf("position %d was told for %s %d, now it holds %s %d", a.Position, a.Feed, a.Seq, r.Feed, r.Entries[0].Seq)
		}
	}
}
