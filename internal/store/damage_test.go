package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// spoil changes a file as a bad disk would.
func spoil(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// unclean makes a closed store look as if its program had died.
func unclean(t *testing.T, path string) {
	t.Helper()
	edit(t, path, "UPDATE meta SET value = '1' WHERE key = 'open'", "PRAGMA wal_checkpoint(TRUNCATE)")
}

func TestDamagedFileIsMadeAgain(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"not a database": func([]byte) []byte { return []byte(strings.Repeat("not a database ", 1000)) },
		"zeros at the end": func(b []byte) []byte {
			clear(b[len(b)-3*4096:])
			return b
		},
		"cut": func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
		"a broken page": func(b []byte) []byte {
			for i := range 64 {
				b[len(b)-2*4096+i] ^= 0xff
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, src, want := filled(t)
			unclean(t, o.Path)
			spoil(t, o.Path, change)
			damagedFile, err := os.ReadFile(o.Path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), o); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("without a tape: got %v, want ErrCorrupt", err)
			}
			trimmed := newMemTape()
			trimmed.Trim(3)
			o.Source = trimmed
			if _, err := Open(t.Context(), o); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "restore a backup") {
				t.Fatalf("with a trimmed tape: got %v, want ErrCorrupt and advice", err)
			}
			o.Source = src
			s := mustOpen(t, o)
			record(t, s, src)
			same(t, want, dump(t, o.Path))
			kept, err := filepath.Glob(filepath.Join(filepath.Dir(o.Path), "quarantine", "*", "history.db"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("quarantine holds %v, %v", kept, err)
			}
			if got, err := os.ReadFile(kept[0]); err != nil || !cmp.Equal(got, damagedFile) {
				t.Errorf("quarantine does not hold the damaged file: %v", err)
			}
		})
	}
}

func TestLargeFileIsCheckedInUse(t *testing.T) {
	o, src, _ := filled(t)
	unclean(t, o.Path)
	// An index that only other programs use.
	page, err := strconv.Atoi(userReads(t, o.Path, "SELECT rootpage FROM sqlite_schema WHERE name = 'gap_rows_by_symbol'")[0])
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, o.Path, func(b []byte) []byte {
		for i := range 4096 {
			b[(page-1)*4096+i] ^= 0x55
		}
		return b
	})
	o.CheckSize = 1
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.checks.Wait()
	if err := s.Health(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("health is %v, want ErrCorrupt", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("opened again: %v, want ErrCorrupt", err)
	}
	o.Source = src
	if err := mustOpen(t, o).Health(); err != nil {
		t.Errorf("made again: %v", err)
	}
}

// The log of a process that was killed is cut off, has a bit flipped, or is lost: what was in it comes from the tape again.
func TestTornLog(t *testing.T) {
	const seed = 7
	src := busyTape(seed, killBatches)
	want := allOf(t, src)
	rnd := rand.New(rand.NewPCG(5, 6))
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:rnd.IntN(len(b))] },
		"cut off": func(b []byte) []byte { return b[:len(b)-1-rnd.IntN(min(len(b)-1, 4096))] },
		"flipped": func(b []byte) []byte {
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			return b
		},
		"zeros": func(b []byte) []byte {
			clear(b[rnd.IntN(len(b)):])
			return b
		},
		"lost": func(b []byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			for range 2 {
				killOnce(t, o.Path, seed, 1+rnd.IntN(6))
				spoil(t, o.Path+"-wal", change)
			}
			o.Source = src
			s := mustOpen(t, o)
			record(t, s, src)
			same(t, want, dump(t, o.Path))
		})
	}
}

func TestDamageOnTheTape(t *testing.T) {
	src := newMemTape()
	src.Put("sim", trade("SIM:A", 1, start, "1", "1"), trade("SIM:B", 1, start, "1", "1"))
	src.Put("sim", trade("SIM:A", 2, start+1, "1", "1"), trade("SIM:A", 3, start+2, "1", "1"))
	src.Put("sim", trade("SIM:B", 2, start+3, "1", "1"))
	src.Put("sim", trade("SIM:A", 4, start+market.Second, "1", "1"))
	src.Damage(2, 3)
	o := options(t)
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	record(t, s, src)

	// Each symbol may have had all three of the lost entries.
	for symbol, want := range map[market.Symbol][2]uint64{"SIM:A": {4, 3}, "SIM:B": {4, 3}} {
		if l, _ := s.Latest(symbol); l.TradeSeq != want[0] || l.QuoteSeq != want[1] {
			t.Errorf("%s goes on from %d, %d, want %d", symbol, l.TradeSeq, l.QuoteSeq, want)
		}
	}
	gaps, err := s.Gaps(t.Context(), "SIM:B", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Gap{{
		Gap:   market.Gap{From: start + 1, To: start + 3, Reason: "damaged", Flags: market.FlagDamage},
		Cause: "tape", Lost: 3, Position: 2, Through: 3,
	}}, gaps); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if rows := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"}); rows[len(rows)-1].N != 6 {
		t.Errorf("the trade after the damage is number %d of the tape, want 6", rows[len(rows)-1].N)
	}
	if _, lost := s.Entries(); lost != 3 {
		t.Errorf("%d entries lost, want 3", lost)
	}
	bars, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: "SIM:A", Interval: market.Sec1(), Limit: 9}, nil)
	if err != nil || len(bars) != 2 || !bars[0].Gappy || bars[1].Gappy {
		t.Errorf("bars %+v, %v: want the first one marked", bars, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(t.Context(), o.Path, nil)
	if err != nil || len(r.Problems) > 0 {
		t.Errorf("verify: %v, %v", r.Problems, err)
	}
	s = mustOpen(t, o)
	src.Put("sim", trade("SIM:NEW", 4, start, "1", "1"), trade("SIM:B", 5, start+market.Second, "1", "1"))
	record(t, s, src)
	for symbol, want := range map[market.Symbol]uint64{"SIM:B": 5, "SIM:A": 4, "SIM:NEW": 4} {
		if l, _ := s.Latest(symbol); l.TradeSeq != want {
			t.Errorf("after a restart %s goes on from %d, want %d", symbol, l.TradeSeq, want)
		}
	}
}

func TestTrimmedTape(t *testing.T) {
	src := newMemTape()
	for i := range uint64(6) {
		src.Put("sim", trade("SIM:A", i+1, start+market.Time(i), "1", "1"))
	}
	o := options(t)
	s := mustOpen(t, o)
	if err := recordTo(s, src, 6); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(6) {
		src.Put("sim", trade("SIM:A", i+7, start+6+market.Time(i), "1", "1"))
	}
	src.Trim(10)
	record(t, s, src)
	gaps, err := s.Gaps(t.Context(), "", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(gaps) == 0 || gaps[0].Cause != "trim" || gaps[0].Position != 7 || gaps[0].Through != 9 {
		t.Errorf("gaps %+v, want positions 7 to 9", gaps)
	}
	if all, lost := s.Entries(); all != 12 || lost != 3 {
		t.Errorf("%d entries of which %d lost, want 12 and 3", all, lost)
	}
	if rows := ticks(t, s, market.TickQuery{Kind: market.KindTrade, Symbol: "SIM:A"}); len(rows) != 9 || rows[8].N != 12 {
		t.Errorf("%d trades, the last is number %d; want 9 and 12", len(rows), rows[len(rows)-1].N)
	}
}

func TestNewEpoch(t *testing.T) {
	src := busyTape(1, 3)
	o := options(t)
	s := mustOpen(t, o)
	record(t, s, src)
	old, last := src.Epoch, src.Bounds().Last
	src.Epoch = tape.Epoch{9}
	src.Put("coinbase", trade("COINBASE:X", 1, start, "1", "1"))
	record(t, s, src)
	if epoch, p := s.Applied(); epoch != src.Epoch || p != last+1 {
		t.Errorf("applied %s %d, want %s %d", epoch, p, src.Epoch, last+1)
	}
	want := []string{"1|" + old.String(), fmt.Sprintf("%d|%s", last+1, src.Epoch)}
	if diff := cmp.Diff(want, userReads(t, o.Path, "SELECT since, epoch FROM epochs")); diff != "" {
		t.Errorf("epochs (-want +got):\n%s", diff)
	}
}

func TestAnotherTape(t *testing.T) {
	s := mustOpen(t, options(t))
	record(t, s, busyTape(1, 10))
	other := newMemTape()
	other.Epoch = tape.Epoch{7}
	other.Put("sim", trade("SIM:A", 1, start, "1", "1"))
	err := NewRecorder(s, other).Run(t.Context())
	var wrong *TapeError
	if !errors.As(err, &wrong) || wrong.Last != 1 {
		t.Errorf("got %v, want a TapeError", err)
	}
	if s.Health() == nil {
		t.Error("health says nothing")
	}
}

// A disk that goes bad under a file that was closed: nobody checks it, and whoever meets the damage first tells the next start.
func TestDamageMetLater(t *testing.T) {
	o, src, want := filled(t)
	edit(t, o.Path, "PRAGMA wal_checkpoint(TRUNCATE)")
	page, err := strconv.Atoi(userReads(t, o.Path, "SELECT rootpage FROM sqlite_schema WHERE name = 'bar_rows'")[0])
	if err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	for name, meet := range map[string]func(*Store) error{
		"a query": func(s *Store) error {
			_, _, err := s.Bars(t.Context(), market.BarQuery{Symbol: "ALPACA:SPY", Interval: market.Sec1(), Limit: 1 << 20}, nil)
			return err
		},
		"the recorder": func(s *Store) error { return NewRecorder(s, src).Run(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			if err := os.WriteFile(o.Path, sound, 0o600); err != nil {
				t.Fatal(err)
			}
			spoil(t, o.Path, func(b []byte) []byte {
				clear(b[(page-1)*4096 : page*4096])
				return b
			})
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := meet(s); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
			if err := s.Health(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("health is %v, want ErrCorrupt", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), o); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("opened again: %v, want ErrCorrupt", err)
			}
			o.Source = src
			s, err = Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			record(t, s, src)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			same(t, want, dump(t, o.Path))
		})
	}
}
