package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tapedeck/internal/market"
)

// udf serves TradingView's Universal Data Feed, the protocol that the charting library's ready-made HTTP data feed speaks. Its ways
// are not ours: times are whole seconds, errors are HTTP 200 with {"s":"error"}, and clients add parameters from version to version,
// so that those that are not known are passed over.
type udf struct {
	g *Gateway

	mu    sync.Mutex
	hours map[hoursKey]*hours // of calendars, of one day each; emptied when it has grown
}

// udf adds the routes below /udf.
func (g *Gateway) udf(mux registrar) {
	u := &udf{g: g, hours: make(map[hoursKey]*hours)}
	u.route(mux, "/udf/config", u.ready(u.config))
	u.route(mux, "/udf/time", u.time)
	u.route(mux, "/udf/search", u.ready(u.search))
	u.route(mux, "/udf/symbols", u.ready(u.symbol))
	u.route(mux, "/udf/history", u.ready(u.history))
	u.route(mux, "/udf/quotes", u.ready(u.quotes))
	u.route(mux, "/udf/marks", u.ready(u.marks))
	u.route(mux, "/udf/timescale_marks", u.ready(u.timescaleMarks))
	for _, pattern := range []string{"/udf", "/udf/"} {
		u.route(mux, pattern, func(_ http.ResponseWriter, r *http.Request) error {
			return bad("path", r.URL.Path, "no such part of the data feed; symbols are found by /udf/search and /udf/symbols, not in groups")
		})
	}
	mux.HandleFunc("/udf/streaming", u.answersPreflight(http.HandlerFunc(u.streaming)))
}

// route serves GET and HEAD of a path, and answers browsers that ask before whether they may.
func (u *udf) route(mux registrar, pattern string, h handler) {
	inner := http.NewServeMux()
	u.g.get(inner, pattern, func(w http.ResponseWriter, r *http.Request) error {
		u.allowOrigin(w, r)
		if err := h(w, r); err != nil {
			u.fail(w, r, err)
		}
		return nil
	})
	mux.HandleFunc(pattern, u.answersPreflight(inner))
}

// answersPreflight serves OPTIONS, and leaves the other methods to next.
func (u *udf) answersPreflight(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			u.preflight(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// ready lets a handler in when history is served: so many at once, each for so long.
func (u *udf) ready(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !u.g.waitForStart(r.Context()) {
			return errors.New("the server is starting")
		}
		ctx, cancel := context.WithTimeout(r.Context(), u.g.opt.Limits.QueryTime)
		defer cancel()
		if err := u.g.queries.acquire(ctx); err != nil {
			return err
		}
		defer u.g.queries.release()
		return h(w, r.WithContext(ctx))
	}
}

// allowOrigin lets pages of the configured origins read the answer. Every other page's browser keeps it from them.
func (u *udf) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	values := r.Header.Values("Origin")
	if len(values) != 1 || !slices.Contains(u.g.guard.origins, strings.ToLower(values[0])) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", values[0])
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return true
}

// preflight answers what a browser asks before a page of another origin sends headers of its own. A page that may not read gets no
// permission, and its browser then does not send the request.
func (u *udf) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", "GET, HEAD, OPTIONS")
	if u.allowOrigin(w, r) {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, APCA-API-KEY-ID, APCA-API-SECRET-KEY")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers as the protocol has it: HTTP 200, because clients read the body and not the status.
func (u *udf) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, known := errors.AsType[*problem](err)
	text := err.Error()
	var near []market.Symbol
	switch {
	case known && p.status == http.StatusNotFound:
		text, near = unknownSymbol, p.near
	case known && len(p.candidates) > 0:
		text = p.detail + ": " + joined(p.candidates)
	case known && p.parameter != "":
		text = p.parameter + " " + strconv.Quote(cut(p.value)) + ": " + p.detail
	case known:
	case errors.Is(err, context.DeadlineExceeded):
		text = "the request took too long; ask for less"
	case r.Context().Err() != nil:
		return // nobody listens
	case u.g.isStarted():
		u.g.opt.Logger.Error("a request failed", "path", r.URL.Path, "error", err)
		text = unreadable(err)
	}
	b := appendString([]byte(`{"s":"error","errmsg":`), text)
	b = appendSymbols(b, "near", near)
	_ = plain(w, http.StatusOK, string(append(b, '}', '\n'))) // plain does not fail
}

// unknownSymbol is the word that clients know for it. Similar symbols are told beside it.
const unknownSymbol = "unknown_symbol"

func joined(list []market.Symbol) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}

// udfParams reads the query. One that is given twice is refused, for nobody could know which of them counts.
func udfParams(r *http.Request) (params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("query", r.URL.RawQuery, "the query is not well-formed: "+err.Error())
	}
	p := make(params, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, bad(name, strings.Join(list, " "), "this parameter may be given only once")
		}
		p[name] = list[0]
	}
	return p, nil
}

// named reads the symbol that a request is about, by its name or its ticker. One that a venue only lists has no number, and no history yet.
func (u *udf) named(p params) (named, error) {
	text := p["symbol"]
	if text == "" {
		return named{}, bad("symbol", "", "it must name a symbol")
	}
	n, err := u.g.symbol("symbol", text)
	if err != nil {
		in, ok := u.g.listed(text)
		if !ok {
			return named{}, err
		}
		n = named{text: text, symbol: in.Symbol}
	}
	if unit := p["unitId"]; unit != "" {
		return named{}, bad("unitId", unit, "sizes are not converted: leave it out")
	}
	if code := p["currencyCode"]; code != "" && !strings.EqualFold(code, u.currency(n.symbol)) {
		return named{}, bad("currencyCode", code, "prices are not converted: leave it out")
	}
	return n, nil
}

// seconds reads a whole number of seconds since 1970, before it too. The ends of what can be asked for stand for all beyond them.
func (p params) seconds(name string) (s int64, given bool, err error) {
	text := p[name]
	if text == "" {
		return 0, false, nil
	}
	s, err = strconv.ParseInt(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false, bad(name, text, "it must be whole seconds since 1970-01-01")
	}
	return min(max(s, -udfEnd), udfEnd), true, nil
}

// udfEnd bounds the seconds that can be asked for: the years 1715 and 2225, well within the range of market.Time.
const udfEnd = 8_050_000_000

// config serves /udf/config.
func (u *udf) config(w http.ResponseWriter, _ *http.Request) error {
	u.g.hub.mu.RLock()
	var venues []string
	for _, l := range u.g.hub.names.list[1:] {
		if v := l.symbol.Venue(); !slices.Contains(venues, v) {
			venues = append(venues, v)
		}
	}
	u.g.hub.mu.RUnlock()
	slices.Sort(venues)
	a := u.g.answer(w, "application/json")
	a.b = append(a.b, `{"supports_search":true,"supports_group_request":false,"supports_marks":true,"supports_timescale_marks":true,`+
		`"supports_time":true,"supported_resolutions":`...)
	a.b = appendStrings(a.b, udfResolutions())
	a.b = append(a.b, `,"exchanges":[{"value":"","name":"All exchanges","desc":""}`...)
	for _, v := range venues {
		a.b = appendString(append(a.b, `,{"value":`...), v)
		a.b = appendString(append(a.b, `,"name":`...), v)
		a.b = append(appendString(append(a.b, `,"desc":`...), v), '}')
	}
	a.b = append(a.b, `],"symbols_types":[{"name":"All types","value":""},{"name":"Stocks","value":"stock"},`+
		`{"name":"Crypto","value":"crypto"},{"name":"Forex","value":"forex"}]}`+"\n"...)
	return a.finish(nil)
}

// time serves /udf/time: the server's time, in seconds.
func (u *udf) time(w http.ResponseWriter, _ *http.Request) error {
	a := u.g.answer(w, "text/plain; charset=utf-8")
	a.b = strconv.AppendInt(a.b, time.Now().Unix(), 10)
	return a.finish(nil)
}

// appendStrings writes a list of strings.
func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}
