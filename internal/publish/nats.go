package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/broker"
)

// natsSink publishes on subjects, with or without a stream that keeps them.
type natsSink struct {
	server *broker.NATS
	stream bool
	name   template
}

func newNATS(scheme, target string, p broker.Params, kept bool) (sink, error) {
	host, subject, _ := strings.Cut(target, "/")
	name, err := parseTemplate(subject, broker.EscapeLevel)
	if err != nil {
		return nil, err
	}
	// What stands in braces is one word of a subject, or a part of one.
	server, err := broker.NewNATS(scheme, host+"/"+name.of("X:X"), p, false)
	if err != nil {
		return nil, err
	}
	s := &natsSink{server: server, name: name}
	if s.stream, err = p.Bool("jetstream", kept); err != nil {
		return nil, err
	}
	if kept && !s.stream {
		return nil, p.Errorf("jetstream", "the scheme asks for a stream")
	}
	return s, nil
}

func (s *natsSink) hide(err error) error { return s.server.Hide(err) }

func (s *natsSink) dial(ctx context.Context) (line, error) {
	conn, err := s.server.Dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &natsLine{natsSink: s, conn: conn}
	if s.stream {
		if l.js, err = jetstream.New(conn.Conn, jetstream.WithPublishAsyncMaxPending(2*mostMessages)); err != nil {
			conn.End()
			return nil, fmt.Errorf("speak with JetStream: %w", err)
		}
	}
	return l, nil
}

type natsLine struct {
	*natsSink
	conn *broker.Conn
	js   jetstream.JetStream // nil: without a stream
}

// idHeader lets a stream know again what it has: within its window for duplicates, what is sent again is kept once.
const idHeader = "Nats-Msg-Id"

func (l *natsLine) send(ctx context.Context, messages []message) error {
	if l.js != nil {
		return l.sendKept(ctx, messages)
	}
	for i := range messages {
		if err := l.conn.Publish(l.name.of(messages[i].symbol), messages[i].value); err != nil {
			return fmt.Errorf("publish to NATS: %w", err)
		}
	}
	return l.well(ctx)
}

// sendKept waits until the stream has all messages. They are on their way together, so a message may be refused of which the next
// is taken: all are sent again then.
func (l *natsLine) sendKept(ctx context.Context, messages []message) error {
	acks := make([]jetstream.PubAckFuture, 0, len(messages))
	for i := range messages {
		m := &nats.Msg{Subject: l.name.of(messages[i].symbol), Data: messages[i].value, Header: nats.Header{idHeader: {messages[i].id}}}
		ack, err := l.js.PublishMsgAsync(m)
		if err != nil {
			return fmt.Errorf("publish to JetStream: %w", err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("publish to JetStream: %w", err)
		case <-l.conn.Lost:
			return l.conn.Err()
		case <-ctx.Done():
			return fmt.Errorf("publish to JetStream: %w", ctx.Err())
		}
	}
	return nil
}

// well waits for the answer to a ping, behind all that was published: the server has it then.
func (l *natsLine) well(ctx context.Context) error {
	if err := l.conn.FlushWithContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("wait for NATS: %w", err), l.conn.Refused())
	}
	return l.conn.Refused()
}

func (l *natsLine) close() { l.conn.End() }
