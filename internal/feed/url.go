package feed

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// ErrURL is wrapped by the errors of feed URLs.
var ErrURL = errors.New("bad feed URL")

// URL names a feed: "scheme://target?parameter=value&…". The target and the values may be percent-encoded; a plus sign is a
// plus sign. Two parameters are known to all feeds: name= (the feed's name, otherwise its scheme) and venue= (the first part
// of its symbols, otherwise the name in upper case).
type URL struct {
	Scheme string
	Target string // what stands between :// and ?, decoded
	Name   string // [a-z0-9_-], unique in a process
	Venue  string // upper case

	raw    string // target as written
	params []param
	named  bool // by name=
}

type param struct{ name, value string }

const mask = "***"

// ParseURL reads a feed URL without knowing the adapters; see Registry.Parse.
func ParseURL(s string) (*URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || scheme == "" {
		return nil, fmt.Errorf("%w %q: want scheme://…, such as sim://?symbols=AAPL", ErrURL, Mask(s))
	}
	u := &URL{Scheme: strings.ToLower(scheme)}
	if i := strings.IndexFunc(u.Scheme, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
	}); i >= 0 {
		return nil, fmt.Errorf("%w %q: the scheme is not a word", ErrURL, Mask(s))
	}
	target, query, _ := strings.Cut(rest, "?")
	var err error
	u.raw = target
	if u.Target, err = url.PathUnescape(target); err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrURL, Mask(s), err)
	}
	if err := u.parseQuery(query); err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrURL, Mask(s), err)
	}
	if err := u.identify(); err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrURL, Mask(s), err)
	}
	return u, nil
}

func (u *URL) parseQuery(query string) error {
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("parameter %q has no value; write %s=…", name, name)
		}
		name, err := url.PathUnescape(name)
		if err != nil {
			return err
		}
		if value, err = url.PathUnescape(value); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
		if _, twice := u.lookup(name); twice {
			return fmt.Errorf("parameter %s is given twice", name)
		}
		u.params = append(u.params, param{name, value})
	}
	return nil
}

// identify sets the name and the venue.
func (u *URL) identify() error {
	u.Name, u.named = u.lookup("name")
	if !u.named {
		u.Name = strings.NewReplacer("+", "-", ".", "-").Replace(u.Scheme)
	}
	if err := checkName(u.Name); err != nil {
		return err
	}
	venue, ok := u.lookup("venue")
	if !ok {
		venue = u.Name
	}
	return u.setVenue(venue)
}

func (u *URL) setVenue(venue string) error {
	u.Venue = strings.ToUpper(venue)
	if _, err := market.NewSymbol(u.Venue, "X"); err != nil || strings.Contains(u.Venue, ":") {
		return fmt.Errorf("venue=%s: want letters, digits, dots, dashes and underscores", venue)
	}
	return nil
}

func checkName(name string) error {
	ok := len(name) >= 1 && len(name) <= 32
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("name=%s: want 1 to 32 lower-case letters, digits, dashes and underscores", name)
	}
	if name == market.AlertFeed || market.IsImport(name) {
		return fmt.Errorf("name=%s: names such as this are the program's own", name)
	}
	return nil
}

func (u *URL) lookup(name string) (string, bool) {
	for _, p := range u.params {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// Get returns the value of a parameter, or "" when it is not given.
func (u *URL) Get(name string) string {
	v, _ := u.lookup(name)
	return v
}

// Has reports whether a parameter is given.
func (u *URL) Has(name string) bool {
	_, ok := u.lookup(name)
	return ok
}

// List returns the values of a parameter that holds a list: parts between commas without the spaces around them, none empty.
func (u *URL) List(name string) []string { return SplitList(u.Get(name)) }

// SplitList splits at commas and drops spaces and empty parts.
func SplitList(s string) []string {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// Bool returns a parameter that is true or false (also yes, no, on, off, 1, 0).
func (u *URL) Bool(name string, otherwise bool) (bool, error) {
	v, ok := u.lookup(name)
	if !ok {
		return otherwise, nil
	}
	switch strings.ToLower(v) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, u.Errorf(name, "want true or false")
}

// Duration returns a parameter such as 50ms or 1.5s, which must not be negative.
func (u *URL) Duration(name string, otherwise time.Duration) (time.Duration, error) {
	v, ok := u.lookup(name)
	if !ok {
		return otherwise, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, u.Errorf(name, "want a length of time such as 50ms or 1.5s")
	}
	return d, nil
}

// Float returns a parameter that is a number within low and high.
func (u *URL) Float(name string, otherwise, low, high float64) (float64, error) {
	v, ok := u.lookup(name)
	if !ok {
		return otherwise, nil
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= low && f <= high) {
		return 0, u.Errorf(name, fmt.Sprintf("want a number from %g to %g", low, high))
	}
	return f, nil
}

// Uint returns a parameter that is a whole number.
func (u *URL) Uint(name string, otherwise uint64) (uint64, error) {
	v, ok := u.lookup(name)
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, u.Errorf(name, "want a whole number")
	}
	return n, nil
}

// Errorf returns a permanent error about a parameter.
func (u *URL) Errorf(name, problem string) error {
	value := u.Get(name)
	if isSecret(name) {
		value = mask
	}
	return Permanent(fmt.Errorf("%w: %s=%s: %s", ErrURL, name, value, problem))
}

// Secret returns the value of a parameter that holds a secret: env:NAME is the environment variable of that name, file:PATH the
// content of a file without the white space around it, anything else stands for itself. A secret that is named but not
// there is a permanent error.
func (u *URL) Secret(name string) (string, error) {
	v := u.Get(name)
	if env, ok := strings.CutPrefix(v, "env:"); ok {
		secret := os.Getenv(env)
		if secret == "" {
			return "", Permanent(fmt.Errorf("%w: %s=%s: the environment variable %s is not set", ErrURL, name, v, env))
		}
		return secret, nil
	}
	if path, ok := strings.CutPrefix(v, "file:"); ok {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", Permanent(fmt.Errorf("%w: %s: %w", ErrURL, name, err))
		}
		secret := strings.TrimSpace(string(b))
		if secret == "" {
			return "", Permanent(fmt.Errorf("%w: %s=%s: the file is empty", ErrURL, name, v))
		}
		return secret, nil
	}
	return v, nil
}

// isSecret tells by its name whether a parameter holds a secret.
func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range [...]string{"key", "secret", "token", "password", "passwd", "passphrase", "auth", "jwt", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "pass" || name == "pwd" || name == "apikey"
}

// String returns the URL as it was written, with every secret masked. References to secrets (env:NAME, file:PATH) are shown.
func (u *URL) String() string {
	var b strings.Builder
	b.WriteString(u.Scheme + "://" + maskTarget(u.raw))
	for i, p := range u.params {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(escape(p.name) + "=" + escape(maskValue(p.name, p.value)))
	}
	return b.String()
}

// Mask masks the secrets of a feed URL that may not even be one, for messages and listings.
func Mask(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	} else {
		scheme += "://"
	}
	target, query, has := strings.Cut(rest, "?")
	if ok {
		target = maskTarget(target)
	}
	if !has {
		return scheme + target
	}
	return scheme + target + "?" + maskPairs(query)
}

// maskPairs masks what is between the ampersands of a query.
func maskPairs(query string) string {
	parts := strings.Split(query, "&")
	for i, part := range parts {
		if name, value, ok := strings.Cut(part, "="); ok {
			decoded := unescape(value)
			if masked := maskValue(unescape(name), decoded); masked != decoded {
				parts[i] = name + "=" + escape(masked)
			}
		}
	}
	return strings.Join(parts, "&")
}

func unescape(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// maskValue masks the value of a parameter that holds a secret, and what is secret in the value of one that holds an address, a
// query, a header or a message. Where such a one has a place for a secret ({key}), the secret is not there.
func maskValue(name, value string) string {
	if value == "" || strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") {
		return value
	}
	if isSecret(name) {
		return mask
	}
	placed := strings.Contains(value, "{key}") || strings.Contains(value, "{secret}")
	switch strings.ToLower(name) {
	case "url", "rest":
		return Mask(value)
	case "query":
		if !placed {
			return maskPairs(value)
		}
	case "header":
		field, said, ok := strings.Cut(value, ":")
		if ok && !placed && strings.TrimSpace(said) != "" && (isSecret(field) || strings.Contains(strings.ToLower(field), "cookie")) {
			return field + ": " + mask
		}
	case "login":
		if !placed {
			return mask
		}
	case "subscribe", "unsubscribe", "ping":
		if !placed && isSecret(value) {
			return mask
		}
	}
	return value
}

// maskTarget masks the password of a target, and what stands behind an ampersand that should have been a question mark.
func maskTarget(target string) string {
	if head, rest, ok := strings.Cut(target, "&"); ok {
		return maskUserinfo(head) + "&" + maskPairs(rest)
	}
	return maskUserinfo(target)
}

// maskUserinfo masks the password of "user:password@host/path", or the whole of it when it has no user.
func maskUserinfo(target string) string {
	authority, path, slash := strings.Cut(target, "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return target
	}
	user, _, ok := strings.Cut(authority[:at], ":")
	if ok {
		user += ":" + mask
	} else {
		user = mask // a token
	}
	masked := user + authority[at:]
	if slash {
		masked += "/" + path
	}
	return masked
}

// escape encodes what would end a part of the URL, and leaves it readable otherwise.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '%' || c == '&' || c == '?' || c == '#' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Only refuses parameters that are not among the known ones. Their values are not told: one may be a secret whose name is mistyped.
func (u *URL) Only(known ...string) error {
	for _, p := range u.params {
		if !slices.Contains(known, p.name) {
			shown := *u
			shown.params = slices.Clone(u.params)
			for i := range shown.params {
				if !slices.Contains(known, shown.params[i].name) {
					shown.params[i].value = mask
				}
			}
			return fmt.Errorf("%w %q: unknown parameter %s%s; %s knows %s",
				ErrURL, &shown, p.name, near(p.name, known), u.Scheme, strings.Join(known, ", "))
		}
	}
	return nil
}
