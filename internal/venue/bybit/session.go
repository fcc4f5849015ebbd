package bybit

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// The beginnings of topics.
const (
	tradeTopic  = "publicTrade."
	bookTopic   = "orderbook.1."
	tickerTopic = "tickers."
)

// session is the protocol on one connection.
type session struct {
	topics  []string // that each instrument is subscribed to
	first   []venue.Instrument
	streams map[string]*stream
	asked   []request // not yet answered, the oldest first
	id      uint64    // of the last request
	pinged  market.Time
}

// request is a subscription that waits for its answer.
type request struct {
	id          string
	instruments []venue.Instrument
}

// stream is an instrument that the connection carries.
type stream struct {
	symbol market.Symbol
	known  bool         // a whole quote came, so that changes can be added
	quote  market.Entry // the last
	update uint64       // its number, of a book
}

func newSession(kinds venue.Kinds, fromTickers bool, instruments []venue.Instrument) *session {
	s := &session{first: slices.Clone(instruments), streams: make(map[string]*stream, len(instruments))}
	if kinds&venue.Trades != 0 {
		s.topics = append(s.topics, tradeTopic)
	}
	switch {
	case kinds&venue.Quotes != 0 && fromTickers:
		s.topics = append(s.topics, tickerTopic)
	case kinds&venue.Quotes != 0:
		s.topics = append(s.topics, bookTopic)
	}
	return s
}

// Opened implements venue.Session.
func (s *session) Opened(out *venue.Output) error { return s.Subscribe(s.first, out) }

// Second implements venue.Session: the venue wants its pings as messages.
func (s *session) Second(now market.Time, out *venue.Output) error {
	if s.pinged == 0 || now-s.pinged >= pingEvery {
		s.pinged = now
		out.Send = append(out.Send, []byte(`{"req_id":"ping","op":"ping"}`))
	}
	return nil
}

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		s.streams[in.Native] = &stream{symbol: in.Symbol}
	}
	for part := range slices.Chunk(instruments, topicsPerMessage/max(len(s.topics), 1)) {
		s.ask(part, out)
	}
	return nil
}

func (s *session) ask(instruments []venue.Instrument, out *venue.Output) {
	s.asked = append(s.asked, request{id: s.say("subscribe", instruments, out), instruments: slices.Clone(instruments)})
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	for _, in := range instruments {
		delete(s.streams, in.Native)
	}
	for part := range slices.Chunk(instruments, topicsPerMessage/max(len(s.topics), 1)) {
		s.say("unsubscribe", part, out)
	}
	return nil
}

// say appends {"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT","orderbook.1.BTCUSDT"]} and returns the id.
func (s *session) say(op string, instruments []venue.Instrument, out *venue.Output) (id string) {
	s.id++
	id = strconv.FormatUint(s.id, 10)
	msg := append(make([]byte, 0, 64+64*len(instruments)), `{"req_id":"`+id+`","op":"`+op+`","args":[`...)
	for _, in := range instruments {
		for _, topic := range s.topics {
			if msg[len(msg)-1] != '[' {
				msg = append(msg, ',')
			}
			msg = append(msg, `"`+topic+in.Native+`"`...)
		}
	}
	out.Send = append(out.Send, append(msg, "]}"...))
	return id
}

// frame is a message that was read once.
type frame struct {
	topic, kind, sent, matched venue.Value
	op, success, text, request venue.Value
	data                       venue.Value
}

// Message implements venue.Session.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	var (
		scan venue.Scanner
		f    frame
		done bool // the data was read on the way
	)
	begin := len(out.Entries)
	scan.Reset(msg)
	for scan.Enter('{'); ; {
		key, ok := scan.Key()
		if !ok {
			break
		}
		if string(key) == "data" && scan.Next() == '[' && bytes.HasPrefix(f.topic.Bytes(), []byte(tradeTopic)) {
			s.trades(&f, &scan, received, out) // the usual order: no second look
			done = true
			continue
		}
		f.member(key, scan.Value())
	}
	if err := scan.End(); err != nil {
		out.Entries = out.Entries[:begin]
		return err
	}
	if done {
		return nil
	}
	if f.op != nil {
		s.answered(&f, out)
		return nil
	}
	scan.Reset(f.data)
	topic := f.topic.Bytes()
	switch {
	case bytes.HasPrefix(topic, []byte(tradeTopic)) && len(f.data) > 0 && f.data[0] == '[':
		s.trades(&f, &scan, received, out)
	case bytes.HasPrefix(topic, []byte(bookTopic)) && len(f.data) > 0 && f.data[0] == '{':
		s.book(&f, &scan, received, out)
	case bytes.HasPrefix(topic, []byte(tickerTopic)) && len(f.data) > 0 && f.data[0] == '{':
		s.ticker(&f, &scan, received, out)
	default:
		out.Unused("unknown_type")
		return nil
	}
	if err := scan.End(); err != nil {
		out.Entries = out.Entries[:begin]
		return err
	}
	return nil
}

func (f *frame) member(key []byte, v venue.Value) {
	switch string(key) {
	case "topic":
		f.topic = v
	case "type":
		f.kind = v
	case "ts":
		f.sent = v
	case "cts":
		f.matched = v
	case "op":
		f.op = v
	case "success":
		f.success = v
	case "ret_msg":
		f.text = v
	case "req_id":
		f.request = v
	case "data":
		f.data = v
	}
}

// stream returns what a topic is about.
func (s *session) stream(f *frame, topic string) *stream {
	return s.streams[string(f.topic.Bytes()[len(topic):])]
}

// trades reads the trades of one instrument. Their numbers rise, with holes: a trade that can't be used is not seen to be
// missing later.
func (s *session) trades(f *frame, scan *venue.Scanner, received market.Time, out *venue.Output) {
	st := s.stream(f, tradeTopic)
	if st == nil {
		out.Unused("unknown_symbol")
		scan.Skip()
		return
	}
	for scan.Enter('['); scan.More(); {
		var t trade
		t.read(scan)
		if scan.Err() != nil {
			return
		}
		e := market.Entry{Kind: market.KindTrade, Symbol: st.symbol, Received: received}
		if !t.fill(&e) {
			out.Unused("bad_trade")
			out.Lost = "bad trade"
			continue
		}
		out.Entries = append(out.Entries, e)
	}
}

// trade is a trade of the stream, or of the past:
//
//	{"i":"2100000000188691533","T":1789299670888,"p":"77140.5","v":"0.000078","S":"Sell","seq":2189232212,"s":"BTCUSDT","BT":false,"RPI":false}
//	{"execId":"2100000000188691533","symbol":"BTCUSDT","price":"77140.5","size":"0.000078","side":"Sell","time":"1789299670888","isBlockTrade":false,"isRPITrade":false}
type trade struct {
	name, at, price, size, side venue.Value
	block, retail               bool
}

func (t *trade) read(s *venue.Scanner) {
	for s.Enter('{'); ; {
		key, ok := s.Key()
		if !ok {
			return
		}
		switch v := s.Value(); string(key) {
		case "i", "execId":
			t.name = v
		case "T", "time":
			t.at = v
		case "p", "price":
			t.price = v
		case "v", "size":
			t.size = v
		case "S", "side":
			t.side = v
		case "BT", "isBlockTrade":
			t.block = v.True()
		case "RPI", "isRPITrade":
			t.retail = v.True()
		}
	}
}

// fill sets what a trade is, and reports whether all of it could be read. The side is the taker's. On the spot market its name is
// a number; elsewhere it is 36 characters, the one thing about a trade that must be allocated, since the tape keeps it.
func (t *trade) fill(e *market.Entry) bool {
	const longest = 64
	price, err := t.price.Decimal()
	size, err2 := t.size.Decimal()
	name := t.name.Bytes()
	if err != nil || err2 != nil || price.Sign() <= 0 || size.Sign() <= 0 || len(name) == 0 || len(name) > longest {
		return false
	}
	e.Price, e.Size = price, size
	if id, ok := t.name.Uint(); ok && id != 0 && name[0] != '0' {
		e.ID = id
	} else {
		e.Ref = string(name)
	}
	switch {
	case t.side.Is("Buy"):
		e.Side = market.SideBuy
	case t.side.Is("Sell"):
		e.Side = market.SideSell
	}
	switch {
	case t.block && t.retail:
		e.Conditions = "BT,RPI"
	case t.block:
		e.Conditions = "BT"
	case t.retail:
		e.Conditions = "RPI"
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

// answered reads what the venue says of a message of ours. One bad topic fails all of its request:
//
//	{"success":true,"ret_msg":"subscribe","conn_id":"…","req_id":"1","op":"subscribe"}
//	{"success":false,"ret_msg":"Invalid symbol :[orderbook.1.NOSUCHSYM]","conn_id":"…","op":"subscribe"}
func (s *session) answered(f *frame, out *venue.Output) {
	if !f.op.Is("subscribe") {
		return // pings and what we gave up
	}
	words := venue.Clip(f.text.Text())
	at := s.which(f.request.Text(), words)
	if at < 0 {
		if !f.success.True() {
			out.Unused("venue_error")
		}
		return
	}
	req := s.asked[at]
	s.asked = slices.Delete(s.asked, at, at+1)
	if f.success.True() || len(req.instruments) == 1 && strings.Contains(words, "already subscribed") {
		for _, in := range req.instruments {
			if s.streams[in.Native] != nil {
				out.Taken = append(out.Taken, in.Symbol)
			}
		}
		return
	}
	bad := slices.IndexFunc(req.instruments, func(in venue.Instrument) bool { return names(words, in.Native) })
	if strings.Contains(words, "already subscribed") {
		bad = -1
	}
	switch {
	case len(req.instruments) == 1:
		s.refuse(req.instruments[0], words, out)
	case bad >= 0: // What becomes of the others is not said: they are asked for again.
		s.refuse(req.instruments[bad], words, out)
		s.ask(slices.Delete(req.instruments, bad, bad+1), out)
	default:
		for i := range req.instruments {
			s.ask(req.instruments[i:i+1], out)
		}
	}
}

func (s *session) refuse(in venue.Instrument, words string, out *venue.Output) {
	delete(s.streams, in.Native)
	out.Refused = append(out.Refused, venue.Refusal{Symbol: in.Symbol, Reason: words})
}

// which returns the request that an answer is to: by its id, by the instrument that its words name, or the oldest.
func (s *session) which(id, words string) int {
	if id != "" {
		return slices.IndexFunc(s.asked, func(r request) bool { return r.id == id })
	}
	for i, r := range s.asked {
		if slices.ContainsFunc(r.instruments, func(in venue.Instrument) bool { return names(words, in.Native) }) {
			return i
		}
	}
	return min(len(s.asked), 1) - 1
}

// names reports whether words name an instrument, as in "[orderbook.1.NOSUCHSYM]".
func names(words, native string) bool {
	for rest := words; ; {
		i := strings.Index(rest, native)
		if i < 0 {
			return false
		}
		before, after := i == 0 || !part(rest[i-1]), i+len(native) == len(rest) || !part(rest[i+len(native)])
		if before && after {
			return true
		}
		rest = rest[i+1:]
	}
}

func part(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-'
}
