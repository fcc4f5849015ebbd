package binance

import (
	"net/url"
	"strconv"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// history asks for past trades by their numbers, a thousand a page: /api/v3/historicalTrades, or /api/v3/aggTrades for
// aggregated ones. Where only a time is known, an aggregated trade leads from it to a number.
type history Venue

// page is the largest page.
const page = 1000

// place is where a walk through the past stands.
type place struct {
	seek  bool   // the page is to lead from a time to a number
	from  uint64 // number that was asked for
	limit int
	open  bool // from where on trades are missing is not known: there may be more before it
}

// First implements venue.History.
func (hs *history) First(h *venue.Hole) *venue.Request {
	switch {
	case h.After.Kind == market.KindTrade && h.After.ID != 0:
		return hs.ask(h, h.After.ID+1, false)
	case h.After.Event > 0:
		ms := int64(h.After.Event / venue.Milliseconds)
		return hs.get(h, "/api/v3/aggTrades", url.Values{"startTime": {strconv.FormatInt(ms, 10)}, "limit": {"1"}}, place{seek: true})
	case h.Before.ID > 1: // From where on is not known: what is near.
		return hs.ask(h, max(h.Before.ID, page+1)-page, h.Before.ID > page+1)
	}
	path := "/api/v3/trades"
	if hs.aggregated {
		path = "/api/v3/aggTrades"
	}
	return hs.get(h, path, url.Values{"limit": {strconv.Itoa(page)}}, place{limit: page, open: true})
}

// ask returns the request of a page that begins with a number, nil when the hole ends before it.
func (hs *history) ask(h *venue.Hole, from uint64, open bool) *venue.Request {
	limit := uint64(page)
	if h.Before.Kind == market.KindTrade && h.Before.ID != 0 {
		if from >= h.Before.ID {
			return nil
		}
		limit = min(limit, h.Before.ID-from)
	}
	path := "/api/v3/historicalTrades"
	if hs.aggregated {
		path = "/api/v3/aggTrades"
	}
	query := url.Values{"fromId": {strconv.FormatUint(from, 10)}, "limit": {strconv.FormatUint(limit, 10)}}
	return hs.get(h, path, query, place{from: from, limit: int(limit), open: open})
}

func (hs *history) get(h *venue.Hole, path string, query url.Values, at place) *venue.Request {
	query.Set("symbol", h.Instrument.Native)
	return (*Venue)(hs).get(path, query, at)
}

// Page implements venue.History. The walk ends where the venue has no more, although the hole may not: its history comes a
// little later than its stream.
func (hs *history) Page(h *venue.Hole, asked *venue.Request, got *venue.Reply, dst []market.Entry) (entries []market.Entry, next *venue.Request, complete bool, err error) {
	if err := check(got); err != nil {
		return dst, nil, false, err
	}
	at, _ := asked.Cursor.(place)
	if at.seek {
		return hs.found(h, got, dst)
	}
	begin := len(dst)
	dst, rows, err := readRows(h, got.Body, dst)
	if err != nil {
		return dst[:begin], nil, false, err
	}
	from := at.from
	for i := range dst[begin:] {
		from = max(from, dst[begin+i].ID+1)
	}
	switch limited := h.Before.Kind == market.KindTrade && h.Before.ID != 0; {
	case at.from == 0 || rows < at.limit || limited && from >= h.Before.ID:
		return dst, nil, !at.open, nil
	case from == at.from: // It goes round in circles.
		return dst, nil, false, nil
	}
	next = hs.ask(h, from, at.open)
	next.Hold = (*Venue)(hs).hold(got)
	return dst, next, false, nil
}

// found reads the aggregated trade that follows a time, and asks for the page that begins with it, or with its first single
// trade.
func (hs *history) found(h *venue.Hole, got *venue.Reply, dst []market.Entry) ([]market.Entry, *venue.Request, bool, error) {
	var s venue.Scanner
	s.Reset(got.Body)
	var from uint64
	for s.Enter('['); s.More(); {
		var r row
		r.read(&s)
		number := r.first
		if hs.aggregated {
			number = r.aggregate
		}
		if n, ok := number.Uint(); ok && from == 0 {
			from = n
		}
	}
	if err := s.End(); err != nil {
		return dst, nil, false, err
	}
	if from == 0 { // Nothing was traded since.
		return dst, nil, true, nil
	}
	next := hs.ask(h, from, false)
	return dst, next, next == nil, nil
}

// row is a trade of the past, single or aggregated:
//
//	{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}
//	{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}
type row struct {
	id, aggregate, first, price, quantity, maker, traded venue.Value
}

func (r *row) read(s *venue.Scanner) {
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return
		}
		switch v := s.Value(); string(key) {
		case "id":
			r.id = v
		case "a":
			r.aggregate = v
		case "f":
			r.first = v
		case "price", "p":
			r.price = v
		case "qty", "q":
			r.quantity = v
		case "isBuyerMaker", "m":
			r.maker = v
		case "time", "T":
			r.traded = v
		}
	}
}

// readRows appends the trades of a page to dst and returns the number of its rows, which those count to that are no trades.
func readRows(h *venue.Hole, body []byte, dst []market.Entry) (entries []market.Entry, rows int, err error) {
	var s venue.Scanner
	s.Reset(body)
	for s.Enter('['); s.More(); rows++ {
		var r row
		r.read(&s)
		number := r.id
		if number == nil {
			number = r.aggregate
		}
		e := market.Entry{
			Kind: market.KindTrade, Symbol: h.Instrument.Symbol, Received: h.Now, Flags: market.FlagBackfilled,
		}
		if s.Err() == nil && fill(&e, number, r.price, r.quantity, r.maker, r.traded) {
			dst = append(dst, e)
		}
	}
	return dst, rows, s.End()
}
