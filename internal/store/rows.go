package store

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// tick is a row of trade_rows or quote_rows, without its symbol.
type tick struct {
	event, seq, n, delay int64
	price, size          int64 // coefficients; of a quote, of the bid
	ask, askSize         int64
	form                 int64
	id                   any // nil, int64, string or []byte: see identity
}

// compare orders ticks of one symbol by their key.
func (t *tick) compare(u *tick) int {
	switch {
	case t.event != u.event:
		if t.event < u.event {
			return -1
		}
		return 1
	case t.seq != u.seq:
		if t.seq < u.seq {
			return -1
		}
		return 1
	}
	return 0
}

// identity is what the column id holds of a trade: nothing, the venue's number, the venue's name as text, or, where there is
// more to say than that, "number name" as a blob.
func identity(id uint64, ref string) any {
	switch {
	case id == 0 && ref == "":
		return nil
	case ref == "" && id <= math.MaxInt64:
		return int64(id)
	case id == 0:
		return ref
	}
	b := strconv.AppendUint(nil, id, 10)
	if ref != "" {
		b = append(append(b, ' '), ref...)
	}
	return b
}

// parseIdentity reads what identity returned.
func parseIdentity(v any) (id uint64, ref string, err error) {
	switch v := v.(type) {
	case nil:
		return 0, "", nil
	case int64:
		return uint64(v), "", nil
	case string:
		return 0, v, nil
	case []byte:
		number, ref, _ := strings.Cut(string(v), " ")
		id, err = strconv.ParseUint(number, 10, 64)
		return id, ref, err
	}
	return 0, "", fmt.Errorf("id of type %T: %w", v, ErrCorrupt)
}

// storable returns why a tick cannot be a row, or "".
func storable(n uint64, e *market.Entry) string {
	switch {
	case n > math.MaxInt64 || e.Seq > math.MaxInt64:
		return "its number is beyond 63 bits"
	case e.Symbol == "":
		return "it has no symbol"
	case len(e.Symbol) > market.MaxSymbol:
		return "its symbol is too long"
	}
	if delay := e.Received - e.Event; (e.Received > e.Event) != (delay > 0) && e.Received != e.Event {
		return "its times are too far apart"
	}
	return ""
}

// set fills the row from the entry.
func (t *tick) set(n uint64, e *market.Entry, form int64) {
	*t = tick{
		event: int64(e.Event), seq: int64(e.Seq), n: int64(n), delay: int64(e.Received - e.Event),
		price: e.Price.Coef(), size: e.Size.Coef(), form: form,
	}
	if e.Kind == market.KindQuote {
		t.ask, t.askSize = e.Ask.Coef(), e.AskSize.Coef()
	} else {
		t.id = identity(e.ID, e.Ref)
	}
}

// row fills r from the row of a tick of a symbol.
func (t *tick) row(r *market.Row, kind market.Kind, symbol market.Symbol, f *form) (err error) {
	*r = market.Row{N: uint64(t.n), Entry: market.Entry{
		Kind: kind, Symbol: symbol, Seq: uint64(t.seq), Event: market.Time(t.event), Received: market.Time(t.event + t.delay),
		Side: f.side, Flags: f.flags, Tape: f.tape, Exchange: f.exchange, AskFrom: f.askFrom, Conditions: f.conditions,
	}}
	if r.Price, err = market.NewDecimal(t.price, int(f.price)); err != nil {
		return err
	}
	if r.Size, err = market.NewDecimal(t.size, int(f.size)); err != nil {
		return err
	}
	if kind == market.KindTrade {
		r.ID, r.Ref, err = parseIdentity(t.id)
		return err
	}
	if r.Ask, err = market.NewDecimal(t.ask, int(f.ask)); err != nil {
		return err
	}
	r.AskSize, err = market.NewDecimal(t.askSize, int(f.askSize))
	return err
}

// tickColumns are those of the table of a kind that scan reads.
func tickColumns(kind market.Kind) string {
	if kind == market.KindTrade {
		return "event, seq, n, delay, price, size, form, id"
	}
	return "event, seq, n, delay, bid, bid_size, form, ask, ask_size"
}

func tickTable(kind market.Kind) string {
	if kind == market.KindTrade {
		return "trade_rows"
	}
	return "quote_rows"
}

// scanner is a row of an answer.
type scanner interface{ Scan(dest ...any) error }

// take takes in a row of tickColumns that came straight from the driver.
func (t *tick) take(kind market.Kind, row []driver.Value) (err error) {
	numbers := [...]*int64{&t.event, &t.seq, &t.n, &t.delay, &t.price, &t.size, &t.form, &t.ask, &t.askSize}
	for i := range row {
		if kind == market.KindTrade && i == len(row)-1 {
			t.id = row[i]
			break
		}
		if *numbers[i], err = integer(row[i]); err != nil {
			return fmt.Errorf("column %d of a tick: %w", i+1, err)
		}
	}
	return nil
}

// targets returns where a row of tickColumns is to be scanned to.
func (t *tick) targets(kind market.Kind) []any {
	to := []any{&t.event, &t.seq, &t.n, &t.delay, &t.price, &t.size, &t.form}
	if kind == market.KindTrade {
		return append(to, &t.id)
	}
	return append(to, &t.ask, &t.askSize)
}
