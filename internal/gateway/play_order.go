package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"tapedeck/internal/market"
)

// pace is how many seconds of the past a session is told in one of ours.
type pace float64

const (
	unsaid  pace = 0
	flatOut pace = -1 // "max": as fast as the client reads
	slowest pace = 0.1
	fastest pace = 10_000
)

// mostSteps is how many ticks a client may step at once.
const mostSteps = 10_000

// append writes the pace as clients are told it.
func (p pace) append(dst []byte) []byte {
	if p == flatOut {
		return append(dst, `"max"`...)
	}
	return strconv.AppendFloat(dst, float64(p), 'f', -1, 64)
}

// parsePace reads a pace; ok is false when it is none.
func parsePace(text string) (p pace, ok bool) {
	if text == "max" {
		return flatOut, true
	}
	f, err := strconv.ParseFloat(text, 64)
	p = pace(f)
	return p, err == nil && p >= slowest && p <= fastest
}

// paces says which there are.
const paces = `a number from 0.1 to 10000, or "max"`

// order is what a client asks of the time machine.
type order struct {
	from  *departure  // of play, and of seek: where to
	to    market.Time // 0 when the end is open
	pace  pace
	ticks int // of step
}

// isOrder reports whether an action is for the time machine.
func isOrder(action string) bool {
	switch action {
	case "play", "pause", "resume", "seek", "speed", "step", "live":
		return true
	}
	return false
}

// needsPlaces reports whether carrying out a request takes a while, because it looks places up.
func (r *request) needsPlaces() bool { return r.from != nil || r.order.from != nil }

// command reads the members of an action for the time machine.
func (r *request) command(o map[string]any) (err error) {
	switch r.action {
	case "play":
		if r.order.from, err = whence(o["from"]); err != nil {
			return err
		}
		if r.order.to, err = moment("to", o["to"]); err != nil {
			return err
		}
		if r.order.pace, err = paceOf(o["speed"]); err != nil {
			return err
		}
		return r.order.check()
	case "seek":
		for _, name := range []string{"time", "to", "t"} {
			if o[name] == nil {
				continue
			}
			t, err := moment(name, o[name])
			r.order.from = &departure{time: notZero(t)}
			return err
		}
		return errors.New(`"time" must say where to, such as "2026-11-23T14:30:00Z"`)
	case "speed":
		if r.order.pace, err = paceOf(o["speed"]); err == nil && r.order.pace == unsaid {
			err = errors.New(`"speed" must be ` + paces)
		}
		return err
	case "step":
		r.order.ticks = 1
		if v, ok := o["ticks"]; ok {
			n, ok := v.(json.Number)
			if r.order.ticks, err = strconv.Atoi(n.String()); !ok || err != nil || r.order.ticks < 1 || r.order.ticks > mostSteps {
				return fmt.Errorf(`"ticks" must be a whole number from 1 to %d`, mostSteps)
			}
		}
	}
	return nil
}

// check refuses a span that is none.
func (o *order) check() error {
	if o.from == nil {
		return errors.New(`"from" must say where to begin, such as "2026-11-23T14:30:00Z"`)
	}
	if o.to != 0 && o.from.cursor == nil && o.to <= o.from.time {
		return errors.New(`"to" must be later than "from"`)
	}
	return nil
}

// whence reads where a play begins: a time, or as in a subscription {"time":…} or {"cursor":…}.
func whence(v any) (*departure, error) {
	if o, ok := v.(map[string]any); ok {
		var r request
		if err := r.departure(o); err != nil {
			return nil, err
		}
		return r.from, nil
	}
	t, err := moment("from", v)
	if err != nil || v == nil {
		return nil, err
	}
	return &departure{time: notZero(t)}, nil
}

// moment reads a time; a member that is missing is 0.
func moment(name string, v any) (market.Time, error) {
	if v == nil {
		return 0, nil
	}
	text, ok := timeText(v)
	if !ok {
		return 0, fmt.Errorf(`%q must be a time such as "2026-11-23T14:30:00Z"`, name)
	}
	t, _, err := instant(name, text)
	if err != nil {
		return 0, fmt.Errorf("%q: %.40q is not RFC 3339, a date, an epoch or how long ago: %w", name, text, err)
	}
	return t, nil
}

// paceOf reads a pace as a client gave it; one that is missing is unsaid.
func paceOf(v any) (pace, error) {
	var text string
	switch v := v.(type) {
	case nil:
		return unsaid, nil
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	p, ok := parsePace(text)
	if !ok {
		return 0, fmt.Errorf(`"speed" is %.40q: it must be %s`, text, paces)
	}
	return p, nil
}

// order reads a play out of the query of a stream: from or cursor, to and speed. It returns nil when there is none.
func (p params) order() (*order, error) {
	o := &order{}
	var err error
	if text, ok := p["from"]; ok {
		t, _, err := instant("from", text)
		if err != nil {
			return nil, err
		}
		o.from = &departure{time: notZero(t)}
	}
	if text, ok := p["cursor"]; ok {
		from, err := parseCursor(text)
		switch {
		case err != nil:
			return nil, bad("cursor", text, err.Error())
		case o.from != nil:
			return nil, bad("cursor", text, "give either from, a time, or cursor")
		}
		o.from = from
	}
	if text, ok := p["to"]; ok {
		if o.to, _, err = instant("to", text); err != nil {
			return nil, err
		}
	}
	if text, ok := p["speed"]; ok {
		if o.pace, ok = parsePace(text); !ok {
			return nil, bad("speed", text, "it must be "+paces)
		}
	}
	switch {
	case o.from == nil && o.to == 0 && o.pace == unsaid:
		return nil, nil
	case o.from == nil:
		return nil, bad("from", "", "say where to begin, such as 2026-11-23T14:30:00Z")
	case o.check() != nil:
		return nil, bad("to", p["to"], "it must be later than from")
	}
	return o, nil
}
