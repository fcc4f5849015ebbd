package broker

import (
	"slices"
	"strings"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/mapping"
)

// ReadParams returns the names of the parameters that NewReader knows.
func ReadParams() []string { return append(mapping.MessageParams(), "columns", "levels") }

// Reader makes ticks of messages: by the mapping that the parameters describe, or by their shape. The same message makes the same
// ticks, whenever it is read. One goroutine uses it.
type Reader struct {
	levels  Levels
	mapping *mapping.Reader
	shapes  *shapes
}

// NewReader reads the parameters of a feed. Where a message does not say of which symbol it is, its topic does: usual is the
// template for that when levels= does not give another, and the separator divides the levels of a topic.
func NewReader(venueName string, p Params, usual, separator string) (*Reader, error) {
	levels, mapped, err := readParams(p, usual, separator)
	if err != nil {
		return nil, err
	}
	r := &Reader{levels: levels}
	if mapped {
		m, err := mapping.Messages(venueName, p)
		if err != nil {
			return nil, err
		}
		r.mapping = m.Reader()
		return r, nil
	}
	sh := &shapes{venue: venueName, levels: levels, columns: p.List("columns"), symbols: make(map[string]market.Symbol), only: make(map[string]bool)}
	for _, name := range p.List("symbols") {
		s, err := SymbolOf(venueName, name)
		if err != nil {
			return nil, p.Errorf("symbols", err.Error())
		}
		sh.only[s.Name()] = true
	}
	r.shapes = sh
	return r, nil
}

// CheckReader refuses what NewReader would refuse whatever the world looks like. It reads no file.
func CheckReader(venueName string, p Params, usual, separator string) error {
	_, mapped, err := readParams(p, usual, separator)
	switch {
	case err != nil:
		return err
	case mapped:
		return mapping.CheckMessages(venueName, p)
	}
	_, err = NewReader(venueName, p, usual, separator)
	return err
}

// readParams reads the parameters that are not the mapping's; mapped tells whether there is one.
func readParams(p Params, usual, separator string) (levels Levels, mapped bool, err error) {
	template := usual
	if p.Has("levels") {
		template = p.Get("levels")
	}
	if levels, err = ParseLevels(template, separator); err != nil {
		return levels, false, p.Errorf("levels", err.Error())
	}
	mapped = slices.ContainsFunc(mapping.MessageParams(), func(name string) bool { return name != "symbols" && p.Has(name) })
	if !p.Has("columns") {
		return levels, mapped, nil
	}
	if mapped {
		return levels, false, p.Errorf("columns", "a mapping of JSON is given as well")
	}
	known := columnNames()
	for _, name := range p.List("columns") {
		if _, ok := known[name]; !ok {
			return levels, false, p.Errorf("columns", "want some of time, symbol, price, size, side, id, bid, bid_size, ask, ask_size, exchange, and _ for what is left out")
		}
	}
	return levels, false, nil
}

// Read appends the ticks of a message to out, and counts what can't be used. It keeps nothing of the message.
func (r *Reader) Read(m *Message, out *venue.Output) {
	if r.shapes != nil {
		r.shapes.read(m, out)
		return
	}
	r.mapping.Name, r.mapping.Event = r.levels.Name(m), m.Time
	if _, tail, ok := strings.Cut(r.mapping.Name, ":"); ok {
		r.mapping.Name = tail
	}
	r.mapping.Read(m.Value, m.Received, out)
}
