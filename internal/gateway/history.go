package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"tapedeck/internal/market"
)

// history serves GET /history?limit=100[&symbol=S][&from=T][&to=T][&format=csv]: trades, newest first by the venue's time.
func (g *Gateway) history(w http.ResponseWriter, r *http.Request) error {
	p, err := parseParams(r, "limit", "symbol", "from", "to", "format", atParam)
	if err != nil {
		return err
	}
	q := market.TickQuery{Kind: market.KindTrade, Descending: true}
	if q.Limit, err = p.count(100, g.opt.Limits.Rows); err != nil {
		return err
	}
	if q.From, q.To, err = p.span("from", "to", false); err != nil {
		return err
	}
	at, err := p.moment()
	if err != nil {
		return err
	}
	source := g.historyAt(at)
	setAt(w, at)
	format, err := p.choice("format", "json", "csv")
	if err != nil {
		return err
	}
	name := "history"
	if text, ok := p["symbol"]; ok {
		s, err := g.symbol("symbol", text)
		if err != nil {
			return err
		}
		q.Symbol = s.symbol
		name = fileName(s.symbol)
	}
	if format == "csv" {
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
		a := g.answer(w, "text/csv; charset=utf-8")
		a.b = append(a.b, "id,timestamp,symbol,price\n"...)
		return a.finish(source.Ticks(r.Context(), q, func(row *market.Row) error {
			a.b = appendLine(a.b, row)
			return a.room()
		}))
	}
	a := g.answer(w, "application/json")
	a.b = append(a.b, '[')
	comma := false
	err = source.Ticks(r.Context(), q, func(row *market.Row) error {
		if comma {
			a.b = append(a.b, ',')
		}
		comma = true
		a.b = strconv.AppendUint(append(a.b, `{"id":`...), row.N, 10)
		a.b = appendTime(append(a.b, `,"timestamp":`...), row.Event)
		a.b = appendString(append(a.b, `,"symbol":`...), string(row.Symbol))
		a.b = append(row.Price.Append(append(a.b, `,"price":`...)), '}')
		return a.room()
	})
	a.b = append(a.b, ']', '\n')
	return a.finish(err)
}

// fileName makes a symbol harmless as the name of a file, whatever system it is saved on.
func fileName(s market.Symbol) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_'
	}, string(s))
}

// appendLine writes a trade as a line of CSV.
func appendLine(b []byte, row *market.Row) []byte {
	b = append(strconv.AppendUint(b, row.N, 10), ',')
	if row.Event != 0 {
		b = row.Event.AppendRFC3339(b)
	}
	b = appendCell(append(b, ','), string(row.Symbol))
	return append(row.Price.Append(append(b, ',')), '\n')
}

// appendCell writes a text as a cell of CSV. A spreadsheet would run one that begins like a formula; an apostrophe in front makes
// it a text. Numbers may begin with a sign.
func appendCell(b []byte, s string) []byte {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", first) {
		if _, err := market.ParseDecimal(s); err != nil {
			s = "'" + s
		}
	}
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
