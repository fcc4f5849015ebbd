package alert

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// MaxSymbols is the most symbols that a book follows; ticks of others are not looked at, and counted.
const MaxSymbols = 20_000

// Alarm says that a rule fired.
type Alarm struct {
	ID       string // made of the rule, the symbol and seq: the same whenever the same records are read
	Rule     string // its id
	Symbol   market.Symbol
	Seq      uint64      // of the newest trade of the symbol, 0 when there was none
	Event    market.Time // of what made it fire: a tick, a gap, or the clock of the feed
	Price    market.Decimal
	Text     string
	Severity Severity
}

// Book holds rules and what they look at. It is a pure machine that one goroutine uses: what it says depends on the rules and
// on the records that were pushed, and on nothing else.
type Book struct {
	calendars *market.Calendars
	rules     []*Rule // by id
	symbols   map[market.Symbol]*symbol
	feeds     map[string]*feedClock
	left      uint64 // ticks of symbols beyond MaxSymbols
	pushed    []Alarm
}

// feedClock is how far a feed has come, and the symbols that came from it.
type feedClock struct {
	now     market.Time
	symbols []*symbol
}

// watch is a rule for one symbol.
type watch struct {
	rule   *Rule
	symbol *symbol
	when   view
	until  view
	text   []view

	met   bool
	since market.Time // the condition has been met since, when met
	fired bool        // since it was armed; it is armed anew before it fires again
	ever  bool
	last  market.Time // when it fired last, if ever
	seq   uint64      // the seq that it fired with last
}

// NewBook returns a book without rules. Calendars say when a trading day begins; nil knows no days.
func NewBook(calendars *market.Calendars) *Book {
	return &Book{calendars: calendars, symbols: map[market.Symbol]*symbol{}, feeds: map[string]*feedClock{}}
}

// SetRules replaces the rules. A rule with the id and the words of one that was there keeps its state; any other begins anew.
// On an error, which names the rule, nothing has changed.
func (b *Book) SetRules(rules []Rule) error {
	if len(rules) > MaxRules {
		return fmt.Errorf("%w: %d rules, more than %d", ErrRule, len(rules), MaxRules)
	}
	ready := make([]*Rule, 0, len(rules))
	for _, r := range rules {
		if r.ID == "" {
			return fmt.Errorf("%w %q: it has no id", ErrRule, clip(r.Name))
		}
		if err := r.check(); err != nil {
			return err
		}
		ready = append(ready, &r)
	}
	slices.SortFunc(ready, func(x, y *Rule) int { return cmp.Compare(x.ID, y.ID) })
	for i := 1; i < len(ready); i++ {
		if ready[i].ID == ready[i-1].ID {
			return fmt.Errorf("%w: two have the id %q", ErrRule, ready[i].ID)
		}
	}
	b.rules = ready
	for _, s := range b.symbols {
		b.attach(s)
	}
	return nil
}

// attach gives a symbol the watches of the rules that match it, and takes away what no rule looks at any more.
func (b *Book) attach(s *symbol) {
	before := s.watches
	s.watches = nil
	for _, r := range b.rules {
		if r.Off || !r.matches(s.name) {
			continue
		}
		w := &watch{rule: r, symbol: s}
		w.when = s.look(r.when)
		if r.until != nil {
			w.until = s.look(r.until)
		}
		for _, p := range r.text.parts {
			if p.value != nil {
				w.text = append(w.text, s.look(p.value))
			}
		}
		if i := slices.IndexFunc(before, func(o *watch) bool { return o.rule.sameAs(r) }); i >= 0 {
			w.resume(before[i])
		}
		s.watches = append(s.watches, w)
	}
	looked := func(is func(v *view) bool) bool {
		return slices.ContainsFunc(s.watches, func(w *watch) bool { return slices.ContainsFunc(w.views(), is) })
	}
	s.windows = slices.DeleteFunc(s.windows, func(x *window) bool {
		return !looked(func(v *view) bool { return slices.Contains(v.windows, x) })
	})
	s.averages = slices.DeleteFunc(s.averages, func(x *average) bool {
		return !looked(func(v *view) bool { return slices.Contains(v.averages, x) })
	})
}

// sameAs reports whether the state of a rule means the same for another.
func (r *Rule) sameAs(o *Rule) bool {
	return r.ID == o.ID && r.When == o.When && r.Until == o.Until && r.For == o.For && r.Once == o.Once
}

// resume takes over the state of a watch of the same conditions.
func (w *watch) resume(o *watch) {
	w.met, w.since, w.fired, w.ever, w.last, w.seq = o.met, o.since, o.fired, o.ever, o.last, o.seq
	copy(w.when.memory, o.when.memory)
	copy(w.until.memory, o.until.memory)
}

// views returns what the watch looks through.
func (w *watch) views() []*view {
	list := []*view{&w.when, &w.until}
	for i := range w.text {
		list = append(list, &w.text[i])
	}
	return list
}

// symbol returns what is known of a symbol, nil when there are too many.
func (b *Book) symbol(name market.Symbol, feed string) *symbol {
	s := b.symbols[name]
	if s != nil {
		return s
	}
	if len(b.symbols) == MaxSymbols {
		b.left++
		return nil
	}
	s = &symbol{name: name, feed: feed, calendar: b.calendar(name)}
	b.symbols[name] = s
	f := b.feed(feed)
	f.symbols = append(f.symbols, s)
	b.attach(s)
	return s
}

// calendar returns the trading days of a symbol, nil when none are known.
func (b *Book) calendar(name market.Symbol) *market.Calendar {
	if b.calendars == nil {
		return nil
	}
	return b.calendars.For(name.Venue())
}

func (b *Book) feed(name string) *feedClock {
	f := b.feeds[name]
	if f == nil {
		f = &feedClock{}
		b.feeds[name] = f
	}
	return f
}

// Push takes in a record and returns the alarms that it causes, in the order of its entries and of the rules' ids. The slice is
// used again by the next Push.
func (b *Book) Push(rec *tape.Record) []Alarm {
	b.pushed = b.pushed[:0]
	f := b.feed(rec.Feed)
	for i := range rec.Entries {
		e := &rec.Entries[i]
		if e.Flags&market.FlagHistory != 0 { // the past of somewhere else
			continue
		}
		switch e.Kind {
		case market.KindTrade, market.KindQuote:
			b.tick(rec.Feed, f, e)
		case market.KindHeartbeat:
			f.now = max(f.now, e.Event)
			for _, s := range f.symbols {
				b.look(s, f.now, func(p *Program) bool { return p.time })
			}
		case market.KindGap:
			b.gap(f, e)
		case market.KindStatus, market.KindAlarm, market.KindBar:
		}
	}
	return b.pushed
}

// tick takes in a trade or a quote.
func (b *Book) tick(feed string, f *feedClock, e *market.Entry) {
	s := b.symbol(e.Symbol, feed)
	if s == nil {
		return
	}
	if late := e.Received + market.Minute; e.Received != 0 && e.Event > late && e.Flags&market.FlagImported == 0 {
		// A time in the far future is the venue's mistake; windows must not stand still until then.
		moved := *e
		moved.Event = late
		e = &moved
	}
	f.now = max(f.now, e.Event)
	if e.Kind == market.KindTrade {
		s.trade(e)
		b.look(s, f.now, nil)
	} else {
		s.quote(e)
		b.look(s, f.now, func(p *Program) bool { return p.quotes || p.time })
	}
	s.gap = false
}

// gap takes in a gap of a symbol, or of all of a feed.
func (b *Book) gap(f *feedClock, e *market.Entry) {
	if e.Flags&market.FlagFilled != 0 {
		return
	}
	for _, s := range f.symbols {
		if e.Symbol == "" || e.Symbol == s.name {
			s.gap = true
			b.look(s, f.now, func(p *Program) bool { return p.gaps })
		}
	}
}

// look evaluates the rules of a symbol that have to do with what happened; touches is nil when all have.
func (b *Book) look(s *symbol, now market.Time, touches func(*Program) bool) {
	for _, w := range s.watches {
		if touches != nil && !touches(w.rule.when) && (w.rule.until == nil || !touches(w.rule.until)) && !(w.met && w.rule.For > 0) {
			continue
		}
		if !w.observe(now) || !isOpen(w.rule, s, now) {
			continue
		}
		for _, v := range w.views() {
			v.now = now
		}
		b.pushed = append(b.pushed, w.fire(now))
	}
}

// isOpen reports whether a rule may fire now.
func isOpen(r *Rule, s *symbol, now market.Time) bool {
	if r.expires != 0 && now >= r.expires {
		return false
	}
	if r.Session == "" || s.calendar == nil {
		return true
	}
	session, ok := s.calendar.SessionAt(now)
	return ok && session.Kind == market.SessionRegular
}

// observe evaluates the conditions, and reports whether the rule is to fire.
func (w *watch) observe(now market.Time) bool {
	w.when.now, w.until.now = now, now
	met := w.rule.when.root.eval(&w.when) == 1
	again := !met
	if w.rule.until != nil {
		again = w.rule.until.root.eval(&w.until) == 1
	}
	if again {
		w.fired = false
	}
	if met && !w.met {
		w.since = now
	}
	w.met = met
	return met && !w.fired && now-w.since >= market.Time(w.rule.For) &&
		(!w.ever || !w.rule.Once && now-w.last >= market.Time(w.rule.Cooldown))
}

// fire notes that the rule fired, and says so.
func (w *watch) fire(now market.Time) Alarm {
	s := w.symbol
	id := w.rule.ID + ":" + string(s.name) + ":" + strconv.FormatUint(s.seq, 10)
	if w.ever && w.seq == s.seq { // without a trade in between, by quotes or by the clock
		id += "@" + strconv.FormatInt(int64(now), 10)
	}
	w.fired, w.ever, w.last, w.seq = true, true, now, s.seq
	return Alarm{
		ID: id, Rule: w.rule.ID, Symbol: s.name, Seq: s.seq, Event: now, Price: s.last.price, Text: w.rule.text.write(s, now, w.text),
		Severity: w.rule.Severity,
	}
}

// Left returns how many ticks were not looked at because there were more than MaxSymbols symbols.
func (b *Book) Left() uint64 { return b.left }

// Rules returns the rules by id.
func (b *Book) Rules() []Rule {
	list := make([]Rule, len(b.rules))
	for i, r := range b.rules {
		list[i] = *r
	}
	return list
}
