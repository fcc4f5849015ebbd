package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// streaming serves /udf/streaming: a line of JSON for each trade from now on, and with quotes=true for each quote, of some symbols or
// of all. A blank line says that the server is there. There are no places to go on from here; who needs them has /v2/tape.
func (u *udf) streaming(w http.ResponseWriter, r *http.Request) {
	u.allowOrigin(w, r)
	g := u.g
	if p := g.mayOpen(r); p != nil {
		g.refuseStream(w, p)
		return
	}
	l := &lines{g: g, pos: g.opt.Tape.Bounds().Last + 1}
	if err := l.read(r); err != nil {
		g.metrics.refused.WithLabelValues(status(http.StatusOK)).Inc()
		u.fail(w, r, err)
		return
	}
	who, p := g.admit(r)
	if p != nil {
		g.refuseStream(w, p)
		return
	}
	defer g.exit(who)
	g.metrics.sessions.WithLabelValues("/udf/streaming").Inc()
	defer g.metrics.sessions.WithLabelValues("/udf/streaming").Dec()
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("X-Accel-Buffering", "no") // nginx would hold lines back
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(g.cut, cancel)()
	l.out = http.NewResponseController(w)
	l.w = w
	reason := l.run(ctx)
	g.metrics.closes.WithLabelValues(reason).Inc()
}

// lines is one client of /udf/streaming. Its goroutine is that of the request. It holds the few blocks that it is writing and no queue:
// who reads slowly is further back on the tape.
type lines struct {
	g      *Gateway
	w      http.ResponseWriter
	out    *http.ResponseController
	only   map[uint32]bool // nil for all
	quotes bool

	pos    tape.Position // of the next record
	blocks []*block      // not written yet; the first is that record
	at     int           // events of the first that were written
	room   [16]*block    // that blocks are kept in
	b      []byte        // lines that were not sent, at most about Limits.Frame
}

// read takes in what the client asks for.
func (l *lines) read(r *http.Request) error {
	p, err := udfParams(r)
	if err != nil {
		return err
	}
	if l.quotes, err = strconv.ParseBool(cmp.Or(p["quotes"], "false")); err != nil {
		return bad("quotes", p["quotes"], "it must be true or false")
	}
	if p["symbols"] == "" {
		return nil
	}
	list, err := l.g.symbols(p, l.g.symbol)
	if err != nil {
		return err
	}
	l.only = make(map[uint32]bool, len(list))
	for _, n := range list {
		l.only[n.id] = true
	}
	return nil
}

// run writes until the client goes or the server ends, and returns why it stopped.
func (l *lines) run(ctx context.Context) string {
	if !l.write(ctx) { // the head of the answer
		return "gone"
	}
	beat := time.NewTimer(l.g.opt.Heartbeat)
	defer beat.Stop()
	for {
		news := l.g.hub.news()
		more, err := l.compose(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return "gone"
		case isForNow(err):
			if !pause(ctx, retryAfter) {
				return "gone"
			}
		default:
			return l.failed(err)
		}
		if len(l.b) > 0 {
			if !l.write(ctx) {
				return "gone"
			}
			beat.Reset(l.g.opt.Heartbeat)
		}
		if more && !l.g.isClosing() {
			continue
		}
		select {
		case <-news:
		case <-beat.C:
			l.b = append(l.b, '\n')
			if !l.write(ctx) {
				return "gone"
			}
			beat.Reset(l.g.opt.Heartbeat)
		case <-l.g.closing:
			return "shutdown"
		case <-ctx.Done():
			return "gone"
		}
	}
}

// failed returns why a client cannot go on: what was due to it is not on the tape any more, or cannot be read.
func (l *lines) failed(err error) string {
	if _, ok := errors.AsType[*tape.TrimmedError](err); ok {
		return "trimmed"
	}
	l.g.opt.Logger.Error("a stream could not read the tape", "position", uint64(l.pos), "error", err)
	return "internal"
}

// compose makes the lines that are next, as many as are sent at once. It reports whether there may be more.
func (l *lines) compose(ctx context.Context) (more bool, err error) {
	if len(l.blocks) == 0 {
		if err := l.fetch(ctx); err != nil {
			return false, err
		}
	}
	more = len(l.blocks) > 0
	for len(l.blocks) > 0 && len(l.b) < l.g.opt.Limits.Frame {
		b := l.blocks[0]
		if l.at < len(b.events) {
			l.line(b, &b.events[l.at])
			l.at++
			continue
		}
		l.pos, l.at = b.rec.Through+1, 0
		l.blocks[0] = nil
		l.blocks = l.blocks[1:]
	}
	return more, nil
}

// fetch gets the next blocks, from the tape when they are no longer in memory.
func (l *lines) fetch(ctx context.Context) (err error) {
	var ok bool
	if l.blocks, ok = l.g.hub.from(l.pos, l.room[:0], len(l.room)); ok {
		return nil
	}
	if err := l.g.catchUps.acquire(ctx); err != nil {
		return err
	}
	defer l.g.catchUps.release()
	l.blocks, err = l.g.hub.read(ctx, l.pos)
	return err
}

// line writes an event that the client wants.
func (l *lines) line(b *block, ev *event) {
	e := &b.rec.Entries[ev.entry]
	if l.only != nil && !l.only[ev.symbol] {
		return
	}
	switch {
	case ev.channel == chTrades:
		l.b = appendString(append(l.b, `{"f":"t","id":`...), string(e.Symbol))
		l.b = e.Price.Append(append(l.b, `,"p":`...))
		l.b = e.Size.Append(append(l.b, `,"s":`...))
	case ev.channel == chQuotes && l.quotes:
		l.b = appendString(append(l.b, `{"f":"q","id":`...), string(e.Symbol))
		l.b = e.Price.Append(append(l.b, `,"bp":`...))
		l.b = e.Size.Append(append(l.b, `,"bs":`...))
		l.b = e.Ask.Append(append(l.b, `,"ap":`...))
		l.b = e.AskSize.Append(append(l.b, `,"as":`...))
	default:
		return
	}
	when := e.Event
	if when == 0 {
		when = e.Received
	}
	l.b = strconv.AppendInt(append(l.b, `,"t":`...), int64(when.Floor(market.Second)/market.Second), 10)
	l.b = append(l.b, '}', '\n')
	l.g.metrics.ticks.Inc()
}

// write sends what was made, for as long as one answer may take; a client that reads nothing for longer is gone.
func (l *lines) write(ctx context.Context) bool {
	b := l.b
	l.b = l.b[:0]
	if cap(l.b) > answerChunk {
		l.b = nil
	}
	l.g.metrics.waiting.Inc()
	defer l.g.metrics.waiting.Dec()
	// Not every writer has deadlines, and those of tests need not.
	_ = l.out.SetWriteDeadline(time.Now().Add(l.g.opt.Limits.QueryTime))
	defer l.breakOff(ctx)()
	if _, err := l.w.Write(b); err != nil {
		return false
	}
	if err := l.out.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	l.g.metrics.writes.Inc()
	l.g.metrics.bytes.Add(float64(len(b)))
	return ctx.Err() == nil
}

// breakOff ends a write when ctx is done. The function that it returns must be called behind the write; it waits, because the answer
// must not be touched once the handler has returned.
func (l *lines) breakOff(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	unused := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = l.out.SetWriteDeadline(time.Unix(1, 0)) // as above
	})
	return func() {
		if !unused() {
			<-done
		}
	}
}
