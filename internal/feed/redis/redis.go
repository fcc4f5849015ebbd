// Package redis brings messages of Redis onto the tape.
//
//	redis://host:6379/ticks?password=env:REDIS_PASSWORD     what is published on channels while we listen: each at most once
//	redis+stream://host:6379/ticks?start=latest             what a stream keeps: each exactly once
//
// A channel keeps nothing: what is published while there is no connection is lost, and told as a gap. Of a stream, the id of the
// last entry that was read is in the offset of the feed's last record on the tape, and a start goes on from there.
package redis

import (
	"fmt"
	"strings"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// Adapters returns the adapters of redis:// and redis+stream:// URLs, and of rediss:// and rediss+stream:// for encrypted
// connections.
func Adapters() []feed.Adapter {
	var list []feed.Adapter
	for _, scheme := range []string{"redis", "rediss", "redis+stream", "rediss+stream"} {
		params := append(broker.RedisParams(), "stream", "start", "separator", "data")
		list = append(list, feed.Adapter{
			Scheme: scheme,
			Params: append(params, broker.ReadParams()...),
			Check:  check,
			Open: func(u *feed.URL, start feed.Start) (feed.Source, error) {
				return open(u, start)
			},
		})
	}
	return list
}

// The last part of the channel's name says which symbol a message is of, when the message does not.
const usualLevels = "{last}"

// separator is what divides the parts of a channel's name.
func separator(u *feed.URL) string {
	if s := u.Get("separator"); s != "" {
		return s
	}
	return ":"
}

func kept(u *feed.URL) (bool, error) {
	by := strings.HasSuffix(u.Scheme, "+stream")
	stream, err := u.Bool("stream", by)
	if err == nil && by && !stream {
		return false, u.Errorf("stream", "the scheme asks for a stream")
	}
	return stream, err
}

func check(u *feed.URL) error {
	a, err := broker.ParseAddress(u.Target, "6379")
	if err != nil {
		return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
	}
	if a.Path == "" {
		return feed.Permanent(fmt.Errorf("%w: the URL names no channel and no stream, as in redis://host:6379/ticks", feed.ErrURL))
	}
	stream, err := kept(u)
	if err != nil {
		return err
	}
	for _, name := range []string{"start", "data"} {
		if u.Has(name) && !stream {
			return u.Errorf(name, "is for streams: say stream=true as well")
		}
	}
	if _, err := parseStart(u); err != nil {
		return err
	}
	return broker.CheckReader(u.Venue, u, usualLevels, separator(u))
}

// parseStart returns the id after which a stream is begun that was never read; latest means its end.
func parseStart(u *feed.URL) (id id, err error) {
	switch text := u.Get("start"); text {
	case "earliest":
		return id, nil
	case "", "latest":
		return latest(), nil
	default:
		t, err := market.ParseTime(text)
		if err != nil || t <= 0 {
			return id, u.Errorf("start", "want earliest, latest, or a time such as 2026-11-23T14:30:00Z")
		}
		id.ms = uint64(t) / 1_000_000
		return id.before(), nil
	}
}

func open(u *feed.URL, start feed.Start) (feed.Source, error) {
	stream, err := kept(u)
	if err != nil {
		return nil, err
	}
	server, err := broker.NewRedis(strings.TrimSuffix(u.Scheme, "+stream"), u.Target, u)
	if err != nil {
		return nil, feed.Permanent(err)
	}
	reader, err := broker.NewReader(u.Venue, u, usualLevels, separator(u))
	if err != nil {
		return nil, err
	}
	if !stream {
		return &channel{server: server, reader: reader, log: start.Log}, nil
	}
	s := &source{server: server, reader: reader, log: start.Log, data: u.Get("data")}
	if s.begin, err = parseStart(u); err != nil {
		return nil, err
	}
	if s.place, err = parsePlace(start.Offset); err != nil {
		return nil, feed.Permanent(fmt.Errorf("the feed's last record on the tape was not written by this feed: %w", err))
	}
	return s, nil
}
