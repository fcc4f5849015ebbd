package publish

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tapedeck/internal/broker"
)

// kafkaSink writes to a topic. The key of a message is its symbol, so that the ticks of a symbol are in one partition, in order.
type kafkaSink struct {
	cluster     *broker.Kafka
	compression kgo.CompressionCodec
}

func newKafka(scheme, target string, p broker.Params) (sink, error) {
	cluster, err := broker.NewKafka(scheme, target, p)
	if err != nil {
		return nil, err
	}
	s := &kafkaSink{cluster: cluster}
	switch p.Get("compression") {
	case "", "none":
		s.compression = kgo.NoCompression()
	case "gzip":
		s.compression = kgo.GzipCompression()
	case "snappy":
		s.compression = kgo.SnappyCompression()
	case "lz4":
		s.compression = kgo.Lz4Compression()
	case "zstd":
		s.compression = kgo.ZstdCompression()
	default:
		return nil, p.Errorf("compression", "want none, gzip, snappy, lz4 or zstd")
	}
	return s, nil
}

func (s *kafkaSink) hide(err error) error { return s.cluster.Hide(err) }

func (s *kafkaSink) dial(ctx context.Context) (line, error) {
	// A producer that knows its messages again: what it sends twice for want of an answer is kept once.
	cl, err := s.cluster.Client(ctx,
		kgo.DefaultProduceTopic(s.cluster.Topic), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(s.compression),
		kgo.ProducerLinger(0), kgo.RecordDeliveryTimeout(sendTime-time.Second), kgo.UnknownTopicRetries(2),
	)
	if err != nil {
		return nil, err
	}
	l := &kafkaLine{cl}
	asking, cancel := context.WithTimeout(ctx, broker.Patience)
	defer cancel()
	if err := l.well(asking); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

type kafkaLine struct{ client *kgo.Client }

func (l *kafkaLine) send(ctx context.Context, messages []message) error {
	records := make([]*kgo.Record, len(messages))
	now := time.Now()
	for i := range messages {
		m := &messages[i]
		records[i] = &kgo.Record{
			Key: []byte(m.symbol), Value: m.value, Timestamp: now,
			Headers: []kgo.RecordHeader{{Key: "tapedeck-id", Value: []byte(m.id)}, {Key: "tapedeck-version", Value: []byte("1")}},
		}
	}
	for _, result := range l.client.ProduceSync(ctx, records...) {
		if result.Err != nil {
			return fmt.Errorf("write to Kafka: %w", result.Err)
		}
	}
	return nil
}

func (l *kafkaLine) well(ctx context.Context) error {
	if err := l.client.Ping(ctx); err != nil {
		return fmt.Errorf("ask Kafka whether it is there: %w", err)
	}
	return nil
}

func (l *kafkaLine) close() { l.client.Close() }
