package store

import (
	"context"
	"database/sql"
	"fmt"

	"tapedeck/internal/market"
)

// retain removes the days that are too old as of at, and then the oldest ones until the archive is small enough.
func (a *Archiver) retain(ctx context.Context, at market.Time) error {
	if a.o.Keep != 0 {
		end := dayOf(int64(at) - int64(a.o.Keep))
		if err := a.removeDays(ctx, "day < ?", end); err != nil {
			return err
		}
	}
	for a.o.KeepBytes != 0 && a.store.cold.sums().bytes > a.o.KeepBytes {
		day, ok, err := a.oldest(ctx)
		if err != nil || !ok {
			return err
		}
		if err := a.removeDays(ctx, "day = ?", day); err != nil {
			return err
		}
	}
	return nil
}

// oldest returns the first archived day.
func (a *Archiver) oldest(ctx context.Context) (int64, bool, error) {
	var day sql.NullInt64
	err := a.store.readers.QueryRowContext(ctx, "SELECT min(day) FROM archived WHERE state = ?", fileAlone).Scan(&day)
	return day.Int64, day.Valid, mark(err)
}

// removeAtOnce is how many files leave history in one transaction.
const removeAtOnce = 500

// removeDays removes the files of the days that a condition selects: out of the list of what queries read first, then from where they
// are. A crash between the two leaves files that the next start removes.
func (a *Archiver) removeDays(ctx context.Context, where string, arg int64) error {
	for {
		files, err := listArchived(ctx, a.store.readers, "state = ? AND "+where+" ORDER BY day, id LIMIT ?", fileAlone, arg, removeAtOnce)
		if err != nil || len(files) == 0 {
			return err
		}
		if err := a.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return leave(ctx, tx, files) }); err != nil {
			return err
		}
		if err := a.store.cold.load(ctx, a.store.readers); err != nil {
			return err
		}
		for i := range files {
			if err := a.remove(ctx, &files[i]); err != nil {
				return fmt.Errorf("remove %s: %w", files[i].file, err)
			}
			a.metrics.removed.Inc()
		}
		a.log.InfoContext(ctx, "old days were removed from history", "from", dayText(files[0].day), "through", dayText(files[len(files)-1].day), "files", len(files))
	}
}
