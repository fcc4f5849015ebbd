package store

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oldStore unpacks a store that an earlier version wrote, and returns its path and what was in it then.
func oldStore(t *testing.T, version string) (path string, rows []string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "store-"+version+".db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path = options(t).Path
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "store-"+version+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return path, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// A file of format 1.0 is brought to this format when it is opened, keeps all its rows, and then is what a new one would be.
func TestFormat10IsMigrated(t *testing.T) {
	path, want := oldStore(t, "1.0")
	o := Options{Path: path}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, want, dump(t, path))
	fresh := options(t)
	mustOpen(t, fresh)
	for _, query := range []string{
		"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name",
		"PRAGMA user_version", "SELECT value FROM meta WHERE key = 'format'",
	} {
		if diff := cmp.Diff(userReads(t, fresh.Path, query), userReads(t, path, query)); diff != "" {
			t.Errorf("%s (-new +migrated):\n%s", query, diff)
		}
	}
}

// A file of format 1.0 can be verified as it is.
func TestFormat10IsVerified(t *testing.T) {
	path, _ := oldStore(t, "1.0")
	r, err := Verify(t.Context(), path, nil)
	if err != nil || len(r.Problems) > 0 || r.Format != "1.0" {
		t.Errorf("format %s, problems %q, %v", r.Format, r.Problems, err)
	}
}
