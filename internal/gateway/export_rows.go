package gateway

import (
	"fmt"
	"io"
	"strconv"

	"tapedeck/internal/columnar"
	"tapedeck/internal/market"
)

// The formats that all rows of a span can be had in, beside the pages of JSON.
const (
	FormatCSV     = "csv"
	FormatJSONL   = "jsonl"
	FormatParquet = "parquet"
	FormatArrow   = "arrow"
)

// ExportFormats returns the formats of exports.
func ExportFormats() []string { return []string{FormatCSV, FormatJSONL, FormatParquet, FormatArrow} }

// What of an export is collected before it goes on: text, and rows of columns. The latter are what an export takes of memory, some 10 MB.
const (
	exportText = 32 << 10
	exportRows = 1 << 16
)

// Export writes the rows of one kind in one of the formats. What was written is a whole file only when Close has returned nil. It is for one goroutine.
type Export struct {
	w     io.Writer
	b     []byte // lines that were not written yet
	trade func(b []byte, symbol string, e *market.Entry) []byte
	quote func(b []byte, symbol string, e *market.Entry) []byte
	line  func(b []byte, symbol string, bar *market.Bar) []byte
	kind  market.Kind
	ticks *columnar.TickWriter
	bars  *columnar.BarWriter
}

// NewExport returns an export of trades, quotes or bars (KindTrade, KindQuote, KindBar) to w.
func NewExport(w io.Writer, format string, kind market.Kind) (*Export, error) {
	x := &Export{w: w, kind: kind}
	if kind != market.KindTrade && kind != market.KindQuote && kind != market.KindBar {
		return nil, fmt.Errorf("there are no exports of a %s", kind)
	}
	o := columnar.WriterOptions{Rows: exportRows}
	switch format {
	case FormatCSV:
		x.trade, x.quote, x.line = appendTradeLine, appendQuoteLine, appendBarLine
		x.b = append(append(x.b, columnsOf(kind)...), '\n')
		return x, nil
	case FormatJSONL:
		x.trade, x.quote, x.line = appendTradeObject, appendQuoteObject, appendBarObject
		return x, nil
	case FormatParquet:
	case FormatArrow:
		o.Format = columnar.Arrow
	default:
		return nil, fmt.Errorf("there is no format %q of exports", format)
	}
	var err error
	if kind == market.KindBar {
		x.bars, err = columnar.NewBarWriter(w, o)
	} else {
		x.ticks, err = columnar.NewTickWriter(w, kind, o)
	}
	return x, err
}

// Tick adds a trade or a quote. Formats of lines name the symbol by text, as whoever asked wrote it; files of columns always have it whole.
func (x *Export) Tick(text string, row *market.Row) error {
	switch {
	case x.ticks != nil:
		return x.ticks.Write(row)
	case row.Kind == market.KindTrade:
		x.b = x.trade(x.b, text, &row.Entry)
	default:
		x.b = x.quote(x.b, text, &row.Entry)
	}
	return x.room()
}

// Bar adds a bar.
func (x *Export) Bar(text string, bar *market.Bar) error {
	if x.bars != nil {
		return x.bars.Write(bar)
	}
	x.b = x.line(x.b, text, bar)
	return x.room()
}

func (x *Export) room() error {
	if len(x.b) < exportText {
		return nil
	}
	_, err := x.w.Write(x.b)
	x.b = x.b[:0]
	return err
}

// Close writes what is left, and what a file of the format ends with.
func (x *Export) Close() error {
	switch {
	case x.ticks != nil:
		return x.ticks.Close()
	case x.bars != nil:
		return x.bars.Close()
	}
	_, err := x.w.Write(x.b)
	return err
}

// exportType is the media type of a format, and what names of its files end with.
func exportType(format string) (media, ending string) {
	switch format {
	case FormatJSONL:
		return "application/x-ndjson", ".jsonl"
	case FormatParquet:
		return "application/vnd.apache.parquet", ".parquet"
	case FormatArrow:
		return "application/vnd.apache.arrow.stream", ".arrows"
	}
	return "text/csv; charset=utf-8", ".csv"
}

// The headers have the names that Alpaca's library for Python gives to columns, as far as it has them. Lines of JSON have the same.
const (
	tradeColumns = "symbol,timestamp,price,size,exchange,id,conditions,tape,side,ref,seq,received"
	quoteColumns = "symbol,timestamp,bid_price,bid_size,bid_exchange,ask_price,ask_size,ask_exchange,conditions,tape,seq,received"
	barColumns   = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap,gappy"
)

func columnsOf(kind market.Kind) string {
	switch kind {
	case market.KindTrade:
		return tradeColumns
	case market.KindQuote:
		return quoteColumns
	default:
		return barColumns
	}
}

// appendLineHead appends what every line begins with, and a comma.
func appendLineHead(b []byte, symbol string, t market.Time) []byte {
	return append(appendLineTime(append(appendCell(b, symbol), ','), t), ',')
}

// appendLineTime appends a time, and nothing for one that is not known.
func appendLineTime(b []byte, t market.Time) []byte {
	if t == 0 {
		return b
	}
	return t.AppendRFC3339(b)
}

// appendLineTail appends the cells that all ticks end with: the tape is a letter or none.
func appendLineTail(b []byte, e *market.Entry) []byte {
	b = append(strconv.AppendUint(b, e.Seq, 10), ',')
	return append(appendLineTime(b, e.Received), '\n')
}

func appendTapeCell(b []byte, tape byte) []byte {
	if tape < 'A' || tape > 'Z' {
		return b
	}
	return append(b, tape)
}

func sideLetter(s market.Side) string {
	switch s {
	case market.SideBuy:
		return "B"
	case market.SideSell:
		return "S"
	case market.SideNone:
	}
	return ""
}

// askExchange is the exchange of a quote's ask.
func askExchange(e *market.Entry) string {
	if e.AskFrom == "" {
		return e.Exchange
	}
	return e.AskFrom
}

func appendTradeLine(b []byte, symbol string, e *market.Entry) []byte {
	b = appendLineHead(b, symbol, e.Event)
	b = append(e.Price.Append(b), ',')
	b = append(e.Size.Append(b), ',')
	b = append(appendCell(b, e.Exchange), ',')
	if e.ID != 0 {
		b = strconv.AppendUint(b, e.ID, 10)
	}
	b = appendCell(append(b, ','), e.Conditions)
	b = appendTapeCell(append(b, ','), e.Tape)
	b = append(append(b, ','), sideLetter(e.Side)...)
	b = appendCell(append(b, ','), e.Ref)
	return appendLineTail(append(b, ','), e)
}

func appendQuoteLine(b []byte, symbol string, e *market.Entry) []byte {
	b = appendLineHead(b, symbol, e.Event)
	b = append(e.Price.Append(b), ',')
	b = append(e.Size.Append(b), ',')
	b = append(appendCell(b, e.Exchange), ',')
	b = append(e.Ask.Append(b), ',')
	b = append(e.AskSize.Append(b), ',')
	b = append(appendCell(b, askExchange(e)), ',')
	b = appendCell(b, e.Conditions)
	b = appendTapeCell(append(b, ','), e.Tape)
	return appendLineTail(append(b, ','), e)
}

func appendBarLine(b []byte, symbol string, bar *market.Bar) []byte {
	b = appendLineHead(b, symbol, bar.Start)
	for _, d := range [...]market.Decimal{bar.Open, bar.High, bar.Low, bar.Close} {
		b = append(d.Append(b), ',')
	}
	b = append(bar.Volume.Append(b), ',')
	b = append(strconv.AppendUint(b, bar.Count, 10), ',')
	b = append(bar.VWAP().Append(b), ',')
	return append(strconv.AppendBool(b, bar.Gappy), '\n')
}

// appendObjectHead appends what every object begins with.
func appendObjectHead(b []byte, symbol string, t market.Time) []byte {
	b = appendString(append(b, `{"symbol":`...), symbol)
	if t != 0 {
		b = appendTime(append(b, `,"timestamp":`...), t)
	}
	return b
}

// appendMember appends a text, unless there is none.
func appendMember(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendString(append(append(append(b, `,"`...), name...), `":`...), text)
}

func appendNumber(b []byte, name string, d market.Decimal) []byte {
	return d.Append(append(append(append(b, `,"`...), name...), `":`...))
}

func appendCount(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(append(append(b, `,"`...), name...), `":`...), n, 10)
}

// appendObjectTail appends what the objects of all ticks end with.
func appendObjectTail(b []byte, e *market.Entry) []byte {
	b = appendMember(b, "conditions", e.Conditions)
	if tape := appendTapeCell(nil, e.Tape); tape != nil {
		b = appendMember(b, "tape", string(tape))
	}
	if e.Kind == market.KindTrade {
		b = appendMember(b, "side", sideLetter(e.Side))
		b = appendMember(b, "ref", e.Ref)
	}
	b = appendCount(b, "seq", e.Seq)
	if e.Received != 0 {
		b = appendTime(append(b, `,"received":`...), e.Received)
	}
	return append(b, '}', '\n')
}

func appendTradeObject(b []byte, symbol string, e *market.Entry) []byte {
	b = appendObjectHead(b, symbol, e.Event)
	b = appendNumber(appendNumber(b, "price", e.Price), "size", e.Size)
	b = appendMember(b, "exchange", e.Exchange)
	if e.ID != 0 {
		b = appendCount(b, "id", e.ID)
	}
	return appendObjectTail(b, e)
}

func appendQuoteObject(b []byte, symbol string, e *market.Entry) []byte {
	b = appendObjectHead(b, symbol, e.Event)
	b = appendNumber(appendNumber(b, "bid_price", e.Price), "bid_size", e.Size)
	b = appendMember(b, "bid_exchange", e.Exchange)
	b = appendNumber(appendNumber(b, "ask_price", e.Ask), "ask_size", e.AskSize)
	b = appendMember(b, "ask_exchange", askExchange(e))
	return appendObjectTail(b, e)
}

func appendBarObject(b []byte, symbol string, bar *market.Bar) []byte {
	b = appendObjectHead(b, symbol, bar.Start)
	b = appendNumber(appendNumber(b, "open", bar.Open), "high", bar.High)
	b = appendNumber(appendNumber(b, "low", bar.Low), "close", bar.Close)
	b = bar.Volume.Append(append(b, `,"volume":`...))
	b = appendNumber(appendCount(b, "trade_count", bar.Count), "vwap", bar.VWAP())
	b = strconv.AppendBool(append(b, `,"gappy":`...), bar.Gappy)
	return append(b, '}', '\n')
}
