package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"tapedeck/internal/market"
)

// leasePiece is how much of an export a client must take within the time of a question. Smaller pieces let slower clients live,
// and cost more calls of the system.
const leasePiece = 32 << 10

// exportBars is how many bars an export reads at once.
const exportBars = 1000

// rows serves a route of ticks or bars: pages of them in JSON or, with format=csv, all that were asked for as lines of CSV, however
// many. At most cap(exports) of the latter run at once.
func (g *Gateway) rows(mux *http.ServeMux, pattern string, exports slots, pages, lines handler) {
	pages = g.bounded(pages)
	g.get(mux, pattern, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Query().Get("format") != "csv" {
			return pages(w, r)
		}
		return g.export(w, r, exports, lines)
	})
}

// export answers by lines, which takes as long as the client reads.
func (g *Gateway) export(w http.ResponseWriter, r *http.Request, exports slots, lines handler) error {
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
	return lines(w, r)
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

// lines begins an answer of lines under a header, and lets fill write the others.
func (g *Gateway) lines(w http.ResponseWriter, r *http.Request, q *pageQuery, what, header string, single bool, fill func(context.Context, *answer) error) error {
	name := what
	if single {
		name = fileName(q.symbols[0].symbol) + "-" + what
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	timer := time.AfterFunc(g.opt.Limits.QueryTime, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	setAt(w, q.at)
	a := g.answer(w, "text/csv; charset=utf-8")
	a.lease = &lease{g: g, rc: http.NewResponseController(w), timer: timer}
	a.b = append(append(a.b, header...), '\n')
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK) // how long it is nobody knows
		return nil
	}
	err := a.lease.renew()
	if err == nil {
		err = fill(ctx, a)
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	if errors.Is(err, errClosing) && !a.sent {
		err = &problem{status: http.StatusServiceUnavailable, detail: errClosing.Error(), retry: 1}
	}
	return a.finish(err)
}

// The headers have the names that Alpaca's library for Python gives to columns, as far as it has them.
const (
	tradeColumns = "symbol,timestamp,price,size,exchange,id,conditions,tape,side,ref,seq,received"
	quoteColumns = "symbol,timestamp,bid_price,bid_size,bid_exchange,ask_price,ask_size,ask_exchange,conditions,tape,seq,received"
	barColumns   = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap,gappy"
)

// tickLines serves the trades or quotes of a span as CSV.
func (g *Gateway) tickLines(kind market.Kind, what string) handler {
	header, appendRow := tradeColumns, appendTradeLine
	if kind == market.KindQuote {
		header, appendRow = quoteColumns, appendQuoteLine
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		p, list, single, err := g.asked(r, dataParams()...)
		if err != nil {
			return err
		}
		q, err := g.pageQuery(r.Context(), p, what, list, math.MaxInt, math.MaxInt)
		if err != nil {
			return err
		}
		return g.lines(w, r, q, what, header, single, func(ctx context.Context, a *answer) error {
			left := q.limit
			for _, n := range q.symbols {
				if left == 0 {
					return nil
				}
				tq := market.TickQuery{Kind: kind, Symbol: n.symbol, From: q.from, To: q.to, Limit: left, Descending: q.descending}
				err := q.history.Ticks(ctx, tq, func(row *market.Row) error {
					left--
					a.b = appendRow(a.b, n.text, &row.Entry)
					return a.room()
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// barLines serves the bars of a span as CSV.
func (g *Gateway) barLines(w http.ResponseWriter, r *http.Request) error {
	q, v, single, err := g.askedBars(r, math.MaxInt, math.MaxInt)
	if err != nil {
		return err
	}
	w.Header().Set(AdjustmentHeader, "raw")
	return g.lines(w, r, q, "bars-"+v.String(), barColumns, single, func(ctx context.Context, a *answer) error {
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
					a.b = appendBarLine(a.b, n.text, &bars[i])
					if err := a.room(); err != nil {
						return err
					}
				}
			}
			bars = bars[:0]
		}
		return nil
	})
}

// appendLineHead appends what every line begins with, and a comma.
func appendLineHead(b []byte, symbol string, t market.Time) []byte {
	return append(appendLineTime(append(appendCell(b, symbol), ','), t), ',')
}

// appendLineTime appends a time, and nothing for one that is not known.
func appendLineTime(b []byte, t market.Time) []byte {
	if t == 0 {
		return b
	}
	return t.AppendRFC3339(b)
}

// appendLineTail appends the cells that all ticks end with: the tape is a letter or none.
func appendLineTail(b []byte, e *market.Entry) []byte {
	b = append(strconv.AppendUint(b, e.Seq, 10), ',')
	return append(appendLineTime(b, e.Received), '\n')
}

func appendTapeCell(b []byte, tape byte) []byte {
	if tape < 'A' || tape > 'Z' {
		return b
	}
	return append(b, tape)
}

func appendTradeLine(b []byte, symbol string, e *market.Entry) []byte {
	b = appendLineHead(b, symbol, e.Event)
	b = append(e.Price.Append(b), ',')
	b = append(e.Size.Append(b), ',')
	b = append(appendCell(b, e.Exchange), ',')
	if e.ID != 0 {
		b = strconv.AppendUint(b, e.ID, 10)
	}
	b = appendCell(append(b, ','), e.Conditions)
	b = appendTapeCell(append(b, ','), e.Tape)
	b = append(b, ',')
	switch e.Side {
	case market.SideBuy:
		b = append(b, 'B')
	case market.SideSell:
		b = append(b, 'S')
	case market.SideNone:
	}
	b = appendCell(append(b, ','), e.Ref)
	return appendLineTail(append(b, ','), e)
}

func appendQuoteLine(b []byte, symbol string, e *market.Entry) []byte {
	from := e.AskFrom
	if from == "" {
		from = e.Exchange
	}
	b = appendLineHead(b, symbol, e.Event)
	b = append(e.Price.Append(b), ',')
	b = append(e.Size.Append(b), ',')
	b = append(appendCell(b, e.Exchange), ',')
	b = append(e.Ask.Append(b), ',')
	b = append(e.AskSize.Append(b), ',')
	b = append(appendCell(b, from), ',')
	b = appendCell(b, e.Conditions)
	b = appendTapeCell(append(b, ','), e.Tape)
	return appendLineTail(append(b, ','), e)
}

func appendBarLine(b []byte, symbol string, bar *market.Bar) []byte {
	b = appendLineHead(b, symbol, bar.Start)
	for _, d := range [...]market.Decimal{bar.Open, bar.High, bar.Low, bar.Close} {
		b = append(d.Append(b), ',')
	}
	b = append(bar.Volume.Append(b), ',')
	b = append(strconv.AppendUint(b, bar.Count, 10), ',')
	b = append(bar.VWAP().Append(b), ',')
	return append(strconv.AppendBool(b, bar.Gappy), '\n')
}
