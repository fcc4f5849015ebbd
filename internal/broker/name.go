package broker

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// Levels makes a symbol's name of what stands around a message. It is written as text with {1}, {2} … for the levels of a topic,
// {last} for the last of them, {topic} for all of it and {key} for the key of the message: "{2}-{last}".
type Levels struct {
	parts     []part
	separator string
}

type part struct {
	text  string
	what  string // "", level, last, topic, key
	level int
}

// ParseLevels reads a template. The separator is what divides the levels of a topic.
func ParseLevels(template, separator string) (Levels, error) {
	l := Levels{separator: separator}
	for rest := template; rest != ""; {
		text, tail, found := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return l, errors.New("a } without its {")
		}
		if text != "" {
			l.parts = append(l.parts, part{text: text})
		}
		if !found {
			break
		}
		word, after, ok := strings.Cut(tail, "}")
		if !ok {
			return l, errors.New("a { without its }")
		}
		rest = after
		switch word {
		case "last", "topic", "key":
			l.parts = append(l.parts, part{what: word})
		default:
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 || n > 128 {
				return l, fmt.Errorf("{%.20s} is not one of {1} … {128}, {last}, {topic}, {key}", word)
			}
			l.parts = append(l.parts, part{what: "level", level: n})
		}
	}
	if len(l.parts) == 0 {
		return l, errors.New("want a name such as {last} or {2}-{3}")
	}
	return l, nil
}

// Name returns the name that a message gets, "" when a part of it is not there. What was percent-encoded, as a point in a level
// of a NATS subject, is decoded.
func (l *Levels) Name(m *Message) string {
	var b strings.Builder
	for _, p := range l.parts {
		text := p.text
		switch p.what {
		case "level":
			levels := strings.SplitN(m.Topic, l.separator, p.level+1)
			if len(levels) < p.level {
				return ""
			}
			text = decoded(levels[p.level-1])
		case "last":
			text = decoded(m.Topic[strings.LastIndex(m.Topic, l.separator)+1:])
		case "topic":
			text = decoded(strings.ReplaceAll(m.Topic, l.separator, "-"))
		case "key":
			text = m.Key
		}
		if text == "" {
			return ""
		}
		b.WriteString(text)
	}
	return b.String()
}

func decoded(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	text, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return text
}

// SymbolOf makes a symbol of a name as others write it: a venue before a colon is left out, as the feed has its own; BTC/USD is
// BTC-USD; white space is an underscore.
func SymbolOf(venue, name string) (market.Symbol, error) {
	if len(name) > 4*market.MaxSymbol {
		return "", fmt.Errorf("%.20q… is too long for a name: %w", name, market.ErrSymbol)
	}
	if _, tail, ok := strings.Cut(name, ":"); ok && tail != "" {
		name = tail
	}
	name = strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '-'
		case ' ', '\t':
			return '_'
		}
		return r
	}, strings.TrimSpace(name))
	return market.NewSymbol(venue, name)
}

// EscapeLevel writes a name so that it is one level of a NATS subject, which SymbolOf's callers can read back: what divides levels,
// or stands for many, is percent-encoded.
func EscapeLevel(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c <= ' ' || c >= 0x7f || strings.IndexByte(".*>%", c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
