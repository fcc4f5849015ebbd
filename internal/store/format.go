package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Keys of the table meta.
const (
	metaFormat  = "format"  // "2.0"
	metaCreated = "created" // RFC 3339
	metaOpen    = "open"    // "1" while a program has the file open for writing
	metaSuspect = "suspect" // "1" when a check found damage: the next Open checks before anything else
)

// examine looks at an existing file without writing to it: whether it is of a format that we know.
func examine(ctx context.Context, o *Options) error {
	info, err := os.Stat(o.Path)
	if err != nil {
		return err
	}
	if info.Size() == 0 && !exists(o.Path+"-wal") {
		return nil // made by create, and then the power was cut
	}
	db, err := sql.Open("sqlite", source(o.Path, o.Busy, true))
	if err != nil {
		return err
	}
	_, err = format(ctx, db)
	return errors.Join(mark(err), db.Close())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// format returns the user_version of a file that this program can read, 0 for an empty one.
func format(ctx context.Context, db *sql.DB) (version int, err error) {
	var application, objects int
	for _, q := range []struct {
		query string
		to    *int
	}{
		{"PRAGMA user_version", &version},
		{"PRAGMA application_id", &application},
		{"SELECT count(*) FROM sqlite_schema", &objects},
	} {
		if err := db.QueryRowContext(ctx, q.query).Scan(q.to); err != nil {
			return 0, err
		}
	}
	switch {
	case application == 0 && version == 0 && objects == 0:
		return 0, nil
	case application != applicationID:
		return 0, fmt.Errorf("it is a database of another program; name another file: %w", ErrFormat)
	case version/1000 > formatMajor:
		return 0, fmt.Errorf("it has format %d.%d, this program knows up to %d.%d; use the newer program, or another data folder: %w",
			version/1000, version%1000, formatMajor, formatMinor, ErrFormat)
	case version/1000 < 1:
		return 0, fmt.Errorf("it claims format %d.%d, which never was; restore a backup: %w", version/1000, version%1000, ErrFormat)
	}
	return version, nil
}

// prepareSchema brings the file to the format of this program in one transaction.
func prepareSchema(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	version, err := format(ctx, db)
	if err != nil || version >= userVersion {
		return err
	}
	if version > 0 {
		if version < 1001 {
			log.InfoContext(ctx, "the store is brought up to date; a large file takes minutes", "from", version, "to", userVersion)
		} else {
			log.InfoContext(ctx, "the store is brought up to date; its bars of seconds take less room bit by bit", "from", version, "to", userVersion)
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // the error that led here is on its way out; after Commit it does nothing
	for _, step := range migration(version) {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
	}
	if err := setMeta(ctx, tx, metaFormat, fmt.Sprintf("%d.%d", formatMajor, formatMinor)); err != nil {
		return err
	}
	if version == 0 {
		if err := setMeta(ctx, tx, metaCreated, time.Now().UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// migration returns the statements that bring a file from a version, 0 when it is empty, to this one. The views are made anew, for they
// spell out what the program knows.
func migration(version int) []string {
	var steps []string
	if version == 0 {
		steps = append(steps, tables, "INSERT INTO tape VALUES (1, '', 0, 0, 0, 0)", fmt.Sprintf("PRAGMA application_id = %d", applicationID))
		version = 1000
	}
	for _, added := range additions() {
		if added.version > version {
			steps = append(steps, added.steps...)
		}
	}
	return append(append(steps, views()...), fmt.Sprintf("PRAGMA user_version = %d", userVersion))
}

// executor is a connection, a pool or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func setMeta(ctx context.Context, db executor, key, value string) error {
	_, err := db.ExecContext(ctx, "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}

// metaFlag reports whether a key of meta is "1".
func metaFlag(ctx context.Context, db *sql.DB, key string) (bool, error) {
	var value string
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return value == "1", err
}

// check checks a file that was not closed, unless it is larger than limit: that one is to be checked while it is in use.
func (s *Store) check(ctx context.Context, limit int64) (later bool, err error) {
	unclean, err := metaFlag(ctx, s.writer, metaOpen)
	if err != nil {
		return false, err
	}
	suspect, err := metaFlag(ctx, s.writer, metaSuspect)
	if err != nil || !unclean && !suspect {
		return false, err
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return false, err
	}
	if !suspect && info.Size() > limit {
		s.log.Info("the store was not closed; checking it meanwhile", "path", s.path, "bytes", info.Size())
		return true, nil
	}
	s.log.Info("the store was not closed; checking it", "path", s.path, "bytes", info.Size())
	check := "PRAGMA quick_check(1)"
	if suspect {
		check = "PRAGMA integrity_check(1)" // something was found before, which the quick one may not see
	}
	if err := pragmaCheck(ctx, s.readers, check); err != nil {
		return false, err
	}
	return false, setMeta(ctx, s.writer, metaSuspect, "0")
}

// checkInUse checks a large file while it is in use. Of damage it tells Health, and by way of end the next Open.
func (s *Store) checkInUse(ctx context.Context) {
	err := pragmaCheck(ctx, s.readers, "PRAGMA quick_check(1)")
	if err == nil || ctx.Err() != nil {
		return
	}
	_ = s.notice(err)
}

// pragmaCheck runs one of SQLite's checks of the structure of the file. Damage is ErrCorrupt.
func pragmaCheck(ctx context.Context, db *sql.DB, pragma string) error {
	var answer string
	if err := db.QueryRowContext(ctx, pragma).Scan(&answer); err != nil {
		return mark(fmt.Errorf("check: %w", err))
	}
	if answer != "ok" {
		return fmt.Errorf("check: %.300s: %w", answer, ErrCorrupt)
	}
	return nil
}

// end notes that the file is closed and empties the write-ahead log.
func (s *Store) end(ctx context.Context) error {
	if s.health.isDamaged() {
		// Kept open in the file's own eyes too, so that nothing but a check helps.
		if err := setMeta(ctx, s.writer, metaSuspect, "1"); err != nil {
			return fmt.Errorf("close store %s: %w", s.path, err)
		}
		return nil
	}
	if err := setMeta(ctx, s.writer, metaOpen, "0"); err != nil {
		return fmt.Errorf("close store %s: %w", s.path, err)
	}
	var busy, frames, moved int
	if err := s.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return fmt.Errorf("close store %s: %w", s.path, err)
	}
	return nil
}

// quarantine moves a damaged file aside, if the tape can fill a new one.
func quarantine(o *Options, damage error) error {
	if o.Source == nil {
		return damage
	}
	if b := o.Source.Bounds(); b.First > 1 || b.Last == 0 {
		return fmt.Errorf("%w; the tape holds positions %d to %d and cannot fill a new one: restore a backup of the store,"+
			" or move it aside to go on with what the tape has", damage, b.First, b.Last)
	}
	folder := filepath.Join(filepath.Dir(o.Path), "quarantine", time.Now().UTC().Format("20060102T150405.000000000Z"))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("quarantine %s: %w", o.Path, err)
	}
	// The log goes first: without it the database is old, with a log of another database it would be wrong.
	for _, suffix := range []string{"-wal", "-shm", ""} {
		err := os.Rename(o.Path+suffix, filepath.Join(folder, filepath.Base(o.Path)+suffix))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("quarantine %s: %w", o.Path, err)
		}
	}
	for _, dir := range []string{folder, filepath.Dir(o.Path)} {
		if err := syncFolder(dir); err != nil {
			return fmt.Errorf("quarantine %s: %w", o.Path, err)
		}
	}
	o.Logger.Error("the store was damaged and is being made again from the tape",
		"path", o.Path, "quarantine", folder, "error", damage)
	return nil
}

// syncFolder makes the names in a folder durable. Windows has no such call, and needs none.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
