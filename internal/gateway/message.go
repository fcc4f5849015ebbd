package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"tapedeck/internal/market"
	"tapedeck/internal/tape"
)

// maxDepth is how deep a client's message may be nested.
const maxDepth = 16

// request is a message of a client.
type request struct {
	action string
	lists  [listed][]string
	cursor *bool
	mode   string        // "every", "latest", or "" when it is not said
	every  time.Duration // 0 when it is not said
	from   *departure
	order  order // what is asked of the time machine
}

// departure is where a client wants to go on from: behind a cursor, or at a time.
type departure struct {
	cursor *tape.Cursor
	trail  *trail // of a cursor of what was played; else nil
	time   market.Time
}

// parseRequest reads a client's message: one object, in MessagePack when packed is true and in JSON otherwise. Members that are
// not known are ignored, as the dialect has it; what is repeated, nested too deep or of the wrong type is an error that names it.
func parseRequest(packed bool, data []byte) (*request, error) {
	read, kind := decodeJSON, "JSON object"
	if packed {
		read, kind = unpackValue, "MessagePack map"
	}
	v, err := read(data)
	if err != nil {
		return nil, err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a message is one %s", kind)
	}
	r := &request{}
	if r.action, ok = o["action"].(string); !ok {
		return nil, errors.New(`"action" must be a string`)
	}
	for i, name := range channelNames() {
		if r.lists[i], err = stringList(o, name); err != nil {
			return nil, err
		}
	}
	if isOrder(r.action) {
		err = r.command(o)
	} else {
		err = r.additions(o)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// additions reads the members that Tapedeck adds to the dialect.
func (r *request) additions(o map[string]any) error {
	switch v := o["cursor"].(type) {
	case nil:
	case bool:
		r.cursor = &v
	default:
		return errors.New(`"cursor" must be true or false`)
	}
	switch v := o["mode"].(type) {
	case nil:
	case string:
		if v != "every" && v != "latest" {
			return fmt.Errorf(`"mode" is %.40q: it must be "every" or "latest"`, v)
		}
		r.mode = v
	default:
		return errors.New(`"mode" must be "every" or "latest"`)
	}
	switch v := o["every"].(type) {
	case nil:
	case string:
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return fmt.Errorf(`"every" is %.40q: it must be a duration, such as "50ms"`, v)
		}
		r.every = d
	default:
		return errors.New(`"every" must be a duration, such as "50ms"`)
	}
	switch v := o["from"].(type) {
	case nil:
		return nil
	case map[string]any:
		return r.departure(v)
	default:
		return errors.New(`"from" must be {"cursor":"…"} or {"time":"…"}`)
	}
}

func (r *request) departure(o map[string]any) error {
	cursor, hasCursor := o["cursor"].(string)
	at, hasTime := timeText(o["time"])
	switch {
	case len(o) != 1 || !hasCursor && !hasTime:
		return errors.New(`"from" must be {"cursor":"…"} or {"time":"…"}`)
	case hasCursor:
		from, err := parseCursor(cursor)
		if err != nil {
			return fmt.Errorf(`"from.cursor": %w`, err)
		}
		r.from = from
	default:
		t, _, err := instant("from.time", at)
		if err != nil {
			return fmt.Errorf(`"from.time": %.40q is not RFC 3339, a date, an epoch or how long ago: %w`, at, err)
		}
		r.from = &departure{time: t}
	}
	return nil
}

// timeText returns what a client gave as a time: a text, or an epoch as a number, in whatever digits.
func timeText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		if d, err := market.ParseDecimal(v.String()); err == nil {
			if n, exact := whole(d); exact {
				return strconv.FormatInt(n, 10), true
			}
		}
		return v.String(), true
	}
	return "", false
}

// stringList reads a list of strings; null and a missing member are an empty list.
func stringList(o map[string]any, name string) ([]string, error) {
	list, ok := o[name].([]any)
	if !ok {
		if o[name] == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("%q must be a list of symbols", name)
	}
	strings := make([]string, len(list))
	for i, v := range list {
		if strings[i], ok = v.(string); !ok || strings[i] == "" {
			return nil, fmt.Errorf("%q must be a list of symbols; number %d is none", name, i+1)
		}
	}
	return strings, nil
}

// decodeJSON reads one JSON value and nothing behind it. Numbers are json.Number.
func decodeJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := readValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the message")
	}
	return v, nil
}

// readValue reads one JSON value. Unlike json.Unmarshal it refuses members that occur twice.
func readValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, syntax(err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	switch delim {
	case '{':
		o := make(map[string]any)
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, syntax(err)
			}
			name, ok := k.(string)
			if !ok {
				return nil, errors.New("a member without a name")
			}
			if _, twice := o[name]; twice {
				return nil, fmt.Errorf("%.40q occurs twice", name)
			}
			if o[name], err = readValue(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return o, syntax(err)
	case '[':
		list := []any{}
		for dec.More() {
			v, err := readValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, syntax(err)
	}
	return nil, errors.New("not JSON")
}

func syntax(err error) error {
	if err == nil {
		return nil
	}
	if at, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("not JSON at byte %d: %s", at.Offset, at.Error())
	}
	return errors.New("not JSON: it ends too early")
}
