package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// source reads a stream.
type source struct {
	server *broker.NATS
	reader *broker.Reader
	log    *slog.Logger
	stream string // "": whichever keeps the subject
	begin  begin

	place  place
	intake broker.Intake
	whole  bool   // every message of the stream is read, so that each number that is missing is one
	heard  uint64 // number of the last message among those that the server sent on this connection

	// A number was left out since the server was last asked where its stream begins; without whole that need not mean anything.
	jumped   uint64 // the first such number, 0: none
	jumpedAt market.Time
	asked    time.Time
}

var _ feed.Source = (*source)(nil)

const (
	mostFetched = 1000            // messages that are asked for at once
	fetchWait   = 5 * time.Second // and for so long
	fetchBeat   = 2 * time.Second // the server says that it is there meanwhile
	askAgain    = time.Second     // between two questions where the stream begins
	forgotten   = time.Minute     // after which the server forgets that we read
)

// Traits implements feed.Source.
func (s *source) Traits() feed.Traits { return feed.Traits{Pull: true, Resumes: true} }

// Run implements feed.Source.
func (s *source) Run(ctx context.Context, sink feed.Sink) error {
	err := s.run(ctx, sink)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.server.Hide(err)
}

func (s *source) run(ctx context.Context, sink feed.Sink) error {
	conn, err := s.server.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.End()
	js, err := jetstream.New(conn.Conn)
	if err != nil {
		return fmt.Errorf("speak with JetStream: %w", err)
	}
	s.intake = broker.Intake{
		Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log, Last: s.place.last, Skip: s.place.skip,
		Place: func(skip uint64) []byte {
			if s.place.next == 0 {
				return nil
			}
			s.place.last, s.place.skip = s.intake.Last, skip
			return s.place.append(nil)
		},
	}
	stream, err := s.find(ctx, js)
	if err != nil {
		return err
	}
	consumer, err := s.consume(ctx, stream)
	if err != nil {
		return err
	}
	if err := s.intake.Flush(ctx); err != nil { // so that the tape knows where the stream was begun
		return err
	}
	looked := time.Now()
	for {
		if err := s.fetch(ctx, conn, consumer); err != nil {
			return err
		}
		if s.jumped != 0 && time.Since(s.asked) >= askAgain || time.Since(looked) >= broker.Look {
			if err := s.look(ctx, stream); err != nil {
				return err
			}
			looked = time.Now()
		}
	}
}

// find finds the stream and where it is to be read from.
func (s *source) find(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	asking, cancel := context.WithTimeout(ctx, broker.Patience)
	defer cancel()
	name := s.stream
	if name == "" {
		var err error
		if name, err = js.StreamNameBySubject(asking, s.server.Subject); err != nil {
			return nil, fmt.Errorf("find the stream that keeps %s: %w", s.server.Subject, err)
		}
	}
	stream, err := js.Stream(asking, name)
	if err != nil {
		return nil, fmt.Errorf("look at the stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	s.asked = time.Now()
	s.whole = s.server.Subject == ">" || len(info.Config.Subjects) == 1 && slices.Contains(info.Config.Subjects, s.server.Subject)
	created := market.FromStd(info.Created)
	switch was := s.place; {
	case was.next == 0:
		s.place.stream, s.place.created = name, created
		switch {
		case s.begin.latest:
			s.place.next = info.State.LastSeq + 1
		case s.begin.since == 0:
			s.place.next = max(info.State.FirstSeq, 1)
		}
		return stream, nil
	case was.stream != name:
		err = s.anew(ctx, name, created, info.State.LastSeq+1, fmt.Sprintf("the feed read the stream %s before, not %s", was.stream, name))
	case was.created != created:
		err = s.anew(ctx, name, created, max(info.State.FirstSeq, 1), "the stream was deleted and made anew")
	case was.next > info.State.LastSeq+1:
		err = s.anew(ctx, name, created, info.State.LastSeq+1, fmt.Sprintf("the stream ends at %d and was read to %d: the server has lost messages", info.State.LastSeq, was.next-1))
	case was.next < info.State.FirstSeq:
		err = s.anew(ctx, name, created, info.State.FirstSeq, gone(info.State.FirstSeq-was.next))
	}
	return stream, err
}

func gone(n uint64) string {
	return fmt.Sprintf("%d messages of the stream were gone before they were read", n)
}

// anew goes on from another number than the one that was next.
func (s *source) anew(ctx context.Context, name string, created market.Time, next uint64, reason string) error {
	if err := s.intake.Lose(ctx, reason); err != nil {
		return err
	}
	s.place.stream, s.place.created, s.place.next, s.place.skip = name, created, next, 0
	s.intake.Skip = 0
	return nil
}

// consume asks the server to send the stream from where we are. What it remembers of us is of no consequence.
func (s *source) consume(ctx context.Context, stream jetstream.Stream) (jetstream.Consumer, error) {
	asking, cancel := context.WithTimeout(ctx, broker.Patience)
	defer cancel()
	c := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.place.next, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: forgotten,
	}
	if s.place.next == 0 {
		since := s.begin.since.Std()
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	if !s.whole {
		c.FilterSubject = s.server.Subject
	}
	s.heard, s.jumped = 0, 0
	consumer, err := stream.CreateConsumer(asking, c)
	if err != nil {
		return nil, fmt.Errorf("read the stream %s from %d: %w", s.place.stream, s.place.next, err)
	}
	return consumer, nil
}

// fetch asks for messages and hands over those that come in a while.
func (s *source) fetch(ctx context.Context, conn *broker.Conn, consumer jetstream.Consumer) error {
	batch, err := consumer.Fetch(mostFetched, jetstream.FetchMaxWait(fetchWait), jetstream.FetchHeartbeat(fetchBeat))
	if err != nil {
		return fmt.Errorf("ask for messages: %w", err)
	}
	messages := batch.Messages()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-conn.Lost:
			return conn.Err()
		case m, more := <-messages:
			if !more {
				if err := batch.Error(); err != nil {
					return fmt.Errorf("wait for messages: %w", err)
				}
				return s.intake.Flush(ctx)
			}
			if err := s.take(ctx, m); err != nil {
				return err
			}
			if len(messages) > 0 {
				continue
			}
			if err := s.intake.Flush(ctx); err != nil {
				return err
			}
		}
	}
}

var errMissed = errors.New("the server's messages do not follow each other; they are asked for again")

// take hands over a message.
func (s *source) take(ctx context.Context, m jetstream.Msg) error {
	now := market.FromStd(time.Now())
	data, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read what the server says of a message: %w", err)
	}
	if data.Sequence.Consumer != s.heard+1 {
		return errMissed
	}
	s.heard++
	number := data.Sequence.Stream
	if s.place.next == 0 {
		s.place.next = number // the first since the time that was asked for
	}
	switch {
	case number < s.place.next:
		return nil // it is on the tape
	case number > s.place.next:
		if s.whole {
			if err := s.intake.Lose(ctx, gone(number-s.place.next)); err != nil {
				return err
			}
		} else if s.jumped == 0 {
			s.jumped, s.jumpedAt = s.place.next, s.intake.Last
		}
		s.place.next, s.intake.Skip = number, 0
	}
	message := broker.Message{Value: m.Data(), Topic: m.Subject(), Time: market.FromStd(data.Timestamp), Received: now}
	return s.intake.Take(ctx, &message, func() { s.place.next = number + 1 })
}

// look asks how the stream is: whether it is still the same, and whether what was left out of its numbers was taken away.
func (s *source) look(ctx context.Context, stream jetstream.Stream) error {
	asking, cancel := context.WithTimeout(ctx, broker.Patience)
	defer cancel()
	info, err := stream.Info(asking)
	if err != nil {
		return fmt.Errorf("look at the stream %s: %w", s.place.stream, err)
	}
	s.asked = time.Now()
	if market.FromStd(info.Created) != s.place.created {
		return errors.New("the stream was deleted and made anew")
	}
	if s.jumped != 0 && info.State.FirstSeq > s.jumped {
		if err := s.intake.LoseSince(ctx, s.jumpedAt, gone(info.State.FirstSeq-s.jumped)); err != nil {
			return err
		}
	}
	s.jumped = 0
	return nil
}
