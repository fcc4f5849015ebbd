package gateway

import (
	"context"
	"fmt"

	"tapedeck/internal/market"
)

// recentTicks is how many of the ticks that are newest by the venue's time are looked at for the one that came last.
const recentTicks = 64

// knownAt returns what was newest of a symbol at a moment.
func (g *Gateway) knownAt(ctx context.Context, at market.Time, id uint32, want parts) (known, error) {
	now := g.hub.listing(id)
	k := known{listing: listing{symbol: now.symbol, feed: now.feed}}
	a := &asOf{History: g.opt.History, g: g, at: at}
	var err error
	if want&partTrade != 0 {
		if k.trade, err = a.newest(ctx, market.KindTrade, k.symbol); err != nil {
			return k, err
		}
		k.decimals = max(0, -k.trade.Price.Exp())
	}
	if want&partQuote != 0 {
		if k.quote, err = a.newest(ctx, market.KindQuote, k.symbol); err != nil {
			return k, err
		}
		k.decimals = max(k.decimals, -k.quote.Price.Exp(), -k.quote.Ask.Exp())
	}
	var minutes, days []market.Bar
	if want&partMinute != 0 {
		minutes, _, err = a.Bars(ctx, market.BarQuery{Symbol: k.symbol, Interval: market.Min1(), Limit: 1, Descending: true}, nil)
		if err != nil {
			return k, fmt.Errorf("read the newest bars of %s: %w", k.symbol, err)
		}
	}
	if want&partDays != 0 {
		days, _, err = a.Bars(ctx, market.BarQuery{Symbol: k.symbol, Interval: market.Day1(), Limit: 2, Descending: true}, nil)
		if err != nil {
			return k, fmt.Errorf("read the newest bars of %s: %w", k.symbol, err)
		}
	}
	k.load(minutes, days)
	return k, nil
}

// newest returns the trade or quote that came last, of those that are newest by the venue's time. What came as history counts only
// where nothing else is. Kind is 0 when there is none.
func (a *asOf) newest(ctx context.Context, kind market.Kind, s market.Symbol) (market.Entry, error) {
	var live, past market.Entry
	q := market.TickQuery{Kind: kind, Symbol: s, Limit: recentTicks, Descending: true}
	err := a.Ticks(ctx, q, func(row *market.Row) error {
		switch {
		case row.Flags&market.FlagHistory != 0:
			if past.Kind == 0 {
				past = row.Entry
			}
		case live.Kind == 0 || row.Seq > live.Seq:
			live = row.Entry
		}
		return nil
	})
	if err != nil {
		return live, fmt.Errorf("read the newest %s of %s: %w", kind, s, err)
	}
	if live.Kind == 0 {
		return past, nil
	}
	return live, nil
}
