package publish

import (
	"errors"
	"fmt"
	"strings"

	"tapedeck/internal/market"
)

// template makes the name of a channel, a subject or a topic of a symbol: {symbol} is VENUE:NAME, {venue} and {name} are its parts.
type template struct {
	text   string
	fixed  bool
	escape func(text string) string
}

func parseTemplate(text string, escape func(string) string) (template, error) {
	rest := text
	for _, word := range []string{"{symbol}", "{venue}", "{name}"} {
		rest = strings.ReplaceAll(rest, word, "")
	}
	if strings.ContainsAny(rest, "{}") {
		return template{}, fmt.Errorf("%.80q: what stands in braces is {symbol}, {venue} or {name}", text)
	}
	if text == "" {
		return template{}, errors.New("the URL says no name of a channel, subject or topic")
	}
	return template{text: text, fixed: rest == text, escape: escape}, nil
}

func (t *template) of(symbol market.Symbol) string {
	if t.fixed {
		return t.text
	}
	return strings.NewReplacer(
		"{symbol}", t.escape(string(symbol)), "{venue}", t.escape(symbol.Venue()), "{name}", t.escape(symbol.Name()),
	).Replace(t.text)
}
