package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"tapedeck/internal/archive"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// Report is what Verify found.
type Report struct {
	Path     string        `json:"path"`
	Format   string        `json:"format"`   // "2.0"
	Clean    bool          `json:"clean"`    // the file was closed by the program that wrote it
	Epoch    string        `json:"epoch"`    // of the tape, in hexadecimal; empty when nothing was recorded
	Position tape.Position `json:"position"` // of the tape, up to which it has been recorded
	Entries  uint64        `json:"entries"`  // on the tape up to there
	Lost     uint64        `json:"lost"`     // of those, entries that the tape lost
	Symbols  int64         `json:"symbols"`
	Trades   int64         `json:"trades"`
	Quotes   int64         `json:"quotes"`
	Bars     int64         `json:"bars"`
	Imported int64         `json:"imported_bars"`
	Gaps     int64         `json:"gaps"`
	Archived Archived      `json:"archived"`
	First    market.Time   `json:"first"` // smallest and largest event time of the ticks; null when there are none
	Last     market.Time   `json:"last"`
	Problems []string      `json:"problems"` // what is wrong, a sentence each; empty when all is well
}

// Archived is what Verify found of the archive. Its ticks are among those of the report as well.
type Archived struct {
	Place   string `json:"place"`
	Files   int64  `json:"files"`
	Ticks   int64  `json:"ticks"`
	Bytes   int64  `json:"bytes"`
	Removed int64  `json:"removed"` // ticks that retention removed
}

// maxProblems bounds a report on a file in which nothing is right.
const maxProblems = 100

func (r *Report) problem(format string, args ...any) {
	switch len(r.Problems) {
	case maxProblems:
	case maxProblems - 1:
		r.Problems = append(r.Problems, "and more")
	default:
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify checks the store at path while no program has it open, without writing to it: the structure of the file, that every
// row belongs to a symbol, and that the trades and the quotes of each symbol are numbered without a hole that no
// gap explains. What is wrong with the content is in the report. The error says that the file could not be read as a
// store at all; of a damaged one it wraps ErrCorrupt, of one with an unknown format ErrFormat.
//
// Files of the archive are read from place, nil for the folder archive beside path, and each as a whole: its checksum, and every tick in
// it. The numbers are those of the tables and of the archive together.
func Verify(ctx context.Context, path string, place archive.Place) (r Report, err error) {
	r.Path, r.Problems = path, []string{}
	if place == nil {
		if place, err = archive.Open(DefaultArchive(path), ""); err != nil {
			return r, fmt.Errorf("verify store: %w", err)
		}
		defer func() { err = errors.Join(err, place.Close()) }()
	}
	if _, err := os.Stat(path); err != nil {
		return r, fmt.Errorf("verify store: %w", err)
	}
	scratch := !exists(path + "-shm")
	db, err := sql.Open("sqlite", offlineSource(path))
	if err != nil {
		return r, fmt.Errorf("verify store %s: %w", path, err)
	}
	db.SetMaxOpenConns(2) // one to go through the ticks, one to look up
	defer func() {
		err = errors.Join(err, db.Close())
		if scratch {
			// SQLite's index of the write-ahead log, which it makes even to read.
			err = errors.Join(err, removeIfThere(path+"-shm"))
		}
	}()
	if err := r.verify(ctx, db, place); err != nil {
		return r, fmt.Errorf("verify store %s: %w", path, mark(err))
	}
	return r, nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// offlineSource opens a file that nobody else has open. One with a write-ahead log needs its index made, which takes a writable
// folder; one without is opened as it is, so that a backup on a read-only medium can be verified.
func offlineSource(path string) string {
	q := url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)", "cell_size_check(1)", "trusted_schema(0)"}}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		q.Set("immutable", "1")
	}
	return fileURI(path) + "?" + q.Encode()
}

func (r *Report) verify(ctx context.Context, db *sql.DB, place archive.Place) error {
	version, err := format(ctx, db)
	if err != nil {
		return err
	}
	if version == 0 {
		return fmt.Errorf("it is empty: %w", ErrFormat)
	}
	r.Format = fmt.Sprintf("%d.%d", version/1000, version%1000)
	if err := r.integrity(ctx, db); err != nil {
		return err
	}
	p, err := readPlace(ctx, db)
	if err != nil {
		return err
	}
	r.Position, r.Entries, r.Lost = p.position, p.entries, p.lost
	if p.epoch != (tape.Epoch{}) {
		r.Epoch = p.epoch.String()
	}
	if p.highWater < p.position {
		r.problem("the tape was recorded up to position %d, beyond its end at %d", p.position, p.highWater)
	}
	open, err := metaFlag(ctx, db, metaOpen)
	if err != nil {
		return err
	}
	r.Clean = !open
	for query, to := range map[string]*int64{
		"SELECT count(*) FROM symbols": &r.Symbols, "SELECT count(*) FROM bar_rows": &r.Bars, "SELECT count(*) FROM gap_rows": &r.Gaps,
	} {
		if err := db.QueryRowContext(ctx, query).Scan(to); err != nil {
			return err
		}
	}
	if version >= 1001 {
		if err := r.imported(ctx, db); err != nil {
			return err
		}
	}
	if version >= 2000 {
		if err := r.pages(ctx, db); err != nil {
			return err
		}
	}
	if err := r.orphans(ctx, db); err != nil {
		return err
	}
	r.Archived.Place = place.String()
	return r.numbers(ctx, db, &coldVerifier{place: place, listed: version >= 1001})
}

// integrity runs SQLite's own check.
func (r *Report) integrity(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxProblems))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			r.problem("%s", line)
		}
	}
	return rows.Err()
}

// pages takes all pages of bars apart.
func (r *Report) pages(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT p.id, p.symbol, p.interval, p.start, p.last, p.count, p.data, s.id IS NOT NULL"+
		" FROM bar_pages p LEFT JOIN symbols s ON s.id = p.symbol ORDER BY p.symbol, p.interval, p.start")
	if err != nil {
		return err
	}
	defer rows.Close()
	var of, end int64 // the page before, and where it ended
	var bars []market.Bar
	for rows.Next() {
		var id, symbol, interval, start, last, count int64
		var data []byte
		var known bool
		if err := rows.Scan(&id, &symbol, &interval, &start, &last, &count, &data, &known); err != nil {
			return err
		}
		r.Bars += count
		if bars, err = takePage(bars[:0], "", market.Time(start), data); err != nil {
			r.problem("page %d of bars: %v", id, err)
			continue
		}
		switch {
		case !known:
			r.problem("page %d of bars has a symbol that is not in symbols", id)
		case interval != pagedID || int64(len(bars)) != count || int64(bars[len(bars)-1].Start) != last:
			r.problem("page %d of bars is not what its row says", id)
		case of == symbol && start <= end:
			r.problem("page %d of bars begins within the one before it", id)
		}
		of, end = symbol, last
	}
	return rows.Err()
}

// orphans looks for rows whose symbol or form is not there.
func (r *Report) orphans(ctx context.Context, db *sql.DB) error {
	for _, c := range []struct{ table, column, of string }{
		{"trade_rows", "symbol", "symbols"},
		{"trade_rows", "form", "forms"},
		{"quote_rows", "symbol", "symbols"},
		{"quote_rows", "form", "forms"},
		{"bar_rows", "symbol", "symbols"},
		{"gap_rows", "symbol", "symbols"},
	} {
		var n int64
		query := fmt.Sprintf("SELECT count(*) FROM %s WHERE %s NOT IN (SELECT id FROM %s)", c.table, c.column, c.of)
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			r.problem("%d rows of %s have a %s that is not in %s", n, c.table, c.column, c.of)
		}
	}
	return nil
}

// numbers checks the ticks of each symbol against its row of symbols.
func (r *Report) numbers(ctx context.Context, db *sql.DB, cold *coldVerifier) error {
	symbols, err := readSymbols(ctx, db)
	if err != nil {
		return err
	}
	for _, st := range symbols {
		var refused uint64
		if err := db.QueryRowContext(ctx, "SELECT coalesce(sum(lost), 0) FROM gap_rows WHERE cause = ? AND symbol = ?", causeStore,
			st.id).Scan(&refused); err != nil {
			return err
		}
		for _, kind := range [...]market.Kind{market.KindTrade, market.KindQuote} {
			t, err := r.readTally(ctx, db, kind, st, cold)
			if err != nil {
				return err
			}
			r.tally(st, kind, t, r.Lost+refused)
		}
	}
	return nil
}

// tally is what one finds by going through the ticks of a symbol.
type tally struct {
	count, max  int64
	twice       int64 // numbers that are used again
	holes       int64 // numbers from 1 to max that are not used
	first, last market.Time
	removed     int64 // ticks that retention removed
	unread      int64 // ticks of files that could not be read, which are problems of their own
	seen        []uint64
	sparse      bool // there is no room for a bit for each number
}

// tally holds what was found against what the symbol claims.
func (r *Report) tally(st *symbolState, kind market.Kind, t tally, excused uint64) {
	claim, seq := st.series(kind), st.listing.TradeSeq
	if kind == market.KindTrade {
		r.Trades += t.count
	} else {
		r.Quotes += t.count
		seq = st.listing.QuoteSeq
	}
	r.Archived.Removed += t.removed
	if n := t.count + t.removed + t.unread; n != claim.count {
		r.problem("%s: %d %ss, the table symbols says %d", st.symbol, n, kind, claim.count)
	}
	excused += uint64(t.removed + t.unread)
	if t.twice > 0 {
		r.problem("%s: %d numbers of %ss are used more than once", st.symbol, t.twice, kind)
	}
	if uint64(t.holes) > excused {
		r.problem("%s: %d numbers of %ss are missing between 1 and %d, gaps explain %d", st.symbol, t.holes, kind, t.max, excused)
	}
	if uint64(t.max) > seq {
		r.problem("%s: there is a %s %d, the table symbols knows up to %d", st.symbol, kind, t.max, seq)
	}
	if t.count == 0 {
		return
	}
	if whole := t.removed+t.unread == 0; t.first < claim.first || t.last > claim.last || whole && (t.first != claim.first || t.last != claim.last) {
		r.problem("%s: %ss from %s to %s, the table symbols says %s to %s", st.symbol, kind, t.first, t.last, claim.first, claim.last)
	}
	if r.First == 0 || t.first < r.First {
		r.First = t.first
	}
	if r.Last == 0 || t.last > r.Last {
		r.Last = t.last
	}
}
