package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"tapedeck/internal/broker"
)

// redisSink publishes on a channel, or adds to a stream.
type redisSink struct {
	server *broker.Redis
	stream bool
	most   uint64 // entries that the stream keeps, about; 0 is all
	name   template
}

func newRedis(scheme, target string, p broker.Params, kept bool) (sink, error) {
	server, err := broker.NewRedis(scheme, target, p)
	if err != nil {
		return nil, err
	}
	s := &redisSink{server: server}
	if s.stream, err = p.Bool("stream", kept); err != nil {
		return nil, err
	}
	if kept && !s.stream {
		return nil, p.Errorf("stream", "the scheme asks for a stream")
	}
	if s.most, err = p.Uint("maxlen", 1_000_000); err != nil {
		return nil, err
	}
	if p.Has("maxlen") && !s.stream {
		return nil, p.Errorf("maxlen", "is for streams: say stream=true as well")
	}
	s.name, err = parseTemplate(server.Name, func(text string) string { return text })
	return s, err
}

func (s *redisSink) hide(err error) error { return s.server.Hide(err) }

func (s *redisSink) dial(ctx context.Context) (line, error) {
	l := &redisLine{redisSink: s, client: s.server.Client()}
	asking, cancel := context.WithTimeout(ctx, broker.Patience)
	defer cancel()
	if err := l.well(asking); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

type redisLine struct {
	*redisSink
	client *redis.Client
}

// send pipelines the messages: they go in one piece, in order, on one connection.
func (l *redisLine) send(ctx context.Context, messages []message) error {
	release := broker.CloseWith(ctx, func() { _ = l.client.Close() }) // it waits for answers without looking at ctx
	defer release()
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range messages {
			m := &messages[i]
			if l.stream {
				p.XAdd(ctx, &redis.XAddArgs{Stream: l.name.of(m.symbol), MaxLen: int64(l.most), Approx: l.most > 0, Values: []any{"data", m.value}})
			} else {
				p.Publish(ctx, l.name.of(m.symbol), m.value)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("publish to Redis: %w", err)
	}
	return nil
}

func (l *redisLine) well(ctx context.Context) error {
	release := broker.CloseWith(ctx, func() { _ = l.client.Close() })
	defer release()
	if err := l.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ask Redis whether it is there: %w", err)
	}
	return nil
}

func (l *redisLine) close() {
	if err := l.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return // there is nothing left to be lost
	}
}
