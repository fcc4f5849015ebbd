package alpaca

import (
	"encoding/binary"
	"encoding/json"

	"tapedeck/internal/venue"
)

// member is a member of a message to the venue: a text or a list of texts.
type member struct {
	name string
	text string
	list []string
}

// auth says who we are.
func (v *Venue) auth() []byte {
	return v.message(member{name: "action", text: "auth"}, member{name: "key", text: v.o.Key}, member{name: "secret", text: v.o.Secret})
}

// action asks for symbols, or asks for them no longer. Halts are told with the trades of stocks; corrections come by themselves.
func (v *Venue) action(action string, kinds venue.Kinds, names []string) []byte {
	members := []member{{name: "action", text: action}}
	if kinds&venue.Trades != 0 {
		members = append(members, member{name: "trades", list: names})
	}
	if kinds&venue.Quotes != 0 {
		members = append(members, member{name: "quotes", list: names})
	}
	switch v.o.Feed {
	case "iex", "sip", "delayed_sip":
		members = append(members, member{name: "statuses", list: names})
	}
	return v.message(members...)
}

// message writes members as the connection has it, in JSON or as MessagePack.
func (v *Venue) message(members ...member) []byte {
	if v.o.Packed {
		return packMessage(members)
	}
	b := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, m.name), ':')
		if m.list == nil {
			b = appendJSON(b, m.text)
		} else {
			b = appendJSON(b, m.list)
		}
	}
	return append(b, '}')
}

// appendJSON appends a string or a list of strings.
func appendJSON[T string | []string](b []byte, v T) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a text that is not JSON: " + err.Error())
	}
	return append(b, text...)
}

func packMessage(members []member) []byte {
	b := []byte{0x80 | byte(len(members))}
	for _, m := range members {
		b = packString(b, m.name)
		if m.list == nil {
			b = packString(b, m.text)
			continue
		}
		b = binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(len(m.list))) // at most mostNames
		for _, s := range m.list {
			b = packString(b, s)
		}
	}
	return b
}

func packString(b []byte, s string) []byte {
	if len(s) < 32 {
		b = append(b, 0xa0|byte(len(s)))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(len(s)))
	}
	return append(b, s...)
}
