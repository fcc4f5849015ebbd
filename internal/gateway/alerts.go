package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"tapedeck/internal/market"
)

// Alerts are rules, and what they fired. Its methods may be called at once.
type Alerts interface {
	// Rules returns the rules by id, each as one JSON object; Rule returns one. Errors wrap ErrNoAlert.
	Rules() ([]json.RawMessage, error)
	Rule(id string) (json.RawMessage, error)

	// PutRule adds a rule, or replaces the one with the id; without an id it gets one. It returns the rule as it is kept. Errors wrap
	// ErrAlert when it is wrong.
	PutRule(ctx context.Context, id string, rule []byte) (json.RawMessage, error)

	// DeleteRule takes a rule away. Errors wrap ErrNoAlert.
	DeleteRule(ctx context.Context, id string) error

	// Fired returns what was fired, the newest first.
	Fired(ctx context.Context, q AlertQuery) ([]FiredAlert, error)

	// Acknowledge notes that somebody has seen an alert. Errors wrap ErrNoAlert.
	Acknowledge(ctx context.Context, n int64) error
}

// Errors of Alerts.
var (
	ErrAlert   = errors.New("bad rule")
	ErrNoAlert = errors.New("not there")
)

// AlertQuery selects alerts of the past.
type AlertQuery struct {
	Rule     string        // "" all
	Symbol   market.Symbol // "" all
	From, To market.Time   // [From, To); 0 no bound
	Before   int64         // only those with a smaller number; 0 no bound
	Limit    int
}

// FiredAlert is one alert of the past.
type FiredAlert struct {
	N            int64          `json:"n"`
	ID           string         `json:"id"`
	Rule         string         `json:"rule"`
	Name         string         `json:"name"`
	Symbol       market.Symbol  `json:"symbol"`
	Seq          uint64         `json:"seq"`
	Time         string         `json:"t"`
	Price        market.Decimal `json:"price"`
	Text         string         `json:"text"`
	Severity     string         `json:"severity"`
	Acknowledged string         `json:"acknowledged,omitempty"`
}

// alertsUsual and alertsMost are how many alerts of the past one answer has.
const (
	alertsUsual = 100
	alertsMost  = 1000
)

// maxRule is the size of a rule's JSON.
const maxRule = 64 << 10

// alerts registers the routes of rules.
func (g *Gateway) alerts(mux registrar) {
	if g.opt.Alerts == nil {
		return
	}
	g.edit(mux, "/v1/alerts", map[string]handler{http.MethodGet: g.listRules, http.MethodPost: g.addRule})
	g.edit(mux, "/v1/alerts/{id}", map[string]handler{http.MethodGet: g.showRule, http.MethodPut: g.putRule, http.MethodDelete: g.deleteRule})
	g.get(mux, "/v1/alerts/history", g.listFired)
	g.edit(mux, "/v1/alerts/history/{n}/acknowledge", map[string]handler{http.MethodPost: g.acknowledge})
}

// edit serves a route whose other methods than GET change something, and measures it. Those are for this machine only.
func (g *Gateway) edit(mux registrar, pattern string, methods map[string]handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		begin := time.Now()
		_ = http.NewResponseController(w).SetWriteDeadline(begin.Add(g.opt.Limits.QueryTime + lastWord)) // not every writer of tests can
		defer func() {
			g.metrics.requests.WithLabelValues(pattern, status(sw.status)).Observe(time.Since(begin).Seconds())
		}()
		defer g.rescue(sw, r)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h := methods[method]
		if h == nil {
			(&problem{
				status: http.StatusMethodNotAllowed, parameter: "method", value: r.Method, detail: "this method is not served here", allow: allowed(methods),
			}).write(sw)
			return
		}
		var err error
		if method != http.MethodGet {
			err = g.mayEdit(r)
		}
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), g.opt.Limits.QueryTime)
			defer cancel()
			err = h(sw, r.WithContext(ctx))
		}
		if err != nil {
			g.fail(sw, r, alertProblem(err))
		}
	})
}

// allowed names the methods of a route.
func allowed(methods map[string]handler) string {
	text := ""
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if methods[m] == nil {
			continue
		}
		if text != "" {
			text += ", "
		}
		if text += m; m == http.MethodGet {
			text += ", HEAD"
		}
	}
	return text
}

// mayEdit lets in whoever is on this machine, for there are no keys yet: programs, and the page itself.
func (g *Gateway) mayEdit(r *http.Request) error {
	if !g.isStarted() {
		return &problem{status: http.StatusServiceUnavailable, detail: "the server is starting", retry: 1}
	}
	address, loopback := g.guard.client(r)
	forwarded := r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != ""
	if !loopback || g.opt.PublicURL != "" || forwarded {
		return &problem{
			status: http.StatusForbidden, parameter: "address", value: address, detail: "rules are changed from the server's own machine only, and not through a proxy",
		}
	}
	return nil
}

// alertProblem words an error of Alerts.
func alertProblem(err error) error {
	switch {
	case errors.Is(err, ErrAlert):
		return &problem{status: http.StatusBadRequest, parameter: "body", detail: err.Error()}
	case errors.Is(err, ErrNoAlert):
		return &problem{status: http.StatusNotFound, detail: err.Error()}
	}
	return err
}

// tell writes an answer in JSON.
func tell(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a condition is to be read as it was written
	if err := e.Encode(v); err != nil {
		return err
	}
	return plain(w, status, b.String())
}

// listRules serves GET /v1/alerts.
func (g *Gateway) listRules(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	rules, err := g.opt.Alerts.Rules()
	if err != nil {
		return err
	}
	return tell(w, http.StatusOK, map[string]any{"rules": rules})
}

// showRule serves GET /v1/alerts/{id}.
func (g *Gateway) showRule(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	rule, err := g.opt.Alerts.Rule(r.PathValue("id"))
	if err != nil {
		return err
	}
	return tell(w, http.StatusOK, rule)
}

// addRule serves POST /v1/alerts.
func (g *Gateway) addRule(w http.ResponseWriter, r *http.Request) error {
	return g.takeRule(w, r, "", http.StatusCreated)
}

// putRule serves PUT /v1/alerts/{id}.
func (g *Gateway) putRule(w http.ResponseWriter, r *http.Request) error {
	return g.takeRule(w, r, r.PathValue("id"), http.StatusOK)
}

func (g *Gateway) takeRule(w http.ResponseWriter, r *http.Request, id string, status int) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	if err := wantType(r, "application/json"); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRule))
	if err != nil {
		if large := new(http.MaxBytesError); errors.As(err, &large) {
			return &problem{status: http.StatusRequestEntityTooLarge, detail: "the rule is larger than is served"}
		}
		return bad("body", "", "it could not be read")
	}
	rule, err := g.opt.Alerts.PutRule(r.Context(), id, body)
	if err != nil {
		return err
	}
	return tell(w, status, rule)
}

// deleteRule serves DELETE /v1/alerts/{id}.
func (g *Gateway) deleteRule(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	if err := g.opt.Alerts.DeleteRule(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listFired serves GET /v1/alerts/history.
func (g *Gateway) listFired(w http.ResponseWriter, r *http.Request) error {
	p, err := parseParams(r, "rule", "symbol", "from", "to", "before", "limit")
	if err != nil {
		return err
	}
	q := AlertQuery{Rule: p["rule"]}
	if q.From, q.To, err = p.span("from", "to", false); err != nil {
		return err
	}
	if q.Limit, err = p.count(alertsUsual, alertsMost); err != nil {
		return err
	}
	if s, ok := p["before"]; ok {
		if q.Before, err = strconv.ParseInt(s, 10, 64); err != nil || q.Before < 1 {
			return bad("before", s, "it must be the number of an alert")
		}
	}
	if s, ok := p["symbol"]; ok {
		found, err := g.symbol("symbol", s)
		if err != nil {
			return err
		}
		q.Symbol = found.symbol
	}
	fired, err := g.opt.Alerts.Fired(r.Context(), q)
	if err != nil {
		return err
	}
	answer := map[string]any{"alerts": append([]FiredAlert{}, fired...)}
	if len(fired) == q.Limit {
		answer["before"] = fired[len(fired)-1].N
	}
	return tell(w, http.StatusOK, answer)
}

// acknowledge serves POST /v1/alerts/history/{n}/acknowledge.
func (g *Gateway) acknowledge(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseParams(r); err != nil {
		return err
	}
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 1 {
		return bad("n", r.PathValue("n"), "it must be the number of an alert")
	}
	if err := g.opt.Alerts.Acknowledge(r.Context(), n); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
