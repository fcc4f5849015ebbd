package natstape

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"tapedeck/internal/tape/tapetest"
)

func TestVerify(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("killed=", killed), func(t *testing.T) {
			r := record(t, 60, 0, killed)
			r.verify(t, nil)
			rep, err := Verify(t.Context(), r.dir)
			if err != nil || !rep.OK() || rep.Clean == killed || rep.Epoch != r.epoch.String() || rep.HighWater != 60 {
				t.Errorf("Verify: %+v, %v", rep, err)
			}
			b, err := json.Marshal(rep)
			if err != nil || !strings.Contains(string(b), `"gaps":[]`) {
				t.Errorf("as JSON: %s, %v", b, err)
			}
		})
	}
}

// TestVerifyUnfinished has a write that was cut short by a kill: nobody was told that it is durable, so nothing is wrong.
func TestVerifyUnfinished(t *testing.T) {
	r := record(t, 60, 0, true)
	b := r.blocks(t)[0]
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\x90\x00\x00\x80half a record"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	rep, err := Verify(t.Context(), r.dir)
	if err != nil || !rep.OK() || rep.UnfinishedBytes != 17 || rep.Records != 60 {
		t.Errorf("Verify: %+v, %v", rep, err)
	}
	r.check(t, Options{}, nil, false)
}

func TestVerifyRefuses(t *testing.T) {
	if _, err := Verify(t.Context(), t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Verify of an empty folder: %v", err)
	}
	dir := t.TempDir()
	l := openTape(t, Options{Dir: dir})
	if _, err := l.Append(t.Context(), tapetest.Batch("a", 1, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("Verify of an open tape: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if rep, err := Verify(t.Context(), dir); err != nil || !rep.OK() {
		t.Errorf("Verify: %+v, %v", rep, err)
	}
}
