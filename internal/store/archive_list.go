package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// The states of a file of the archive. It is listed before it is written, so that whatever a crash leaves behind has a name, and it is
// listed until it is gone.
const (
	fileWriting = 1 // it may or may not be there; its ticks are in the tables
	fileCopied  = 2 // it is durable; its ticks are being deleted from the tables, and are in both until then
	fileAlone   = 3 // its ticks are in it only
	fileLeaving = 4 // retention has taken it out of history; it may or may not still be there
)

// inArchive is the condition of files that answers are read from.
const inArchive = "state IN (2, 3)"

// archivedFile is a row of the table archived: ticks of one kind, symbol and UTC day, in the order of (Event, Seq).
type archivedFile struct {
	id          int64
	kind        market.Kind
	symbol      int64
	day         int64 // since 1970
	state       int64
	rows, bytes int64
	first, last tickKey
	maxSeq      int64 // the highest number in it
	through     int64 // the highest N of the tape that it may hold
	created     market.Time
	sum         string // SHA-256, hexadecimal
	file        string
}

// tickKey is the place of a tick among those of its symbol.
type tickKey struct{ event, seq int64 }

func (k tickKey) compare(l tickKey) int {
	a, b := tick{event: k.event, seq: k.seq}, tick{event: l.event, seq: l.seq}
	return a.compare(&b)
}

const dayLength = int64(24 * time.Hour)

// dayOf returns the UTC day of a time, counted since 1970.
func dayOf(event int64) int64 {
	d := event / dayLength
	if event%dayLength < 0 {
		d--
	}
	return d
}

// dayText spells a day as it is in the name of a folder.
func dayText(day int64) string { return market.Time(day * dayLength).String()[:len("2006-01-02")] }

// place returns the name of a file: Hive's layout, so that other programs find the symbol and the day. owner tells stores apart that
// were given the same place.
func (a *archivedFile) place(owner string, symbol market.Symbol) string {
	return fmt.Sprintf("%ss/symbol=%s/date=%s/%s-%d.parquet", a.kind, escapeSymbol(symbol), dayText(a.day), owner, a.id)
}

// escapeSymbol spells a symbol as part of a path, percent-encoded as Hive does. A symbol has no more than market.MaxSymbol bytes.
func escapeSymbol(s market.Symbol) string {
	return strings.ReplaceAll(url.QueryEscape(string(s)), "+", "%20")
}

const archivedColumns = "id, kind, symbol, day, state, rows, bytes, first_event, first_seq, last_event, last_seq, max_seq, through, created, sum, file"

func (a *archivedFile) scan(row scanner) error {
	return row.Scan(&a.id, &a.kind, &a.symbol, &a.day, &a.state, &a.rows, &a.bytes, &a.first.event, &a.first.seq, &a.last.event, &a.last.seq,
		&a.maxSeq, &a.through, &a.created, &a.sum, &a.file)
}

// listArchived reads the rows of archived that a condition selects.
func listArchived(ctx context.Context, q querier, where string, args ...any) ([]archivedFile, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+archivedColumns+" FROM archived WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the list of the archive: %w", mark(err))
	}
	defer rows.Close()
	var out []archivedFile
	for rows.Next() {
		var a archivedFile
		if err := a.scan(rows); err != nil {
			return nil, fmt.Errorf("read the list of the archive: %w", mark(err))
		}
		out = append(out, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the list of the archive: %w", mark(err))
	}
	return out, nil
}

// listPage is how many files are listed at once.
const listPage = 64

// filesOf lists files of a kind of a symbol: all of the days from first to last that one page has room for, and all of a day or none.
// They come in the order of their days, the latest first when desc.
func filesOf(ctx context.Context, q querier, kind market.Kind, symbol, first, last int64, desc bool) (files []archivedFile, more bool, err error) {
	order := "day, id"
	if desc {
		order = "day DESC, id"
	}
	const of = "symbol = ? AND kind = ? AND " + inArchive
	files, err = listArchived(ctx, q, of+" AND day BETWEEN ? AND ? ORDER BY "+order+" LIMIT ?", symbol, int64(kind), first, last, listPage+1)
	if err != nil || len(files) <= listPage {
		return files, false, err
	}
	cut := files[listPage].day
	if files[0].day == cut {
		files, err = listArchived(ctx, q, of+" AND day = ? ORDER BY id", symbol, int64(kind), cut)
		return files, true, err
	}
	return slices.DeleteFunc(files, func(a archivedFile) bool { return a.day == cut }), true, nil
}

// archiveTotals is how much is in the archive.
type archiveTotals struct{ files, rows, bytes, days int64 }

func readArchiveTotals(ctx context.Context, q querier) (t archiveTotals, err error) {
	err = q.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0), count(DISTINCT day) FROM archived WHERE "+inArchive).
		Scan(&t.files, &t.rows, &t.bytes, &t.days)
	if err != nil {
		return t, fmt.Errorf("read the list of the archive: %w", mark(err))
	}
	return t, nil
}

// readSpans reads between which days each series has files.
func readSpans(ctx context.Context, q querier) (map[seriesKey]daySpan, error) {
	rows, err := q.QueryContext(ctx, "SELECT symbol, kind, min(day), max(day) FROM archived WHERE "+inArchive+" GROUP BY symbol, kind")
	if err != nil {
		return nil, fmt.Errorf("read the list of the archive: %w", mark(err))
	}
	defer rows.Close()
	spans := make(map[seriesKey]daySpan)
	for rows.Next() {
		var k seriesKey
		var s daySpan
		if err := rows.Scan(&k.symbol, &k.kind, &s.first, &s.last); err != nil {
			return nil, fmt.Errorf("read the list of the archive: %w", mark(err))
		}
		spans[k] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the list of the archive: %w", mark(err))
	}
	return spans, nil
}

// addFile lists a file that is about to be written, and fills in its number and its name.
func addFile(ctx context.Context, db executor, a *archivedFile, owner string, symbol market.Symbol) error {
	result, err := db.ExecContext(ctx, "INSERT INTO archived (kind, symbol, day, state, rows, bytes, first_event, first_seq, last_event, last_seq, max_seq,"+
		" through, created, sum, file) VALUES (?,?,?,?,0,0,0,0,0,0,0,0,?,'','')", int64(a.kind), a.symbol, a.day, fileWriting, int64(a.created))
	if err != nil {
		return err
	}
	if a.id, err = result.LastInsertId(); err != nil {
		return err
	}
	a.file = a.place(owner, symbol)
	_, err = db.ExecContext(ctx, "UPDATE archived SET file = ? WHERE id = ?", a.file, a.id)
	return err
}

// copied lists a file as durable.
func (a *archivedFile) copied(ctx context.Context, db executor) error {
	a.state = fileCopied
	_, err := db.ExecContext(ctx, "UPDATE archived SET state = ?, rows = ?, bytes = ?, first_event = ?, first_seq = ?, last_event = ?, last_seq = ?,"+
		" max_seq = ?, through = ?, sum = ? WHERE id = ?", fileCopied, a.rows, a.bytes, a.first.event, a.first.seq, a.last.event, a.last.seq,
		a.maxSeq, a.through, a.sum, a.id)
	return err
}

// leave takes files out of history, and notes what history had.
func leave(ctx context.Context, tx *sql.Tx, files []archivedFile) error {
	for i := range files {
		a := &files[i]
		if _, err := tx.ExecContext(ctx, "UPDATE archived SET state = ? WHERE id = ?", fileLeaving, a.id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO archive_removed VALUES (?, ?, ?, ?)"+
			" ON CONFLICT (symbol, kind) DO UPDATE SET rows = rows + excluded.rows, until = max(until, excluded.until)",
			a.symbol, int64(a.kind), a.rows, a.last.event)
		if err != nil {
			return err
		}
	}
	return nil
}

func forgetFile(ctx context.Context, db executor, id int64) error {
	_, err := db.ExecContext(ctx, "DELETE FROM archived WHERE id = ?", id)
	return err
}
