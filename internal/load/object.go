package load

import (
	"bytes"
	"fmt"
)

// tick is what is counted of a trade or a quote.
type tick struct {
	series int // of numbers: twice the index of the symbol, and one more for quotes
	seq    uint64
	stamp  []byte // "r" as it was written; nil when there is none
}

// Where the parts of a tick are: {"T":"t","S":"SIM:AAPL", … ,"seq":1042,"r":"2026-11-23T15:46:44.123456789Z"}. They are looked for there
// first, and anywhere in the object if they are not there.
const (
	objectHead = `{"T":"`
	symbolKey  = `,"S":"`
	seqKey     = `"seq":`
	stampKey   = `,"r":"`
	kindAt     = len(objectHead)
	symbolAt   = kindAt + len(`t"`) + len(symbolKey)
)

// readTick reads a JSON object. It returns false for what is neither a trade nor a quote, and for one without symbol and number.
func (t *tally) readTick(o []byte) (k tick, ok bool) {
	if len(o) < symbolAt+2 || string(o[:kindAt]) != objectHead || o[kindAt+1] != '"' {
		return tick{}, false
	}
	kind := 0
	switch o[kindAt] {
	case 't':
	case 'q':
		kind = 1
	default:
		return tick{}, false
	}
	var name []byte
	if string(o[kindAt+2:symbolAt]) == symbolKey {
		name = untilQuote(o[symbolAt:])
	} else if i := bytes.Index(o, []byte(symbolKey)); i > 0 {
		name = untilQuote(o[i+len(symbolKey):])
	}
	if len(name) == 0 {
		return tick{}, false
	}
	k.series = 2*t.symbolIndex(name) + kind
	rest := o[:len(o)-1]
	if rest, k.stamp = stampAtEnd(rest); k.stamp == nil {
		if i := bytes.LastIndex(o, []byte(stampKey)); i > 0 {
			k.stamp = untilQuote(o[i+len(stampKey):])
		}
	}
	if k.seq, ok = numberAtEnd(rest); ok {
		return k, true
	}
	i := bytes.LastIndex(o, []byte(seqKey))
	if i < 0 {
		return tick{}, false
	}
	i += len(seqKey)
	end := i
	for end < len(o) && o[end] >= '0' && o[end] <= '9' {
		end++
	}
	k.seq, ok = numberAtEnd(o[:end])
	return k, ok
}

// untilQuote returns what is before the next quotation mark.
func untilQuote(b []byte) []byte {
	for i, c := range b {
		if c == '"' {
			return b[:i]
		}
	}
	return nil
}

// stampAtEnd cuts ,"r":"…" off the end of b.
func stampAtEnd(b []byte) (rest, stamp []byte) {
	const longest, shortest = len("2026-11-23T15:46:44.123456789Z"), len("2026-11-23T15:46:44Z")
	if len(b) == 0 || b[len(b)-1] != '"' {
		return b, nil
	}
	end := len(b) - 1
	for n := longest; n >= shortest; n-- {
		key := end - n - len(stampKey)
		if key >= 0 && b[end-n-1] == '"' && string(b[key:end-n]) == stampKey {
			return b[:key], b[end-n : end]
		}
	}
	return b, nil
}

// numberAtEnd reads the number of a tick from the end of b, where "seq":1042 is expected.
func numberAtEnd(b []byte) (seq uint64, ok bool) {
	i, unit := len(b), uint64(1)
	for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
		i--
		seq += unit * uint64(b[i]-'0')
		unit *= 10
	}
	digits := len(b) - i
	return seq, digits > 0 && digits < 20 && i >= len(seqKey) && string(b[i-len(seqKey):i]) == seqKey
}

// message takes in an object that is not a tick.
func (c *conn) message(o []byte, t *tally) error {
	if len(o) < len(objectHead) || string(o[:len(objectHead)]) != objectHead {
		return fmt.Errorf("%w: %.80q is not a message of the stream", errMalformed, o)
	}
	switch kind := untilQuote(o[len(objectHead):]); string(kind) {
	case "subscription":
		c.subscribe(t)
	case "error":
		return fmt.Errorf("the server says %.200s", o)
	case "t", "q":
		return fmt.Errorf("%w: a tick without symbol or number: %.200s", errMalformed, o)
	}
	return nil
}
