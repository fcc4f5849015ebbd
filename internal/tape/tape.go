// Package tape is the order of everything: what happened is a record on the tape, and whatever else the program does, it does
// by reading the tape from a position. The package states what a tape promises (Appender, Source), how a record is written
// (the batch codec) and how a place is named to clients (Cursor). Implementations are in packages of their own and share the
// contract suite in tapetest.
//
// The promises:
//
//   - Append returns nil only when the record would survive a power cut. Nothing is visible to readers before that.
//   - Positions count 1, 2, 3 …; every reader sees the same records in the same order, each once.
//   - A pair of epoch and position that was ever visible never stands for another record. Records that are lost to damage are
//     read as a gap in their place: a record of one entry of KindGap with FlagDamage, whose Seq is the number of entries lost.
//     Nothing tells which symbols they were of, so whoever numbers ticks goes on that much later with every symbol.
package tape

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"tapedeck/internal/market"
)

// Position is the place of a record on the tape: 1, 2, 3 …; 0 is before the first.
type Position uint64

// Epoch is drawn at random when a tape is made, and again when its continuity can't be shown (its end is before a position
// that was already acknowledged, a restore from a backup).
type Epoch [16]byte

// String returns the epoch in hexadecimal.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// Batch is what one append writes: entries of one feed in the order in which they arrived. An entry belongs to the tape once
// it was handed to Append: neither side changes it after that.
type Batch struct {
	Feed    string // name of the feed, which is the only writer of its batches
	Offset  []byte // where the feed stands in its source after this batch, in a form of its own; may be empty
	Entries []market.Entry
}

// Record is a batch in its place. Records that a Source returns are shared among readers and must not be changed.
type Record struct {
	Position Position
	Through  Position // last position that this record stands for: Position, except for a damaged stretch, which is read as one gap
	Ordinal  uint64   // entries on the tape before this record: entry i of it is number Ordinal+i+1 of all
	Batch
}

// Bounds is what a tape holds. First is 1 unless old records were trimmed; Last is 0 for an empty tape.
type Bounds struct {
	Epoch       Epoch
	First, Last Position
}

// Appender puts batches on the tape.
type Appender interface {
	// Append writes the batch as one record and returns its position once it is durable. It may be called at once by many;
	// batches of one feed must come one after the other. On error nothing is on the tape and the same batch may be appended
	// again: ErrFull and ErrUnavailable pass by themselves, any other error is for good. The context bounds the wait for a
	// place in the queue only: once the record is being written, Append waits for the outcome.
	Append(ctx context.Context, b *Batch) (Position, error)
}

// Source is a tape as its readers see it. All methods may be called at once.
type Source interface {
	// Bounds returns what is visible now, without blocking.
	Bounds() Bounds

	// Wait blocks until the tape's Last is beyond after, or ctx is done, or the tape is closed (ErrClosed).
	Wait(ctx context.Context, after Position) error

	// Read appends the records from position from on to dst, in order and without a hole, as many as are cheap to get at
	// once: at least one when from is visible, none when from is Last+1. It returns a *TrimmedError when from is before First.
	Read(ctx context.Context, from Position, dst []*Record) ([]*Record, error)
}

// Errors of a tape.
var (
	ErrClosed      = errors.New("the tape is closed")
	ErrFull        = errors.New("the tape's disk is full")
	ErrUnavailable = errors.New("the tape is not available now")
	ErrFenced      = errors.New("another writer appended to this feed")
	ErrTooLarge    = errors.New("the batch is larger than a record may be")
	ErrCorrupt     = errors.New("damaged record")
	ErrCursor      = errors.New("not a cursor of this server")
)

// TrimmedError says that a position is no longer on the tape.
type TrimmedError struct {
	Position Position // that was asked for
	First    Position // that can be had
}

func (e *TrimmedError) Error() string {
	return fmt.Sprintf("position %d was trimmed; the tape begins at %d", e.Position, e.First)
}

// Reader reads a source record by record from a position on. It is owned by one goroutine.
type Reader struct {
	src  Source
	next Position
	buf  []*Record
	head int
}

// NewReader returns a reader whose first record is the one at position from.
func NewReader(src Source, from Position) *Reader { return &Reader{src: src, next: from} }

// Next returns the next record, waiting for it if need be.
func (r *Reader) Next(ctx context.Context) (*Record, error) {
	for {
		if rec := r.buffered(); rec != nil {
			return rec, nil
		}
		if err := r.src.Wait(ctx, r.next-1); err != nil {
			return nil, err
		}
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
	}
}

// TryNext returns the next record, or nil when the reader is at the end of the tape.
func (r *Reader) TryNext(ctx context.Context) (*Record, error) {
	if rec := r.buffered(); rec != nil {
		return rec, nil
	}
	if r.src.Bounds().Last < r.next {
		return nil, nil
	}
	if err := r.fill(ctx); err != nil {
		return nil, err
	}
	return r.buffered(), nil
}

// Position returns the position of the next record.
func (r *Reader) Position() Position { return r.next }

func (r *Reader) buffered() *Record {
	if r.head == len(r.buf) {
		return nil
	}
	rec := r.buf[r.head]
	r.buf[r.head] = nil
	r.head++
	r.next = rec.Through + 1
	return rec
}

func (r *Reader) fill(ctx context.Context) error {
	buf, err := r.src.Read(ctx, r.next, r.buf[:0])
	if err != nil {
		return err
	}
	r.buf, r.head = buf, 0
	return nil
}
