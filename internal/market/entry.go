package market

// Kind tells what an Entry is.
type Kind uint8

// The kinds of entries. Their numbers are part of the tape's format: new ones are added at the end.
const (
	KindTrade     Kind = 1 // a trade
	KindQuote     Kind = 2 // a best bid and offer
	KindGap       Kind = 3 // ticks may be missing
	KindHeartbeat Kind = 4 // time passed; nothing else is claimed
	KindStatus    Kind = 5 // a symbol or a whole feed changed its state
	KindAlarm     Kind = 6 // an alert fired
	KindBar       Kind = 7 // a bar that a file brought; no live stream tells it
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindTrade:
		return "trade"
	case KindQuote:
		return "quote"
	case KindGap:
		return "gap"
	case KindHeartbeat:
		return "heartbeat"
	case KindStatus:
		return "status"
	case KindAlarm:
		return "alarm"
	case KindBar:
		return "bar"
	}
	return "unknown"
}

// Side is the taker's side of a trade.
type Side uint8

// The sides.
const (
	SideNone Side = 0 // the venue does not say
	SideBuy  Side = 1
	SideSell Side = 2
)

// Flags qualify an entry.
type Flags uint8

// The flags. Their numbers are part of the tape's format.
const (
	FlagBackfilled  Flags = 1 << 0 // fetched after the fact to fill a hole
	FlagImported    Flags = 1 << 1 // came from a file, import or replay: its times need not be of now
	FlagNoEventTime Flags = 1 << 2 // the venue sent no usable time; Event is Received
	FlagDamage      Flags = 1 << 3 // a gap that stands for a damaged part of the tape itself
	FlagFilled      Flags = 1 << 4 // a gap that was filled later
	FlagHistory     Flags = 1 << 5 // of the past when it was put on the tape: it is in history, and no live stream tells it
)

// State is what a status says of a symbol or a feed.
type State uint8

// The states. Their numbers are part of the tape's format.
const (
	StateUnknown State = 0
	StateLive    State = 1 // ticks or heartbeats arrive
	StateStale   State = 2 // connected, but silent for longer than expected
	StateDown    State = 3 // not connected
	StateClosed  State = 4 // the market is closed, or a file has been played to its end
	StateHalted  State = 5 // the venue halted trading
)

// String names the state as the API does.
func (s State) String() string {
	switch s {
	case StateLive:
		return "live"
	case StateStale:
		return "stale"
	case StateDown:
		return "down"
	case StateClosed:
		return "closed"
	case StateHalted:
		return "halted"
	case StateUnknown:
	}
	return "unknown"
}

// Entry is one entry of the tape. It is flat, so that a slice of a thousand is one allocation; Kind tells which fields
// count, and the typed views (Trade, Quote, …) name them. An entry that is on the tape is never changed.
//
//	field        trade            quote        gap            heartbeat  status       alarm             bar
//	Symbol       symbol           symbol       symbol or ""   ""         symbol or "" symbol            symbol
//	Seq          number           number       0              0          0            of the trade      0
//	Event        venue's time     venue's time from           time       since        venue's time      start
//	Until                                      to                                                       end
//	Price, Size  price, size      bid                                                 price             open, high
//	Ask, AskSize                  ask                                                                   low, close
//	ID, Ref      number, name                                                                           trades, interval
//	Text                                       reason                    reason       rule and text     volume
//
// An empty symbol means every symbol of the feed. Received is the moment at which the bytes arrived, stamped once.
type Entry struct {
	Kind  Kind
	Side  Side
	Flags Flags
	State State
	Tape  byte // consolidated tape of a US equity trade or quote: 'A', 'B', 'C', or 0

	Symbol   Symbol
	Seq      uint64 // number among the trades, or among the quotes, of the symbol: 1, 2, 3 … without a hole
	Event    Time
	Received Time
	Until    Time

	Price, Size  Decimal
	Ask, AskSize Decimal

	ID         uint64 // the venue's number of the trade, 0 when it has none
	Ref        string // the venue's name of the trade where it is not a number
	Exchange   string // the venue's code of the exchange of a trade, or of the bid
	AskFrom    string // the code of the exchange of the ask, "" when it is that of the bid
	Conditions string // the venue's condition codes, joined by commas
	Text       string
}

// IsTick reports whether e is a trade or a quote.
func (e *Entry) IsTick() bool { return e.Kind == KindTrade || e.Kind == KindQuote }

// Trade is the view of an entry of KindTrade.
type Trade struct {
	Symbol          Symbol
	Seq             uint64
	Event, Received Time
	Price, Size     Decimal
	Side            Side
	ID              uint64
	Ref             string
	Exchange        string
	Conditions      string
	Tape            byte
	Flags           Flags
}

// Quote is the view of an entry of KindQuote.
type Quote struct {
	Symbol          Symbol
	Seq             uint64
	Event, Received Time
	Bid, BidSize    Decimal
	Ask, AskSize    Decimal
	BidFrom         string // exchange of the bid
	AskFrom         string // exchange of the ask
	Conditions      string
	Tape            byte
	Flags           Flags
}

// Gap says that ticks of a symbol, or of all symbols of a feed, may be missing between two moments, and why.
type Gap struct {
	Symbol   Symbol
	From, To Time
	Reason   string
	Flags    Flags
}

// Heartbeat says that the clock of a feed reached Event. Bars close by it when nothing trades.
type Heartbeat struct{ Event, Received Time }

// Status says that a symbol, or a whole feed, has been in a state since Event.
type Status struct {
	Symbol Symbol
	State  State
	Event  Time
	Reason string
}

// Alarm says that a rule fired on a trade.
type Alarm struct {
	Symbol Symbol
	Seq    uint64 // of the trade
	Event  Time
	Price  Decimal
	Text   string
}

// Trade returns the entry as a trade.
func (e *Entry) Trade() Trade {
	return Trade{
		Symbol: e.Symbol, Seq: e.Seq, Event: e.Event, Received: e.Received, Price: e.Price, Size: e.Size, Side: e.Side,
		ID: e.ID, Ref: e.Ref, Exchange: e.Exchange, Conditions: e.Conditions, Tape: e.Tape, Flags: e.Flags,
	}
}

// Entry returns the trade as an entry.
func (t Trade) Entry() Entry {
	return Entry{
		Kind: KindTrade, Symbol: t.Symbol, Seq: t.Seq, Event: t.Event, Received: t.Received, Price: t.Price, Size: t.Size,
		Side: t.Side, ID: t.ID, Ref: t.Ref, Exchange: t.Exchange, Conditions: t.Conditions, Tape: t.Tape, Flags: t.Flags,
	}
}

// Quote returns the entry as a quote.
func (e *Entry) Quote() Quote {
	askFrom := e.AskFrom
	if askFrom == "" {
		askFrom = e.Exchange
	}
	return Quote{
		Symbol: e.Symbol, Seq: e.Seq, Event: e.Event, Received: e.Received, Bid: e.Price, BidSize: e.Size, Ask: e.Ask,
		AskSize: e.AskSize, BidFrom: e.Exchange, AskFrom: askFrom, Conditions: e.Conditions, Tape: e.Tape, Flags: e.Flags,
	}
}

// Entry returns the quote as an entry.
func (q Quote) Entry() Entry {
	askFrom := q.AskFrom
	if askFrom == q.BidFrom {
		askFrom = ""
	}
	return Entry{
		Kind: KindQuote, Symbol: q.Symbol, Seq: q.Seq, Event: q.Event, Received: q.Received, Price: q.Bid, Size: q.BidSize,
		Ask: q.Ask, AskSize: q.AskSize, Exchange: q.BidFrom, AskFrom: askFrom, Conditions: q.Conditions, Tape: q.Tape, Flags: q.Flags,
	}
}

// Gap returns the entry as a gap.
func (e *Entry) Gap() Gap {
	return Gap{Symbol: e.Symbol, From: e.Event, To: e.Until, Reason: e.Text, Flags: e.Flags}
}

// Entry returns the gap as an entry.
func (g Gap) Entry() Entry {
	return Entry{Kind: KindGap, Symbol: g.Symbol, Event: g.From, Until: g.To, Text: g.Reason, Flags: g.Flags}
}

// Heartbeat returns the entry as a heartbeat.
func (e *Entry) Heartbeat() Heartbeat { return Heartbeat{Event: e.Event, Received: e.Received} }

// Entry returns the heartbeat as an entry.
func (h Heartbeat) Entry() Entry {
	return Entry{Kind: KindHeartbeat, Event: h.Event, Received: h.Received}
}

// Status returns the entry as a status.
func (e *Entry) Status() Status {
	return Status{Symbol: e.Symbol, State: e.State, Event: e.Event, Reason: e.Text}
}

// Entry returns the status as an entry.
func (s Status) Entry() Entry {
	return Entry{Kind: KindStatus, Symbol: s.Symbol, State: s.State, Event: s.Event, Text: s.Reason}
}

// Alarm returns the entry as an alarm.
func (e *Entry) Alarm() Alarm {
	return Alarm{Symbol: e.Symbol, Seq: e.Seq, Event: e.Event, Price: e.Price, Text: e.Text}
}

// Entry returns the alarm as an entry.
func (a Alarm) Entry() Entry {
	return Entry{Kind: KindAlarm, Symbol: a.Symbol, Seq: a.Seq, Event: a.Event, Price: a.Price, Text: a.Text}
}
