package mapping

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Params are the parameters of a feed's URL.
type Params interface {
	Get(name string) string
	Has(name string) bool
	Errorf(name, problem string) error
}

// RuleParams returns the names of the parameters that say how to read a message. A rule in a file has the same.
func RuleParams() []string {
	return []string{
		"items", "filter", "where", "symbol", "as", "price", "value", "size", "side", "sides", "maker", "id", "bid", "bidsize",
		"ask", "asksize", "time", "unit", "tz", "scale", "sizescale",
	}
}

// sourceParams are those of both kinds of sources.
func sourceParams() []string {
	return []string{"map", "symbols", "names", "query", "header", "key", "secret", "stall"}
}

// StreamParams returns the names of all parameters of a WebSocket source.
func StreamParams() []string {
	own := []string{
		"login", "subscribe", "unsubscribe", "chunk", "pace", "ping", "every", "pong", "ack", "refuse", "refusetext", "acktime",
	}
	return append(append(sourceParams(), own...), RuleParams()...)
}

// PollParams returns the names of all parameters of an HTTP source.
func PollParams() []string {
	own := []string{"interval", "timeout", "max", "since", "repeat"}
	return append(append(sourceParams(), own...), RuleParams()...)
}

// MessageParams returns the names of the parameters of a source whose messages come some other way, such as by a broker.
func MessageParams() []string { return append([]string{"map", "symbols", "names"}, RuleParams()...) }

// Place is what a feed's URL says besides its parameters.
type Place struct {
	Scheme string // ws+json, wss+json, http+json or https+json
	Target string // host/path
	Venue  string // of its symbols
}

// Streams reports whether the place is a WebSocket's.
func (p Place) Streams() bool { return strings.HasPrefix(p.Scheme, "ws") }

// Check refuses parameters that Parse would refuse whatever the world looks like. It reads no file: of a mapping in a file it
// only looks at what stands in the URL.
func Check(place Place, params Params) error {
	s := &settings{params: params}
	if params.Has("map") {
		if params.Get("map") == "" {
			return params.Errorf("map", "names no file")
		}
		return nil
	}
	_, err := s.mapping(place, func(text string) (string, error) { return text, nil })
	return err
}

// Parse reads the parameters, and the file that map= names. Its errors name the parameter, and the line of the file.
func Parse(place Place, params Params) (*Mapping, error) {
	s := &settings{params: params}
	if name := params.Get("map"); name != "" {
		known := PollParams()
		if place.Streams() {
			known = StreamParams()
		}
		file, err := readFile(name, append(known, "url"))
		if err != nil {
			return nil, params.Errorf("map", err.Error())
		}
		s.file = file
	}
	return s.mapping(place, resolve)
}

// CheckMessages is Check for Messages.
func CheckMessages(venue string, params Params) error {
	if params.Has("map") && params.Get("map") != "" {
		return nil
	}
	_, err := Messages(venue, params)
	return err
}

// Messages is Parse for a source whose messages come some other way, such as by a broker: it has neither URL nor Stream nor Poll.
// A rule needs neither symbol= nor as=: Reader.Name is the symbol then.
func Messages(venue string, params Params) (*Mapping, error) {
	s := &settings{params: params, named: true}
	if params.Has("map") {
		file, err := readFile(params.Get("map"), MessageParams())
		if err != nil {
			return nil, params.Errorf("map", err.Error())
		}
		s.file = file
	}
	m := newMapping(venue)
	if err := s.symbols(m); err != nil {
		return nil, err
	}
	return m, s.rules(m)
}

// resolve returns the secret that a text names.
func resolve(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		if secret := os.Getenv(name); secret != "" {
			return secret, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	if name, ok := strings.CutPrefix(text, "file:"); ok {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if secret := strings.TrimSpace(string(b)); secret != "" {
			return secret, nil
		}
		return "", fmt.Errorf("the file %s is empty", name)
	}
	return text, nil
}

// settings are the parameters of a URL over those of a file.
type settings struct {
	params Params
	file   *file // nil: none
	rule   *section
	named  bool // messages have names of symbols from elsewhere
}

// value returns a parameter: of the URL, else of the rule that is read, else of the file.
func (s *settings) value(name string) string {
	switch {
	case s.params.Has(name):
		return s.params.Get(name)
	case s.rule != nil && s.rule.has(name):
		return s.rule.text(name)
	case s.file != nil && s.file.top.has(name):
		return s.file.top.text(name)
	}
	return ""
}

// list returns the texts of a parameter that may be a list in a file, and is one in a URL as far as it has several lines.
func (s *settings) list(name string) []string {
	if !s.params.Has(name) && s.file != nil && s.file.top.has(name) {
		return s.file.top.values[name].list
	}
	var list []string
	for line := range strings.SplitSeq(s.value(name), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// errorf says what is wrong with a parameter, and where it stands.
func (s *settings) errorf(name, problem string) error {
	if !s.params.Has(name) && s.file != nil {
		if line := s.file.line(s.rule, name); line > 0 {
			return s.params.Errorf("map", fmt.Sprintf("line %d: %s: %s", line, name, problem))
		}
		return s.params.Errorf("map", fmt.Sprintf("%s: %s", name, problem))
	}
	return s.params.Errorf(name, problem)
}

func (s *settings) wrap(name string, err error) error {
	if err == nil {
		return nil
	}
	return s.errorf(name, err.Error())
}

// mapping reads everything.
func (s *settings) mapping(place Place, secret func(string) (string, error)) (*Mapping, error) {
	m := newMapping(place.Venue)
	if err := s.source(m, place, secret); err != nil {
		return nil, err
	}
	if err := s.symbols(m); err != nil {
		return nil, err
	}
	if err := s.rules(m); err != nil {
		return nil, err
	}
	if place.Streams() {
		return m, s.stream(m, place)
	}
	return m, s.poll(m)
}

// source reads where the source is and what is sent along. In queries, headers and messages {key} and {secret} stand for what the
// parameters of these names are.
func (s *settings) source(m *Mapping, place Place, secret func(string) (string, error)) error {
	fill, err := s.secrets(m, secret)
	if err != nil {
		return err
	}
	address := place.Target
	if address == "" && s.file != nil {
		address = s.value("url")
	}
	if address == "" {
		return s.errorf("map", "the feed names no host: write "+place.Scheme+"://host/path, or url: in the file")
	}
	if _, rest, ok := strings.Cut(address, "://"); ok && s.file != nil && place.Target == "" {
		address = rest
	}
	transport, _, _ := strings.Cut(place.Scheme, "+")
	m.URL, err = url.Parse(transport + "://" + fill(escapeSpaces(address), true))
	if err != nil || m.URL.Host == "" {
		return s.errorf("map", "the address is not one of a host and a path")
	}
	if query := s.value("query"); query != "" {
		if err := s.literal("query", query, strings.Contains(query, "{")); err != nil {
			return err
		}
		if m.URL.RawQuery != "" {
			m.URL.RawQuery += "&"
		}
		m.URL.RawQuery += escapeSpaces(fill(query, true))
	}
	m.URL.Fragment, m.URL.RawFragment = "", ""
	m.Header = make(http.Header)
	for _, header := range s.list("header") {
		name, value, ok := strings.Cut(header, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n\"(),/;<=>?@[]{}\\") || strings.ContainsAny(value, "\r\n\x00") {
			return s.params.Errorf("header", "want Name: value")
		}
		if err := s.literal("header", name, strings.Contains(value, "{")); err != nil {
			return err
		}
		m.Header.Add(name, fill(value, false))
	}
	if user := m.URL.User; user != nil && !place.Streams() {
		m.Secret = true
	}
	m.Secret = m.Secret || len(m.Header) > 0 || s.value("key") != "" || s.value("secret") != ""
	m.Stream.Login = fill(s.value("login"), false)
	for _, message := range s.list("subscribe") {
		m.Stream.Subscribe = append(m.Stream.Subscribe, fill(message, false))
	}
	for _, message := range s.list("unsubscribe") {
		m.Stream.Unsubscribe = append(m.Stream.Unsubscribe, fill(message, false))
	}
	m.Stream.Ping = fill(s.value("ping"), false)
	return nil
}

// secrets returns what puts the secrets into a text, escaped for a query or as they are.
func (s *settings) secrets(m *Mapping, secret func(string) (string, error)) (fill func(text string, query bool) string, err error) {
	values := make(map[string]string)
	for _, name := range []string{"key", "secret"} {
		if values[name], err = secret(s.value(name)); err != nil {
			return nil, s.errorf(name, err.Error())
		}
		m.secrets = append(m.secrets, values[name])
	}
	return func(text string, query bool) string {
		for _, name := range []string{"key", "secret"} {
			value := values[name]
			if query {
				value = url.QueryEscape(value)
			}
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		return text
	}, nil
}

// literal refuses a secret that stands in the URL itself, where everybody sees it who lists the feeds.
func (s *settings) literal(param, name string, placed bool) error {
	if placed || !s.params.Has(param) {
		return nil
	}
	for _, word := range []string{"key", "secret", "token", "auth", "cookie", "passw", "credential"} {
		if strings.Contains(strings.ToLower(name), word) {
			return s.params.Errorf("key", "write {key} in "+param+"= where the secret belongs, and key=env:NAME or key=file:PATH")
		}
	}
	return nil
}

func escapeSpaces(s string) string { return strings.ReplaceAll(s, " ", "%20") }

// symbols reads what the feed carries and what it is called here.
func (s *settings) symbols(m *Mapping) error {
	n := m.names
	n.given = make(map[string]string)
	for native, name := range s.pairs("names") {
		if native == "" || name == "" {
			return s.errorf("names", "want theirs:ours, …")
		}
		n.given[native] = name
	}
	for _, line := range s.list("symbols") {
		for native := range strings.SplitSeq(line, ",") {
			if native = strings.TrimSpace(native); native == "" {
				continue
			}
			if n.known[native] != "" {
				return s.errorf("symbols", fmt.Sprintf("%q is there twice", native))
			}
			if n.add(native) == "" {
				return s.errorf("symbols", fmt.Sprintf("%.80q makes no symbol: it is too long", native))
			}
			m.Symbols = append(m.Symbols, native)
		}
	}
	n.carried = len(m.Symbols) > 0
	return nil
}

// pairs returns the pairs a:b of a parameter, in a file also those of a map.
func (s *settings) pairs(name string) map[string]string {
	for _, from := range []*section{s.rule, s.top()} {
		if from != nil && from.has(name) && !s.params.Has(name) && from.values[name].pairs != nil {
			return from.values[name].pairs
		}
	}
	pairs := make(map[string]string)
	for part := range strings.SplitSeq(s.value(name), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		i := strings.LastIndexByte(part, ':')
		if i < 0 {
			pairs[part] = ""
			continue
		}
		pairs[strings.TrimSpace(part[:i])] = strings.TrimSpace(part[i+1:])
	}
	return pairs
}

func (s *settings) top() *section {
	if s.file == nil {
		return nil
	}
	return s.file.top
}

// duration reads a length of time within bounds.
func (s *settings) duration(name string, otherwise, least time.Duration) (time.Duration, error) {
	v := s.value(name)
	if v == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > 24*time.Hour {
		return 0, s.errorf(name, fmt.Sprintf("want a length of time from %s to 24h, such as 5s", least))
	}
	return d, nil
}

// whole reads a whole number within bounds.
func (s *settings) whole(name string, otherwise, low, high int) (int, error) {
	v := s.value(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, s.errorf(name, fmt.Sprintf("want a whole number from %d to %d", low, high))
	}
	return n, nil
}

// bytes reads a number of bytes such as 8MB.
func (s *settings) bytes(name string, otherwise int64) (int64, error) {
	v := strings.ToUpper(strings.TrimSpace(s.value(name)))
	if v == "" {
		return otherwise, nil
	}
	unit := int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"KB", 1e3}, {"MB", 1e6}} {
		if rest, ok := strings.CutSuffix(v, u.suffix); ok {
			v, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || n > (256<<20)/unit {
		return 0, s.errorf(name, "want a number of bytes up to 256MiB, such as 8MiB")
	}
	return n * unit, nil
}

func (s *settings) boolean(name string) (bool, error) {
	switch strings.ToLower(s.value(name)) {
	case "true", "yes", "on", "1":
		return true, nil
	case "", "false", "no", "off", "0":
		return false, nil
	}
	return false, s.errorf(name, "want true or false")
}
