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
// entries up to it (0 when that is not known): what a tape must still have when it is opened. It is 0 of a file that isn't there.
// An error means that the file can't tell; Open finds out why.
func HighWater(ctx context.Context, path string) (p tape.Position, entries uint64, err error) {
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, 0, nil
		}
		return 0, 0, err
	}
	db, err := sql.Open("sqlite", source(path, defaultBusy, true))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var position, all, highWater int64
	err = db.QueryRowContext(ctx, "SELECT position, entries, high_water FROM tape").Scan(&position, &all, &highWater)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, 0, nil
	case err != nil:
		return 0, 0, fmt.Errorf("read the position of %s: %w", path, err)
	case highWater > position:
		return tape.Position(highWater), 0, nil
	}
	return tape.Position(position), uint64(all), nil
}
