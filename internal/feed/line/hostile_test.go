package line

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape/tapetest"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/venuetest"
)

// clumsy is a venue whose sessions are changed.
type clumsy struct {
	venue.Venue
	change func(s venue.Session) venue.Session
}

func (c clumsy) Session(kinds venue.Kinds, instruments []venue.Instrument) venue.Session {
	return c.change(c.Venue.Session(kinds, instruments))
}

// meddled is a session that does something of its own with each message.
type meddled struct {
	venue.Session
	message func() error
}

func (m meddled) Message(msg []byte, received market.Time, out *venue.Output) error {
	if err := m.message(); err != nil {
		return err
	}
	return m.Session.Message(msg, received, out)
}

// TestPanicOfASessionEndsTheConnection lets the code of a venue panic on a message: the process lives, and the feed goes on.
func TestPanicOfASessionEndsTheConnection(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	inner := l.venue
	var armed atomic.Bool
	l.venue = func(t *testing.T, stream, rest string) venue.Venue {
		return clumsy{inner(t, stream, rest), func(s venue.Session) venue.Session {
			return meddled{s, func() error {
				if armed.CompareAndSwap(true, false) {
					panic("index out of range")
				}
				return nil
			}}
		}}
	}
	b := start(t, l)
	b.flowing()
	armed.Store(true)
	b.until("it panicked", func() bool { return !armed.Load() })
	b.flowing()
	b.caughtUp()
	b.check()
	if !slices.ContainsFunc(b.states, func(e market.Entry) bool { return e.State == market.StateDown && strings.Contains(e.Text, "panic") }) {
		t.Errorf("no status tells what happened: %v", b.states)
	}
}

// TestReplacementThatFailsKeepsTheOld has a connection that is to be replaced, and others that end before they can.
func TestReplacementThatFailsKeepsTheOld(t *testing.T) {
	t.Parallel()
	l := coinbaseLab()
	inner := l.venue
	var sessions atomic.Int64
	l.venue = func(t *testing.T, stream, rest string) venue.Venue {
		return clumsy{inner(t, stream, rest), func(s venue.Session) venue.Session {
			n := sessions.Add(1)
			return meddled{s, func() error {
				if n > 1 && n < 5 {
					return errors.New("it is not taken")
				}
				return nil
			}}
		}}
	}
	l.traits = func(t *venue.Traits) {
		t.Lifetime, t.Heartbeat = 300*time.Millisecond, 10*time.Second
		t.Reorder = 5 * time.Second
	}
	l.waits = func(w *timings) { w.settle, w.ready, w.stall = 400*time.Millisecond, 10*time.Second, time.Minute }
	s := venuetest.Start(t, l.profile, venuetest.Options{Beat: 25 * time.Millisecond})
	b := run(t, l, s, &tapetest.Memory{})
	b.flowing()
	b.until("another has taken its place", func() bool {
		s.Trade("BTC-USD")
		return sessions.Load() > 5
	})
	b.flowing()
	b.caughtUp()
	if err := b.end(); err != nil {
		t.Fatal(err)
	}
	b.check()
	for _, e := range b.states {
		if e.State == market.StateDown && e.Text != "stopped" {
			t.Errorf("the feed was down: %s", e.Text)
		}
	}
	if len(b.gaps) > 0 {
		t.Errorf("gaps: %s", describe(b.gaps))
	}
}
