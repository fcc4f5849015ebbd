package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"tapedeck/internal/broker"
	"tapedeck/internal/broker/brokertest"
	"tapedeck/internal/feed"
	"tapedeck/internal/feed/feedtest"
)

func TestPlace(t *testing.T) {
	p := place{topic: "ticks", id: [16]byte{1, 15: 2}, last: -5, partitions: map[int32]position{0: {}, 7: {1 << 40, 4096}, 2: {3, 0}}}
	got, err := parsePlace(p.append(nil))
	if diff := cmp.Diff(p, got, cmp.AllowUnexported(place{}, position{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := parsePlace(nil); err != nil || got.partitions != nil {
		t.Errorf("none: %+v %v", got, err)
	}
}

// FuzzPlace reads any offset: what is taken is written as it was.
func FuzzPlace(f *testing.F) {
	p := place{topic: "ticks", partitions: map[int32]position{0: {5, 0}, 1: {1, 2}}}
	f.Add(p.append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePlace(b)
		if err != nil || len(b) == 0 {
			return
		}
		again, err := parsePlace(p.append(nil))
		if err != nil || !bytes.Equal(again.append(nil), p.append(nil)) {
			t.Errorf("%+v is read as %+v: %v", p, again, err)
		}
	})
}

// TestNewPartitions finds partitions that are added while the topic is read, and reads them from their beginning.
func TestNewPartitions(t *testing.T) {
	cluster, hosts := brokertest.NewKafka(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "ticks"))
	u, err := feed.NewRegistry(Adapter(false)).Parse("kafka://" + hosts + "/ticks?start=earliest")
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(u, feed.Start{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cl, err := s.cluster.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	sink := &feedtest.Sink{}
	s.current = -1
	s.intake = broker.Intake{Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log, Place: s.standing}
	if err := s.locate(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	producer := brokertest.Producer(t, hosts, "ticks")
	brokertest.AddPartitions(t, producer, "ticks", 3)
	_ = cluster
	late := brokertest.Producer(t, hosts, "ticks")
	brokertest.Produce(t, late, 2, "5", "6")
	if err := s.look(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	for len(sink.Entries()) < 2 && t.Context().Err() == nil {
		if err := s.poll(context.WithoutCancel(t.Context()), cl); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := parsePlace(sink.Offset()); err != nil || p.partitions[2].next != 2 || len(p.partitions) != 3 {
		t.Errorf("got %+v %v", p, err)
	}
}
