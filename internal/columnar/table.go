package columnar

import (
	"fmt"

	"tapedeck/internal/market"
)

// The names of the tables, as the metadata of a file has them.
const (
	tableTrades = "trades"
	tableQuotes = "quotes"
	tableBars   = "bars"
)

// The scales of decimal columns. They are the same in all files, whatever symbol and day: of files with different ones, DuckDB takes
// the first for all that a pattern matches, and drops the digits of the others without a word. And not more, because a product has both scales: decimal(38,12) leaves
// 14 digits before the point for price × size. Where the first rows of a file have finer numbers, so is its column.
const (
	usualScale  = 12
	sumScale    = 18
	finestScale = 28
)

// A table is the columns of a group of rows.
type table struct {
	name    string
	columns []column
	n       int
	pages   []int // rows at which pages begin
	heavy   int   // bytes of text since the last of them
	text    int   // bytes of text in all
	exacts  exacts
}

func newTable(name string, fields []field) *table {
	t := &table{name: name, columns: make([]column, len(fields))}
	for i, f := range fields {
		t.columns[i].field = f
	}
	return t
}

func (t *table) reset() {
	t.n, t.heavy, t.text = 0, 0, 0
	t.pages = t.pages[:0]
	t.exacts.written = false
	for i := range t.columns {
		t.columns[i].reset()
	}
}

// Places of the columns that all ticks have.
const (
	atSymbol   = 0
	atEvent    = 1
	atReceived = 2
	atSeq      = 3
	atN        = 4
)

// tickFields are the columns of a table of ticks.
func tickFields(kind market.Kind) (name string, fields []field) {
	fields = []field{
		atSymbol:   {name: "symbol", form: formText},
		atEvent:    {name: "ts_event", form: formTime, rising: true},
		atReceived: {name: "ts_recv", form: formTime, rising: true},
		atSeq:      {name: "seq", form: formCount, rising: true},
		atN:        {name: "n", form: formCount, rising: true},
	}
	if kind == market.KindTrade {
		return tableTrades, append(
			fields,
			field{name: "price", form: formDecimal, scale: usualScale, nullable: true},
			field{name: "size", form: formDecimal, scale: usualScale, nullable: true},
			field{name: "side", form: formText},
			field{name: "exchange", form: formText},
			field{name: "conditions", form: formText},
			field{name: "tape", form: formText},
			field{name: "trade_id", form: formCount, nullable: true, rising: true},
			field{name: "ref", form: formText},
			field{name: "flags", form: formSmall},
			field{name: "digits", form: formText},
		)
	}
	return tableQuotes, append(
		fields,
		field{name: "bid_px", form: formDecimal, scale: usualScale, nullable: true},
		field{name: "bid_sz", form: formDecimal, scale: usualScale, nullable: true},
		field{name: "ask_px", form: formDecimal, scale: usualScale, nullable: true},
		field{name: "ask_sz", form: formDecimal, scale: usualScale, nullable: true},
		field{name: "bid_exchange", form: formText},
		field{name: "ask_exchange", form: formText},
		field{name: "conditions", form: formText},
		field{name: "tape", form: formText},
		field{name: "flags", form: formSmall},
		field{name: "digits", form: formText},
	)
}

// barFields are the columns of a table of bars.
func barFields() (name string, fields []field) {
	fields = []field{
		{name: "symbol", form: formText},
		{name: "interval", form: formText},
		{name: "ts_start", form: formTime, rising: true},
		{name: "ts_end", form: formTime, rising: true},
		{name: "open", form: formDecimal, scale: usualScale, nullable: true},
		{name: "high", form: formDecimal, scale: usualScale, nullable: true},
		{name: "low", form: formDecimal, scale: usualScale, nullable: true},
		{name: "close", form: formDecimal, scale: usualScale, nullable: true},
		{name: "volume", form: formDecimal, scale: usualScale, nullable: true},
		{name: "vwap", form: formDecimal, scale: usualScale, nullable: true},
		{name: "trades", form: formCount},
		{name: "turnover", form: formDecimal, scale: sumScale, nullable: true},
		{name: "ts_first", form: formTime, rising: true},
		{name: "ts_last", form: formTime, rising: true},
		{name: "open_seq", form: formCount, rising: true},
		{name: "close_seq", form: formCount, rising: true},
		{name: "first_seq", form: formCount, rising: true},
		{name: "last_seq", form: formCount, rising: true},
		{name: "rev", form: formCount},
		{name: "final", form: formBool},
		{name: "gappy", form: formBool},
		{name: "imported", form: formBool},
		{name: "digits", form: formText},
	}
	return tableBars, fields
}

// The limits of what is written, so that what is read can be held to limits as well.
const (
	pageRows     = 4096     // rows of a page: a question for some rows reads whole pages
	pageText     = 1 << 20  // bytes of text after which a page ends early
	groupText    = 8 << 20  // and a group
	longestText  = 64 << 10 // bytes of one text
	groupRows    = 24 * pageRows
	arrowRows    = 1 << 16
	maxGroupRows = 1 << 20
)

// grown notes a row that was added; text is the bytes of its texts. It reports whether the group should end.
func (t *table) grown(text, rows int) bool {
	begin := 0
	if len(t.pages) > 0 {
		begin = t.pages[len(t.pages)-1]
	}
	if t.n == 0 || t.n-begin == pageRows || t.heavy+text > pageText {
		t.pages = append(t.pages, t.n)
		t.heavy = 0
	}
	t.n++
	t.heavy += text
	t.text += text
	return t.n >= rows || t.text >= groupText
}

func checkText(texts ...string) error {
	for _, s := range texts {
		if len(s) > longestText {
			return fmt.Errorf("a text of %d bytes: at most %d fit into a column", len(s), longestText)
		}
	}
	return nil
}

// letter is a text of one letter, or none.
func letter(c byte) string {
	if c < 'A' || c > 'Z' {
		return ""
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return letters[c-'A' : c-'A'+1]
}

func sideText(s market.Side) string {
	switch s {
	case market.SideBuy:
		return "B"
	case market.SideSell:
		return "S"
	case market.SideNone:
	}
	return ""
}

// addTick adds a row of a table of ticks.
func (t *table) addTick(row *market.Row) error {
	if err := checkText(string(row.Symbol), row.Exchange, row.AskFrom, row.Conditions, row.Ref); err != nil {
		return err
	}
	c := t.columns
	c[atSymbol].text(string(row.Symbol))
	c[atEvent].int(int64(row.Event))
	c[atReceived].int(int64(row.Received))
	c[atSeq].int(int64(row.Seq))
	c[atN].int(int64(row.N))
	x := &t.exacts
	x.begin()
	c = c[atN+1:]
	x.add(&c[0], splitDecimal(row.Price))
	x.add(&c[1], splitDecimal(row.Size))
	if row.Kind == market.KindTrade {
		c[2].text(sideText(row.Side))
		c[3].text(row.Exchange)
		c[4].text(row.Conditions)
		c[5].text(letter(row.Tape))
		if row.ID != 0 {
			c[6].int(int64(row.ID))
		} else {
			c[6].missing()
		}
		c[7].text(row.Ref)
		c = c[8:]
	} else {
		x.add(&c[2], splitDecimal(row.Ask))
		x.add(&c[3], splitDecimal(row.AskSize))
		c[4].text(row.Exchange)
		if row.AskFrom == "" {
			c[5].text(row.Exchange)
		} else {
			c[5].text(row.AskFrom)
		}
		c[6].text(row.Conditions)
		c[7].text(letter(row.Tape))
		c = c[8:]
	}
	c[0].int(int64(row.Flags))
	x.end(&c[1])
	return nil
}

// addBar adds a row of a table of bars.
func (t *table) addBar(b *market.Bar) error {
	if err := checkText(string(b.Symbol)); err != nil {
		return err
	}
	c := t.columns
	c[0].text(string(b.Symbol))
	c[1].text(b.Interval.String())
	c[2].int(int64(b.Start))
	c[3].int(int64(b.End))
	x := &t.exacts
	x.begin()
	for i, d := range [...]market.Decimal{b.Open, b.High, b.Low, b.Close} {
		if b.Priced {
			x.add(&c[4+i], splitDecimal(d))
		} else {
			x.none(&c[4+i])
		}
	}
	x.add(&c[8], splitWide(&b.Volume))
	if b.Priced {
		c[9].number(splitDecimal(b.VWAP()))
	} else {
		c[9].missing()
	}
	c[10].int(int64(b.Count))
	x.add(&c[11], splitWide(&b.Turnover))
	c[12].int(int64(b.OpenAt))
	c[13].int(int64(b.CloseAt))
	c[14].int(int64(b.OpenSeq))
	c[15].int(int64(b.CloseSeq))
	c[16].int(int64(b.FirstSeq))
	c[17].int(int64(b.LastSeq))
	c[18].int(int64(b.Rev))
	c[19].flag(b.Final)
	c[20].flag(b.Gappy)
	c[21].flag(b.Imported)
	x.end(&c[22])
	return nil
}
