package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// direct runs a query on the driver of a connection and calls take for each row, whose values are valid during the call. It speaks to the driver
// because database/sql looks at every value once more: for rows of 25 columns that takes longer than SQLite does.
func direct(ctx context.Context, conn *sql.Conn, query string, args []int64, take func(row []driver.Value) error) error {
	return conn.Raw(func(c any) error {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("a driver of type %T takes no queries", c)
		}
		values := make([]driver.NamedValue, len(args))
		for i, v := range args {
			values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
		}
		rows, err := q.QueryContext(ctx, query, values)
		if err != nil {
			return err
		}
		row := make([]driver.Value, len(rows.Columns()))
		for {
			if err = rows.Next(row); err != nil {
				break
			}
			if err = take(row); err != nil {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
}
