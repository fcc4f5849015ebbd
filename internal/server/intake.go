package server

import (
	"context"
	"errors"
	"log/slog"
	"net/url"

	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/natstape"
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

// ErrIntakeConflict says that a file was not gone on with where it stood: someone else imports it at the same time.
var ErrIntakeConflict = gateway.ErrImportConflict

// OpenIntake opens the data folder, or finds the server that runs on it. Errors that wrap ErrRefused mean that the folder can't be
// used by this program.
func OpenIntake(ctx context.Context, o IntakeOptions) (Intake, error) {
	o.Logger = discard(o.Logger)
	if o.URL != "" {
		return openOnline(o.URL, secretFor(o), o.Logger)
	}
	in, err := openOffline(ctx, o)
	if err == nil {
		return in, nil
	}
	if !errors.Is(err, natstape.ErrLocked) {
		return nil, err
	}
	a, ok, findErr := FindServer(o.Data)
	if findErr != nil || !ok {
		return nil, errors.Join(err, findErr)
	}
	return openOnline(a.URL, a.Secret, o.Logger)
}

// secretFor returns the secret of the data folder when the server that is named is the one that runs on it. No other is told it.
func secretFor(o IntakeOptions) string {
	if o.Data == "" {
		return ""
	}
	a, ok, err := FindServer(o.Data)
	if err != nil || !ok {
		return ""
	}
	own, err1 := url.Parse(a.URL)
	named, err2 := url.Parse(o.URL)
	if err1 != nil || err2 != nil || own.Scheme != named.Scheme || own.Host != named.Host {
		return ""
	}
	return a.Secret
}
