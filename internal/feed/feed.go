// Package feed brings ticks onto the tape. An adapter (sim, replay, a venue's) knows how to get ticks from one kind of
// source; everything that all feeds need alike is here: the Registry that finds the adapter of a URL, the Runner that keeps a
// source going (back-off, staleness, de-duplication, gaps, heartbeats, a bounded buffer), and the Writer that numbers the
// ticks of each symbol without a hole and appends them to the tape in groups.
//
// What a feed puts on the tape, besides its ticks:
//
//   - a status of the feed (no symbol) at each change of its state, and of a symbol that falls silent;
//   - a gap where ticks may be missing, from the last event before it to the first event after it;
//   - a heartbeat about once a second when no tick came, in the time of the feed's own events.
package feed

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tapedeck/internal/market"
)

// MaxPush is the number of entries that one Push may hand over. They go onto the tape in one record together with their
// offset, so that a source that resumes from the offset never repeats half a push.
const MaxPush = 4096

// Source is one source of ticks, such as a connection to a venue or a file. It is opened anew for each attempt and run once.
type Source interface {
	// Traits says how the source wants to be treated. It is asked once, before Run, and does not block.
	Traits() Traits

	// Run streams into the sink until ctx is done, the connection fails (any error: the source is opened again after a
	// pause; one marked by Permanent: the feed rests), or there is nothing more to come (nil: the feed is closed). It
	// returns an error of the sink as it is. It does not return before all goroutines that it started have ended. A panic of
	// Run is an error like any other; one of a goroutine of its own ends the process.
	Run(ctx context.Context, sink Sink) error
}

// Clocked is a source that has a clock of its own. Clock returns the moment that it has reached in the time of its events: no
// tick before that is to come in the usual way. Zero means unknown. It may be called at any time while Run runs. For a
// source without it the clock is taken from the last event and the time that passed since.
type Clocked interface {
	Clock(now market.Time) market.Time
}

// Traits describe a source.
type Traits struct {
	Label   string // shown with everything that comes from the feed: "SIM", "REPLAY"; "" for a real venue
	Pull    bool   // the source can wait: Push blocks while the tape is behind. Otherwise what does not fit the buffer is dropped, as a gap
	Resumes bool   // the source goes on exactly where Offset says: a restart makes no gap, and nothing comes twice
	Breaks  bool   // the world goes on while it does not run: a restart leaves a gap all the same
	Mends   bool   // the source looks for what was lost while it was not connected, or not running, and says itself what is missing
	Past    bool   // event times are not of now: they are taken as they are, and their lag is not measured
}

// Sink takes what a source receives. Its methods may be called at once, but not after Run has returned.
type Sink interface {
	// Push hands over entries in the order in which they arrived: ticks without Seq, and whatever else the source has to
	// say (gaps, statuses of symbols). A status without a symbol is the feed's own: the runner takes it for its state, which
	// otherwise is live with every push. The offset says where the source stands after them, in a form of its own; nil leaves
	// it as it was. Push copies both: the caller may reuse its slices. A push of no entries says that the source is alive.
	// It blocks while there is no room, if the source is one that waits, and until ctx is done; the source returns whatever
	// error it gets.
	Push(ctx context.Context, entries []market.Entry, offset []byte) error

	// Dropped counts n things that the source could not use, under a reason of a few words in snake_case.
	Dropped(reason string, n int)
}

// Start tells a source where to begin.
type Start struct {
	// Offset is what the source said with the last of its entries that is, or will be, on the tape; nil when it never ran.
	Offset []byte

	// Last returns the last trade (KindTrade) or quote (KindQuote) of a symbol of the feed. It may be called at any time.
	Last func(market.Symbol, market.Kind) (market.Entry, bool)

	// Account takes what the source knows of how it fares, for people to see.
	Account *Account

	Log *slog.Logger

	// Demand is what clients want of the feed; nil when it brings nothing on demand.
	Demand *Demand
}

// ErrSymbolTaken is wrapped when a second feed wants to write a symbol. It is permanent: one of the feeds needs venue=.
var ErrSymbolTaken = errors.New("another feed writes this symbol")

// permanentError marks an error that no further attempt would mend.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks err as one that another attempt would meet again: a bad key, an unknown symbol, a broken file.
func Permanent(err error) error {
	if err == nil || IsPermanent(err) {
		return err
	}
	return permanentError{err}
}

// IsPermanent reports whether err was marked by Permanent, or another feed writes the symbol.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p) || errors.Is(err, ErrSymbolTaken)
}

// RetryError is an error of a venue that says when to come back.
type RetryError struct {
	Err   error
	After time.Duration
}

func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }
