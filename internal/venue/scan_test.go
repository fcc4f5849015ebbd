package venue

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"tapedeck/internal/market"
)

// walk reads a whole text into what encoding/json would make of it, numbers as json.Number.
func walk(s *Scanner) any {
	switch s.Next() {
	case '{':
		m := map[string]any{}
		for s.Enter('{'); ; {
			key, ok := s.Key()
			if !ok {
				return m
			}
			m[string(key)] = walk(s)
		}
	case '[':
		list := []any{}
		for s.Enter('['); s.More(); {
			list = append(list, walk(s))
		}
		return list
	}
	v := s.Value()
	switch {
	case v.IsString():
		return v.Text()
	case v.Null():
		return nil
	case v[0] == 't' || v[0] == 'f':
		return v.True()
	}
	return json.Number(v.Text())
}

func seeds() []string {
	return []string{
		`{"type":"match","trade_id":1081862675,"size":"0.00000001","time":"2026-08-25T03:35:57.198335Z","t":1,"T":2}`,
		`[[["a\"b\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83d"]], -0.5e+10, 0, 1E5, true, false, null, {}, [], {"":{"a":[1,{"b":2}]}}]`,
		` { "a" : 1 , "b" : [ ] } `, `{"a":1,}`, `[1,]`, `[,1]`, `[1 2]`, `{"a" 1}`, `{a:1}`, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `NaN`, `nul`,
		`"\x"`, `"\u12g4"`, "\"\x01\"", `"`, `"\`, ``, ` `, `[`, `{`, `{"a"`, `{"a":`, `]`, `{"a":1}x`, `[1]]`, `{"a":1]`, `[1}`,
		strings.Repeat("[", 600) + strings.Repeat("]", 600), "\xff", "\"\xff\"", `{"a":1,"a":2}`, `"\ud83d\u0041"`, `"\ude00"`, `"\ud83d\ud83d\ude00"`,
	}
}

func TestScannerReadsWhatEncodingJSONReads(t *testing.T) {
	for _, text := range seeds() {
		checkScan(t, []byte(text))
	}
}

func FuzzScanner(f *testing.F) {
	for _, text := range seeds() {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkScan(t, text) })
}

func checkScan(t *testing.T, text []byte) {
	t.Helper()
	var s Scanner
	s.Reset(text)
	s.Skip()
	skipped := s.End()
	s.Reset(text)
	got := walk(&s)
	walked := s.End()
	if skipped == nil && walked != nil || skipped != nil && walked == nil && !deep(text) {
		t.Fatalf("%q: skipping says %v, reading says %v", text, skipped, walked)
	}
	valid := json.Valid(text)
	if walked == nil != valid && !deep(text) {
		t.Fatalf("%q: got error %v, encoding/json says valid: %v", text, walked, valid)
	}
	if walked != nil && !errors.Is(walked, ErrJSON) {
		t.Fatalf("%q: error %v does not wrap ErrJSON", text, walked)
	}
	if walked != nil || !utf8.Valid(text) {
		return
	}
	var want any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(want, got) { // cmp.Diff takes exponential time for what is deep
		t.Fatalf("%q: got %v, encoding/json reads %v", text, got, want)
	}
}

// deep tells texts that are deeper than either reader goes.
func deep(text []byte) bool {
	return bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxDepth
}

func TestValueTime(t *testing.T) {
	for _, text := range timeSeeds() {
		checkTime(t, text)
	}
	if got, ok := Value(`"0001-01-01T00:00:00.000000Z"`).Time(); !ok || got != 0 {
		t.Errorf("year 1: got %d, %v, want no time", got, ok)
	}
}

func timeSeeds() []string {
	return []string{
		"2026-08-25T03:35:57.096368Z", "2026-08-25T03:35:57Z", "2024-02-29T23:59:59.999999999Z", "1970-01-01T00:00:00.000000001Z",
		"1969-12-31T23:59:59.5Z", "2026-08-25T03:35:57+05:30", "2026-08-25T03:35:57.1-08:00", "1700-03-01T00:00:00Z", "2261-12-31T00:00:00Z",
		"2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "", "2100-02-29T00:00:00Z",
	}
}

func FuzzValueTime(f *testing.F) {
	for _, text := range timeSeeds() {
		f.Add(text)
	}
	f.Fuzz(checkTime)
}

func checkTime(t *testing.T, text string) {
	t.Helper()
	got, ok := Value(`"` + text + `"`).Time()
	want, err := market.ParseTime(text)
	if ok && err == nil && got != want && got != 0 {
		t.Fatalf("%q: got %s, want %s", text, got, want)
	}
	if ok && err != nil && got != 0 {
		t.Fatalf("%q: got %s, market says %v", text, got, err)
	}
	if !ok && err == nil && !strings.Contains(text, ",") {
		t.Fatalf("%q: refused, market says %s", text, want)
	}
}

func TestValueNumbers(t *testing.T) {
	for text, want := range map[string]uint64{`0`: 0, `18446744073709551615`: 1<<64 - 1, `"12"`: 12} {
		if got, ok := Value(text).Uint(); !ok || got != want {
			t.Errorf("%s: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{``, `""`, `-1`, `1.0`, `1e3`, `18446744073709551616`, `"x"`, `null`, `99999999999999999999`} {
		if got, ok := Value(text).Uint(); ok {
			t.Errorf("%s: got %d", text, got)
		}
	}
	if got, ok := Value(`1789299670925`).Unix(Milliseconds); !ok || got != 1789299670925*Milliseconds {
		t.Errorf("milliseconds: got %d, %v", got, ok)
	}
	if got, ok := Value(`18446744073709551615`).Unix(market.Second); ok {
		t.Errorf("a time beyond all: got %d", got)
	}
	for _, text := range []string{`"0.031340"`, `0.031340`} {
		if d, err := Value(text).Decimal(); err != nil || d.String() != "0.031340" {
			t.Errorf("%s: got %s, %v", text, d, err)
		}
	}
	for _, text := range []string{`"0.-10000"`, `null`, ``, `"NaN"`, `true`, `"\u0031"`} {
		if d, err := Value(text).Decimal(); err == nil {
			t.Errorf("%s: got %s", text, d)
		}
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	text := []byte(seeds()[0])
	var s Scanner
	var w Words
	got := testing.AllocsPerRun(100, func() {
		s.Reset(text)
		for s.Enter('{'); ; {
			key, ok := s.Key()
			if !ok {
				break
			}
			switch string(key) {
			case "type":
				w.Of(s.Value().Bytes())
			case "time":
				s.Value().Time()
			default:
				s.Skip()
			}
		}
		if s.End() != nil {
			t.Fatal(s.Err())
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
