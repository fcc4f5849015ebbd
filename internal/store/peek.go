package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tapedeck/internal/tape"
)

// HighWater reads, from a store that is not open, the highest position that the tape was seen to have, and the number of
// entries up to it (0 when that is not known): what a tape must still have when it is opened. It is 0 of a file that is not
// there, or that nothing was recorded into. An error means that the file cannot tell; Open finds out why.
func HighWater(ctx context.Context, path string) (p tape.Position, entries uint64, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, 0, nil
	case err != nil:
		return 0, 0, fmt.Errorf("read the position of %s: %w", path, err)
	case info.Size() == 0 && !exists(path+"-wal"):
		return 0, 0, nil
	}
	db, err := sql.Open("sqlite", source(path, defaultBusy, true))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := format(ctx, db); err != nil {
		return 0, 0, fmt.Errorf("read the position of %s: %w", path, mark(err))
	}
	place, err := readPlace(ctx, db)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, err)
	}
	if place.highWater > place.position {
		return place.highWater, 0, nil
	}
	return place.position, place.entries, nil
}
