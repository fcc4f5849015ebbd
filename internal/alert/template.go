package alert

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

const (
	maxTemplate = 500 // bytes
	maxText     = 300 // bytes of an alarm's text
	maxValues   = 8   // of one text
)

// template is the text of an alarm. {{price}}, {{size}}, {{bid}} and {{ask}} are shown with their own digits, {{symbol}} and {{rule}} are
// names, {{time}} is the time of the tick; any other {{…}} is a number in the language of conditions, shown with two digits.
// {{ticker}} and {{close}} are other words for {{symbol}} and {{price}}.
type template struct {
	parts []part
}

// part is a text, or a word, or a value.
type part struct {
	text  string
	word  string
	value *Program
}

func parseTemplate(source, name string) (*template, error) {
	if source == "" {
		source = "{{rule}}"
	}
	if len(source) > maxTemplate {
		return nil, fmt.Errorf("%d bytes, more than %d", len(source), maxTemplate)
	}
	t := &template{}
	values := 0
	for source != "" {
		before, rest, found := strings.Cut(source, "{{")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !found {
			break
		}
		inside, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, errors.New("{{ without }}")
		}
		source = after
		switch inside = strings.TrimSpace(inside); inside {
		case "rule":
			t.parts = append(t.parts, part{text: name})
		case "symbol", "ticker", "price", "close", "size", "bid", "ask", "time":
			t.parts = append(t.parts, part{word: inside})
		default:
			p, err := compile(inside)
			if err != nil {
				return nil, err
			}
			if p.truth {
				return nil, fmt.Errorf("{{%s}} is a condition; want a number", clip(inside))
			}
			if values++; values > maxValues {
				return nil, fmt.Errorf("more than %d values", maxValues)
			}
			t.parts = append(t.parts, part{value: p})
		}
	}
	return t, nil
}

// write returns the text of an alarm; views are those of the values, in their order.
func (t *template) write(s *symbol, at market.Time, views []view) string {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.value != nil:
			x := p.value.root.eval(&views[0])
			views = views[1:]
			if math.IsNaN(x) {
				b.WriteString("?")
			} else {
				b.WriteString(strconv.FormatFloat(x, 'f', 2, 64))
			}
		case p.word == "":
			b.WriteString(p.text)
		case p.word == "symbol" || p.word == "ticker":
			b.WriteString(string(s.name))
		case p.word == "price" || p.word == "close":
			b.WriteString(s.last.price.String())
		case p.word == "size":
			b.WriteString(s.last.size.String())
		case p.word == "bid":
			b.WriteString(s.bid.String())
		case p.word == "ask":
			b.WriteString(s.ask.String())
		case p.word == "time":
			b.WriteString(at.String())
		}
	}
	text := strings.ToValidUTF8(b.String(), "�")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
