package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"tapedeck/internal/broker"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// tapeOf is a sink that crashes: what a push holds is there with its place, or not at all.
type tapeOf struct {
	t       *testing.T
	entries []market.Entry
	place   []byte
	left    int // pushes before it ends
	max     int
}

var errCrash = errors.New("crash")

func (s *tapeOf) Push(_ context.Context, entries []market.Entry, place []byte) error {
	if s.left--; s.left < 0 {
		return errCrash
	}
	if len(entries) > s.max {
		s.t.Errorf("%d entries in a push", len(entries))
	}
	s.entries = append(s.entries, entries...)
	if place != nil {
		s.place = append([]byte(nil), place...)
	}
	return nil
}

func (s *tapeOf) Dropped(string, int) {}

// TestIntake reads messages of 0 to 40 ticks in pushes of at most 16, with a crash after any of them, and begins again at the place
// that is on the tape: each tick is there once, in order.
func TestIntake(t *testing.T) {
	const messages = 200
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := make([]int, messages)
	total := 0
	for i := range sizes {
		sizes[i] = rng.IntN(41)
		total += sizes[i]
	}
	read := func(m *broker.Message, out *venue.Output) {
		n, err := strconv.Atoi(m.Topic)
		if err != nil {
			t.Fatal(err)
		}
		for i := range sizes[n] {
			out.Entries = append(out.Entries, market.Entry{Kind: market.KindTrade, Event: market.Time(n + 1), ID: uint64(i)})
		}
	}
	sink := &tapeOf{t: t, max: 16}
	for lives := 0; ; lives++ {
		next, skip := 0, uint64(0)
		if sink.place != nil {
			if _, err := fmt.Sscan(string(sink.place), &next, &skip); err != nil {
				t.Fatal(err)
			}
		}
		sink.left = rng.IntN(5)
		in := broker.Intake{Sink: sink, Read: read, Max: sink.max, Skip: skip, Place: func(skip uint64) []byte { return fmt.Append(nil, next, " ", skip) }}
		err := in.Flush(t.Context())
		for next < messages && err == nil {
			err = in.Take(t.Context(), &broker.Message{Topic: strconv.Itoa(next)}, func() { next++ })
			if err == nil && rng.IntN(3) == 0 {
				err = in.Flush(t.Context())
			}
		}
		if err == nil {
			err = in.Flush(t.Context())
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errCrash) || lives > 10_000 {
			t.Fatal(err)
		}
	}
	if len(sink.entries) != total {
		t.Fatalf("%d ticks, want %d", len(sink.entries), total)
	}
	i := 0
	for n, size := range sizes {
		for k := range size {
			if e := sink.entries[i]; e.Event != market.Time(n+1) || e.ID != uint64(k) {
				t.Fatalf("tick %d is %d of message %d, want %d of %d", i, e.ID, e.Event-1, k, n)
			}
			i++
		}
	}
}

// TestIntakeLoses tells a loss before the next tick, with both ends, and keeps the place where it was until then.
func TestIntakeLoses(t *testing.T) {
	sink := &tapeOf{t: t, max: 16, left: 100}
	place := "1"
	in := broker.Intake{
		Sink: sink, Max: 16, Place: func(uint64) []byte { return []byte(place) },
		Read: func(m *broker.Message, out *venue.Output) {
			out.Entries = append(out.Entries, market.Entry{Kind: market.KindTrade, Event: m.Time})
		},
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(in.Take(t.Context(), &broker.Message{Time: 10}, func() { place = "2" }))
	check(in.Lose(t.Context(), "gone"))
	place = "5"
	check(in.Flush(t.Context()))
	if string(sink.place) != "2" {
		t.Errorf("the place is %s before the loss is told, want 2", sink.place)
	}
	check(in.Take(t.Context(), &broker.Message{Time: 30}, func() { place = "6" }))
	check(in.Flush(t.Context()))
	if len(sink.entries) != 3 || string(sink.place) != "6" {
		t.Fatalf("%d entries, place %s", len(sink.entries), sink.place)
	}
	if g := sink.entries[1]; g.Kind != market.KindGap || g.Event != 10 || g.Until != 30 || g.Text != "gone" {
		t.Errorf("got %+v", g)
	}
}
