package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tapedeck/internal/market"
)

// listing returns the names and sizes of the files beside a path, and what is in them.
func listing(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	return out
}

func verifyWithoutTouch(t *testing.T, path string) Report {
	t.Helper()
	before := listing(t, path)
	r, err := Verify(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(before, listing(t, path)) {
		t.Error("verify wrote something")
	}
	return r
}

func TestVerify(t *testing.T) {
	src := busyTape(31, 40)
	o := options(t)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	trades, quotes := onTape(src, market.KindTrade, ""), onTape(src, market.KindQuote, "")
	want := Report{
		Archived: Archived{Place: DefaultArchive(o.Path)},
		Path:     o.Path, Format: "2.0", Clean: true, Epoch: src.Epoch.String(), Position: src.Bounds().Last, Entries: src.Len(),
		Symbols: 5, Trades: int64(len(trades)), Quotes: int64(len(quotes)), Problems: []string{},
		First: min(trades[0].Event, quotes[0].Event), Last: max(trades[len(trades)-1].Event, quotes[len(quotes)-1].Event),
	}
	if diff := cmp.Diff(want, verifyWithoutTouch(t, o.Path), cmpopts.IgnoreFields(Report{}, "Bars", "Gaps")); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestVerifyAfterAKill(t *testing.T) {
	o := options(t)
	killOnce(t, o.Path, 3, 5)
	if err := os.Remove(o.Path + "-shm"); err != nil {
		t.Fatal(err)
	}
	r := verifyWithoutTouch(t, o.Path)
	if r.Clean || r.Position < 5 || len(r.Problems) > 0 {
		t.Errorf("report %+v", r)
	}
	p, entries, err := HighWater(t.Context(), o.Path)
	if err != nil || p < r.Position || entries != 0 && entries != r.Entries {
		t.Errorf("high water %d, %d, %v", p, entries, err)
	}
}

func TestVerifyFinds(t *testing.T) {
	for statement, want := range map[string]string{
		"DELETE FROM trade_rows WHERE symbol = 1 AND seq = 3":                            "1 numbers of trades are missing",
		"UPDATE trade_rows SET seq = 5 WHERE symbol = 1 AND seq = 4":                     "used more than once",
		"UPDATE quote_rows SET form = 999 WHERE seq = 2":                                 "form that is not in forms",
		"UPDATE bar_rows SET symbol = symbol + 70 WHERE interval = 86400":                "symbol that is not in symbols",
		"UPDATE symbols SET trades = trades + 1 WHERE id = 2":                            "the table symbols says",
		"UPDATE symbols SET trade_first = 5 WHERE id = 2":                                "the table symbols says 1970",
		"UPDATE symbols SET quote_seq = 1 WHERE id = 1":                                  "the table symbols knows up to 1",
		"UPDATE tape SET high_water = 1":                                                 "beyond its end",
		"INSERT INTO trade_rows VALUES (1, 1, 4611686018427387904, 9, 0, 1, 1, NULL, 1)": "numbers of trades are missing",
	} {
		o, _, _ := filled(t)
		edit(t, o.Path, statement)
		r, err := Verify(t.Context(), o.Path, nil)
		if err != nil || !strings.Contains(strings.Join(r.Problems, "\n"), want) {
			t.Errorf("%s: found %q, %v, want %q", statement, r.Problems, err, want)
		}
	}
}

func TestVerifyDamage(t *testing.T) {
	o, _, _ := filled(t)
	edit(t, o.Path, "PRAGMA wal_checkpoint(TRUNCATE)")
	spoil(t, o.Path, func(b []byte) []byte { return append([]byte("garbage"), b[7:]...) })
	if _, err := Verify(t.Context(), o.Path, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if _, err := Verify(t.Context(), o.Path+"x", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, _, err := HighWater(t.Context(), o.Path); !errors.Is(err, ErrCorrupt) {
		t.Errorf("high water of garbage: %v", err)
	}
	if p, _, err := HighWater(t.Context(), o.Path+"x"); err != nil || p != 0 {
		t.Errorf("high water of nothing: %d, %v", p, err)
	}
}

func TestHighWater(t *testing.T) {
	o, src, _ := filled(t)
	p, entries, err := HighWater(t.Context(), o.Path)
	if err != nil || p != src.Bounds().Last || entries != src.Len() {
		t.Errorf("got %d, %d, %v, want %d, %d", p, entries, err, src.Bounds().Last, src.Len())
	}
}
