package archive

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
)

// Lenient returns a place like p in which a file that may not be removed stays, with a warning in the log: who keeps files out of reach of
// those who write them does so on purpose, and it is no reason to stop. Such a file is no part of history any more.
func Lenient(p Place, log *slog.Logger) Place { return &lenient{p, log} }

type lenient struct {
	Place

	log *slog.Logger
}

// Remove removes a file if that is allowed.
func (l *lenient) Remove(ctx context.Context, name string) error {
	err := l.Place.Remove(ctx, name)
	if errors.Is(err, fs.ErrPermission) {
		l.log.WarnContext(ctx, "a file of the archive may not be removed: it stays there, and is no part of history any more", "file", name, "error", err)
		return nil
	}
	return err
}
