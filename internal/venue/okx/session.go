package okx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// channel is what is subscribed to, as a bit, so that an instrument knows what it waits for.
type channel uint8

const (
	singleTrades channel = 1 << iota // trades-all
	sums                             // trades
	bestQuotes                       // bbo-tbt
	tickers                          // not asked for; it brings quotes as well
)

// channelOf returns the channel of a name, 0 for one that is not known.
func channelOf(name []byte) channel {
	switch string(name) {
	case "trades-all":
		return singleTrades
	case "trades":
		return sums
	case "bbo-tbt":
		return bestQuotes
	case "tickers":
		return tickers
	}
	return 0
}

// session is the protocol on one connection.
type session struct {
	channels channel // that each instrument is subscribed to
	first    []venue.Instrument
	streams  map[string]*stream
	asked    map[string][]venue.Instrument // by the id of the request
	id       uint64                        // of the last request
	pinged   market.Time
}

// stream is an instrument that the connection carries.
type stream struct {
	symbol  market.Symbol
	waiting channel // not yet acknowledged
	last    market.Entry
}

func newSession(single bool, kinds venue.Kinds, instruments []venue.Instrument) *session {
	s := &session{
		first: slices.Clone(instruments), streams: make(map[string]*stream, len(instruments)), asked: make(map[string][]venue.Instrument),
	}
	if kinds&venue.Trades != 0 {
		s.channels = sums
		if single {
			s.channels = singleTrades
		}
	}
	if kinds&venue.Quotes != 0 {
		s.channels |= bestQuotes
	}
	return s
}

// Opened implements venue.Session.
func (s *session) Opened(out *venue.Output) error { return s.Subscribe(s.first, out) }

// Second implements venue.Session: the venue wants its pings as text.
func (s *session) Second(now market.Time, out *venue.Output) error {
	if s.pinged == 0 || now-s.pinged >= pingEvery {
		s.pinged = now
		out.Send = append(out.Send, []byte("ping"))
	}
	return nil
}

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		s.streams[in.Native] = &stream{symbol: in.Symbol, waiting: s.channels}
	}
	for part := range slices.Chunk(instruments, symbolsPerMessage) {
		s.asked[s.say("subscribe", part, out)] = slices.Clone(part)
	}
	return nil
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		delete(s.streams, in.Native)
	}
	for part := range slices.Chunk(instruments, symbolsPerMessage) {
		s.say("unsubscribe", part, out)
	}
	return nil
}

// say appends {"id":"1","op":"subscribe","args":[{"channel":"trades-all","instId":"BTC-USDT"}]} and returns the id.
func (s *session) say(op string, instruments []venue.Instrument, out *venue.Output) (id string) {
	s.id++
	id = strconv.FormatUint(s.id, 10)
	msg := append(make([]byte, 0, 64+96*len(instruments)), `{"id":"`+id+`","op":"`+op+`","args":[`...)
	for _, name := range []string{"trades-all", "trades", "bbo-tbt"} {
		if s.channels&channelOf([]byte(name)) == 0 {
			continue
		}
		for _, in := range instruments {
			if msg[len(msg)-1] != '[' {
				msg = append(msg, ',')
			}
			msg = append(msg, `{"channel":"`+name+`","instId":"`+in.Native+`"}`...)
		}
	}
	out.Send = append(out.Send, append(msg, "]}"...))
	return id
}

// frame is a message that was read once.
type frame struct {
	id, event, code, text venue.Value
	channel, native       venue.Value
	data                  venue.Value
	done                  bool // the data was read on the way
}

// Message implements venue.Session. The answer to a ping is the text pong.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	if string(msg) == "pong" {
		return nil
	}
	var (
		scan venue.Scanner
		f    frame
	)
	begin := len(out.Entries)
	scan.Reset(msg)
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "arg":
			f.argument(&scan)
		case "data":
			if f.channel == nil || scan.Next() != '[' {
				f.data = scan.Value()
				continue
			}
			s.data(&f, &scan, received, out) // the usual order: no second look
			f.done = true
		case "id":
			f.id = scan.Value()
		case "event":
			f.event = scan.Value()
		case "code":
			f.code = scan.Value()
		case "msg":
			f.text = scan.Value()
		default:
			scan.Skip()
		}
	}
	if err := scan.End(); err != nil {
		out.Entries = out.Entries[:begin]
		return err
	}
	switch {
	case f.event != nil:
		return s.happened(&f, out)
	case f.done:
	case f.channel != nil && len(f.data) > 0 && f.data[0] == '[':
		scan.Reset(f.data)
		s.data(&f, &scan, received, out)
		return scan.End()
	default:
		out.Unused("unknown_type")
	}
	return nil
}

// argument reads {"channel":"trades-all","instId":"BTC-USDT"}.
func (f *frame) argument(s *venue.Scanner) {
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return
		}
		switch v := s.Value(); string(key) {
		case "channel":
			f.channel = v
		case "instId":
			f.native = v
		}
	}
}

// data reads the array of what a channel brought.
func (s *session) data(f *frame, scan *venue.Scanner, received market.Time, out *venue.Output) {
	ch := channelOf(f.channel.Bytes())
	st := s.streams[string(f.native.Bytes())]
	switch {
	case ch == 0:
		out.Unused("unknown_type")
		scan.Skip()
		return
	case st == nil:
		out.Unused("unknown_symbol")
		scan.Skip()
		return
	}
	for scan.Enter('['); scan.More(); {
		if ch == bestQuotes || ch == tickers {
			st.quote(scan, received, out)
			continue
		}
		var t trade
		t.read(scan)
		if scan.Err() != nil {
			return
		}
		e := market.Entry{Kind: market.KindTrade, Symbol: st.symbol, Received: received}
		if !t.fill(&e) {
			out.Unused("bad_trade")
			if ch == sums {
				out.Lost = "bad trade"
			}
			continue
		}
		out.Entries = append(out.Entries, e)
	}
}

// trade is a trade of the stream or of the past:
//
//	{"instId":"BTC-USDT","tradeId":"674510826","px":"95634.9","sz":"0.00011186","side":"buy","ts":"1740394561685","count":"1"}
//
// Of swaps and futures the size is a number of contracts.
type trade struct{ number, price, size, side, at venue.Value }

func (t *trade) read(s *venue.Scanner) {
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return
		}
		switch v := s.Value(); string(key) {
		case "tradeId":
			t.number = v
		case "px":
			t.price = v
		case "sz":
			t.size = v
		case "side":
			t.side = v
		case "ts":
			t.at = v
		}
	}
}

// fill sets what a trade is, and reports whether all of it could be read. The side is the taker's.
func (t *trade) fill(e *market.Entry) bool {
	id, ok := t.number.Uint()
	price, err := t.price.Decimal()
	size, err2 := t.size.Decimal()
	if !ok || id == 0 || err != nil || err2 != nil || price.Sign() <= 0 || size.Sign() <= 0 {
		return false
	}
	e.ID, e.Price, e.Size = id, price, size
	switch {
	case t.side.Is("buy"):
		e.Side = market.SideBuy
	case t.side.Is("sell"):
		e.Side = market.SideSell
	}
	stamp(e, t.at)
	return true
}

// stamp sets the time of an entry, that of its arrival where the venue says none.
func stamp(e *market.Entry, at venue.Value) {
	var ok bool
	if e.Event, ok = at.Unix(venue.Milliseconds); !ok || e.Event == 0 {
		e.Event = e.Received
		e.Flags |= market.FlagNoEventTime
	}
}

// quote reads a best bid and offer, or the part of a ticker that is one. What says nothing new is left out.
//
//	{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","seqId":123456}
//	{"instId":"BTC-USDT","askPx":"64312.9","askSz":"1.34197806","bidPx":"64312.8","bidSz":"3.32864302","ts":"1781414919074", …}
func (st *stream) quote(s *venue.Scanner, received market.Time, out *venue.Output) {
	e := market.Entry{Kind: market.KindQuote, Symbol: st.symbol, Received: received}
	var at venue.Value
	good := true
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			break
		}
		switch string(key) {
		case "asks":
			good = level(s, &e.Ask, &e.AskSize) && good
		case "bids":
			good = level(s, &e.Price, &e.Size) && good
		case "askPx":
			good = decimal(s.Value(), &e.Ask) && good
		case "askSz":
			good = decimal(s.Value(), &e.AskSize) && good
		case "bidPx":
			good = decimal(s.Value(), &e.Price) && good
		case "bidSz":
			good = decimal(s.Value(), &e.Size) && good
		case "ts":
			at = s.Value()
		default:
			s.Skip()
		}
	}
	if s.Err() != nil {
		return
	}
	if !good || e.Price.IsZero() && e.Ask.IsZero() {
		out.Unused("bad_quote")
		return
	}
	stamp(&e, at)
	if l := &st.last; l.Price == e.Price && l.Size == e.Size && l.Ask == e.Ask && l.AskSize == e.AskSize {
		out.Unused("old_quote")
		return
	}
	st.last = e
	out.Entries = append(out.Entries, e)
}

// level reads the first of the levels of one side, none being zero.
func level(s *venue.Scanner, price, size *market.Decimal) bool {
	good := true
	for s.Enter('['); s.More(); {
		n := 0
		for s.Enter('['); s.More(); n++ {
			switch v := s.Value(); {
			case !price.IsZero() && n == 0: // a second level
				n = 2
			case n == 0:
				good = decimal(v, price) && good
			case n == 1:
				good = decimal(v, size) && good
			}
		}
	}
	return good
}

// decimal reads a number that is not negative. Nothing, as OKX writes it, is an empty text.
func decimal(v venue.Value, d *market.Decimal) bool {
	if v.Is("") {
		*d = market.Decimal{}
		return true
	}
	var err error
	*d, err = v.Decimal()
	return err == nil && d.Sign() >= 0
}

// happened reads what is no data: acknowledgements, errors and notices.
func (s *session) happened(f *frame, out *venue.Output) error {
	switch string(f.event.Bytes()) {
	case "subscribe":
		st := s.streams[string(f.native.Bytes())]
		if st == nil || st.waiting == 0 {
			return nil
		}
		if st.waiting &^= channelOf(f.channel.Bytes()); st.waiting == 0 {
			out.Taken = append(out.Taken, st.symbol)
			s.settle(f.id.Text())
		}
	case "notice":
		// 64008: the connection will be closed for an upgrade of the service.
		out.Drain = "notice " + venue.Clip(f.code.Text()+": "+f.text.Text())
	case "error", "channel-conn-count-error":
		return s.failed(f, out)
	case "unsubscribe", "channel-conn-count", "login":
	default:
		out.Unused("unknown_type")
	}
	return nil
}

// settle forgets a request all of whose instruments are acknowledged.
func (s *session) settle(id string) {
	for _, in := range s.asked[id] {
		if st := s.streams[in.Native]; st != nil && st.waiting != 0 {
			return
		}
	}
	delete(s.asked, id)
}

// failed reads an error. One about an instrument refuses it, and the others of the same request are asked for anew, since what
// becomes of them is not said:
//
//	{"id":"1","event":"error","msg":"Wrong URL or channel:trades,instId:NO-SUCH doesn't exist. …","code":"60018","connId":"25ebf8bb"}
func (s *session) failed(f *frame, out *venue.Output) error {
	words := f.text.Text()
	err := fmt.Errorf("the venue answers: %s (code %s)", venue.Clip(words), venue.Clip(f.code.Text()))
	if f.code.Is("60014") { // requests too frequent
		return &venue.RetryError{Err: err, After: 10 * time.Second}
	}
	_, rest, ok := strings.Cut(words, "instId:")
	if !ok {
		return err
	}
	native := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' }); i >= 0 {
		native = rest[:i]
	}
	st := s.streams[native]
	if st == nil { // It was refused before, or is not wanted any more.
		out.Unused("venue_error")
		return nil
	}
	out.Refused = append(out.Refused, venue.Refusal{Symbol: st.symbol, Reason: venue.Clip(words)})
	delete(s.streams, native)
	return s.again(f.id.Text(), native, out)
}

// again asks anew for what else a failed request was for.
func (s *session) again(id, refused string, out *venue.Output) error {
	if _, ok := s.asked[id]; !ok {
		for other, list := range s.asked { // The answer has no id: it is the request that named the instrument.
			if slices.ContainsFunc(list, func(in venue.Instrument) bool { return in.Native == refused }) {
				id = other
				break
			}
		}
	}
	var rest []venue.Instrument
	for _, in := range s.asked[id] {
		if st := s.streams[in.Native]; st != nil && st.waiting != 0 {
			rest = append(rest, in)
		}
	}
	delete(s.asked, id)
	if len(rest) == 0 {
		return nil
	}
	return s.Subscribe(rest, out)
}
