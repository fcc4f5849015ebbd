package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Sink takes what a source receives; see feed.Sink.
type Sink interface {
	Push(ctx context.Context, entries []market.Entry, offset []byte) error
	Dropped(reason string, n int)
}

// Intake hands over what messages say in pushes of a bounded size, each with the place that the source has reached, so that
// whoever goes on from that place repeats nothing and misses nothing. A message of more ticks than a push holds is divided: the
// place then says how many of its ticks were taken. One goroutine uses it.
type Intake struct {
	Sink Sink
	Read func(m *Message, out *venue.Output)
	Max  int // entries of a push, at least 2
	Log  *slog.Logger

	// Place returns the place of the source when skip ticks of its next message are taken; nil when it has none.
	Place func(skip uint64) []byte

	// Skip is how many ticks of the next message were taken before.
	Skip uint64

	// Last is the latest time of an entry.
	Last market.Time

	pending []market.Entry
	out     venue.Output
	lost    string // why something may be missing before the next tick
	since   market.Time
	told    map[string]bool
}

// Lose says that ticks before the next one may be missing. It is told as a gap when the next one comes, and until then the place
// on the tape stays what it was, so that who begins there finds out again. The source calls it before it moves its place.
func (in *Intake) Lose(ctx context.Context, reason string) error {
	return in.LoseSince(ctx, in.Last, reason)
}

// LoseSince is Lose for what may be missing since an earlier time.
func (in *Intake) LoseSince(ctx context.Context, since market.Time, reason string) error {
	if len(in.pending) > 0 {
		if err := in.Flush(ctx); err != nil {
			return err
		}
	}
	if in.lost == "" {
		in.lost, in.since = reason, since
	}
	in.since = min(in.since, since)
	return nil
}

// Take reads a message. Next is called when the place behind it is reached.
func (in *Intake) Take(ctx context.Context, m *Message, next func()) error {
	in.out.Reset()
	in.Read(m, &in.out)
	for _, reason := range slices.Sorted(maps.Keys(in.out.Unusable)) {
		in.Refuse(ctx, m, reason, in.out.Unusable[reason])
	}
	entries := in.out.Entries
	entries = entries[min(in.Skip, uint64(len(entries))):]
	if len(entries) == 0 {
		in.Skip = 0
		next()
		return nil
	}
	if len(in.pending) > 0 && len(in.pending)+len(entries) > in.Max {
		if err := in.Flush(ctx); err != nil {
			return err
		}
	}
	if in.lost != "" {
		from, until := in.since, entries[0].Event
		if until == 0 {
			until = m.Received
		}
		if from == 0 {
			from = until
		}
		in.pending = append(in.pending, market.Entry{
			Kind: market.KindGap, Event: from, Until: max(from, until), Received: m.Received, Text: in.lost,
		})
		in.lost = ""
	}
	for room := in.Max - len(in.pending); len(entries) > room; room = in.Max {
		in.add(entries[:room])
		entries = entries[room:]
		in.Skip += uint64(room)
		if err := in.Flush(ctx); err != nil {
			return err
		}
	}
	in.add(entries)
	in.Skip = 0
	next()
	return nil
}

func (in *Intake) add(entries []market.Entry) {
	for i := range entries {
		in.Last = max(in.Last, entries[i].Event)
	}
	in.pending = append(in.pending, entries...)
}

// Flush hands over what was read since the last push, and the place behind it. Without anything new it says that the source is
// alive.
func (in *Intake) Flush(ctx context.Context) error {
	var place []byte
	if in.Place != nil && in.lost == "" {
		place = in.Place(in.Skip)
	}
	err := in.Sink.Push(ctx, in.pending, place)
	in.pending = in.pending[:0]
	return err
}

// Refuse counts a message, or n items of it, that can't be used. The first of each kind is logged with its beginning.
func (in *Intake) Refuse(ctx context.Context, m *Message, reason string, n int) {
	in.Sink.Dropped(reason, n)
	if in.told[reason] || in.Log == nil {
		return
	}
	if in.told == nil {
		in.told = make(map[string]bool)
	}
	in.told[reason] = true
	in.Log.WarnContext(ctx, "a message can't be used; more of this kind are only counted",
		"reason", reason, "topic", m.Topic, "message", beginning(m.Value))
}

// beginning returns as much of a message as a line of a log bears.
func beginning(b []byte) string { return string(b[:min(len(b), 120)]) }
