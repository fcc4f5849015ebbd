package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tapedeck/internal/tape"
)

// guard decides who may talk to the server at all: it stops other web pages (by Origin), pages that pretend to be this server's (by
// Host: DNS rebinding), and requests that are too large to look at.
type guard struct {
	hosts   []string // lower case, without port
	origins []string
	proxies []netip.Prefix
	cross   *http.CrossOriginProtection
	limits  Limits
}

func newGuard(o *Options) (*guard, error) {
	g := &guard{
		hosts:   []string{"localhost", "127.0.0.1", "::1"},
		proxies: o.Proxies,
		cross:   http.NewCrossOriginProtection(),
		limits:  o.Limits,
	}
	for _, h := range o.Hosts {
		g.hosts = append(g.hosts, hostName(h))
	}
	g.origins = slices.Clone(o.Origins)
	if o.PublicURL != "" {
		own, err := origin(o.PublicURL)
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(own)
		if err != nil {
			return nil, err
		}
		g.hosts = append(g.hosts, u.Hostname())
		g.origins = append(g.origins, own)
	}
	for i, s := range g.origins {
		g.origins[i] = strings.ToLower(s)
		if err := g.cross.AddTrustedOrigin(g.origins[i]); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// hostName returns a Host header without its port, in lower case.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// policy is what the page may do: everything it needs comes from its own origin, which takes in its WebSocket.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
	"connect-src 'self'; font-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'"

// permissions takes from the page what it has no use for.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), " +
	"microphone=(), midi=(), payment=(), usb=()"

// bodyPatience is how long a body may take that nobody asked for: no route takes one.
const bodyPatience = 5 * time.Second

// wrap checks every request before next sees it, and sets the headers that every answer has.
func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", permissions)
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if p := g.check(r); p != nil {
			p.write(w)
			return
		}
		if r.ContentLength != 0 {
			// The server reads what is left of a body before it answers. One that was announced and does not come must not hold it.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience)) // not every writer of tests can
		}
		r.Body = http.MaxBytesReader(w, r.Body, g.body(r))
		next.ServeHTTP(w, r)
	})
}

func (g *guard) check(r *http.Request) *problem {
	if !slices.Contains(g.hosts, hostName(r.Host)) {
		return &problem{
			status: http.StatusMisdirectedRequest, parameter: "Host", value: r.Host,
			detail: "this server does not answer to that name; an operator can add it to the allowed hosts",
		}
	}
	if !isClean(r.URL.EscapedPath()) {
		return &problem{status: http.StatusNotFound, parameter: "path", value: r.URL.Path, detail: "there is nothing at this address"}
	}
	if n := len(r.URL.RequestURI()); n > g.limits.Header/2 {
		return &problem{status: http.StatusRequestURITooLong, detail: "the address is longer than is served"}
	}
	size := len(r.URL.RequestURI())
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > g.limits.Header {
		return &problem{status: http.StatusRequestHeaderFieldsTooLarge, detail: "the headers are larger than is served"}
	}
	if r.ContentLength > g.body(r) {
		return &problem{status: http.StatusRequestEntityTooLarge, detail: "the body is larger than is served"}
	}
	if err := g.cross.Check(r); err != nil {
		return &problem{status: http.StatusForbidden, parameter: "Origin", value: r.Header.Get("Origin"), detail: "requests of other web pages are refused"}
	}
	return nil
}

// body returns how large the body of a request may be. A part of a file that is imported is a record of the tape.
func (g *guard) body(r *http.Request) int64 {
	if strings.HasPrefix(r.URL.Path, "/v1/imports/") {
		return max(g.limits.Body, tape.MaxRecord)
	}
	return g.limits.Body
}

// isClean reports whether a path is without empty parts and dots. The router would send who asks for another on to an address without
// the prefix that a proxy may have put before it.
func isClean(path string) bool {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}

// mayStream reports whether a stream may be opened: from the page, from an origin that was configured, or by a program that is
// no browser and sends no Origin. Browsers let any page open a WebSocket to anywhere; this is what stops it.
func (g *guard) mayStream(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) != 1 || values[0] == "" || values[0] == "null" {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	own, err := origin(scheme + "://" + r.Host)
	got := strings.ToLower(values[0])
	return err == nil && got == own || slices.Contains(g.origins, got)
}

// client returns the address that a request comes from. What proxies say is believed of known proxies only: from the right, the
// first hop that is none of them.
func (g *guard) client(r *http.Request) (address string, loopback bool) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, false
	}
	addr := remote.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && g.trusted(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return addr.String(), addr.IsLoopback()
}

func (g *guard) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(g.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}
