package gateway

import (
	"net/http"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// pick appends what is newest of a symbol to an answer, as an object; it appends nothing when there is none.
type pick func(b []byte, k *known) []byte

// latest serves /v2/stocks/{symbol}/trades/latest and its like: {"symbol":"AAPL","trade":{…}} for one symbol,
// {"trades":{"AAPL":{…}}} for several, where those that have none are left out.
func (g *Gateway) latest(what string, want parts, of pick) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, list, single, err := g.asked(r, "feed", "currency", atParam)
		if err != nil {
			return err
		}
		at, err := p.moment()
		if err != nil {
			return err
		}
		epoch := g.opt.Tape.Bounds().Epoch
		news, pos, err := g.newestAt(r.Context(), at, list, want)
		if err != nil {
			return err
		}
		a := g.answer(w, "application/json")
		if single {
			a.b = appendString(append(a.b, `{"symbol":`...), list[0].text)
			a.b = append(append(append(a.b, `,"`...), strings.TrimSuffix(what, "s")...), `":`...)
			before := len(a.b)
			if a.b = of(a.b, &news[0]); len(a.b) == before {
				a.b = append(a.b, "null"...)
			}
		} else {
			a.b = append(append(append(a.b, `{"`...), what...), `":`...)
			a.object(list, news, of)
		}
		a.b = append(a.b, '}', '\n')
		setAt(w, at)
		if what == "bars" {
			w.Header().Set(AdjustmentHeader, "raw")
			if at == 0 {
				w.Header().Set(CursorHeader, tape.Cursor{Epoch: epoch, Position: pos, Index: tape.AllEntries}.String())
			}
		}
		return a.finish(nil)
	}
}

// object appends an object with what is newest of each symbol, under the name that the request has for it. Symbols that have none
// are left out.
func (a *answer) object(list []named, news []known, of pick) {
	a.b = append(a.b, '{')
	keys := 0
	for i, n := range list {
		before := len(a.b)
		if keys > 0 {
			a.b = append(a.b, ',')
		}
		a.b = append(appendString(a.b, n.text), ':')
		head := len(a.b)
		if a.b = of(a.b, &news[i]); len(a.b) == head {
			a.b = a.b[:before]
		} else {
			keys++
		}
	}
	a.b = append(a.b, '}')
}

func pickTrade(b []byte, k *known) []byte {
	if k.trade.Kind == 0 {
		return b
	}
	return appendTrade(append(b, '{'), &k.trade)
}

func pickQuote(b []byte, k *known) []byte {
	if k.quote.Kind == 0 {
		return b
	}
	return appendQuote(append(b, '{'), &k.quote)
}

// pickMinute takes the newest bar of a minute, which trades may still be coming into.
func pickMinute(b []byte, k *known) []byte {
	if !k.minute.Priced {
		return b
	}
	return appendBar(append(b, '{'), &k.minute)
}

// snapshots serves /v2/stocks/snapshots?symbols=A,B as {"A":{…},"B":{…}}, /v2/stocks/{symbol}/snapshot as {"symbol":"A",…}, and with
// a name for the whole, as for crypto, {"snapshots":{"A":{…}}}.
func (g *Gateway) snapshots(name string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, list, single, err := g.asked(r, "feed", "currency", atParam)
		if err != nil {
			return err
		}
		at, err := p.moment()
		if err != nil {
			return err
		}
		news, _, err := g.newestAt(r.Context(), at, list, partTrade|partQuote|partBars)
		if err != nil {
			return err
		}
		a := g.answer(w, "application/json")
		switch {
		case single:
			a.b = appendString(append(a.b, `{"symbol":`...), list[0].text)
			a.b = appendParts(a.b, &news[0], true)
		case name != "":
			a.b = append(append(append(a.b, `{"`...), name...), `":`...)
			a.object(list, news, pickAll)
			a.b = append(a.b, '}')
		default:
			a.object(list, news, pickAll)
		}
		a.b = append(a.b, '\n')
		setAt(w, at)
		w.Header().Set(AdjustmentHeader, "raw")
		return a.finish(nil)
	}
}

// pickAll takes what is newest of a symbol in all respects.
func pickAll(b []byte, k *known) []byte { return appendParts(append(b, '{'), k, false) }

// appendParts appends the members of a snapshot, those that there are, and closes the object. A comma precedes the first of them
// when there are others before it.
func appendParts(b []byte, k *known, comma bool) []byte {
	part := func(name string) {
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = append(append(append(b, '"'), name...), `":{`...)
	}
	if k.trade.Kind != 0 {
		part("latestTrade")
		b = appendTrade(b, &k.trade)
	}
	if k.quote.Kind != 0 {
		part("latestQuote")
		b = appendQuote(b, &k.quote)
	}
	for _, bar := range [...]struct {
		name string
		bar  *market.Bar
	}{{"minuteBar", &k.minute}, {"dailyBar", &k.day}, {"prevDailyBar", &k.previous}} {
		if bar.bar.Priced {
			part(bar.name)
			b = appendBar(b, bar.bar)
		}
	}
	return append(b, '}')
}
