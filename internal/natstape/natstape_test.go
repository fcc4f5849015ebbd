package natstape

import (
	"context"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"

	"tapedeck/internal/tape"
	"tapedeck/internal/tape/tapetest"
)

// intruded is a tape with a way to append behind its back.
type intruded struct{ *Log }

// Intrude implements tapetest.Intruder: it publishes as another process of a cluster would.
func (l intruded) Intrude(ctx context.Context, b *tape.Batch) error {
	var e tape.Encoder
	l.mu.Lock()
	ordinal := l.ordinal
	l.mu.Unlock()
	data, err := e.Append(nil, ordinal, b)
	if err != nil {
		return err
	}
	return l.session.Load().request(ctx, &nats.Msg{Subject: subjectOf(b.Feed), Data: data})
}

func openTape(t testing.TB, opts Options) *Log {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = testLogger(t)
	}
	if opts.MinFree == 0 {
		opts.MinFree = 1 << 20
	}
	l, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l
}

// testLogger logs to the test.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func TestContract(t *testing.T) {
	tapetest.Run(t, func(t *testing.T, dir string) tapetest.Tape {
		return intruded{openTape(t, Options{Dir: dir})}
	})
}
