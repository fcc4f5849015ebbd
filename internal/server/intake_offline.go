package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
)

// offlineIntake is an intake over a data folder that no server runs on: it opens tape and store itself, and records meanwhile.
type offlineIntake struct {
	node   *node
	group  group
	failed chan error // of the recorder
	id     string
	rows   uint64
}

// openOffline opens the data folder, as a server that does nothing but record would.
func openOffline(ctx context.Context, o IntakeOptions) (*offlineIntake, error) {
	c := Defaults()
	c.Data, c.Calendars, c.Rules = o.Data, o.Calendars, o.Rules
	c.Feeds, c.Roles = nil, []string{RoleRecord}
	s, err := New(Options{Config: c, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	in := &offlineIntake{node: &node{Server: s, metrics: prometheus.NewRegistry()}, failed: make(chan error, 1)}
	if err := in.node.open(ctx); err != nil {
		return nil, errors.Join(err, in.node.close())
	}
	in.group.start(context.WithoutCancel(ctx))
	in.group.run("record", nil, func(ctx context.Context) error {
		in.failed <- in.node.recorder.Run(ctx)
		return nil
	})
	return in, nil
}

// Begin implements Intake.
func (in *offlineIntake) Begin(ctx context.Context, f IntakeFile) (rows uint64, done bool, err error) {
	stand, err := in.node.importer.Stand(ctx, f.ID)
	if err != nil {
		return 0, false, fmt.Errorf("import %s: %w", f.Name, err)
	}
	in.id, in.rows = f.ID, stand.Rows
	return stand.Rows, stand.Done, nil
}

// Put implements Intake.
func (in *offlineIntake) Put(ctx context.Context, entries []market.Entry, rows uint64, last bool) error {
	if err := in.stopped(); err != nil {
		return err
	}
	if _, err := in.node.importer.Put(ctx, in.id, gateway.ImportPart{From: in.rows, Rows: rows, Last: last, Entries: entries}); err != nil {
		return err
	}
	in.rows = rows
	return nil
}

// stopped returns why the recorder ended, nil while it runs.
func (in *offlineIntake) stopped() error {
	select {
	case err := <-in.failed:
		in.failed <- err
		return fmt.Errorf("history is not recorded any more: %w", errors.Join(err, errors.New("ended by itself")))
	default:
		return nil
	}
}

// Close implements Intake. When ctx ends before history has all, the rest is recorded when the folder is opened next.
func (in *offlineIntake) Close(ctx context.Context) error {
	err := in.recorded(ctx)
	in.group.end()
	return errors.Join(err, in.node.close())
}

// recorded waits until history has all that is on the tape.
func (in *offlineIntake) recorded(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for last := in.node.tape.Bounds().Last; ; {
		if _, applied := in.node.store.Applied(); applied >= last {
			return nil
		}
		if err := in.stopped(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("history does not have all of it yet; the rest is recorded when the folder is opened next: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

var _ Intake = (*offlineIntake)(nil)

// discard is what logs to nobody.
func discard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
