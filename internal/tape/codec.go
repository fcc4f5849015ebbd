package tape

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"

	"tapedeck/internal/market"
)

// Limits of a record. They bound what a damaged or hostile one can make a reader allocate.
const (
	MaxEntries = 1 << 16
	MaxRecord  = 8 << 20 // bytes
)

// formatVersion is the version of the record format. A reader reads every version up to its own.
const formatVersion = 1

// crcSize is what the checksum takes at the end of a record: a tag of one byte and a fixed32.
const crcSize = 1 + 4

// Encoder writes records: a message of Protocol Buffers with a packed column for each field of the entries, most of them
// zig-zag deltas, closed by a CRC-32C over all that is before it. An Encoder keeps scratch space and is owned by one
// goroutine; its zero value is ready.
type Encoder struct {
	columns [columns]column
	symbols dictionary
	strings dictionary
	last    []previous // by index of the symbol in the dictionary, for trades and for quotes
}

// previous is what the next tick of a symbol and kind is told as a difference from.
type previous struct {
	seq   uint64
	price int64
	id    uint64
}

// dictionary numbers the strings of a batch from 1; 0 is the empty string.
type dictionary struct {
	index map[string]int
	list  []string
	hit   string // what was asked for last
	at    int
}

func (d *dictionary) reset() {
	if d.index == nil {
		d.index = make(map[string]int)
	}
	clear(d.index)
	d.list = d.list[:0]
	d.hit, d.at = "", 0
}

func (d *dictionary) of(s string) int {
	if s == d.hit {
		return d.at
	}
	at, ok := d.index[s]
	if !ok && s != "" {
		d.list = append(d.list, s)
		at = len(d.list)
		d.index[s] = at
	}
	d.hit, d.at = s, at
	return at
}

// Append appends the record of the batch to dst. The ordinal is the number of entries that are on the tape before it.
// The only error is ErrTooLarge.
func (e *Encoder) Append(dst []byte, ordinal uint64, b *Batch) ([]byte, error) {
	if len(b.Entries) > MaxEntries {
		return dst, fmt.Errorf("%d entries of %d: %w", len(b.Entries), MaxEntries, ErrTooLarge)
	}
	start := len(dst)
	timeUnit, lagUnit := units(b.Entries)
	e.fill(b.Entries, timeUnit, lagUnit)

	dst = appendUint(dst, fieldVersion, formatVersion)
	dst = appendBytes(dst, fieldFeed, b.Feed)
	dst = appendBytes(dst, fieldOffset, string(b.Offset))
	dst = appendUint(dst, fieldOrdinal, ordinal)
	dst = appendUint(dst, fieldCount, uint64(len(b.Entries)))
	for _, s := range e.symbols.list {
		dst = appendBytes(dst, fieldSymbols, s)
	}
	for _, s := range e.strings.list {
		dst = appendBytes(dst, fieldStrings, s)
	}
	dst = appendUint(dst, fieldTimeUnit, uint64(timeUnit))
	dst = appendUint(dst, fieldLagUnit, uint64(lagUnit))
	for i := range e.columns {
		dst = e.columns[i].append(dst, protowire.Number(fieldColumns+i))
	}
	sum := crc32.Checksum(dst[start:], castagnoli())
	dst = protowire.AppendTag(dst, fieldCRC, protowire.Fixed32Type)
	dst = protowire.AppendFixed32(dst, sum)
	if n := len(dst) - start; n > MaxRecord {
		return dst[:start], fmt.Errorf("%d bytes of %d: %w", n, MaxRecord, ErrTooLarge)
	}
	return dst, nil
}

func appendUint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func appendBytes(dst []byte, field protowire.Number, s string) []byte {
	if s == "" && field != fieldSymbols && field != fieldStrings {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), s)
}

// units returns the coarsest units that all event times, and all lags from event to reception, are multiples of: venues
// stamp in s, ms, µs or ns, and counting in their unit saves two bytes a tick.
func units(entries []market.Entry) (event, lag market.Time) {
	event, lag = market.Second, market.Second
	for i := range entries {
		t := &entries[i]
		for event > 1 && t.Event%event != 0 {
			event /= 1000
		}
		for lag > 1 && (t.Received-t.Event)%lag != 0 {
			lag /= 1000
		}
		if event == 1 && lag == 1 {
			break
		}
	}
	return event, lag
}

func (e *Encoder) fill(entries []market.Entry, timeUnit, lagUnit market.Time) {
	for i := range e.columns {
		e.columns[i].reset()
	}
	e.symbols.reset()
	e.strings.reset()
	e.last = append(e.last[:0], previous{}, previous{})
	var event, lag market.Time
	c, has := &e.columns, occurring(entries)
	for i := range entries {
		t := &entries[i]
		symbol := e.symbols.of(string(t.Symbol))
		if 2*symbol+1 >= len(e.last) {
			e.last = append(e.last, previous{}, previous{})
		}
		p := &e.last[2*symbol+int(t.Kind)&1]
		c[colKind].push(uint64(t.Kind))
		c[colSymbol].push(uint64(symbol))
		c[colSeq].push(zigzag(int64(t.Seq - p.seq - 1)))
		c[colEvent].push(zigzag(int64(t.Event/timeUnit - event)))
		c[colLag].push(zigzag(int64((t.Received-t.Event)/lagUnit - lag)))
		c[colPrice].push(zigzag(t.Price.Coef() - p.price))
		c[colPriceExp].push(zigzag(int64(t.Price.Exp())))
		c[colSize].push(zigzag(t.Size.Coef()))
		c[colSizeExp].push(zigzag(int64(t.Size.Exp())))
		c[colID].push(zigzag(int64(t.ID - p.id)))
		c[colSide].push(uint64(t.Side))
		if has.ask {
			c[colAsk].push(zigzag(t.Ask.Coef() - askBase(t.Kind, t.Price.Coef())))
			c[colAskExp].push(zigzag(int64(t.Ask.Exp())))
			c[colAskSize].push(zigzag(t.AskSize.Coef()))
			c[colAskSizeExp].push(zigzag(int64(t.AskSize.Exp())))
		}
		if has.marks {
			c[colFlags].push(uint64(t.Flags))
			c[colState].push(uint64(t.State))
			c[colTape].push(uint64(t.Tape))
			c[colUntil].push(zigzag(int64(t.Until)))
		}
		if has.texts {
			c[colRef].push(uint64(e.strings.of(t.Ref)))
			c[colExchange].push(uint64(e.strings.of(t.Exchange)))
			c[colAskFrom].push(uint64(e.strings.of(t.AskFrom)))
			c[colConditions].push(uint64(e.strings.of(t.Conditions)))
			c[colText].push(uint64(e.strings.of(t.Text)))
		}
		*p = previous{t.Seq, t.Price.Coef(), t.ID}
		event, lag = t.Event/timeUnit, (t.Received-t.Event)/lagUnit
	}
}

// groups tells which groups of columns have anything in them. Most batches are trades of venues that send neither asks nor texts,
// and a column that is not filled costs no time and is read as zeros.
type groups struct{ ask, marks, texts bool }

func occurring(entries []market.Entry) (has groups) {
	for i := range entries {
		t := &entries[i]
		has.ask = has.ask || t.Kind == market.KindQuote || t.Ask != (market.Decimal{}) || t.AskSize != (market.Decimal{})
		has.marks = has.marks || t.Flags != 0 || t.State != 0 || t.Tape != 0 || t.Until != 0
		has.texts = has.texts || t.Ref != "" || t.Exchange != "" || t.AskFrom != "" || t.Conditions != "" || t.Text != ""
	}
	return has
}

// askBase is what the ask is told as a difference from: the bid of a quote. Other entries have no ask.
func askBase(kind market.Kind, price int64) int64 {
	if kind == market.KindQuote {
		return price
	}
	return 0
}

func zigzag(v int64) uint64   { return protowire.EncodeZigZag(v) }
func unzigzag(v uint64) int64 { return protowire.DecodeZigZag(v) }

// Decoder reads records. It keeps scratch space and is owned by one goroutine; its zero value is ready.
type Decoder struct {
	packed  [columns][]byte
	symbols []string
	strings []string
	last    []previous
}

// header is what a record says of itself before its columns.
type header struct {
	version, ordinal, count uint64
	feed                    string
	offset                  []byte
	timeUnit, lagUnit       market.Time
}

// Decode reads a record that an Encoder wrote into rec: its Ordinal and its Batch, whose entries are new and share no memory
// with data. Anything else than a whole, unchanged record of a known version is ErrCorrupt, and rec is then undefined.
func (d *Decoder) Decode(data []byte, rec *Record) error {
	body := len(data) - crcSize
	if body < 0 || data[body] != fieldCRC<<3|byte(protowire.Fixed32Type) {
		return fmt.Errorf("%d bytes without a checksum at the end: %w", len(data), ErrCorrupt)
	}
	if want, got := binary.LittleEndian.Uint32(data[body+1:]), crc32.Checksum(data[:body], castagnoli()); got != want {
		return fmt.Errorf("checksum %08x, the record says %08x: %w", got, want, ErrCorrupt)
	}
	h, err := d.header(data[:body])
	if err != nil {
		return err
	}
	if h.version != formatVersion {
		return fmt.Errorf("record format %d, this program reads up to %d: %w", h.version, formatVersion, ErrCorrupt)
	}
	if h.count > MaxEntries {
		return fmt.Errorf("%d entries of %d: %w", h.count, MaxEntries, ErrCorrupt)
	}
	entries := make([]market.Entry, h.count)
	if err := d.entries(entries, h.timeUnit, h.lagUnit); err != nil {
		return err
	}
	rec.Ordinal = h.ordinal
	rec.Batch = Batch{Feed: h.feed, Offset: h.offset, Entries: entries}
	return nil
}

// header reads the fields of the message and finds its columns.
func (d *Decoder) header(body []byte) (header, error) {
	h := header{timeUnit: 1, lagUnit: 1}
	clear(d.packed[:])
	d.symbols = append(d.symbols[:0], "")
	d.strings = append(d.strings[:0], "")
	for len(body) > 0 {
		field, kind, n := protowire.ConsumeTag(body)
		if n < 0 {
			return h, fmt.Errorf("tag: %w: %w", protowire.ParseError(n), ErrCorrupt)
		}
		body = body[n:]
		var (
			v uint64
			b []byte
		)
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(body)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(body)
		default:
			n = protowire.ConsumeFieldValue(field, kind, body)
		}
		if n < 0 {
			return h, fmt.Errorf("field %d: %w: %w", field, protowire.ParseError(n), ErrCorrupt)
		}
		body = body[n:]
		switch {
		case field >= fieldColumns && field < fieldColumns+columns && kind == protowire.BytesType:
			d.packed[field-fieldColumns] = b
		case kind == protowire.VarintType:
			h.number(field, v)
		case kind == protowire.BytesType:
			d.text(&h, field, b)
		}
	}
	if h.timeUnit <= 0 || h.lagUnit <= 0 {
		return h, fmt.Errorf("time unit %d, %d: %w", h.timeUnit, h.lagUnit, ErrCorrupt)
	}
	return h, nil
}

func (h *header) number(field protowire.Number, v uint64) {
	switch field {
	case fieldVersion:
		h.version = v
	case fieldOrdinal:
		h.ordinal = v
	case fieldCount:
		h.count = v
	case fieldTimeUnit:
		h.timeUnit = market.Time(v)
	case fieldLagUnit:
		h.lagUnit = market.Time(v)
	default: // of a later version of the program; what it must understand raises the format's version
	}
}

func (d *Decoder) text(h *header, field protowire.Number, b []byte) {
	switch field {
	case fieldFeed:
		h.feed = string(b)
	case fieldOffset:
		h.offset = append([]byte(nil), b...)
	case fieldSymbols:
		d.symbols = append(d.symbols, string(b))
	case fieldStrings:
		d.strings = append(d.strings, string(b))
	default:
	}
}

// entries fills the entries from the columns.
func (d *Decoder) entries(entries []market.Entry, timeUnit, lagUnit market.Time) error {
	var c [columns]values
	for i := range c {
		v, err := newValues(d.packed[i], len(entries))
		if err != nil {
			return fmt.Errorf("column %d: %w", i, err)
		}
		c[i] = v
	}
	d.last = d.last[:0]
	for range 2 * len(d.symbols) {
		d.last = append(d.last, previous{})
	}
	var event, lag market.Time
	for i := range entries {
		t := &entries[i]
		symbol := c[colSymbol].next()
		if symbol >= uint64(len(d.symbols)) {
			return fmt.Errorf("entry %d: symbol %d of %d: %w", i, symbol, len(d.symbols)-1, ErrCorrupt)
		}
		t.Symbol = market.Symbol(d.symbols[symbol])
		t.Kind = market.Kind(c[colKind].next())
		p := &d.last[2*symbol+uint64(t.Kind)&1]
		event += market.Time(unzigzag(c[colEvent].next()))
		lag += market.Time(unzigzag(c[colLag].next()))
		t.Event = event * timeUnit
		t.Received = t.Event + lag*lagUnit
		t.Until = market.Time(unzigzag(c[colUntil].next()))
		t.Seq = p.seq + 1 + uint64(unzigzag(c[colSeq].next()))
		t.ID = p.id + uint64(unzigzag(c[colID].next()))
		t.Side, t.Flags = market.Side(c[colSide].next()), market.Flags(c[colFlags].next())
		t.State, t.Tape = market.State(c[colState].next()), byte(c[colTape].next())
		price := p.price + unzigzag(c[colPrice].next())
		*p = previous{t.Seq, price, t.ID}
		if err := d.numbers(t, &c, price); err != nil {
			return fmt.Errorf("entry %d: %w: %w", i, err, ErrCorrupt)
		}
		if err := d.texts(t, &c); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	for i := range c {
		if !c[i].done() {
			return fmt.Errorf("column %d does not have %d values: %w", i, len(entries), ErrCorrupt)
		}
	}
	return nil
}

// numbers reads the decimals of an entry; price is the coefficient of its price.
func (d *Decoder) numbers(t *market.Entry, c *[columns]values, price int64) (err error) {
	if t.Price, err = decimal(price, c[colPriceExp].next()); err != nil {
		return err
	}
	if t.Size, err = decimal(unzigzag(c[colSize].next()), c[colSizeExp].next()); err != nil {
		return err
	}
	if t.Ask, err = decimal(askBase(t.Kind, price)+unzigzag(c[colAsk].next()), c[colAskExp].next()); err != nil {
		return err
	}
	t.AskSize, err = decimal(unzigzag(c[colAskSize].next()), c[colAskSizeExp].next())
	return err
}

func decimal(coef int64, exp uint64) (market.Decimal, error) {
	return market.NewDecimal(coef, int(unzigzag(exp)))
}

// texts reads the strings of an entry.
func (d *Decoder) texts(t *market.Entry, c *[columns]values) error {
	for _, s := range [...]struct {
		column int
		to     *string
	}{
		{colRef, &t.Ref},
		{colExchange, &t.Exchange},
		{colAskFrom, &t.AskFrom},
		{colConditions, &t.Conditions},
		{colText, &t.Text},
	} {
		i := c[s.column].next()
		if i >= uint64(len(d.strings)) {
			return fmt.Errorf("string %d of %d: %w", i, len(d.strings)-1, ErrCorrupt)
		}
		*s.to = d.strings[i]
	}
	return nil
}
