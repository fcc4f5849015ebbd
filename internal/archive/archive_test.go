package archive

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/archive/archivetest"
)

// places are what the contract is held against: a folder, a server in memory, and a real one when TAPEDECK_TEST_S3 is the URL of a bucket.
func places(t *testing.T) map[string]string {
	out := map[string]string{
		"folder": t.TempDir(),
		"file":   (&url.URL{Scheme: "file", Path: t.TempDir() + "/a b"}).String(),
		"s3":     archivetest.New(t).URL,
	}
	if where := os.Getenv("TAPEDECK_TEST_S3"); where != "" {
		out["real s3"] = where
	}
	return out
}

func mustOpen(t *testing.T, where, scratch string) Place {
	t.Helper()
	p, err := Open(where, scratch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func keep(t *testing.T, p Place, name string, content []byte) error {
	t.Helper()
	f, err := p.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return p.Keep(t.Context(), f, name)
}

// noise is content that does not repeat, larger than a block of the cache.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

const someName = "trades/symbol=SIM%3ABTC%2FUSD/date=2026-11-23/0123abcd-1.parquet"

func TestPlaces(t *testing.T) {
	for name, where := range places(t) {
		t.Run(name, func(t *testing.T) {
			scratch := filepath.Join(t.TempDir(), "scratch")
			p := mustOpen(t, where, scratch)
			if _, err := p.Open(t.Context(), someName); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open what is not there: %v", err)
			}
			if err := p.Remove(t.Context(), someName); err != nil {
				t.Errorf("remove what is not there: %v", err)
			}
			content := noise(3*blockSize + 17)
			if err := keep(t, p, someName, content); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, where, scratch) // another process
			f, err := again.Open(t.Context(), someName)
			if err != nil {
				t.Fatal(err)
			}
			checkReads(t, f, content)
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := again.Remove(t.Context(), someName); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Open(t.Context(), someName); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open what was removed: %v", err)
			}
		})
	}
}

// checkReads reads a file in pieces of all kinds.
func checkReads(t *testing.T, f File, content []byte) {
	t.Helper()
	size := int64(len(content))
	if f.Size() != size {
		t.Fatalf("size %d, want %d", f.Size(), size)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		off := r.Int64N(size)
		n := r.Int64N(size-off) + 1
		if r.IntN(2) == 0 {
			n = min(n, r.Int64N(2000)+1)
		}
		b := make([]byte, n)
		if got, err := f.ReadAt(b, off); int64(got) != n || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(b, content[off:off+n]) {
			t.Fatalf("%d bytes at %d: %d, %v", n, off, got, err)
		}
	}
	b := make([]byte, 10)
	if n, err := f.ReadAt(b, size-3); n != 3 || !errors.Is(err, io.EOF) || !bytes.Equal(b[:3], content[size-3:]) {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(b, size+1); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if _, err := f.ReadAt(b, -1); err == nil {
		t.Error("before the begin: no error")
	}
}

// Names come from a database: one that was tampered with leads nowhere.
func TestNamesLeadNowhereElse(t *testing.T) {
	for name, where := range places(t) {
		t.Run(name, func(t *testing.T) {
			if where[0] == '/' { // what is beside the folder
				if err := os.WriteFile(filepath.Join(filepath.Dir(where), "x"), []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := mustOpen(t, where, t.TempDir())
			if err := keep(t, p, "a.parquet", nil); err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"../x", "/etc/passwd", "a/../../x", "", "."} {
				if f, err := p.Open(t.Context(), bad); err == nil {
					t.Errorf("opened %q of %d bytes", bad, f.Size())
				}
				if err := p.Remove(t.Context(), bad); err == nil {
					t.Errorf("removed %q", bad)
				}
			}
		})
	}
}

func TestSweepRemovesTemporaries(t *testing.T) {
	for name, where := range places(t) {
		t.Run(name, func(t *testing.T) {
			scratch := t.TempDir()
			p := mustOpen(t, where, scratch)
			if err := p.Sweep(); err != nil {
				t.Errorf("of nothing: %v", err)
			}
			f, err := p.Create("left.parquet")
			if err != nil {
				t.Fatal(err)
			}
			if err := keep(t, p, someName, []byte("stays")); err != nil {
				t.Fatal(err)
			}
			_ = f.Close() // its process was ended
			if err := mustOpen(t, where, scratch).Sweep(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(f.Name()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", f.Name(), err)
			}
			if _, err := p.Open(t.Context(), someName); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that has something else than what was sent, or that refuses, is found out.
func TestBucketIsNotBelieved(t *testing.T) {
	s := archivetest.New(t)
	p := mustOpen(t, s.URL, t.TempDir())
	s.Spoil = func(b []byte) []byte { return b[:len(b)-1] }
	if err := keep(t, p, someName, []byte("content")); err == nil {
		t.Error("a cut object was believed")
	}
	s.Spoil = func(b []byte) []byte { return append([]byte{'x'}, b[1:]...) }
	if err := keep(t, p, someName, []byte("content")); err == nil {
		t.Error("another object was believed")
	}
	s.Spoil = nil
	other := mustOpen(t, strings.Replace(s.URL, "key=the-key", "key=another", 1), t.TempDir())
	if err := keep(t, other, someName, []byte("content")); err == nil || strings.Contains(err.Error(), "the-secret") {
		t.Errorf("with a wrong key: %v", err)
	}
	if err := keep(t, p, someName, []byte("content")); err != nil {
		t.Fatal(err)
	}
	f, err := p.Open(t.Context(), someName)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(t, p, someName, []byte("changed")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 7), 0); err == nil {
		t.Error("half of one object and half of another may be read")
	}
}

// A request that fails for a moment is made again.
func TestBucketTriesAgain(t *testing.T) {
	s := archivetest.New(t)
	p := mustOpen(t, s.URL, t.TempDir())
	seen := map[string]int{}
	s.Fail = func(r *http.Request) bool {
		seen[r.Method]++
		return seen[r.Method] == 1
	}
	content := noise(1000)
	if err := keep(t, p, someName, content); err != nil {
		t.Fatal(err)
	}
	f, err := p.Open(t.Context(), someName)
	if err != nil {
		t.Fatal(err)
	}
	checkReads(t, f, content)
	if n := s.Gets(); n != 1 {
		t.Errorf("%d requests for what one block holds", n)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("ARCHIVE_TEST_SECRET", "hush")
	for where, says := range map[string]string{
		"":                                   "empty",
		"ftp://host/x":                       "neither file nor s3",
		"file://host/x":                      "file:///path",
		"file:///x?y=z":                      "file:///path",
		"s3:///prefix":                       "s3://bucket/prefix",
		"s3://b?endpoint=nowhere":            "not a URL such as",
		"s3://b?endpoint=http://h/path":      "not a URL such as",
		"s3://b?key=env:ARCHIVE_TEST_SECRET": "go together",
		"s3://b?key=env:ARCHIVE_TEST_NONE&secret=x": "ARCHIVE_TEST_NONE",
		"s3://b?key=file:/nowhere/at/all&secret=x":  "nowhere",
		"s3://b?colour=red":                         "colour",
		"s3://u:hush@b":                             "s3://bucket/prefix",
		"s3://b:%zz?secret=hush":                    "not a place",
	} {
		_, err := Open(where, "")
		if !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %v, want one that says %q", where, err, says)
		}
	}
}

func TestMask(t *testing.T) {
	for where, want := range map[string]string{
		"":                   "",
		"/var/archive":       "/var/archive",
		"file:///var/x":      "file:///var/x",
		"s3://b/p?region=eu": "s3://b/p?region=eu",
		"s3://b/p?key=abc&secret=d%26f&endpoint=https://h": "s3://b/p?key=***&secret=***&endpoint=https://h",
		"s3://b?key=env:K&secret=file:/run/s":              "s3://b?key=env:K&secret=file:/run/s",
		"s3://u:p@b/x":                                     "s3://***@b/x",
		"s3://b?odd=thing":                                 "s3://b?odd=***",
		"s3://%zz?secret=x":                                "s3://***",
	} {
		if got := Mask(where); got != want {
			t.Errorf("Mask(%q) = %q, want %q", where, got, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=x&key=a&secret=b")
	f.Add("file:///tmp/x")
	f.Fuzz(func(t *testing.T, where string) {
		if p, err := Open(where, ""); err == nil && p.String() == "" {
			t.Error("a place without a name")
		}
		Mask(where)
	})
}
