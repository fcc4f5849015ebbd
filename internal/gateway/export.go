package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"tapedeck/internal/market"
)

// leasePiece is how much of an export a client must take within the time of a question. Smaller pieces let slower clients live,
// and cost more calls of the system.
const leasePiece = 32 << 10

// exportBars is how many bars an export reads at once.
const exportBars = 1000

// rows serves a route of ticks or bars: pages of them in JSON or, with the format of a file, all that were asked for, however many. At most
// cap(exports) of the latter run at once.
func (g *Gateway) rows(mux registrar, pattern string, exports slots, pages, all handler) {
	pages = g.bounded(pages)
	g.get(mux, pattern, func(w http.ResponseWriter, r *http.Request) error {
		if !slices.Contains(ExportFormats(), r.URL.Query().Get("format")) {
			return pages(w, r)
		}
		return g.export(w, r, exports, all)
	})
}

// export answers with a file, which takes as long as the client reads.
func (g *Gateway) export(w http.ResponseWriter, r *http.Request, exports slots, all handler) error {
	if !g.isStarted() {
		return &problem{status: http.StatusServiceUnavailable, detail: "the server is starting", retry: 1}
	}
	wait, stop := context.WithTimeout(r.Context(), g.opt.Limits.QueryTime)
	defer stop()
	for _, s := range []slots{exports, g.queries} {
		if err := s.acquire(wait); err != nil {
			if r.Context().Err() != nil {
				return err
			}
			return &problem{status: http.StatusServiceUnavailable, detail: "too many questions are being answered; come back later", retry: 1}
		}
		defer s.release()
	}
	return all(w, r)
}

// lease is the time that an export has: that of a question, again for each piece that the client takes. Nobody who reads is cut
// off, and nobody who does not read holds a slot.
type lease struct {
	g     *Gateway
	rc    *http.ResponseController
	timer *time.Timer
}

// errClosing is why an export ends early at shutdown.
var errClosing = errors.New("the server is shutting down")

func (l *lease) renew() error {
	if l.g.isClosing() {
		return errClosing
	}
	d := l.g.opt.Limits.QueryTime
	l.timer.Reset(d)
	_ = l.rc.SetWriteDeadline(time.Now().Add(d)) // not every writer can, and those of tests need not
	return nil
}

// file answers with a file of rows, which fill adds. An error before anything was sent is an answer of its own, one after that cuts the connection.
func (g *Gateway) file(w http.ResponseWriter, r *http.Request, q *pageQuery, kind market.Kind, what string, single bool, fill func(context.Context, *Export) error) error {
	name := what
	if single {
		name = fileName(q.symbols[0].symbol) + "-" + what
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	timer := time.AfterFunc(g.opt.Limits.QueryTime, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	media, ending := exportType(q.format)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+ending+`"`)
	setAt(w, q.at)
	a := g.answer(w, media)
	a.lease = &lease{g: g, rc: http.NewResponseController(w), timer: timer}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK) // how long it is nobody knows
		return nil
	}
	err := a.lease.renew()
	if err == nil {
		err = fillExport(ctx, a, q.format, kind, fill)
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	if errors.Is(err, errClosing) && !a.sent {
		err = &problem{status: http.StatusServiceUnavailable, detail: errClosing.Error(), retry: 1}
	}
	return a.finish(err)
}

func fillExport(ctx context.Context, a *answer, format string, kind market.Kind, fill func(context.Context, *Export) error) error {
	x, err := NewExport(a, format, kind)
	if err != nil {
		return err
	}
	if err := fill(ctx, x); err != nil {
		return err
	}
	return x.Close()
}

// allTicks serves the trades or quotes of a span as a file.
func (g *Gateway) allTicks(kind market.Kind, what string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, list, single, err := g.asked(r, dataParams()...)
		if err != nil {
			return err
		}
		q, err := g.pageQuery(r.Context(), p, what, list, math.MaxInt, math.MaxInt)
		if err != nil {
			return err
		}
		return g.file(w, r, q, kind, what, single, func(ctx context.Context, x *Export) error {
			left := q.limit
			for _, n := range q.symbols {
				if left == 0 {
					return nil
				}
				tq := market.TickQuery{Kind: kind, Symbol: n.symbol, From: q.from, To: q.to, Limit: left, Descending: q.descending}
				err := q.history.Ticks(ctx, tq, func(row *market.Row) error {
					left--
					return x.Tick(n.text, row)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// allBars serves the bars of a span as a file.
func (g *Gateway) allBars(w http.ResponseWriter, r *http.Request) error {
	q, v, single, err := g.askedBars(r, math.MaxInt, math.MaxInt)
	if err != nil {
		return err
	}
	w.Header().Set(AdjustmentHeader, "raw")
	return g.file(w, r, q, market.KindBar, "bars-"+v.String(), single, func(ctx context.Context, x *Export) error {
		left := q.limit
		var bars []market.Bar
		for _, n := range q.symbols {
			for more := true; more && left > 0; {
				bq := q.barQuery(n, v, min(left, exportBars))
				if len(bars) > 0 {
					goOn(&bq, bars[len(bars)-1].Start)
				}
				if bars, _, err = q.history.Bars(ctx, bq, bars[:0]); err != nil {
					return err
				}
				more = len(bars) == bq.Limit
				for i := range bars {
					if !bars[i].Priced {
						continue
					}
					left--
					if err := x.Bar(n.text, &bars[i]); err != nil {
						return err
					}
				}
			}
			bars = bars[:0]
		}
		return nil
	})
}
