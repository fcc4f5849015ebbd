package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// quotes serves /udf/quotes: what a watch list shows, each symbol under the name by which it was asked for.
func (u *udf) quotes(w http.ResponseWriter, r *http.Request) error {
	p, err := udfParams(r)
	if err != nil {
		return err
	}
	list := strings.Split(p["symbols"], ",")
	if p["symbols"] == "" {
		return bad("symbols", "", "it must name symbols, parted by commas")
	}
	if n := u.g.opt.Limits.Symbols; len(list) > n {
		return bad("symbols", p["symbols"], "at most "+strconv.Itoa(n)+" symbols at once")
	}
	at, err := p.moment()
	if err != nil {
		return err
	}
	var found []named
	for _, text := range list {
		if n, err := u.g.symbol("symbols", strings.TrimSpace(text)); err == nil {
			found = append(found, n)
		}
	}
	news, _, err := u.g.newestAt(r.Context(), at, found, partTrade|partQuote|partDays)
	if err != nil {
		return err
	}
	setAt(w, at)
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, `{"s":"ok","d":[`...)
	for i, text := range list {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		if _, err := u.g.symbol("symbols", strings.TrimSpace(text)); err != nil || len(news) == 0 {
			a.b = appendString(append(a.b, `{"s":"error","n":`...), text)
			a.b = append(a.b, `,"v":{}}`...)
			continue
		}
		a.b = appendString(append(a.b, `{"s":"ok","n":`...), text)
		a.b = append(u.appendValues(append(a.b, `,"v":`...), &news[0]), '}')
		news = news[1:]
	}
	a.b = append(a.b, ']', '}', '\n')
	return a.finish(nil)
}

// appendValues writes what is known of a symbol. What is not known is left out.
func (u *udf) appendValues(b []byte, l *known) []byte {
	b = appendString(append(b, `{"short_name":`...), l.symbol.Name())
	b = appendString(append(b, `,"exchange":`...), l.symbol.Venue())
	b = appendString(append(b, `,"description":`...), u.description(&l.listing))
	b = appendString(append(b, `,"original_name":`...), string(l.symbol))
	number := func(name string, v market.Decimal) {
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = v.Append(b)
	}
	if l.quote.Kind != 0 {
		number("ask", l.quote.Ask)
		number("bid", l.quote.Price)
		if spread, err := l.quote.Ask.Sub(l.quote.Price); err == nil {
			number("spread", spread)
		}
	}
	if l.trade.Kind == 0 {
		return append(b, '}')
	}
	number("lp", l.trade.Price)
	prev, hasPrev := l.previous.Close, l.previous.Priced
	cal := u.g.opt.Calendars.For(l.symbol.Venue())
	if l.day.Priced && cal.Day(l.trade.Event).Date > cal.Day(l.day.Start).Date {
		// Before the regular session of its day: the newest daily bar is of the session before.
		prev, hasPrev = l.day.Close, true
	} else if l.day.Priced {
		number("open_price", l.day.Open)
		number("high_price", l.day.High)
		number("low_price", l.day.Low)
		b = l.day.Volume.Append(append(b, `,"volume":`...))
	}
	if hasPrev {
		number("prev_close_price", prev)
		if ch, chp, ok := change(l.trade.Price, prev); ok {
			number("ch", ch)
			number("chp", chp)
		}
	}
	return append(b, '}')
}

// change returns the difference between two prices, and what it is of the second in percent, with two decimals rounded half to even.
func change(last, prev market.Decimal) (ch, chp market.Decimal, ok bool) {
	hundred, err := market.NewDecimal(100, 0)
	if err != nil {
		return ch, chp, false
	}
	if ch, err = last.Sub(prev); err != nil {
		return ch, chp, false
	}
	percent, err := market.Product(ch, hundred)
	if err != nil || prev.IsZero() {
		return ch, chp, false
	}
	chp, err = percent.Quo(market.WideOf(prev), 2)
	return ch, chp, err == nil
}
