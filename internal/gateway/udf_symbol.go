package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// udfDays is how many daily bars tell how fine the prices of a symbol are: about a year.
const udfDays = 250

// finest bounds the digits of a price scale: browsers compute with 53 bits, and 10^15 is the largest power of ten below that.
const finest = 15

// symbol serves /udf/symbols.
func (u *udf) symbol(w http.ResponseWriter, r *http.Request) error {
	p, err := udfParams(r)
	if err != nil {
		return err
	}
	n, err := u.named(p)
	if err != nil {
		return err
	}
	l := u.g.hub.listing(n.id)
	if _, err := p.moment(); err != nil {
		return err // it is taken, and makes no difference: hours and how fine prices are do not go back
	}
	cal := u.g.opt.Calendars.For(n.symbol.Venue())
	digits, err := u.digits(r.Context(), &l)
	if err != nil {
		return err
	}
	first, err := u.first(r.Context(), n.symbol)
	if err != nil {
		return err
	}
	a := u.g.answer(w, "application/json")
	a.b = appendString(append(a.b, `{"name":`...), n.symbol.Name())
	a.b = appendString(append(a.b, `,"ticker":`...), string(n.symbol))
	a.b = appendString(append(a.b, `,"description":`...), u.description(&l))
	a.b = appendString(append(a.b, `,"type":`...), symbolType(n.symbol, cal))
	a.b = appendString(append(a.b, `,"exchange":`...), n.symbol.Venue())
	a.b = appendString(append(a.b, `,"listed_exchange":`...), n.symbol.Venue())
	a.b = append(a.b, `,"minmov":1,"minmove2":0,"fractional":false,"pricescale":1`...)
	a.b = append(a.b, strings.Repeat("0", digits.price)...)
	a.b = strconv.AppendInt(append(a.b, `,"volume_precision":`...), int64(digits.size), 10)
	a.b = append(a.b, `,"format":"price","visible_plots_set":"ohlcv","has_empty_bars":false,"has_ticks":false`...)
	a.b = u.hoursOf(cal, first).append(a.b)
	a.b = append(a.b, `,"has_seconds":true,"seconds_multipliers":["1","5","10","15","30"],"has_daily":true,"daily_multipliers":["1"],`+
		`"has_weekly_and_monthly":true,"weekly_multipliers":["1"],"monthly_multipliers":["1","3","6","12"],"supported_resolutions":`...)
	a.b = appendStrings(a.b, udfResolutions())
	if code := u.currency(n.symbol); code != "" {
		a.b = appendString(append(a.b, `,"currency_code":`...), code)
	}
	a.b = append(a.b, `,"data_status":"streaming","delay":0}`+"\n"...)
	return a.finish(nil)
}

// symbolDigits are the digits after the point of a symbol's prices and sizes.
type symbolDigits struct{ price, size int }

// digits returns the most digits that were seen: of the newest ticks, of those since the start, and of about a year of daily bars. A
// venue whose step varies gets its finest one, because a coarser one would make the chart show prices that were never paid. The least
// step is taken for one unit of the last digit; that a venue moves by more, such as 0.25, cannot be known from prices.
func (u *udf) digits(ctx context.Context, l *listing) (symbolDigits, error) {
	d := symbolDigits{l.decimals, -l.trade.Size.Exp()}
	days, _, err := u.g.opt.History.Bars(ctx, market.BarQuery{
		Symbol: l.symbol, Interval: market.Day1(), Limit: udfDays, Descending: true,
	}, nil)
	for i := range days {
		b := &days[i]
		d.price = max(d.price, -b.Open.Exp(), -b.High.Exp(), -b.Low.Exp(), -b.Close.Exp())
		d.size = max(d.size, -b.Volume.Exp())
	}
	return symbolDigits{min(max(d.price, 0), finest), min(max(d.size, 0), finest)}, err
}

// first returns the time of the oldest daily bar of a symbol; 0 when there is none.
func (u *udf) first(ctx context.Context, s market.Symbol) (market.Time, error) {
	bars, _, err := u.g.opt.History.Bars(ctx, market.BarQuery{Symbol: s, Interval: market.Day1(), Limit: 1}, nil)
	if err != nil || len(bars) == 0 {
		return 0, err
	}
	return bars[0].Start, nil
}

// description tells a symbol that is not from a live market from one that is.
func (u *udf) description(l *listing) string {
	if u.g.opt.Feeds != nil {
		for _, f := range u.g.opt.Feeds() {
			if f.Name == l.feed && f.Label != "" {
				return l.symbol.Name() + " (" + f.Label + ")"
			}
		}
	}
	return l.symbol.Name()
}

// symbolType is TradingView's word for what a symbol is, as far as its name and its hours tell.
func symbolType(s market.Symbol, cal *market.Calendar) string {
	switch {
	case cal.Name() == "fx":
		return "forex"
	case cal.Name() == "24x7" && strings.Contains(s.Name(), "-"):
		return "crypto"
	}
	return "stock"
}

// currency returns what a symbol is paid in; "" when that is not known.
func (u *udf) currency(s market.Symbol) string {
	if u.g.opt.Calendars.For(s.Venue()).Name() == "us-equity" {
		return "USD"
	}
	if _, quote, pair := strings.Cut(s.Name(), "-"); pair && len(quote) >= 3 && !strings.Contains(quote, "-") {
		return quote
	}
	return ""
}

// The results of a search.
const (
	udfFound     = 30 // when the client does not say
	udfFoundMost = 500
)

// search serves /udf/search: what matches early in the name comes first, then what matches in the description. An empty query finds
// all.
func (u *udf) search(w http.ResponseWriter, r *http.Request) error {
	p, err := udfParams(r)
	if err != nil {
		return err
	}
	limit := udfFound
	if text := p["limit"]; text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return bad("limit", text, "it must be a whole number from 1")
		}
		limit = min(limit, udfFoundMost)
	}
	query := strings.ToUpper(strings.TrimSpace(p["query"]))
	if len(query) > 2*market.MaxSymbol {
		return bad("query", query, "this is longer than a symbol can be")
	}
	found := u.find(query, p["exchange"], p["type"])
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, '[')
	for i, id := range found[:min(limit, len(found))] {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		l := u.g.hub.listing(id)
		a.b = appendString(append(a.b, `{"symbol":`...), l.symbol.Name())
		a.b = appendString(append(a.b, `,"full_name":`...), string(l.symbol))
		a.b = appendString(append(a.b, `,"description":`...), u.description(&l))
		a.b = appendString(append(a.b, `,"exchange":`...), l.symbol.Venue())
		a.b = appendString(append(a.b, `,"ticker":`...), string(l.symbol))
		a.b = append(appendString(append(a.b, `,"type":`...), symbolType(l.symbol, u.g.opt.Calendars.For(l.symbol.Venue()))), '}')
	}
	a.b = append(a.b, ']', '\n')
	return a.finish(nil)
}

// find returns the numbers of the symbols that a search finds, the best first.
func (u *udf) find(query, exchange, kind string) []uint32 {
	// The list only grows, and the symbol of a listing does not change.
	u.g.hub.mu.RLock()
	list := u.g.hub.names.list
	u.g.hub.mu.RUnlock()
	type match struct {
		id     uint32
		rank   int
		symbol market.Symbol
	}
	var found []match
	for id, l := range list {
		if id == 0 || exchange != "" && !strings.EqualFold(exchange, l.symbol.Venue()) {
			continue
		}
		if kind != "" && !strings.EqualFold(kind, symbolType(l.symbol, u.g.opt.Calendars.For(l.symbol.Venue()))) {
			continue
		}
		if rank := rankOf(l.symbol, query); rank >= 0 {
			found = append(found, match{uint32(id), rank, l.symbol})
		}
	}
	slices.SortFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(len(a.symbol), len(b.symbol)), cmp.Compare(a.symbol, b.symbol))
	})
	ids := make([]uint32, len(found))
	for i := range found {
		ids[i] = found[i].id
	}
	return ids
}

// rankOf returns where a query is found in a symbol: in its name, then in the full form; below 0 when it is not. A pair may be
// written with a slash or together.
func rankOf(s market.Symbol, query string) int {
	best := -1
	for i, form := range []string{s.Name(), string(s), strings.ReplaceAll(s.Name(), "-", "/"), strings.ReplaceAll(s.Name(), "-", "")} {
		if at := strings.Index(form, query); at >= 0 {
			rank := at
			if i == 1 {
				rank += market.MaxSymbol
			}
			if best < 0 || rank < best {
				best = rank
			}
		}
	}
	return best
}

// today is the date of now in a calendar.
func today(cal *market.Calendar) market.Date {
	return cal.Day(market.FromStd(time.Now())).Date
}
