package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"tapedeck/internal/market"
)

// problem is an error answer, application/problem+json of RFC 9457. It names the parameter and its value, and never what is inside.
type problem struct {
	status     int
	detail     string
	parameter  string
	value      string
	candidates []market.Symbol // for an ambiguous symbol
	near       []market.Symbol // for an unknown one
	reason     string          // why a place cannot be gone on from: epoch, trimmed or future
	oldest     market.Time     // the time that can be gone on from; 0 when that is not why
	allow      string          // for 405
	retry      int             // seconds
}

func (p *problem) Error() string { return p.detail }

func bad(parameter, value, detail string) *problem {
	return &problem{status: http.StatusBadRequest, parameter: parameter, value: value, detail: detail}
}

func (p *problem) write(w http.ResponseWriter) {
	b := append([]byte(nil), `{"type":"about:blank","title":`...)
	b = appendString(b, http.StatusText(p.status))
	b = strconv.AppendInt(append(b, `,"status":`...), int64(p.status), 10)
	b = appendString(append(b, `,"detail":`...), p.detail)
	b = appendString(append(b, `,"message":`...), p.detail) // where the SDKs of the dialect look for it
	if p.parameter != "" {
		b = appendString(append(b, `,"parameter":`...), p.parameter)
		b = appendString(append(b, `,"value":`...), cut(p.value))
	}
	if p.reason != "" {
		b = appendString(append(b, `,"reason":`...), p.reason)
	}
	if p.oldest != 0 {
		b = appendTime(append(b, `,"oldest":`...), p.oldest)
	}
	b = appendSymbols(b, "candidates", p.candidates)
	b = appendSymbols(b, "near", p.near)
	b = append(b, '}', '\n')
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.status == http.StatusUpgradeRequired {
		// RFC 9110, 15.5.22; RFC 6455, 4.4.
		h.Set("Upgrade", "websocket")
		h.Set("Connection", "Upgrade")
		h.Set("Sec-WebSocket-Version", "13")
	}
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(b) // the client may have gone
}

// cut shortens a value that is shown back.
func cut(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

func appendSymbols(b []byte, name string, symbols []market.Symbol) []byte {
	for i, s := range symbols {
		if i == 0 {
			b = append(append(append(b, `,"`...), name...), `":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, string(s))
		if i == len(symbols)-1 {
			b = append(b, ']')
		}
	}
	return b
}

// fail answers a request that could not be served.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p *problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, context.DeadlineExceeded):
		p = &problem{status: http.StatusServiceUnavailable, detail: "the request took too long; ask for less", retry: 1}
	case r.Context().Err() != nil:
		return // nobody listens
	default:
		g.opt.Logger.Error("a request failed", "path", r.URL.Path, "error", err)
		p = &problem{status: http.StatusInternalServerError, detail: unreadable(err)}
	}
	p.write(w)
}

// unreadable says why history could not be read, as far as clients may know: which of what was put away is missing or damaged, where the error can
// name it.
func unreadable(err error) string {
	var placed interface{ Place() string }
	if errors.As(err, &placed) {
		return "the server could not read its history: " + placed.Place() + " is missing or damaged; other days can be read"
	}
	return "the server could not read its history; its log says why"
}
