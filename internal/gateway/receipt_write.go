package gateway

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"tapedeck/internal/market"
)

// append writes the receipt of a bar.
func (r *receipt) append(b []byte, bar *market.Bar, calendar string, list []revision, spans []covered) []byte {
	b = appendString(append(b, `{"symbol":`...), string(r.symbol))
	b = appendString(append(b, `,"timeframe":`...), r.interval.String())
	b = appendTime(append(b, `,"start":`...), bar.Start)
	b = appendTime(append(b, `,"end":`...), bar.End)
	b = appendString(append(b, `,"calendar":`...), calendar)
	b = appendString(append(b, `,"rules":`...), r.rules.Name())
	b = appendBar(append(b, `,"bar":{`...), bar)
	b = strconv.AppendBool(append(b, `,"final":`...), bar.Final)
	b = strconv.AppendUint(append(b, `,"rev":`...), uint64(bar.Rev), 10)
	b = strconv.AppendBool(append(b, `,"imported":`...), bar.Imported)
	if !bar.Imported {
		b = r.appendTrades(b, bar)
		b = r.appendLeftOut(b)
		b = r.appendLate(b, list)
	}
	b = r.appendCoverage(b, spans)
	return append(b, '}', '\n')
}

// appendCoverage writes what is known of the time of the bar: how many seconds of each, and the first of the spans. A month of a busy day and
// night may have hundreds of thousands; /v1/coverage goes on from where the list ends.
func (r *receipt) appendCoverage(b []byte, spans []covered) []byte {
	b = appendSpans(append(b, `,"coverage":`...), spans[:min(len(spans), receiptMost)])
	b = appendCoverage(append(b, `,"coverageSeconds":`...), spans, market.Span{From: math.MinInt64, To: math.MaxInt64})
	if len(spans) > receiptMost {
		b = appendTime(append(b, `,"coverageNext":`...), spans[receiptMost].From)
	}
	return b
}

// appendTrades writes the trades that made the bar, and whether they make it.
func (r *receipt) appendTrades(b []byte, bar *market.Bar) []byte {
	made := r.sum.bar(bar)
	matches := sameTrades(&made, bar)
	b = strconv.AppendBool(append(b, `,"matches":`...), matches)
	if !matches {
		b = appendBar(append(b, `,"recomputed":{`...), &made)
	}
	for _, part := range [...]struct {
		name  string
		trade *market.Entry
	}{{"open", &r.open}, {"high", &r.high}, {"low", &r.low}, {"close", &r.last}} {
		trade := part.trade
		if part.name == "close" && trade.Kind == 0 {
			trade = &r.open // nothing else may set it
		}
		b = append(append(append(b, `,"`...), part.name...), `":`...)
		if trade.Kind == 0 {
			b = append(b, "null"...)
			continue
		}
		b = appendTrade(append(b, '{'), trade)
	}
	b = strconv.AppendUint(append(b, `,"volume":{"trades":`...), r.sum.count, 10)
	b = r.sum.volume.Append(append(b, `,"v":`...))
	b = r.sum.turnover.Append(append(b, `,"turnover":`...))
	b = strconv.AppendUint(append(b, `,"first":`...), r.sum.firstSeq, 10)
	b = strconv.AppendUint(append(b, `,"last":`...), r.sum.lastSeq, 10)
	b = append(b, `,"list":[`...)
	for i := range r.trades {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrade(append(b, '{'), &r.trades[i])
	}
	b = append(b, `],"next_page_token":`...)
	if r.next {
		last := &r.trades[len(r.trades)-1]
		token := pageToken{symbol: r.symbol, key: market.TickKey{Event: last.Event, Seq: last.Seq}, hash: receiptHash}
		return append(appendString(b, token.String()), '}')
	}
	return append(b, `null}`...)
}

// appendLeftOut writes the trades that did not count for all, and why.
func (r *receipt) appendLeftOut(b []byte) []byte {
	b = strconv.AppendUint(append(b, `,"leftOut":{"count":`...), r.outCount, 10)
	b = append(b, `,"reasons":{`...)
	for i, why := range slices.Sorted(maps.Keys(r.reasons)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(appendString(b, why), ':'), r.reasons[why], 10)
	}
	b = append(b, `},"list":[`...)
	for i := range r.leftOut {
		l := &r.leftOut[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrade(append(b, `{"trade":{`...), &l.trade)
		b = appendEffects(append(b, `,"of":`...), l.what)
		b = append(appendString(append(b, `,"why":`...), l.why), '}')
	}
	return append(b, ']', '}')
}

// appendEffects writes what a trade did not count for.
func appendEffects(b []byte, e market.Effect) []byte {
	var list []string
	if e&market.EffectVolume != 0 {
		list = append(list, "volume")
	}
	if e&market.EffectHighLow != 0 {
		list = append(list, "high", "low")
	}
	switch {
	case e&(market.EffectLast|market.EffectHighLow) == market.EffectLast|market.EffectHighLow:
		list = append(list, "open", "close")
	case e&market.EffectLast != 0:
		list = append(list, "close") // it sets the open where it is the first, and the close where no other does
	}
	return appendStrings(b, list)
}

// appendLate writes which trades came late, and what they changed.
func (r *receipt) appendLate(b []byte, list []revision) []byte {
	b = strconv.AppendUint(append(b, `,"late":{"count":`...), uint64(len(r.late))+r.more, 10)
	b = append(b, `,"revisions":[`...)
	for i := range list {
		v := &list[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(b, `{"seq":`...), v.trade.seq, 10)
		b = appendTime(append(b, `,"t":`...), v.trade.event)
		b = appendTime(append(b, `,"r":`...), v.trade.received)
		b = v.trade.price.Append(append(b, `,"p":`...))
		b = v.trade.size.Append(append(b, `,"s":`...))
		for _, c := range [...]struct {
			name          string
			before, after market.Decimal
		}{
			{"o", v.before.open, v.after.open}, {"h", v.before.high, v.after.high}, {"l", v.before.low, v.after.low}, {"c", v.before.last, v.after.last},
		} {
			if c.before == c.after && v.before.priced == v.after.priced {
				continue
			}
			b = append(append(append(b, `,"`...), c.name...), `":[`...)
			if v.before.priced {
				b = c.before.Append(b)
			} else {
				b = append(b, "null"...)
			}
			b = append(c.after.Append(append(b, ',')), ']')
		}
		if v.before.volume.Cmp(v.after.volume) != 0 {
			b = v.before.volume.Append(append(b, `,"v":[`...))
			b = append(v.after.volume.Append(append(b, ',')), ']')
		}
		if v.before.count != v.after.count {
			b = strconv.AppendUint(append(b, `,"n":[`...), v.before.count, 10)
			b = append(strconv.AppendUint(append(b, ','), v.after.count, 10), ']')
		}
		b = append(b, '}')
	}
	return append(b, ']', '}')
}
