package store

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/tape/tapetest"
)

// edit changes a closed database with statements of the test's own.
func edit(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// filled makes a store with something in it, and closes it.
func filled(t *testing.T) (Options, *tapetest.Memory, []string) {
	t.Helper()
	src := busyTape(5, 30)
	o := options(t)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return o, src, dump(t, o.Path)
}

func TestUnknownFormatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		statement string
		says      string
	}{
		"newer major":     {"PRAGMA user_version = 3000", "format 3.0"},
		"another program": {"PRAGMA application_id = 7", "another program"},
		"no version":      {"PRAGMA user_version = 0", "format 0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, _ := filled(t)
			edit(t, o.Path, test.statement)
			before, err := os.ReadFile(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), o)
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line about %s", err, test.says)
			}
			if _, err := Verify(t.Context(), o.Path, nil); !errors.Is(err, ErrFormat) {
				t.Errorf("verify: %v", err)
			}
			after, err := os.ReadFile(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, after) {
				t.Error("the file was written to")
			}
		})
	}
}

func TestNewerMinorIsRead(t *testing.T) {
	o, src, want := filled(t)
	edit(t, o.Path, "PRAGMA user_version = 2007", "CREATE TABLE future (x)", "ALTER TABLE symbols ADD COLUMN future TEXT")
	s := mustOpen(t, o)
	src.Put("coinbase", trade("COINBASE:NEW", 1, start, "1", "1"))
	record(t, s, src)
	got := userReads(t, o.Path, "PRAGMA user_version")
	if diff := cmp.Diff([]string{"2007"}, got); diff != "" {
		t.Error(diff)
	}
	if len(dump(t, o.Path)) <= len(want) {
		t.Error("nothing was recorded")
	}
}

func TestSettingsOfEveryConnection(t *testing.T) {
	s := mustOpen(t, options(t))
	for name, db := range map[string]*sql.DB{"writer": s.writer, "readers": s.readers} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "foreign_keys": "1", "cell_size_check": "1", "trusted_schema": "0", "busy_timeout": "1000",
		} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, %v, want %q", name, pragma, got, err, want)
			}
		}
	}
	for pragma, want := range map[string]string{"synchronous": "2", "journal_size_limit": "67108864"} {
		var got string
		if err := s.writer.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", pragma, got, err, want)
		}
	}
	if _, err := s.readers.ExecContext(t.Context(), "DELETE FROM symbols"); err == nil {
		t.Error("a reader could write")
	}
}

func TestOnlyTheOwnerMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other permissions")
	}
	o := options(t)
	mustOpen(t, o)
	for path, want := range map[string]os.FileMode{
		filepath.Dir(o.Path): 0o700, o.Path: 0o600, o.Path + "-wal": 0o600, o.Path + "-shm": 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b", "what?", "100%", "#1", "ü", "a&mode=memory"} {
		path := filepath.Join(t.TempDir(), name, "history.db")
		s := mustOpen(t, Options{Path: path, Busy: time.Second})
		if info, err := os.Stat(path); err != nil || info.Size() == 0 && !exists(path+"-wal") {
			t.Errorf("%s: %v", path, err)
		}
		record(t, s, busyTape(1, 2))
	}
}

func TestCloseLeavesOneFile(t *testing.T) {
	o := options(t)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, busyTape(5, 30))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
}

func TestMetricsCanBeRegisteredAgain(t *testing.T) {
	o := options(t)
	o.Registerer = prometheus.NewRegistry()
	for range 2 {
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		record(t, s, busyTape(2, 2))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
