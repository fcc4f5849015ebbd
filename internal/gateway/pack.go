package gateway

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"tapedeck/internal/market"
)

// This file writes in MessagePack (github.com/msgpack/msgpack/blob/master/spec.md) what encode.go writes in JSON: the same members
// in the same order.
//
// Three things differ, because the decoders of Alpaca's SDKs take nothing else. A price is the nearest float. A size is an integer
// when it is whole; in the dialect of stocks it always is one, of at most 32 bits (a volume of 63): the fraction is cut off, since
// those decoders give up a whole message over it. A time is the timestamp extension (type -1), and a time that is not known is nil,
// or left out in the dialects of the SDKs.

// The largest size of a trade or a quote, and the largest volume, in the dialect of stocks.
const (
	maxShares = math.MaxUint32
	maxVolume = math.MaxInt64
)

// appendPacked writes the message for an event of a record: one map. It writes nothing for what the dialect has no message for.
func appendPacked(dst []byte, d dialect, feed string, e *market.Entry, ev *event) []byte {
	if d == prices {
		return dst
	}
	if lacksTime(d, e) {
		dated := *e
		dated.Event = dated.Received
		e = &dated
	}
	p := packer{dst: dst, d: d, at: len(dst)}
	switch ev.channel {
	case chTrades:
		p.trade(e)
	case chQuotes:
		p.quote(e)
	case chBars:
		p.bar("b", ev.bar)
	case chUpdatedBars:
		p.bar("u", ev.bar)
	case chDailyBars:
		p.bar("d", ev.bar)
	case chStatuses:
		if d == native {
			p.state(feed, e)
		} else {
			p.halt(e)
		}
	case chGaps:
		p.gap(feed, e)
	case chAlerts:
		p.alert(e)
	case channels:
	}
	return p.dst
}

// appendPackedCursor writes the message that names a place on the tape.
func appendPackedCursor(dst []byte, cursor string) []byte {
	p := packer{dst: dst, at: len(dst)}
	p.head("cursor")
	p.text("c", cursor)
	return p.dst
}

// packer appends one map, of at most 15 members: its header is one byte, which counts them as they come.
type packer struct {
	dst []byte
	at  int // of the header
	d   dialect
}

// head begins the map with the kind of message.
func (p *packer) head(kind string) {
	p.dst = append(p.dst, 0x80)
	p.text("T", kind)
}

// key writes the name of a member, of at most 31 bytes.
func (p *packer) key(name string) {
	p.dst[p.at]++
	p.dst = append(append(p.dst, 0xa0|byte(len(name))), name...)
}

func (p *packer) text(name, s string) {
	p.key(name)
	p.dst = appendPackedString(p.dst, s)
}

func (p *packer) uint(name string, n uint64) {
	p.key(name)
	p.dst = msgp.AppendUint64(p.dst, n)
}

func (p *packer) truth(name string) {
	p.key(name)
	p.dst = append(p.dst, 0xc3)
}

func (p *packer) price(name string, v market.Decimal) {
	p.key(name)
	p.dst = msgp.AppendFloat64(p.dst, v.Float64())
}

func (p *packer) size(name string, v market.Decimal) {
	p.key(name)
	n, exact := whole(v)
	switch {
	case p.d == stocks:
		p.dst = msgp.AppendUint64(p.dst, uint64(min(max(n, 0), maxShares)))
	case exact:
		p.dst = appendPackedInt(p.dst, n)
	default:
		p.dst = msgp.AppendFloat64(p.dst, v.Float64())
	}
}

func (p *packer) volume(name string, v market.Wide) {
	p.key(name)
	var buf [96]byte
	text := v.Append(buf[:0])
	digits, fraction, _ := bytes.Cut(text, []byte{'.'})
	n, err := strconv.ParseInt(string(digits), 10, 64) // what is out of range is the nearest that is not
	switch {
	case p.d == stocks:
		p.dst = msgp.AppendUint64(p.dst, uint64(min(max(n, 0), maxVolume)))
	case err == nil && len(bytes.Trim(fraction, "0")) == 0:
		p.dst = appendPackedInt(p.dst, n)
	default:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			f = math.NaN() // unreachable: the text of a Wide is always a float
		}
		p.dst = msgp.AppendFloat64(p.dst, f)
	}
}

// time writes a time. The SDKs can read no nil, so they do not get one.
func (p *packer) time(name string, t market.Time) {
	if t == 0 && p.d != native {
		return
	}
	p.key(name)
	p.dst = appendPackedTime(p.dst, t)
}

// symbol writes a symbol as the dialect has it.
func (p *packer) symbol(s market.Symbol) {
	if p.d == native {
		p.text("S", string(s))
		return
	}
	name := validText(s.Name())
	p.text("S", name)
	if i := strings.IndexByte(name, '-'); i >= 0 && p.d == crypto {
		p.dst[len(p.dst)-len(name)+i] = '/'
	}
}

// anySymbol writes a symbol in full, or "*" for none.
func (p *packer) anySymbol(s market.Symbol) {
	if s == "" {
		s = "*"
	}
	p.text("S", string(s))
}

// exchange writes the code of an exchange where one is due.
func (p *packer) exchange(name, code string) {
	if needsExchange(p.d, code) {
		p.text(name, code)
	}
}

// conditions writes "@,I" as the list of "@" and "I".
func (p *packer) conditions(list string) {
	p.key("c")
	if list == "" {
		p.dst = append(p.dst, 0x90)
		return
	}
	p.dst = msgp.AppendArrayHeader(p.dst, uint32(strings.Count(list, ",")+1))
	for more := true; more; {
		var code string
		code, list, more = strings.Cut(list, ",")
		p.dst = appendPackedString(p.dst, code)
	}
}

func (p *packer) tape(tape byte) {
	if tape >= 'A' && tape <= 'Z' {
		p.key("z")
		p.dst = append(p.dst, 0xa1, tape)
	}
}

func (p *packer) trade(e *market.Entry) {
	p.head("t")
	p.symbol(e.Symbol)
	id := e.ID
	if id == 0 {
		id = e.Seq
	}
	p.uint("i", id)
	p.price("p", e.Price)
	p.size("s", e.Size)
	p.time("t", e.Event)
	p.exchange("x", e.Exchange)
	p.conditions(e.Conditions)
	p.tape(e.Tape)
	switch e.Side {
	case market.SideBuy:
		p.text("tks", "B")
	case market.SideSell:
		p.text("tks", "S")
	case market.SideNone:
	}
	if e.Ref != "" {
		p.text("ref", e.Ref)
	}
	p.tail(e)
}

func (p *packer) quote(e *market.Entry) {
	p.head("q")
	p.symbol(e.Symbol)
	p.exchange("bx", e.Exchange)
	p.price("bp", e.Price)
	p.size("bs", e.Size)
	from := e.AskFrom
	if from == "" {
		from = e.Exchange
	}
	p.exchange("ax", from)
	p.price("ap", e.Ask)
	p.size("as", e.AskSize)
	p.time("t", e.Event)
	p.conditions(e.Conditions)
	p.tape(e.Tape)
	p.tail(e)
}

func (p *packer) tail(e *market.Entry) {
	p.uint("seq", e.Seq)
	if e.Received != 0 {
		p.time("r", e.Received)
	}
}

func (p *packer) bar(kind string, b *market.Bar) {
	p.head(kind)
	p.symbol(b.Symbol)
	p.price("o", b.Open)
	p.price("h", b.High)
	p.price("l", b.Low)
	p.price("c", b.Close)
	p.volume("v", b.Volume)
	p.time("t", b.Start)
	p.uint("n", b.Count)
	p.price("vw", b.VWAP())
	if b.Gappy {
		p.truth("gappy")
	}
}

func (p *packer) state(feed string, e *market.Entry) {
	p.head("status")
	p.anySymbol(e.Symbol)
	p.text("feed", feed)
	p.text("state", e.State.String())
	if e.Event != 0 {
		p.time("t", e.Event)
	}
	p.reason(e.Text)
}

// halt writes a status in Alpaca's form, or nothing.
func (p *packer) halt(e *market.Entry) {
	code, msg := "T", "Trading Resumption"
	if e.State == market.StateHalted {
		code, msg = "H", "Trading Halt"
	} else if e.State != market.StateLive {
		return
	}
	p.head("s")
	p.symbol(e.Symbol)
	p.text("sc", code)
	p.text("sm", msg)
	p.text("rc", "")
	p.text("rm", e.Text)
	p.time("t", e.Event)
	if e.Tape >= 'A' && e.Tape <= 'Z' {
		p.tape(e.Tape)
	} else {
		p.text("z", "")
	}
}

func (p *packer) gap(feed string, e *market.Entry) {
	p.head("gap")
	p.anySymbol(e.Symbol)
	p.text("feed", feed)
	p.time("from", e.Event)
	p.time("to", e.Until)
	p.key("filled")
	p.dst = msgp.AppendBool(p.dst, e.Flags&market.FlagFilled != 0)
	if e.Flags&market.FlagDamage != 0 {
		p.truth("damage")
	}
	p.reason(e.Text)
}

func (p *packer) alert(e *market.Entry) {
	p.head("alert")
	p.symbol(e.Symbol)
	p.price("p", e.Price)
	p.time("t", e.Event)
	p.uint("seq", e.Seq)
	p.text("msg", e.Text)
	if e.Ref != "" {
		p.text("id", e.Ref)
	}
}

func (p *packer) reason(text string) {
	if text != "" {
		p.text("reason", text)
	}
}

// whole returns a number without its fraction, and whether it has none. What an integer of 64 bits cannot hold is the nearest that
// it can, and not whole.
func whole(v market.Decimal) (n int64, exact bool) {
	n, exact = v.Coef(), true
	for e := v.Exp(); e < 0 && n != 0; e++ {
		exact = exact && n%10 == 0
		n /= 10
	}
	for e := v.Exp(); e > 0 && n != 0; e-- {
		switch {
		case n > math.MaxInt64/10:
			return math.MaxInt64, false
		case n < math.MinInt64/10:
			return math.MinInt64, false
		}
		n *= 10
	}
	return n, exact
}

// appendPackedInt writes an integer in as few bytes as it takes.
func appendPackedInt(dst []byte, n int64) []byte {
	if n < 0 {
		return msgp.AppendInt64(dst, n)
	}
	return msgp.AppendUint64(dst, uint64(n))
}

// appendPackedString writes a string as validText has it.
func appendPackedString(dst []byte, s string) []byte { return msgp.AppendString(dst, validText(s)) }

// validText returns s with U+FFFD for each byte that is not UTF-8.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// appendPackedTime writes a timestamp of 32, 64 or 96 bits, and nil for an unknown one.
func appendPackedTime(dst []byte, t market.Time) []byte {
	if t == 0 {
		return append(dst, 0xc0)
	}
	seconds, ns := int64(t/market.Second), int64(t%market.Second)
	if ns < 0 {
		seconds, ns = seconds-1, ns+int64(market.Second)
	}
	switch {
	case seconds < 0 || seconds >= 1<<34:
		dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, 0xff), uint32(ns))
		return binary.BigEndian.AppendUint64(dst, uint64(seconds))
	case ns == 0 && seconds <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, 0xff), uint32(seconds))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd7, 0xff), uint64(ns)<<34|uint64(seconds))
}
