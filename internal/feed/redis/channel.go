package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// channel listens to channels.
type channel struct {
	server *broker.Redis
	reader *broker.Reader
	log    *slog.Logger
}

var _ feed.Source = (*channel)(nil)

// Traits implements feed.Source.
func (s *channel) Traits() feed.Traits { return feed.Traits{} }

// Run implements feed.Source. The client would subscribe again by itself when it has lost its connection: the first error ends the
// attempt, so that what was published meanwhile becomes a gap.
func (s *channel) Run(ctx context.Context, sink feed.Sink) error {
	err := s.run(ctx, sink)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.server.Hide(err)
}

func (s *channel) run(ctx context.Context, sink feed.Sink) error {
	client := s.server.Client()
	defer func() { _ = client.Close() }() // there is nothing left to be lost
	var sub *redis.PubSub
	var direct, patterns []string
	for name := range strings.SplitSeq(s.server.Name, ",") {
		if strings.ContainsAny(name, "*?[") {
			patterns = append(patterns, name)
		} else {
			direct = append(direct, name)
		}
	}
	sub = client.Subscribe(ctx, direct...)
	release := broker.CloseWith(ctx, func() { _ = sub.Close() })
	defer release()
	defer func() { _ = sub.Close() }()
	if len(patterns) > 0 {
		if err := sub.PSubscribe(ctx, patterns...); err != nil {
			return fmt.Errorf("subscribe to %s: %w", s.server.Name, err)
		}
	}
	// A read that is given up in the middle of a message can't be taken up again: so it waits without end, and is woken by the
	// answer to a ping, or by the end of the connection.
	var heard atomic.Bool
	silent := make(chan struct{})
	beating, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if beat(beating, sub, &heard) {
			close(silent)
			_ = sub.Close()
		}
	})
	defer wg.Wait()
	defer stop()
	in := broker.Intake{Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log}
	for {
		got, err := sub.Receive(ctx)
		if err != nil {
			select {
			case <-silent:
				return errors.New("the server does not answer")
			default:
				return fmt.Errorf("listen to %s: %w", s.server.Name, err)
			}
		}
		heard.Store(true)
		if m, ok := got.(*redis.Message); ok {
			message := broker.Message{Value: []byte(m.Payload), Topic: m.Channel, Received: market.FromStd(time.Now())}
			if err := in.Take(ctx, &message, func() {}); err != nil {
				return err
			}
		}
		if err := in.Flush(ctx); err != nil { // a subscription and a pong say that the server is there
			return err
		}
	}
}

// beat pings until ctx is done, or nothing at all came since the last ping: then it returns true.
func beat(ctx context.Context, sub *redis.PubSub, heard *atomic.Bool) bool {
	ticker := time.NewTicker(broker.Look)
	defer ticker.Stop()
	for asked := false; ; asked = true {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		if !heard.Swap(false) && asked {
			return true
		}
		if sub.Ping(ctx) != nil {
			return ctx.Err() == nil
		}
	}
}
