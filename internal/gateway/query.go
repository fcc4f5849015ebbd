package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// params are the query parameters of a request, each at most once and each known.
type params map[string]string

// parseParams reads the query. What is not known is refused: a misspelt parameter would otherwise answer another question.
func parseParams(r *http.Request, known ...string) (params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("query", r.URL.RawQuery, "the query is not well-formed: "+err.Error())
	}
	p := make(params, len(values))
	for name, list := range values {
		if !slices.Contains(known, name) {
			detail := "there are no parameters here"
			if len(known) > 0 {
				detail = "this parameter is not known here; known are " + strings.Join(known, ", ")
			}
			return nil, bad(name, list[0], detail)
		}
		if len(list) > 1 {
			return nil, bad(name, strings.Join(list, " "), "this parameter may be given only once")
		}
		p[name] = list[0]
	}
	return p, nil
}

// count reads the parameter limit: a whole number from 1 to limit.
func (p params) count(usual, limit int) (int, error) {
	const name = "limit"
	s, ok := p[name]
	if !ok {
		return min(usual, limit), nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > limit {
		return 0, bad(name, s, "it must be a whole number from 1 to "+strconv.Itoa(limit))
	}
	return n, nil
}

// choice reads one of a few words; the first is what stands when it is not given.
func (p params) choice(name string, words ...string) (string, error) {
	s, ok := p[name]
	if !ok {
		return words[0], nil
	}
	if !slices.Contains(words, s) {
		return "", bad(name, s, "it must be one of "+strings.Join(words, ", "))
	}
	return s, nil
}

// span reads a half-open span of time. When inclusive, as at Alpaca, the end belongs to it. An end that is not given is 0.
func (p params) span(first, last string, inclusive bool) (from, to market.Time, err error) {
	if s, ok := p[first]; ok {
		if from, _, err = instant(first, s); err != nil {
			return 0, 0, err
		}
	}
	if s, ok := p[last]; ok {
		t, day, err := instant(last, s)
		if err != nil {
			return 0, 0, err
		}
		switch {
		case day && inclusive:
			t += 24 * market.Hour
		case inclusive:
			t++
		}
		if to = t; to == 0 {
			to = 1 // 0 stands for an open end, and nothing is stamped with either
		}
	}
	if _, ok := p[first]; ok && to != 0 && from > to {
		return 0, 0, bad(last, p[last], "it must not be before "+first)
	}
	return from, to, nil
}

// The times that an epoch of so many digits can stand for begin in 2001 and end in 2286, in all four units.
const (
	maxSeconds = 1e11
	maxMillis  = 1e14
	maxMicros  = 1e17
)

// instant reads a time: RFC 3339, a date (its midnight UTC), an epoch in seconds, milliseconds, microseconds or nanoseconds, told
// apart by their size, or how long ago, such as 10m, 1h30m or -10m, which is the same.
func instant(name, s string) (t market.Time, day bool, err error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) != len("20060102") && n >= 0 {
		switch {
		case n < 9e9: // market.Time ends in 2262
			return market.Time(n) * market.Second, false, nil
		case n < maxSeconds:
			return 0, false, bad(name, s, "this many seconds are beyond the year 2255")
		case n < maxMillis:
			return market.Time(n) * 1_000_000, false, nil
		case n < maxMicros:
			return market.Time(n) * 1000, false, nil
		}
		return market.Time(n), false, nil
	}
	if d, err := time.Parse(time.DateOnly, s); err == nil && d.Year() >= 1678 && d.Year() <= 2261 {
		return market.FromStd(d), true, nil
	}
	if ago, err := time.ParseDuration(strings.TrimPrefix(s, "-")); err == nil && ago >= 0 {
		return market.FromStd(time.Now().Add(-ago)), false, nil
	}
	// A plus that was not escaped arrives as a space.
	t, err = market.ParseTime(strings.Replace(s, " ", "+", 1))
	if err != nil {
		return 0, false, bad(name, s, "it must be a time such as 2026-11-23T14:30:00Z, a date such as 2026-11-23, an epoch, or how long ago such as 10m")
	}
	return t, false, nil
}

// named is a symbol and how the request wrote it.
type named struct {
	text   string
	symbol market.Symbol
	id     uint32
}

// symbol finds the symbol that a request names.
func (g *Gateway) symbol(parameter, text string) (named, error) {
	if len(text) > 2*market.MaxSymbol {
		return named{}, bad(parameter, text, "this is longer than a symbol can be")
	}
	id, symbol, candidates := g.hub.find(text)
	switch {
	case id != 0:
		return named{text, symbol, id}, nil
	case len(candidates) > 0:
		p := bad(parameter, text, "several venues have this name; say which")
		p.candidates = candidates
		return named{}, p
	}
	p := &problem{status: http.StatusNotFound, parameter: parameter, value: text, detail: "no such symbol has been seen"}
	if p.near = g.hub.near(text); len(p.near) > 0 {
		p.detail += "; did you mean " + string(p.near[0]) + "?"
	}
	return named{}, p
}

// symbols reads a list of symbols, parted by commas. A symbol that is named twice in different ways is answered once, as it was
// written first.
func (g *Gateway) symbols(p params, find func(parameter, text string) (named, error)) ([]named, error) {
	text := p["symbols"]
	if text == "" {
		return nil, bad("symbols", text, "it must name symbols, parted by commas")
	}
	parts := strings.Split(text, ",")
	if n := g.opt.Limits.Symbols; len(parts) > n {
		return nil, bad("symbols", text, "at most "+strconv.Itoa(n)+" symbols at once")
	}
	var list []named
	seen := make(map[market.Symbol]bool)
	for _, part := range parts {
		n, err := find("symbols", strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if !seen[n.symbol] {
			seen[n.symbol] = true
			list = append(list, n)
		}
	}
	return list, nil
}
