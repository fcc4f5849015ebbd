package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
)

// receiptMost bounds each list of a receipt, and receiptLate how many late trades are put in the order of their arrival.
const (
	receiptMost  = 1000
	receiptUsual = 100
	receiptLate  = 1 << 17
)

// receiptAfter is how long after the end of a bar a trade must have been received to count as late: the time that bars are held open.
const receiptAfter = market.Second

// receipt is how the trades of a bar made it. It is computed by itself, from the rules, and not by what made the bar: that both
// agree is what a receipt is for.
type receipt struct {
	symbol   market.Symbol
	interval market.Interval
	start    market.Time
	end      market.Time
	rules    *market.Rules
	days     *market.Lookup
	limit    int
	after    *market.TickKey

	// A trade beyond the last of the bar that was received since has come while the receipt is made: it is in none of it.
	through uint64
	since   market.Time

	sum    barTally
	onTime barTally    // without the late trades
	closed market.Time // when the bar was closed, by the clock of who received the trades; 0 when nothing came after
	late   []lateTrade // in the order of arrival once they are all there
	more   uint64      // late trades beyond receiptLate

	open, high, low, last market.Entry // the trades that made the prices; Kind is 0 when there is none
	trades                []market.Entry
	next                  bool // there are more than trades has
	leftOut               []leftOut
	outCount              uint64
	reasons               map[string]uint64
}

// leftOut is a trade that did not count for all of a bar, and why.
type leftOut struct {
	trade market.Entry
	what  market.Effect // that it did not count for
	why   string
}

// lateTrade is a trade that came after the bar was closed, as far as it matters to the bar.
type lateTrade struct {
	seq             uint64
	event, received market.Time
	price           market.Decimal
	size            market.Decimal
	effect          market.Effect
}

// barTally is a bar in the making, by the rules that docs/protocol.md gives: the open is of the earliest trade that may set a high and a low, the
// close of the latest that may set the last price or, when there is none, that of the open.
type barTally struct {
	priced, closed           bool
	open, high, low, last    market.Decimal
	openAt, highAt           market.TickKey
	lowAt, lastAt            market.TickKey
	volume, turnover         market.Wide
	count, firstSeq, lastSeq uint64
}

// precedes orders trades as bars do.
func precedes(a, b market.TickKey) bool {
	return a.Event < b.Event || a.Event == b.Event && a.Seq < b.Seq
}

// add takes in a trade. It reports which of open, high, low and close it is now.
func (t *barTally) add(key market.TickKey, price, size market.Decimal, e market.Effect) (set [4]bool, err error) {
	if e.Has(market.EffectVolume) {
		turnover, err := market.Product(price, size)
		if err != nil {
			return set, err
		}
		volume, err := t.volume.Add(market.WideOf(size))
		if err != nil {
			return set, err
		}
		if turnover, err = t.turnover.Add(turnover); err != nil {
			return set, err
		}
		t.volume, t.turnover = volume, turnover
		t.count++
	}
	if t.firstSeq == 0 || key.Seq < t.firstSeq {
		t.firstSeq = key.Seq
	}
	t.lastSeq = max(t.lastSeq, key.Seq)
	if !e.Has(market.EffectHighLow) {
		return set, nil
	}
	// Of equal prices the first one counts, with the digits of the one that has most.
	if !t.priced || precedes(key, t.openAt) {
		t.open, t.openAt, set[0] = price, key, true
	}
	if !t.priced || t.high.Less(price) || !price.Less(t.high) && precedes(key, t.highAt) {
		price, was := price, t.high
		if t.priced && !was.Less(price) && was.Exp() < price.Exp() {
			price = was
		}
		t.high, t.highAt, set[1] = price, key, true
	} else if !price.Less(t.high) && price.Exp() < t.high.Exp() {
		t.high = price
	}
	if !t.priced || price.Less(t.low) || !t.low.Less(price) && precedes(key, t.lowAt) {
		price, was := price, t.low
		if t.priced && !price.Less(was) && was.Exp() < price.Exp() {
			price = was
		}
		t.low, t.lowAt, set[2] = price, key, true
	} else if !t.low.Less(price) && price.Exp() < t.low.Exp() {
		t.low = price
	}
	if e.Has(market.EffectLast) && (!t.closed || precedes(t.lastAt, key)) {
		t.last, t.lastAt, t.closed, set[3] = price, key, true, true
	}
	t.priced = true
	if !t.closed {
		t.last = t.open
	}
	return set, nil
}

// bar returns the barTally as a bar.
func (t *barTally) bar(of *market.Bar) market.Bar {
	b := *of
	b.Open, b.High, b.Low, b.Close = t.open, t.high, t.low, t.last
	b.Volume, b.Turnover, b.Count = t.volume, t.turnover, t.count
	b.OpenAt, b.OpenSeq, b.CloseAt, b.CloseSeq = t.openAt.Event, t.openAt.Seq, t.lastAt.Event, t.lastAt.Seq
	b.FirstSeq, b.LastSeq, b.Priced = t.firstSeq, t.lastSeq, t.priced
	return b
}

// sameTrades reports whether two bars are the same in all that trades decide.
func sameTrades(a, b *market.Bar) bool {
	if a.Volume.Cmp(b.Volume) != 0 || a.Turnover.Cmp(b.Turnover) != 0 || a.Count != b.Count || a.Priced != b.Priced ||
		a.FirstSeq != b.FirstSeq || a.LastSeq != b.LastSeq {
		return false
	}
	return !a.Priced || a.Open == b.Open && a.High == b.High && a.Low == b.Low && a.Close == b.Close && a.OpenSeq == b.OpenSeq && a.CloseSeq == b.CloseSeq
}

// effect returns what a trade does to the bar, and why it does not do the rest.
func (r *receipt) effect(e *market.Entry) (market.Effect, string) {
	if e.Flags&market.FlagImported == 0 && e.Received != 0 && e.Event-e.Received > earlyBefore {
		return 0, "its time is more than ten seconds after its receipt"
	}
	if e.Size.Sign() < 0 {
		return 0, "its size is below zero"
	}
	all := r.rules.Effects(e.Conditions)
	day := r.days.Day(e.Event)
	session, open := day.SessionAt(e.Event)
	kind := session.Kind
	got, which := all.Intraday, func(x market.Effects) market.Effect { return x.Intraday }
	if kind != market.SessionRegular {
		got, which = all.Extended, func(x market.Effects) market.Effect { return x.Extended }
		if regular, ok := day.Regular(); ok && all.Closing && e.Event >= regular.Close {
			kind = market.SessionRegular
		}
	}
	if _, fixed := r.interval.Fixed(); !fixed {
		if !r.days.Calendar().MakesDays(day.Date, kind) {
			if !open {
				return 0, "it is outside all sessions"
			}
			return 0, "it is in the " + session.Kind.String() + " session, which does not make days"
		}
		got, which = all.Day, func(x market.Effects) market.Effect { return x.Day }
	}
	if got == market.EffectAll {
		return got, ""
	}
	for code := range strings.SplitSeq(e.Conditions, ",") {
		if which(r.rules.Effects(code)) != market.EffectAll {
			return got, "condition " + code
		}
	}
	return got, "its conditions"
}

// take takes in the next trade by the venue's time.
func (r *receipt) take(e *market.Entry) error {
	key := market.TickKey{Event: e.Event, Seq: e.Seq}
	effect, why := r.effect(e)
	if effect != 0 && e.Seq > r.through && e.Received > r.since {
		return nil
	}
	if effect != market.EffectAll {
		r.outCount++
		r.reasons[why]++
		if len(r.leftOut) < receiptMost {
			r.leftOut = append(r.leftOut, leftOut{*e, market.EffectAll &^ effect, why})
		}
	}
	if effect == 0 {
		return nil
	}
	set, err := r.sum.add(key, e.Price, e.Size, effect)
	if err != nil {
		return fmt.Errorf("trade %d of %s: %w", e.Seq, e.Symbol, err)
	}
	switch {
	case r.closed == 0 || e.Received <= r.closed || e.Flags&(market.FlagImported|market.FlagHistory) != 0:
		if _, err := r.onTime.add(key, e.Price, e.Size, effect); err != nil {
			return fmt.Errorf("trade %d of %s: %w", e.Seq, e.Symbol, err)
		}
	case len(r.late) < receiptLate:
		r.late = append(r.late, lateTrade{e.Seq, e.Event, e.Received, e.Price, e.Size, effect})
	default:
		r.more++
	}
	for i, to := range [...]*market.Entry{&r.open, &r.high, &r.low, &r.last} {
		if set[i] {
			*to = *e
		}
	}
	if r.after != nil && !precedes(*r.after, key) {
		return nil
	}
	if len(r.trades) == r.limit {
		r.next = true
		return nil
	}
	r.trades = append(r.trades, *e)
	return nil
}

// revision is what a late trade changed.
type revision struct {
	trade         lateTrade
	before, after barTally
}

// revisions returns what the late trades changed, in the order in which they came: the bar of the others, and then one after the other. It
// returns nothing when there are more than can be put in order.
func (r *receipt) revisions() ([]revision, error) {
	if r.more > 0 {
		return nil, nil
	}
	slices.SortFunc(r.late, func(a, b lateTrade) int { return cmp.Compare(a.seq, b.seq) })
	list := make([]revision, 0, min(len(r.late), receiptMost))
	t := r.onTime
	for _, l := range r.late[:cap(list)] {
		before := t
		if _, err := t.add(market.TickKey{Event: l.event, Seq: l.seq}, l.price, l.size, l.effect); err != nil {
			return nil, err
		}
		list = append(list, revision{l, before, t})
	}
	return list, nil
}

// findClose finds out when the bar was closed: a second after its end, and later by as much as its feed is behind, which is the least that
// the first of its trades were received after they happened.
func (r *receipt) findClose(ctx context.Context, h History) error {
	lag := market.Time(math.MaxInt64)
	q := r.query()
	q.Limit = recentTicks
	err := h.Ticks(ctx, q, func(row *market.Row) error {
		lag = min(lag, max(row.Received-row.Event, 0))
		return nil
	})
	if err == nil && lag != math.MaxInt64 {
		r.closed = r.end + receiptAfter + lag
	}
	return err
}

// query asks for all trades that may be in the bar.
func (r *receipt) query() market.TickQuery {
	return market.TickQuery{Kind: market.KindTrade, Symbol: r.symbol, From: r.start, To: r.end, Limit: math.MaxInt}
}

// receiptQuery is what a receipt is asked for.
type receiptQuery struct {
	named
	interval market.Interval
	t        market.Time
	at       market.Time
	limit    int
	after    *market.TickKey
}

func (g *Gateway) receiptQuery(r *http.Request) (q receiptQuery, err error) {
	p, err := parseParams(r, "symbol", "timeframe", "t", "limit", "page_token", atParam)
	if err != nil {
		return q, err
	}
	if q.named, err = g.symbol("symbol", p["symbol"]); err != nil {
		return q, err
	}
	if q.interval, err = market.ParseInterval(p["timeframe"]); err != nil {
		return q, bad("timeframe", p["timeframe"], err.Error())
	}
	if p["t"] == "" {
		return q, bad("t", "", "it must be given: a moment within the bar")
	}
	if q.t, _, err = instant("t", p["t"]); err != nil {
		return q, err
	}
	if q.at, err = p.moment(); err != nil {
		return q, err
	}
	if q.limit, err = p.count(receiptUsual, receiptMost); err != nil {
		return q, err
	}
	if text := p["page_token"]; text != "" {
		token, err := parseToken(text)
		if err != nil || token.symbol != q.symbol || token.hash != receiptHash {
			return q, bad("page_token", text, "the token is not of this receipt: ask the same again with the token added")
		}
		q.after = &token.key
	}
	return q, nil
}

// receiptHash tells the tokens of receipts from those of pages.
const receiptHash = 0x72637074

// tellReceipt serves GET /v1/receipt.
func (g *Gateway) tellReceipt(w http.ResponseWriter, req *http.Request) error {
	q, err := g.receiptQuery(req)
	if err != nil {
		return err
	}
	cal := g.opt.Calendars.For(q.symbol.Venue())
	start, end, err := candle.Roller{Interval: q.interval, Calendar: cal}.Bounds(q.t)
	if err != nil {
		return bad("t", q.t.String(), "there are bars from the year 1685 to 2254 only")
	}
	history := g.historyAt(q.at)
	bars, _, err := history.Bars(req.Context(), market.BarQuery{Symbol: q.symbol, Interval: q.interval, From: notZero(start), To: notZero(start + 1), Limit: 1}, nil)
	if err != nil {
		return err
	}
	if len(bars) == 0 || !bars[0].Priced {
		return &problem{status: http.StatusNotFound, parameter: "t", value: q.t.String(), detail: "there is no bar at this time: nothing traded that sets a price"}
	}
	rules, err := g.rules(q.symbol.Venue())
	if err != nil {
		return err
	}
	r := &receipt{
		symbol: q.symbol, interval: q.interval, start: notZero(start), end: notZero(end), rules: rules, days: cal.Lookup(), limit: q.limit, after: q.after,
		reasons: make(map[string]uint64),
	}
	r.through, r.since = bars[0].LastSeq, math.MaxInt64
	switch {
	case q.at != 0: // nothing comes any more
	case bars[0].Final:
		r.since = market.FromStd(time.Now()) - silence
	default:
		r.since = math.MinInt64
	}
	var list []revision
	if !bars[0].Imported {
		if bars[0].Rev > 0 || q.at != 0 { // else nothing changed after it closed
			if err := r.findClose(req.Context(), history); err != nil {
				return err
			}
		}
		err := history.Ticks(req.Context(), r.query(), func(row *market.Row) error { return r.take(&row.Entry) })
		if err != nil {
			return err
		}
		if list, err = r.revisions(); err != nil {
			return err
		}
	}
	spans, err := g.coverageOf(req.Context(), q.symbol, q.at, bars[:1])
	if err != nil {
		return err
	}
	setAt(w, q.at)
	w.Header().Set(AdjustmentHeader, "raw")
	a := g.answer(w, "application/json")
	a.b = r.append(a.b, &bars[0], cal.Name(), list, spans)
	return a.finish(nil)
}

// notZero is a time that leaves no end of a query open.
func notZero(t market.Time) market.Time {
	if t == 0 {
		return 1 // nothing is stamped with 0
	}
	return t
}
