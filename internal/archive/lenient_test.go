package archive

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"tapedeck/internal/archive/archivetest"
)

// TestLenient removes from a bucket whose key may write and not delete: the object stays, and the log names it. Other failures are told.
func TestLenient(t *testing.T) {
	s := archivetest.New(t)
	p := mustOpen(t, s.URL, t.TempDir())
	if err := keep(t, p, someName, []byte("content")); err != nil {
		t.Fatal(err)
	}
	s.Deny = func(r *http.Request) bool { return r.Method == http.MethodDelete }
	if err := p.Remove(t.Context(), someName); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want that it is not permitted", err)
	}
	var log bytes.Buffer
	l := Lenient(p, slog.New(slog.NewTextHandler(&log, nil)))
	if err := l.Remove(t.Context(), someName); err != nil || !strings.Contains(log.String(), someName) || len(s.Names()) != 1 {
		t.Errorf("got %v, log %q, %d objects", err, log.String(), len(s.Names()))
	}
	s.Deny = nil
	if err := l.Remove(t.Context(), someName); err != nil || len(s.Names()) != 0 {
		t.Errorf("got %v, %d objects", err, len(s.Names()))
	}
	if err := l.Remove(t.Context(), "../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// TestLenientWithAWrongKey removes with a key that may do nothing at all: that says nothing about the file, which has to stay in history.
func TestLenientWithAWrongKey(t *testing.T) {
	s := archivetest.New(t)
	p := mustOpen(t, s.URL, t.TempDir())
	if err := keep(t, p, someName, []byte("content")); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	out := slog.New(slog.NewTextHandler(&log, nil))
	for name, wrong := range map[string]Place{
		"another key":      Lenient(mustOpen(t, strings.Replace(s.URL, "the-key", "other-key", 1), t.TempDir()), out),
		"another's bucket": Lenient(p, out),
	} {
		s.Deny = nil
		if name == "another's bucket" {
			s.Deny = func(*http.Request) bool { return true }
		}
		if err := wrong.Remove(t.Context(), someName); !errors.Is(err, fs.ErrPermission) || len(s.Names()) != 1 {
			t.Errorf("%s: got %v, %d objects", name, err, len(s.Names()))
		}
	}
	if log.Len() > 0 {
		t.Errorf("log %q, want nothing", log.String())
	}

	// What is not there needs no removing.
	s.Deny = func(r *http.Request) bool { return r.Method == http.MethodDelete }
	if err := Lenient(p, out).Remove(t.Context(), "trades/none.parquet"); err != nil || log.Len() > 0 {
		t.Errorf("got %v, log %q", err, log.String())
	}
}
