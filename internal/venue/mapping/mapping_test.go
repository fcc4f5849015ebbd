package mapping_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/market"
	"tapedeck/internal/venue"
	"tapedeck/internal/venue/mapping"
)

// params are the parameters of a feed's URL.
type params map[string]string

func (p params) Get(name string) string { return p[name] }
func (p params) Has(name string) bool   { _, ok := p[name]; return ok }
func (p params) Errorf(name, problem string) error {
	return errors.New(name + "=" + p[name] + ": " + problem)
}

const arrival = market.Time(1_764_000_000_000_000_000)

func parse(t testing.TB, p params) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse(mapping.Place{Scheme: "ws+json", Target: "localhost/feed", Venue: "LAB"}, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read returns what comes out of messages, a line a tick, and the reasons of what does not.
func read(m *mapping.Mapping, messages ...string) []string {
	var out venue.Output
	r := m.Reader()
	for _, message := range messages {
		r.Read([]byte(message), arrival, &out)
	}
	return lines(&out)
}

func lines(out *venue.Output) []string {
	var lines []string
	for i := range out.Entries {
		e := &out.Entries[i]
		at := "arrival"
		if e.Flags&market.FlagNoEventTime == 0 || e.Event != e.Received {
			at = e.Event.String()
		}
		switch e.Kind {
		case market.KindTrade:
			line := fmt.Sprintf("%s %s %s x %s", e.Symbol, at, e.Price, e.Size)
			if e.Side != 0 {
				line += fmt.Sprintf(" side %d", e.Side)
			}
			if e.ID != 0 || e.Ref != "" {
				line += fmt.Sprintf(" id %d%s", e.ID, e.Ref)
			}
			lines = append(lines, line)
		case market.KindQuote:
			lines = append(lines, fmt.Sprintf("%s %s %s x %s / %s x %s", e.Symbol, at, e.Price, e.Size, e.Ask, e.AskSize))
		default:
			lines = append(lines, e.Kind.String())
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(out.Unusable)) {
		lines = append(lines, fmt.Sprintf("%d %s", out.Unusable[reason], reason))
	}
	return lines
}

func TestShapes(t *testing.T) {
	for name, test := range map[string]struct {
		params   params
		messages []string
		want     []string
	}{
		"one value": {
			params{"as": "KITCHEN", "value": "temp"},
			[]string{`{"temp":21.50}`, `{"temp":"-0.25"}`, `{"temp":true}`, `{"temp":null}`, `{"temp":[1]}`, `{"temp":"warm"}`, `{}`, `nope`},
			[]string{
				"LAB:KITCHEN arrival 21.50 x 0", "LAB:KITCHEN arrival -0.25 x 0", "LAB:KITCHEN arrival 1 x 0",
				"2 bad_value", "2 no_value", "1 not_json",
			},
		},
		"a bare number": {params{"as": "X", "value": "@this"}, []string{`7.10`, `"7.2"`}, []string{"LAB:X arrival 7.10 x 0", "LAB:X arrival 7.2 x 0"}},
		"items, a constant of the message, scale": {
			params{
				"items": "readings", "as": "{^room}-{kind}", "value": "v", "time": "at", "unit": "ms", "scale": "-2",
				"filter": "type=data", "where": "v,quality!=bad",
			},
			[]string{
				`{"type":"data","room":"cellar","readings":[{"kind":"temp","v":1234,"at":1764000000123},{"kind":"hum","v":55,"at":1764000000124.5,"quality":"bad"},{"kind":"hum"}]}`,
				`{"type":"hello"}`,
				`{"type":"data","room":"cellar"}`,
			},
			[]string{"LAB:CELLAR-TEMP 2025-11-24T16:00:00.123Z 12.34 x 0", "1 no_items"},
		},
		"an array, sides and ids": {
			params{"symbol": "s", "price": "p", "size": "q", "side": "m", "sides": "true:sell,false:buy", "id": "i", "names": "BTCUSDT:BTC-USDT"},
			[]string{`[{"s":"BTCUSDT","p":"84000.10","q":"0.00100000","m":true,"i":12},{"s":"eth/usd","p":"3000","q":"1","m":false,"i":"00a-b"},{"s":"X","p":1,"q":-1},{"s":"X","p":1,"i":{}}]`},
			[]string{
				"LAB:BTC-USDT arrival 84000.10 x 0.00100000 side 2 id 12", "LAB:ETH-USD arrival 3000 x 1 side 1 id 000a-b", "1 bad_id", "1 bad_size",
			},
		},
		"the maker's side": {
			params{"as": "X", "price": "p", "side": "s", "maker": "true"},
			[]string{`{"p":1,"s":"sell"}`, `{"p":1,"s":"?"}`},
			[]string{"LAB:X arrival 1 x 0 side 1", "LAB:X arrival 1 x 0"},
		},
		"quotes and trades of one item": {
			params{"as": "X", "price": "last", "bid": "bid.0", "bidsize": "bid.1", "ask": "ask.0", "asksize": "ask.1", "time": "t", "unit": "rfc3339"},
			[]string{`{"last":2.0,"bid":["1.9","10"],"ask":["2.1","11"],"t":"2026-11-23T14:30:00.000000001+01:00"}`, `{"bid":["1.8","1"],"t":"2026-11-23T13:30:01Z"}`, `{"last":2.5,"t":"2026-11-23T13:30:02Z"}`, `{"last":1,"t":""}`},
			[]string{
				"LAB:X 2026-11-23T13:30:00.000000001Z 1.9 x 10 / 2.1 x 11", "LAB:X 2026-11-23T13:30:00.000000001Z 2.0 x 0",
				"LAB:X 2026-11-23T13:30:01Z 1.8 x 1 / 0 x 0", "LAB:X 2026-11-23T13:30:02Z 2.5 x 0", "1 bad_time",
			},
		},
		"an object by its keys": {
			params{"items": "prices", "symbol": "@key", "price": "usd"},
			[]string{`{"prices":{"bitcoin":{"usd":84000},"ether":{"usd":3000.5},"":{"usd":1}}}`, `{"prices":[1]}`},
			[]string{"LAB:BITCOIN arrival 84000 x 0", "LAB:ETHER arrival 3000.5 x 0", "1 bad_symbol", "1 no_items"},
		},
		"a symbol that is no word": {
			params{"symbol": "s", "price": "p"},
			[]string{`[{"s":{"a":1},"p":1},{"s":["A"],"p":1},{"s":7,"p":1}]`},
			[]string{"LAB:7 arrival 1 x 0", "2 bad_symbol"},
		},
		"rows": {
			params{"items": "rows", "as": "X", "time": "0", "price": "1", "size": "2"},
			[]string{`{"rows":[[1764000000,"1.5","2"],[1764000000123456789,1.6,3]]}`},
			[]string{"LAB:X 2025-11-24T16:00:00Z 1.5 x 2", "LAB:X 2025-11-24T16:00:00.123456789Z 1.6 x 3"},
		},
		"only these symbols": {
			params{"symbols": "a, b", "symbol": "s", "price": "p"},
			[]string{`{"s":"a","p":1}`, `{"s":"c","p":1}`, `{"s":"b","p":1}`, `{"p":1}`},
			[]string{"LAB:A arrival 1 x 0", "LAB:B arrival 1 x 0", "1 bad_symbol", "1 other_symbol"},
		},
		"a layout in a zone": {
			params{"as": "X", "value": "v", "time": "t", "unit": "02.01.2006 15:04:05", "tz": "Europe/Berlin"},
			[]string{`{"v":1,"t":"23.11.2026 15:30:00"}`, `{"v":1,"t":"2026-11-23"}`},
			[]string{"LAB:X 2026-11-23T14:30:00Z 1 x 0", "1 bad_time"},
		},
		"deep": {
			params{"as": "X", "value": "v"},
			[]string{`{"v":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, strings.Repeat("[", 1<<20)},
			[]string{"2 not_json"},
		},
		"exponents and ranges": {
			params{"as": "X", "value": "v"},
			[]string{`{"v":1.25E-3}`, `{"v":1e400}`, `{"v":123456789012345678901234567890}`, `{"v":"NaN"}`},
			[]string{"LAB:X arrival 0.00125 x 0", "3 bad_value"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, read(parse(t, test.params), test.messages...)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTimeUnits(t *testing.T) {
	const want = "2025-11-24T16:00:00"
	for _, test := range []struct{ unit, sent, fraction string }{
		{"s", `1764000000`, "Z"},
		{"s", `"1764000000.000000001"`, ".000000001Z"},
		{"s", `1764000000.0000000019`, ".000000001Z"},
		{"s", `1.764E9`, "Z"},
		{"ms", `1764000000001`, ".001Z"},
		{"us", `1764000000000001`, ".000001Z"},
		{"ns", `1764000000000000001`, ".000000001Z"},
		{"", `1764000000`, "Z"},
		{"auto", `1764000000.5`, ".5Z"},
		{"auto", `1764000000500`, ".5Z"},
		{"auto", `"1764000000500000"`, ".5Z"},
		{"auto", `1764000000500000000`, ".5Z"},
		{"auto", `"2025-11-24T17:00:00.5+01:00"`, ".5Z"},
	} {
		m := parse(t, params{"as": "X", "value": "v", "time": "t", "unit": test.unit})
		got := read(m, `{"v":1,"t":`+test.sent+`}`)
		if diff := cmp.Diff([]string{"LAB:X " + want + test.fraction + " 1 x 0"}, got); diff != "" {
			t.Errorf("%s %s (-want +got)\n%s", test.unit, test.sent, diff)
		}
	}
	for _, sent := range []string{`0`, `1e300`, `"soon"`, `-1e30`, `null`, `{}`} {
		for _, unit := range []string{"s", "ms", "us", "ns", "auto", "rfc3339"} {
			got := read(parse(t, params{"as": "X", "value": "v", "time": "t", "unit": unit}), `{"v":1,"t":`+sent+`}`)
			if diff := cmp.Diff([]string{"1 bad_time"}, got); diff != "" {
				t.Errorf("%s %s (-want +got)\n%s", unit, sent, diff)
			}
		}
	}
}

func TestBoundOfSymbols(t *testing.T) {
	m := parse(t, params{"symbol": "s", "price": "p"})
	r := m.Reader()
	var out venue.Output
	for i := range 10_010 {
		r.Read(fmt.Appendf(nil, `{"s":"S%d","p":1}`, i), arrival, &out)
	}
	if got := out.Unusable[mapping.ReasonTooMany]; got != 10 || len(out.Entries) != 10_000 {
		t.Errorf("got %d ticks and %d refused, want 10000 and 10", len(out.Entries), got)
	}
}

func TestMistakesNameTheParameter(t *testing.T) {
	for _, test := range []struct {
		params params
		want   string
	}{
		{params{}, "value=: is missing"},
		{params{"value": "v"}, "symbol=: is missing"},
		{params{"value": "v", "price": "p", "as": "X"}, "value=v: is another word for price"},
		{params{"value": "v", "as": "X", "symbol": "s"}, "as=X: symbol is given as well"},
		{params{"value": ".v", "as": "X"}, "value=.v: not a path"},
		{params{"value": "!v", "as": "X"}, "value=!v: not a path"},
		{params{"value": "v", "as": "{x"}, "as={x: a brace"},
		{params{"value": "v", "as": strings.Repeat("x", 80)}, "makes no symbol"},
		{params{"value": "v", "as": "Z", "symbols": "a,b"}, `as=Z: "Z" is not among symbols`},
		{params{"bid": "b", "as": "X"}, "bid=b: a quote needs both"},
		{params{"value": "v", "as": "X", "unit": "minutes"}, "unit=minutes: want s, ms"},
		{params{"value": "v", "as": "X", "tz": "Mars/Base"}, "tz=Mars/Base: tz: no zone is called"},
		{params{"value": "v", "as": "X", "scale": "99"}, "scale=99: want a whole number from -30 to 30"},
		{params{"value": "v", "as": "X", "sides": "a:up"}, "sides=a:up: want theirs:buy"},
		{params{"value": "v", "as": "X", "filter": "=1"}, "filter==1"},
		{params{"value": "v", "as": "X", "maker": "perhaps"}, "maker=perhaps: want true or false"},
		{params{"value": "v", "as": "X", "subscribe": `{"s":{symbols}}`}, "subscribe="},
		{params{"value": "v", "as": "X", "stall": "1ms"}, "stall=1ms: want a length of time"},
		{params{"value": "v", "as": "X", "chunk": "0"}, "chunk=0: want a whole number from 1"},
		{params{"value": "v", "as": "X", "header": "X-Key: abc"}, "write {key} in header="},
		{params{"value": "v", "as": "X", "header": "nonsense"}, "header=nonsense: want Name: value"},
		{params{"value": "v", "as": "X", "query": "token=abc"}, "write {key} in query="},
		{params{"value": "v", "as": "X", "header": "X-Key: {key}", "key": "env:NOT_SET_ANYWHERE"}, "key=env:NOT_SET_ANYWHERE: the environment variable NOT_SET_ANYWHERE is not set"},
		{params{"symbols": "a,a", "value": "v"}, `symbols=a,a: "a" is there twice`},
		{params{"map": "/nonexistent.yaml"}, "map=/nonexistent.yaml: open"},
	} {
		_, err := mapping.Parse(mapping.Place{Scheme: "ws+json", Target: "h/p", Venue: "LAB"}, test.params)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %q in it", test.params, err, test.want)
		}
	}
	for _, test := range []struct {
		params params
		want   string
	}{
		{params{"interval": "1ms"}, "interval=1ms: want a length of time from 100ms"},
		{params{"max": "1GB"}, "max=1GB: want a number of bytes"},
		{params{"since": "after=1"}, "since=after=1: want a query with {id} or {time}"},
		{params{"since": "after={id}"}, "{id} needs id=path"},
		{params{"since": "after={time}"}, "{time} needs time=path"},
	} {
		test.params["value"], test.params["as"] = "v", "X"
		_, err := mapping.Parse(mapping.Place{Scheme: "http+json", Target: "h/p", Venue: "LAB"}, test.params)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: got %v, want %q in it", test.params, err, test.want)
		}
		if err := mapping.Check(mapping.Place{Scheme: "http+json", Target: "h/p", Venue: "LAB"}, test.params); err == nil {
			t.Errorf("%v: Check takes what Parse refuses", test.params)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "map.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFile(t *testing.T) {
	t.Setenv("LAB_KEY", "top secret")
	path := write(t, `# scores of a league
url: wss://scores.test/live?league=1
key: env:LAB_KEY
header: ["X-Key: {key}", "Accept: application/json"]
subscribe: ['{"op":"hello"}', '{"op":"sub","games":{symbols}}']
symbols: [ars-che-home, ars-che-away]
time: at
unit: s
items: games
rules:
  - as: "{teams}-home"
    value: goals.0
  - as: "{teams}-away"
    value: goals.1
names: {x: y}
`)
	m, err := mapping.Parse(mapping.Place{Scheme: "ws+json", Venue: "LEAGUE"}, params{"map": path})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.URL.String(), "ws://scores.test/live?league=1"; got != want {
		t.Errorf("got address %s, want %s", got, want)
	}
	if got := m.Header.Get("X-Key"); got != "top secret" || !m.Secret {
		t.Errorf("got header %q, secret %v", got, m.Secret)
	}
	got := read(m, `{"games":[{"teams":"ars-che","goals":[2,1],"at":1764000000}]}`)
	want := []string{"LEAGUE:ARS-CHE-HOME 2025-11-24T16:00:00Z 2 x 0", "LEAGUE:ARS-CHE-AWAY 2025-11-24T16:00:00Z 1 x 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMistakesInFilesNameTheLine(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"value: v\nas: X\nunit: minutes\n", "line 3: unit: want s"},
		{"vlaue: v\n", `line 1: unknown key "vlaue" (did you mean value?)`},
		{"value: v\nvalue: w\n", "value"},
		{"value: v\nas:\n", "line 2: as: has no value"},
		{"as: X\nrules:\n  - size: s\n", "line 3: value: is missing"},
		{"as: X\nrules: []\n", "line 2: rules: want a list"},
		{"- a\n", "want keys and values"},
		{"a: [\n", "map="},
		{"as: X\nrules:\n  - value: v\n    interval: 1s\n", `line 4: unknown key "interval"`},
		{"as: X\nvalue: v\nping: {a: b}\nevery: 1ms\n", "line 4: every: want a length"},
		{"map: other.yaml\n", `unknown key "map"`},
	} {
		_, err := mapping.Parse(mapping.Place{Scheme: "ws+json", Target: "h/p", Venue: "LAB"}, params{"map": write(t, test.text)})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %q in it", test.text, err, test.want)
		}
	}
}

func TestSession(t *testing.T) {
	m := parse(t, params{
		"symbols": "a,b,c", "symbol": "s", "value": "v", "login": `{"op":"login","token":"{key}"}`, "key": "hunter2", "chunk": "2",
		"subscribe": `{"op":"sub","of":{symbols}}`, "unsubscribe": `un {symbol}`, "ack": "event=subscribed", "refuse": "event=error", "refusetext": "msg",
		"ping": "ping", "every": "5s", "stall": "20s", "id": "i",
	})
	v := m.Venue()
	traits := v.Traits()
	if traits.Heartbeat.Seconds() != 10 || traits.Ping <= 0 || traits.Ping > traits.Heartbeat || traits.Ack == 0 || traits.NoNumbers || traits.Open {
		t.Errorf("got traits %+v", traits)
	}
	s := v.Session(venue.Trades, v.Instruments())
	var out venue.Output
	sends := func(step func() error) []string {
		t.Helper()
		if err := step(); err != nil {
			t.Fatal(err)
		}
		var sent []string
		for _, b := range out.Send {
			sent = append(sent, string(b))
		}
		out.Send = out.Send[:0]
		return sent
	}
	got := sends(func() error { return s.Opened(&out) })
	want := []string{`{"op":"login","token":"hunter2"}`, `{"op":"sub","of":["a","b"]}`, `{"op":"sub","of":["c"]}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, message := range []string{`{"event":"subscribed"}`, "pong", `{"event":"error","msg":"no such thing"}`, `{"s":"a","v":1,"i":1}`, "garbage"} {
		if err := s.Message([]byte(message), arrival, &out); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]market.Symbol{"LAB:A", "LAB:B"}, out.Taken); diff != "" {
		t.Errorf("taken (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]venue.Refusal{{Symbol: "LAB:C", Reason: "no such thing"}}, out.Refused); diff != "" {
		t.Errorf("refused (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"LAB:A arrival 1 x 0 id 1", "1 not_json"}, lines(&out)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := s.Message([]byte(`{"event":"error","msg":"bye hunter2"}`), arrival, &out); err == nil || !strings.Contains(err.Error(), "bye ***") {
		t.Errorf("a refusal of nothing in particular: got %v", err)
	}
	got = sends(func() error { return s.Unsubscribe(v.Instruments()[:1], &out) })
	got = append(got, sends(func() error { return s.Second(arrival, &out) })...)
	got = append(got, sends(func() error { return s.Second(arrival.Add(4e9), &out) })...)
	got = append(got, sends(func() error { return s.Second(arrival.Add(5e9), &out) })...)
	if diff := cmp.Diff([]string{"un a", "ping"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMessagesOfBrokers(t *testing.T) {
	m, err := mapping.Messages("PLANT", params{"value": "@this"})
	if err != nil {
		t.Fatal(err)
	}
	r := m.Reader()
	var out venue.Output
	r.Read([]byte("1"), arrival, &out)
	r.Name, r.Event = "line/1 speed", arrival-market.Second
	r.Read([]byte("21.50"), arrival, &out)
	if diff := cmp.Diff([]string{"PLANT:LINE-1-SPEED 2025-11-24T15:59:59Z 21.50 x 0", "1 bad_symbol"}, lines(&out)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzRead gives any bytes to mappings that use every kind of place.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"type":"data","room":"a","readings":[{"kind":"temp","v":1234,"at":1764000000123}]}`, `[{"s":"B","p":"1.0","q":"2","m":true,"i":12}]`,
		`{"prices":{"b":{"usd":1}}}`, `[[1,2,3]]`, `1`, `"`, `{"a":{"b":`, `{"v":1e99999999}`, "\xff\xfe", `{"s":"\u0000","v":1}`,
	} {
		f.Add([]byte(seed))
	}
	mappings := []*mapping.Mapping{
		parse(f, params{"items": "readings", "as": "{^room}-{kind}", "value": "v", "time": "at", "filter": "type=data", "where": "v"}),
		parse(f, params{"symbol": "s", "price": "p", "size": "q", "side": "m", "id": "i", "scale": "-3"}),
		parse(f, params{"items": "prices", "symbol": "@key", "price": "usd", "bid": "bid.0", "ask": "ask.0"}),
		parse(f, params{"items": "#(type==\"x\")#.rows|@flatten", "as": "X", "time": "0", "price": "1"}),
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range mappings {
			var once, again venue.Output
			m.Reader().Read(b, arrival, &once)
			m.Reader().Read(slices.Clone(b), arrival, &again)
			if diff := cmp.Diff(lines(&once), lines(&again)); diff != "" {
				t.Errorf("read twice, differs\n%s", diff)
			}
			for i := range once.Entries {
				e := &once.Entries[i]
				if _, err := market.ParseSymbol(string(e.Symbol)); err != nil || e.Event == 0 || !e.IsTick() || e.Size.Sign() < 0 {
					t.Errorf("a tick that is none: %+v", e)
				}
			}
		}
	})
}

// FuzzFile gives any text as a mapping, and reads a message with what comes of it.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"value: v\nas: X\n", "rules:\n  - {value: a.b, symbol: s}\n  - {bid: b.0, ask: '^a'}\n", "a: &a [*a]\n", "value: '@flatten:{\"deep\":true}'\nas: '{s}'\n",
		"items: '#(v>1)#'\nvalue: v\nsymbol: '@key'\nfilter: 'a=1,!b,c!=2'\n", "value: '..#.v'\nas: X", "value: \"a.#(b==\\\"\"\nas: X",
	} {
		f.Add(seed, `{"v":[1,{"b":2}],"s":"x","a":{"b":3}}`)
	}
	f.Fuzz(func(t *testing.T, text, message string) {
		path := filepath.Join(t.TempDir(), "map.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := mapping.Parse(mapping.Place{Scheme: "ws+json", Target: "h/p", Venue: "LAB"}, params{"map": path})
		if err != nil {
			return
		}
		var out venue.Output
		m.Reader().Read([]byte(message), arrival, &out)
	})
}

func BenchmarkRead(b *testing.B) {
	m := parse(b, params{"symbol": "s", "price": "p", "size": "q", "side": "m", "sides": "true:sell,false:buy", "id": "t", "time": "T", "unit": "ms", "filter": "e=trade"})
	msg := []byte(`{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}`)
	r := m.Reader()
	var out venue.Output
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		out.Reset()
		r.Read(msg, arrival, &out)
	}
	if len(out.Entries) != 1 {
		b.Fatal("no trade was read")
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	m := parse(t, params{"symbol": "s", "price": "p", "size": "q", "id": "t", "time": "T", "unit": "ms", "filter": "e=trade"})
	msg := []byte(`{"e":"trade","s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136}`)
	r := m.Reader()
	var out venue.Output
	if n := testing.AllocsPerRun(100, func() {
		out.Reset()
		r.Read(msg, arrival, &out)
	}); n > 0 {
		t.Errorf("got %v allocations a trade, want 0", n)
	}
}
