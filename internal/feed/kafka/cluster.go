package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tapedeck/internal/broker"
)

// description is what a cluster says of a topic.
type description struct {
	name       string
	id         [16]byte
	partitions []int32
}

// describe asks for a topic. It does not make one.
func describe(ctx context.Context, cl *kgo.Client, name string) (description, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*broker.Patience)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = new(name)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return description{}, fmt.Errorf("ask the cluster for the topic %s: %w", name, err)
	}
	if len(resp.Topics) != 1 {
		return description{}, fmt.Errorf("the cluster answers with %d topics when asked for %s", len(resp.Topics), name)
	}
	t := &resp.Topics[0]
	if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
		return description{}, fmt.Errorf("topic %s: %w", name, err)
	}
	d := description{name: name, id: t.TopicID}
	for i := range t.Partitions {
		d.partitions = append(d.partitions, t.Partitions[i].Partition)
	}
	if len(d.partitions) == 0 {
		return description{}, fmt.Errorf("topic %s has no partitions", name)
	}
	return d, nil
}

// offsets asks where the partitions of a topic begin (-2), end (-1), or have their first message from a time on, in milliseconds
// since 1970; there it is -1 where nothing is that young.
func offsets(ctx context.Context, cl *kgo.Client, topic description, at int64, committed bool) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*broker.Patience)
	defer cancel()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if committed {
		req.IsolationLevel = 1
	}
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic.name
	for _, number := range topic.partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = number, at
		asked.Partitions = append(asked.Partitions, p)
	}
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of %s: %w", topic.name, err)
	}
	found := make(map[int32]int64, len(topic.partitions))
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("offset of partition %d of %s: %w", p.Partition, topic.name, err)
			}
			found[p.Partition] = p.Offset
		}
	}
	if len(found) != len(topic.partitions) {
		return nil, fmt.Errorf("the cluster tells %d offsets of %d partitions of %s", len(found), len(topic.partitions), topic.name)
	}
	return found, nil
}
