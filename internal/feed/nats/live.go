package nats

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// live listens to subjects.
type live struct {
	server *broker.NATS
	reader *broker.Reader
	log    *slog.Logger
	room   int // messages that wait for us at most; 0 is mostWaiting

	messages chan *nats.Msg
	dropped  int         // by the client, as far as we know
	behind   int         // messages to be taken before that is told
	since    market.Time // from when on it counts
}

var _ feed.Source = (*live)(nil)

// mostWaiting is the number of messages that wait for us at most. What comes on top is dropped by the client, and told as a gap.
const mostWaiting = 1 << 16

// Traits implements feed.Source.
func (s *live) Traits() feed.Traits { return feed.Traits{} }

// Run implements feed.Source.
func (s *live) Run(ctx context.Context, sink feed.Sink) error {
	conn, err := s.server.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.End()
	room := s.room
	if room == 0 {
		room = mostWaiting
	}
	s.messages = make(chan *nats.Msg, room)
	sub, err := conn.ChanSubscribe(s.server.Subject, s.messages)
	if err != nil {
		return s.server.Hide(fmt.Errorf("subscribe to %s: %w", s.server.Subject, err))
	}
	asked, cancel := context.WithTimeout(ctx, broker.Patience)
	err = conn.FlushWithContext(asked)
	cancel()
	if err == nil {
		err = conn.Refused()
	}
	if err != nil {
		return s.server.Hide(fmt.Errorf("subscribe to %s: %w", s.server.Subject, err))
	}
	in := broker.Intake{Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log}
	if err := in.Flush(ctx); err != nil { // connected
		return err
	}
	alive := time.NewTicker(broker.Look)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-conn.Lost:
			for len(s.messages) > 0 { // came before it was lost
				if err := s.take(ctx, &in, sub, <-s.messages); err != nil {
					return err
				}
			}
			return conn.Err()
		case <-alive.C:
			if err := in.Flush(ctx); err != nil {
				return err
			}
		case m := <-s.messages:
			if err := s.take(ctx, &in, sub, m); err != nil {
				return err
			}
		}
	}
}

// take hands over a message and what waits behind it.
func (s *live) take(ctx context.Context, in *broker.Intake, sub *nats.Subscription, m *nats.Msg) error {
	for n := 1; ; n++ {
		received := market.FromStd(time.Now())
		if err := in.Take(ctx, &broker.Message{Value: m.Data, Topic: m.Subject, Received: received}, func() {}); err != nil {
			return err
		}
		if err := s.tell(ctx, in, sub); err != nil {
			return err
		}
		if n == feed.MaxPush || len(s.messages) == 0 {
			return in.Flush(ctx)
		}
		m = <-s.messages
	}
}

// tell notes what the client has dropped since it was last asked. It was dropped behind what waited for us then: so the gap is told
// when all that waits now is taken, and begins where we are.
func (s *live) tell(ctx context.Context, in *broker.Intake, sub *nats.Subscription) error {
	dropped, err := sub.Dropped()
	if err == nil && dropped > s.dropped { // an error is that of the connection, which says so itself
		in.Sink.Dropped("slow_consumer", dropped-s.dropped)
		if s.behind == 0 {
			s.since = in.Last
		}
		s.dropped, s.behind = dropped, len(s.messages)+1
	}
	if s.behind == 0 {
		return nil
	}
	if s.behind--; s.behind > 0 {
		return nil
	}
	return in.LoseSince(ctx, s.since, "messages came faster than they could be taken")
}
