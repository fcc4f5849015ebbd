package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What is wrong with a file that cannot be opened. Nothing has been written to it.
var (
	// ErrFormat is wrapped when the file is of a newer format, or is not a store of Tapedeck at all.
	ErrFormat = errors.New("this program does not know the format of the file")

	// ErrCorrupt is wrapped when the file is damaged and cannot be made again from the tape.
	ErrCorrupt = errors.New("the file is damaged")
)

// ErrClosed is returned by the methods of a closed store.
var ErrClosed = errors.New("the store is closed")

// TapeError says that a tape is not the one that the store was filled from: what was recorded is beyond its end.
type TapeError struct {
	Recorded, Last uint64 // positions
}

func (e *TapeError) Error() string {
	return fmt.Sprintf("the tape ends at position %d, but the store has recorded it up to %d: it is another tape, or it lost its end;"+
		" bring the tape back, or move the store aside to begin a new one", e.Last, e.Recorded)
}

// code returns the primary result code of SQLite in err, 0 when there is none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// passing reports whether err may go away by itself: a lock, a full disk, a disk that did not answer.
func passing(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// damaged reports whether err says that the file is not what it should be.
func damaged(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}
