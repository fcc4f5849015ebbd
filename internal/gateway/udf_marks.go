package gateway

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// GapHistory is history that knows where it may be incomplete. History need not; gaps are then told as far as they are in memory.
type GapHistory interface {
	// EachGap calls yield for the gaps of a symbol and of its feed that overlap the span from ≤ time < to, the oldest first, until
	// yield returns an error, which is then returned. A gap whose Until is 0 has no known time.
	EachGap(ctx context.Context, symbol market.Symbol, from, to market.Time, yield func(market.Gap) error) error
}

// What the chart draws of marks.
const (
	marksOfBar = 10   // it leaves out those beyond
	marksMost  = 2000 // in one answer
)

// mark is something that happened while a bar was made.
type mark struct {
	at          market.Time
	id          string
	color       string
	label, text string
	bar         *market.Bar
}

// marks serves /udf/marks: alarms and gaps, at the bars that they fall into.
func (u *udf) marks(w http.ResponseWriter, r *http.Request) error {
	return u.writeMarks(w, r, func(b []byte, m *mark) []byte {
		b = appendString(append(b, `,"text":`...), m.text)
		return append(b, `,"labelFontColor":"#ffffff","minSize":14`...)
	})
}

// timescaleMarks serves /udf/timescale_marks: the same below the chart.
func (u *udf) timescaleMarks(w http.ResponseWriter, r *http.Request) error {
	return u.writeMarks(w, r, func(b []byte, m *mark) []byte {
		b = appendString(append(b, `,"tooltip":[`...), m.text)
		return append(b, `],"shape":"circle"`...)
	})
}

func (u *udf) writeMarks(w http.ResponseWriter, r *http.Request, rest func([]byte, *mark) []byte) error {
	p, err := udfParams(r)
	if err != nil {
		return err
	}
	s, err := u.span(p, true)
	if err != nil {
		return err
	}
	list, err := u.marksOf(r.Context(), &s)
	if err != nil {
		return err
	}
	setAt(w, s.at)
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, '[')
	for i := range list {
		m := &list[i]
		if i > 0 {
			a.b = append(a.b, ',')
		}
		a.b = appendString(append(a.b, `{"id":`...), m.id)
		a.b = strconv.AppendInt(append(a.b, `,"time":`...), s.clock.label(m.bar), 10)
		a.b = appendString(append(a.b, `,"color":`...), m.color)
		a.b = appendString(append(a.b, `,"label":`...), m.label)
		a.b = append(rest(a.b, m), '}')
	}
	a.b = append(a.b, ']', '\n')
	return a.finish(nil)
}

// marksOf returns the marks of the bars of a span. A mark must have the time of a bar, and what happened while there was none belongs
// to the last one before: whatever span is asked for, it is at the same bar, and at no other.
func (u *udf) marksOf(ctx context.Context, s *barSpan) ([]mark, error) {
	bars, err := u.bars(ctx, s, udfBars)
	if err != nil || len(bars) == 0 {
		return nil, err
	}
	from, to := bars[0].Start, market.Time(math.MaxInt64)
	next, _, err := s.history.Bars(ctx, market.BarQuery{
		Symbol: s.symbol, Interval: s.clock.interval, From: bars[len(bars)-1].End, Limit: 1,
	}, nil)
	if err != nil {
		return nil, err
	}
	if len(next) > 0 {
		to = next[0].Start
	}
	var list []mark
	add := func(m mark) {
		if m.at >= from && m.at < to && len(list) < marksMost && (s.at == 0 || m.at <= s.at) {
			list = append(list, m)
		}
	}
	var gaps []market.Gap
	note := func(g market.Gap) error {
		// What is not over at a moment was not known to be a gap, and that one was filled was known later still.
		if g.To != 0 && len(gaps) < marksMost && (s.at == 0 || g.To <= s.at) {
			gaps = append(gaps, g)
		}
		return ctx.Err()
	}
	if h, ok := u.g.opt.History.(GapHistory); !ok {
		u.recent(s.symbol, add, note)
	} else {
		u.recent(s.symbol, add, func(market.Gap) error { return nil })
		if err := h.EachGap(ctx, s.symbol, from, to, note); err != nil {
			return nil, err
		}
	}
	eachGapMark(gaps, add)
	slices.SortStableFunc(list, func(a, b mark) int { return cmp.Compare(a.at, b.at) })
	return settle(list, bars), nil
}

// settle gives each mark its bar, and folds those together that the chart would leave out.
func settle(list []mark, bars []market.Bar) []mark {
	placed := list[:0]
	count := 0
	for _, m := range list {
		i := sort.Search(len(bars), func(i int) bool { return bars[i].Start > m.at }) - 1
		m.bar = &bars[i]
		if n := len(placed); n == 0 || placed[n-1].bar != m.bar {
			count = 0
		}
		if count++; count <= marksOfBar {
			placed = append(placed, m)
			continue
		}
		last := &placed[len(placed)-1]
		if count == marksOfBar+1 {
			last.id, last.label = last.id+"+", "+"
		}
		last.text = strconv.Itoa(count-marksOfBar+1) + " more"
	}
	return placed
}

// recent tells of the alarms and the gaps of a symbol that are in memory.
func (u *udf) recent(symbol market.Symbol, add func(mark), gap func(market.Gap) error) {
	id, _, _ := u.g.hub.find(string(symbol))
	feed := u.g.hub.listing(id).feed
	u.g.hub.mu.RLock()
	blocks := slices.Clone(u.g.hub.blocks[u.g.hub.first:])
	u.g.hub.mu.RUnlock()
	for _, b := range blocks {
		for i := range b.events {
			ev := &b.events[i]
			e := &b.rec.Entries[ev.entry]
			switch {
			case ev.channel == chAlerts && e.Symbol == symbol:
				add(mark{
					at: e.Event, id: "alarm-" + strconv.FormatUint(uint64(b.rec.Position), 10) + "-" + strconv.Itoa(int(ev.entry)),
					color: "blue", label: "A", text: harmless(e.Text),
				})
			case ev.channel == chGaps && (e.Symbol == symbol || e.Symbol == "" && (b.rec.Feed == feed || b.rec.Feed == "")):
				if gap(e.Gap()) != nil {
					return
				}
			}
		}
	}
}

// eachGapMark makes the marks of gaps. What fills a gap comes as another one that says so; it is told with the gap that it covers,
// and by itself when it covers none.
func eachGapMark(gaps []market.Gap, add func(mark)) {
	covers := make([]bool, len(gaps))
	for i := range gaps {
		g := &gaps[i]
		if g.Flags&market.FlagFilled != 0 {
			continue
		}
		filled := false
		for j := range gaps {
			f := &gaps[j]
			if f.Flags&market.FlagFilled != 0 && f.Symbol == g.Symbol && f.From <= g.From && f.To >= g.To {
				filled, covers[j] = true, true
			}
		}
		add(gapMark(g, filled))
	}
	for j := range gaps {
		if gaps[j].Flags&market.FlagFilled != 0 && !covers[j] {
			add(gapMark(&gaps[j], true))
		}
	}
}

// gapMark is the mark of a gap. Its name lasts: the chart keeps marks by it.
func gapMark(g *market.Gap, filled bool) mark {
	const ms = market.Second / 1000
	text := "Ticks may be missing from " + g.From.Floor(ms).String() + " to " + g.To.Floor(ms).String()
	if g.Reason != "" {
		text += ": " + g.Reason
	}
	m := mark{
		at: g.From, id: "gap-" + string(g.Symbol) + "-" + strconv.FormatInt(int64(g.From), 10) + "-" + strconv.FormatInt(int64(g.To), 10),
		color: "red", label: "G",
	}
	if filled {
		m.color, text = "green", text+". They were fetched later"
	}
	m.text = harmless(text)
	return m
}

// harmless takes from a text what a page that shows it as HTML would run.
func harmless(s string) string {
	return strings.NewReplacer("<", "‹", ">", "›").Replace(s)
}
