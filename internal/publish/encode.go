package publish

import (
	"encoding/json"
	"strconv"
	"strings"

	"tapedeck/internal/market"
)

// format is how a tick is written.
type format uint8

const (
	tutorial format = iota // as on /ws/prices: time, symbol and price of a trade
	alpaca                 // as on /v2/tape
)

// encode appends a trade or a quote.
func (s *settings) encode(dst []byte, e *market.Entry) []byte {
	if s.format == tutorial {
		dst = appendTime(append(dst, `{"timestamp":`...), e.Event)
		dst = appendText(append(dst, `,"symbol":`...), s.name(e.Symbol))
		return append(e.Price.Append(append(dst, `,"price":`...)), '}')
	}
	if e.Kind == market.KindQuote {
		dst = appendText(append(dst, `{"T":"q","S":`...), s.name(e.Symbol))
		return appendTail(appendQuote(dst, e), e)
	}
	dst = appendText(append(dst, `{"T":"t","S":`...), s.name(e.Symbol))
	return appendTail(appendTrade(dst, e), e)
}

// name returns a symbol as it is written.
func (s *settings) name(symbol market.Symbol) string {
	if s.bare {
		return symbol.Name()
	}
	return string(symbol)
}

func appendTrade(dst []byte, e *market.Entry) []byte {
	id := e.ID
	if id == 0 {
		id = e.Seq
	}
	dst = strconv.AppendUint(append(dst, `,"i":`...), id, 10)
	dst = e.Price.Append(append(dst, `,"p":`...))
	dst = e.Size.Append(append(dst, `,"s":`...))
	dst = appendTime(append(dst, `,"t":`...), e.Event)
	dst = appendCode(dst, `,"x":`, e.Exchange)
	dst = appendConditions(dst, e)
	switch e.Side {
	case market.SideBuy:
		dst = append(dst, `,"tks":"B"`...)
	case market.SideSell:
		dst = append(dst, `,"tks":"S"`...)
	case market.SideNone:
	}
	return appendCode(dst, `,"ref":`, e.Ref)
}

func appendQuote(dst []byte, e *market.Entry) []byte {
	dst = appendCode(dst, `,"bx":`, e.Exchange)
	dst = e.Price.Append(append(dst, `,"bp":`...))
	dst = e.Size.Append(append(dst, `,"bs":`...))
	from := e.AskFrom
	if from == "" {
		from = e.Exchange
	}
	dst = appendCode(dst, `,"ax":`, from)
	dst = e.Ask.Append(append(dst, `,"ap":`...))
	dst = e.AskSize.Append(append(dst, `,"as":`...))
	dst = appendTime(append(dst, `,"t":`...), e.Event)
	return appendConditions(dst, e)
}

// appendTail writes a tick's number and when it was received, by which who gets it twice knows it again.
func appendTail(dst []byte, e *market.Entry) []byte {
	dst = strconv.AppendUint(append(dst, `,"seq":`...), e.Seq, 10)
	if e.Received != 0 {
		dst = appendTime(append(dst, `,"r":`...), e.Received)
	}
	return append(dst, '}')
}

func appendConditions(dst []byte, e *market.Entry) []byte {
	dst = append(dst, `,"c":[`...)
	if e.Conditions != "" {
		for i, c := range strings.Split(e.Conditions, ",") {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, c)
		}
	}
	dst = append(dst, ']')
	if e.Tape >= 'A' && e.Tape <= 'Z' {
		dst = append(append(append(dst, `,"z":"`...), e.Tape), '"')
	}
	return dst
}

func appendCode(dst []byte, key, code string) []byte {
	if code == "" {
		return dst
	}
	return appendText(append(dst, key...), code)
}

func appendTime(dst []byte, t market.Time) []byte {
	if t == 0 {
		return append(dst, "null"...)
	}
	return append(t.AppendRFC3339(append(dst, '"')), '"')
}

// appendText writes a JSON string.
func appendText(dst []byte, s string) []byte {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }) < 0 {
		return append(append(append(dst, '"'), s...), '"')
	}
	b, err := json.Marshal(s)
	if err != nil {
		return append(dst, `""`...) // a string never fails
	}
	return append(dst, b...)
}
