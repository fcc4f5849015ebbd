// Package columnar writes trades, quotes and bars as columns, and reads them back: Parquet files, and streams of Arrow record
// batches. It stands on the vocabulary of package market only; what is read from where is up to its callers.
//
// A row comes back as it went in, to the digit. A decimal column of Parquet or Arrow has one scale for all rows, so that 187.4 and 187.40
// are the same in it; a small text column, digits, keeps how many digits each number of the row had. Whoever reads the files with other programs
// may leave it alone.
//
// Files come from outside: nothing in one is believed before it was checked against the size of the file and against limits, and what does not
// hold is ErrCorrupt.
package columnar

import "errors"

// ErrCorrupt is wrapped by all errors that are the fault of what is in a file.
var ErrCorrupt = errors.New("not a sound file of columns")

// ErrForeign is wrapped by the errors of files that are Parquet, and not written by this package.
var ErrForeign = errors.New("not a file of Tapedeck")
