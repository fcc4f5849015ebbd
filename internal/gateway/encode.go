package gateway

import (
	"strconv"
	"unicode/utf8"

	"tapedeck/internal/market"
)

// dialect is a way to write what is on the tape as JSON.
type dialect uint8

const (
	native   dialect = iota // /v2/tape: full symbols and Tapedeck's additions
	stocks                  // Alpaca's stock streams: bare names
	crypto                  // Alpaca's crypto stream: pairs with a slash
	prices                  // /ws/prices: a small object a trade
	dialects                // how many there are
)

// appendSymbol writes a symbol as the dialect has it, quoted.
func appendSymbol(dst []byte, d dialect, s market.Symbol) []byte {
	if d == native || d == prices {
		return appendString(dst, string(s))
	}
	from := len(dst)
	dst = appendString(dst, s.Name())
	if d == crypto {
		for i := from; i < len(dst); i++ {
			if dst[i] == '-' {
				dst[i] = '/'
				break
			}
		}
	}
	return dst
}

// appendEvent writes the message for an event of a record, without a comma. It writes nothing for what the dialect has no
// message for.
func appendEvent(dst []byte, d dialect, feed string, e *market.Entry, ev *event) []byte {
	if d == prices {
		return appendPrice(dst, e)
	}
	if lacksTime(d, e) {
		dated := *e
		dated.Event = dated.Received
		e = &dated
	}
	switch ev.channel {
	case chTrades:
		return appendTradeFor(appendHead(dst, 't', d, e.Symbol), d, e)
	case chQuotes:
		return appendQuoteFor(appendHead(dst, 'q', d, e.Symbol), d, e)
	case chBars:
		return appendBar(appendHead(dst, 'b', d, ev.bar.Symbol), ev.bar)
	case chUpdatedBars:
		return appendBar(appendHead(dst, 'u', d, ev.bar.Symbol), ev.bar)
	case chDailyBars:
		return appendBar(appendHead(dst, 'd', d, ev.bar.Symbol), ev.bar)
	case chStatuses:
		if d == native {
			return appendState(dst, feed, e)
		}
		return appendHalt(dst, d, e)
	case chGaps:
		return appendGap(dst, feed, e)
	case chAlerts:
		return appendAlert(dst, d, e)
	case channels:
	}
	return dst
}

// lacksTime reports whether a tick is due to an SDK and has no time of the venue. They fail without one, so they get that of its
// receipt.
func lacksTime(d dialect, e *market.Entry) bool {
	return e.Event == 0 && (d == stocks || d == crypto) && e.IsTick()
}

func appendHead(dst []byte, kind byte, d dialect, s market.Symbol) []byte {
	dst = append(dst, `{"T":"`...)
	dst = append(dst, kind)
	dst = append(dst, `","S":`...)
	return append(appendSymbol(dst, d, s), ',')
}

// appendTrade writes the fields of a trade and closes the object.
func appendTrade(dst []byte, e *market.Entry) []byte { return appendTradeFor(dst, native, e) }

// appendTradeFor is appendTrade in a dialect.
func appendTradeFor(dst []byte, d dialect, e *market.Entry) []byte {
	id := e.ID
	if id == 0 {
		id = e.Seq
	}
	dst = strconv.AppendUint(append(dst, `"i":`...), id, 10)
	dst = e.Price.Append(append(dst, `,"p":`...))
	dst = e.Size.Append(append(dst, `,"s":`...))
	dst = appendTime(append(dst, `,"t":`...), e.Event)
	if needsExchange(d, e.Exchange) {
		dst = appendString(append(dst, `,"x":`...), e.Exchange)
	}
	dst = appendConditions(append(dst, `,"c":`...), e.Conditions)
	dst = appendTape(dst, e.Tape)
	switch e.Side {
	case market.SideBuy:
		dst = append(dst, `,"tks":"B"`...)
	case market.SideSell:
		dst = append(dst, `,"tks":"S"`...)
	case market.SideNone:
	}
	if e.Ref != "" {
		dst = appendString(append(dst, `,"ref":`...), e.Ref)
	}
	return appendTail(dst, e)
}

// appendQuote writes the fields of a quote and closes the object.
func appendQuote(dst []byte, e *market.Entry) []byte { return appendQuoteFor(dst, native, e) }

// needsExchange reports whether the code of an exchange is written. Some SDKs for stocks need one, if only an empty one.
func needsExchange(d dialect, code string) bool { return code != "" || d == stocks }

// appendQuoteFor is appendQuote in a dialect.
func appendQuoteFor(dst []byte, d dialect, e *market.Entry) []byte {
	if needsExchange(d, e.Exchange) {
		dst = append(appendString(append(dst, `"bx":`...), e.Exchange), ',')
	}
	dst = e.Price.Append(append(dst, `"bp":`...))
	dst = e.Size.Append(append(dst, `,"bs":`...))
	from := e.AskFrom
	if from == "" {
		from = e.Exchange
	}
	if needsExchange(d, from) {
		dst = appendString(append(dst, `,"ax":`...), from)
	}
	dst = e.Ask.Append(append(dst, `,"ap":`...))
	dst = e.AskSize.Append(append(dst, `,"as":`...))
	dst = appendTime(append(dst, `,"t":`...), e.Event)
	dst = appendConditions(append(dst, `,"c":`...), e.Conditions)
	dst = appendTape(dst, e.Tape)
	return appendTail(dst, e)
}

// appendTail writes what Tapedeck adds to a tick: its number and when it was received.
func appendTail(dst []byte, e *market.Entry) []byte {
	dst = strconv.AppendUint(append(dst, `,"seq":`...), e.Seq, 10)
	if e.Received != 0 {
		dst = appendTime(append(dst, `,"r":`...), e.Received)
	}
	return append(dst, '}')
}

// appendBar writes the fields of a bar and closes the object.
func appendBar(dst []byte, b *market.Bar) []byte {
	dst = b.Open.Append(append(dst, `"o":`...))
	dst = b.High.Append(append(dst, `,"h":`...))
	dst = b.Low.Append(append(dst, `,"l":`...))
	dst = b.Close.Append(append(dst, `,"c":`...))
	dst = b.Volume.Append(append(dst, `,"v":`...))
	dst = appendTime(append(dst, `,"t":`...), b.Start)
	dst = strconv.AppendUint(append(dst, `,"n":`...), b.Count, 10)
	dst = b.VWAP().Append(append(dst, `,"vw":`...))
	if b.Gappy {
		dst = append(dst, `,"gappy":true`...)
	}
	return append(dst, '}')
}

// appendState writes a status of a symbol or, with "*", of a whole feed.
func appendState(dst []byte, feed string, e *market.Entry) []byte {
	dst = appendAny(append(dst, `{"T":"status","S":`...), e.Symbol)
	dst = appendString(append(dst, `,"feed":`...), feed)
	dst = append(append(append(dst, `,"state":"`...), e.State.String()...), '"')
	if e.Event != 0 {
		dst = appendTime(append(dst, `,"t":`...), e.Event)
	}
	return append(appendReason(dst, e.Text), '}')
}

// appendHalt writes a status in Alpaca's form. Only halts and resumptions have one.
func appendHalt(dst []byte, d dialect, e *market.Entry) []byte {
	code := `,"sc":"T","sm":"Trading Resumption"`
	if e.State == market.StateHalted {
		code = `,"sc":"H","sm":"Trading Halt"`
	} else if e.State != market.StateLive {
		return dst
	}
	dst = appendSymbol(append(dst, `{"T":"s","S":`...), d, e.Symbol)
	dst = append(append(dst, code...), `,"rc":"","rm":`...)
	dst = appendString(dst, e.Text)
	dst = appendTime(append(dst, `,"t":`...), e.Event)
	if e.Tape < 'A' || e.Tape > 'Z' {
		return append(dst, `,"z":""}`...)
	}
	return append(appendTape(dst, e.Tape), '}')
}

func appendGap(dst []byte, feed string, e *market.Entry) []byte {
	dst = appendAny(append(dst, `{"T":"gap","S":`...), e.Symbol)
	dst = appendString(append(dst, `,"feed":`...), feed)
	dst = appendTime(append(dst, `,"from":`...), e.Event)
	dst = appendTime(append(dst, `,"to":`...), e.Until)
	dst = strconv.AppendBool(append(dst, `,"filled":`...), e.Flags&market.FlagFilled != 0)
	if e.Flags&market.FlagDamage != 0 {
		dst = append(dst, `,"damage":true`...)
	}
	return append(appendReason(dst, e.Text), '}')
}

func appendAlert(dst []byte, d dialect, e *market.Entry) []byte {
	dst = appendHeadWord(dst, "alert", d, e.Symbol)
	dst = e.Price.Append(append(dst, `"p":`...))
	dst = appendTime(append(dst, `,"t":`...), e.Event)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), e.Seq, 10)
	dst = appendString(append(dst, `,"msg":`...), e.Text)
	if e.Ref != "" {
		dst = appendString(append(dst, `,"id":`...), e.Ref)
	}
	return append(dst, '}')
}

func appendHeadWord(dst []byte, kind string, d dialect, s market.Symbol) []byte {
	dst = append(append(append(dst, `{"T":"`...), kind...), `","S":`...)
	return append(appendSymbol(dst, d, s), ',')
}

// appendPrice writes a trade, or an alarm about one, for /ws/prices.
func appendPrice(dst []byte, e *market.Entry) []byte {
	dst = appendTime(append(dst, `{"timestamp":`...), e.Event)
	dst = appendSymbol(append(dst, `,"symbol":`...), prices, e.Symbol)
	dst = e.Price.Append(append(dst, `,"price":`...))
	if e.Kind == market.KindAlarm {
		dst = appendString(append(dst, `,"alert":`...), e.Text)
	}
	return append(dst, '}')
}

// appendAny writes a symbol, or "*" for none.
func appendAny(dst []byte, s market.Symbol) []byte {
	if s == "" {
		return append(dst, `"*"`...)
	}
	return appendString(dst, string(s))
}

func appendReason(dst []byte, text string) []byte {
	if text == "" {
		return dst
	}
	return appendString(append(dst, `,"reason":`...), text)
}

func appendTape(dst []byte, tape byte) []byte {
	if tape < 'A' || tape > 'Z' {
		return dst
	}
	return append(append(append(dst, `,"z":"`...), tape), '"')
}

// appendTime writes a time as a string, and an unknown one as null.
func appendTime(dst []byte, t market.Time) []byte {
	if t == 0 {
		return append(dst, "null"...)
	}
	return append(t.AppendRFC3339(append(dst, '"')), '"')
}

// appendConditions writes "@,I" as ["@","I"].
func appendConditions(dst []byte, conditions string) []byte {
	dst = append(dst, '[')
	for from := 0; conditions != "" && from <= len(conditions); {
		to := from
		for to < len(conditions) && conditions[to] != ',' {
			to++
		}
		if from > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, conditions[from:to])
		from = to + 1
	}
	return append(dst, ']')
}

// appendString writes a JSON string. What is not UTF-8 becomes U+FFFD; <, > and & are escaped, so that a text is harmless
// wherever it ends up.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r == '\u2028' || r == '\u2029' {
			dst = append(dst, s[from:i]...)
			switch {
			case n == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028':
				dst = append(dst, `\u2028`...)
			default:
				dst = append(dst, `\u2029`...)
			}
			i += n
			from = i
			continue
		}
		i += n
	}
	return append(append(dst, s[from:]...), '"')
}
