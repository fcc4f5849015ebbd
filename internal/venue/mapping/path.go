package mapping

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// A path says where in an item a value stands; one that begins with ^ looks in the message around it.
type path struct {
	text    string
	message bool
}

// errPath is wrapped by what is wrong with a path.
var errPath = errors.New("not a path")

func parsePath(s string) (path, error) {
	text, message := strings.CutPrefix(s, "^")
	p := path{text: text, message: message}
	switch {
	case text == "":
		return p, fmt.Errorf("%w: it is empty", errPath)
	case len(text) > 512:
		return p, fmt.Errorf("%w: it is longer than 512 bytes", errPath)
	case strings.HasPrefix(text, ".") || strings.HasSuffix(text, ".") && !strings.HasSuffix(text, `\.`):
		return p, fmt.Errorf("%w: it begins or ends with a dot", errPath)
	case strings.HasPrefix(text, "!"):
		return p, fmt.Errorf("%w: it is a text of its own, not a place", errPath)
	}
	return p, nil
}

// set reports whether the user gave the path.
func (p path) set() bool { return p.text != "" }

// get returns what stands at the path.
func (p path) get(message, item string) gjson.Result {
	if p.message {
		item = message
	}
	return gjson.Get(item, p.text)
}

// text returns the text of a value: that of a string without its quotes, of anything else as it was sent. Nothing and null are "".
func text(r gjson.Result) string {
	switch r.Type {
	case gjson.Null:
		return ""
	case gjson.String:
		return r.Str
	default:
		return r.Raw
	}
}

// A condition is a list of claims that must all hold.
type condition []claim

// A claim is path=value, path!=value, path (something is there) or !path (nothing is).
type claim struct {
	path  path
	value string
	equal bool // a value is compared
	not   bool
}

// parseCondition reads claims between commas. An empty text is no condition.
func parseCondition(s string) (condition, error) {
	var c condition
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		var one claim
		where, value, equal := cutClaim(part)
		one.value, one.equal = value, equal
		if rest, ok := strings.CutSuffix(where, "!"); equal && ok {
			one.not, where = true, rest
		} else if rest, ok := strings.CutPrefix(where, "!"); !equal && ok {
			one.not, where = true, rest
		}
		var err error
		if one.path, err = parsePath(strings.TrimSpace(where)); err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		c = append(c, one)
	}
	return c, nil
}

// cutClaim cuts at the first equals sign that is not part of a query such as #(a=="b").
func cutClaim(s string) (where, value string, equal bool) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth--
		case '=':
			if depth == 0 {
				return s[:i], strings.TrimSpace(s[i+1:]), true
			}
		}
	}
	return s, "", false
}

// holds reports whether every claim is true.
func (c condition) holds(message, item string) bool {
	for i := range c {
		r := c[i].path.get(message, item)
		good := r.Exists()
		if c[i].equal {
			good = good && text(r) == c[i].value || !good && c[i].value == "null"
		}
		if good == c[i].not {
			return false
		}
	}
	return true
}

// A template is a text with places: what stands between braces is a path.
type template struct {
	parts []part
}

type part struct {
	text string
	path path // when set, what stands there
}

func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		before, rest, open := strings.Cut(s, "{")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !open {
			return t, nil
		}
		inside, after, closed := strings.Cut(rest, "}")
		if !closed {
			return t, errors.New("a brace is not closed")
		}
		p, err := parsePath(inside)
		if err != nil {
			return t, fmt.Errorf("{%s}: %w", inside, err)
		}
		t.parts = append(t.parts, part{path: p})
		s = after
	}
	return t, nil
}

func (t template) set() bool { return len(t.parts) > 0 }

// constant returns the text when it has no places.
func (t template) constant() (string, bool) {
	if len(t.parts) == 1 && !t.parts[0].path.set() {
		return t.parts[0].text, true
	}
	return "", false
}

// append appends the text with its places filled; ok is false when one of them is empty.
func (t template) append(dst []byte, message, item string) (_ []byte, ok bool) {
	for i := range t.parts {
		p := &t.parts[i]
		if !p.path.set() {
			dst = append(dst, p.text...)
			continue
		}
		s := text(p.path.get(message, item))
		if s == "" {
			return dst, false
		}
		dst = append(dst, s...)
	}
	return dst, true
}

// shallow reports whether JSON is nested no deeper than maxDepth. It does not look whether it is JSON.
func shallow(s string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
