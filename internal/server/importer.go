package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tapedeck/internal/feed"
	"tapedeck/internal/gateway"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// importer puts files on a tape, each through a lane of its own, whose offsets say how far the file has come. So a batch and how far
// it goes are one record of the tape, and no crash can part them.
type importer struct {
	writer *feed.Writer
	tape   feed.Tape
	now    func() market.Time
	behind func() uint64 // entries that history is behind the tape

	mu    sync.Mutex
	files map[string]*importedFile // by feed
	turns uint64
}

// Bounds of an importer.
const (
	// maxImportLag is how many entries history may be behind the tape before a file waits: what goes beyond the tape's memory has to be
	// read from the disk again.
	maxImportLag = 400_000

	// maxImportFiles is how many files are kept in mind; those that were not heard of for longest are let go, and found again on the tape.
	maxImportFiles = 64

	// importPatience is how long a tape that is not available is tried again.
	importPatience = 10 * time.Second
)

// importedFile is a file that is being imported.
type importedFile struct {
	feed string
	turn uint64 // guarded by importer.mu; when it was used last

	mu    sync.Mutex // held while a batch is on its way
	gone  bool       // it is not kept in mind any more
	lane  *feed.Lane // nil when it was let go
	stand importStand
	end   tape.Position // the last record of it is at most here
}

// importStand is how far a file has come. As the offset of a record it is a version, flags, and three varints.
type importStand struct {
	done   bool
	rows   uint64      // rows of the file that are taken care of
	extra  uint64      // entries of the rows behind those that are on the tape already
	newest market.Time // latest event time of the entries; 0 before the first
}

const importVersion = 1

func (s *importStand) offset() []byte {
	b := []byte{importVersion, 0}
	if s.done {
		b[1] = 1
	}
	b = binary.AppendUvarint(b, s.rows)
	b = binary.AppendUvarint(b, s.extra)
	return binary.AppendVarint(b, int64(s.newest))
}

// parseStand reads an offset; that of a file that was never begun is empty.
func parseStand(b []byte) (s importStand, err error) {
	if len(b) == 0 {
		return s, nil
	}
	bad := fmt.Errorf("offset %x of an import was not written by this program; use a newer one", b)
	if len(b) < 2 || b[0] != importVersion || b[1] > 1 {
		return s, bad
	}
	s.done = b[1] == 1
	rest := b[2:]
	for _, to := range []*uint64{&s.rows, &s.extra} {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return importStand{}, bad
		}
		*to, rest = v, rest[n:]
	}
	v, n := binary.Varint(rest)
	if n <= 0 || n != len(rest) {
		return importStand{}, bad
	}
	s.newest = market.Time(v)
	return s, nil
}

func newImporter(w *feed.Writer, t feed.Tape, behind func() uint64) *importer {
	return &importer{
		writer: w, tape: t, behind: behind, files: make(map[string]*importedFile),
		now: func() market.Time { return market.FromStd(time.Now()) },
	}
}

// importFeed returns the name of the feed of a file.
func importFeed(id string) (string, error) {
	if len(id) < 32 || len(id) > 128 {
		return "", fmt.Errorf("%w: an id of %d digits, want 32 to 128", gateway.ErrImport, len(id))
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("%w: %q in the id, which is of the digits 0 to 9 and a to f", gateway.ErrImport, id[i:i+1])
		}
	}
	return market.ImportFeed + id[:32], nil
}

// locked returns the file with its mutex held, and its lane open unless the whole file is on the tape.
func (m *importer) locked(ctx context.Context, id string) (*importedFile, error) {
	name, err := importFeed(id)
	if err != nil {
		return nil, err
	}
	f := m.entered(name)
	for f.gone { // while we waited for it
		f.mu.Unlock()
		f = m.entered(name)
	}
	if f.lane != nil || f.stand.done {
		return f, nil
	}
	lane, err := m.writer.HistoryLane(ctx, name)
	if err != nil {
		f.mu.Unlock()
		return nil, err
	}
	stand, err := parseStand(lane.Offset())
	if err != nil {
		lane.Close()
		f.mu.Unlock()
		return nil, err
	}
	f.lane, f.stand, f.end = lane, stand, m.tape.Bounds().Last
	if stand.done {
		f.letGo()
	}
	return f, nil
}

// entered returns a file that is kept in mind, with its mutex held.
func (m *importer) entered(name string) *importedFile {
	m.mu.Lock()
	f := m.files[name]
	if f == nil {
		m.makeRoom()
		f = &importedFile{feed: name}
		m.files[name] = f
	}
	m.turns++
	f.turn = m.turns
	m.mu.Unlock()
	f.mu.Lock()
	return f
}

// makeRoom lets go of the file that was not used for longest, when there are many. It is called with mu held.
func (m *importer) makeRoom() {
	for len(m.files) >= maxImportFiles {
		var oldest *importedFile
		for _, f := range m.files {
			if oldest == nil || f.turn < oldest.turn {
				oldest = f
			}
		}
		if !oldest.mu.TryLock() {
			return // it is in use: then there are a few more for a while
		}
		oldest.letGo()
		oldest.gone = true
		oldest.mu.Unlock()
		delete(m.files, oldest.feed)
	}
}

// letGo closes the lane. It is called with mu held.
func (f *importedFile) letGo() {
	if f.lane != nil {
		f.lane.Close()
		f.lane = nil
	}
}

// close lets go of all files.
func (m *importer) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, f := range m.files {
		f.mu.Lock()
		f.letGo()
		f.gone = true
		f.mu.Unlock()
		delete(m.files, name)
	}
}

// Stand implements gateway.Imports.
func (m *importer) Stand(ctx context.Context, id string) (gateway.ImportStand, error) {
	f, err := m.locked(ctx, id)
	if err != nil {
		return gateway.ImportStand{}, err
	}
	defer f.mu.Unlock()
	return f.told(), nil
}

// told is how far the file has come, in words for others.
func (f *importedFile) told() gateway.ImportStand {
	return gateway.ImportStand{Rows: f.stand.rows, Done: f.stand.done, End: f.end}
}

// Put implements gateway.Imports.
func (m *importer) Put(ctx context.Context, id string, p gateway.ImportPart) (gateway.ImportStand, error) {
	if err := checkImport(p.Entries); err != nil {
		return gateway.ImportStand{}, err
	}
	f, err := m.locked(ctx, id)
	if err != nil {
		return gateway.ImportStand{}, err
	}
	defer f.mu.Unlock()
	switch s := &f.stand; {
	case p.Rows < p.From, p.Rows == p.From && len(p.Entries) > 0 && !p.Last:
		return gateway.ImportStand{}, fmt.Errorf("%w: %d entries of the rows from %d to %d", gateway.ErrImport, len(p.Entries), p.From, p.Rows)
	case s.done, !p.Last && p.Rows <= s.rows:
		return f.told(), nil // it came before, and the answer was lost
	case p.From != s.rows:
		return gateway.ImportStand{}, fmt.Errorf("%w: rows %d to %d do not follow row %d", gateway.ErrImportConflict, p.From, p.Rows, s.rows)
	}
	if err := m.wait(ctx); err != nil {
		return gateway.ImportStand{}, err
	}
	if err := m.append(ctx, f, p); err != nil {
		return gateway.ImportStand{}, err
	}
	if f.stand.done {
		f.letGo()
	}
	return f.told(), nil
}

// checkImport holds entries of others against what a file may bring.
func checkImport(entries []market.Entry) error {
	if len(entries) > IntakeBatch {
		return fmt.Errorf("%w: %d entries, at most %d", gateway.ErrImport, len(entries), IntakeBatch)
	}
	var symbol market.Symbol
	for i := range entries {
		e := &entries[i]
		if e.Kind != market.KindTrade && e.Kind != market.KindQuote && e.Kind != market.KindBar {
			return fmt.Errorf("%w: entry %d is a %s; want trades, quotes and bars", gateway.ErrImport, i, e.Kind)
		}
		if e.Event == 0 {
			return fmt.Errorf("%w: entry %d has no time", gateway.ErrImport, i)
		}
		if e.Symbol != symbol {
			if s, err := market.ParseSymbol(string(e.Symbol)); err != nil || s != e.Symbol {
				return fmt.Errorf("%w: entry %d: symbol %.80q", gateway.ErrImport, i, e.Symbol)
			}
			symbol = e.Symbol
		}
		if e.Kind == market.KindBar {
			if _, err := e.Bar(); err != nil {
				return fmt.Errorf("%w: entry %d: %w", gateway.ErrImport, i, err)
			}
		}
	}
	return nil
}

// wait blocks while history is far behind the tape.
func (m *importer) wait(ctx context.Context) error {
	if m.behind() <= maxImportLag {
		return nil
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for m.behind() > maxImportLag/2 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for history: %w", ctx.Err())
		}
	}
	return nil
}

// append puts a part on the tape. It is called with the file locked.
func (m *importer) append(ctx context.Context, f *importedFile, p gateway.ImportPart) error {
	entries, next := p.Entries, importStand{rows: p.Rows, newest: f.stand.newest, done: p.Last}
	skip := min(f.stand.extra, uint64(len(entries)))
	entries = entries[skip:]
	if rest := f.stand.extra - skip; rest > 0 {
		next.extra = rest // the file is cut into smaller parts than before
	}
	// Of the second in which it came: what file it came from is what matters, and a whole second takes less room.
	received := m.now().Floor(market.Second)
	batch := make([]market.Entry, len(entries), len(entries)+1)
	copy(batch, entries)
	for i := range batch {
		e := &batch[i]
		e.Seq, e.Received = 0, received
		e.Flags |= market.FlagImported | market.FlagHistory
		if e.IsTick() {
			next.newest = max(next.newest, e.Event)
		}
	}
	if p.Last {
		// Bars close by the clock of their feed, and this one goes no further: some days later all of them are over. A file that ends
		// just now has bars that are not.
		at := received
		if next.newest != 0 {
			at = max(min(next.newest+importGrace, received), next.newest)
		}
		batch = append(batch, market.Entry{
			Kind: market.KindHeartbeat, Event: at, Received: received, Flags: market.FlagImported | market.FlagHistory,
		})
	}
	if len(batch) == 0 {
		f.stand = next // nothing but rejected rows, which may be rejected again
		return nil
	}
	return m.appendSplit(ctx, f, batch, next, skip)
}

// importGrace is how long after its last tick all bars of a file are over: the longest trading day begins the evening before a weekend.
const importGrace = 5 * 24 * market.Hour

// appendSplit puts a batch on the tape, in two when it is too large for a record. Done is how many entries of the rows behind the stand
// are on the tape before it.
func (m *importer) appendSplit(ctx context.Context, f *importedFile, batch []market.Entry, next importStand, done uint64) error {
	err := m.try(ctx, func() error { return f.lane.Append(ctx, batch, next.offset()) })
	if errors.Is(err, tape.ErrTooLarge) && len(batch) > 1 {
		half := len(batch) / 2
		first := f.stand
		first.extra, first.newest = done+uint64(half), next.newest
		if err := m.appendSplit(ctx, f, slices.Clone(batch[:half]), first, done); err != nil {
			return err
		}
		return m.appendSplit(ctx, f, slices.Clone(batch[half:]), next, done+uint64(half))
	}
	if err != nil {
		return err
	}
	f.stand, f.end = next, m.tape.Bounds().Last
	return nil
}

// try appends again while the tape is not available.
func (m *importer) try(ctx context.Context, appending func() error) error {
	deadline := time.Now().Add(importPatience)
	for {
		err := appending()
		if !errors.Is(err, tape.ErrUnavailable) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
