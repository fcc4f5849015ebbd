package broker_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapedeck/internal/broker"
	"tapedeck/internal/market"
	"tapedeck/internal/venue"
)

// params are the parameters of a URL, of which none holds a secret.
type params map[string]string

func (p params) Get(name string) string { return p[name] }

func (p params) Has(name string) bool { _, ok := p[name]; return ok }

func (p params) List(name string) []string {
	if p[name] == "" {
		return nil
	}
	return strings.Split(p[name], ",")
}

func (p params) Bool(name string, otherwise bool) (bool, error) {
	if !p.Has(name) {
		return otherwise, nil
	}
	return p[name] == "true", nil
}

func (p params) Uint(name string, otherwise uint64) (uint64, error) {
	if !p.Has(name) {
		return otherwise, nil
	}
	var n uint64
	_, err := fmt.Sscan(p[name], &n)
	return n, err
}

func (p params) Secret(name string) (string, error) { return p[name], nil }

func (p params) Errorf(name, problem string) error { return errors.New(name + ": " + problem) }

// outline writes an entry as "trade V:AAPL 187.42×100 buy @time id".
func outline(e *market.Entry) string {
	s := fmt.Sprintf("%s %s %s×%s", e.Kind, e.Symbol, e.Price, e.Size)
	if e.Kind == market.KindQuote {
		s += fmt.Sprintf(" / %s×%s", e.Ask, e.AskSize)
	}
	s += " " + []string{"", "buy ", "sell "}[e.Side] + "@" + e.Event.String()
	if e.ID != 0 {
		s += fmt.Sprint(" ", e.ID)
	}
	return s + e.Ref
}

func TestReader(t *testing.T) {
	const at = "2026-11-23T14:30:00.25Z"
	for _, test := range []struct {
		name   string
		value  string
		params params
		want   []string // entries, then reasons
	}{
		{"the tutorial's", `{"timestamp":"2026-11-23T14:30:00.25Z","symbol":"AAPL","price":187.420}`, nil, []string{"trade V:AAPL 187.420×0 @" + at}},
		{"python's time", `{"timestamp":"2026-11-23T14:30:00.250000","symbol":"aapl","price":"187.42"}`, nil, []string{"trade V:AAPL 187.42×0 @" + at}},
		{"milliseconds", `{"ts":1795444200250,"ticker":"AAPL","px":1e2,"qty":5,"side":"SELL","id":"x7"}`, nil, []string{"trade V:AAPL 100×5 sell @" + at + "x7"}},
		{"seconds with a fraction", `{"time":1795444200.25,"symbol":"AAPL","last":1}`, nil, []string{"trade V:AAPL 1×0 @" + at}},
		{"ours", `{"T":"t","S":"SIM:AAPL","i":7,"p":187.42,"s":100,"t":"2026-11-23T14:30:00.25Z","c":[],"tks":"B","seq":9}`, nil, []string{"trade V:AAPL 187.42×100 buy @" + at + " 7"}},
		{"a quote", `{"T":"q","S":"AAPL","bp":1.10,"bs":2,"ap":1.20,"as":3,"t":"2026-11-23T14:30:00.25Z"}`, nil, []string{"quote V:AAPL 1.10×2 / 1.20×3 @" + at}},
		{"an array", `[{"symbol":"A","price":1},{"symbol":"B/C","price":2}]`, nil, []string{"trade V:A 1×0 @" + at, "trade V:B-C 2×0 @" + at}},
		{"lines of JSON", "{\"symbol\":\"A\",\"price\":1}\n{\"symbol\":\"B\",\"price\":2}\n{", nil, []string{"trade V:A 1×0 @" + at, "trade V:B 2×0 @" + at, "unreadable 1"}},
		{"a number", "21.50", nil, []string{"trade V:KITCHEN 21.50×0 @" + at}},
		{"a number as JSON's text in an object", `{"value":"-3.5"}`, nil, []string{"trade V:KITCHEN -3.5×0 @" + at}},
		{"columns", "2026-11-23 14:30:00.25,AAPL,187.42,100", nil, []string{"trade V:AAPL 187.42×100 @" + at}},
		{"columns in another order", "AAPL;187.42;1795444200250;", nil, []string{"trade V:AAPL 187.42×0 @" + at}},
		{"columns by name", "7,1.5,AAPL,s", params{"columns": "_,price,symbol,side"}, []string{"trade V:AAPL 1.5×0 sell @" + at}},
		{"levels", "1", params{"levels": "{1}-{2}"}, []string{"trade V:HOME-KITCHEN 1×0 @" + at}},
		{"the key", "1", params{"levels": "{key}"}, []string{"trade V:BTC-USD 1×0 @" + at}},
		{"a level that is not there", "1", params{"levels": "{9}"}, []string{"bad_symbol 1"}},
		{"some symbols", `[{"symbol":"A","price":1},{"symbol":"B","price":2}]`, params{"symbols": "b"}, []string{"trade V:B 2×0 @" + at, "other_symbol 1"}},
		{"a mapping", `{"d":[{"n":"A","v":"1.0"}]}`, params{"items": "d", "symbol": "n", "price": "v"}, []string{"trade V:A 1.0×0 @" + at}},
		{"a mapping without a symbol", `{"v":1.50}`, params{"value": "v"}, []string{"trade V:KITCHEN 1.50×0 @" + at}},
		{"no number", `{"symbol":"A","price":"NaN"}`, nil, []string{"bad_value 1"}},
		{"no price", `{"symbol":"A"}`, nil, []string{"no_value 1"}},
		{"no time", `{"symbol":"A","price":1,"ts":"yesterday"}`, nil, []string{"bad_time 1"}},
		{"a negative size", `{"symbol":"A","price":1,"size":-1}`, nil, []string{"bad_value 1"}},
		{"no symbol that can be", `{"symbol":"💥","price":1}`, nil, []string{"bad_symbol 1"}},
		{"another message", `{"T":"subscription","trades":["A"]}`, nil, []string{"other_kind 1"}},
		{"cut off", `{"symbol":"A","price":1`, nil, []string{"unreadable 1"}},
		{"cut off in an array: nothing of it", `[{"symbol":"A","price":1},{"symbol"`, nil, []string{"unreadable 1"}},
		{"words", "hello there", nil, []string{"unreadable 1"}},
		{"a header", "timestamp,symbol,price", nil, []string{"unreadable 1"}},
		{"nothing", "", nil, []string{"unreadable 1"}},
		{"deep", strings.Repeat("[", 100_000), nil, []string{"unreadable 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.params
			if p == nil {
				p = params{}
			}
			r, err := broker.NewReader("V", p, "{last}", "/")
			if err != nil {
				t.Fatal(err)
			}
			event, err := market.ParseTime(at)
			if err != nil {
				t.Fatal(err)
			}
			var out venue.Output
			r.Read(&broker.Message{Value: []byte(test.value), Topic: "home/kitchen", Key: "X:BTC/USD", Time: event, Received: event}, &out)
			var got []string
			for i := range out.Entries {
				got = append(got, outline(&out.Entries[i]))
			}
			for _, reason := range slices.Sorted(maps.Keys(out.Unusable)) {
				got = append(got, fmt.Sprint(reason, " ", out.Unusable[reason]))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, p := range []params{
		{"levels": "{0}"}, {"levels": "{two}"}, {"levels": ""}, {"levels": "a}"}, {"levels": "{1"}, {"columns": "time,cost"}, {"columns": "price", "value": "@this"}, {"symbols": "A B💥"},
	} {
		if err := broker.CheckReader("V", p, "{last}", "/"); err == nil {
			t.Errorf("%v is taken", p)
		}
	}
}

// FuzzReader sends any bytes: nothing may panic, and what comes out must be ticks that can be on a tape, the same each time.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		`{"timestamp":"2026-11-23T14:30:00.25Z","symbol":"AAPL","price":187.42}`, `[{"T":"q","S":"A","bp":1,"ap":2}]`, "1795444200250,AAPL,1,2", "21.5",
		`{"value":"1e400","id":-0}`, "a;b\tc", `{"ts":99999999999999999999,"price":1}`, "\"\\\"", "0x1p-2,,",
	} {
		f.Add([]byte(s), "home/kitchen", "k")
	}
	f.Fuzz(func(t *testing.T, value []byte, topic, key string) {
		var before []market.Entry
		for range 2 {
			r, err := broker.NewReader("V", params{}, "{last}", "/")
			if err != nil {
				t.Fatal(err)
			}
			var out venue.Output
			r.Read(&broker.Message{Value: value, Topic: topic, Key: key, Received: 5}, &out)
			for i := range out.Entries {
				e := &out.Entries[i]
				if _, err := market.ParseSymbol(string(e.Symbol)); err != nil || !e.IsTick() || e.Size.Sign() < 0 {
					t.Fatalf("%+v: %v", e, err)
				}
			}
			if before != nil && (len(before) != len(out.Entries) || len(before) > 0 && !cmp.Equal(before, out.Entries, cmp.AllowUnexported(market.Decimal{}))) {
				t.Fatal("read twice, and not alike")
			}
			before = append([]market.Entry{}, out.Entries...)
		}
	})
}
