package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"

	"tapedeck/internal/archive"
	"tapedeck/internal/market"
)

// coldVerifier reads the files of the archive for Verify.
type coldVerifier struct {
	place  archive.Place
	listed bool // the format of the store has a list of files
}

// readTally goes through the ticks of a symbol, in the tables and in the archive, with a bit for each number.
func (r *Report) readTally(ctx context.Context, db *sql.DB, kind market.Kind, st *symbolState, cold *coldVerifier) (t tally, err error) {
	var files []archivedFile
	if cold.listed {
		if files, err = listArchived(ctx, db, "symbol = ? AND kind = ? AND "+inArchive+" ORDER BY day, id", st.id, int64(kind)); err != nil {
			return t, err
		}
		if err := db.QueryRowContext(ctx, "SELECT coalesce(sum(rows), 0) FROM archive_removed WHERE symbol = ? AND kind = ?", st.id,
			int64(kind)).Scan(&t.removed); err != nil {
			return t, err
		}
	}
	if err := t.tables(ctx, db, kind, st.id, files); err != nil {
		return t, err
	}
	for i := range files {
		f := &files[i]
		r.Archived.Files++
		r.Archived.Ticks += f.rows
		r.Archived.Bytes += f.bytes
		if err := cold.check(ctx, f, st.symbol, &t); err != nil {
			if ctx.Err() != nil {
				return t, ctx.Err()
			}
			r.problem("archive: %s: %v", f.file, err)
		}
	}
	used := 0
	for _, word := range t.seen {
		used += bits.OnesCount64(word)
	}
	if t.holes = t.max - int64(used); t.sparse {
		t.holes = t.max - t.count
	}
	return t, nil
}

// tables goes through the ticks that are in the tables, but for those that are in one of the files as well.
func (t *tally) tables(ctx context.Context, db *sql.DB, kind market.Kind, symbol int64, files []archivedFile) error {
	var where strings.Builder
	where.WriteString(tickTable(kind) + " r WHERE r.symbol = ?")
	args := []any{symbol}
	rows := int64(0)
	for i := range files {
		f := &files[i]
		t.max, rows = max(t.max, f.maxSeq), rows+f.rows
		if f.state == fileCopied {
			where.WriteString(" AND NOT ((r.event, r.seq) >= (?, ?) AND (r.event, r.seq) <= (?, ?) AND r.seq <= ? AND r.n <= ?)")
			args = append(args, f.first.event, f.first.seq, f.last.event, f.last.seq, f.maxSeq, f.through)
		}
	}
	from := where.String()
	var highest int64
	if err := db.QueryRowContext(ctx, "SELECT count(*), coalesce(max(seq), 0), coalesce(min(event), 0), coalesce(max(event), 0) FROM "+from, args...).
		Scan(&t.count, &highest, &t.first, &t.last); err != nil {
		return err
	}
	t.max = max(t.max, highest)
	const room = 1 << 30 // numbers beyond it and far beyond the count would only cost memory
	if t.max < 0 || t.max > room && t.max/64 > t.count+rows {
		t.sparse = true
		return nil
	}
	t.seen = make([]uint64, t.max/64+1)
	if t.count == 0 {
		return nil
	}
	seqs, err := db.QueryContext(ctx, "SELECT r.seq FROM "+from, args...)
	if err != nil {
		return err
	}
	defer seqs.Close()
	for seqs.Next() {
		var seq int64
		if err := seqs.Scan(&seq); err != nil {
			return err
		}
		t.note(seq)
	}
	return seqs.Err()
}

// note notes that a number is used.
func (t *tally) note(seq int64) {
	switch {
	case t.sparse:
		return
	case seq < 1: // 0 is no number
		t.twice++
		return
	}
	if t.seen[seq/64]>>(seq%64)&1 != 0 {
		t.twice++
	}
	t.seen[seq/64] |= 1 << (seq % 64)
}

// check reads a file as a whole and adds its ticks to the tally.
func (v *coldVerifier) check(ctx context.Context, a *archivedFile, symbol market.Symbol, t *tally) error {
	read := int64(0)
	err := v.each(ctx, a, symbol, func(row *market.Row) {
		if t.count == 0 || row.Event < t.first {
			t.first = row.Event
		}
		if t.count == 0 || row.Event > t.last {
			t.last = row.Event
		}
		t.count++
		read++
		t.note(int64(row.Seq))
	})
	t.unread += a.rows - read
	return err
}

func (v *coldVerifier) each(ctx context.Context, a *archivedFile, symbol market.Symbol, yield func(*market.Row)) error {
	f, err := v.place.Open(ctx, a.file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	ticks, err := checkCold(f, a)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, f.Size())); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.sum {
		return fmt.Errorf("its SHA-256 is %s, %s is listed", got, a.sum)
	}
	scan := ticks.Scan(market.TickQuery{Kind: a.kind, Symbol: symbol, Limit: math.MaxInt})
	before, rows := tickKey{math.MinInt64, math.MinInt64}, int64(0)
	for ; ; rows++ {
		row, err := scan.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		k := tickKey{int64(row.Event), int64(row.Seq)}
		switch {
		case k.compare(before) <= 0 || k.compare(a.first) < 0 || k.compare(a.last) > 0 || dayOf(k.event) != a.day:
			return fmt.Errorf("%s %d is not where it should be", a.kind, row.Seq)
		case k.seq > a.maxSeq || k.seq < 1 || row.N > uint64(a.through):
			return fmt.Errorf("%s %d is beyond what is listed", a.kind, row.Seq)
		}
		before = k
		yield(row)
	}
	if rows != a.rows {
		return fmt.Errorf("it has %d ticks of %s, %d are listed", rows, symbol, a.rows)
	}
	return nil
}
