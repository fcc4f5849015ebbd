package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// events serves the stream as Server-Sent Events (WHATWG HTML, 9.2): what a client would say in a message is in the query, each
// event is one message of the stream, and its id is the cursor behind it. A browser that lost the connection says that id in
// Last-Event-ID, which outranks the query, so that it goes on without a hole.
func (g *Gateway) events(mux registrar, pattern string) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if p := g.mayOpen(r); p != nil {
			g.refuseStream(w, p)
			return
		}
		asked, err := eventsRequest(r)
		if err != nil {
			g.refuseStream(w, asProblem(err))
			return
		}
		who, p := g.admit(r)
		if p != nil {
			g.refuseStream(w, p)
			return
		}
		s := newSession(g, pattern, manner{carrier: inEvents, cursors: true})
		err = s.subscribe(r.Context(), asked)
		if err == nil && asked.order.from != nil {
			err = s.begin(r.Context(), &asked.order)
		}
		if err != nil {
			s.drop()
			s.forget()
			g.exit(who)
			g.refuseStream(w, g.refuse(err).problem())
			return
		}
		g.beginEvents(s, w, r, who)
	})
}

// beginEvents answers a request that was found good, and drives its session. HTTP/1 gives the connection away, so that a shard may
// have it; the answer ends with the connection then. Later versions have many answers on one connection.
func (g *Gateway) beginEvents(s *session, w http.ResponseWriter, r *http.Request, who guest) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	s.out = append(s.out, "retry: 1000\n\n"...)
	rc := http.NewResponseController(w)
	conn, _, err := rc.Hijack()
	if err == nil {
		h.Set("Connection", "close")
		var head strings.Builder
		head.WriteString("HTTP/1.1 200 OK\r\n")
		_ = h.Write(&head) // a Builder takes everything
		s.out = append([]byte(head.String()+"\r\n"), s.out...)
		g.begin(s, r, conn, nil, who)
		return
	}
	defer g.exit(who)
	w.WriteHeader(http.StatusOK)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	done := make(chan struct{})
	stop := context.AfterFunc(g.cut, func() {
		defer close(done)
		cancel()
		_ = rc.SetWriteDeadline(time.Now()) // ends a write that waits for the client
	})
	defer func() {
		if !stop() {
			<-done // the answer must not be touched after this
		}
	}()
	s.opened(r)
	g.solo(ctx, s, &eventWriter{w, rc, ctx.Done(), cancel}, nil)
}

// eventWriter is an answer that goes on for as long as the client listens, as a connection.
type eventWriter struct {
	w      io.Writer
	rc     *http.ResponseController
	done   <-chan struct{}
	cancel context.CancelFunc
}

// Read waits for the client to go: it has nothing to say.
func (e *eventWriter) Read([]byte) (int, error) {
	<-e.done
	return 0, io.EOF
}

// Write implements io.Writer.
func (e *eventWriter) Write(b []byte) (int, error) {
	n, err := e.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, e.rc.Flush()
}

// SetWriteDeadline bounds the writes from now on.
func (e *eventWriter) SetWriteDeadline(t time.Time) error { return e.rc.SetWriteDeadline(t) }

// Close implements io.Closer. It does not end a write.
func (e *eventWriter) Close() error {
	e.cancel()
	return nil
}

// eventsRequest reads what a client of the events wants from the query, and from Last-Event-ID where it goes on from.
func eventsRequest(r *http.Request) (*request, error) {
	names := channelNames()
	known := append(slices.Clone(names[:]), "mode", "every", "from", "cursor", "to", "speed")
	p, err := parseParams(r, known...)
	if err != nil {
		return nil, err
	}
	q := &request{action: "subscribe"}
	some := false
	for i, name := range names {
		if p[name] == "" {
			continue
		}
		q.lists[i] = strings.Split(p[name], ",")
		some = true
		if slices.Contains(q.lists[i], "") {
			return nil, bad(name, p[name], "it must be symbols with commas between them, or *")
		}
	}
	if !some {
		return nil, bad("trades", "", "name what you want: "+strings.Join(names[:], ", ")+", each a list of symbols or *")
	}
	o := make(map[string]any)
	for _, name := range []string{"mode", "every"} {
		if v, ok := p[name]; ok {
			o[name] = v
		}
	}
	from, hasFrom := p["from"]
	cursor, hasCursor := p["cursor"]
	last := r.Header.Get("Last-Event-ID")
	switch {
	case last != "":
		o["from"] = map[string]any{"cursor": last}
	case hasFrom && hasCursor:
		return nil, bad("cursor", cursor, "give either from, a time, or cursor")
	case hasFrom:
		t, _, err := instant("from", from)
		if err != nil {
			return nil, err
		}
		q.from = &departure{time: t}
	case hasCursor:
		o["from"] = map[string]any{"cursor": cursor}
	}
	if err := q.additions(o); err != nil {
		name, value := "query", r.URL.RawQuery
		if last != "" {
			name, value = "Last-Event-ID", last
		}
		return nil, bad(name, value, strings.ReplaceAll(err.Error(), `"`, ""))
	}
	return q, q.played(p)
}

// played makes the request one for the past at a pace, when the query has an end or a speed. A beginning alone is where to go on from.
func (r *request) played(p params) error {
	_, hasEnd := p["to"]
	_, hasPace := p["speed"]
	if !hasEnd && !hasPace {
		return nil
	}
	if r.from != nil && r.from.cursor != nil {
		// The client was there before: it goes on behind its cursor, at the same pace.
		p = maps.Clone(p)
		delete(p, "from")
		p["cursor"] = r.from.text()
	}
	o, err := p.order()
	if err != nil {
		return err
	}
	r.order, r.from = *o, nil
	return nil
}

// asProblem returns the problem that an error is.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	return &problem{status: http.StatusBadRequest, detail: err.Error()}
}

// asProblem is asProblem for errors of the stream as well.
func (g *Gateway) asProblem(err error) *problem {
	if _, ok := errors.AsType[*problem](err); ok {
		return asProblem(err)
	}
	return g.refuse(err).problem()
}

// problem is the refusal as an answer of HTTP.
func (r *refusal) problem() *problem {
	p := &problem{status: http.StatusBadRequest, detail: r.msg, candidates: r.candidates, reason: r.reason, oldest: r.oldest}
	switch r.code {
	case 416:
		p.status = http.StatusRequestedRangeNotSatisfiable
	case 503:
		p.status = http.StatusServiceUnavailable
	case 500:
		p.status = http.StatusInternalServerError
	}
	return p
}

// event is what a message is as an event of SSE, with the place that the client is at behind it.
func (s *session) event(dst, text []byte) []byte {
	dst = append(append(dst, "data: "...), text...)
	if s.main.at != (place{}) && s.hasPlace() {
		dst = fmt.Appendf(dst, "\nid: %s", s.cursor())
	}
	return append(dst, "\n\n"...)
}
