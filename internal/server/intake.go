package server

import (
	"context"
	"errors"
	"log/slog"

	"tapedeck/internal/market"
)

// IntakeFile names a file that is put on the tape.
type IntakeFile struct {
	ID   string // what tells the file from all others: 32 to 128 hexadecimal digits, made of its content and of what decides its rows
	Name string // for people
	Rows uint64 // rows of the file as far as that is known, for people; 0 when it is not
}

// Intake puts the rows of files onto the tape, each once, however often it is stopped and begun anew. It belongs to one
// goroutine, and takes one file after the other.
type Intake interface {
	// Begin turns to a file. It returns how many of its rows are on the tape already, and whether the whole file is.
	Begin(ctx context.Context, f IntakeFile) (rows uint64, done bool, err error)

	// Put puts entries of the file on the tape. Rows is how many rows of the file have been taken care of with it, rejected ones
	// included, and last says that there are no more: then entries may be empty. What it was given is durable when it returns
	// nil, and the intake keeps nothing of entries. Trades, quotes and bars are stamped as imported history, received now.
	Put(ctx context.Context, entries []market.Entry, rows uint64, last bool) error

	// Close waits until history has all that was put, and lets go of the data folder.
	Close(ctx context.Context) error
}

// IntakeOptions say where an intake puts what it gets.
type IntakeOptions struct {
	Data   string       // the data folder
	URL    string       // of a running server; "" finds the one that runs on the data folder, or does without
	Logger *slog.Logger // nil logs nothing

	// How bars are made when no server runs, as in Config.
	Calendars string
	Rules     []string
}

// IntakeBatch is how many entries a Put may have, and a good number of them.
const IntakeBatch = 16_384

// Errors of an intake.
var (
	// ErrIntakeConflict says that another import of the same file went on meanwhile.
	ErrIntakeConflict = errors.New("the file is being imported by someone else, or was cut in another way")
)

// OpenIntake opens the data folder, or finds the server that runs on it. Errors that wrap ErrRefused mean that the folder can't be
// used by this program.
func OpenIntake(ctx context.Context, o IntakeOptions) (Intake, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil, errors.ErrUnsupported
}
