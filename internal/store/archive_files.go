package store

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"tapedeck/internal/archive"
	"tapedeck/internal/columnar"
	"tapedeck/internal/market"
)

// ErrArchive is wrapped when a file of the archive cannot be read as what it is listed as. The error names it; days that are in other
// files are not concerned.
var ErrArchive = errors.New("a file of the archive is missing or damaged")

// fileError says what is wrong with a file of the archive. It wraps ErrArchive.
type fileError struct {
	file *archivedFile
	err  error
}

func (e *fileError) Error() string {
	return fmt.Sprintf("%s, %s: %v: %v", e.file.file, dayText(e.file.day), ErrArchive, e.err)
}

func (e *fileError) Unwrap() []error { return []error{ErrArchive, e.err} }

// Place names the file, and nothing that is not for everybody to know.
func (e *fileError) Place() string { return "the archived file " + e.file.file }

// openFiles is how many files of the archive are kept open for the next query. Each costs a descriptor and what its end says, some kilobytes.
const openFiles = 256

// seriesKey is the trades or the quotes of a symbol.
type seriesKey struct {
	symbol int64
	kind   market.Kind
}

// daySpan is the first and the last day of something, counted since 1970.
type daySpan struct{ first, last int64 }

// cold is the archive as queries see it.
type cold struct {
	place archive.Place

	mu      sync.Mutex
	version uint64 // rises with each change of the list, before any tick that it concerns is deleted
	spans   map[seriesKey]daySpan
	totals  archiveTotals
	files   map[int64]*list.Element // by the number of the file
	order   *list.List              // of *coldFile, the one used last in front
}

// coldFile is an open file of the archive.
type coldFile struct {
	archive.File
	id    int64
	ticks *columnar.TickFile
	users int
	kept  bool // in the list of open files
}

func newCold(place archive.Place) *cold {
	return &cold{place: place, files: make(map[int64]*list.Element), order: list.New()}
}

// load reads what is kept in memory of the list.
func (c *cold) load(ctx context.Context, q querier) error {
	spans, err := readSpans(ctx, q)
	if err != nil {
		return err
	}
	totals, err := readArchiveTotals(ctx, q)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans, c.totals = spans, totals
	c.version++
	return nil
}

// added notes that a file has been listed.
func (c *cold) added(a *archivedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := seriesKey{a.symbol, a.kind}
	s, ok := c.spans[k]
	if !ok {
		s = daySpan{a.day, a.day}
	}
	c.spans[k] = daySpan{min(s.first, a.day), max(s.last, a.day)}
	c.totals.files++
	c.totals.rows += a.rows
	c.totals.bytes += a.bytes
	c.version++
}

// current returns the version of the list.
func (c *cold) current() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// span returns between which days a series has files, and the version of the list that this is true of.
func (c *cold) span(k seriesKey) (s daySpan, version uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok = c.spans[k]
	return s, c.version, ok
}

func (c *cold) sums() archiveTotals {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.totals
}

// open returns an open file, to be given back with release. The error wraps fs.ErrNotExist when it is not there, and ErrArchive always.
func (c *cold) open(ctx context.Context, a *archivedFile) (*coldFile, error) {
	c.mu.Lock()
	if e := c.files[a.id]; e != nil {
		f := held(e)
		f.users++
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return f, nil
	}
	c.mu.Unlock()
	f, err := openCold(ctx, c.place, a)
	if err != nil {
		return nil, &fileError{a, err}
	}
	f.users = 1
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[a.id] == nil { // or someone else was as fast, and this one is closed when it is given back
		f.kept = true
		c.files[a.id] = c.order.PushFront(f)
		c.shrink()
	}
	return f, nil
}

func held(e *list.Element) *coldFile {
	return e.Value.(*coldFile) //nolint:errcheck // nothing else is in the list
}

// shrink drops the files that were not used for longest. Those that are being read are closed by their last reader.
func (c *cold) shrink() {
	for c.order.Len() > openFiles {
		c.drop(c.order.Back())
	}
}

func (c *cold) drop(e *list.Element) {
	f := held(e)
	c.order.Remove(e)
	delete(c.files, f.id)
	f.kept = false
	if f.users == 0 {
		_ = f.Close() // it was only read
	}
}

// release gives a file back.
func (c *cold) release(f *coldFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.users--
	if f.users == 0 && !f.kept {
		_ = f.Close() // it was only read
	}
}

// forget closes a file that is going to be removed, once nobody reads it.
func (c *cold) forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.files[id]; e != nil {
		c.drop(e)
	}
}

// close closes all files.
func (c *cold) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.order.Len() > 0 {
		c.drop(c.order.Back())
	}
}

// openCold opens a file and holds it to what the list says of it.
func openCold(ctx context.Context, place archive.Place, a *archivedFile) (*coldFile, error) {
	f, err := place.Open(ctx, a.file)
	if err != nil {
		return nil, err
	}
	ticks, err := checkCold(f, a)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &coldFile{File: f, id: a.id, ticks: ticks}, nil
}

func checkCold(f archive.File, a *archivedFile) (*columnar.TickFile, error) {
	if f.Size() != a.bytes {
		return nil, fmt.Errorf("it has %d bytes, %d are listed", f.Size(), a.bytes)
	}
	ticks, err := columnar.OpenTicks(f, f.Size())
	if err != nil {
		return nil, err
	}
	if ticks.Kind() != a.kind || ticks.Rows() != a.rows {
		return nil, fmt.Errorf("it has %d %ss, %d %ss are listed", ticks.Rows(), ticks.Kind(), a.rows, a.kind)
	}
	return ticks, nil
}

// isGone reports whether a file that is not there is not listed any more either: retention took it while it was being read.
func (s *Store) isGone(ctx context.Context, a *archivedFile, err error) (bool, error) {
	if !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	files, err := listArchived(ctx, s.readers, "id = ? AND "+inArchive, a.id)
	return len(files) == 0, err
}
