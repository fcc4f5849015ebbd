package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/layout"
	"tapedeck/internal/market"
	"tapedeck/internal/server"
)

// pile is an intake that keeps what it gets, as the tape does, and fails when it has had enough.
type pile struct {
	entries []market.Entry
	rows    uint64
	done    bool
	id      string
	enough  int // Puts until it fails
}

var errEnough = errors.New("enough")

func (p *pile) Begin(_ context.Context, f server.IntakeFile) (uint64, bool, error) {
	if p.id != f.ID {
		*p = pile{id: f.ID, enough: p.enough}
	}
	return p.rows, p.done, nil
}

func (p *pile) Put(_ context.Context, entries []market.Entry, rows uint64, last bool) error {
	if p.enough == 0 {
		return errEnough
	}
	p.enough--
	if len(entries) > server.IntakeBatch {
		return fmt.Errorf("%d entries at once", len(entries))
	}
	p.entries = append(p.entries, entries...)
	p.rows, p.done = rows, last
	return nil
}

func (p *pile) Close(context.Context) error { return nil }

// TestImportGoesOn stops an import after each batch and begins it anew: every row is put once, and the rejected rows are all in the side
// file each time it comes to its end.
func TestImportGoesOn(t *testing.T) {
	var text strings.Builder
	text.WriteString("time,price,size\n")
	for i := range 60_000 {
		if i%1000 == 999 {
			fmt.Fprintf(&text, "%d,?,1\n", 1_700_000_000+i)
			continue
		}
		fmt.Fprintf(&text, "%d,%d.50,1\n", 1_700_000_000+i, i+1)
	}
	path := filepath.Join(t.TempDir(), "X.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pile{}
	stops := 0
	for !p.done {
		p.enough = 1
		out, err := importInto(t, p, path)
		if err != nil && !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		if stops++; stops > 20 {
			t.Fatal("no progress")
		}
		if p.done && !strings.Contains(out, "60,000 rows") {
			t.Errorf("got %q", out)
		}
	}
	if stops < 4 || len(p.entries) != 60_000-60 {
		t.Fatalf("got %d entries after %d runs", len(p.entries), stops)
	}
	want := 1
	for i := range p.entries {
		if want%1000 == 0 {
			want++
		}
		if got := p.entries[i].Price.String(); got != fmt.Sprintf("%d.50", want) {
			t.Fatalf("entry %d: got price %s, want %d.50", i, got, want)
		}
		want++
	}
	side, err := os.ReadFile(path + ".rejected.csv")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(side, []byte("\n")); n != 61 || !bytes.Contains(side, []byte("1700000999,?,1")) {
		t.Errorf("the side file has %d lines", n)
	}
	out, err := importInto(t, p, path)
	if diff := cmp.Diff("X.csv: already imported, 60,000 rows\n", out); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// importInto imports one file.
func importInto(t *testing.T, p *pile, path string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	im := &importer{flags: &importFlags{}, options: layout.Options{}, out: bufio.NewWriter(&out), errOut: t.Output(), in: strings.NewReader("")}
	f, err := im.recognise(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	err = im.put(t.Context(), p, f)
	if flushErr := im.out.Flush(); flushErr != nil {
		t.Fatal(flushErr)
	}
	return out.String(), err
}

// TestImportOfADamagedFile keeps what came before the damage, and says where it ended.
func TestImportOfADamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "X.csv")
	text := "time,price\n" + strings.Repeat("1700000000,1\n", 5000) + strings.Repeat("x", 3<<20)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &pile{enough: 100}
	_, err := importInto(t, p, path)
	const stays = "what stands before it is on the tape and stays there (5,000 rows were read, 5,000 ticks or bars put by this run)"
	if err == nil || !strings.Contains(err.Error(), "line 5002 is longer") || !strings.Contains(err.Error(), stays) || len(p.entries) != 5000 || p.done {
		t.Errorf("got %d entries, %v", len(p.entries), err)
	}
}
