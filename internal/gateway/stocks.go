package gateway

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/candle"
	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// CursorHeader names the response header that tells as of which position on the tape an answer was computed. Who subscribes from
// there misses nothing and gets nothing twice.
const CursorHeader = "Tapedeck-Cursor"

// AdjustmentHeader names the response header that says what bars were adjusted for. It is always raw: for nothing.
const AdjustmentHeader = "Tapedeck-Adjustment"

// dataRoutes registers the historical endpoints, under the names of the libraries for stocks and of those for crypto.
func (g *Gateway) dataRoutes(mux registrar) {
	const stocks, one, crypto = "/v2/stocks", "/v2/stocks/{symbol}", "/v1beta3/crypto/us"
	// Exports may be long. They never take more than half of what all questions have.
	exports := make(slots, max(1, g.opt.Limits.Queries/2))
	data := func(what string, rows, all, newest handler) {
		for _, prefix := range []string{stocks, one, crypto} {
			g.rows(mux, prefix+"/"+what, exports, rows, all)
		}
		g.read(mux, stocks+"/"+what+"/latest", newest)
		g.read(mux, one+"/"+what+"/latest", newest)
		g.read(mux, crypto+"/latest/"+what, newest)
	}
	newest := map[market.Kind]handler{
		market.KindTrade: g.latest("trades", partTrade, pickTrade), market.KindQuote: g.latest("quotes", partQuote, pickQuote),
	}
	for what, kind := range map[string]market.Kind{"trades": market.KindTrade, "quotes": market.KindQuote} {
		data(what, g.ticks(kind, what), g.allTicks(kind, what), newest[kind])
	}
	data("bars", g.bars, g.allBars, g.latest("bars", partMinute, pickMinute))
	g.read(mux, stocks+"/snapshots", g.snapshots(""))
	g.read(mux, one+"/snapshot", g.snapshots(""))
	g.read(mux, crypto+"/snapshots", g.snapshots("snapshots"))
}

// dataParams are the parameters of Alpaca's historical endpoints, beside page_token. Those that choose among Alpaca's own sources are
// taken and make no difference here.
func dataParams(more ...string) []string {
	return append(more, "start", "end", "limit", "sort", "format", "feed", "asof", "currency", atParam)
}

// pageQuery is a question for ticks or bars of a few symbols, a page at a time or all at once.
type pageQuery struct {
	from, to   market.Time
	today      bool        // neither start nor end was given
	newest     market.Time // then, the time of the newest tick
	limit      int
	descending bool
	format     string
	hash       uint32
	token      *pageToken
	symbols    []named
	at         market.Time // moment that the answer is as of; 0 is now
	history    History     // as of it
}

// pageQuery reads the parameters that the historical endpoints share. The hash stands for all that must not change between pages.
// The limit is at most most, and usual when it is not given.
func (g *Gateway) pageQuery(ctx context.Context, p params, what string, symbols []named, usual, most int) (*pageQuery, error) {
	q := &pageQuery{symbols: symbols}
	var err error
	if q.format, err = p.choice("format", append([]string{"json"}, ExportFormats()...)...); err != nil {
		return nil, err
	}
	if q.at, err = p.moment(); err != nil {
		return nil, err
	}
	q.history = g.historyAt(q.at)
	if q.from, q.to, err = p.span("start", "end", true); err != nil {
		return nil, err
	}
	if q.limit, err = p.count(usual, most); err != nil {
		return nil, err
	}
	sort, err := p.choice("sort", "asc", "desc")
	if err != nil {
		return nil, err
	}
	q.descending = sort == "desc"
	h := fnv.New32a()
	b := []byte(what + sort)
	for _, s := range symbols {
		b = append(append(b, ','), s.symbol...)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(q.from))
	b = binary.LittleEndian.AppendUint64(b, uint64(q.to))
	if q.at != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(q.at))
	}
	_, _ = h.Write(b) // a hash takes everything
	q.hash = h.Sum32()
	text := p["page_token"]
	if text == "" {
		if q.today = p["start"] == "" && p["end"] == ""; q.today {
			if err := g.beginToday(ctx, q); err != nil {
				return nil, err
			}
		}
		return q, nil
	}
	t, err := parseToken(text)
	if err != nil {
		return nil, bad("page_token", text, err.Error())
	}
	i := slices.IndexFunc(symbols, func(n named) bool { return n.symbol == t.symbol })
	if t.hash != q.hash || i < 0 {
		return nil, bad("page_token", text, "the token is of another question: ask the same again with the token added")
	}
	q.token = &t
	q.from = t.from
	q.symbols = symbols[i:]
	return q, nil
}

// beginToday lets an answer that was asked for without a start and an end begin at midnight (UTC) before the newest tick of the symbols,
// or before now if that is earlier: as at Alpaca for a live market, and of use for one that is played from a file.
func (g *Gateway) beginToday(ctx context.Context, q *pageQuery) error {
	// An export has all the time that its client reads for, but not for this.
	ctx, cancel := context.WithTimeout(ctx, g.opt.Limits.QueryTime)
	defer cancel()
	news, _, err := g.newestAt(ctx, q.at, q.symbols, partTrade|partQuote)
	if err != nil {
		return err
	}
	for i := range news {
		q.newest = max(q.newest, news[i].trade.Event, news[i].quote.Event)
	}
	now := q.at
	if now == 0 {
		now = market.FromStd(time.Now())
	}
	q.newest = min(q.newest, now)
	q.from = q.newest.Floor(24 * market.Hour)
	return nil
}

// asked reads the parameters of a request, of which those in known are allowed, and the symbols that it names: the one in its
// path, or else those in the parameter symbols.
func (g *Gateway) asked(r *http.Request, known ...string) (p params, list []named, single bool, err error) {
	text := r.PathValue("symbol")
	if single = text != ""; !single {
		known = append(known, "symbols")
	}
	if p, err = parseParams(r, known...); err != nil {
		return nil, nil, single, err
	}
	if single {
		n, err := g.atVendor("symbol", text)
		return p, []named{n}, true, err
	}
	list, err = g.symbols(p, g.atVendor)
	return p, list, false, err
}

// usualPage is how many rows a page has when it is not said, as at Alpaca.
const usualPage = 1000

// ticks serves /v2/stocks/{symbol}/trades and its like for quotes and several symbols.
func (g *Gateway) ticks(kind market.Kind, what string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, list, single, err := g.asked(r, dataParams("page_token")...)
		if err != nil {
			return err
		}
		q, err := g.pageQuery(r.Context(), p, what, list, usualPage, g.opt.Limits.Page)
		if err != nil {
			return err
		}
		a := g.answer(w, "application/json")
		page := &pageWriter{answer: a, single: single, what: what, left: q.limit}
		page.open()
		setAt(w, q.at)
		err = q.eachTick(r.Context(), kind, page)
		page.close(q)
		return a.finish(err)
	}
}

// eachTick writes the ticks of a page.
func (q *pageQuery) eachTick(ctx context.Context, kind market.Kind, page *pageWriter) error {
	for i, n := range q.symbols {
		tq := market.TickQuery{
			Kind: kind, Symbol: n.symbol, From: q.from, To: q.to, Limit: page.left + 1, Descending: q.descending,
		}
		if q.token != nil && i == 0 {
			tq.After = &q.token.key
		}
		page.begin(n)
		err := q.history.Ticks(ctx, tq, func(row *market.Row) error {
			if !page.row(market.TickKey{Event: row.Event, Seq: row.Seq}) {
				return nil
			}
			page.b = append(page.b, '{')
			if kind == market.KindTrade {
				page.b = appendTrade(page.b, &row.Entry)
			} else {
				page.b = appendQuote(page.b, &row.Entry)
			}
			return page.room()
		})
		page.end()
		if err != nil || page.full {
			return err
		}
	}
	return nil
}

// adjustments are what Alpaca can adjust bars for. We know of no splits and no dividends: the names are taken, and the bars are as
// they were traded.
func adjustments() []string { return []string{"raw", "split", "dividend", "spin-off", "all"} }

// askedBars reads the parameters of a question for bars.
func (g *Gateway) askedBars(r *http.Request, usual, most int, more ...string) (q *pageQuery, v market.Interval, single bool, err error) {
	p, list, single, err := g.asked(r, dataParams(append(more, "timeframe", "adjustment")...)...)
	if err != nil {
		return nil, v, single, err
	}
	if text, ok := p["adjustment"]; ok {
		for a := range strings.SplitSeq(text, ",") {
			if !slices.Contains(adjustments(), a) {
				return nil, v, single, bad("adjustment", text, "it must be of "+strings.Join(adjustments(), ", ")+", parted by commas")
			}
		}
	}
	frame := p["timeframe"]
	if frame == "" {
		return nil, v, single, bad("timeframe", "", "it must be given, such as 1Min, 5Min, 1Hour or 1Day")
	}
	if v, err = market.ParseInterval(frame); err != nil {
		return nil, v, single, bad("timeframe", frame, err.Error())
	}
	if q, err = g.pageQuery(r.Context(), p, "bars"+v.String(), list, usual, most); err != nil {
		return nil, v, single, err
	}
	return q, v, single, g.align(v, q, p)
}

// align looks whether there can be bars between the ends of a question. One for bars of days and more that has no start begins with
// the bar that the newest tick is in: a trading day need not begin on the day, UTC, on which it ends.
func (g *Gateway) align(v market.Interval, q *pageQuery, p params) error {
	_, fixed := v.Fixed()
	for _, n := range q.symbols {
		r := candle.Roller{Interval: v, Calendar: g.opt.Calendars.For(n.symbol.Venue())}
		for _, end := range [...]struct {
			name string
			at   market.Time
		}{{"start", q.from}, {"end", q.to}} {
			if _, _, err := r.Bounds(end.at); err != nil {
				return bad(end.name, p[end.name], "there are bars from the year 1685 to 2254 only")
			}
		}
		if start, _, err := r.Bounds(q.newest); err == nil && q.today && !fixed {
			q.from = min(q.from, start)
		}
	}
	return nil
}

// bars serves /v2/stocks/{symbol}/bars and /v2/stocks/bars.
func (g *Gateway) bars(w http.ResponseWriter, r *http.Request) error {
	q, interval, single, err := g.askedBars(r, usualPage, g.opt.Limits.Page, "page_token", "coverage")
	if err != nil {
		return err
	}
	of, err := params{"coverage": r.URL.Query().Get("coverage")}.choice("coverage", "", "false", "true")
	if err != nil {
		return err
	}
	epoch := g.opt.Tape.Bounds().Epoch
	a := g.answer(w, "application/json")
	page := &pageWriter{answer: a, single: single, what: "bars", left: q.limit}
	page.open()
	asOf := tape.Position(math.MaxUint64)
	var bars []market.Bar
	for i, n := range q.symbols {
		bq := q.barQuery(n, interval, page.left+1)
		if q.token != nil && i == 0 {
			goOn(&bq, q.token.key.Event)
		}
		var pos tape.Position
		if bars, pos, err = q.history.Bars(r.Context(), bq, bars[:0]); err != nil {
			return a.finish(err)
		}
		asOf = min(asOf, pos)
		var spans []covered
		if of == "true" {
			if spans, err = g.coverageOf(r.Context(), n.symbol, q.at, bars); err != nil {
				return a.finish(err)
			}
		}
		page.begin(n)
		for j := range bars {
			if b := &bars[j]; b.Priced && page.row(market.TickKey{Event: b.Start}) {
				page.b = appendBar(append(page.b, '{'), b)
				if of == "true" {
					page.b = appendCoverage(append(page.b[:len(page.b)-1], `,"cov":`...), spans, market.Span{From: b.Start, To: b.End})
					page.b = append(page.b, '}')
				}
			}
		}
		page.end()
		if page.full {
			break
		}
	}
	page.close(q)
	w.Header().Set(AdjustmentHeader, "raw")
	if setAt(w, q.at); q.at == 0 {
		w.Header().Set(CursorHeader, tape.Cursor{Epoch: epoch, Position: asOf, Index: tape.AllEntries}.String())
	}
	return a.finish(nil)
}

// barQuery is the question for at most limit bars of one of the symbols.
func (q *pageQuery) barQuery(n named, v market.Interval, limit int) market.BarQuery {
	return market.BarQuery{Symbol: n.symbol, Interval: v, From: q.from, To: q.to, Limit: limit, Descending: q.descending}
}

// goOn makes a question for bars go on behind the one that starts at last, in its direction.
func goOn(q *market.BarQuery, last market.Time) {
	if q.Descending {
		q.To = last
	} else {
		q.From = last + 1
	}
}

// pageWriter writes a page of rows in Alpaca's shape: {"trades":[…],"symbol":"AAPL","next_page_token":null} for one symbol,
// {"trades":{"AAPL":[…]},"next_page_token":null} for several, where those without rows are left out.
type pageWriter struct {
	*answer
	single bool
	what   string
	left   int  // rows that may follow
	full   bool // there is more than fits on the page

	symbol named
	rows   int // of this symbol
	keys   int // symbols written
	last   *pageToken
}

func (p *pageWriter) open() {
	p.b = append(append(append(p.b, `{"`...), p.what...), `":`...)
	if p.single {
		p.b = append(p.b, '[')
	} else {
		p.b = append(p.b, '{')
	}
}

func (p *pageWriter) begin(n named) { p.symbol, p.rows = n, 0 }

// row makes ready for a row, or says that the page is full.
func (p *pageWriter) row(key market.TickKey) bool {
	if p.left == 0 {
		p.full = true
		return false
	}
	p.left--
	switch {
	case p.rows > 0:
		p.b = append(p.b, ',')
	case !p.single:
		if p.keys > 0 {
			p.b = append(p.b, ',')
		}
		p.b = append(appendString(p.b, p.symbol.text), ':', '[')
		p.keys++
	}
	p.rows++
	p.last = &pageToken{symbol: p.symbol.symbol, key: key}
	return true
}

func (p *pageWriter) end() {
	if !p.single && p.rows > 0 {
		p.b = append(p.b, ']')
	}
}

func (p *pageWriter) close(q *pageQuery) {
	if p.single {
		p.b = appendString(append(p.b, `],"symbol":`...), q.symbols[0].text)
	} else {
		p.b = append(p.b, '}')
	}
	if p.full && p.last != nil {
		p.last.hash, p.last.from = q.hash, q.from
		p.b = appendString(append(p.b, `,"next_page_token":`...), p.last.String())
	} else {
		p.b = append(p.b, `,"next_page_token":null`...)
	}
	p.b = append(p.b, '}', '\n')
}
