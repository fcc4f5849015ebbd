package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
)

// pagesTable holds runs of closed bars of 1 s, new in format 2.0. The form of data is that of appendPage; start is that of its first bar, last of its last.
//
// It has row ids, unlike the tables of single bars, because its rows are large and are written once: they fill the pages of the file one after another.
const pagesTable = `
CREATE TABLE bar_pages (
  id       INTEGER PRIMARY KEY,
  symbol   INTEGER NOT NULL,
  interval INTEGER NOT NULL,
  start    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  count    INTEGER NOT NULL,
  data     BLOB    NOT NULL
);
CREATE UNIQUE INDEX bar_pages_by_start ON bar_pages (symbol, interval, start);
`

const (
	// pageWhen is how many closed bars of a symbol are rows before the oldest of them are moved to pages, and pageKeep how many always stay rows: those
	// that late trades still come for, and the newest, which a start reads.
	pageWhen = 96
	pageKeep = 16

	// pageBacklog is how many rows are moved at once of a symbol that has more than that: one of a file of an older format. In one transaction
	// pageBudget of them are, so that it does not take much longer than others.
	pageBacklog = 512
	pageBudget  = 2048
)

// pager moves closed bars of 1 s from rows to pages, and changes those that are in pages. It belongs to the writer.
//
// A bar is in one place: in a page of its symbol when it starts no later than the last bar of those and is final, and otherwise in a row. What the pager knows is
// read from the file, and forgotten when a transaction fails.
type pager struct {
	conn    *sql.Conn
	before  *sql.Stmt // pageBefore
	after   *sql.Stmt // pageAfter
	add     *sql.Stmt // addPage
	drop    *sql.Stmt // dropPage
	shed    *sql.Stmt // shedRows
	symbols map[int64]*pagedSymbol
	page    *openPage // the one that was used last; nil when there is none
	budget  int       // rows of the backlog that the transaction may still move
}

// pagedSymbol is what is known of a symbol.
type pagedSymbol struct {
	paged bool        // there are pages
	last  market.Time // start of the last bar in them
	tail  int         // final bars in rows behind that, or more
	open  map[market.Time]struct{}
}

// holds reports whether the bar that starts at a time is in a page, if it is anywhere.
func (s *pagedSymbol) holds(start market.Time) bool {
	if !s.paged || start > s.last {
		return false
	}
	_, open := s.open[start]
	return !open
}

// openPage is a page whose bars are in memory.
type openPage struct {
	id     int64
	symbol int64
	bars   []market.Bar
	from   market.Time // bars that start at from or later, and before until, belong into it
	until  market.Time
	dirty  bool
}

const (
	pageColumns = "SELECT p.id, p.start, p.data, coalesce((SELECT min(n.start) FROM bar_pages n" +
		" WHERE n.symbol = p.symbol AND n.interval = p.interval AND n.start > p.start), ?) FROM bar_pages p WHERE p.symbol = ? AND p.interval = ? AND p.start "
	pageBefore = pageColumns + "<= ? ORDER BY p.start DESC LIMIT 1"
	pageAfter  = pageColumns + "> ? ORDER BY p.start LIMIT 1"
	addPage    = "INSERT INTO bar_pages (symbol, interval, start, last, count, data) VALUES (?, ?, ?, ?, ?, ?)"
	dropPage   = "DELETE FROM bar_pages WHERE id = ?"
	shedRows   = "DELETE FROM bar_rows WHERE symbol = ? AND interval = ? AND start >= ? AND start <= ?"
)

// prepare makes the statements.
func (p *pager) prepare(ctx context.Context) (err error) {
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{{&p.before, pageBefore}, {&p.after, pageAfter}, {&p.add, addPage}, {&p.drop, dropPage}, {&p.shed, shedRows}} {
		if *s.to, err = p.conn.PrepareContext(ctx, s.query); err != nil { //nolint:sqlclosecheck // Close does
			return fmt.Errorf("prepare %q: %w", s.query, err)
		}
	}
	return nil
}

// Close closes the statements.
func (p *pager) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{p.before, p.after, p.add, p.drop, p.shed} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// begin is called before a transaction, and reset when it has failed.
func (p *pager) begin() { p.budget = pageBudget }

func (p *pager) reset() { p.symbols, p.page = nil, nil }

// symbol returns what is known of a symbol.
func (p *pager) symbol(ctx context.Context, id int64) (*pagedSymbol, error) {
	if s := p.symbols[id]; s != nil {
		return s, nil
	}
	s := &pagedSymbol{open: make(map[market.Time]struct{})}
	err := p.conn.QueryRowContext(ctx, "SELECT last FROM bar_pages WHERE symbol = ? AND interval = ? ORDER BY start DESC LIMIT 1", id, pagedID).Scan(&s.last)
	switch {
	case err == nil:
		s.paged = true
	case !errors.Is(err, sql.ErrNoRows):
		return nil, err
	}
	if err := p.conn.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM bar_rows WHERE symbol = ? AND interval = ? AND start >= ? LIMIT ?)",
		id, pagedID, int64(s.behind()), pageBacklog+1).Scan(&s.tail); err != nil {
		return nil, err
	}
	if s.paged {
		rows, err := p.conn.QueryContext(ctx, "SELECT start FROM bar_rows WHERE symbol = ? AND interval = ? AND start <= ?", id, pagedID, int64(s.last))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var start market.Time
			if err := rows.Scan(&start); err != nil {
				return nil, err
			}
			s.open[start] = struct{}{}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	if p.symbols == nil {
		p.symbols = make(map[int64]*pagedSymbol)
	}
	p.symbols[id] = s
	return s, nil
}

// behind is where the rows begin that are behind the pages.
func (s *pagedSymbol) behind() market.Time {
	if !s.paged {
		return math.MinInt64
	}
	return s.last + 1
}

// find returns the bar of a symbol that starts at a time, if that is one that a page holds; ok is false when it is one of the rows. Where a page would hold it and
// does not, it is the zero Bar.
func (p *pager) find(ctx context.Context, id int64, of *market.Bar) (b market.Bar, ok bool, err error) {
	if !pageable(of) {
		return b, false, nil
	}
	s, err := p.symbol(ctx, id)
	if err != nil || !s.holds(of.Start) {
		return b, false, err
	}
	page, err := p.load(ctx, id, of.Symbol, of.Start)
	if err != nil {
		return b, true, err
	}
	if i, found := page.search(of.Start); found {
		b = page.bars[i]
	}
	return b, true, nil
}

func (g *openPage) search(start market.Time) (int, bool) {
	return slices.BinarySearchFunc(g.bars, start, func(b market.Bar, t market.Time) int { return cmp.Compare(b.Start, t) })
}

// load makes the page that a bar belongs into the open one. There is at least one of the symbol.
func (p *pager) load(ctx context.Context, id int64, symbol market.Symbol, start market.Time) (*openPage, error) {
	if g := p.page; g != nil && g.symbol == id && start >= g.from && start < g.until {
		return g, nil
	}
	if err := p.flush(ctx); err != nil {
		return nil, err
	}
	g := &openPage{symbol: id}
	var data []byte
	err := p.before.QueryRowContext(ctx, int64(math.MaxInt64), id, pagedID, int64(start)).
		Scan(&g.id, &g.from, &data, &g.until)
	first := g.from
	if errors.Is(err, sql.ErrNoRows) { // it is before all of them
		err = p.after.QueryRowContext(ctx, int64(math.MaxInt64), id, pagedID, int64(start)).
			Scan(&g.id, &first, &data, &g.until)
		g.from = math.MinInt64
	}
	if err != nil {
		return nil, fmt.Errorf("read a page of bars of %s: %w", symbol, err)
	}
	if g.bars, err = takePage(nil, symbol, first, data); err != nil {
		return nil, fmt.Errorf("bars of %s: %w", symbol, err)
	}
	p.page = g
	return g, nil
}

// put puts a final bar into the page that it belongs into.
func (p *pager) put(ctx context.Context, id int64, b *market.Bar) error {
	g, err := p.load(ctx, id, b.Symbol, b.Start)
	if err != nil {
		return err
	}
	if i, found := g.search(b.Start); found {
		g.bars[i] = *b
	} else {
		g.bars = slices.Insert(g.bars, i, *b)
	}
	g.dirty = true
	if len(g.bars) > pageLimit/2 {
		return p.flush(ctx)
	}
	return nil
}

// flush writes the open page if it changed, as several when it has become too large, and closes it.
func (p *pager) flush(ctx context.Context) error {
	g := p.page
	p.page = nil
	if g == nil || !g.dirty {
		return nil
	}
	// Where they are put in again, their starts must not be those of pages that are there.
	if _, err := p.drop.ExecContext(ctx, g.id); err != nil {
		return err
	}
	return p.divide(ctx, g.symbol, g.bars)
}

// divide writes bars as one page if they are few enough, and otherwise as several of the same number of bars.
func (p *pager) divide(ctx context.Context, symbol int64, bars []market.Bar) error {
	if len(bars) <= maxPageBars {
		data := appendPage(nil, bars)
		if len(data) <= maxPageBytes || len(bars) < 4 {
			return p.insert(ctx, symbol, bars, data)
		}
	}
	half := len(bars) / 2
	if err := p.divide(ctx, symbol, bars[:half]); err != nil {
		return err
	}
	return p.divide(ctx, symbol, bars[half:])
}

func (p *pager) insert(ctx context.Context, symbol int64, bars []market.Bar, data []byte) error {
	_, err := p.add.ExecContext(ctx, symbol, pagedID, int64(bars[0].Start), int64(bars[len(bars)-1].Start), len(bars), data)
	return err
}

// take puts changes where they belong: those of bars in pages into these, and closed bars into new pages when there are enough. It returns the changes
// that are for rows.
func (p *pager) take(ctx context.Context, b *batch, changes []candle.Change) ([]candle.Change, error) {
	rest := make([]candle.Change, 0, len(changes))
	var seconds []*candle.Change
	for i := range changes {
		if pageable(&changes[i].Bar) {
			seconds = append(seconds, &changes[i])
		} else {
			rest = append(rest, changes[i])
		}
	}
	slices.SortFunc(seconds, func(x, y *candle.Change) int {
		return cmp.Or(cmp.Compare(b.id(x.Bar.Symbol), b.id(y.Bar.Symbol)), cmp.Compare(x.Bar.Start, y.Bar.Start))
	})
	for len(seconds) > 0 {
		symbol, n := seconds[0].Bar.Symbol, 1
		for n < len(seconds) && seconds[n].Bar.Symbol == symbol {
			n++
		}
		left, err := p.takeOf(ctx, b.id(symbol), seconds[:n])
		if err != nil {
			return nil, err
		}
		for _, c := range left {
			rest = append(rest, *c)
		}
		seconds = seconds[n:]
	}
	return rest, nil
}

// takeOf takes the changes of a symbol, which are by rising start.
func (p *pager) takeOf(ctx context.Context, id int64, changes []*candle.Change) (rest []*candle.Change, err error) {
	s, err := p.symbol(ctx, id)
	if err != nil {
		return nil, err
	}
	var fresh []*candle.Change // behind the pages
	finals := 0
	for _, c := range changes {
		switch {
		case !s.paged || c.Bar.Start > s.last:
			if c.Bar.Final {
				finals++
			}
			fresh = append(fresh, c)
		default:
			row, err := p.change(ctx, id, s, c.Bar)
			if err != nil {
				return nil, err
			}
			if row {
				rest = append(rest, c)
			}
		}
	}
	if s.tail += finals; finals > 0 && s.tail >= pageWhen && (s.tail <= pageBacklog || p.budget > 0) {
		if fresh, err = p.pack(ctx, id, s, fresh); err != nil {
			return nil, err
		}
	}
	return append(rest, fresh...), nil
}

// change takes a change of a bar that does not start behind the pages. It reports whether that belongs into a row.
func (p *pager) change(ctx context.Context, id int64, s *pagedSymbol, b market.Bar) (row bool, err error) {
	_, open := s.open[b.Start]
	if !b.Final {
		if open {
			return true, nil
		}
		g, err := p.load(ctx, id, b.Symbol, b.Start)
		if err != nil {
			return false, err
		}
		if _, found := g.search(b.Start); !found {
			s.open[b.Start] = struct{}{}
			return true, nil
		}
		b.Final = true // as a row stays so, once it is
	}
	if open {
		if err := p.deleteRows(ctx, id, b.Start, b.Start); err != nil {
			return false, err
		}
		delete(s.open, b.Start)
	}
	return false, p.put(ctx, id, &b)
}

func (p *pager) deleteRows(ctx context.Context, id int64, first, last market.Time) error {
	_, err := p.shed.ExecContext(ctx, id, pagedID, int64(first), int64(last))
	return err
}

// tailBar is a bar behind the pages.
type tailBar struct {
	bar    *market.Bar
	row    bool // it is in a row
	change *candle.Change
}

// pack moves the oldest closed bars behind the pages of a symbol, in rows or fresh, to new pages. It returns the changes that are for rows.
func (p *pager) pack(ctx context.Context, id int64, s *pagedSymbol, fresh []*candle.Change) (rest []*candle.Change, err error) {
	// The open page may be the last of the symbol, which reaches to the end of time only until there is one behind it.
	if err := p.flush(ctx); err != nil {
		return nil, err
	}
	rows, err := p.rows(ctx, id, fresh[0].Bar.Symbol, s.behind())
	if err != nil {
		return nil, err
	}
	left := 0
	if len(rows) > pageBacklog {
		rows = rows[:pageBacklog]
		p.budget -= pageBacklog
		left = pageBacklog + 1
		for n := len(fresh); n > 0 && fresh[n-1].Bar.Start > rows[pageBacklog-1].Start; n-- {
			fresh, rest = fresh[:n-1], append(rest, fresh[n-1])
		}
	}
	all := mergeTail(rows, fresh)
	bars := make([]market.Bar, 0, len(all))
	for i := range all {
		if all[i].bar.Final {
			bars = append(bars, *all[i].bar)
		}
	}
	packed := 0
	for most := max(0, len(bars)-pageKeep); ; {
		n, data := firstPageOf(bars[packed:most])
		if n == 0 {
			break
		}
		if err := p.insert(ctx, id, bars[packed:packed+n], data); err != nil {
			return nil, err
		}
		packed += n
	}
	s.tail = len(bars) - packed + left
	if packed == 0 {
		return append(rest, fresh...), nil
	}
	before := s.behind()
	s.paged, s.last = true, bars[packed-1].Start
	if rest, err = p.leave(ctx, id, s, before, all, rest); err != nil {
		return nil, err
	}
	return rest, nil
}

// leave deletes the rows of bars that are in pages now, and appends the changes to rest that are not.
func (p *pager) leave(ctx context.Context, id int64, s *pagedSymbol, before market.Time, all []tailBar, rest []*candle.Change) ([]*candle.Change, error) {
	mixed := false
	for i := range all {
		t := &all[i]
		if t.bar.Final && t.bar.Start <= s.last {
			continue
		}
		if t.bar.Start <= s.last {
			s.open[t.bar.Start] = struct{}{}
			mixed = mixed || t.row
		}
		if t.change != nil {
			rest = append(rest, t.change)
		}
	}
	if !mixed {
		return rest, p.deleteRows(ctx, id, before, s.last)
	}
	for i := range all {
		if t := &all[i]; t.row && t.bar.Final && t.bar.Start <= s.last {
			if err := p.deleteRows(ctx, id, t.bar.Start, t.bar.Start); err != nil {
				return nil, err
			}
		}
	}
	return rest, nil
}

// rows reads the oldest rows behind a time, one more than the backlog at most.
func (p *pager) rows(ctx context.Context, id int64, symbol market.Symbol, behind market.Time) (bars []market.Bar, err error) {
	err = direct(ctx, p.conn, "SELECT "+barRead+" FROM bar_rows b WHERE symbol = ? AND interval = ? AND start >= ? ORDER BY start LIMIT ?",
		[]int64{id, pagedID, int64(behind), pageBacklog + 1}, func(row []driver.Value) error {
			bars = append(bars, market.Bar{Symbol: symbol, Interval: market.Sec1()})
			return takeBar(row, &bars[len(bars)-1])
		})
	return bars, err
}

// mergeTail puts rows and changes, both by rising start, into one order. A change stands for the row that it is of.
func mergeTail(rows []market.Bar, fresh []*candle.Change) []tailBar {
	all := make([]tailBar, 0, len(rows)+len(fresh))
	for i, j := 0, 0; i < len(rows) || j < len(fresh); {
		switch {
		case j == len(fresh) || i < len(rows) && rows[i].Start < fresh[j].Bar.Start:
			all = append(all, tailBar{bar: &rows[i], row: true})
			i++
		case i == len(rows) || fresh[j].Bar.Start < rows[i].Start:
			all = append(all, tailBar{bar: &fresh[j].Bar, change: fresh[j]})
			j++
		default:
			all = append(all, tailBar{bar: &fresh[j].Bar, row: true, change: fresh[j]})
			i++
			j++
		}
	}
	return all
}

// firstPageOf returns how many bars the first page of them has, and its data; 0 when there are not enough for a whole one.
func firstPageOf(bars []market.Bar) (n int, data []byte) {
	n = min(len(bars), pageBars)
	if n == 0 {
		return 0, nil
	}
	data = appendPage(nil, bars[:n])
	if len(data) > pageBytes && n > 1 {
		n = max(1, n*pageBytes/len(data))
		return n, appendPage(data[:0], bars[:n])
	}
	if n < pageBars {
		return 0, nil
	}
	return n, data
}

// within calls change for each bar in pages of a symbol that has a part between two times; it reports whether it changed the bar.
func (p *pager) within(ctx context.Context, id int64, symbol market.Symbol, from, to market.Time, change func(*market.Bar) (bool, error)) error {
	s, err := p.symbol(ctx, id)
	if err != nil || !s.paged || from > s.last && from-s.last >= pagedLength {
		return err
	}
	for at := max(from, math.MinInt64+pagedLength) - pagedLength; at < to; {
		g, err := p.load(ctx, id, symbol, at)
		if err != nil {
			return err
		}
		for i := range g.bars {
			b := &g.bars[i]
			if b.Start >= to || b.End <= from {
				continue
			}
			changed, err := change(b)
			if err != nil {
				return err
			}
			g.dirty = g.dirty || changed
		}
		if at = g.until; at == math.MaxInt64 {
			break
		}
	}
	return nil
}
