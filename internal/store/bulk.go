package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// bulkRows is how many rows one statement inserts. From 10 on it makes little difference; 50 rows of 15 columns stay below
// SQLite's limits for any number of columns here.
const bulkRows = 50

// bulk inserts rows with as few calls as it can. It speaks to the driver and not to database/sql, which would look at every
// value once more and box it again: a fifth of the time.
type bulk struct {
	many, one driver.StmtExecContext
	close     []driver.Stmt
	columns   int
	args      []driver.NamedValue
	rest      []driver.NamedValue // a row that goes alone
	rows      int                 // rows in args
	total     int                 // rows inserted since the last flush
}

// newBulk prepares "head (?,?,…) tail" for so many columns.
func newBulk(ctx context.Context, c driver.ConnPrepareContext, head string, columns int, tail string) (*bulk, error) {
	b := &bulk{columns: columns, args: make([]driver.NamedValue, columns*bulkRows)}
	for i := range b.args {
		b.args[i].Ordinal = i + 1
	}
	b.rest = slices.Clone(b.args[:columns])
	row := "(" + strings.Repeat("?,", columns-1) + "?)"
	for _, s := range []struct {
		to   *driver.StmtExecContext
		rows int
	}{{&b.many, bulkRows}, {&b.one, 1}} {
		stmt, err := c.PrepareContext(ctx, head+" VALUES "+strings.Repeat(row+",", s.rows-1)+row+" "+tail)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %q: %w", head, err), b.Close())
		}
		b.close = append(b.close, stmt)
		exec, ok := stmt.(driver.StmtExecContext)
		if !ok {
			return nil, errors.Join(fmt.Errorf("prepare %q: driver without contexts", head), b.Close())
		}
		*s.to = exec
	}
	return b, nil
}

// row returns the values of the next row, all of which the caller sets.
func (b *bulk) row(ctx context.Context) ([]driver.NamedValue, error) {
	if b.rows == bulkRows {
		b.rows = 0
		b.total += bulkRows
		if _, err := b.many.ExecContext(ctx, b.args); err != nil {
			return nil, err
		}
	}
	b.rows++
	return b.args[(b.rows-1)*b.columns : b.rows*b.columns], nil
}

// flush inserts what is left and returns how many rows were inserted since the last flush.
func (b *bulk) flush(ctx context.Context) (int, error) {
	if b.rows == bulkRows {
		if _, err := b.row(ctx); err != nil {
			return 0, err
		}
		b.rows--
	}
	rest := b.rest
	for i := range b.rows {
		for j := range rest {
			rest[j].Value = b.args[i*b.columns+j].Value
		}
		if _, err := b.one.ExecContext(ctx, rest); err != nil {
			return 0, err
		}
	}
	total := b.total + b.rows
	b.reset()
	return total, nil
}

// reset forgets rows that were not inserted.
func (b *bulk) reset() { b.rows, b.total = 0, 0 }

// Close closes the statements.
func (b *bulk) Close() error {
	var errs []error
	for _, s := range b.close {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
