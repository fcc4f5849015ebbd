package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// source reads a topic.
type source struct {
	cluster   *broker.Kafka
	begin     begin
	committed bool
	reader    *broker.Reader
	log       *slog.Logger

	place   place
	intake  broker.Intake
	current int32 // partition that is read, -1 before the first
}

var _ feed.Source = (*source)(nil)

// mostRecords is the number of messages that are asked of the client at once.
const mostRecords = 2000

// Bounds of what the client reads ahead.
const (
	fetchBytes     = 8 << 20
	partitionBytes = 1 << 20
	fetchWait      = 500 * time.Millisecond
)

// Traits implements feed.Source.
func (s *source) Traits() feed.Traits { return feed.Traits{Pull: true, Resumes: true} }

// Run implements feed.Source.
func (s *source) Run(ctx context.Context, sink feed.Sink) error {
	err := s.run(ctx, sink)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.cluster.Hide(err)
}

func (s *source) run(ctx context.Context, sink feed.Sink) error {
	isolation := kgo.ReadUncommitted()
	if s.committed {
		isolation = kgo.ReadCommitted()
	}
	cl, err := s.cluster.Client(ctx,
		kgo.FetchIsolationLevel(isolation), kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(partitionBytes),
		kgo.FetchMaxWait(fetchWait),
		// Whatever is not where it was is found out by us, and told.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)
	if err != nil {
		return err
	}
	defer cl.Close()
	s.current = -1
	s.intake = broker.Intake{
		Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log, Last: s.place.last,
		Place: s.standing,
	}
	if err := s.locate(ctx, cl); err != nil {
		return err
	}
	looked := time.Now()
	for {
		if err := s.poll(ctx, cl); err != nil {
			return err
		}
		if time.Since(looked) < broker.Look {
			continue
		}
		if err := s.look(ctx, cl); err != nil {
			return err
		}
		looked = time.Now()
		if err := s.intake.Flush(ctx); err != nil {
			return err
		}
	}
}

// standing returns the offset when skip ticks of the next message of the partition at hand are taken.
func (s *source) standing(skip uint64) []byte {
	s.place.last = s.intake.Last
	if at, ok := s.place.partitions[s.current]; ok && at.skip != skip {
		at.skip = skip
		s.place.partitions[s.current] = at
	}
	return s.place.append(nil)
}

// locate finds the partitions, and where each is to be read from, and begins.
func (s *source) locate(ctx context.Context, cl *kgo.Client) error {
	topic, err := describe(ctx, cl, s.cluster.Topic)
	if err != nil {
		return err
	}
	first := s.place.partitions == nil
	switch {
	case first:
	case s.place.topic != topic.name:
		first = true
		if err := s.intake.Lose(ctx, fmt.Sprintf("the feed read the topic %s before, not %s", s.place.topic, topic.name)); err != nil {
			return err
		}
	case s.place.id != topic.id && s.place.id != [16]byte{} && topic.id != [16]byte{}:
		if err := s.intake.Lose(ctx, "the topic was deleted and made anew"); err != nil {
			return err
		}
		s.place.partitions = nil
	}
	earliest, err := offsets(ctx, cl, topic, -2, s.committed)
	if err != nil {
		return err
	}
	latest, err := offsets(ctx, cl, topic, -1, s.committed)
	if err != nil {
		return err
	}
	at := make(map[int32]position, len(topic.partitions))
	if first {
		found := earliest
		switch s.begin.at {
		case -2:
		case -1:
			found = latest
		default:
			if found, err = offsets(ctx, cl, topic, s.begin.at, s.committed); err != nil {
				return err
			}
		}
		for number, next := range found {
			if next < 0 {
				next = latest[number] // nothing is that young
			}
			at[number] = position{next: next}
		}
	} else {
		for _, number := range slices.Sorted(maps.Keys(earliest)) {
			if at[number], err = s.goOn(ctx, number, earliest[number], latest[number]); err != nil {
				return err
			}
		}
	}
	s.place.topic, s.place.id, s.place.partitions = topic.name, topic.id, at
	s.add(cl, at)
	return s.intake.Flush(ctx) // so that the tape knows where a topic was begun before it sends anything
}

// goOn returns where a partition is to be read on from. One that is new is read from its beginning.
func (s *source) goOn(ctx context.Context, number int32, earliest, latest int64) (position, error) {
	at, known := s.place.partitions[number]
	switch {
	case !known:
		return position{next: earliest}, nil
	case at.next < earliest:
		reason := fmt.Sprintf("%d messages of partition %d were gone before they were read", earliest-at.next, number)
		return position{next: earliest}, s.intake.Lose(ctx, reason)
	case at.next > latest:
		reason := fmt.Sprintf("partition %d ends at %d and was read to %d: the cluster has lost messages", number, latest, at.next)
		return position{next: latest}, s.intake.Lose(ctx, reason)
	}
	return at, nil
}

// add begins to read partitions. One of them may be in the middle of a message.
func (s *source) add(cl *kgo.Client, at map[int32]position) {
	from := make(map[int32]kgo.Offset, len(at))
	for number, p := range at {
		from[number] = kgo.NewOffset().At(p.next)
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{s.place.topic: from})
}

// look asks whether the cluster is there, and for partitions that are new.
func (s *source) look(ctx context.Context, cl *kgo.Client) error {
	topic, err := describe(ctx, cl, s.place.topic)
	if err != nil {
		return err
	}
	if topic.id != s.place.id {
		return errors.New("the topic was deleted and made anew")
	}
	added := make(map[int32]position)
	for _, number := range topic.partitions {
		if _, known := s.place.partitions[number]; !known {
			added[number] = position{}
		}
	}
	if len(added) == 0 {
		return nil
	}
	s.log.InfoContext(ctx, "the topic has new partitions", "topic", s.place.topic, "partitions", len(added))
	maps.Copy(s.place.partitions, added)
	s.add(cl, added)
	return nil
}

// poll waits a moment for messages and hands them over.
func (s *source) poll(ctx context.Context, cl *kgo.Client) error {
	waiting, cancel := context.WithTimeout(ctx, broker.Look)
	fetches := cl.PollRecords(waiting, mostRecords)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failed error
	for _, fetch := range fetches {
		for _, topic := range fetch.Topics {
			for i := range topic.Partitions {
				p := &topic.Partitions[i]
				if err := s.take(ctx, p); err != nil {
					return err
				}
				if p.Err != nil && !errors.Is(p.Err, context.DeadlineExceeded) && failed == nil {
					failed = fmt.Errorf("read partition %d of %s: %w", p.Partition, topic.Topic, p.Err)
				}
			}
		}
	}
	if fetches.NumRecords() > 0 {
		if err := s.intake.Flush(ctx); err != nil {
			return err
		}
	}
	return failed
}

// take hands over the messages of a partition.
func (s *source) take(ctx context.Context, p *kgo.FetchPartition) error {
	now := market.FromStd(time.Now())
	for _, r := range p.Records {
		at := s.place.partitions[r.Partition]
		if r.Offset < at.next {
			continue // it is on the tape
		}
		if r.Offset > at.next && p.LogStartOffset > at.next {
			reason := fmt.Sprintf("%d messages of partition %d were gone before they were read", p.LogStartOffset-at.next, r.Partition)
			if err := s.intake.Lose(ctx, reason); err != nil {
				return err
			}
		}
		if r.Offset != at.next {
			at = position{next: r.Offset} // what was compacted away, and marks of transactions, are no messages
			s.place.partitions[r.Partition] = at
		}
		if err := s.enter(ctx, r.Partition, at.skip); err != nil {
			return err
		}
		m := broker.Message{Value: r.Value, Key: string(r.Key), Topic: r.Topic, Time: market.FromStd(r.Timestamp), Received: now}
		err := s.intake.Take(ctx, &m, func() { s.place.partitions[r.Partition] = position{next: r.Offset + 1} })
		if err != nil {
			return err
		}
	}
	return nil
}

// enter turns to a partition, skip ticks of whose next message are on the tape.
func (s *source) enter(ctx context.Context, number int32, skip uint64) error {
	if skip != 0 && s.current != number {
		// What is pending ends between two messages, and this one is not begun by us.
		if err := s.intake.Flush(ctx); err != nil {
			return err
		}
	}
	s.current, s.intake.Skip = number, skip
	return nil
}
