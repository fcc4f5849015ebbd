package gateway

import (
	"context"
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
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, `{"s":"ok","d":[`...)
	for i, text := range list {
		if i > 0 {
			a.b = append(a.b, ',')
		}
		n, err := u.g.symbol("symbols", strings.TrimSpace(text))
		if err != nil {
			a.b = appendString(append(a.b, `{"s":"error","n":`...), text)
			a.b = append(a.b, `,"v":{}}`...)
			continue
		}
		a.b = appendString(append(a.b, `{"s":"ok","n":`...), text)
		if a.b, err = u.appendValues(r.Context(), append(a.b, `,"v":`...), n); err != nil {
			return a.finish(err)
		}
		a.b = append(a.b, '}')
	}
	a.b = append(a.b, ']', '}', '\n')
	return a.finish(nil)
}

// appendValues writes what is known of a symbol. What is not known is left out.
func (u *udf) appendValues(ctx context.Context, b []byte, n named) ([]byte, error) {
	l := u.g.hub.listing(n.id)
	d, err := u.g.days.of(ctx, u.g.opt.History, n.symbol)
	if err != nil {
		return b, err
	}
	b = appendString(append(b, `{"short_name":`...), n.symbol.Name())
	b = appendString(append(b, `,"exchange":`...), n.symbol.Venue())
	b = appendString(append(b, `,"description":`...), u.description(&l))
	b = appendString(append(b, `,"original_name":`...), string(n.symbol))
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
		return append(b, '}'), nil
	}
	number("lp", l.trade.Price)
	prev, hasPrev := d.prev, d.hasPrev
	cal := u.g.opt.Calendars.For(n.symbol.Venue())
	if d.has && cal.Day(l.trade.Event).Date > cal.Day(d.bar.Start).Date {
		// Before the regular session of its day: the newest daily bar is of the session before.
		prev, hasPrev = d.bar.Close, true
	} else if d.has {
		number("open_price", d.bar.Open)
		number("high_price", d.bar.High)
		number("low_price", d.bar.Low)
		b = d.bar.Volume.Append(append(b, `,"volume":`...))
	}
	if hasPrev {
		number("prev_close_price", prev)
		if ch, chp, ok := change(l.trade.Price, prev); ok {
			number("ch", ch)
			number("chp", chp)
		}
	}
	return append(b, '}'), nil
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
