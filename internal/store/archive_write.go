package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"time"

	"tapedeck/internal/archive"
	"tapedeck/internal/columnar"
	"tapedeck/internal/market"
)

// metaOwner is the key of meta that holds the store's part of the names of its files.
const metaOwner = "archive_owner"

// recover brings to an end what an earlier run left half done.
func (a *Archiver) recover(ctx context.Context) error {
	if err := a.readOwner(ctx); err != nil {
		return err
	}
	if err := a.store.cold.place.Sweep(); err != nil {
		return err
	}
	files, err := listArchived(ctx, a.db, "state <> ? ORDER BY id", fileAlone)
	if err != nil {
		return err
	}
	for i := range files {
		f := &files[i]
		if f.state == fileCopied {
			err = a.purge(ctx, f)
		} else {
			err = a.remove(ctx, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readOwner reads the store's part of the names of its files, and draws it when there is none yet.
func (a *Archiver) readOwner(ctx context.Context) error {
	err := a.db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = ?", metaOwner).Scan(&a.owner)
	if !errors.Is(err, sql.ErrNoRows) {
		return mark(err)
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	a.owner = hex.EncodeToString(b[:])
	return a.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return setMeta(ctx, tx, metaOwner, a.owner) })
}

// remove removes a file that no query reads, and then its entry in the list.
func (a *Archiver) remove(ctx context.Context, f *archivedFile) error {
	a.store.cold.forget(f.id)
	if err := a.store.cold.place.Remove(ctx, f.file); err != nil {
		return err
	}
	return a.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return forgetFile(ctx, tx, f.id) })
}

// archive moves all days that are old enough as of at.
func (a *Archiver) archive(ctx context.Context, at market.Time) error {
	if a.o.Hot == 0 {
		return nil
	}
	end := dayOf(int64(at) - int64(a.o.Hot)) // of days before it all is old enough
	symbols, err := readSymbols(ctx, a.store.readers)
	if err != nil {
		return err
	}
	var errs []error
	for _, st := range symbols {
		for _, kind := range [...]market.Kind{market.KindTrade, market.KindQuote} {
			if err := a.series(ctx, st, kind, end); err != nil {
				errs = append(errs, fmt.Errorf("archive the %ss of %s: %w", kind, st.symbol, err))
			}
			if len(errs) == mostFailures || ctx.Err() != nil {
				return errors.Join(errs...)
			}
		}
	}
	return errors.Join(errs...)
}

// dayStart returns the first moment of a day that a tick can have.
func dayStart(day int64) int64 {
	if day <= math.MinInt64/dayLength {
		return math.MinInt64
	}
	return day * dayLength
}

// dayEnd returns the last moment of a day that a tick can have.
func dayEnd(day int64) int64 {
	if day >= math.MaxInt64/dayLength {
		return math.MaxInt64
	}
	return (day+1)*dayLength - 1
}

// series archives the days of a series before end.
func (a *Archiver) series(ctx context.Context, st *symbolState, kind market.Kind, end int64) error {
	for at := int64(math.MinInt64); ; {
		var event int64
		err := a.store.readers.QueryRowContext(ctx, "SELECT event FROM "+tickTable(kind)+" WHERE symbol = ? AND event >= ? ORDER BY event LIMIT 1",
			st.id, at).Scan(&event)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return mark(err)
		}
		day := dayOf(event)
		if day >= end {
			return nil
		}
		if err := a.day(ctx, st, kind, day); err != nil {
			return fmt.Errorf("%s: %w", dayText(day), err)
		}
		at = dayEnd(day) + 1
	}
}

// day archives a day of a series, in one file or more.
func (a *Archiver) day(ctx context.Context, st *symbolState, kind market.Kind, day int64) error {
	if due, err := a.due(ctx, st, kind, day); err != nil || !due {
		return err
	}
	c := newTickCursor(a.store, &market.TickQuery{Kind: kind}, st.symbol, st.id, firstPage)
	from := tickKey{dayStart(day), math.MinInt64}
	for {
		p := &part{archiver: a, state: st, cursor: c, from: from, end: dayEnd(day), file: archivedFile{
			kind: kind, symbol: st.id, day: day, created: market.Time(a.o.Now().UnixNano()),
		}}
		next, err := p.move(ctx)
		if err != nil || next == nil {
			return err
		}
		from = *next
	}
}

// due reports whether a day is to have a file, which it is when it has none yet.
func (a *Archiver) due(ctx context.Context, st *symbolState, kind market.Kind, day int64) (bool, error) {
	var files, created int64
	err := a.store.readers.QueryRowContext(ctx, "SELECT count(*), coalesce(max(created), 0) FROM archived WHERE symbol = ? AND kind = ? AND day = ?",
		st.id, int64(kind), day).Scan(&files, &created)
	if err != nil {
		return false, mark(err)
	}
	if age := a.o.Now().Sub(time.Unix(0, created)); files == 0 || age >= lateWait || age < 0 {
		return true, nil
	}
	var rows int64
	err = a.store.readers.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+tickTable(kind)+
		" WHERE symbol = ? AND event BETWEEN ? AND ? LIMIT ?)", st.id, dayStart(day), dayEnd(day), lateRows).Scan(&rows)
	return rows >= lateRows, mark(err)
}

// part is a file in the making.
type part struct {
	archiver *Archiver
	state    *symbolState
	cursor   *tickCursor
	newest   tickKey // stays in the tables
	from     tickKey
	end      int64 // last event time of the day
	file     archivedFile
}

// each calls yield with the rows that belong into the file, until yield says that it is enough. It returns the tick at which it
// stopped, which is not part of the file; nil at the end of the day.
func (p *part) each(ctx context.Context, yield func(*market.Row) (bool, error)) (*tickKey, error) {
	c := p.cursor
	c.begun(p.from, p.end)
	var row market.Row
	for {
		t, err := c.peek(ctx)
		if err != nil || t == nil {
			return nil, err
		}
		k := tickKey{t.event, t.seq}
		if k == p.newest {
			return &k, nil
		}
		if t.n <= p.file.through {
			if err := c.read(ctx, &row); err != nil {
				return nil, err
			}
			more, err := yield(&row)
			if err != nil {
				return nil, err
			}
			if !more {
				return &k, nil
			}
		}
		c.at++
	}
}

// begun makes the cursor read the rows from a tick to the end of a time.
func (c *tickCursor) begun(from tickKey, end int64) {
	c.args[1], c.args[2], c.args[3] = from.event, from.seq, end
	c.page, c.at, c.end, c.size = c.page[:0], 0, false, c.max
}

// move writes a file and deletes what is in it from the tables. It returns where the next part of the day begins, nil when there is none.
func (p *part) move(ctx context.Context) (next *tickKey, err error) {
	a := p.archiver
	start := time.Now()
	// Ticks that are recorded from here on have a higher N and are left for later.
	p.file.through = int64(a.store.now.placed().entries)
	if p.newest, err = a.newest(ctx, p.file.kind, p.state.id); err != nil {
		return nil, err
	}
	stop, err := p.survey(ctx)
	if err != nil {
		return nil, err
	}
	if stop != nil {
		next = stop
		if *stop == p.newest {
			next = &tickKey{stop.event, stop.seq + 1}
		}
	}
	if p.file.rows == 0 {
		return next, nil
	}
	if err := a.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return addFile(ctx, tx, &p.file, a.owner, p.state.symbol)
	}); err != nil {
		return nil, err
	}
	if err := p.write(ctx); err != nil {
		// What is not cleaned up now is so later; a stop does not wait for a server that does not answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return nil, errors.Join(err, a.remove(ctx, &p.file))
	}
	if err := a.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return p.file.copied(ctx, tx) }); err != nil {
		return nil, err
	}
	a.store.cold.added(&p.file)
	if err := a.purge(ctx, &p.file); err != nil {
		return nil, err
	}
	a.metrics.moved(&p.file, time.Since(start))
	a.log.InfoContext(ctx, "a day was archived", "kind", p.file.kind.String(), "symbol", string(p.state.symbol), "day", dayText(p.file.day),
		"rows", p.file.rows, "bytes", p.file.bytes, "file", p.file.file)
	return next, nil
}

// newest returns the newest tick of a series. It stays in the tables, where the next start finds it. No file reaches across it, so that
// whatever lies between the first and the last tick of a file can be deleted without asking what it held.
func (a *Archiver) newest(ctx context.Context, kind market.Kind, symbol int64) (k tickKey, err error) {
	err = a.store.readers.QueryRowContext(ctx, fmt.Sprintf("SELECT coalesce(newest_%[1]s_time, 0), coalesce(newest_%[1]s, 0) FROM symbols WHERE id = ?", kind),
		symbol).Scan(&k.event, &k.seq)
	if err != nil {
		return k, fmt.Errorf("read symbols: %w", mark(err))
	}
	return k, nil
}

// survey finds out what the file will hold.
func (p *part) survey(ctx context.Context) (*tickKey, error) {
	f := &p.file
	return p.each(ctx, func(r *market.Row) (bool, error) {
		if f.rows == int64(p.archiver.o.rows) {
			return false, nil
		}
		f.last = tickKey{int64(r.Event), int64(r.Seq)}
		if f.rows == 0 {
			f.first = f.last
		}
		f.rows++
		f.maxSeq = max(f.maxSeq, f.last.seq)
		return true, nil
	})
}

// write makes the file durable, and reads it back: only what comes back as it went in may be deleted.
func (p *part) write(ctx context.Context) error {
	place := p.archiver.store.cold.place
	f, err := place.Create(p.file.file)
	if err != nil {
		return err
	}
	if err := p.fill(ctx, f); err != nil {
		return errors.Join(err, archive.Discard(f))
	}
	if err := place.Keep(ctx, f, p.file.file); err != nil {
		return err
	}
	return p.compare(ctx)
}

// fill writes the rows to a temporary file.
func (p *part) fill(ctx context.Context, f *os.File) error {
	sum := &summed{to: f, sum: sha256.New()}
	buffer := bufio.NewWriterSize(sum, 256<<10)
	w, err := columnar.NewTickWriter(buffer, p.file.kind, columnar.WriterOptions{})
	if err != nil {
		return err
	}
	rows := int64(0)
	if _, err := p.each(ctx, func(r *market.Row) (bool, error) {
		if rows == p.file.rows {
			return false, nil
		}
		rows++
		return true, w.Write(r)
	}); err != nil {
		return err
	}
	if err := errors.Join(w.Close(), buffer.Flush()); err != nil {
		return err
	}
	p.file.bytes, p.file.sum = sum.size, hex.EncodeToString(sum.sum.Sum(nil))
	if rows != p.file.rows {
		return fmt.Errorf("%d rows where there were %d", rows, p.file.rows)
	}
	return nil
}

// summed counts and sums up what is written through it.
type summed struct {
	to   io.Writer
	sum  hash.Hash
	size int64
}

// Write writes to the writer below.
func (s *summed) Write(b []byte) (int, error) {
	n, err := s.to.Write(b)
	_, _ = s.sum.Write(b[:n]) // never fails
	s.size += int64(n)
	return n, err
}

// errDiffers is wrapped when a file does not give back what was written to it.
var errDiffers = errors.New("the file does not give back what was written")

// compare reads the file back, row by row.
func (p *part) compare(ctx context.Context) error {
	f, err := openCold(ctx, p.archiver.store.cold.place, &p.file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	scan := f.ticks.Scan(market.TickQuery{Kind: p.file.kind, Symbol: p.state.symbol, Limit: math.MaxInt})
	rows := int64(0)
	_, err = p.each(ctx, func(r *market.Row) (bool, error) {
		if rows == p.file.rows {
			return false, nil
		}
		rows++
		got, err := scan.Next()
		if err != nil {
			return false, fmt.Errorf("%s %d: %w: %w", r.Kind, r.Seq, errDiffers, err)
		}
		if *got != *r {
			return false, fmt.Errorf("%s %d: %w", r.Kind, r.Seq, errDiffers)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if _, err := scan.Next(); rows != p.file.rows || !errors.Is(err, io.EOF) {
		return fmt.Errorf("%d rows of %d: %w", rows, p.file.rows, errDiffers)
	}
	return nil
}

// purge deletes what is in a file from the tables, a piece at a time: the recorder waits while a piece is deleted, and goes first after it.
func (a *Archiver) purge(ctx context.Context, f *archivedFile) error {
	table := tickTable(f.kind)
	for from := f.first; ; {
		to := f.last
		err := a.store.readers.QueryRowContext(ctx, "SELECT event, seq FROM "+table+
			" WHERE symbol = ? AND (event, seq) >= (?, ?) AND event <= ? ORDER BY event, seq LIMIT 1 OFFSET ?",
			f.symbol, from.event, from.seq, f.last.event, a.o.chunk-1).Scan(&to.event, &to.seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return mark(err)
		}
		final := err != nil || to.compare(f.last) >= 0
		if final {
			to = f.last
		}
		start := time.Now()
		if err := a.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE symbol = ? AND (event, seq) >= (?, ?) AND (event, seq) <= (?, ?)"+
				" AND seq <= ? AND n <= ?", f.symbol, from.event, from.seq, to.event, to.seq, f.maxSeq, f.through)
			if err == nil && final {
				_, err = tx.ExecContext(ctx, "UPDATE archived SET state = ? WHERE id = ?", fileAlone, f.id)
			}
			return err
		}); err != nil {
			return err
		}
		if final {
			f.state = fileAlone
			return nil
		}
		from = tickKey{to.event, to.seq + 1}
		if err := rest(ctx, time.Since(start)); err != nil {
			return err
		}
	}
}

// rest waits for as long as the work before it took, 5 ms at least and a second at most.
func rest(ctx context.Context, worked time.Duration) error {
	timer := time.NewTimer(min(max(worked, 5*time.Millisecond), time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
