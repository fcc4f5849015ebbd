package kraken

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// session is the protocol on one connection. Nothing has to be said before the first subscription.
type session struct {
	kinds   venue.Kinds
	first   []venue.Instrument
	carried map[string]*carried
	id      uint64 // of the last message sent

	heard  market.Time // when the last message came
	pinged market.Time // when we last asked for a sign of life
	halted bool        // the venue said that it does not trade now
}

// carried is an instrument that the connection carries.
type carried struct {
	symbol market.Symbol
	missed venue.Kinds // kinds whose subscription was not acknowledged yet
	failed bool
}

func newSession(kinds venue.Kinds, instruments []venue.Instrument) *session {
	return &session{kinds: kinds, first: slices.Clone(instruments), carried: make(map[string]*carried, len(instruments))}
}

// Opened implements venue.Session.
func (s *session) Opened(out *venue.Output) error { return s.Subscribe(s.first, out) }

// When a sign of life is asked for: when the venue was silent for so long, and now and then, because a connection on which nothing
// is said to it for a minute may be closed.
const (
	silent = market.Time(3 * time.Second)
	idle   = market.Time(30 * time.Second)
)

// Second implements venue.Session.
func (s *session) Second(now market.Time, out *venue.Output) error {
	if s.heard == 0 {
		s.heard = now
	}
	if s.pinged == 0 {
		s.pinged = now
	}
	if now-s.pinged >= idle || now-max(s.heard, s.pinged) >= silent {
		s.pinged = now
		s.id++
		out.Send = append(out.Send, append(strconv.AppendUint([]byte(`{"method":"ping","req_id":`), s.id, 10), '}'))
	}
	return nil
}

// Subscribe implements venue.Session. The last fifty trades of each symbol are asked for, which closes most holes at once.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		s.carried[in.Native] = &carried{symbol: in.Symbol, missed: s.kinds}
	}
	for part := range slices.Chunk(instruments, symbolsPerMessage) {
		s.say("subscribe", `,"snapshot":true`, part, out)
	}
	return nil
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		delete(s.carried, in.Native)
	}
	for part := range slices.Chunk(instruments, symbolsPerMessage) {
		s.say("unsubscribe", "", part, out)
	}
	return nil
}

// say appends a message for each channel:
//
//	{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","ETH/USD"],"snapshot":true},"req_id":1}
//	{"method":"subscribe","params":{"channel":"ticker","event_trigger":"bbo","symbol":["BTC/USD"],"snapshot":true},"req_id":2}
func (s *session) say(method, more string, instruments []venue.Instrument, out *venue.Output) {
	channel := func(name string) {
		s.id++
		msg := append(make([]byte, 0, 128+16*len(instruments)), `{"method":"`+method+`","params":{"channel":`+name+`,"symbol":[`...)
		for i, in := range instruments {
			if i > 0 {
				msg = append(msg, ',')
			}
			msg = append(msg, `"`+in.Native+`"`...)
		}
		msg = append(msg, `]`+more+`},"req_id":`...)
		msg = strconv.AppendUint(msg, s.id, 10)
		out.Send = append(out.Send, append(msg, '}'))
	}
	if s.kinds&venue.Trades != 0 {
		channel(`"trade"`)
	}
	if s.kinds&venue.Quotes != 0 {
		channel(`"ticker","event_trigger":"bbo"`)
	}
}

// Message implements venue.Session.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	s.heard = received
	var (
		scan          venue.Scanner
		channel, kind venue.Value
		method, data  venue.Value
		done          bool
	)
	begin := len(out.Entries)
	scan.Reset(msg)
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "channel":
			channel = scan.Value()
		case "type":
			kind = scan.Value()
		case "method":
			method = scan.Value()
		case "data":
			if channel == nil || kind == nil { // Not in the usual order: read it when it is known what it is.
				data = scan.Value()
				continue
			}
			s.data(&scan, channel, kind, received, out)
			done = true
		default:
			scan.Skip()
		}
	}
	if err := scan.End(); err != nil {
		out.Entries = out.Entries[:begin] // Half a message is none.
		return err
	}
	switch {
	case channel != nil && data != nil && !done:
		scan.Reset(data)
		s.data(&scan, channel, kind, received, out)
		return scan.End()
	case channel == nil && method != nil, channel == nil && data == nil && method == nil:
		return s.answered(msg, received, out)
	}
	return nil
}

// data reads the items of a message: there may be several, of one moment.
func (s *session) data(scan *venue.Scanner, channel, kind venue.Value, received market.Time, out *venue.Output) {
	begin := len(out.Entries)
	switch name := channel.Bytes(); string(name) {
	case "trade":
		var flags market.Flags
		snapshot := kind.Is("snapshot")
		if snapshot {
			flags = market.FlagBackfilled // It was before this connection.
		}
		for scan.Enter('['); scan.More(); {
			s.trade(scan, flags, received, out)
		}
		if snapshot {
			slices.SortStableFunc(out.Entries[begin:], byNumber)
		}
	case "ticker":
		for scan.Enter('['); scan.More(); {
			s.ticker(scan, received, out)
		}
	case "status":
		for scan.Enter('['); scan.More(); {
			s.status(scan, received, out)
		}
	default:
		if string(name) != "heartbeat" {
			out.Unused("unknown_type")
		}
		scan.Skip()
	}
	if scan.Err() != nil {
		out.Entries = out.Entries[:begin]
	}
}

func byNumber(a, b market.Entry) int {
	switch {
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return 0
}

// trade reads one trade; side is the taker's:
//
//	{"symbol":"BTC/USD","side":"buy","price":85772.4,"qty":0.00043721,"ord_type":"limit","trade_id":110386729,"timestamp":"2026-10-06T18:14:44.947782Z"}
func (s *session) trade(scan *venue.Scanner, flags market.Flags, received market.Time, out *venue.Output) {
	var symbol, side, price, quantity, number, traded venue.Value
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch v := scan.Value(); string(key) {
		case "symbol":
			symbol = v
		case "side":
			side = v
		case "price":
			price = v
		case "qty":
			quantity = v
		case "trade_id":
			number = v
		case "timestamp":
			traded = v
		}
	}
	if scan.Err() != nil {
		return
	}
	c := s.carried[string(symbol.Bytes())]
	if c == nil {
		out.Unused("unknown_symbol")
		return
	}
	e := market.Entry{Kind: market.KindTrade, Symbol: c.symbol, Received: received, Flags: flags}
	var err1, err2 error
	e.Price, err1 = price.Decimal()
	e.Size, err2 = quantity.Decimal()
	id, ok := number.Uint()
	if err1 != nil || err2 != nil || !ok || id == 0 || e.Price.Sign() <= 0 || e.Size.Sign() <= 0 {
		out.Unused("bad_trade")
		return
	}
	e.ID = id
	switch string(side.Bytes()) {
	case "buy":
		e.Side = market.SideBuy
	case "sell":
		e.Side = market.SideSell
	}
	t, _ := traded.Time()
	stamp(&e, t)
	out.Entries = append(out.Entries, e)
}

// stamp gives e its time, or that of its arrival when the venue sent none that can be.
func stamp(e *market.Entry, t market.Time) {
	if t < earliest {
		t = e.Received
		e.Flags |= market.FlagNoEventTime
	}
	e.Event = t
}

// ticker reads the best bid and offer out of a ticker. Of a symbol that was never traded it is all zeros, and of 1970:
//
//	{"symbol":"BTC/USD","bid":105944.20,"bid_qty":2.5,"ask":105944.30,"ask_qty":3.2,"last":105899.40,…,"timestamp":"2022-12-25T09:30:59.123456Z"}
func (s *session) ticker(scan *venue.Scanner, received market.Time, out *venue.Output) {
	var symbol, bid, bidSize, ask, askSize, at venue.Value
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch v := scan.Value(); string(key) {
		case "symbol":
			symbol = v
		case "bid":
			bid = v
		case "bid_qty":
			bidSize = v
		case "ask":
			ask = v
		case "ask_qty":
			askSize = v
		case "timestamp":
			at = v
		}
	}
	if scan.Err() != nil {
		return
	}
	c := s.carried[string(symbol.Bytes())]
	if c == nil {
		out.Unused("unknown_symbol")
		return
	}
	e := market.Entry{Kind: market.KindQuote, Symbol: c.symbol, Received: received}
	var err [4]error
	e.Price, err[0] = bid.Decimal()
	e.Size, err[1] = bidSize.Decimal()
	e.Ask, err[2] = ask.Decimal()
	e.AskSize, err[3] = askSize.Decimal()
	if err != [4]error{} || e.Price.Sign() < 0 || e.Size.Sign() < 0 || e.Ask.Sign() < 0 || e.AskSize.Sign() < 0 {
		out.Unused("bad_quote")
		return
	}
	if e.Price.IsZero() && e.Ask.IsZero() {
		out.Unused("never_traded")
		return
	}
	t, _ := at.Time()
	stamp(&e, t)
	out.Entries = append(out.Entries, e)
}

// status reads the state of the whole venue: online, limit_only, post_only, cancel_only or maintenance. Nothing trades in the last
// three.
//
//	{"version":"2.0.10","system":"online","api_version":"v2","connection_id":16174536464690282295,…}
func (s *session) status(scan *venue.Scanner, received market.Time, out *venue.Output) {
	var system venue.Value
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		if v := scan.Value(); string(key) == "system" {
			system = v
		}
	}
	if scan.Err() != nil {
		return
	}
	var halted bool
	switch string(system.Bytes()) {
	case "online", "limit_only":
	case "maintenance", "cancel_only", "post_only":
		halted = true
	default:
		out.Unused("unknown_status")
		return
	}
	if halted == s.halted {
		return
	}
	s.halted = halted
	e := market.Entry{Kind: market.KindStatus, State: market.StateLive, Event: received, Received: received, Text: "the venue is " + system.Text()}
	if halted {
		e.State = market.StateHalted
	}
	out.Entries = append(out.Entries, e)
}

// answered reads what the venue says of a message of ours. Of a subscription it says it for each symbol:
//
//	{"method":"subscribe","result":{"channel":"trade","snapshot":true,"symbol":"BTC/USD"},"success":true,…,"req_id":1}
//	{"error":"Currency pair not supported XBT/USDT","method":"subscribe","success":false,"symbol":"XBT/USDT",…}
//	{"method":"pong","req_id":42,…}
func (s *session) answered(msg []byte, received market.Time, out *venue.Output) error {
	var (
		scan                                            venue.Scanner
		method, problem, success, symbol, channel, sent venue.Value
	)
	scan.Reset(msg)
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "method":
			method = scan.Value()
		case "error":
			problem = scan.Value()
		case "success":
			success = scan.Value()
		case "symbol":
			symbol = scan.Value()
		case "time_out":
			sent = scan.Value()
		case "result":
			if scan.Next() != '{' {
				scan.Skip()
				continue
			}
			for scan.Enter('{'); ; {
				key, ok := scan.Key()
				if !ok {
					break
				}
				switch v := scan.Value(); string(key) {
				case "channel":
					channel = v
				case "symbol":
					symbol = v
				}
			}
		default:
			scan.Skip()
		}
	}
	if err := scan.End(); err != nil {
		return err
	}
	switch failed := success != nil && !success.True() || problem.IsString(); {
	case failed:
		return s.failed(method, problem, symbol, out)
	case method.Is("subscribe"):
		s.taken(channel, symbol, out)
	case method.Is("pong"):
		if t, ok := sent.Time(); ok && t >= earliest { // A reading of the venue's clock.
			out.Entries = append(out.Entries, market.Entry{Kind: market.KindHeartbeat, Event: t, Received: received})
		}
	case method.Is("unsubscribe"):
	default:
		out.Unused("unknown_type")
	}
	return nil
}

// taken notes that one channel of a symbol was subscribed to.
func (s *session) taken(channel, symbol venue.Value, out *venue.Output) {
	c := s.carried[string(symbol.Bytes())]
	if c == nil {
		out.Unused("unknown_symbol")
		return
	}
	switch string(channel.Bytes()) {
	case "trade":
		c.missed &^= venue.Trades
	case "ticker":
		c.missed &^= venue.Quotes
	default:
		return
	}
	if c.missed == 0 && !c.failed {
		out.Taken = append(out.Taken, c.symbol)
	}
}

// failed reads a refusal. After it nothing comes of the symbol, while heartbeats go on. One of no symbol that tells us to be slower
// ends the connection; of another the missing acknowledgement tells.
func (s *session) failed(method, problem, symbol venue.Value, out *venue.Output) error {
	text := venue.Clip(problem.Text())
	if strings.Contains(text, "msg rate") || strings.Contains(text, "rate limit") {
		return &venue.RetryError{Err: errors.New("the venue answers: " + text), After: 10 * time.Second}
	}
	c := s.carried[string(symbol.Bytes())]
	switch {
	case c == nil || !method.Is("subscribe"):
		out.Unused("venue_error")
	case strings.HasPrefix(text, "Already subscribed"): // It has what it wants.
		out.Taken = append(out.Taken, c.symbol)
	case !c.failed:
		c.failed = true
		out.Refused = append(out.Refused, venue.Refusal{Symbol: c.symbol, Reason: "the venue answers: " + text})
	}
	return nil
}
