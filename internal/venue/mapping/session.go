package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unsafe"

	"github.com/tidwall/gjson"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// Venue is a WebSocket source as a venue.
type Venue struct{ m *Mapping }

var _ venue.Venue = (*Venue)(nil)

// Venue returns the source as a venue. The mapping must be of one that streams.
func (m *Mapping) Venue() *Venue { return &Venue{m: m} }

// Traits implements venue.Venue.
func (v *Venue) Traits() venue.Traits {
	st := &v.m.Stream
	t := venue.Traits{
		Name: "ws+json", Heartbeat: st.Stall / 2, Ping: st.Stall / 3, // what answers pings is alive, whether it has anything to say or not
		Pace: st.Pace, Dial: time.Second, NoNumbers: !v.m.Numbered(), Open: len(v.m.Symbols) == 0,
	}
	if st.Ack != nil {
		t.Ack = st.AckTime
	}
	return t
}

// Endpoint implements venue.Venue.
func (v *Venue) Endpoint(venue.Kinds) (url string, header http.Header) {
	return v.m.URL.String(), v.m.Header.Clone()
}

// Listing implements venue.Venue: such a source can't be asked.
func (v *Venue) Listing() venue.Listing { return nothing{} }

// Name implements venue.Venue.
func (v *Venue) Name(name string) (venue.Instrument, error) {
	s, reason := v.m.names.symbol(name)
	if reason != "" {
		return venue.Instrument{}, fmt.Errorf("%.80q is not among symbols=", name)
	}
	return venue.Instrument{Native: name, Symbol: s}, nil
}

// Instruments returns what the feed carries by name; none when it takes whatever comes.
func (v *Venue) Instruments() []venue.Instrument {
	list := make([]venue.Instrument, 0, len(v.m.Symbols))
	for _, native := range v.m.Symbols {
		list = append(list, venue.Instrument{Native: native, Symbol: v.m.Symbol(native)})
	}
	return list
}

// History implements venue.Venue: there is none.
func (v *Venue) History() venue.History { return nil }

// Session implements venue.Venue.
func (v *Venue) Session(_ venue.Kinds, instruments []venue.Instrument) venue.Session {
	return &session{m: v.m, reader: v.m.Reader(), carries: instruments}
}

type nothing struct{}

func (nothing) First([]string) *venue.Request { return nil }

func (nothing) Page(_ *venue.Request, _ *venue.Reply, dst []venue.Instrument) ([]venue.Instrument, *venue.Request, error) {
	return dst, nil, nil
}

// session is the protocol on one connection, as far as the mapping tells one.
type session struct {
	m       *Mapping
	reader  *Reader
	carries []venue.Instrument
	waiting [][]market.Symbol // what each subscription that is not acknowledged asked for, the oldest first
	pinged  market.Time
}

// Opened implements venue.Session.
func (s *session) Opened(out *venue.Output) error {
	if login := s.m.Stream.Login; login != "" {
		out.Send = append(out.Send, []byte(login))
	}
	for _, message := range s.m.Stream.Subscribe {
		if !templated(message) {
			out.Send = append(out.Send, []byte(message))
			s.wait(s.carries)
		}
	}
	s.ask(s.m.Stream.Subscribe, s.carries, true, out)
	return nil
}

// Subscribe implements venue.Session.
func (s *session) Subscribe(instruments []venue.Instrument, out *venue.Output) error {
	s.ask(s.m.Stream.Subscribe, instruments, true, out)
	return nil
}

// Unsubscribe implements venue.Session.
func (s *session) Unsubscribe(instruments []venue.Instrument, out *venue.Output) error {
	s.ask(s.m.Stream.Unsubscribe, instruments, false, out)
	return nil
}

// ask appends the messages that name instruments.
func (s *session) ask(messages []string, instruments []venue.Instrument, acknowledged bool, out *venue.Output) {
	for _, message := range messages {
		if !templated(message) {
			continue
		}
		chunk := s.m.Stream.Chunk
		if strings.Contains(message, "{symbol}") {
			chunk = 1
		}
		for rest := instruments; len(rest) > 0; {
			n := min(chunk, len(rest))
			out.Send = append(out.Send, fill(message, rest[:n]))
			if acknowledged {
				s.wait(rest[:n])
			}
			rest = rest[n:]
		}
	}
}

// wait notes that an acknowledgement of the instruments is to come.
func (s *session) wait(instruments []venue.Instrument) {
	if s.m.Stream.Ack == nil && s.m.Stream.Refuse == nil {
		return
	}
	symbols := make([]market.Symbol, len(instruments))
	for i := range instruments {
		symbols[i] = instruments[i].Symbol
	}
	s.waiting = append(s.waiting, symbols)
}

// templated reports whether a message names instruments.
func templated(message string) bool {
	return strings.Contains(message, "{symbol}") || strings.Contains(message, "{symbols}") || strings.Contains(message, "{list}")
}

// fill puts names into a message: {symbol} is one name, {list} several between commas, both as inside a JSON string, and
// {symbols} a JSON array.
func fill(message string, instruments []venue.Instrument) []byte {
	names := make([]string, len(instruments))
	var array bytes.Buffer
	array.WriteByte('[')
	for i := range instruments {
		quoted, err := json.Marshal(instruments[i].Native)
		if err != nil {
			panic("BUG: a text that is no JSON: " + err.Error())
		}
		if i > 0 {
			array.WriteByte(',')
		}
		array.Write(quoted)
		names[i] = string(quoted[1 : len(quoted)-1])
	}
	array.WriteByte(']')
	return []byte(strings.NewReplacer("{symbol}", names[0], "{list}", strings.Join(names, ","), "{symbols}", array.String()).Replace(message))
}

// Message implements venue.Session.
func (s *session) Message(msg []byte, received market.Time, out *venue.Output) error {
	st := &s.m.Stream
	if string(bytes.TrimSpace(msg)) == st.Pong {
		return nil
	}
	if st.Ack == nil && st.Refuse == nil {
		s.reader.Read(msg, received, out)
		return nil
	}
	message := unsafe.String(unsafe.SliceData(msg), len(msg))
	switch {
	case !shallow(message) || !gjson.Valid(message):
		out.Unused(ReasonNotJSON)
	case st.Refuse != nil && st.Refuse.holds(message, message):
		return s.refused(message, out)
	case st.Ack != nil && st.Ack.holds(message, message):
		if len(s.waiting) > 0 {
			out.Taken = append(out.Taken, s.waiting[0]...)
			s.waiting = s.waiting[1:]
		}
	default:
		s.reader.read(message, received, out)
	}
	return nil
}

// maxWords bounds what of a source's words is repeated.
const maxWords = 200

// refused reads a refusal of the oldest subscription that waits, or of the connection when none does.
func (s *session) refused(message string, out *venue.Output) error {
	reason := "refused"
	if at := s.m.Stream.RefuseText; at != "" {
		if words := text(gjson.Get(message, at)); words != "" {
			reason = venue.Mask(strings.Clone(words[:min(len(words), maxWords)]), s.m.secrets...)
		}
	}
	if len(s.waiting) == 0 || len(s.waiting[0]) == 0 {
		return errors.New("the source refuses: " + reason)
	}
	for _, symbol := range s.waiting[0] {
		out.Refused = append(out.Refused, venue.Refusal{Symbol: symbol, Reason: reason})
	}
	s.waiting = s.waiting[1:]
	return nil
}

// Second implements venue.Session.
func (s *session) Second(now market.Time, out *venue.Output) error {
	st := &s.m.Stream
	if st.Ping == "" {
		return nil
	}
	if s.pinged == 0 {
		s.pinged = now
	}
	if now.Sub(s.pinged) >= st.Every {
		s.pinged = now
		out.Send = append(out.Send, []byte(st.Ping))
	}
	return nil
}
