// Package nats brings messages of NATS onto the tape.
//
//	nats://host:4222/ticks.>?user=…&password=env:NATS_PASSWORD      what is published while we listen: each at most once
//	nats://host:4222/ticks.>?jetstream=TICKS&start=latest           what the stream TICKS keeps: each exactly once
//	nats+js://host:4222/ticks.>                                     the same, of whichever stream keeps the subject
//
// Without a stream, what is published while there is no connection, or faster than it can be taken, is lost; both are told as
// gaps. Of a stream, the number of the last message that was read is in the offset of the feed's last record on the tape, and a
// start goes on from there.
package nats

import (
	"fmt"
	"strings"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// Adapters returns the adapters of nats:// and nats+js:// URLs, and of natss:// and natss+js:// for encrypted connections.
func Adapters() []feed.Adapter {
	var list []feed.Adapter
	for _, scheme := range []string{"nats", "natss", "nats+js", "natss+js"} {
		params := append(broker.NATSParams(), "jetstream", "start")
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

// The last word of the subject says which symbol a message is of, when the message does not.
const usualLevels = "{last}"

// kept reports whether the URL asks for what a stream keeps, and of which; "" is to be found out.
func kept(u *feed.URL) (stream string, ok bool, err error) {
	stream = u.Get("jetstream")
	ok = strings.HasSuffix(u.Scheme, "+js")
	switch strings.ToLower(stream) {
	case "":
		return "", ok, nil
	case "true", "yes", "on", "1":
		return "", true, nil
	case "false", "no", "off", "0":
		if ok {
			return "", false, u.Errorf("jetstream", "the scheme asks for what a stream keeps")
		}
		return "", false, nil
	}
	if strings.ContainsAny(stream, " \t.*>/\\") || len(stream) > 255 {
		return "", false, u.Errorf("jetstream", "is not the name of a stream")
	}
	return stream, true, nil
}

func check(u *feed.URL) error {
	if _, err := broker.ParseAddress(u.Target, "4222"); err != nil {
		return feed.Permanent(fmt.Errorf("%w: %w", feed.ErrURL, err))
	}
	_, stream, err := kept(u)
	if err != nil {
		return err
	}
	if u.Has("start") && !stream {
		return u.Errorf("start", "nothing is kept without a stream: say jetstream=true as well")
	}
	if _, err := parseStart(u); err != nil {
		return err
	}
	return broker.CheckReader(u.Venue, u, usualLevels, ".")
}

// begin is where a stream is begun that was never read.
type begin struct {
	latest bool
	since  market.Time // 0: from the beginning, or the end
}

func parseStart(u *feed.URL) (begin, error) {
	switch text := u.Get("start"); text {
	case "earliest":
		return begin{}, nil
	case "", "latest":
		return begin{latest: true}, nil
	default:
		t, err := market.ParseTime(text)
		if err != nil || t <= 0 {
			return begin{}, u.Errorf("start", "want earliest, latest, or a time such as 2026-11-23T14:30:00Z")
		}
		return begin{since: t}, nil
	}
}

func open(u *feed.URL, start feed.Start) (feed.Source, error) {
	server, err := broker.NewNATS(strings.TrimSuffix(u.Scheme, "+js"), u.Target, u, true)
	if err != nil {
		return nil, feed.Permanent(err)
	}
	reader, err := broker.NewReader(u.Venue, u, usualLevels, ".")
	if err != nil {
		return nil, err
	}
	stream, ok, err := kept(u)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &live{server: server, reader: reader, log: start.Log}, nil
	}
	s := &source{server: server, reader: reader, log: start.Log, stream: stream}
	if s.begin, err = parseStart(u); err != nil {
		return nil, err
	}
	if s.place, err = parsePlace(start.Offset); err != nil {
		return nil, feed.Permanent(fmt.Errorf("the feed's last record on the tape was not written by this feed: %w", err))
	}
	return s, nil
}
