package alert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// ErrRule is wrapped by the errors of rules.
var ErrRule = errors.New("bad rule")

// MaxRules is the most rules of one book.
const MaxRules = 2000

// Severity says how much a rule matters.
type Severity string

// The severities.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Rule is what a user wants to be told of.
//
// It fires for a symbol when its condition comes to be met (and has been for the time For), not again while it stays so: it is
// armed anew when the condition is no longer met, or, where Until is given, when that one is.
type Rule struct {
	ID       string   `json:"id" yaml:"id"` // given by who keeps the rules; part of each alarm's id
	Name     string   `json:"name" yaml:"name"`
	Symbols  []string `json:"symbols" yaml:"symbols"` // patterns: "SIM:AAPL", "SIM:*", "*", and bare names such as "AAPL" of any venue
	When     string   `json:"when" yaml:"when"`
	Until    string   `json:"until,omitempty" yaml:"until,omitempty"`
	For      Duration `json:"for,omitempty" yaml:"for,omitempty"`           // how long the condition must have been met
	Cooldown Duration `json:"cooldown,omitempty" yaml:"cooldown,omitempty"` // after firing, not again for a symbol for so long
	Once     bool     `json:"once,omitempty" yaml:"once,omitempty"`         // fires once for a symbol, ever
	Severity Severity `json:"severity,omitempty" yaml:"severity,omitempty"` // info, warning (the default), critical
	Text     string   `json:"text,omitempty" yaml:"text,omitempty"`         // what an alarm says, with {{…}}; see template
	Session  string   `json:"session,omitempty" yaml:"session,omitempty"`   // "regular": only within the market's hours
	Expires  string   `json:"expires,omitempty" yaml:"expires,omitempty"`   // RFC 3339: not from then on
	Webhooks []string `json:"webhooks,omitempty" yaml:"webhooks,omitempty"` // addresses that each alarm is posted to
	Off      bool     `json:"off,omitempty" yaml:"off,omitempty"`           // kept, but not watched

	when, until *Program
	text        *template
	expires     market.Time
}

// Duration is a length of time that is written as "10s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q is not a length of time, such as 10s or 5m", text)
	}
	*d = Duration(v)
	return nil
}

// Tutorial is the rule that everybody begins with: two per cent within ten seconds.
func Tutorial() Rule {
	return Rule{
		ID: "move-2-10s", Name: "2% within 10 seconds", Symbols: []string{"*"}, When: `abs(change("10s")) >= 2`,
		Text: `{{abs(change("10s"))}}% move!`, Severity: Warning,
	}
}

// check makes a rule ready. It fills in what was left out.
func (r *Rule) check() (err error) {
	wrong := func(field string, err error) error {
		return fmt.Errorf("%w %q: %s: %w", ErrRule, clip(r.Name), field, err)
	}
	if r.Name == "" || len(r.Name) > 100 {
		return wrong("name", errors.New("want 1 to 100 bytes"))
	}
	if len(r.Symbols) == 0 || len(r.Symbols) > 1000 {
		return wrong("symbols", errors.New(`want 1 to 1000 patterns, such as "SIM:AAPL" or "*"`))
	}
	for _, p := range r.Symbols {
		if p == "" || len(p) > market.MaxSymbol {
			return wrong("symbols", fmt.Errorf(`%.80q is not a pattern, such as "SIM:AAPL", "SIM:*" or "*"`, p))
		}
	}
	if r.when, err = Compile(r.When); err != nil {
		return wrong("when", err)
	}
	if r.until = nil; r.Until != "" {
		if r.until, err = Compile(r.Until); err != nil {
			return wrong("until", err)
		}
	}
	for name, d := range map[string]Duration{"for": r.For, "cooldown": r.Cooldown} {
		if d < 0 || time.Duration(d) > 366*24*time.Hour {
			return wrong(name, errors.New("want a time between 0 and a year"))
		}
	}
	if r.Severity == "" {
		r.Severity = Warning
	}
	if !slices.Contains([]Severity{Info, Warning, Critical}, r.Severity) {
		return wrong("severity", fmt.Errorf("%.40q is not info, warning or critical", r.Severity))
	}
	if r.Session != "" && r.Session != "regular" {
		return wrong("session", fmt.Errorf(`%.40q is not "regular"`, r.Session))
	}
	if r.expires = 0; r.Expires != "" {
		at, err := time.Parse(time.RFC3339Nano, r.Expires)
		if err != nil {
			return wrong("expires", fmt.Errorf("%.40q is not a time such as 2026-12-31T22:00:00Z", r.Expires))
		}
		r.expires = market.FromStd(at)
	}
	if len(r.Webhooks) > 10 {
		return wrong("webhooks", errors.New("more than 10"))
	}
	for _, target := range r.Webhooks {
		if err := checkTarget(target); err != nil {
			return wrong("webhooks", err)
		}
	}
	if r.text, err = parseTemplate(r.Text, r.Name); err != nil {
		return wrong("text", err)
	}
	return nil
}

// checkID refuses an id that is no part of an address.
func checkID(id string) error {
	ok := len(id) >= 1 && len(id) <= maxIdentifier && id != "history" && id != "backtest"
	for i := range len(id) {
		c := id[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("%w: id %q: want 1 to %d lower-case letters, digits, dashes and underscores", ErrRule, clip(id), maxIdentifier)
	}
	return nil
}

// matches reports whether the rule watches a symbol.
func (r *Rule) matches(s market.Symbol) bool {
	return slices.ContainsFunc(r.Symbols, func(pattern string) bool {
		name := string(s)
		if !strings.Contains(pattern, ":") {
			name = s.Name()
		}
		return glob(strings.ToUpper(pattern), name)
	})
}

// glob reports whether a text is as a pattern says, in which * stands for any text. It looks at each byte of the text once for
// each star at most.
func glob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if text, star = strings.CutPrefix(text, first); !star {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], after
	}
}
