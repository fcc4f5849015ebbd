package gateway

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"tapedeck/internal/websocket"
)

// stream serves a WebSocket.
func (g *Gateway) stream(mux registrar, pattern string, d dialect) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		m, opening, p := g.mayStream(r, pattern, d)
		if p != nil {
			g.refuseStream(w, p)
			return
		}
		who, p := g.admit(r)
		if p != nil {
			g.refuseStream(w, p)
			return
		}
		// Before the handshake is answered: what comes after it is due to the client.
		now := place{pos: g.opt.Tape.Bounds().Last + 1}
		up, err := websocket.Accept(w, r, websocket.UpgradeOptions{Deflate: !g.opt.Uncompressed})
		if err != nil {
			g.metrics.refused.WithLabelValues("handshake").Inc()
			g.exit(who)
			return
		}
		m.deflate = up.Deflate
		s := newSession(g, pattern, m)
		s.opening = opening
		if d == prices {
			s.watchPrices(r.URL.Query().Get("symbol"), now)
		}
		g.begin(s, r, up.Conn, up.Early, who)
	})
}

// refuseStream answers a handshake that is refused.
func (g *Gateway) refuseStream(w http.ResponseWriter, p *problem) {
	g.metrics.refused.WithLabelValues(status(p.status)).Inc()
	p.write(w)
}

// admit counts a client in, or says why it may not come in.
func (g *Gateway) admit(r *http.Request) (guest, *problem) {
	who := guest{principal: r.Header.Get("APCA-API-KEY-ID")}
	who.address, who.loopback = g.guard.client(r)
	if no := g.enter(who); no != nil {
		return who, &problem{status: no.status, detail: no.detail, retry: 5}
	}
	return who, nil
}

// begin gives a session whose handshake is answered to who drives it: to a shard if it can, else it stays with this goroutine.
func (g *Gateway) begin(s *session, r *http.Request, conn net.Conn, early []byte, who guest) {
	s.opened(r)
	if n := uint64(len(g.shards)); n > 0 {
		if len(early) > 0 {
			s.hear(early, s.heard)
		}
		if g.shards[g.shared.Add(1)%n].adopt(s, conn, who) {
			return
		}
		early = nil
	}
	defer g.exit(who)
	g.solo(g.cut, s, conn, early)
}

// mayOpen says why a stream may not be opened, of whatever kind; nil when it may.
func (g *Gateway) mayOpen(r *http.Request) *problem {
	switch {
	case r.Method != http.MethodGet:
		return &problem{status: http.StatusMethodNotAllowed, parameter: "method", value: r.Method, detail: "a stream is opened with GET", allow: "GET"}
	case !g.guard.mayStream(r):
		return &problem{
			status: http.StatusForbidden, parameter: "Origin", value: strings.Join(r.Header.Values("Origin"), " "),
			detail: "this web page may not open streams; an operator can add it to the allowed origins",
		}
	case g.isClosing() || !g.waitForStart(r.Context()):
		return &problem{status: http.StatusServiceUnavailable, detail: "the server is starting or shutting down", retry: 1}
	}
	return nil
}

// startPatience is how long a stream that is opened while the server starts is kept waiting. Browsers give EventSource up for good when
// it is refused.
const startPatience = 5 * time.Second

// waitForStart reports whether streams are served, waiting a while for it.
func (g *Gateway) waitForStart(ctx context.Context) bool {
	if g.isStarted() {
		return true
	}
	timer := time.NewTimer(startPatience)
	defer timer.Stop()
	select {
	case <-g.started:
		return true
	case <-g.closing:
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// mayStream looks at the handshake of a WebSocket before it is answered: it returns how the client wants to be spoken to and what of the
// past it wants to be played, if anything; or why not.
func (g *Gateway) mayStream(r *http.Request, pattern string, d dialect) (m manner, opening *order, p *problem) {
	m.dialect = d
	if p := g.mayOpen(r); p != nil {
		return m, nil, p
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return m, nil, &problem{status: http.StatusUpgradeRequired, parameter: "Upgrade", value: r.Header.Get("Upgrade"), detail: pattern + " is a WebSocket"}
	}
	known := "encoding"
	if d == prices {
		known = "symbol"
	}
	q, err := parseParams(r, known, "from", "cursor", "to", "speed")
	encoding := ""
	if err == nil && d != prices {
		encoding, err = q.choice("encoding", "json", "msgpack")
	}
	if text, ok := q["symbol"]; ok && err == nil {
		if one, _ := g.onDemand(text); one == "" {
			_, err = g.symbol("symbol", text)
		}
	}
	if err == nil {
		opening, err = q.order()
	}
	if err == nil && opening != nil {
		err = g.mayPlay(r.Context(), opening)
	}
	if err != nil {
		return m, nil, g.asProblem(err)
	}
	_, said := q["encoding"]
	if d != prices && (encoding == "msgpack" || !said && strings.Contains(r.Header.Get("Content-Type"), "msgpack")) {
		m.format = asPacked
	}
	return m, opening, nil
}

// watchPrices sets what /ws/prices is asked for by its address: the trades of a symbol, or all, from a place on.
func (s *session) watchPrices(symbol string, from place) {
	s.subs.known = -1
	if symbol == "" {
		s.subs.sets[chTrades].all = true
	} else if w, err := s.lookUp(symbol); err == nil {
		s.subs.sets[chTrades].add(w.name, w.id)
	}
	s.wishPrices()
	s.main.at = from
	if s.opening != nil {
		s.asked = append(s.asked, inquiry{request: &request{action: "play", order: *s.opening}})
	}
}
