package alert

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"tapedeck/internal/market"
)

// stateVersion is the first byte of a state.
const stateVersion = 1

// ErrState is wrapped by the errors of Restore.
var ErrState = errors.New("state of alerts can't be read")

// State returns all that the book knows but its rules, in a form of its own.
func (b *Book) State() []byte {
	w := &writer{buf: []byte{stateVersion}}
	w.count(len(b.feeds))
	for _, name := range slices.Sorted(maps.Keys(b.feeds)) {
		w.text(name)
		w.time(b.feeds[name].now)
		w.count(len(b.feeds[name].symbols))
		for _, s := range b.feeds[name].symbols {
			s.write(w)
		}
	}
	return w.buf
}

// Restore makes a book, whose rules were set before, know what State said. Of rules that were not there then, or were others, nothing
// is known; what was kept for rules that are gone is left out. On an error the book is as it was.
func (b *Book) Restore(state []byte) error {
	r := &reader{buf: state}
	if r.byte() != stateVersion {
		return fmt.Errorf("%w: it is of another version", ErrState)
	}
	fresh := &Book{calendars: b.calendars, rules: b.rules, symbols: map[market.Symbol]*symbol{}, feeds: map[string]*feedClock{}}
	for range r.count() {
		f := fresh.feed(r.text())
		f.now = r.time()
		for range r.count() {
			s := &symbol{}
			fresh.read(r, s)
			if r.bad || fresh.symbols[s.name] != nil || len(fresh.symbols) == MaxSymbols {
				return fmt.Errorf("%w: at byte %d", ErrState, r.at)
			}
			fresh.symbols[s.name] = s
			f.symbols = append(f.symbols, s)
		}
	}
	if r.bad || r.at != len(r.buf) {
		return fmt.Errorf("%w: at byte %d", ErrState, r.at)
	}
	*b = *fresh
	return nil
}

func (s *symbol) write(w *writer) {
	w.text(string(s.name))
	w.text(s.feed)
	w.time(s.clock)
	w.point(s.last)
	w.number(s.seq)
	w.bits(s.traded, s.quoted, s.gap, s.days, s.opened, s.closed)
	for _, d := range []market.Decimal{s.bid, s.ask, s.open, s.settle, s.close} {
		w.decimal(d)
	}
	w.count(len(s.windows))
	for _, x := range s.windows {
		w.time(x.length)
		w.time(x.lost)
		w.bits(x.left)
		w.point(x.before)
		w.count(x.points.len())
		for i := range x.points.len() {
			w.point(*x.points.at(i))
		}
	}
	w.count(len(s.averages))
	for _, x := range s.averages {
		w.text(x.key.name)
		w.number(uint64(x.key.n))
		w.time(x.key.length)
		w.bits(x.bars.any)
		w.time(x.bars.start)
		w.time(x.bars.last)
		w.floats(x.bars.high, x.bars.low, x.bars.close, x.bars.before, x.a, x.b)
		w.number(uint64(x.seen))
		w.count(x.closes.len())
		for i := range x.closes.len() {
			w.floats(*x.closes.at(i))
		}
	}
	w.count(len(s.watches))
	for _, x := range s.watches {
		for _, text := range []string{x.rule.ID, x.rule.When, x.rule.Until} {
			w.text(text)
		}
		w.time(market.Time(x.rule.For))
		w.bits(x.rule.Once, x.met, x.fired, x.ever)
		w.time(x.since)
		w.time(x.last)
		w.number(x.seq)
		w.count(len(x.when.memory))
		w.floats(x.when.memory...)
		w.count(len(x.until.memory))
		w.floats(x.until.memory...)
	}
}

// read reads a symbol and attaches the rules of the book to it.
func (b *Book) read(r *reader, s *symbol) {
	s.name, s.feed = market.Symbol(r.text()), r.text()
	s.clock, s.last, s.seq = r.time(), r.point(), r.number()
	s.price = s.last.price.Float64()
	r.bits(&s.traded, &s.quoted, &s.gap, &s.days, &s.opened, &s.closed)
	for _, d := range []*market.Decimal{&s.bid, &s.ask, &s.open, &s.settle, &s.close} {
		*d = r.decimal()
	}
	if s.calendar = b.calendar(s.name); s.days && s.calendar != nil {
		s.day = s.calendar.Day(s.last.event)
	}
	for range r.count() {
		x := newWindow(r.time())
		lost := r.time()
		r.bits(&x.left)
		x.before = r.point()
		before, left := x.before, x.left
		for range r.count() {
			if x.add(r.point(), s.clock); r.bad {
				return
			}
		}
		x.before, x.left, x.lost = before, left, lost
		s.windows = append(s.windows, x)
	}
	for range r.count() {
		x := newAverage(averageKey{r.text(), int(r.number()), r.time()})
		if r.bad || x.key.length <= 0 || x.key.n < 1 || x.key.n > MaxPeriods || x.seen < 0 {
			r.bad = true
			return
		}
		r.bits(&x.bars.any)
		x.bars.start, x.bars.last = r.time(), r.time()
		r.floats(&x.bars.high, &x.bars.low, &x.bars.close, &x.bars.before, &x.a, &x.b)
		x.seen = int(r.number())
		for range r.count() {
			var f float64
			if r.floats(&f); r.bad {
				return
			}
			x.closes.insert(x.closes.len(), f)
		}
		s.averages = append(s.averages, x)
	}
	for range r.count() {
		x := &watch{rule: &Rule{ID: r.text(), When: r.text(), Until: r.text()}}
		x.rule.For = Duration(r.time())
		r.bits(&x.rule.Once, &x.met, &x.fired, &x.ever)
		x.since, x.last, x.seq = r.time(), r.time(), r.number()
		for _, memory := range []*[]float64{&x.when.memory, &x.until.memory} {
			*memory = make([]float64, min(r.count(), MaxFunctions))
			for i := range *memory {
				r.floats(&(*memory)[i])
			}
		}
		if r.bad {
			return
		}
		s.watches = append(s.watches, x)
	}
	b.attach(s)
}

// writer and reader are of numbers of variable length, texts with their length before them, and bits.
type writer struct{ buf []byte }

func (w *writer) number(x uint64)    { w.buf = binary.AppendUvarint(w.buf, x) }
func (w *writer) count(n int)        { w.number(uint64(n)) }
func (w *writer) time(t market.Time) { w.buf = binary.AppendVarint(w.buf, int64(t)) }
func (w *writer) text(s string)      { w.count(len(s)); w.buf = append(w.buf, s...) }

func (w *writer) decimal(d market.Decimal) {
	w.buf = binary.AppendVarint(binary.AppendVarint(w.buf, d.Coef()), int64(d.Exp()))
}

func (w *writer) point(p point) {
	w.time(p.event)
	w.decimal(p.price)
	w.decimal(p.size)
}

func (w *writer) floats(list ...float64) {
	for _, f := range list {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(f))
	}
}

func (w *writer) bits(list ...bool) {
	var b byte
	for i, x := range list {
		if x {
			b |= 1 << i
		}
	}
	w.buf = append(w.buf, b)
}

// reader reads what a writer wrote. At the first thing that is wrong it is bad, and gives nothing any more.
type reader struct {
	buf []byte
	at  int
	bad bool
}

func (r *reader) byte() byte {
	if r.bad || r.at >= len(r.buf) {
		r.bad = true
		return 0
	}
	r.at++
	return r.buf[r.at-1]
}

func (r *reader) number() uint64 {
	x, n := binary.Uvarint(r.buf[r.at:])
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.at += n
	return x
}

func (r *reader) signed() int64 {
	x, n := binary.Varint(r.buf[r.at:])
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.at += n
	return x
}

// count reads how many of something follow, each of which takes a byte at least.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.buf)-r.at) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) time() market.Time { return market.Time(r.signed()) }

func (r *reader) text() string {
	n := r.count()
	r.at += n
	return string(r.buf[r.at-n : r.at])
}

func (r *reader) decimal() market.Decimal {
	coef, exp := r.signed(), r.signed()
	d, err := market.NewDecimal(coef, int(exp))
	if err != nil {
		r.bad = true
	}
	return d
}

func (r *reader) point() point { return point{r.time(), r.decimal(), r.decimal()} }

func (r *reader) floats(list ...*float64) {
	for _, f := range list {
		if r.bad || len(r.buf)-r.at < 8 {
			r.bad = true
			return
		}
		*f = math.Float64frombits(binary.LittleEndian.Uint64(r.buf[r.at:]))
		r.at += 8
	}
}

func (r *reader) bits(list ...*bool) {
	b := r.byte()
	for i, x := range list {
		*x = b&(1<<i) != 0
	}
}
