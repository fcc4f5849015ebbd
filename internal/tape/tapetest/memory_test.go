package tapetest_test

import (
	"errors"
	"testing"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

func TestMemoryContract(t *testing.T) {
	tapes := map[string]*tapetest.Memory{} // by folder
	tapetest.RunVolatile(t, func(_ *testing.T, dir string) tapetest.Tape {
		m := tapes[dir]
		if m == nil {
			m = &tapetest.Memory{Epoch: tape.Epoch{byte(len(tapes) + 1)}, Chunk: 3}
		} else {
			m = m.Cut(len(m.Records()))
		}
		tapes[dir] = m
		return m
	})
}

func TestMemoryFails(t *testing.T) {
	m := &tapetest.Memory{}
	m.OnAppend(func(r *tape.Record) error {
		if r.Position == 2 && r.Ordinal == 3 {
			return tape.ErrFull
		}
		return nil
	})
	m.Put("a", tapetest.Batch("a", 1, 3).Entries...)
	if pos, err := m.Append(t.Context(), tapetest.Batch("a", 4, 1)); !errors.Is(err, tape.ErrFull) || m.Bounds().Last != 1 || m.Len() != 3 {
		t.Errorf("Append: position %d, %v, and then %+v", pos, err, m.Bounds())
	}
	m.OnRead(func() error { return tape.ErrUnavailable })
	if recs, err := m.Read(t.Context(), 1, nil); !errors.Is(err, tape.ErrUnavailable) || len(recs) != 0 {
		t.Errorf("Read: %d records, %v", len(recs), err)
	}
	m.OnAppend(nil)
	m.OnRead(nil)
	if pos := m.Put("a", tapetest.Batch("a", 4, 1).Entries...); pos != 2 || len(tapetest.ReadAll(t, m, 1)) != 2 {
		t.Errorf("after the trouble: position %d", pos)
	}
}

func TestMemoryDamage(t *testing.T) {
	m := &tapetest.Memory{}
	for i := range uint64(5) {
		m.Put("a", tapetest.Batch("a", 1+2*i, 2).Entries...)
	}
	was := m.Entries()
	if lost := m.Damage(2, 4); lost != 6 {
		t.Errorf("%d entries are lost, want 6", lost)
	}
	for from := tape.Position(2); from <= 4; from++ {
		recs := tapetest.ReadAll(t, m, from)
		if len(recs) != 2 || recs[0].Position != 2 || recs[0].Through != 4 || recs[0].Ordinal != 2 || recs[1].Ordinal != 8 {
			t.Fatalf("from %d: %+v", from, recs)
		}
		want := market.Entry{
			Kind: market.KindGap, Flags: market.FlagDamage, Seq: 6, Event: was[2].Event, Until: was[7].Event, Text: "damaged",
		}
		if got := recs[0].Entries; len(got) != 1 || got[0] != want {
			t.Errorf("from %d: got %+v, want %+v", from, got, want)
		}
	}
	if last := m.Put("a"); last != 6 {
		t.Errorf("position %d after the damage, want 6", last)
	}
}

func TestMemoryTrimAndCut(t *testing.T) {
	m := &tapetest.Memory{Epoch: tape.Epoch{7}}
	for i := range uint64(5) {
		m.Put("a", tapetest.Batch("a", 1+2*i, 2).Entries...)
	}
	m.Trim(3)
	var trimmed *tape.TrimmedError
	if _, err := m.Read(t.Context(), 2, nil); !errors.As(err, &trimmed) || trimmed.First != 3 {
		t.Errorf("Read(2): %v, want a TrimmedError with First 3", err)
	}
	cut := m.Cut(4)
	if b := cut.Bounds(); b != (tape.Bounds{Epoch: tape.Epoch{7}, First: 3, Last: 4}) || cut.Len() != 8 {
		t.Errorf("the copy has %+v and %d entries", b, cut.Len())
	}
	if pos := cut.Put("a"); pos != 5 || m.Len() != 10 || len(tapetest.ReadAll(t, m, 3)) != 3 {
		t.Errorf("the copy went on at %d, and the tape has %d entries", pos, m.Len())
	}
	empty := &tapetest.Memory{}
	empty.Trim(3)
	if b := empty.Bounds(); b != (tape.Bounds{First: 3, Last: 2}) || empty.Put("a") != 3 {
		t.Errorf("a tape of which all was trimmed: %+v", b)
	}
}
