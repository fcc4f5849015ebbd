package archive

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
)

// Lenient returns a place like p in which a file that may be read and not be removed stays, with a warning in the log: who keeps files out of
// reach of those who write them does so on purpose, and it is no reason to stop. Such a file is no part of history any more. Where it may
// not even be read, the key is a wrong one, and nothing is known of what the right one may do: that is an error.
func Lenient(p Place, log *slog.Logger) Place { return &lenient{p, log} }

type lenient struct {
	Place

	log *slog.Logger
}

// Remove removes a file if that is allowed.
func (l *lenient) Remove(ctx context.Context, name string) error {
	err := l.Place.Remove(ctx, name)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	f, cannot := l.Open(ctx, name)
	switch {
	case errors.Is(cannot, fs.ErrNotExist):
		return nil // a server may ask who wants to remove before it looks for what
	case cannot != nil:
		return errors.Join(err, cannot)
	}
	l.log.WarnContext(ctx, "a file of the archive may not be removed: it stays there, and is no part of history any more", "file", name, "error", err)
	return f.Close()
}
