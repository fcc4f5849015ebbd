package nats

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"

	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

func TestPlace(t *testing.T) {
	p := place{stream: "TICKS", created: 5, last: -7, next: 1 << 50, skip: 3}
	if got, err := parsePlace(p.append(nil)); err != nil || got != p {
		t.Errorf("got %+v %v", got, err)
	}
	if got, err := parsePlace(nil); err != nil || got != (place{}) {
		t.Errorf("none: %+v %v", got, err)
	}
}

// FuzzPlace reads any offset: what is taken is written as it was.
func FuzzPlace(f *testing.F) {
	p := place{stream: "TICKS", created: 5, next: 9}
	f.Add(p.append(nil))
	f.Add([]byte{1, 5, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePlace(b)
		if err != nil || len(b) == 0 {
			return
		}
		if again, err := parsePlace(p.append(nil)); err != nil || !bytes.Equal(again.append(nil), p.append(nil)) {
			t.Errorf("%+v is read as %+v: %v", p, again, err)
		}
	})
}

// slow is a sink that, at the first tick, waits until a thousand more have come.
type slow struct {
	flood   func() error
	more    func() error
	trades  map[string]int
	gaps    []market.Entry
	dropped int
}

var errDone = errors.New("done")

func (s *slow) Dropped(_ string, n int) { s.dropped += n }

func (s *slow) Push(_ context.Context, entries []market.Entry, _ []byte) error {
	for i := range entries {
		switch e := &entries[i]; e.Kind {
		case market.KindTrade:
			s.trades[e.Price.String()]++
		case market.KindGap:
			s.gaps = append(s.gaps, *e)
		default:
		}
	}
	switch {
	case len(entries) > 0 && s.flood != nil:
		flood := s.flood
		s.flood = nil
		return flood()
	case len(s.gaps) > 0 && s.trades["3"] > 0:
		return errDone
	}
	return s.more()
}

// TestSlowConsumer takes messages slower than they come, with little room for those that wait: what is dropped is a gap, and what
// comes behind it is there.
func TestSlowConsumer(t *testing.T) {
	n := brokertest.NewNATS(t, nil)
	u, err := feed.NewRegistry(Adapters()...).Parse(n.URL + "/ticks")
	if err != nil {
		t.Fatal(err)
	}
	src, err := open(u, feed.Start{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, ok := src.(*live)
	if !ok {
		t.Fatalf("got a %T", src)
	}
	l.room = 10
	nc := n.Conn(t)
	sink := &slow{trades: make(map[string]int)}
	sink.more = func() error { return nc.Publish("ticks", []byte("3")) }
	sink.flood = func() error {
		for range 1000 {
			if err := nc.Publish("ticks", []byte("2")); err != nil {
				return err
			}
		}
		if err := nc.Flush(); err != nil { // the server has them all
			return err
		}
		// The client drops what finds no room: wait until it has dropped something.
		for l.messages == nil || len(l.messages) < cap(l.messages) {
			runtime.Gosched()
		}
		return nc.Publish("ticks", []byte("3"))
	}
	if err := l.Run(t.Context(), sink); !errors.Is(err, errDone) {
		t.Fatal(err)
	}
	if sink.dropped == 0 || sink.dropped > 1000 {
		t.Errorf("%d messages were dropped", sink.dropped)
	}
}
