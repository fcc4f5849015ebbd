package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	_ "modernc.org/sqlite" // the driver

	"tapedeck/internal/archive"
	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Options say where a store is. Only Path is needed.
type Options struct {
	Path       string                // the database file; its folder is made when it is missing
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is registered

	// Source is the tape that the store is filled from. With it, a damaged file is moved to quarantine/ beside it and begun
	// anew, provided that the tape still has its first record. Without it, a damaged file is refused.
	Source tape.Source

	// Candles say how bars are made: calendars, rule sets, and how long a late trade is waited for. The intervals are those that the
	// file keeps, whatever they say.
	Candles candle.Options

	// Archive is where the files of archived days are; nil is the folder archive beside Path. It is closed with the store.
	Archive archive.Place

	// Busy is how long a statement waits for another program's lock before it fails. 0 is 5 s.
	Busy time.Duration

	// CheckSize is the size in bytes up to which a file that was not closed cleanly is checked before Open returns; a larger
	// one is checked while it is in use. 0 is 128 MiB, which takes about a second.
	CheckSize int64
}

// Store is the history of the tape in a file. Its methods may be called at once by many.
type Store struct {
	path    string
	log     *slog.Logger
	busy    time.Duration
	writer  *sql.DB // one connection, used by the recorder
	readers *sql.DB // read-only connections
	forms   formCache
	cold    *cold
	now     live
	candles candle.Options
	page    int // stored bars that are read at once
	health  health
	metrics *metrics

	closing context.CancelFunc // ends the check
	checks  sync.WaitGroup
}

const (
	defaultBusy      = 5 * time.Second
	defaultCheckSize = 128 << 20

	// maxReaders bounds the memory of the readers' page caches; what comes beyond waits.
	maxReaders = 4
)

// Open opens the store at o.Path, or makes a new one. Of a file that another program is using it only needs a moment's lock.
// Errors that wrap ErrFormat or ErrCorrupt mean that the file was refused and nothing was written.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Busy == 0 {
		o.Busy = defaultBusy
	}
	if o.CheckSize == 0 {
		o.CheckSize = defaultCheckSize
	}
	if o.Path == "" {
		return nil, errors.New("open store: no path")
	}
	s, err := open(ctx, &o)
	if err == nil || !errors.Is(err, ErrCorrupt) {
		return s, err
	}
	if err := quarantine(&o, err); err != nil {
		return nil, err
	}
	return open(ctx, &o)
}

func open(ctx context.Context, o *Options) (*Store, error) {
	fresh, err := create(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if !fresh {
		if err := examine(ctx, o); err != nil {
			return nil, fmt.Errorf("open store %s: %w", o.Path, err)
		}
	}
	if o.Archive == nil {
		if o.Archive, err = archive.Open(DefaultArchive(o.Path), ""); err != nil {
			return nil, fmt.Errorf("open store %s: %w", o.Path, err)
		}
	}
	s := &Store{path: o.Path, cold: newCold(o.Archive), log: o.Logger, busy: o.Busy, candles: o.Candles, page: barPage}
	if s.candles.Calendars == nil {
		s.candles.Calendars = market.NewCalendars()
	}
	if err := s.start(ctx, o); err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Path, errors.Join(mark(err), s.closeFiles()))
	}
	return s, nil
}

// start opens the connections, checks the file and reads what is kept in memory.
func (s *Store) start(ctx context.Context, o *Options) (err error) {
	if s.writer, err = sql.Open("sqlite", source(o.Path, o.Busy, false)); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if err := prepareSchema(ctx, s.writer, s.log); err != nil {
		return err
	}
	if s.readers, err = sql.Open("sqlite", source(o.Path, o.Busy, true)); err != nil {
		return err
	}
	s.readers.SetMaxOpenConns(maxReaders)
	s.readers.SetMaxIdleConns(maxReaders)
	if s.candles.Intervals, err = readKept(ctx, s.readers); err != nil {
		return err
	}
	large, err := s.check(ctx, o.CheckSize)
	if err != nil {
		return err
	}
	if err := s.now.load(ctx, s); err != nil {
		return err
	}
	if err := s.cold.load(ctx, s.readers); err != nil {
		return err
	}
	if err := setMeta(ctx, s.writer, metaOpen, "1"); err != nil {
		return err
	}
	if s.metrics, err = newMetrics(o.Registerer, s); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.closing = cancel
	if large {
		s.checks.Go(func() { s.checkInUse(background) })
	}
	return nil
}

// mark gives an error that speaks of damage its name.
func mark(err error) error {
	if damaged(err) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// DefaultArchive returns the folder of the archive of a store that was told nothing else.
func DefaultArchive(path string) string { return filepath.Join(filepath.Dir(path), "archive") }

// create makes the folder and an empty file that only its owner may read, for ticks may be licensed data, and both durable.
func create(path string) (fresh bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	folder := filepath.Dir(path)
	return true, errors.Join(f.Close(), syncFolder(folder), syncFolder(filepath.Dir(folder)))
}

// source returns the data source name of a connection. What makes a commit durable is here and not in a statement of its own,
// so that no connection is ever without it.
func source(path string, busy time.Duration, reader bool) string {
	q := url.Values{}
	add := func(name, value string) { q.Add("_pragma", name+"("+value+")") }
	add("busy_timeout", strconv.FormatInt(max(1, busy.Milliseconds()), 10))
	add("foreign_keys", "1")
	add("cell_size_check", "1")
	add("trusted_schema", "0")
	if reader {
		q.Set("mode", "ro")
		add("query_only", "1")
		add("cache_size", "-16384") // KiB
	} else {
		add("page_size", "4096") // a tick that comes alone writes two or three pages
		add("journal_mode", "WAL")
		add("synchronous", "FULL")
		add("wal_autocheckpoint", "1000")
		add("journal_size_limit", strconv.Itoa(64<<20))
		add("cache_size", "-65536") // KiB: the pages at which some 10,000 symbols grow
		q.Set("_txlock", "immediate")
	}
	return fileURI(path) + "?" + q.Encode()
}

// fileURI spells a path as SQLite's URIs want it.
func fileURI(path string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath()
}

// Close closes the file, after the recorder's Run and all queries have ended. What the write-ahead log holds is moved into the
// database, so that the one file is all there is.
func (s *Store) Close() error {
	s.stopChecks()
	s.metrics.unregister()
	s.cold.close()
	err := errors.Join(s.cold.place.Close(), s.readers.Close())
	ctx, cancel := context.WithTimeout(context.Background(), s.busy+defaultBusy)
	defer cancel()
	return errors.Join(err, s.end(ctx), s.writer.Close())
}

func (s *Store) stopChecks() {
	s.closing()
	s.checks.Wait()
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, db := range []*sql.DB{s.readers, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
