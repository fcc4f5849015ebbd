package gateway

import (
	"context"
	"net/http"
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
	l, description := listing{symbol: n.symbol}, n.symbol.Name()+listedOnly
	if n.id != 0 {
		l = u.g.hub.listing(n.id)
		description = u.description(&l)
	}
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
	a.b = appendString(append(a.b, `,"description":`...), description)
	a.b = appendString(append(a.b, `,"type":`...), symbolType(n.symbol, cal))
	a.b = appendString(append(a.b, `,"exchange":`...), n.symbol.Venue())
	a.b = appendString(append(a.b, `,"listed_exchange":`...), n.symbol.Venue())
	a.b = strconv.AppendInt(append(a.b, `,"minmov":`...), digits.step, 10)
	a.b = append(a.b, `,"minmove2":0,"fractional":false,"pricescale":1`...)
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

// symbolDigits are the digits after the point of a symbol's prices and sizes, and the least step of its price in units of the last digit.
type symbolDigits struct {
	price, size int
	step        int64
}

// digits returns the most digits that were seen: of the newest ticks, of those since the start, and of about a year of daily bars; or
// more, when the venue says that its step is finer. A venue whose step varies gets its finest one, because a coarser one would make the
// chart show prices that were never paid. For the same reason the venue's word counts only where nothing finer was seen: then the
// least step is taken for one unit of the last digit.
func (u *udf) digits(ctx context.Context, l *listing) (symbolDigits, error) {
	d := symbolDigits{price: l.decimals, size: -l.trade.Size.Exp()}
	days, _, err := u.g.opt.History.Bars(ctx, market.BarQuery{
		Symbol: l.symbol, Interval: market.Day1(), Limit: udfDays, Descending: true,
	}, nil)
	for i := range days {
		b := &days[i]
		d.price = max(d.price, -b.Open.Exp(), -b.High.Exp(), -b.Low.Exp(), -b.Close.Exp())
		d.size = max(d.size, -b.Volume.Exp())
	}
	tick, lot := u.g.steps(l.symbol)
	d.step = 1
	if need := digitsOf(tick); tick.Sign() > 0 && need >= d.price && need <= finest {
		if units, err := tick.Rescale(-need); err == nil {
			d.price, d.step = need, units.Coef()
		}
	}
	d.size = max(d.size, digitsOf(lot))
	d.price, d.size = min(max(d.price, 0), finest), min(max(d.size, 0), finest)
	return d, err
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

// listedOnly is said of what a venue lists and no tick came of.
const listedOnly = " (listed, not carried)"

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
	exchange, kind := p["exchange"], p["type"]
	found := u.g.search(query, limit, func(s market.Symbol) bool {
		return (exchange == "" || strings.EqualFold(exchange, s.Venue())) &&
			(kind == "" || strings.EqualFold(kind, symbolType(s, u.g.opt.Calendars.For(s.Venue()))))
	})
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, '[')
	for i := range found {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		s := found[i].symbol
		description := s.Name() + listedOnly
		if found[i].id != 0 {
			l := u.g.hub.listing(found[i].id)
			description = u.description(&l)
		}
		a.b = appendString(append(a.b, `{"symbol":`...), s.Name())
		a.b = appendString(append(a.b, `,"full_name":`...), string(s))
		a.b = appendString(append(a.b, `,"description":`...), description)
		a.b = appendString(append(a.b, `,"exchange":`...), s.Venue())
		a.b = appendString(append(a.b, `,"ticker":`...), string(s))
		a.b = append(appendString(append(a.b, `,"type":`...), symbolType(s, u.g.opt.Calendars.For(s.Venue()))), '}')
	}
	a.b = append(a.b, ']', '\n')
	return a.finish(nil)
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
