package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"tapedeck/internal/broker"
	"tapedeck/internal/feed"
	"tapedeck/internal/market"
)

// source reads a stream.
type source struct {
	server *broker.Redis
	reader *broker.Reader
	log    *slog.Logger
	data   string // field that holds the message; "" finds it
	begin  id

	place  place
	intake broker.Intake
}

var _ feed.Source = (*source)(nil)

const (
	mostEntries = 1000            // of a stream that are asked for at once
	blockTime   = 2 * time.Second // and waited for; the client takes a server for dead ten seconds later
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
	client := s.server.Client()
	release := broker.CloseWith(ctx, func() { _ = client.Close() }) // it waits for its answers without looking at ctx
	defer release()
	defer func() { _ = client.Close() }()
	s.intake = broker.Intake{
		Sink: sink, Read: s.reader.Read, Max: feed.MaxPush, Log: s.log, Last: s.place.last, Skip: s.place.skip,
		Place: func(skip uint64) []byte {
			s.place.last, s.place.skip = s.intake.Last, skip
			return s.place.append(nil)
		},
	}
	if s.place.begun && s.place.stream != s.server.Name {
		if err := s.intake.Lose(ctx, fmt.Sprintf("the feed read the stream %.80s before, not %.80s", s.place.stream, s.server.Name)); err != nil {
			return err
		}
		s.place, s.intake.Skip = place{last: s.place.last}, 0
	}
	for {
		entries, err := s.ready(ctx, client)
		if err == nil && len(entries) == 0 {
			if err := s.intake.Flush(ctx); err != nil {
				return err
			}
			entries, err = s.wait(ctx, client)
		}
		if err != nil {
			return err
		}
		for i := range entries {
			if err := s.take(ctx, &entries[i]); err != nil {
				return err
			}
		}
		if err := s.intake.Flush(ctx); err != nil {
			return err
		}
	}
}

// ready returns the entries that are there, and finds out whether some were taken away before they were read. Both are asked in
// one transaction: nothing can be taken away in between.
func (s *source) ready(ctx context.Context, client *redis.Client) ([]redis.XMessage, error) {
	after := s.place.after
	if !s.place.begun {
		after = s.begin
	}
	var asked *redis.XInfoStreamCmd
	var read *redis.XStreamSliceCmd
	_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		asked = p.XInfoStream(ctx, s.server.Name)
		read = p.XRead(ctx, &redis.XReadArgs{Streams: []string{s.server.Name, after.String()}, Count: mostEntries, Block: -1})
		return nil
	})
	if err != nil && asked.Err() == nil && read.Err() == nil {
		return nil, fmt.Errorf("read the stream %s: %w", s.server.Name, err)
	}
	info, err := asked.Result()
	if err != nil && !isMissing(err) {
		return nil, fmt.Errorf("look at the stream %s: %w", s.server.Name, err)
	}
	streams, readErr := read.Result()
	if readErr != nil && !errors.Is(readErr, redis.Nil) {
		return nil, fmt.Errorf("read the stream %s: %w", s.server.Name, readErr)
	}
	if isMissing(err) { // There is no such stream yet, or not any more.
		if !s.place.begun {
			s.start(id{}, 0)
		}
		return nil, nil
	}
	again, err := s.compare(ctx, info)
	if err != nil || again {
		return nil, err
	}
	if len(streams) == 0 {
		return nil, nil
	}
	return streams[0].Messages, nil
}

func isMissing(err error) bool { return err != nil && strings.Contains(err.Error(), "no such key") }

// start begins a stream that was never read.
func (s *source) start(after id, count uint64) {
	s.place.stream, s.place.begun, s.place.after = s.server.Name, true, after
	s.place.counted, s.place.count, s.place.skip = true, count, 0
}

// compare looks at the stream for what is gone; again tells that the place has changed, and what was read with it is not next.
func (s *source) compare(ctx context.Context, info *redis.XInfoStream) (again bool, err error) {
	end, err := parseID(info.LastGeneratedID)
	if err != nil {
		return false, err
	}
	added, known := uint64(max(info.EntriesAdded, 0)), info.EntriesAdded > 0 // Redis counts them from version 7 on
	removed := added - min(uint64(max(info.Length, 0)), added)
	first := id{}
	if info.Length > 0 {
		if first, err = parseID(info.FirstEntry.ID); err != nil {
			return false, err
		}
	}
	switch {
	case !s.place.begun:
		switch {
		case s.begin == latest():
			s.start(end, added)
		case s.begin.less(first), info.Length == 0:
			s.start(first.before(), removed)
		default: // How many came before that time is not known; what is taken away meanwhile is seen by its ids.
			s.start(s.begin, 0)
			s.place.counted = false
		}
		s.place.counted = s.place.counted && known
		return true, nil
	case end.less(s.place.after), known && s.place.counted && added < s.place.count:
		if err := s.intake.Lose(ctx, "the stream was deleted and made anew"); err != nil {
			return false, err
		}
		s.start(id{}, removed)
		s.place.counted, s.intake.Skip = known, 0
		return true, nil
	case known && s.place.counted:
		return s.count(ctx, added, removed, first, end)
	case s.place.after != id{} && s.place.after.less(first):
		return true, s.moveOn(ctx, first.before(), "entries of the stream may have gone before they were read")
	}
	if known && end == s.place.after { // all was read: from here on it can be counted
		s.place.counted, s.place.count = true, added
	}
	return false, nil
}

// count compares the number of entries that were read with those that were added, and those of them that are gone. Entries that
// somebody deletes before they are read are as lost as those that are trimmed.
func (s *source) count(ctx context.Context, added, removed uint64, first, end id) (again bool, err error) {
	gone := func(n uint64) string {
		return fmt.Sprintf("%d entries of the stream were gone before they were read", n)
	}
	switch {
	case end == s.place.after && added > s.place.count:
		err := s.moveOn(ctx, end, gone(added-s.place.count))
		s.place.count = added
		return true, err
	case removed <= s.place.count:
		return false, nil
	case first == id{}: // nothing is left of it
		err := s.moveOn(ctx, end, gone(added-s.place.count))
		s.place.count = added
		return true, err
	case s.place.after.less(first):
		err := s.moveOn(ctx, first.before(), gone(removed-s.place.count))
		s.place.count = removed
		return true, err
	}
	s.place.counted = false // until all was read
	return false, s.intake.Lose(ctx, gone(removed-s.place.count))
}

// moveOn goes on after another entry than the last that was read.
func (s *source) moveOn(ctx context.Context, after id, reason string) error {
	if err := s.intake.Lose(ctx, reason); err != nil {
		return err
	}
	s.place.after, s.intake.Skip = after, 0
	return nil
}

// wait waits a moment for entries. Those that come directly follow what was read.
func (s *source) wait(ctx context.Context, client *redis.Client) ([]redis.XMessage, error) {
	streams, err := client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{s.server.Name, s.place.after.String()}, Count: mostEntries, Block: blockTime,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wait for entries of the stream %s: %w", s.server.Name, err)
	}
	if len(streams) == 0 {
		return nil, nil
	}
	return streams[0].Messages, nil
}

// take hands over an entry.
func (s *source) take(ctx context.Context, e *redis.XMessage) error {
	at, err := parseID(e.ID)
	if err != nil {
		return err
	}
	m := broker.Message{Value: s.message(e.Values), Topic: s.server.Name, Time: at.time(), Received: market.FromStd(time.Now())}
	return s.intake.Take(ctx, &m, func() {
		s.place.after = at
		s.place.count++
	})
}

// message returns the text of an entry: that of its only field, or of the one that is known to hold it; else all fields as a JSON
// object of texts.
func (s *source) message(fields map[string]any) []byte {
	text := func(v any) string {
		t, _ := v.(string) // Redis has nothing else
		return t
	}
	if s.data != "" {
		return []byte(text(fields[s.data]))
	}
	if len(fields) == 1 {
		for _, v := range fields {
			return []byte(text(v))
		}
	}
	for _, name := range []string{"data", "payload", "message", "json"} {
		if v := text(fields[name]); strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
			return []byte(v)
		}
	}
	b := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(append(appendQuoted(b, name), ':'), text(fields[name]))
	}
	return append(b, '}')
}

// appendQuoted appends a JSON string.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
