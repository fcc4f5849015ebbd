package layout

import (
	"errors"
	"fmt"
	"io"
	"time"

	"tapedeck/internal/market"
)

// studyOwn makes a file of our own ready: its entries need no recognising, only choosing.
func (r *Reader) studyOwn() error {
	r.layout = &layout{vendor: vendor{name: "Tapedeck"}, cols: noColumns(), header: true, kind: r.ownKind}
	r.layout.cols[fSymbol] = 0
	var columns []Column
	for name, column := range r.opt.Map {
		if name != "symbol" || column != "" {
			return fmt.Errorf("%w: map=%s=%s: a file that Tapedeck wrote needs no mapping; only symbol= may be said, which gives all rows another name", ErrLayout, name, column)
		}
		r.layout.cols[fSymbol] = -1
		columns = []Column{{Name: "symbol"}}
	}
	r.dec = &decoder{layout: r.layout, opt: &r.opt, clock: clockwork{zone: time.UTC}, symbols: make(map[string]market.Symbol)}
	if err := r.chooseSymbols(r.dec); err != nil {
		return err
	}
	r.told = Description{
		Layout: "Tapedeck", Format: r.format, Kind: kindName(r.ownKind), Header: true, Zone: "UTC", Times: "nanoseconds since 1970", Columns: columns,
	}
	if !r.layout.has(fSymbol) {
		r.told.Symbols = []string{string(r.dec.symbol)}
		r.told.Notes = []string{"all rows are given this symbol, whichever the file names"}
	}
	return nil
}

// nextOwn appends the next entry of a file of our own. What the tape stamps, it will stamp anew.
func (r *Reader) nextOwn(dst []market.Entry) ([]market.Entry, *Reject, error) {
	e, err := r.own.Next()
	if err != nil {
		r.failed = err
		if !errors.Is(err, io.EOF) {
			r.failed = r.whole(err)
		}
		return dst, nil, r.failed
	}
	r.rows++
	if r.dec.only != nil {
		known, seen := r.dec.symbols[string(e.Symbol)]
		if !seen {
			known = e.Symbol
			r.dec.want(known)
			if len(r.dec.symbols) < maxSymbols {
				r.dec.symbols[string(known)] = known
			}
		}
		if !r.dec.only[known] {
			return dst, nil, nil
		}
	}
	dst = append(dst, *e)
	last := &dst[len(dst)-1]
	last.Seq, last.Received, last.Flags = 0, 0, 0
	if !r.layout.has(fSymbol) {
		last.Symbol = r.dec.symbol
	}
	return dst, nil, nil
}
