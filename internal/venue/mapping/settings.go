package mapping

import (
	"fmt"
	"strings"
	"time"

	"tapedeck/internal/market"
)

// rules reads the rules of the file, or the one that the parameters are.
func (s *settings) rules(m *Mapping) error {
	sections := []*section{nil}
	if s.file != nil && len(s.file.rules) > 0 {
		sections = s.file.rules
	}
	defer func() { s.rule = nil }()
	for _, s.rule = range sections {
		r, err := s.readRule(m)
		if err != nil {
			return err
		}
		m.rules = append(m.rules, r)
	}
	return nil
}

// readRule reads one rule.
func (s *settings) readRule(m *Mapping) (r rule, err error) {
	price := "price"
	if s.value("value") != "" {
		if s.value("price") != "" {
			return r, s.errorf("value", "is another word for price, which is given as well")
		}
		price = "value"
	}
	for _, p := range []struct {
		name string
		to   *path
	}{
		{"items", &r.items},
		{price, &r.price},
		{"size", &r.size},
		{"side", &r.side},
		{"id", &r.id},
		{"bid", &r.bid},
		{"bidsize", &r.bidSize},
		{"ask", &r.ask},
		{"asksize", &r.askSize},
		{"time", &r.time},
	} {
		if v := s.value(p.name); v != "" {
			if *p.to, err = parsePath(v); err != nil {
				return r, s.wrap(p.name, err)
			}
		}
	}
	switch {
	case !r.price.set() && !r.bid.set() && !r.ask.set():
		return r, s.errorf("value", "is missing: say where the value stands, or the bid and the ask")
	case r.bid.set() != r.ask.set():
		return r, s.errorf("bid", "a quote needs both bid and ask")
	case r.items.message:
		return r, s.errorf("items", "is a path in the message anyway: leave the ^ out")
	}
	if r.filter, err = parseCondition(s.value("filter")); err != nil {
		return r, s.wrap("filter", err)
	}
	if r.where, err = parseCondition(s.value("where")); err != nil {
		return r, s.wrap("where", err)
	}
	if err = s.readSymbol(m, &r); err != nil {
		return r, err
	}
	return r, s.readScales(&r)
}

// readSymbol reads where the symbol comes from.
func (s *settings) readSymbol(m *Mapping, r *rule) (err error) {
	symbol, as := s.value("symbol"), s.value("as")
	switch {
	case symbol != "" && as != "":
		return s.errorf("as", "symbol is given as well: one of them says what the symbol is")
	case symbol == "@key":
		r.keyed = true
	case symbol != "":
		r.symbol, err = parsePath(symbol)
		return s.wrap("symbol", err)
	case as != "":
		if r.as, err = parseTemplate(as); err != nil {
			return s.wrap("as", err)
		}
		if name, ok := r.as.constant(); ok {
			if _, reason := m.names.symbol(name); reason == ReasonOther {
				return s.errorf("as", fmt.Sprintf("%q is not among symbols", name))
			} else if reason != "" {
				return s.errorf("as", fmt.Sprintf("%.80q makes no symbol: it is too long", name))
			}
		}
	case len(m.Symbols) == 1:
		r.as, err = parseTemplate(m.Symbols[0])
		return s.wrap("symbols", err)
	case s.named:
	default:
		return s.errorf("symbol", "is missing: say where the symbol stands (symbol=path), or what it is (as=KITCHEN, as={room}-{kind})")
	}
	return nil
}

// readScales reads how times, numbers and sides are written.
func (s *settings) readScales(r *rule) (err error) {
	if r.clock, err = parseClock(s.value("unit"), s.value("tz")); err != nil {
		name := "unit"
		if strings.HasPrefix(err.Error(), "tz: ") {
			name = "tz"
		}
		return s.wrap(name, err)
	}
	if r.scale, err = s.whole("scale", 0, -30, 30); err != nil {
		return err
	}
	if r.sizeScale, err = s.whole("sizescale", 0, -30, 30); err != nil {
		return err
	}
	if r.maker, err = s.boolean("maker"); err != nil {
		return err
	}
	r.sides = make(map[string]market.Side)
	for _, word := range []string{"buy", "Buy", "BUY", "b", "B", "bid"} {
		r.sides[word] = market.SideBuy
	}
	for _, word := range []string{"sell", "Sell", "SELL", "s", "S", "ask"} {
		r.sides[word] = market.SideSell
	}
	for theirs, ours := range s.pairs("sides") {
		switch strings.ToLower(ours) {
		case "buy":
			r.sides[theirs] = market.SideBuy
		case "sell":
			r.sides[theirs] = market.SideSell
		case "none":
			r.sides[theirs] = market.SideNone
		default:
			return s.errorf("sides", "want theirs:buy, theirs:sell or theirs:none")
		}
	}
	return nil
}

// stream reads what is particular to a WebSocket source.
func (s *settings) stream(m *Mapping, place Place) (err error) {
	st := &m.Stream
	if st.Chunk, err = s.whole("chunk", 100, 1, 10_000); err != nil {
		return err
	}
	if st.Pace, err = s.duration("pace", 100*time.Millisecond, 0); err != nil {
		return err
	}
	if st.Every, err = s.duration("every", 20*time.Second, time.Second); err != nil {
		return err
	}
	if st.AckTime, err = s.duration("acktime", 10*time.Second, time.Second); err != nil {
		return err
	}
	if st.Stall, err = s.duration("stall", 12*time.Second, 2*time.Second); err != nil {
		return err
	}
	if st.Pong = s.value("pong"); st.Pong == "" {
		st.Pong = "pong"
	}
	if st.Ack, err = parseCondition(s.value("ack")); err != nil {
		return s.wrap("ack", err)
	}
	if st.Refuse, err = parseCondition(s.value("refuse")); err != nil {
		return s.wrap("refuse", err)
	}
	if st.RefuseText = s.value("refusetext"); st.RefuseText != "" {
		if _, err = parsePath(st.RefuseText); err != nil {
			return s.wrap("refusetext", err)
		}
	}
	for _, name := range []string{"subscribe", "unsubscribe"} {
		for _, message := range s.list(name) {
			if templated(message) && len(m.Symbols) == 0 {
				return s.errorf(name, "needs symbols=…")
			}
		}
	}
	if m.URL.Scheme != "ws" && m.URL.Scheme != "wss" {
		return s.errorf("map", place.Scheme+" is not a WebSocket")
	}
	return nil
}

// poll reads what is particular to an HTTP source.
func (s *settings) poll(m *Mapping) (err error) {
	p := &m.Poll
	if p.Interval, err = s.duration("interval", 10*time.Second, 100*time.Millisecond); err != nil {
		return err
	}
	if p.Timeout, err = s.duration("timeout", 10*time.Second, 100*time.Millisecond); err != nil {
		return err
	}
	if p.Stall, err = s.duration("stall", max(30*time.Second, 3*p.Interval), time.Second); err != nil {
		return err
	}
	if p.Max, err = s.bytes("max", 8<<20); err != nil {
		return err
	}
	if p.Repeat, err = s.boolean("repeat"); err != nil {
		return err
	}
	p.Since = s.value("since")
	switch {
	case p.Since != "" && !strings.Contains(p.Since, "{id}") && !strings.Contains(p.Since, "{time}"):
		return s.errorf("since", "want a query with {id} or {time}, such as after={id}")
	case strings.Contains(p.Since, "{id}") && !m.Numbered():
		return s.errorf("since", "{id} needs id=path in every rule")
	case strings.Contains(p.Since, "{time}") && !m.Timed():
		return s.errorf("since", "{time} needs time=path in every rule")
	}
	return nil
}
