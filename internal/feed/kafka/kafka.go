// Package kafka brings the messages of a Kafka topic onto the tape, each once.
//
//	kafka://broker:9092,broker:9092/topic?start=latest&user=…&password=env:KAFKA_PASSWORD&sasl=scram-sha-512&tls=true
//
// All partitions are read, those that are added later as well. No consumer group is used: how far each partition was read is in
// the offset of the feed's last record on the tape, and a start goes on from there, so that whatever happens in between nothing is
// lost and nothing comes twice. What the cluster no longer has when its turn comes is a gap.
package kafka

import (
	"fmt"
	"strings"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// Adapter returns the adapter of kafka:// URLs, and of kafkas:// when encrypted says so.
func Adapter(encrypted bool) feed.Adapter {
	scheme := "kafka"
	if encrypted {
		scheme = "kafkas"
	}
	params := append(broker.KafkaParams(), "start", "isolation")
	return feed.Adapter{
		Scheme: scheme,
		Params: append(params, broker.ReadParams()...),
		Check:  check,
		Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
			return open(u, start)
		},
	}
}

// The key says which symbol a message is of, when the message does not.
const usualLevels = "{key}"

func check(u *feed.URL) error {
	a, err := broker.ParseAddress(u.Target, "9092")
	if err != nil {
		return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
	}
	if a.Path == "" || strings.Contains(a.Path, "/") {
		return feed.Permanent(fmt.Errorf("%w: want one topic, as in kafka://host:9092/topic", feed.ErrURL))
	}
	if _, err := parseStart(u); err != nil {
		return err
	}
	if _, err := committed(u); err != nil {
		return err
	}
	return broker.CheckReader(u.Venue, u, usualLevels, ".")
}

// begin is where a topic is begun that was never read.
type begin struct {
	at int64 // as ListOffsets asks: -2 the earliest, -1 the latest, else milliseconds since 1970
}

func parseStart(u *feed.URL) (begin, error) {
	switch text := u.Get("start"); text {
	case "earliest":
		return begin{-2}, nil
	case "", "latest":
		return begin{-1}, nil
	default:
		t, err := market.ParseTime(text)
		if err != nil || t < 0 {
			return begin{}, u.Errorf("start", "want earliest, latest, or a time such as 2026-11-23T14:30:00Z")
		}
		return begin{int64(t / 1_000_000)}, nil
	}
}

// committed tells whether what transactions that were aborted wrote is left out.
func committed(u *feed.URL) (bool, error) {
	switch u.Get("isolation") {
	case "", "committed":
		return true, nil
	case "uncommitted":
		return false, nil
	}
	return false, u.Errorf("isolation", "want committed or uncommitted")
}

func open(u *feed.URL, start feed.Start) (*source, error) {
	cluster, err := broker.NewKafka(u.Scheme, u.Target, u)
	if err != nil {
		return nil, feed.Permanent(err)
	}
	s := &source{cluster: cluster, log: start.Log}
	if s.begin, err = parseStart(u); err != nil {
		return nil, err
	}
	if s.committed, err = committed(u); err != nil {
		return nil, err
	}
	if s.reader, err = broker.NewReader(u.Venue, u, usualLevels, "."); err != nil {
		return nil, err
	}
	if s.place, err = parsePlace(start.Offset); err != nil {
		return nil, feed.Permanent(fmt.Errorf("the feed's last record on the tape was not written by this feed: %w", err))
	}
	return s, nil
}
