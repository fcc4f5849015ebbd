package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tapedeck/internal/market"
)

// Handler returns the handler of all routes. A proxy may put them under a path of its own, as long as it takes it off again.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	g.get(mux, "/health", func(w http.ResponseWriter, _ *http.Request) error { return plain(w, http.StatusOK, `{"status":"ok"}`) })
	g.get(mux, "/livez", func(w http.ResponseWriter, _ *http.Request) error { return plain(w, http.StatusOK, `{"status":"ok"}`) })
	g.get(mux, "/readyz", g.ready)
	g.read(mux, "/history", g.history)
	g.read(mux, "/v1/symbols", g.listSymbols)
	g.get(mux, "/v1/feeds", g.listFeeds)
	for _, prefix := range []string{"/v2/stocks", "/v1beta3/crypto/us"} {
		for what, kind := range map[string]market.Kind{"trades": market.KindTrade, "quotes": market.KindQuote} {
			g.read(mux, prefix+"/"+what, g.ticks(kind, what))
		}
		g.read(mux, prefix+"/bars", g.bars)
	}
	for what, kind := range map[string]market.Kind{"trades": market.KindTrade, "quotes": market.KindQuote} {
		g.read(mux, "/v2/stocks/{symbol}/"+what, g.ticks(kind, what))
		g.read(mux, "/v2/stocks/"+what+"/latest", g.latest(kind, what))
		g.read(mux, "/v2/stocks/{symbol}/"+what+"/latest", g.latest(kind, what))
		g.read(mux, "/v1beta3/crypto/us/latest/"+what, g.latest(kind, what))
	}
	g.read(mux, "/v2/stocks/{symbol}/bars", g.bars)
	g.stream(mux, "/v2/tape", native)
	for _, alias := range []string{"iex", "sip", "delayed_sip", "test"} {
		g.stream(mux, "/v2/"+alias, stocks)
	}
	g.stream(mux, "/v1beta3/crypto/us", crypto)
	g.stream(mux, "/ws/prices", prices)
	if g.opt.Gatherer != nil {
		metrics := promhttp.HandlerFor(g.opt.Gatherer, promhttp.HandlerOpts{})
		g.get(mux, "/metrics", func(w http.ResponseWriter, r *http.Request) error {
			metrics.ServeHTTP(w, r)
			return nil
		})
	}
	g.get(mux, "/", func(w http.ResponseWriter, r *http.Request) error {
		g.page.serve(w, r)
		return nil
	})
	return g.guard.wrap(mux)
}

// handler answers a request, or returns why it cannot; then nothing was written.
type handler func(http.ResponseWriter, *http.Request) error

// get serves a route for GET and HEAD, and measures it.
func (g *Gateway) get(mux *http.ServeMux, pattern string, h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		// Who does not read its answer must not hold what it took. Not every writer can, and those of tests need not.
		_ = http.NewResponseController(w).SetWriteDeadline(begin.Add(g.opt.Limits.QueryTime))
		defer func() {
			g.metrics.requests.WithLabelValues(pattern, status(sw.status)).Observe(time.Since(begin).Seconds())
		}()
		defer g.rescue(sw, r)
		if !reads(r) {
			refuseMethod(sw, r)
			return
		}
		if err := h(sw, r); err != nil {
			g.fail(sw, r, err)
		}
	})
}

// read serves a route that reads history: so many at once, each for so long.
func (g *Gateway) read(mux *http.ServeMux, pattern string, h handler) {
	g.get(mux, pattern, func(w http.ResponseWriter, r *http.Request) error {
		if !g.isStarted() {
			return &problem{status: http.StatusServiceUnavailable, detail: "the server is starting", retry: 1}
		}
		ctx, cancel := context.WithTimeout(r.Context(), g.opt.Limits.QueryTime)
		defer cancel()
		if err := g.queries.acquire(ctx); err != nil {
			return err
		}
		defer g.queries.release()
		return h(w, r.WithContext(ctx))
	})
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func refuseMethod(w http.ResponseWriter, r *http.Request) {
	(&problem{
		status: http.StatusMethodNotAllowed, parameter: "method", value: r.Method, detail: "only GET and HEAD are served here", allow: "GET, HEAD",
	}).write(w)
}

// rescue answers a request whose handler panicked. The client learns nothing of what is inside.
func (g *Gateway) rescue(w *statusWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler || w.wrote { //nolint:errorlint // a panic value is compared as it was thrown
		panic(v)
	}
	g.opt.Logger.Error("a handler panicked", "path", r.URL.Path, "panic", v)
	(&problem{status: http.StatusInternalServerError, detail: "internal error"}).write(w)
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(code int) {
	if !w.wrote {
		w.status, w.wrote = code, true
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func plain(w http.ResponseWriter, code int, body string) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body)) // the client may have gone
	return nil
}

// ready serves /readyz: 200 when every part is ready, else 503, and why.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	own := Part{Name: "gateway"}
	next, ready := g.hub.position()
	switch {
	case g.isClosing():
		own.Err = errors.New("shutting down")
	case !g.isStarted():
		own.Err = errors.New("starting")
	case !ready:
		own.Err = errors.New("catching up with the tape")
		own.Note = "position " + strconv.FormatUint(uint64(next), 10)
	}
	parts := []Part{own}
	if g.opt.Health != nil {
		parts = append(parts, g.opt.Health()...)
	}
	code, word := http.StatusOK, "ready"
	for _, p := range parts {
		if p.Err != nil {
			code, word = http.StatusServiceUnavailable, "not ready"
		}
	}
	b := appendString([]byte(`{"status":`), word)
	if g.opt.Version != "" {
		b = appendString(append(b, `,"version":`...), g.opt.Version)
	}
	b = append(b, `,"parts":{`...)
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, p.Name), `:{"ready":`...)
		if p.Err == nil {
			b = append(b, "true"...)
		} else {
			b = appendString(append(b, `false,"reason":`...), p.Err.Error())
		}
		if p.Note != "" {
			b = appendString(append(b, `,"note":`...), p.Note)
		}
		b = append(b, '}')
	}
	return plain(w, code, string(append(b, `}}`...)))
}

// stream serves a WebSocket.
func (g *Gateway) stream(mux *http.ServeMux, pattern string, d dialect) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if p := g.mayStream(r, pattern, d); p != nil {
			g.metrics.refused.WithLabelValues(status(p.status)).Inc()
			p.write(w)
			return
		}
		address, loopback := g.guard.client(r)
		if no := g.enter(address, loopback); no != nil {
			g.metrics.refused.WithLabelValues(status(no.status)).Inc()
			(&problem{status: no.status, detail: no.detail, retry: 5}).write(w)
			return
		}
		defer g.exit(address)
		// Before the handshake is answered: what comes after it is due to the client.
		now := place{pos: g.opt.Tape.Bounds().Last + 1}
		socket, err := accept(w, r, g.opt.Limits.Message)
		if err != nil {
			g.metrics.refused.WithLabelValues("handshake").Inc()
			return
		}
		g.serveStream(r, socket, pattern, d, now)
	})
}

// mayStream looks at a handshake before it is answered.
func (g *Gateway) mayStream(r *http.Request, pattern string, d dialect) *problem {
	switch {
	case r.Method != http.MethodGet:
		return &problem{status: http.StatusMethodNotAllowed, parameter: "method", value: r.Method, detail: "a stream is opened with GET", allow: "GET"}
	case !g.guard.mayStream(r):
		return &problem{
			status: http.StatusForbidden, parameter: "Origin", value: strings.Join(r.Header.Values("Origin"), " "),
			detail: "this web page may not open streams; an operator can add it to the allowed origins",
		}
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return &problem{status: http.StatusUpgradeRequired, parameter: "Upgrade", value: r.Header.Get("Upgrade"), detail: pattern + " is a WebSocket"}
	case strings.Contains(r.Header.Get("Content-Type"), "msgpack"):
		return &problem{status: http.StatusNotAcceptable, parameter: "Content-Type", value: r.Header.Get("Content-Type"), detail: "the stream is served as JSON"}
	case !g.isStarted() || g.isClosing():
		return &problem{status: http.StatusServiceUnavailable, detail: "the server is starting or shutting down", retry: 1}
	}
	known := "encoding"
	if d == prices {
		known = "symbol"
	}
	p, err := parseParams(r, known)
	if err == nil {
		_, err = p.choice("encoding", "json")
	}
	if text, ok := p["symbol"]; ok && err == nil {
		_, err = g.symbol("symbol", text)
	}
	if no, ok := errors.AsType[*problem](err); ok {
		return no
	}
	return nil
}

// serveStream runs the session of an open socket. A stream that has nothing to ask begins at now.
func (g *Gateway) serveStream(r *http.Request, socket *socket, pattern string, d dialect, now place) {
	// The connection is no longer the HTTP server's, so its context says nothing of it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	s := newSession(g, socket, d)
	if d == prices {
		s.subs.known = -1
		if text := r.URL.Query().Get("symbol"); text == "" {
			s.subs.sets[chTrades].all = true
		} else if id, symbol, _ := g.hub.find(text); id != 0 {
			s.subs.sets[chTrades].add(string(symbol), id)
		}
		s.main.at = now
	} else {
		s.keyed = r.Header.Get("APCA-API-KEY-ID") != "" || r.Header.Get("Authorization") != ""
	}
	g.mu.Lock()
	g.sessions[s] = cancel
	g.mu.Unlock()
	gauge := g.metrics.sessions.WithLabelValues(pattern)
	gauge.Inc()
	defer gauge.Dec()
	defer func() {
		g.mu.Lock()
		delete(g.sessions, s)
		g.mu.Unlock()
	}()
	s.serve(ctx)
}
