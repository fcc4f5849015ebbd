package gateway

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// CursorHeader names the response header that tells as of which position on the tape an answer was computed. Who subscribes from
// there misses nothing and gets nothing twice.
const CursorHeader = "Tapedeck-Cursor"

// pageParams are the parameters of Alpaca's historical endpoints. Those that choose among Alpaca's own sources are taken and make
// no difference here.
func pageParams(more ...string) []string {
	return append(more, "start", "end", "limit", "page_token", "sort", "feed", "asof", "currency")
}

// page is a question for ticks or bars of a few symbols, a page at a time.
type pageQuery struct {
	from, to   market.Time
	limit      int
	descending bool
	hash       uint32
	token      *pageToken
	symbols    []named
}

// pageQuery reads the parameters that the historical endpoints share. The hash stands for all that must not change between pages.
func (g *Gateway) pageQuery(p params, what string, symbols []named) (*pageQuery, error) {
	q := &pageQuery{symbols: symbols}
	var err error
	if q.from, q.to, err = p.span("start", "end", true); err != nil {
		return nil, err
	}
	if q.limit, err = p.count("limit", 1000, g.opt.Limits.Page); err != nil {
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
	_, _ = h.Write(b) // a hash takes everything
	q.hash = h.Sum32()
	text := p["page_token"]
	if text == "" {
		if q.from == 0 && q.to == 0 && p["start"] == "" {
			q.from = g.today(symbols)
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

// today returns where an answer begins that was asked for without a start and an end: midnight (UTC) of the day of the newest tick of
// the symbols. As at Alpaca for a live market, and of use for one that is played from a file.
func (g *Gateway) today(symbols []named) market.Time {
	var newest market.Time
	for _, n := range symbols {
		l := g.hub.listing(n.id)
		newest = max(newest, l.trade.Event, l.quote.Event)
	}
	return min(newest, market.FromStd(time.Now())).Floor(24 * market.Hour)
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
		n, err := g.symbol("symbol", text)
		return p, []named{n}, true, err
	}
	list, err = g.symbols(p)
	return p, list, false, err
}

// ticks serves /v2/stocks/{symbol}/trades and its like for quotes and several symbols.
func (g *Gateway) ticks(kind market.Kind, what string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, list, single, err := g.asked(r, pageParams()...)
		if err != nil {
			return err
		}
		q, err := g.pageQuery(p, what, list)
		if err != nil {
			return err
		}
		a := g.answer(w, "application/json")
		page := &pageWriter{answer: a, single: single, what: what, left: q.limit}
		page.open()
		err = q.eachTick(r.Context(), g, kind, page)
		page.close(q, list[0].text)
		return a.finish(err)
	}
}

// eachTick writes the ticks of a page.
func (q *pageQuery) eachTick(ctx context.Context, g *Gateway, kind market.Kind, page *pageWriter) error {
	for i, n := range q.symbols {
		tq := market.TickQuery{
			Kind: kind, Symbol: n.symbol, From: q.from, To: q.to, Limit: page.left + 1, Descending: q.descending,
		}
		if q.token != nil && i == 0 {
			tq.After = &q.token.key
		}
		page.begin(n)
		err := g.opt.History.Ticks(ctx, tq, func(row *market.Row) error {
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

// bars serves /v2/stocks/{symbol}/bars and /v2/stocks/bars.
func (g *Gateway) bars(w http.ResponseWriter, r *http.Request) error {
	p, list, single, err := g.asked(r, pageParams("timeframe", "adjustment")...)
	if err != nil {
		return err
	}
	if _, err := p.choice("adjustment", "raw"); err != nil {
		return bad("adjustment", p["adjustment"], "bars are as traded: it must be raw")
	}
	frame := p["timeframe"]
	if frame == "" {
		return bad("timeframe", "", "it must be given, such as 1Min, 5Min, 1Hour or 1Day")
	}
	interval, err := market.ParseInterval(frame)
	if err != nil {
		return bad("timeframe", frame, err.Error())
	}
	q, err := g.pageQuery(p, "bars"+interval.String(), list)
	if err != nil {
		return err
	}
	epoch := g.opt.Tape.Bounds().Epoch
	a := g.answer(w, "application/json")
	page := &pageWriter{answer: a, single: single, what: "bars", left: q.limit}
	page.open()
	var asOf *tape.Position
	var bars []market.Bar
	for i, n := range q.symbols {
		bq := market.BarQuery{
			Symbol: n.symbol, Interval: interval, From: q.from, To: q.to, Limit: page.left + 1, Descending: q.descending,
		}
		if q.token != nil && i == 0 {
			if q.descending {
				bq.To = q.token.key.Event
			} else {
				bq.From = q.token.key.Event + 1
			}
		}
		var pos tape.Position
		if bars, pos, err = g.opt.History.Bars(r.Context(), bq, bars[:0]); err != nil {
			return a.finish(err)
		}
		if asOf == nil || pos < *asOf {
			asOf = &pos
		}
		page.begin(n)
		for j := range bars {
			if b := &bars[j]; b.Priced && page.row(market.TickKey{Event: b.Start}) {
				page.b = appendBar(append(page.b, '{'), b)
			}
		}
		page.end()
		if page.full {
			break
		}
	}
	page.close(q, list[0].text)
	w.Header().Set(CursorHeader, tape.Cursor{Epoch: epoch, Position: *asOf, Index: tape.AllEntries}.String())
	return a.finish(nil)
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

func (p *pageWriter) close(q *pageQuery, symbol string) {
	if p.single {
		p.b = appendString(append(p.b, `],"symbol":`...), symbol)
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

// latest serves /v2/stocks/{symbol}/trades/latest and its like: what the hub knows to be newest.
func (g *Gateway) latest(kind market.Kind, what string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, list, single, err := g.asked(r, "feed", "currency")
		if err != nil {
			return err
		}
		a := g.answer(w, "application/json")
		if single {
			a.b = appendString(append(a.b, `{"symbol":`...), list[0].text)
			a.b = append(append(append(a.b, `,"`...), strings.TrimSuffix(what, "s")...), `":`...)
			if !g.appendNewest(a, kind, list[0].id) {
				a.b = append(a.b, "null"...)
			}
			a.b = append(a.b, '}', '\n')
			return a.finish(nil)
		}
		a.b = append(append(append(a.b, `{"`...), what...), `":{`...)
		keys := 0
		for _, n := range list {
			before := len(a.b)
			if keys > 0 {
				a.b = append(a.b, ',')
			}
			a.b = append(appendString(a.b, n.text), ':')
			if g.appendNewest(a, kind, n.id) {
				keys++
			} else {
				a.b = a.b[:before]
			}
		}
		a.b = append(a.b, '}', '}', '\n')
		return a.finish(nil)
	}
}

// appendNewest writes the newest tick of a symbol, and reports whether there is one.
func (g *Gateway) appendNewest(a *answer, kind market.Kind, id uint32) bool {
	l := g.hub.listing(id)
	switch {
	case kind == market.KindTrade && l.trade.Kind != 0:
		a.b = appendTrade(append(a.b, '{'), &l.trade)
	case kind == market.KindQuote && l.quote.Kind != 0:
		a.b = appendQuote(append(a.b, '{'), &l.quote)
	default:
		return false
	}
	return true
}
