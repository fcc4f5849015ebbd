package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler returns the handler of all routes. A proxy may put them under a path of its own, as long as it takes it off again.
func (g *Gateway) Handler() http.Handler { return g.guard.wrap(g.routes()) }

// routes registers what is served.
func (g *Gateway) routes() *routes {
	mux := &routes{ServeMux: http.NewServeMux()}
	g.get(mux, "/health", func(w http.ResponseWriter, _ *http.Request) error { return plain(w, http.StatusOK, `{"status":"ok"}`) })
	g.get(mux, "/livez", func(w http.ResponseWriter, _ *http.Request) error { return plain(w, http.StatusOK, `{"status":"ok"}`) })
	g.get(mux, "/readyz", g.ready)
	g.read(mux, "/history", g.history)
	g.read(mux, "/v1/symbols", g.listSymbols)
	g.get(mux, "/v1/feeds", g.listFeeds)
	g.read(mux, "/v1/coverage", g.tellCoverage)
	g.read(mux, "/v1/receipt", g.tellReceipt)
	g.dataRoutes(mux)
	g.stream(mux, "/v2/tape", native)
	g.events(mux, "/v2/tape/sse")
	for _, alias := range []string{"iex", "sip", "delayed_sip", "test"} {
		g.stream(mux, "/v2/"+alias, stocks)
	}
	g.stream(mux, "/v1beta3/crypto/us", crypto)
	g.stream(mux, "/ws/prices", prices)
	g.udf(mux)
	g.imports(mux)
	g.alerts(mux)
	g.describe(mux)
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
	return mux
}

// handler answers a request, or returns why it cannot; then nothing was written.
type handler func(http.ResponseWriter, *http.Request) error

// lastWord is how long a client has to take the answer that its question took too long.
const lastWord = 2 * time.Second

// get serves a route for GET and HEAD, and measures it.
func (g *Gateway) get(mux registrar, pattern string, h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		// Who does not read its answer must not hold what it took. Not every writer can, and those of tests need not. When the time is over there
		// must be some to say so.
		_ = http.NewResponseController(w).SetWriteDeadline(begin.Add(g.opt.Limits.QueryTime + lastWord))
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
func (g *Gateway) read(mux registrar, pattern string, h handler) {
	g.get(mux, pattern, g.bounded(h))
}

// bounded is a handler that reads history within the limits of one question.
func (g *Gateway) bounded(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
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
	}
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
