package websocket

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

const deflateName = "permessage-deflate"

// extension is one element of Sec-WebSocket-Extensions.
type extension struct {
	name   string
	params []param
}

type param struct {
	name   string
	value  string
	valued bool // it was given a value
}

var errExtensions = errors.New("malformed Sec-WebSocket-Extensions")

// parseExtensions reads the header's fields (RFC 6455, 9.1): lists of tokens with parameters, whose values may be quoted. What does
// not conform to the grammar is an error, as the RFC asks.
func parseExtensions(fields []string) ([]extension, error) {
	var list []extension
	for _, field := range fields {
		l := lexer{field}
		for {
			l.space()
			if l.rest == "" {
				break
			}
			if l.take(',') { // a list may have empty elements
				continue
			}
			x, ok := l.extension()
			if !ok {
				return nil, errExtensions
			}
			list = append(list, x)
			if l.rest != "" && !l.take(',') {
				return nil, errExtensions
			}
		}
	}
	return list, nil
}

// lexer takes the pieces of a header from the front of what is left of it.
type lexer struct{ rest string }

func (l *lexer) space() { l.rest = strings.TrimLeft(l.rest, " \t") }

func (l *lexer) take(c byte) bool {
	if l.rest == "" || l.rest[0] != c {
		return false
	}
	l.rest = l.rest[1:]
	return true
}

func (l *lexer) token() (string, bool) {
	n := 0
	for n < len(l.rest) && isToken(l.rest[n]) {
		n++
	}
	t := l.rest[:n]
	l.rest = l.rest[n:]
	return t, n > 0
}

// quoted takes a quoted string behind its first quote. What it says must be a token (RFC 6455, 9.1).
func (l *lexer) quoted() (string, bool) {
	var b strings.Builder
	for l.rest != "" {
		c := l.rest[0]
		l.rest = l.rest[1:]
		switch c {
		case '"':
			return b.String(), b.Len() > 0
		case '\\':
			if l.rest == "" {
				return "", false
			}
			c = l.rest[0]
			l.rest = l.rest[1:]
		}
		if !isToken(c) {
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}

// extension takes an element up to the comma or the end.
func (l *lexer) extension() (x extension, ok bool) {
	if x.name, ok = l.token(); !ok {
		return x, false
	}
	for l.space(); l.take(';'); l.space() {
		l.space()
		var p param
		if p.name, ok = l.token(); !ok {
			return x, false
		}
		l.space()
		if p.valued = l.take('='); p.valued {
			l.space()
			if l.take('"') {
				p.value, ok = l.quoted()
			} else {
				p.value, ok = l.token()
			}
			if !ok {
				return x, false
			}
		}
		x.params = append(x.params, p)
	}
	return x, true
}

// isToken reports whether c may stand in a token (RFC 7230, 3.2.6).
func isToken(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	default:
		return c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
}

// chooseDeflate returns the answer to the first offer of permessage-deflate that we can keep to, or "" (RFC 7692, 7.1). Both sides go
// without context takeover, which a server may say whatever was offered.
func chooseDeflate(offers []extension) string {
	for _, x := range offers {
		if x.name != deflateName {
			continue
		}
		p, ok := deflateParams(x.params, true)
		if !ok || p.serverBits != 0 && p.serverBits != 15 {
			continue // our compressor looks back 32 KiB
		}
		answer := deflateName + "; server_no_context_takeover; client_no_context_takeover"
		if p.serverBits != 0 {
			answer += "; server_max_window_bits=15"
		}
		return answer
	}
	return ""
}

// deflateTerms are the parameters of permessage-deflate.
type deflateTerms struct {
	serverFresh, clientFresh bool // no context takeover
	serverBits, clientBits   int  // log2 of a window; 0 when not said
}

// deflateParams reads the parameters of an offer, or of an answer to one of ours. It reports false when there is one that is unknown,
// there twice, or wrong.
func deflateParams(params []param, offer bool) (t deflateTerms, ok bool) {
	seen := map[string]bool{}
	for _, p := range params {
		if seen[p.name] {
			return t, false
		}
		seen[p.name] = true
		ok := false
		switch p.name {
		case "server_no_context_takeover":
			t.serverFresh, ok = true, !p.valued
		case "client_no_context_takeover":
			t.clientFresh, ok = true, !p.valued
		case "server_max_window_bits":
			t.serverBits, ok = windowBits(p.value)
		case "client_max_window_bits":
			if offer && !p.valued { // the client takes whatever we say, which is nothing
				t.clientBits, ok = 15, true
				break
			}
			t.clientBits, ok = windowBits(p.value)
		}
		if !ok {
			return t, false
		}
	}
	return t, true
}

// windowBits reads 8 to 15, without a leading zero.
func windowBits(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 8 && n <= 15 && s == strconv.Itoa(n)
}

// hasToken reports whether the lists in the header's fields have a token, in upper or lower case.
func hasToken(h http.Header, name, token string) bool {
	for t := range listed(h, name) {
		if strings.EqualFold(t, token) {
			return true
		}
	}
	return false
}

// listed goes over the elements of the lists in the header's fields.
func listed(h http.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, field := range h[http.CanonicalHeaderKey(name)] {
			for t := range strings.SplitSeq(field, ",") {
				if t = strings.Trim(t, " \t"); t != "" && !yield(t) {
					return
				}
			}
		}
	}
}
